//! CONNECT: what each misbehaviour of a proxy is found to be, what is kept of its refusal, and what it is told.

mod connect;
mod login;
mod refusals;
mod secured;
mod socks;
mod told;

use std::net::SocketAddr;

use egressd::config::Secret;
use egressd::observation::{DnsKind, Failure, ProxyFailure, Scheme, TcpKind, Trip};
use egressd::plan::Credential;

use super::{AMPLE, BRIEF, BUFFERS, LEAF, NAME, Way, finding, resolver, table};
use crate::support::dns::{self, DnsServer};
use crate::support::http;
use crate::support::proxy::{Behaviour, Connect, Proxy};
use crate::support::tcp::{ClosedPort, SilentPort};
use crate::support::tls::{self, TlsServer};
use crate::support::wire::{Connection, End};

const KEY: &str = "sk-planted-in-the-proxy-tests";

fn site() -> TlsServer {
    let good = KEY.to_owned();
    TlsServer::start(&LEAF, tls::Behaviour::Serve(http::Behaviour::AnthropicByKey { good }))
}

/// What a walk leaves behind at the proxy.
struct Seen {
    trip: Trip,
    connects: Vec<Connect>,
    connection: Connection,
    requests: usize,
}

/// One walk, with a key, through a proxy that behaves like that.
fn walk(behaviour: &Behaviour) -> Seen {
    let site = site();
    let proxy = Proxy::start(behaviour.clone(), &[(NAME, site.address())]);
    let timeout = match behaviour {
        Behaviour::Silent | Behaviour::TunnelThenSilent => BRIEF,
        _ => AMPLE,
    };
    let way = Way::named(site.address()).through(proxy.address()).within(timeout);
    let trip = Way { provider: "anthropic", key: Some(KEY), ..way }.walk();
    let connection = proxy.wait_closed(1).remove(0);
    Seen { trip, connects: proxy.connects(), connection, requests: site.requests().len() }
}

fn password(scheme: Scheme, name: &str, password: &str) -> Credential {
    let (name, password) = (name.to_owned(), Secret::new(password.to_owned()));
    Credential::Password { scheme, name, domain: None, password }
}

/// One walk with a login.
fn logged_in(way: &Way, credential: Credential) -> Trip {
    let mut walker = way.walker();
    walker.change(|trip| {
        let tunnel = trip.tunnel.as_mut().expect("a proxy");
        tunnel.credential = Some(Ok(credential));
    });
    walker.walk()
}

fn status(code: u16, headers: &[(&'static str, &str)], body: &str) -> Behaviour {
    let headers = headers.iter().map(|(name, value)| (*name, (*value).to_owned())).collect();
    Behaviour::Status { code, headers, body: body.to_owned() }
}

fn refusal(trip: &Trip) -> ProxyFailure {
    match trip.failure() {
        Some(Failure::Proxy(failure)) => failure,
        other => panic!("no failure of a proxy: {other:?}"),
    }
}

#[test]
fn misbehaviour_is_found_to_be_what_it_is() {
    let accepts = Some("Basic dXNlcjpwYXNz".to_owned());
    let rows = [
        (Behaviour::Tunnel, "200 over 2"),
        (status(407, &[], ""), "proxy auth"),
        (status(403, &[], "no"), "proxy status"),
        (status(404, &[], ""), "proxy status"),
        (status(503, &[], ""), "proxy status"),
        (status(302, &[("Location", "http://login.test/")], ""), "proxy redirect"),
        // A portal that says 200 to whatever it is asked.
        (status(200, &[], "<html>log in</html>"), "tls not_tls"),
        (status(100, &[], ""), "proxy closed"),
        (Behaviour::AuthRequired { accepts: None }, "proxy auth"),
        (Behaviour::AuthRequired { accepts }, "proxy auth"),
        (Behaviour::Denies(NAME.to_owned()), "proxy status"),
        (Behaviour::Denies("other.layers.test".to_owned()), "200 over 2"),
        (Behaviour::Silent, "proxy timeout"),
        (Behaviour::CloseAfterConnect, "proxy closed"),
        (Behaviour::ResetAfterConnect, "proxy reset"),
        (Behaviour::Garbage, "proxy not_a_proxy"),
        (Behaviour::TlsBytes, "proxy not_a_proxy"),
        (Behaviour::EndlessHead, "proxy other"),
        (Behaviour::TunnelThenSilent, "tls timeout"),
        (Behaviour::TunnelThenClose, "tls closed"),
        (Behaviour::TunnelThenReset, "tls reset"),
        (Behaviour::TunnelThenPlainText, "tls not_tls"),
    ];
    table(&rows, |behaviour| {
        let seen = walk(behaviour);
        let [connect] = seen.connects.as_slice() else {
            panic!("one CONNECT: {:?}", seen.connects)
        };
        let headers: Vec<&str> = connect.headers.iter().map(|(name, _)| name.as_str()).collect();
        assert_eq!((connect.method.as_str(), headers), ("CONNECT", vec!["host", "user-agent"]));
        assert!(!format!("{connect:?}").contains(KEY), "{connect:?}");
        let answered = finding(&seen.trip) == "200 over 2";
        assert_eq!(seen.requests, usize::from(answered), "{:?}", seen.trip);
        assert_eq!(seen.trip.legs.len(), 1);
        let tunnelled = seen.trip.legs[0].tunnelled.as_ref().map(|tunnel| tunnel.status);
        assert_eq!(tunnelled, (!finding(&seen.trip).starts_with("proxy")).then_some(200));
        seen.trip
    });
}

#[test]
fn the_proxy_is_given_the_name_and_the_resolver_is_not_asked_for_it() {
    let (site, dns) = (site(), resolver(&[]));
    let proxy = Proxy::start(Behaviour::Tunnel, &[(NAME, site.address())]);
    let port = site.address().port();
    let way = Way { dns: vec![dns.address().to_string()], ..Way::named(site.address()) };
    let trip = way.through(proxy.address()).walk();
    assert_eq!(finding(&trip), "401 over 2");
    assert!(trip.proxied);
    let connect = &proxy.connects()[0];
    assert_eq!(connect.target, format!("{NAME}:{port}"));
    assert_eq!(connect.header("host"), Some(connect.target.as_str()));
    assert_eq!(dns.queries(), []);
    assert_eq!(site.connections()[0].sni.as_deref(), Some(NAME));
    assert_eq!(trip.legs[0].address, proxy.address());
}

#[test]
fn a_refusal_is_kept_with_its_headers_and_the_begin_of_its_page() {
    let long = "x".repeat(10_000);
    let headers = [("Proxy-Authenticate", "Negotiate"), ("Proxy-Authenticate", "NTLM")];
    let kept = refusal(&walk(&status(407, &headers, &long)).trip);
    assert_eq!(kept.status, Some(407));
    assert_eq!(kept.body, long[..4096]);
    for (name, value) in headers {
        let header = (name.to_ascii_lowercase(), value.to_owned());
        assert!(kept.headers.contains(&header), "{header:?} in {:?}", kept.headers);
    }
    assert!(kept.socket.is_some_and(|socket| socket.bytes_received > 0), "{:?}", kept.socket);
    let kept = refusal(&walk(&Behaviour::Denies(NAME.to_owned())).trip);
    assert_eq!((kept.status, kept.body.as_str()), (Some(403), "Access Denied"));
    let squid = ("x-squid-error".to_owned(), "ERR_ACCESS_DENIED 0".to_owned());
    assert!(kept.headers.contains(&squid), "{:?}", kept.headers);
}

#[test]
fn what_is_no_answer_is_kept_escaped() {
    let kept = refusal(&walk(&Behaviour::TlsBytes).trip);
    assert_eq!((kept.status, kept.body.as_str()), (None, r"\x15\x03\x03\x00\x02\x02P"));
    assert_eq!(refusal(&walk(&Behaviour::CloseAfterConnect).trip).body, "");
}

#[test]
fn a_head_without_end_is_cut() {
    let seen = walk(&Behaviour::EndlessHead);
    assert!(seen.connection.sent < BUFFERS, "{:?}", seen.connection);
    assert_ne!(seen.connection.end, Some(End::Server), "{:?}", seen.connection);
    assert!(seen.trip.seconds < AMPLE.as_secs_f64() / 2.0, "{}", seen.trip.seconds);
}

#[test]
fn a_proxy_that_cannot_be_reached_fails_as_the_proxy() {
    let (closed, silent) = (ClosedPort::hold(), SilentPort::hold());
    let rows = [(closed.address(), "proxy connect"), (silent.address(), "proxy connect")];
    let site = site();
    let way = |proxy: SocketAddr| Way::named(site.address()).through(proxy).within(BRIEF);
    let trips = table(&rows, |proxy| way(*proxy).walk());
    for (trip, kind) in trips.iter().zip([TcpKind::Refused, TcpKind::Timeout]) {
        match refusal(trip).inner.as_deref() {
            Some(Failure::Tcp(inner)) => assert_eq!(inner.kind, kind),
            other => panic!("not what it was inside: {other:?}"),
        }
    }
    assert!(site.connections().is_empty());
}

#[test]
fn a_proxy_whose_name_is_unknown_fails_as_the_proxy() {
    let (site, dns) = (site(), DnsServer::start(dns::Zone::new()));
    let way = Way { dns: vec![dns.address().to_string()], ..Way::named(site.address()) };
    let trip = Way { proxy: Some("http://proxy.layers.test:3128".to_owned()), ..way }.walk();
    assert_eq!(finding(&trip), "proxy resolve");
    match refusal(&trip).inner.as_deref() {
        Some(Failure::Dns(inner)) => assert_eq!(inner.kind, DnsKind::Nxdomain),
        other => panic!("not what it was inside: {other:?}"),
    }
    let queries = dns.queries();
    assert!(queries.iter().all(|query| query.name == "proxy.layers.test"), "{queries:?}");
}

#[test]
fn a_proxy_by_its_name_carries_the_trip() {
    let site = site();
    let proxy = Proxy::start(Behaviour::Tunnel, &[(NAME, site.address())]);
    let home = proxy.address().ip();
    let dns = DnsServer::start(dns::Zone::new().address("proxy.layers.test", home));
    let way = Way { dns: vec![dns.address().to_string()], ..Way::named(site.address()) };
    let url = format!("http://proxy.layers.test:{}", proxy.address().port());
    let trip = Way { proxy: Some(url), ..way }.walk();
    assert_eq!(finding(&trip), "401 over 2");
    assert_eq!(trip.lookup.name, "proxy.layers.test");
}
