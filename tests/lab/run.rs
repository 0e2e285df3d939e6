//! One run of one case: the world, the binary in it, what it said beside the truth, and the traffic that it caused.

use std::fmt::Write as _;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Instant;

use serde_json::Value;

use super::case::{Action, Case, Expected, Truth};
use super::draw::Draw;
use super::net::Host;
use super::transcript;
use super::world::World;

/// What is the same for all runs.
#[derive(Debug)]
pub(crate) struct Given {
    pub(crate) seed: u64,
    /// What is loaded in front of libc where a clock is wrong.
    pub(crate) clock: PathBuf,
    /// Waits for Enter before a world goes.
    pub(crate) keep: bool,
}

/// What a run is about.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Job<'a> {
    pub(crate) case: &'a Case,
    pub(crate) truth: &'a Truth,
    pub(crate) is_healthy: bool,
    /// `one` or `two`.
    pub(crate) which: &'static str,
    /// Whether it is asked for text as well.
    pub(crate) as_text: bool,
}

/// What came of it.
#[derive(Debug)]
pub(crate) struct Outcome {
    /// What was said of the target, then of each route of which the truth says something: what it is
    /// about, the truth, what was said.
    pub(crate) compared: Vec<(&'static str, Expected, Expected)>,
    pub(crate) seconds: f64,
    /// Longer than four of its timeouts and the start of a process.
    pub(crate) is_late: bool,
    pub(crate) experiments: usize,
    pub(crate) traffic: Traffic,
    pub(crate) document: Value,
    /// What the same check says as text, where that is asked for.
    pub(crate) text: Option<String>,
    /// What the world left behind.
    pub(crate) left: Result<(), String>,
}

/// What the client sent and got, its loopback left out.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Traffic {
    /// SYNs, repeated ones as well.
    pub(crate) connections: u64,
    /// Questions over UDP.
    pub(crate) questions: u64,
    pub(crate) packets: u64,
    pub(crate) bytes: u64,
}

/// What the start of a process may take, beside seven others on two processors.
const START: f64 = 2.0;

impl Job<'_> {
    pub(crate) fn name(&self) -> String {
        format!("{} {}", self.case.id, self.which)
    }

    /// An error is the lab's own.
    pub(crate) fn run(&self, given: &Given) -> Result<Outcome, String> {
        let outcome = catch_unwind(AssertUnwindSafe(|| self.run_in_world(given)));
        outcome.unwrap_or_else(|panic| {
            let text = panic.downcast_ref::<String>().cloned();
            let text = text.or_else(|| panic.downcast_ref::<&str>().map(|text| (*text).to_owned()));
            Err(text.unwrap_or_else(|| "a panic without words".to_owned()))
        })
    }

    fn run_in_world(&self, given: &Given) -> Result<Outcome, String> {
        let mut draw = Draw::of(given.seed, &self.name());
        let world = World::new(self.case, self.truth, &mut draw);
        let file = world.write_configuration();
        world.net.nft(Host::Client, COUNTERS);
        let check = |format| {
            let mut command = world.egressd();
            command.args(["check", "--format", format, "--config"]).arg(&file);
            let days = |action: &Action| {
                if let Action::Clock(days) = action { Some(*days) } else { None }
            };
            if let Some(days) = world.said(days) {
                command
                    .env("LD_PRELOAD", &given.clock)
                    .env("CLOCK_SECONDS", (days * 86_400).to_string());
            }
            command.output().map_err(|error| error.to_string())
        };
        let begun = Instant::now();
        let output = check("json")?;
        let seconds = begun.elapsed().as_secs_f64();
        let traffic = count(&world);
        let document: Value = serde_json::from_slice(&output.stdout).map_err(|error| {
            let configuration = std::fs::read_to_string(&file).unwrap_or_default();
            format!(
                "no verdict ({error}): {}\n{configuration}",
                String::from_utf8_lossy(&output.stderr)
            )
        })?;
        let compared = self.compare(&world, &document);
        let said = if self.as_text { Some(check("text")?) } else { None };
        let text =
            said.map(|said| transcript::tidied(&String::from_utf8_lossy(&said.stdout), &world));
        let timeout: f64 = timeout(&file);
        let is_late = seconds > 4.0 * timeout + START;
        if given.keep {
            let at = world.net.namespace(Host::Client);
            println!("{}: ip netns exec {at} …; configuration {}", self.name(), file.display());
            std::io::stdin().read_line(&mut String::new()).ok();
        }
        let left = world.end();
        Ok(Outcome {
            compared,
            seconds,
            is_late,
            experiments: experiments(&document),
            traffic,
            document,
            text,
            left,
        })
    }

    fn compare(
        &self,
        world: &World<'_>,
        document: &Value,
    ) -> Vec<(&'static str, Expected, Expected)> {
        let said = expected(&document["targets"][0]);
        let mut compared = vec![("target", self.truth.target(), said)];
        let checks = document["checks"].as_array().map_or(&[][..], Vec::as_slice);
        for (route, truth) in &self.truth.checks {
            let name = world.route_name(*route);
            let check = checks.iter().find(|check| check["route"] == *name);
            let said = expected(check.unwrap_or(&Value::Null));
            compared.push((route.word(), truth.clone(), said));
        }
        compared
    }
}

fn timeout(file: &Path) -> f64 {
    let text = std::fs::read_to_string(file).expect("it was written");
    let config: toml::Table = text.parse().expect("it was written from a table");
    let word = config["probe"]["timeout"].as_str().expect("it is always there").to_owned();
    let of_target = config["target"][0].get("timeout").and_then(|value| value.as_str());
    let word = of_target.map_or(word, str::to_owned);
    word.parse::<humantime::Duration>().expect("a duration").as_secs_f64()
}

fn expected(of: &Value) -> Expected {
    let text = |key: &str| of[key].as_str().map(str::to_owned);
    Expected {
        status: text("status").unwrap_or_else(|| "nothing".to_owned()),
        cause: text("cause"),
        party: text("party"),
    }
}

fn experiments(document: &Value) -> usize {
    let checks = document["checks"].as_array().into_iter().flatten();
    let lines = checks.flat_map(|check| check["evidence"].as_array().into_iter().flatten());
    lines.filter(|line| line["result"] != "not_run").count()
}

/// The evidence of all checks, for people.
pub(crate) fn evidence(document: &Value) -> String {
    let mut out = String::new();
    for check in document["checks"].as_array().into_iter().flatten() {
        let text = |of: &Value| of.as_str().unwrap_or("-").to_owned();
        let failure = &check["failure"];
        let (route, status) = (text(&check["route"]), text(&check["status"]));
        let (cause, party) = (text(&check["cause"]), text(&check["party"]));
        let seen = format!("{} {}", text(&failure["layer"]), text(&failure["kind"]));
        writeln!(out, "    {route}: {status} {cause} {party} ({seen})").expect("text");
        writeln!(out, "      {}", text(&check["summary"])).expect("text");
        for line in check["evidence"].as_array().into_iter().flatten() {
            let [control, result, detail, means] =
                ["control", "result", "detail", "means"].map(|key| text(&line[key]));
            writeln!(out, "      {control} {result}: {detail} -> {means}").expect("text");
        }
    }
    out
}

const COUNTERS: &str = "table inet counted {
  counter connections { }
  counter questions { }
  counter every { }
  chain out {
    type filter hook output priority 200
    oifname lo return
    counter name every
    tcp flags & (syn | ack) == syn counter name connections
    udp dport 53 counter name questions
  }
  chain in {
    type filter hook input priority -200
    iifname lo return
    counter name every
  }
}
";

fn count(world: &World<'_>) -> Traffic {
    let namespace = world.net.namespace(Host::Client);
    let output = Command::new("ip")
        .args(["netns", "exec", &namespace, "nft", "-j", "list", "counters"])
        .output()
        .expect("nft runs");
    let listed: Value = serde_json::from_slice(&output.stdout).unwrap_or_default();
    let of = |name: &str, what: &str| {
        let all = listed["nftables"].as_array().into_iter().flatten();
        let mut counters = all.map(|entry| &entry["counter"]);
        let found = counters.find(|counter| counter["name"] == name);
        found.and_then(|counter| counter[what].as_u64()).unwrap_or_default()
    };
    Traffic {
        connections: of("connections", "packets"),
        questions: of("questions", "packets"),
        packets: of("every", "packets"),
        bytes: of("every", "bytes"),
    }
}
