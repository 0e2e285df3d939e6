//! Hosts in network namespaces: a real squid on the router or out in the internet, and a firewall before or
//! behind it.

use std::net::{IpAddr, Ipv4Addr};

use serde_json::Value;

use crate::netns::World;
use crate::support::foreign::At;
use crate::support::netns::{API, Host, UNRELATED};
use crate::support::squid::{self, Setup, Squid};

const ROUTER: Ipv4Addr = Ipv4Addr::new(10, 1, 2, 1);
const OUTSIDE: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 2);

/// A network, or none where there can be no namespaces or no squid.
fn world() -> Option<World> {
    if squid::is_here() { World::new() } else { None }
}

fn address(text: &str) -> IpAddr {
    text.parse().expect("an address")
}

/// A squid on a host, with further lines of its configuration.
fn squid(world: &World, (host, at): (Host, Ipv4Addr), lines: &str) -> Squid {
    let hosts = [("api.anthropic.com", address(API[0])), ("www.example.com", address(UNRELATED))];
    let namespace = world.hosts.namespace(host);
    let at = At::Namespace(&namespace, at.into(), None);
    Squid::start(&Setup { at, hosts: &hosts, lines, ..Setup::default() })
}

fn route(squid: &Squid) -> String {
    format!("[[route]]\nname = \"corp\"\nproxy = \"http://{}\"\n", squid.address())
}

/// The same, and no direct way is wanted.
fn only(squid: &Squid) -> String {
    format!("routes = [\"corp\"]\n{}", route(squid))
}

/// With time for squid to give up first.
fn longer(text: &str) -> String {
    format!("timeout = \"10s\"\n{text}")
}

/// Cause, party, confidence and the sentence of a check, where `PROXY` stands for the proxy.
#[track_caller]
fn assert_says(squid: &Squid, check: &Value, expected: [&str; 3], says: &str) {
    let found = ["cause", "party", "confidence"].map(|key| check[key].as_str().unwrap_or("-"));
    let summary = check["summary"].as_str().unwrap_or_default();
    let summary = summary.replace(&squid.address().to_string(), "PROXY");
    let clause = summary.split_once(": ").map_or("", |(_, clause)| clause);
    assert_eq!((found, clause), (expected, says), "{check:#}");
}

/// The router's own traffic, what squid there sends, passes this chain.
fn behind(world: &World, rule: &str) {
    let chain = "nft 'add chain inet f own { type filter hook output priority 0; }'";
    world.hosts.on(Host::Router, chain);
    world.hosts.on(Host::Router, &format!("nft 'add rule inet f own {rule}'"));
}

#[test]
fn direct_is_closed_and_the_proxy_is_open_as_in_an_enterprise() {
    let Some(world) = world() else { return };
    let squid = squid(&world, (Host::Router, ROUTER), "");
    world.hosts.firewall("ip saddr 10.1.2.0/24 tcp dport 443 drop");
    let (code, document) = world.verdict(&route(&squid));
    assert_eq!(document["targets"][0]["status"], "ok", "{document:#}");
    assert_eq!(document["checks"][0]["status"], "ok", "{document:#}");
    let says = "probably a firewall lets no direct connection out; \
                the control host fails over this route too";
    assert_says(&squid, &document["checks"][1], ["egress_blocked", "firewall", "medium"], says);
    assert_eq!(code, 0);
    squid.wait_access("CONNECT api.anthropic.com:443 200 TCP_TUNNEL");
}

#[test]
fn a_firewall_rejects_or_drops_the_way_to_the_proxy() {
    let Some(world) = world() else { return };
    let squid = squid(&world, (Host::Internet, OUTSIDE), "");
    let port = squid.address().port();
    let (code, document) = world.verdict(&only(&squid));
    assert_eq!(code, 0, "{document:#}");
    world.hosts.firewall(&format!("tcp dport {port} drop"));
    let (_, document) = world.verdict(&only(&squid));
    let says = "probably the network does not reach the proxy PROXY";
    assert_says(&squid, &document["checks"][0], ["proxy_unreachable", "network", "medium"], says);
    world.hosts.on(Host::Router, "nft flush chain inet f fw");
    world.hosts.firewall(&format!("tcp dport {port} reject with icmp type admin-prohibited"));
    let (_, document) = world.verdict(&only(&squid));
    let says = "the network does not reach the proxy PROXY";
    assert_says(&squid, &document["checks"][0], ["proxy_unreachable", "firewall", "high"], says);
    let advice = document["checks"][0]["advice"].as_str().unwrap_or_default();
    assert!(advice.starts_with("Firewall team:"), "{advice}");
}

#[test]
fn a_firewall_drops_what_the_proxy_sends_to_the_target() {
    let Some(world) = world() else { return };
    // It waits longer than the check does.
    let patient = squid(&world, (Host::Router, ROUTER), "");
    let hasty = squid(&world, (Host::Router, ROUTER), "connect_timeout 1 second\n");
    behind(&world, &format!("ip daddr {} drop", API[0]));
    let alone = ["proxy_upstream_blocked", "undetermined", "low"];
    let either = "cannot tell from here: a firewall behind the proxy, or the provider's edge; \
                  the proxy lets another host through";
    let (_, document) = world.verdict(&only(&patient));
    assert_says(&patient, &document["checks"][0], alone, either);
    assert_eq!(document["checks"][0]["failure"]["kind"], "timeout", "{document:#}");
    let (_, document) = world.verdict(&longer(&only(&hasty)));
    assert_says(&hasty, &document["checks"][0], alone, either);
    assert_eq!(document["checks"][0]["failure"]["kind"], "status", "{document:#}");
    // The client's own packets pass.
    let (_, document) = world.verdict(&longer(&route(&hasty)));
    let proven = ["proxy_upstream_blocked", "firewall", "high"];
    let says = "a firewall behind the proxy PROXY stops api.anthropic.com; \
                the proxy lets another host through";
    assert_says(&hasty, &document["checks"][0], proven, says);
    let ask = document["checks"][0]["evidence"].clone();
    assert_eq!(document["targets"][0]["status"], "degraded", "{ask:#}");
}

#[test]
fn the_resolver_of_the_proxy_is_dead() {
    let Some(world) = world() else { return };
    // Nobody has this address, and nobody says so.
    behind(&world, "ip daddr 192.0.2.99 drop");
    let namespace = world.hosts.namespace(Host::Router);
    let at = At::Namespace(&namespace, ROUTER.into(), None);
    let hosts = [("www.example.com", address(UNRELATED))];
    let dns = Some(address("192.0.2.99"));
    let squid = Squid::start(&Setup { at, hosts: &hosts, dns, ..Setup::default() });
    // The name is the provider's own: it exists.
    let (_, document) = world.verdict(&longer(&only(&squid)));
    let says = "probably the proxy PROXY cannot resolve api.anthropic.com";
    assert_says(&squid, &document["checks"][0], ["proxy_dns_failed", "proxy", "medium"], says);
    let (_, document) = world.verdict(&longer(&route(&squid)));
    let says = "the proxy PROXY cannot resolve api.anthropic.com; another route was compared";
    assert_says(&squid, &document["checks"][0], ["proxy_dns_failed", "proxy", "high"], says);
}
