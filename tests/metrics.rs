//! Metrics: the table and its page, hostile snapshots in both formats, the budget, what a reload keeps.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;

use egressd::publish::metrics::{Kind, METRICS};

use crate::support::program::run;

const REPRINT: &str = "cargo run --locked -- explain --metrics > deploy/METRICS.md";

#[test]
fn metrics_md_is_what_the_program_prints() {
    let printed = run(&["explain", "--metrics"]);
    assert_eq!(printed.code, 0);
    let kept = fs::read_to_string("deploy/METRICS.md").unwrap_or_default();
    assert!(printed.stdout == kept, "the table has changed; print it again:\n{REPRINT}");
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
        let words = says.to_lowercase();
        // A number without a unit says what it counts or what its values mean.
        let meaning = match metric.unit() {
            Some(unit) => words.contains(unit),
            None => words.starts_with(|c: char| c.is_ascii_alphanumeric()),
        };
        assert!(meaning, "{name}: {says}");
        assert!(metric.steady <= metric.most, "{name}");
        let names: BTreeMap<_, usize> = metric.labels.iter().chain(metric.sometimes).fold(
            BTreeMap::new(),
            |mut names, label| {
                *names.entry(label.name()).or_default() += 1;
                names
            },
        );
        assert!(names.values().all(|times| *times == 1), "{name}: {names:?}");
    }
}
