//! What a rule sees: one route's trip, and the other routes beside it. What the controls say is `seen`.

pub(super) use super::seen::{Needed, Seen};
use super::{Author, Evidence, Symptom, TargetFacts, Walk, author};
use crate::cause::{Party, Status};
use crate::diagnosis::Confidence;
use crate::observation::{
    Chain, Change, Control, DnsFailure, Ending, Expect, Failure, HttpFailure, Leg, LocalFailure,
    Login, Lookup, ProxyFailure, Response, TcpFailure, TlsFailure, Trip, Trust,
};
use crate::provider::Reading;

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
    /// The proxy that the words name, where it is not the trip's.
    pub(super) proxy: Option<String>,
}

impl Found {
    pub(super) fn with(confidence: Confidence) -> Self {
        Self {
            confidence,
            party: None,
            status: None,
            by: None,
            by_route: false,
            address: None,
            proxy: None,
        }
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

    pub(super) fn proxy(self, proxy: &str) -> Self {
        Self { proxy: Some(proxy.to_owned()), ..self }
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

    /// Whether the proxy asks for a login by a ticket, and none could be had.
    pub(super) fn no_ticket(&self) -> bool {
        self.proxy().is_some_and(|failure| failure.login.no_ticket().is_some())
    }

    /// Whether the name that was looked up last is a proxy's.
    pub(super) fn looks_up_a_proxy(&self) -> bool {
        let here = self.trip().resolved_here.as_ref();
        self.proxied() && here.is_none_or(|lookup| lookup.failure().is_none())
    }

    /// The look-up that gave no address: the first hop's, or that of the target's own name where the
    /// proxy is to be told an address.
    pub(super) fn lookup_failure(&self) -> Option<(&'a Lookup, DnsFailure)> {
        if !self.trip().legs.is_empty() {
            return None;
        }
        let of_target = self.trip().resolved_here.as_ref().filter(|_| !self.looks_up_a_proxy());
        let lookup = of_target.unwrap_or(&self.trip().lookup);
        match lookup.failure()? {
            Failure::Dns(failure) => Some((lookup, failure)),
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
        proxy_failure(self.trip())
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

    /// Where the login is that the proxy asks for, if it cannot be read.
    pub(super) fn unreadable_login(&self) -> Option<String> {
        let failure = self.proxy().filter(ProxyFailure::asks_for_login)?;
        match failure.login {
            // The reason stands behind the place.
            Login::Unreadable(why) => Some(why.split(": ").next().unwrap_or_default().to_owned()),
            Login::None
            | Login::NotAsked
            | Login::Sent(_)
            | Login::Rejected(_)
            | Login::Withheld(_)
            | Login::NotOffered(_)
            | Login::NoTicket(_) => None,
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

    /// Whether the route is declared closed, and is.
    pub(super) fn is_closed_by_design(&self) -> bool {
        self.walk.expect == Expect::Closed && !self.reached()
    }

    /// Whether there are other routes, and all of them fail in the way that `alike` recognises.
    pub(super) fn every_route(&self, alike: impl Fn(&Self) -> bool) -> bool {
        let meant = |other: &Self| !other.is_closed_by_design();
        let mut others = self.others().filter(meant).peekable();
        others.peek().is_some() && others.all(|other| alike(&other))
    }

    /// What the answer or failure is called in metrics: nothing where all is well.
    pub(super) fn symptom(&self) -> Option<Symptom> {
        if let Some(failure) = self.trip().failure() {
            return Some(Symptom {
                layer: failure.layer().to_owned(),
                kind: failure.kind().to_owned(),
                status: match &failure {
                    Failure::Proxy(failure) => failure.answer(),
                    Failure::Local(_)
                    | Failure::Dns(_)
                    | Failure::Tcp(_)
                    | Failure::Tls(_)
                    | Failure::Http(_) => None,
                },
                mark: super::mark::of(self, &failure),
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

    /// Whether a finding of this cause was published before, so that it needs no confirmation.
    pub(super) fn is_news(&self, status: Status) -> bool {
        let works = |status| matches!(status, Status::Ok | Status::Degraded);
        match self.walk.before {
            None => !works(status),
            Some(before) => works(before) != works(status),
        }
    }
}

/// How a trip failed at the proxy, if it did.
pub(super) fn proxy_failure(trip: &Trip) -> Option<ProxyFailure> {
    match trip.failure()? {
        Failure::Proxy(failure) => Some(failure),
        Failure::Local(_)
        | Failure::Dns(_)
        | Failure::Tcp(_)
        | Failure::Tls(_)
        | Failure::Http(_) => None,
    }
}
