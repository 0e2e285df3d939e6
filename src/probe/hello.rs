//! The first bytes of a handshake, to be sent and not to be gone on with: a `ClientHello` as the plan
//! wants it. Nothing that comes back is read with it, so there is nothing to trust and nobody to verify.

use std::sync::Arc;

use rustls::client::Resumption;
use rustls::crypto::aws_lc_rs::{self, kx_group};
use rustls::pki_types::ServerName;
use rustls::{ClientConfig, ClientConnection, RootCertStore};

use crate::plan::{Alpn, Sni, TlsPlan};

/// The record with the `ClientHello`; none where the plan's name cannot be one. In one piece, whatever
/// the plan says about two.
pub(super) fn first_bytes(plan: &TlsPlan) -> Option<Vec<u8>> {
    let name = match &plan.hello.sni {
        Sni::Same | Sni::Nothing => plan.name.to_string(),
        Sni::Other(name) => name.clone(),
    };
    // The brackets of an IPv6 address belong to URLs.
    let name = ServerName::try_from(name.trim_matches(['[', ']']).to_owned()).ok()?;
    let mut connection = ClientConnection::new(Arc::new(config(plan)?), name).ok()?;
    let mut bytes = Vec::new();
    connection.write_tls(&mut bytes).ok()?;
    Some(bytes)
}

fn config(plan: &TlsPlan) -> Option<ClientConfig> {
    let mut provider = aws_lc_rs::default_provider();
    provider.kx_groups = vec![kx_group::X25519, kx_group::SECP256R1, kx_group::SECP384R1];
    if !plan.hello.classic {
        provider.kx_groups.insert(0, kx_group::X25519MLKEM768);
    }
    let versions: &[_] = if plan.hello.tls12_only {
        &[&rustls::version::TLS12]
    } else {
        &[&rustls::version::TLS13, &rustls::version::TLS12]
    };
    let mut config = ClientConfig::builder_with_provider(Arc::new(provider))
        .with_protocol_versions(versions)
        .ok()?
        .with_root_certificates(RootCertStore::empty())
        .with_no_client_auth();
    config.alpn_protocols = match plan.hello.alpn {
        Alpn::Http2 => vec![b"h2".to_vec(), b"http/1.1".to_vec()],
        Alpn::Http1 => vec![b"http/1.1".to_vec()],
        Alpn::Nothing => Vec::new(),
    };
    config.resumption = Resumption::disabled();
    config.enable_sni = plan.hello.sni != Sni::Nothing;
    Some(config)
}

#[cfg(test)]
mod tests {
    use url::Host;

    use super::*;
    use crate::plan::Hello;

    fn bytes(hello: Hello) -> Vec<u8> {
        let name = Host::Domain("api.hello.test".to_owned());
        first_bytes(&TlsPlan { hello, ..TlsPlan::to(name) }).unwrap()
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
        let of = |host: Host<String>| first_bytes(&TlsPlan::to(host));
        assert!(of(Host::Ipv6("2001:db8::1".parse().unwrap())).is_some());
        assert!(of(Host::Ipv4("192.0.2.1".parse().unwrap())).is_some());
        assert!(of(Host::Domain("not a name".to_owned())).is_none());
    }
}
