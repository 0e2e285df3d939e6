//! What a proxy says, or does not say, where a tunnel is asked for; and a tunnel that is none. Logins are
//! `login`.

use super::case::{Case, Found, Needed, Seen, proxy_failure};
use super::portal::is_sign_in;
use super::{Author, Held};
use crate::cause::{Party, Status};
use crate::observation::{
    Change, Control, Failure, Login, ProxyFailure, ProxyKind, TlsKind, Trip, Trust,
};

rules! { RULES
    /// The proxy answers with a redirect instead of a tunnel, as sign-in pages do; programs cannot follow it.
    ProxyLoginRequired login_required,

    /// Inside of the tunnel a sign-in answers in the target's place, under no public certificate.
    ProxyLoginRequired sign_in_inside,

    /// The proxy answers CONNECT with 405 or 501, or a SOCKS request with reply 7 (RFC 1928 6).
    ProxyConnectUnsupported connect_unsupported,

    /// The proxy refuses the target (by a 4xx, by reply 2 of SOCKS, or in its own words), and gives an
    /// unrelated host the same answer.
    ProxyDeniesAll denies_all,

    /// The proxy refuses the target (by a 4xx, by reply 2 of SOCKS, or in its own words). Proven where it lets
    /// an unrelated host through.
    ProxyDenied denied,

    /// The proxy says that it could not resolve the name, or says of it what it says of a name that cannot
    /// exist. Proven where another route knows the name, probable for a provider's own; else the name may be
    /// wrong.
    ProxyDnsFailed dns_failed,

    /// The proxy answers 429 or 503, to an unrelated host too, and says nothing of what is behind it. Where
    /// there is no host to compare with, a 429 is still probably its own.
    ProxyOverloaded overloaded,

    /// With twice the time it answers: it is slow, or what is behind it.
    ProxySlow slow_beyond_the_timeout,

    /// The proxy is refused or left waiting behind it: by its own word, or since an unrelated host works
    /// through it. A firewall's where another route reaches the target; else it may be the provider's edge.
    ProxyUpstreamBlocked upstream_blocked,

    /// The proxy answers with an error (429, 5xx, or one of SOCKS) that says nothing more. Many do so for a
    /// site that is down: it is the proxy's where unrelated hosts get an error too, or where another route
    /// reaches the target.
    ProxyFailed failed,

    /// The proxy takes the connection and never answers, for an unrelated host neither. Without such a host it
    /// may be what is behind the proxy.
    ProxySilent silent,

    /// The proxy closes or resets the connection instead of an answer. Proven where an unrelated host meets the
    /// same, probable where one gets through; without one, a device before the proxy may do it.
    ProxyCloses closes,

    /// A tunnel is opened, and what speaks TLS at its end has a certificate for other names, while another route
    /// shows the right one, or the proxy lets unrelated hosts' own certificates through.
    ProxyWrongUpstream wrong_upstream,

    /// The proxy opens a tunnel in which no TLS comes back or the handshake is cut, for an unrelated host too.
    ProxyTunnelBroken tunnel_broken,
}

fn login_required(case: &Case<'_>) -> Held {
    is(case, |failure| failure.kind == ProxyKind::Redirect)
}

fn sign_in_inside(case: &Case<'_>) -> Held {
    if !case.proxied() {
        return Ok(None);
    }
    match case.answer() {
        Some((response, _, Author::Middlebox)) if is_sign_in(response, &case.target().host) => {
            Found::high().yes()
        }
        Some(_) | None => Ok(None),
    }
}

fn connect_unsupported(case: &Case<'_>) -> Held {
    is(case, |failure| matches!(failure.status, Some(405 | 501)) || failure.socks == Some(7))
}

pub(super) fn is(case: &Case<'_>, holds: impl Fn(&ProxyFailure) -> bool) -> Held {
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
    match case.control_tunnel()?.failed().and_then(answer_of) {
        Some(other) if other == status => {
            Found::with(case.when_control_fails()).by(Control::ControlTunnel).yes()
        }
        Some(_) | None => Ok(None),
    }
}

fn denied(case: &Case<'_>) -> Held {
    if refusal(case).is_none() {
        return Ok(None);
    }
    match case.control_tunnel()? {
        Seen::Passed(_) => Found::high().by(Control::ControlTunnel).yes(),
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
pub(super) fn may_be_the_name(failure: &ProxyFailure) -> bool {
    let squid = |(name, value): &(String, String)| {
        name == "x-squid-error" && value.starts_with("ERR_CANNOT_FORWARD")
    };
    let silent_of_it = failure.headers.iter().all(|(name, _)| !name.starts_with("x-squid"));
    let bare = matches!(failure.status, Some(500 | 502 | 504)) && silent_of_it;
    matches!(failure.socks, Some(1 | 4))
        || failure.headers.iter().any(squid)
        || bare && !could_not_connect(failure)
}

/// Whether the proxy, told the address that an independent resolver has, fails in the same way: then it is not
/// the name. Read where it was asked for, and never asked for.
pub(super) fn fails_by_address(case: &Case<'_>) -> bool {
    let Some(Ok(trip)) = case.outcome(Change::OtherResolver).map(|outcome| &outcome.result) else {
        return false;
    };
    let named = trip.resolved_here.as_ref().is_some_and(|here| here.failure().is_none());
    let same = || answer_of(trip).is_some() && answer_of(trip) == answer_of(case.trip());
    named && same()
}

/// An answer that says nothing of names, though some proxies have no other one for them.
fn is_bare(failure: &ProxyFailure) -> bool {
    failure.socks == Some(1)
        || failure.status.is_some()
            && failure
                .headers
                .iter()
                .all(|(name, _)| !name.starts_with("x-squid") && name != "proxy-status")
}

/// Whether the proxy says the same of a name that cannot exist, and lets an unrelated host through.
pub(super) fn says_so_of_no_name(case: &Case<'_>, failure: &ProxyFailure) -> Result<bool, Needed> {
    if !may_be_the_name(failure) {
        return Ok(false);
    }
    case.ask_for(&[Change::RandomTunnel, Change::OtherResolver])?;
    if !case.control_tunnel()?.passed() {
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
    let known =
        |other: &Case<'_>| other.reached() || direct(other) && !other.trip().legs.is_empty();
    if !is_bare(&failure) && failure.socks != Some(4) && case.others().any(|other| known(&other)) {
        return Found::high().by_other_route().yes();
    }
    match case.seen(Change::OtherResolver)? {
        Seen::Passed(_) => return Found::high().by(Control::OtherResolver).yes(),
        // By its address it is not reached either, or by nobody's word has it one.
        Seen::Failed(trip) => {
            let unnamed = trip.resolved_here.as_ref().is_some_and(|here| here.failure().is_some());
            let unreached = proxy_failure(trip)
                .is_some_and(|failure| could_not_connect(&failure) || may_be_the_name(&failure));
            if !unnamed && unreached && !could_not_resolve(&failure) {
                return Ok(None);
            }
        }
        Seen::Nothing if is_bare(&failure) => return Ok(None),
        Seen::Nothing => {}
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
    match case.control_tunnel()? {
        Seen::Failed(control) if answer_of(control) == Some(status) => {
            Found::with(case.when_control_fails()).by(Control::ControlTunnel).yes()
        }
        Seen::Nothing if status == 429 => Found::medium().yes(),
        Seen::Failed(_) | Seen::Passed(_) | Seen::Nothing => Ok(None),
    }
}

fn slow_beyond_the_timeout(case: &Case<'_>) -> Held {
    if case.proxy().is_none_or(|failure| failure.kind != ProxyKind::Timeout) {
        return Ok(None);
    }
    let answered = |trip: &Trip| trip.legs.iter().any(|leg| leg.tunnelled.is_some());
    match case.seen(Change::LongerTimeout)?.trip() {
        Some(trip) if answered(trip) => {
            Found::high().status(Status::Broken).by(Control::LongerTimeout).yes()
        }
        Some(_) | None => Ok(None),
    }
}

fn upstream_blocked(case: &Case<'_>) -> Held {
    let Some(failure) = case.proxy() else { return Ok(None) };
    let told = could_not_connect(&failure);
    let says_so = told || fails_by_address(case);
    let waited = failure.kind == ProxyKind::Timeout;
    if !says_so && !waited && !matches!(failure.status, Some(503 | 504)) {
        return Ok(None);
    }
    match case.control_tunnel()? {
        Seen::Passed(_) if case.other_route_arrives() => {
            Found::high().party(Party::Firewall).by(Control::ControlTunnel).yes()
        }
        Seen::Passed(_) => Found::undetermined().by(Control::ControlTunnel).yes(),
        // Of every host it says so: its own way out.
        Seen::Failed(control)
            if answer_of(control) == failure.answer() && (!told || failure.socks == Some(4)) =>
        {
            Ok(None)
        }
        Seen::Failed(_) | Seen::Nothing if told => Found::undetermined().yes(),
        Seen::Failed(_) | Seen::Nothing => Ok(None),
    }
}

fn failed(case: &Case<'_>) -> Held {
    let Some(failure) = case.proxy() else { return Ok(None) };
    if !is_server_error(failure.answer()) {
        return Ok(None);
    }
    match case.control_tunnel()? {
        Seen::Failed(control) if is_server_error(answer_of(control)) => {
            Found::with(case.when_control_fails()).by(Control::ControlTunnel).yes()
        }
        Seen::Passed(_) | Seen::Failed(_) | Seen::Nothing if case.other_route_arrives() => {
            Found::medium().by_other_route().yes()
        }
        Seen::Passed(_) => Found::undetermined().by(Control::ControlTunnel).yes(),
        Seen::Failed(_) | Seen::Nothing => Found::undetermined().yes(),
    }
}

/// No answer, or one without an end.
fn is_incomplete(failure: &ProxyFailure) -> bool {
    let endless = failure.kind == ProxyKind::Other && failure.status.is_none();
    failure.kind == ProxyKind::Timeout || endless && failure.login == Login::None
}

fn silent(case: &Case<'_>) -> Held {
    match case.proxy() {
        Some(failure) if is_incomplete(&failure) => match case.control_tunnel()? {
            Seen::Failed(control) if kind_of(control) == Some(failure.kind) => {
                Found::with(case.when_control_fails()).by(Control::ControlTunnel).yes()
            }
            Seen::Passed(_) => Ok(None),
            Seen::Failed(_) | Seen::Nothing => Found::undetermined().yes(),
        },
        _ => Ok(None),
    }
}

fn closes(case: &Case<'_>) -> Held {
    match case.proxy() {
        Some(failure) if is_cut_off(failure.kind) => match case.control_tunnel()? {
            Seen::Failed(control) if kind_of(control).is_some_and(is_cut_off) => {
                Found::with(case.when_control_fails()).by(Control::ControlTunnel).yes()
            }
            Seen::Passed(_) => Found::medium().by(Control::ControlTunnel).yes(),
            Seen::Failed(_) | Seen::Nothing => Found::undetermined().yes(),
        },
        _ => Ok(None),
    }
}

fn wrong_upstream(case: &Case<'_>) -> Held {
    let Some((_, failure)) = case.tls().filter(|_| case.proxied()) else { return Ok(None) };
    let foreign =
        matches!(failure.kind, TlsKind::WrongName | TlsKind::UnknownIssuer | TlsKind::SelfSigned);
    let Some(chain) = case.chain().filter(|_| foreign) else { return Ok(None) };
    let is_named = |name: &String| {
        let host = &case.target().host;
        let wild = name.strip_prefix("*.");
        name.eq_ignore_ascii_case(host)
            || wild.is_some_and(|rest| host.split_once('.').is_some_and(|(_, h)| h == rest))
    };
    if chain.leaf().is_none_or(|leaf| leaf.names.iter().any(is_named)) {
        return Ok(None);
    }
    if !case.other_route_is_public() {
        return Ok(None);
    }
    if chain.is_public() {
        return Found::high().by_other_route().yes();
    }
    let theirs = case.control_host()?.trip().and_then(Trip::leading);
    match theirs.and_then(|leg| leg.chain.as_ref()).map(|chain| chain.trust()) {
        Some(Trust::Public) => Found::medium().by_other_route().yes(),
        Some(Trust::System | Trust::Organisation | Trust::None) | None => Ok(None),
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
