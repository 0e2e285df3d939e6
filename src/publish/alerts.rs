//! A snapshot as alerts for Alertmanager's API (v2), with the names, labels and times of the rules for Prometheus.
//!
//! What a snapshot shows is a pure render; `Standing` remembers since when, because a verdict begins anew with each
//! cause, and its alert does not. A cause is an annotation: as a label it would make one outage many alerts. What a
//! dead daemon cannot say (that it is gone) is not here; its alerts end by themselves.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use jiff::Timestamp;
use serde_json::{Value, json};

use super::teams::{self, Call, Severity};
use crate::cause::{Cause, Party, Status};
use crate::diagnosis::Finding;
use crate::store::{Snapshot, Target};

/// How long an alert counts that is not sent again: four times as long as it takes until it is, as Prometheus has it.
const COUNTS: Duration = Duration::from_secs(4 * 60);
/// How long the end of one is told again.
const TOLD: Duration = Duration::from_secs(5 * 60);
/// An increase of a counter is news for so long.
const LATE: Duration = Duration::from_secs(15 * 60);
const PANICKED: Duration = Duration::from_secs(60 * 60);
/// How long egressd's own trouble must have lasted.
const RELOAD_AFTER: Duration = Duration::from_secs(5 * 60);
const UNKNOWN_AFTER: Duration = Duration::from_secs(15 * 60);
/// Broken for so long, while the party that has to act keeps changing.
const UNSTEADY_AFTER: Duration = Duration::from_secs(15 * 60);

type Labels = BTreeMap<&'static str, String>;

/// Where alerts come from, and what they link to.
#[derive(Clone, Debug, PartialEq)]
pub struct Origin {
    /// This host.
    pub instance: String,
    /// Where the evidence is, if others reach it.
    pub status_url: Option<String>,
    /// Where VERDICTS.md is.
    pub runbooks: String,
    /// How long a target must have been broken; what waits longer does so in proportion.
    pub hold: Duration,
}

/// An alert as it is told.
#[derive(Clone, Debug, PartialEq)]
pub struct Alert {
    /// What makes it the same alert.
    pub labels: Labels,
    /// What is said of it.
    pub annotations: Labels,
    /// Since when.
    pub since: Timestamp,
    /// When it ended; none while it lasts.
    pub until: Option<Timestamp>,
}

/// What a snapshot shows, whether it has lasted or not.
struct Condition {
    labels: Labels,
    annotations: Labels,
    /// Since when, where the snapshot knows it.
    since: Option<Timestamp>,
    after: Duration,
}

/// The alerts that stand, wait, or have ended just now.
#[derive(Clone, Debug, Default)]
pub struct Standing {
    known: BTreeMap<Labels, Known>,
    late: Grown,
    panics: Grown,
}

#[derive(Clone, Debug)]
struct Known {
    alert: Alert,
    after: Duration,
    firing: bool,
}

impl Known {
    /// The target that it calls somebody for, because it is broken.
    fn calls_for(&self) -> Option<&str> {
        let label = |name| self.alert.labels.get(name).map(String::as_str);
        let of_party = label("party").is_some() && label("route").is_none();
        let broken = of_party && label("alertname") != Some(teams::DEGRADED);
        label("target").filter(|_| broken && self.firing && self.alert.until.is_none())
    }
}

/// A counter, and when it last grew.
#[derive(Clone, Copy, Debug, Default)]
struct Grown {
    value: Option<u64>,
    at: Option<Timestamp>,
}

impl Grown {
    /// When it grew, if that is within so long.
    fn take(&mut self, value: u64, now: Timestamp, within: Duration) -> Option<Timestamp> {
        if self.value.is_some_and(|before| value > before) {
            self.at = Some(now);
        }
        self.value = Some(value);
        self.at.filter(|at| age(*at, now) < within)
    }
}

impl Standing {
    /// Takes a snapshot in, as of now.
    pub fn update(&mut self, snapshot: &Snapshot, origin: &Origin, now: Timestamp) {
        let mut shown = conditions(snapshot, origin, now);
        shown.extend(self.unsteady(snapshot, origin));
        shown.extend(self.counted(snapshot, origin, now));
        let mut before = std::mem::take(&mut self.known);
        for Condition { labels, annotations, since, after } in shown {
            let old = before.remove(&labels).filter(|old| old.alert.until.is_none());
            // What began in the future was written under another clock.
            let begun = since.filter(|at| *at <= now).unwrap_or(now);
            let since = old.as_ref().map_or(begun, |old| old.alert.since.min(begun));
            let after = after.mul_f64(origin.hold.div_duration_f64(teams::USUAL));
            let firing = old.is_some_and(|old| old.firing) || age(since, now) >= after;
            let alert = Alert { labels: labels.clone(), annotations, since, until: None };
            self.known.insert(labels, Known { alert, after, firing });
        }
        for (labels, mut old) in before {
            // While egressd cannot say how a target stands, nothing has ended.
            let undecided = labels
                .get("target")
                .and_then(|name| snapshot.targets.get(name.as_str()))
                .is_some_and(|target| target.status() == Status::Unknown);
            let kept = match old.alert.until {
                Some(until) => age(until, now) < TOLD,
                None if undecided => true,
                None => {
                    old.alert.until = Some(now);
                    old.firing
                }
            };
            if kept {
                self.known.insert(labels, old);
            }
        }
    }

    /// All that is to be told.
    pub fn alerts(&self) -> Vec<Alert> {
        self.known.values().filter(|known| known.firing).map(|known| known.alert.clone()).collect()
    }

    /// How long until something changes by time alone.
    pub fn next(&self, now: Timestamp) -> Option<Duration> {
        let wait = |known: &Known| match known.alert.until {
            Some(until) => Some(TOLD.saturating_sub(age(until, now))),
            None if known.firing => None,
            None => Some(known.after.saturating_sub(age(known.alert.since, now))),
        };
        self.known.values().filter_map(wait).min()
    }

    /// Broken without a break, while no party was named for long enough. What an API itself refused in between
    /// proves the network.
    fn unsteady(&self, snapshot: &Snapshot, origin: &Origin) -> Vec<Condition> {
        let told: BTreeSet<&str> = self.known.values().filter_map(Known::calls_for).collect();
        let broken = snapshot.targets.iter().filter(|(name, target)| {
            let proven = matches!(party(target), Party::Account | Party::Request);
            target.status() == Status::Broken && !proven && !told.contains(&***name)
        });
        let condition = |(name, _): (&std::sync::Arc<str>, _)| {
            let labels = [
                ("alertname", "EgressPartyUnsteady"),
                ("severity", Severity::Critical.label()),
                ("team", of_undetermined().team),
                ("target", name),
            ];
            let summary = format!("{name} is broken; the party that has to act keeps changing");
            let description = format!(
                "Broken without a break, while no party was named long enough for an alert of its own. {} \
                 Do: treat it as undetermined: compare with another site or route. Do not: open a ticket \
                 for one team on this alone.",
                evidence(name, origin)
            );
            Condition {
                labels: labelled(snapshot, &labels),
                annotations: annotated(summary, description),
                since: None,
                after: UNSTEADY_AFTER,
            }
        };
        broken.map(condition).collect()
    }

    /// What its counters say of egressd itself.
    fn counted(&mut self, snapshot: &Snapshot, origin: &Origin, now: Timestamp) -> Vec<Condition> {
        let instance = &origin.instance;
        let late = self.late.take(snapshot.own.late, now, LATE).map(|_| Condition {
            labels: own(snapshot, origin, "EgressdChecksLate"),
            annotations: annotated(
                format!("egressd at {instance} starts checks late"),
                "Verdicts are true, but come later. Do: look at CPU and memory of the host, then raise \
                 probe.interval or probe.concurrency. Do not: lower probe.timeout for it."
                    .to_owned(),
            ),
            since: None,
            after: LATE,
        });
        let panics = self.panics.take(snapshot.own.panics, now, PANICKED).map(|at| Condition {
            labels: own(snapshot, origin, "EgressdPanics"),
            annotations: annotated(
                format!("egressd at {instance} contained a panic in a check"),
                "The check shows status unknown; all others go on. It is a defect of egressd. Do: report the \
                 panic's message and place from the journal. Do not: read status unknown as a broken network."
                    .to_owned(),
            ),
            since: Some(at),
            after: Duration::ZERO,
        });
        late.into_iter().chain(panics).collect()
    }
}

/// Alerts as the API takes them: what ends before it starts is refused, and a clock may be set back.
pub fn json(alerts: &[Alert], origin: &Origin, now: Timestamp) -> String {
    let one = |alert: &Alert| {
        let starts = alert.since.min(now);
        let ends = alert.until.or_else(|| now.checked_add(COUNTS).ok()).unwrap_or(now).max(starts);
        let mut value = json!({
            "labels": alert.labels,
            "annotations": alert.annotations,
            "startsAt": starts.to_string(),
            "endsAt": ends.to_string(),
        });
        if let (Some(url), Value::Object(fields)) = (&origin.status_url, &mut value) {
            fields.insert("generatorURL".to_owned(), url.clone().into());
        }
        value
    };
    Value::Array(alerts.iter().map(one).collect()).to_string()
}

/// What a snapshot shows.
fn conditions(snapshot: &Snapshot, origin: &Origin, now: Timestamp) -> Vec<Condition> {
    let mut shown = Vec::new();
    for (name, target) in &snapshot.targets {
        let call = teams::of(party(target), target.declared.zone);
        let (alert, severity, after) = match target.status() {
            Status::Broken => (call.alert, call.severity, call.after),
            Status::Degraded => (teams::DEGRADED, Severity::Warning, teams::DEGRADED_AFTER),
            Status::Unknown => {
                shown.push(unknown(snapshot, origin, name));
                continue;
            }
            Status::Ok => continue,
        };
        let Some(verdict) = &target.verdict else { continue };
        let labels = [
            ("alertname", alert),
            ("severity", severity.label()),
            ("team", call.team),
            ("party", party(target).label()),
            ("target", name),
        ];
        shown.push(Condition {
            labels: labelled(snapshot, &labels),
            annotations: found(&verdict.summary, verdict.finding.as_ref(), (name, origin)),
            since: target.since,
            after,
        });
    }
    shown.extend(routes(snapshot, origin, now));
    if !snapshot.own.reload_ok {
        shown.push(Condition {
            labels: own(snapshot, origin, "EgressdReloadFailed"),
            annotations: annotated(
                format!("egressd at {} runs with an older configuration", origin.instance),
                "The last reload found a mistake; the configuration before it stays in force. Do: `egressd \
                 config check` there names file, line and a way out; then reload. Do not: restart instead."
                    .to_owned(),
            ),
            since: None,
            after: RELOAD_AFTER,
        });
    }
    shown
}

/// Routes that worked, and stopped. Silent where the target's own alert names the same party, and where a route that
/// is closed on purpose was open for a while.
fn routes(snapshot: &Snapshot, origin: &Origin, now: Timestamp) -> Vec<Condition> {
    let mut shown = Vec::new();
    for (id, check) in &snapshot.checks {
        let missed = check.worked.is_some_and(|at| age(at, now) < teams::ROUTE_MISSED);
        let Some(verdict) = check.verdict().filter(|_| missed) else { continue };
        let Some(target) = snapshot.targets.get(id.target.as_str()) else { continue };
        if check.status() != Status::Broken {
            continue;
        }
        let finding = verdict.finding.as_ref();
        let party = finding.map_or(Party::Undetermined, |finding| finding.party);
        let told = target.status() == Status::Broken && self::party(target) == party;
        let opened = verdict.notes.iter().any(|note| note.cause == Cause::EgressOpenUnexpectedly);
        if told || opened {
            continue;
        }
        let call: Call = teams::of(party, target.declared.zone);
        let labels = [
            ("alertname", teams::ROUTE),
            ("severity", Severity::Warning.label()),
            ("team", call.team),
            ("party", party.label()),
            ("target", id.target.as_str()),
            ("route", id.route.as_str()),
        ];
        let summary = finding.map_or_else(String::new, |finding| finding.summary.clone());
        shown.push(Condition {
            labels: labelled(snapshot, &labels),
            annotations: found(&summary, finding, (&id.target, origin)),
            since: check.steady.since,
            after: teams::ROUTE_AFTER,
        });
    }
    shown
}

fn unknown(snapshot: &Snapshot, origin: &Origin, target: &str) -> Condition {
    let mut labels = own(snapshot, origin, "EgressdStatusUnknown");
    labels.insert("target", target.to_owned());
    let summary = format!("egressd at {} cannot decide about {target}", origin.instance);
    let description = format!(
        "egressd itself could not finish: a contained panic, its own limits, or not checked yet. {} Do: look \
         at descriptors, memory and panics of the process. Do not: read it as a broken network, or as a \
         working one.",
        evidence(target, origin)
    );
    let annotations = annotated(summary, description);
    Condition { labels, annotations, since: None, after: UNKNOWN_AFTER }
}

/// Who has to act on a target.
fn party(target: &Target) -> Party {
    let finding = target.verdict.as_ref().and_then(|verdict| verdict.finding.as_ref());
    finding.map_or(Party::Undetermined, |finding| finding.party)
}

fn of_undetermined() -> Call {
    teams::of(Party::Undetermined, crate::store::Zone::Own)
}

/// What is said of a finding: our own words, configured names and own measurements.
fn found(summary: &str, finding: Option<&Finding>, (target, origin): (&str, &Origin)) -> Labels {
    let Some(finding) = finding else {
        return annotated(summary.to_owned(), evidence(target, origin));
    };
    let cause = finding.cause.label();
    let description = format!(
        "{} Do: {} Do not: {} {}",
        finding.means,
        finding.advice,
        finding.do_not,
        evidence(target, origin)
    );
    let mut annotations = annotated(summary.to_owned(), description);
    annotations.insert("cause", cause.to_owned());
    annotations.insert("confidence", finding.confidence.label().to_owned());
    annotations.insert("runbook_url", format!("{}#{cause}", origin.runbooks));
    annotations
}

/// Where the rest is.
fn evidence(target: &str, Origin { instance, .. }: &Origin) -> String {
    format!("Evidence: `egressd check {target}` on {instance}, or /api/v1/status there.")
}

fn annotated(summary: String, description: String) -> Labels {
    Labels::from([("summary", summary), ("description", description)])
}

fn labelled(snapshot: &Snapshot, labels: &[(&'static str, &str)]) -> Labels {
    let site = snapshot.site.iter().map(|site| ("site", site.clone()));
    labels.iter().map(|(name, value)| (*name, (*value).to_owned())).chain(site).collect()
}

/// The labels of egressd's own trouble.
fn own(snapshot: &Snapshot, origin: &Origin, alert: &'static str) -> Labels {
    let (severity, instance) = (Severity::Warning.label(), origin.instance.as_str());
    let labels = [
        ("alertname", alert),
        ("severity", severity),
        ("team", teams::EGRESSD),
        ("instance", instance),
    ];
    labelled(snapshot, &labels)
}

/// Nothing where a clock was set back.
fn age(at: Timestamp, now: Timestamp) -> Duration {
    Duration::try_from(now.duration_since(at)).unwrap_or_default()
}
