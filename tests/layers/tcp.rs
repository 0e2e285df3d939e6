//! The connection: which of a name's addresses are dialled, what a dead one is found to be, and that it costs the living ones nothing.
//!
//! Plain HTTP, so that a connection is all that a leg needs.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};

use egressd::observation::{Failure, Leg, LocalKind, Socket, TcpFailure};
use egressd::plan::SocketPlan;

use super::{BRIEF, Duration, NAME, Trip, Way, finding, resolver, table};
use crate::support::Journal;
use crate::support::http::{self, HttpServer, Protocol};
use crate::support::not_run;
use crate::support::tcp::{ClosedPort, SilentPort};
use crate::support::wire::{self, Server};

const ONE: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);
const TWO: IpAddr = IpAddr::V4(Ipv4Addr::new(127, 0, 0, 2));
/// Refused by the kernel at once (`ENETUNREACH`), as any address of a family without a route: TCP has no broadcast.
const NO_ROUTE: IpAddr = IpAddr::V4(Ipv4Addr::BROADCAST);

/// A site on an address and a port of one's own choice.
fn site(bind: SocketAddr) -> Server {
    let requests = Journal::new();
    Server::start(bind, move |mut wire| {
        let (requests, record) = (requests.clone(), wire.record());
        async move {
            let behaviour = http::Behaviour::AnthropicUnauthorized;
            http::serve(&mut wire, &record, Protocol::Http1, &behaviour, &requests).await;
            wire::settle(wire).await;
        }
    })
}

/// To a port of the name's addresses, in this order.
fn walk(addresses: &[IpAddr], port: u16, timeout: Duration) -> Trip {
    let dns = resolver(addresses);
    let url = format!("http://{NAME}:{port}/");
    Way::to(url).asking(dns.address()).within(timeout).walk()
}

fn stop(leg: &Leg) -> &TcpFailure {
    match &leg.stop {
        Some(Failure::Tcp(failure)) => failure,
        other => panic!("no failure of TCP: {other:?}"),
    }
}

fn ips(trip: &Trip) -> Vec<IpAddr> {
    trip.legs.iter().map(|leg| leg.address.ip()).collect()
}

#[test]
fn a_connection_is_made_or_not() {
    let server = HttpServer::start(http::Behaviour::AnthropicUnauthorized);
    let (closed, silent) = (ClosedPort::hold(), SilentPort::hold());
    let rows = [
        (server.address(), "401 over 1.1"),
        (closed.address(), "tcp refused"),
        (silent.address(), "tcp timeout"),
        (SocketAddr::new(NO_ROUTE, 9), "local no_route"),
    ];
    let trips = table(&rows, |address| Way::to(format!("http://{address}/")).within(BRIEF).walk());
    assert!(trips.iter().all(|trip| trip.legs.len() == 1 && trip.untried.is_empty()), "{trips:?}");
    let made = trips[0].legs[0].connected.as_ref().expect("a connection");
    assert_eq!(trips[0].legs[0].local, Some(server.connections()[0].peer));
    assert_eq!(made.socket.expect("counters").state, 1);
    // Our own end is known wherever a SYN was sent.
    let locals: Vec<bool> = trips.iter().map(|trip| trip.legs[0].local.is_some()).collect();
    assert_eq!(locals, [true, true, true, false]);
    let refused = stop(&trips[1].legs[0]);
    assert_eq!((refused.errno, refused.icmp), (Some(libc::ECONNREFUSED), None));
    // A peer refused; that there is no route this host says in the call itself.
    assert!(!refused.synchronous);
    let Some(Failure::Local(no_route)) = trips[3].failure() else { panic!("{:?}", trips[3]) };
    assert!(no_route.synchronous && no_route.errno == Some(libc::ENETUNREACH), "{no_route:?}");
}

#[test]
fn a_silent_port_is_left_at_the_deadline_with_what_the_kernel_counted() {
    let silent = SilentPort::hold();
    let timeout = Duration::from_millis(1500);
    let trip = Way::to(format!("http://{}/", silent.address())).within(timeout).walk();
    assert_eq!(finding(&trip), "tcp timeout");
    assert!(trip.seconds >= timeout.as_secs_f64(), "{}", trip.seconds);
    let counted = stop(&trip.legs[0]).socket.expect("counters");
    // RFC 6298 2.1: the SYN is sent again after a second.
    assert!(counted.total_retrans >= 1, "{counted:?}");
    assert_eq!((counted.state, counted.bytes_received), (2, 0), "SYN sent, nothing back");
}

#[test]
fn a_dead_address_keeps_its_failure_and_the_living_one_carries_the_request() {
    let alive = site(SocketAddr::new(ONE, 0));
    for order in [[TWO, ONE], [ONE, TWO]] {
        let trip = walk(&order, alive.address().port(), BRIEF);
        assert_eq!((finding(&trip).as_str(), ips(&trip)), ("401 over 1.1", order.to_vec()));
        for leg in &trip.legs {
            let living = leg.address.ip() == ONE;
            assert_eq!(leg.response.is_some(), living, "{leg:?}");
            assert_eq!(leg.stop.as_ref().map(Failure::kind), (!living).then_some("refused"));
        }
    }
}

#[test]
fn a_silent_address_takes_no_time_from_a_living_one() {
    let silent = SilentPort::hold();
    let alive = site(SocketAddr::new(TWO, silent.address().port()));
    let trip = walk(&[ONE, TWO], alive.address().port(), BRIEF * 2);
    assert_eq!(finding(&trip), "401 over 1.1");
    assert_eq!(stop(&trip.legs[0]).kind.label(), "timeout");
    assert!(trip.seconds >= (BRIEF * 2).as_secs_f64(), "the silent leg has its whole time");
    // By the living server's clock all was over long before the silent leg gave up.
    let seconds = alive.wait_closed(1)[0].seconds_until_closed.expect("an end");
    assert!(seconds < trip.seconds / 2.0, "{seconds} of {}", trip.seconds);
}

#[test]
fn where_all_live_the_resolvers_order_decides() {
    let one = site(SocketAddr::new(ONE, 0));
    let two = site(SocketAddr::new(TWO, one.address().port()));
    for order in [[TWO, ONE], [ONE, TWO]] {
        let trip = walk(&order, two.address().port(), BRIEF);
        assert_eq!((finding(&trip).as_str(), ips(&trip)), ("401 over 1.1", order.to_vec()));
        let [first, second] = trip.legs.as_slice() else { panic!("two legs: {trip:?}") };
        assert!(first.response.is_some() && second.response.is_none(), "{trip:?}");
        assert!(second.connected.is_some() && second.stop.is_none(), "{trip:?}");
    }
}

#[test]
fn one_address_is_enough_where_the_configuration_says_so() {
    let alive = site(SocketAddr::new(ONE, 0));
    let dns = resolver(&[TWO, ONE]);
    let url = format!("http://{NAME}:{}/", alive.address().port());
    let way = Way { addresses: "one", ..Way::to(url).asking(dns.address()) };
    let trip = way.walk();
    assert_eq!((finding(&trip).as_str(), ips(&trip)), ("tcp refused", vec![TWO]));
    assert!(alive.connections().is_empty());
}

#[test]
fn an_address_without_a_route_is_left_out_beside_one_with() {
    let alive = site(SocketAddr::new(ONE, 0));
    for order in [[NO_ROUTE, ONE], [ONE, NO_ROUTE]] {
        let trip = walk(&order, alive.address().port(), BRIEF);
        assert_eq!((finding(&trip).as_str(), ips(&trip)), ("401 over 1.1", vec![ONE]));
        assert_eq!(trip.untried, [NO_ROUTE]);
    }
    // Not among those that failed, but of no help either.
    let trip = walk(&[NO_ROUTE, TWO], alive.address().port(), BRIEF);
    assert_eq!((finding(&trip).as_str(), ips(&trip)), ("tcp refused", vec![TWO]));
}

#[test]
fn ipv6_is_walked_beside_ipv4() {
    let six = IpAddr::from(Ipv6Addr::LOCALHOST);
    if UdpSocket::bind((six, 0)).is_err() {
        return not_run("this host has no IPv6 on its loopback");
    }
    let alive = site(SocketAddr::new(six, 0));
    let trip = walk(&[six, TWO], alive.address().port(), BRIEF);
    assert_eq!((finding(&trip).as_str(), ips(&trip)), ("401 over 1.1", vec![TWO, six]));
    assert_eq!(stop(&trip.legs[0]).kind.label(), "refused");
}

/// A walk to a site on 127.0.0.1 over a connection as the plan wants it.
fn dressed(server: &HttpServer, change: impl FnOnce(&mut SocketPlan)) -> Trip {
    let mut walker = Way::to(format!("http://{}/", server.address())).walker();
    walker.change(|trip| change(&mut trip.socket));
    walker.walk()
}

fn counted(trip: &Trip) -> Socket {
    assert_eq!(finding(trip), "401 over 1.1");
    trip.legs[0].connected.as_ref().and_then(|made| made.socket).expect("counters")
}

#[test]
fn a_connection_is_what_the_plan_wants() {
    let server = HttpServer::start(http::Behaviour::AnthropicUnauthorized);
    let usual = counted(&dressed(&server, |_| {}));
    let clamped = counted(&dressed(&server, |socket| socket.segment = Some(1200)));
    assert!(usual.snd_mss > 1200 && usual.advmss > 1200, "{usual:?}");
    // Time stamps take 12 bytes of a segment's room (RFC 6691 3).
    assert!((1188..=1200).contains(&clamped.snd_mss), "{clamped:?}");
    assert!((1188..=1200).contains(&clamped.advmss), "{clamped:?}");
    counted(&dressed(&server, |socket| socket.ttl = Some(1)));
    counted(&dressed(&server, |socket| socket.interface = Some("lo".to_owned())));
    let trip = dressed(&server, |socket| socket.source = Some(TWO));
    counted(&trip);
    let peer = server.connections().last().expect("a connection").peer;
    assert_eq!((peer.ip(), Some(peer)), (TWO, trip.legs[0].local));
}

#[test]
fn what_this_host_cannot_be_asked_for_is_said_exactly() {
    let server = HttpServer::start(http::Behaviour::AnthropicUnauthorized);
    let failure = |change: fn(&mut SocketPlan)| {
        let trip = dressed(&server, change);
        assert!(trip.legs[0].local.is_none(), "nothing was sent");
        match trip.failure() {
            Some(Failure::Local(failure)) => failure,
            other => panic!("no local failure: {other:?}"),
        }
    };
    let foreign = failure(|socket| socket.source = "192.0.2.9".parse().ok());
    let missing = failure(|socket| socket.interface = Some("nope0".to_owned()));
    // The kernel would cut it to 15 bytes, and an empty one would be any interface.
    let long = failure(|socket| socket.interface = Some("lo".to_owned() + "-and-much-too-long"));
    let empty = failure(|socket| socket.interface = Some(String::new()));
    // Smaller than any path allows (RFC 791 3.2 has 68 bytes for a packet; `TCP_MIN_MSS` is 88).
    let small = failure(|socket| socket.segment = Some(1));
    let dead = failure(|socket| socket.ttl = Some(0));
    let rows = [
        (&foreign, LocalKind::NoRoute, libc::EADDRNOTAVAIL, "192.0.2.9 is not one of this host's"),
        (&missing, LocalKind::NoRoute, libc::ENODEV, "no interface nope0"),
        (&long, LocalKind::NoRoute, libc::ENODEV, "no interface lo-and"),
        (&empty, LocalKind::NoRoute, libc::ENODEV, "no interface"),
        (&small, LocalKind::Other, libc::EINVAL, "segments to 1 bytes"),
        (&dead, LocalKind::Other, libc::EINVAL, "packets to 0 hops"),
    ];
    for (failure, kind, errno, words) in rows {
        assert_eq!((failure.kind, failure.errno), (kind, Some(errno)), "{failure:?}");
        assert!(failure.synchronous && failure.detail.contains(words), "{failure:?}");
    }
    assert!(server.connections().is_empty());
}

#[test]
fn an_address_of_another_family_than_the_source_is_not_tried() {
    let alive = site(SocketAddr::new(ONE, 0));
    let dns = resolver(&[ONE, Ipv6Addr::LOCALHOST.into()]);
    let url = format!("http://{NAME}:{}/", alive.address().port());
    let mut walker = Way::to(url).asking(dns.address()).walker();
    walker.change(|trip| trip.socket.source = Some(TWO));
    let trip = walker.walk();
    assert_eq!((finding(&trip).as_str(), ips(&trip)), ("401 over 1.1", vec![ONE]));
    assert_eq!(trip.untried, [IpAddr::from(Ipv6Addr::LOCALHOST)]);
    // Where there is no other address it is what happened.
    walker.change(|trip| trip.socket.source = Some(Ipv6Addr::LOCALHOST.into()));
    walker.change(|trip| trip.hop.address = Some(ONE));
    let trip = walker.walk();
    assert_eq!(finding(&trip), "local no_route");
    let Some(Failure::Local(failure)) = trip.failure() else { panic!("{trip:?}") };
    assert!(failure.synchronous && failure.detail.contains("other family"), "{failure:?}");
}
