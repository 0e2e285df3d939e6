//! One handshake on a given stream: who was shown, who would accept it, and where it ended.
//!
//! Resumption is off (a resumed handshake shows no certificate); the provider is passed explicitly,
//! the post-quantum key share comes first as in today's clients. The signature of the handshake is
//! checked each time: it proves that the peer holds the key.

mod judge;
mod recorder;

use std::sync::Arc;

use rustls::client::Resumption;
use rustls::crypto::aws_lc_rs::{self, kx_group};
use rustls::pki_types::ServerName;
use rustls::{AlertDescription, ClientConfig, ProtocolVersion};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::time::{Instant, timeout_at};
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use url::Host;

use super::stream::{Counted, Counts};
use super::tcp::Gauge;
use crate::observation::{Alert, Chain, ChainVerdict, Failure, Secured, TlsFailure, TlsKind};
use crate::plan::{Alpn, TlsPlan, Trust};
use judge::Judge;
use recorder::Recorder;

/// What every handshake shares: the roots and the two shapes of a `ClientHello`.
pub(super) struct Tls {
    judge: Arc<Judge>,
    with_http2: ClientConfig,
    http1_only: ClientConfig,
}

impl Tls {
    pub(super) fn new(trust: &Trust) -> Result<Self, rustls::Error> {
        let mut provider = aws_lc_rs::default_provider();
        provider.kx_groups = vec![
            kx_group::X25519MLKEM768,
            kx_group::X25519,
            kx_group::SECP256R1,
            kx_group::SECP384R1,
        ];
        let provider = Arc::new(provider);
        let judge = Arc::new(Judge::new(trust, provider.signature_verification_algorithms));
        let config = |alpn: &[&[u8]]| {
            let verifier = Arc::new(Recorder::new(Arc::clone(&judge)));
            let mut config = ClientConfig::builder_with_provider(Arc::clone(&provider))
                .with_protocol_versions(&[&rustls::version::TLS13, &rustls::version::TLS12])?
                .dangerous()
                .with_custom_certificate_verifier(verifier)
                .with_no_client_auth();
            config.alpn_protocols = alpn.iter().map(|name| name.to_vec()).collect();
            config.resumption = Resumption::disabled();
            Ok::<_, rustls::Error>(config)
        };
        let with_http2 = config(&[b"h2", b"http/1.1"])?;
        let http1_only = config(&[b"http/1.1"])?;
        Ok(Self { judge, with_http2, http1_only })
    }
}

/// What a handshake left behind.
pub(super) struct Handshake<S> {
    pub(super) chain: Option<Arc<Chain>>,
    /// Whether the server asked for a client certificate.
    pub(super) asked: bool,
    pub(super) end: Result<(TlsStream<Counted<S>>, Secured), Failure>,
}

/// Bytes of a handshake at most: a chain is tens of kilobytes at the very worst.
const HANDSHAKE_LIMIT: u64 = 256 * 1024;

/// Makes one handshake.
pub(super) async fn handshake<S>(
    tls: &Tls,
    plan: &TlsPlan,
    stream: Counted<S>,
    counts: &Counts,
    (gauge, deadline): (&Gauge, Instant),
) -> Handshake<S>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let Some(name) = server_name(&plan.name) else {
        let detail = format!("{} cannot be a server name", plan.name);
        let failure = TlsFailure { detail, ..TlsFailure::new(TlsKind::Other) };
        return Handshake { chain: None, asked: false, end: Err(Failure::Tls(failure)) };
    };
    counts.begin_stage(HANDSHAKE_LIMIT);
    let (sent, received) = (counts.sent(), counts.received());
    let recorder = Arc::new(Recorder::new(Arc::clone(&tls.judge)));
    let mut config = match plan.hello.alpn {
        Alpn::Http2 => tls.with_http2.clone(),
        Alpn::Http1 | Alpn::Nothing => tls.http1_only.clone(),
    };
    config.dangerous().set_certificate_verifier(Arc::clone(&recorder) as _);
    config.client_auth_cert_resolver = Arc::clone(&recorder) as _;
    let started = Instant::now();
    let connecting = TlsConnector::from(Arc::new(config)).connect(name, stream);
    let end = match timeout_at(deadline, connecting).await {
        Ok(Ok(stream)) => {
            let secured = secured(&stream, started);
            Ok((stream, secured))
        }
        Ok(Err(error)) => Err(Some(error)),
        Err(_) => Err(None),
    };
    let end = end.map_err(|error| {
        let failure = TlsFailure {
            sent: counts.sent() - sent,
            received: counts.received() - received,
            icmp: gauge.icmp(),
            socket: gauge.counters(),
            ..TlsFailure::new(TlsKind::Timeout)
        };
        Failure::Tls(match error {
            Some(error) => classify(&error, failure, &recorder, counts),
            None => not_tls(failure, counts),
        })
    });
    Handshake { chain: recorder.chain(), asked: recorder.was_asked(), end }
}

fn server_name(host: &Host<String>) -> Option<ServerName<'static>> {
    match host {
        Host::Domain(name) => ServerName::try_from(name.clone()).ok(),
        Host::Ipv4(address) => Some(ServerName::from(std::net::IpAddr::V4(*address))),
        Host::Ipv6(address) => Some(ServerName::from(std::net::IpAddr::V6(*address))),
    }
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

/// RFC 8446 5.1: a record begins with 20 to 23. What begins otherwise is not TLS.
fn not_tls(failure: TlsFailure, counts: &Counts) -> TlsFailure {
    let first = counts.first();
    match first.first() {
        Some(byte) if failure.received > 0 && !(0x14..=0x17).contains(byte) => TlsFailure {
            kind: TlsKind::NotTls,
            first_bytes: first.escape_ascii().to_string(),
            ..failure
        },
        _ => failure,
    }
}

fn classify(
    error: &std::io::Error,
    failure: TlsFailure,
    recorder: &Recorder,
    counts: &Counts,
) -> TlsFailure {
    let failure = TlsFailure { detail: error.to_string(), ..not_tls(failure, counts) };
    if failure.kind == TlsKind::NotTls {
        return failure;
    }
    let of_tls = error.get_ref().and_then(|inner| inner.downcast_ref::<rustls::Error>());
    match of_tls {
        Some(error @ rustls::Error::InvalidCertificate(_)) => {
            let kind = recorder.chain().and_then(|chain| of_chain(&chain));
            let failure = of_rustls(error, failure, recorder.was_asked());
            TlsFailure { kind: kind.unwrap_or(failure.kind), ..failure }
        }
        Some(error) => of_rustls(error, failure, recorder.was_asked()),
        None => {
            let kind = match (error.raw_os_error(), error.kind()) {
                (Some(libc::ECONNRESET | libc::EPIPE), _) => TlsKind::Reset,
                (Some(libc::ETIMEDOUT), _) => TlsKind::Timeout,
                (_, std::io::ErrorKind::UnexpectedEof) => TlsKind::Closed,
                _ => TlsKind::Other,
            };
            TlsFailure { kind, ..failure }
        }
    }
}

/// What rustls' error means; also for errors that come after the handshake: in TLS 1.3 a server
/// refuses a missing client certificate only then (RFC 8446 4.4.2.4).
pub(super) fn of_rustls(error: &rustls::Error, failure: TlsFailure, asked: bool) -> TlsFailure {
    use rustls::Error as E;
    let (kind, alert) = match error {
        E::AlertReceived(alert) => {
            (of_alert(*alert, asked), Some(Alert { code: u8::from(*alert), own: false }))
        }
        E::InvalidCertificate(_) => (TlsKind::CertificateOther, None),
        E::DecryptError | E::InvalidMessage(_) | E::PeerSentOversizedRecord => {
            (TlsKind::Corrupted, None)
        }
        E::PeerIncompatible(_) => (TlsKind::NoCommonVersion, None),
        _ => (TlsKind::Other, None),
    };
    TlsFailure { kind, alert, detail: error.to_string(), ..failure }
}

/// RFC 8446 6.2. A server that asked for a certificate and refuses an empty one says so in several
/// ways: certificate_required (1.3), handshake_failure or bad_certificate (1.2).
fn of_alert(alert: AlertDescription, asked: bool) -> TlsKind {
    match alert {
        AlertDescription::CertificateRequired => TlsKind::ClientCertificate,
        AlertDescription::HandshakeFailure | AlertDescription::BadCertificate if asked => {
            TlsKind::ClientCertificate
        }
        _ => TlsKind::Alert,
    }
}

/// Why nobody accepts a chain, as a kind.
fn of_chain(chain: &Chain) -> Option<TlsKind> {
    let self_signed = chain.leaf().is_some_and(|leaf| leaf.self_signed);
    Some(match chain.problem()? {
        ChainVerdict::Expired => TlsKind::Expired,
        ChainVerdict::NotYetValid => TlsKind::NotYetValid,
        ChainVerdict::WrongName => TlsKind::WrongName,
        ChainVerdict::UnknownIssuer if self_signed => TlsKind::SelfSigned,
        ChainVerdict::UnknownIssuer => TlsKind::UnknownIssuer,
        ChainVerdict::Verified | ChainVerdict::NotAsked | ChainVerdict::Other => {
            TlsKind::CertificateOther
        }
    })
}
