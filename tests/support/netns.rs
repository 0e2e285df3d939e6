//! Three hosts in network namespaces: a client, a router with a firewall, and the internet behind it.
//! They are made for one test and gone after it; no packet leaves them.
#![expect(unsafe_code, reason = "setns(2) has no safe wrapper")]

use std::fs::File;
use std::os::fd::AsRawFd as _;
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

impl Hosts {
    /// Makes them; none where this user may not, which a run in CI does not accept.
    pub(crate) fn new() -> Option<Self> {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let name = format!("eg{}x{}", std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed));
        let probe = run(&format!("ip netns add {name}c"));
        if !probe.status.success() {
            let why = String::from_utf8_lossy(&probe.stderr);
            not_run(&format!("network namespaces need root: {why}"));
            return None;
        }
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
        self.on(Host::Router, &format!("nft add rule inet f fw {rule}"));
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
        let file = File::open(format!("/run/netns/{}", self.namespace(host))).expect("it exists");
        let thread = std::thread::spawn(move || {
            // SAFETY: the descriptor is a namespace's and open; only this thread moves.
            let moved = unsafe { libc::setns(file.as_raw_fd(), libc::CLONE_NEWNET) };
            assert_eq!(moved, 0, "setns");
            work()
        });
        thread.join().expect("it did not panic")
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
