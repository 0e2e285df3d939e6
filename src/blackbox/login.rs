//! What a module sends, and what it proves itself with: request, logins, TLS, its own proxy.
//!
//! Secrets in files are read when they are used; certificates when the file is read.

use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::Bytes;
use data_encoding::BASE64;
use http::{HeaderName, HeaderValue, Method};
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;

use super::read::host;
use super::{Header, Http, Kept, TlsOwn, in_file};
use crate::config::Secret;
use crate::config::yaml::{Node, Reader};
use crate::plan::{ClientCert, Trust, route_through};

impl Reader<'_> {
    /// What is sent.
    pub(super) fn of_request(&mut self, http: &mut Http, key: &str, value: &Node) -> bool {
        match key {
            "method" => {
                let kind = ("method", "write GET, HEAD or POST");
                let parse = |text: &str| Method::from_bytes(text.as_bytes()).ok();
                http.method = self.parsed(value, kind, parse).unwrap_or_default();
            }
            "headers" => {
                for (name, value) in self.table(value) {
                    let text = self.text(&value);
                    self.header(http, &name.value, (text, &value), false);
                }
            }
            "http_headers" => {
                for (name, value) in self.table(value) {
                    if self.is_name(&name.value, &value) {
                        self.header_of(http, &name.value, &value);
                    }
                }
            }
            "body" => {
                let body = self.text(value);
                http.body = (!body.is_empty()).then(|| Bytes::from(body));
            }
            "body_file" => http.body = self.content(value).map(|(_, bytes)| Bytes::from(bytes)),
            "basic_auth" => self.basic(http, value),
            "bearer_token" => {
                let value = format!("Bearer {}", self.text(value));
                http.headers.push(authorization(Kept::Secret(Secret::new(value))));
            }
            "bearer_token_file" => {
                let source = in_file(self.text(value).into());
                http.headers.push(authorization(Kept::File("Bearer ".to_owned(), source)));
            }
            "authorization" => self.authorization(http, value),
            "oauth2" => {
                let help = "take the token from a file: authorization: { credentials_file: PATH }";
                self.refuse(value, key, "no token is fetched here", help);
            }
            _ => return false,
        }
        true
    }

    /// One value of a header, kept as its name asks for.
    fn header(&mut self, http: &mut Http, name: &str, (text, at): (String, &Node), secret: bool) {
        if !self.is_name(name, at) || !self.is_line(name, &text, at) {
            return;
        }
        let name = name.to_ascii_lowercase();
        if name == "host" {
            http.host = Some(text);
            return;
        }
        let secret = secret || Secret::is_named(&name);
        let value = if secret { Kept::Secret(Secret::new(text)) } else { Kept::Plain(text) };
        http.headers.push(Header { name, value });
    }

    /// Whether a header may have this name; else it is said.
    fn is_name(&mut self, name: &str, at: &Node) -> bool {
        // RFC 9112 6: what says where a message ends is the sender's to say.
        let framing = ["content-length", "transfer-encoding"];
        if framing.iter().any(|own| name.eq_ignore_ascii_case(own)) {
            self.fault(at, format!("`{name}` follows from the body"), "take it out");
            return false;
        }
        let sound = HeaderName::try_from(name).is_ok();
        if !sound {
            let what = format!("`{}` cannot be sent as a header", name.escape_default());
            self.fault(at, what, "write printable characters on one line");
        }
        sound
    }

    /// Whether a header may carry this; else it is said, and what it carries is not.
    fn is_line(&mut self, name: &str, text: &str, at: &Node) -> bool {
        let sound = HeaderValue::try_from(text).is_ok();
        if !sound {
            let what = format!("`{name}` cannot be sent as a header");
            self.fault(at, what, "write printable characters on one line");
        }
        sound
    }

    fn header_of(&mut self, http: &mut Http, name: &str, node: &Node) {
        for (key, value) in self.table(node) {
            match key.value.as_str() {
                kind @ ("values" | "secrets") => {
                    for one in self.list(&value) {
                        let text = self.text(&one);
                        self.header(http, name, (text, &one), kind == "secrets");
                    }
                }
                "files" => {
                    for file in self.texts(&value) {
                        let value = Kept::File(String::new(), in_file(file.into()));
                        http.headers.push(Header { name: name.to_ascii_lowercase(), value });
                    }
                }
                _ => self.unknown(&key, &["values", "secrets", "files"]),
            }
        }
    }

    fn basic(&mut self, http: &mut Http, node: &Node) {
        let (mut user, mut password, mut file) = (String::new(), String::new(), None);
        for (key, value) in self.table(node) {
            match key.value.as_str() {
                "username" => user = self.text(&value),
                "password" => password = self.text(&value),
                "password_file" => file = Some(self.text(&value)),
                "username_file" => {
                    let bytes = self.content(&value).map(|(_, bytes)| bytes).unwrap_or_default();
                    String::from_utf8_lossy(&bytes).trim_end().clone_into(&mut user);
                }
                "username_ref" | "password_ref" => {
                    self.refuse(
                        &value,
                        &key.value,
                        "there is no secret manager here",
                        "use a file",
                    );
                }
                _ => self.unknown(&key, &["username", "password", "password_file"]),
            }
        }
        http.headers.push(authorization(match file {
            Some(file) => Kept::Basic(user, in_file(file.into())),
            None => Kept::Secret(basic(&user, &password)),
        }));
    }

    fn authorization(&mut self, http: &mut Http, node: &Node) {
        let (mut scheme, mut value_, mut file) = ("Bearer".to_owned(), String::new(), None);
        for (key, value) in self.table(node) {
            match key.value.as_str() {
                "type" => scheme = self.text(&value),
                "credentials" => value_ = self.text(&value),
                "credentials_file" => file = Some(self.text(&value)),
                "credentials_ref" => {
                    self.refuse(
                        &value,
                        &key.value,
                        "there is no secret manager here",
                        "use a file",
                    );
                }
                _ => self.unknown(&key, &["type", "credentials", "credentials_file"]),
            }
        }
        http.headers.push(authorization(match file {
            Some(file) => Kept::File(format!("{scheme} "), in_file(file.into())),
            None => Kept::Secret(Secret::new(format!("{scheme} {value_}"))),
        }));
    }

    /// `tls_config`. As in Go, a `ca_file` stands in the place of all other roots.
    pub(super) fn tls(&mut self, tls: &mut TlsOwn, node: &Node) {
        let (mut cert, mut key_file) = (None, None);
        for (key, value) in self.table(node) {
            match key.value.as_str() {
                "ca_file" => {
                    tls.trust = self.certificates(&value).map(|(path, organisation)| {
                        let (also, files) = (Vec::new(), vec![path]);
                        let public = Some(Vec::new());
                        Arc::new(Trust { system: None, organisation, public, also, files })
                    });
                }
                "cert_file" => cert = self.certificates(&value),
                "key_file" => key_file = Some(in_file(self.text(&value).into())),
                "server_name" => {
                    tls.server_name = self.parsed(&value, ("host", "write a host name"), host);
                }
                "insecure_skip_verify" => tls.any_chain = self.truth(&value),
                name @ ("min_version" | "max_version") => {
                    let version = self.text(&value);
                    match (name, version.as_str()) {
                        ("min_version", "TLS12") | ("max_version", "TLS13") => {}
                        ("max_version", "TLS12") => tls.tls12_only = true,
                        _ => {
                            let why = format!("{name}: {version}");
                            let help =
                                "min_version: TLS12 and max_version: TLS12 or TLS13 are known";
                            self.refuse(&value, &why, "TLS 1.2 and 1.3 are offered here", help);
                        }
                    }
                }
                name @ ("ca" | "cert" | "key" | "ca_ref" | "cert_ref" | "key_ref") => {
                    let help = format!("write it to a file, and name that: {name}_file");
                    self.refuse(&value, name, "certificates are read from files", &help);
                }
                _ => self.unknown(
                    &key,
                    &["ca_file", "cert_file", "key_file", "server_name", "insecure_skip_verify"],
                ),
            }
        }
        match (cert, key_file) {
            (Some((file, certificates)), Some(key)) => {
                tls.client = Some(ClientCert { file, certificates, key });
            }
            (None, None) => {}
            _ => self.fault(node, "cert_file and key_file go together", "give both"),
        }
    }

    fn certificates(&mut self, node: &Node) -> Option<(std::path::PathBuf, Vec<Vec<u8>>)> {
        let (path, bytes) = self.content(node)?;
        let found = CertificateDer::pem_slice_iter(&bytes).filter_map(Result::ok);
        let found: Vec<Vec<u8>> = found.map(|der| der.as_ref().to_vec()).collect();
        if found.is_empty() {
            let what = format!("{} holds no certificate", path.display());
            self.fault(node, what, "give a PEM file with at least one CERTIFICATE");
            return None;
        }
        Some((path, found))
    }

    /// The module's own proxy, with the headers of its CONNECT.
    pub(super) fn through_a_proxy(&mut self, http: &mut Http, seen: &BTreeMap<String, Node>) {
        if let Some(node) = seen.get("no_proxy") {
            http.no_proxy = self.text(node);
        }
        let mut headers = Vec::new();
        if let Some(node) = seen.get("proxy_connect_header") {
            for (name, values) in self.table(node) {
                for value in self.texts(&values) {
                    if self.is_name(&name.value, &values)
                        && self.is_line(&name.value, &value, &values)
                    {
                        headers.push((name.value.to_ascii_lowercase(), value));
                    }
                }
            }
        }
        let Some(node) = seen.get("proxy_url") else { return };
        let url = self.text(node);
        if url.is_empty() {
            return;
        }
        match route_through("proxy", &url, &headers) {
            Ok(route) => http.proxy = Some(route),
            Err(why) => self.fault(node, format!("proxy_url: {why}"), "write http://HOST:PORT"),
        }
    }
}

/// RFC 7617 2.
pub(super) fn basic(user: &str, password: &str) -> Secret {
    Secret::new(format!("Basic {}", BASE64.encode(format!("{user}:{password}").as_bytes())))
}

fn authorization(value: Kept) -> Header {
    Header { name: "authorization".to_owned(), value }
}
