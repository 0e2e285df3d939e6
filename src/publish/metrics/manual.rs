//! METRICS.md: the table of metrics and the labels' values, printed from what is published.

use std::collections::BTreeSet;

use super::label::{Label, Values};
use super::table::{Group, METRICS, Metric};
use crate::cause::CAUSES;

const BEGIN: &str = "\
# Metrics of egressd

Printed by `egressd explain --metrics` from the table that `/metrics` is made of; a test compares them.

`/metrics` answers in OpenMetrics 1.0 to whoever names it in `Accept`, as Prometheus does, else in the classic text
0.0.4. A counter's family is named without `_total` in OpenMetrics. Where `site` is set in the configuration, every
series has that label. Series of a removed target and of a former verdict are gone with the next scrape; counters go
on over a reload.

How many series there are is said for what they are counted by, while all is well and at most; a check is a target on a
route. `egressd config check --plan` adds them up for a configuration.
";

/// The whole page.
pub fn page() -> String {
    let mut out = BEGIN.to_owned();
    for group in Group::ALL {
        let label = group.label();
        let title = label.strip_prefix("the ").unwrap_or(label);
        let (first, rest) = title.split_at_checked(1).unwrap_or(("", title));
        out.push_str(&format!("\n## {}{rest}\n", first.to_ascii_uppercase()));
        for metric in METRICS.iter().filter(|metric| metric.group == *group) {
            row(&mut out, metric);
        }
    }
    labels(&mut out);
    out
}

fn row(out: &mut String, metric: &Metric) {
    out.push_str(&format!("\n### `{}`\n\n{}\n\n", metric.name, metric.help));
    let unit = metric.unit().map(|unit| format!(", in {unit}")).unwrap_or_default();
    let named = |label: &Label| match label.name() {
        Some(name) => format!("`{name}`"),
        None => "the target's own".to_owned(),
    };
    let mut labels: Vec<String> = metric.labels.iter().map(named).collect();
    labels
        .extend(metric.sometimes.iter().map(|label| format!("{} where it has one", named(label))));
    let labels = if labels.is_empty() { "none".to_owned() } else { labels.join(", ") };
    let (steady, most) = (metric.steady, metric.most);
    let series = match (steady, most) {
        (1, 1) => "one".to_owned(),
        (steady, most) if steady == most => steady.to_string(),
        (0, most) => format!("none, at most {most},"),
        (1, most) => format!("one, at most {most},"),
        (steady, most) => format!("{steady}, at most {most},"),
    };
    let per = metric.per.label();
    out.push_str(&format!(
        "- type: {}{unit}\n- labels: {labels}\n- series: {series} for {per}\n",
        metric.kind.label()
    ));
    if let Some(example) = metric.example {
        out.push_str(&format!("\n```promql\n{example}\n```\n"));
    }
}

fn labels(out: &mut String) {
    out.push_str("\n## Labels\n\n| label | holds |\n| --- | --- |\n");
    out.push_str("| `site` | the name of this place, as configured |\n");
    let mut told: Vec<Label> = Vec::new();
    let used = METRICS.iter().flat_map(|metric| metric.labels.iter().chain(metric.sometimes));
    for label in used {
        if told.contains(label) {
            continue;
        }
        told.push(*label);
        let name = match (label, label.name()) {
            (Label::Baseline, _) => "`control` of `egressd_control_up`".to_owned(),
            (_, Some(name)) => format!("`{name}`"),
            (_, None) => "any other of `egressd_target_info`".to_owned(),
        };
        out.push_str(&format!("| {name} | {} |\n", holds(*label)));
    }
}

fn holds(label: Label) -> String {
    match label.values() {
        Values::Bounded(what) => what.to_owned(),
        Values::Closed(mut values) if label == Label::Cause => {
            values.retain(|value| CAUSES.iter().all(|row| row.id != *value));
            format!("one of the {} causes of VERDICTS.md, else {}", CAUSES.len(), ticked(&values))
        }
        Values::Closed(values) => ticked(&values),
    }
}

fn ticked(values: &BTreeSet<&'static str>) -> String {
    values.iter().map(|value| format!("`{value}`")).collect::<Vec<String>>().join(", ")
}
