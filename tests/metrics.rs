//! Metrics: the table and its page, hostile snapshots in both formats, the budget, what a reload keeps.

mod daemon;
mod hostile;
mod openmetrics;
mod served;

use std::collections::{BTreeMap, BTreeSet};
use std::fs;

use egressd::daemon::declared;
use egressd::publish::metrics::{
    Choice, Format, Grain, Kind, Label, METRICS, Metric, Outside, Process, Shape, Values, render,
};
use egressd::store::{Snapshot, Store};

use crate::config::{nothing_given, plan};
use crate::support::program::run;
use hostile::{PLANTED, round, route_name, target_name};
use openmetrics::{Family, Sample, read, sample};

const REPRINT: &str = ".ci/print";
const ALL: Choice = Choice { histogram: Some(Grain::Check), addresses: true };

#[test]
fn metrics_md_is_what_the_program_prints() {
    let printed = run(&["explain", "--metrics"]);
    assert_eq!(printed.code, 0);
    let kept = fs::read_to_string("deploy/METRICS.md").unwrap_or_default();
    assert!(printed.stdout == kept, "the table has changed; print it again:\n{REPRINT}");
    for metric in METRICS {
        assert!(kept.contains(&format!("### `{}`\n", metric.name)), "{}", metric.name);
    }
}

#[test]
fn the_tables_names_and_units_keep_the_conventions() {
    let mut families = BTreeSet::new();
    for metric in METRICS {
        let name = metric.name;
        assert!(families.insert(metric.family()), "{name}: two families of one name");
        assert_eq!(name.ends_with("_total"), metric.kind == Kind::Counter, "{name}");
        let says = metric.help;
        assert!(says.ends_with('.') && says.is_ascii() && !says.contains(['\\', '\n']), "{says}");
        if let Some(unit) = metric.unit() {
            assert!(says.to_lowercase().contains(unit), "{name}: {says}");
        }
        assert!(metric.steady <= metric.most, "{name}");
        let names: Vec<_> =
            metric.labels.iter().chain(metric.sometimes).map(|l| l.name()).collect();
        assert_eq!(names.iter().collect::<BTreeSet<_>>().len(), names.len(), "{name}: {names:?}");
    }
}

fn outside() -> Outside {
    let credentials = vec![("file /etc/egressd/\"k\\ey\"".to_owned(), 86_400.5)];
    Outside { process: Process::default(), credentials }
}

fn page(snapshot: &Snapshot, choice: Choice) -> Vec<Family> {
    read(&render(snapshot, choice, &outside(), Format::OpenMetrics))
}

fn samples(snapshot: &Snapshot) -> Vec<Sample> {
    page(snapshot, ALL).into_iter().flat_map(|family| family.samples).collect()
}

/// A store after so many rounds.
fn after(rounds: usize, targets: usize, routes: usize) -> Store {
    let mut store = hostile::store(targets, routes);
    for number in 0..rounds {
        round(&mut store, number, targets, routes);
    }
    store
}

/// The values of a label that a row allows.
fn allows(label: Label, value: &str) -> bool {
    match label.values() {
        Values::Closed(values) => values.contains(value),
        Values::Bounded(_) => true,
    }
}

fn row(family: &Family) -> &'static Metric {
    let found = METRICS.iter().find(|metric| metric.family() == family.name);
    found.unwrap_or_else(|| panic!("{} has no row", family.name))
}

/// A series has the labels of its row, `site`, and no others; values of closed sets are of those.
fn assert_fits(family: &Family) {
    let metric = row(family);
    assert_eq!(family.help.as_deref(), Some(metric.help));
    assert_eq!(family.unit.as_deref(), metric.unit());
    for sample in &family.samples {
        let mut left = sample.labels.clone();
        assert!(left.remove("site").is_some(), "{sample:?}");
        left.remove("le").inspect(|_| assert_eq!(metric.kind, Kind::Histogram));
        for label in metric.labels.iter().chain(metric.sometimes) {
            let value = match label.name() {
                Some(name) => left.remove(name),
                None => left.remove("team"),
            };
            let needed = metric.labels.contains(label);
            assert!(value.is_some() || !needed, "{sample:?} lacks {label:?}");
            let fits = value.as_deref().is_none_or(|value| allows(*label, value));
            assert!(fits, "{sample:?}: {label:?}");
        }
        assert!(left.is_empty(), "{sample:?} has {left:?} beside");
    }
}

#[test]
fn hostile_snapshots_keep_to_the_table_in_both_formats() {
    let rounds = hostile::symptoms().len();
    let mut store = hostile::store(2, 3);
    let mut published = BTreeSet::new();
    for number in 0..rounds {
        round(&mut store, number, 2, 3);
        let snapshot = store.snapshot();
        let histogram = [None, Some(Grain::Check), Some(Grain::Target)][number % 3];
        let choice = Choice { histogram, addresses: number.is_multiple_of(2) };
        for family in page(&snapshot, choice) {
            assert_fits(&family);
            published.insert(family.name);
        }
        let text = render(&snapshot, ALL, &outside(), Format::Text);
        let open = series(samples(&snapshot).into_iter());
        assert_eq!(classic(&text), open, "round {number}");
        assert!(!text.contains(PLANTED), "a peer's text");
    }
    let all: BTreeSet<String> = METRICS.iter().map(|metric| metric.family().to_owned()).collect();
    let silent: Vec<&String> = all.difference(&published).collect();
    assert!(silent.is_empty(), "no series of {silent:?}");
}

/// Names, labels and values, in whatever order, with a bound as a number.
type Series = BTreeSet<(String, BTreeMap<String, String>, String)>;

fn series(samples: impl Iterator<Item = Sample>) -> Series {
    let bound = |(name, value): (String, String)| match name.as_str() {
        "le" => (name, value.trim_end_matches(".0").to_owned()),
        _ => (name, value),
    };
    let one = |sample: Sample| {
        let labels = sample.labels.into_iter().map(bound).collect();
        (sample.name, labels, sample.value.to_string())
    };
    samples.map(one).collect()
}

/// The classic text has lines of the same form.
fn classic(text: &str) -> Series {
    series(text.lines().filter(|line| !line.starts_with('#')).map(sample))
}

/// What tells one series from another.
fn keys(samples: &[Sample]) -> BTreeSet<String> {
    samples.iter().map(|sample| format!("{}{:?}", sample.name, sample.labels)).collect()
}

#[test]
fn what_peers_choose_makes_no_new_series_for_ever() {
    let mut store = hostile::store(1, 1);
    let mut ever = BTreeMap::<&str, BTreeSet<String>>::new();
    for number in 0..300 {
        round(&mut store, number, 1, 1);
        for sample in samples(&store.snapshot()) {
            for label in ["issuer", "pop"] {
                if let Some(value) = sample.labels.get(label) {
                    ever.entry(label).or_default().insert(value.clone());
                }
            }
        }
    }
    // The check's own, the client's and the file's: four each, and what stands for all others.
    let issuers = &ever["issuer"];
    let own: Vec<&String> = issuers.iter().filter(|name| !name.starts_with("Corp ")).collect();
    assert_eq!(own.len(), 5, "{own:?}");
    assert_eq!(issuers.len(), 5 + 1 + 4, "{issuers:?}");
    assert_eq!(ever["pop"].len(), 17, "{:?}", ever["pop"]);
    let sound = |c: char| c.is_ascii_alphanumeric() || " ._()-".contains(c);
    for value in ever.values().flatten() {
        assert!((1..=64).contains(&value.len()) && value.chars().all(sound), "{value}");
    }
}

#[test]
fn what_is_rendered_stays_below_the_budget() {
    for (targets, routes) in [(1, 1), (3, 2), (2, 4)] {
        let snapshot = after(hostile::symptoms().len(), targets, routes).snapshot();
        for histogram in [None, Some(Grain::Target), Some(Grain::Check)] {
            for addresses in [false, true] {
                let choice = Choice { histogram, addresses };
                let shape = Shape {
                    targets,
                    checks: targets * routes,
                    routes,
                    controls: routes,
                    configured: 2,
                    credentials: 1,
                    choice,
                };
                let budget = shape.budget();
                let mut rendered = BTreeMap::new();
                for family in page(&snapshot, choice) {
                    *rendered.entry(row(&family).group).or_insert(0) += family.samples.len();
                }
                for (group, steady, most) in &budget.groups {
                    let rendered = rendered.get(group).copied().unwrap_or_default();
                    let what = format!("{group:?} of {targets} on {routes}, {choice:?}");
                    assert!(rendered <= *most, "{what}: {rendered} of {most}");
                    assert!(steady <= most, "{what}");
                    // What cannot be is not counted: the worst round is not far below.
                    assert!(rendered * 3 >= *most, "{what}: {rendered} of {most} is idle talk");
                }
                assert_eq!(
                    budget.most(),
                    budget.groups.iter().map(|(_, _, most)| most).sum::<usize>()
                );
            }
        }
    }
}

#[test]
fn a_plan_prints_its_budget_by_part() {
    let text = "[[route]]\nname = \"corp\"\nproxy = \"http://proxy.corp.example:3128\"\n\
        auth = { scheme = \"basic\", username = \"svc\", password = { file = \"/etc/egressd/p\" } }\n\
        [control]\nurls = [\"https://www.example.com/\"]\n[metrics]\nphase_histogram = \"HISTOGRAM\"\n\
        [[target]]\nname = \"a\"\nprovider = \"anthropic\"\nkey = { file = \"/etc/egressd/k\" }\n\
        [[target]]\nname = \"b\"\nprovider = \"anthropic\"\nkey = { file = \"/etc/egressd/k\" }\n";
    let lines = |histogram: &str| {
        let plan = plan(&text.replace("HISTOGRAM", histogram), &nothing_given()).expect("sound");
        declared::budget(&plan).to_string()
    };
    // Four checks or two targets by 78; a password and one key, however often it is used.
    for (histogram, phases) in [("check", 4 * 78), ("target", 2 * 78), ("off", 0)] {
        let printed = lines(histogram);
        let phases = format!("\n  phases: {phases}, {phases} at most\n");
        assert!(printed.contains(&phases), "{printed}");
        assert!(printed.contains("\n  addresses: 16, 64 at most\n"), "{printed}");
        assert!(printed.contains("\n  names: 4, 4 at most\n"), "{printed}");
        let head = printed.lines().next().unwrap();
        let sum = |place: usize| -> usize {
            let parts = printed.lines().skip(1).map(|line| line.split(": ").nth(1).unwrap());
            parts.map(|part| part.split(", ").nth(place).unwrap()).map(first).sum()
        };
        let expected = format!("series: some {} while all is well, {} at most:", sum(0), sum(1));
        assert_eq!(head, expected);
    }
}

/// The number that a text begins with.
fn first(text: &str) -> usize {
    text.split(' ').next().and_then(|number| number.parse().ok()).expect("a number")
}

#[test]
fn what_is_gone_is_gone_and_counters_go_on_over_a_reload() {
    let mut store = after(200, 3, 2);
    let before = samples(&store.snapshot());
    let counts = |samples: &[Sample], target: &str| -> Series {
        let counted = |one: &&Sample| {
            let endings = ["_total", "_bucket", "_count", "_sum"];
            endings.iter().any(|end| one.name.ends_with(end))
                && one.labels.get("target").is_some_and(|name| name == target)
        };
        series(samples.iter().filter(counted).cloned())
    };
    // One target goes, one loses a route, one stays.
    let mut declared = hostile::declared(2, 2);
    declared[1].routes.truncate(1);
    store.declare(Some("a \"site\"\\\n".to_owned()), declared);
    store.forget_controls();
    store.certificates(Vec::new());
    let now = samples(&store.snapshot());
    assert!(!counts(&before, &target_name(0)).is_empty());
    assert_eq!(counts(&now, &target_name(0)), counts(&before, &target_name(0)));
    let is_of = |sample: &Sample, name: &str, value: &str| {
        sample.labels.get(name).is_some_and(|label| label == value)
    };
    assert!(now.iter().all(|sample| !is_of(sample, "target", &target_name(2))));
    let left = |sample: &&Sample| {
        is_of(sample, "target", &target_name(1)) && is_of(sample, "route", &route_name(1))
    };
    assert_eq!(now.iter().filter(left).count(), 0);
    assert!(now.iter().all(|sample| !is_of(sample, "of", "client") && !is_of(sample, "of", "ca")));
    assert!(now.iter().all(|sample| sample.name != "egressd_control_up"), "measured anew");
    assert!(keys(&now).is_subset(&keys(&before)));
}

#[test]
fn a_verdict_that_changes_leaves_one_series() {
    let mut store = hostile::store(1, 1);
    for number in 0..60 {
        round(&mut store, number, 1, 1);
        let now = samples(&store.snapshot());
        for name in ["egressd_verdict", "egressd_target_verdict"] {
            let of: Vec<&Sample> = now.iter().filter(|sample| sample.name == name).collect();
            assert_eq!(of.len(), 1, "round {number}: {of:?}");
        }
    }
}

#[test]
fn all_counts_of_finished_checks_are_there_before_the_first() {
    let now = samples(&hostile::store(2, 2).snapshot());
    let counts: Vec<f64> = now
        .iter()
        .filter(|sample| sample.name == "egressd_checks_total")
        .map(|sample| sample.value)
        .collect();
    assert_eq!(counts, vec![0.0; 2 * 2 * 12]);
}
