//! A proxy behind TLS: the faults of its own handshake are its own, and nothing is told to it before it has proven its name.

use std::sync::Arc;

use egressd::observation::{Failure, Login, Scheme, TlsKind, Trip};

use super::super::{AMPLE, BRIEF, LEAF, NAME, OF_PROXY, PUBLIC, Way, finding, table};
use super::{KEY, logged_in, password, refusal, site};
use crate::support::http;
use crate::support::pki::{Authority, Flaw, Leaf};
use crate::support::script::{Scripted, Step};
use crate::support::tls::{Behaviour, Options, TlsServer};
use crate::support::wire::Ending;

const SITE: http::Behaviour = http::Behaviour::AnthropicUnauthorized;

/// How it fails: the certificate, what it does, the version and the protocols that it agrees to.
type Fault = (&'static str, Arc<Leaf>, Behaviour, Options);

fn inner(trip: &Trip) -> TlsKind {
    match refusal(trip).inner.as_deref() {
        Some(Failure::Tls(inner)) => inner.kind,
        other => panic!("no failure of TLS inside: {other:?}"),
    }
}

/// One walk with a login and a key, through a server that should be a proxy.
fn walk((what, leaf, behaviour, options): &Fault) -> Trip {
    let proxy = TlsServer::start_with(leaf, behaviour.clone(), options.clone());
    let silent = format!("{behaviour:?}").contains("Silent");
    let way = Way::to(format!("https://{NAME}:4433/v1/models"));
    let way = way.by(format!("https://{}", proxy.address()), "");
    let way = way.within(if silent { BRIEF } else { AMPLE });
    let way = Way { provider: "anthropic", key: Some(KEY), ..way };
    let trip = logged_in(&way, password(Scheme::Basic, "svc", "right"));
    proxy.wait_closed(1);
    assert_eq!(proxy.connections().len(), 1, "{what}");
    assert!(proxy.requests().is_empty(), "{what}: told {:?}", proxy.requests());
    trip
}

fn fault(what: &'static str, behaviour: Behaviour) -> Fault {
    (what, Arc::clone(&LEAF), behaviour, Options::default())
}

fn flawed(what: &'static str, flaw: Flaw) -> Fault {
    let leaf = PUBLIC.flawed_leaf(&["127.0.0.1"], flaw);
    (what, Arc::new(leaf), Behaviour::Serve(SITE), Options::default())
}

fn rows() -> Vec<(Fault, TlsKind)> {
    const TLS12: &[&rustls::SupportedProtocolVersion] = &[&rustls::version::TLS12];
    let foreign = Arc::new(Authority::new("Foreign").leaf(&["127.0.0.1"]));
    let demanding = || Behaviour::ClientCertificateRequired(PUBLIC.clone(), SITE);
    let old = Options { versions: TLS12, ..Options::default() };
    let h2 = Options { alpn: Some(vec![b"h2"]), ..Options::default() };
    vec![
        (flawed("self-signed", Flaw::SelfSigned), TlsKind::SelfSigned),
        (flawed("expired", Flaw::Expired), TlsKind::Expired),
        (flawed("not yet valid", Flaw::NotYetValid), TlsKind::NotYetValid),
        (flawed("another name", Flaw::WrongName), TlsKind::WrongName),
        (flawed("no intermediate", Flaw::MissingIntermediate), TlsKind::UnknownIssuer),
        (("unknown", foreign, Behaviour::Serve(SITE), Options::default()), TlsKind::UnknownIssuer),
        (fault("closed", Behaviour::OnAccept(Ending::Close)), TlsKind::Closed),
        (fault("silent", Behaviour::OnAccept(Ending::Silent)), TlsKind::Timeout),
        (fault("closed at the hello", Behaviour::AfterHello(Ending::Close)), TlsKind::Closed),
        (fault("reset at the hello", Behaviour::AfterHello(Ending::Reset)), TlsKind::Reset),
        (fault("silent at the hello", Behaviour::AfterHello(Ending::Silent)), TlsKind::Timeout),
        (fault("closed half-way", Behaviour::AfterServerHello(Ending::Close)), TlsKind::Closed),
        (fault("reset half-way", Behaviour::AfterServerHello(Ending::Reset)), TlsKind::Reset),
        (fault("silent half-way", Behaviour::AfterServerHello(Ending::Silent)), TlsKind::Timeout),
        (fault("handshake_failure", Behaviour::Alert(40)), TlsKind::Alert),
        (fault("unrecognized_name", Behaviour::Alert(112)), TlsKind::Alert),
        (fault("HTTP in clear", Behaviour::PlainHttp), TlsKind::NotTls),
        (fault("garbage", Behaviour::Garbage), TlsKind::NotTls),
        (fault("a bit changed", Behaviour::CorruptRecord), TlsKind::Corrupted),
        (fault("wants a certificate", demanding()), TlsKind::ClientCertificate),
        (
            ("wants a certificate, 1.2", Arc::clone(&LEAF), demanding(), old),
            TlsKind::ClientCertificate,
        ),
        (("HTTP/2 only", Arc::clone(&LEAF), Behaviour::Serve(SITE), h2), TlsKind::Alert),
    ]
}

#[test]
fn a_fault_of_its_handshake_is_the_proxys_and_nothing_is_told_to_it() {
    let rows = rows();
    let table_rows: Vec<(&(Fault, TlsKind), &str)> =
        rows.iter().map(|row| (row, "proxy tls")).collect();
    let trips = table(&table_rows, |row| walk(&row.0));
    for (((what, ..), kind), trip) in rows.iter().zip(&trips) {
        assert_eq!(inner(trip), *kind, "{what}");
        let leg = &trip.legs[0];
        assert_eq!((&leg.chain, &leg.secured, &leg.tunnelled), (&None, &None, &None), "{what}");
        let refusal = refusal(trip);
        // There is a login, and nobody asked for it.
        assert_eq!((refusal.login, refusal.status), (Login::NotAsked, None), "{what}");
        let of_certificate = matches!(
            kind,
            TlsKind::SelfSigned
                | TlsKind::Expired
                | TlsKind::NotYetValid
                | TlsKind::WrongName
                | TlsKind::UnknownIssuer
        );
        // In TLS 1.3 a certificate of ours is missed only after our part of the handshake.
        let finished = *what == "wants a certificate";
        assert_eq!(leg.proxy_secured.is_some(), finished, "{what}");
        if of_certificate || finished {
            assert!(leg.proxy_chain.is_some(), "{what}");
        }
    }
}

#[test]
fn a_proxy_in_clear_is_not_tls() {
    let proxy =
        Scripted::start(vec![vec![Step::Read(1), Step::Say(b"HTTP/1.1 400 Bad\r\n\r\n".to_vec())]]);
    let way = Way::to(format!("https://{NAME}/")).by(format!("https://{}", proxy.address()), "");
    let trip = way.walk();
    assert_eq!((finding(&trip).as_str(), inner(&trip)), ("proxy tls", TlsKind::NotTls));
}

/// A proxy of a private authority, which leads to a site.
fn private(authority: &Authority, to: &TlsServer) -> Scripted {
    let leaf = authority.leaf(&["127.0.0.1"]);
    let open = b"HTTP/1.1 200 OK\r\n\r\n".to_vec();
    let script = vec![Step::Head, Step::Say(open), Step::Carry(to.address())];
    Scripted::start_over(Some(leaf.server_config(&[b"http/1.1"])), vec![script])
}

#[test]
fn its_certificate_is_judged_by_the_roots_of_its_route() {
    let (authority, api) = (Authority::new("Proxies"), site());
    let proxy = private(&authority, &api);
    let to = |beside: &str| Way {
        of_proxy: Some(authority.clone()),
        ..Way::to(format!("https://{NAME}/")).by(format!("https://{}", proxy.address()), beside)
    };
    let trip = to("").walk();
    assert_eq!((finding(&trip).as_str(), inner(&trip)), ("proxy tls", TlsKind::UnknownIssuer));
    assert!(proxy.told().is_empty());
    let known = format!("ca_files = [{OF_PROXY:?}]");
    assert_eq!(finding(&to(&known).walk()), "401 over 2");
    // They are the proxy's alone: a target is not believed for them.
    let leaf = Arc::new(authority.leaf(&[NAME]));
    let other = TlsServer::start(&leaf, Behaviour::Serve(SITE));
    let proxy = private(&authority, &other);
    let way =
        Way::to(format!("https://{NAME}/")).by(format!("https://{}", proxy.address()), &known);
    let trip = Way { of_proxy: Some(authority.clone()), ..way }.walk();
    assert_eq!(finding(&trip), "tls unknown_issuer");
    assert!(trip.legs[0].proxy_secured.is_some() && trip.legs[0].chain.is_some());
}

#[test]
fn tls_in_tls_carries_an_answer_of_http_2() {
    let (authority, api) = (Authority::new("Proxies"), site());
    let proxy = private(&authority, &api);
    let known = format!("ca_files = [{OF_PROXY:?}]");
    let way = Way::to(format!("https://{NAME}/v1/models"))
        .by(format!("https://{}", proxy.address()), &known);
    let way = Way { provider: "anthropic", key: Some(KEY), of_proxy: Some(authority), ..way };
    let trip = way.walk();
    assert_eq!(finding(&trip), "200 over 2");
    let leg = &trip.legs[0];
    let of_proxy = leg.proxy_secured.as_ref().expect("the proxy's handshake");
    let of_target = leg.secured.as_ref().expect("the target's handshake");
    assert_eq!((of_proxy.alpn.as_str(), of_target.alpn.as_str()), ("http/1.1", "h2"));
    assert_ne!(leg.proxy_chain, leg.chain);
    assert_eq!(api.connections()[0].sni.as_deref(), Some(NAME));
    // An address is named in no hello (RFC 6066 3).
    assert_eq!(proxy.connections()[0].sni, None);
}
