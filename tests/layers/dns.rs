//! The look-up: what a server that misbehaves is found to do, and what each server says that is asked
//! by itself.
//!
//! An answer with the wrong id or question, and one that is no DNS message, is what a forger would
//! send: the resolver drops it and waits on, the single question says what came.

mod single;

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use egressd::observation::{Answer, DnsKind, Source};

use super::{AMPLE, BRIEF, Duration, NAME, Trip, Way, finding, resolver, table};
use crate::support::dns::{Behaviour, DnsServer, Query, Zone};
use crate::support::http::{self, HttpServer};
use crate::support::not_run;
use crate::support::tcp::ClosedPort;

const HOME: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);

fn site() -> HttpServer {
    HttpServer::start(http::Behaviour::AnthropicUnauthorized)
}

/// To the site in plain HTTP, so that an address is all that is needed.
fn way(site: &HttpServer, dns: &DnsServer) -> Way {
    Way::to(format!("http://{NAME}:{}/", site.address().port())).asking(dns.address())
}

/// One walk to a site whose resolver behaves like that.
fn ask(behaviour: Behaviour, timeout: Duration) -> (Trip, Vec<Query>) {
    let (site, dns) = (site(), resolver(&[HOME]));
    dns.set(NAME, behaviour);
    let trip = way(&site, &dns).within(timeout).walk();
    (trip, dns.queries())
}

fn kind(answer: Option<&Answer>) -> Option<DnsKind> {
    answer.and_then(Answer::failure).map(|failure| failure.kind)
}

/// Proves that the site was reached `count` times so far: connections are accepted in their order,
/// so that one more walk brings to light whatever came before it.
#[track_caller]
fn was_reached(site: &HttpServer, count: usize) {
    let last = Way::to(format!("http://{}/", site.address())).walk();
    assert_eq!(finding(&last), "401 over 1.1");
    assert_eq!(site.wait_closed(count + 1).len(), count + 1);
}

#[test]
fn answers_are_found_to_be_what_they_are() {
    let rows = [
        (Behaviour::Answer, "401 over 1.1"),
        (Behaviour::Nxdomain, "dns nxdomain"),
        (Behaviour::Nodata, "dns nodata"),
        (Behaviour::Servfail, "dns servfail"),
        (Behaviour::Refused, "dns refused"),
        (Behaviour::TruncatedUdp, "401 over 1.1"),
        (Behaviour::Late(Duration::from_millis(100)), "401 over 1.1"),
        (Behaviour::AaaaServfail, "401 over 1.1"),
        (Behaviour::AaaaLate(Duration::from_millis(100)), "401 over 1.1"),
    ];
    for trip in table(&rows, |behaviour| ask(*behaviour, AMPLE).0) {
        assert_eq!((trip.lookup.name.as_str(), trip.lookup.source), (NAME, Source::Dns));
        assert_eq!(trip.lookup.servers.len(), 1);
        assert!(trip.lookup.seconds > 0.0 && trip.lookup.seconds <= trip.seconds);
        assert_eq!(trip.legs.is_empty(), finding(&trip).starts_with("dns"), "{trip:?}");
    }
}

#[test]
fn what_is_no_answer_is_waited_through_and_said() {
    let rows = [
        (Behaviour::Silent, "dns timeout"),
        (Behaviour::Garbage, "dns malformed"),
        (Behaviour::WrongId, "dns wrong_id"),
        (Behaviour::WrongQuestion, "dns wrong_question"),
    ];
    for trip in table(&rows, |behaviour| ask(*behaviour, Duration::from_millis(600)).0) {
        assert!(trip.legs.is_empty(), "{trip:?}");
        assert!(trip.seconds >= 0.6 && trip.seconds < AMPLE.as_secs_f64(), "{trip:?}");
    }
}

#[test]
fn both_families_are_asked_and_keep_their_own_fates() {
    let rows = [
        (Behaviour::Answer, None, DnsKind::Nodata),
        (Behaviour::Nxdomain, Some(DnsKind::Nxdomain), DnsKind::Nxdomain),
        (Behaviour::AaaaServfail, None, DnsKind::Servfail),
    ];
    for (behaviour, a, aaaa) in rows {
        let (trip, queries) = ask(behaviour, AMPLE);
        assert_eq!(kind(trip.lookup.a.as_ref()), a, "{behaviour:?}");
        assert_eq!(kind(trip.lookup.aaaa.as_ref()), Some(aaaa), "{behaviour:?}");
        for family in ["A", "AAAA"] {
            assert!(queries.iter().any(|query| query.record_type == family), "{queries:?}");
        }
    }
}

#[test]
fn a_truncated_answer_is_asked_for_again_over_tcp() {
    // Twice each: by the resolver, and by the question beside it.
    let (_, queries) = ask(Behaviour::TruncatedUdp, AMPLE);
    let asked = |over_tcp| queries.iter().filter(|query| query.over_tcp == over_tcp).count();
    assert_eq!((asked(false), asked(true)), (4, 4), "{queries:?}");
    let (_, queries) = ask(Behaviour::Answer, AMPLE);
    assert!(queries.iter().all(|query| !query.over_tcp), "{queries:?}");
}

#[test]
fn a_truncated_answer_without_tcp_is_no_answer() {
    let (trip, queries) = ask(Behaviour::TruncatedUdpNoTcp, AMPLE);
    assert_eq!(finding(&trip), "dns truncated");
    assert!(queries.iter().any(|query| query.over_tcp), "{queries:?}");
}

#[test]
fn a_silent_family_is_waited_for_no_longer_than_the_patience() {
    let (site, dns) = (site(), resolver(&[HOME]));
    dns.set(NAME, Behaviour::AaaaSilent);
    let mut walker = way(&site, &dns).walker();
    walker.change(|trip| trip.patience = Duration::from_millis(300));
    let trip = walker.walk();
    assert_eq!(finding(&trip), "401 over 1.1");
    assert_eq!(kind(trip.lookup.aaaa.as_ref()), Some(DnsKind::Timeout));
    assert!(trip.lookup.seconds >= 0.3, "{}", trip.lookup.seconds);
    assert!(trip.lookup.seconds < AMPLE.as_secs_f64() / 2.0, "{}", trip.lookup.seconds);
}

#[test]
fn addresses_of_both_families_are_kept_ipv4_first() {
    let (site, dns) = (site(), resolver(&[Ipv6Addr::LOCALHOST.into(), HOME]));
    let trip = way(&site, &dns).walk();
    assert_eq!(trip.lookup.addresses(), [HOME, Ipv6Addr::LOCALHOST.into()]);
    assert_eq!(trip.lookup.a, Some(Answer::Addresses(vec![HOME])));
    assert_eq!(trip.lookup.aaaa, Some(Answer::Addresses(vec![Ipv6Addr::LOCALHOST.into()])));
    assert_eq!(finding(&trip), "401 over 1.1");
}

#[test]
fn an_address_that_is_no_destination_is_never_dialled() {
    let multicast = Ipv4Addr::new(224, 0, 0, 1).into();
    let rows: [(&[IpAddr], &str); 5] = [
        (&[Ipv4Addr::UNSPECIFIED.into()], "dns unusable_address"),
        (&[Ipv6Addr::UNSPECIFIED.into()], "dns unusable_address"),
        (&[Ipv4Addr::UNSPECIFIED.into(), Ipv6Addr::UNSPECIFIED.into()], "dns unusable_address"),
        (&[multicast], "dns unusable_address"),
        (&[Ipv4Addr::UNSPECIFIED.into(), HOME], "401 over 1.1"),
    ];
    table(&rows, |addresses| {
        let (site, dns) = (site(), resolver(addresses));
        let trip = way(&site, &dns).walk();
        let usable = usize::from(addresses.contains(&HOME));
        assert_eq!(trip.legs.len(), usable, "{trip:?}");
        assert_eq!(trip.lookup.addresses().len(), addresses.len(), "{trip:?}");
        was_reached(&site, usable);
        trip
    });
}

#[test]
fn a_name_with_many_addresses_is_cut() {
    let many: Vec<IpAddr> = (1..=40).map(|last| Ipv4Addr::new(127, 0, 0, last).into()).collect();
    let (site, dns) = (site(), resolver(&many));
    let trip = way(&site, &dns).walk();
    assert_eq!(trip.lookup.addresses(), many);
    let tried: Vec<IpAddr> = trip.legs.iter().map(|leg| leg.address.ip()).collect();
    assert_eq!(tried, many[..16]);
    assert_eq!(finding(&trip), "401 over 1.1");
}

#[test]
fn aliases_are_followed_as_far_as_they_lead() {
    let chain = || Zone::new().alias(NAME, "one.layers.test").alias("one.layers.test", "two.test");
    let rows = [
        ("to an address", chain().address("two.test", HOME), "401 over 1.1"),
        ("to a name that is not there", chain(), "dns nxdomain"),
        ("to another type", chain().alias("two.test", "three.test"), "dns nxdomain"),
        ("in a circle", chain().alias("two.test", NAME), "dns nodata"),
    ];
    for (what, zone, expected) in rows {
        let (site, dns) = (site(), DnsServer::start(zone));
        let trip = way(&site, &dns).within(BRIEF).walk();
        assert_eq!(finding(&trip), expected, "an alias {what}: {:?}", trip.lookup);
    }
}

#[test]
fn a_server_that_cannot_answer_leaves_it_to_the_next() {
    let rows = [
        (Behaviour::Servfail, "401 over 1.1"),
        (Behaviour::Refused, "401 over 1.1"),
        (Behaviour::Silent, "401 over 1.1"),
        (Behaviour::TruncatedUdpNoTcp, "401 over 1.1"),
        // These are answers.
        (Behaviour::Nxdomain, "dns nxdomain"),
        (Behaviour::Nodata, "dns nodata"),
    ];
    table(&rows, |behaviour| {
        let (site, first, second) = (site(), resolver(&[HOME]), resolver(&[HOME]));
        first.set(NAME, *behaviour);
        let trip = way(&site, &first).asking(second.address()).walk();
        assert_eq!(trip.lookup.servers.len(), 2);
        // The other server is asked beside it, and does not change what an application would get.
        assert!(!first.queries().is_empty() && !second.queries().is_empty());
        trip
    });
}

#[test]
fn a_closed_port_of_a_server_is_known_at_once() {
    let (site, closed) = (site(), ClosedPort::hold());
    let way = way(&site, &resolver(&[]));
    let trip = Way { dns: Vec::new(), ..way }.asking(closed.address()).walk();
    assert_eq!(finding(&trip), "dns port_closed");
    assert!(trip.seconds < AMPLE.as_secs_f64() / 2.0, "{}", trip.seconds);
}

#[test]
fn a_closed_port_leaves_it_to_the_next_server_at_once() {
    let (site, closed, second) = (site(), ClosedPort::hold(), resolver(&[HOME]));
    let way = way(&site, &second);
    let trip =
        Way { dns: Vec::new(), ..way }.asking(closed.address()).asking(second.address()).walk();
    assert_eq!(finding(&trip), "401 over 1.1");
    // A silent server would have had its five seconds.
    assert!(trip.lookup.seconds < 5.0, "{}", trip.lookup.seconds);
}

#[test]
fn the_hosts_file_is_asked_first() {
    let hosts = std::fs::read_to_string("/etc/hosts").unwrap_or_default();
    let has = |line: &str| {
        let mut words = line.split_whitespace();
        words.next() == Some("127.0.0.1") && words.any(|name| name == "localhost")
    };
    if !hosts.lines().any(has) {
        return not_run("the hosts file has no localhost on 127.0.0.1");
    }
    let (site, dns) = (site(), resolver(&[]));
    let url = format!("http://localhost:{}/", site.address().port());
    let trip = Way { url, ..way(&site, &dns) }.walk();
    assert_eq!(trip.lookup.source, Source::Hosts);
    assert_eq!(trip.lookup.a, Some(Answer::Addresses(vec![HOME])));
    assert_eq!(finding(&trip), "401 over 1.1");
    assert_eq!(dns.queries(), []);
}
