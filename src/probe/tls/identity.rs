//! Our own certificate, where a server asks for one: made ready before anything is sent, so that one
//! that cannot be used is known as this host's fault, and is not taken for a peer's refusal.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, SubjectPublicKeyInfoDer};
use rustls::sign::{CertifiedKey, Signer, SigningKey};
use rustls::{Error, InconsistentKeys, SignatureAlgorithm, SignatureScheme};

use super::Tls;
use crate::plan::{Identity, TlsPlan};

/// What is shown where a server asks; nothing where nothing is configured.
pub(in crate::probe) type Shown = Option<Arc<CertifiedKey>>;

/// The certificate and key of a trip, ready to sign; or why there is none though one is configured.
pub(in crate::probe) fn identity(tls: &Tls, plan: Option<&TlsPlan>) -> Result<Shown, String> {
    let Some(identity) = plan.and_then(|plan| plan.client.as_deref()) else { return Ok(None) };
    usable(tls, identity).map(|key| Some(Arc::new(key)))
}

fn usable(tls: &Tls, identity: &Identity) -> Result<CertifiedKey, String> {
    let pem = identity.key.as_ref().map_err(Clone::clone)?;
    // The parser's own words may quote the text.
    let key = PrivateKeyDer::from_pem_slice(pem.expose().as_bytes())
        .ok()
        .ok_or("its key is no PEM private key; one with a passphrase cannot be used")?;
    let chain = identity.certificates.iter().cloned().map(CertificateDer::from).collect();
    CertifiedKey::from_der(chain, key, &tls.provider).map_err(|error| match error {
        Error::InconsistentKeys(InconsistentKeys::KeyMismatch) => {
            "its key belongs to another certificate".to_owned()
        }
        Error::NoCertificatesPresented => "there is no certificate".to_owned(),
        error => format!("{error}"),
    })
}

/// The same certificate with a key that notes when it signs: that is when the certificate went out
/// (RFC 8446 4.4.3, RFC 5246 7.4.8), and never over a chain that did not verify.
pub(super) fn noting(identity: &CertifiedKey, used: &Arc<AtomicBool>) -> Arc<CertifiedKey> {
    let key = Noting { inner: Arc::clone(&identity.key), used: Arc::clone(used) };
    Arc::new(CertifiedKey { key: Arc::new(key), ..identity.clone() })
}

#[derive(Debug)]
struct Noting<K> {
    inner: K,
    used: Arc<AtomicBool>,
}

impl SigningKey for Noting<Arc<dyn SigningKey>> {
    fn choose_scheme(&self, offered: &[SignatureScheme]) -> Option<Box<dyn Signer>> {
        let inner = self.inner.choose_scheme(offered)?;
        Some(Box::new(Noting { inner, used: Arc::clone(&self.used) }))
    }

    fn public_key(&self) -> Option<SubjectPublicKeyInfoDer<'_>> {
        self.inner.public_key()
    }

    fn algorithm(&self) -> SignatureAlgorithm {
        self.inner.algorithm()
    }
}

impl Signer for Noting<Box<dyn Signer>> {
    fn sign(&self, message: &[u8]) -> Result<Vec<u8>, Error> {
        self.used.store(true, Ordering::Relaxed);
        self.inner.sign(message)
    }

    fn scheme(&self) -> SignatureScheme {
        self.inner.scheme()
    }
}
