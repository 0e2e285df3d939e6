//! The handshake: where it ended, what was seen of the peer, and what is offered to it.

mod chain;
mod client;
mod hello;
mod openssl;

use egressd::observation::{
    Alert, Failure, PlainAlert, Protocol, Record, Secured, TlsFailure, Trip,
};
use egressd::plan::Alpn;

use super::{AMPLE, BRIEF, LEAF, NAME, PUBLIC, Way, finding, resolver, table};
use crate::support::http;
use crate::support::tls::{Behaviour, Options, Refusal, TlsServer};
use crate::support::wire::{Connection, End, Ending};

const SITE: http::Behaviour = http::Behaviour::AnthropicUnauthorized;

/// What is silent is left at its deadline; everything else ends by itself.
fn timeout(behaviour: &Behaviour) -> std::time::Duration {
    match behaviour {
        Behaviour::OnAccept(Ending::Silent)
        | Behaviour::AfterHello(Ending::Silent)
        | Behaviour::AfterServerHello(Ending::Silent)
        | Behaviour::HelloFilter { then: Refusal::End(Ending::Silent), .. } => BRIEF,
        _ => AMPLE,
    }
}

/// One walk to a server that behaves like that, and its own record of it.
fn walk(behaviour: &Behaviour, options: Options) -> (Trip, Connection) {
    let server = TlsServer::start_with(&LEAF, behaviour.clone(), options);
    let trip = Way::named(server.address()).within(timeout(behaviour)).walk();
    (trip, server.wait_closed(1).remove(0))
}

fn tls12() -> Options {
    const ONLY: &[&rustls::SupportedProtocolVersion] = &[&rustls::version::TLS12];
    Options { versions: ONLY, ..Options::default() }
}

fn refused(trip: &Trip) -> TlsFailure {
    match trip.failure() {
        Some(Failure::Tls(failure)) => failure,
        other => panic!("no failure of TLS: {other:?}"),
    }
}

fn secured(trip: &Trip) -> &Secured {
    trip.legs[0].secured.as_ref().expect("a finished handshake")
}

#[test]
fn misbehaviour_is_found_to_be_what_it_is() {
    let rows = [
        (Behaviour::Serve(SITE), "401 over 2"),
        (Behaviour::OnAccept(Ending::Close), "tls closed"),
        (Behaviour::OnAccept(Ending::Silent), "tls timeout"),
        (Behaviour::AfterHello(Ending::Close), "tls closed"),
        (Behaviour::AfterHello(Ending::Reset), "tls reset"),
        (Behaviour::AfterHello(Ending::Silent), "tls timeout"),
        (Behaviour::AfterServerHello(Ending::Close), "tls closed"),
        (Behaviour::AfterServerHello(Ending::Reset), "tls reset"),
        (Behaviour::AfterServerHello(Ending::Silent), "tls timeout"),
        (Behaviour::PlainHttp, "tls not_tls"),
        (Behaviour::Garbage, "tls not_tls"),
        (Behaviour::CorruptRecord, "tls corrupted"),
        (Behaviour::ClientCertificateRequired(PUBLIC.clone(), SITE), "tls client_certificate"),
        (deny(NAME, Refusal::Alert(112)), "tls alert"),
        (deny(NAME, Refusal::End(Ending::Reset)), "tls reset"),
        (deny(NAME, Refusal::End(Ending::Close)), "tls closed"),
        (deny("other.layers.test", Refusal::End(Ending::Reset)), "401 over 2"),
        (larger_than(1000, Refusal::End(Ending::Silent)), "tls timeout"),
        (larger_than(1000, Refusal::End(Ending::Reset)), "tls reset"),
        (larger_than(4000, Refusal::End(Ending::Reset)), "401 over 2"),
    ];
    let trips = table(&rows, |behaviour| walk(behaviour, Options::default()).0);
    for trip in &trips {
        assert!(trip.legs[0].connected.is_some(), "{trip:?}");
        let finished = trip.legs[0].secured.is_some();
        // RFC 8446 4.4.2.4: the missing client certificate is refused after the client has finished.
        let late = finding(trip) == "tls client_certificate";
        assert_eq!(finished, late || finding(trip) == "401 over 2", "{trip:?}");
    }
}

#[test]
fn tls_1_2_fails_by_the_same_names() {
    let rows = [
        (Behaviour::Serve(SITE), "401 over 2"),
        (Behaviour::AfterServerHello(Ending::Close), "tls closed"),
        (Behaviour::AfterServerHello(Ending::Reset), "tls reset"),
        (Behaviour::CorruptRecord, "tls corrupted"),
        (Behaviour::ClientCertificateRequired(PUBLIC.clone(), SITE), "tls client_certificate"),
    ];
    table(&rows, |behaviour| walk(behaviour, tls12()).0);
}

fn deny(name: &str, then: Refusal) -> Behaviour {
    Behaviour::SniFilter { deny: name.to_owned(), then, otherwise: SITE }
}

fn larger_than(larger_than: u64, then: Refusal) -> Behaviour {
    Behaviour::HelloFilter { larger_than, then, otherwise: SITE }
}

#[test]
fn a_reset_at_once_is_one_of_the_two_layers_it_can_hit() {
    let (trip, _) = walk(&Behaviour::OnAccept(Ending::Reset), Options::default());
    assert!(["tcp reset", "tls reset"].contains(&finding(&trip).as_str()), "{trip:?}");
}

#[test]
fn an_alert_keeps_its_number() {
    // handshake_failure, protocol_version, internal_error, unrecognized_name, and one that no RFC has.
    for code in [40, 70, 80, 112, 200] {
        let (trip, connection) = walk(&Behaviour::Alert(code), Options::default());
        let failure = refused(&trip);
        assert_eq!(finding(&trip), "tls alert", "{failure:?}");
        assert_eq!(failure.alert, Some(Alert { code, own: false }));
        let first = failure.first.expect("how it began");
        assert_eq!(first.record, Some(Record { kind: 21, version: 0x0303, length: 2 }));
        assert_eq!(first.alert, Some(PlainAlert { level: 2, code }));
        assert_eq!((failure.received, connection.sent), (7, 7));
        assert!(trip.legs[0].heard_tls());
    }
    // RFC 8446 6.2: certificate_required says what it wants.
    let (trip, _) = walk(&Behaviour::Alert(116), Options::default());
    assert_eq!(finding(&trip), "tls client_certificate");
    assert_eq!(refused(&trip).alert.map(|alert| alert.code), Some(116));
}

#[test]
fn the_bytes_of_a_handshake_are_counted_as_they_passed() {
    let rows = [
        (Behaviour::AfterHello(Ending::Silent), false),
        (Behaviour::AfterServerHello(Ending::Silent), true),
        (Behaviour::AfterHello(Ending::Close), false),
        (Behaviour::AfterServerHello(Ending::Close), true),
    ];
    for (behaviour, answered) in rows {
        let (trip, connection) = walk(&behaviour, Options::default());
        let failure = refused(&trip);
        assert_eq!(failure.sent, connection.received, "{behaviour:?}");
        assert!(Some(failure.sent) >= connection.hello_bytes, "{behaviour:?}");
        assert_eq!(failure.received, connection.sent, "{behaviour:?}");
        assert_eq!(failure.received > 0, answered, "{behaviour:?}");
        let counted = failure.socket.expect("counters");
        // The kernel counts a FIN as a byte.
        let end = u64::from(matches!(
            behaviour,
            Behaviour::AfterHello(Ending::Close) | Behaviour::AfterServerHello(Ending::Close)
        ));
        assert_eq!(counted.bytes_received, failure.received + end, "{behaviour:?}");
    }
}

#[test]
fn what_is_not_tls_is_shown() {
    let (trip, _) = walk(&Behaviour::PlainHttp, Options::default());
    let failure = refused(&trip);
    let begin = "HTTP/1.1 400 Bad Request\\r\\nServer: nginx";
    assert!(failure.first_bytes.starts_with(begin), "{}", failure.first_bytes);
    assert!(!trip.legs[0].heard_tls());
    assert_eq!(failure.first.map(|first| first.protocol), Some(Protocol::Http));
    // decode_error, in clear text: the server could have read it.
    assert_eq!((failure.alert, failure.peers_alert()), (Some(Alert { code: 50, own: true }), None));
    let (trip, _) = walk(&Behaviour::Garbage, Options::default());
    let failure = refused(&trip);
    assert!(failure.first_bytes.starts_with(r"\x00\x01\x02 this is"), "{}", failure.first_bytes);
    assert_eq!(failure.first.map(|first| first.protocol), Some(Protocol::Other));
    let (trip, _) = walk(&Behaviour::Alert(40), Options::default());
    assert_eq!(refused(&trip).first_bytes, "");
}

#[test]
fn a_handshake_that_is_cut_shows_what_the_server_chose() {
    for ending in [Ending::Close, Ending::Silent] {
        for (options, is_tls13) in [(Options::default(), true), (tls12(), false)] {
            let (trip, _) = walk(&Behaviour::AfterServerHello(ending), options);
            let failure = refused(&trip);
            assert_eq!(failure.alert, None, "{failure:?}");
            let hello = failure.first.and_then(|first| first.hello).expect("a ServerHello");
            assert_eq!((hello.version, hello.retry), (0x0303, false));
            // RFC 8446 B.4: the suites of TLS 1.3 alone begin with 0x13.
            let suite = hello.cipher.expect("a suite");
            assert_eq!(suite >> 8 == 0x13, is_tls13, "{suite:#x}");
        }
    }
    let (trip, _) = walk(&Behaviour::AfterHello(Ending::Close), Options::default());
    assert_eq!(refused(&trip).first, None, "nothing came");
}

#[test]
fn the_hello_is_that_of_a_client_of_today() {
    let (trip, connection) = walk(&Behaviour::Serve(SITE), Options::default());
    assert_eq!(connection.sni.as_deref(), Some(NAME));
    assert_eq!(connection.alpn, ["h2", "http/1.1"]);
    // A share of ML-KEM-768 alone is 1184 bytes.
    assert!(connection.hello_bytes > Some(1184), "{connection:?}");
    let secured = secured(&trip);
    assert_eq!((secured.version.as_str(), secured.alpn.as_str()), ("1.3", "h2"));
    assert_eq!(secured.group, "X25519MLKEM768");
    assert!(secured.cipher.starts_with("TLS13_"), "{}", secured.cipher);
    let (trip, _) = walk(&Behaviour::Serve(SITE), tls12());
    let secured = self::secured(&trip);
    assert_eq!(secured.version, "1.2");
    assert!(secured.cipher.starts_with("TLS_ECDHE_"), "{}", secured.cipher);
}

#[test]
fn an_address_is_no_server_name() {
    let server = TlsServer::start(&LEAF, Behaviour::Serve(SITE));
    let trip = Way::to(format!("https://{}/", server.address())).walk();
    assert_eq!(finding(&trip), "401 over 2");
    assert_eq!(server.wait_closed(1)[0].sni, None);
}

#[test]
fn the_protocol_is_what_the_server_agrees_to() {
    let rows: [(&[&'static [u8]], &str); 5] = [
        (&[b"h2"], "401 over 2"),
        (&[b"http/1.1"], "401 over 1.1"),
        (&[b"http/1.1", b"h2"], "401 over 1.1"),
        (&[], "401 over 1.1"),
        // RFC 7301 3.2: no_application_protocol.
        (&[b"spdy/3"], "tls alert"),
    ];
    let trips = table(&rows, |alpn| {
        let options = Options { alpn: Some(alpn.to_vec()), ..Options::default() };
        walk(&Behaviour::Serve(SITE), options).0
    });
    assert_eq!(secured(&trips[1]).alpn, "http/1.1");
    assert_eq!(secured(&trips[3]).alpn, "");
    assert_eq!(refused(&trips[4]).alert.map(|alert| alert.code), Some(120));
}

#[test]
fn http_2_is_not_offered_where_the_plan_says_so() {
    let server = TlsServer::start(&LEAF, Behaviour::Serve(SITE));
    let mut walker = Way::named(server.address()).walker();
    walker.change(|trip| trip.tls.as_mut().expect("TLS").hello.alpn = Alpn::Http1);
    assert_eq!(finding(&walker.walk()), "401 over 1.1");
    drop(walker);
    assert_eq!(server.wait_closed(1)[0].alpn, ["http/1.1"]);
}

#[test]
fn each_walk_is_a_full_handshake_of_its_own() {
    let turns = vec![Behaviour::AfterHello(Ending::Reset), Behaviour::Serve(SITE)];
    let server = TlsServer::start(&LEAF, Behaviour::InTurn(turns));
    let walker = Way::named(server.address()).walker();
    let found: Vec<String> = (0..3).map(|_| finding(&walker.walk())).collect();
    assert_eq!(found, ["tls reset", "401 over 2", "401 over 2"]);
    drop(walker);
    let connections = server.wait_closed(3);
    // A ticket would make the next hello larger, and its server would show no certificate.
    assert_eq!(connections[1].hello_bytes, connections[2].hello_bytes);
    assert_ne!(connections[2].end, Some(End::Server));
}

#[test]
fn one_leg_of_two_fails_by_itself() {
    let bad = TlsServer::start(&LEAF, Behaviour::AfterHello(Ending::Close));
    let bind = (std::net::Ipv4Addr::new(127, 0, 0, 2), bad.address().port()).into();
    let options = Options { bind, ..Options::default() };
    let good = TlsServer::start_with(&LEAF, Behaviour::Serve(SITE), options);
    let dns = resolver(&[bad.address().ip(), bind.ip()]);
    let trip = Way { dns: vec![dns.address().to_string()], ..Way::named(good.address()) }.walk();
    assert_eq!(finding(&trip), "401 over 2");
    assert_eq!(trip.legs[0].stop.as_ref().map(Failure::kind), Some("closed"));
    assert!(trip.legs[1].response.is_some(), "{trip:?}");
}
