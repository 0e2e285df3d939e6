//! Real SOCKS5 servers: their logins, their rules, and their words for what is behind them.

use std::net::Ipv4Addr;

use super::{Check, NAME, Stand};
use crate::netns::{World, said};
use crate::support::foreign::At;
use crate::support::netns::Host;
use crate::support::socks::{self, Socks};
use crate::support::tcp::ClosedPort;

fn by<'a>(stand: &'a Stand, socks: &Socks, scheme: &str) -> Check<'a> {
    stand.by(format!("{scheme}://{}", socks.address())).to("127.0.0.1")
}

#[test]
fn microsocks_has_a_password() {
    if !socks::are_both_here() {
        return;
    }
    let stand = Stand::new();
    let open = Socks::microsocks(At::Loopback, None);
    by(&stand, &open, "socks5h").verdict().is_fine();
    // This host knows the name, and the server is told an address.
    by(&stand, &open, "socks5").to(NAME).verdict().is_fine();
    let closed = Socks::microsocks(At::Loopback, Some(("walter", "sesame")));
    let check = || by(&stand, &closed, "socks5h");
    let says = "the proxy PROXY asks for a login and none is configured";
    check().verdict().is("proxy_auth_required", "credential", "high", says);
    // Nobody has named a host yet when it says no: it is about the login.
    let wrong = check().password("basic", "walter", "wrong").verdict();
    let says = "the proxy PROXY rejects the configured login";
    wrong.is("proxy_auth_rejected", "credential", "high", says);
    assert!(closed.log().entries().is_empty(), "{:#?}", closed.log().entries());
    check().password("basic", "walter", "sesame").verdict().is_fine();
    let towards = format!("connected to 127.0.0.1:{}", stand.port());
    let connected = closed.log().wait_until(|lines| !lines.is_empty());
    assert!(connected.iter().all(|line| line.contains(&towards)), "{connected:#?}");
}

#[test]
fn danted_has_rules() {
    if !socks::are_both_here() {
        return;
    }
    let stand = Stand::new();
    let rule = "socks block { from: 0.0.0.0/0 to: 127.0.0.9/32 log: connect }";
    let danted = Socks::danted(At::Loopback, rule);
    for scheme in ["socks5", "socks5h"] {
        by(&stand, &danted, scheme).verdict().is_fine();
    }
    let denied = by(&stand, &danted, "socks5h").to("127.0.0.9").verdict();
    let says = "the proxy PROXY refuses 127.0.0.9; the proxy lets another host through";
    denied.is("proxy_denied", "proxy", "high", says);
    assert_eq!(denied.failure()["socks"], 2);
    let port = stand.port();
    danted.log().wait_until(|lines| {
        let has = |what: &str, to: String| {
            lines.iter().any(|line| line.contains(what) && line.contains(&to))
        };
        has(": pass(", format!(" 127.0.0.1.{port}"))
            && has(": block(", format!(" 127.0.0.9.{port}"))
    });
}

#[test]
fn socks_servers_are_refused_behind_themselves() {
    if !socks::are_both_here() {
        return;
    }
    let stand = Stand::new();
    let closed = ClosedPort::hold();
    for socks in [Socks::microsocks(At::Loopback, None), Socks::danted(At::Loopback, "")] {
        let check = by(&stand, &socks, "socks5h").at_port(closed.address().port());
        let refused = check.verdict();
        let says = "cannot tell from here: a firewall behind the proxy, or the provider's edge; \
                    the proxy lets another host through";
        refused.is("proxy_upstream_blocked", "undetermined", "low", says);
        assert_eq!(refused.failure()["socks"], 5);
    }
}

#[test]
fn a_name_that_this_host_does_not_know_is_no_fault_of_the_server() {
    if !socks::are_both_here() {
        return;
    }
    let stand = Stand::new();
    let socks = Socks::microsocks(At::Loopback, None);
    let unknown = by(&stand, &socks, "socks5").to("nowhere.invalid").verdict();
    let says = "cannot tell from here: a misspelt name, or the name's own zone";
    unknown.is("dns_name_missing", "undetermined", "low", says);
}

#[test]
fn a_socks_server_without_a_resolver_fails_for_every_name() {
    if !socks::are_both_here() {
        return;
    }
    let Some(world) = World::new() else { return };
    let router = Host::Router;
    world.hosts.on(router, "nft 'add chain inet f own { type filter hook output priority 0; }'");
    world.hosts.on(router, "nft add rule inet f own meta l4proto { tcp, udp } th dport 53 reject");
    let namespace = world.hosts.namespace(router);
    let at = At::Namespace(&namespace, Ipv4Addr::new(10, 1, 2, 1).into(), None);
    // RFC 1928 has no reply for it: each takes another one.
    for (socks, reply) in [(Socks::microsocks(at, None), 1), (Socks::danted(at, ""), 4)] {
        let by = |scheme: &str| {
            let route = format!("proxy = \"{scheme}://{}\"", socks.address());
            format!("timeout = \"10s\"\nroutes = [\"corp\"]\n[[route]]\nname = \"corp\"\n{route}\n")
        };
        let (_, document) = world.verdict(&by("socks5h"));
        let check = &document["checks"][0];
        assert_eq!(check["observed"]["legs"][0]["stop"]["proxy"]["socks"], reply, "{check:#}");
        let expected = [Some("broken"), Some("proxy_failed"), Some("proxy"), Some("medium")];
        assert_eq!(said(&document, 0), expected, "{check:#}");
        // It is told addresses: this host's resolver knows the name.
        let (code, document) = world.verdict(&by("socks5"));
        assert_eq!((code, said(&document, 0)[0]), (0, Some("ok")), "{document:#}");
    }
}
