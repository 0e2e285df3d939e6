//! The vocabulary of the files in `faults/` and of `healthy.toml`: a case, what it sets, and the truth.
//!
//! Every text of a case may hold placeholders (`draw.rs`). What a word does is in `world.rs`.

use std::collections::{BTreeMap, HashSet};
use std::path::{Path, PathBuf};

use serde::Deserialize;

use super::net::Host;
use super::words::{Interceptor, NameServer, OurProxy, OurSocks, Server, SquidSetup};

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Cases {
    case: Vec<Case>,
}

/// One fault, or one healthy variant.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Case {
    /// Layer first: `tcp-drop`.
    pub(crate) id: String,
    /// What is so, in a sentence.
    pub(crate) story: String,
    #[serde(default)]
    pub(crate) target: TargetKind,
    /// Whether the client has a way out over IPv6. The target has an address of it anyway.
    #[serde(default)]
    pub(crate) ipv6: bool,
    /// A second router, `upstream`, between the first and the internet; over IPv4 only.
    #[serde(default)]
    pub(crate) second_hop: bool,
    /// The target's IPv4 addresses in DNS: `{api}`, and `{api2}` where there are two.
    #[serde(default = "one")]
    pub(crate) addresses: u8,
    /// The proxies are configured by name (in the company's DNS) and not by address.
    #[serde(default)]
    pub(crate) proxy_by_name: bool,
    #[serde(default)]
    pub(crate) set: Vec<Action>,
    /// With one route.
    pub(crate) one: Option<Truth>,
    /// With two.
    pub(crate) two: Option<Truth>,
}

fn one() -> u8 {
    1
}

#[derive(Clone, Copy, Debug, Default, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "snake_case")]
pub(crate) enum TargetKind {
    /// api.anthropic.com.
    #[default]
    Anthropic,
    /// The same API on a host of a drawn name.
    Gateway,
    /// Some page on a host of a drawn name.
    Generic,
}

/// What has to be said of the target, by hand.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Truth {
    pub(crate) routes: Vec<RouteUse>,
    status: String,
    cause: Option<String>,
    party: Option<String>,
    /// What has to be said of single routes, where that matters.
    #[serde(default)]
    pub(crate) checks: BTreeMap<Route, Expected>,
}

impl Truth {
    pub(crate) fn target(&self) -> Expected {
        let (status, cause, party) = (self.status.clone(), self.cause.clone(), self.party.clone());
        Expected { status, cause, party }
    }
}

/// Cause and party are left out where the status is ok.
#[derive(Clone, Debug, Deserialize, PartialEq, Eq)]
#[serde(deny_unknown_fields)]
pub(crate) struct Expected {
    pub(crate) status: String,
    pub(crate) cause: Option<String>,
    pub(crate) party: Option<String>,
}

/// A route by its word, which is `open`; or with what is expected of it.
#[derive(Clone, Debug, Deserialize)]
#[serde(untagged)]
pub(crate) enum RouteUse {
    Open(Route),
    With(RouteExpect),
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct RouteExpect {
    name: Route,
    expect: String,
}

impl RouteUse {
    pub(crate) fn route(&self) -> Route {
        match self {
            Self::Open(route) => *route,
            Self::With(with) => with.name,
        }
    }

    pub(crate) fn expect(&self) -> &str {
        match self {
            Self::Open(_) => "open",
            Self::With(with) => &with.expect,
        }
    }
}

/// Direct, or through one of the programs in the proxies' namespace.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Route {
    Direct,
    /// A real squid.
    Squid,
    /// A real tinyproxy.
    Tinyproxy,
    /// A real danted, which is asked for names.
    Danted,
    /// A real microsocks, which is asked for names.
    Microsocks,
    /// Our HTTP proxy, which misbehaves.
    Ours,
    /// The same inside of TLS.
    Secure,
    /// Our SOCKS proxy, which misbehaves.
    Socks,
    /// What the PAC file of the case says (`pac`).
    Pac,
    /// What the variables of the case say (`environment`).
    Environment,
    /// Direct, from the client's other address, `{client2}`.
    Line,
}

impl Route {
    pub(crate) fn word(self) -> &'static str {
        match self {
            Self::Direct => "direct",
            Self::Squid => "squid",
            Self::Tinyproxy => "tinyproxy",
            Self::Danted => "danted",
            Self::Microsocks => "microsocks",
            Self::Ours => "ours",
            Self::Secure => "secure",
            Self::Socks => "socks",
            Self::Pac => "pac",
            Self::Environment => "environment",
            Self::Line => "line",
        }
    }
}

/// One thing that is other than usual. Servers take their words when they start, the rest is done after
/// that, in the order in which it stands.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub(crate) enum Action {
    /// A rule for what the router passes on: nft's words.
    Firewall(String),
    /// A rule in any chain of any host.
    Nft {
        on: Host,
        chain: Chain,
        rule: String,
    },
    /// A command: ip, sysctl, tc or nft.
    Run {
        on: Host,
        command: String,
    },
    /// Lines of the client's hosts file.
    HostsFile(Vec<String>),
    /// The client's resolv.conf.
    ResolvConf(Vec<String>),
    /// A file of the run, which a configuration names as `{files}/NAME`.
    File {
        name: String,
        text: String,
        mode: Option<u32>,
    },
    /// Further arguments of the company's dnsmasq.
    Dnsmasq(Vec<String>),
    /// Our name server in dnsmasq's place.
    Resolver(NameServer),
    /// Our name server at `{resolver2}`, which the client's resolv.conf has then as its second.
    SecondResolver(NameServer),
    /// What the public name servers say: the authority for all, and dnsmasq's upstream.
    PublicDns(NameServer),
    /// What the independent resolver says, where that is something else.
    Independent(NameServer),
    /// The target's servers.
    Origin(Server),
    /// The unrelated servers.
    Control(Server),
    /// The landing page's server at `{elsewhere}`, for TLS; its plain HTTP answers in the same way.
    Elsewhere(Server),
    /// A device on the router that ends TLS.
    Interceptor(Interceptor),
    /// Our HTTP proxy (`ours`, `secure`).
    Proxy(OurProxy),
    /// Our SOCKS proxy (`socks`).
    Socks(OurSocks),
    Squid(SquidSetup),
    Tinyproxy {
        lines: Option<String>,
        refused: Option<Vec<String>>,
        down: Option<bool>,
    },
    /// Rules of danted, as `socks block { … }`.
    Danted(String),
    /// The one user of microsocks.
    Microsocks {
        user: String,
        password: String,
    },
    /// Programs that run although no route names them: for `pac` and `environment`.
    Start(Vec<Route>),
    /// The PAC file; without it, none is there.
    Pac(String),
    /// Variables for the run.
    Environment(BTreeMap<String, String>),
    /// Laid over the configuration, table by table; `route.WORD` and `target` as well. An empty list or
    /// text replaces, as every value does.
    Config(toml::Table),
    Key(Key),
    /// The client's clock is so many days wrong.
    Clock(i64),
}

/// Base chains; the first rule makes one.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Chain {
    /// Before connections are tracked.
    Raw,
    Prerouting,
    Input,
    Forward,
    Output,
    Postrouting,
    /// Changes where packets go that come in.
    Dnat,
    /// The same for those of this host.
    LocalDnat,
    /// Changes where packets come from.
    Snat,
}

impl Chain {
    /// Its name and what it hooks.
    pub(crate) fn about(self) -> (&'static str, &'static str) {
        match self {
            Self::Raw => ("raw", "type filter hook prerouting priority -300"),
            Self::Prerouting => ("prerouting", "type filter hook prerouting priority 0"),
            Self::Input => ("input", "type filter hook input priority 0"),
            Self::Forward => ("forward", "type filter hook forward priority 0"),
            Self::Output => ("output", "type filter hook output priority 0"),
            Self::Postrouting => ("postrouting", "type filter hook postrouting priority 0"),
            Self::Dnat => ("dnat", "type nat hook prerouting priority -100"),
            Self::LocalDnat => ("local_dnat", "type nat hook output priority -100"),
            Self::Snat => ("snat", "type nat hook postrouting priority 100"),
        }
    }
}

/// The API key of the target.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Key {
    Good,
    Wrong,
    /// Its file does not exist.
    Missing,
    Empty,
}

/// Every case of the lab, and whether it is a healthy one.
pub(crate) fn read_all(folder: &Path) -> Vec<(Case, bool)> {
    let mut cases = read(&folder.join("healthy.toml"), true);
    for layer in ["local", "dns", "tcp", "proxy", "tls", "http", "api"] {
        for file in files_of(layer, &folder.join("faults")) {
            let of_layer = read(&file, false);
            for (case, _) in &of_layer {
                let at = file.display();
                assert!(case.id.starts_with(&format!("{layer}-")), "{}: not of {at}", case.id);
            }
            cases.extend(of_layer);
        }
    }
    let mut ids = HashSet::new();
    for (case, is_healthy) in &cases {
        assert!(ids.insert(case.id.clone()), "{}: twice", case.id);
        assert!(
            !case.story.is_empty() && (case.one.is_some() || case.two.is_some()),
            "{}",
            case.id
        );
        for truth in [&case.one, &case.two].into_iter().flatten() {
            let is_ok = truth.status == "ok";
            assert!(is_ok == truth.cause.is_none(), "{}: a cause where it is ok", case.id);
            assert!(is_ok || !is_healthy, "{}: healthy is ok", case.id);
        }
    }
    cases
}

/// `LAYER.toml` and each `LAYER-PART.toml`.
fn files_of(layer: &str, folder: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder).expect("the folder of the faults");
    let mut files: Vec<_> = entries.map(|entry| entry.expect("its entry").path()).collect();
    files.retain(|file| {
        let stem = file.file_stem().map(|stem| stem.to_string_lossy().into_owned());
        stem.is_some_and(|stem| stem == layer || stem.starts_with(&format!("{layer}-")))
    });
    files.sort();
    files
}

fn read(path: &Path, is_healthy: bool) -> Vec<(Case, bool)> {
    let text = std::fs::read_to_string(path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
    let cases: Cases = toml::from_str(&text).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
    cases.case.into_iter().map(|case| (case, is_healthy)).collect()
}
