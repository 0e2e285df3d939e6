//! What a TTL walk proves: whether it is one of our own routers that stops what is sent.

use super::Confidence;
use super::case::{Case, Found, Needed};
use crate::cause::Party;
use crate::observation::{Change, Class, Control, Leg, Place, Sent, Stopper, Trip, stopper};

/// Who stops what a walk sent; none where the trip was no walk.
pub(super) fn walked(trip: &Trip) -> Option<Stopper> {
    let hops = &trip.legs.first()?.hops;
    let sent = if hops.iter().any(|hop| hop.sent == Sent::Hello) { Sent::Hello } else { Sent::Syn };
    (!hops.is_empty()).then(|| stopper(hops, sent, None))
}

/// The firewall, where the hops show that it is one of ours: named by its own ICMP error, or between
/// this host and a far end that is still farther away than a router of ours.
pub(super) fn our_firewall(
    case: &Case<'_>,
    leg: &Leg,
    sent: Sent,
) -> Result<Option<Found>, Needed> {
    let found = Found::high().party(Party::Firewall).by(Control::TtlWalk);
    let stopper = case.seen(Change::TtlWalk(leg.address, sent))?.trip().and_then(walked);
    Ok(match stopper {
        Some(Stopper::Named(icmp)) => {
            let foreign = !icmp.own && icmp.offender != leg.address.ip();
            (foreign && icmp.is_prohibition()).then_some(found)
        }
        Some(Stopper::OnTheWay(place)) => {
            // What stands right behind our last router may be the next network's.
            is_ours(place).then(|| found.at_most(Confidence::Medium))
        }
        Some(Stopper::Nobody | Stopper::FarEnd(_) | Stopper::Silence(_) | Stopper::CannotTell)
        | None => None,
    })
}

/// A router lets a packet die before its rules see it: the last that did may be the one that stops.
fn is_ours(place: Place) -> bool {
    match place.router {
        Some(router) => Class::of(router) == Class::Private,
        None => place.after == 0,
    }
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
