//! Wrong on this host: nothing left it, or its own settings lead astray.

use super::Held;
use super::case::{Case, Found, Seen};
use crate::observation::{Failure, LocalKind, Source, TlsKind, Trip};

rules! { RULES
    /// No query could be sent: resolv.conf names no server that can be used.
    LocalResolverMissing resolver_missing,

    /// The kernel refused at once, or an ICMP error came from an address of this host.
    LocalPolicyDenied policy_denied,

    /// No port, descriptor or buffer was left.
    LocalResourcesExhausted resources_exhausted,

    /// This host's own stack gave up on the neighbour, for the target and for an unrelated host alike.
    /// A target on the same link that is down looks the same, and is not the gateway.
    LocalGatewayDead gateway_dead,

    /// The kernel knows no way and said so at once; nothing was sent.
    LocalNoRoute no_route,

    /// The target's certificate is outside its dates, and so are those of an unrelated host.
    LocalClockSkew clock_skew,

    /// The address came from the hosts file and does not work; DNS gives another one that does.
    LocalHostsOverride hosts_override,
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
    if !is_silent_neighbour(case.trip()) || case.proxied() {
        return Ok(None);
    }
    match case.control_shows()? {
        Seen::Failed(control) if is_silent_neighbour(control) => {
            Found::high().by(crate::observation::Control::ControlHost).yes()
        }
        Seen::Failed(_) | Seen::Passed(_) => Ok(None),
        Seen::Nothing => Found::undetermined().yes(),
    }
}

fn is_silent_neighbour(trip: &Trip) -> bool {
    matches!(trip.failure(), Some(Failure::Local(local))
        if local.kind == LocalKind::NoRoute && local.icmp.is_some())
}

fn no_route(case: &Case<'_>) -> Held {
    match case.local() {
        Some(local) if local.kind == LocalKind::NoRoute && local.icmp.is_none() => {
            Found::high().yes()
        }
        _ => Ok(None),
    }
}

fn clock_skew(case: &Case<'_>) -> Held {
    if !is_dated(case.trip()) {
        return Ok(None);
    }
    match case.control_shows()? {
        Seen::Failed(control) if is_dated(control) => {
            Found::high().by(crate::observation::Control::ControlHost).yes()
        }
        Seen::Failed(_) | Seen::Passed(_) | Seen::Nothing => Ok(None),
    }
}

fn is_dated(trip: &Trip) -> bool {
    matches!(trip.failure(), Some(Failure::Tls(tls))
        if matches!(tls.kind, TlsKind::Expired | TlsKind::NotYetValid))
}

fn hosts_override(case: &Case<'_>) -> Held {
    if case.trip().lookup.source != Source::Hosts || case.stopped().is_none() {
        return Ok(None);
    }
    if case.other_address_works()? {
        return Found::high().by(crate::observation::Control::OtherResolver).yes();
    }
    Ok(None)
}
