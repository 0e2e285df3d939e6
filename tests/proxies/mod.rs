//! The real binary through proxies that are not ours, its verdicts read. That a login was used counts by the other
//! side's log alone: squid's, the KDC's, tinyproxy's, the SOCKS servers'.

// What a refusal of squid means.
mod answers;
// Firewalls before and behind a proxy.
mod firewalls;
// Tickets, and why there is none.
#[cfg(feature = "kerberos")]
mod kerberos;
// Who has the password.
mod logins;
// A small proxy with answers of its own.
mod small;
// SOCKS servers.
mod socks;
// TLS before, inside and through a proxy.
mod tls;

use std::ffi::OsString;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::sync::Arc;

use serde_json::Value;

use crate::support::dns::{DnsServer, Zone};
use crate::support::ground::Ground;
use crate::support::http::Behaviour as Http;
use crate::support::program::{Finished, egressd};
use crate::support::tls::{Behaviour as Tls, TlsServer};

/// The target, another one beside it, and what the certificate of both says besides.
const NAME: &str = "api.corp.test";
const OTHER: &str = "other.corp.test";
const HERE: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);
/// What the proxies know of names: the two, and the control host.
const HOSTS: &[(&str, IpAddr)] = &[(NAME, HERE), (OTHER, HERE), ("localhost", HERE)];

/// A target, a control host and a resolver, for a proxy to stand before.
struct Stand {
    ground: Ground,
    api: TlsServer,
    dns: DnsServer,
}

impl Stand {
    fn new() -> Self {
        let ground = Ground::new();
        let leaf = Arc::new(ground.authority.leaf(&[NAME, OTHER, "127.0.0.1"]));
        let api = TlsServer::start(&leaf, Tls::Serve(Http::AnthropicUnauthorized));
        let zone = Zone::new().address(NAME, HERE).address(OTHER, HERE).address("proxy.test", HERE);
        Self { ground, api, dns: DnsServer::start(zone) }
    }

    fn port(&self) -> u16 {
        self.api.address().port()
    }

    /// A check through this proxy.
    fn by(&self, proxy: impl Into<String>) -> Check<'_> {
        Check {
            stand: self,
            proxy: proxy.into(),
            route: String::new(),
            trust: String::new(),
            targets: vec![(NAME.to_owned(), self.port())],
            provider: "generic",
            direct: false,
            timeout: "20s",
            environment: Vec::new(),
        }
    }

    fn through(&self, proxy: SocketAddr) -> Check<'_> {
        self.by(format!("http://{proxy}"))
    }
}

/// A check, as a user would configure it.
struct Check<'a> {
    stand: &'a Stand,
    proxy: String,
    /// Further lines of the route and of `[trust]`.
    route: String,
    trust: String,
    targets: Vec<(String, u16)>,
    provider: &'static str,
    direct: bool,
    timeout: &'static str,
    environment: Vec<(&'static str, OsString)>,
}

impl Check<'_> {
    /// With further lines of the route, as `auth = { … }`.
    fn with(mut self, lines: &str) -> Self {
        self.route.push_str(lines);
        self.route.push('\n');
        self
    }

    /// By a scheme with a password, which lies in a file.
    fn password(self, scheme: &str, user: &str, password: &str) -> Self {
        let file = self.stand.ground.folder.write("password", password);
        let secret = format!("password = {{ file = \"{}\" }}", file.display());
        self.with(&format!("auth = {{ scheme = \"{scheme}\", username = \"{user}\", {secret} }}"))
    }

    fn trusting(self, lines: String) -> Self {
        Self { trust: lines, ..self }
    }

    /// To that host instead.
    fn to(self, host: &str) -> Self {
        let port = self.stand.port();
        Self { targets: vec![(host.to_owned(), port)], ..self }
    }

    /// To that port of it.
    fn at_port(mut self, port: u16) -> Self {
        self.targets[0].1 = port;
        self
    }

    /// To that host too.
    fn and_to(mut self, host: &str) -> Self {
        self.targets.push((host.to_owned(), self.stand.port()));
        self
    }

    /// Without a proxy, too.
    fn and_direct(self) -> Self {
        Self { direct: true, ..self }
    }

    /// To that provider's host, by its name for it.
    fn of(self, provider: &'static str) -> Self {
        Self { provider, ..self }
    }

    /// Where something is going to be silent.
    fn within(self, timeout: &'static str) -> Self {
        Self { timeout, ..self }
    }

    fn env(mut self, name: &'static str, value: impl Into<OsString>) -> Self {
        self.environment.push((name, value.into()));
        self
    }

    /// Its configuration.
    fn file(&self) -> PathBuf {
        let Stand { ground, dns, .. } = self.stand;
        let mut text = format!(
            "{}[dns]\nservers = [\"{}\"]\n[[route]]\nname = \"corp\"\nproxy = \"{}\"\n{}",
            ground.tables_with(self.timeout, &self.trust),
            dns.address(),
            self.proxy,
            self.route
        );
        let routes = if self.direct { "\"corp\", \"direct\"" } else { "\"corp\"" };
        for (host, port) in &self.targets {
            text.push_str(&format!(
                "[[target]]\nname = \"{}\"\nurl = \"https://{host}:{port}/v1/models\"\nroutes = [{routes}]\n\
                 provider = \"{}\"\n",
                host.split('.').next().expect("a word"),
                self.provider
            ));
        }
        ground.folder.write("egressd.toml", &text)
    }

    fn run(&self, format: &str) -> Finished {
        let mut command = egressd();
        command.args(["check", "--format", format, "--config"]).arg(self.file());
        command.envs(self.environment.iter().map(|(name, value)| (name, value)));
        Finished::of(command.output().expect("it runs"))
    }

    fn verdict(self) -> Verdict {
        let finished = self.run("json");
        let document = serde_json::from_str(&finished.stdout);
        Verdict {
            code: finished.code,
            document: document.unwrap_or_else(|_| panic!("{finished:#?}")),
            proxy: self.proxy,
        }
    }
}

/// What it said.
struct Verdict {
    code: i32,
    document: Value,
    proxy: String,
}

impl Verdict {
    /// The check of the first target through the proxy.
    fn check(&self) -> &Value {
        self.of(0)
    }

    fn of(&self, check: usize) -> &Value {
        &self.document["checks"][check]
    }

    /// Cause, party, confidence, and the sentence, where `PROXY` stands for the proxy.
    #[track_caller]
    fn is(&self, cause: &str, party: &str, confidence: &str, says: &str) -> &Self {
        self.that(0, [cause, party, confidence], says)
    }

    /// The same of another check than the first.
    #[track_caller]
    fn that(&self, check: usize, expected: [&str; 3], says: &str) -> &Self {
        let check = self.of(check);
        let found = ["cause", "party", "confidence"].map(|key| check[key].as_str().unwrap_or("-"));
        assert_eq!(found, expected, "{check:#}");
        let shown = self.proxy.split("://").last().expect("a word");
        let summary = check["summary"].as_str().unwrap_or_default().replace(shown, "PROXY");
        let clause = summary.split_once(": ").map_or("", |(_, clause)| clause);
        assert_eq!(clause, says, "{check:#}");
        self
    }

    /// The way worked, and the target answered.
    #[track_caller]
    fn is_fine(&self) -> &Self {
        let check = self.check();
        assert_eq!((self.code, check["status"].as_str()), (0, Some("ok")), "{check:#}");
        assert_eq!(check["response"]["status"], 401, "{check:#}");
        self
    }

    /// What ended it at the proxy, as observed.
    fn failure(&self) -> &Value {
        &self.check()["observed"]["legs"][0]["stop"]["proxy"]
    }

    fn notes(&self) -> Vec<&str> {
        let notes = self.check()["notes"].as_array().expect("a list");
        notes.iter().filter_map(|note| note["cause"].as_str()).collect()
    }
}
