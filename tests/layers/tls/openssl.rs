//! Against a server that is not ours: what OpenSSL says and does, and what is found of it.

use std::net::Ipv4Addr;
use std::sync::Arc;
use std::time::Duration;

use egressd::observation::{Alert, Protocol, Trip};
use egressd::plan::Identity;

use super::super::{LEAF, NAME, PUBLIC, Way, finding, resolver, table};
use super::client::{CLIENTS, identity};
use super::{Behaviour, Ending, Options, TlsServer, refused, secured};
use crate::support::openssl::{SServer, is_here, says};
use crate::support::pki::Authority;

fn walk(server: &SServer, client: Option<Arc<Identity>>) -> Trip {
    let mut walker = Way::named(server.address()).walker();
    walker.change(|trip| trip.tls.as_mut().expect("TLS").client = client);
    walker.walk()
}

fn start(arguments: &[&str]) -> SServer {
    SServer::start(&LEAF, "", arguments)
}

#[test]
fn each_version_is_found_and_an_old_one_is_refused_by_the_server() {
    if !is_here() {
        return;
    }
    for (argument, version) in [("-tls1_3", "1.3"), ("-tls1_2", "1.2")] {
        let trip = walk(&start(&[argument]), None);
        assert_eq!(finding(&trip), "200 over 1.0", "{:?}", trip.failure());
        assert_eq!(secured(&trip).version, version);
        // Its command line names no protocol: it chooses none.
        assert_eq!(secured(&trip).alpn, "");
    }
    let trip = walk(&start(&["-tls1_1", "-cipher", "DEFAULT@SECLEVEL=0"]), None);
    let failure = refused(&trip);
    assert_eq!(finding(&trip), "tls alert", "{failure:?}");
    assert_eq!(failure.alert, Some(Alert { code: 70, own: false }));
    let first = failure.first.expect("how it began");
    assert_eq!(first.alert.map(|alert| (alert.level, alert.code)), Some((2, 70)));
}

#[test]
fn what_a_server_chooses_is_read_from_its_hello() {
    if !is_here() {
        return;
    }
    let stranger = Authority::new("Test Stranger").leaf(&[NAME]);
    let rows: [(&[&str], u16, Option<u16>, bool); 3] = [
        (&["-ciphersuites", "TLS_AES_128_GCM_SHA256"], 0x1301, Some(0x0304), false),
        // Only a group that the hello has no key share for (RFC 8446 4.1.4).
        (&["-groups", "P-384"], 0x1302, Some(0x0304), true),
        (&["-tls1_2", "-cipher", "ECDHE-ECDSA-AES128-GCM-SHA256"], 0xc02b, None, false),
    ];
    for (arguments, cipher, selected, retry) in rows {
        let trip = walk(&SServer::start(&stranger, "", arguments), None);
        let failure = refused(&trip);
        assert_eq!(finding(&trip), "tls unknown_issuer", "{failure:?}");
        // unknown_ca.
        assert_eq!(failure.alert, Some(Alert { code: 48, own: true }));
        let first = failure.first.expect("how it began");
        assert_eq!(first.protocol, Protocol::Tls);
        let hello = first.hello.expect("a ServerHello");
        assert_eq!(
            (hello.version, hello.cipher, hello.selected, hello.retry),
            (0x0303, Some(cipher), selected, retry),
            "{arguments:?}"
        );
    }
}

#[test]
fn a_client_certificate_is_shown_taken_and_refused() {
    if !is_here() {
        return;
    }
    let right = identity(&CLIENTS.leaf(&["client.layers.test"]));
    let wrong = identity(&Authority::new("Test Stranger").leaf(&["client.layers.test"]));
    for version in ["-tls1_3", "-tls1_2"] {
        let verify = [version, "-verify_return_error", "-Verify", "1"];
        let required = SServer::start(&LEAF, &CLIENTS.pem(), &verify);
        let trip = walk(&required, Some(Arc::clone(&right)));
        assert_eq!(finding(&trip), "200 over 1.0", "{version}: {:?}", trip.failure());
        let asked = trip.legs[0].asked.as_ref().expect("a request for a certificate");
        assert_eq!(
            (asked.issuers.as_slice(), asked.sent),
            (&["CN=Test Clients".to_owned()][..], true)
        );
        let page = &trip.legs[0].response.as_ref().expect("a page").body;
        assert!(page.contains("client.layers.test"), "{page}");
        for client in [Some(Arc::clone(&wrong)), None] {
            let sent = client.is_some();
            let trip = walk(&required, client);
            assert_eq!(finding(&trip), "tls client_certificate", "{version} {sent} {trip:?}");
            let asked = trip.legs[0].asked.as_ref().expect("a request for a certificate");
            assert_eq!(asked.sent, sent);
            let code = match (sent, version) {
                (true, _) => 48,
                (false, "-tls1_3") => 116,
                (false, _) => 40,
            };
            assert_eq!(refused(&trip).peers_alert(), Some(code), "{version} {sent}");
        }
        let wanted = SServer::start(&LEAF, &CLIENTS.pem(), &[version, "-verify", "1"]);
        let trip = walk(&wanted, None);
        assert_eq!(finding(&trip), "200 over 1.0", "{version}: {:?}", trip.failure());
        assert!(!trip.legs[0].asked.as_ref().expect("a request for a certificate").sent);
        let page = &trip.legs[0].response.as_ref().expect("a page").body;
        assert!(page.contains("no client certificate available"), "{page}");
    }
}

/// The request waits for the legs before it in the order: by then the server has refused and closed,
/// and the first write meets a connection that is gone.
#[test]
fn a_refusal_that_came_before_the_request_is_heard() {
    if !is_here() {
        return;
    }
    let rows: [(&[&str], &str); 3] = [
        (&["-alpn", "h2"], "tls client_certificate"),
        (&["-alpn", "http/1.1"], "tls client_certificate"),
        (&[], "tls client_certificate"),
    ];
    let trips = table(&rows, |alpn| {
        let verify = ["-tls1_3", "-verify_return_error", "-Verify", "1"];
        let server = SServer::start(&LEAF, &CLIENTS.pem(), &[&verify, *alpn].concat());
        let bind = (Ipv4Addr::new(127, 0, 0, 2), server.address().port()).into();
        let options = Options { bind, ..Options::default() };
        let silent = Behaviour::OnAccept(Ending::Silent);
        let _silent = TlsServer::start_with(&LEAF, silent, options);
        let dns = resolver(&[bind.ip(), server.address().ip()]);
        let way = Way { dns: vec![dns.address().to_string()], ..Way::named(server.address()) };
        way.within(Duration::from_secs(2)).walk()
    });
    for trip in trips {
        assert_eq!(refused(&trip).peers_alert(), Some(116));
    }
}

#[test]
fn the_issuers_that_a_server_names_are_bounded() {
    if !is_here() {
        return;
    }
    let long = "x".repeat(400);
    let mut clients = Authority::new(&long).pem();
    for number in 0..12 {
        clients.push_str(&Authority::new(&format!("Test Clients {number}")).pem());
    }
    for version in ["-tls1_3", "-tls1_2"] {
        let trip = walk(&SServer::start(&LEAF, &clients, &[version, "-verify", "1"]), None);
        let asked = trip.legs[0].asked.as_ref().expect("a request for a certificate");
        assert_eq!(asked.issuers.len(), 10, "{asked:?}");
        assert!(asked.issuers.iter().all(|issuer| issuer.chars().count() <= 256));
        assert!(asked.issuers.iter().any(|issuer| issuer.chars().count() == 256), "{asked:?}");
    }
}

#[test]
fn number_and_key_of_a_certificate_are_those_that_openssl_shows() {
    if !is_here() {
        return;
    }
    let leaf = PUBLIC.leaf(&[NAME]);
    let trip = walk(&SServer::start(&leaf, "", &[]), None);
    let chain = trip.legs[0].chain.as_ref().expect("a chain");
    let shown = chain.leaf().expect("a leaf");
    let serial = says("openssl x509 -in $1 -noout -serial", leaf.chain_pem());
    assert_eq!(format!("serial={}", shown.serial.to_uppercase()), serial);
    let key = "openssl x509 -in $1 -noout -pubkey | openssl pkey -pubin -outform der | sha256sum";
    assert_eq!(Some(shown.spki.as_str()), says(key, leaf.chain_pem()).split(' ').next());
    assert_eq!(chain.certificates.len(), 2);
    assert_ne!(chain.certificates[0].spki, chain.certificates[1].spki);
}
