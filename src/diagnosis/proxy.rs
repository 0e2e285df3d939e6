//! The way to the proxy, and what it says to CONNECT.

use super::case::{Case, Found, Seen, rule};
use super::{Held, Rule};
use crate::cause::{Cause, Party};
use crate::observation::{
    Control, Failure, LocalKind, ProxyFailure, ProxyKind, TcpKind, TlsKind, Trip,
};

pub(super) const RULES: &[Rule] = &[
    rule(Cause::ProxyNameUnresolvable, name_unresolvable),
    rule(Cause::ProxyDown, down),
    rule(Cause::ProxyUnreachable, unreachable),
    rule(Cause::ProxyMisconfigured, misconfigured),
    rule(Cause::ProxyAuthRequired, auth_required),
    rule(Cause::ProxyLoginRequired, login_required),
    rule(Cause::ProxyConnectUnsupported, connect_unsupported),
    rule(Cause::ProxyDeniesAll, denies_all),
    rule(Cause::ProxyDenied, denied),
    rule(Cause::ProxyDnsFailed, dns_failed),
    rule(Cause::ProxyOverloaded, overloaded),
    rule(Cause::ProxyUpstreamBlocked, upstream_blocked),
    rule(Cause::ProxyFailed, failed),
    rule(Cause::ProxySilent, silent),
    rule(Cause::ProxyCloses, closes),
    rule(Cause::ProxyTunnelBroken, tunnel_broken),
];

/// The proxy's own name has no address; other names have.
fn name_unresolvable(case: &Case<'_>) -> Held {
    match case.proxy() {
        Some(failure) if failure.kind == ProxyKind::Resolve => match case.control_name()? {
            Seen::Passed(_) => Found::high().by(Control::ControlName).yes(),
            Seen::Failed(_) | Seen::Nothing => Found::medium().yes(),
        },
        _ => Ok(None),
    }
}

/// The proxy's address answers with a reset: nobody listens on that port.
fn down(case: &Case<'_>) -> Held {
    match inner_tcp(case) {
        Some((TcpKind::Refused, false)) => Found::high().yes(),
        _ => Ok(None),
    }
}

/// The proxy's address is silent, or a hop says that it cannot be reached.
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
        Some(_) => Found::medium().yes(),
        None => Ok(None),
    }
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

/// What answers does not speak HTTP.
fn misconfigured(case: &Case<'_>) -> Held {
    is(case, |failure| failure.kind == ProxyKind::NotAProxy)
}

/// 407 with a challenge; no login is configured.
fn auth_required(case: &Case<'_>) -> Held {
    is(case, |failure| failure.kind == ProxyKind::Auth && challenges(failure))
}

fn challenges(failure: &ProxyFailure) -> bool {
    failure.headers.iter().any(|(name, _)| name == "proxy-authenticate")
}

/// A redirect instead of a tunnel: programs cannot follow it.
fn login_required(case: &Case<'_>) -> Held {
    is(case, |failure| failure.kind == ProxyKind::Redirect)
}

/// 405 or 501 to CONNECT.
fn connect_unsupported(case: &Case<'_>) -> Held {
    is(case, |failure| matches!(failure.status, Some(405 | 501)))
}

fn is(case: &Case<'_>, holds: impl Fn(&ProxyFailure) -> bool) -> Held {
    match case.proxy() {
        Some(failure) if holds(&failure) => Found::high().yes(),
        _ => Ok(None),
    }
}

/// A refusal: 403 and kin, or 407 without a challenge.
fn refusal(case: &Case<'_>) -> Option<u16> {
    let failure = case.proxy()?;
    match failure.status? {
        429 => None,
        407 if challenges(&failure) => None,
        status @ 400..=499 => Some(status),
        _ => None,
    }
}

fn is_cut_off(kind: ProxyKind) -> bool {
    matches!(kind, ProxyKind::Closed | ProxyKind::Reset)
}

fn is_server_error(status: Option<u16>) -> bool {
    matches!(status, Some(429 | 500..=599))
}

/// How a trip failed at the proxy, if it did.
fn kind_of(trip: &Trip) -> Option<ProxyKind> {
    match trip.failure()? {
        Failure::Proxy(failure) => Some(failure.kind),
        Failure::Local(_)
        | Failure::Dns(_)
        | Failure::Tcp(_)
        | Failure::Tls(_)
        | Failure::Http(_) => None,
    }
}

fn status_of(trip: &Trip) -> Option<u16> {
    match trip.failure()? {
        Failure::Proxy(failure) => failure.status,
        Failure::Local(_)
        | Failure::Dns(_)
        | Failure::Tcp(_)
        | Failure::Tls(_)
        | Failure::Http(_) => None,
    }
}

/// The proxy refuses an unrelated host in the same way.
fn denies_all(case: &Case<'_>) -> Held {
    let Some(status) = refusal(case) else { return Ok(None) };
    match case.control_host()?.failed().and_then(status_of) {
        Some(other) if other == status => {
            Found::with(case.when_control_fails()).by(Control::ControlHost).yes()
        }
        Some(_) | None => Ok(None),
    }
}

/// The proxy refuses this target and lets an unrelated host through.
fn denied(case: &Case<'_>) -> Held {
    if refusal(case).is_none() {
        return Ok(None);
    }
    match case.control_host()? {
        Seen::Passed(_) => Found::high().by(Control::ControlHost).yes(),
        Seen::Failed(_) | Seen::Nothing => Found::medium().yes(),
    }
}

/// Whether the proxy says that it could not resolve the name (RFC 9209 2.3.1, 2.3.2; squid).
pub(super) fn could_not_resolve(failure: &ProxyFailure) -> bool {
    failure.headers.iter().any(|(name, value)| match name.as_str() {
        "proxy-status" => value.contains("error=dns_error") || value.contains("error=dns_timeout"),
        "x-squid-error" => value.starts_with("ERR_DNS_FAIL"),
        _ => false,
    })
}

/// Whether the proxy says that its own connection failed (RFC 9209 2.3.4, 2.3.6 to 2.3.9; squid).
pub(super) fn could_not_connect(failure: &ProxyFailure) -> bool {
    failure.headers.iter().any(|(name, value)| match name.as_str() {
        "proxy-status" => ["connection_", "destination_unavailable", "destination_ip_unroutable"]
            .iter()
            .any(|error| value.contains(&format!("error={error}"))),
        "x-squid-error" => value.starts_with("ERR_CONNECT_FAIL"),
        _ => false,
    })
}

/// The proxy could not resolve a name that exists: another route knows it, or it is the provider's own.
fn dns_failed(case: &Case<'_>) -> Held {
    if !case.proxy().is_some_and(|failure| could_not_resolve(&failure)) {
        return Ok(None);
    }
    let direct = |other: &Case<'_>| !other.proxied();
    if case.others().any(|other| other.reached() || direct(&other) && !other.trip().legs.is_empty())
    {
        return Found::high().by_other_route().yes();
    }
    let denied = case.others().any(|other| direct(&other) && other.lookup_failure().is_some());
    if !denied && case.target().provider.owns(&case.target().host) {
        return Found::medium().yes();
    }
    Found::undetermined().yes()
}

/// 429 or 503 to every host, and no word of what is behind the proxy.
fn overloaded(case: &Case<'_>) -> Held {
    let Some(failure) = case.proxy() else { return Ok(None) };
    let Some(status @ (429 | 503)) = failure.status else { return Ok(None) };
    if could_not_connect(&failure) {
        return Ok(None);
    }
    match case.control_host()? {
        Seen::Failed(control) if status_of(control) == Some(status) => {
            Found::with(case.when_control_fails()).by(Control::ControlHost).yes()
        }
        Seen::Nothing if status == 429 => Found::medium().yes(),
        Seen::Failed(_) | Seen::Passed(_) | Seen::Nothing => Ok(None),
    }
}

/// The proxy is refused or left waiting behind it: by its own word, or for this target only. By a
/// firewall, where another route reaches the target.
fn upstream_blocked(case: &Case<'_>) -> Held {
    let Some(failure) = case.proxy() else { return Ok(None) };
    let says_so = could_not_connect(&failure);
    let waited = failure.kind == ProxyKind::Timeout;
    if !says_so && !waited && !matches!(failure.status, Some(503 | 504)) {
        return Ok(None);
    }
    match case.control_host()? {
        Seen::Passed(_) if case.other_route_arrives() => {
            Found::high().party(Party::Firewall).by(Control::ControlHost).yes()
        }
        Seen::Passed(_) => Found::undetermined().by(Control::ControlHost).yes(),
        Seen::Failed(_) | Seen::Nothing if says_so => Found::undetermined().yes(),
        Seen::Failed(_) | Seen::Nothing => Ok(None),
    }
}

/// An error of the proxy that says nothing more. Many answer so for a site that is down: it is the
/// proxy's where unrelated hosts get the same, or another route reaches the target.
fn failed(case: &Case<'_>) -> Held {
    let Some(failure) = case.proxy() else { return Ok(None) };
    if !is_server_error(failure.status) {
        return Ok(None);
    }
    match case.control_host()? {
        Seen::Failed(control) if is_server_error(status_of(control)) => {
            Found::with(case.when_control_fails()).by(Control::ControlHost).yes()
        }
        Seen::Passed(_) | Seen::Failed(_) | Seen::Nothing if case.other_route_arrives() => {
            Found::medium().by_other_route().yes()
        }
        Seen::Passed(_) => Found::undetermined().by(Control::ControlHost).yes(),
        Seen::Failed(_) | Seen::Nothing => Found::undetermined().yes(),
    }
}

/// It takes CONNECT and never answers, for an unrelated host neither.
fn silent(case: &Case<'_>) -> Held {
    match case.proxy() {
        Some(failure) if failure.kind == ProxyKind::Timeout => match case.control_host()? {
            Seen::Failed(control) if kind_of(control) == Some(failure.kind) => {
                Found::with(case.when_control_fails()).by(Control::ControlHost).yes()
            }
            Seen::Passed(_) => Ok(None),
            Seen::Failed(_) | Seen::Nothing => Found::undetermined().yes(),
        },
        _ => Ok(None),
    }
}

/// It closes or resets instead of an answer.
fn closes(case: &Case<'_>) -> Held {
    match case.proxy() {
        Some(failure) if is_cut_off(failure.kind) => match case.control_host()? {
            Seen::Failed(control) if kind_of(control).is_some_and(is_cut_off) => {
                Found::with(case.when_control_fails()).by(Control::ControlHost).yes()
            }
            Seen::Passed(_) => Found::medium().by(Control::ControlHost).yes(),
            Seen::Failed(_) | Seen::Nothing => Found::undetermined().yes(),
        },
        _ => Ok(None),
    }
}

/// A tunnel is opened and carries no handshake, for an unrelated host neither.
fn tunnel_broken(case: &Case<'_>) -> Held {
    if !case.proxied() || !case.tls().is_some_and(|(_, failure)| is_cut(failure.kind)) {
        return Ok(None);
    }
    let cut = |trip: &Trip| matches!(trip.failure(), Some(Failure::Tls(tls)) if is_cut(tls.kind));
    match case.control_host()? {
        Seen::Failed(control) if cut(control) => {
            Found::with(case.when_control_fails()).by(Control::ControlHost).yes()
        }
        Seen::Failed(_) | Seen::Passed(_) | Seen::Nothing => Ok(None),
    }
}

fn is_cut(kind: TlsKind) -> bool {
    matches!(kind, TlsKind::Timeout | TlsKind::Reset | TlsKind::Closed | TlsKind::NotTls)
}
