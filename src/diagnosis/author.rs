//! Who answered? The certificate comes first, then marks; a status alone never says.
//!
//! Over a chain that public roots verify for the name the author is the origin or its edge, whatever
//! the page looks like. A proxy or a middlebox is possible only over a chain that nobody but the
//! organisation verifies, and in plain HTTP; not at a server of the organisation's own, which has such a chain itself.

use serde::{Deserialize, Serialize};

use super::TargetFacts;
use crate::observation::{Leg, Response, Trip, Trust};
use crate::provider::{Provider, Reading, is_made_by_edge};

/// Who wrote an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Author {
    /// The API.
    Origin,
    /// The provider's edge.
    Edge,
    /// An explicit proxy.
    Proxy,
    /// Something else on the way.
    Middlebox,
    /// Cannot be told.
    Unknown,
}

impl Author {
    /// All of them.
    pub const ALL: &[Self] =
        &[Self::Origin, Self::Edge, Self::Proxy, Self::Middlebox, Self::Unknown];

    /// The fixed name.
    pub fn label(self) -> &'static str {
        match self {
            Self::Origin => "origin",
            Self::Edge => "edge",
            Self::Proxy => "proxy",
            Self::Middlebox => "middlebox",
            Self::Unknown => "unknown",
        }
    }

    /// Whether the answer proves the way to the provider.
    pub fn is_provider(self) -> bool {
        match self {
            Self::Origin | Self::Edge => true,
            Self::Proxy | Self::Middlebox | Self::Unknown => false,
        }
    }
}

/// The reading and the author of a trip's answer, if it has one.
pub(super) fn of_trip(target: &TargetFacts, trip: &Trip) -> Option<(Reading, Author)> {
    let leg = trip.legs.iter().find(|leg| leg.response.is_some())?;
    let response = leg.response.as_ref()?;
    let mut reading = target.provider.read(response);
    // What was asked for is the target's own business, and so is the shape of what is answered.
    let declared = is_declared(target, response);
    reading.shape |= declared;
    let author = of(target, leg, &reading, declared)?;
    Some((reading, author))
}

fn of(target: &TargetFacts, leg: &Leg, reading: &Reading, declared: bool) -> Option<Author> {
    let response = leg.response.as_ref()?;
    let owned = target.provider.owns(&target.host);
    let shape = reading.shape || !owned && reading.relayed;
    // Where somebody on the way can answer, an error has to have a word that he would not write.
    let spoken = shape && (is_success(response) || reading.documented || declared);
    // Whatever passes an edge of its own has that edge's marks; the provider's edge is before its own hosts alone.
    let by_edge = if owned { reading.edge_mark } else { is_made_by_edge(response) };
    let marked = || {
        if reading.origin_mark {
            Some(Author::Origin)
        } else if by_edge {
            Some(Author::Edge)
        } else {
            None
        }
    };
    // Gateways have errors of their own shapes; pages are an edge's.
    let unmarked = || {
        let elsewhere = !owned && is_json(response);
        if shape || reading.relayed || elsewhere { Author::Origin } else { Author::Edge }
    };
    Some(match leg.chain.as_ref().map(|chain| chain.trust()) {
        Some(Trust::Public) => marked().unwrap_or_else(unmarked),
        Some(Trust::System | Trust::Organisation) if is_at_home(target, leg) => {
            marked().unwrap_or_else(unmarked)
        }
        // Marks pass through an inspecting device unchanged. Without one the provider's own host did
        // not answer; any other host may be a gateway or a service of the organisation's own.
        Some(Trust::System | Trust::Organisation) => marked().unwrap_or(if owned {
            if shape { Author::Unknown } else { Author::Middlebox }
        } else if spoken {
            Author::Origin
        } else {
            Author::Unknown
        }),
        Some(Trust::None) => Author::Unknown,
        // Plain HTTP: anybody on the way can answer, only the shape speaks for the server.
        None => {
            if reading.origin_mark || (spoken && !is_sign_in(response)) {
                Author::Origin
            } else if response.header("proxy-authenticate").is_some() {
                Author::Proxy
            } else {
                Author::Unknown
            }
        }
    })
}

/// Whether it is the organisation's own server that shows a certificate of the organisation's: it is declared to be so, and
/// the roots were given for it alone, or the connection led to where it was declared to be. A device of theirs that
/// answers in its place says so.
pub(super) fn is_at_home(target: &TargetFacts, leg: &Leg) -> bool {
    let declared = target.ours || !target.private.is_empty();
    let is_private = || target.private.iter().any(|range| range.contains(leg.address.ip()));
    let by_a_device =
        leg.response.as_ref().is_some_and(|response| response.header("x-squid-error").is_some());
    let there = target.own_roots || leg.tunnelled.is_none() && is_private();
    declared && there && !by_a_device && !target.provider.owns(&target.host)
}

fn is_success(response: &Response) -> bool {
    (200..300).contains(&response.status)
}

/// Whether it is the answer that was declared, and of such a kind that what stands on the way does not answer it by itself: a
/// status that devices have, too, says nothing, unless the content that was declared is there.
fn is_declared(target: &TargetFacts, response: &Response) -> bool {
    let Some(wanted) = &target.wanted else { return false };
    let of_devices = matches!(response.status, 300..=399 | 403 | 407 | 451 | 500.. );
    wanted.has_status(response.status)
        && is_content(target, response)
        && (!of_devices || !wanted.json.is_empty() && wanted.has_body(&response.body))
}

/// Whether it is what an API answers, where that is known; any status that is wanted will do of any other.
fn is_content(target: &TargetFacts, response: &Response) -> bool {
    target.provider == Provider::Generic || is_json(response) || response.is_event_stream()
}

fn is_json(response: &Response) -> bool {
    serde_json::from_str::<serde_json::Value>(&response.body).is_ok_and(|body| body.is_object())
}

/// Whether it leads away, as a sign-in page does.
fn is_sign_in(response: &Response) -> bool {
    (300..400).contains(&response.status)
}
