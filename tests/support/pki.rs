//! Certificates made at run time, so that none expires in the repository: authorities, leaves, and leaves with exactly one flaw.
//!
//! All keys are ECDSA P-256. Dates are fixed far from today, so that no clock is read, but where days are asked for.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, CustomExtension, DnType,
    ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair, KeyUsagePurpose, date_time_ymd,
};
use rustls::crypto::{CryptoProvider, aws_lc_rs};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};
use rustls::server::WebPkiClientVerifier;
use rustls::{RootCertStore, ServerConfig, SupportedProtocolVersion};

type Signer = CertifiedIssuer<'static, KeyPair>;

/// A root, and perhaps the intermediate that signs in its place. Clones share the keys.
#[derive(Clone, Debug)]
pub(crate) struct Authority {
    common_name: String,
    root: Arc<Signer>,
    intermediate: Option<Arc<Signer>>,
}

/// The one thing that is wrong with a leaf.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Flaw {
    /// Valid in 2001 only.
    Expired,
    /// Valid from 2199.
    NotYetValid,
    /// For `wrong-name.invalid` only.
    WrongName,
    /// Its own issuer, with the names that were asked for.
    SelfSigned,
    /// Signed by an intermediate that the server does not send.
    MissingIntermediate,
    /// Signed by an intermediate that was valid in 2001 only.
    ExpiredIntermediate,
}

/// A certificate for a server or a client, with its chain and key.
#[derive(Debug)]
pub(crate) struct Leaf {
    chain: Vec<CertificateDer<'static>>,
    chain_pem: String,
    key: KeyPair,
}

impl Authority {
    /// A root that signs leaves itself.
    pub(crate) fn new(common_name: &str) -> Self {
        let root = Signer::self_signed(authority(common_name), key()).expect("a self-signed root");
        Self { common_name: common_name.to_owned(), root: Arc::new(root), intermediate: None }
    }

    /// A root, and an intermediate that signs the leaves and is sent with them.
    pub(crate) fn with_intermediate(common_name: &str) -> Self {
        let mut this = Self::new(common_name);
        this.intermediate = Some(this.new_intermediate());
        this
    }

    /// The root alone, as a trust store wants it.
    pub(crate) fn pem(&self) -> String {
        self.root.pem()
    }

    /// The root's key, in PKCS #8, for a program that signs in its name.
    pub(crate) fn key_pem(&self) -> String {
        self.root.key().serialize_pem()
    }

    /// A sound leaf. A name that is an address becomes one in the certificate, too.
    pub(crate) fn leaf(&self, names: &[&str]) -> Leaf {
        self.dated_leaf(names, None)
    }

    /// The same, valid from so many days after today to so many.
    pub(crate) fn dated_leaf(&self, names: &[&str], days: Option<[i64; 2]>) -> Leaf {
        let mut params = leaf(names);
        if let Some(days) = days {
            let [from, to] = days.map(after_today);
            (params.not_before, params.not_after) = (from.into(), to.into());
        }
        self.issue(&params)
    }

    /// A sound leaf with so many timestamps of logs inside, whose signatures nobody checks.
    pub(crate) fn logged_leaf(&self, names: &[&str], timestamps: u8) -> Leaf {
        // RFC 6962 3.3: an OCTET STRING inside the extension's own, around a list as TLS writes it.
        const EMBEDDED: &[u64] = &[1, 3, 6, 1, 4, 1, 11129, 2, 4, 2];
        let mut params = leaf(names);
        let list =
            sized(&(0..timestamps).flat_map(|log| sized(&timestamp(log))).collect::<Vec<_>>());
        let length = u16::try_from(list.len()).expect("a short list").to_be_bytes();
        let content = [&[4, 0x82], &length[..], &list].concat();
        params.custom_extensions = vec![CustomExtension::from_oid_content(EMBEDDED, content)];
        self.issue(&params)
    }

    /// A leaf with one flaw.
    pub(crate) fn flawed_leaf(&self, names: &[&str], flaw: Flaw) -> Leaf {
        let mut params = leaf(names);
        match flaw {
            Flaw::Expired => {
                params.not_before = date_time_ymd(2001, 1, 1);
                params.not_after = date_time_ymd(2001, 12, 31);
            }
            Flaw::NotYetValid => params.not_before = date_time_ymd(2199, 1, 1),
            Flaw::WrongName => params = leaf(&["wrong-name.invalid"]),
            Flaw::SelfSigned => {
                let key = key();
                let certificate = params.self_signed(&key).expect("a self-signed leaf");
                return Leaf {
                    chain: vec![certificate.der().clone()],
                    chain_pem: certificate.pem(),
                    key,
                };
            }
            Flaw::MissingIntermediate => {
                // The very one that others send, where there is one.
                let signer = self.intermediate.clone().unwrap_or_else(|| self.new_intermediate());
                return sign(&params, &signer, None);
            }
            Flaw::ExpiredIntermediate => {
                let mut issuer = authority(&format!("{} Intermediate", self.common_name));
                issuer.not_before = date_time_ymd(2001, 1, 1);
                issuer.not_after = date_time_ymd(2001, 12, 31);
                let signer = Signer::signed_by(issuer, key(), &self.root).expect("an intermediate");
                return sign(&params, &signer, Some(&signer));
            }
        }
        self.issue(&params)
    }

    /// The root as the only one in a store.
    pub(crate) fn roots(&self) -> RootCertStore {
        let mut roots = RootCertStore::empty();
        roots.add(self.root.der().clone()).expect("a root that can be trusted");
        roots
    }

    fn issue(&self, params: &CertificateParams) -> Leaf {
        let signer = self.intermediate.as_ref().unwrap_or(&self.root);
        sign(params, signer, self.intermediate.as_deref())
    }

    fn new_intermediate(&self) -> Arc<Signer> {
        let params = authority(&format!("{} Intermediate", self.common_name));
        Arc::new(Signer::signed_by(params, key(), &self.root).expect("an intermediate"))
    }
}

impl Leaf {
    /// What a server needs to show this leaf, in every version of TLS.
    pub(crate) fn server_config(&self, alpn: &[&[u8]]) -> Arc<ServerConfig> {
        self.server_config_with(alpn, rustls::ALL_VERSIONS, None)
    }

    /// The same for some versions, and with a client certificate demanded of that authority.
    pub(crate) fn server_config_with(
        &self,
        alpn: &[&[u8]],
        versions: &[&'static SupportedProtocolVersion],
        clients: Option<&Authority>,
    ) -> Arc<ServerConfig> {
        let builder = ServerConfig::builder_with_provider(provider())
            .with_protocol_versions(versions)
            .expect("versions that the provider has");
        let builder = match clients {
            None => builder.with_no_client_auth(),
            Some(authority) => builder.with_client_cert_verifier(
                WebPkiClientVerifier::builder_with_provider(
                    Arc::new(authority.roots()),
                    provider(),
                )
                .build()
                .expect("a verifier of client certificates"),
            ),
        };
        let key = PrivateKeyDer::from(PrivatePkcs8KeyDer::from(self.key.serialize_der()));
        let mut config =
            builder.with_single_cert(self.chain.clone(), key).expect("a certificate with its key");
        config.alpn_protocols = alpn.iter().map(|protocol| protocol.to_vec()).collect();
        Arc::new(config)
    }

    /// The chain as a server or a client sends it.
    pub(crate) fn chain(&self) -> &[CertificateDer<'static>] {
        &self.chain
    }

    /// The same, PEM.
    pub(crate) fn chain_pem(&self) -> &str {
        &self.chain_pem
    }

    /// The key, in PKCS #8.
    pub(crate) fn key_pem(&self) -> String {
        self.key.serialize_pem()
    }
}

#[expect(clippy::disallowed_methods, reason = "what is valid until tomorrow is made today")]
fn after_today(days: i64) -> SystemTime {
    let distance = Duration::from_secs(24 * 3600 * days.unsigned_abs());
    let today = SystemTime::now();
    if days < 0 { today - distance } else { today + distance }
}

/// A timestamp of that log (RFC 6962 3.2): version, log, time, no extensions, ECDSA with SHA-256 and
/// a signature of nothing.
fn timestamp(log: u8) -> Vec<u8> {
    [&[0][..], &[log; 32], &[0; 8], &[0, 0], &[4, 3], &sized(&[7; 70])].concat()
}

/// Two bytes of length, and the bytes.
fn sized(bytes: &[u8]) -> Vec<u8> {
    let length = u16::try_from(bytes.len()).expect("a short list").to_be_bytes();
    [&length[..], bytes].concat()
}

/// The provider is given wherever rustls asks for one: it would otherwise look for a process-wide default, which no test owns.
fn provider() -> Arc<CryptoProvider> {
    Arc::new(aws_lc_rs::default_provider())
}

fn key() -> KeyPair {
    KeyPair::generate_for(&rcgen::PKCS_ECDSA_P256_SHA256).expect("a P-256 key")
}

fn authority(common_name: &str) -> CertificateParams {
    let mut params = dated(CertificateParams::default(), common_name);
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    params
}

/// Good for both ends of TLS, so that the same call makes a client certificate.
fn leaf(names: &[&str]) -> CertificateParams {
    let names: Vec<String> = names.iter().copied().map(str::to_owned).collect();
    let common_name = names.first().cloned().unwrap_or_default();
    let mut params =
        dated(CertificateParams::new(names).expect("names that fit a certificate"), &common_name);
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    params.extended_key_usages =
        vec![ExtendedKeyUsagePurpose::ServerAuth, ExtendedKeyUsagePurpose::ClientAuth];
    params
}

fn dated(mut params: CertificateParams, common_name: &str) -> CertificateParams {
    params.distinguished_name.push(DnType::CommonName, common_name);
    params.use_authority_key_identifier_extension = true;
    params.not_before = date_time_ymd(2020, 1, 1);
    params.not_after = date_time_ymd(2199, 12, 31);
    params
}

fn sign(params: &CertificateParams, issuer: &Issuer<'_, KeyPair>, sent: Option<&Signer>) -> Leaf {
    let key = key();
    let certificate = params.signed_by(&key, issuer).expect("a leaf");
    let mut leaf =
        Leaf { chain: vec![certificate.der().clone()], chain_pem: certificate.pem(), key };
    if let Some(intermediate) = sent {
        leaf.chain.push(intermediate.der().clone());
        leaf.chain_pem.push_str(&intermediate.pem());
    }
    leaf
}
