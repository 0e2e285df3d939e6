//! The memory between checks: since when a verdict stands, and when a check is flapping.
//!
//! A verdict that reaches this place is confirmed already; what is added is that four changes within
//! ten checks are one fault of their own, and that an open incident keeps its party until a verdict
//! of at least the same confidence names another.

use std::collections::VecDeque;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::{Confidence, Finding, NetworkState, RouteVerdict};
use crate::cause::{Cause, Party, Status};

/// Checks that are remembered.
const WINDOW: usize = 10;
/// Changes among them that are flapping.
const CHANGES: usize = 4;
/// The rule of it, which no single trip shows: its name, and what it means.
pub(super) const FLAPPING: [&str; 2] = [
    "steady::flapping",
    "Among the last ten checks the result changed four times between working and broken, so that no cause is \
     named until ten in a row agree.",
];

/// The newest result, before any memory.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Raw {
    /// How the newest check came out.
    pub status: Status,
    /// Its symptom.
    pub symptom: Option<super::Symptom>,
}

/// A check's steady verdict.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Steady {
    /// The verdict that is published; none before the first.
    pub verdict: Option<RouteVerdict>,
    /// Since when.
    pub since: Option<Timestamp>,
    /// Whether the check flaps.
    pub flapping: bool,
    /// How often the published verdict has changed.
    pub changes: u64,
    recent: VecDeque<bool>,
}

impl Steady {
    /// Takes a new verdict in, and says whether the published one changed.
    pub fn apply(&mut self, mut verdict: RouteVerdict, at: Timestamp) -> bool {
        self.recent.push_back(verdict.works);
        while self.recent.len() > WINDOW {
            self.recent.pop_front();
        }
        let changes =
            self.recent.iter().zip(self.recent.iter().skip(1)).filter(|(a, b)| a != b).count();
        self.flapping = changes >= CHANGES || (self.flapping && changes > 0);
        if self.flapping {
            verdict = flapping(verdict, self.verdict.as_ref());
        } else {
            self.keep_party(&mut verdict);
        }
        let changed = self.verdict.as_ref().map(identity) != Some(identity(&verdict));
        if changed {
            self.since = Some(at);
            self.changes += u64::from(self.verdict.is_some());
        }
        self.verdict = Some(verdict);
        changed
    }

    /// While it is broken, a weaker verdict does not take the place of a better proven one.
    fn keep_party(&self, verdict: &mut RouteVerdict) {
        let Some(open) = self.verdict.as_ref().and_then(|verdict| verdict.finding.as_ref()) else {
            return;
        };
        let Some(new) = &verdict.finding else { return };
        let both_broken = open.status == Status::Broken && new.status == Status::Broken;
        let weaker = new.party != open.party && new.confidence < open.confidence;
        let kept = new.cause == Cause::Unknown || weaker;
        if both_broken && open.cause != Cause::Unknown && kept {
            // Who has to act and whether the way is proven belong together.
            if verdict.network != NetworkState::Ok
                && let Some(before) = &self.verdict
            {
                verdict.network = before.network;
            }
            verdict.finding = Some(open.clone());
        }
    }
}

/// What makes two verdicts the same for those who are told of changes.
fn identity(verdict: &RouteVerdict) -> (Status, Option<(Cause, Party)>) {
    let finding = verdict.finding.as_ref();
    (verdict.status, finding.map(|finding| (finding.cause, finding.party)))
}

fn flapping(verdict: RouteVerdict, before: Option<&RouteVerdict>) -> RouteVerdict {
    let known =
        verdict.finding.clone().or_else(|| before.and_then(|before| before.finding.clone()));
    let [name, _] = FLAPPING;
    let finding = known.map(|finding| {
        let row = Cause::Intermittent.row();
        // What was said of the last failure would accuse: only whose summary it is stays.
        let head = finding.summary.split(": ").next().unwrap_or_default();
        Finding {
            confidence: Confidence::Low,
            summary: format!(
                "{head}: fails and passes by turns; cannot tell from here: {}",
                row.or
            ),
            means: "The check changes too often to have a verdict.".to_owned(),
            ask: "What changes on the way every few minutes?".to_owned(),
            rule: name.to_owned(),
            cause: Cause::Intermittent,
            party: row.party,
            status: row.status,
            advice: "Watch egressd_failures_total; the next steady failure will be named."
                .to_owned(),
            do_not: row.do_not.to_owned(),
            ..finding
        }
    });
    RouteVerdict { status: Cause::Intermittent.row().status, works: true, finding, ..verdict }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn verdict(works: bool) -> RouteVerdict {
        RouteVerdict {
            route: "direct".into(),
            status: if works { Status::Ok } else { Status::Broken },
            network: NetworkState::Unknown,
            works,
            finding: None,
            notes: Vec::new(),
            evidence: Vec::new(),
            symptom: None,
            looks_like: Vec::new(),
        }
    }

    #[test]
    fn four_changes_within_ten_are_flapping_until_ten_agree() {
        let mut steady = Steady::default();
        for works in [true, false, true, false] {
            steady.apply(verdict(works), Timestamp::UNIX_EPOCH);
            assert!(!steady.flapping);
        }
        steady.apply(verdict(true), Timestamp::UNIX_EPOCH);
        assert!(steady.flapping, "the fourth change");
        for _ in 0..8 {
            steady.apply(verdict(true), Timestamp::UNIX_EPOCH);
            assert!(steady.flapping, "fewer than ten agree");
        }
        steady.apply(verdict(true), Timestamp::UNIX_EPOCH);
        assert!(!steady.flapping, "ten agree");
    }

    #[test]
    fn since_moves_with_the_verdict_and_not_with_the_check() {
        let at = |second| Timestamp::from_second(second).unwrap();
        let mut steady = Steady::default();
        assert!(steady.apply(verdict(true), at(1)));
        assert!(!steady.apply(verdict(true), at(2)));
        assert_eq!(steady.since, Some(at(1)));
        assert!(steady.apply(verdict(false), at(3)));
        assert_eq!((steady.since, steady.changes), (Some(at(3)), 1));
    }
}
