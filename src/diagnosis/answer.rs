//! A whole answer that is not the one that was hoped for: who made it, and what edge and way out say. What the API itself says
//! of a request is `api`; an answer that was made on the way is `between`.

use super::case::{Case, Found};
use super::{Author, Held, TargetFacts};
use crate::cause::{Cause, Party};
use crate::observation::{Change, Control, HttpKind, Response, Trust};
use crate::provider::{Provider, Reading, is_made_by_edge, lacks_the_resource, wraps_an_error};

rules! { RULES
    /// A gateway of ours answers in the API's shape that the provider behind it fails.
    GatewayUpstreamFailed behind_our_gateway,

    /// A gateway relays that the provider behind it refuses its key, its account, its address or its country: that is the
    /// gateway's own, whatever key was sent to it.
    GatewayUpstreamFailed refuses_the_gateway,

    /// The edge asks for what only a browser can do (`cf-mitigated`). It is this egress address that it
    /// distrusts where the API answers on another route.
    EdgeChallenge edge_challenge,

    /// The API or its edge says that the country of this egress address is not served. The edge's 403 "forbidden" says
    /// it of a request without a key, and does not mean the account then; where such a request could not be made, or what is
    /// asked for is not the API's, nobody is named. Behind a gateway the egress is the gateway's.
    RegionNotSupported region_not_supported,

    /// The edge answers 429 without the API's mark: it limits this egress address, not the account. An unmarked one of
    /// another host is its own front end's.
    EdgeRateLimited edge_rate_limited,

    /// The edge or the API answers 413: the request is larger than it takes.
    ApiTooLarge too_large,

    /// The edge answers 520 to 527 or 530, by which it says that it does not reach its own API
    /// (developers.cloudflare.com, "Cloudflare 5xx errors").
    EdgeOriginUnreachable edge_origin_unreachable,

    /// The edge answers with a 5xx of its own, other than those for an API that it does not reach. An unmarked one of
    /// another host than the provider's is its own front end's: surely under a public chain, probably under that of the
    /// organisation's own.
    EdgeFailed edge_failed,

    /// The edge answers 400 by itself: what it got is no request that it can pass on (RFC 9110 15.5.1). Or a port that
    /// speaks TLS was asked in plain HTTP, and says so.
    ApiBadRequest not_for_the_edge,

    /// The edge refuses with a 4xx that is no challenge and not about country, rate, size, path or the request. It is this egress
    /// address that it refuses where the API answers on another route; a 403 "forbidden" to a request with a
    /// key is left to the account.
    EdgeBlocked edge_blocked,

    /// The API or its edge redirects; at a URL of no known provider, only a redirect to another host counts.
    RedirectUnexpected redirect_unexpected,
}

/// What is wrong with an answer, as a symptom; none where it is what was hoped for. The origin's own
/// demand for a key to a request without one is: it proves the way.
pub(super) fn bad_answer(
    target: &TargetFacts,
    response: &Response,
    reading: &Reading,
    author: Author,
) -> Option<HttpKind> {
    // An event stream ends in an error after it has begun with success.
    let failed_inside = response.status < 300 && reading.error_type.is_some();
    if let Some(wanted) = &target.wanted {
        let good = wanted.has_status(response.status) && author.is_provider();
        if good && wanted.has_body(&response.body) && !failed_inside {
            return None;
        }
        if good || (200..300).contains(&response.status) {
            return Some(HttpKind::UnexpectedBody);
        }
    }
    match response.status {
        200..=299 if author == Author::Origin && reading.shape && !failed_inside => None,
        200..=299 => Some(HttpKind::UnexpectedBody),
        300..=399 if target.provider == Provider::Generic && author.is_provider() => {
            (!stays(target, response)).then_some(HttpKind::Redirect)
        }
        300..=399 => Some(HttpKind::Redirect),
        400..=499
            if !is_status_declared(target) && demands_a_key(target, response, reading, author) =>
        {
            None
        }
        400..=499 => Some(HttpKind::Status4xx),
        _ => Some(HttpKind::Status5xx),
    }
}

/// Where the good statuses are declared, no other is good.
fn is_status_declared(target: &TargetFacts) -> bool {
    target.wanted.as_ref().is_some_and(|wanted| !wanted.status.is_empty())
}

/// Whether it asks for the key that was not sent, whatever the API's status for that is. What a gateway relays is said of a
/// key of its own.
pub(super) fn demands_a_key(
    target: &TargetFacts,
    response: &Response,
    reading: &Reading,
    author: Author,
) -> bool {
    let theirs = author == Author::Origin
        || (target.provider == Provider::Generic && author == Author::Edge);
    let missing = || meaning(target, response, reading) == Some(Cause::ApiKeyMissing);
    theirs && !response.keyed && !wraps_an_error(response) && missing()
}

/// What an error means at this host: its provider's word, but where the front end of another host has one of its own.
pub(super) fn meaning(
    target: &TargetFacts,
    response: &Response,
    reading: &Reading,
) -> Option<Cause> {
    if !target.provider.owns(&target.host) && lacks_the_resource(response) {
        return Some(Cause::ApiNotFound);
    }
    target.provider.cause(response, reading)
}

/// Whether a redirect leads to the same host.
fn stays(target: &TargetFacts, response: &Response) -> bool {
    let Some(location) = response.header("location") else { return false };
    match url::Url::parse(location) {
        Ok(url) => url.host_str().is_some_and(|host| host.eq_ignore_ascii_case(&target.host)),
        Err(url::ParseError::RelativeUrlWithoutBase) => !location.starts_with("//"),
        Err(_) => false,
    }
}

pub(super) fn bad<'a>(case: &Case<'a>) -> Option<(&'a Response, Reading, Author)> {
    let (response, reading, author) = case.answer()?;
    bad_answer(case.target(), response, &reading, author)?;
    let author = if author == Author::Unknown { compared(case, response) } else { author };
    Some((response, reading, author))
}

/// Who wrote an answer that has no mark, by what the provider itself answers over another route: the same
/// is its own, and another one was made on the way.
fn compared(case: &Case<'_>, response: &Response) -> Author {
    let is_public = |other: &Case<'_>| match (case.chain(), other.chain()) {
        (_, Some(theirs)) => theirs.trust() == Trust::Public,
        // In plain HTTP there is none, on any route.
        (None, None) => true,
        (Some(_), None) => false,
    };
    let answers = case.others().filter(is_public).filter_map(|other| other.answer());
    let mut theirs = answers.filter(|(_, _, author)| author.is_provider()).peekable();
    if theirs.peek().is_none() {
        return Author::Unknown;
    }
    let same = theirs.find(|(other, ..)| other.status == response.status);
    same.map_or(Author::Middlebox, |(_, _, author)| author)
}

/// An answer of the edge: with its mark, or on the provider's own host over a public chain.
pub(super) fn by_edge<'a>(case: &Case<'a>) -> Option<(&'a Response, Reading)> {
    let (response, reading, author) = bad(case)?;
    let known = reading.edge_mark || case.target().provider != Provider::Generic;
    (author == Author::Edge && known).then_some((response, reading))
}

/// Whether a page without the mark of an edge comes from another host than the provider's own: that is what stands
/// before the gateway there.
fn is_of_a_front_end(case: &Case<'_>, response: &Response) -> bool {
    !case.target().provider.owns(&case.target().host) && !is_made_by_edge(response)
}

/// A path that an edge, or what stands before a gateway, does not know (RFC 9110 15.5.5, 15.5.6, 15.5.11).
pub(super) fn unknown_to_the_front(case: &Case<'_>) -> Option<Found> {
    let (response, reading) = by_edge(case)?;
    let of_the_path = matches!(response.status, 404 | 405 | 410) && !another_egress_passes(case);
    let found = if reading.edge_mark { Found::high() } else { Found::medium() };
    of_the_path.then_some(found)
}

/// Who owns the address that the edge sees.
fn egress_owner(case: &Case<'_>) -> Party {
    if case.proxied() { Party::Proxy } else { Party::Network }
}

/// Whether another way out gets an answer that is the API's own.
fn another_egress_passes(case: &Case<'_>) -> bool {
    case.others().any(|other| {
        other.answer().is_some_and(|(response, reading, author)| {
            author == Author::Origin
                && bad_answer(other.target(), response, &reading, author)
                    != Some(HttpKind::Status5xx)
        })
    })
}

fn of_egress(case: &Case<'_>) -> Found {
    if another_egress_passes(case) {
        Found::high().party(egress_owner(case)).by_other_route()
    } else {
        Found::high()
    }
}

fn edge_challenge(case: &Case<'_>) -> Held {
    match by_edge(case) {
        Some((response, _)) if response.header("cf-mitigated").is_some() => of_egress(case).yes(),
        _ => Ok(None),
    }
}

fn region_not_supported(case: &Case<'_>) -> Held {
    let said = |(response, reading, author): &(&Response, Reading, Author)| {
        author.is_provider()
            && meaning(case.target(), response, reading) == Some(Cause::RegionNotSupported)
    };
    if bad(case).as_ref().is_some_and(said) {
        let owned = case.target().provider.owns(&case.target().host);
        let party = if owned { egress_owner(case) } else { Party::Gateway };
        return Found::high().party(party).yes();
    }
    let Some((response, reading)) = by_edge(case) else { return Ok(None) };
    if response.status != 403 || reading.error_type.as_deref() != Some("forbidden") {
        return Ok(None);
    }
    // A URL that is none of the API's is forbidden with the same words.
    if case.target().provider.facts().requests.endpoint(&case.target().path).is_none() {
        return Found::undetermined().yes();
    }
    let found = Found::high().party(egress_owner(case));
    if !response.keyed {
        return found.yes();
    }
    match case.seen(Change::NoKey)?.trip().and_then(|trip| trip.leading()?.response.as_ref()) {
        Some(without) if without.status == 403 => found.by(Control::NoKey).yes(),
        Some(_) => Ok(None),
        None => Found::undetermined().yes(),
    }
}

fn edge_rate_limited(case: &Case<'_>) -> Held {
    match by_edge(case) {
        Some((response, _)) if response.status == 429 => {
            if is_of_a_front_end(case, response) {
                return Found::medium().party(Party::Gateway).yes();
            }
            Found::high().party(egress_owner(case)).yes()
        }
        _ => Ok(None),
    }
}

fn too_large(case: &Case<'_>) -> Held {
    match bad(case) {
        Some((response, _, author)) if author.is_provider() && response.status == 413 => {
            Found::high().yes()
        }
        _ => Ok(None),
    }
}

fn edge_origin_unreachable(case: &Case<'_>) -> Held {
    match by_edge(case) {
        Some((response, _)) if matches!(response.status, 520..=527 | 530) => Found::high().yes(),
        _ => Ok(None),
    }
}

fn edge_failed(case: &Case<'_>) -> Held {
    match by_edge(case) {
        Some((response, _)) if response.status >= 500 => {
            if !is_of_a_front_end(case, response) {
                return Found::high().yes();
            }
            let public = case.chain().is_some_and(|chain| chain.trust() == Trust::Public);
            let found = if public { Found::high() } else { Found::medium() };
            found.party(Party::Gateway).yes()
        }
        _ => Ok(None),
    }
}

fn not_for_the_edge(case: &Case<'_>) -> Held {
    // nginx's own words, which Cloudflare's edge has, too (nginx.org, `ngx_http_ssl_module`, status 497).
    let wants_tls = |response: &Response| {
        let page = response.body.to_ascii_lowercase();
        case.chain().is_none() && page.contains("plain http request was sent to https port")
    };
    match bad(case) {
        Some((response, ..)) if response.status == 400 && wants_tls(response) => {
            Found::medium().yes()
        }
        Some(_) if by_edge(case).is_some_and(|(response, _)| response.status == 400) => {
            Found::high().yes()
        }
        Some(_) | None => Ok(None),
    }
}

fn edge_blocked(case: &Case<'_>) -> Held {
    match by_edge(case) {
        Some((response, reading)) if (400..500).contains(&response.status) => {
            let by_account = reading.error_type.as_deref() == Some("forbidden") && response.keyed;
            if by_account || unknown_to_the_front(case).is_some() {
                return Ok(None);
            }
            if is_of_a_front_end(case, response) && !another_egress_passes(case) {
                return Found::medium().party(Party::Gateway).yes();
            }
            of_egress(case).yes()
        }
        _ => Ok(None),
    }
}

fn redirect_unexpected(case: &Case<'_>) -> Held {
    match bad(case) {
        Some((response, _, author))
            if author.is_provider() && (300..400).contains(&response.status) =>
        {
            Found::high().yes()
        }
        _ => Ok(None),
    }
}

fn behind_our_gateway(case: &Case<'_>) -> Held {
    match bad(case).filter(|_| case.target().ours) {
        Some((response, reading, author))
            if author.is_provider()
                && response.status >= 500
                && tells_of_its_provider(response, &reading) =>
        {
            Found::high().yes()
        }
        Some(_) | None => Ok(None),
    }
}

fn refuses_the_gateway(case: &Case<'_>) -> Held {
    let Some((response, reading, author)) = bad(case) else { return Ok(None) };
    let target = case.target();
    if !author.is_provider() || target.provider.owns(&target.host) || !wraps_an_error(response) {
        return Ok(None);
    }
    let of_its_own = matches!(
        meaning(target, response, &reading),
        Some(
            Cause::ApiKeyInvalid
                | Cause::ApiKeyMissing
                | Cause::ApiBilling
                | Cause::ApiForbidden
                | Cause::ApiEgressNotAllowed
                | Cause::RegionNotSupported
        )
    );
    match (of_its_own, target.ours) {
        (false, _) => Ok(None),
        (true, true) => Found::high().yes(),
        // Some gateways pass their client's key on.
        (true, false) => Found::medium().party(Party::Gateway).yes(),
    }
}

/// Whether what a gateway of ours answers is its provider's: by the provider's marks, by a status that says so
/// (RFC 9110 15.6.3, 15.6.5; 529 is a provider's own), or by the provider's error inside of its own.
fn tells_of_its_provider(response: &Response, reading: &Reading) -> bool {
    reading.origin_mark
        || matches!(response.status, 502 | 504 | 529) && reading.shape
        || wraps_an_error(response)
}
