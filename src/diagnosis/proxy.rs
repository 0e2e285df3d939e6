//! The way to the proxy: its name, its address, its own TLS. What it says then is `connect`.

use super::Held;
use super::case::{Case, Found, Needed, Seen};
use super::connect::is;
use super::hops::our_firewall;
use crate::cause::Party;
use crate::observation::{
    Control, Failure, LocalKind, ProxyFailure, ProxyKind, Sent, TcpKind, TlsKind,
};

rules! { RULES
    /// The proxy's own name has no address. Proven where an unrelated name has one.
    ProxyNameUnresolvable name_unresolvable,

    /// The proxy's address refuses the connection, and a walk hop by hop finds no other hop that does it in its
    /// place: nobody listens on that port.
    ProxyDown down,

    /// No connection to the proxy can be made. A firewall's where a hop says "prohibited" by ICMP or a walk hop
    /// by hop finds the hop that stops it; proven to be routing where a hop says so; else probably the
    /// network's.
    ProxyUnreachable unreachable,

    /// What answers at the proxy's address does not speak what the configuration says: not HTTP, not SOCKS, or
    /// not TLS.
    ProxyMisconfigured misconfigured,

    /// The handshake with the proxy itself fails. Proven by what it sends, as an alert or a certificate; where
    /// it only stays silent or closes, a device before it may do it.
    ProxyTlsFailed tls_failed,
}

fn name_unresolvable(case: &Case<'_>) -> Held {
    match case.proxy() {
        Some(failure) if failure.kind == ProxyKind::Resolve => match case.control_name()? {
            Seen::Passed(_) => Found::high().by(Control::ControlName).yes(),
            Seen::Failed(_) | Seen::Nothing => Found::medium().yes(),
        },
        _ => Ok(None),
    }
}

fn down(case: &Case<'_>) -> Held {
    match inner_tcp(case) {
        Some((TcpKind::Refused, false)) if stopped_by_ours(case)?.is_none() => Found::high().yes(),
        _ => Ok(None),
    }
}

/// The firewall of ours that stops the way to the proxy, where the hops show it.
fn stopped_by_ours(case: &Case<'_>) -> Result<Option<Found>, Needed> {
    match case.stopped() {
        Some((leg, _)) => our_firewall(case, leg, Sent::Syn),
        None => Ok(None),
    }
}

fn unreachable(case: &Case<'_>) -> Held {
    if case.proxied()
        && case
            .local()
            .is_some_and(|local| local.kind == LocalKind::NoRoute && local.icmp.is_some())
    {
        return Found::medium().yes();
    }
    match inner_tcp(case) {
        Some((TcpKind::IcmpProhibited, _)) => Found::high().party(Party::Firewall).yes(),
        Some((TcpKind::IcmpUnreachable, true)) => Found::high().yes(),
        Some((TcpKind::Timeout, _)) if address_is_reached(case) => {
            Found::high().party(Party::Firewall).by_other_route().yes()
        }
        Some(_) => stopped_by_ours(case)?.unwrap_or_else(Found::medium).yes(),
        None => Ok(None),
    }
}

/// Whether another route connects to the same address at another port: the way there is fine.
fn address_is_reached(case: &Case<'_>) -> bool {
    let Some((leg, _)) = case.stopped() else { return false };
    let legs = case.others().flat_map(|other| &other.trip().legs);
    let mut same = legs.filter(|other| other.address.ip() == leg.address.ip());
    same.any(|other| other.connected.is_some())
}

/// The failed connection to the proxy, and whether an ICMP error named its sender.
fn inner_tcp(case: &Case<'_>) -> Option<(TcpKind, bool)> {
    match *case.proxy()?.inner? {
        Failure::Tcp(failure) => Some((failure.kind, failure.icmp.is_some())),
        Failure::Local(_)
        | Failure::Dns(_)
        | Failure::Proxy(_)
        | Failure::Tls(_)
        | Failure::Http(_) => None,
    }
}

fn misconfigured(case: &Case<'_>) -> Held {
    is(case, |failure| {
        failure.kind == ProxyKind::NotAProxy || inner_tls(failure) == Some(TlsKind::NotTls)
    })
}

/// How the handshake with the proxy itself failed.
fn inner_tls(failure: &ProxyFailure) -> Option<TlsKind> {
    match failure.inner.as_deref()? {
        Failure::Tls(inner) => Some(inner.kind),
        Failure::Local(_)
        | Failure::Dns(_)
        | Failure::Tcp(_)
        | Failure::Proxy(_)
        | Failure::Http(_) => None,
    }
}

fn tls_failed(case: &Case<'_>) -> Held {
    let Some(failure) = case.proxy().filter(|failure| failure.kind == ProxyKind::Tls) else {
        return Ok(None);
    };
    match inner_tls(&failure) {
        Some(TlsKind::Timeout | TlsKind::Reset | TlsKind::Closed | TlsKind::Other) | None => {
            Found::undetermined().yes()
        }
        Some(kind) if kind.is_a_record() => Found::high().yes(),
        Some(_) => Found::medium().yes(),
    }
}
