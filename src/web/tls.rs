//! `tls_server_config`: from names as Go has them and PEM to a rustls configuration.

use std::collections::BTreeMap;
use std::sync::Arc;

use jiff::Timestamp;
use rustls::crypto::aws_lc_rs::{cipher_suite, default_provider, kx_group};
use rustls::crypto::{CryptoProvider, SupportedKxGroup};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::{NoServerSessionStorage, WebPkiClientVerifier};
use rustls::{RootCertStore, ServerConfig, SupportedCipherSuite, version};

use super::Clients;
use super::clients::{Judge, Policy, end_of};
use crate::config::yaml::{Node, Reader};

const KEYS: &[&str] = &[
    "cert",
    "key",
    "client_ca",
    "cert_file",
    "key_file",
    "client_auth_type",
    "client_ca_file",
    "client_allowed_sans",
    "min_version",
    "max_version",
    "cipher_suites",
    "prefer_server_cipher_suites",
    "curve_preferences",
];

/// Suites of TLS 1.2 by the names that IANA and Go give them.
const SUITES: &[(&str, SupportedCipherSuite)] = &[
    (
        "TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256",
        cipher_suite::TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256,
    ),
    (
        "TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384",
        cipher_suite::TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384,
    ),
    (
        "TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256",
        cipher_suite::TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256,
    ),
    ("TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256", cipher_suite::TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256),
    ("TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384", cipher_suite::TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384),
    (
        "TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256",
        cipher_suite::TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256,
    ),
];

/// Those of TLS 1.3, which are on whatever a list says, as in Go.
const SUITES_13: &[(&str, SupportedCipherSuite)] = &[
    ("TLS_AES_128_GCM_SHA256", cipher_suite::TLS13_AES_128_GCM_SHA256),
    ("TLS_AES_256_GCM_SHA384", cipher_suite::TLS13_AES_256_GCM_SHA384),
    ("TLS_CHACHA20_POLY1305_SHA256", cipher_suite::TLS13_CHACHA20_POLY1305_SHA256),
];

const CURVES: &[(&str, &dyn SupportedKxGroup)] = &[
    ("X25519MLKEM768", kx_group::X25519MLKEM768),
    ("X25519", kx_group::X25519),
    ("CurveP256", kx_group::SECP256R1),
    ("CurveP384", kx_group::SECP384R1),
];

const VERSIONS: &[(&str, u8)] = &[("TLS10", 0), ("TLS11", 1), ("TLS12", 2), ("TLS13", 3)];

type Tls = (Arc<ServerConfig>, Option<Timestamp>);
type Seen = BTreeMap<String, Node>;

impl Reader<'_> {
    /// None of a table with nothing in it; beside it the end of the certificate's time.
    pub(super) fn tls_server(&mut self, node: &Node) -> (Option<Tls>, Clients) {
        let mut seen = Seen::new();
        for (key, value) in self.table(node) {
            if KEYS.contains(&key.value.as_str()) {
                seen.insert(key.value, value);
            } else {
                self.unknown(&key, KEYS);
            }
        }
        if seen.is_empty() {
            return (None, Clients::Unproven);
        }
        let provider = Arc::new(self.provider(&seen));
        let versions = self.versions(&seen);
        let pair = [("cert", "cert_file"), ("key", "key_file")]
            .map(|names| self.pem(node, &seen, names, "TLS is asked for"));
        let (policy, judge) = self.clients(&seen, &provider);
        let clients = match policy {
            Policy::RequireAndVerify => Clients::Always,
            Policy::VerifyIfGiven => Clients::IfGiven,
            Policy::None | Policy::Request | Policy::RequireAny => Clients::Unproven,
        };
        let [Some((chain, _)), Some((key, at))] = pair else { return (None, clients) };
        let (Some(chain), Some(key)) = (self.chain(&chain, node, &seen), self.key(&key, &at))
        else {
            return (None, clients);
        };
        let usable = provider
            .cipher_suites
            .iter()
            .any(|suite| versions.iter().any(|version| version.version == suite.version().version));
        if !usable {
            // Its fault was told with the suites or the versions.
            return (None, clients);
        }
        let builder =
            match ServerConfig::builder_with_provider(provider).with_protocol_versions(&versions) {
                Ok(builder) => builder,
                Err(error) => {
                    self.fault(node, format!("no TLS can be made of this: {error}"), "offer more");
                    return (None, clients);
                }
            };
        let end = chain.first().and_then(end_of);
        let builder = match judge {
            Some(judge) => builder.with_client_cert_verifier(Arc::new(judge)),
            None => builder.with_no_client_auth(),
        };
        match builder.with_single_cert(chain, key) {
            Ok(config) => (Some((Arc::new(self.settled(config, &seen)), end)), clients),
            Err(error) => {
                let what = format!("certificate and key cannot be used together: {error}");
                self.fault(&at, what, "give the key that the first certificate was made for");
                (None, clients)
            }
        }
    }

    fn settled(&mut self, mut config: ServerConfig, seen: &Seen) -> ServerConfig {
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        config.ignore_client_order =
            seen.get("prefer_server_cipher_suites").is_none_or(|node| self.truth(node));
        // Who resumes shows no certificate again: one that has expired since would go on counting. Scrapers keep their
        // connections, so that little is saved.
        config.session_storage = Arc::new(NoServerSessionStorage {});
        config.send_tls13_tickets = 0;
        config
    }

    /// The bytes that stand in the one or in the file that the other names, and where.
    fn pem(
        &mut self,
        table: &Node,
        seen: &Seen,
        (inline, file): (&str, &str),
        needed: &str,
    ) -> Option<(Vec<u8>, Node)> {
        let given = |key: &str| seen.get(key).filter(|node| node.value.text() != Some(""));
        match (given(inline), given(file)) {
            (Some(_), Some(at)) => {
                self.fault(
                    at,
                    format!("`{inline}` and `{file}` are both given"),
                    "take one of them out",
                );
                None
            }
            (Some(at), None) => Some((self.text(at).into_bytes(), at.clone())),
            (None, Some(at)) => {
                let path = std::path::PathBuf::from(self.text(at));
                match (self.files)(&path) {
                    Ok(bytes) => Some((bytes, at.clone())),
                    Err(why) => {
                        let what = format!("{}: {why}", path.display());
                        self.fault(
                            at,
                            what,
                            "correct the name, relative to this file's folder, or the permissions",
                        );
                        None
                    }
                }
            }
            (None, None) => {
                if !needed.is_empty() {
                    let what = format!("{needed}, and there is neither `{file}` nor `{inline}`");
                    self.fault(table, what, format!("add {file}: FILE.pem"));
                }
                None
            }
        }
    }

    fn chain(
        &mut self,
        pem: &[u8],
        table: &Node,
        seen: &Seen,
    ) -> Option<Vec<CertificateDer<'static>>> {
        let chain: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(pem).collect();
        match chain {
            Ok(chain) if !chain.is_empty() => Some(chain),
            Ok(_) | Err(_) => {
                let at = seen.get("cert_file").or_else(|| seen.get("cert")).unwrap_or(table);
                self.fault(
                    at,
                    "there is no certificate in it",
                    "give PEM: -----BEGIN CERTIFICATE-----",
                );
                None
            }
        }
    }

    fn key(&mut self, pem: &[u8], at: &Node) -> Option<PrivateKeyDer<'static>> {
        if let Ok(key) = PrivateKeyDer::from_pem_slice(pem) {
            return Some(key);
        }
        let text = String::from_utf8_lossy(pem);
        if text.contains("ENCRYPTED") {
            let help = "decrypt it: openssl pkey -in KEY -out PLAIN; a credential of systemd can be encrypted";
            self.fault(at, "the key is encrypted, and nobody could type its passphrase", help);
        } else {
            self.fault(at, "there is no key in it", "give PEM: -----BEGIN PRIVATE KEY-----");
        }
        None
    }

    fn clients(&mut self, seen: &Seen, provider: &Arc<CryptoProvider>) -> (Policy, Option<Judge>) {
        let policy = seen.get("client_auth_type").and_then(|node| {
            let names: Vec<&str> = Policy::NAMES.iter().map(|(name, _)| *name).collect();
            let help = format!("known here: {}", names.join(", "));
            self.parsed(node, ("client_auth_type", &help), |text| {
                // As exporter-toolkit once had it.
                let text = if text == "RequireClientCert" { "RequireAnyClientCert" } else { text };
                if text.is_empty() {
                    return Some(Policy::None);
                }
                Policy::NAMES.iter().find(|(name, _)| *name == text).map(|(_, policy)| *policy)
            })
        });
        let policy = policy.unwrap_or(Policy::None);
        let Some(first) =
            ["client_auth_type", "client_ca_file", "client_ca", "client_allowed_sans"]
                .iter()
                .find_map(|key| seen.get(*key))
        else {
            return (policy, None);
        };
        let wanted = if policy.verifies() { "clients are to be verified" } else { "" };
        let roots = self.pem(first, seen, ("client_ca", "client_ca_file"), wanted);
        if roots.is_some() && policy == Policy::None {
            let help = "write client_auth_type: RequireAndVerifyClientCert";
            self.fault(
                first,
                "a client CA is given, and no client_auth_type asks for certificates",
                help,
            );
        }
        let names = seen.get("client_allowed_sans").map(|node| self.texts(node));
        if names.is_some() && !policy.requires() {
            let help = "write client_auth_type: RequireAndVerifyClientCert";
            self.fault(
                first,
                "client_allowed_sans counts only where a certificate is required",
                help,
            );
        }
        if matches!(policy, Policy::Request | Policy::RequireAny) {
            let what = "this proves nothing: anybody can make such a certificate";
            self.warn(first, what, "write client_auth_type: RequireAndVerifyClientCert");
        }
        if policy == Policy::None {
            return (policy, None);
        }
        let chain = if policy.verifies() {
            let Some(chain) = roots.and_then(|(pem, at)| self.roots(&pem, &at, provider)) else {
                return (policy, None);
            };
            Some(chain)
        } else {
            None
        };
        let (requires, names) = (policy.requires(), names.unwrap_or_default());
        (policy, Some(Judge { provider: Arc::clone(provider), chain, requires, names }))
    }

    fn roots(
        &mut self,
        pem: &[u8],
        at: &Node,
        provider: &Arc<CryptoProvider>,
    ) -> Option<Arc<dyn rustls::server::danger::ClientCertVerifier>> {
        let mut roots = RootCertStore::empty();
        let (added, _) = roots
            .add_parsable_certificates(CertificateDer::pem_slice_iter(pem).filter_map(Result::ok));
        if added == 0 {
            self.fault(at, "there is no CA in it", "give PEM: -----BEGIN CERTIFICATE-----");
            return None;
        }
        // Whether one must be shown is the policy's to say.
        WebPkiClientVerifier::builder_with_provider(Arc::new(roots), Arc::clone(provider))
            .build()
            .map_err(|error| self.fault(at, error.to_string(), "give the CA of the clients"))
            .ok()
            .map(|verifier| verifier as _)
    }

    fn versions(&mut self, seen: &Seen) -> Vec<&'static rustls::SupportedProtocolVersion> {
        let mut of = |key: &str, usual: u8| {
            let node = seen.get(key)?;
            let kind = ("version", "write TLS12 or TLS13");
            let parse =
                |text: &str| VERSIONS.iter().find(|(name, _)| *name == text).map(|(_, n)| *n);
            if node.value.text() == Some("") {
                return Some((usual, node.clone()));
            }
            Some((self.parsed(node, kind, parse).unwrap_or(usual), node.clone()))
        };
        let (least, most) = (of("min_version", 2), of("max_version", 3));
        if let Some((0 | 1, at)) = &least {
            let what = "TLS 1.0 and 1.1 are not spoken here: it begins with TLS 1.2";
            self.warn(at, what, "write min_version: TLS12");
        }
        let (least, most) =
            (least.map_or(2, |(n, _)| n.max(2)), most.map_or((3, None), |(n, at)| (n, Some(at))));
        if let (most, Some(at)) = &most
            && *most < least
        {
            let what = if *most < 2 {
                "TLS 1.0 and 1.1 are not spoken here"
            } else {
                "max_version is below min_version"
            };
            self.fault(at, what, "write max_version: TLS13");
        }
        [(2, &version::TLS12), (3, &version::TLS13)]
            .into_iter()
            .filter(|(number, _)| (least..=most.0).contains(number))
            .map(|(_, version)| version)
            .collect()
    }

    /// The suites and groups that are offered.
    fn provider(&mut self, seen: &Seen) -> CryptoProvider {
        let mut provider = default_provider();
        if let Some(node) = seen.get("cipher_suites").filter(|node| node.value.list() != Some(&[]))
        {
            let mut chosen = Vec::new();
            for one in self.list(node) {
                let name = self.text(&one);
                if let Some((_, suite)) = SUITES.iter().find(|(known, _)| *known == name) {
                    chosen.push(*suite);
                } else if !SUITES_13.iter().any(|(known, _)| *known == name) {
                    let names: Vec<&str> = SUITES.iter().map(|(name, _)| *name).collect();
                    let help = format!("offered here: {}", names.join(", "));
                    if name.contains("_CBC_") || name.starts_with("TLS_RSA_") {
                        let what =
                            format!("{name} is not offered: it has no forward secrecy, or is CBC");
                        self.warn(&one, what, help);
                    } else {
                        self.fault(&one, format!("`{name}` is no cipher suite"), help);
                    }
                }
            }
            let only_12 =
                seen.get("max_version").and_then(|node| node.value.text()) == Some("TLS12");
            if chosen.is_empty() && only_12 {
                self.fault(node, "no suite of TLS 1.2 is left", "take cipher_suites out");
            }
            provider.cipher_suites =
                SUITES_13.iter().map(|(_, suite)| *suite).chain(chosen).collect();
        }
        if let Some(node) =
            seen.get("curve_preferences").filter(|node| node.value.list() != Some(&[]))
        {
            let mut chosen = Vec::new();
            for one in self.list(node) {
                let name = self.text(&one);
                let help = "offered here: X25519MLKEM768, X25519, CurveP256, CurveP384";
                match CURVES.iter().find(|(known, _)| *known == name) {
                    Some((_, group)) => chosen.push(*group),
                    None if name == "CurveP521" => {
                        self.warn(&one, "CurveP521 is not offered here", help);
                    }
                    None => self.fault(&one, format!("`{name}` is no curve"), help),
                }
            }
            if chosen.is_empty() {
                self.fault(node, "no curve is left", "take curve_preferences out");
            } else {
                provider.kx_groups = chosen;
            }
        }
        provider
    }
}
