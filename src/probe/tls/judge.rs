//! Three judgements of a chain: by the public roots, by the host's store, by the organisation's files; and
//! those of further bundles, which accept nothing here.
//!
//! A judgement is kept by the hash of the chain and the name, until one of the chain's dates is
//! passed; a new set of roots is a new judge. What cannot be kept, the handshake's own signature, is
//! checked by the recorder each time.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use aws_lc_rs::digest;
use rustls::client::{verify_server_cert_signed_by_trust_anchor, verify_server_name};
use rustls::crypto::WebPkiSupportedAlgorithms;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::server::ParsedCertificate;
use rustls::{CertificateError, Error, RootCertStore};

use super::certificate::{SHOWN, describe};
use crate::observation::{Certificate, Chain, ChainVerdict};
use crate::plan::Trust;

/// Chains kept at most; a peer that makes a new one for each connection evicts, and no more.
const KEPT: usize = 512;

/// SHA-256 over the chain and the name.
type Fingerprint = [u8; 32];

/// The three sets of roots.
#[derive(Debug)]
pub(super) struct Judge {
    public: RootCertStore,
    system: RootCertStore,
    organisation: RootCertStore,
    also: Vec<(String, RootCertStore)>,
    algorithms: WebPkiSupportedAlgorithms,
    kept: Mutex<HashMap<Fingerprint, (UnixTime, Arc<Chain>)>>,
}

impl Judge {
    pub(super) fn new(trust: &Trust, algorithms: WebPkiSupportedAlgorithms) -> Self {
        let store = |roots: &[Vec<u8>]| {
            let mut store = RootCertStore::empty();
            // A store may hold certificates that webpki does not take; the others count.
            store.add_parsable_certificates(
                roots.iter().map(|der| CertificateDer::from(der.as_slice())),
            );
            store
        };
        let public = match &trust.public {
            Some(roots) => store(roots),
            None => RootCertStore { roots: webpki_roots::TLS_SERVER_ROOTS.to_vec() },
        };
        Self {
            public,
            system: store(trust.system.as_deref().unwrap_or_default()),
            organisation: store(&trust.organisation),
            also: trust.also.iter().map(|(name, roots)| (name.clone(), store(roots))).collect(),
            algorithms,
            kept: Mutex::new(HashMap::new()),
        }
    }

    pub(super) fn algorithms(&self) -> &WebPkiSupportedAlgorithms {
        &self.algorithms
    }

    /// What the three sets say of a chain for a name.
    pub(super) fn judge(
        &self,
        leaf: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        name: &ServerName<'_>,
        now: UnixTime,
    ) -> Arc<Chain> {
        let hash = fingerprint(leaf, intermediates, name);
        if let Ok(kept) = self.kept.lock()
            && let Some((until, chain)) = kept.get(&hash)
            && now.as_secs() < until.as_secs()
        {
            return Arc::clone(chain);
        }
        let shown = || std::iter::once(leaf).chain(intermediates).take(SHOWN);
        let certificates: Vec<Certificate> = shown().filter_map(|der| describe(der)).collect();
        let judge = |roots: &RootCertStore| match ParsedCertificate::try_from(leaf) {
            _ if roots.is_empty() => ChainVerdict::NotAsked,
            Ok(parsed) => self.by(roots, (&parsed, intermediates, &certificates), name, now),
            Err(_) => ChainVerdict::Other,
        };
        let chain = Arc::new(Chain {
            public: judge(&self.public),
            system: judge(&self.system),
            organisation: judge(&self.organisation),
            also: self.also.iter().map(|(name, roots)| (name.clone(), judge(roots))).collect(),
            certificates,
        });
        let until = next_date(&chain, now);
        if let Ok(mut kept) = self.kept.lock() {
            if kept.len() >= KEPT {
                kept.clear();
            }
            kept.insert(hash, (until, Arc::clone(&chain)));
        }
        chain
    }

    fn by(
        &self,
        roots: &RootCertStore,
        (leaf, intermediates, shown): (
            &ParsedCertificate<'_>,
            &[CertificateDer<'_>],
            &[Certificate],
        ),
        name: &ServerName<'_>,
        now: UnixTime,
    ) -> ChainVerdict {
        let verify = |at| {
            verify_server_cert_signed_by_trust_anchor(
                leaf,
                roots,
                intermediates,
                at,
                self.algorithms.all,
            )
        };
        let dates = |error: &Error| match error {
            Error::InvalidCertificate(
                CertificateError::Expired | CertificateError::ExpiredContext { .. },
            ) => Some(ChainVerdict::Expired),
            Error::InvalidCertificate(
                CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. },
            ) => Some(ChainVerdict::NotYetValid),
            _ => None,
        };
        let named = || match verify_server_name(leaf, name) {
            Ok(()) => ChainVerdict::Verified,
            Err(_) => ChainVerdict::WrongName,
        };
        match verify(now) {
            Ok(()) => named(),
            // Wrong dates hide everything behind them: ask again at a time when all were valid.
            Err(error) => match (dates(&error), shared_validity(shown).map(verify)) {
                (Some(dated), Some(Ok(()))) => dated,
                (Some(_), Some(Err(behind))) => of_error(&behind),
                // Never were all valid at once: whose it is, its topmost issuer's name says.
                (Some(dated), None) if ends_in_a_root(roots, intermediates.last()) => dated,
                (Some(_), None) => ChainVerdict::UnknownIssuer,
                (None, _) => of_error(&error),
            },
        }
    }
}

/// Whether the issuer of the last certificate that was shown is one of these roots, by its name.
fn ends_in_a_root(roots: &RootCertStore, last: Option<&CertificateDer<'_>>) -> bool {
    let Some(Ok((_, last))) = last.map(|der| x509_parser::parse_x509_certificate(der)) else {
        return false;
    };
    // A root's name is kept without the header of its sequence (RFC 5280 4.1.2.4).
    let issuer = last.issuer().as_raw();
    roots.roots.iter().any(|root| !root.subject.is_empty() && issuer.ends_with(&root.subject))
}

fn of_error(error: &Error) -> ChainVerdict {
    match error {
        Error::InvalidCertificate(CertificateError::UnknownIssuer) => ChainVerdict::UnknownIssuer,
        _ => ChainVerdict::Other,
    }
}

fn fingerprint(
    leaf: &CertificateDer<'_>,
    intermediates: &[CertificateDer<'_>],
    name: &ServerName<'_>,
) -> Fingerprint {
    let mut context = digest::Context::new(&digest::SHA256);
    for part in std::iter::once(leaf).chain(intermediates) {
        context.update(&(part.len() as u64).to_be_bytes());
        context.update(part);
    }
    context.update(name.to_str().as_bytes());
    context.finish().as_ref().try_into().unwrap_or_default()
}

/// The middle of the time when all certificates were valid.
fn shared_validity(shown: &[Certificate]) -> Option<UnixTime> {
    let begin = shown.iter().map(|certificate| certificate.not_before.as_second()).max()?;
    let end = shown.iter().map(|certificate| certificate.not_after.as_second()).min()?;
    let middle = begin.checked_add(end.checked_sub(begin).filter(|length| *length > 0)? / 2)?;
    Some(UnixTime::since_unix_epoch(Duration::from_secs(u64::try_from(middle).ok()?)))
}

/// Until when a judgement stands: the next date of the chain that is still to come.
fn next_date(chain: &Chain, now: UnixTime) -> UnixTime {
    let next = chain
        .certificates
        .iter()
        .flat_map(|certificate| [certificate.not_before, certificate.not_after])
        .filter_map(|date| u64::try_from(date.as_second()).ok())
        .filter(|date| *date > now.as_secs())
        .min()
        // Where no date could be read, it is judged anew before long.
        .unwrap_or_else(|| now.as_secs().saturating_add(3600));
    UnixTime::since_unix_epoch(Duration::from_secs(next))
}
