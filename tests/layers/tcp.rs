//! The connection: which of a name's addresses are dialled, what a dead one is found to be, and that it costs the living ones nothing.
//!
//! Plain HTTP, so that a connection is all that a leg needs.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};

use egressd::observation::{Failure, Leg, TcpFailure};

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
