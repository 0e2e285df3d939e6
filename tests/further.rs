//! What a target asks for beyond its minimal request, for real: bodies that a filter stops, streams that somebody
//! holds back, and how often either is sent.

use std::sync::Arc;
use std::time::Duration;

use egressd::daemon::inquiry::{Context, Memory, inquire};
use serde_json::Value;

use crate::config::{nothing_given, plan};
use crate::support::ground::Ground;
use crate::support::http::Behaviour as Http;
use crate::support::program::{Daemon, run};
use crate::support::proxy::{Behaviour as Tunnelling, Proxy};
use crate::support::tls::{Behaviour as Tls, TlsServer};
use crate::support::wire::Ending;

const KEY: &str = "sk-ant-further";

/// What a server does with a request, by its head.
type Choose = fn(&str) -> Http;

/// The API: models by its key, tokens counted, a stream of twelve events.
fn api(head: &str) -> Http {
    if head.starts_with("GET ") {
        return Http::AnthropicByKey { good: KEY.to_owned() };
    }
    if head.starts_with("POST /v1/messages/count_tokens ") {
        return answer(200, "application/json", "{\"input_tokens\":9}");
    }
    Http::Pieces(events(), Duration::from_millis(40))
}

fn answer(status: u16, kind: &str, body: &str) -> Http {
    let headers = vec![("request-id", "req_011CT".to_owned()), ("content-type", kind.to_owned())];
    Http::Answer { status, headers, body: body.as_bytes().to_vec() }
}

/// A head, the events, an end.
fn events() -> Vec<String> {
    let head = "HTTP/1.1 200 OK\r\nrequest-id: req_011CT\r\ncontent-type: text/event-stream\r\n\
                transfer-encoding: chunked\r\n\r\n";
    let event = "event: content_block_delta\ndata: {\"n\":1}\n\n";
    let chunk = format!("{:x}\r\n{event}\r\n", event.len());
    let chunks = (0..12).map(|_| chunk.clone());
    [head.to_owned()].into_iter().chain(chunks).chain(["0\r\n\r\n".to_owned()]).collect()
}

fn length(head: &str) -> usize {
    let head = head.to_ascii_lowercase();
    let value = head.lines().find_map(|line| line.strip_prefix("content-length:"));
    value.map_or(0, |value| value.trim().parse().unwrap())
}

fn cuts(head: &str) -> Http {
    if length(head) > 4000 { Http::ResetWithoutByte } else { api(head) }
}

fn ignores(head: &str) -> Http {
    if length(head) > 4000 { Http::NoAnswer } else { api(head) }
}

fn refuses(head: &str) -> Http {
    if head.starts_with("POST") { Http::HtmlBlockPage(403) } else { api(head) }
}

fn takes_less(head: &str) -> Http {
    let says = r#"{"type":"error","error":{"type":"request_too_large","message":"Too large"}}"#;
    if length(head) > 4000 { answer(413, "application/json", says) } else { api(head) }
}

/// As a server that looks at the head alone, and lets a body be lost with its connection.
fn refuses_early(head: &str) -> Http {
    if length(head) <= 4000 {
        return api(head);
    }
    let says = r#"{"type":"error","error":{"type":"request_too_large","message":"Too large"}}"#;
    Http::RefusesEarly(format!(
        "HTTP/1.1 413 Too Large\r\nrequest-id: req_011CT\r\ncontent-type: application/json\r\n\
         content-length: {}\r\nconnection: close\r\n\r\n{says}",
        says.len()
    ))
}

fn holds_back(head: &str) -> Http {
    match api(head) {
        Http::Pieces(events, _) => Http::Pieces(vec![events.concat()], Duration::from_millis(600)),
        other => other,
    }
}

fn is_out_of_credit(head: &str) -> Http {
    let says = r#"{"type":"error","error":{"type":"invalid_request_error","message":"Your credit balance is too low"}}"#;
    match api(head) {
        Http::Pieces(..) => answer(400, "application/json", says),
        other => other,
    }
}

fn says_little(head: &str) -> Http {
    match api(head) {
        Http::Pieces(events, pause) => Http::Pieces([&events[..3], &events[13..]].concat(), pause),
        other => other,
    }
}

fn keeps(_head: &str) -> Http {
    Http::Idles(Duration::from_secs(60), Ending::Close)
}

fn ends(_head: &str) -> Http {
    Http::Idles(Duration::from_millis(1200), Ending::Close)
}

fn resets(_head: &str) -> Http {
    Http::Idles(Duration::from_millis(1200), Ending::Reset)
}

fn forgets(_head: &str) -> Http {
    Http::Idles(Duration::from_millis(1200), Ending::Silent)
}

/// A target on `localhost`, with a key, over one route or over another one behind a proxy too.
struct World {
    ground: Ground,
    direct: TlsServer,
    beyond: Option<(TlsServer, Proxy)>,
}

impl World {
    fn new(direct: Choose, beyond: Option<Choose>) -> Self {
        Self::with(direct, beyond, &Tunnelling::Tunnel)
    }

    fn with(direct: Choose, beyond: Option<Choose>, tunnelling: &Tunnelling) -> Self {
        let ground = Ground::new();
        let leaf = Arc::new(ground.authority.leaf(&["localhost"]));
        let serve = |choose| TlsServer::start(&leaf, Tls::Serve(Http::Choose(choose)));
        let beyond = beyond.map(|beyond| {
            let server = serve(beyond);
            let proxy = Proxy::start(tunnelling.clone(), &[("localhost", server.address())]);
            (server, proxy)
        });
        Self { direct: serve(direct), beyond, ground }
    }

    fn config(&self, wishes: &str) -> String {
        let key = self.ground.folder.write("key", KEY);
        let route = self.beyond.as_ref().map(|(_, proxy)| {
            format!("[[route]]\nname = \"proxy\"\nproxy = \"http://{}\"\n", proxy.address())
        });
        format!(
            "{}{}[[target]]\nname = \"api\"\nprovider = \"anthropic\"\n\
             url = \"https://localhost:{}/v1/models\"\nkey = {{ file = \"{}\" }}\n{wishes}\n",
            self.ground.tables_with("3s", ""),
            route.unwrap_or_default(),
            self.direct.address().port(),
            key.display(),
        )
    }

    /// `egressd check`, as JSON.
    fn check(&self, wishes: &str) -> Value {
        let file = self.ground.folder.write("egressd.toml", &self.config(wishes));
        let finished = run(&["check", "--config", &file.display().to_string(), "--format", "json"]);
        assert!(!finished.stdout.contains(KEY) && !finished.stderr.contains(KEY));
        serde_json::from_str(&finished.stdout).unwrap_or_else(|_| panic!("{}", finished.stderr))
    }

    fn posts(&self) -> Vec<(String, usize, bool)> {
        let posts = self.direct.requests().into_iter().filter(|request| request.method == "POST");
        posts
            .map(|post| (post.path.clone(), post.body.len(), post.header("x-api-key") == Some(KEY)))
            .collect()
    }
}

/// Status, cause, party and confidence of a route's check.
fn verdict(document: &Value, route: &str) -> String {
    let checks = document["checks"].as_array().unwrap();
    let check = checks.iter().find(|check| check["route"] == route).unwrap();
    let words = ["status", "cause", "party", "confidence"].map(|key| check[key].as_str());
    words.into_iter().flatten().collect::<Vec<_>>().join(" ")
}

/// The first line of a control.
fn evidence(document: &Value, control: &str) -> String {
    let lines = document["checks"][0]["evidence"].as_array().unwrap();
    let line = lines.iter().find(|line| line["control"] == control);
    line.map(|line| {
        format!("{}: {}", line["result"].as_str().unwrap(), line["means"].as_str().unwrap())
    })
    .unwrap_or_default()
}

const BODY: &str = "body_bytes = 8192";
const STREAM: &str = "stream = true";

#[test]
fn bodies_are_judged_by_what_becomes_of_them() {
    let undetermined = "broken request_filtered undetermined low";
    let rows: [(Choose, &str); 5] = [
        (api, "ok"),
        (takes_less, "ok"),
        (cuts, undetermined),
        (ignores, undetermined),
        // Whatever its size: the host is not the provider's, and it is about the path or the method.
        (refuses, "ok"),
    ];
    for (behaviour, expected) in rows {
        let world = World::new(behaviour, None);
        let document = world.check(BODY);
        assert_eq!(verdict(&document, "direct"), expected, "{document:#}");
        let posts = world.posts();
        let sizes: Vec<bool> = posts.iter().map(|(_, length, _)| *length > 4000).collect();
        assert!(posts.iter().all(|(path, _, keyed)| *keyed && path == "/v1/messages/count_tokens"));
        let once =
            [api as Choose, takes_less].iter().any(|one| std::ptr::fn_addr_eq(*one, behaviour));
        let wanted: &[bool] = if once { &[true] } else { &[true, true, false] };
        assert_eq!(sizes.len(), wanted.len(), "{posts:?}");
        assert_eq!(
            sizes.iter().filter(|large| **large).count(),
            wanted.iter().filter(|large| **large).count()
        );
    }
}

#[test]
fn a_refusal_that_comes_before_the_whole_body_is_read() {
    let world = World::new(refuses_early, None);
    let document = world.check("body_bytes = 1048576");
    assert_eq!(verdict(&document, "direct"), "ok", "{document:#}");
    assert!(document.to_string().contains("\"api_too_large\""), "{document:#}");
}

#[test]
fn a_body_that_another_route_lets_pass_is_stopped_on_the_way() {
    for behaviour in [cuts, ignores] {
        let world = World::new(behaviour, Some(api));
        let document = world.check(BODY);
        assert_eq!(verdict(&document, "direct"), "broken request_filtered inspection medium");
        assert_eq!(verdict(&document, "proxy"), "ok");
        let world = World::new(api, Some(behaviour));
        let document = world.check(BODY);
        assert_eq!(verdict(&document, "proxy"), "broken request_filtered proxy high");
        assert_eq!(verdict(&document, "direct"), "ok");
    }
}

#[test]
fn streams_are_judged_by_when_their_parts_come() {
    let rows: [(Choose, &str, &str); 4] = [
        (api, "ok", "passed: the parts of a stream come as they are made"),
        (
            holds_back,
            "degraded stream_buffered undetermined low",
            "failed: the parts of a stream come together at its end",
        ),
        (is_out_of_credit, "ok", "not_run: says nothing: no stream came"),
        (says_little, "ok", "passed: says nothing: too short to tell"),
    ];
    for (behaviour, expected, line) in rows {
        let world = World::new(behaviour, None);
        let document = world.check(STREAM);
        assert_eq!(verdict(&document, "direct"), expected, "{document:#}");
        assert_eq!(evidence(&document, "stream"), line);
        let posts = world.posts();
        assert!(matches!(&posts[..], [(path, _, true)] if path == "/v1/messages"), "{posts:?}");
        let requests = world.direct.requests();
        let post = requests.iter().find(|request| request.method == "POST").unwrap();
        assert_eq!(post.header("accept-encoding"), Some("gzip, br, zstd"));
    }
}

#[test]
fn a_stream_that_another_route_lets_pass_is_held_back_on_the_way() {
    let world = World::new(api, Some(holds_back));
    let document = world.check(STREAM);
    assert_eq!(verdict(&document, "proxy"), "degraded stream_buffered proxy high", "{document:#}");
    assert_eq!(verdict(&document, "direct"), "ok");
}

#[test]
fn what_is_forbidden_or_fails_already_is_not_sent() {
    let world = World::new(api, None);
    let wishes = format!("{BODY}\n{STREAM}\n[experiments]\nallow = [\"repeat\"]");
    let document = world.check(&wishes);
    assert_eq!(verdict(&document, "direct"), "ok");
    assert_eq!(evidence(&document, "stream"), "not_run: says nothing");
    assert_eq!(world.posts(), []);
    let world = World::new(|_| Http::HtmlBlockPage(503), None);
    world.check(&format!("{BODY}\n{STREAM}"));
    assert_eq!(world.posts(), []);
}

#[test]
fn a_result_is_kept_and_another_check_sends_nothing() {
    let world = World::new(api, None);
    let text = world.config(&format!("{BODY}\n{STREAM}"));
    let mut given = nothing_given();
    let roots = world.ground.folder.path().join("public.pem");
    given.files.insert(roots.clone(), Ok(std::fs::read(roots).unwrap()));
    let plan = plan(&text, &given).expect("sound");
    let target = Arc::new(plan.targets[0].clone());
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let context = Context::new(Arc::new(plan)).unwrap();
    for (posts, experiments) in [(2, 2), (2, 0)] {
        let asked = inquire(context.clone(), Arc::clone(&target), Memory::default());
        let report = runtime.block_on(asked);
        assert_eq!(report.findings.routes[0].finding, None);
        let lines = &report.findings.routes[0].evidence;
        assert_eq!((lines.len(), world.posts().len()), (2, posts), "{lines:?}");
        assert_eq!(report.experiments.len(), experiments, "what was kept is no traffic");
    }
}

/// Short enough for a check to see it die twice.
const HOLD: &str = "idle_hold = \"3s\"";

#[test]
fn silent_connections_are_judged_by_their_end() {
    let rows: [(Choose, &str, &str); 4] = [
        (keeps, "ok", "passed: silent connections live"),
        (ends, "ok", "failed: silent connections die"),
        (resets, "degraded idle_cut undetermined low", "failed: silent connections die"),
        (forgets, "degraded idle_cut undetermined low", "failed: silent connections die"),
    ];
    std::thread::scope(|scope| {
        for (behaviour, expected, line) in rows {
            scope.spawn(move || {
                let world = World::new(behaviour, None);
                let document = world.check(HOLD);
                assert_eq!(verdict(&document, "direct"), expected, "{document:#}");
                assert_eq!(evidence(&document, "idle_hold"), line, "{document:#}");
            });
        }
    });
}

#[test]
fn a_tunnel_that_its_proxy_forgets_is_the_proxys() {
    let world =
        World::with(keeps, Some(keeps), &Tunnelling::TunnelFor(Duration::from_millis(1200)));
    let document = world.check("idle_hold = \"4s\"");
    assert_eq!(verdict(&document, "proxy"), "degraded idle_cut proxy high", "{document:#}");
    assert_eq!(verdict(&document, "direct"), "ok");
}

#[test]
fn a_silence_that_is_longer_than_a_check_is_not_waited_for() {
    let world = World::new(keeps, None);
    let document = world.check("idle_hold = \"10m\"");
    assert_eq!(verdict(&document, "direct"), "ok");
    assert_eq!(evidence(&document, "idle_hold"), "not_run: says nothing");
    assert_eq!(world.direct.requests().len(), 1);
}

#[test]
fn the_daemon_holds_silent_connections_beside_its_checks() {
    let world = World::new(forgets, None);
    let text = format!(
        "[server]\nlisten = \"127.0.0.1:0\"\n[log]\nformat = \"text\"\n{}",
        world.config("idle_hold = \"2s\"").replace("3s", "1s")
    );
    let folder = &world.ground.folder;
    let daemon = Daemon::start(folder, &folder.write("daemon.toml", &text));
    daemon.wait_for("api via direct: works");
    let found = daemon.wait_for("before=\"ok\"");
    assert!(
        found.contains("cause=\"idle_cut\"") && found.contains("party=\"undetermined\""),
        "{found}"
    );
    let (_, metrics) = daemon.get("/metrics");
    let held = metrics.lines().find(|line| {
        line.starts_with("egressd_experiments_total{") && line.contains("control=\"idle_hold\"")
    });
    assert!(held.is_some_and(|line| line.ends_with(" 1")), "{held:?}");
}
