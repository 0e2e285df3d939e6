//! Hosts in network namespaces: a client, the internet, and between them one router with a firewall (`Hosts`) or
//! three in a row (`Chain`). They are made for one test and gone after it; no packet leaves them.
#![expect(unsafe_code, reason = "setns(2) has no safe wrapper")]

use std::fs::File;
use std::os::fd::AsRawFd as _;
use std::path::Path;
use std::process::{Command, Output};
use std::sync::atomic::{AtomicU32, Ordering};

use super::not_run;

/// The namespaces; removed when this goes.
#[derive(Debug)]
pub(crate) struct Hosts {
    name: String,
}

/// One of them.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Host {
    Client,
    Router,
    Internet,
}

/// Addresses of the internet's hosts: the target's and an unrelated one's.
pub(crate) const API: [&str; 2] = ["160.79.104.10", "2607:6bc0::10"];
pub(crate) const UNRELATED: &str = "192.0.2.80";

fn run(command: &str) -> Output {
    Command::new("sh").args(["-ec", command]).output().expect("sh runs")
}

fn must(command: &str) {
    let output = run(command);
    assert!(output.status.success(), "{command}: {}", String::from_utf8_lossy(&output.stderr));
}

/// The first namespace of a set, which says whether this user may make any: a run in CI does not accept that not.
fn begin() -> Option<String> {
    static COUNT: AtomicU32 = AtomicU32::new(0);
    let name = format!("eg{}x{}", std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed));
    let probe = run(&format!("ip netns add {name}c"));
    if !probe.status.success() {
        let why = String::from_utf8_lossy(&probe.stderr);
        not_run(&format!("network namespaces need root: {why}"));
        return None;
    }
    Some(name)
}

/// Does something with a thread of its own in a namespace, by its name or its file; threads that it starts stay there.
pub(crate) fn inside<T: Send + 'static>(
    namespace: &str,
    work: impl FnOnce() -> T + Send + 'static,
) -> T {
    let file = File::open(Path::new("/run/netns").join(namespace)).expect("it exists");
    let thread = std::thread::spawn(move || {
        // SAFETY: the descriptor is a namespace's and open; only this thread moves.
        let moved = unsafe { libc::setns(file.as_raw_fd(), libc::CLONE_NEWNET) };
        assert_eq!(moved, 0, "setns");
        work()
    });
    thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
}

/// This thread gives up every privilege; the others of the process keep theirs, because the system
/// calls, unlike the functions of libc, are about one thread.
pub(crate) fn drop_privileges() {
    const NOBODY: libc::c_long = 65534;
    // linux/capability.h: version 3, of this thread; then two words each of effective, permitted and
    // inheritable.
    let (header, none) = ([0x2008_0522_u32, 0], [0_u32; 6]);
    // SAFETY: the calls take numbers, and pointers to what outlives them and is only read. A user
    // namespace may have one user only: there the capabilities alone go.
    let dropped = unsafe {
        libc::syscall(libc::SYS_setresuid, NOBODY, NOBODY, NOBODY);
        libc::syscall(libc::SYS_capset, header.as_ptr(), none.as_ptr())
    };
    assert_eq!(dropped, 0, "capset");
    let status = std::fs::read_to_string("/proc/thread-self/status").expect("it is readable");
    assert!(status.contains("CapEff:\t0000000000000000"), "{status}");
}

impl Hosts {
    /// Makes them; none where this user may not.
    pub(crate) fn new() -> Option<Self> {
        let name = begin()?;
        let hosts = Self { name };
        let [c, r, i] = ["c", "r", "i"].map(|host| format!("{}{host}", hosts.name));
        must(&format!("ip netns add {r}; ip netns add {i}"));
        must(&format!(
            "for n in {c} {r} {i}; do
               ip -n $n link set lo up
               # An address is usable at once, not after a second of asking around (RFC 4862 5.4).
               ip netns exec $n sysctl -qw net.ipv6.conf.default.accept_dad=0 net.ipv6.conf.default.dad_transmits=0
             done
             ip link add c0 netns {c} type veth peer name r0 netns {r}
             ip link add i0 netns {i} type veth peer name r1 netns {r}
             ip -n {c} addr add 10.1.2.3/24 dev c0; ip -n {c} addr add fd00:1::3/64 dev c0 nodad
             ip -n {r} addr add 10.1.2.1/24 dev r0; ip -n {r} addr add fd00:1::1/64 dev r0 nodad
             ip -n {r} addr add 192.0.2.1/24 dev r1; ip -n {r} addr add fd00:2::1/64 dev r1 nodad
             ip -n {i} addr add 192.0.2.2/24 dev i0; ip -n {i} addr add fd00:2::2/64 dev i0 nodad
             ip -n {c} link set c0 up; ip -n {r} link set r0 up; ip -n {r} link set r1 up
             ip -n {i} link set i0 up
             ip -n {i} addr add {}/32 dev lo; ip -n {i} addr add {}/128 dev lo nodad
             ip -n {i} addr add {UNRELATED}/32 dev lo
             ip -n {c} route add default via 10.1.2.1
             ip -n {r} route add default via 192.0.2.2; ip -n {r} -6 route add default via fd00:2::2
             ip -n {i} route add 10.1.2.0/24 via 192.0.2.1
             ip -n {i} -6 route add fd00:1::/64 via fd00:2::1
             ip netns exec {r} sysctl -qw net.ipv4.ip_forward=1 net.ipv6.conf.all.forwarding=1
             ip netns exec {r} nft add table inet f
             ip netns exec {r} nft 'add chain inet f fw {{ type filter hook forward priority 0; }}'",
            API[0], API[1]
        ));
        Some(hosts)
    }

    pub(crate) fn namespace(&self, host: Host) -> String {
        let letter = match host {
            Host::Client => "c",
            Host::Router => "r",
            Host::Internet => "i",
        };
        format!("{}{letter}", self.name)
    }

    /// Runs a command line on a host.
    #[track_caller]
    pub(crate) fn on(&self, host: Host, command: &str) {
        must(&format!("ip netns exec {} {command}", self.namespace(host)));
    }

    /// A rule of the router's firewall.
    #[track_caller]
    pub(crate) fn firewall(&self, rule: &str) {
        self.on(Host::Router, &format!("nft 'add rule inet f fw {rule}'"));
    }

    /// Gives the client a way out over IPv6 too.
    pub(crate) fn with_ipv6(&self) {
        must(&format!("ip -n {} -6 route add default via fd00:1::1", self.namespace(Host::Client)));
    }

    /// Does something with a thread of its own on a host; threads that it starts stay there.
    pub(crate) fn there<T: Send + 'static>(
        &self,
        host: Host,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> T {
        inside(&self.namespace(host), work)
    }

    /// The binary on the client, ready for arguments.
    pub(crate) fn egressd(&self) -> Command {
        let mut command = Command::new("ip");
        command.args(["netns", "exec", &self.namespace(Host::Client)]);
        command.arg(env!("CARGO_BIN_EXE_egressd"));
        command.env_clear().env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin");
        command
    }
}

impl Drop for Hosts {
    fn drop(&mut self) {
        for host in [Host::Client, Host::Router, Host::Internet] {
            run(&format!("ip netns del {}", self.namespace(host)));
        }
    }
}

/// A client (0), three routers (1 to 3) and the internet (4) in a row. On the link in front of node n, node n-1 has
/// 10.1.n.1 and fd00:n::1 on `out0`, and node n has 10.1.n.2 and fd00:n::2 on `in0`: with the latter it signs
/// what it tells the client.
#[derive(Debug)]
pub(crate) struct Chain {
    name: String,
}

/// The nodes of a chain that have no number.
pub(crate) const CLIENT: u8 = 0;
pub(crate) const INTERNET: u8 = 4;

impl Chain {
    /// Makes it; none where this user may not.
    pub(crate) fn new() -> Option<Self> {
        let name = begin()?;
        let chain = Self { name };
        for node in 1..=INTERNET {
            must(&format!("ip netns add {}", chain.namespace(node)));
        }
        for node in 0..=INTERNET {
            chain.on(node, "ip link set lo up");
            // See `Hosts`. A router that is asked often still answers: the limits of ICMP are another test's.
            chain.on(
                node,
                "sysctl -qw net.ipv6.conf.default.accept_dad=0 net.ipv6.conf.default.dad_transmits=0 \
                 net.ipv4.icmp_ratelimit=0 net.ipv6.icmp.ratelimit=0",
            );
        }
        for node in 1..=INTERNET {
            chain.link(node);
        }
        (1..=INTERNET).for_each(|node| chain.wait_for_link(node));
        for node in 1..INTERNET {
            chain.on(node, "sysctl -qw net.ipv4.ip_forward=1 net.ipv6.conf.all.forwarding=1");
            chain.on(node, "nft add table inet f");
            for hook in ["forward", "output"] {
                let about = format!("{{ type filter hook {hook} priority 0; }}");
                chain.on(node, &format!("nft 'add chain inet f {hook} {about}'"));
            }
        }
        for address in [API[0], UNRELATED] {
            chain.on(INTERNET, &format!("ip addr add {address}/32 dev lo"));
        }
        chain.on(INTERNET, &format!("ip addr add {}/128 dev lo nodad", API[1]));
        Some(chain)
    }

    /// The link in front of a node, the way out over it, and the way back.
    fn link(&self, node: u8) {
        let [near, far] = [node - 1, node].map(|node| self.namespace(node));
        must(&format!(
            "ip link add out0 netns {near} type veth peer name in0 netns {far}
             ip -n {near} addr add 10.1.{node}.1/24 dev out0
             ip -n {near} addr add fd00:{node}::1/64 dev out0 nodad
             ip -n {far} addr add 10.1.{node}.2/24 dev in0
             ip -n {far} addr add fd00:{node}::2/64 dev in0 nodad
             ip -n {near} link set out0 up; ip -n {far} link set in0 up
             ip -n {near} route add default via 10.1.{node}.2
             ip -n {near} -6 route add default via fd00:{node}::2
             ip -n {far} route add 10.1.0.0/16 via 10.1.{node}.1
             ip -n {far} -6 route add fd00::/16 via fd00:{node}::1"
        ));
    }

    /// The kernel notices up to a second later that a link has a carrier, and IPv6 is not there before it has its route for
    /// link-local addresses (`linkwatch_event`, `addrconf_notify`): neighbours would not be found at once.
    fn wait_for_link(&self, node: u8) {
        let [near, far] = [node - 1, node].map(|node| self.namespace(node));
        for end in
            [format!("{near} -6 route show dev out0"), format!("{far} -6 route show dev in0")]
        {
            must(&format!("timeout 30 sh -c 'until ip -n {end} | grep -q fe80; do :; done'"));
        }
    }

    fn namespace(&self, node: u8) -> String {
        let letter = if node == CLIENT { "c".to_owned() } else { node.to_string() };
        format!("{}{letter}", self.name)
    }

    /// Runs a command line on a node.
    #[track_caller]
    pub(crate) fn on(&self, node: u8, command: &str) {
        must(&format!("ip netns exec {} {command}", self.namespace(node)));
    }

    /// A rule of a router's firewall, about what it passes on.
    #[track_caller]
    pub(crate) fn firewall(&self, router: u8, rule: &str) {
        self.on(router, &format!("nft 'add rule inet f forward {rule}'"));
    }

    /// Takes a router's rules away.
    #[track_caller]
    pub(crate) fn open(&self, router: u8) {
        self.on(router, "nft flush table inet f");
    }

    /// See `Hosts::there`.
    pub(crate) fn there<T: Send + 'static>(
        &self,
        node: u8,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> T {
        inside(&self.namespace(node), work)
    }
}

impl Drop for Chain {
    fn drop(&mut self) {
        for node in 0..=INTERNET {
            run(&format!("ip netns del {}", self.namespace(node)));
        }
    }
}
