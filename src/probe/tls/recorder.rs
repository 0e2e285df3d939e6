//! A verifier for one connection: it keeps the chain and its judgement, whatever happens next.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

use rustls::client::ResolvesClientCert;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::sign::CertifiedKey;
use rustls::{CertificateError, DigitallySignedStruct, SignatureScheme};

use super::judge::Judge;
use crate::observation::{Chain, ChainVerdict};

/// The verifier, and the one who is asked for a client certificate.
#[derive(Debug)]
pub(super) struct Recorder {
    judge: Arc<Judge>,
    chain: Mutex<Option<Arc<Chain>>>,
    asked: AtomicBool,
}

impl Recorder {
    pub(super) fn new(judge: Arc<Judge>) -> Self {
        Self { judge, chain: Mutex::new(None), asked: AtomicBool::new(false) }
    }

    /// The chain that was shown.
    pub(super) fn chain(&self) -> Option<Arc<Chain>> {
        self.chain.lock().ok().and_then(|chain| chain.clone())
    }

    /// Whether the server asked for a client certificate.
    pub(super) fn was_asked(&self) -> bool {
        self.asked.load(Ordering::Relaxed)
    }
}

impl ServerCertVerifier for Recorder {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        let chain = self.judge.judge(end_entity, intermediates, server_name, now);
        if let Ok(mut kept) = self.chain.lock() {
            *kept = Some(Arc::clone(&chain));
        }
        // The peer gets the alert that fits.
        let refusal = match chain.problem() {
            None => return Ok(ServerCertVerified::assertion()),
            Some(ChainVerdict::Expired) => CertificateError::Expired,
            Some(ChainVerdict::NotYetValid) => CertificateError::NotValidYet,
            Some(ChainVerdict::WrongName) => CertificateError::NotValidForName,
            Some(ChainVerdict::UnknownIssuer) => CertificateError::UnknownIssuer,
            Some(_) => CertificateError::BadEncoding,
        };
        Err(refusal.into())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls12_signature(message, cert, dss, self.judge.algorithms())
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls13_signature(message, cert, dss, self.judge.algorithms())
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.judge.algorithms().supported_schemes()
    }
}

impl ResolvesClientCert for Recorder {
    fn resolve(
        &self,
        _root_hint_subjects: &[&[u8]],
        _sigschemes: &[SignatureScheme],
    ) -> Option<Arc<CertifiedKey>> {
        self.asked.store(true, Ordering::Relaxed);
        None
    }

    fn has_certs(&self) -> bool {
        false
    }
}
