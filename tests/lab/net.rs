//! Four hosts as network namespaces: the client, the router, the proxies, the internet. No packet leaves them.
//!
//! ```text
//!  client eth0 ── lan  router  wan ── eth0 internet (every public address on its lo)
//!                        dmz ── eth0 proxies
//! ```
//!
//! Where a case has a second hop, `upstream` stands between: `wan ── lower upstream upper ── eth0`.

use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use serde::Deserialize;

use super::case::Case;
use super::draw::Facts;
use crate::support::netns::inside;

/// One of the four.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Host {
    Client,
    Router,
    Proxies,
    Internet,
    /// Only where the case has a second hop.
    Upstream,
}

pub(crate) const HOSTS: [Host; 5] =
    [Host::Client, Host::Router, Host::Proxies, Host::Internet, Host::Upstream];

/// The namespaces; removed when this goes, by a panic too.
#[derive(Debug)]
pub(crate) struct Net {
    name: String,
}

/// What every namespace of this process is called at first.
pub(crate) fn prefix() -> String {
    format!("lab{}x", std::process::id())
}

/// What a host is told before it has a link: an address is usable at once (RFC 4862 5.4), a router that is
/// asked often still answers.
const SYSCTL: &str = "net.ipv6.conf.default.accept_dad=0 net.ipv6.conf.default.dad_transmits=0 \
    net.ipv6.conf.all.accept_ra=0 net.ipv4.icmp_ratelimit=0 net.ipv6.icmp.ratelimit=0";

impl Net {
    pub(crate) fn new(facts: &Facts, case: &Case) -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        assert!(!(case.ipv6 && case.second_hop), "the second hop knows IPv4 only");
        let name = format!("{}{}", prefix(), COUNT.fetch_add(1, Ordering::Relaxed));
        let net = Self { name };
        let [c, r, p, i, upstream] = HOSTS.map(|host| net.namespace(host));
        must(&format!(
            "for n in {c} {r} {p} {i}; do
               ip netns add $n
               ip netns exec $n sysctl -qw {SYSCTL}
             done
             ip netns exec {r} sysctl -qw net.ipv4.ip_forward=1 net.ipv6.conf.all.forwarding=1
             ip link add eth0 netns {c} type veth peer name lan netns {r}
             ip link add eth0 netns {p} type veth peer name dmz netns {r}"
        ));
        must(&if case.second_hop {
            format!(
                "ip netns add {upstream}
                 ip netns exec {upstream} sysctl -qw {SYSCTL} net.ipv4.ip_forward=1
                 ip link add wan netns {r} type veth peer name lower netns {upstream}
                 ip link add eth0 netns {i} type veth peer name upper netns {upstream}"
            )
        } else {
            format!("ip link add eth0 netns {i} type veth peer name wan netns {r}")
        });
        for (host, links) in [
            (Host::Client, CLIENT),
            (Host::Router, ROUTER),
            (Host::Proxies, PROXIES),
            (Host::Internet, INTERNET),
        ] {
            net.batch(host, &facts.fill(links));
        }
        if case.second_hop {
            net.batch(Host::Upstream, &facts.fill(UPSTREAM));
            net.batch(Host::Internet, &facts.fill("route add {transit} via {way_back}"));
        }
        if case.ipv6 {
            net.batch(Host::Client, &facts.fill("route add default via {router6}"));
            net.batch(Host::Proxies, &facts.fill("route add default via {router6_dmz}"));
        }
        net.wait_for_links(case.second_hop);
        let etc = net.etc(Host::Client);
        fs::create_dir_all(&etc).expect("root may make /etc/netns");
        fs::create_dir_all(net.etc(Host::Proxies)).expect("root may make /etc/netns");
        net
    }

    pub(crate) fn namespace(&self, host: Host) -> String {
        let letter = match host {
            Host::Client => "c",
            Host::Router => "r",
            Host::Proxies => "p",
            Host::Internet => "i",
            Host::Upstream => "u",
        };
        format!("{}{letter}", self.name)
    }

    /// Where `ip netns exec` finds what a host has in the place of the files of /etc.
    pub(crate) fn etc(&self, host: Host) -> PathBuf {
        Path::new("/etc/netns").join(self.namespace(host))
    }

    /// Runs a command line on a host.
    #[track_caller]
    pub(crate) fn on(&self, host: Host, command: &str) {
        must(&format!("ip netns exec {} {command}", self.namespace(host)));
    }

    /// Gives nft a text.
    #[track_caller]
    pub(crate) fn nft(&self, host: Host, text: &str) {
        feed(&["netns", "exec", &self.namespace(host), "nft", "-f", "-"], text);
    }

    #[track_caller]
    fn batch(&self, host: Host, lines: &str) {
        feed(&["-n", &self.namespace(host), "-batch", "-"], lines);
    }

    /// Does something with a thread of its own on a host; threads that it starts stay there.
    pub(crate) fn there<T: Send + 'static>(
        &self,
        host: Host,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> T {
        inside(&self.namespace(host), work)
    }

    /// See `support::netns::Chain`: neighbours are not found before the kernel has seen the carrier.
    fn wait_for_links(&self, second_hop: bool) {
        let links = [
            (Host::Client, "eth0"),
            (Host::Proxies, "eth0"),
            (Host::Internet, "eth0"),
            (Host::Router, "lan"),
            (Host::Router, "dmz"),
            (Host::Router, "wan"),
            (Host::Upstream, "lower"),
            (Host::Upstream, "upper"),
        ];
        for (host, link) in
            links.into_iter().filter(|(host, _)| second_hop || *host != Host::Upstream)
        {
            let shown = format!("ip -n {} -6 route show dev {link}", self.namespace(host));
            must(&format!("timeout 30 sh -c 'until {shown} | grep -q fe80; do :; done'"));
        }
    }

    /// The processes that are still on the hosts, once all have been ended: some need a moment for it.
    fn left_over(&self) -> String {
        let begun = Instant::now();
        loop {
            let pids: String = HOSTS
                .iter()
                .map(|host| run(&format!("ip netns pids {} 2>/dev/null", self.namespace(*host))))
                .map(|output| String::from_utf8_lossy(&output.stdout).into_owned())
                .collect();
            if pids.trim().is_empty() || begun.elapsed() > Duration::from_secs(10) {
                return pids.split_whitespace().collect::<Vec<_>>().join(" ");
            }
            std::thread::yield_now();
        }
    }

    /// Takes everything away and says what could not be. Whatever a fault did to a host, the host is gone.
    pub(crate) fn end(self) -> Result<(), String> {
        let pids = self.left_over();
        if !pids.is_empty() {
            let who = run(&format!("ps --no-headers -o pid,args -p '{pids}'"));
            run(&format!("kill -9 {pids}"));
            return Err(format!("still running: {}", String::from_utf8_lossy(&who.stdout).trim()));
        }
        let name = self.name.clone();
        drop(self);
        let left = footprint(&name);
        if left.is_empty() { Ok(()) } else { Err(format!("still there: {left:?}")) }
    }
}

impl Drop for Net {
    fn drop(&mut self) {
        for host in HOSTS {
            run(&format!("ip netns del {}", self.namespace(host)));
            fs::remove_dir_all(self.etc(host)).ok();
        }
    }
}

/// What this host holds of a world, or of every world of this process.
pub(crate) fn footprint(prefix: &str) -> Vec<String> {
    let own = format!("egressd{}x", std::process::id());
    let mut found = Vec::new();
    for folder in ["/run/netns", "/etc/netns", "/dev/shm"] {
        for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
            let name = entry.file_name().to_string_lossy().into_owned();
            let of_world = name.strip_prefix(prefix);
            // `lab7x1` is no part of `lab7x12`.
            let is_its = of_world
                .is_some_and(|rest| !rest.starts_with(|c: char| c.is_ascii_digit()))
                || prefix == self::prefix() && (of_world.is_some() || name.starts_with(&own));
            if is_its {
                found.push(format!("{folder}/{name}"));
            }
        }
    }
    found
}

/// This host's own network, which no world may touch.
pub(crate) fn own_network() -> String {
    let shown = run(
        "nft list ruleset; ip rule; ip route; ip -6 route; ip -o link | grep -v '@' ; tc qdisc",
    );
    String::from_utf8_lossy(&shown.stdout).into_owned()
}

pub(crate) fn run(command: &str) -> Output {
    Command::new("sh").args(["-ec", command]).output().expect("sh runs")
}

#[track_caller]
pub(crate) fn must(command: &str) {
    let output = run(command);
    assert!(output.status.success(), "{command}: {}", String::from_utf8_lossy(&output.stderr));
}

/// `ip` with something to read.
#[track_caller]
fn feed(arguments: &[&str], text: &str) {
    let mut command = Command::new("ip");
    command.args(arguments).stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::piped());
    let mut child = command.spawn().expect("ip runs");
    child.stdin.take().expect("it is piped").write_all(text.as_bytes()).expect("it reads");
    let output = child.wait_with_output().expect("it ends");
    assert!(output.status.success(), "{text}: {}", String::from_utf8_lossy(&output.stderr));
}

const CLIENT: &str = "link set lo up
addr add {client}/24 dev eth0
addr add {client2}/24 dev eth0
addr add {client6}/64 dev eth0 nodad
link set eth0 gso_max_segs 1 up
route add default via {router}
";

const ROUTER: &str = "link set lo up
addr add {router}/24 dev lan
addr add {router6}/64 dev lan nodad
addr add {resolver2}/24 dev lan
addr add {router_dmz}/24 dev dmz
addr add {router6_dmz}/64 dev dmz nodad
addr add {router_wan}/24 dev wan
addr add {router6_wan}/64 dev wan nodad
link set lan gso_max_segs 1 up
link set dmz gso_max_segs 1 up
link set wan gso_max_segs 1 up
route add default via {way_out}
route add default via {internet6}
";

const PROXIES: &str = "link set lo up
addr add {proxies}/24 dev eth0
addr add {proxies6}/64 dev eth0 nodad
link set eth0 gso_max_segs 1 up
route add default via {router_dmz}
";

const UPSTREAM: &str = "link set lo up
addr add {upstream}/24 dev lower
addr add {upstream_wan}/24 dev upper
link set lower gso_max_segs 1 up
link set upper gso_max_segs 1 up
route add {lan} via {router_wan}
route add {dmz} via {router_wan}
route add default via {internet}
";

/// Whoever is not there is silent, as out there.
const INTERNET: &str = "link set lo up
addr add {internet}/24 dev eth0
addr add {internet6}/64 dev eth0 nodad
link set eth0 gso_max_segs 1 up
addr add {api}/32 dev lo
addr add {api2}/32 dev lo
addr add {api6}/128 dev lo nodad
addr add {control}/32 dev lo
addr add {control2}/32 dev lo
addr add {portal}/32 dev lo
addr add {elsewhere}/32 dev lo
addr add {dns_public}/32 dev lo
addr add {independent}/32 dev lo
route add {lan} via {way_back}
route add {dmz} via {way_back}
route add blackhole default
route add {client6} via {router6_wan}
route add {proxies6} via {router6_wan}
route add blackhole ::/0
";
