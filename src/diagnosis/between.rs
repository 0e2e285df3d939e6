//! An answer made on the way: a page that refuses, one that pretends, or a device that does not get through
//! itself. What the provider's edge and the API say is `answer`.

use super::answer::bad;
use super::case::{Case, Found};
use super::{Author, Held};
use crate::observation::Response;

rules! { RULES
    /// The inspecting device answers in the API's place that it does not reach or trust the target. Where no
    /// other route does, it may be the target that is down.
    InspectionUpstreamFailed upstream_of_the_inspection,

    /// A refusal, an error or a redirect that neither the API nor its edge made: it stands in the place of the
    /// provider's own host, under a chain that no public root verifies, and has no mark of theirs.
    BlockPage block_page,

    /// A success, or a demand for the network's own login (407, 511), in the place of the provider's own host:
    /// it came under a chain that no public root verifies, and has no mark of API or edge.
    ResponseReplaced response_replaced,
}

/// What was answered in the target's place, or perhaps by itself: then nobody can be named.
fn by_middlebox<'a>(case: &Case<'a>) -> Option<(&'a Response, Found)> {
    match bad(case)? {
        (response, _, Author::Middlebox) => Some((response, Found::high())),
        (response, _, Author::Unknown) if is_marked_by_a_device(case, response) => {
            Some((response, Found::high()))
        }
        // A server of its own has many reasons for most refusals, and few for these.
        (response, _, Author::Unknown) => {
            matches!(response.status, 200..=399 | 403 | 407 | 451 | 502 | 504 | 511)
                .then(|| (response, Found::undetermined()))
        }
        (_, _, Author::Origin | Author::Edge | Author::Proxy) => None,
    }
}

fn upstream_of_the_inspection(case: &Case<'_>) -> Held {
    let Some((response, found)) = by_middlebox(case) else { return Ok(None) };
    let tunnelled = case.chain().is_some();
    if !tunnelled || !says_upstream_failed(response) {
        return Ok(None);
    }
    if case.other_route_arrives() {
        return found.by_other_route().yes();
    }
    Found::undetermined().yes()
}

/// Whether an inspecting device answers in the target's place that it could not connect to it.
pub(super) fn says_upstream_unreached(case: &Case<'_>) -> bool {
    let says = |response: &Response| {
        let squid = response.header("x-squid-error").unwrap_or_default();
        let status = response.header("proxy-status").unwrap_or_default();
        squid.starts_with("ERR_CONNECT_FAIL") || status.contains("error=connection_")
    };
    bad(case).is_some_and(|(response, _, author)| !author.is_provider() && says(response))
}

/// Whether an inspecting device answers in the target's place that what is behind it failed.
pub(super) fn refused_upstream(case: &Case<'_>) -> bool {
    bad(case).is_some_and(|(response, _, author)| {
        !author.is_provider() && case.chain().is_some() && says_upstream_failed(response)
    })
}

/// Whether a device marks an answer as its own.
fn is_marked_by_a_device(case: &Case<'_>, response: &Response) -> bool {
    // Reverse proxies of the site's own speak of themselves by the second, too (RFC 9209 2).
    let by_the_proxy = case.proxied() && response.header("proxy-status").is_some();
    response.header("x-squid-error").is_some() || by_the_proxy
}

/// Whether a device says that what is behind it failed: 502 and 504 mean that (RFC 9110 15.6.3, 15.6.5), else
/// by squid's own error, or by `Proxy-Status` (RFC 9209 2.3).
fn says_upstream_failed(response: &Response) -> bool {
    const SQUID: &[&str] = &[
        "ERR_SECURE_CONNECT_FAIL",
        "ERR_CONNECT_FAIL",
        "ERR_READ_ERROR",
        "ERR_READ_TIMEOUT",
        "ERR_DNS_FAIL",
        "ERR_CANNOT_FORWARD",
        "ERR_ZERO_SIZE_OBJECT",
        "ERR_LIFETIME_EXP",
    ];
    let squid = response.header("x-squid-error").unwrap_or_default();
    let status = response.header("proxy-status").unwrap_or_default();
    let behind = ["tls_", "connection_", "dns_", "destination_", "http_response_incomplete"];
    let page = response.body.to_ascii_lowercase();
    let names = |words: &[&str]| words.iter().any(|word| page.contains(word));
    let of_the_certificate = response.status >= 500
        && names(&["certificate", "ssl", "tls"])
        && names(&["verif", "trust", "issuer", "expired"]);
    matches!(response.status, 502 | 504)
        || of_the_certificate
        || SQUID.iter().any(|error| squid.starts_with(error))
        || behind.iter().any(|error| status.contains(&format!("error={error}")))
            && !status.contains("prohibited")
}

fn block_page(case: &Case<'_>) -> Held {
    match by_middlebox(case) {
        Some((response, found)) if response.status >= 300 && !is_network_login(response) => {
            // A server's own trouble looks the same through a device that passes it on.
            let may_be_theirs = response.status >= 500 && !case.other_route_arrives();
            if may_be_theirs { Found::undetermined().yes() } else { found.yes() }
        }
        Some(_) | None => Ok(None),
    }
}

/// RFC 9110 15.5.8, RFC 6585 6: a login of the network, not of the API.
fn is_network_login(response: &Response) -> bool {
    matches!(response.status, 407 | 511)
}

fn response_replaced(case: &Case<'_>) -> Held {
    match by_middlebox(case) {
        Some((_, found)) => found.yes(),
        None => Ok(None),
    }
}
