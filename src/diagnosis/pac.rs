//! The PAC file of a route: it cannot be had, it gives no way, or the way that it names first is dead.

use super::Held;
use super::case::{Case, Found};
use crate::cause::Status;
use crate::observation::{DnsKind, Failure, LocalKind, PacFailure, ProxyKind, TcpKind};

rules! { RULES
    /// The PAC file cannot be had. Proven where a file system, or a server that answers, says that it is not
    /// there; a server that fails with a 5xx, or is not reached, leaves open who has to act.
    PacUnavailable unavailable,

    /// The PAC file was had and names no way: it does not parse, throws, does not end, or returns nonsense.
    /// Where it only was not decided in time, a server or a resolver that was waited for may be slow, and
    /// nobody is named.
    PacInvalid invalid,

    /// A proxy that the PAC file puts first has a name without an address, and the entry that was taken after
    /// it did not get as far as a connection.
    ProxyNameUnresolvable tail_of_unknown,

    /// A proxy that the PAC file puts first refuses connections, and the entry that was taken after it did not
    /// get as far as a connection.
    ProxyDown tail_of_down,

    /// A proxy that the PAC file puts first is not reached (no answer, a reset, or an ICMP error), and the
    /// entry that was taken after it did not get as far as a connection.
    ProxyUnreachable tail_of_unreachable,
}

rules! { FACTS
    /// A proxy that the PAC file puts first has a name without an address, and the trip arrived by a later
    /// entry.
    ProxyNameUnresolvable first_is_unknown,

    /// A proxy that the PAC file puts first refuses connections, and the trip arrived by a later entry.
    ProxyDown first_is_down,

    /// A proxy that the PAC file puts first is not reached (no answer, a reset, or an ICMP error), and the trip
    /// arrived by a later entry.
    ProxyUnreachable first_is_unreachable,
}

fn stop<'a>(case: &Case<'a>) -> Option<&'a PacFailure> {
    case.trip().pac.as_ref()?.stop.as_ref()
}

fn unavailable(case: &Case<'_>) -> Held {
    match stop(case) {
        Some(PacFailure::Unavailable { failure: None, status, .. }) => match status {
            Some(500..=599) => Found::undetermined().yes(),
            Some(_) | None => Found::high().yes(),
        },
        Some(PacFailure::Unavailable { failure: Some(_), .. }) => Found::undetermined().yes(),
        Some(PacFailure::Invalid(_) | PacFailure::Undecided(_)) | None => Ok(None),
    }
}

fn invalid(case: &Case<'_>) -> Held {
    match stop(case) {
        Some(PacFailure::Invalid(_)) => Found::high().yes(),
        Some(PacFailure::Undecided(_)) => Found::undetermined().yes(),
        Some(PacFailure::Unavailable { .. }) | None => Ok(None),
    }
}

/// How the proxy of an entry was not reached.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Dead {
    Unknown,
    Down,
    Unreachable,
}

/// The first entry whose proxy was not reached; the next one was tried then, as other clients do it.
fn first_dead<'a>(case: &Case<'a>) -> Option<(&'a str, Dead)> {
    let pac = case.trip().pac.as_ref()?;
    pac.skipped.iter().find_map(|skipped| {
        let dead = dead(case, skipped.failure.as_ref()?)?;
        Some((skipped.entry.as_str(), dead))
    })
}

/// A neighbour that is silent, or an address without a route, is the proxy's own fault only where the
/// direct way does not end so too: then it is this host's gateway, or its routes.
fn dead(case: &Case<'_>, failure: &Failure) -> Option<Dead> {
    match failure {
        Failure::Local(local) if local.kind == LocalKind::NoRoute => {
            let everything = !case.proxied()
                && case.local().is_some_and(|local| local.kind == LocalKind::NoRoute);
            (!everything).then_some(Dead::Unreachable)
        }
        Failure::Proxy(proxy) => match proxy.inner.as_deref()? {
            Failure::Dns(dns) if resolver_fails(case, dns.kind) => None,
            Failure::Dns(_) => Some(Dead::Unknown),
            Failure::Tcp(tcp) if tcp.kind == TcpKind::Refused && tcp.icmp.is_none() => {
                Some(Dead::Down)
            }
            Failure::Tcp(_) => Some(Dead::Unreachable),
            Failure::Local(_) | Failure::Proxy(_) | Failure::Tls(_) | Failure::Http(_) => None,
        },
        Failure::Local(_)
        | Failure::Dns(_)
        | Failure::Tcp(_)
        | Failure::Tls(_)
        | Failure::Http(_) => None,
    }
}

/// Whether the look-up of the chosen entry failed in the same way, and not by a denial, which is about
/// one name.
fn resolver_fails(case: &Case<'_>, kind: DnsKind) -> bool {
    let denied = matches!(kind, DnsKind::Nxdomain | DnsKind::Nodata);
    !denied && case.lookup_failure().is_some_and(|(_, failure)| failure.kind == kind)
}

/// Whether the entry that was chosen ended before a connection, directly or with its own proxy.
fn ended_early(case: &Case<'_>) -> bool {
    match case.trip().failure() {
        Some(Failure::Local(_) | Failure::Dns(_) | Failure::Tcp(_)) => true,
        Some(Failure::Proxy(failure)) => {
            matches!(failure.kind, ProxyKind::Resolve | ProxyKind::Connect)
        }
        Some(Failure::Tls(_) | Failure::Http(_)) | None => false,
    }
}

/// A proxy that comes first is dead, and what comes after it leads nowhere, as in a network that is
/// closed on purpose: the file means the proxy to be used.
fn tail_fails(case: &Case<'_>, how: Dead) -> Held {
    match first_dead(case).filter(|(_, dead)| *dead == how && ended_early(case)) {
        Some((entry, _)) => Found::medium().proxy(entry).yes(),
        None => Ok(None),
    }
}

fn tail_of_unknown(case: &Case<'_>) -> Held {
    tail_fails(case, Dead::Unknown)
}

fn tail_of_down(case: &Case<'_>) -> Held {
    tail_fails(case, Dead::Down)
}

fn tail_of_unreachable(case: &Case<'_>) -> Held {
    tail_fails(case, Dead::Unreachable)
}

/// A proxy that comes first is dead, and the trip went on by a later entry.
fn passed_over(case: &Case<'_>, how: Dead) -> Held {
    match first_dead(case).filter(|(_, dead)| *dead == how && case.trip().arrived()) {
        Some((entry, _)) => Found::medium().status(Status::Degraded).proxy(entry).yes(),
        None => Ok(None),
    }
}

fn first_is_unknown(case: &Case<'_>) -> Held {
    passed_over(case, Dead::Unknown)
}

fn first_is_down(case: &Case<'_>) -> Held {
    passed_over(case, Dead::Down)
}

fn first_is_unreachable(case: &Case<'_>) -> Held {
    passed_over(case, Dead::Unreachable)
}
