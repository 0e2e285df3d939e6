//! The log of the real daemon: its forms, what changes them while it runs, and readers that do not read.

use std::io::Read as _;
use std::process::Stdio;

use serde_json::Value;

use crate::support::ground::{Ground, target};
use crate::support::http::Behaviour as Http;
use crate::support::program::{Daemon, egressd, until};
use crate::support::tls::{Behaviour as Tls, TlsServer};
use crate::support::wire::Ending;

struct World {
    ground: Ground,
    api: TlsServer,
}

impl World {
    fn new() -> Self {
        let ground = Ground::new();
        Self { api: ground.server(Tls::Serve(Http::AnthropicUnauthorized)), ground }
    }

    /// The configuration is written with this `[log]`.
    fn log(&self, format: &str, filter: &str, targets: usize) -> std::path::PathBuf {
        let targets: String =
            (0..targets).map(|at| target(&format!("api-{at}"), &self.api, "")).collect();
        let text = format!(
            "[server]\nlisten = \"127.0.0.1:0\"\n[log]\nformat = \"{format}\"\nfilter = \"{filter}\"\n{}{targets}",
            self.ground.tables(),
        );
        self.ground.folder.write("egressd.toml", &text)
    }
}

/// A line of JSON that was logged, by what its message begins with.
fn object(line: &str) -> Value {
    serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}"))
}

#[test]
fn filter_and_form_change_while_it_runs() {
    let world = World::new();
    let daemon = Daemon::start(&world.ground.folder, &world.log("text", "info", 1));
    daemon.wait_for("api-0 via direct: ");
    assert!(!daemon.log().iter().any(|line| line.contains("DEBUG")), "{:#?}", daemon.log());

    world.log("text", "debug", 1);
    daemon.signal("HUP");
    let trip = daemon.wait_for("DEBUG trip of api-0 via direct");
    assert!(trip.contains(" answer=401 seconds="), "{trip}");
    let verdict = daemon.wait_for("DEBUG verdict on api-0 via direct");
    assert!(verdict.contains("rule=\""), "{verdict}");

    world.log("json", "info", 1);
    daemon.signal("HUP");
    let reloaded = object(&daemon.wait_for("{\"timestamp\":"));
    assert_eq!([&reloaded["level"], &reloaded["message"]], ["info", "reloaded: 1 targets"]);
    assert!(reloaded["timestamp"].as_str().is_some_and(|at| at.len() == 24 && at.ends_with('Z')));
    let before = daemon.log().len();
    let seen = world.api.wait_closed(0).len();
    world.api.wait_closed(seen + 6);
    world.api.set(Tls::AfterHello(Ending::Reset));
    let broken = object(&daemon.wait_for("\"before\":\"ok\""));
    assert_eq!([&broken["target"], &broken["route"]], ["api-0", "direct"]);
    assert_eq!([&broken["status"], &broken["layer"]], ["broken", "tls"]);
    assert!(broken["cause"].is_string() && broken["party"].is_string());
    assert!(broken["message"].as_str().is_some_and(|text| text.starts_with("api-0 via direct: ")));
    // Checks that found nothing new were not told meanwhile.
    assert_eq!(daemon.log().len(), before + 1, "{:#?}", daemon.log());

    world.log("text", "info", 1);
    daemon.signal("HUP");
    daemon.wait_for("Z  INFO reloaded: 1 targets");
}

#[test]
fn a_trace_is_objects_whatever_libraries_and_peers_say() {
    let world = World::new();
    world.api.set(Tls::Serve(Http::Answer {
        status: 200,
        headers: vec![("x-odd", "\u{202e}\"\\{}".to_owned())],
        body: b"\xff\x00\n{\"timestamp\":\"x\"}\n\xf0\x9f\x98\x80".to_vec(),
    }));
    let daemon = Daemon::start(&world.ground.folder, &world.log("json", "trace", 2));
    daemon.wait_for("verdict on api-1 via direct");
    let lines: Vec<Value> = daemon.log().iter().map(|line| object(line)).collect();
    let of_libraries = lines.iter().filter(|line| {
        line["module"].as_str().is_some_and(|module| !module.starts_with("egressd"))
    });
    assert!(of_libraries.count() > 10, "libraries are heard");
    let ours = ["timestamp", "level", "message", "module"];
    assert!(lines.iter().all(|line| ours.iter().all(|key| line[key].is_string())));
}

#[test]
fn a_pipe_that_nobody_reads_holds_no_check_up() {
    /// What a pipe takes before its writer waits (`pipe(7)`).
    const PIPE: usize = 64 * 1024;
    let world = World::new();
    let file = world.log("text", "trace", 8);
    let mut child = egressd()
        .args(["run", "--config"])
        .arg(&file)
        .stderr(Stdio::piped())
        .spawn()
        .expect("it starts");
    let mut unread = child.stderr.take().expect("it was piped");
    // A writer that waits for its reader would stand still after some of them.
    world.api.wait_closed(60);
    // It is not waited for at the end either.
    let sent = std::process::Command::new("kill").arg(child.id().to_string()).status();
    assert!(sent.expect("kill runs").success());
    let ended = std::cell::Cell::new(None);
    let child = std::cell::RefCell::new(child);
    until("it ends", || {
        ended.set(child.borrow_mut().try_wait().expect("its status"));
        ended.get().is_some()
    });
    assert_eq!(ended.get().and_then(|status| status.code()), Some(0));
    let mut told = Vec::new();
    unread.read_to_end(&mut told).expect("what the pipe holds");
    // A line that does not fit into the rest of a page begins another.
    assert!(told.len() > PIPE * 3 / 4, "the pipe was full: {}", told.len());
}

#[test]
fn without_standard_error_it_runs_and_stops() {
    let world = World::new();
    let file = world.log("text", "info", 1);
    let mut child = std::process::Command::new("sh")
        .args(["-c", "exec \"$0\" run --config \"$1\" 2>&-", env!("CARGO_BIN_EXE_egressd")])
        .arg(&file)
        .env_clear()
        .spawn()
        .expect("it starts");
    world.api.wait_closed(3);
    let sent = std::process::Command::new("kill").arg(child.id().to_string()).status();
    assert!(sent.expect("kill runs").success());
    assert_eq!(child.wait().expect("it ends").code(), Some(0));
}
