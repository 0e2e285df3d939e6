//! unbound and dnsmasq as they answer: each kind of answer, each transport.

use std::thread::{self, ScopedJoinHandle};
use std::time::Duration;

use egressd::observation::{DnsKind, Failure, Family, Reply, TlsKind, Transport, Trip};

use super::{kind, question};
use crate::layers::{PUBLIC, Way, finding};
use crate::support::nameserver::{self, NameServer};
use crate::support::netns::{Host, Hosts, UNRELATED};

const ZONE: &str = "$ORIGIN corp.example.
@ 3600 IN SOA ns admin 1 3600 600 86400 60
@ 3600 IN NS ns
ns 60 IN A 127.0.0.1
api 300 IN A 192.0.2.80
api 300 IN AAAA 2001:db8::80
four 300 IN A 192.0.2.80
www 120 IN CNAME edge
edge 60 IN CNAME pool
pool 30 IN A 192.0.2.80
";
const UNBOUND: &str = "  interface: 127.0.0.1@53
  interface: 127.0.0.1@853
  interface: 127.0.0.1@443
  tls-port: 853
  https-port: 443
  access-control: 10.1.2.3/32 refuse
  interface: 10.1.2.3@53
  local-zone: \"null.corp.example.\" always_null
  local-zone: \"denied.corp.example.\" always_nxdomain
  local-zone: \"refused.corp.example.\" always_refuse
auth-zone:
  name: \"corp.example.\"
  zonefile: \"ZONE\"
forward-zone:
  name: \"dead.example.\"
  forward-addr: 127.0.0.2
";
/// Trips whose name resolves last so long: nobody answers at the address.
const BRIEF: Duration = Duration::from_millis(900);

/// A client whose packets to the address of the zone are dropped.
fn hosts() -> Option<Hosts> {
    if !nameserver::are_here() {
        return None;
    }
    let hosts = Hosts::new()?;
    hosts.firewall(&format!("ip daddr {UNRELATED} drop"));
    Some(hosts)
}

/// Walks to names by servers, side by side, and names every row that was found to be something else.
fn walks(hosts: &Hosts, rows: &'static [(&str, &str, &str)]) -> Vec<Trip> {
    let trips: Vec<Trip> = hosts.there(Host::Client, move || {
        let walk = |server: &str, name: &str| {
            Way::to(format!("http://{name}/")).asking_by(server).within(BRIEF).walk()
        };
        thread::scope(|scope| {
            let mut walks = Vec::new();
            for (server, name, _) in rows {
                walks.push(scope.spawn(|| walk(server, name)));
            }
            let joined = walks.into_iter().map(ScopedJoinHandle::join);
            joined.map(|trip| trip.expect("it ends")).collect()
        })
    });
    let wrong: Vec<String> = rows
        .iter()
        .zip(&trips)
        .filter(|((.., expected), trip)| finding(trip) != *expected)
        .map(|(row, trip)| format!("{row:?}: {}: {:#?}", finding(trip), trip.lookup))
        .collect();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    trips
}

#[track_caller]
fn reply(trip: &Trip, server: &str, family: Family) -> Reply {
    let question = question(trip, (server, Transport::Udp), family);
    question.reply.clone().unwrap_or_else(|| panic!("no answer: {question:#?}"))
}

/// Its addresses with their times to live.
fn found(reply: &Reply) -> Vec<String> {
    reply.addresses.iter().map(|found| format!("{} {}", found.address, found.ttl)).collect()
}

#[test]
fn unbound_is_heard_as_it_speaks() {
    let Some(hosts) = hosts() else { return };
    let leaf = PUBLIC.leaf(&["dns.corp.example", "127.0.0.1"]);
    let _unbound = NameServer::unbound(&hosts, Host::Client, (UNBOUND, ZONE), &leaf);
    let _upstream = NameServer::dnsmasq(&hosts, Host::Client, "127.0.0.2", &[]);
    let trips = walks(
        &hosts,
        &[
            ("127.0.0.1", "api.corp.example", "tcp timeout"),
            ("127.0.0.1", "www.corp.example", "tcp timeout"),
            ("127.0.0.1", "four.corp.example", "tcp timeout"),
            ("127.0.0.1", "nobody.corp.example", "dns nxdomain"),
            ("127.0.0.1", "null.corp.example", "dns unusable_address"),
            ("127.0.0.1", "denied.corp.example", "dns nxdomain"),
            ("127.0.0.1", "refused.corp.example", "dns refused"),
            ("127.0.0.1", "api.dead.example", "dns servfail"),
            ("10.1.2.3", "api.corp.example", "dns refused"),
        ],
    );
    let [api, www, four, nobody, null, denied, _, dead, foreign] = &trips[..] else { panic!() };
    let a = reply(api, "127.0.0.1", Family::A);
    assert_eq!(
        (found(&a), a.flags.aa, a.flags.ra),
        (vec!["192.0.2.80 300".to_owned()], true, true)
    );
    assert_eq!(found(&reply(api, "127.0.0.1", Family::Aaaa)), ["2001:db8::80 300"]);
    let a = reply(www, "127.0.0.1", Family::A);
    let aliases: Vec<(&str, u32)> =
        a.aliases.iter().map(|alias| (alias.target.as_str(), alias.ttl)).collect();
    assert_eq!(aliases, [("edge.corp.example", 120), ("pool.corp.example", 60)]);
    assert_eq!(found(&a), ["192.0.2.80 30"]);
    let aaaa = question(four, ("127.0.0.1", Transport::Udp), Family::Aaaa);
    assert_eq!(
        (kind(aaaa), aaaa.reply.as_ref().map(|r| r.soa)),
        (Some(DnsKind::Nodata), Some(true))
    );
    // The zone denies with its SOA, the filter without one.
    assert!(reply(nobody, "127.0.0.1", Family::A).soa);
    assert!(!reply(denied, "127.0.0.1", Family::A).soa);
    assert_eq!(found(&reply(null, "127.0.0.1", Family::A)), ["0.0.0.0 3600"]);
    assert!(!reply(dead, "127.0.0.1", Family::A).flags.aa);
    // RFC 8914 4.19: prohibited. This version of unbound says so of an access rule.
    let errors: Vec<u16> =
        reply(foreign, "10.1.2.3", Family::A).errors.iter().map(|error| error.code).collect();
    assert_eq!(errors, [18]);
}

#[test]
fn unbound_is_asked_over_each_transport() {
    let Some(hosts) = hosts() else { return };
    let many: Vec<String> =
        (1..=120).map(|last| format!("many 60 IN A 127.9.0.{last}\n")).collect();
    let zone = format!("{ZONE}{}", many.concat());
    let leaf = PUBLIC.leaf(&["dns.corp.example", "127.0.0.1"]);
    let _unbound = NameServer::unbound(&hosts, Host::Client, (UNBOUND, &zone), &leaf);
    let trips = walks(
        &hosts,
        &[
            ("127.0.0.1", "many.corp.example", "tcp refused"),
            ("tcp://127.0.0.1", "api.corp.example", "tcp timeout"),
            ("tls://127.0.0.1", "api.corp.example", "tcp timeout"),
            ("tls://127.0.0.1#dns.corp.example", "api.corp.example", "tcp timeout"),
            ("https://127.0.0.1", "api.corp.example", "tcp timeout"),
            ("https://127.0.0.1#dns.corp.example", "nobody.corp.example", "dns nxdomain"),
            ("tls://127.0.0.1#other.corp.example", "api.corp.example", "dns transport"),
            ("https://127.0.0.1#other.corp.example", "api.corp.example", "dns transport"),
            ("https://127.0.0.1/elsewhere", "api.corp.example", "dns transport"),
        ],
    );
    assert_eq!(trips[0].lookup.addresses().len(), 120);
    let cut = question(&trips[0], ("127.0.0.1", Transport::Udp), Family::A);
    assert!(
        cut.reply.as_ref().is_some_and(|reply| reply.flags.tc) && cut.stop.is_none(),
        "{cut:?}"
    );
    let transports = [Transport::Tcp, Transport::Tls, Transport::Tls, Transport::Https];
    for (trip, transport) in trips[1..5].iter().zip(transports) {
        let asked = question(trip, ("127.0.0.1", transport), Family::A);
        let addresses = asked.reply.as_ref().map(found);
        assert_eq!(addresses, Some(vec!["192.0.2.80 300".to_owned()]), "{asked:?}");
    }
    for trip in &trips[6..8] {
        let Some(Failure::Dns(failure)) = trip.failure() else { panic!("{trip:?}") };
        let Some(Failure::Tls(tls)) = failure.inner.as_deref() else { panic!("{failure:?}") };
        assert_eq!(tls.kind, TlsKind::WrongName);
    }
}

#[test]
fn dnsmasq_is_heard_as_it_speaks_and_when_it_is_stopped() {
    let Some(hosts) = hosts() else { return };
    let records = [
        "--local=/corp.example/",
        "--host-record=api.corp.example,192.0.2.80,77",
        "--cname=www.corp.example,api.corp.example,55",
        "--address=/null.corp.example/#",
        "--address=/denied.corp.example/",
    ];
    let dnsmasq = NameServer::dnsmasq(&hosts, Host::Client, "127.0.0.1", &records);
    let trips = walks(
        &hosts,
        &[
            ("127.0.0.1", "api.corp.example", "tcp timeout"),
            ("127.0.0.1", "www.corp.example", "tcp timeout"),
            ("127.0.0.1", "denied.corp.example", "dns nxdomain"),
            ("127.0.0.1", "null.corp.example", "dns unusable_address"),
            // It has no upstream.
            ("127.0.0.1", "www.example.com", "dns refused"),
            ("tcp://127.0.0.1", "api.corp.example", "tcp timeout"),
            ("tls://127.0.0.1", "api.corp.example", "dns port_closed"),
        ],
    );
    let a = reply(&trips[0], "127.0.0.1", Family::A);
    assert_eq!((found(&a), a.flags.ra), (vec!["192.0.2.80 77".to_owned()], true));
    let aaaa = question(&trips[0], ("127.0.0.1", Transport::Udp), Family::Aaaa);
    assert_eq!(kind(aaaa), Some(DnsKind::Nodata));
    let a = reply(&trips[1], "127.0.0.1", Family::A);
    assert_eq!((a.aliases[0].target.as_str(), a.aliases[0].ttl), ("api.corp.example", 55));
    // Not ready (RFC 8914 4.15): it says so of the upstream that it has not.
    assert_eq!(reply(&trips[4], "127.0.0.1", Family::A).errors[0].code, 14);
    drop(dnsmasq);
    let trips = walks(&hosts, &[("127.0.0.1", "api.corp.example", "dns port_closed")]);
    let stopped = question(&trips[0], ("127.0.0.1", Transport::Udp), Family::A);
    let icmp = stopped.stop.as_ref().and_then(|failure| failure.icmp).expect("an ICMP error");
    assert_eq!(icmp.offender, stopped.server.address.ip());
}
