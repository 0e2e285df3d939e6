//! What survives the process: verdicts with their `since`, and the counters, as a document.
//!
//! It takes a snapshot in and gives a document out, and the reverse; where the document is kept is `daemon`'s.
//! Trips are not kept: what is served after a restart and has no trip yet, was not measured yet. Nor are control
//! hosts, late starts and panics, which are of one process.

use std::collections::BTreeMap;
use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use super::{By, Check, CheckId, Histogram, Phase, Snapshot, Stood, Store};
use crate::cause::{Cause, Layer, Party, Status};
use crate::diagnosis::{NetworkState, Steady, TargetVerdict};
use crate::observation::Control;

/// The document's form.
pub const SCHEMA: &str = "egressd.state/1";
/// Verdicts of longer ago are of another day: they are decided anew, and only counters go on.
const STANDS: SignedDuration = SignedDuration::from_hours(24);
/// A document may be so much younger than this host's clock says it can be.
const SKEW: SignedDuration = SignedDuration::from_mins(5);
/// No counter gets here; a float is exact up to this.
const MOST: u64 = 1 << 53;

/// The whole document.
#[derive(Debug, Serialize, Deserialize)]
pub struct Document {
    schema: String,
    version: String,
    written: Timestamp,
    checks: Vec<KeptCheck>,
    targets: Vec<KeptTarget>,
}

#[derive(Debug, Serialize, Deserialize)]
struct KeptCheck {
    #[serde(flatten)]
    id: CheckId,
    /// Where it leads, and over what.
    place: Arc<str>,
    steady: Steady,
    checked: Option<Timestamp>,
    worked: Option<Timestamp>,
    seconds: f64,
    finished: Vec<(Status, NetworkState, u64)>,
    failures: Vec<(String, String, u64)>,
    experiments: Vec<(Control, u64)>,
    phases: Vec<(Phase, Histogram)>,
    verdict_seconds: Vec<KeptSeconds>,
}

#[derive(Debug, Serialize, Deserialize)]
struct KeptSeconds {
    status: Status,
    by: KeptBy,
    seconds: f64,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum KeptBy {
    Nothing,
    Finding(Layer, Cause, Party),
    Other,
}

#[derive(Debug, Serialize, Deserialize)]
struct KeptTarget {
    target: String,
    verdict: TargetVerdict,
    since: Option<Timestamp>,
}

/// Why a text is no document.
#[derive(Debug, thiserror::Error)]
pub enum Fault {
    /// It has another form.
    #[error("it is of the form `{0}`, and this version reads `{SCHEMA}`")]
    Schema(String),
    /// It cannot be read.
    #[error("line {}, column {}: it is cut off, or was changed", .0.line(), .0.column())]
    Form(serde_json::Error),
    /// A number that no counter can have.
    #[error("a counter of {0} cannot be")]
    Counter(String),
}

/// What was taken over.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Restored {
    /// Checks whose counters go on.
    pub checks: usize,
    /// Checks whose verdict stands.
    pub verdicts: usize,
}

#[derive(Deserialize)]
struct Form {
    schema: String,
}

impl Document {
    /// The document of a snapshot.
    pub fn of(snapshot: &Snapshot, written: Timestamp) -> Self {
        let targets = snapshot.targets.iter().filter_map(|(name, target)| {
            let verdict = target.verdict.clone()?;
            Some(KeptTarget { target: name.to_string(), verdict, since: target.since })
        });
        Self {
            schema: SCHEMA.to_owned(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            written,
            checks: snapshot.checks.values().map(|check| KeptCheck::of(check, snapshot)).collect(),
            targets: targets.collect(),
        }
    }

    /// Its text.
    pub fn text(&self) -> Vec<u8> {
        // Writing to memory cannot fail, and no key here is anything but text.
        serde_json::to_vec(self).unwrap_or_default()
    }

    /// Reads a text.
    pub fn parse(text: &[u8]) -> Result<Self, Fault> {
        let form: Form = serde_json::from_slice(text).map_err(Fault::Form)?;
        if form.schema != SCHEMA {
            return Err(Fault::Schema(form.schema.chars().take(32).collect()));
        }
        let document: Self = serde_json::from_slice(text).map_err(Fault::Form)?;
        match document.checks.iter().find(|check| !check.is_sound()) {
            Some(check) => Err(Fault::Counter(check.id.target.clone())),
            None => Ok(document),
        }
    }

    /// When it was written.
    pub fn written(&self) -> Timestamp {
        self.written
    }
}

impl KeptCheck {
    fn of(check: &Check, snapshot: &Snapshot) -> Self {
        let seconds = check.spent.at(snapshot.watched).map(|(stood, seconds)| {
            let by = match stood.by {
                By::Nothing => KeptBy::Nothing,
                By::Finding(layer, cause, party) => KeptBy::Finding(layer, cause, party),
                By::Other => KeptBy::Other,
            };
            KeptSeconds { status: stood.status, by, seconds }
        });
        let finished = check.finished.iter().filter(|(_, count)| **count > 0);
        let failures = check.failures.iter();
        Self {
            id: check.id.clone(),
            place: Arc::clone(&check.place),
            steady: check.steady.clone(),
            checked: check.checked,
            worked: check.worked,
            seconds: check.seconds,
            finished: finished.map(|((status, network), n)| (*status, *network, *n)).collect(),
            failures: failures
                .map(|((layer, kind), n)| (layer.clone(), kind.clone(), *n))
                .collect(),
            experiments: check.experiments.iter().map(|(control, n)| (*control, *n)).collect(),
            phases: check.phases.iter().map(|(phase, times)| (*phase, times.clone())).collect(),
            verdict_seconds: seconds.collect(),
        }
    }

    fn is_sound(&self) -> bool {
        let counts = self.finished.iter().map(|(.., count)| *count);
        let counts = counts.chain(self.failures.iter().map(|(.., count)| *count));
        let mut counts = counts.chain(self.experiments.iter().map(|(_, count)| *count));
        let is_length = |seconds: f64| seconds.is_finite() && seconds >= 0.0;
        let mut lengths = self.verdict_seconds.iter().map(|kept| kept.seconds);
        counts.all(|count| count <= MOST)
            && self.steady.changes <= MOST
            && self.phases.len() <= Phase::ALL.len()
            && self.phases.iter().all(|(_, times)| times.is_sound(MOST))
            && lengths.all(is_length)
            && is_length(self.seconds)
    }

    /// Gives a check what is kept of it.
    fn restore(&self, check: &mut Check, stands: bool, now: Timestamp) {
        for (status, network, count) in &self.finished {
            sum(check.finished.entry((*status, *network)).or_default(), *count);
        }
        for (layer, kind, count) in &self.failures {
            sum(check.failures.entry((layer.clone(), kind.clone())).or_default(), *count);
        }
        for (control, count) in &self.experiments {
            sum(check.experiments.entry(*control).or_default(), *count);
        }
        for (phase, times) in &self.phases {
            check.phases.entry(*phase).or_default().merge(times);
        }
        for KeptSeconds { status, by, seconds } in &self.verdict_seconds {
            let by = match by {
                KeptBy::Nothing => By::Nothing,
                KeptBy::Finding(layer, cause, party) => By::Finding(*layer, *cause, *party),
                KeptBy::Other => By::Other,
            };
            check.spent.add(Stood { status: *status, by }, *seconds);
        }
        // A clock that was set back in between is no news from the future.
        let past = |at: Option<Timestamp>| at.map(|at| at.min(now));
        check.worked = past(self.worked);
        if stands && self.steady.verdict.is_some() {
            check.steady = self.steady.clone();
            check.steady.since = past(self.steady.since);
            check.unknown = None;
            check.checked = past(self.checked);
            check.seconds = self.seconds;
        } else {
            check.steady.changes = self.steady.changes;
        }
    }
}

/// A document may name a series twice; their sum stays one that the next document may hold.
fn sum(counter: &mut u64, more: u64) {
    *counter = counter.saturating_add(more).min(MOST);
}

impl Store {
    /// Says where each check leads and over what. One that led elsewhere before begins anew: what was found
    /// there says nothing of here.
    pub fn settle(&mut self, places: &BTreeMap<CheckId, Arc<str>>) {
        for (id, check) in &mut self.state.checks {
            let Some(place) = places.get(&**id).filter(|place| check.place != **place) else {
                continue;
            };
            let now = Arc::make_mut(check);
            if !now.place.is_empty() {
                let fresh = Check::new(CheckId::clone(id));
                let (expect, egress, interval) = (now.expect, now.egress.take(), now.interval);
                *now = Check { expect, egress, interval, ..fresh };
                if let Some(target) = self.state.targets.get_mut(id.target.as_str()) {
                    let target = Arc::make_mut(target);
                    (target.verdict, target.since) = (None, None);
                }
            }
            now.place = Arc::clone(place);
        }
    }

    /// Takes over what a process before this one kept, of those checks that still lead to the same place.
    pub fn restore(&mut self, document: &Document, now: Timestamp) -> Restored {
        let age = now.duration_since(document.written);
        let stands = age < STANDS && age > -SKEW;
        let mut restored = Restored::default();
        let watched = self.state.watched;
        let mut standing = std::collections::BTreeSet::new();
        let mut known = std::collections::BTreeSet::new();
        for kept in &document.checks {
            if !known.insert((&kept.id.target, &kept.id.route)) {
                continue;
            }
            let Some(check) = self.state.checks.get_mut(&kept.id) else { continue };
            // One that has begun in this process already keeps what it has.
            if check.place != kept.place || check.is_fresh || check.checked.is_some() {
                continue;
            }
            let check = Arc::make_mut(check);
            kept.restore(check, stands, now);
            restored.checks += 1;
            if check.verdict().is_some() {
                check.stand(watched);
                restored.verdicts += 1;
                standing.insert(kept.id.target.as_str());
            }
        }
        for kept in &document.targets {
            if let Some(target) = self.state.targets.get_mut(kept.target.as_str())
                && standing.contains(kept.target.as_str())
            {
                let target = Arc::make_mut(target);
                target.verdict = Some(kept.verdict.clone());
                target.since = kept.since.map(|since| since.min(now));
            }
        }
        restored
    }
}
