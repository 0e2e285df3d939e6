//! What a `ClientHello` is like: the shape that every ordinary trip has is made once, the others when
//! an experiment asks for one.

use std::sync::Arc;

use rustls::ClientConfig;
use rustls::client::Resumption;
use rustls::crypto::CryptoProvider;
use rustls::crypto::aws_lc_rs::{self, kx_group};
use rustls::version::{TLS12, TLS13};

use super::judge::Judge;
use super::recorder::Recorder;
use crate::plan::{Alpn, Hello, Sni, Trust};

/// What every handshake shares: the roots and the usual shape of a `ClientHello`.
pub(in crate::probe) struct Tls {
    pub(super) judge: Arc<Judge>,
    pub(super) provider: Arc<CryptoProvider>,
    classic: Arc<CryptoProvider>,
    usual: ClientConfig,
}

impl Tls {
    pub(in crate::probe) fn new(trust: &Trust) -> Result<Self, rustls::Error> {
        let mut provider = aws_lc_rs::default_provider();
        provider.kx_groups = vec![kx_group::X25519, kx_group::SECP256R1, kx_group::SECP384R1];
        let classic = Arc::new(provider.clone());
        provider.kx_groups.insert(0, kx_group::X25519MLKEM768);
        let provider = Arc::new(provider);
        let judge = Arc::new(Judge::new(trust, provider.signature_verification_algorithms));
        let usual = config(&provider, false, Arc::new(Recorder::of_nobody(Arc::clone(&judge))))?;
        Ok(Self { judge, provider, classic, usual })
    }

    /// The configuration of one handshake.
    pub(super) fn config(
        &self,
        hello: &Hello,
        recorder: Arc<Recorder>,
    ) -> Result<ClientConfig, rustls::Error> {
        let mut config = if hello.classic || hello.tls12_only {
            let provider = if hello.classic { &self.classic } else { &self.provider };
            config(provider, hello.tls12_only, Arc::clone(&recorder))?
        } else {
            self.usual.clone()
        };
        match hello.alpn {
            Alpn::Http2 => {}
            Alpn::Http1 => config.alpn_protocols = vec![b"http/1.1".to_vec()],
            Alpn::Nothing => config.alpn_protocols.clear(),
        }
        config.enable_sni = hello.sni != Sni::Nothing;
        config.dangerous().set_certificate_verifier(Arc::clone(&recorder) as _);
        config.client_auth_cert_resolver = recorder;
        Ok(config)
    }
}

fn config(
    provider: &Arc<CryptoProvider>,
    tls12_only: bool,
    recorder: Arc<Recorder>,
) -> Result<ClientConfig, rustls::Error> {
    let versions: &[_] = if tls12_only { &[&TLS12] } else { &[&TLS13, &TLS12] };
    let mut config = ClientConfig::builder_with_provider(Arc::clone(provider))
        .with_protocol_versions(versions)?
        .dangerous()
        .with_custom_certificate_verifier(recorder)
        .with_no_client_auth();
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    config.resumption = Resumption::disabled();
    Ok(config)
}
