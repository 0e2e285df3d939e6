//! What a TTL walk proves: whether it is one of our own routers that stops what is sent.

use std::net::IpAddr;

use super::Confidence;
use super::case::{Case, Found, Needed};
use crate::cause::Party;
use crate::observation::{Came, Change, Class, Control, Leg, Place, Sent, Stopper, Trip, stopper};

/// Who stops what a walk sent; none where the trip was no walk.
pub(super) fn walked(trip: &Trip) -> Option<Stopper> {
    let hops = &trip.legs.first()?.hops;
    let sent = if hops.iter().any(|hop| hop.sent == Sent::Hello) { Sent::Hello } else { Sent::Syn };
    (!hops.is_empty()).then(|| stopper(hops, sent, None))
}

/// The firewall, where the hops show that it is one of ours: named by its own ICMP error, or between
/// two routers of ours that follow each other.
pub(super) fn our_firewall(
    case: &Case<'_>,
    leg: &Leg,
    sent: Sent,
) -> Result<Option<Found>, Needed> {
    let found = Found::high().party(Party::Firewall).by(Control::TtlWalk);
    let Some(trip) = case.seen(Change::TtlWalk(leg.address, sent))?.trip() else { return Ok(None) };
    Ok(match walked(trip) {
        Some(Stopper::Named(icmp)) => {
            let foreign = !icmp.own && icmp.offender != leg.address.ip();
            (foreign && icmp.is_prohibition()).then_some(found)
        }
        // Private addresses are ours, mostly: carriers have some too.
        Some(Stopper::OnTheWay(place)) => {
            is_ours(trip, place).then(|| found.at_most(Confidence::Medium))
        }
        Some(Stopper::Nobody | Stopper::FarEnd(_) | Stopper::Silence(_) | Stopper::CannotTell)
        | None => None,
    })
}

/// Whether the packet passed a router of ours and did not pass the next, which is ours as well. What
/// stands behind our last router may be the next network's.
fn is_ours(trip: &Trip, place: Place) -> bool {
    let next = place.before.filter(|before| *before == place.after + 1).and_then(|before| {
        let hops = trip.legs.iter().flat_map(|leg| &leg.hops);
        let mut died = hops.filter(|hop| hop.sent == Sent::Syn && hop.ttl == before);
        died.find_map(|hop| match hop.came {
            Came::Expired(icmp) => icmp.map(|icmp| icmp.offender),
            Came::Rejected(_)
            | Came::Reset
            | Came::Answered
            | Came::Closed
            | Came::Nothing
            | Came::NotSent => None,
        })
    });
    let ours =
        |router: Option<IpAddr>| router.is_some_and(|router| Class::of(router) == Class::Private);
    ours(next) && (place.after == 0 || ours(place.router))
}

/// A stopper, for people.
pub(super) fn words(stopper: Stopper) -> String {
    match stopper {
        Stopper::Nobody => "answered".to_owned(),
        Stopper::Named(icmp) => {
            format!("refused by {}, ICMP {}/{}", icmp.offender, icmp.kind, icmp.code)
        }
        Stopper::OnTheWay(place) => format!("stopped {}, before the far end", at(place)),
        Stopper::FarEnd(place) => format!("stopped {}, at the far end or just before", at(place)),
        Stopper::Silence(place) => format!("silence {}", at(place)),
        Stopper::CannotTell => "the hops do not tell".to_owned(),
    }
}

fn at(place: Place) -> String {
    match (place.router, place.after) {
        (Some(router), after) => format!("after hop {after} ({router})"),
        (None, 0) => "before the first hop".to_owned(),
        (None, after) => format!("after hop {after}"),
    }
}
