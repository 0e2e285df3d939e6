//! What is said of a cause: by `egressd explain`, and in VERDICTS.md, which is printed from the same tables.

use std::collections::BTreeSet;
use std::fs;

use egressd::cause::{CAUSES, Cause};
use egressd::diagnosis::{decides, rules};
use egressd::observation::Control;
use egressd::publish::explain;

use crate::support::program::run;

const REPRINT: &str = ".ci/print";

fn verdicts() -> String {
    fs::read_to_string("deploy/VERDICTS.md").unwrap()
}

/// A text as one line, however it was wrapped.
fn unwrapped(text: &str) -> String {
    text.split_whitespace().collect::<Vec<&str>>().join(" ")
}

fn assert_fits(text: &str) {
    for line in text.lines() {
        assert!(line.chars().count() <= 110, "{line}");
    }
}

#[test]
fn verdicts_md_is_what_the_program_prints() {
    let printed = run(&["explain", "--markdown"]);
    assert_eq!(printed.code, 0);
    assert!(printed.stdout == verdicts(), "the tables have changed; print it again:\n{REPRINT}");
}

#[test]
fn a_link_to_a_cause_or_layer_has_one_place() {
    let page = verdicts();
    let headings = page.lines().filter_map(|line| line.strip_prefix('#'));
    let anchor = |heading: &str| {
        let text = heading.trim_start_matches('#').trim().to_lowercase().replace(' ', "-");
        text.chars().filter(|c| c.is_alphanumeric() || "-_".contains(*c)).collect::<String>()
    };
    let mut anchors = BTreeSet::new();
    for heading in headings {
        assert!(anchors.insert(anchor(heading)), "{heading} is there twice");
    }
    for row in CAUSES {
        assert!(anchors.contains(row.id), "{}", row.id);
    }
    for control in Control::ALL {
        assert!(page.contains(&format!("| `{control}` | ")), "{control}");
    }
    let left = page.split(['{', '}']).count();
    assert_eq!(left, 1, "a slot is left");
}

#[test]
fn every_cause_is_explained_with_its_rules() {
    for row in CAUSES {
        let text = explain::cause(row, false);
        assert_fits(&text);
        assert!(!text.contains(['{', '}', '\x1b']), "{text}");
        let said = unwrapped(&text);
        for (name, means) in decides(row.cause) {
            assert!(said.contains(&format!("{name} {means}")), "{name}: {text}");
        }
        assert!(said.contains(row.party.label()) && said.contains(row.party.about()), "{text}");
    }
    let run = run(&["explain", "tcp_rejected"]);
    assert_eq!((run.code, run.stdout), (0, explain::cause(Cause::TcpRejected.row(), false)));
    assert!(explain::cause(Cause::TcpRejected.row(), true).contains("\x1b["), "colour if wanted");
}

#[test]
fn every_cause_is_decided_by_some_rule_and_every_rule_is_told() {
    let idle: Vec<&str> =
        CAUSES.iter().filter(|row| decides(row.cause).count() == 0).map(|row| row.id).collect();
    assert!(idle.is_empty(), "nothing decides {idle:?}");
    let told: BTreeSet<&str> =
        CAUSES.iter().flat_map(|row| decides(row.cause)).map(|(name, _)| name).collect();
    assert!(rules().all(|rule| told.contains(rule.name())));
    assert!(told.contains("steady::flapping"));
}

#[test]
fn what_a_rule_means_is_said_in_whole_sentences() {
    for (name, means) in CAUSES.iter().flat_map(|row| decides(row.cause)) {
        let begins = means.starts_with(|c: char| c.is_ascii_uppercase());
        assert!(begins && means.ends_with('.'), "{name}: {means}");
        assert!(means.contains(' ') && means.len() <= 340, "{name} is {} long", means.len());
        for jargon in ["Found", "Seen", "::", "this one"] {
            assert!(!means.contains(jargon), "{name}: {means}");
        }
    }
}

#[test]
fn all_causes_are_listed_a_line_each() {
    let list = run(&["explain"]);
    assert_eq!(list.code, 0);
    assert_fits(&list.stdout);
    for row in CAUSES {
        let begin = format!("  {} ", row.id);
        let lines = list.stdout.lines().filter(|line| line.starts_with(&begin));
        assert_eq!(lines.count(), 1, "{}", row.id);
    }
}

#[test]
fn what_is_no_cause_is_answered_with_the_nearest() {
    for (given, meant) in [("sni-filterd", "sni_filtered"), ("blackhole", "mtu_blackhole")] {
        let run = run(&["explain", given]);
        assert_eq!((run.code, run.stdout.as_str()), (2, ""), "{given}");
        assert!(run.stderr.contains(&format!("`{given}`: nearest are {meant},")), "{}", run.stderr);
    }
    assert_eq!(run(&["explain", "tcp_rejected", "--markdown"]).code, 2);
}

#[test]
fn the_readme_shows_a_cause_as_it_is_explained() {
    let readme = fs::read_to_string("README.md").unwrap();
    let (_, task) = readme.split_once("### Look a cause up").expect("the task is there");
    let shown = task.split("```text\n").nth(1).and_then(|rest| rest.split("```").next());
    assert_eq!(shown.unwrap(), explain::cause(Cause::MtuBlackhole.row(), false));
}
