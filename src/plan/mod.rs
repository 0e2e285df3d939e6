//! A configuration as meant: routes, targets, controls, limits, with nothing optional left undecided.
//!
//! Past this point nobody checks a setting again. No I/O: what a configuration names (files,
//! variables, the host's roots) is read by the daemon and handed over as `Given`.

mod ad_hoc;
mod alertmanager;
mod asked;
mod build;
mod commands;
mod environment;
mod exposure;
mod further;
mod known;
mod login;
mod look_up;
mod nameserver;
mod no_proxy;
mod print;
mod proxy;
mod query;
mod rules;
mod schedule;
mod shell;
mod standing;
mod trip;
mod vary;
mod written;

use std::collections::BTreeMap;
use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::Method;
use url::{Host, Url};

use crate::config::{Secret, SecretSource};
use crate::observation::{Control, Expect, Further, Needs, Range, Wanted};
use crate::provider::Provider;

pub use ad_hoc::{AdHoc, ad_hoc, route_through};
pub use alertmanager::Alertmanager;
pub use build::{build, named_files, named_variables};
pub use commands::{Step, commands, commands_text};
pub use environment::{Exemptions, ProxyVariables};
pub use exposure::{Guard, exposure, exposure_of};
pub use known::Known;
pub use nameserver::{Nameserver, Through};
pub use no_proxy::is_exempt;
pub use proxy::{Account, Credential, Pac, Proof, Proxy, Spoken, Way};
pub use rules::{Reach, Rules};
pub use schedule::Schedule;
pub use trip::{
    Alpn, Depth, Families, Hello, Hop, Identity, RequestPlan, Sni, SocketPlan, TlsPlan, TripPlan,
    Tunnel, pac_trip,
};

/// All that runs.
#[derive(Clone, Debug, PartialEq)]
pub struct Plan {
    /// A name for this place.
    pub site: Option<String>,
    /// Where the daemon listens.
    pub listen: SocketAddr,
    /// Host names that are answered beside this host's own.
    pub hosts: Vec<String>,
    /// The modules of `/probe`; none: there is no `/probe`.
    pub blackbox_modules: Option<PathBuf>,
    /// TLS and users of the web port; none: plain HTTP, for everybody.
    pub web_config_file: Option<PathBuf>,
    /// Where the state is kept over a restart; none: nowhere.
    pub state: Option<PathBuf>,
    /// How lines are logged.
    pub log: Log,
    /// Whose series the phase histogram has.
    pub phase_histogram: Histogram,
    /// Whether each address has a series.
    pub address_series: bool,
    /// Targets that are checked at the same time.
    pub concurrency: usize,
    /// The controls that may be run.
    pub allowed: Vec<Control>,
    /// How long findings stand while a symptom stays the same.
    pub again: Duration,
    /// Whose roots count.
    pub trust: Trust,
    /// The servers to ask; none: the host's own configuration.
    pub resolvers: Option<Vec<Nameserver>>,
    /// Resolvers to compare with.
    pub independent: Vec<Nameserver>,
    /// Hosts to compare with.
    pub controls: Vec<Endpoint>,
    /// A page in plain HTTP that is known to be empty.
    pub portal: Option<Endpoint>,
    /// How often controls are measured without a failure.
    pub control_interval: Duration,
    /// Who is told of alerts; none: nobody.
    pub alertmanager: Option<Alertmanager>,
    /// The ways out, `direct` first.
    pub routes: Vec<Route>,
    /// Files of further targets.
    pub lists: Lists,
    /// What is checked, those of the lists too.
    pub targets: Vec<Target>,
}

/// Files of targets that are read again while the daemon runs.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Lists {
    /// Their paths; the name may have `*` and `?` in it.
    pub files: Vec<String>,
    /// How often; none where there are none.
    pub refresh: Option<Duration>,
}

/// How lines are logged.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Log {
    /// The form.
    pub format: LogFormat,
    /// As in `RUST_LOG`.
    pub filter: String,
}

/// The form of log lines.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogFormat {
    /// Journald under systemd, else text.
    Auto,
    /// Lines on standard error.
    Text,
    /// The same, each an object.
    Json,
    /// Fields in the journal.
    Journald,
}

/// Whose series the phase histogram has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Histogram {
    /// A target on a route.
    Check,
    /// A target, all routes together.
    Target,
    /// Nobody.
    Off,
}

/// The roots of the three judgements, DER.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Trust {
    /// The host's store; none where it is switched off.
    pub system: Option<Vec<Vec<u8>>>,
    /// The organisation's files.
    pub organisation: Vec<Vec<u8>>,
    /// The public CAs; none: the bundled set.
    pub public: Option<Vec<Vec<u8>>>,
    /// The bundles of further applications, by the name of the file.
    pub also: Vec<(String, Vec<Vec<u8>>)>,
    /// The files of the organisation's and the public roots, for people.
    pub files: Vec<PathBuf>,
}

impl Trust {
    /// The same, with further roots of the organisation.
    #[must_use]
    pub fn with(&self, roots: &[Vec<u8>]) -> Self {
        let organisation = self.organisation.iter().chain(roots).cloned().collect();
        Self { organisation, ..self.clone() }
    }

    /// Whether it has roots of the organisation, and none that another has, too: what devices show under those is not
    /// accepted by it.
    pub fn is_apart_from(&self, other: &Self) -> bool {
        !self.organisation.is_empty()
            && self.organisation.iter().all(|root| !other.organisation.contains(root))
    }
}

impl fmt::Debug for Trust {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Trust")
            .field("system", &self.system.as_ref().map(Vec::len))
            .field("organisation", &self.organisation.len())
            .field("public", &self.public.as_ref().map(Vec::len))
            .field("also", &self.also.iter().map(|(name, _)| name).collect::<Vec<_>>())
            .field("files", &self.files)
            .finish()
    }
}

/// A URL taken apart: where it leads and what is asked for there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Endpoint {
    /// The URL as configured.
    pub url: Url,
    /// Its host.
    pub host: Host<String>,
    /// Its port.
    pub port: u16,
}

impl Endpoint {
    /// Takes a URL apart; none without a host or with another scheme than http and https.
    pub fn of(url: &Url) -> Option<Self> {
        if !matches!(url.scheme(), "http" | "https") {
            return None;
        }
        let host = url.host()?.to_owned();
        Some(Self { url: url.clone(), host, port: url.port_or_known_default()? })
    }

    /// The same; where it names nothing at a host of the provider's own, it asks for what costs nothing there.
    #[must_use]
    pub fn asking(mut self, provider: Provider) -> Self {
        let host = self.host.to_string();
        let names_nothing = self.url.path() == "/" && self.url.query().is_none();
        if let Some(minimal) = provider.facts().minimal_at(&host)
            && names_nothing
            && provider.owns(&host)
            && let Ok(url) = self.url.join(minimal)
        {
            self.url = url;
        }
        self
    }

    /// Its URL for people: what a query holds is shown where its name says that it is no secret.
    pub fn shown(&self) -> String {
        query::shown(&self.url)
    }

    /// Whether it speaks TLS.
    pub fn is_tls(&self) -> bool {
        self.url.scheme() == "https"
    }
}

/// A way out.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Route {
    /// Its name.
    pub name: String,
    /// How it leaves.
    pub way: Way,
    /// The address that its connections leave from.
    pub source: Option<IpAddr>,
    /// The interface that they leave by.
    pub interface: Option<String>,
    /// A label for the way out.
    pub egress: Option<String>,
    /// The hosts that do not take it, where the environment names it.
    pub exemptions: Option<Exemptions>,
}

impl Route {
    /// Its proxy, where that is fixed.
    pub fn proxy(&self) -> Option<&Arc<Proxy>> {
        match &self.way {
            Way::Proxy(proxy) => Some(proxy),
            Way::Direct | Way::Pac(_) => None,
        }
    }

    /// The variable by which a host does not take it.
    pub fn exempts(&self, endpoint: &Endpoint) -> Option<&'static str> {
        let exemptions = self.exemptions.as_ref()?;
        exemptions.include(&endpoint.host, endpoint.port).then_some(exemptions.variable)
    }

    /// Whether it goes straight to the target.
    pub fn is_direct(&self) -> bool {
        self.way == Way::Direct
    }

    /// The same route, leaving in another way.
    #[must_use]
    pub fn by(&self, way: Way) -> Self {
        Self { way, ..self.clone() }
    }
}

/// An API that is depended on.
#[derive(Clone, Debug, PartialEq)]
pub struct Target {
    /// Its name.
    pub name: String,
    /// The API that is spoken.
    pub provider: Provider,
    /// What is asked for.
    pub endpoint: Endpoint,
    /// Where its key is.
    pub key: Option<SecretSource>,
    /// What is shown where its server asks for a certificate.
    pub client_cert: Option<ClientCert>,
    /// The ways to it.
    pub routes: Vec<TargetRoute>,
    /// How its routes are weighed.
    pub needs: Needs,
    /// Between two checks.
    pub interval: Duration,
    /// One trip.
    pub timeout: Duration,
    /// Whether every address is tried.
    pub all_addresses: bool,
    /// What counts as slow.
    pub budget: Budget,
    /// The ranges that its name must resolve to; empty: any.
    pub private: Vec<Range>,
    /// Whether it is a gateway of the organisation's own.
    pub ours: bool,
    /// Whose roots count for it alone; none: those that count for all.
    pub trust: Option<Arc<Trust>>,
    /// Whether the key is sent over a chain that only this host or the organisation verifies.
    pub key_through_inspection: bool,
    /// What is asked for instead of the provider's minimal request.
    pub request: Option<OwnRequest>,
    /// What is tested beyond the minimal request.
    pub further: Further,
    /// Labels to join on.
    pub labels: BTreeMap<String, String>,
    /// What a module of `/probe` asks beside; none for a target of the configuration.
    pub rules: Option<Arc<Rules>>,
}

impl Target {
    /// Whether the same request may be sent again without a need: one of its own may cost, or change what is there
    /// (RFC 9110 9.2.1).
    pub fn may_be_repeated(&self) -> bool {
        let Some(own) = &self.request else { return true };
        let free = self.provider.facts().counting.map(|free| free.path);
        [Method::GET, Method::HEAD, Method::OPTIONS].contains(&own.method)
            || free.is_some_and(|free| self.endpoint.url.path().ends_with(free))
    }

    /// The longest a check with all its controls may take: the walk and three rounds of experiments,
    /// side by side in each, have a trip's time at most.
    pub fn bound(&self) -> Duration {
        self.timeout * 4
    }
}

/// A request of a target's own. Its path is in the endpoint's URL.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct OwnRequest {
    /// What is done.
    pub method: Method,
    /// Headers beside the provider's or in their place, names in lower case.
    pub headers: Vec<(String, String)>,
    /// The variables that hold the values of headers, for people.
    pub variables: BTreeMap<String, String>,
    /// Headers that carry secrets, as they were given.
    pub secrets: Vec<(String, Secret)>,
    /// Whether these are all headers: then the provider's own are left out where they are missing.
    pub complete: bool,
    /// What is sent.
    pub body: Option<Bytes>,
    /// The variable that holds it, for people.
    pub body_variable: Option<String>,
    /// What a good answer is.
    pub wanted: Wanted,
}

/// A client certificate, and where its key is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClientCert {
    /// The certificate's file, for people.
    pub file: PathBuf,
    /// The certificate, and the intermediates behind it, DER.
    pub certificates: Vec<Vec<u8>>,
    /// Where its key is.
    pub key: SecretSource,
}

impl ClientCert {
    /// What a trip shows, with the key as it was read.
    pub fn with(&self, key: Result<Secret, String>) -> Arc<Identity> {
        Arc::new(Identity { certificates: self.certificates.clone(), key })
    }
}

/// A route of a target.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TargetRoute {
    /// The route.
    pub route: Route,
    /// What is expected of it.
    pub expect: Expect,
}

/// What counts as slow.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Budget {
    /// The look-up.
    pub dns: Duration,
    /// CONNECT.
    pub proxy: Duration,
    /// Request to first byte.
    pub first_byte: Duration,
}

/// What the daemon read for the plan.
#[derive(Clone)]
pub struct Given {
    /// The variables that the configuration names.
    pub variables: BTreeMap<String, String>,
    /// The environment's proxy settings.
    pub proxies: ProxyVariables,
    /// The files that it names, or why they cannot be read.
    pub files: BTreeMap<PathBuf, Result<Vec<u8>, String>>,
    /// The lists of targets that it names, in the order of their names.
    pub lists: Vec<Listed>,
    /// The roots of the host's store, DER, or why there are none.
    pub system_roots: Result<Vec<Vec<u8>>, String>,
}

/// A list of targets, as it was read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listed {
    /// The patterns that it was found by.
    pub patterns: Vec<String>,
    /// The file.
    pub file: PathBuf,
    /// Its text, or why there is none.
    pub text: Result<String, String>,
}

impl fmt::Debug for Given {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Given").field("files", &self.files.keys()).finish_non_exhaustive()
    }
}

/// Whether an address may be a destination at all.
pub fn is_destination(address: IpAddr) -> bool {
    !address.is_unspecified() && !address.is_multicast()
}
