//! The way to the proxy, and what it says where a tunnel is asked for. Logins are `login`.

use super::Held;
use super::case::{Case, Found, Needed, Seen, proxy_failure};
use super::hops::our_firewall;
use crate::cause::Party;
use crate::observation::{
    Change, Control, Failure, LocalKind, ProxyFailure, ProxyKind, Sent, TcpKind, TlsKind, Trip,
};

rules! { RULES
    /// The proxy's own name has no address; other names have.
    ProxyNameUnresolvable name_unresolvable,

    /// The proxy's address answers with a reset, and no router of ours does in its place: nobody listens on
    /// that port.
    ProxyDown down,

    /// The proxy's address is silent, a hop says that it cannot be reached, or a router of ours stops the way.
    ProxyUnreachable unreachable,

    /// What answers does not speak what the configuration says: not HTTP, not SOCKS, not TLS.
    ProxyMisconfigured misconfigured,

    /// The handshake with the proxy itself fails: by what it shows for certain, else perhaps by a device
    /// before it.
    ProxyTlsFailed tls_failed,

    /// A redirect instead of a tunnel: programs cannot follow it.
    ProxyLoginRequired login_required,

    /// 405 or 501 to CONNECT, or reply 7 of SOCKS (RFC 1928 6).
    ProxyConnectUnsupported connect_unsupported,

    /// The proxy refuses an unrelated host in the same way.
    ProxyDeniesAll denies_all,

    /// The proxy refuses this target and lets an unrelated host through.
    ProxyDenied denied,

    /// The proxy could not resolve a name that exists: another route knows it, or it is the provider's own.
    ProxyDnsFailed dns_failed,

    /// 429 or 503 to every host, and no word of what is behind the proxy.
    ProxyOverloaded overloaded,

    /// The proxy is refused or left waiting behind it: by its own word, or for this target only. By a
    /// firewall, where another route reaches the target.
    ProxyUpstreamBlocked upstream_blocked,

    /// An error of the proxy that says nothing more. Many answer so for a site that is down: it is the
    /// proxy's where unrelated hosts get the same, or another route reaches the target.
    ProxyFailed failed,

    /// It takes CONNECT and never answers, for an unrelated host neither.
    ProxySilent silent,

    /// It closes or resets instead of an answer.
    ProxyCloses closes,

    /// A tunnel is opened and carries no handshake, for an unrelated host neither.
    ProxyTunnelBroken tunnel_broken,
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
        Some(_) => stopped_by_ours(case)?.unwrap_or_else(Found::medium).yes(),
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

fn login_required(case: &Case<'_>) -> Held {
    is(case, |failure| failure.kind == ProxyKind::Redirect)
}

fn connect_unsupported(case: &Case<'_>) -> Held {
    is(case, |failure| matches!(failure.status, Some(405 | 501)) || failure.socks == Some(7))
}

fn is(case: &Case<'_>, holds: impl Fn(&ProxyFailure) -> bool) -> Held {
    match case.proxy() {
        Some(failure) if holds(&failure) => Found::high().yes(),
        _ => Ok(None),
    }
}

/// A refusal: 403 and kin, 407 without a challenge or to a login that was shown, reply 2 of SOCKS, or what
/// the proxy calls one itself, for which RFC 9209 recommends 502 (2.3.5, and `http_request_denied`). A
/// login that went wrong in another way has a status too, and refuses nothing.
fn refusal(case: &Case<'_>) -> Option<u16> {
    let failure = case.proxy().filter(|failure| answers(failure.kind))?;
    let shown = failure.login.rejected_until().is_some();
    match (failure.status, failure.socks) {
        (_, Some(2)) => Some(2),
        (Some(status), _) if calls_it_denied(&failure) => Some(status),
        (Some(429), _) => None,
        (Some(407), _) if failure.asks_for_login() && !shown => None,
        (Some(status @ 400..=499), _) => Some(status),
        _ => None,
    }
}

fn answers(kind: ProxyKind) -> bool {
    matches!(kind, ProxyKind::Auth | ProxyKind::Status | ProxyKind::Redirect)
}

fn calls_it_denied(failure: &ProxyFailure) -> bool {
    says(failure, &["destination_ip_prohibited", "http_request_denied"])
}

/// Whether one of these errors is in the proxy's `Proxy-Status` (RFC 9209 2.1.2), each by its begin.
fn says(failure: &ProxyFailure, errors: &[&str]) -> bool {
    let headers = failure.headers.iter().filter(|(name, _)| name == "proxy-status");
    headers
        .into_iter()
        .any(|(_, value)| errors.iter().any(|error| value.contains(&format!("error={error}"))))
}

fn is_cut_off(kind: ProxyKind) -> bool {
    matches!(kind, ProxyKind::Closed | ProxyKind::Reset)
}

/// Something went wrong at the proxy or behind it (RFC 9110 15.6; RFC 1928 6).
fn is_server_error(answer: Option<u16>) -> bool {
    matches!(answer, Some(429 | 500..=599 | 1 | 3..=6 | 8))
}

fn kind_of(trip: &Trip) -> Option<ProxyKind> {
    proxy_failure(trip).map(|failure| failure.kind)
}

fn answer_of(trip: &Trip) -> Option<u16> {
    proxy_failure(trip)?.answer()
}

fn denies_all(case: &Case<'_>) -> Held {
    let Some(status) = refusal(case) else { return Ok(None) };
    match case.control_host()?.failed().and_then(answer_of) {
        Some(other) if other == status => {
            Found::with(case.when_control_fails()).by(Control::ControlHost).yes()
        }
        Some(_) | None => Ok(None),
    }
}

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
    let squid = |(name, value): &(String, String)| {
        name == "x-squid-error" && value.starts_with("ERR_DNS_FAIL")
    };
    says(failure, &["dns_error", "dns_timeout"]) || failure.headers.iter().any(squid)
}

/// Whether the proxy says that its own connection failed (RFC 9209 2.3.4, 2.3.6 to 2.3.9; squid; RFC 1928 6).
pub(super) fn could_not_connect(failure: &ProxyFailure) -> bool {
    let squid = |(name, value): &(String, String)| {
        name == "x-squid-error" && value.starts_with("ERR_CONNECT_FAIL")
    };
    // That one is the proxy's own, for lack of capacity (RFC 9209 2.3.12).
    let full = says(failure, &["connection_limit_reached"]);
    let errors = ["connection_", "destination_unavailable", "destination_ip_unroutable"];
    matches!(failure.socks, Some(3..=6))
        || says(failure, &errors) && !full
        || failure.headers.iter().any(squid)
}

/// Whether the proxy says what it says of names that it does not know, and of other things too: "cannot
/// forward" of squid (`FwdState.cc`), "host unreachable" of SOCKS.
fn may_be_the_name(failure: &ProxyFailure) -> bool {
    let squid = |(name, value): &(String, String)| {
        name == "x-squid-error" && value.starts_with("ERR_CANNOT_FORWARD")
    };
    failure.socks == Some(4) || failure.headers.iter().any(squid)
}

/// Whether the proxy says the same of a name that cannot exist, and lets an unrelated host through.
fn says_so_of_no_name(case: &Case<'_>, failure: &ProxyFailure) -> Result<bool, Needed> {
    if !may_be_the_name(failure) || !case.control_host()?.passed() {
        return Ok(false);
    }
    let same = |trip: &Trip| answer_of(trip) == failure.answer();
    Ok(case.seen(Change::RandomTunnel)?.failed().is_some_and(same))
}

fn dns_failed(case: &Case<'_>) -> Held {
    let Some(failure) = case.proxy() else { return Ok(None) };
    if !could_not_resolve(&failure) && !says_so_of_no_name(case, &failure)? {
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

fn overloaded(case: &Case<'_>) -> Held {
    let Some(failure) = case.proxy() else { return Ok(None) };
    let Some(status @ (429 | 503)) = failure.status else { return Ok(None) };
    if could_not_connect(&failure) || may_be_the_name(&failure) {
        return Ok(None);
    }
    match case.control_host()? {
        Seen::Failed(control) if answer_of(control) == Some(status) => {
            Found::with(case.when_control_fails()).by(Control::ControlHost).yes()
        }
        Seen::Nothing if status == 429 => Found::medium().yes(),
        Seen::Failed(_) | Seen::Passed(_) | Seen::Nothing => Ok(None),
    }
}

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
        // Of every host it says so: its own way out, or its resolver.
        Seen::Failed(control) if answer_of(control) == failure.answer() => Ok(None),
        Seen::Failed(_) | Seen::Nothing if says_so => Found::undetermined().yes(),
        Seen::Failed(_) | Seen::Nothing => Ok(None),
    }
}

fn failed(case: &Case<'_>) -> Held {
    let Some(failure) = case.proxy() else { return Ok(None) };
    if !is_server_error(failure.answer()) {
        return Ok(None);
    }
    match case.control_host()? {
        Seen::Failed(control) if is_server_error(answer_of(control)) => {
            Found::with(case.when_control_fails()).by(Control::ControlHost).yes()
        }
        Seen::Passed(_) | Seen::Failed(_) | Seen::Nothing if case.other_route_arrives() => {
            Found::medium().by_other_route().yes()
        }
        Seen::Passed(_) => Found::undetermined().by(Control::ControlHost).yes(),
        Seen::Failed(_) | Seen::Nothing => Found::undetermined().yes(),
    }
}

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
