//! A streamed answer, where a target asks for that: whether its parts come as they are made. A slow model pauses
//! between them; what holds them back lets them go together.

use crate::cause::Party;
use crate::diagnosis::Held;
use crate::diagnosis::case::{Case, Found};
use crate::observation::{Change, Control, Response, Trip, Trust};

rules! { FACTS
    /// The target is tested with a streamed answer (`stream`): its parts came together at the end, after nine
    /// tenths of the time at least and within 20 ms. The proxy's or the inspecting device's where the parts come
    /// one by one over another route; else nobody is named.
    StreamBuffered buffered,
}

/// Parts that are enough to have a rhythm.
const EVENTS: u64 = 8;
/// Bytes of a compressed stream that are as many.
const COMPRESSED: u64 = 256;
/// Seconds that an answer takes at least of which anything can be told.
const LONG: f64 = 0.3;
/// Seconds from the first part to the last within which they came together: no model is so fast.
const TOGETHER: f64 = 0.02;
/// Seconds from which on they came one by one.
const APART: f64 = 0.1;
/// How much of the whole time had passed when the first part came.
const LATE: f64 = 0.9;

/// How the parts of an answer came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::diagnosis) enum Rhythm {
    /// As they were made.
    Streamed,
    /// All at the end.
    Together,
    /// Too few, too fast, or after a gap in the packets: it cannot be told.
    Unclear,
    /// Somebody had it already: it was not made.
    Cached,
    /// It is no stream.
    Other,
}

impl Rhythm {
    pub(in crate::diagnosis) fn of(trip: &Trip) -> Self {
        let answer = trip.leading().filter(|leg| leg.stop.is_none());
        match answer.and_then(|leg| leg.response.as_ref()) {
            Some(response) if response.status == 200 && response.is_event_stream() => {
                match Self::of_stream(response) {
                    Self::Together if is_cached(response) => Self::Cached,
                    rhythm => rhythm,
                }
            }
            Some(_) | None => Self::Other,
        }
    }

    fn of_stream(response: &Response) -> Self {
        let parts = &response.parts;
        let enough = match response.encoding() {
            // Events are not to be seen in what is compressed.
            Some(_) => response.length >= COMPRESSED,
            None => parts.count >= EVENTS,
        };
        let Some(first) = parts.first.filter(|_| enough) else { return Self::Unclear };
        let kept = u64::try_from(parts.gaps.len()).unwrap_or(u64::MAX);
        let spread = if kept.saturating_add(1) >= parts.count {
            parts.gaps.iter().sum()
        } else {
            response.body_seconds - first
        };
        let total = response.head_seconds + response.body_seconds;
        let late = (response.head_seconds + first) / total > LATE;
        // A lost packet holds back all that is behind it.
        let gap = response.socket.is_some_and(|socket| socket.rcv_ooopack > 0);
        if spread >= APART {
            Self::Streamed
        } else if total >= LONG && spread <= TOGETHER && late && !gap {
            Self::Together
        } else {
            Self::Unclear
        }
    }

    /// What it says, where that is not what its result alone says.
    pub(in crate::diagnosis) fn means(self) -> Option<&'static str> {
        match self {
            Self::Streamed | Self::Together => None,
            Self::Unclear => Some("says nothing: too short to tell"),
            Self::Cached => Some("says nothing: the answer is a cache's"),
            Self::Other => Some("says nothing: no stream came"),
        }
    }
}

/// Whether a cache says that it answered (RFC 9111 5.1, and the fields of gateways).
fn is_cached(response: &Response) -> bool {
    let hit = |name: &str| {
        let value = response.header(name).unwrap_or_default();
        value.to_ascii_lowercase().contains("hit")
    };
    let age = response.header("age").and_then(|age| age.trim().parse::<u64>().ok());
    ["cf-aig-cache-status", "cf-cache-status", "x-cache", "cache-status"].into_iter().any(hit)
        || age.is_some_and(|age| age > 0)
        || response.header("x-litellm-cache-key").is_some()
}

fn buffered(case: &Case<'_>) -> Held {
    if !case.target().further.stream || case.symptom().is_some() || !case.answered_by_provider() {
        return Ok(None);
    }
    let Some(trip) = case.seen(Change::Stream)?.trip() else { return Ok(None) };
    if Rhythm::of(trip) != Rhythm::Together {
        return Ok(None);
    }
    let streams = |other: Case<'_>| {
        let outcome = other.outcome(Change::Stream);
        let trip = outcome.and_then(|outcome| outcome.result.as_ref().ok());
        trip.is_some_and(|trip| Rhythm::of(trip) == Rhythm::Streamed)
    };
    let elsewhere = case.others().any(streams);
    let trust = trip.leading().and_then(|leg| leg.chain.as_ref()).map(|chain| chain.trust());
    let found = match trust {
        _ if elsewhere && case.proxied() => Found::high().party(Party::Proxy).by_other_route(),
        Some(Trust::System | Trust::Organisation) if elsewhere => Found::high().by_other_route(),
        // Nobody opened it, and something on this way alone holds its bytes.
        _ if elsewhere => Found::medium().by_other_route(),
        _ => Found::undetermined().by(Control::Stream),
    };
    found.yes()
}
