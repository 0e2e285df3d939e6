//! Who may ask the web port, and how it speaks TLS: the web configuration of Prometheus's exporters, read with every
//! problem at once. It reads no file itself and answers nobody: the daemon does the first, the server the second.
//!
//! Names and meanings are those of exporter-toolkit's `docs/web-configuration.md`. What is not done here is named when
//! the file is read: a fault where leaving it out would weaken what was asked for, a warning where it would not.

mod clients;
mod tls;
mod users;

use std::sync::Arc;

use http::{HeaderName, HeaderValue};
use jiff::Timestamp;
use rustls::ServerConfig;

use crate::config::Problem;
use crate::config::yaml::{Files, Node, Reader};

pub use crate::config::yaml::FILE as FILE_LIMIT;
pub use users::{Hash, User};

/// What a web configuration asks for.
#[derive(Clone, Debug, Default)]
pub struct Web {
    /// How TLS is spoken; none: plain HTTP.
    pub tls: Option<Arc<ServerConfig>>,
    /// Until when the certificate counts.
    pub until: Option<Timestamp>,
    /// Which certificates of clients are asked for.
    pub clients: Clients,
    /// Headers of each answer.
    pub headers: Vec<(HeaderName, HeaderValue)>,
    /// Who may ask; empty: everybody.
    pub users: Vec<User>,
}

/// What a client's certificate proves.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Clients {
    /// None is asked for, or none is verified.
    #[default]
    Unproven,
    /// One that is shown is verified.
    IfGiven,
    /// Nobody is answered without one that is verified.
    Always,
}

/// Reads a file's text; what it names is read by `files`, which knows the folder that relative names begin in.
pub fn read(text: &str, files: Files<'_>) -> (Web, Vec<Problem>) {
    let mut reader = Reader::new(text, files);
    let web = reader.tree().map(|tree| reader.web(&tree)).unwrap_or_default();
    (web, reader.problems())
}

/// The headers that may be set, with their values where only those have a meaning.
const HEADERS: &[(&str, &[&str])] = &[
    ("Content-Security-Policy", &[]),
    ("X-Frame-Options", &["deny", "sameorigin"]),
    ("X-Content-Type-Options", &["nosniff"]),
    ("X-XSS-Protection", &[]),
    ("Strict-Transport-Security", &[]),
];

impl Reader<'_> {
    fn web(&mut self, tree: &Node) -> Web {
        let mut web = Web::default();
        for (key, value) in self.table(tree) {
            match key.value.as_str() {
                "tls_server_config" => {
                    let (tls, clients) = self.tls_server(&value);
                    let (tls, until) = tls.unzip();
                    (web.tls, web.until, web.clients) = (tls, until.flatten(), clients);
                }
                "http_server_config" => web.headers = self.http_server(&value),
                "basic_auth_users" => web.users = self.users(&value),
                "rate_limit" => self.rate_limit(&value),
                _ => self.unknown(
                    &key,
                    &["tls_server_config", "http_server_config", "basic_auth_users", "rate_limit"],
                ),
            }
        }
        web
    }

    fn http_server(&mut self, node: &Node) -> Vec<(HeaderName, HeaderValue)> {
        let mut headers = Vec::new();
        for (key, value) in self.table(node) {
            match key.value.as_str() {
                // HTTP/1.1 is what every client of the exporters speaks, too: nothing is lost.
                "http2" => {
                    self.truth(&value);
                }
                "headers" => {
                    for (name, value) in self.table(&value) {
                        let Some((_, values)) = HEADERS.iter().find(|(n, _)| *n == name.value)
                        else {
                            let known: Vec<&str> = HEADERS.iter().map(|(name, _)| *name).collect();
                            self.unknown(&name, &known);
                            continue;
                        };
                        headers.extend(self.header_line(&name.value, &value, values));
                    }
                }
                _ => self.unknown(&key, &["http2", "headers"]),
            }
        }
        headers
    }

    /// None where it is blank: then it is as it is without.
    fn header_line(
        &mut self,
        name: &str,
        node: &Node,
        values: &[&str],
    ) -> Option<(HeaderName, HeaderValue)> {
        let text = self.text(node);
        if text.is_empty() {
            return None;
        }
        if !values.is_empty() && !values.contains(&text.as_str()) {
            let what = format!("`{text}` is no value of {name}");
            self.fault(node, what, format!("known here: {}", values.join(", ")));
            return None;
        }
        match (name.parse(), HeaderValue::from_str(&text)) {
            (Ok(name), Ok(value)) => Some((name, value)),
            _ => {
                self.fault(node, "no header can carry this", "write one line of printable text");
                None
            }
        }
    }

    fn rate_limit(&mut self, node: &Node) {
        let off = |(key, value): &(serde_saphyr::Spanned<String>, Node)| {
            let text = value.value.text().unwrap_or_default();
            key.value != "interval"
                || text.is_empty()
                || text.trim_end_matches(char::is_alphabetic) == "0"
        };
        if !self.table(node).iter().all(off) {
            let what = "`rate_limit` is not supported: connections and logins are bounded for each address instead";
            self.fault(node, what, "take it out; a reverse proxy in front can limit rates");
        }
    }
}
