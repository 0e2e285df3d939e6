//! What each control tests: when it passes, and what a pass or a failure means in words.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::case::Case;
use super::facts::stream::Rhythm;
use super::facts::{body, idle};
use super::{Outcome, hops};
use crate::observation::{Change, Control, Failure, Login, NotRun, ProxyFailure, Stopper, Trip};

/// How a control came out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ControlResult {
    /// What it tests works.
    Passed,
    /// It fails too.
    Failed,
    /// It was not run.
    NotRun,
}

impl ControlResult {
    /// The fixed name.
    pub fn label(self) -> &'static str {
        match self {
            Self::Passed => "passed",
            Self::Failed => "failed",
            Self::NotRun => "not_run",
        }
    }
}

/// One control, for the evidence.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct EvidenceLine {
    /// Its name.
    pub control: Control,
    /// How it came out.
    pub result: ControlResult,
    /// What was measured.
    pub detail: String,
    /// What that means.
    pub means: String,
    /// When it was run: while a failure lasts unchanged, what was found then stands.
    pub at: Option<Timestamp>,
}

/// Whether a control's trip shows that what it tests works.
pub(super) fn passed(control: Control, trip: &Trip) -> bool {
    match control {
        // Any TLS record back counts, be it an alert or a certificate for somebody else: it shows
        // that the bytes passed.
        Control::OtherName | Control::NameElsewhere => {
            trip.legs.iter().any(crate::observation::Leg::heard_tls)
        }
        Control::ControlName | Control::OtherTransport => trip.lookup.failure().is_none(),
        // It is there not to be found.
        Control::RandomName => trip.lookup.addresses().is_empty(),
        // It is there to be silent.
        Control::UnanswerableAddress => trip.legs.iter().all(|leg| leg.connected.is_none()),
        Control::OtherPort => trip.legs.iter().any(|leg| leg.connected.is_some()),
        Control::ControlTunnel => trip.legs.iter().any(|leg| leg.tunnelled.is_some()),
        Control::Portal => portal(trip) == Some(true),
        // It is there to be silent.
        Control::UnanswerableResolver => {
            trip.lookup.questions.iter().all(|question| question.reply.is_none())
        }
        Control::TtlWalk => hops::walked(trip) == Some(Stopper::Nobody),
        Control::ControlHost
        | Control::OtherResolver
        | Control::OtherFamily
        | Control::EachAddress
        | Control::SmallHello
        | Control::SplitHello
        | Control::ClampedSegments
        | Control::OlderTls
        | Control::UntrustedHandshake
        | Control::RandomTunnel
        | Control::OtherRoute
        | Control::Http1
        | Control::NoKey
        | Control::LongerTimeout
        | Control::LargerBody
        | Control::Repeat => trip.arrived(),
        Control::IdleHold => idle::lives(trip) == Some(true),
        Control::Stream => trip.arrived() && Rhythm::of(trip) != Rhythm::Together,
    }
}

/// Whether the page that is known to be empty came as it is (true), or somebody else answered in its place;
/// none where that cannot be said: an error, or a server's own trouble, is no portal.
pub(super) fn portal(trip: &Trip) -> Option<bool> {
    let response = trip.leading()?.response.as_ref()?;
    match response.status {
        204 => Some(true),
        // As other clients read it, an empty page is the one that was asked for.
        200..=299 if response.body.trim().is_empty() => Some(true),
        // RFC 6585 6: a network that wants a login says 511.
        200..=399 | 511 => Some(false),
        _ => None,
    }
}

/// What a result means, as a clause.
pub(super) fn means(control: Control, result: ControlResult) -> &'static str {
    use ControlResult::{Failed, NotRun, Passed};
    match (control, result) {
        (_, NotRun) => "says nothing",
        (Control::LargerBody | Control::Stream | Control::IdleHold, _) => further(control, result),
        (Control::ControlHost, Passed) => "the control host works over this route",
        (Control::ControlHost, Failed) => "the control host fails over this route too",
        (Control::ControlName, Passed) => "the resolver answers for other names",
        (Control::ControlName, Failed) => "the resolver fails for other names too",
        (Control::OtherName, Passed) => "another name on the same address passes",
        (Control::OtherName, Failed) => "another name on the same address fails too",
        (Control::OtherResolver, Passed) => "what another resolver answers works",
        (Control::OtherResolver, Failed) => "what another resolver answers does not work either",
        (Control::OtherTransport, Passed) => "the resolver answers over TCP",
        (Control::OtherTransport, Failed) => "the resolver does not answer over TCP either",
        (Control::UnanswerableResolver, Passed) => "no resolver answers where none can be",
        (Control::UnanswerableResolver, Failed) => "port 53 is redirected: somebody answers",
        (Control::SmallHello, Passed) => "a small ClientHello passes",
        (Control::SmallHello, Failed) => "a small ClientHello fails too",
        (Control::ClampedSegments, Passed) => "small segments pass",
        (Control::ClampedSegments, Failed) => "small segments fail too",
        (Control::TtlWalk, Passed) => "hop by hop the far end is reached",
        (Control::TtlWalk, Failed) => "hop by hop it is stopped on the way",
        (Control::RandomName, Passed) => "a name that cannot exist is not found",
        (Control::RandomName, Failed) => "the resolver has an address for a name that cannot exist",
        (Control::UnanswerableAddress, Passed) => "nobody answers at an address that nobody has",
        (Control::UnanswerableAddress, Failed) => {
            "somebody completes the handshake for an address that nobody has"
        }
        (Control::OtherPort, Passed) => "another port of the same address opens",
        (Control::OtherPort, Failed) => "another port of the same address does not open either",
        (Control::EachAddress, Passed) => "another address works",
        (Control::EachAddress, Failed) => "no other address works",
        (Control::NameElsewhere, Passed) => "at an unrelated address the name passes",
        (Control::NameElsewhere, Failed) => "at an unrelated address the name fails too",
        (Control::SplitHello, Passed) => "a ClientHello in two segments passes",
        (Control::SplitHello, Failed) => "a ClientHello in two segments fails",
        (Control::OlderTls, Passed) => "TLS 1.2 passes",
        (Control::OlderTls, Failed) => "TLS 1.2 fails too",
        (Control::UntrustedHandshake, Passed) => "somebody answers behind the certificate",
        (Control::UntrustedHandshake, Failed) => "nothing answers behind the certificate",
        (Control::OtherRoute, Passed) => "the target is reached over another route",
        (Control::OtherRoute, Failed) => "the target is not reached over another route either",
        (Control::ControlTunnel, Passed) => "the proxy lets another host through",
        (Control::ControlTunnel, Failed) => "the proxy lets no other host through either",
        (Control::Portal, Passed) => "a page in plain HTTP comes as it is",
        (Control::Portal, Failed) => "a page in plain HTTP does not come as it is",
        (Control::LongerTimeout, Passed) => "with more time it arrives",
        (Control::LongerTimeout, Failed) => "more time does not help",
        (Control::OtherFamily, Passed) => "the other address family works",
        (Control::OtherFamily, Failed) => "the other address family fails too",
        (Control::RandomTunnel, Passed) => "a tunnel to a name that cannot exist is opened",
        (Control::RandomTunnel, Failed) => "the proxy refuses a name that cannot exist",
        (Control::Http1, Passed) => "HTTP/1.1 works",
        (Control::Http1, Failed) => "HTTP/1.1 fails too",
        (Control::NoKey, Passed) => "the request without the key is answered",
        (Control::NoKey, Failed) => "the request without the key fails too",
        (Control::Repeat, Passed) => "the same trip arrives again",
        (Control::Repeat, Failed) => "the same trip fails again",
    }
}

/// The same, of what a target asks for.
fn further(control: Control, result: ControlResult) -> &'static str {
    match (control, result == ControlResult::Passed) {
        (Control::Stream, true) => "the parts of a stream come as they are made",
        (Control::Stream, false) => "the parts of a stream come together at its end",
        (Control::IdleHold, true) => "silent connections live",
        (Control::IdleHold, false) => "silent connections die",
        (_, true) => "a request with a body is answered",
        (_, false) => "a request with a body does not get through",
    }
}

/// The evidence of one route, in the order of the controls; a failing one is compared with the others.
pub(super) fn lines(case: &Case<'_>) -> Vec<EvidenceLine> {
    let outcomes = case.evidence.outcomes.iter();
    let mut lines: Vec<EvidenceLine> = outcomes
        .filter(|outcome| {
            // The same address over another route is about the one that fails.
            let there = matches!(outcome.experiment.change, Change::SameAddress(_));
            (outcome.experiment.route == case.walk.route) != there
        })
        .map(|outcome| line(case, outcome))
        .chain(case.others().filter(|_| case.symptom().is_some()).map(|other| beside(&other)))
        .collect();
    lines.sort_by_key(|line| line.control.rank());
    lines
}

/// Another route of the same target.
fn beside(other: &Case<'_>) -> EvidenceLine {
    let result = if other.reached() { ControlResult::Passed } else { ControlResult::Failed };
    EvidenceLine {
        control: Control::OtherRoute,
        result,
        detail: format!("{}: {}", other.walk.route, measured(Control::OtherRoute, other.trip())),
        means: means(Control::OtherRoute, result).to_owned(),
        at: Some(other.trip().started),
    }
}

fn line(case: &Case<'_>, outcome: &Outcome) -> EvidenceLine {
    let change = outcome.experiment.change;
    let control = change.control();
    let (result, detail) = match &outcome.result {
        Err(
            why @ (NotRun::NotAllowed
            | NotRun::NotConfigured
            | NotRun::NotApplicable
            | NotRun::NoTime),
        ) => (ControlResult::NotRun, why.reason().to_owned()),
        Ok(trip) => {
            let passes = match change {
                // Whose answer it is counts here.
                Change::LargerBody(_) | Change::ClampedBody(_) | Change::RepeatedBody(_) => {
                    body::passes(case.target(), trip)
                }
                _ => passed(control, trip),
            };
            let result = if passes { ControlResult::Passed } else { ControlResult::Failed };
            let refused = Some(trip).filter(|_| change == Change::Stream).and_then(refused);
            match refused {
                Some(status) => {
                    (ControlResult::NotRun, format!("not tested: the API answered {status}"))
                }
                None => (result, beyond(change, trip).unwrap_or_else(|| detail(control, trip))),
            }
        }
    };
    let means = match &outcome.result {
        Ok(trip) if control != Control::Repeat && is_held_back(trip) => {
            "says nothing: the login is held back"
        }
        Ok(trip) if control == Control::IdleHold && idle::lives(trip).is_none() => {
            "says nothing: no connection was kept"
        }
        Ok(trip) if control == Control::Stream => {
            Rhythm::of(trip).means().unwrap_or_else(|| means(control, result))
        }
        Ok(_) | Err(_) => means(control, result),
    };
    let at = outcome.result.as_ref().ok().map(|trip| trip.started);
    EvidenceLine { control, result, detail, means: means.to_owned(), at }
}

/// The status of an answer in the place of a stream.
fn refused(trip: &Trip) -> Option<u16> {
    let response = trip.leading()?.response.as_ref()?;
    (trip.arrived() && Rhythm::of(trip) == Rhythm::Other).then_some(response.status)
}

/// Whether the proxy asked for the login, and it was not sent again so soon.
fn is_held_back(trip: &Trip) -> bool {
    let held = |failure: &ProxyFailure| matches!(failure.login, Login::Withheld(_));
    matches!(trip.failure(), Some(Failure::Proxy(failure)) if held(&failure))
}

/// What a control's trip measured: own words and numbers, no text of a peer.
fn detail(control: Control, trip: &Trip) -> String {
    let host = if trip.host.is_empty() { &trip.lookup.name } else { &trip.host };
    match hops::walked(trip) {
        Some(stopper) => hops::words(stopper),
        None => format!("{host}: {}", measured(control, trip)),
    }
}

/// What a request beyond the minimal one measured.
fn beyond(change: Change, trip: &Trip) -> Option<String> {
    let bytes = match change {
        Change::LargerBody(0) => "small body".to_owned(),
        Change::LargerBody(bytes) | Change::ClampedBody(bytes) | Change::RepeatedBody(bytes) => {
            format!("body of {bytes} B")
        }
        Change::IdleHold => return Some(idle::words(trip)),
        Change::Stream => {
            let response = trip.leading()?.response.as_ref()?;
            let parts = &response.parts;
            let first = (response.head_seconds + parts.first?) * 1000.0;
            let all = (response.head_seconds + response.body_seconds) * 1000.0;
            let count = parts.count;
            return Some(format!("{count} parts, first at {first:.0}, all at {all:.0} ms"));
        }
        _ => return None,
    };
    Some(format!("{bytes}: {}", measured(change.control(), trip)))
}

fn addresses(trip: &Trip) -> String {
    match trip.lookup.addresses().len() {
        1 => "1 address".to_owned(),
        count => format!("{count} addresses"),
    }
}

fn measured(control: Control, trip: &Trip) -> String {
    let answer = trip.legs.iter().find_map(|leg| leg.response.as_ref());
    // A trip that was to end with the look-up has no leg, and failed for no want of one.
    let failure = match control {
        Control::ControlName
        | Control::RandomName
        | Control::OtherTransport
        | Control::UnanswerableResolver => trip.lookup.failure(),
        Control::ControlHost
        | Control::OtherName
        | Control::NameElsewhere
        | Control::OtherResolver
        | Control::UnanswerableAddress
        | Control::OtherPort
        | Control::OtherFamily
        | Control::EachAddress
        | Control::SmallHello
        | Control::SplitHello
        | Control::ClampedSegments
        | Control::OlderTls
        | Control::UntrustedHandshake
        | Control::TtlWalk
        | Control::OtherRoute
        | Control::ControlTunnel
        | Control::RandomTunnel
        | Control::Portal
        | Control::LongerTimeout
        | Control::Http1
        | Control::NoKey
        | Control::LargerBody
        | Control::Stream
        | Control::IdleHold
        | Control::Repeat => trip.failure(),
    };
    // What follows the look-up is another question.
    if control == Control::OtherTransport && failure.is_none() {
        return format!("{} in {:.0} ms", addresses(trip), trip.lookup.seconds * 1000.0);
    }
    let what = match (failure, answer) {
        (Some(failure), _) => format!("{} {}", failure.layer(), failure.kind()),
        (None, Some(response)) => format!("status {}", response.status),
        (None, None) if trip.legs.is_empty() => addresses(trip),
        (None, None) if matches!(control, Control::RandomTunnel | Control::ControlTunnel) => {
            "tunnel opened".to_owned()
        }
        (None, None) if matches!(control, Control::UnanswerableAddress | Control::OtherPort) => {
            "connected".to_owned()
        }
        (None, None) => "handshake complete".to_owned(),
    };
    format!("{what} in {:.0} ms", trip.seconds * 1000.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_look_up_that_found_the_name_is_told_as_found() {
        let trip = |lookup: &str| {
            toml::from_str::<Trip>(&format!("[lookup]\nname = \"www.example\"\n{lookup}")).unwrap()
        };
        let found = trip("a = { addresses = [\"192.0.2.1\"] }");
        assert_eq!(detail(Control::ControlName, &found), "www.example: 1 address in 0 ms");
        let denied = trip("a = { failed = { kind = \"nxdomain\" } }");
        assert_eq!(detail(Control::ControlName, &denied), "www.example: dns nxdomain in 0 ms");
    }
}
