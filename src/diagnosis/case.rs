//! What a rule sees: one route's trip, the other routes beside it, and the controls.
//!
//! Asking for a control that was not run yet ends the rule with `Needed`; so rules read as prose.

use super::experiment;
use super::{Author, Baseline, Evidence, Experiment, Outcome, Symptom, TargetFacts, Walk, author};
use crate::cause::{Cause, Party, Status};
use crate::diagnosis::Confidence;
use crate::observation::{
    Chain, Change, Control, DnsFailure, Ending, Expect, Failure, HttpFailure, Leg, LocalFailure,
    Lookup, NotRun, ProxyFailure, Response, TcpFailure, TlsFailure, Trip, Trust,
};
use crate::provider::Reading;

/// Control hosts that are asked at most; two are enough for confidence high.
const CONTROL_HOSTS: usize = 2;

/// The experiments that a rule needs before it can answer.
#[derive(Debug)]
pub(crate) struct Needed(pub(super) Vec<Experiment>);

/// A rule's yes: how sure, whom it names where that is not the usual party, and what decided.
#[derive(Clone, Debug)]
pub(crate) struct Found {
    pub(super) confidence: Confidence,
    pub(super) party: Option<Party>,
    pub(super) status: Option<Status>,
    pub(super) by: Option<Control>,
    /// Instead of a control: another route's trip decided.
    pub(super) by_route: bool,
    /// The address that the words name, where it is not the leading leg's.
    pub(super) address: Option<std::net::SocketAddr>,
}

impl Found {
    pub(super) fn with(confidence: Confidence) -> Self {
        Self { confidence, party: None, status: None, by: None, by_route: false, address: None }
    }

    pub(super) fn high() -> Self {
        Self::with(Confidence::High)
    }

    pub(super) fn medium() -> Self {
        Self::with(Confidence::Medium)
    }

    /// It shows, and nobody can be named from here.
    pub(super) fn undetermined() -> Self {
        Self { party: Some(Party::Undetermined), ..Self::with(Confidence::Low) }
    }

    pub(super) fn by(self, control: Control) -> Self {
        Self { by: Some(control), ..self }
    }

    pub(super) fn by_other_route(self) -> Self {
        Self { by_route: true, ..self }
    }

    pub(super) fn party(self, party: Party) -> Self {
        Self { party: Some(party), ..self }
    }

    pub(super) fn status(self, status: Status) -> Self {
        Self { status: Some(status), ..self }
    }

    pub(super) fn at(self, address: std::net::SocketAddr) -> Self {
        Self { address: Some(address), ..self }
    }

    pub(super) fn at_most(self, limit: Confidence) -> Self {
        Self { confidence: self.confidence.min(limit), ..self }
    }

    /// The usual answer of a rule.
    #[expect(clippy::unnecessary_wraps, reason = "rules end with it")]
    pub(super) fn yes(self) -> super::Held {
        Ok(Some(self))
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

/// One route, with all that is known around it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Case<'a> {
    pub(super) evidence: &'a Evidence,
    pub(super) walk: &'a Walk,
    /// Whether it may ask: a route that is closed on purpose is not worth experiments.
    pub(super) asks: bool,
}

impl<'a> Case<'a> {
    pub(super) fn new(evidence: &'a Evidence, walk: &'a Walk) -> Self {
        Self { evidence, walk, asks: walk.expect != Expect::Closed }
    }

    pub(super) fn target(&self) -> &'a TargetFacts {
        &self.evidence.target
    }

    pub(super) fn trip(&self) -> &'a Trip {
        &self.walk.trip
    }

    pub(super) fn proxied(&self) -> bool {
        self.walk.proxy.is_some()
    }

    /// The look-up of the first hop, where it gave no address.
    pub(super) fn lookup_failure(&self) -> Option<(&'a Lookup, DnsFailure)> {
        if !self.trip().legs.is_empty() {
            return None;
        }
        match self.trip().lookup.failure()? {
            Failure::Dns(failure) => Some((&self.trip().lookup, failure)),
            Failure::Local(_)
            | Failure::Tcp(_)
            | Failure::Proxy(_)
            | Failure::Tls(_)
            | Failure::Http(_) => None,
        }
    }

    /// The leg that the failure is taken from, and the failure.
    pub(super) fn stopped(&self) -> Option<(&'a Leg, &'a Failure)> {
        match self.trip().ending() {
            Ending::Stopped(leg, failure) => Some((leg, failure)),
            Ending::NoAddress | Ending::Answered(..) | Ending::Arrived(_) => None,
        }
    }

    pub(super) fn local(&self) -> Option<LocalFailure> {
        match self.trip().failure()? {
            Failure::Local(failure) => Some(failure),
            Failure::Dns(_)
            | Failure::Tcp(_)
            | Failure::Proxy(_)
            | Failure::Tls(_)
            | Failure::Http(_) => None,
        }
    }

    pub(super) fn tcp(&self) -> Option<(&'a Leg, &'a TcpFailure)> {
        match self.stopped()? {
            (leg, Failure::Tcp(failure)) if !self.proxied() => Some((leg, failure)),
            _ => None,
        }
    }

    pub(super) fn proxy(&self) -> Option<ProxyFailure> {
        match self.trip().failure()? {
            Failure::Proxy(failure) => Some(failure),
            Failure::Local(_)
            | Failure::Dns(_)
            | Failure::Tcp(_)
            | Failure::Tls(_)
            | Failure::Http(_) => None,
        }
    }

    pub(super) fn tls(&self) -> Option<(&'a Leg, &'a TlsFailure)> {
        match self.stopped()? {
            (leg, Failure::Tls(failure)) => Some((leg, failure)),
            _ => None,
        }
    }

    pub(super) fn http(&self) -> Option<(&'a Leg, &'a HttpFailure)> {
        match self.stopped()? {
            (leg, Failure::Http(failure)) => Some((leg, failure)),
            _ => None,
        }
    }

    /// The whole answer, what it says, and who wrote it.
    pub(super) fn answer(&self) -> Option<(&'a Response, Reading, Author)> {
        match self.trip().ending() {
            Ending::Answered(_, response) => {
                let (reading, author) = author::of_trip(self.target(), self.trip())?;
                Some((response, reading, author))
            }
            Ending::NoAddress | Ending::Stopped(..) | Ending::Arrived(_) => None,
        }
    }

    /// Why the configured client certificate could not be shown to a server that asked for one.
    pub(super) fn unusable_certificate(&self) -> Option<&'a str> {
        self.trip().leading()?.asked.as_ref()?.unusable.as_deref()
    }

    /// The chain of the leading leg.
    pub(super) fn chain(&self) -> Option<&'a Chain> {
        self.trip().leading()?.chain.as_deref()
    }

    /// The other routes of the target.
    pub(super) fn others(&self) -> impl Iterator<Item = Case<'a>> + use<'a> {
        let (evidence, route) = (self.evidence, &self.walk.route);
        evidence
            .walks
            .iter()
            .filter(move |walk| walk.route != *route)
            .map(move |walk| Case::new(evidence, walk))
    }

    /// Whether the target itself was reached: a handshake under a public chain, or an answer of the
    /// provider. Under another chain an accepted handshake may be the inspecting device's.
    pub(super) fn reached(&self) -> bool {
        let shook_hands = self.trip().leading().is_some_and(|leg| leg.secured.is_some());
        let public = self.chain().is_some_and(|chain| chain.trust() == Trust::Public);
        shook_hands && public || self.answered_by_provider()
    }

    /// Whether the answer is the provider's, whatever it says.
    pub(super) fn answered_by_provider(&self) -> bool {
        self.answer().is_some_and(|(_, _, author)| author.is_provider())
    }

    /// Whether another route reached the target.
    pub(super) fn other_route_arrives(&self) -> bool {
        self.others().any(|other| other.reached())
    }

    /// Whether another route shows a chain of a public CA for the target.
    pub(super) fn other_route_is_public(&self) -> bool {
        self.others().any(|other| other.chain().is_some_and(|chain| chain.trust() == Trust::Public))
    }

    /// Whether there are other routes, and all of them fail in the way that `alike` recognises.
    pub(super) fn every_route(&self, alike: impl Fn(&Self) -> bool) -> bool {
        let mut others = self.others().peekable();
        others.peek().is_some() && others.all(|other| alike(&other))
    }

    /// What the answer or failure is called in metrics: nothing where all is well.
    pub(super) fn symptom(&self) -> Option<Symptom> {
        if let Some(failure) = self.trip().failure() {
            return Some(Symptom {
                layer: failure.layer().to_owned(),
                kind: failure.kind().to_owned(),
                status: match failure {
                    Failure::Proxy(failure) => failure.status,
                    Failure::Local(_)
                    | Failure::Dns(_)
                    | Failure::Tcp(_)
                    | Failure::Tls(_)
                    | Failure::Http(_) => None,
                },
                mark: self.chain().and_then(Chain::top_issuer).map(str::to_owned),
            });
        }
        let (response, reading, author) = self.answer()?;
        let kind = super::answer::bad_answer(self.target(), response, &reading, author)?;
        Some(Symptom {
            layer: "http".to_owned(),
            kind: kind.label().to_owned(),
            status: Some(response.status),
            mark: Some(format!(
                "{} {}",
                author.label(),
                reading.error_type.as_deref().unwrap_or_default()
            )),
        })
    }

    /// The repeat, where it was run.
    pub(super) fn repeat(&self) -> Option<&'a Trip> {
        self.outcome(Change::Repeat)?.result.as_ref().ok()
    }

    /// The symptom of another trip over this route.
    pub(super) fn symptom_of(&self, trip: &Trip) -> Option<Symptom> {
        let walk = Walk { trip: trip.clone(), ..self.walk.clone() };
        Case { walk: &walk, ..*self }.symptom()
    }

    fn outcome(&self, change: Change) -> Option<&'a Outcome> {
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
        let count = self.target().controls.min(CONTROL_HOSTS);
        let changes: Vec<Change> = (0..count).map(Change::ControlHost).collect();
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
        let ran = |place: &usize| {
            self.outcome(Change::ControlHost(*place)).is_some_and(|outcome| outcome.result.is_ok())
        };
        if places.filter(ran).count() < CONTROL_HOSTS {
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

    /// Whether a finding of this cause was published before, so that it needs no confirmation.
    pub(super) fn is_news(&self, status: Status) -> bool {
        let works = |status| matches!(status, Status::Ok | Status::Degraded);
        match self.walk.before {
            None => !works(status),
            Some(before) => works(before) != works(status),
        }
    }
}

/// The rule that names a cause.
pub(super) const fn rule(cause: Cause, holds: fn(&Case<'_>) -> super::Held) -> super::Rule {
    super::Rule { cause, holds }
}
