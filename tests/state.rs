//! What survives the process: verdicts, their `since` and the counters, over a stop, over SIGKILL at any instant,
//! and over files that cannot be read. The real binary, and its real file.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::PathBuf;

use serde_json::Value;

use crate::support::ground::{Ground, target};
use crate::support::http::Behaviour as Http;
use crate::support::program::{Daemon, egressd, until};
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
        Self { api: ground.server(Tls::Serve(Http::AnthropicUnauthorized)), ground }
    }

    fn dir(&self) -> PathBuf {
        self.ground.folder.path().join("state")
    }

    fn file(&self) -> PathBuf {
        self.dir().join("state.json")
    }

    fn write(&self, targets: &str) -> PathBuf {
        let text = format!(
            "[server]\nlisten = \"127.0.0.1:0\"\n[log]\nformat = \"text\"\n[state]\ndir = \"{}\"\n{}{targets}",
            self.dir().display(),
            self.ground.tables(),
        );
        self.ground.folder.write("egressd.toml", &text)
    }

    fn start(&self, targets: &str) -> Daemon {
        let file = self.write(targets);
        fs::remove_file(self.ground.folder.path().join("notify")).ok();
        Daemon::start(&self.ground.folder, &file)
    }

    fn api(&self) -> String {
        target("api", &self.api, "provider = \"anthropic\"")
    }

    fn document(&self) -> Value {
        serde_json::from_slice(&fs::read(self.file()).unwrap()).expect("it is whole")
    }
}

/// The series of counters and of `since`, with their values.
fn counters(daemon: &Daemon) -> BTreeMap<String, f64> {
    let kept = [
        "egressd_checks_total{",
        "egressd_failures_total{",
        "egressd_experiments_total{",
        "egressd_phase_seconds_",
        "egressd_verdict_changes_total{",
        "egressd_verdict_seconds_total{",
    ];
    let text = daemon.get("/metrics").1;
    let lines = text.lines().filter(|line| kept.iter().any(|name| line.starts_with(name)));
    let parsed = lines.filter_map(|line| line.rsplit_once(' '));
    parsed.map(|(series, value)| (series.to_owned(), value.parse().unwrap())).collect()
}

fn value(daemon: &Daemon, name: &str, part: &str) -> Option<f64> {
    let text = daemon.get("/metrics").1;
    let of = |line: &&str| line.starts_with(&format!("{name}{{")) && line.contains(part);
    text.lines().find(of).and_then(|line| line.rsplit_once(' ')?.1.parse().ok())
}

/// No counter is smaller than it was.
#[track_caller]
fn none_went_back(before: &BTreeMap<String, f64>, after: &BTreeMap<String, f64>) {
    let back: Vec<String> = before
        .iter()
        .filter(|(series, value)| after.get(*series).is_none_or(|now| now < value))
        .map(|(series, value)| format!("{series}: {value}, then {:?}", after.get(series)))
        .collect();
    assert!(back.is_empty(), "{back:#?}");
}

#[test]
fn a_restart_keeps_verdicts_and_counters_and_pretends_no_freshness() {
    let world = World::new();
    let closed = ClosedPort::hold();
    let shut = format!("[[target]]\nname = \"shut\"\nurl = \"https://{}/\"\n", closed.address());
    let targets = format!("{}{shut}", world.api());
    let daemon = world.start(&targets);
    daemon.wait_for("shut via direct: ");
    until("both are published", || daemon.get("/-/ready").0 == 200);
    let since = |daemon: &Daemon| {
        [
            "egressd_verdict_since_timestamp_seconds",
            "egressd_target_verdict_since_timestamp_seconds",
        ]
        .map(|name| value(daemon, name, "\"shut\""))
    };
    let began = since(&daemon);
    assert!(began.iter().all(Option::is_some), "{began:?}");
    let before = counters(&daemon);
    assert_eq!(daemon.stop().code(), Some(0));
    assert_eq!(fs::metadata(world.file()).unwrap().permissions().mode() & 0o777, 0o600);
    assert_eq!(world.document()["schema"], "egressd.state/1");

    // No check ends any more, so that what is served is what was kept.
    world.api.set(Tls::AfterHello(Ending::Silent));
    let daemon = world.start(&targets);
    let line = daemon.wait_for("state: of ");
    assert!(line.ends_with("counters of 2 checks go on, 2 verdicts stand"), "{line}");
    let after = counters(&daemon);
    none_went_back(&before, &after);
    assert_eq!(since(&daemon), began);
    assert_eq!(value(&daemon, "egressd_check_up", "\"api\""), Some(1.0));
    assert_eq!(value(&daemon, "egressd_check_up", "\"shut\""), Some(0.0));
    let document: Value = serde_json::from_str(&daemon.get("/api/v1/status").1).unwrap();
    let api = &document["checks"][0];
    assert_eq!((&api["status"], &api["latest"]), (&Value::from("ok"), &Value::Null), "{api}");
    let checked = value(&daemon, "egressd_last_check_timestamp_seconds", "\"api\"").unwrap();
    let started = daemon.get("/metrics").1;
    let started =
        started.lines().find_map(|l| l.strip_prefix("process_start_time_seconds ")).unwrap();
    assert!(checked <= started.parse().unwrap(), "{checked} is of the process before");
    assert_eq!(daemon.get("/-/ready").0, 503, "this process has made no check yet");
    // Nothing has changed, so nothing is told again; what changes then is.
    let told = daemon.wait_for("api via direct: ");
    assert!(told.contains("before=\"ok\""), "{told}");
}

#[test]
fn after_sigkill_at_any_instant_the_file_is_whole_and_nothing_went_back() {
    let world = World::new();
    let mut seed: u64 = 9737;
    let mut served = BTreeMap::new();
    let mut since = None;
    let now = || fs::metadata(world.file()).map_or(0, |metadata| metadata.ino());
    for round in 0..24 {
        // It fails and works by turns, so that there is something to write.
        let works = round % 3 != 2;
        world.api.set(if works {
            Tls::Serve(Http::AnthropicUnauthorized)
        } else {
            Tls::AfterHello(Ending::Reset)
        });
        let daemon = world.start(&world.api());
        none_went_back(&served, &counters(&daemon));
        let begun = value(&daemon, "egressd_verdict_since_timestamp_seconds", "\"api\"");
        assert!(
            since.is_none() || begun >= since,
            "round {round}: {since:?} was kept, {begun:?} is served"
        );
        let before = now();
        seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        match round % 4 {
            // At some instant, before or after the first write.
            0 => (0..(seed >> 33) % 3000).for_each(|_| {
                now();
            }),
            // While the fresh file is written.
            1 => until("a fresh file", || {
                world.dir().join("state.json.new").exists() || now() != before
            }),
            // As soon as it has taken its place.
            2 => until("another file", || now() != before),
            // When it was scraped since.
            _ => until("another file", || now() != before && !counters(&daemon).is_empty()),
        }
        served = counters(&daemon);
        let served_since = value(&daemon, "egressd_verdict_since_timestamp_seconds", "\"api\"");
        daemon.signal("KILL");
        drop(daemon);
        // Between the scrape and the end it may have found more.
        since = kept_since(&world);
        assert!(
            served_since <= since,
            "round {round}: {served_since:?} was served, {since:?} is kept"
        );
    }
    assert!(served.values().sum::<f64>() > 3.0, "{served:#?}");
    let daemon = world.start(&world.api());
    assert!(value(&daemon, "egressd_verdict_since_timestamp_seconds", "\"api\"") >= since);
    assert!(since.is_some());
}

/// Since when the verdict in the file stands, where there is a file; it is whole.
fn kept_since(world: &World) -> Option<f64> {
    let there = world.file().exists().then(|| world.document())?;
    let since = there["checks"][0]["steady"]["since"].as_str()?;
    Some(since.parse::<jiff::Timestamp>().unwrap().as_duration().as_secs_f64())
}

/// Puts something in the place of the file.
type Make<'a> = Box<dyn Fn() + 'a>;

fn write(file: &std::path::Path, text: String) -> Make<'_> {
    Box::new(move || fs::write(file, &text).unwrap())
}

#[test]
fn a_file_that_cannot_be_read_is_set_aside_and_never_an_exit() {
    let world = World::new();
    let daemon = world.start(&world.api());
    until("a file", || world.file().exists());
    daemon.stop();
    let good = fs::read_to_string(world.file()).unwrap();
    let other = world.ground.folder.write("elsewhere", &good);
    let file = world.file();
    let cases: Vec<(&str, Make<'_>)> = vec![
        ("line 1, column", write(&file, good[..good.len() / 2].to_owned())),
        ("line 1, column 0", write(&file, String::new())),
        ("line 1, column 1", write(&file, "\u{0}\u{0}\u{0}\u{0}".to_owned())),
        ("line 1, column", write(&file, "[".repeat(100_000))),
        ("line 1, column 2: it is cut off, or was changed", write(&file, "{}".to_owned())),
        ("it is of the form `egressd.state/2`", write(&file, good.replace("state/1", "state/2"))),
        (
            "a counter of api cannot be",
            write(&file, good.replace("\"changes\":0", "\"changes\":18446744073709551615")),
        ),
        ("line 1, column", write(&file, good.replace("\"changes\":0", "\"changes\":-1"))),
        (
            "it is no regular file of at most 32 MiB",
            Box::new(|| {
                fs::File::create(world.file()).unwrap().set_len((32 << 20) + 1).unwrap();
            }),
        ),
        ("it is no regular file", Box::new(|| fs::create_dir(world.file()).unwrap())),
        (
            "Too many levels of symbolic links",
            Box::new(|| std::os::unix::fs::symlink(&other, world.file()).unwrap()),
        ),
    ];
    for (reason, make) in cases {
        for left in ["state.json", "state.json.bad"].map(|name| world.dir().join(name)) {
            fs::remove_file(&left).or_else(|_| fs::remove_dir_all(&left)).ok();
        }
        make();
        let daemon = world.start(&world.api());
        let line = daemon.wait_for("state: ");
        assert!(line.contains("WARN") && line.contains(reason), "{reason}: {line}");
        assert!(line.contains("state.json.bad, and all begins anew"), "{line}");
        assert!(fs::symlink_metadata(world.dir().join("state.json.bad")).is_ok(), "{reason}");
        until("a new file", || world.file().is_file());
        assert_eq!(world.document()["schema"], "egressd.state/1");
        daemon.stop();
    }
    assert_eq!(fs::read_to_string(other).unwrap(), good, "what a link leads to is nobody's here");
}

#[test]
fn a_disk_that_takes_nothing_leaves_the_old_file_and_is_said_once() {
    let world = World::new();
    let daemon = world.start(&world.api());
    until("a check", || daemon.get("/-/ready").0 == 200);
    daemon.stop();
    let before = fs::read(world.file()).unwrap();
    assert!(before.len() > 1024);
    // `setrlimit(2)`: with SIGXFSZ ignored, a write beyond the limit fails in its middle, as on a full disk.
    let mut limited = egressd();
    let binary = limited.get_program().to_owned();
    limited = std::process::Command::new("sh");
    limited.env_clear().env("PATH", "/usr/bin:/bin");
    limited.args(["-c", "trap '' XFSZ; ulimit -f 1; exec \"$0\" \"$@\""]).arg(binary);
    limited.args(["run", "--config"]).arg(world.write(&world.api()));
    fs::remove_file(world.ground.folder.path().join("notify")).ok();
    let daemon = Daemon::start_by(&world.ground.folder, limited);
    let line = daemon.wait_for("state: write to ");
    assert!(line.contains("WARN") && line.contains("what was kept before stays"), "{line}");
    // It is served all the same, and not said again.
    until("a check", || daemon.get("/-/ready").0 == 200);
    world.api.wait_closed(world.api.connections().len() + 3);
    assert_eq!(daemon.log().iter().filter(|line| line.contains("state: write to")).count(), 1);
    daemon.stop();
    assert_eq!(fs::read(world.file()).unwrap(), before);
    assert!(!world.dir().join("state.json.new").exists());
}

#[test]
fn a_directory_that_is_not_to_be_had_and_one_that_is_taken_are_said() {
    let world = World::new();
    let first = world.start(&world.api());
    let second = world.start(&world.api());
    second.wait_for("another egressd keeps its state in");
    until("it serves", || second.get("/-/ready").0 == 200);
    second.stop();
    first.stop();
    fs::remove_dir_all(world.dir()).unwrap();
    fs::write(world.dir(), "no directory").unwrap();
    let daemon = world.start(&world.api());
    daemon.wait_for("state: write to ");
    until("it serves", || daemon.get("/-/ready").0 == 200);
    assert_eq!(daemon.stop().code(), Some(0));
    // A pipe that nobody writes to is not waited for.
    fs::remove_file(world.dir()).unwrap();
    assert!(std::process::Command::new("mkfifo").arg(world.dir()).status().unwrap().success());
    let daemon = world.start(&world.api());
    until("it serves", || daemon.get("/-/ready").0 == 200);
    assert_eq!(daemon.stop().code(), Some(0));
}

#[test]
fn what_is_kept_of_the_future_or_twice_is_no_more_than_can_be() {
    let world = World::new();
    let daemon = world.start(&world.api());
    until("it is checked", || daemon.get("/-/ready").0 == 200);
    daemon.stop();
    let mut document = world.document();
    let future = Value::from("2099-01-01T00:00:00Z");
    let mut check = document["checks"][0].clone();
    check["steady"]["since"] = future.clone();
    check["checked"] = future.clone();
    check["worked"] = future.clone();
    check["finished"] = vec![serde_json::json!(["ok", "ok", 1_u64 << 53]); 3000].into();
    document["checks"] = vec![check; 3].into();
    document["targets"][0]["since"] = future;
    fs::write(world.file(), document.to_string()).unwrap();
    let daemon = world.start(&world.api());
    daemon.wait_for("counters of 1 checks go on, 1 verdicts stand");
    for name in [
        "egressd_verdict_since_timestamp_seconds",
        "egressd_target_verdict_since_timestamp_seconds",
    ] {
        let since = value(&daemon, name, "\"api\"").unwrap();
        let now = value(&daemon, "egressd_last_check_timestamp_seconds", "\"api\"").unwrap();
        assert!(since <= now, "{name} {since} {now}");
    }
    let most = value(&daemon, "egressd_checks_total", "\"ok\"").unwrap();
    assert!(most <= 9_007_199_254_740_992.0 + 8.0, "{most}");
    assert_eq!(daemon.stop().code(), Some(0));
}

#[test]
fn a_reload_keeps_what_stays_and_what_leads_elsewhere_begins_anew() {
    let world = World::new();
    let other = world.ground.server(Tls::AfterHello(Ending::Silent));
    let [kept, gone] = ["kept", "gone"].map(|name| target(name, &world.api, ""));
    let moved = |server: &TlsServer| target("moved", server, "timeout = \"1s\"");
    let daemon = world.start(&format!("{kept}{gone}{}", moved(&world.api)));
    until("all are checked", || daemon.get("/-/ready").0 == 200);
    let before = counters(&daemon);
    let of = |counters: &BTreeMap<String, f64>, name: &str| -> BTreeMap<String, f64> {
        let own = counters.iter().filter(|(series, _)| series.contains(&format!("\"{name}\"")));
        own.map(|(series, value)| (series.clone(), *value)).collect()
    };
    assert!(of(&before, "gone").values().sum::<f64>() >= 1.0);
    world.write(&format!("{kept}{}", moved(&other)));
    daemon.signal("HUP");
    daemon.wait_for("reloaded");
    until("it is out", || !daemon.get("/metrics").1.contains("\"gone\""));
    none_went_back(&of(&before, "kept"), &counters(&daemon));
    // Nobody has answered there yet: what the other server was found to be is not said of it.
    let text = daemon.get("/metrics").1;
    let works = |line: &str| {
        line.starts_with("egressd_check_up{") && line.contains("\"moved\"") && line.ends_with(" 1")
    };
    assert!(!text.lines().any(works), "{text}");
    // Nobody answers any more: what has worked since then is none.
    world.api.set(Tls::AfterHello(Ending::Silent));
    world.write(&format!("{kept}{gone}"));
    daemon.signal("HUP");
    until("it is back", || daemon.get("/metrics").1.contains("\"gone\""));
    let back = of(&counters(&daemon), "gone");
    let worked = |counters: &BTreeMap<String, f64>| -> f64 {
        let ok = |series: &str| {
            series.starts_with("egressd_checks_total{") && series.contains("status=\"ok\"")
        };
        counters.iter().filter(|(series, _)| ok(series)).map(|(_, value)| value).sum()
    };
    assert!(worked(&of(&before, "gone")) >= 1.0, "{before:?}");
    assert!(worked(&back) < 1.0, "{back:?}");
}

#[test]
fn where_it_is_kept_is_printed_with_the_plan() {
    let world = World::new();
    let file = world.write(&world.api()).display().to_string();
    let plan = |file: &str, given: Option<&str>| {
        let mut command = egressd();
        command.args(["config", "check", "--plan", file]);
        given.map(|given| command.env("STATE_DIRECTORY", given));
        let printed = String::from_utf8(command.output().unwrap().stdout).unwrap();
        printed.lines().find_map(|line| line.strip_prefix("state: ")).unwrap().to_owned()
    };
    let kept = format!("kept over a restart in {}", world.dir().display());
    assert_eq!(plan(&file, None), kept);
    assert_eq!(plan(&file, Some("/var/lib/egressd")), kept, "what is written wins");
    let shipped = "config/egressd.toml";
    assert_eq!(
        plan(shipped, Some("/var/lib/egressd:/var/lib/b")),
        "kept over a restart in /var/lib/egressd"
    );
    assert_eq!(
        plan(shipped, None),
        "not kept over a restart: no [state] dir, and no $STATE_DIRECTORY here"
    );
}
