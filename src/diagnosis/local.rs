//! Wrong on this host: nothing left it, or its own settings lead astray.

use jiff::Timestamp;

use super::Held;
use super::astray::{is_astray, is_nowhere};
use super::case::{Case, Found, Seen};
use crate::observation::{
    Chain, Change, Control, DnsKind, Failure, LocalKind, Response, Source, TcpKind, TlsKind, Trip,
    Trust,
};

rules! { RULES
    /// The name was not looked up, because `resolv.conf` names no name server that can be used and nobody
    /// answers at the address that stands in for one.
    LocalResolverMissing resolver_missing,

    /// This host's kernel refused to send (EACCES, EPERM), or an ICMP prohibition came from an address of this
    /// host itself.
    LocalPolicyDenied policy_denied,

    /// This host had no port, descriptor or buffer left for a connection.
    LocalResourcesExhausted resources_exhausted,

    /// Nobody answers this host on its link (ARP, neighbour discovery), for the target and for an unrelated
    /// host alike. Where there is no host to compare with, a target on the same link that is off looks the
    /// same, and nobody is named.
    LocalGatewayDead gateway_dead,

    /// The address came from the hosts file, and the trip to it failed; an independent resolver gives another
    /// address, which works.
    LocalHostsOverride hosts_override,

    /// This host's kernel has no route to the address and said so at once; nothing was sent.
    LocalNoRoute no_route,

    /// The target's certificate is outside its dates, and so is that of an unrelated host.
    LocalClockSkew clock_skew,

    /// The target's certificate is outside its dates by this host's clock and inside by that of an unrelated
    /// host, whose answer says another time.
    LocalClockSkew clock_disagrees,

}

fn resolver_missing(case: &Case<'_>) -> Held {
    is(case, LocalKind::NoResolver)
}

fn policy_denied(case: &Case<'_>) -> Held {
    is(case, LocalKind::PolicyDenied)
}

fn resources_exhausted(case: &Case<'_>) -> Held {
    is(case, LocalKind::ResourcesExhausted)
}

fn is(case: &Case<'_>, kind: LocalKind) -> Held {
    match case.local() {
        Some(local) if local.kind == kind => Found::high().yes(),
        _ => Ok(None),
    }
}

fn gateway_dead(case: &Case<'_>) -> Held {
    // The kernel gives a neighbour three seconds: a shorter trip ends before it does.
    let may_be = matches!(case.tcp(), Some((_, failure)) if failure.kind == TcpKind::Timeout);
    if !(is_silent_neighbour(case.trip()) || may_be) || case.proxied() {
        return Ok(None);
    }
    let again = case.repeat().is_some_and(is_silent_neighbour);
    match case.control_shows()? {
        Seen::Failed(control) if is_silent_neighbour(control) && (!may_be || again) => {
            Found::high().by(Control::ControlHost).yes()
        }
        Seen::Failed(_) | Seen::Passed(_) => Ok(None),
        Seen::Nothing if may_be => Ok(None),
        Seen::Nothing => Found::undetermined().yes(),
    }
}

fn is_silent_neighbour(trip: &Trip) -> bool {
    matches!(trip.failure(), Some(Failure::Local(local))
        if local.kind == LocalKind::NoRoute && local.icmp.is_some())
}

fn no_route(case: &Case<'_>) -> Held {
    match case.local() {
        // The other family was answered with what is no destination: that is what is wrong.
        Some(local)
            if local.kind == LocalKind::NoRoute
                && case.trip().lookup.addresses().into_iter().any(is_nowhere) =>
        {
            Ok(None)
        }
        Some(local) if local.kind == LocalKind::NoRoute && local.icmp.is_none() => {
            Found::high().yes()
        }
        _ => Ok(None),
    }
}

fn clock_skew(case: &Case<'_>) -> Held {
    if !is_dated(case.trip()) || clock_is_proven(case) {
        return Ok(None);
    }
    let Some((leg, control)) = case.trip().leading().zip(case.control_shows()?.failed()) else {
        return Ok(None);
    };
    if !is_dated(control) {
        return Ok(None);
    }
    // One who makes the certificates of all hosts on the way may have made them all too old.
    let theirs = control.leading().and_then(|leg| leg.chain.as_deref());
    let one_issuer = case.chain().zip(theirs).is_some_and(|(ours, theirs)| {
        !ours.is_public() && !theirs.is_public() && ours.top_issuer() == theirs.top_issuer()
    });
    if !one_issuer {
        return Found::high().by(Control::ControlHost).yes();
    }
    let behind = case.seen(Change::UntrustedHandshake(leg.address))?.trip();
    let date = behind.and_then(|trip| Some((trip, trip.leading()?.response.as_ref()?.date()?)));
    match date {
        Some((trip, date)) if is_off(trip, date) => {
            Found::high().by(Control::UntrustedHandshake).yes()
        }
        Some(_) => Ok(None),
        None => Found::undetermined().yes(),
    }
}

/// Whether another route shows a chain that is within its dates now.
fn clock_is_proven(case: &Case<'_>) -> bool {
    let valid = |chain: &Chain| chain.trust() != Trust::None;
    // A chain that is valid for years says nothing, where the answer under it has another date.
    let dated = |trip: &Trip| trip.leading()?.response.as_ref().and_then(Response::date);
    let agrees = |trip: &Trip| dated(trip).is_none_or(|date| !is_off(trip, date));
    case.others().any(|other| other.chain().is_some_and(valid) && agrees(other.trip()))
}

fn is_off(trip: &Trip, date: Timestamp) -> bool {
    (date.as_second() - trip.started.as_second()).abs() > TOLERANCE
}

/// Seconds that clocks may differ by without a fault: answers may come from caches.
const TOLERANCE: i64 = 600;

fn clock_disagrees(case: &Case<'_>) -> Held {
    if !is_dated(case.trip()) {
        return Ok(None);
    }
    let Some(control) = case.control_shows()?.trip() else { return Ok(None) };
    let their_clock =
        control.leading().and_then(|leg| leg.response.as_ref()).and_then(Response::date);
    let Some(theirs) = their_clock else { return Ok(None) };
    let off = is_off(control, theirs);
    let valid = case.chain().is_some_and(|chain| {
        let mut all = chain.certificates.iter();
        all.all(|cert| cert.not_before <= theirs && theirs <= cert.not_after)
    });
    if off && valid { Found::high().by(Control::ControlHost).yes() } else { Ok(None) }
}

fn is_dated(trip: &Trip) -> bool {
    matches!(trip.failure(), Some(Failure::Tls(tls))
        if matches!(tls.kind, TlsKind::Expired | TlsKind::NotYetValid))
}

fn hosts_override(case: &Case<'_>) -> Held {
    let unusable =
        case.lookup_failure().is_some_and(|(_, failure)| failure.kind == DnsKind::UnusableAddress);
    let astray = case.stopped().is_some_and(|(_, failure)| is_astray(failure));
    if case.trip().lookup.source != Source::Hosts || !astray && !unusable {
        return Ok(None);
    }
    let ours = case.trip().lookup.addresses();
    let another = |trip: &Trip| {
        let reached = trip.legs.iter().filter(|leg| leg.stop.is_none());
        reached.map(|leg| leg.address.ip()).any(|address| !ours.contains(&address))
    };
    match case.seen(Change::WithoutHosts)? {
        Seen::Passed(trip) if another(trip) => Found::high().by(Control::OtherResolver).yes(),
        // The name servers of this host may be silent themselves.
        Seen::Failed(_) if case.other_address_works()? => {
            Found::high().by(Control::OtherResolver).yes()
        }
        Seen::Passed(_) | Seen::Failed(_) | Seen::Nothing => Ok(None),
    }
}
