//! The look-up, as an application of this host would do it: hosts file first, then hickory's resolver
//! on the system's configuration, A and AAAA as two questions whose fates are kept apart.
//!
//! resolv.conf and the hosts file are read again when they change. Nothing is cached: a check that
//! is answered from memory checks nothing. Not understood, as hickory does not: nsswitch.conf beyond
//! "files dns", `options use-vc` and `rotate`.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime};

use hickory_resolver::config::{
    ConnectionConfig, NameServerConfig, ResolveHosts, ResolverConfig, ResolverOpts,
};
use hickory_resolver::net::runtime::TokioRuntimeProvider;
use hickory_resolver::net::{DnsError, NetError};
use hickory_resolver::proto::op::{Query, ResponseCode};
use hickory_resolver::proto::rr::{Name, Record, RecordType};
use hickory_resolver::{Hosts, TokioResolver, system_conf};
use tokio::time::{Instant, timeout_at};
use url::Host;

use super::tcp::local_failure;
use crate::observation::{
    Answer, DnsFailure, DnsKind, Failure, LocalFailure, LocalKind, Lookup, Source,
};
use crate::plan::Nameserver;

const RESOLV_CONF: &str = "/etc/resolv.conf";
const HOSTS: &str = "/etc/hosts";

/// What resolves names here.
pub(super) struct Names {
    configured: Option<Vec<Nameserver>>,
    system: Mutex<Option<(Stamps, Arc<System>)>>,
}

/// When the two files last changed.
type Stamps = [Option<(SystemTime, u64)>; 2];

struct System {
    hosts: Hosts,
    servers: Vec<String>,
    addresses: Vec<SocketAddr>,
    resolver: Result<Resolver, String>,
}

/// hickory's resolver, one for each server in order: its own pool gives a server that is silent the
/// whole time of a question, and never comes to the next.
struct Resolver {
    each: Vec<TokioResolver>,
    /// How often all of them are asked.
    rounds: usize,
}

impl Names {
    pub(super) fn new(configured: Option<Vec<Nameserver>>) -> Self {
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
        servers: Option<&[Nameserver]>,
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
                if lookup.addresses().is_empty() {
                    lookup.stop = unroutable(&system.addresses).map(Failure::Local);
                }
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
    fn read(configured: Option<&[Nameserver]>) -> Self {
        let hosts = Hosts::from_system().unwrap_or_default();
        if let Some(servers) = configured {
            return Self { hosts, ..Self::of(servers) };
        }
        match system_conf::read_system_conf() {
            Ok((config, options)) => {
                let ips = || config.name_servers().iter().map(|server| server.ip);
                let servers = ips().map(|ip| ip.to_string()).collect();
                let addresses = ips().map(|ip| SocketAddr::new(ip, 53)).collect();
                Self { hosts, servers, addresses, resolver: build(&config, options) }
            }
            // glibc falls back to 127.0.0.1 without a nameserver line; hickory says so, and so do we.
            Err(error) => {
                let (servers, addresses) = (Vec::new(), Vec::new());
                Self { hosts, servers, addresses, resolver: Err(error.to_string()) }
            }
        }
    }

    fn of(servers: &[Nameserver]) -> Self {
        let configs = servers
            .iter()
            .map(|server| {
                let (mut udp, mut tcp) = (ConnectionConfig::udp(), ConnectionConfig::tcp());
                udp.port = server.address.port();
                tcp.port = server.address.port();
                NameServerConfig::new(server.address.ip(), true, vec![udp, tcp])
            })
            .collect();
        Self {
            hosts: Hosts::default(),
            servers: servers.iter().map(ToString::to_string).collect(),
            addresses: servers.iter().map(|server| server.address).collect(),
            resolver: build(&ResolverConfig::from_name_servers(configs), ResolverOpts::default()),
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

/// Why no server can be sent to at all, if that is so: connecting a UDP socket sends nothing, and the
/// kernel says at once whether it knows a way.
fn unroutable(servers: &[SocketAddr]) -> Option<LocalFailure> {
    let refusal = |server: &SocketAddr| {
        let unspecified: IpAddr = if server.is_ipv4() {
            Ipv4Addr::UNSPECIFIED.into()
        } else {
            Ipv6Addr::UNSPECIFIED.into()
        };
        let socket = UdpSocket::bind((unspecified, 0)).ok()?;
        socket.connect(server).err()
    };
    let mut refusals = servers.iter().map(refusal);
    let first = refusals.next()??;
    refusals.all(|refusal| refusal.is_some()).then(|| local_failure(&first))
}

fn build(config: &ResolverConfig, mut options: ResolverOpts) -> Result<Resolver, String> {
    options.cache_size = 0;
    options.use_hosts_file = ResolveHosts::Never;
    // Before the same server is asked again comes the next.
    let rounds = std::mem::take(&mut options.attempts).max(1);
    let (domain, search) = (config.domain().cloned(), config.search().to_vec());
    let of_server = |server: &NameServerConfig| {
        let one = vec![server.clone()];
        let config = ResolverConfig::from_parts(domain.clone(), search.clone(), one);
        let mut builder =
            TokioResolver::builder_with_config(config, TokioRuntimeProvider::default());
        *builder.options_mut() = options.clone();
        builder.build().map_err(|error| error.to_string())
    };
    let each = config.name_servers().iter().map(of_server).collect::<Result<_, _>>()?;
    Ok(Resolver { each, rounds })
}

/// Both questions at the same time. Once one family has an address the other is waited for as long
/// as `patience`, so that a silent AAAA does not take the time of the whole trip.
async fn ask_both(
    resolver: &Resolver,
    name: &str,
    deadline: Instant,
    patience: Duration,
) -> (Answer, Answer) {
    let a = ask(resolver, name, RecordType::A, deadline);
    let aaaa = ask(resolver, name, RecordType::AAAA, deadline);
    tokio::pin!(a, aaaa);
    let silent = || Answer::Failed(DnsFailure::new(DnsKind::Timeout, "no answer"));
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

/// The servers in their order, each for as long as a question may take, and all of them again: as
/// `resolv.conf(5)` has it. A server that cannot or will not answer leaves it to the next.
async fn ask(resolver: &Resolver, name: &str, kind: RecordType, deadline: Instant) -> Answer {
    let mut last = DnsFailure::new(DnsKind::Timeout, "no answer");
    let count = resolver.each.len();
    for (place, server) in (0..resolver.rounds).flat_map(|_| resolver.each.iter().enumerate()) {
        // A dead first server must leave time for the others, also in a short trip.
        let now = Instant::now();
        let share = deadline.saturating_duration_since(now)
            / u32::try_from(count - place).unwrap_or(u32::MAX);
        match timeout_at(now + share, server.lookup(name, kind)).await {
            Err(_) if Instant::now() >= deadline => break,
            Err(_) => {}
            Ok(Ok(found)) => return of_records(found.answers()),
            Ok(Err(error)) => last = classify(&error),
        }
        if matches!(last.kind, DnsKind::Nxdomain | DnsKind::Nodata) {
            break;
        }
    }
    Answer::Failed(last)
}

fn of_records(records: &[Record]) -> Answer {
    let addresses: Vec<IpAddr> =
        records.iter().filter_map(|record| record.data.ip_addr()).collect();
    if addresses.is_empty() {
        Answer::Failed(DnsFailure::new(DnsKind::Nodata, "an answer without an address"))
    } else {
        Answer::Addresses(addresses)
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
        NetError::Truncated => DnsKind::Truncated,
        NetError::Proto(_) => DnsKind::Malformed,
        NetError::Io(error) if error.kind() == std::io::ErrorKind::ConnectionRefused => {
            DnsKind::PortClosed
        }
        NetError::Io(_) | NetError::NoConnections => DnsKind::Transport,
        _ => DnsKind::Other,
    };
    DnsFailure::new(kind, error.to_string())
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
