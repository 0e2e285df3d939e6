//! The way to a resolver behind a router: dropped, rejected, cut for TCP only, and refused on this host.

use std::thread;

use serde_json::Value;

use super::host::{Files, Machine, answer};
use crate::support::nameserver::NameServer;
use crate::support::netns::{Host, UNRELATED};

const API: &str = "api.corp.example";
/// A resolver behind the router.
const FAR: &str = "nameserver 192.0.2.80\noptions timeout:1 attempts:1\n";

/// Kind and ICMP sender of the first question's end.
fn stop(check: &Value) -> [String; 2] {
    let stop = &check["observed"]["lookup"]["questions"][0]["stop"];
    let text = |value: &Value| value.as_str().unwrap_or("none").to_owned();
    [text(&stop["kind"]), text(&stop["icmp"]["offender"])]
}

fn verdict(check: &Value) -> [&str; 2] {
    ["cause", "party"].map(|key| check[key].as_str().unwrap_or("none"))
}

#[test]
fn a_router_that_rejects_names_itself_and_one_that_drops_does_not() {
    let Some(machine) = Machine::new() else { return };
    let _far = NameServer::dnsmasq(
        &machine.hosts,
        Host::Internet,
        UNRELATED,
        &["--address=/corp.example/127.0.0.1"],
    );
    let check = machine.check(Files::resolv(FAR), API);
    assert_eq!(answer(&check), "[\"127.0.0.1\"]", "{check:#}");
    machine.hosts.firewall("udp dport 53 reject with icmp type admin-prohibited");
    let check = machine.check(Files::resolv(FAR), API);
    assert_eq!(stop(&check), ["icmp", "10.1.2.1"], "{check:#}");
    assert_eq!(verdict(&check), ["dns_resolver_blocked", "firewall"], "{check:#}");
    machine.hosts.on(Host::Router, "nft flush chain inet f fw");
    machine.hosts.firewall("udp dport 53 drop");
    let check = machine.check(Files::resolv(FAR), API);
    assert_eq!(answer(&check), "timeout", "{check:#}");
}

#[test]
fn a_long_answer_whose_tcp_is_cut_is_truncated_however_it_is_cut() {
    let ways = ["drop", "reject with tcp reset", "reject with icmp type admin-prohibited"];
    thread::scope(|scope| {
        for way in ways {
            scope.spawn(move || {
                let Some(machine) = Machine::new() else { return };
                let many: Vec<String> = (1..=120)
                    .map(|last| format!("--host-record=api.corp.example,10.9.0.{last}"))
                    .collect();
                let many: Vec<&str> = many.iter().map(String::as_str).collect();
                let _far = NameServer::dnsmasq(&machine.hosts, Host::Internet, UNRELATED, &many);
                machine.hosts.firewall(&format!("tcp dport 53 {way}"));
                let check = machine.check(Files::resolv(FAR), API);
                assert_eq!(answer(&check), "truncated", "{way}: {check:#}");
                assert_eq!(check["cause"], "dns_over_tcp_blocked", "{way}: {check:#}");
                let question = &check["observed"]["lookup"]["questions"][0];
                assert_eq!(question["reply"]["flags"]["tc"], true, "{way}: {question:#}");
                let named = if way.contains("icmp") { "firewall" } else { "undetermined" };
                assert_eq!(check["party"], named, "{way}: {check:#}");
            });
        }
    });
}

#[test]
fn what_this_host_refuses_is_this_hosts() {
    let Some(machine) = Machine::new() else { return };
    let on = |command: &str| machine.hosts.on(Host::Client, command);
    on("nft add table inet o");
    on("nft 'add chain inet o out { type filter hook output priority 0; }'");
    for rule in ["drop", "reject", "reject with icmp type admin-prohibited"] {
        on(&format!("nft add rule inet o out udp dport 53 {rule}"));
        let check = machine.check(Files::resolv(FAR), API);
        assert_eq!(verdict(&check), ["local_policy_denied", "client"], "{rule}: {check:#}");
        on("nft flush chain inet o out");
    }
    on("ip route del default");
    let check = machine.check(Files::resolv(FAR), API);
    assert_eq!(verdict(&check), ["local_no_route", "client"], "{check:#}");
}

#[test]
fn a_resolver_at_a_link_local_address_is_asked_by_its_interface() {
    let Some(machine) = Machine::new() else { return };
    // See `Chain::wait_for_link`.
    for (host, end) in [(Host::Client, "c0"), (Host::Router, "r0")] {
        let looked = format!("until ip -6 route show dev {end} | grep -q fe80; do :; done");
        machine.hosts.on(host, &format!("timeout 30 sh -c '{looked}'"));
    }
    machine.hosts.on(Host::Router, "ip addr add fe80::53/64 dev r0 nodad");
    // Whoever forgets the interface leaves by this one.
    machine.hosts.on(Host::Client, "ip link add d0 type veth peer name d1");
    machine.hosts.on(Host::Client, "ip link set d0 up");
    machine.hosts.on(Host::Client, "ip link set d1 up");
    machine.hosts.on(Host::Client, "ip -6 route add fe80::/64 dev d0 metric 1");
    let _near = NameServer::dnsmasq(
        &machine.hosts,
        Host::Router,
        "r0",
        &["--address=/corp.example/127.0.0.1"],
    );
    let check = machine.check(Files::resolv("nameserver fe80::53%c0\n"), API);
    assert_eq!(answer(&check), "[\"127.0.0.1\"]", "{check:#}");
}

#[test]
fn a_router_that_redirects_port_53_is_seen_where_no_resolver_can_be() {
    let Some(machine) = Machine::new() else { return };
    let _far = NameServer::dnsmasq(
        &machine.hosts,
        Host::Internet,
        UNRELATED,
        &["--address=/corp.example/"],
    );
    let noted = |check: &Value| {
        let notes = check["notes"].as_array().expect("a list");
        notes.iter().any(|note| note["cause"] == "dns_intercepted")
    };
    let files = || Files { control: Some("unanswerable_resolver"), ..Files::resolv(FAR) };
    let check = machine.check(files(), API);
    assert_eq!((answer(&check).as_str(), noted(&check)), ("nxdomain", false), "{check:#}");
    let on = |command: &str| machine.hosts.on(Host::Router, command);
    on("nft add table ip n");
    on("nft 'add chain ip n pre { type nat hook prerouting priority -100; }'");
    on(&format!("nft add rule ip n pre udp dport 53 dnat to {UNRELATED}"));
    let check = machine.check(files(), API);
    assert_eq!((answer(&check).as_str(), noted(&check)), ("nxdomain", true), "{check:#}");
}
