//! An answer that did not come, or not whole.

use super::case::{Case, Found, Needed};
use super::{Held, Key};
use crate::cause::{Party, Status};
use crate::observation::{Change, Control, HttpFailure, HttpKind, Leg, Trust};

rules! { RULES
    /// HTTP/2 fails and HTTP/1.1 works on the same route. The edge's where every route shows it, and probably
    /// under a public chain, where nobody else sees which is spoken; the inspecting device's where another
    /// route is answered.
    H2Broken h2_broken,

    /// With twice the time the answer comes: it is slow, later than the timeout.
    OriginSlow slow_beyond_the_timeout,

    /// The request was sent, and nothing came back in time. Who is silent is said only of a request that was
    /// acknowledged, where no unrelated host fails: the API, or the proxy or inspecting device where the API
    /// answers on another route.
    OriginSilent silent,

    /// The connection was closed, reset or ended by HTTP/2 before an answer. The API's on every route, and
    /// probably under a public chain; the proxy's or the inspecting device's where the API answers on another
    /// route.
    OriginCloses closes,

    /// The answer stopped in its head or body. The API's on every route, and probably under a public chain; the
    /// proxy's or the inspecting device's where the API answers on another route.
    ResponseStalled stalled,

    /// The answer ended before its declared length, or inside a chunk. The API's on every route, and probably
    /// under a public chain; the proxy's or the inspecting device's where the API answers on another route.
    ResponseTruncated truncated,

    /// The answer is no HTTP, has conflicting framing, or a head or body without end. The API's on every route,
    /// and probably under a public chain; the proxy's or the inspecting device's where the API answers on
    /// another route.
    ResponseMalformed malformed,
}

fn stopped(case: &Case<'_>, kinds: &[HttpKind]) -> Held {
    match case.http() {
        Some((leg, failure)) if kinds.contains(&failure.kind) => whose(case, leg, failure),
        _ => Ok(None),
    }
}

/// Over a public chain only origin and edge can spoil an answer, and whoever ends or tunnels TLS: the
/// proxy or the inspecting device, where only that route does it.
fn whose(case: &Case<'_>, leg: &Leg, failure: &HttpFailure) -> Held {
    let trust = leg.chain.as_ref().map(|chain| chain.trust());
    let elsewhere = case.others().any(|other| other.answered_by_provider());
    let everywhere = case
        .every_route(|other| other.http().is_some_and(|(_, theirs)| theirs.kind == failure.kind));
    match trust {
        _ if elsewhere && case.proxied() => {
            Found::high().party(Party::Proxy).by_other_route().yes()
        }
        Some(Trust::System | Trust::Organisation) if elsewhere => {
            Found::high().party(Party::Inspection).by_other_route().yes()
        }
        // Nobody opened it, and something on this way alone spoils it.
        Some(Trust::Public) if elsewhere => {
            Found::medium().party(Party::Inspection).by_other_route().yes()
        }
        _ if everywhere => Found::high().by_other_route().yes(),
        Some(Trust::Public) => Found::medium().yes(),
        Some(Trust::System | Trust::Organisation | Trust::None) | None => {
            Found::undetermined().yes()
        }
    }
}

fn h2_broken(case: &Case<'_>) -> Held {
    match case.http() {
        Some((leg, failure)) if is_h2(leg) && may_be_h2(failure) => {
            if case.seen(Change::Http1)?.passed() && !passes_without_key(case)? {
                let everywhere =
                    case.every_route(|other| other.http().is_some_and(|(leg, _)| is_h2(leg)));
                let public = leg.chain.as_ref().is_some_and(|chain| chain.trust() == Trust::Public);
                let found = if everywhere {
                    Found::high().party(Party::Edge)
                } else if public {
                    Found::medium().party(Party::Edge)
                } else if case.others().any(|other| other.answered_by_provider()) {
                    Found::high()
                } else {
                    Found::undetermined()
                };
                return found.by(Control::Http1).yes();
            }
            Ok(None)
        }
        _ => Ok(None),
    }
}

/// Whether it is the key that makes the difference: no other control carries it.
fn passes_without_key(case: &Case<'_>) -> Result<bool, Needed> {
    let keyed = matches!(case.target().key, Key::InForce(_));
    Ok(keyed && case.seen(Change::NoKey)?.passed())
}

fn is_h2(leg: &Leg) -> bool {
    leg.secured.as_ref().is_some_and(|secured| secured.alpn == "h2")
}

fn may_be_h2(failure: &HttpFailure) -> bool {
    match failure.kind {
        HttpKind::H2
        | HttpKind::Closed
        | HttpKind::Reset
        | HttpKind::Timeout
        | HttpKind::Malformed => true,
        HttpKind::Stalled
        | HttpKind::Truncated
        | HttpKind::TooLarge
        | HttpKind::Redirect
        | HttpKind::Status4xx
        | HttpKind::Status5xx
        | HttpKind::UnexpectedBody
        | HttpKind::Other => false,
    }
}

fn slow_beyond_the_timeout(case: &Case<'_>) -> Held {
    let Some((leg, failure)) = case.http() else { return Ok(None) };
    if failure.kind != HttpKind::Timeout
        || !case.seen(Change::LongerTimeout)?.passed()
        || passes_without_key(case)?
    {
        return Ok(None);
    }
    let found = whose(case, leg, failure)?;
    Ok(found.map(|found| found.status(Status::Broken).by(Control::LongerTimeout)))
}

fn silent(case: &Case<'_>) -> Held {
    let Some((leg, failure)) = case.http() else { return Ok(None) };
    if failure.kind != HttpKind::Timeout {
        return Ok(None);
    }
    let arrived = failure.socket.is_none_or(|socket| socket.unacked == 0);
    if arrived && case.control_host()?.failed().is_none() {
        return whose(case, leg, failure);
    }
    Found::undetermined().yes()
}

fn closes(case: &Case<'_>) -> Held {
    if has_begun(case) {
        return Ok(None);
    }
    stopped(case, &[HttpKind::Closed, HttpKind::Reset, HttpKind::H2])
}

/// Whether the head of an answer had come.
fn has_begun(case: &Case<'_>) -> bool {
    case.http().is_some_and(|(leg, _)| leg.response.is_some())
}

fn stalled(case: &Case<'_>) -> Held {
    stopped(case, &[HttpKind::Stalled])
}

fn truncated(case: &Case<'_>) -> Held {
    if has_begun(case) {
        return stopped(case, &[HttpKind::Truncated, HttpKind::Closed, HttpKind::Reset]);
    }
    stopped(case, &[HttpKind::Truncated])
}

fn malformed(case: &Case<'_>) -> Held {
    stopped(case, &[HttpKind::Malformed, HttpKind::TooLarge])
}
