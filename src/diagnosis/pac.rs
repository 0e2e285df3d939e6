//! The PAC file of a route: it cannot be had, it gives no way, or the way that it names first is dead.

use super::case::{Case, Found, rule};
use super::{Held, Rule};
use crate::cause::{Cause, Status};
use crate::observation::{Failure, PacFailure, TcpKind};

pub(super) const RULES: &[Rule] =
    &[rule(Cause::PacUnavailable, unavailable), rule(Cause::PacInvalid, invalid)];

pub(super) const FACTS: &[Rule] = &[
    rule(Cause::ProxyNameUnresolvable, first_is_unknown),
    rule(Cause::ProxyDown, first_is_down),
    rule(Cause::ProxyUnreachable, first_is_unreachable),
];

fn stop<'a>(case: &Case<'a>) -> Option<&'a PacFailure> {
    case.trip().pac.as_ref()?.stop.as_ref()
}

/// The file cannot be had. That there is none is said by a file system, or by a server that answers;
/// what stops the way to the server is not told apart here.
fn unavailable(case: &Case<'_>) -> Held {
    match stop(case) {
        Some(PacFailure::Unavailable { failure: None, status, .. }) => match status {
            Some(500..=599) => Found::undetermined().yes(),
            Some(_) | None => Found::high().yes(),
        },
        Some(PacFailure::Unavailable { failure: Some(_), .. }) => Found::undetermined().yes(),
        Some(PacFailure::Invalid(_)) | None => Ok(None),
    }
}

/// The file was had, and gives no way.
fn invalid(case: &Case<'_>) -> Held {
    match stop(case) {
        Some(PacFailure::Invalid(_)) => Found::high().yes(),
        Some(PacFailure::Unavailable { .. }) | None => Ok(None),
    }
}

/// The first entry that was passed over in this way; the trip went on by a later one.
fn passed_over(case: &Case<'_>, alike: impl Fn(&Failure) -> bool) -> Held {
    let Some(pac) = case.trip().pac.as_ref().filter(|_| case.trip().arrived()) else {
        return Ok(None);
    };
    let inner = |failure: &Failure| match failure {
        Failure::Proxy(proxy) => proxy.inner.as_deref().is_some_and(&alike),
        Failure::Local(_)
        | Failure::Dns(_)
        | Failure::Tcp(_)
        | Failure::Tls(_)
        | Failure::Http(_) => false,
    };
    let dead = pac.skipped.iter().find(|entry| entry.failure.as_ref().is_some_and(inner));
    match dead {
        Some(dead) => Found::medium().status(Status::Degraded).proxy(&dead.entry).yes(),
        None => Ok(None),
    }
}

/// The name of a proxy that comes first has no address.
fn first_is_unknown(case: &Case<'_>) -> Held {
    passed_over(case, |failure| matches!(failure, Failure::Dns(_)))
}

/// A proxy that comes first refuses connections.
fn first_is_down(case: &Case<'_>) -> Held {
    passed_over(
        case,
        |failure| matches!(failure, Failure::Tcp(tcp) if tcp.kind == TcpKind::Refused && tcp.icmp.is_none()),
    )
}

/// A proxy that comes first is not reached.
fn first_is_unreachable(case: &Case<'_>) -> Held {
    passed_over(
        case,
        |failure| matches!(failure, Failure::Tcp(tcp) if tcp.kind != TcpKind::Refused || tcp.icmp.is_some()),
    )
}
