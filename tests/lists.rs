//! Targets from lists: taken up, given up and kept without a restart, and never an exit. The real binary.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use crate::support::ground::{Ground, target};
use crate::support::http::Behaviour as Http;
use crate::support::program::{Daemon, run, until};
use crate::support::tls::{Behaviour as Tls, TlsServer};

struct World {
    ground: Ground,
    api: TlsServer,
}

impl World {
    fn new() -> Self {
        let ground = Ground::new();
        fs::create_dir(ground.folder.path().join("lists")).unwrap();
        Self { api: ground.server(Tls::Serve(Http::AnthropicUnauthorized)), ground }
    }

    fn write(&self, more: &str) -> PathBuf {
        let text = format!(
            "[server]\nlisten = \"127.0.0.1:0\"\n[log]\nformat = \"text\"\n{}\
             [[target_list]]\nfiles = [\"{}/*.json\"]\nrefresh = \"50ms\"\n{more}",
            self.ground.tables(),
            self.path("").display(),
        );
        self.ground.folder.write("egressd.toml", &text)
    }

    fn path(&self, name: &str) -> PathBuf {
        self.ground.folder.path().join("lists").join(name)
    }

    /// A list of named targets at the server, put in its place as a whole.
    fn list(&self, file: &str, names: &[&str]) {
        let url = format!("https://{}/v1/models", self.api.address());
        let of = |name: &&str| {
            format!(
                "{{ \"targets\": [\"{url}\"],\n  \"labels\": {{ \"__egressd_name\": \"{name}\", \
                 \"team\": \"ml\", \"provider\": \"anthropic\" }} }}"
            )
        };
        let groups: Vec<String> = names.iter().map(of).collect();
        self.text(file, &format!("[{}]\n", groups.join(",\n ")));
    }

    fn text(&self, file: &str, text: &str) {
        let fresh = self.path(".fresh");
        fs::write(&fresh, text).unwrap();
        fs::rename(fresh, self.path(file)).unwrap();
    }

    fn start(&self, more: &str) -> Daemon {
        Daemon::start(&self.ground.folder, &self.write(more))
    }
}

/// The sum of the series of a name with this part.
fn sum(daemon: &Daemon, name: &str, part: &str) -> f64 {
    let text = daemon.get("/metrics").1;
    let of = |line: &&str| line.starts_with(name) && line.contains(part);
    text.lines().filter(of).filter_map(|line| line.rsplit_once(' ')?.1.parse::<f64>().ok()).sum()
}

/// The targets that have series, in their order.
fn targets(daemon: &Daemon) -> Vec<String> {
    let text = daemon.get("/metrics").1;
    let lines = text.lines().filter(|line| line.starts_with("egressd_target_info{"));
    let name = |line: &str| Some(line.split_once("target=\"")?.1.split_once('"')?.0.to_owned());
    lines.filter_map(name).collect()
}

fn is_sound(daemon: &Daemon) -> bool {
    sum(daemon, "egressd_config_last_reload_successful", "") > 0.5
}

#[test]
fn targets_come_and_go_without_a_restart_and_those_that_stay_go_on() {
    let world = World::new();
    let daemon = world.start(&target("own", &world.api, ""));
    daemon.wait_for("own via direct: works");
    assert!(daemon.wait_for("no file is `").contains("WARN"), "a note, and no fault");
    world.list("a.json", &["one", "two"]);
    daemon.wait_for("one via direct: works");
    daemon.wait_for("two via direct: works");
    assert_eq!(targets(&daemon), ["one", "own", "two"]);
    assert!(daemon.get("/metrics").1.contains("team=\"ml\""));
    let checks = |name: &str| sum(&daemon, "egressd_checks_total", &format!("\"{name}\""));
    let [own, two] = ["own", "two"].map(checks);
    world.list("a.json", &["two", "three"]);
    daemon.wait_for("three via direct: works");
    assert_eq!(targets(&daemon), ["own", "three", "two"], "what is gone has no series");
    assert!(!daemon.get("/api/v1/status").1.contains("\"one\""));
    assert!(checks("own") >= own && checks("two") >= two, "what stays goes on");
    fs::remove_file(world.path("a.json")).unwrap();
    until("the list is gone", || targets(&daemon) == ["own"]);
    // Nothing of this was a change of what stayed.
    for name in ["own", "two"] {
        let told = daemon.log().iter().filter(|l| l.contains(&format!("{name} via "))).count();
        assert_eq!(told, 1, "{name}: {:#?}", daemon.log());
    }
    assert!(is_sound(&daemon));
}

#[test]
fn of_a_bad_list_the_last_good_one_stays_and_it_is_said_once() {
    let world = World::new();
    world.list("a.json", &["one", "two"]);
    world.list("b.json", &["three"]);
    let daemon = world.start("");
    daemon.wait_for("three via direct: works");
    world.text("a.json", "[\n  { \"targets\": [\"https://x.example.com/\" }\n]");
    let line = daemon.wait_for("the last good files stay in force");
    assert!(line.contains("ERROR") && line.contains("a.json:2:42: expected `,` or `]`"), "{line}");
    until("it is published", || !is_sound(&daemon));
    assert_eq!(targets(&daemon), ["one", "three", "two"]);
    // Another list is taken all the same, and the bad one is still bad.
    world.list("b.json", &["four"]);
    daemon.wait_for("four via direct: works");
    assert_eq!(targets(&daemon), ["four", "one", "two"]);
    assert!(!is_sound(&daemon));
    // A whole reload is no other.
    world.write(&target("own", &world.api, ""));
    daemon.signal("HUP");
    daemon.wait_for("own via direct: works");
    assert_eq!(targets(&daemon), ["four", "one", "own", "two"]);
    assert!(!is_sound(&daemon));
    // What is not changed is not said again: three reloads, three times.
    let told = daemon.log().iter().filter(|l| l.contains("the last good files stay")).count();
    assert_eq!(told, 3, "{:#?}", daemon.log());
    world.list("a.json", &["one"]);
    until("it is good again", || targets(&daemon) == ["four", "one", "own"] && is_sound(&daemon));
}

/// The reason that is told, and what brings it about.
type Case<'a> = (&'static str, Box<dyn Fn() + 'a>);

/// Lists of which each is bad in its own way; they are put into their place whole.
fn bad_lists<'a>(world: &'a World, open: &'a Path) -> Vec<Case<'a>> {
    let pipe = move || {
        let made = std::process::Command::new("mkfifo").arg(open).status();
        assert!(made.unwrap().success());
        fs::rename(open, world.path("b.json")).unwrap();
    };
    vec![
        (
            "b.json:4:33: there are two targets `one`; the other one is ",
            Box::new(move || {
                world.list("b.json", &["two", "one"]);
            }),
        ),
        (
            "others may write this file",
            Box::new(move || {
                fs::write(open, "[]").unwrap();
                fs::set_permissions(open, fs::Permissions::from_mode(0o666)).unwrap();
                fs::rename(open, world.path("b.json")).unwrap();
            }),
        ),
        (
            "it is no regular file of at most 4 MiB",
            Box::new(move || {
                fs::File::create(open).unwrap().set_len((4 << 20) + 1).unwrap();
                fs::rename(open, world.path("b.json")).unwrap();
            }),
        ),
        ("it is no regular file", Box::new(pipe)),
        (
            "stream did not contain valid UTF-8",
            Box::new(move || {
                fs::write(world.path("b.json"), b"[\xff]").unwrap();
            }),
        ),
        ("EOF while parsing a list", Box::new(move || world.text("b.json", &"[".repeat(100_000)))),
        (
            "a.json: there is more than this",
            Box::new(move || {
                world.text("a.json", &format!("[{}1]", "1,".repeat(1_000_000)));
            }),
        ),
        (
            "a login inside of a URL is not sent",
            Box::new(move || {
                let url = "\"https://user:s3cret@x.example.com/\"";
                world.text("b.json", &format!("[{{\"targets\":[{url},{url}]}}]"));
            }),
        ),
        (
            "there are more than 10000 targets",
            Box::new(move || {
                let urls: Vec<String> =
                    (0..10_001).map(|n| format!("\"https://h{n}.example.com/\"")).collect();
                world.text("b.json", &format!("[{{\"targets\":[{}]}}]", urls.join(",")));
            }),
        ),
    ]
}

#[test]
fn lists_that_cannot_be_read_or_contradict_each_other_are_bad_ones() {
    let world = World::new();
    world.list("a.json", &["one"]);
    world.list("b.json", &["two"]);
    let daemon = world.start("");
    daemon.wait_for("two via direct: works");
    let open = world.path(".open");
    for (reason, make) in bad_lists(&world, &open) {
        let begun = daemon.log().len();
        make();
        let told = || daemon.log().iter().skip(begun).any(|line| line.contains(reason));
        until(reason, || told() && !is_sound(&daemon));
        assert_eq!(targets(&daemon), ["one", "two"], "{reason}");
        world.list("a.json", &["one"]);
        world.list("b.json", &["two"]);
        until("it is good again", || is_sound(&daemon));
    }
    let log = daemon.log();
    assert!(!log.iter().any(|line| line.contains("s3cret")));
    assert!(log.len() < 1000, "{}", log.len());
}

#[test]
fn a_bad_list_at_the_first_start_is_a_bad_configuration() {
    let world = World::new();
    world.text("a.json", "[{\"targets\": [\"x.example.com:443\"]}]");
    let file = world.write("").display().to_string();
    for arguments in [&["run", "--config", &file][..], &["config", "check", &file]] {
        let finished = run(arguments);
        assert_eq!(finished.code, 78, "{arguments:?}");
        assert!(finished.stderr.contains("a.json:1:15: "), "{}", finished.stderr);
    }
    world.list("a.json", &["one", "two"]);
    let finished = run(&["config", "check", &file]);
    assert_eq!((finished.code, finished.stdout.contains("sound, 2 targets")), (0, true));
    let finished = run(&["config", "check", &file, "--plan"]);
    assert!(finished.stdout.contains("lists of targets, read again every 50ms: "));
    assert!(finished.stdout.contains("  one (anthropic): GET https://"), "{}", finished.stdout);
    let finished = run(&["check", "one", "--config", &file]);
    assert!(finished.stdout.contains("one · direct"), "{}{}", finished.stdout, finished.stderr);
}

#[test]
fn what_is_wrong_beside_the_lists_neither_keeps_one_out_nor_is_forgotten() {
    let world = World::new();
    world.list("a.json", &["one"]);
    let modules = world.ground.folder.write("modules.yml", "modules:\n  m:\n    prober: http\n");
    let daemon = world.start("");
    daemon.wait_for("one via direct: works");
    let file = world.ground.folder.path().join("egressd.toml");
    let sound = fs::read_to_string(&file).unwrap();
    let key = format!("[server]\nblackbox_modules = \"{}\"\n", modules.display());
    let sound = sound.replace("[server]\n", &key);
    fs::write(&file, &sound).unwrap();
    daemon.signal("HUP");
    daemon.wait_for("reloaded: 1 targets");
    // A file of modules that is broken now.
    fs::write(&modules, "{{{").unwrap();
    world.list("a.json", &["one", "two"]);
    daemon.wait_for("two via direct: works");
    assert!(is_sound(&daemon));
    // A list that changed together with a configuration that is wrong.
    fs::write(&file, format!("wrong = 1\n{sound}")).unwrap();
    world.list("a.json", &["one", "three"]);
    daemon.signal("HUP");
    daemon.wait_for("the old plan stays in force");
    until("the list is in force", || targets(&daemon) == ["one", "three"]);
    until("the configuration is still wrong", || !is_sound(&daemon));
    world.list("a.json", &["one", "four"]);
    until("the list is in force", || targets(&daemon) == ["four", "one"]);
    assert!(!is_sound(&daemon), "a good list makes no good configuration");
    fs::write(&modules, "modules:\n  m:\n    prober: http\n").unwrap();
    fs::write(&file, sound).unwrap();
    daemon.signal("HUP");
    until("it is good again", || is_sound(&daemon));
}
