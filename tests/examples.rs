//! The configurations by situation that are shipped: each is sound, and does on a wire what it promises. They are run
//! as they are copied, in the place where an administrator puts them: a host of its own has them in its /etc.

use std::collections::BTreeSet;
use std::fs;
use std::net::IpAddr;
use std::process::Command;
use std::sync::Arc;

use serde_json::Value;

use crate::netns::said;
use crate::support::dns::{DnsServer, Zone};
use crate::support::foreign::At;
use crate::support::http::Behaviour as Http;
use crate::support::netns::{API, Host, Hosts, UNRELATED};
use crate::support::pki::Authority;
use crate::support::program::{Finished, Folder};
use crate::support::squid::{Setup, Squid, is_here};
use crate::support::tls::{Behaviour as Tls, Options, TlsServer};

const FOLDER: &str = "config/examples";

/// Each of them, how many checks it makes, and what its plan has to say.
const EXAMPLES: &[(&str, usize, &[&str])] = &[
    ("central", 4, &["needs all of", "proxy-fra.corp.example:3128", "alerts, via direct"]),
    ("direct", 1, &["api.anthropic.com", "www.example.org"]),
    ("gateway", 2, &["llm.corp.example", "credential gateway-key"]),
    ("inspection", 1, &["api.anthropic.com"]),
    ("pac", 2, &["PAC file https://wpad.corp.example/proxy.pac"]),
    ("providers", 4, &["api.openai.com", "contoso.openai.azure.com", "credential azure-api-key"]),
    ("proxy", 2, &["proxy.corp.example:3128"]),
];

/// Out there, beside those of `Hosts`.
const OTHER: &str = "192.0.2.81";
/// The router has the name server; the proxy is on the far side of it, a gateway on the near one.
const ROUTER: &str = "10.1.2.1";
const PROXY: &str = "192.0.2.2";
const PROXIES: [(&str, &str); 3] = [
    ("proxy-fra.corp.example", "192.0.2.3"),
    ("proxy-sin.corp.example", "192.0.2.4"),
    ("proxy-iad.corp.example", "192.0.2.5"),
];
/// Who has the PAC file.
const WPAD: &str = "192.0.2.82";

fn address(text: &str) -> IpAddr {
    text.parse().expect("an address")
}

/// A host whose /etc has these files over its own.
struct Customer {
    hosts: Hosts,
    etc: Folder,
    _names: DnsServer,
}

impl Customer {
    /// With the example in its place; none where this user may not.
    fn new(example: &str) -> Option<Self> {
        let hosts = Hosts::new()?;
        for at in [OTHER, WPAD].into_iter().chain(PROXIES.map(|(_, at)| at)) {
            hosts.on(Host::Internet, &format!("ip addr add {at}/32 dev lo"));
        }
        let zone = Zone::new()
            .address("api.anthropic.com", address(API[0]))
            .address("www.example.com", address(UNRELATED))
            .address("www.example.org", address(OTHER))
            .address("proxy.corp.example", address(PROXY))
            .address("wpad.corp.example", address(WPAD))
            .address("llm.corp.example", address(ROUTER));
        let zone = PROXIES.iter().fold(zone, |zone, (name, at)| zone.address(name, address(at)));
        let at = (address(ROUTER), 53).into();
        let names = hosts.there(Host::Router, move || DnsServer::start_at(at, zone));
        let this = Self { hosts, etc: Folder::new(), _names: names };
        this.file("egressd/egressd.toml", &text(example));
        this.file("resolv.conf", &format!("nameserver {ROUTER}\n"));
        this.file("hosts", "127.0.0.1 localhost\n");
        Some(this)
    }

    fn file(&self, name: &str, text: &str) {
        let path = self.etc.path().join(name);
        fs::create_dir_all(path.parent().expect("a folder")).expect("a folder");
        fs::write(path, text).expect("a file");
    }

    /// The servers of the internet, and what they show; the host's store knows their CA or it does not.
    fn internet(&self, authority: &Authority, trusted: bool) -> Vec<TlsServer> {
        let store = if trusted { authority.pem() } else { Authority::new("Other Root").pem() };
        self.file("ssl/certs/ca-certificates.crt", &store);
        let leaf = |name| Arc::new(authority.leaf(&[name]));
        let sites = [
            (API[0], leaf("api.anthropic.com"), Http::AnthropicUnauthorized),
            (UNRELATED, leaf("www.example.com"), page()),
            (OTHER, leaf("www.example.org"), page()),
            (WPAD, leaf("wpad.corp.example"), script()),
        ];
        self.hosts.there(Host::Internet, move || {
            let serve = |(at, leaf, answer): (&str, _, _)| {
                let options = Options { bind: (address(at), 443).into(), ..Options::default() };
                TlsServer::start_with(&leaf, Tls::Serve(answer), options)
            };
            sites.into_iter().map(serve).collect()
        })
    }

    /// The program there, with the files over those of /etc; what else is under /etc stays.
    fn egressd(&self, arguments: &[&str]) -> Finished {
        let mut command = Command::new("ip");
        command.args(["netns", "exec", &self.hosts.namespace(Host::Client)]);
        command.args(["unshare", "--mount", "--propagation", "private", "sh", "-ec"]);
        command.arg("mount -t overlay overlay -o \"lowerdir=$1:/etc\" /etc; shift; exec \"$@\"");
        command.arg("sh").arg(self.etc.path()).arg(env!("CARGO_BIN_EXE_egressd")).args(arguments);
        command.env_clear().env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin");
        command.env("CREDENTIALS_DIRECTORY", self.etc.path().join("egressd/keys"));
        Finished::of(command.output().expect("it runs"))
    }

    /// The direct way to hosts of others is closed.
    fn close_direct(&self) {
        for at in [API[0], UNRELATED, OTHER] {
            let rule = format!("ip saddr 10.1.2.3 ip daddr {at} tcp dport 443 reject");
            self.hosts.firewall(&format!("{rule} with icmp type admin-prohibited"));
        }
    }

    /// A proxy out there, which knows the hosts of others.
    fn squid(&self, at: &str) -> Squid {
        Squid::start(&Setup {
            at: At::Namespace(&self.hosts.namespace(Host::Internet), address(at), Some(3128)),
            hosts: &[
                ("api.anthropic.com", address(API[0])),
                ("www.example.com", address(UNRELATED)),
                ("www.example.org", address(OTHER)),
            ],
            ..Setup::default()
        })
    }

    /// Exit status and document of a check with the file in its place.
    fn check(&self) -> (i32, Value) {
        let finished = self.egressd(&["check", "--format", "json"]);
        let document = serde_json::from_str(&finished.stdout);
        (finished.code, document.unwrap_or_else(|_| panic!("{finished:?}")))
    }
}

fn page() -> Http {
    Http::Answer { status: 200, headers: Vec::new(), body: b"hello".to_vec() }
}

fn script() -> Http {
    let text = "function FindProxyForURL(url, host) { return 'PROXY proxy.corp.example:3128'; }";
    let headers = vec![("content-type", "application/x-ns-proxy-autoconfig".to_owned())];
    Http::Answer { status: 200, headers, body: text.into() }
}

/// The place of the check over this route.
fn by_route(document: &Value, route: &str) -> usize {
    let checks = document["checks"].as_array().expect("a list");
    checks.iter().position(|check| check["route"] == route).expect("the route")
}

fn text(example: &str) -> String {
    fs::read_to_string(format!("{FOLDER}/{example}.toml")).expect("an example")
}

/// The causes of a check's notes.
fn notes(document: &Value, check: usize) -> Vec<&str> {
    let notes = document["checks"][check]["notes"].as_array().expect("a list");
    notes.iter().filter_map(|note| note["cause"].as_str()).collect()
}

#[test]
fn every_example_is_known_here_and_says_what_to_change() {
    let there: BTreeSet<String> = fs::read_dir(FOLDER)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    let known: BTreeSet<String> =
        EXAMPLES.iter().map(|(name, ..)| format!("{name}.toml")).collect();
    assert_eq!(there, known, "each has a row in EXAMPLES");
    let readme = fs::read_to_string("README.md").unwrap();
    for (name, ..) in EXAMPLES {
        let text = text(name);
        assert!(readme.contains(&format!("`{name}.toml`")), "README lacks {name}");
        assert!(text.contains("Copy to /etc/egressd/egressd.toml"), "{name}");
        assert!(text.lines().filter(|line| line.contains("# <-")).count() >= 2, "{name}");
        assert!(text.lines().all(|line| line.chars().count() <= 132), "{name} has long lines");
        assert!(text.lines().count() < 70, "{name} is long");
    }
}

#[test]
fn every_example_is_sound_as_it_stands_and_with_what_it_comments_out() {
    let pem = Authority::new("Corp CA").pem();
    for (name, checks, says) in EXAMPLES {
        let Some(host) = Customer::new(name) else { return };
        for file in ["ssl/corp-inspection.pem", "ssl/corp-ca.pem"] {
            host.file(file, &pem);
        }
        host.file("egressd/targets/a.json", "[]");
        let whole = text(name);
        // What is commented out is an option where it is one in TOML, and prose otherwise.
        let all: Vec<&str> = whole
            .lines()
            .map(|line| line.strip_prefix("# ").filter(|code| is_option(code)).unwrap_or(line))
            .filter(|line| !line.contains("/opt/app/"))
            .collect();
        for text in [whole.clone(), all.join("\n")] {
            host.file("egressd/egressd.toml", &text);
            let finished = host.egressd(&["config", "check", "--plan"]);
            assert_eq!((finished.code, finished.stderr.as_str()), (0, ""), "{name}\n{text}");
            for said in *says {
                assert!(finished.stdout.contains(said), "{name}: {said}\n{}", finished.stdout);
            }
        }
        host.file("egressd/egressd.toml", &whole);
        let (_, document) = host.check();
        assert_eq!(document["checks"].as_array().map(Vec::len), Some(*checks), "{name}");
    }
}

fn is_option(line: &str) -> bool {
    line.split_once(" = ").is_some_and(|(key, _)| {
        !key.is_empty() && key.chars().all(|c| c.is_ascii_lowercase() || c == '_')
    })
}

#[test]
fn direct_is_ok_and_names_what_is_cut() {
    let Some(host) = Customer::new("direct") else { return };
    let authority = Authority::new("Public Root");
    let _servers = host.internet(&authority, true);
    let (code, document) = host.check();
    assert_eq!((code, said(&document, 0)[0]), (0, Some("ok")), "{document:#}");
    assert_eq!(document["site"], "osaka-1");
    host.hosts.firewall(&format!("ip daddr {} reject with icmp type admin-prohibited", API[0]));
    let (code, document) = host.check();
    let expected = [Some("broken"), Some("tcp_rejected"), Some("firewall"), Some("high")];
    assert_eq!((code, said(&document, 0)), (2, expected), "{document:#}");
}

#[test]
fn one_proxy_is_ok_while_direct_is_closed_and_tells_where_it_is_open() {
    if !is_here() {
        return;
    }
    let Some(host) = Customer::new("proxy") else { return };
    let authority = Authority::new("Public Root");
    let _servers = host.internet(&authority, true);
    let _squid = host.squid(PROXY);
    let (code, document) = host.check();
    let direct = by_route(&document, "direct");
    assert_eq!(code, 0, "{document:#}");
    let expected = [Some("degraded"), Some("egress_open_unexpectedly"), Some("firewall")];
    assert_eq!(said(&document, direct)[..3], expected, "{document:#}");

    host.close_direct();
    let (code, document) = host.check();
    assert_eq!((code, document["targets"][0]["status"].as_str()), (0, Some("ok")), "{document:#}");
    let (corp, direct) = (by_route(&document, "corp"), by_route(&document, "direct"));
    assert_eq!(said(&document, corp)[0], Some("ok"), "{document:#}");
    assert_eq!(said(&document, direct)[0], Some("ok"), "{document:#}");
}

#[cfg(feature = "pac")]
#[test]
fn a_pac_file_leads_to_the_proxy_while_direct_is_closed() {
    if !is_here() {
        return;
    }
    let Some(host) = Customer::new("pac") else { return };
    let _servers = host.internet(&Authority::new("Public Root"), true);
    let _squid = host.squid(PROXY);
    host.close_direct();
    let (code, document) = host.check();
    assert_eq!((code, document["targets"][0]["status"].as_str()), (0, Some("ok")), "{document:#}");
    assert_eq!(said(&document, by_route(&document, "auto"))[0], Some("ok"), "{document:#}");
}

#[test]
fn a_central_site_is_ok_over_every_proxy_and_names_the_one_that_is_dead() {
    if !is_here() {
        return;
    }
    let Some(host) = Customer::new("central") else { return };
    let _servers = host.internet(&Authority::new("Public Root"), true);
    let mut squids: Vec<Squid> = PROXIES.iter().map(|(_, at)| host.squid(at)).collect();
    host.close_direct();
    let (code, document) = host.check();
    assert_eq!((code, document["targets"][0]["status"].as_str()), (0, Some("ok")), "{document:#}");
    assert_eq!(document["site"], "headquarters");

    squids.pop();
    let list = r#"[{ "targets": ["https://api.anthropic.com/v1/models"], "labels": { "team": "search",
        "__egressd_name": "listed", "__egressd_routes": "frankfurt, singapore" } }]"#;
    host.file("egressd/targets/search.json", list);
    let (code, document) = host.check();
    let dead = by_route(&document, "ashburn");
    let expected = [Some("broken"), Some("proxy_down"), Some("proxy"), Some("high")];
    assert_eq!((code, said(&document, dead)), (2, expected), "{document:#}");
    for works in ["frankfurt", "singapore"] {
        assert_eq!(said(&document, by_route(&document, works))[0], Some("ok"), "{document:#}");
    }
    let targets = document["targets"].as_array().expect("a list");
    assert_eq!(targets.len(), 2, "{document:#}");
}

#[test]
fn inspection_is_ok_with_its_note_and_broken_without_the_ca() {
    let Some(host) = Customer::new("inspection") else { return };
    let authority = Authority::new("Corp Inspection CA");
    let _servers = host.internet(&authority, false);
    host.file("ssl/corp-inspection.pem", &authority.pem());
    let (code, document) = host.check();
    assert_eq!((code, said(&document, 0)[0]), (0, Some("ok")), "{document:#}");
    assert!(notes(&document, 0).contains(&"tls_inspected"), "{document:#}");
    assert_eq!(document["checks"][0]["tls"]["trust"], "organisation", "{document:#}");

    host.file("ssl/corp-inspection.pem", &Authority::new("Yet Another").pem());
    let (code, document) = host.check();
    assert_eq!((code, said(&document, 0)[2]), (2, Some("inspection")), "{document:#}");
}

#[test]
fn a_gateway_is_ok_by_its_key_and_never_taken_for_the_provider() {
    let Some(host) = Customer::new("gateway") else { return };
    let _servers = host.internet(&Authority::new("Public Root"), true);
    let ours = Authority::new("Corp CA");
    host.file("ssl/corp-ca.pem", &ours.pem());
    host.file("egressd/keys/gateway-key", "gk-1\n");
    let leaf = Arc::new(ours.leaf(&["llm.corp.example"]));
    let gateway = host.hosts.there(Host::Router, move || {
        let options = Options { bind: (address(ROUTER), 443).into(), ..Options::default() };
        let answer = Http::AnthropicByKey { good: "gk-1".to_owned() };
        TlsServer::start_with(&leaf, Tls::Serve(answer), options)
    });
    let of = |document: &Value| {
        let checks = document["checks"].as_array().expect("a list");
        checks.iter().position(|check| check["target"] == "gateway").expect("the target")
    };
    let (code, document) = host.check();
    assert_eq!((code, said(&document, of(&document))[0]), (0, Some("ok")), "{document:#}");

    gateway.set(Tls::Serve(Http::AnthropicByKey { good: "gk-2".to_owned() }));
    let (code, document) = host.check();
    let expected = [Some("broken"), Some("api_key_invalid"), Some("account"), Some("high")];
    assert_eq!((code, said(&document, of(&document))), (2, expected), "{document:#}");

    // What stands before it, and finds nobody behind: an own CA for one target is no inspection.
    for status in [502, 503] {
        gateway.set(Tls::Serve(Http::Answer {
            status,
            headers: vec![("server", "nginx".to_owned()), ("content-type", "text/html".to_owned())],
            body: b"<html><h1>Bad Gateway</h1><hr><center>nginx</center></html>".to_vec(),
        }));
        let (code, document) = host.check();
        let gateway = of(&document);
        let expected = [Some("broken"), Some("edge_failed"), Some("gateway"), Some("medium")];
        assert_eq!((code, said(&document, gateway)), (2, expected), "{document:#}");
        assert_eq!(said(&document, 1 - gateway)[0], Some("ok"), "{document:#}");
    }
}
