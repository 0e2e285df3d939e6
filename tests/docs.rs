//! What is written is true: the README's commands and configurations, its and the dashboards' metric names,
//! the causes' fixed names. Rules have tests of their own.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};

use egressd::cause::CAUSES;
use egressd::plan::Given;
use egressd::publish::metrics::METRICS;

use crate::config::{nothing_given, plan};
use crate::support::pki::Authority;
use crate::support::program::egressd;

fn readme() -> String {
    fs::read_to_string("README.md").unwrap()
}

/// The fenced blocks of a language.
fn blocks(language: &str) -> Vec<String> {
    let fence = format!("```{language}\n");
    let text = readme();
    let parts = text.split(&fence).skip(1);
    parts.map(|part| part.split("```").next().unwrap_or_default().to_owned()).collect()
}

/// Files that an example names, with a CA in each.
fn given_for(text: &str) -> Given {
    let mut given = nothing_given();
    let pem = Authority::new("Example").pem().into_bytes();
    for part in
        text.split('"').filter(|part| Path::new(part).extension().is_some_and(|e| e == "pem"))
    {
        given.files.insert(part.into(), Ok(pem.clone()));
    }
    given
}

#[test]
fn the_readmes_configurations_are_sound() {
    let blocks = blocks("toml");
    assert!(blocks.len() >= 3);
    for block in blocks {
        if let Err(problems) = plan(&block, &given_for(&block)) {
            panic!("{problems:?} in\n{block}");
        }
    }
}

#[test]
fn the_readmes_tasks_are_listed_once_each() {
    let text = readme();
    let slug = |headline: &str| {
        let kept = headline.chars().filter(|c| c.is_alphanumeric() || " -_".contains(*c));
        kept.collect::<String>().to_lowercase().replace(' ', "-")
    };
    let tasks = text.split("\n## Tasks\n").nth(1).expect("the headline");
    let list = tasks.split("\n### ").next().unwrap_or_default();
    let links = list.split("](#").skip(1).filter_map(|rest| rest.split(')').next());
    let mut listed: Vec<String> = links.map(str::to_owned).collect();
    let headlines = text.lines().filter_map(|line| line.strip_prefix("### "));
    let mut tasks: Vec<String> = headlines.map(slug).collect();
    listed.sort();
    tasks.sort();
    assert_eq!(listed, tasks);
}

#[test]
fn the_readmes_case_is_one_of_the_lab() {
    let texts = blocks("text");
    let case = texts.iter().find(|block| block.starts_with("[[case]]")).expect("it shows one");
    let cases = fs::read_to_string("tests/lab/faults/tcp.toml").unwrap();
    assert!(cases.contains(case), "{case}");
}

/// The commands of the README, as they stand there.
fn commands() -> Vec<String> {
    let of = |block: String| -> Vec<String> { block.lines().map(str::to_owned).collect() };
    blocks("console").into_iter().flat_map(of).collect()
}

#[test]
fn the_readmes_commands_exist() {
    let commands = commands();
    for wanted in ["$ cargo run --release -- run", "$ .ci/test"] {
        assert!(commands.iter().any(|command| command == wanted), "{wanted}");
    }
    for command in &commands {
        let words: Vec<&str> = command.trim_start_matches(['$', '#', ' ']).split(' ').collect();
        match words[0] {
            // Asked for help with the same words, the program refuses what it does not know.
            "egressd" => {
                let known = words[1..].iter().filter(|word| word.starts_with("--"));
                let subcommand = words[1..].iter().take_while(|word| !word.contains("://"));
                let subcommand = subcommand.take_while(|word| {
                    ["run", "check", "config", "explain", "lint", "man", "completions"]
                        .contains(word)
                });
                let output = egressd().args(subcommand).arg("--help").output().unwrap();
                let help = String::from_utf8(output.stdout).unwrap();
                assert!(output.status.success(), "{command}");
                known.for_each(|option| assert!(help.contains(option), "{command}: {option}"));
            }
            // Of the project, of a build, or the reader's own key.
            "install" => {
                let is_there = |word: &&str| word.contains("release") || Path::new(word).exists();
                let is_there =
                    words.iter().any(|word| ["key", "web.key"].contains(word) || is_there(word));
                assert!(is_there, "{command}");
            }
            ".ci/test" | "deploy/package/build" => assert!(Path::new(words[0]).exists()),
            // What is made and installed is tests/packages' to show.
            "dpkg" | "rpm" => {}
            // Not here: what they are given is.
            "podman" | "kubectl" => {
                let given = words.iter().filter(|word| word.starts_with("deploy/"));
                given.for_each(|path| assert!(Path::new(path).exists(), "{command}"));
            }
            // Those of systemd are run in `tests/systemd.rs`, those of the web port in its tests.
            "cargo" | "systemctl" | "systemd-creds" | "journalctl" | "source" => {}
            "htpasswd" | "curl" => {}
            other => panic!("{other} is not known to this test"),
        }
    }
}

#[test]
fn the_first_command_runs_the_main_job_on_the_embedded_default() {
    // A network of its own: the default port is free there, and nobody is reached.
    let mut child = Command::new("unshare")
        .args(["--net", "--map-root-user", "sh", "-c", "ip link set lo up && exec \"$0\" run"])
        .arg(env!("CARGO_BIN_EXE_egressd"))
        .env_clear()
        .env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin")
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let log = std::io::BufReader::new(child.stderr.take().unwrap());
    let mut lines = std::io::BufRead::lines(log).map_while(Result::ok);
    let listening = lines.find(|line| line.contains("on http://") || line.contains("unshare:"));
    let verdict = lines.find(|line| line.contains("anthropic via direct"));
    child.kill().unwrap();
    child.wait().unwrap();
    let listening = listening.expect("it says where it listens");
    assert!(listening.ends_with("on http://127.0.0.1:9737"), "{listening}");
    assert!(
        verdict.expect("it checks at once").contains("status=\"broken\""),
        "nothing is reached here"
    );
}

/// Words that look like a metric of ours.
fn metric_names(text: &str) -> BTreeSet<String> {
    let word = |c: char| !(c.is_ascii_alphanumeric() || c == '_');
    let names = text
        .split(word)
        .filter(|name| name.starts_with("egressd_") || name.starts_with("process_"));
    names.map(str::to_owned).collect()
}

#[test]
fn rules_and_dashboards_name_metrics_that_exist() {
    let known: BTreeSet<String> = METRICS
        .iter()
        .flat_map(|metric| {
            let name = metric.name;
            [
                name.to_owned(),
                format!("{name}_bucket"),
                format!("{name}_sum"),
                format!("{name}_count"),
            ]
        })
        .collect();
    let rules =
        ["alerts", "recording", "fleet"].map(|name| format!("deploy/prometheus/{name}.yml"));
    let boards = ["overview", "target", "fleet"].map(|name| format!("deploy/grafana/{name}.json"));
    for file in rules.iter().chain(&boards).chain([&"README.md".to_owned()]) {
        let used = metric_names(&fs::read_to_string(file).unwrap());
        assert!(used.len() > 3, "{file}: {used:?}");
        // A package's file has its version there.
        let is_metric = |name: &&String| !name.starts_with("egressd_0");
        let unknown: Vec<&String> = used.difference(&known).filter(is_metric).collect();
        assert!(unknown.is_empty(), "{file}: {unknown:?}");
    }
}

#[test]
fn names_of_causes_are_a_contract() {
    let line = |row: &egressd::cause::Row| {
        let layer = row.layer.map_or("none", |layer| layer.label());
        format!("{} {layer} {} {}\n", row.id, row.party, row.status)
    };
    let names = CAUSES.iter().map(line).collect::<Vec<String>>().concat();
    let kept = fs::read_to_string("tests/causes.txt").unwrap();
    let [ours, others] = [&names, &kept].map(|text| text.lines().collect::<BTreeSet<&str>>());
    let lacks: Vec<&&str> = ours.difference(&others).collect();
    let gone: Vec<&&str> = others.difference(&ours).collect();
    assert!(
        names == kept,
        "tests/causes.txt is what others build on, in the order of src/cause.rs; it lacks {lacks:#?}, \
         and no row is {gone:#?}"
    );
    let ids: BTreeSet<&str> = CAUSES.iter().map(|row| row.id).collect();
    assert_eq!(ids.len(), CAUSES.len());
}

#[test]
fn sentences_keep_the_rules_for_words() {
    for row in CAUSES {
        for text in [row.says, row.or, row.advice, row.do_not] {
            assert!(text.is_ascii() && !text.trim().is_empty(), "{}: {text}", row.id);
            for blame in ["fault", "blame", "culprit"] {
                let mut words = text.split(|c: char| !c.is_ascii_alphabetic());
                assert!(!words.any(|word| word == blame), "{}: {text}", row.id);
            }
        }
        let addressed = row.advice.contains(':')
            || row.advice.starts_with("Wait")
            || row.advice.starts_with("Watch");
        assert!(
            addressed || row.advice.starts_with("Nothing") || row.advice.starts_with("Tell"),
            "{}",
            row.advice
        );
    }
}
