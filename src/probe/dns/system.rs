//! Who resolves names on this host: the hosts file, `resolv.conf`, and whom a stub on this host asks.
//!
//! The files are read again when they change. Not understood: `nsswitch.conf` beyond "files dns",
//! `LOCALDOMAIN` and `RES_OPTIONS`, and of the options `no-aaaa` and those about two questions at once.

use std::fs::File;
use std::io::Read as _;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV6};
use std::os::unix::fs::MetadataExt as _;
use std::sync::{Arc, Mutex};

use super::hosts::Hosts;
use super::resolv_conf::{self, Listed, ResolvConf};
use super::resolver::Resolver;
use crate::observation::Role;
use crate::plan::{Nameserver, Through};

const RESOLV_CONF: &str = "/etc/resolv.conf";
const HOSTS: &str = "/etc/hosts";
/// Where systemd-resolved, NetworkManager with dnsmasq, and Debian's dnsmasq say whom they ask.
const UPSTREAMS: [&str; 3] = [
    "/run/systemd/resolve/resolv.conf",
    "/run/NetworkManager/no-stub-resolv.conf",
    "/run/dnsmasq/resolv.conf",
];
/// The port of a server that no port is said of.
const PORT: u16 = 53;
/// A file larger than this is cut: block lists are a few megabytes.
const LIMIT: u64 = 16 * 1024 * 1024;

/// What resolves names here.
pub(in crate::probe) struct Names {
    configured: Option<Vec<Nameserver>>,
    system: Mutex<Option<(Stamps, Arc<System>)>>,
}

/// What tells one state of the files from another.
type Stamps = [Option<Stamp>; 5];

/// Inode, length, and the times of the last change to content and inode: a file that is put in another's
/// place may well be as old and as long (glibc `io/file_change_detection.c`).
type Stamp = (u64, u64, [i64; 4]);

/// The files as they are now.
pub(super) struct System {
    pub(super) hosts: Hosts,
    /// Whom the host's programs ask, in order.
    pub(super) servers: Vec<Nameserver>,
    /// What these are.
    pub(super) role: Role,
    /// Whom they ask, where they are on this host.
    pub(super) upstreams: Vec<Nameserver>,
    /// Why nobody is configured: then 127.0.0.1 is asked.
    pub(super) missing: Option<String>,
    pub(super) resolver: Resolver,
}

impl Names {
    pub(in crate::probe) fn new(configured: Option<Vec<Nameserver>>) -> Self {
        Self { configured, system: Mutex::new(None) }
    }

    /// The system's configuration as the files have it now.
    pub(super) fn system(&self) -> Arc<System> {
        let [first, second, third] = UPSTREAMS;
        let stamps = [RESOLV_CONF, HOSTS, first, second, third].map(|path| {
            let of = std::fs::metadata(path).ok()?;
            let times = [of.mtime(), of.mtime_nsec(), of.ctime(), of.ctime_nsec()];
            Some((of.ino(), of.len(), times))
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
}

impl System {
    fn read(configured: Option<&[Nameserver]>) -> Self {
        let hosts = bytes(HOSTS).map(|bytes| Hosts::read(&bytes)).unwrap_or_default();
        if let Some(servers) = configured {
            return Self { hosts, ..Self::of(servers, Role::Configured) };
        }
        let (mut conf, missing) = match bytes(RESOLV_CONF) {
            Err(error) => {
                (ResolvConf::default(), Some(format!("{RESOLV_CONF} cannot be read: {error}")))
            }
            Ok(bytes) => {
                let conf = resolv_conf::read(&bytes);
                let missing = conf
                    .servers
                    .is_empty()
                    .then(|| format!("{RESOLV_CONF} has no nameserver that could be asked"));
                (conf, missing)
            }
        };
        if conf.search.is_empty() {
            conf.search.extend(own_domain());
        }
        let mut servers = nameservers(&conf);
        if servers.is_empty() {
            servers.push(Nameserver::at((Ipv4Addr::LOCALHOST, PORT).into()));
        }
        let is_stub = missing.is_none() && servers.iter().all(|s| s.address.ip().is_loopback());
        let upstreams = if is_stub { upstreams(&servers) } else { Vec::new() };
        let role = if is_stub { Role::Stub } else { Role::Configured };
        let resolver = Resolver::new(&servers, &conf);
        Self { hosts, servers, role, upstreams, missing, resolver }
    }

    /// The same servers, asked over TCP where they would be by datagrams.
    pub(super) fn over_tcp(&self) -> Self {
        let over_tcp = |server: &Nameserver| match server.through {
            Through::Udp => Nameserver { through: Through::Tcp, ..server.clone() },
            Through::Tcp | Through::Tls(_) | Through::Https(..) => server.clone(),
        };
        let servers: Vec<Nameserver> = self.servers.iter().map(over_tcp).collect();
        let resolver = self.resolver.of(&servers);
        Self { resolver, ..Self::of(&servers, self.role) }
    }

    /// These servers and nothing of this host.
    pub(super) fn of(servers: &[Nameserver], role: Role) -> Self {
        Self {
            hosts: Hosts::default(),
            servers: servers.to_vec(),
            role,
            upstreams: Vec::new(),
            missing: None,
            resolver: Resolver::new(servers, &ResolvConf::default()),
        }
    }
}

/// What stands behind the first dot of this host's name: without `search` and `domain` the C library
/// searches there (`resolv.conf(5)`).
fn own_domain() -> Option<String> {
    let name = std::fs::read_to_string("/proc/sys/kernel/hostname").ok()?;
    let (_, domain) = name.trim().split_once('.')?;
    (!domain.is_empty()).then(|| domain.to_owned())
}

fn bytes(path: &str) -> std::io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    File::open(path)?.take(LIMIT).read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// Whom the stubs ask, as far as a file says so; a stub that asks itself is none.
fn upstreams(stubs: &[Nameserver]) -> Vec<Nameserver> {
    let read = |path: &&str| bytes(path).ok().map(|bytes| nameservers(&resolv_conf::read(&bytes)));
    let found = UPSTREAMS.iter().filter_map(read).find(|servers| !servers.is_empty());
    let mut found = found.unwrap_or_default();
    found.retain(|server| !stubs.contains(server));
    found
}

fn nameservers(conf: &ResolvConf) -> Vec<Nameserver> {
    let through = if conf.tcp { Through::Tcp } else { Through::Udp };
    let server =
        |listed: &Listed| Nameserver { address: with_scope(listed), through: through.clone() };
    conf.servers.iter().map(server).collect()
}

/// The address with the number of its interface. To send to the unspecified address is to send to this
/// host, which answers from its own.
fn with_scope(listed: &Listed) -> SocketAddr {
    let number = |scope: &String| {
        scope.parse().ok().or_else(|| {
            let path = format!("/sys/class/net/{}/ifindex", scope.replace('/', ""));
            std::fs::read_to_string(path).ok()?.trim().parse::<u32>().ok()
        })
    };
    match (listed.address, listed.scope.as_ref().and_then(number)) {
        (IpAddr::V6(address), Some(scope)) => SocketAddrV6::new(address, PORT, 0, scope).into(),
        (IpAddr::V4(Ipv4Addr::UNSPECIFIED), _) => (Ipv4Addr::LOCALHOST, PORT).into(),
        (IpAddr::V6(Ipv6Addr::UNSPECIFIED), _) => (Ipv6Addr::LOCALHOST, PORT).into(),
        (address, _) => SocketAddr::new(address, PORT),
    }
}
