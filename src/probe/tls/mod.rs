//! One handshake on a given stream: who was shown, who would accept it, and where it ended.
//!
//! Resumption is off (a resumed handshake shows no certificate); the provider is passed explicitly,
//! the post-quantum key share comes first as in today's clients. The signature of the handshake is
//! checked each time: it proves that the peer holds the key.

mod certificate;
mod failure;
mod first;
mod hello;
mod identity;
mod judge;
mod recorder;

use std::sync::Arc;

use aws_lc_rs::digest::{SHA256, SHA384, SHA512, digest};
use rustls::ProtocolVersion;
use rustls::pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::time::{Instant, timeout_at};
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use url::Host;

use super::stream::{Counted, Counts};
use super::tcp::Gauge;
use crate::observation::{Asked, Chain, Failure, Secured, TlsFailure, TlsKind};
use crate::plan::{Sni, TlsPlan};
use recorder::Recorder;

pub use certificate::described;
pub(super) use failure::of_rustls;
pub use first::first;
pub(super) use hello::Tls;
pub(super) use identity::{Shown, identity};

/// What a handshake left behind.
pub(super) struct Handshake<S> {
    pub(super) chain: Option<Arc<Chain>>,
    /// What the server asked of this client, where it wants a certificate.
    pub(super) asked: Option<Asked>,
    pub(super) end: Result<(TlsStream<Counted<S>>, Secured), Failure>,
}

impl<S> Handshake<S> {
    /// Nothing was sent.
    fn not_begun(detail: String) -> Self {
        let failure = TlsFailure { detail, ..TlsFailure::new(TlsKind::Other) };
        Self { chain: None, asked: None, end: Err(Failure::Tls(failure)) }
    }
}

/// What a handshake is made with beside its plan.
pub(super) struct Around<'a> {
    pub(super) counts: &'a Counts,
    pub(super) gauge: &'a Gauge,
    pub(super) deadline: Instant,
    pub(super) identity: Shown,
}

/// Bytes of a handshake at most: a chain is tens of kilobytes at the very worst.
const HANDSHAKE_LIMIT: u64 = 256 * 1024;

/// Makes one handshake.
pub(super) async fn handshake<S>(
    tls: &Tls,
    plan: &TlsPlan,
    mut stream: Counted<S>,
    around: Around<'_>,
) -> Handshake<S>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let Around { counts, gauge, deadline, identity } = around;
    let (Some(judged), Some(named)) = (server_name(&plan.name), named(plan)) else {
        return Handshake::not_begun(format!("{} cannot be a server name", plan.name));
    };
    let recorder = Recorder::new(Arc::clone(&tls.judge), judged, identity);
    let recorder = Arc::new(recorder.taking_any_chain(plan.any_chain));
    let config = match tls.config(&plan.hello, Arc::clone(&recorder)) {
        Ok(config) => config,
        Err(error) => return Handshake::not_begun(format!("no such ClientHello: {error}")),
    };
    counts.begin_stage(HANDSHAKE_LIMIT);
    let before = (counts.sent(), counts.received());
    let passed = || (counts.sent() - before.0, counts.received() - before.1);
    if plan.hello.split {
        stream.split_next_write();
    }
    let started = Instant::now();
    let connecting = TlsConnector::from(Arc::new(config)).connect(named, stream);
    let end = match timeout_at(deadline, connecting).await {
        Ok(Ok(stream)) => {
            let (sent, received) = passed();
            let secured = secured(&stream, started);
            Ok((stream, Secured { sent, received, socket: gauge.counters(), ..secured }))
        }
        Ok(Err(error)) => Err(Some(error)),
        Err(_) => Err(None),
    };
    let end = end.map_err(|error| {
        let (sent, received) = passed();
        let failure = TlsFailure {
            sent,
            received,
            icmp: gauge.icmp(),
            errno: gauge.icmp_errno(),
            socket: gauge.counters(),
            ..TlsFailure::new(TlsKind::Timeout)
        };
        Failure::Tls(failure::classify(error.as_ref(), failure, &recorder, counts))
    });
    Handshake { chain: recorder.chain(), asked: recorder.asked(), end }
}

/// The name for the `ClientHello`. rustls wants one where none is sent, too; an address never is
/// (RFC 6066 3).
fn named(plan: &TlsPlan) -> Option<ServerName<'static>> {
    match &plan.hello.sni {
        Sni::Same | Sni::Nothing => server_name(&plan.name),
        Sni::Other(name) => ServerName::try_from(name.clone())
            .ok()
            .filter(|name| matches!(name, ServerName::DnsName(_))),
    }
}

fn server_name(host: &Host<String>) -> Option<ServerName<'static>> {
    match host {
        Host::Domain(name) => ServerName::try_from(name.clone()).ok(),
        Host::Ipv4(address) => Some(ServerName::from(std::net::IpAddr::V4(*address))),
        Host::Ipv6(address) => Some(ServerName::from(std::net::IpAddr::V6(*address))),
    }
}

/// The hash that binds a login to this channel (RFC 5929 4.1): of the peer's certificate, by the hash of
/// its signature, and SHA-256 where that is weaker.
pub(super) fn endpoint_hash<S>(stream: &TlsStream<Counted<S>>) -> Option<Vec<u8>> {
    let leaf = stream.get_ref().1.peer_certificates()?.first()?;
    let (_, parsed) = x509_parser::parse_x509_certificate(leaf).ok()?;
    // RFC 4055 5, RFC 5758 3.2: sha384WithRSAEncryption, ecdsa-with-SHA384, and those with SHA-512.
    let algorithm = match parsed.signature_algorithm.algorithm.to_id_string().as_str() {
        "1.2.840.113549.1.1.12" | "1.2.840.10045.4.3.3" => &SHA384,
        "1.2.840.113549.1.1.13" | "1.2.840.10045.4.3.4" => &SHA512,
        _ => &SHA256,
    };
    Some(digest(algorithm, leaf).as_ref().to_vec())
}

fn secured<S>(stream: &TlsStream<Counted<S>>, started: Instant) -> Secured {
    let connection = stream.get_ref().1;
    let version = match connection.protocol_version() {
        Some(ProtocolVersion::TLSv1_3) => "1.3",
        Some(ProtocolVersion::TLSv1_2) => "1.2",
        _ => "",
    };
    Secured {
        seconds: started.elapsed().as_secs_f64(),
        version: version.to_owned(),
        cipher: connection
            .negotiated_cipher_suite()
            .and_then(|suite| suite.suite().as_str())
            .unwrap_or_default()
            .to_owned(),
        group: connection
            .negotiated_key_exchange_group()
            .and_then(|group| group.name().as_str())
            .unwrap_or_default()
            .to_owned(),
        alpn: connection
            .alpn_protocol()
            .map(|name| String::from_utf8_lossy(name).into_owned())
            .unwrap_or_default(),
        ..Secured::default()
    }
}
