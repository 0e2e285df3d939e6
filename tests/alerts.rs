//! The rules of Prometheus and the routes of Alertmanager as they are shipped, run by promtool and amtool. What an alert
//! says is in `tests/alerts/*.yml`, which .ci/run gives to promtool; what is long (all parties, fifty sites) is made here. No
//! server is started but one Alertmanager.

mod fleet;
mod inhibition;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::fs;
use std::process::Command;
use std::time::Duration;

use egressd::cause::Party;
use egressd::publish::metrics::METRICS;
use egressd::publish::teams;
use egressd::store::Zone;

use crate::support::program::Folder;

const RULES: [&str; 3] = ["alerts.yml", "recording.yml", "fleet.yml"];
const ROUTING: &str = "deploy/alertmanager/alertmanager.yml";

fn rules(file: &str) -> String {
    fs::read_to_string(format!("deploy/prometheus/{file}")).unwrap()
}

fn all_rules() -> String {
    RULES.map(rules).concat()
}

/// What stands after `key` at the beginning of lines.
fn values<'a>(text: &'a str, key: &str) -> Vec<&'a str> {
    text.lines().filter_map(|line| line.trim().strip_prefix(key)).map(str::trim).collect()
}

/// The tests of promtool, over the shipped rules. Groups are evaluated in the order in which one needs the other.
fn promtool(tests: &str) {
    let folder = Folder::new();
    let here = std::env::current_dir().unwrap();
    let files = RULES.map(|file| format!("  - {}/deploy/prometheus/{file}\n", here.display()));
    let text = format!(
        "rule_files:\n{}evaluation_interval: 1m\ngroup_eval_order: [egress-route, egressd-availability, \
         egressd-parties, egressd-days, egressd-objective, egressd-fleet, egress-fleet]\ntests:\n{tests}",
        files.concat()
    );
    let file = folder.write("tests.yml", &text);
    let output = Command::new("promtool")
        .args(["test", "rules"])
        .arg(file)
        .output()
        .expect("promtool is installed (apt-get install prometheus)");
    let said = String::from_utf8_lossy(&output.stdout) + String::from_utf8_lossy(&output.stderr);
    let said: String = said.chars().take(4000).collect();
    assert!(output.status.success(), "{said}");
}

/// Labels and a value.
type Sample = (String, f64);

/// A time, an expression, and what it gives then.
type Expected = (String, &'static str, Vec<Sample>);

/// One test of promtool: series with their values, and what expressions give at a time.
struct Story {
    name: String,
    series: Vec<(String, String)>,
    expected: Vec<Expected>,
    /// As YAML, of `alert_rule_test`.
    texts: String,
}

impl Story {
    fn new(name: &str) -> Self {
        Self {
            name: name.replace('\'', "''"),
            series: Vec::new(),
            expected: Vec::new(),
            texts: String::new(),
        }
    }

    fn put(&mut self, series: String, values: &str) {
        self.series.push((series, values.to_owned()));
    }

    fn expect(&mut self, at: &str, expression: &'static str, samples: Vec<Sample>) {
        self.expected.push((at.to_owned(), expression, samples));
    }

    fn yaml(&self) -> String {
        let mut out = format!("  - name: '{}'\n    interval: 1m\n    input_series:\n", self.name);
        for (series, values) in &self.series {
            writeln!(out, "      - series: '{series}'\n        values: '{values}'").unwrap();
        }
        if !self.texts.is_empty() {
            write!(out, "    alert_rule_test:\n{}", self.texts).unwrap();
        }
        out.push_str("    promql_expr_test:\n");
        for (at, expression, samples) in &self.expected {
            writeln!(out, "      - eval_time: {at}\n        expr: '{expression}'").unwrap();
            if !samples.is_empty() {
                out.push_str("        exp_samples:\n");
            }
            for (labels, value) in samples {
                writeln!(out, "          - {{labels: '{{{labels}}}', value: {value}}}").unwrap();
            }
        }
        out
    }
}

/// A zone's series, none where nothing is known of it.
const ZONES: [(&str, Option<&str>, Zone); 3] = [
    ("own", Some("own"), Zone::Own),
    ("provider", Some("provider"), Zone::Provider),
    ("missing", None, Zone::Own),
];

/// Each party with each zone is one target; on two daemons of a site, of which one knows nothing of zones.
fn every_party(metric: &str, status: &str, route: &str) -> Story {
    let mut story = Story::new(&format!("every party, {metric} {status}"));
    story.put("up{job=\"egressd\", instance=\"a:9737\"}".into(), "1x90");
    for party in Party::ALL {
        for (zone, label, _) in ZONES {
            let target = format!("{party}-{zone}");
            for instance in ["a", "b"] {
                let own = format!(
                    "job=\"egressd\", instance=\"{instance}:9737\", site=\"x\", target=\"{target}\""
                );
                let verdict = format!(
                    "{metric}{{{own}{route}, status=\"{status}\", layer=\"tcp\", cause=\"any\", party=\"{party}\"}}"
                );
                story.put(verdict, "_x20 1x70");
                if !route.is_empty() {
                    story.put(format!("egressd_network_up{{{own}{route}}}"), "1x19 0x70");
                }
                if let Some(zone) = label.filter(|_| instance == "a") {
                    let info =
                        format!("egressd_target_info{{{own}, provider=\"p\", zone=\"{zone}\"}}");
                    story.put(info, "1x90");
                }
            }
        }
    }
    story
}

fn minutes(time: Duration) -> u64 {
    time.as_secs() / 60
}

#[test]
fn each_party_has_exactly_one_team() {
    let rows = || {
        let of =
            |party: &Party| ZONES.map(|(name, _, zone)| (*party, name, teams::of(*party, zone)));
        Party::ALL.iter().flat_map(of)
    };
    // By the minute before each alert is due and the one in which it is: who is called, and nobody else.
    let firing = "count by (target, alertname, team, severity) (ALERTS{alertstate=\"firing\"})";
    let mut broken = every_party("egressd_target_verdict", "broken", "");
    for at in [2, 3, 4, 5, 9, 10, 11] {
        let due = rows().filter(|(_, _, call)| minutes(call.after) <= at);
        let sample = |(party, zone, call): (Party, &str, teams::Call)| {
            let labels = format!(
                "target=\"{party}-{zone}\", alertname=\"{}\", team=\"{}\", severity=\"{}\"",
                call.alert,
                call.team,
                call.severity.label()
            );
            (labels, 1.0)
        };
        broken.expect(&format!("{}m", 20 + at), firing, due.map(sample).collect());
    }
    let warnings = |story: &mut Story, alert: &'static str, after: u64| {
        let sample = |(party, zone, call): (Party, &str, teams::Call)| {
            let labels = format!(
                "target=\"{party}-{zone}\", alertname=\"{alert}\", team=\"{}\", severity=\"warning\"",
                call.team
            );
            (labels, 1.0)
        };
        story.expect(&format!("{}m", 19 + after), firing, Vec::new());
        story.expect(&format!("{}m", 20 + after), firing, rows().map(sample).collect());
    };
    let mut degraded = every_party("egressd_target_verdict", "degraded", "");
    warnings(&mut degraded, teams::DEGRADED, minutes(teams::DEGRADED_AFTER));
    let mut route = every_party("egressd_verdict", "broken", ", route=\"direct\"");
    warnings(&mut route, teams::ROUTE, 10);
    promtool(&[broken, degraded, route].map(|story| story.yaml()).concat());
}

#[test]
fn fifty_sites() {
    promtool(&fleet::stories().iter().map(Story::yaml).collect::<String>());
}

#[test]
fn every_alert_is_shown_silent_and_firing() {
    let mut texts: Vec<String> = fs::read_dir("tests/alerts")
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|file| file.extension().is_some_and(|end| end == "yml"))
        .map(|file| fs::read_to_string(file).unwrap())
        .collect();
    texts.extend(fleet::stories().into_iter().map(|story| story.texts));
    let mut shown: BTreeMap<String, BTreeSet<bool>> = BTreeMap::new();
    for text in &texts {
        for part in text.split("- eval_time:").skip(1) {
            // An expression's own expectations come after those of alerts.
            let part = part.split("promql_expr_test").next().unwrap_or_default();
            let fires = part.contains("exp_alerts:");
            if let Some(alert) = values(part, "alertname:").first() {
                shown.entry((*alert).to_owned()).or_default().insert(fires);
            }
            let words = ["summary:", "description:", "runbook_url:"];
            assert!(!fires || words.iter().all(|word| part.contains(word)), "{part}");
        }
    }
    let rules = all_rules();
    let alerts: BTreeSet<&str> = values(&rules, "- alert:").into_iter().collect();
    assert!(alerts.len() >= 40, "{alerts:?}");
    for alert in &alerts {
        let both = BTreeSet::from([false, true]);
        assert_eq!(shown.get(*alert), Some(&both), "{alert}: silent, firing");
    }
    let unknown: Vec<_> = shown.keys().filter(|alert| !alerts.contains(alert.as_str())).collect();
    assert!(unknown.is_empty(), "{unknown:?}");
}

#[test]
fn every_alert_says_what_where_and_whom() {
    let page = fs::read_to_string("deploy/VERDICTS.md").unwrap();
    let anchors: BTreeSet<String> = page
        .lines()
        .filter_map(|line| {
            line.trim_start_matches('#').strip_prefix(' ').filter(|_| line.starts_with('#'))
        })
        .map(|title| title.to_lowercase().replace(' ', "-").replace(':', ""))
        .collect();
    for part in all_rules().split("- alert: ").skip(1) {
        let name = part.lines().next().unwrap_or_default();
        for wanted in ["severity:", "team:", "summary:", "description:", "Do: ", "Do not: "] {
            assert!(part.contains(wanted), "{name}: {wanted}");
        }
        let links = values(part, "runbook_url: 'file:///usr/share/doc/egressd/VERDICTS.md#");
        let link = links.first().unwrap_or_else(|| panic!("{name} has no link"));
        let link = link.split('\'').next().unwrap_or_default();
        let ends: Vec<String> = match link.split_once("{{") {
            Some((start, _)) => Party::ALL.iter().map(|party| format!("{start}{party}")).collect(),
            None => vec![link.to_owned()],
        };
        for end in ends {
            assert!(anchors.contains(&end), "{name}: {end}");
        }
    }
}

/// Selectors of our metrics: the name, and the labels between the braces.
fn selectors(text: &str) -> Vec<(&str, Vec<&str>)> {
    let mut found = Vec::new();
    for (at, _) in text.match_indices("egressd_") {
        let rest = &text[at..];
        let end = rest.find(|c: char| !(c.is_ascii_alphanumeric() || c == '_')).unwrap_or(0);
        let (name, rest) = rest.split_at(end);
        let inside = rest.strip_prefix('{').and_then(|rest| rest.split('}').next());
        let parts = inside.into_iter().flat_map(|inside| inside.split(','));
        let label = |part: &'_ str| part.split(['=', '!']).next().map(str::len);
        let labels = parts.filter_map(|part| Some(part.get(..label(part)?)?.trim())).collect();
        found.push((name, labels));
    }
    found
}

#[test]
fn rules_ask_for_labels_that_their_metrics_have() {
    let rules = all_rules();
    let found = selectors(&rules);
    assert!(found.len() > 100);
    for (name, labels) in found {
        let base = ["_bucket", "_sum", "_count"].iter().find_map(|end| name.strip_suffix(end));
        let names = [Some(name), base];
        let metric = METRICS.iter().find(|metric| names.contains(&Some(metric.name)));
        let metric = metric.unwrap_or_else(|| panic!("{name} is no metric"));
        let has = |label: &str| {
            ["site", "instance", "job"].contains(&label)
                || metric.labels.iter().chain(metric.sometimes).any(|own| own.name() == Some(label))
        };
        for label in labels {
            assert!(has(label), "{name} has no {label}");
        }
    }
    // What is recorded is used by a name that is recorded.
    let recorded: BTreeSet<&str> = values(&rules, "- record:").into_iter().collect();
    for (at, _) in rules.match_indices("egressd:") {
        let rest = &rules[at..];
        let end = rest.find(|c: char| !(c.is_ascii_alphanumeric() || "_:".contains(c)));
        let name = &rest[..end.unwrap_or(rest.len())];
        let in_prose = name.ends_with(':');
        assert!(in_prose || recorded.contains(name), "{name} is not recorded");
    }
}

/// At five hundred sites such a range is of a hundred million samples. Few series have: a daemon, a portal; once in four
/// minutes, a target.
#[test]
fn days_are_read_of_recorded_series_only() {
    let few =
        ["up", "egressd_build_info", "egressd_verdict_seconds_total", "egressd_target_verdict"];
    let rules = all_rules();
    let mut seen = BTreeSet::new();
    for (at, _) in rules.match_indices("d]") {
        let before = rules[..at].trim_end_matches(|c: char| c.is_ascii_digit());
        let Some(before) = before.strip_suffix('[') else { continue };
        let before = match before.strip_suffix('}') {
            Some(inside) => &inside[..inside.rfind('{').unwrap()],
            None => before,
        };
        let name = before.rsplit(|c: char| !(c.is_ascii_alphanumeric() || "_:".contains(c))).next();
        let name = name.unwrap_or_default();
        seen.insert(name);
        let all = name == "egressd_verdict_seconds_total";
        assert!(!all || rules[..at].ends_with("{cause=\"captive_portal\"}[1"), "{name} over days");
        assert!(name.starts_with("egressd:") || few.contains(&name), "{name} over days");
    }
    assert!(seen.len() > few.len(), "{seen:?}");
}

/// Five hundred sites with one revoked key are one message.
#[test]
fn what_is_the_same_at_all_sites_is_one_message() {
    let routing = fs::read_to_string(ROUTING).unwrap();
    for team in ["account", "request", "provider"] {
        let matchers = format!("- {{matchers: [team=\"{team}\", severity=\"warning\"]");
        let route = values(&routing, &matchers);
        assert_eq!(route.len(), 1, "{team}");
        assert!(route[0].contains("group_by: [alertname, target]"), "{team}");
    }
}

#[test]
fn each_alert_goes_to_its_team() {
    let table = fs::read_to_string("tests/alerts/routes.txt").unwrap();
    let mut named = BTreeSet::new();
    for line in table.lines().filter(|line| !line.is_empty() && !line.starts_with('#')) {
        let (labels, receiver) = line.split_once(" -> ").expect(line);
        named.extend(
            values(&labels.replace(' ', "\n"), "alertname=").iter().map(|n| (*n).to_owned()),
        );
        let output = Command::new("amtool")
            .args(["config", "routes", "test", &format!("--config.file={ROUTING}")])
            .args(["--verify.receivers", receiver])
            .args(labels.split_whitespace())
            .output()
            .expect("amtool is installed (apt-get install prometheus-alertmanager)");
        let said = String::from_utf8_lossy(&output.stdout);
        assert!(output.status.success(), "{line}: {said}");
    }
    let rules = all_rules();
    let alerts: BTreeSet<String> =
        values(&rules, "- alert:").into_iter().map(str::to_owned).collect();
    assert_eq!(named, alerts, "each alert has a line in routes.txt");
    // A receiver a team, and none besides.
    let routing = fs::read_to_string(ROUTING).unwrap();
    let receivers: BTreeSet<&str> = values(&routing, "- name:").into_iter().collect();
    let called =
        |party: &Party| [Zone::Own, Zone::Provider].map(|zone| teams::of(*party, zone).team);
    let mut wanted: BTreeSet<&str> = Party::ALL.iter().flat_map(called).collect();
    wanted.insert(teams::EGRESSD);
    assert_eq!(receivers, wanted);
    // What an inhibition names is an alert; A(B|C)D is ABD and ACD.
    for (at, _) in routing.match_indices("alertname=") {
        let names = routing[at..].split('"').nth(1).unwrap_or_default();
        let (start, inside, end) = match names.split_once('(') {
            Some((start, rest)) => {
                let (inside, end) = rest.split_once(')').expect(names);
                (start, inside, end)
            }
            None => ("", names, ""),
        };
        for name in inside.split('|').map(|name| format!("{start}{name}{end}")) {
            assert!(alerts.contains(&name), "{name} is no alert");
        }
    }
}
