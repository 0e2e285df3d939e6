//! From the words of a case to the servers of `tests/support`.

use std::collections::{BTreeMap, HashMap};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use data_encoding::BASE64;
use tokio_rustls::TlsAcceptor;

use super::draw::Facts;
use super::net::{Host, Net};
use super::words::{
    Answer, Certificate, Dns, End, Flaw, Handshake, Issuer, NameServer, OurProxy, Server, Tunnel,
};
use crate::support::dns::{Behaviour as DnsBehaviour, DnsServer, Zone};
use crate::support::http::Behaviour as Http;
use crate::support::pki::{self, Authority, Leaf};
use crate::support::proxy::{Behaviour as Tunnelling, Proxy};
use crate::support::tls::{Behaviour as Tls, Options, Refusal, TlsServer};
use crate::support::wire::Ending;

/// The authorities of a world.
#[derive(Debug)]
pub(crate) struct Authorities {
    pub(crate) public: Authority,
    pub(crate) organisation: Authority,
    pub(crate) nobody: Authority,
    pub(crate) untrusted: Authority,
}

impl Authorities {
    pub(crate) fn new(facts: &Facts) -> Self {
        Self {
            public: Authority::with_intermediate(facts.get("public_issuer")),
            organisation: Authority::new(facts.get("organisation_issuer")),
            nobody: Authority::new(facts.get("nobody_issuer")),
            untrusted: Authority::new(facts.get("untrusted_issuer")),
        }
    }

    pub(crate) fn of(&self, issuer: Issuer) -> &Authority {
        match issuer {
            Issuer::Public => &self.public,
            Issuer::Organisation => &self.organisation,
            Issuer::Nobody => &self.nobody,
            Issuer::Untrusted => &self.untrusted,
        }
    }

    pub(crate) fn leaf(&self, certificate: &Certificate, facts: &Facts, names: &[&str]) -> Leaf {
        let authority = self.of(certificate.issuer);
        let other: Vec<String> =
            certificate.names.iter().flatten().map(|name| facts.fill(name)).collect();
        let other: Vec<&str> = other.iter().map(String::as_str).collect();
        let names = if other.is_empty() { names } else { &other };
        let flaw = match certificate.flaw {
            None => return authority.dated_leaf(names, certificate.days),
            Some(Flaw::Expired) => pki::Flaw::Expired,
            Some(Flaw::NotYetValid) => pki::Flaw::NotYetValid,
            Some(Flaw::WrongName) => pki::Flaw::WrongName,
            Some(Flaw::SelfSigned) => pki::Flaw::SelfSigned,
            Some(Flaw::MissingIntermediate) => pki::Flaw::MissingIntermediate,
            Some(Flaw::ExpiredIntermediate) => pki::Flaw::ExpiredIntermediate,
        };
        authority.flawed_leaf(names, flaw)
    }
}

const OLD: &[&rustls::SupportedProtocolVersion] = &[&rustls::version::TLS12];

/// A TLS server at one address of the internet; none where it is closed.
pub(crate) fn tls(
    net: &Net,
    at: SocketAddr,
    (server, usual): (&Server, Answer),
    (authorities, facts, name): (&Authorities, &Facts, &str),
) -> Option<TlsServer> {
    if server.closed {
        return None;
    }
    let leaf = Arc::new(authorities.leaf(&server.certificate, facts, &[name]));
    let answer = http(server.answer.as_ref().unwrap_or(&usual), facts);
    let behaviour = handshake(server.handshake.as_ref(), answer, authorities, facts);
    let versions = match server.tls.as_deref() {
        Some("1.2") => OLD,
        Some(other) => panic!("TLS {other}"),
        None => rustls::ALL_VERSIONS,
    };
    let alpn =
        server.alpn.as_ref().map(|list| list.iter().map(|word| leak(word).as_bytes()).collect());
    let options = Options { bind: at, alpn, versions };
    Some(net.there(Host::Internet, move || TlsServer::start_with(&leaf, behaviour, options)))
}

fn handshake(
    word: Option<&Handshake>,
    answer: Http,
    authorities: &Authorities,
    facts: &Facts,
) -> Tls {
    match word {
        None => Tls::Serve(answer),
        Some(Handshake::OnAccept(end)) => Tls::OnAccept(ending(*end)),
        Some(Handshake::AfterHello(end)) => Tls::AfterHello(ending(*end)),
        Some(Handshake::AfterServerHello(end)) => Tls::AfterServerHello(ending(*end)),
        Some(Handshake::Alert(code)) => Tls::Alert(*code),
        Some(Handshake::PlainHttp) => Tls::PlainHttp,
        Some(Handshake::Garbage) => Tls::Garbage,
        Some(Handshake::CorruptRecord) => Tls::CorruptRecord,
        Some(Handshake::ClientCertificate) => {
            Tls::ClientCertificateRequired(authorities.organisation.clone(), answer)
        }
        Some(Handshake::SniFilter { name, then }) => {
            let then = Refusal::End(ending(*then));
            Tls::SniFilter { deny: facts.fill(name), then, otherwise: answer }
        }
        Some(Handshake::SniAlert { name, code }) => Tls::SniFilter {
            deny: facts.fill(name),
            then: Refusal::Alert(*code),
            otherwise: answer,
        },
        Some(Handshake::HelloFilter { larger_than, then }) => {
            let then = Refusal::End(ending(*then));
            Tls::HelloFilter { larger_than: *larger_than, then, otherwise: answer }
        }
    }
}

pub(crate) fn ending(end: End) -> Ending {
    match end {
        End::Close => Ending::Close,
        End::Reset => Ending::Reset,
        End::Silent => Ending::Silent,
    }
}

/// Lives as long as the lab: `tests/support` wants names that are known when it is compiled.
fn leak(text: &str) -> &'static str {
    Box::leak(text.to_owned().into_boxed_str())
}

type Headers = Vec<(&'static str, String)>;

fn headers(from: Option<&BTreeMap<String, String>>, facts: &Facts) -> Headers {
    from.into_iter().flatten().map(|(name, value)| (leak(name), facts.fill(value))).collect()
}

fn edge_marks(facts: &Facts) -> Headers {
    let ray = format!("{}-NRT", &facts.get("key")[7..]);
    vec![("server", "cloudflare".to_owned()), ("cf-ray", ray)]
}

pub(crate) fn http(answer: &Answer, facts: &Facts) -> Http {
    let body = |text: Option<&String>| facts.fill(text.map_or("", String::as_str)).into_bytes();
    match answer {
        Answer::Api => Http::AnthropicByKey { good: facts.get("key").to_owned() },
        Answer::Page => Http::Answer {
            status: 200,
            headers: vec![("content-type", "text/html".to_owned())],
            body: format!("<html><body>{}</body></html>", facts.get("text")).into_bytes(),
        },
        Answer::PageOf(size) => Http::Answer {
            status: 200,
            headers: vec![("content-type", "text/html".to_owned())],
            body: facts.get("text").bytes().cycle().take(*size).collect(),
        },
        Answer::Says { status, headers: fields, body: text } => Http::Answer {
            status: *status,
            headers: headers(fields.as_ref(), facts),
            body: body(text.as_ref()),
        },
        Answer::Edge { status, headers: fields, body: text } => Http::Answer {
            status: *status,
            headers: [edge_marks(facts), headers(fields.as_ref(), facts)].concat(),
            body: body(text.as_ref()),
        },
        Answer::ApiError { status, r#type, message } => api_error(*status, r#type, message, facts),
        Answer::EdgeChallenge => Http::CloudflareChallenge,
        Answer::EdgeForbidden => Http::CloudflareForbiddenJson,
        Answer::Edge522 => Http::Edge522,
        Answer::BlockPage(status) => Http::HtmlBlockPage(*status),
        Answer::Redirect(location) => Http::Redirect(facts.fill(location)),
        Answer::Silent => Http::NoAnswer,
        Answer::Close => Http::CloseWithoutByte,
        Answer::Reset => Http::ResetWithoutByte,
        Answer::HalfHeadThenStall => Http::HalfHeadThenStall,
        Answer::HalfHeadThenClose => Http::HalfHeadThenClose,
        Answer::HeadThenStall => Http::HeadThenStall,
        Answer::BodyStall => Http::BodyStall,
        Answer::DripMs(pause) => Http::Drip(Duration::from_millis(*pause)),
        Answer::BodyTruncated => Http::BodyTruncated,
        Answer::ChunkCut => Http::ChunkCut,
        Answer::BadStatusLine => Http::BadStatusLine,
        Answer::TwoContentLengths => Http::TwoContentLengths,
        Answer::EndlessHeaders => Http::EndlessHeaders,
        Answer::EndlessContinue => Http::EndlessContinue,
        Answer::EndlessBody => Http::EndlessBody,
        Answer::HugeContentLength => Http::HugeContentLength,
        Answer::CompressedBomb => Http::CompressedBomb,
        Answer::H2GoAway(code) => Http::H2GoAway(*code),
        Answer::H2ResetStream(code) => Http::H2ResetStream(*code),
        Answer::Raw { bytes, then } => Http::Raw(facts.fill(bytes), ending(*then)),
        Answer::LateMs(late) => {
            Http::Pieces(vec![unauthorized(facts)], Duration::from_millis(*late))
        }
    }
}

fn api_error(status: u16, kind: &str, message: &str, facts: &Facts) -> Http {
    let id = format!("req_{}", &facts.get("key")[7..]);
    let body = serde_json::json!({
        "type": "error",
        "error": { "type": kind, "message": facts.fill(message) },
        "request_id": id,
    });
    let own = vec![("content-type", "application/json".to_owned()), ("request-id", id)];
    Http::Answer {
        status,
        headers: [own, edge_marks(facts)].concat(),
        body: body.to_string().into_bytes(),
    }
}

/// The API's answer to no key, in bytes.
fn unauthorized(facts: &Facts) -> String {
    let Http::Answer { headers, body, .. } =
        api_error(401, "authentication_error", "x-api-key header is required", facts)
    else {
        unreachable!("it is one")
    };
    let fields: String =
        headers.iter().flat_map(|(name, value)| [*name, ": ", value, "\r\n"]).collect();
    let body = String::from_utf8_lossy(&body).into_owned();
    format!("HTTP/1.1 401 Unauthorized\r\n{fields}content-length: {}\r\n\r\n{body}", body.len())
}

/// A name server of ours, with what was drawn and what the case says of it; none where it is closed.
pub(crate) fn name_server(
    net: &Net,
    (host, at): (Host, &str),
    words: &NameServer,
    (facts, records): (&Facts, &[(String, Vec<String>)]),
) -> Option<DnsServer> {
    if words.closed {
        return None;
    }
    let own: BTreeMap<String, Vec<String>> = words
        .records
        .iter()
        .map(|(name, to)| (facts.fill(name), to.iter().map(|one| facts.fill(one)).collect()))
        .collect();
    let usual = records.iter().filter(|(name, _)| !own.contains_key(name));
    let mut zone = Zone::new();
    for (name, list) in usual.map(|(name, list)| (name, list)).chain(&own) {
        for one in list {
            zone = match one.parse::<std::net::IpAddr>() {
                Ok(address) => zone.address(name, address),
                Err(_) => zone.alias(name, one),
            };
        }
    }
    let at = format!("{at}:53").parse().expect("an address");
    let server = net.there(host, move || DnsServer::start_at(at, zone));
    if let Some(all) = &words.all {
        server.set(".", dns(all, facts));
    }
    for (name, word) in &words.names {
        server.set(&facts.fill(name), dns(word, facts));
    }
    Some(server)
}

fn dns(word: &Dns, facts: &Facts) -> DnsBehaviour {
    match word {
        Dns::Answer => DnsBehaviour::Answer,
        Dns::Nxdomain => DnsBehaviour::Nxdomain,
        Dns::Nodata => DnsBehaviour::Nodata,
        Dns::Servfail => DnsBehaviour::Servfail,
        Dns::Refused => DnsBehaviour::Refused,
        Dns::Silent => DnsBehaviour::Silent,
        Dns::Garbage => DnsBehaviour::Garbage,
        Dns::WrongId => DnsBehaviour::WrongId,
        Dns::WrongQuestion => DnsBehaviour::WrongQuestion,
        Dns::Truncated => DnsBehaviour::TruncatedUdp,
        Dns::TruncatedNoTcp => DnsBehaviour::TruncatedUdpNoTcp,
        Dns::AaaaSilent => DnsBehaviour::AaaaSilent,
        Dns::AaaaServfail => DnsBehaviour::AaaaServfail,
        Dns::Forged(address) => {
            DnsBehaviour::Forged(facts.fill(address).parse().expect("an address of IPv4"))
        }
        Dns::WrongIdFirst => DnsBehaviour::WrongIdFirst,
        Dns::Blocked(code) => DnsBehaviour::Blocked(*code),
        Dns::LateMs(late) => DnsBehaviour::Late(Duration::from_millis(*late)),
        Dns::AaaaLateMs(late) => DnsBehaviour::AaaaLate(Duration::from_millis(*late)),
    }
}

/// Our proxy; inside of TLS where a leaf is given.
pub(crate) fn proxy(
    net: &Net,
    (at, leaf): (SocketAddr, Option<Leaf>),
    words: &OurProxy,
    (facts, leads): (&Facts, Vec<(String, SocketAddr)>),
) -> Proxy {
    let mut behaviours = HashMap::new();
    let all = words.all.as_ref().unwrap_or(&Tunnel::Opens);
    behaviours.insert(String::new(), tunnel(all, facts));
    for (name, word) in &words.names {
        behaviours.insert(facts.fill(name), tunnel(word, facts));
    }
    net.there(Host::Proxies, move || {
        let tls = leaf.map(|leaf| TlsAcceptor::from(leaf.server_config(&[])));
        let leads: Vec<(&str, SocketAddr)> =
            leads.iter().map(|(name, address)| (name.as_str(), *address)).collect();
        Proxy::start_at(at, tls, behaviours, &leads)
    })
}

fn tunnel(word: &Tunnel, facts: &Facts) -> Tunnelling {
    match word {
        Tunnel::Opens => Tunnelling::Tunnel,
        Tunnel::Says { status, headers: fields, body } => Tunnelling::Status {
            code: *status,
            headers: headers(fields.as_ref(), facts),
            body: facts.fill(body.as_deref().unwrap_or_default()),
        },
        Tunnel::AskLogin => {
            let login = format!("{}:{}", facts.get("user"), facts.get("password"));
            let accepts = Some(format!("Basic {}", BASE64.encode(login.as_bytes())));
            Tunnelling::AuthRequired { accepts }
        }
        Tunnel::Silent => Tunnelling::Silent,
        Tunnel::Close => Tunnelling::CloseAfterConnect,
        Tunnel::Reset => Tunnelling::ResetAfterConnect,
        Tunnel::Garbage => Tunnelling::Garbage,
        Tunnel::TlsBytes => Tunnelling::TlsBytes,
        Tunnel::EndlessHead => Tunnelling::EndlessHead,
        Tunnel::OpensThenSilent => Tunnelling::TunnelThenSilent,
        Tunnel::OpensThenClose => Tunnelling::TunnelThenClose,
        Tunnel::OpensThenReset => Tunnelling::TunnelThenReset,
        Tunnel::OpensThenPlainText => Tunnelling::TunnelThenPlainText,
    }
}
