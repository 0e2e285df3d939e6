//! A configuration exactly as written: one struct a table, unknown keys refused, every fault at once.
//!
//! It decides nothing: what is left out stays left out, what contradicts itself is `plan`'s to say.
//! Fields that `plan` may complain about keep the place where they stand.

mod alertmanager;
pub mod list;
mod problem;
mod request;
mod value;
pub mod yaml;

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde::Deserialize;
use toml::Spanned;
use toml::de::{DeArray, DeTable, DeValue};

pub use alertmanager::Alertmanager;
pub use problem::{Place, Problem, nearest, plain};
pub use request::{ExpectJson, Request, Statuses, TargetTrust};
pub use value::{FileSource, Hold, Period, Pick, Secret, SecretSource, Text};

/// The file that a new installation starts from, and what runs where there is none.
pub const EMBEDDED: &str = include_str!("../../config/egressd.toml");

/// The whole file.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// A name for this place, a label on every metric.
    pub site: Option<Spanned<Text>>,
    /// `[server]`
    pub server: Server,
    /// `[probe]`
    pub probe: Probe,
    /// `[experiments]`
    pub experiments: Experiments,
    /// `[trust]`
    pub trust: Trust,
    /// `[dns]`
    pub dns: Dns,
    /// `[control]`
    pub control: Control,
    /// `[[route]]`
    pub route: Vec<Route>,
    /// `[state]`
    pub state: State,
    /// `[log]`
    pub log: Log,
    /// `[metrics]`
    pub metrics: Metrics,
    /// `[alertmanager]`
    pub alertmanager: Alertmanager,
    /// `[[target]]`
    pub target: Vec<Spanned<Target>>,
    /// `[[target_list]]`
    pub target_list: Vec<Spanned<TargetList>>,
}

/// Where the daemon listens.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Server {
    /// Address and port.
    pub listen: Spanned<Text>,
    /// Further host names that are answered.
    pub hosts: Vec<String>,
    /// The modules of `/probe`, in blackbox_exporter's own YAML.
    pub blackbox_modules: Option<Spanned<PathBuf>>,
    /// TLS and users of the web port, in the exporters' own YAML.
    pub web_config_file: Option<Spanned<PathBuf>>,
}

/// How trips are made.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Probe {
    /// Between two checks of a target.
    pub interval: Spanned<Period>,
    /// One trip, all layers together.
    pub timeout: Spanned<Period>,
    /// `all` or `one`.
    pub addresses: Spanned<String>,
    /// Targets that are checked at the same time.
    pub concurrency: Spanned<u16>,
    /// `[probe.budget]`
    pub budget: Budget,
}

/// What counts as slow.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Budget {
    /// The look-up.
    pub dns: Period,
    /// CONNECT.
    pub proxy: Period,
    /// Request to first byte.
    pub first_byte: Period,
}

/// What may be tried when something fails.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Experiments {
    /// `usual`, `all`, `passive`, or names of controls.
    pub allow: Spanned<Pick>,
    /// A full set again after this, while a failure lasts unchanged.
    pub again: Period,
}

/// Whose certificates are accepted.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Trust {
    /// The host's store.
    pub system: bool,
    /// The organisation's own roots, PEM.
    pub ca_files: Vec<Spanned<PathBuf>>,
    /// `bundled`, or a PEM file.
    pub public_roots: Spanned<String>,
    /// Bundles of applications that should verify too, PEM.
    pub also: Vec<Spanned<PathBuf>>,
}

/// Who is asked for names.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Dns {
    /// `system`, or addresses.
    pub servers: Spanned<Pick>,
    /// Resolvers outside the organisation's, for controls.
    pub independent: Vec<Spanned<String>>,
}

/// Unrelated hosts to compare with.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Control {
    /// One of them.
    pub url: Option<Spanned<Text>>,
    /// Several.
    pub urls: Vec<Spanned<Text>>,
    /// A page in plain HTTP that is known to be empty (204).
    pub portal_url: Spanned<String>,
    /// How often they are measured without a failure.
    pub interval: Period,
}

/// A way out.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Route {
    /// Its name.
    pub name: Option<Spanned<String>>,
    /// The proxy's URL, that of a PAC file, or `environment`.
    pub proxy: Option<Spanned<Text>>,
    /// The login at the proxy.
    pub auth: Option<Spanned<Auth>>,
    /// At which proxies of a PAC file the login may be used.
    pub auth_hosts: Vec<Spanned<String>>,
    /// Further roots for the proxy's own certificate, PEM.
    pub ca_files: Vec<Spanned<PathBuf>>,
    /// Further headers of a CONNECT.
    pub connect_headers: BTreeMap<Spanned<String>, String>,
    /// Whether a PAC file may come over plain HTTP.
    pub insecure_pac: bool,
    /// The address that its connections leave from.
    pub source: Option<Spanned<String>>,
    /// The interface that they leave by.
    pub interface: Option<Spanned<String>>,
    /// A label for the way out.
    pub egress: Option<String>,
}

/// A login at a proxy.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Auth {
    /// `basic`, `digest`, `ntlm` or `negotiate`.
    pub scheme: Option<Spanned<String>>,
    /// The user's name.
    pub username: Option<Spanned<Text>>,
    /// The domain of NTLM.
    pub domain: Option<String>,
    /// The password.
    pub password: Option<Spanned<SecretSource>>,
    /// The keytab of Negotiate.
    pub keytab: Option<Spanned<FileSource>>,
    /// The principal of Negotiate.
    pub principal: Option<Spanned<Text>>,
    /// The credential cache of Negotiate: a file, or `TYPE:residual`.
    pub ccache: Option<String>,
}

/// What is kept over a restart.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct State {
    /// Its directory; left out: systemd's.
    pub dir: Option<Spanned<PathBuf>>,
}

/// What is logged, and how.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Log {
    /// `auto`, `text`, `json` or `journald`.
    pub format: Spanned<String>,
    /// As in `RUST_LOG`.
    pub filter: Spanned<String>,
}

/// What is published.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Metrics {
    /// `check`, `target` or `off`.
    pub phase_histogram: Spanned<String>,
    /// Whether each address has a series.
    pub addresses: bool,
}

/// An API that is depended on.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Target {
    /// Its name.
    pub name: Option<Spanned<String>>,
    /// The API that is spoken.
    pub provider: Option<Spanned<String>>,
    /// What is asked for.
    pub url: Option<Spanned<Text>>,
    /// The key.
    pub key: Option<Spanned<SecretSource>>,
    /// What is shown where the server asks for a certificate.
    pub client_cert: Option<Spanned<ClientCert>>,
    /// The ways to it; left out: all.
    pub routes: Option<Vec<Spanned<TargetRoute>>>,
    /// `any`, `all`, or a route's name.
    pub needs: Option<Spanned<String>>,
    /// Instead of `probe.interval`.
    pub interval: Option<Spanned<Period>>,
    /// Instead of `probe.timeout`.
    pub timeout: Option<Spanned<Period>>,
    /// Instead of `probe.addresses`.
    pub addresses: Option<Spanned<String>>,
    /// The ranges that its name must resolve to.
    pub private: Vec<Spanned<String>>,
    /// `us`, where it is a gateway of ours.
    pub operator: Option<Spanned<String>>,
    /// Whose roots count for it alone.
    pub trust: Option<Spanned<TargetTrust>>,
    /// Whether the key is sent over an inspected chain; left out: it is.
    pub key_through_inspection: Option<Spanned<bool>>,
    /// What is asked for instead of the provider's minimal request.
    pub request: Option<Spanned<Request>>,
    /// Whether a streamed answer is tested.
    pub stream: Option<Spanned<bool>>,
    /// The bytes of a request's body that is tested; 0: none.
    pub body_bytes: Option<Spanned<u32>>,
    /// The longest silence of a connection that is tested; 0: none.
    pub idle_hold: Option<Spanned<Hold>>,
    /// Labels of `egressd_target_info`.
    pub labels: BTreeMap<Spanned<String>, String>,
}

/// Files that hold further targets.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct TargetList {
    /// Their paths; the name may have `*` and `?` in it.
    pub files: Vec<Spanned<String>>,
    /// How often they are read again.
    pub refresh: Spanned<Period>,
}

/// A client certificate.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ClientCert {
    /// The certificate and the intermediates behind it, PEM.
    pub certificate: Option<Spanned<PathBuf>>,
    /// Its key, PEM.
    pub key: Option<Spanned<SecretSource>>,
}

/// A route of a target: its name, or a table with what is expected of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TargetRoute {
    /// The route's name.
    pub name: String,
    /// `open`, `closed` or `either`.
    pub expect: Option<String>,
}

impl Default for Server {
    fn default() -> Self {
        Self {
            listen: unplaced(Text::Literal("127.0.0.1:9737".into())),
            hosts: Vec::new(),
            blackbox_modules: None,
            web_config_file: None,
        }
    }
}

impl Default for Probe {
    fn default() -> Self {
        Self {
            interval: unplaced(Period::seconds(60)),
            timeout: unplaced(Period::seconds(10)),
            addresses: unplaced("all".into()),
            concurrency: unplaced(64),
            budget: Budget::default(),
        }
    }
}

impl Default for Budget {
    fn default() -> Self {
        Self { dns: Period::seconds(1), proxy: Period::seconds(1), first_byte: Period::seconds(1) }
    }
}

impl Default for Experiments {
    fn default() -> Self {
        Self { allow: unplaced(Pick::Word("usual".into())), again: Period::seconds(600) }
    }
}

impl Default for Trust {
    fn default() -> Self {
        Self {
            system: true,
            ca_files: Vec::new(),
            public_roots: unplaced("bundled".into()),
            also: Vec::new(),
        }
    }
}

impl Default for Dns {
    fn default() -> Self {
        Self { servers: unplaced(Pick::Word("system".into())), independent: Vec::new() }
    }
}

impl Default for Control {
    fn default() -> Self {
        Self {
            url: None,
            urls: Vec::new(),
            portal_url: unplaced(String::new()),
            interval: Period::seconds(600),
        }
    }
}

impl Default for TargetList {
    fn default() -> Self {
        Self { files: Vec::new(), refresh: unplaced(Period::seconds(60)) }
    }
}

impl Default for Log {
    fn default() -> Self {
        Self { format: unplaced("auto".into()), filter: unplaced("info".into()) }
    }
}

impl Default for Metrics {
    fn default() -> Self {
        Self { phase_histogram: unplaced("check".into()), addresses: true }
    }
}

fn unplaced<T>(value: T) -> Spanned<T> {
    Spanned::new(0..0, value)
}

/// Reads a file's text. What could be understood comes back beside everything that could not.
pub fn parse(text: &str) -> (Config, Vec<Problem>) {
    let (mut tree, errors) = DeTable::parse_recoverable(text);
    let mut problems: Vec<Problem> = errors
        .into_iter()
        .map(|error| Problem::at(error.span(), error.message(), "correct the TOML at this place"))
        .collect();
    // Each fault hides the ones behind it: note it, take its entry out, and try again.
    loop {
        match Config::deserialize(toml::de::Deserializer::from(tree.clone())) {
            Ok(config) => return (config, problems),
            Err(error) => {
                let problem = Problem::from_serde(error.message(), error.span());
                // What the parser made of a line that it could not read is no second fault.
                if !problems.iter().any(|syntax| syntax.lies_within(&problem)) {
                    problems.push(problem);
                }
                let removed = error.span().is_some_and(|span| remove(tree.get_mut(), &span));
                if !removed {
                    return (Config::default(), problems);
                }
            }
        }
    }
}

/// Takes the innermost entry out that encloses the span.
fn remove(table: &mut DeTable<'_>, span: &std::ops::Range<usize>) -> bool {
    let mut found = None;
    for (key, value) in table.iter_mut() {
        let place = key.span().start..value.span().end.max(key.span().end);
        if encloses(&place, span) {
            if encloses(&value.span(), span) && remove_inside(value.get_mut(), span) {
                return true;
            }
            found = Some(key.clone());
        } else if remove_inside(value.get_mut(), span) {
            // Dotted and repeated headers place a table's entries outside of its own span.
            return true;
        }
    }
    found.is_some_and(|key| table.remove(&key).is_some())
}

fn remove_inside(value: &mut DeValue<'_>, span: &std::ops::Range<usize>) -> bool {
    match value {
        DeValue::Table(table) => remove(table, span),
        DeValue::Array(array) => remove_from_array(array, span),
        DeValue::String(_)
        | DeValue::Integer(_)
        | DeValue::Float(_)
        | DeValue::Boolean(_)
        | DeValue::Datetime(_) => false,
    }
}

fn remove_from_array(array: &mut DeArray<'_>, span: &std::ops::Range<usize>) -> bool {
    if array.iter_mut().any(|value| remove_inside(value.get_mut(), span)) {
        return true;
    }
    let before = array.len();
    *array = array.iter().filter(|value| !encloses(&value.span(), span)).cloned().collect();
    array.len() < before
}

fn encloses(outer: &std::ops::Range<usize>, inner: &std::ops::Range<usize>) -> bool {
    outer.start <= inner.start && inner.end <= outer.end && !outer.is_empty()
}
