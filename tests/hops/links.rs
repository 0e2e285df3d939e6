//! Links that take only small packets and say so or not, neighbours that are dead, and which of its own addresses and
//! interfaces this host leaves by: ordinary trips.

use std::time::Duration;

use egressd::observation::{Failure, LocalKind, Socket, TcpKind, Trip};
use egressd::plan::TripPlan;

use super::{API, CLIENT, World, address, router};

/// Long enough for a handshake to be sent again several times.
const LONG: Duration = Duration::from_secs(3);

/// A router sends on by a route that takes packets of that size, and, where it is silent, tells nobody.
fn narrow(world: &World, node: u8, route: &str, silent: bool) {
    // A locked MTU of a route counts for packets that are passed on (`ip_dst_mtu_maybe_forward`); the
    // device's own would be the other direction's too.
    world.chain.on(node, &format!("ip route replace {route}"));
    if silent {
        world.chain.on(node, "nft add rule inet f output icmp type destination-unreachable drop");
    }
}

/// Each segment is a packet of its own here as on a real wire, and is lost by itself.
fn without_offload(world: &World) {
    world.chain.on(CLIENT, "ip link set out0 gso_max_segs 1");
    world.chain.on(super::INTERNET, "ip link set in0 gso_max_segs 1");
}

fn handshake(world: &World, change: impl FnOnce(&mut TripPlan) + Send + 'static) -> Trip {
    world.walk(API[0], |trip| {
        trip.timeout = LONG;
        change(trip);
    })
}

fn timed_out(trip: &Trip) -> Socket {
    match trip.failure() {
        Some(Failure::Tls(tls)) if tls.kind.label() == "timeout" => tls.socket.expect("counters"),
        _ => panic!("no timeout of TLS: {trip:?}"),
    }
}

fn connected(trip: &Trip) -> Socket {
    assert!(trip.arrived(), "{trip:?}");
    trip.legs[0].connected.as_ref().and_then(|made| made.socket).expect("counters")
}

/// By itself a kernel asks for a neighbour three times, a second apart.
fn gives_up_soon(world: &World, node: u8, interface: &str) {
    world.chain.on(node, &format!("sysctl -qw net.ipv4.neigh.{interface}.retrans_time_ms=50"));
}

fn clamped(world: &World) {
    let socket = connected(&handshake(world, |trip| trip.socket.segment = Some(1200)));
    assert!(socket.snd_mss <= 1200 && socket.advmss <= 1200, "{socket:?}");
}

#[test]
fn large_packets_that_vanish_on_the_way_out_are_never_acknowledged() {
    let Some(world) = World::new() else { return };
    without_offload(&world);
    narrow(&world, 2, "default via 10.1.3.2 mtu lock 1300", true);
    let socket = timed_out(&handshake(&world, |_| {}));
    assert!(socket.unacked >= 1 && socket.lost >= 1 && socket.total_retrans >= 2, "{socket:?}");
    assert_eq!((socket.bytes_acked, socket.bytes_received), (0, 0), "{socket:?}");
    assert_eq!(socket.pmtu, 1500, "nobody said a word: {socket:?}");
    clamped(&world);
}

#[test]
fn large_packets_that_vanish_on_the_way_back_leave_the_small_one_behind_them() {
    let Some(world) = World::new() else { return };
    without_offload(&world);
    // As over PPPoE (RFC 2516 7): only a full packet is too large.
    narrow(&world, 3, "10.1.0.0/16 via 10.1.3.1 mtu lock 1492", true);
    let socket = timed_out(&handshake(&world, |_| {}));
    assert!(socket.bytes_acked > 1300, "the hello arrived: {socket:?}");
    // This server writes its ServerHello by itself: it is small enough, and all that arrives in order.
    assert!(socket.bytes_received < 1300, "{socket:?}");
    // The end of the flight came, what is before it did not: it is sent again and again and never comes.
    assert!(socket.rcv_ooopack >= 1 && socket.pmtu == 1500, "{socket:?}");
    clamped(&world);
}

#[test]
fn a_router_that_says_what_it_can_take_is_believed() {
    let Some(world) = World::new() else { return };
    narrow(&world, 2, "default via 10.1.3.2 mtu lock 1300", false);
    let before = connected(&handshake(&world, |_| {}));
    assert_eq!(before.pmtu, 1500, "{before:?}");
    // The kernel remembers it for the next connection.
    let after = connected(&handshake(&world, |_| {}));
    assert_eq!((after.pmtu, after.snd_mss), (1300, 1248), "{after:?}");
}

#[test]
fn a_dead_neighbour_is_told_by_the_router_before_it_or_by_this_host() {
    let Some(world) = World::new() else { return };
    gives_up_soon(&world, 3, "out0");
    world.chain.on(3, "ip route replace default via 10.1.4.99");
    let trip = handshake(&world, |_| {});
    let Some(Failure::Tcp(tcp)) = trip.failure() else { panic!("{trip:?}") };
    let icmp = tcp.icmp.expect("an ICMP error");
    assert_eq!((tcp.kind, tcp.errno), (TcpKind::IcmpUnreachable, Some(libc::EHOSTUNREACH)));
    assert_eq!((icmp.kind, icmp.code, icmp.own), (3, 1, false));
    assert_eq!((icmp.offender, tcp.synchronous), (router(API[0], 3), false));

    gives_up_soon(&world, CLIENT, "out0");
    world.chain.on(CLIENT, "ip route replace default via 10.1.1.99");
    let trip = handshake(&world, |_| {});
    let Some(Failure::Local(local)) = trip.failure() else { panic!("{trip:?}") };
    let icmp = local.icmp.expect("an ICMP error");
    assert_eq!((local.kind, local.errno), (LocalKind::NoRoute, Some(libc::EHOSTUNREACH)));
    assert_eq!((icmp.offender, icmp.own, local.synchronous), (address("10.1.1.1"), true, false));
}

#[test]
fn the_peer_sees_the_source_and_the_interface_that_were_chosen() {
    let Some(world) = World::new() else { return };
    // A second address on the first link, and a second link beside it.
    world.chain.on(CLIENT, "ip addr add 10.1.1.9/24 dev out0");
    world.chain.on(CLIENT, "ip link add out1 type veth peer name out2");
    world.chain.on(CLIENT, "ip link set out1 up");
    world.chain.on(CLIENT, "ip link set out2 up");
    let peer = |change: fn(&mut TripPlan)| {
        connected(&handshake(&world, change));
        world.servers[0].connections().last().expect("a connection").peer.ip()
    };
    assert_eq!(peer(|_| {}), address("10.1.1.1"));
    assert_eq!(peer(|trip| trip.socket.source = Some(address("10.1.1.9"))), address("10.1.1.9"));
    assert_eq!(peer(|trip| trip.socket.interface = Some("out0".to_owned())), address("10.1.1.1"));
    // By the other link there is no way to the target, and none is taken by another: with an interface and
    // without a route the kernel takes the target for a neighbour (`ip_route_output_key_hash_rcu`), and what it
    // tells itself of a dead neighbour comes in by `lo`, where a socket that is bound does not listen.
    gives_up_soon(&world, CLIENT, "out1");
    let connections = world.servers[0].connections().len();
    let trip = world.walk(API[0], |trip| {
        trip.socket.interface = Some("out1".to_owned());
        trip.timeout = Duration::from_millis(800);
    });
    let Some(Failure::Tcp(tcp)) = trip.failure() else { panic!("{trip:?}") };
    assert_eq!((tcp.kind, tcp.icmp, tcp.synchronous), (TcpKind::Timeout, None, false));
    assert_eq!(tcp.socket.expect("counters").min_rtt_us, 0, "nothing was measured");
    assert_eq!(world.servers[0].connections().len(), connections);
}
