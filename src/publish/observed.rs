//! What a check saw, for those who dig: the observation as it is, without the API's body, and what an address
//! says of itself. Keys may be added; those that others build on are in `api`.

use serde::Serialize;

use crate::diagnosis::sinkhole_of;
use crate::observation::{
    Asked, Chain, Class, Connected, Failure, Hop, Leg, Lookup, Pac, Parts, Range, Response,
    Secured, Socket, Trip, Tunnelled,
};

/// A trip.
#[derive(Debug, Serialize)]
pub(super) struct Observed<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    pac: Option<&'a Pac>,
    lookup: &'a Lookup,
    #[serde(skip_serializing_if = "Option::is_none")]
    resolved_here: Option<&'a Lookup>,
    addresses: Vec<Address>,
    legs: Vec<Walked<'a>>,
}

/// What an address of the answer is.
#[derive(Debug, Serialize)]
struct Address {
    address: String,
    class: &'static str,
    /// Whose filter answers with it.
    sinkhole: Option<&'static str>,
    /// Whether the provider publishes it as its own; null where it publishes none.
    published: Option<bool>,
}

/// A leg without the answer's body.
#[derive(Debug, Serialize)]
struct Walked<'a> {
    address: String,
    local: Option<String>,
    connected: Option<&'a Connected>,
    proxy_secured: Option<&'a Secured>,
    proxy_chain: Option<&'a Chain>,
    tunnelled: Option<&'a Tunnelled>,
    secured: Option<&'a Secured>,
    asked: Option<&'a Asked>,
    chain: Option<&'a Chain>,
    response: Option<Answer<'a>>,
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    hops: &'a [Hop],
    stop: Option<&'a Failure>,
}

#[derive(Debug, Serialize)]
struct Answer<'a> {
    status: u16,
    version: &'a str,
    marks: Vec<(&'a str, &'a str)>,
    redirect: Option<&'a str>,
    encoding: Option<&'a str>,
    length: u64,
    whole: bool,
    first_byte: f64,
    head: f64,
    body: f64,
    parts: &'a Parts,
    socket: Option<&'a Socket>,
}

impl<'a> Observed<'a> {
    /// The ranges are the target's: on a proxy route the addresses are the proxy's.
    pub(super) fn of(trip: &'a Trip, ranges: &[Range]) -> Self {
        let ranges = if trip.proxied { &[] } else { ranges };
        let address = |address| {
            let sinkhole = sinkhole_of(address);
            Address {
                address: format!("{address}"),
                class: sinkhole.map_or(Class::of(address).label(), |_| "sinkhole"),
                sinkhole,
                published: (!ranges.is_empty())
                    .then(|| ranges.iter().any(|range| range.contains(address))),
            }
        };
        Self {
            pac: trip.pac.as_ref(),
            lookup: &trip.lookup,
            resolved_here: trip.resolved_here.as_ref(),
            addresses: trip.lookup.addresses().into_iter().map(address).collect(),
            legs: trip.legs.iter().map(Walked::of).collect(),
        }
    }
}

impl<'a> Walked<'a> {
    fn of(leg: &'a Leg) -> Self {
        Self {
            address: leg.address.to_string(),
            local: leg.local.map(|local| local.to_string()),
            connected: leg.connected.as_ref(),
            proxy_secured: leg.proxy_secured.as_ref(),
            proxy_chain: leg.proxy_chain.as_deref(),
            tunnelled: leg.tunnelled.as_ref(),
            secured: leg.secured.as_ref(),
            asked: leg.asked.as_ref(),
            chain: leg.chain.as_deref(),
            response: leg.response.as_ref().map(Answer::of),
            hops: &leg.hops,
            stop: leg.stop.as_ref(),
        }
    }
}

/// Sign-in pages put tickets there.
fn without_query(location: &str) -> &str {
    location.split(['?', '#']).next().unwrap_or_default()
}

impl<'a> Answer<'a> {
    fn of(response: &'a Response) -> Self {
        Self {
            status: response.status,
            version: &response.version,
            marks: response.marks().collect(),
            redirect: response.redirect().map(|redirect| without_query(redirect.location)),
            encoding: response.encoding(),
            length: response.length,
            whole: response.whole,
            first_byte: response.first_byte,
            head: response.head_seconds,
            body: response.body_seconds,
            parts: &response.parts,
            socket: response.socket.as_ref(),
        }
    }
}
