//! The shapes of a `ClientHello`, as the server saw them.

use egressd::observation::{Failure, Trip};
use egressd::plan::{Alpn, Hello, Sni};

use super::super::{LEAF, NAME, Way, finding};
use super::{Behaviour, SITE, TlsServer, refused, secured};
use crate::support::wire::Connection;

/// One walk with such a `ClientHello`, and the server's record of it.
fn walk(hello: Hello) -> (Trip, Connection) {
    let server = TlsServer::start(&LEAF, Behaviour::Serve(SITE));
    let mut walker = Way::named(server.address()).walker();
    walker.change(|trip| trip.tls.as_mut().expect("TLS").hello = hello);
    let trip = walker.walk();
    drop(walker);
    (trip, server.wait_closed(1).remove(0))
}

#[test]
fn a_classic_hello_is_small_and_agrees_on_a_classic_group() {
    let (trip, connection) = walk(Hello { classic: true, ..Hello::default() });
    assert_eq!(finding(&trip), "401 over 2");
    assert_eq!(secured(&trip).group, "X25519");
    assert!(connection.hello_bytes < Some(600), "{connection:?}");
    let (_, usual) = walk(Hello::default());
    assert!(usual.hello_bytes > connection.hello_bytes.map(|bytes| bytes + 1184), "{usual:?}");
}

#[test]
fn tls_1_2_is_all_that_is_offered_where_the_plan_says_so() {
    for classic in [false, true] {
        let (trip, connection) = walk(Hello { tls12_only: true, classic, ..Hello::default() });
        assert_eq!(finding(&trip), "401 over 2");
        assert_eq!((secured(&trip).version.as_str(), secured(&trip).alpn.as_str()), ("1.2", "h2"));
        // TLS 1.2 has no key shares in the hello.
        assert!(connection.hello_bytes < Some(600), "{connection:?}");
    }
}

#[test]
fn the_protocols_are_those_of_the_plan() {
    let rows: [(Alpn, &[&str], &str); 3] = [
        (Alpn::Http2, &["h2", "http/1.1"], "401 over 2"),
        (Alpn::Http1, &["http/1.1"], "401 over 1.1"),
        (Alpn::Nothing, &[], "401 over 1.1"),
    ];
    for (alpn, offered, found) in rows {
        for classic in [false, true] {
            let (trip, connection) = walk(Hello { alpn, classic, ..Hello::default() });
            assert_eq!(connection.alpn, offered);
            assert_eq!(finding(&trip), found);
        }
    }
}

#[test]
fn the_certificate_is_judged_for_the_plans_name_whatever_the_hello_says() {
    let other = Sni::Other("other.layers.test".to_owned());
    for (sni, seen) in [(other, Some("other.layers.test")), (Sni::Nothing, None)] {
        for classic in [false, true] {
            let (trip, connection) = walk(Hello { sni: sni.clone(), classic, ..Hello::default() });
            assert_eq!(connection.sni.as_deref(), seen);
            assert_eq!(finding(&trip), "401 over 2", "the certificate is for {NAME}");
        }
    }
}

#[test]
fn the_name_in_the_hello_does_not_excuse_a_certificate_for_another() {
    let server = TlsServer::start(&LEAF, Behaviour::Serve(SITE));
    let mut walker = Way::named(server.address()).walker();
    walker.change(|trip| {
        let tls = trip.tls.as_mut().expect("TLS");
        tls.name = url::Host::Domain("other.layers.test".to_owned());
        tls.hello.sni = Sni::Other(NAME.to_owned());
    });
    let trip = walker.walk();
    drop(walker);
    assert_eq!(finding(&trip), "tls wrong_name");
    assert_eq!(server.wait_closed(1)[0].sni.as_deref(), Some(NAME));
}

#[test]
fn a_server_name_that_cannot_be_one_sends_nothing() {
    for name in ["no name", "127.0.0.1", ""] {
        let (trip, connection) = walk(Hello { sni: Sni::Other(name.into()), ..Hello::default() });
        assert_eq!((finding(&trip).as_str(), refused(&trip).sent), ("tls other", 0), "{name}");
        assert_eq!(connection.received, 0);
    }
}

#[test]
fn a_split_hello_comes_in_two_segments() {
    for classic in [false, true] {
        let (trip, whole) = walk(Hello { classic, ..Hello::default() });
        assert_eq!(finding(&trip), "401 over 2");
        assert_eq!(whole.hello_segments, Some(1));
        let quick = secured(&trip).seconds;
        let (trip, split) = walk(Hello { classic, split: true, ..Hello::default() });
        assert_eq!(finding(&trip), "401 over 2");
        assert_eq!(split.hello_segments, Some(2), "in {} and {quick} s", secured(&trip).seconds);
        assert_eq!(split.hello_bytes, whole.hello_bytes);
        assert!(secured(&trip).seconds >= 0.02, "{}", secured(&trip).seconds);
    }
}

#[test]
fn a_finished_handshake_says_how_much_it_took() {
    let (trip, connection) = walk(Hello::default());
    let secured = secured(&trip);
    // The hello, the middlebox's change_cipher_spec (RFC 8446 D.4) and the Finished with SHA-384.
    let finished = 6 + 5 + 4 + 48 + 1 + 16;
    assert_eq!(Some(secured.sent), connection.hello_bytes.map(|bytes| bytes + finished));
    assert!(secured.sent < connection.received, "the request is not counted");
    assert!(secured.received > 1000 && secured.received < connection.sent, "{secured:?}");
    let counted = secured.socket.expect("counters");
    assert!(counted.bytes_received >= secured.received, "{counted:?}");
    assert_eq!(trip.legs[0].stop.as_ref().map(Failure::kind), None);
}
