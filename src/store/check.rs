//! A check's state: one target on one route, what is published of it, and what was counted.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;

use serde::{Deserialize, Serialize};

use super::{Histogram, Phase, Seen, Spent, Stood};
use crate::cause::{Cause, Status};
use crate::diagnosis::{Author, NetworkState, Raw, RouteVerdict, Steady};
use crate::observation::{Control, Ending, Expect, Trip};
use crate::provider::Reading;

/// One target on one route.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct CheckId {
    /// The target's name.
    pub target: String,
    /// The route's name.
    pub route: String,
}

/// A check, as of now.
#[derive(Clone, Debug)]
pub struct Check {
    /// Which.
    pub id: CheckId,
    /// Where it leads, and over what; empty where nobody has said.
    pub place: Arc<str>,
    /// What is expected of the route.
    pub expect: Expect,
    /// The label of its way out.
    pub egress: Option<String>,
    /// Seconds between two checks.
    pub interval: f64,
    /// The published verdict.
    pub steady: Steady,
    /// Why it is unknown, where egressd itself could not finish.
    pub unknown: Option<String>,
    /// The newest raw result.
    pub latest: Option<Raw>,
    /// The newest trip.
    pub trip: Option<Arc<Trip>>,
    /// What its answer says, and who wrote it.
    pub answer: Option<(Reading, Author)>,
    /// When the newest check ended.
    pub checked: Option<Timestamp>,
    /// Whether that was in this process: else what is published was restored.
    pub is_fresh: bool,
    /// When the target was reached and used last.
    pub worked: Option<Timestamp>,
    /// How long it took, in seconds.
    pub seconds: f64,
    /// Finished checks by status and network.
    pub finished: BTreeMap<(Status, NetworkState), u64>,
    /// Raw symptoms by layer and kind.
    pub failures: BTreeMap<(String, String), u64>,
    /// Experiments by control.
    pub experiments: BTreeMap<Control, u64>,
    /// Times of the phases that were passed.
    pub phases: BTreeMap<Phase, Histogram>,
    /// What its servers chose and is a label.
    pub seen: Seen,
    /// How long each verdict has stood.
    pub spent: Spent,
}

impl Check {
    pub(super) fn new(id: CheckId) -> Self {
        let finished = Status::ALL
            .iter()
            .flat_map(|status| NetworkState::ALL.iter().map(|network| ((*status, *network), 0)))
            .collect();
        Self {
            id,
            place: "".into(),
            expect: Expect::Open,
            egress: None,
            interval: 0.0,
            steady: Steady::default(),
            unknown: Some("not checked yet".to_owned()),
            latest: None,
            trip: None,
            answer: None,
            checked: None,
            is_fresh: false,
            worked: None,
            seconds: 0.0,
            finished,
            failures: BTreeMap::new(),
            experiments: BTreeMap::new(),
            phases: BTreeMap::new(),
            seen: Seen::default(),
            spent: Spent::default(),
        }
    }

    /// How it stands, as published.
    pub fn status(&self) -> Status {
        match (&self.unknown, &self.steady.verdict) {
            (None, Some(verdict)) => verdict.status,
            (Some(_), _) | (None, None) => Status::Unknown,
        }
    }

    /// The published verdict; none while it is unknown.
    pub fn verdict(&self) -> Option<&RouteVerdict> {
        self.steady.verdict.as_ref().filter(|_| self.unknown.is_none())
    }
}

impl Check {
    /// From now on its time is that of what is published of it.
    pub(super) fn stand(&mut self, watched: Duration) {
        let finding = self.verdict().and_then(|verdict| verdict.finding.as_ref());
        let stood = Stood::of(self.status(), finding);
        self.spent.stand(stood, watched);
    }

    pub(super) fn count(&mut self, trip: &Trip, verdict: &RouteVerdict) {
        *self.finished.entry((raw(verdict), verdict.network)).or_default() += 1;
        if let Some(symptom) = &verdict.symptom {
            let key = (symptom.layer.clone(), symptom.kind.clone());
            *self.failures.entry(key).or_default() += 1;
        }
        for (phase, seconds) in passed(trip) {
            self.phases.entry(phase).or_default().observe(seconds);
        }
    }
}

/// How the trip itself came out, before its repeat contradicted it.
pub(super) fn raw(verdict: &RouteVerdict) -> Status {
    let cause = verdict.finding.as_ref().map(|finding| finding.cause);
    match (cause, &verdict.symptom) {
        (Some(Cause::Intermittent), Some(_)) => Status::Broken,
        (Some(Cause::Intermittent), None) => Status::Ok,
        _ => verdict.status,
    }
}

/// The phases that a trip passed, with their times in seconds.
pub fn passed(trip: &Trip) -> Vec<(Phase, f64)> {
    let mut phases = Vec::new();
    if trip.lookup.failure().is_none() {
        phases.push((Phase::Dns, trip.lookup.seconds));
    }
    let Some(leg) = trip.leading() else { return phases };
    let complete = matches!(trip.ending(), Ending::Answered(..));
    let response = leg.response.as_ref();
    let times = [
        (Phase::Connect, leg.connected.as_ref().map(|connected| connected.seconds)),
        (Phase::Proxy, leg.tunnelled.as_ref().map(|tunnelled| tunnelled.seconds)),
        (Phase::Tls, leg.secured.as_ref().map(|secured| secured.seconds)),
        (Phase::FirstByte, response.map(|response| response.first_byte)),
        (Phase::Body, response.filter(|_| complete).map(|response| response.body_seconds)),
    ];
    phases.extend(times.into_iter().filter_map(|(phase, seconds)| Some((phase, seconds?))));
    phases
}
