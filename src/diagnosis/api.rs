//! What the API itself says of a request: the key, the account, the path, the model, its own troubles; and a header
//! that it misses. Who wrote an answer, and what an edge says, is `answer`.

use super::answer::{bad, bad_answer, by_edge, demands_a_key, meaning, unknown_to_the_front};
use super::case::{Case, Found, Needed};
use super::{Author, Confidence, Held, Key, author};
use crate::cause::{Cause, Party, Status};
use crate::observation::{Change, Control, Ending, Trust};
use crate::provider::{Provider, lacks_the_resource, wraps_an_error};

rules! { RULES
    /// The API says that a header is missing, which was sent: the key's, or another one. Removed on this route
    /// where somebody ends TLS and another route delivers it; else nobody is named.
    HeaderStripped header_stripped,

    /// The API asks for a key where none was sent, and another answer was declared to be the good one.
    ApiKeyMissing key_demanded,

    /// The API does not accept the key that was sent, by its own error type or by 401.
    ApiKeyInvalid key_invalid,

    /// The API says that the account does not allow the address that the request came from.
    ApiEgressNotAllowed egress_not_allowed,

    /// The API knows the account and refuses it, by its own error type or by 403; or the edge forbids with the
    /// key what it does not forbid without.
    ApiForbidden forbidden,

    /// The API names billing, credit or a spend limit, or answers 402.
    ApiBilling billing,

    /// The API does not know the path, by its own error type, 404 or 410; or its edge or front end, by 404, 405 or 410 of
    /// its own. A gateway that does not know the minimal
    /// request, by these or by 405, and answers another one that costs nothing, is degraded.
    ApiNotFound not_found,

    /// The API says that it does not know the model.
    ApiModelUnknown model_unknown,

    /// The API limits the rate, by its own error type or by a 429 that is not the edge's: the key works, and is
    /// busy.
    ApiRateLimited rate_limited,

    /// The API says that it is overloaded, by its own error type or by 529.
    ApiOverloaded overloaded,

    /// The API fails by itself, by its own error type or by a 5xx that is not the edge's.
    ApiError api_error,

    /// The API refuses the request with a 4xx that says nothing of key, account, billing, path, model, size or
    /// rate.
    ApiBadRequest bad_request,

    /// The API or its edge answers with success, and the content is not what was asked for.
    ResponseUnexpected response_unexpected,
}

/// What the provider says that this answer means.
fn api(case: &Case<'_>) -> Option<Cause> {
    let (response, reading, author) = bad(case)?;
    let is_error = response.status >= 400 || reading.error_type.is_some();
    if !is_error || !author.is_provider() {
        return None;
    }
    // The edge's "forbidden" that the same egress does not get without a key is the account's.
    if author == Author::Edge
        && reading.error_type.as_deref() == Some("forbidden")
        && response.keyed
    {
        return Some(Cause::ApiForbidden);
    }
    if author == Author::Edge && by_edge(case).is_some() {
        return None;
    }
    meaning(case.target(), response, &reading)
}

fn says(case: &Case<'_>, cause: Cause) -> Held {
    match api(case) {
        Some(said) if said == cause => Found::high().yes(),
        Some(_) | None => Ok(None),
    }
}

/// Whether the API misses a header that each of our requests has.
fn misses_a_header(case: &Case<'_>) -> bool {
    let Some((response, reading, Author::Origin)) = bad(case) else { return false };
    // What a gateway relays is said of its own request.
    if wraps_an_error(response) || !(400..500).contains(&response.status) {
        return false;
    }
    let message = reading.message.unwrap_or_default().to_ascii_lowercase();
    let words = words(&message);
    let sent = case.target().headers.iter();
    let mut telling = sent.filter(|name| !GENERAL.contains(&name.as_str()));
    telling.any(|name| says_missing(&words, name))
}

/// Headers that clients add by themselves: their names are ordinary words, and nobody requires them by name.
const GENERAL: &[&str] = &[
    "accept",
    "accept-charset",
    "accept-encoding",
    "accept-language",
    "connection",
    "content-length",
    "content-type",
    "date",
    "from",
    "host",
    "user-agent",
];

fn words(message: &str) -> Vec<&str> {
    let is_of_a_name = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_');
    message.split(|c| !is_of_a_name(c)).filter(|word| !word.is_empty()).collect()
}

/// Whether a message says of a header that it is not there; a value that does not suit is something else.
fn says_missing(words: &[&str], name: &str) -> bool {
    let lacks = |word: &str| matches!(word, "required" | "missing");
    words.iter().enumerate().filter(|(_, word)| **word == name).any(|(place, _)| {
        let before = words.get(..place).unwrap_or_default();
        let after = words.get(place + 1..).unwrap_or_default();
        match (before, after) {
            (_, ["header", "is", word, rest @ ..] | ["header", word, rest @ ..])
                if lacks(word) =>
            {
                rest.first() != Some(&"to")
            }
            ([.., "header"], ["is", word, rest @ ..]) if lacks(word) => {
                rest.first() != Some(&"to")
            }
            ([.., "missing"] | [.., "missing", "required" | "the"], ["header", ..])
            | ([.., "missing", "header"] | [.., "missing", "required" | "request", "header"], _) => {
                true
            }
            _ => false,
        }
    })
}

/// Whether the API misses the key that was sent.
fn misses_the_key(case: &Case<'_>) -> bool {
    is_keyed(case) && api(case) == Some(Cause::ApiKeyMissing)
}

fn is_keyed(case: &Case<'_>) -> bool {
    case.answer().is_some_and(|(response, ..)| response.keyed)
}

/// What is missed, if anything is.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Missed {
    Header,
    Key,
}

fn missed(case: &Case<'_>) -> Option<Missed> {
    if misses_a_header(case) {
        Some(Missed::Header)
    } else if misses_the_key(case) {
        Some(Missed::Key)
    } else {
        None
    }
}

/// Whether an answer over another route comes after what was missed here was looked at there.
fn delivers(other: &Case<'_>, what: Missed) -> bool {
    let Some((response, reading, Author::Origin)) = other.answer() else { return false };
    if wraps_an_error(response) || missed(other).is_some() {
        return false;
    }
    if (200..300).contains(&response.status) {
        return true;
    }
    match meaning(other.target(), response, &reading) {
        // Keys are read before or after other headers, as the API likes.
        Some(Cause::ApiKeyInvalid | Cause::ApiForbidden | Cause::ApiEgressNotAllowed) => {
            what == Missed::Key
        }
        Some(Cause::ApiBilling | Cause::ApiModelUnknown | Cause::ApiRateLimited) => true,
        Some(Cause::ApiBadRequest) => {
            let message = reading.message.unwrap_or_default().to_ascii_lowercase();
            !message.is_empty() && !words(&message).contains(&"header")
        }
        Some(_) | None => false,
    }
}

fn header_stripped(case: &Case<'_>) -> Held {
    let Some(what) = missed(case) else { return Ok(None) };
    let delivered =
        case.others().any(|other| delivers(&other, what) && is_keyed(&other) == is_keyed(case));
    // Nobody on the way can take out of TLS what he does not end.
    let opened = case.chain().is_none_or(|chain| chain.trust() != Trust::Public);
    if delivered && opened {
        let party = if case.proxied() { Party::Proxy } else { Party::Inspection };
        return Found::high().party(party).by_other_route().yes();
    }
    Found::undetermined().yes()
}

fn key_demanded(case: &Case<'_>) -> Held {
    match bad(case) {
        Some((response, reading, author))
            if demands_a_key(case.target(), response, &reading, author) =>
        {
            Found::high().yes()
        }
        Some(_) | None => Ok(None),
    }
}

fn key_invalid(case: &Case<'_>) -> Held {
    match case.target().key {
        Key::InForce(_) => says(case, Cause::ApiKeyInvalid),
        Key::None | Key::Unavailable(..) | Key::Empty(_) | Key::Unsendable(..) => Ok(None),
    }
}

fn egress_not_allowed(case: &Case<'_>) -> Held {
    says(case, Cause::ApiEgressNotAllowed)
}

fn forbidden(case: &Case<'_>) -> Held {
    says(case, Cause::ApiForbidden)
}

fn billing(case: &Case<'_>) -> Held {
    says(case, Cause::ApiBilling)
}

fn not_found(case: &Case<'_>) -> Held {
    // An API Gateway says the same where it wants requests that are signed.
    let perhaps = bad(case).is_some_and(|(response, ..)| lacks_the_resource(response));
    let limit = if perhaps { Confidence::Medium } else { Confidence::High };
    let found = says(case, Cause::ApiNotFound)?.map(|found| found.at_most(limit));
    // A relay of messages alone may know the path, and no method to read it (RFC 9110 15.5.6).
    let unread = bad(case).is_some_and(|(response, ..)| response.status == 405);
    let found = found.or_else(|| unknown_to_the_front(case));
    let says_so = found.is_some() || unread && api(case) == Some(Cause::ApiBadRequest);
    if says_so && lacks_the_minimal_request(case)? {
        return Found::high().status(Status::Degraded).by(Control::LargerBody).yes();
    }
    Ok(found)
}

/// Whether a gateway does not know the minimal request, and answers another one that costs nothing: then way and
/// key work. Who asks for a model that it does not have has passed both, too.
fn lacks_the_minimal_request(case: &Case<'_>) -> Result<bool, Needed> {
    let target = case.target();
    let counts = target.provider.facts().counting.is_some();
    if !counts || target.provider.owns(&target.host) || target.wanted.is_some() {
        return Ok(false);
    }
    let Some(trip) = case.seen(Change::LargerBody(0))?.trip() else { return Ok(false) };
    let Ending::Answered(_, response) = trip.ending() else { return Ok(false) };
    let Some((reading, author)) = author::of_trip(target, trip) else { return Ok(false) };
    let good = bad_answer(target, response, &reading, author).is_none();
    let cause = meaning(target, response, &reading);
    Ok(good || author == Author::Origin && cause == Some(Cause::ApiModelUnknown))
}

fn model_unknown(case: &Case<'_>) -> Held {
    says(case, Cause::ApiModelUnknown)
}

fn rate_limited(case: &Case<'_>) -> Held {
    says(case, Cause::ApiRateLimited)
}

fn overloaded(case: &Case<'_>) -> Held {
    says(case, Cause::ApiOverloaded)
}

fn api_error(case: &Case<'_>) -> Held {
    says(case, Cause::ApiError)
}

fn bad_request(case: &Case<'_>) -> Held {
    says(case, Cause::ApiBadRequest)
}

fn response_unexpected(case: &Case<'_>) -> Held {
    let Some((response, _, author)) = bad(case) else { return Ok(None) };
    let wanted = case.target().wanted.as_ref();
    let hoped_for = (200..300).contains(&response.status)
        || wanted.is_some_and(|wanted| wanted.has_status(response.status));
    if !author.is_provider() || !hoped_for {
        return Ok(None);
    }
    // What is declared is not there; or it is no JSON at all, which an API's client cannot use.
    let usable = case.target().provider == Provider::Generic
        || serde_json::from_str::<serde_json::Value>(&response.body).is_ok();
    let degraded = usable && wanted.is_none();
    let status = if degraded { Status::Degraded } else { Status::Broken };
    Found::high().status(status).yes()
}
