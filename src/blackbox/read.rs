//! From the text of a modules file to modules, with every problem at once: what is wrong is a fault, what is not done
//! here is a warning, and its module is refused.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use url::Host;

use super::{Http, May, Module, Modules, shown};
use crate::config::Problem;
use crate::config::yaml::{Files, Node, Reader, Value};
use crate::observation::Range;
use crate::provider::Provider;

/// The keys of a module's `http` block that blackbox_exporter knows.
const HTTP: &[&str] = &[
    "method",
    "headers",
    "http_headers",
    "body",
    "body_file",
    "valid_status_codes",
    "valid_http_versions",
    "fail_if_ssl",
    "fail_if_not_ssl",
    "fail_if_body_matches_regexp",
    "fail_if_body_not_matches_regexp",
    "fail_if_body_json_matches_cel",
    "fail_if_body_json_not_matches_cel",
    "fail_if_header_matches",
    "fail_if_header_not_matches",
    "preferred_ip_protocol",
    "ip_protocol_fallback",
    "skip_resolve_phase_with_proxy",
    "no_follow_redirects",
    "follow_redirects",
    "enable_http2",
    "enable_http3",
    "compression",
    "body_size_limit",
    "proxy_url",
    "no_proxy",
    "proxy_from_environment",
    "proxy_connect_header",
    "tls_config",
    "basic_auth",
    "bearer_token",
    "bearer_token_file",
    "authorization",
    "oauth2",
];

/// Reads a file's text; what its modules name is read by `files`.
pub fn read(text: &str, files: Files<'_>) -> (Modules, Vec<Problem>) {
    let mut reader = Reader::new(text, files);
    let modules = reader.tree().map(|tree| reader.file(&tree)).unwrap_or_default();
    (modules, reader.problems())
}

impl Reader<'_> {
    /// What is not done here: the module is refused.
    pub(super) fn refuse(&mut self, at: &Node, key: &str, why: &str, help: &str) {
        let what = format!("`{key}` is not supported: {why}; this module is refused");
        self.warn(at, what, help);
        self.unsupported.push(format!("{key}: {why}"));
    }

    fn file(&mut self, tree: &Node) -> Modules {
        let (mut written, mut usual) = (Vec::new(), May::default());
        for (key, value) in self.table(tree) {
            match key.value.as_str() {
                "modules" => written = self.table(&value),
                "egressd" => usual = self.may(&value, May::default()),
                _ => self.unknown(&key, &["modules", "egressd"]),
            }
        }
        let mut modules = Modules::default();
        for (name, value) in written {
            let module = self.module(name.value, &value, &usual);
            modules.modules.push(Arc::new(module));
        }
        modules
    }

    fn module(&mut self, name: String, node: &Node, usual: &May) -> Module {
        let (mut timeout, mut may, mut http) = (None, usual.clone(), None);
        let mut prober = None;
        for (key, value) in self.table(node) {
            match key.value.as_str() {
                "prober" => prober = Some((self.text(&value), value)),
                "timeout" => timeout = self.duration(&value),
                "http" => http = Some(value),
                "egressd" => may = self.may(&value, may),
                // Those of other probers are not looked into: their module is refused as a whole.
                "tcp" | "dns" | "icmp" | "grpc" | "unix" | "websocket" => {}
                _ => self.unknown(
                    &key,
                    &["prober", "timeout", "http", "tcp", "dns", "icmp", "grpc", "egressd"],
                ),
            }
        }
        match prober {
            Some((prober, _)) if prober == "http" => {}
            Some((prober, at)) => match prober.as_str() {
                "tcp" | "dns" | "icmp" | "grpc" | "unix" | "websocket" => {
                    let help = "leave this module with blackbox_exporter";
                    self.refuse(&at, &format!("prober: {prober}"), "only http is done here", help);
                }
                _ => self.fault(&at, format!("`{prober}` is no prober"), "write http"),
            },
            None => self.fault(node, "the module says no prober", "add prober: http"),
        }
        let (http, differs) = match http {
            Some(http) => self.http(&http),
            None => (Http::default(), Vec::new()),
        };
        if may.hosts.is_empty() && self.unsupported.is_empty() {
            let what = format!("module `{name}` names no hosts: every probe by it is refused");
            let help = "add egressd: { hosts: [api.example.com, \"*.example.net\"] } to the module, or to the file";
            self.warn(node, what, help);
        }
        let unsupported = std::mem::take(&mut self.unsupported);
        Module { name, timeout, http, may, unsupported, differs, shown: shown::module(node) }
    }

    fn duration(&mut self, node: &Node) -> Option<Duration> {
        let kind = ("time", "write a number with its unit: 5s");
        self.parsed(node, kind, |text| humantime::parse_duration(text).ok())
    }

    /// egressd's own block; what is not in it is as in the one above it.
    fn may(&mut self, node: &Node, mut may: May) -> May {
        for (key, value) in self.table(node) {
            match key.value.as_str() {
                "hosts" => {
                    let hosts = self.texts(&value).into_iter();
                    may.hosts = hosts.map(|host| host.to_ascii_lowercase()).collect();
                }
                "ports" => {
                    let kind = ("port", "write a number from 1 to 65535");
                    let ports = self.list(&value);
                    let ports = ports.iter().filter_map(|port| {
                        self.parsed(port, kind, |text| text.parse().ok().filter(|port| *port > 0))
                    });
                    may.ports = ports.collect();
                }
                "networks" => {
                    let kind = ("network", "write an address, or ADDRESS/BITS");
                    let networks = self.list(&value);
                    let networks =
                        networks.iter().filter_map(|one| self.parsed(one, kind, Range::parse));
                    may.networks = networks.collect();
                }
                "route" => may.route = Some(self.text(&value)),
                "provider" => {
                    let names: Vec<&str> = Provider::ALL.iter().map(|one| one.facts().id).collect();
                    let help = format!("known here: {}", names.join(", "));
                    may.provider = self.parsed(&value, ("provider", &help), Provider::named);
                }
                _ => self.unknown(&key, &["hosts", "ports", "networks", "route", "provider"]),
            }
        }
        may
    }

    /// The `http` block, and what of it is done in another way.
    fn http(&mut self, node: &Node) -> (Http, Vec<String>) {
        let mut http = Http::default();
        let mut seen = BTreeMap::new();
        for (key, value) in self.table(node) {
            let name = key.value.as_str();
            let known = self.of_request(&mut http, name, &value)
                || self.of_answer(&mut http, name, &value)
                || self.of_way(&mut http, name, &value);
            if known {
                seen.insert(key.value, value);
            } else {
                self.unknown(&key, HTTP);
            }
        }
        self.through_a_proxy(&mut http, &seen);
        self.fits_together(&http, &seen);
        let follows = ["follow_redirects", "no_follow_redirects"];
        let follows = follows.iter().find_map(|key| Some((*key, seen.get(*key)?)));
        let off =
            follows.is_some_and(|(key, node)| node.value == Value::Bool(key != "follow_redirects"));
        let differs = (!off).then(|| "redirects are not followed".to_owned());
        (http, differs.into_iter().collect())
    }

    /// What must not stand beside each other.
    fn fits_together(&mut self, http: &Http, seen: &BTreeMap<String, Node>) {
        if let (Some(_), Some(file)) = (seen.get("body"), seen.get("body_file")) {
            self.fault(file, "`body` and `body_file` are both given", "take one of them out");
        }
        let logins = ["basic_auth", "bearer_token", "bearer_token_file", "authorization"];
        let mut logins = logins.iter().filter_map(|key| seen.get(*key));
        if let (Some(_), Some(second)) = (logins.next(), logins.next()) {
            self.fault(second, "two logins are given", "take one of them out");
        }
        if let Some(tls) = seen.get("tls_config").filter(|_| http.tls.any_chain)
            && http.headers.iter().any(super::Header::is_secret)
        {
            let why = "a secret goes only over a chain that verifies";
            let help = "take insecure_skip_verify out, and name the CA: ca_file";
            self.refuse(tls, "insecure_skip_verify", why, help);
        }
    }

    /// How it goes there.
    fn of_way(&mut self, http: &mut Http, key: &str, value: &Node) -> bool {
        match key {
            "preferred_ip_protocol" => {
                let kind = ("protocol", "write ip4 or ip6");
                let parse = |text: &str| ["ip6", "ip4"].iter().position(|known| *known == text);
                http.ipv4 = self.parsed(value, kind, parse) == Some(1);
            }
            "ip_protocol_fallback" => http.no_fallback = !self.truth(value),
            "no_follow_redirects" | "skip_resolve_phase_with_proxy" => {
                self.truth(value);
            }
            "follow_redirects" => {
                if self.truth(value) {
                    let what = "redirects are not followed: a 3xx is a failure unless valid_status_codes has it";
                    self.warn(value, what, "write follow_redirects: false, and the URL at its end");
                }
            }
            "enable_http2" => http.http1 = !self.truth(value),
            "enable_http3" => {
                if self.truth(value) {
                    self.refuse(value, key, "HTTP/3 is not spoken here", "take it out");
                }
            }
            "tls_config" => self.tls(&mut http.tls, value),
            "proxy_from_environment" => {
                if self.truth(value) {
                    let help = "write egressd: { route: NAME } of a [[route]] with proxy = \"environment\"";
                    self.refuse(value, key, "the environment is read for routes alone", help);
                }
            }
            // Those are read together, when all of them are known.
            "proxy_url" | "no_proxy" | "proxy_connect_header" => {}
            _ => return false,
        }
        true
    }
}

/// A name for TLS or a proxy.
pub(super) fn host(text: &str) -> Option<Host<String>> {
    Host::parse(text).ok()
}
