//! The certificate: what each flaw is found to be, whose roots accept a chain, and what is kept of it.

use std::sync::Arc;

use egressd::observation::{Alert, ChainVerdict, Trust};
use rustls::ServerConfig;
use rustls::crypto::aws_lc_rs;
use rustls::pki_types::PrivateKeyDer;
use rustls::pki_types::pem::PemObject as _;
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use tokio_rustls::TlsAcceptor;

use super::super::{LEAF, NAME, PUBLIC, Trip, Way, finding, table};
use super::{Behaviour, SITE, TlsServer, refused};
use crate::support::pki::{Authority, Flaw, Leaf};
use crate::support::wire::{self, Server};

fn serve(leaf: Leaf) -> TlsServer {
    TlsServer::start(&Arc::new(leaf), Behaviour::Serve(SITE))
}

const FLAWS: [(Option<Flaw>, &str); 7] = [
    (None, "401 over 2"),
    (Some(Flaw::Expired), "tls expired"),
    (Some(Flaw::ExpiredIntermediate), "tls expired"),
    (Some(Flaw::NotYetValid), "tls not_yet_valid"),
    (Some(Flaw::WrongName), "tls wrong_name"),
    (Some(Flaw::SelfSigned), "tls self_signed"),
    (Some(Flaw::MissingIntermediate), "tls unknown_issuer"),
];

fn leaf(authority: &Authority, flaw: Option<Flaw>) -> Leaf {
    match flaw {
        Some(flaw) => authority.flawed_leaf(&[NAME], flaw),
        None => authority.leaf(&[NAME]),
    }
}

#[test]
fn a_flaw_is_found_to_be_what_it_is_and_the_chain_is_kept() {
    table(&FLAWS, |flaw| {
        let server = serve(leaf(&PUBLIC, *flaw));
        let trip = Way { key: Some("sk-planted"), ..Way::named(server.address()) }.walk();
        let connection = server.wait_closed(1).remove(0);
        assert_eq!(server.requests().len(), usize::from(flaw.is_none()));
        let chain = trip.legs[0].chain.as_ref().expect("the chain, also of a failure");
        let shown = chain.leaf().expect("a leaf");
        let (name, issuer) = match flaw {
            Some(Flaw::WrongName) => ("wrong-name.invalid", "CN=Test Public Intermediate"),
            Some(Flaw::SelfSigned) => (NAME, "CN=api.layers.test"),
            _ => (NAME, "CN=Test Public Intermediate"),
        };
        assert_eq!(shown.subject, format!("CN={name}"));
        assert_eq!(
            (shown.issuer.as_str(), shown.names.as_slice()),
            (issuer, &[name.to_owned()][..])
        );
        let alone = matches!(flaw, Some(Flaw::SelfSigned | Flaw::MissingIntermediate));
        assert_eq!(chain.certificates.len(), if alone { 1 } else { 2 });
        assert_eq!(shown.self_signed, matches!(flaw, Some(Flaw::SelfSigned)));
        assert_eq!(chain.trust() == Trust::Public, flaw.is_none());
        if flaw.is_some() {
            let failure = refused(&trip);
            assert!(failure.received > 0, "{failure:?}");
            // The alert that is said to be ours is the one that the server got.
            let alert = failure.alert.expect("ours");
            assert_eq!((alert.own, Some(alert.code)), (true, connection.alert), "{flaw:?}");
            assert!(connection.received > failure.sent / 2, "{connection:?}");
        }
        trip
    });
}

#[test]
fn the_timestamps_of_logs_in_a_certificate_are_counted() {
    for count in [0, 2, 3] {
        let server = serve(PUBLIC.logged_leaf(&[NAME], count));
        let trip = Way::named(server.address()).walk();
        assert_eq!(finding(&trip), "401 over 2");
        let chain = trip.legs[0].chain.as_ref().expect("a chain");
        assert_eq!(chain.leaf().expect("a leaf").scts, count);
    }
}

#[test]
fn an_authority_that_nobody_knows_is_an_unknown_issuer() {
    let stranger = Authority::new("Test Stranger");
    // Nobody's flaw is told as something else than that nobody knows who says it.
    let rows = [
        (None, "tls unknown_issuer"),
        (Some(Flaw::WrongName), "tls unknown_issuer"),
        (Some(Flaw::SelfSigned), "tls self_signed"),
        (Some(Flaw::Expired), "tls unknown_issuer"),
    ];
    table(&rows, |flaw| {
        let server = serve(leaf(&stranger, *flaw));
        Way::named(server.address()).walk()
    });
}

#[test]
fn a_chain_is_judged_by_each_set_of_roots() {
    let [home, other] = ["Test Home", "Test Other"].map(Authority::new);
    let server = serve(home.leaf(&[NAME]));
    let unknown = ChainVerdict::UnknownIssuer;
    let (asked_not, verified) = (ChainVerdict::NotAsked, ChainVerdict::Verified);
    // Public, organisation, system; who is said to trust it; the three judgements in that order.
    let rows = [
        ((&home, None, None), Trust::Public, [verified, asked_not, asked_not]),
        ((&other, Some(&home), None), Trust::Organisation, [unknown, verified, asked_not]),
        ((&other, None, Some(&home)), Trust::System, [unknown, asked_not, verified]),
        ((&other, Some(&other), Some(&other)), Trust::None, [unknown, unknown, unknown]),
        ((&other, Some(&home), Some(&home)), Trust::Organisation, [unknown, verified, verified]),
        ((&home, Some(&home), Some(&home)), Trust::Public, [verified, verified, verified]),
        ((&home, Some(&other), Some(&other)), Trust::Public, [verified, unknown, unknown]),
    ];
    for ((public, organisation, system), trust, judgements) in rows {
        let way = Way {
            public: public.clone(),
            organisation: organisation.cloned(),
            system: system.cloned(),
            ..Way::named(server.address())
        };
        let trip = way.walk();
        let expected = if trust == Trust::None { "tls unknown_issuer" } else { "401 over 2" };
        assert_eq!(finding(&trip), expected, "{trust:?}");
        let chain = trip.legs[0].chain.as_ref().expect("a chain");
        assert_eq!(chain.trust(), trust);
        assert_eq!([chain.public, chain.organisation, chain.system], judgements, "{trust:?}");
    }
    assert_eq!(server.requests().len(), 6);
}

#[test]
fn a_judgement_is_kept_for_the_chain_and_the_name() {
    let server = TlsServer::start(&LEAF, Behaviour::Serve(SITE));
    let mut walker = Way::named(server.address()).walker();
    let chain = |trip: Trip| trip.legs[0].chain.clone().expect("a chain");
    let (first, second) = (walker.walk(), walker.walk());
    assert_eq!((finding(&first), finding(&second)), ("401 over 2".into(), "401 over 2".into()));
    assert!(Arc::ptr_eq(&chain(first), &chain(second)), "judged twice");
    walker.change(|trip| {
        trip.tls.as_mut().expect("TLS").name = url::Host::Domain("other.layers.test".to_owned());
    });
    assert_eq!(finding(&walker.walk()), "tls wrong_name");
}

/// Shows a chain with a key that is not the leaf's: what whoever copied a certificate could do.
#[derive(Debug)]
struct Impostor(Arc<CertifiedKey>);

impl ResolvesServerCert for Impostor {
    fn resolve(&self, _hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(Arc::clone(&self.0))
    }
}

fn impostor(shown: &Leaf, version: &'static rustls::SupportedProtocolVersion) -> Server {
    let own = PUBLIC.leaf(&[NAME]);
    let key = PrivateKeyDer::from_pem_slice(own.key_pem().as_bytes()).expect("a key");
    let key = aws_lc_rs::sign::any_supported_type(&key).expect("a key that signs");
    let certified = CertifiedKey::new(shown.chain().to_vec(), key);
    let config = ServerConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
        .with_protocol_versions(&[version])
        .expect("a version that the provider has")
        .with_no_client_auth()
        .with_cert_resolver(Arc::new(Impostor(Arc::new(certified))));
    let acceptor = TlsAcceptor::from(Arc::new(config));
    Server::start((std::net::Ipv4Addr::LOCALHOST, 0).into(), move |stream| {
        let acceptor = acceptor.clone();
        async move {
            match acceptor.accept(stream).into_fallible().await {
                Ok(stream) => wire::settle(stream.into_inner().0).await,
                Err((_, stream)) => wire::settle(stream).await,
            }
        }
    })
}

#[test]
fn a_kept_judgement_does_not_excuse_another_key() {
    for version in [&rustls::version::TLS13, &rustls::version::TLS12] {
        let honest = TlsServer::start(&LEAF, Behaviour::Serve(SITE));
        let mut walker = Way { key: Some("sk-planted"), ..Way::named(honest.address()) }.walker();
        assert_eq!(finding(&walker.walk()), "401 over 2");
        let impostor = impostor(&LEAF, version);
        walker.change(|trip| trip.hop.port = impostor.address().port());
        let trip = walker.walk();
        assert_eq!(finding(&trip), "tls certificate_other", "{:?}", trip.failure());
        let chain = trip.legs[0].chain.as_ref().expect("a chain");
        assert_eq!(chain.trust(), Trust::Public, "it is the chain that was judged before");
        assert!(trip.legs[0].secured.is_none(), "{trip:?}");
        // decrypt_error: RFC 8446 6.2.
        assert_eq!(refused(&trip).alert, Some(Alert { code: 51, own: true }));
    }
}
