//! The modules of `/probe`: blackbox_exporter's own file read, its conditions judged, its metrics named. It walks no
//! trip and reads no file: the daemon does, with the plan that is made here.
//!
//! What a module may reach stands in the block `egressd`, which blackbox_exporter does not have: without one it may
//! reach nothing. What cannot be done as blackbox_exporter does it is named when the file is read, and the module
//! that asks for it is refused; the others go on.

mod ask;
mod debug;
mod judge;
mod login;
mod metrics;
mod read;
mod shown;
mod wants;

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::Method;
use regex::Regex;
use url::Host;

use crate::config::{Secret, SecretSource, plain};
use crate::observation::Range;
use crate::plan::{ClientCert, Route, Trust};
use crate::provider::Provider;

pub use crate::config::yaml::FILE as FILE_LIMIT;
pub use ask::{Query, Refusal, planned, time_for};
pub use debug::text as debug_text;
pub use judge::{Judged, judge};
pub use metrics::{CONTENT_TYPE, Numbers, families, render};
pub use read::read;

/// The module that is meant where none is named.
pub const DEFAULT: &str = "http_2xx";

/// All modules of a file.
#[derive(Clone, Debug, Default)]
pub struct Modules {
    /// In the file's order.
    pub modules: Vec<Arc<Module>>,
}

impl Modules {
    /// The module of a name.
    pub fn get(&self, name: &str) -> Option<&Arc<Module>> {
        self.modules.iter().find(|module| module.name == name)
    }
}

/// What each may reach, for the plan that is printed.
impl fmt::Display for Modules {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "\n/probe: a request for each scrape by a module, at most 4 at once")?;
        for module in &self.modules {
            let May { hosts, ports, networks, route, .. } = &module.may;
            let name = plain(&module.name);
            if !module.unsupported.is_empty() || hosts.is_empty() {
                writeln!(f, "  {name}: nothing, every probe is refused")?;
                continue;
            }
            let usual = [80, 443];
            let ports = if ports.is_empty() { &usual[..] } else { ports.as_slice() };
            let ports: Vec<String> = ports.iter().map(ToString::to_string).collect();
            let mut reach = vec!["public addresses".to_owned()];
            reach.extend(networks.iter().map(|range| format!("{}/{}", range.network, range.bits)));
            let route = match (&module.http.proxy, route) {
                (Some(own), _) => own.proxy().map(ToString::to_string).unwrap_or_default(),
                (None, route) => route.clone().unwrap_or_else(|| "direct".to_owned()),
            };
            let (ports, reach) = (ports.join(", "), reach.join(", "));
            let (hosts, route) = (plain(&hosts.join(", ")), plain(&route));
            let method = &module.http.method;
            writeln!(f, "  {name}: {method} to {hosts} · ports {ports} · {reach} · {route}")?;
        }
        Ok(())
    }
}

/// One module.
#[derive(Clone, Debug)]
pub struct Module {
    /// Its name.
    pub name: String,
    /// The longest that a probe may take.
    pub timeout: Option<Duration>,
    /// What an HTTP probe does.
    pub http: Http,
    /// What it may reach.
    pub may: May,
    /// What it asks for and is not done here; with any of it the module is refused.
    pub unsupported: Vec<String>,
    /// What is done in another way than blackbox_exporter does it, for people.
    pub differs: Vec<String>,
    /// The module for people, secrets hidden.
    pub shown: String,
}

/// What a module may reach.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct May {
    /// Host names, addresses, `*.example.com`, or `*`.
    pub hosts: Vec<String>,
    /// Ports; empty: 80 and 443.
    pub ports: Vec<u16>,
    /// Networks beside the public ones.
    pub networks: Vec<Range>,
    /// A route of the configuration; none: direct, or the module's own proxy.
    pub route: Option<String>,
    /// The API that answers there, where its mark is to be looked for.
    pub provider: Option<Provider>,
}

impl May {
    /// Whether a host is named.
    pub fn names(&self, host: &Host<String>) -> bool {
        let host = host.to_string().trim_matches(['[', ']']).to_ascii_lowercase();
        self.hosts.iter().any(|pattern| match pattern.strip_prefix("*.") {
            Some(parent) => host.strip_suffix(parent).is_some_and(|rest| rest.ends_with('.')),
            None => pattern == "*" || *pattern == host,
        })
    }

    /// Whether a port is named.
    pub fn opens(&self, port: u16) -> bool {
        if self.ports.is_empty() { [80, 443].contains(&port) } else { self.ports.contains(&port) }
    }
}

/// What an HTTP probe does, and what it wants.
#[derive(Clone, Debug, Default)]
#[expect(clippy::struct_excessive_bools, reason = "each is a key of the file")]
pub struct Http {
    /// What is done.
    pub method: Method,
    /// Headers, in the file's order.
    pub headers: Vec<Header>,
    /// The host that the request names.
    pub host: Option<String>,
    /// What is sent.
    pub body: Option<Bytes>,
    /// The statuses that count as success; empty: 200 to 299.
    pub statuses: Vec<u16>,
    /// The versions that do; empty: any.
    pub versions: Vec<String>,
    /// Whether TLS is a failure.
    pub fail_if_ssl: bool,
    /// Whether plain HTTP is one.
    pub fail_if_not_ssl: bool,
    /// A body that matches one of these is a failure.
    pub body_matches: Vec<Regex>,
    /// One that does not match all of these is, too.
    pub body_not_matches: Vec<Regex>,
    /// The same of headers.
    pub header_matches: Vec<HeaderRule>,
    /// The same of headers.
    pub header_not_matches: Vec<HeaderRule>,
    /// Whether IPv4 is preferred.
    pub ipv4: bool,
    /// Whether only the preferred family will do.
    pub no_fallback: bool,
    /// The module's own proxy.
    pub proxy: Option<Route>,
    /// The hosts that do not take it.
    pub no_proxy: String,
    /// Bytes of the body at most.
    pub size_limit: Option<u64>,
    /// Whether HTTP/2 is left out.
    pub http1: bool,
    /// TLS of its own.
    pub tls: TlsOwn,
}

/// The module's `tls_config`.
#[derive(Clone, Debug, Default)]
pub struct TlsOwn {
    /// The only roots that count.
    pub trust: Option<Arc<Trust>>,
    /// The certificate that is shown.
    pub client: Option<ClientCert>,
    /// The name that the certificate is judged for.
    pub server_name: Option<Host<String>>,
    /// Whether any certificate will do.
    pub any_chain: bool,
    /// Whether TLS 1.2 is the newest that is offered.
    pub tls12_only: bool,
}

/// A header of the request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Header {
    /// Its name, in lower case.
    pub name: String,
    /// What it carries.
    pub value: Kept,
}

/// What a header carries.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Kept {
    /// What anybody may see.
    Plain(String),
    /// What nobody may.
    Secret(Secret),
    /// A file's content, behind a scheme such as `Bearer `.
    File(String, SecretSource),
    /// A user's name, and the password in a file (RFC 7617).
    Basic(String, SecretSource),
}

/// A condition on a header.
#[derive(Clone, Debug)]
pub struct HeaderRule {
    /// Its name, in lower case.
    pub header: String,
    /// What its value is held against.
    pub regexp: Regex,
    /// Whether it may be missing.
    pub allow_missing: bool,
}

impl Header {
    /// Whether its value is one that nobody may see.
    pub fn is_secret(&self) -> bool {
        !matches!(self.value, Kept::Plain(_))
    }

    /// The file that its value is in.
    pub fn source(&self) -> Option<&SecretSource> {
        match &self.value {
            Kept::File(_, source) | Kept::Basic(_, source) => Some(source),
            Kept::Plain(_) | Kept::Secret(_) => None,
        }
    }
}

/// The file of a secret.
fn in_file(path: PathBuf) -> SecretSource {
    SecretSource { env: None, file: Some(path), credential: None }
}
