//! The daemon, the real binary: it listens, checks, is scraped by a real Prometheus, reloads, keeps its
//! secrets, and stops.

use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::support::foreign::At;
use crate::support::ground::Ground;
use crate::support::http::Behaviour as Http;
use crate::support::program::{Daemon, get};
use crate::support::prometheus::Prometheus;
use crate::support::tcp::ClosedPort;
use crate::support::tls::{Behaviour as Tls, TlsServer};
use crate::support::wire::Ending;

struct World {
    ground: Ground,
    api: TlsServer,
}

impl World {
    fn new() -> Self {
        let ground = Ground::new();
        let good = Http::AnthropicByKey { good: "sk-ant-planted-secret".into() };
        Self { api: ground.server(Tls::Serve(good)), ground }
    }

    fn config(&self, more: &str) -> String {
        format!(
            "site = \"test-1\"\n[server]\nlisten = \"127.0.0.1:0\"\nhosts = [\"egressd.corp.example\"]\n\
             [log]\nformat = \"text\"\n{}{more}",
            self.ground.tables(),
        )
    }

    fn target(&self, name: &str, more: &str) -> String {
        format!(
            "[[target]]\nname = \"{name}\"\nprovider = \"anthropic\"\nurl = \"https://{}/v1/models\"\n{more}\n",
            self.api.address()
        )
    }

    fn start(&self, more: &str) -> Daemon {
        let file = self.ground.folder.write("egressd.toml", &self.config(more));
        Daemon::start(&self.ground.folder, &file)
    }
}

/// The value of the one series that has all these parts.
fn series(text: &str, parts: &[&str]) -> Option<f64> {
    let found: Vec<&str> =
        text.lines().filter(|line| parts.iter().all(|part| line.contains(part))).collect();
    assert!(found.len() <= 1, "{parts:?}: {found:?}");
    found.first().and_then(|line| line.rsplit(' ').next()).and_then(|value| value.parse().ok())
}

#[test]
fn it_checks_at_once_tells_changes_and_is_scraped() {
    let world = World::new();
    let closed = ClosedPort::hold();
    let shut = format!(
        "[[target]]\nname = \"shut\"\nurl = \"https://{}/\"\nlabels = {{ team = \"ml\" }}\n",
        closed.address()
    );
    let daemon = world.start(&format!("{}{shut}", world.target("api", "")));
    assert!(daemon.notification().starts_with("READY=1"));
    let fine = daemon.wait_for("api via direct: works");
    assert!(fine.contains("INFO") && fine.contains("status=\"ok\""), "{fine}");
    let broken = daemon.wait_for("shut via direct: ");
    assert!(broken.contains("ERROR") && broken.contains("cause=\"tcp_rejected\""), "{broken}");
    assert_eq!(daemon.get("/-/healthy"), (200, "healthy\n".to_owned()));
    assert_eq!(daemon.get("/-/ready").0, 200);
    let (status, json) = daemon.get("/api/v1/status");
    let document: Value = serde_json::from_str(&json).unwrap();
    assert_eq!((status, &document["site"]), (200, &Value::from("test-1")));
    assert_eq!(document["checks"].as_array().unwrap().len(), 2);

    let (_, text) = daemon.get("/metrics");
    let api = ["target=\"api\"", "route=\"direct\"", "site=\"test-1\""];
    let of = |name: &str, more: &[&str]| series(&text, &[&[name], &api[..], more].concat());
    assert_eq!(of("egressd_check_up{", &[]), Some(1.0));
    assert_eq!(of("egressd_network_up{", &[]), Some(1.0));
    assert_eq!(of("egressd_response_status{", &["author=\"origin\""]), Some(401.0));
    let shut = ["target=\"shut\"", "route=\"direct\""];
    let of = |name: &str, more: &[&str]| series(&text, &[&[name], &shut[..], more].concat());
    assert_eq!(of("egressd_check_up{", &[]), Some(0.0));
    assert_eq!(of("egressd_network_up{", &[]), None, "undetermined is neither 1 nor 0");
    let verdict = ["layer=\"tcp\"", "cause=\"tcp_rejected\"", "party=\"undetermined\""];
    assert_eq!(of("egressd_verdict{", &verdict), Some(1.0));
    assert!(of("egressd_failures_total{", &["layer=\"tcp\"", "kind=\"refused\""]) >= Some(1.0));
    assert_eq!(
        series(&text, &["egressd_target_info{", "target=\"shut\"", "team=\"ml\""]),
        Some(1.0)
    );
    // Every series of finished checks exists from the plan on, so that increase() sees the first one.
    let count = text.lines().filter(|line| line.starts_with("egressd_checks_total{")).count();
    assert_eq!(count, 2 * 4 * 3);
}

#[test]
fn a_steady_verdict_is_told_once() {
    let world = World::new();
    let daemon = world.start(&world.target("api", ""));
    daemon.wait_for("api via direct: works");
    // Two more checks of the same kind, by the server's own count, say nothing more.
    world.api.wait_closed(3);
    let told = daemon.log().iter().filter(|line| line.contains("via direct")).count();
    assert_eq!(told, 1, "{:#?}", daemon.log());
    world.api.set(Tls::AfterHello(Ending::Reset));
    let changed = daemon.wait_for("before=\"ok\"");
    assert!(changed.contains("layer=\"tls\""), "{changed}");
    world.api.set(Tls::Serve(Http::AnthropicUnauthorized));
    let back = daemon.wait_for("before=\"broken\"");
    assert!(back.contains("status=\"ok\""), "{back}");
}

#[test]
fn it_reloads_and_keeps_the_old_plan_where_the_new_one_is_wrong() {
    let world = World::new();
    let daemon = world.start(&world.target("api", ""));
    daemon.wait_for("api via direct: works");
    let file = "egressd.toml";
    world.ground.folder.write(file, &world.config("[[target]]\nnme = \"api\"\n"));
    daemon.signal("HUP");
    let line = daemon.wait_for("the old plan stays in force");
    assert!(line.contains("ERROR"), "{line}");
    daemon.wait_for("did you mean `name`?");
    assert_eq!(
        series(&daemon.get("/metrics").1, &["egressd_config_last_reload_successful{"]),
        Some(0.0)
    );
    assert!(daemon.get("/metrics").1.contains("egressd_check_up{site=\"test-1\",target=\"api\""));

    world.ground.folder.write(file, &world.config(&world.target("other", "")));
    daemon.signal("HUP");
    daemon.wait_for("other via direct: works");
    let (_, text) = daemon.get("/metrics");
    assert_eq!(series(&text, &["egressd_config_last_reload_successful{"]), Some(1.0));
    assert!(!text.contains("target=\"api\""), "series of what is gone are gone at once");
    let (_, json) = daemon.get("/api/v1/status");
    assert!(!json.contains("\"api\""), "{json}");
}

#[test]
fn it_stops_within_a_second_also_while_checks_are_under_way() {
    let world = World::new();
    world.api.set(Tls::AfterHello(Ending::Silent));
    let daemon = world.start(&world.target("api", ""));
    // A handshake hangs, by the server's own word.
    let asked = Instant::now();
    while world.api.connections().is_empty() && asked.elapsed() < Duration::from_secs(30) {
        std::thread::yield_now();
    }
    let asked = Instant::now();
    let status = daemon.stop();
    assert_eq!(status.code(), Some(0));
    assert!(asked.elapsed() < Duration::from_secs(1), "{:?}", asked.elapsed());
}

#[test]
fn strangers_names_and_sites_are_turned_away() {
    let world = World::new();
    let daemon = world.start(&world.target("api", ""));
    let ask = |path: &str, headers: &[(&str, &str)]| get(daemon.address(), path, headers).0;
    let status = "/api/v1/status";
    assert_eq!(ask(status, &[("Host", "localhost:9737")]), 200);
    assert_eq!(ask(status, &[("Host", "10.1.2.3:9737")]), 200);
    assert_eq!(ask(status, &[("Host", "[::1]:9737")]), 200);
    assert_eq!(ask(status, &[("Host", "egressd.corp.example")]), 200);
    assert_eq!(ask(status, &[("Host", "attacker.example")]), 421);
    assert_eq!(ask("/", &[("Host", "attacker.example")]), 421);
    assert_eq!(ask("/metrics", &[("Host", "attacker.example")]), 200);
    assert_eq!(ask("/-/healthy", &[("Host", "attacker.example")]), 200);
    assert_eq!(ask(status, &[("Sec-Fetch-Site", "cross-site")]), 403);
    assert_eq!(ask("/", &[("Sec-Fetch-Site", "cross-site")]), 200);
    assert_eq!(ask("/nothing", &[]), 404);
}

#[test]
fn a_real_prometheus_takes_the_series() {
    let world = World::new();
    let daemon = world.start(&world.target("api", ""));
    daemon.wait_for("api via direct: works");
    let (_, text) = daemon.get("/metrics");
    let mut promtool = Command::new("promtool")
        .args(["check", "metrics"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("promtool is installed (apt-get install prometheus)");
    std::io::Write::write_all(&mut promtool.stdin.take().unwrap(), text.as_bytes()).unwrap();
    let judged = promtool.wait_with_output().unwrap();
    let words = format!(
        "{}{}",
        String::from_utf8_lossy(&judged.stdout),
        String::from_utf8_lossy(&judged.stderr)
    );
    assert!(judged.status.success() && words.trim().is_empty(), "{words}");

    let config = format!(
        "global:\n  scrape_interval: 1s\nscrape_configs:\n  - job_name: egressd\n    static_configs:\n      \
         - targets: ['{}']\n",
        daemon.address()
    );
    let Some(prometheus) = Prometheus::start(At::Loopback, &config, &[]) else { return };
    let value = &prometheus.wait_for("egressd_check_up")[0];
    assert_eq!(value["metric"]["target"], "api");
    assert_eq!(value["metric"]["site"], "test-1");
    assert_eq!(value["value"][1], "1");
}
