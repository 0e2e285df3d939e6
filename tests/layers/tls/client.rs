//! Our own certificate: shown where a server asks for one, and what each refusal is found to be.

use std::sync::{Arc, LazyLock};

use egressd::config::Secret;
use egressd::observation::{Asked, Trip};
use egressd::plan::{Identity, Sni};

use super::super::{LEAF, NAME, Way, finding};
use super::{Behaviour, Options, SITE, TlsServer, refused, tls12};
use crate::support::pki::{Authority, Flaw, Leaf};

/// Whose client certificates the servers take.
pub(super) static CLIENTS: LazyLock<Authority> = LazyLock::new(|| Authority::new("Test Clients"));

/// A leaf as a trip shows it.
pub(super) fn identity(leaf: &Leaf) -> Arc<Identity> {
    with_key(leaf, Ok(Secret::new(leaf.key_pem())))
}

fn with_key(leaf: &Leaf, key: Result<Secret, String>) -> Arc<Identity> {
    let certificates = leaf.chain().iter().map(|der| der.as_ref().to_vec()).collect();
    Arc::new(Identity { certificates, key })
}

fn server(options: Options) -> TlsServer {
    let behaviour = Behaviour::ClientCertificateRequired(CLIENTS.clone(), SITE);
    TlsServer::start_with(&LEAF, behaviour, options)
}

fn walk(server: &TlsServer, client: Option<Arc<Identity>>) -> Trip {
    let mut walker = Way::named(server.address()).walker();
    walker.change(|trip| trip.tls.as_mut().expect("TLS").client = client);
    walker.walk()
}

fn asked(trip: &Trip) -> &Asked {
    trip.legs[0].asked.as_ref().expect("a request for a certificate")
}

#[test]
fn the_right_certificate_is_taken_and_the_request_answered() {
    let right = identity(&CLIENTS.leaf(&["client.layers.test"]));
    for options in [Options::default(), tls12()] {
        let server = server(options);
        let trip = walk(&server, Some(Arc::clone(&right)));
        assert_eq!(finding(&trip), "401 over 2", "{:?}", trip.failure());
        let expected =
            Asked { issuers: vec!["CN=Test Clients".to_owned()], sent: true, unusable: None };
        assert_eq!(asked(&trip), &expected);
        assert_eq!(server.requests().len(), 1);
    }
}

#[test]
fn a_wrong_certificate_and_none_are_refused() {
    let stranger = Authority::new("Test Stranger");
    let expired = CLIENTS.flawed_leaf(&["client.layers.test"], Flaw::Expired);
    // unknown_ca, certificate_expired, certificate_required.
    let rows = [
        (Some(identity(&stranger.leaf(&["client.layers.test"]))), 48),
        (Some(identity(&expired)), 45),
        (None, 116),
    ];
    for (client, code) in rows {
        for (options, finished) in [(Options::default(), Some("1.3")), (tls12(), None)] {
            let server = server(options);
            let trip = walk(&server, client.clone());
            assert_eq!(finding(&trip), "tls client_certificate", "{:?}", trip.failure());
            assert_eq!(asked(&trip).sent, client.is_some());
            let failure = refused(&trip);
            assert_eq!(failure.peers_alert(), Some(code), "{failure:?}");
            // RFC 8446 4.4.2.4: in TLS 1.3 it is refused after the client has finished.
            let secured = trip.legs[0].secured.as_ref().map(|secured| secured.version.as_str());
            assert_eq!(secured, finished);
            assert!(server.requests().is_empty());
        }
    }
}

#[test]
fn it_is_never_shown_over_a_chain_that_does_not_verify() {
    let right = identity(&CLIENTS.leaf(&["client.layers.test"]));
    for options in [Options::default(), tls12()] {
        let server = server(options);
        let mut walker = Way::named(server.address()).walker();
        walker.change(|trip| {
            let tls = trip.tls.as_mut().expect("TLS");
            tls.client = Some(Arc::clone(&right));
            tls.name = url::Host::Domain("other.layers.test".to_owned());
            tls.hello.sni = Sni::Other(NAME.to_owned());
        });
        let trip = walker.walk();
        assert_eq!(finding(&trip), "tls wrong_name");
        assert!(!asked(&trip).sent, "{trip:?}");
    }
}

#[test]
fn nothing_is_shown_where_nobody_asks() {
    let server = TlsServer::start(&LEAF, Behaviour::Serve(SITE));
    let trip = walk(&server, Some(identity(&CLIENTS.leaf(&["client.layers.test"]))));
    assert_eq!((finding(&trip).as_str(), &trip.legs[0].asked), ("401 over 2", &None));
}

#[test]
fn one_that_cannot_be_used_is_this_hosts_fault_and_the_way_is_walked_without() {
    let (right, other) = (CLIENTS.leaf(&["one.test"]), CLIENTS.leaf(&["other.test"]));
    let key = |text: &str| Ok(Secret::new(text.to_owned()));
    let none = Identity { certificates: Vec::new(), key: Ok(Secret::new(right.key_pem())) };
    let rows = [
        (with_key(&right, Err("file /k: no such file".into())), "file /k: no such file"),
        (with_key(&right, key("planted")), "no PEM private key"),
        (
            with_key(&right, key("-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n")),
            "",
        ),
        (with_key(&right, Ok(Secret::new(other.key_pem()))), "belongs to another certificate"),
        (Arc::new(none), "there is no certificate"),
    ];
    let server = server(Options::default());
    for (client, word) in rows {
        assert!(!format!("{client:?}").contains("planted"), "{client:?}");
        let trip = walk(&server, Some(client));
        assert_eq!(finding(&trip), "tls client_certificate", "{trip:?}");
        let asked = trip.legs[0].asked.as_ref().expect("it was asked for");
        let why = asked.unusable.as_deref().expect("it could not be shown");
        assert!(!asked.sent && why.contains(word) && !why.contains("planted"), "{why}");
    }
}
