//! How long each verdict of a check has stood: seconds of this process's own watching, one sum a verdict.
//!
//! It reads no clock. Time comes in as a length of watching, which stands still while the host sleeps or the
//! process is stopped, so that a sum never holds time in which nobody looked.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::cause::{Cause, Layer, Party, Status};
use crate::diagnosis::Finding;

/// Findings of a check that have a sum of their own; the seconds of further ones are one sum a status.
const FINDINGS: usize = 16;
/// Sums of a check at most: those of findings, and for each status one without a finding or of further ones.
pub const VERDICTS: usize = FINDINGS + Status::ALL.len();

/// A verdict as time is counted by it: what `egressd_verdict` has as labels.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Stood {
    /// How the check stood.
    pub status: Status,
    /// For what.
    pub by: By,
}

/// What a verdict was for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum By {
    /// No finding.
    Nothing,
    /// A finding.
    Finding(Layer, Cause, Party),
    /// One of those beyond the bound.
    Other,
}

impl Stood {
    pub(super) fn of(status: Status, finding: Option<&Finding>) -> Self {
        let by = finding.map_or(By::Nothing, |finding| {
            By::Finding(finding.layer, finding.cause, finding.party)
        });
        Self { status, by }
    }
}

/// The sums of a check, and the verdict whose seconds go on.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Spent {
    seconds: BTreeMap<Stood, f64>,
    /// What stands, and the length of watching at which it began.
    now: Option<(Stood, Duration)>,
}

impl Spent {
    /// From now on this one stands; what stood has its seconds.
    pub(super) fn stand(&mut self, stood: Stood, watched: Duration) {
        if let Some((before, since)) = self.now {
            *self.seconds.entry(before).or_default() += passed(since, watched);
        }
        let stood = self.bounded(stood);
        self.seconds.entry(stood).or_default();
        self.now = Some((stood, watched));
    }

    fn bounded(&self, stood: Stood) -> Stood {
        let findings =
            self.seconds.keys().filter(|known| matches!(known.by, By::Finding(..))).count();
        let full = findings >= FINDINGS && !self.seconds.contains_key(&stood);
        match stood.by {
            By::Finding(..) if full => Stood { by: By::Other, ..stood },
            By::Nothing | By::Finding(..) | By::Other => stood,
        }
    }

    /// Adds seconds of a process before this one.
    pub(super) fn add(&mut self, stood: Stood, seconds: f64) {
        *self.seconds.entry(self.bounded(stood)).or_default() += seconds;
    }

    /// Each verdict with its seconds, when so long has been watched.
    pub fn at(&self, watched: Duration) -> impl Iterator<Item = (Stood, f64)> {
        let of = move |stood: Stood| match self.now {
            Some((now, since)) if now == stood => passed(since, watched),
            Some(_) | None => 0.0,
        };
        self.seconds.iter().map(move |(stood, seconds)| (*stood, seconds + of(*stood)))
    }
}

fn passed(since: Duration, watched: Duration) -> f64 {
    watched.saturating_sub(since).as_secs_f64()
}

#[cfg(test)]
mod tests {
    use super::*;

    const S: fn(u64) -> Duration = Duration::from_secs;

    fn stood(status: Status, cause: Option<Cause>) -> Stood {
        let by =
            cause.map_or(By::Nothing, |cause| By::Finding(Layer::Tcp, cause, Party::Undetermined));
        Stood { status, by }
    }

    fn sums(spent: &Spent, watched: u64) -> Vec<(Stood, f64)> {
        spent.at(S(watched)).collect()
    }

    #[test]
    fn the_seconds_of_what_stands_go_on_and_of_what_stood_remain() {
        let (ok, cut) = (stood(Status::Ok, None), stood(Status::Broken, Some(Cause::TcpDropped)));
        let mut spent = Spent::default();
        assert!(sums(&spent, 9).is_empty(), "nothing stood yet");
        spent.stand(ok, S(1));
        assert_eq!(sums(&spent, 1), [(ok, 0.0)], "it is there from its first moment on");
        assert_eq!(sums(&spent, 4), [(ok, 3.0)]);
        spent.stand(cut, S(5));
        assert_eq!(sums(&spent, 7), [(ok, 4.0), (cut, 2.0)]);
        spent.stand(ok, S(8));
        assert_eq!(sums(&spent, 10), [(ok, 6.0), (cut, 3.0)]);
    }

    #[test]
    fn the_sum_over_all_is_right_also_beyond_the_bound() {
        let mut spent = Spent::default();
        let causes = crate::cause::CAUSES.iter().map(|row| row.cause);
        let mut watched = 0;
        for cause in causes.take(40) {
            for status in [Status::Broken, Status::Degraded] {
                spent.stand(stood(status, Some(cause)), S(watched));
                watched += 1;
            }
            spent.stand(stood(Status::Ok, None), S(watched));
            watched += 1;
        }
        let sums = sums(&spent, watched);
        assert!(sums.len() <= VERDICTS, "{}", sums.len());
        assert_eq!(
            sums.iter().map(|(_, seconds)| seconds).sum::<f64>().to_bits(),
            120_f64.to_bits()
        );
        let of = |status| sums.iter().filter(move |(stood, _)| stood.status == status);
        for status in [Status::Ok, Status::Broken, Status::Degraded] {
            let sum = of(status).map(|(_, seconds)| seconds).sum::<f64>();
            assert_eq!(sum.to_bits(), 40_f64.to_bits(), "{status}");
        }
        assert!(of(Status::Broken).any(|(stood, _)| stood.by == By::Other));
    }
}
