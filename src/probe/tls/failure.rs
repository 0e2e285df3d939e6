//! What a handshake ended in, by the types behind the error, the bytes that came and those that went.

use rustls::AlertDescription;

use super::first::first;
use super::recorder::Recorder;
use crate::observation::{Alert, Chain, ChainVerdict, Protocol, TlsFailure, TlsKind};
use crate::probe::stream::Counts;

/// Bytes shown of what is not TLS.
const SHOWN: usize = 256;

/// The failure with its kind, its alert and how the peer began; without an error the time was over.
pub(super) fn classify(
    error: Option<&std::io::Error>,
    failure: TlsFailure,
    recorder: &Recorder,
    counts: &Counts,
) -> TlsFailure {
    let failure = begun(failure, counts);
    let Some(error) = error else { return failure };
    let failure = TlsFailure { detail: error.to_string(), ..failure };
    let of_tls = error.get_ref().and_then(|inner| inner.downcast_ref::<rustls::Error>());
    let own = of_tls.and_then(|error| own_alert(error, counts));
    if failure.kind == TlsKind::NotTls {
        return TlsFailure { alert: own, ..failure };
    }
    let asked = recorder.asked().is_some();
    let failure = match of_tls {
        Some(error @ rustls::Error::InvalidCertificate(_)) => {
            let kind = recorder.chain().and_then(|chain| of_chain(&chain));
            let failure = of_rustls(error, failure, asked);
            TlsFailure { kind: kind.unwrap_or(failure.kind), ..failure }
        }
        Some(error) => of_rustls(error, failure, asked),
        None => TlsFailure { kind: of_io(error), ..failure },
    };
    TlsFailure { alert: failure.alert.or(own), ..failure }
}

fn of_io(error: &std::io::Error) -> TlsKind {
    match (error.raw_os_error(), error.kind()) {
        (Some(libc::ECONNRESET | libc::EPIPE), _) => TlsKind::Reset,
        (Some(libc::ETIMEDOUT), _) => TlsKind::Timeout,
        (_, std::io::ErrorKind::UnexpectedEof) => TlsKind::Closed,
        _ => TlsKind::Other,
    }
}

/// How the peer began. What begins with no record is not TLS (RFC 8446 5.1).
fn begun(failure: TlsFailure, counts: &Counts) -> TlsFailure {
    let bytes = counts.first();
    match first(&bytes).filter(|_| failure.received > 0) {
        Some(first) if first.protocol == Protocol::Tls => {
            TlsFailure { first: Some(first), ..failure }
        }
        Some(first) => {
            let shown = bytes.get(..SHOWN).unwrap_or(&bytes);
            TlsFailure {
                kind: TlsKind::NotTls,
                first: Some(first),
                first_bytes: shown.escape_ascii().to_string(),
                ..failure
            }
        }
        None => failure,
    }
}

/// The alert that we sent, where it is known: in clear text it is the last record that went out. An
/// encrypted one is known of a refused certificate alone, of which rustls sends what is asked here.
fn own_alert(error: &rustls::Error, counts: &Counts) -> Option<Alert> {
    let code = match (counts.last_write(), error) {
        ((7, [0x15, 3, _, 0, 2, 2, code]), _) => code,
        // Before our own Finished nothing else of ours is encrypted.
        ((8.., [0x15 | 0x17, ..]), rustls::Error::InvalidCertificate(error)) => {
            AlertDescription::from(error.clone()).into()
        }
        _ => return None,
    };
    Some(Alert { code, own: true })
}

/// What rustls' error means; also for errors that come after the handshake: in TLS 1.3 a server
/// refuses a missing client certificate only then (RFC 8446 4.4.2.4).
pub(in crate::probe) fn of_rustls(
    error: &rustls::Error,
    failure: TlsFailure,
    asked: bool,
) -> TlsFailure {
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

/// RFC 8446 6.2. A server that asked for a certificate refuses the one that it got, or that it got
/// none, in several ways: certificate_required (1.3), handshake_failure or bad_certificate (1.2) for
/// none; for a wrong one whatever names the fault, decrypt_error where it is the signature's.
fn of_alert(alert: AlertDescription, asked: bool) -> TlsKind {
    use AlertDescription as A;
    match alert {
        A::CertificateRequired => TlsKind::ClientCertificate,
        A::HandshakeFailure
        | A::BadCertificate
        | A::UnsupportedCertificate
        | A::CertificateRevoked
        | A::CertificateExpired
        | A::CertificateUnknown
        | A::UnknownCA
        | A::AccessDenied
        | A::DecryptError
            if asked =>
        {
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
