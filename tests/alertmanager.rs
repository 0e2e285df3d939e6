//! Alerts without a Prometheus: the real daemon tells a real Alertmanager, and one that misbehaves.

use std::sync::Arc;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::support::alertmanager::Alertmanager;
use crate::support::foreign::At;
use crate::support::ground::{Ground, target};
use crate::support::http::{Behaviour as Http, HttpServer, Request};
use crate::support::pki::Authority;
use crate::support::program::{Daemon, run};
use crate::support::tcp::ClosedPort;
use crate::support::tinyproxy::{self, Tinyproxy};
use crate::support::tls::{Behaviour as Tls, TlsServer};
use crate::support::wire::Ending;

/// A server with a good answer, and a daemon that checks it and tells of it.
struct World {
    ground: Ground,
    api: TlsServer,
}

impl World {
    fn new() -> Self {
        let ground = Ground::new();
        let api = ground.server(Tls::Serve(good()));
        Self { ground, api }
    }

    fn config(&self, alertmanager: &str, more: &str) -> String {
        format!(
            "site = \"test-1\"\n[server]\nlisten = \"127.0.0.1:0\"\n[log]\nformat = \"text\"\n\
             [alertmanager]\nhold = \"200ms\"\n{alertmanager}\n{}{}{more}",
            self.ground.tables(),
            target("api", &self.api, "routes = [\"direct\"]")
        )
    }

    fn start(&self, alertmanager: &str, more: &str) -> Daemon {
        let text = self.config(alertmanager, more);
        let file = self.ground.folder.write("egressd.toml", &text);
        Daemon::start(&self.ground.folder, &file)
    }
}

fn good() -> Http {
    Http::Answer { status: 200, headers: Vec::new(), body: b"{}".to_vec() }
}

/// One that notifies nobody, on this port or on any.
fn told_to(port: u16) -> Option<Alertmanager> {
    let config = "route:\n  receiver: nobody\nreceivers:\n  - name: nobody\n";
    Alertmanager::start_on(At::default(), port, config)
}

/// The alerts that it has, once they are as wanted.
#[track_caller]
fn wait_until(alertmanager: &Alertmanager, wanted: impl Fn(&[Value]) -> bool) -> Vec<Value> {
    let begun = Instant::now();
    loop {
        let alerts = alertmanager.alerts();
        if wanted(&alerts) {
            return alerts;
        }
        assert!(begun.elapsed() < Duration::from_secs(30), "waited in vain: {alerts:#?}");
        std::thread::yield_now();
    }
}

fn named<'a>(alerts: &'a [Value], name: &str) -> Option<&'a Value> {
    alerts.iter().find(|alert| alert["labels"]["alertname"] == *name)
}

fn has_ended(alert: &Value) -> bool {
    alert["endsAt"].as_str() <= alert["updatedAt"].as_str()
}

/// The one series of failed deliveries.
fn failures(daemon: &Daemon) -> f64 {
    let text = daemon.get("/metrics").1;
    let line = text.lines().find(|line| line.starts_with("egressd_alerts_failed_total"));
    line.and_then(|line| line.rsplit(' ').next()?.parse().ok()).expect("the series")
}

#[test]
fn a_fault_is_told_and_so_is_its_end() {
    let world = World::new();
    let Some(alertmanager) = told_to(0) else { return };
    let (url, runbooks) = (alertmanager.url(), "https://wiki.corp.example/VERDICTS.md");
    let told = format!("urls = [\"{url}\"]\nrunbooks = \"{runbooks}\"");
    let daemon = world.start(&told, "");
    daemon.wait_for("api via direct: works");
    world.api.set(Tls::AfterHello(Ending::Reset));
    let line = daemon.wait_for("before=\"ok\"");
    let alerts =
        wait_until(&alertmanager, |alerts| named(alerts, "EgressUndeterminedBroken").is_some());
    let alert = named(&alerts, "EgressUndeterminedBroken").expect("there");
    assert_eq!(
        alert["labels"],
        json!({
            "alertname": "EgressUndeterminedBroken", "severity": "critical", "team": "network",
            "party": "undetermined", "target": "api", "site": "test-1",
        }),
        "{line}"
    );
    let cause = alert["annotations"]["cause"].as_str().expect("a cause");
    assert_eq!(alert["annotations"]["runbook_url"], format!("{runbooks}#{cause}"));
    let summary = alert["annotations"]["summary"].as_str().expect("a summary");
    assert!(line.contains(summary), "the same words as in the log: {line}\n{summary}");
    let description = alert["annotations"]["description"].as_str().expect("a description");
    assert!(description.contains("Evidence: `egressd check api` on "), "{description}");
    assert_eq!(alert["status"]["state"], "active");

    world.api.set(Tls::Serve(good()));
    daemon.wait_for("before=\"broken\"");
    // Alertmanager shows those alone that last.
    wait_until(&alertmanager, |alerts| alerts.iter().all(has_ended));
    assert!((failures(&daemon) - 0.0).abs() < f64::EPSILON);
}

#[test]
fn alerts_go_out_through_the_organisations_proxy() {
    if !tinyproxy::is_here() {
        return;
    }
    let world = World::new();
    let Some(alertmanager) = told_to(0) else { return };
    let proxy = Tinyproxy::start(At::default(), "", &[]);
    let route = format!("[[route]]\nname = \"corp\"\nproxy = \"http://{}\"\n", proxy.address());
    world.api.set(Tls::AfterHello(Ending::Reset));
    let told = format!("urls = [\"{}\"]\nroute = \"corp\"", alertmanager.url());
    let _daemon = world.start(&told, &route);
    wait_until(&alertmanager, |alerts| named(alerts, "EgressUndeterminedBroken").is_some());
    let asked = format!("CONNECT {}", alertmanager.url().trim_start_matches("http://"));
    let log = proxy.log().wait_until(|lines| lines.iter().any(|line| line.contains(&asked)));
    assert!(!log.is_empty());
}

#[test]
fn a_route_that_worked_and_stopped_is_told_while_the_target_works_by_another() {
    if !tinyproxy::is_here() {
        return;
    }
    let world = World::new();
    let Some(alertmanager) = told_to(0) else { return };
    let proxy = Tinyproxy::start(At::default(), "", &[]);
    let more = format!(
        "[[route]]\nname = \"corp\"\nproxy = \"http://{}\"\n{}",
        proxy.address(),
        target("both", &world.api, "")
    );
    let daemon = world.start(&format!("urls = [\"{}\"]", alertmanager.url()), &more);
    daemon.wait_for("both via corp: works");
    drop(proxy);
    let alerts = wait_until(&alertmanager, |alerts| named(alerts, "EgressRouteBroken").is_some());
    assert_eq!(
        named(&alerts, "EgressRouteBroken").expect("there")["labels"],
        json!({
            "alertname": "EgressRouteBroken", "severity": "warning", "team": "proxy",
            "party": "proxy", "target": "both", "route": "corp", "site": "test-1",
        })
    );
}

/// What it takes is bounded, whatever comes; a status that is good is a delivery.
#[test]
fn an_answer_without_end_costs_little() {
    let (world, server) = (World::new(), HttpServer::start(Http::EndlessBody));
    let daemon = world.start(&format!("urls = [\"http://{}\"]", server.address()), "");
    let connection = server.wait_closed(1).remove(0);
    assert!(connection.sent < 8 << 20, "{connection:?}");
    daemon.wait_for("api via direct: works");
    assert!((failures(&daemon) - 0.0).abs() < f64::EPSILON);
}

/// Its certificate is judged as every other: nothing is told to somebody in between.
#[test]
fn nothing_is_told_over_a_chain_that_does_not_verify() {
    let world = World::new();
    let leaf = Arc::new(Authority::new("Somebody").leaf(&["127.0.0.1"]));
    let server = TlsServer::start(&leaf, Tls::Serve(good()));
    let trusted = world.ground.server(Tls::Serve(good()));
    let urls =
        format!("urls = [\"https://{}\", \"https://{}\"]", server.address(), trusted.address());
    let daemon = world.start(&urls, "");
    let line = daemon.wait_for("alerts cannot be delivered");
    assert!(line.contains("layer=\"tls\" kind=\"unknown_issuer\""), "{line}");
    assert!(line.contains(&server.address().to_string()), "{line}");
    assert!(server.requests().is_empty());
    // The other of the cluster is told all the same.
    daemon.wait_for("api via direct: works");
    world.api.set(Tls::AfterHello(Ending::Reset));
    daemon.wait_for("before=\"ok\"");
    trusted.wait_for_request(|request| request.body.len() > 2);
}

/// As the proxy of an Alertmanager asks for it, and read each time.
#[test]
fn a_login_is_sent_in_tls_and_shown_nowhere() {
    let world = World::new();
    let server = world.ground.server(Tls::Serve(good()));
    let password = world.ground.folder.path().join("password");
    let told = format!(
        "urls = [\"https://{}\"]\nauth = {{ scheme = \"basic\", username = \"svc\", \
         password = {{ file = \"{}\" }} }}",
        server.address(),
        password.display()
    );
    let daemon = world.start(&told, "");
    let line = daemon.wait_for("alerts cannot be delivered");
    assert!(line.contains("layer=\"local\" kind=\"credential: file /"), "{line}");
    assert!(server.requests().is_empty());
    std::fs::write(&password, "open sesame\n").expect("a file");
    daemon.wait_for("alerts are delivered again");
    // printf svc:'open sesame' | base64
    let sent = server.requests()[0].header("authorization").map(str::to_owned);
    assert_eq!(sent.as_deref(), Some("Basic c3ZjOm9wZW4gc2VzYW1l"));
    let seen = [daemon.log().join("\n"), daemon.get("/api/v1/status").1, daemon.get("/metrics").1];
    assert!(seen.iter().all(|text| !text.contains("sesame") && !text.contains("c3ZjOm9")));
    let file = world.ground.folder.path().join("egressd.toml").display().to_string();
    let plan = run(&["config", "check", "--plan", &file]).stdout;
    assert!(plan.contains("with a login by basic: svc"), "{plan}");
}

/// A rejected key is nobody's of the network, and stands in no alert.
#[test]
fn a_bad_key_calls_its_own_team_and_is_not_told() {
    let (key, server) = ("sk-ant-planted-secret", HttpServer::start(good()));
    let world = World::new();
    world.api.set(Tls::Serve(Http::AnthropicByKey { good: "sk-ant-another".into() }));
    let file = world.ground.folder.write("key", key);
    let more = target(
        "keyed",
        &world.api,
        &format!("provider = \"anthropic\"\nkey = {{ file = \"{}\" }}", file.display()),
    );
    let _daemon = world.start(&format!("urls = [\"http://{}\"]", server.address()), &more);
    let text = |request: &Request| String::from_utf8_lossy(&request.body).into_owned();
    let requests = server.wait_for_request(|request| text(request).contains("keyed"));
    let bodies: Vec<String> = requests.iter().map(text).collect();
    let last: Vec<Value> = serde_json::from_str(bodies.last().expect("one")).expect("JSON");
    let keyed = last.iter().find(|alert| alert["labels"]["target"] == "keyed").expect("told");
    assert_eq!(keyed["labels"]["alertname"], "EgressAccountBroken");
    assert_eq!(keyed["labels"]["team"], "account");
    for body in bodies {
        assert!(!body.contains(key), "{body}");
    }
}

#[test]
fn what_cannot_be_delivered_is_counted_told_once_and_tried_again() {
    let (world, closed) = (World::new(), ClosedPort::hold());
    let address = closed.address();
    world.api.set(Tls::AfterHello(Ending::Reset));
    let daemon = world.start(&format!("urls = [\"http://{address}\"]"), "");
    let line = daemon.wait_for("alerts cannot be delivered");
    assert!(line.contains("layer=\"tcp\" kind=\"refused\""), "{line}");
    while failures(&daemon) < 2.0 {
        std::thread::yield_now();
    }
    drop(closed);
    let Some(alertmanager) = told_to(address.port()) else { return };
    daemon.wait_for("alerts are delivered again");
    wait_until(&alertmanager, |alerts| named(alerts, "EgressUndeterminedBroken").is_some());
    let told = daemon.log().iter().filter(|line| line.contains("cannot be delivered")).count();
    assert_eq!(told, 1, "{:#?}", daemon.log());
}

#[test]
fn an_alertmanager_that_misbehaves_holds_up_nothing() {
    let cases = [
        (Http::Answer { status: 500, headers: Vec::new(), body: b"no".to_vec() }, "status 500"),
        (Http::Redirect("http://127.0.0.1:9/".to_owned()), "status 302"),
        (Http::EndlessHeaders, "kind="),
        (Http::CloseWithoutByte, "kind="),
    ];
    for (behaviour, said) in cases {
        let (world, server) = (World::new(), HttpServer::start(behaviour.clone()));
        let daemon = world.start(&format!("urls = [\"http://{}\"]", server.address()), "");
        let line = daemon.wait_for("alerts cannot be delivered");
        assert!(line.contains("layer=\"http\"") && line.contains(said), "{behaviour:?}: {line}");
        daemon.wait_for("api via direct: works");
        server.wait_closed(2);
        assert!(failures(&daemon) >= 1.0);
        let request = &server.requests()[0];
        assert_eq!((request.method.as_str(), request.path.as_str()), ("POST", "/api/v2/alerts"));
        assert_eq!(request.header("content-type"), Some("application/json"));
        assert_eq!(request.body, b"[]", "nothing is wrong yet");
    }
}

/// A site that is cut off tells of all its targets; what stands before an Alertmanager takes only so much at once. Who
/// reads the daemon's messages to systemd is silent meanwhile, and holds nothing up.
#[test]
fn many_alerts_are_told_in_requests_of_a_bounded_size() {
    let (world, server, shut) = (World::new(), HttpServer::start(good()), ClosedPort::hold());
    let target = |n| {
        let url = format!("http://{}/", shut.address());
        format!("[[target]]\nname = \"t{n}\"\nurl = \"{url}\"\ninterval = \"60s\"\n")
    };
    let many: String = (0..260).map(target).collect();
    let _daemon = world.start(&format!("urls = [\"http://{}\"]", server.address()), &many);
    let alerts = |request: &Request| serde_json::from_slice::<Vec<Value>>(&request.body).unwrap();
    let told = |requests: &[Request]| {
        let all = requests.iter().flat_map(alerts);
        let names = all.map(|alert| alert["labels"]["target"].to_string());
        names.collect::<std::collections::BTreeSet<_>>().len() >= 260
    };
    for request in server.wait_within(Duration::from_secs(60), told) {
        let count = alerts(&request).len();
        assert!(count <= 256 && request.body.len() < 1024 * 1024, "{count}");
    }
}

/// It says nothing: the checks go on, and so does the end.
#[test]
fn an_alertmanager_that_is_silent_delays_neither_checks_nor_the_end() {
    let (world, server) = (World::new(), HttpServer::start(Http::NoAnswer));
    let daemon = world.start(&format!("urls = [\"http://{}\"]", server.address()), "");
    daemon.wait_for("api via direct: works");
    world.api.wait_closed(3);
    // It has a trip's time, and then the next one comes.
    let line = daemon.wait_for("alerts cannot be delivered");
    assert!(line.contains("layer=\"http\" kind=\"timeout\""), "{line}");
    server.wait_closed(1);
    let begun = Instant::now();
    assert!(daemon.stop().success());
    assert!(begun.elapsed() < Duration::from_secs(5), "{:?}", begun.elapsed());
}

#[test]
fn a_removed_target_has_no_alert_and_a_new_address_is_told() {
    let world = World::new();
    let Some(alertmanager) = told_to(0) else { return };
    let told = format!("urls = [\"{}\"]", alertmanager.url());
    let shut = ClosedPort::hold();
    let shut = format!("[[target]]\nname = \"shut\"\nurl = \"https://{}/\"\n", shut.address());
    let daemon = world.start(&told, &shut);
    let of = |alerts: &[Value]| alerts.iter().any(|alert| alert["labels"]["target"] == "shut");
    wait_until(&alertmanager, |alerts| of(alerts));
    world.ground.folder.write("egressd.toml", &world.config(&told, ""));
    daemon.signal("HUP");
    daemon.wait_for("reloaded");
    wait_until(&alertmanager, |alerts| !of(alerts) || alerts.iter().all(has_ended));
    let Some(next) = told_to(0) else { return };
    let told = format!("urls = [\"{}\"]", next.url());
    world.api.set(Tls::AfterHello(Ending::Reset));
    world.ground.folder.write("egressd.toml", &world.config(&told, ""));
    daemon.signal("HUP");
    wait_until(&next, |alerts| named(alerts, "EgressUndeterminedBroken").is_some());
}

#[test]
fn the_plan_says_where_alerts_go() {
    let world = World::new();
    let told = "urls = [\"https://am-1.corp.example:9093\", \"http://127.0.0.1:9093/alerts/\"]";
    let file = world.ground.folder.write("egressd.toml", &world.config(told, ""));
    let finished = run(&["config", "check", "--plan", &file.display().to_string()]);
    let lines: Vec<&str> = finished.stdout.lines().collect();
    let begin = lines.iter().position(|line| line.starts_with("alerts")).expect("a line");
    assert_eq!(
        lines[begin..begin + 3],
        [
            "alerts, via direct, every 1m, and when one begins, changes or ends:",
            "  POST https://am-1.corp.example:9093/api/v2/alerts (am-1.corp.example:9093), no credentials",
            "  POST http://127.0.0.1:9093/alerts/api/v2/alerts (127.0.0.1:9093), no credentials",
        ]
    );
}
