//! Any URL: nothing is known of it but what HTTP itself says.

use super::body::{document, text};
use super::request::Requests;
use super::{Facts, KeyHeader, Reading};
use crate::cause::Cause;
use crate::observation::Response;

pub(super) const FACTS: Facts = Facts {
    id: "generic",
    hosts: &[],
    ranges: &[],
    url: None,
    minimal: &[],
    key: Some(KeyHeader { name: "authorization", prefix: "Bearer " }),
    headers: &[],
    whole_body: false,
    counting: None,
    streaming: None,
    closes_after: None,
    requests: &Requests {
        version: "",
        endpoints: &[],
        keys: &[],
        key_headers: &[],
        headers: &[],
        query: &[],
        query_unless: &[],
        shared: &[],
        largest: u64::MAX,
        models: &[],
        base_variables: &[],
        answers: &[],
    },
    read,
    cause,
};

fn read(response: &Response) -> Reading {
    let request_id = ["x-request-id", "request-id", "cf-ray"]
        .iter()
        .find_map(|name| response.header(name))
        .map(str::to_owned);
    Reading {
        edge_mark: is_made_by_edge(response),
        shape: (200..300).contains(&response.status),
        request_id,
        ..Reading::default()
    }
}

/// `cf-ray` and `server` are on all that passes Cloudflare; these are on what it makes itself.
pub fn is_made_by_edge(response: &Response) -> bool {
    let made = ["cf-mitigated", "cf-error-type"];
    made.iter().any(|name| response.header(name).is_some())
        || matches!(response.status, 520..=527 | 530) && response.header("cf-ray").is_some()
}

/// Amazon API Gateway's answer for a path or a method that it does not have, whatever key was sent
/// (docs.aws.amazon.com/apigateway, "Gateway response types": `MISSING_AUTHENTICATION_TOKEN`).
pub fn lacks_the_resource(response: &Response) -> bool {
    let said = || text(&document(response)?, "/message");
    response.status == 403 && said().as_deref() == Some("Missing Authentication Token")
}

/// RFC 9110 15: what a status says of the request, where the API's own words are not known.
fn cause(response: &Response, _reading: &Reading) -> Option<Cause> {
    by_status(response.status)
}

/// The same, for what an API says nothing more of.
pub(super) fn by_status(status: u16) -> Option<Cause> {
    match status {
        401 => Some(Cause::ApiKeyInvalid),
        402 => Some(Cause::ApiBilling),
        403 => Some(Cause::ApiForbidden),
        404 | 410 => Some(Cause::ApiNotFound),
        // The server's own clock has ended it (RFC 9110 15.5.9): the same request may pass.
        408 => Some(Cause::ApiError),
        413 => Some(Cause::ApiTooLarge),
        429 => Some(Cause::ApiRateLimited),
        400..=499 => Some(Cause::ApiBadRequest),
        500..=599 => Some(Cause::ApiError),
        _ => None,
    }
}
