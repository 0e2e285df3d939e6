//! The look-up, as an application of this host would do it: hosts file first, then hickory's resolver
//! on the system's configuration, A and AAAA as two questions whose fates are kept apart.
//!
//! resolv.conf and the hosts file are read again when they change. Nothing is cached: a check that
//! is answered from memory checks nothing. Not understood, as hickory does not: nsswitch.conf beyond
//! "files dns", `options use-vc` and `rotate`.

use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime};

use hickory_resolver::config::{
    ConnectionConfig, NameServerConfig, ResolveHosts, ResolverConfig, ResolverOpts,
    ServerOrderingStrategy,
};
use hickory_resolver::net::runtime::TokioRuntimeProvider;
use hickory_resolver::net::{DnsError, NetError};
use hickory_resolver::proto::op::{Query, ResponseCode};
use hickory_resolver::proto::rr::{Name, RecordType};
use hickory_resolver::{Hosts, TokioResolver, system_conf};
use tokio::time::{Instant, timeout_at};
use url::Host;

use crate::observation::{
    Answer, DnsFailure, DnsKind, Failure, LocalFailure, LocalKind, Lookup, Source,
};

const RESOLV_CONF: &str = "/etc/resolv.conf";
const HOSTS: &str = "/etc/hosts";

/// What resolves names here.
pub(super) struct Names {
    configured: Option<Vec<SocketAddr>>,
    system: Mutex<Option<(Stamps, Arc<System>)>>,
}

/// When the two files last changed.
type Stamps = [Option<(SystemTime, u64)>; 2];

struct System {
    hosts: Hosts,
    servers: Vec<String>,
    resolver: Result<TokioResolver, String>,
}

impl Names {
    pub(super) fn new(configured: Option<Vec<SocketAddr>>) -> Self {
        Self { configured, system: Mutex::new(None) }
    }

    /// The system's configuration as the files have it now.
    fn system(&self) -> Arc<System> {
        let stamps = [RESOLV_CONF, HOSTS].map(|path| {
            let metadata = std::fs::metadata(path).ok()?;
            Some((metadata.modified().ok()?, metadata.len()))
        });
        let Ok(mut kept) = self.system.lock() else {
            return Arc::new(System::read(self.configured.as_deref()));
        };
        match &*kept {
            Some((at, system)) if *at == stamps => Arc::clone(system),
            _ => {
                let system = Arc::new(System::read(self.configured.as_deref()));
                *kept = Some((stamps, Arc::clone(&system)));
                system
            }
        }
    }

    /// Resolves a host: with the given servers alone, or as this host does.
    pub(super) async fn look_up(
        &self,
        host: &Host<String>,
        servers: Option<&[SocketAddr]>,
        (deadline, patience): (Instant, Duration),
    ) -> Lookup {
        let started = Instant::now();
        let name = match host {
            Host::Domain(name) => name,
            Host::Ipv4(address) => return literal(IpAddr::V4(*address)),
            Host::Ipv6(address) => return literal(IpAddr::V6(*address)),
        };
        let system = match servers {
            Some(servers) => Arc::new(System::of(servers)),
            None => self.system(),
        };
        let mut lookup =
            Lookup { name: name.clone(), servers: system.servers.clone(), ..Lookup::default() };
        if servers.is_none() && system.look_into_hosts(&mut lookup) {
            return lookup;
        }
        match &system.resolver {
            Ok(resolver) => {
                let (a, aaaa) = ask_both(resolver, name, deadline, patience).await;
                (lookup.a, lookup.aaaa) = (Some(a), Some(aaaa));
            }
            Err(why) => {
                let failure = LocalFailure::new(LocalKind::NoResolver, why.clone());
                lookup.stop = Some(Failure::Local(failure));
            }
        }
        lookup.seconds = started.elapsed().as_secs_f64();
        lookup
    }
}

/// The "look-up" of an address.
pub(super) fn literal(address: IpAddr) -> Lookup {
    let answer = Some(Answer::Addresses(vec![address]));
    let (a, aaaa) = if address.is_ipv4() { (answer, None) } else { (None, answer) };
    Lookup { name: address.to_string(), source: Source::Literal, a, aaaa, ..Lookup::default() }
}

impl System {
    fn read(configured: Option<&[SocketAddr]>) -> Self {
        let hosts = Hosts::from_system().unwrap_or_default();
        if let Some(servers) = configured {
            return Self { hosts, ..Self::of(servers) };
        }
        match system_conf::read_system_conf() {
            Ok((config, options)) => {
                let servers =
                    config.name_servers().iter().map(|server| server.ip.to_string()).collect();
                Self { hosts, servers, resolver: build(config, options) }
            }
            // glibc falls back to 127.0.0.1 without a nameserver line; hickory says so, and so do we.
            Err(error) => Self { hosts, servers: Vec::new(), resolver: Err(error.to_string()) },
        }
    }

    fn of(servers: &[SocketAddr]) -> Self {
        let configs = servers
            .iter()
            .map(|server| {
                let (mut udp, mut tcp) = (ConnectionConfig::udp(), ConnectionConfig::tcp());
                udp.port = server.port();
                tcp.port = server.port();
                NameServerConfig::new(server.ip(), true, vec![udp, tcp])
            })
            .collect();
        Self {
            hosts: Hosts::default(),
            servers: servers.iter().map(ToString::to_string).collect(),
            resolver: build(ResolverConfig::from_name_servers(configs), ResolverOpts::default()),
        }
    }

    /// Whether the hosts file has the name; then nobody else is asked, as in `getaddrinfo`.
    fn look_into_hosts(&self, lookup: &mut Lookup) -> bool {
        let Ok(name) = Name::from_utf8(&lookup.name) else { return false };
        let find = |kind| {
            let found = self.hosts.lookup_static_host(&Query::query(name.clone(), kind))?;
            Some(Answer::Addresses(
                found.answers().iter().filter_map(|r| r.data.ip_addr()).collect(),
            ))
        };
        (lookup.a, lookup.aaaa) = (find(RecordType::A), find(RecordType::AAAA));
        let found = lookup.a.is_some() || lookup.aaaa.is_some();
        if found {
            lookup.source = Source::Hosts;
        }
        found
    }
}

fn build(config: ResolverConfig, mut options: ResolverOpts) -> Result<TokioResolver, String> {
    options.cache_size = 0;
    options.use_hosts_file = ResolveHosts::Never;
    // In the order of the file, as the host's other programs ask; racing would hide a dead first one.
    options.server_ordering_strategy = ServerOrderingStrategy::UserProvidedOrder;
    options.num_concurrent_reqs = 1;
    let mut builder = TokioResolver::builder_with_config(config, TokioRuntimeProvider::default());
    *builder.options_mut() = options;
    builder.build().map_err(|error| error.to_string())
}

/// Both questions at the same time. Once one family has an address the other is waited for as long
/// as `patience`, so that a silent AAAA does not take the time of the whole trip.
async fn ask_both(
    resolver: &TokioResolver,
    name: &str,
    deadline: Instant,
    patience: Duration,
) -> (Answer, Answer) {
    let a = ask(resolver, name, RecordType::A, deadline);
    let aaaa = ask(resolver, name, RecordType::AAAA, deadline);
    tokio::pin!(a, aaaa);
    let silent =
        || Answer::Failed(DnsFailure { kind: DnsKind::Timeout, detail: "no answer".into() });
    let until = |first: &Answer| {
        if first.failure().is_none() { deadline.min(Instant::now() + patience) } else { deadline }
    };
    tokio::select! {
        first = &mut a => {
            let second = timeout_at(until(&first), aaaa).await.unwrap_or_else(|_| silent());
            (first, second)
        }
        first = &mut aaaa => {
            let second = timeout_at(until(&first), a).await.unwrap_or_else(|_| silent());
            (second, first)
        }
    }
}

async fn ask(resolver: &TokioResolver, name: &str, kind: RecordType, deadline: Instant) -> Answer {
    match timeout_at(deadline, resolver.lookup(name, kind)).await {
        Err(_) => Answer::Failed(DnsFailure { kind: DnsKind::Timeout, detail: "no answer".into() }),
        Ok(Err(error)) => Answer::Failed(classify(&error)),
        Ok(Ok(found)) => {
            let addresses: Vec<IpAddr> =
                found.answers().iter().filter_map(|record| record.data.ip_addr()).collect();
            if addresses.is_empty() {
                let detail = "an answer without an address".to_owned();
                Answer::Failed(DnsFailure { kind: DnsKind::Nodata, detail })
            } else {
                Answer::Addresses(addresses)
            }
        }
    }
}

fn classify(error: &NetError) -> DnsFailure {
    let kind = match error {
        NetError::Dns(DnsError::NoRecordsFound(none)) => match none.response_code {
            ResponseCode::NoError => DnsKind::Nodata,
            code => of_code(code),
        },
        NetError::Dns(DnsError::ResponseCode(code)) => of_code(*code),
        NetError::Timeout => DnsKind::Timeout,
        NetError::Proto(_) => DnsKind::Malformed,
        NetError::Io(error) if error.kind() == std::io::ErrorKind::ConnectionRefused => {
            DnsKind::PortClosed
        }
        NetError::Io(_) | NetError::NoConnections => DnsKind::Transport,
        _ => DnsKind::Other,
    };
    DnsFailure { kind, detail: error.to_string() }
}

fn of_code(code: ResponseCode) -> DnsKind {
    match code {
        ResponseCode::NXDomain => DnsKind::Nxdomain,
        ResponseCode::ServFail => DnsKind::Servfail,
        ResponseCode::Refused => DnsKind::Refused,
        ResponseCode::NoError => DnsKind::Nodata,
        _ => DnsKind::RcodeOther,
    }
}
