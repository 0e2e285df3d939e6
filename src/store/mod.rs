//! State over time, with one owner: what each check found, since when, how often, how fast.
//!
//! It takes reports in and gives immutable snapshots out; every view is a render of one of them, so
//! that no two can disagree. It does no I/O and reads no clock.

mod check;
mod histogram;
mod seen;
mod spent;
mod state;
mod texts;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;

use crate::cause::Status;
use crate::diagnosis::{Author, Findings, NetworkState, Raw, TargetVerdict, Weighed, weigh};
use crate::observation::{Control, Expect, Needs, Range, Trip};
use crate::provider::Reading;

use check::raw;
pub use check::{Check, CheckId, passed};
pub use histogram::{BUCKETS, Histogram, Phase};
pub use seen::{Configured, Kind, Seen};
pub use spent::{By, Spent, Stood, VERDICTS};
pub use state::{Document, Fault, Restored, SCHEMA};

/// What the plan says of a target, as far as it is published.
#[derive(Clone, Debug, PartialEq)]
pub struct Declared {
    /// Its name.
    pub target: String,
    /// The provider's name.
    pub provider: String,
    /// Whose its host's name is.
    pub zone: Zone,
    /// Labels to join on.
    pub labels: BTreeMap<String, String>,
    /// How its routes are weighed.
    pub needs: Needs,
    /// Seconds between two checks.
    pub interval: f64,
    /// The addresses that the provider publishes for this host; none where it publishes none.
    pub ranges: &'static [Range],
    /// Its routes, what is expected of each, the label of its way out.
    pub routes: Vec<(String, Expect, Option<String>)>,
}

/// Whose a name is: who has to act where it does not resolve.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Zone {
    /// One of the provider's own.
    Provider,
    /// The organisation's, or anybody else's.
    #[default]
    Own,
}

impl Zone {
    /// All of them.
    pub const ALL: &[Self] = &[Self::Provider, Self::Own];

    /// The fixed name.
    pub fn label(self) -> &'static str {
        match self {
            Self::Provider => "provider",
            Self::Own => "own",
        }
    }
}

/// One route's ordinary trip.
#[derive(Clone, Debug)]
pub struct Walked {
    /// The route's name.
    pub route: String,
    /// What happened.
    pub trip: Trip,
    /// What its answer says, and who wrote it.
    pub answer: Option<(Reading, Author)>,
}

/// What one inquiry brought.
#[derive(Clone, Debug)]
pub struct Report {
    /// The target.
    pub target: String,
    /// The ordinary trip of each route.
    pub trips: Vec<Walked>,
    /// What was decided.
    pub findings: Findings,
    /// The experiments that were run.
    pub experiments: Vec<(String, Control)>,
    /// When it ended.
    pub at: Timestamp,
    /// How long it took, in seconds.
    pub seconds: f64,
}

/// A target, as of now.
#[derive(Clone, Debug)]
pub struct Target {
    /// What the plan says of it.
    pub declared: Declared,
    /// What its routes say together; none before the first check.
    pub verdict: Option<TargetVerdict>,
    /// Since when.
    pub since: Option<Timestamp>,
    /// Whether egressd itself could not finish.
    pub unknown: bool,
}

impl Target {
    /// How it stands, as published.
    pub fn status(&self) -> Status {
        match &self.verdict {
            Some(verdict) if !self.unknown => verdict.status,
            _ => Status::Unknown,
        }
    }
}

/// What changed with a report, for the log.
#[derive(Clone, Debug)]
pub struct Change {
    /// Which check.
    pub id: CheckId,
    /// What it was.
    pub before: Status,
    /// What it is.
    pub now: Arc<Check>,
}

/// The daemon itself.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Own {
    /// When the process began.
    pub started: Timestamp,
    /// Whether the newest reload took.
    pub reload_ok: bool,
    /// When the plan in force was loaded.
    pub reloaded: Timestamp,
    /// Starts that came too late or not at all.
    pub late: u64,
    /// Panics that were contained.
    pub panics: u64,
    /// Deliveries of alerts that failed.
    pub alerts_failed: u64,
}

/// All of it at one moment.
#[derive(Clone, Debug, Default)]
pub struct Snapshot {
    /// The name of this place.
    pub site: Option<String>,
    /// The checks.
    pub checks: BTreeMap<Arc<CheckId>, Arc<Check>>,
    /// The targets.
    pub targets: BTreeMap<Arc<str>, Arc<Target>>,
    /// The control hosts by host and route: whether the newest measurement worked.
    pub controls: BTreeMap<(String, String), bool>,
    /// The certificates that are configured.
    pub certificates: Vec<Configured>,
    /// The daemon itself.
    pub own: Own,
    /// How long this process has watched: by it the seconds of verdicts are counted.
    pub watched: Duration,
}

impl Snapshot {
    /// Whether every check has been made once by this process.
    pub fn is_ready(&self) -> bool {
        self.checks.values().all(|check| check.is_fresh)
    }

    /// Whether more than counters, times and evidence differs from an older one.
    pub fn is_news_after(&self, old: &Self) -> bool {
        let own = |of: &Self| (of.own.reload_ok, of.own.reloaded, of.own.panics);
        let target = |(new, old): (&Arc<Target>, &Arc<Target>)| {
            let same = new.status() == old.status() && new.since == old.since;
            Arc::ptr_eq(new, old) || (same && new.declared == old.declared)
        };
        let check = |(new, old): (&Arc<Check>, &Arc<Check>)| {
            let same = new.status() == old.status() && new.steady.since == old.steady.since;
            let same = same && new.is_fresh == old.is_fresh && new.latest == old.latest;
            Arc::ptr_eq(new, old) || (same && new.id == old.id && new.place == old.place)
        };
        own(self) != own(old)
            || self.site != old.site
            || self.controls != old.controls
            || self.targets.len() != old.targets.len()
            || self.checks.len() != old.checks.len()
            || !self.targets.values().zip(old.targets.values()).all(target)
            || !self.checks.values().zip(old.checks.values()).all(check)
    }
}

/// Between two looks at most.
const LONGEST: Duration = Duration::from_secs(15);

/// The owner of the state.
#[derive(Debug, Default)]
pub struct Store {
    state: Snapshot,
}

impl Store {
    /// An empty one for this place.
    pub fn new(own: Own) -> Self {
        Self { state: Snapshot { own, ..Snapshot::default() } }
    }

    /// The state now; what it shares with the store is copied when the store changes it.
    pub fn snapshot(&self) -> Arc<Snapshot> {
        Arc::new(self.state.clone())
    }

    /// So much time has passed since the last word of it. What is longer than anybody who looks would leave
    /// between two looks was not watched: the process was stopped, or its machine.
    pub fn pass(&mut self, length: Duration) {
        self.state.watched += length.min(LONGEST);
    }

    /// What is checked from now on. What is gone is gone from every view at once; what stays keeps
    /// its verdict and its counters.
    pub fn declare(&mut self, site: Option<String>, declared: Vec<Declared>) {
        self.state.site = site;
        let (mut checks, mut targets) = (BTreeMap::new(), BTreeMap::new());
        for declared in declared {
            for (route, expect, egress) in &declared.routes {
                let id = CheckId { target: declared.target.clone(), route: route.clone() };
                let old = self.state.checks.remove(&id);
                let mut check = old.unwrap_or_else(|| Arc::new(Check::new(id.clone())));
                let now = Arc::make_mut(&mut check);
                now.expect = *expect;
                now.egress.clone_from(egress);
                now.interval = declared.interval;
                checks.insert(Arc::new(id), check);
            }
            let old = self.state.targets.remove(declared.target.as_str());
            let old = old.map(Arc::unwrap_or_clone);
            let (verdict, since) = old.map_or((None, None), |old| (old.verdict, old.since));
            let target = Target { verdict, since, unknown: false, declared };
            targets.insert(target.declared.target.as_str().into(), Arc::new(target));
        }
        self.state.checks = checks;
        self.state.targets = targets;
    }

    /// The certificates that are configured from now on.
    pub fn certificates(&mut self, configured: Vec<Configured>) {
        self.state.certificates = configured;
    }

    /// Takes a report in, and says which published verdicts changed. A target that is no longer
    /// declared is ignored: its check was under way when the plan changed.
    pub fn apply(&mut self, report: Report) -> Vec<Change> {
        let Report { target, trips, findings, experiments, at, seconds } = report;
        let mut changes = Vec::new();
        let watched = self.state.watched;
        for (route, control) in experiments {
            let id = CheckId { target: target.clone(), route };
            if let Some(check) = self.state.checks.get_mut(&id) {
                *Arc::make_mut(check).experiments.entry(control).or_default() += 1;
            }
        }
        for (Walked { route, trip, answer }, verdict) in trips.into_iter().zip(findings.routes) {
            let id = CheckId { target: target.clone(), route };
            let Some(check) = self.state.checks.get_mut(&id) else { continue };
            let before = check.status();
            let now = Arc::make_mut(check);
            now.count(&trip, &verdict);
            now.seen.take(&trip, answer.as_ref().map(|(_, author)| *author), verdict.works);
            now.latest = Some(Raw { status: raw(&verdict), symptom: verdict.symptom.clone() });
            now.trip = Some(Arc::new(trip));
            now.answer = answer;
            now.checked = Some(at);
            now.is_fresh = true;
            if verdict.works {
                now.worked = Some(at);
            }
            now.seconds = seconds;
            let was_unknown = now.unknown.take().is_some();
            let changed = now.steady.apply(verdict, at);
            now.stand(watched);
            if changed || (was_unknown && before == Status::Unknown) {
                changes.push(Change { id, before, now: Arc::clone(check) });
            }
        }
        self.weigh(&target, at);
        changes
    }

    /// What the steady verdicts of a target's routes say together.
    fn weigh(&mut self, target: &str, at: Timestamp) {
        let Some(state) = self.state.targets.get_mut(target) else { return };
        let first = CheckId { target: target.to_owned(), route: String::new() };
        // Not all of them: there may be ten thousand.
        let from = self.state.checks.range::<CheckId, _>(first..);
        let checks = from.map(|(_, check)| check).take_while(|check| check.id.target == target);
        let weighed: Vec<Weighed<'_>> = checks
            .filter_map(|check| {
                Some(Weighed {
                    expect: check.expect,
                    worked: check.worked,
                    reached: check.trip.as_ref().map_or(0, |trip| trip.reached()),
                    verdict: check.steady.verdict.as_ref()?,
                })
            })
            .collect();
        let state = Arc::make_mut(state);
        let verdict = weigh(target, &state.declared.needs, &weighed);
        let key = |verdict: &TargetVerdict| {
            let finding = verdict.finding.as_ref();
            (verdict.status, finding.map(|finding| (finding.cause, finding.party)))
        };
        if state.verdict.as_ref().map(key) != Some(key(&verdict)) {
            state.since = Some(at);
        }
        state.verdict = Some(verdict);
        state.unknown = false;
    }

    /// egressd itself could not finish a target's check: a panic, or its own bound.
    pub fn unknown(&mut self, target: &str, why: &str, at: Timestamp) -> Vec<Change> {
        let mut changes = Vec::new();
        let watched = self.state.watched;
        for (id, check) in self.state.checks.iter_mut().filter(|(id, _)| id.target == target) {
            let before = check.status();
            let now = Arc::make_mut(check);
            now.unknown = Some(why.to_owned());
            now.latest = Some(Raw { status: Status::Unknown, symptom: None });
            now.checked = Some(at);
            now.is_fresh = true;
            now.stand(watched);
            *now.finished.entry((Status::Unknown, NetworkState::Unknown)).or_default() += 1;
            if before != Status::Unknown {
                changes.push(Change { id: CheckId::clone(id), before, now: Arc::clone(check) });
            }
        }
        if let Some(state) = self.state.targets.get_mut(target) {
            Arc::make_mut(state).unknown = true;
        }
        changes
    }

    /// Under another plan other control hosts are measured, over other routes.
    pub fn forget_controls(&mut self) {
        self.state.controls.clear();
    }

    /// A control host was measured.
    pub fn control(&mut self, control: String, route: String, works: bool) {
        self.state.controls.insert((control, route), works);
    }

    /// Whether any target works over a route, as published.
    pub fn works_over(&self, route: &str) -> bool {
        let checks = self.state.checks.values().filter(|check| check.id.route == route);
        checks.filter_map(|check| check.verdict()).any(|verdict| verdict.works)
    }

    /// The daemon's own state.
    pub fn own(&mut self) -> &mut Own {
        &mut self.state.own
    }

    /// What was published of a check before: how it stood.
    pub fn before(&self, id: &CheckId) -> Option<Status> {
        let check = self.state.checks.get(id)?;
        let verdict = check.steady.verdict.as_ref()?;
        Some(if verdict.works { verdict.status } else { Status::Broken })
    }
}
