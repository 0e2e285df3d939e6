//! What a `ClientHello` is like: the shape that every ordinary trip has is made once, the others when
//! an experiment asks for one. One that is only to be sent, for a TTL walk, is made of the same.

use std::sync::Arc;

use rustls::client::Resumption;
use rustls::crypto::CryptoProvider;
use rustls::crypto::aws_lc_rs::{self, kx_group};
use rustls::version::{TLS12, TLS13};
use rustls::{ClientConfig, ClientConnection};

use super::judge::Judge;
use super::named;
use super::recorder::Recorder;
use crate::plan::{Alpn, Hello, Sni, TlsPlan, Trust};

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

    /// The record with the `ClientHello` alone, in one piece; none where the plan's name cannot be one.
    pub(in crate::probe) fn first_bytes(&self, plan: &TlsPlan) -> Option<Vec<u8>> {
        let nobody = Arc::new(Recorder::of_nobody(Arc::clone(&self.judge)));
        let config = self.config(&plan.hello, nobody).ok()?;
        let mut connection = ClientConnection::new(Arc::new(config), named(plan)?).ok()?;
        let mut bytes = Vec::new();
        connection.write_tls(&mut bytes).ok()?;
        Some(bytes)
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

#[cfg(test)]
mod tests {
    use url::Host;

    use super::*;

    fn tls() -> Tls {
        Tls::new(&Trust::default()).unwrap()
    }

    fn bytes(hello: Hello) -> Vec<u8> {
        let name = Host::Domain("api.hello.test".to_owned());
        tls().first_bytes(&TlsPlan { hello, ..TlsPlan::to(name) }).unwrap()
    }

    fn has(bytes: &[u8], part: &[u8]) -> bool {
        bytes.windows(part.len()).any(|window| window == part)
    }

    #[test]
    fn it_is_one_record_that_says_what_the_plan_says() {
        let usual = bytes(Hello::default());
        // RFC 8446 5.1 and 4: a handshake record of that length, a client_hello.
        assert_eq!((usual[0], usual[5]), (22, 1));
        let length = u16::from_be_bytes([usual[3], usual[4]]);
        assert_eq!(usize::from(length) + 5, usual.len());
        assert!(has(&usual, b"api.hello.test") && has(&usual, b"\x02h2\x08http/1.1"));
        let classic = bytes(Hello { classic: true, ..Hello::default() });
        assert!(classic.len() + 1000 < usual.len(), "{} {}", classic.len(), usual.len());
        let other = bytes(Hello { sni: Sni::Other("other.test".to_owned()), ..Hello::default() });
        assert!(has(&other, b"other.test") && !has(&other, b"api.hello.test"));
        let silent = Hello { sni: Sni::Nothing, alpn: Alpn::Nothing, ..Hello::default() };
        let silent = bytes(silent);
        assert!(!has(&silent, b"hello.test") && !has(&silent, b"http/1.1"));
    }

    #[test]
    fn an_address_is_a_name_too() {
        let of = |host: Host<String>| tls().first_bytes(&TlsPlan::to(host));
        assert!(of(Host::Ipv6("2001:db8::1".parse().unwrap())).is_some());
        assert!(of(Host::Ipv4("192.0.2.1".parse().unwrap())).is_some());
        assert!(of(Host::Domain("not a name".to_owned())).is_none());
    }
}
