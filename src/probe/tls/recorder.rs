//! A verifier for one connection: it keeps the chain and its judgement, whatever happens next.

use std::net::{IpAddr, Ipv4Addr};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

use rustls::client::ResolvesClientCert;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::sign::CertifiedKey;
use rustls::{CertificateError, DigitallySignedStruct, SignatureScheme};

use super::certificate::{SHOWN, distinguished_name};
use super::identity::noting;
use super::judge::Judge;
use crate::observation::{Asked, Chain, ChainVerdict};

/// The verifier, and the one who is asked for a client certificate.
#[derive(Debug)]
pub(super) struct Recorder {
    judge: Arc<Judge>,
    /// The name that the certificate is judged for, whatever the `ClientHello` names.
    name: ServerName<'static>,
    /// What is shown where the server asks.
    identity: Option<Arc<CertifiedKey>>,
    /// Whether the handshake goes on whatever is shown.
    any_chain: bool,
    chain: Mutex<Option<Arc<Chain>>>,
    issuers: Mutex<Option<Vec<String>>>,
    sent: Arc<AtomicBool>,
}

impl Recorder {
    pub(super) fn new(
        judge: Arc<Judge>,
        name: ServerName<'static>,
        identity: Option<Arc<CertifiedKey>>,
    ) -> Self {
        Self {
            judge,
            name,
            identity,
            any_chain: false,
            chain: Mutex::new(None),
            issuers: Mutex::new(None),
            sent: Arc::default(),
        }
    }

    /// The same, for a trip that carries no secret and is to see what is behind any certificate.
    pub(super) fn taking_any_chain(self, any_chain: bool) -> Self {
        Self { any_chain, ..self }
    }

    /// For a configuration that no handshake is made with as it is.
    pub(super) fn of_nobody(judge: Arc<Judge>) -> Self {
        Self::new(judge, IpAddr::V4(Ipv4Addr::UNSPECIFIED).into(), None)
    }

    /// The chain that was shown.
    pub(super) fn chain(&self) -> Option<Arc<Chain>> {
        self.chain.lock().ok().and_then(|chain| chain.clone())
    }

    /// What the server asked for, if it did.
    pub(super) fn asked(&self) -> Option<Asked> {
        let issuers = self.issuers.lock().ok().and_then(|issuers| issuers.clone())?;
        Some(Asked { issuers, sent: self.sent.load(Ordering::Relaxed), unusable: None })
    }
}

impl ServerCertVerifier for Recorder {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        _server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        let chain = self.judge.judge(end_entity, intermediates, &self.name, now);
        if let Ok(mut kept) = self.chain.lock() {
            *kept = Some(Arc::clone(&chain));
        }
        // The peer gets the alert that fits.
        let refusal = match chain.problem() {
            None => return Ok(ServerCertVerified::assertion()),
            Some(_) if self.any_chain => return Ok(ServerCertVerified::assertion()),
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
    /// In TLS 1.3 this is asked before the chain is verified; rustls sends what it gets only after.
    fn resolve(
        &self,
        root_hint_subjects: &[&[u8]],
        _sigschemes: &[SignatureScheme],
    ) -> Option<Arc<CertifiedKey>> {
        let named = root_hint_subjects.iter().take(SHOWN);
        let named = named.filter_map(|der| distinguished_name(der)).collect();
        if let Ok(mut issuers) = self.issuers.lock() {
            *issuers = Some(named);
        }
        // As other clients do, whomever the server names: its refusal says more than our silence.
        self.identity.as_deref().map(|identity| noting(identity, &self.sent))
    }

    fn has_certs(&self) -> bool {
        self.identity.is_some()
    }
}
