//! Layer by layer against servers that misbehave: what each fault is found to be, as tables of behaviour and finding.
//!
//! Every row is walked for real over this host's loopback. Nothing here diagnoses: a finding is the
//! layer and kind of the trip's failure, or the answer that came.

mod dns;
mod tcp;
mod proxy;
mod tls;
mod http;

use std::collections::BTreeMap;
use std::fmt::Debug;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::panic::resume_unwind;
use std::sync::{Arc, LazyLock};
use std::thread::{self, ScopedJoinHandle};
use std::time::Duration;

use egressd::config::{self, Secret};
use egressd::daemon::keys::equip;
use egressd::observation::{Ending, Trip};
use egressd::plan::{self, Given, Plan, ProxyVariables, TripPlan};
use egressd::probe::Network;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;
use tokio::runtime::Runtime;

use crate::support::dns::{DnsServer, Zone};
use crate::support::pki::{Authority, Leaf};

/// The name that every test's zone and certificate have.
const NAME: &str = "api.layers.test";
/// For a trip that ends by itself: never reached, and so may be long.
const AMPLE: Duration = Duration::from_secs(30);
/// For a trip that only its deadline ends: long enough for all layers before the one that is silent.
const BRIEF: Duration = Duration::from_millis(800);
/// What a peer can get rid of before anybody has read it: the buffers of both kernels, 10 MiB at most (`tcp(7)`,
/// `tcp_wmem` and `tcp_rmem`). A reader without a limit takes as much in a fraction of a second.
const BUFFERS: u64 = 16 * 1024 * 1024;

/// The CA that counts as public.
pub(crate) static PUBLIC: LazyLock<Authority> =
    LazyLock::new(|| Authority::with_intermediate("Test Public"));
/// A sound leaf of that CA.
static LEAF: LazyLock<Arc<Leaf>> = LazyLock::new(|| Arc::new(PUBLIC.leaf(&[NAME, "127.0.0.1"])));
/// A resolver that has the name on this host.
static DNS: LazyLock<DnsServer> = LazyLock::new(|| resolver(&[Ipv4Addr::LOCALHOST.into()]));

/// A trip, as a user would configure it.
#[derive(Clone, Debug)]
pub(crate) struct Way {
    url: String,
    provider: &'static str,
    timeout: Duration,
    addresses: &'static str,
    /// As the configuration writes them.
    dns: Vec<String>,
    proxy: Option<String>,
    /// Further lines of its route.
    beside: String,
    key: Option<&'static str>,
    public: Authority,
    organisation: Option<Authority>,
    /// What the route's own `ca_files` would be, once `beside` names [`OF_PROXY`].
    of_proxy: Option<Authority>,
    system: Option<Authority>,
}

impl Way {
    pub(crate) fn to(url: impl Into<String>) -> Self {
        Self {
            url: url.into(),
            provider: "generic",
            timeout: AMPLE,
            addresses: "all",
            dns: Vec::new(),
            proxy: None,
            beside: String::new(),
            key: None,
            public: PUBLIC.clone(),
            organisation: None,
            of_proxy: None,
            system: None,
        }
    }

    /// To a server on 127.0.0.1, by the name.
    fn named(server: SocketAddr) -> Self {
        let url = format!("https://{NAME}:{}/v1/models", server.port());
        Self::to(url).asking(DNS.address())
    }

    fn asking(mut self, dns: SocketAddr) -> Self {
        self.dns.push(dns.to_string());
        self
    }

    /// With that server, as a configuration writes it.
    pub(crate) fn asking_by(mut self, dns: &str) -> Self {
        self.dns.push(dns.to_owned());
        self
    }

    fn through(self, proxy: SocketAddr) -> Self {
        self.by(format!("http://{proxy}"), "")
    }

    /// Through a proxy by its URL, with further lines of the route.
    fn by(self, proxy: impl Into<String>, beside: &str) -> Self {
        Self { proxy: Some(proxy.into()), beside: beside.to_owned(), ..self }
    }

    pub(crate) fn within(self, timeout: Duration) -> Self {
        Self { timeout, ..self }
    }

    fn toml(&self) -> String {
        let Self { url, provider, addresses, .. } = self;
        let (proxy, route) = match &self.proxy {
            None => (String::new(), "direct"),
            Some(url) => {
                let beside = &self.beside;
                let route = format!("[[route]]\nname = \"proxy\"\nproxy = \"{url}\"\n{beside}\n");
                (route, "proxy")
            }
        };
        let servers = &self.dns;
        let dns = if servers.is_empty() {
            String::new()
        } else {
            format!("[dns]\nservers = {servers:?}\n")
        };
        let organisation = self.organisation.as_ref().map(|_| format!("{ORGANISATION:?}"));
        format!(
            "[trust]\nsystem = {}\nca_files = [{}]\npublic_roots = {PUBLIC_ROOTS:?}\n{dns}{proxy}\
             [[target]]\nname = \"target\"\nprovider = \"{provider}\"\nurl = \"{url}\"\n\
             addresses = \"{addresses}\"\nroutes = [\"{route}\"]\ntimeout = \"{}ms\"\n",
            self.system.is_some(),
            organisation.unwrap_or_default(),
            self.timeout.as_millis(),
        )
    }

    fn plan(&self) -> Plan {
        let text = self.toml();
        let (config, problems) = config::parse(&text);
        assert!(problems.is_empty(), "{problems:?} in\n{text}");
        let file = |path: &str, root: &Authority| (path.into(), Ok(root.pem().into_bytes()));
        let organisation = self.organisation.iter().map(|root| file(ORGANISATION, root));
        let of_proxy = self.of_proxy.iter().map(|root| file(OF_PROXY, root));
        let given = Given {
            variables: BTreeMap::new(),
            proxies: ProxyVariables::default(),
            files: organisation.chain(of_proxy).chain([file(PUBLIC_ROOTS, &self.public)]).collect(),
            lists: Vec::new(),
            system_roots: Ok(self.system.iter().map(der).collect()),
        };
        let (plan, problems) = plan::build(&config, &given);
        plan.unwrap_or_else(|| panic!("{problems:?} in\n{text}"))
    }

    /// For several walks over the same network, or to look at things while its runtime goes on.
    fn walker(&self) -> Walker {
        let plan = self.plan();
        let target = &plan.targets[0];
        let key = self.key.map(|key| Secret::new(key.to_owned()));
        let mut trip = plan.trip(target, &target.routes[0].route, key.as_ref());
        equip(&mut trip);
        Walker {
            network: Arc::new(Network::new(&plan).expect("a sound plan")),
            trip: Arc::new(trip),
            runtime: tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()
                .expect("a runtime"),
        }
    }

    /// Walks once. The runtime is gone afterwards, and every socket with it.
    pub(crate) fn walk(&self) -> Trip {
        self.walker().walk()
    }
}

/// A network with one trip to walk.
struct Walker {
    network: Arc<Network>,
    trip: Arc<TripPlan>,
    runtime: Runtime,
}

impl Walker {
    fn walk(&self) -> Trip {
        self.runtime.block_on(self.network.walk(&self.trip))
    }

    /// The same trip with something that no configuration says.
    fn change(&mut self, change: impl FnOnce(&mut TripPlan)) {
        change(Arc::make_mut(&mut self.trip));
    }
}

/// Where the configuration says that roots are; the plan is given their content.
const PUBLIC_ROOTS: &str = "/roots/public.pem";
const ORGANISATION: &str = "/roots/organisation.pem";
const OF_PROXY: &str = "/roots/proxy.pem";

fn der(root: &Authority) -> Vec<u8> {
    let der = CertificateDer::from_pem_slice(root.pem().as_bytes());
    der.expect("a PEM certificate").as_ref().to_vec()
}

/// A resolver that has the name at these addresses.
fn resolver(addresses: &[IpAddr]) -> DnsServer {
    let zone = addresses.iter().fold(Zone::new(), |zone, address| zone.address(NAME, *address));
    DnsServer::start(zone)
}

/// What a trip found, in a few words: `tls alert`, or `200 over 1.1`.
pub(crate) fn finding(trip: &Trip) -> String {
    match (trip.failure(), trip.ending()) {
        (Some(failure), _) => format!("{} {}", failure.layer(), failure.kind()),
        (None, Ending::Answered(_, response)) => {
            format!("{} over {}", response.status, response.version)
        }
        (None, ending) => format!("{ending:?}"),
    }
}

/// Walks all rows side by side, for those that end by their deadline, and names every row that was
/// found to be something else. The trips come back in the order of the rows.
fn table<B: Debug + Sync>(rows: &[(B, &str)], walk: impl Fn(&B) -> Trip + Sync) -> Vec<Trip> {
    let trips: Vec<Trip> = thread::scope(|scope| {
        let walks: Vec<_> = rows.iter().map(|(row, _)| scope.spawn(|| walk(row))).collect();
        let joined = walks.into_iter().map(ScopedJoinHandle::join);
        joined.map(|walk| walk.unwrap_or_else(|panic| resume_unwind(panic))).collect()
    });
    let wrong: Vec<String> = rows
        .iter()
        .zip(&trips)
        .filter(|((_, expected), trip)| finding(trip) != *expected)
        .map(|((row, expected), trip)| {
            let found = finding(trip);
            format!("{row:.160?}\n    expected {expected}, found {found}: {:?}", trip.failure())
        })
        .collect();
    assert!(wrong.is_empty(), "{} of {} rows:\n{}", wrong.len(), rows.len(), wrong.join("\n"));
    trips
}
