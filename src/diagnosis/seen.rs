//! What the controls of a route say. Asking for one that was not run yet ends the rule with `Needed`; so
//! rules read as prose.

use super::case::Case;
use super::{Baseline, Confidence, Experiment, Outcome, experiment};
use crate::observation::{Change, Failure, Leg, NotRun, Trip};

/// Control hosts that are asked at most; two are enough for confidence high.
const CONTROL_HOSTS: usize = 2;

/// The experiments that a rule needs before it can answer.
#[derive(Debug)]
pub(crate) struct Needed(pub(super) Vec<Experiment>);

impl Needed {
    /// Two answers, or what both need: asked for together, it takes one round.
    pub(super) fn both<A, B>(a: Result<A, Self>, b: Result<B, Self>) -> Result<(A, B), Self> {
        match (a, b) {
            (Ok(a), Ok(b)) => Ok((a, b)),
            (Err(mut a), Err(b)) => {
                a.0.extend(b.0);
                Err(a)
            }
            (Err(needed), Ok(_)) | (Ok(_), Err(needed)) => Err(needed),
        }
    }
}

/// What a control says.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Seen<'a> {
    /// What it tests works.
    Passed(&'a Trip),
    /// It fails too.
    Failed(&'a Trip),
    /// It was not run, or proves nothing here.
    Nothing,
}

impl<'a> Seen<'a> {
    pub(super) fn passed(self) -> bool {
        matches!(self, Self::Passed(_))
    }

    pub(super) fn failed(self) -> Option<&'a Trip> {
        match self {
            Self::Failed(trip) => Some(trip),
            Self::Passed(_) | Self::Nothing => None,
        }
    }

    pub(super) fn trip(self) -> Option<&'a Trip> {
        match self {
            Self::Passed(trip) | Self::Failed(trip) => Some(trip),
            Self::Nothing => None,
        }
    }
}

impl<'a> Case<'a> {
    pub(super) fn outcome(&self, change: Change) -> Option<&'a Outcome> {
        self.evidence.outcomes.iter().find(|outcome| {
            outcome.experiment.route == self.walk.route && outcome.experiment.change == change
        })
    }

    fn need(&self, changes: &[Change]) -> Needed {
        let experiment = |change| Experiment { route: self.walk.route.clone(), change };
        Needed(changes.iter().copied().map(experiment).collect())
    }

    /// What an experiment brought; asks for it where it was not tried yet.
    pub(super) fn seen(&self, change: Change) -> Result<Seen<'a>, Needed> {
        match self.outcome(change).map(|outcome| &outcome.result) {
            None if self.asks => Err(self.need(&[change])),
            None => Ok(Seen::Nothing),
            Some(Err(
                NotRun::NotAllowed | NotRun::NotConfigured | NotRun::NotApplicable | NotRun::NoTime,
            )) => Ok(Seen::Nothing),
            Some(Ok(trip)) if experiment::passed(change.control(), trip) => Ok(Seen::Passed(trip)),
            Some(Ok(trip)) => Ok(Seen::Failed(trip)),
        }
    }

    /// Asks for all of these at once, where a rule is to read several: a round for each would take too long.
    pub(super) fn ask_for(&self, changes: &[Change]) -> Result<(), Needed> {
        let missing: Vec<Change> =
            changes.iter().copied().filter(|change| self.outcome(*change).is_none()).collect();
        if missing.is_empty() || !self.asks { Ok(()) } else { Err(self.need(&missing)) }
    }

    /// The control hosts over this route: one that passes proves the way out; all that fail prove
    /// that it is down, but only where they ever worked or were never measured.
    pub(super) fn control_host(&self) -> Result<Seen<'a>, Needed> {
        match self.control_shows()? {
            Seen::Failed(_) if self.walk.baseline == Baseline::Bad => Ok(Seen::Nothing),
            seen => Ok(seen),
        }
    }

    /// What unrelated hosts show over this route, whatever they showed before: for rules that look
    /// for the same mark there, not for a failure.
    pub(super) fn control_shows(&self) -> Result<Seen<'a>, Needed> {
        self.first_to_pass(Change::ControlHost)
    }

    fn first_to_pass(&self, of: fn(usize) -> Change) -> Result<Seen<'a>, Needed> {
        let count = self.target().controls.min(CONTROL_HOSTS);
        let changes: Vec<Change> = (0..count).map(of).collect();
        let missing: Vec<Change> =
            changes.iter().copied().filter(|change| self.outcome(*change).is_none()).collect();
        if !missing.is_empty() && self.asks {
            return Err(self.need(&missing));
        }
        let mut seen = Seen::Nothing;
        for change in changes {
            match self.seen(change)? {
                Seen::Passed(trip) => return Ok(Seen::Passed(trip)),
                Seen::Failed(trip) => seen = Seen::Failed(trip),
                Seen::Nothing => {}
            }
        }
        Ok(seen)
    }

    /// Tunnels to unrelated hosts through the same proxy, read as the control hosts are.
    pub(super) fn control_tunnel(&self) -> Result<Seen<'a>, Needed> {
        let alone = self.target().controls == 1;
        let fails = |outcome: &Outcome| {
            let same = outcome.experiment.change == Change::ControlHost(0);
            let there = same && outcome.experiment.route != self.walk.route;
            there && outcome.result.as_ref().is_ok_and(|trip| !trip.arrived())
        };
        match self.first_to_pass(Change::ControlTunnel)? {
            // The only one, and it fails over another route as well: it may be down itself.
            Seen::Failed(_) if alone && self.evidence.outcomes.iter().any(fails) => {
                Ok(Seen::Nothing)
            }
            Seen::Failed(_) if self.walk.baseline == Baseline::Bad => Ok(Seen::Nothing),
            seen => Ok(seen),
        }
    }

    /// How sure a verdict may be that leans on control hosts which fail too.
    pub(super) fn when_control_fails(&self) -> Confidence {
        match self.walk.baseline {
            Baseline::Good => self.by_controls(),
            Baseline::Unknown | Baseline::Bad => Confidence::Medium,
        }
    }

    /// How sure the control hosts that ran can make a verdict: one host alone may have its own fault.
    pub(super) fn by_controls(&self) -> Confidence {
        let places = 0..self.target().controls.min(CONTROL_HOSTS);
        let ran =
            |change: Change| self.outcome(change).is_some_and(|outcome| outcome.result.is_ok());
        let either =
            |place: &usize| ran(Change::ControlHost(*place)) || ran(Change::ControlTunnel(*place));
        if places.filter(either).count() < CONTROL_HOSTS {
            Confidence::Medium
        } else {
            Confidence::High
        }
    }

    /// An unrelated name at the same resolver.
    pub(super) fn control_name(&self) -> Result<Seen<'a>, Needed> {
        if self.target().controls == 0 {
            return Ok(Seen::Nothing);
        }
        self.seen(Change::ControlName(0))
    }

    /// The independent resolver's answer, and the way to it.
    pub(super) fn other_resolver(&self) -> Result<Seen<'a>, Needed> {
        if self.proxied() {
            return Ok(Seen::Nothing);
        }
        self.seen(Change::OtherResolver)
    }

    /// Whether the independent resolver gave an address that is not among ours, and the way to it works.
    pub(super) fn other_address_works(&self) -> Result<bool, Needed> {
        let Seen::Passed(trip) = self.other_resolver()? else { return Ok(false) };
        let theirs = trip.lookup.addresses();
        // An address that both give is not the resolver's mistake, whether it works or not.
        let dialled = |leg: &&Leg| !matches!(leg.stop, Some(Failure::Local(_)));
        let mut tried = self.trip().legs.iter().filter(dialled).map(|leg| leg.address.ip());
        if tried.any(|address| theirs.contains(&address)) {
            return Ok(false);
        }
        let ours = self.trip().lookup.addresses();
        let reached = trip.legs.iter().filter(|leg| leg.stop.is_none());
        Ok(reached.map(|leg| leg.address.ip()).any(|address| !ours.contains(&address)))
    }

    /// Another name on the same address.
    pub(super) fn other_name(&self, leg: &Leg) -> Result<Seen<'a>, Needed> {
        if self.target().controls == 0 {
            return Ok(Seen::Nothing);
        }
        self.seen(Change::OtherName(leg.address))
    }
}
