//! The failures for which blackbox_exporter has one and the same set of metrics: each has its own here.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::{Bench, Probe};
use crate::support::dns::{Behaviour as Dns, DnsServer, Zone};
use crate::support::foreign::At;
use crate::support::ground::Ground;
use crate::support::http::{Behaviour as Http, HttpServer};
use crate::support::not_run;
use crate::support::pki::{Authority, Flaw};
use crate::support::proxy::{Behaviour as ProxyDoes, Proxy};
use crate::support::tcp::{ClosedPort, SilentPort};
use crate::support::tinyproxy::{self, Tinyproxy};
use crate::support::tls::{Behaviour as Tls, TlsServer};
use crate::support::wire::Ending;

/// Names and values of what does not depend on time.
fn fingerprint(probe: &Probe) -> Vec<String> {
    let steady = |line: &&str| !line.starts_with('#') && !line.starts_with("probe_ip_addr_hash");
    probe
        .body
        .lines()
        .filter(steady)
        .map(|line| if line.contains("seconds") { line.split(' ').next().unwrap() } else { line })
        .map(str::to_owned)
        .collect()
}

fn ok() -> Http {
    Http::Answer { status: 200, headers: Vec::new(), body: b"fine".to_vec() }
}

fn refusing(code: u16) -> Proxy {
    Proxy::start(ProxyDoes::Status { code, headers: Vec::new(), body: String::new() }, &[])
}

/// Servers that fail below HTTP, each in a way of its own, and one that does not.
fn servers(world: &Ground) -> Vec<(&'static str, TlsServer)> {
    let flawed = |flaw| {
        let leaf = Arc::new(world.authority.flawed_leaf(&["127.0.0.1"], flaw));
        TlsServer::start(&leaf, Tls::Serve(ok()))
    };
    let stranger = Arc::new(Authority::new("Inspection CA").leaf(&["127.0.0.1"]));
    vec![
        ("expired", flawed(Flaw::Expired)),
        ("wrong name", flawed(Flaw::WrongName)),
        ("unknown CA", TlsServer::start(&stranger, Tls::Serve(ok()))),
        ("good", world.server(Tls::Serve(ok()))),
        ("reset", world.server(Tls::AfterHello(Ending::Reset))),
        ("FIN", world.server(Tls::AfterHello(Ending::Close))),
        ("stall", world.server(Tls::AfterHello(Ending::Silent))),
        ("alert", world.server(Tls::Alert(40))),
        ("plain", world.server(Tls::PlainHttp)),
    ]
}

/// What of blackbox_exporter's metrics has one value for all of these.
#[test]
fn each_failure_has_a_set_of_metrics_of_its_own() {
    let world = Ground::new();
    let (closed, silent, down) = (ClosedPort::hold(), SilentPort::hold(), ClosedPort::hold());
    let servers = servers(&world);
    let dns = DnsServer::start(Zone::new());
    let kinds = [Dns::Nxdomain, Dns::Servfail, Dns::Refused, Dns::Silent];
    let names = ["nx.test", "serv.test", "ref.test", "none.test"];
    names.iter().zip(kinds).for_each(|(name, kind)| dns.set(name, kind));
    let proxies = [refusing(407), refusing(403), refusing(502)];
    let addresses = proxies.iter().map(Proxy::address).chain([down.address()]);
    let urls: Vec<String> =
        addresses.map(|address| format!("proxy_url: http://{address}")).collect();
    let mut modules = vec![("m", "")];
    let through = ["p407", "p403", "p502", "pdown"];
    modules.extend(through.into_iter().zip(urls.iter().map(String::as_str)));
    let mut at = vec![("refused", closed.address()), ("silent", silent.address())];
    at.extend(servers.iter().map(|(name, server)| (*name, server.address())));
    let ports: Vec<u16> = at.iter().map(|(_, address)| address.port()).chain([443]).collect();
    let resolver = format!("[dns]\nservers = [\"{}\"]\n", dns.address());
    let bench = Bench::on(world, &ports, &modules, &resolver);
    let good = at.iter().find(|(name, _)| *name == "good").expect("it is there").1;
    let mut rows: Vec<(&str, &str, String)> =
        at.iter().map(|(name, address)| (*name, "m", address.to_string())).collect();
    rows.extend(through.map(|module| (module, module, good.to_string())));
    rows.extend(names.map(|name| (name, "m", name.to_owned())));
    let mut seen: BTreeMap<Vec<String>, &str> = BTreeMap::new();
    for (name, module, target) in rows {
        let header = [("X-Prometheus-Scrape-Timeout-Seconds", "2")];
        let probe = bench.ask(&format!("module={module}&target=https://{target}/"), &header);
        assert_eq!(probe.success(), name == "good", "{name} {}", probe.body);
        assert_eq!(probe.failure().is_none(), name == "good", "{name}");
        let dated = probe.value("probe_ssl_earliest_cert_expiry").is_some();
        let shown = ["expired", "wrong name", "unknown CA", "good"].contains(&name);
        assert_eq!(dated, shown, "{name} {}", probe.body);
        if let Some(same) = seen.insert(fingerprint(&probe), name) {
            panic!("{name} looks like {same}: {}", probe.body);
        }
    }
}

/// What cannot be known is not claimed: without the API's name a page is a page.
#[test]
fn a_block_page_is_told_where_the_module_names_the_api() {
    let world = Ground::new();
    // It comes over the organisation's own chain: whoever ends TLS there can write it.
    let inspection = Authority::new("Inspection CA");
    let leaf = Arc::new(inspection.leaf(&["127.0.0.1"]));
    let server = TlsServer::start(&leaf, Tls::Serve(Http::HtmlBlockPage(200)));
    let ca = world.folder.write("inspection.pem", &inspection.pem());
    let trust = format!("tls_config: {{ ca_file: {} }}", ca.display());
    let port = server.address().port();
    let text = super::text(&[port], &[("any", &trust), ("named", &trust)]);
    let text = format!("{text}    egressd: {{ provider: anthropic }}\n");
    let bench = Bench::with(world, &text, "");
    let target = format!("https://{}/v1/models", server.address());
    assert!(bench.probe("any", &target).success());
    let probe = bench.probe("named", &target);
    assert!(!probe.success(), "{}", probe.body);
    assert!(probe.failure().unwrap().starts_with("http "), "{}", probe.body);
}

/// BH23 with a proxy that is there: its own log has the name, and CONNECT has a phase of its own.
#[test]
fn a_proxy_is_told_the_name() {
    if !tinyproxy::is_here() {
        return not_run("tinyproxy is not installed");
    }
    let world = Ground::new();
    let server = world.server(Tls::Serve(ok()));
    let leaf = Arc::new(world.authority.leaf(&["localhost"]));
    let named = TlsServer::start(&leaf, Tls::Serve(ok()));
    let proxy = Tinyproxy::start(At::Loopback, "", &[]);
    let lines = format!("proxy_url: http://{}\nno_proxy: 127.0.0.1", proxy.address());
    let ports = [server.address().port(), named.address().port()];
    let bench = Bench::on(world, &ports, &[("p", &lines)], "");
    let target = format!("localhost:{}", named.address().port());
    let probe = bench.probe("p", &format!("https://{target}/"));
    assert!(probe.success(), "{}", probe.body);
    let phases = ["resolve", "connect", "proxy_connect", "tls", "processing", "transfer"];
    assert_eq!(probe.phases(), phases);
    let line = format!("CONNECT {target} HTTP/1.1");
    proxy.log().wait_until(|lines| lines.iter().any(|l| l.contains(&line)));
    // Who is in `no_proxy` is reached without it.
    let direct = bench.probe("p", &format!("https://{}/", server.address()));
    assert!(direct.success() && direct.phase("proxy_connect").is_none(), "{}", direct.body);
}

/// BH12: one cause, and nothing that only follows from it.
#[test]
fn an_end_without_an_answer_is_one_cause() {
    let server = HttpServer::start(Http::CloseWithoutByte);
    let bench = Bench::new(&[server.address().port()], &[("m", "fail_if_not_ssl: true")]);
    let query = format!("module=m&target=http://{}/&debug=true", server.address());
    let probe = bench.ask(&query, &[]);
    assert!(!probe.body.contains("TLS"), "{}", probe.body);
    let unmet = probe.body.lines().filter(|line| line.starts_with("not met")).count();
    assert_eq!(unmet, 1, "{}", probe.body);
}
