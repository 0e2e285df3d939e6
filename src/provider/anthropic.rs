//! The Claude API at api.anthropic.com: its own addresses, Cloudflare's edge in front of it.
//!
//! Sources: platform.claude.com "Errors", "Versioning", "IP addresses", "API overview".

use serde_json::Value;

use super::{Facts, KeyHeader, Reading, is_cloudflare};
use crate::cause::Cause;
use crate::observation::{Range, Response};

pub(super) const FACTS: Facts = Facts {
    id: "anthropic",
    hosts: &["api.anthropic.com"],
    ranges: &[Range::v4([160, 79, 104, 0], 23), Range::v6(0x2607, 0x6bc0, 0, 48)],
    url: Some("https://api.anthropic.com/v1/models"),
    key: Some(KeyHeader { name: "x-api-key", prefix: "" }),
    headers: &[("anthropic-version", "2023-06-01")],
    whole_body: true,
    read,
    cause,
};

/// The origin sets `request-id` on all its answers; the body's `request_id` may be null on genuine
/// ones, so the header counts, beside the shape. Envoy's timing header is the origin's too.
fn read(response: &Response) -> Reading {
    let body: Option<Value> = serde_json::from_str(&response.body).ok();
    let error = body.as_ref().and_then(|body| body.get("error"));
    let text = |value: Option<&Value>| value.and_then(Value::as_str).map(str::to_owned);
    let typed = body.as_ref().and_then(|body| body.get("type")).and_then(Value::as_str);
    let is_error = typed == Some("error") && error.is_some();
    let is_list = body.as_ref().is_some_and(|body| body.get("data").is_some_and(Value::is_array));
    let request_id = response
        .header("request-id")
        .map(str::to_owned)
        .or_else(|| text(body.as_ref().and_then(|body| body.get("request_id"))));
    let marked = request_id.as_deref().is_some_and(|id| id.starts_with("req_"));
    Reading {
        origin_mark: marked && (is_error || is_list || response.header("request-id").is_some()),
        edge_mark: is_cloudflare(response),
        shape: is_error || is_list,
        error_type: text(error.and_then(|error| error.get("type"))),
        message: text(error.and_then(|error| error.get("message"))),
        request_id: request_id
            .or_else(|| response.header("cf-ray").map(|ray| format!("cf-ray {ray}"))),
    }
}

/// The documented types first: a status alone is shared by several of them.
fn cause(response: &Response, reading: &Reading) -> Option<Cause> {
    let message = reading.message.as_deref().unwrap_or_default().to_ascii_lowercase();
    let says = |part: &str| message.contains(part);
    let by_type = match reading.error_type.as_deref() {
        Some("authentication_error") if says("header is required") => Some(Cause::ApiKeyMissing),
        Some("authentication_error") => Some(Cause::ApiKeyInvalid),
        Some("permission_error") if says("ip address") || says("ip allow") => {
            Some(Cause::ApiEgressNotAllowed)
        }
        Some("permission_error") => Some(Cause::ApiForbidden),
        Some("billing_error") => Some(Cause::ApiBilling),
        Some("rate_limit_error") => Some(Cause::ApiRateLimited),
        Some("overloaded_error") => Some(Cause::ApiOverloaded),
        Some("request_too_large") => Some(Cause::ApiTooLarge),
        Some("api_error" | "timeout_error") => Some(Cause::ApiError),
        Some("not_found_error") if message.starts_with("model:") => Some(Cause::ApiModelUnknown),
        Some("not_found_error") => Some(Cause::ApiNotFound),
        Some("invalid_request_error")
            if says("credit balance") || says("spend limit") || says("usage limit") =>
        {
            Some(Cause::ApiBilling)
        }
        Some("invalid_request_error") if says("organization has been disabled") => {
            Some(Cause::ApiForbidden)
        }
        Some(_) | None => None,
    };
    by_type.or(match response.status {
        401 if !response.keyed => Some(Cause::ApiKeyMissing),
        401 => Some(Cause::ApiKeyInvalid),
        402 => Some(Cause::ApiBilling),
        403 => Some(Cause::ApiForbidden),
        404 => Some(Cause::ApiNotFound),
        413 => Some(Cause::ApiTooLarge),
        429 => Some(Cause::ApiRateLimited),
        400..=499 => Some(Cause::ApiBadRequest),
        529 => Some(Cause::ApiOverloaded),
        500..=599 => Some(Cause::ApiError),
        _ => None,
    })
}
