//! Faults that need a network: the real binary on a host of its own, a router that drops and rejects.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;

use serde_json::Value;

use crate::support::dns::{DnsServer, Zone};
use crate::support::http::Behaviour as Http;
use crate::support::netns::{API, Host, Hosts, UNRELATED};
use crate::support::pki::Authority;
use crate::support::program::{Daemon, Finished, Folder};
use crate::support::proxy::{Behaviour as Tunnelling, Proxy};
use crate::support::tls::{Behaviour as Tls, Options, Refusal, TlsServer};
use crate::support::wire::Ending;

/// The client has its loopback for itself.
const RESOLVER: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 5300);

/// A client, a router with a firewall, and the target out there, which a check of the client asks.
pub(crate) struct World {
    pub(crate) hosts: Hosts,
    folder: Folder,
    config: String,
    /// The target's, IPv4 and IPv6, and the unrelated host's.
    servers: Vec<TlsServer>,
    _resolver: DnsServer,
}

impl World {
    pub(crate) fn new() -> Option<Self> {
        let hosts = Hosts::new()?;
        let folder = Folder::new();
        let authority = Authority::new("Public Root R1");
        let roots = folder.write("public.pem", &authority.pem());
        let api = Arc::new(authority.leaf(&["api.anthropic.com"]));
        let unrelated = Arc::new(authority.leaf(&["www.example.com"]));
        let servers = hosts.there(Host::Internet, move || {
            let at = |address: &str| {
                let address: IpAddr = address.parse().expect("an address");
                Options { bind: (address, 443).into(), ..Options::default() }
            };
            let page = Http::Answer { status: 200, headers: Vec::new(), body: b"hello".to_vec() };
            let origin = || Tls::Serve(Http::AnthropicUnauthorized);
            vec![
                TlsServer::start_with(&api, origin(), at(API[0])),
                TlsServer::start_with(&api, origin(), at(API[1])),
                TlsServer::start_with(&unrelated, Tls::Serve(page), at(UNRELATED)),
            ]
        });
        let address = |text: &str| text.parse::<IpAddr>().expect("an address");
        let zone = Zone::new()
            .address("api.anthropic.com", address(API[0]))
            .address("api.anthropic.com", address(API[1]))
            .address("www.example.com", address(UNRELATED));
        let resolver = hosts.there(Host::Client, move || DnsServer::start_at(RESOLVER, zone));
        let config = format!(
            "[trust]\nsystem = false\npublic_roots = \"{}\"\n[dns]\nservers = [\"{}\"]\n\
             [control]\nurls = [\"https://www.example.com/\"]\n[probe]\ntimeout = \"2s\"\n",
            roots.display(),
            resolver.address(),
        );
        Some(Self { hosts, folder, config, servers, _resolver: resolver })
    }

    /// A proxy out there that reaches the target at this address, and the route through it.
    pub(crate) fn proxy(&self, api: &'static str) -> (Proxy, String) {
        let hosts = &self.hosts;
        let proxy = hosts.there(Host::Internet, move || {
            let at = |text: &str| (text.parse::<IpAddr>().expect("an address"), 443).into();
            let upstreams = [("api.anthropic.com", at(api)), ("www.example.com", at(UNRELATED))];
            Proxy::start(Tunnelling::Tunnel, &upstreams)
        });
        // It listens on its own loopback: the host brings the client there.
        let port = proxy.address().port();
        hosts.on(Host::Internet, "sysctl -qw net.ipv4.conf.all.route_localnet=1");
        hosts.on(Host::Internet, "nft add table ip n");
        let chain = "nft 'add chain ip n pre { type nat hook prerouting priority -100; }'";
        hosts.on(Host::Internet, chain);
        let rule = format!("ip daddr 192.0.2.2 tcp dport {port} dnat to 127.0.0.1:{port}");
        hosts.on(Host::Internet, &format!("nft add rule ip n pre {rule}"));
        let routes = format!("[[route]]\nname = \"corp\"\nproxy = \"http://192.0.2.2:{port}\"\n");
        (proxy, routes)
    }

    /// The exit status and the document of a check with these lines in and behind the target's table.
    pub(crate) fn verdict(&self, more: &str) -> (i32, Value) {
        let text = format!(
            "{}[[target]]\nname = \"anthropic\"\nprovider = \"anthropic\"\n{more}",
            self.config
        );
        let file = self.folder.write("egressd.toml", &text);
        let mut command = self.hosts.egressd();
        command.args(["check", "--format", "json", "--config"]).arg(file);
        let finished = Finished::of(command.output().expect("it runs"));
        let document = serde_json::from_str(&finished.stdout);
        (finished.code, document.unwrap_or_else(|_| panic!("{}", finished.stderr)))
    }

    /// The daemon on the client, each two seconds, with these lines before all others and these tables behind.
    pub(crate) fn daemon(&self, folder: &Folder, before: &str, behind: &str) -> Daemon {
        let text = format!(
            "{before}[server]\nlisten = \"127.0.0.1:0\"\n{}interval = \"2s\"\n{behind}",
            self.config
        );
        let mut command = self.hosts.egressd();
        command.args(["run", "--config"]).arg(folder.write("egressd.toml", &text));
        Daemon::start_by(folder, command)
    }

    /// From now on the target answers so.
    pub(crate) fn answers(&self, behaviour: Http) {
        self.servers[0].set(Tls::Serve(behaviour));
    }
}

/// What the API says while it is overloaded.
pub(crate) fn overloaded() -> Http {
    let marks = [("request-id", "req_011CT"), ("content-type", "application/json")];
    let body = r#"{"type":"error","error":{"type":"overloaded_error","message":"Overloaded"}}"#;
    Http::Answer {
        status: 529,
        headers: marks.map(|(name, value)| (name, value.to_owned())).into(),
        body: body.into(),
    }
}

/// Status, cause, party, confidence of a check.
pub(crate) fn said(document: &Value, check: usize) -> [Option<&str>; 4] {
    ["status", "cause", "party", "confidence"].map(|key| document["checks"][check][key].as_str())
}

#[test]
fn a_firewall_that_rejects_is_named() {
    let Some(world) = World::new() else { return };
    world.hosts.firewall(&format!("ip daddr {} reject with icmp type admin-prohibited", API[0]));
    let (code, document) = world.verdict("");
    let expected = [Some("broken"), Some("tcp_rejected"), Some("firewall"), Some("high")];
    assert_eq!((code, said(&document, 0)), (2, expected), "{document:#}");
}

#[test]
fn a_healthy_host_without_ipv6_is_healthy() {
    let Some(world) = World::new() else { return };
    let (code, document) = world.verdict("");
    assert_eq!((code, said(&document, 0)[0]), (0, Some("ok")), "{document:#}");
    let addresses = document["checks"][0]["addresses"].as_array().expect("a list");
    assert_eq!(addresses.len(), 1, "a family without a route is not tried: {addresses:?}");
}

#[test]
fn a_family_that_does_not_pass_is_a_fault_that_most_clients_hide() {
    let Some(world) = World::new() else { return };
    world.hosts.with_ipv6();
    let (code, document) = world.verdict("");
    assert_eq!((code, said(&document, 0)[0]), (0, Some("ok")), "{document:#}");
    world.hosts.firewall(&format!("ip6 daddr {} drop", API[1]));
    let (code, document) = world.verdict("");
    let expected = [Some("degraded"), Some("ipv6_broken"), Some("network"), Some("medium")];
    assert_eq!((code, said(&document, 0)), (1, expected), "{document:#}");
    assert_eq!(document["checks"][0]["network"], "ok");
}

#[test]
fn a_drop_is_the_firewalls_where_another_route_reaches_the_target() {
    let Some(world) = World::new() else { return };
    world.hosts.firewall(&format!("ip daddr {} drop", API[0]));
    let (code, document) = world.verdict("");
    let alone = [Some("broken"), Some("tcp_dropped"), Some("undetermined"), Some("low")];
    assert_eq!((code, said(&document, 0)), (2, alone), "{document:#}");

    let (_proxy, routes) = world.proxy(API[0]);
    let (code, document) = world.verdict(&routes);
    assert_eq!(document["checks"][0]["route"], "corp", "{document:#}");
    assert_eq!(said(&document, 0)[0], Some("ok"), "{document:#}");
    let proven = [Some("broken"), Some("tcp_dropped"), Some("firewall"), Some("high")];
    assert_eq!(said(&document, 1), proven, "{document:#}");
    // Direct is `either` beside a proxy that works: the target is fine.
    assert_eq!((code, document["targets"][0]["status"].as_str()), (0, Some("ok")), "{document:#}");
}

#[test]
fn a_name_that_is_cut_on_the_way_is_found_by_another_name() {
    let Some(world) = World::new() else { return };
    let filter = Tls::SniFilter {
        deny: "api.anthropic.com".to_owned(),
        then: Refusal::End(Ending::Reset),
        otherwise: Http::AnthropicUnauthorized,
    };
    world.servers[0].set(filter);
    let (code, document) = world.verdict("");
    // The provider's edge might do the same: from one route nobody is named.
    let alone = [Some("broken"), Some("sni_filtered"), Some("undetermined"), Some("low")];
    assert_eq!((code, said(&document, 0)), (2, alone), "{document:#}");
    let (_proxy, routes) = world.proxy(API[1]);
    let (code, document) = world.verdict(&routes);
    let proven = [Some("broken"), Some("sni_filtered"), Some("firewall"), Some("high")];
    assert_eq!((code, said(&document, 1)), (0, proven), "{document:#}");
    assert_eq!(document["checks"][1]["network"], "broken");
    let evidence = document["checks"][1]["evidence"].as_array().expect("a list");
    let passed: Vec<&str> = evidence
        .iter()
        .filter(|line| line["result"] == "passed")
        .filter_map(|line| line["control"].as_str())
        .collect();
    let decisive = ["other_name", "control_host"];
    assert!(decisive.iter().all(|control| passed.contains(control)), "{document:#}");
}

#[test]
fn what_is_wrong_on_this_host_is_said_to_be() {
    let Some(world) = World::new() else { return };
    world.hosts.on(Host::Client, "ip route del default");
    let (code, document) = world.verdict("");
    let expected = [Some("broken"), Some("local_no_route"), Some("client"), Some("high")];
    assert_eq!((code, said(&document, 0)), (2, expected), "{document:#}");
    world.hosts.on(Host::Client, "ip route add prohibit default");
    let (_, document) = world.verdict("");
    let expected = [Some("broken"), Some("local_policy_denied"), Some("client"), Some("high")];
    assert_eq!(said(&document, 0), expected, "{document:#}");
    world.hosts.on(Host::Client, "ip route del prohibit default");
    // The gateway does not exist: this host's own stack gives up on it.
    world.hosts.on(Host::Client, "ip route add default via 10.1.2.99");
    let long = "timeout = \"8s\"\n";
    let (_, document) = world.verdict(long);
    let expected = [Some("broken"), Some("local_gateway_dead"), Some("client"), Some("high")];
    assert_eq!(said(&document, 0), expected, "{document:#}");
}

#[test]
fn a_link_that_swallows_full_segments_is_found_by_small_ones() {
    let Some(world) = World::new() else { return };
    let (client, router) = (Host::Client, Host::Router);
    // Each segment is a packet of its own, as on a real wire.
    world.hosts.on(client, "ip link set c0 gso_max_segs 1");
    let narrow = format!("ip route replace {}/32 via 192.0.2.2 mtu lock 1300", API[0]);
    world.hosts.on(router, &narrow);
    world.hosts.on(router, "nft 'add chain inet f own { type filter hook output priority 0; }'");
    world.hosts.on(router, "nft add rule inet f own icmp type destination-unreachable drop");
    let (code, document) = world.verdict("timeout = \"3s\"\n");
    let expected = [Some("broken"), Some("mtu_blackhole"), Some("network"), Some("high")];
    assert_eq!((code, said(&document, 0)), (2, expected), "{document:#}");
    assert_eq!(document["checks"][0]["layer"], "tcp");
    // The router may speak again: nothing is wrong then.
    world.hosts.on(router, "nft flush chain inet f own");
    let (code, document) = world.verdict("");
    assert_eq!((code, said(&document, 0)[0]), (0, Some("ok")), "{document:#}");
}

#[test]
fn a_device_that_takes_no_large_hello_is_found_by_a_small_one() {
    let Some(world) = World::new() else { return };
    let small_only = || Tls::HelloFilter {
        larger_than: 1000,
        then: Refusal::End(Ending::Reset),
        otherwise: Http::AnthropicUnauthorized,
    };
    world.servers[0].set(small_only());
    let (code, document) = world.verdict("");
    // The far end may be what cannot take it.
    let alone = [Some("broken"), Some("tls_hello_too_large"), Some("undetermined"), Some("medium")];
    assert_eq!((code, said(&document, 0)), (2, alone), "{document:#}");
    let evidence = document["checks"][0]["evidence"].as_array().expect("a list");
    let result = |control: &str| {
        let line = evidence.iter().find(|line| line["control"] == control);
        line.and_then(|line| line["result"].as_str())
    };
    assert_eq!((result("small_hello"), result("other_name")), (Some("passed"), Some("failed")));
}

#[test]
fn a_drop_is_told_with_the_last_hop_that_was_heard_of() {
    let Some(world) = World::new() else { return };
    world.hosts.firewall(&format!("ip daddr {} drop", API[0]));
    let (_, document) = world.verdict("");
    let evidence = document["checks"][0]["evidence"].as_array().expect("a list");
    let walk = evidence.iter().find(|line| line["control"] == "ttl_walk").expect("it was made");
    let detail = walk["detail"].as_str().unwrap_or_default();
    assert!(detail.contains("silence after hop 1 (10.1.2.1)"), "{detail}");
}

#[test]
fn data_that_is_dropped_after_the_handshake_is_not_the_edges_handshake() {
    let Some(world) = World::new() else { return };
    // Without data a packet has 52 bytes, a SYN 60.
    let data = "meta length > 80";
    world.hosts.firewall(&format!("ip daddr {} tcp dport 443 {data} drop", API[0]));
    let (code, document) = world.verdict("");
    let alone = [Some("broken"), Some("tcp_data_dropped"), Some("undetermined"), Some("low")];
    assert_eq!((code, said(&document, 0)), (2, alone), "{document:#}");
}
