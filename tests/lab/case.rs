//! The vocabulary of the files in `faults/` and of `healthy.toml`: a case, what it sets, and the truth.
//!
//! Every text of a case may hold placeholders (`draw.rs`). What a word does is in `world.rs`.

use std::collections::{BTreeMap, HashSet};
use std::path::Path;

use serde::Deserialize;

use super::net::Host;

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

/// A name server of ours: it has everything that was drawn, and what is said here.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct NameServer {
    /// To every name without a word of its own.
    pub(crate) all: Option<Dns>,
    #[serde(default)]
    pub(crate) names: BTreeMap<String, Dns>,
    /// In the place of what was drawn for a name: addresses, or one name that it is an alias of; nothing
    /// makes the name unknown.
    #[serde(default)]
    pub(crate) records: BTreeMap<String, Vec<String>>,
    /// Its port is closed.
    #[serde(default)]
    pub(crate) closed: bool,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Dns {
    Answer,
    Nxdomain,
    Nodata,
    Servfail,
    Refused,
    Silent,
    Garbage,
    WrongId,
    WrongQuestion,
    /// TC over UDP.
    Truncated,
    /// The same, and TCP resets.
    TruncatedNoTcp,
    AaaaSilent,
    AaaaServfail,
    /// An address in front of the true answer.
    Forged(String),
    /// A stray answer in front of the true one.
    WrongIdFirst,
    /// NXDOMAIN with that extended error.
    Blocked(u16),
    LateMs(u64),
}

/// A TLS server.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Server {
    /// The placeholders' words of its addresses, as `api2`; all of its kind where nothing is said.
    pub(crate) at: Option<Vec<String>>,
    /// Nobody listens.
    #[serde(default)]
    pub(crate) closed: bool,
    pub(crate) handshake: Option<Handshake>,
    #[serde(default)]
    pub(crate) certificate: Certificate,
    /// 1.2 for nothing newer.
    pub(crate) tls: Option<String>,
    pub(crate) alpn: Option<Vec<String>>,
    pub(crate) answer: Option<Answer>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Certificate {
    pub(crate) flaw: Option<Flaw>,
    #[serde(default)]
    pub(crate) issuer: Issuer,
    /// Other names than the true ones.
    pub(crate) names: Option<Vec<String>>,
}

#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Flaw {
    Expired,
    NotYetValid,
    WrongName,
    SelfSigned,
    MissingIntermediate,
}

#[derive(Clone, Copy, Debug, Default, Deserialize, PartialEq, Eq, Hash)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Issuer {
    #[default]
    Public,
    /// Whose root is `{organisation_ca}`, which a case may trust.
    Organisation,
    Nobody,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub(crate) enum Handshake {
    OnAccept(End),
    AfterHello(End),
    AfterServerHello(End),
    Alert(u8),
    PlainHttp,
    Garbage,
    CorruptRecord,
    ClientCertificate,
    SniFilter { name: String, then: End },
    SniAlert { name: String, code: u8 },
    HelloFilter { larger_than: u64, then: End },
}

#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum End {
    Close,
    Reset,
    Silent,
}

/// What is said to a request.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub(crate) enum Answer {
    /// As the API: 401 without a key, the models for `{key}`.
    Api,
    /// 200 and a page with `{text}`.
    Page,
    /// Those, and nothing more.
    Says {
        status: u16,
        headers: Option<BTreeMap<String, String>>,
        body: Option<String>,
    },
    /// An error of the API itself, with its marks and those of its edge.
    ApiError {
        status: u16,
        r#type: String,
        message: String,
    },
    /// A page of the edge, with its marks.
    Edge {
        status: u16,
        headers: Option<BTreeMap<String, String>>,
        body: Option<String>,
    },
    EdgeChallenge,
    EdgeForbidden,
    Edge522,
    /// HTML with that status by some device.
    BlockPage(u16),
    Redirect(String),
    Silent,
    Close,
    Reset,
    HalfHeadThenStall,
    HalfHeadThenClose,
    HeadThenStall,
    BodyStall,
    DripMs(u64),
    BodyTruncated,
    ChunkCut,
    BadStatusLine,
    TwoContentLengths,
    EndlessHeaders,
    EndlessContinue,
    EndlessBody,
    HugeContentLength,
    CompressedBomb,
    H2GoAway(u32),
    H2ResetStream(u32),
    /// These bytes over HTTP/1.1.
    Raw {
        bytes: String,
        then: End,
    },
    /// As the API without a key, after that time.
    LateMs(u64),
}

/// A device that ends TLS for what comes from the client.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Interceptor {
    /// nft's words for what it takes; TCP 443 of the client where nothing is said.
    pub(crate) takes: Option<String>,
    /// Names that it ends TLS for; it passes others on as they are. All where nothing is said.
    pub(crate) only: Option<Vec<String>>,
    #[serde(default)]
    pub(crate) certificate: Certificate,
    #[serde(default)]
    pub(crate) then: Then,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub(crate) enum Then {
    /// Carries on with the true server.
    #[default]
    Forward,
    /// The same without these headers of the request.
    Strip(Vec<String>),
    /// Answers itself.
    Answer(Box<Answer>),
    /// Breaks off once the `ClientHello` is there.
    End(End),
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct OurProxy {
    /// To every name without a word of its own.
    pub(crate) all: Option<Tunnel>,
    #[serde(default)]
    pub(crate) names: BTreeMap<String, Tunnel>,
    /// Where names lead in the place of their true addresses: `ADDRESS`.
    #[serde(default)]
    pub(crate) leads: BTreeMap<String, String>,
    /// Of `secure`.
    #[serde(default)]
    pub(crate) certificate: Certificate,
    #[serde(default)]
    pub(crate) down: bool,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub(crate) enum Tunnel {
    Opens,
    Says {
        status: u16,
        headers: Option<BTreeMap<String, String>>,
        body: Option<String>,
    },
    /// 407, unless the login is `{user}` with `{password}`.
    AskLogin,
    Silent,
    Close,
    Reset,
    Garbage,
    TlsBytes,
    EndlessHead,
    OpensThenSilent,
    OpensThenClose,
    OpensThenReset,
    OpensThenPlainText,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct OurSocks {
    /// Method chosen: 255 for none of those offered.
    pub(crate) method: Option<u8>,
    /// Reply code to every name without one of its own; 0 opens the tunnel.
    #[serde(default)]
    pub(crate) reply: u8,
    #[serde(default)]
    pub(crate) names: BTreeMap<String, u8>,
    /// Says this instead of anything.
    pub(crate) raw: Option<String>,
    #[serde(default)]
    pub(crate) silent: bool,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct SquidSetup {
    /// Lines before everything that allows.
    pub(crate) lines: Option<String>,
    /// Demands walter's login by Basic.
    #[serde(default)]
    pub(crate) login: bool,
    /// Breaks TLS open with the organisation's CA.
    #[serde(default)]
    pub(crate) bump: bool,
    /// Whom it asks for names; `{dns_public}` where nothing is said.
    pub(crate) dns: Option<String>,
    #[serde(default)]
    pub(crate) down: bool,
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
        let of_layer = read(&folder.join("faults").join(format!("{layer}.toml")), false);
        for (case, _) in &of_layer {
            assert!(case.id.starts_with(&format!("{layer}-")), "{}: not of {layer}.toml", case.id);
        }
        cases.extend(of_layer);
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

fn read(path: &Path, is_healthy: bool) -> Vec<(Case, bool)> {
    let text = std::fs::read_to_string(path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
    let cases: Cases = toml::from_str(&text).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
    cases.case.into_iter().map(|case| (case, is_healthy)).collect()
}
