//! The Claude API at api.anthropic.com: its own addresses, Cloudflare's edge in front of it.
//!
//! Sources: platform.claude.com "Errors", "Versioning", "IP addresses", "API overview".

use serde_json::Value;

use super::request::{
    Endpoint, Field, Holds, KeyKind, Needed, Requests, answer, beta, field, get, model, needed,
    open, retired,
};
use super::{Facts, KeyHeader, Post, Reading, is_cloudflare};
use crate::cause::Cause;
use crate::mistake::Mistake;
use crate::observation::{Range, Response};

pub(super) const FACTS: Facts = Facts {
    id: "anthropic",
    hosts: &["api.anthropic.com"],
    ranges: &[Range::v4([160, 79, 104, 0], 23), Range::v6(0x2607, 0x6bc0, 0, 48)],
    url: Some("https://api.anthropic.com/v1/models"),
    key: Some(KeyHeader { name: "x-api-key", prefix: "" }),
    headers: &[("anthropic-version", "2023-06-01")],
    whole_body: true,
    counting: Some(Post { path: "/v1/messages/count_tokens", body: counted }),
    streaming: Some(Post { path: "/v1/messages", body: streamed }),
    // FIN after exactly 400.0 s, measured by claude-code issue 89608.
    closes_after: Some(400),
    requests: &REQUESTS,
    read,
    cause,
};

/// The cheapest model, for what has to name one (platform.claude.com, "Models overview").
const MODEL: &str = "claude-haiku-4-5";

/// Ordinary words, of which a filter has nothing to say.
fn counted(bytes: usize) -> String {
    let text = "The quick brown fox jumps over the lazy dog. ".repeat(bytes / 45 + 1);
    format!(r#"{{"model":"{MODEL}","messages":[{{"role":"user","content":"{}"}}]}}"#, text.trim())
}

/// Enough words that a healthy answer takes a second.
fn streamed(_bytes: usize) -> String {
    format!(
        r#"{{"model":"{MODEL}","max_tokens":64,"stream":true,"messages":[{{"role":"user","content":"Count from 1 to 30."}}]}}"#
    )
}

/// Sources: platform.claude.com "Messages", "Versioning", "Model deprecations", "Authentication"; the answers
/// are from issues that show them with their request ids.
const REQUESTS: Requests = Requests {
    version: "v1",
    endpoints: &[
        Endpoint {
            path: "/v1/messages",
            methods: &["POST"],
            fields: MESSAGE,
            closed: true,
            instead: None,
        },
        Endpoint {
            path: "/v1/messages/count_tokens",
            methods: &["POST"],
            fields: COUNT,
            closed: true,
            instead: None,
        },
        get("/v1/models"),
        get("/v1/models/{}"),
        open("/v1/messages/batches", &["GET", "POST"]),
        open("/v1/messages/batches/{}", &["GET", "DELETE"]),
        open("/v1/messages/batches/{}/cancel", &["POST"]),
        get("/v1/messages/batches/{}/results"),
        open("/v1/files", &["GET", "POST"]),
        open("/v1/files/{}", &["GET", "DELETE"]),
        get("/v1/files/{}/content"),
        Endpoint {
            path: "/v1/complete",
            methods: &["POST"],
            fields: &[],
            closed: false,
            instead: Some("POST /v1/messages"),
        },
    ],
    keys: &[
        KeyKind { name: "API key", prefix: "sk-ant-api", header: Some("x-api-key") },
        KeyKind { name: "OAuth token", prefix: "sk-ant-oat", header: Some("authorization") },
        KeyKind { name: "OAuth refresh token", prefix: "sk-ant-ort", header: None },
        KeyKind { name: "session key", prefix: "sk-ant-sid", header: None },
        KeyKind { name: "admin key", prefix: "sk-ant-admin", header: Some("x-api-key") },
    ],
    key_headers: &[
        KeyHeader { name: "x-api-key", prefix: "" },
        KeyHeader { name: "authorization", prefix: "Bearer " },
    ],
    headers: &[Needed {
        name: "anthropic-version",
        values: &["2023-01-01", "2023-06-01", "2026-10-21"],
        missing: Mistake::VersionHeaderMissing,
    }],
    query: &[],
    largest: 32 * 1024 * 1024,
    models: &[
        model("claude-haiku-4-5*"),
        model("claude-haiku-5-5*"),
        model("claude-sonnet-4-5*"),
        model("claude-sonnet-4-6*"),
        model("claude-opus-4-1*"),
        model("claude-opus-4-5*"),
        model("claude-opus-4-6*"),
        retired("claude-1*", "2024-11-06"),
        retired("claude-instant*", "2024-11-06"),
        retired("claude-2*", "2025-07-21"),
        retired("claude-3-sonnet*", "2025-07-21"),
        retired("claude-3-opus*", "2026-01-05"),
        retired("claude-3-7-sonnet*", "2026-02-19"),
        retired("claude-3-5-haiku*", "2026-02-19"),
        retired("claude-opus-4-0", "2026-06-15"),
        retired("claude-sonnet-4-0", "2026-06-15"),
        retired("claude-mythos-preview", "2026-06-30"),
    ],
    base_variables: &["ANTHROPIC_BASE_URL"],
    answers: &[
        answer(Mistake::UrlSchemeHttp, 400, "", "The plain HTTP request was sent to HTTPS port"),
        answer(Mistake::UrlVersionMissing, 404, "not_found_error", "Not Found"),
        answer(Mistake::UrlBaseOnly, 403, "forbidden", "Request not allowed"),
        answer(Mistake::UrlTrailingSlash, 307, "", ""),
        answer(Mistake::MethodWrong, 405, "", ""),
        answer(Mistake::KeyMissing, 401, "authentication_error", "x-api-key header is required"),
        answer(Mistake::KeyPlaceholder, 401, "authentication_error", "invalid x-api-key"),
        answer(Mistake::HeaderDoubled, 401, "authentication_error", "API key is invalid."),
        answer(
            Mistake::VersionHeaderMissing,
            400,
            "invalid_request_error",
            "anthropic-version: header is required",
        ),
        answer(
            Mistake::VersionHeaderUnknown,
            400,
            "invalid_request_error",
            "anthropic-version: \"…\" is not a valid version",
        ),
        answer(
            Mistake::OriginHeader,
            401,
            "authentication_error",
            "CORS requests are not allowed for this Organization",
        ),
        answer(
            Mistake::BodyNotJson,
            400,
            "invalid_request_error",
            "The request body is not valid JSON: …: line … column … (char …)",
        ),
        answer(Mistake::BodyFieldMissing, 400, "invalid_request_error", "…: Field required"),
        answer(
            Mistake::BodyFieldRange,
            400,
            "invalid_request_error",
            "max_tokens: must be greater than or equal to 1",
        ),
        answer(
            Mistake::BodyFieldEmpty,
            400,
            "invalid_request_error",
            "messages: at least one message is required",
        ),
        answer(
            Mistake::BodyFieldType,
            400,
            "invalid_request_error",
            "…: Input should be a valid …",
        ),
        answer(
            Mistake::BodyFieldUnknown,
            400,
            "invalid_request_error",
            "…: Extra inputs are not permitted",
        ),
        answer(
            Mistake::BodyLegacyFields,
            400,
            "invalid_request_error",
            "prompt must start with \"\\n\\nHuman:\" turn…",
        ),
        answer(Mistake::BodyTooLarge, 413, "request_too_large", ""),
        answer(Mistake::ModelRetired, 404, "not_found_error", "model: …"),
        answer(Mistake::ModelUnknown, 404, "not_found_error", "model: …"),
    ],
};

const MESSAGE: &[Field] = &[
    needed("model", Holds::Text),
    needed("messages", Holds::Some),
    needed("max_tokens", Holds::Number(1)),
    field("system", Holds::TextOrList),
    field("stream", Holds::Truth),
    field("stop_sequences", Holds::List),
    field("metadata", Holds::Object),
    field("service_tier", Holds::Text),
    field("thinking", Holds::Object),
    field("tools", Holds::List),
    field("tool_choice", Holds::Object),
    field("output_config", Holds::Object),
    removed("temperature", Holds::Fraction(0.0, 1.0)),
    removed("top_p", Holds::Fraction(0.0, 1.0)),
    removed("top_k", Holds::Number(0)),
    beta("mcp_servers", Holds::List, "mcp-client-"),
    beta("container", Holds::Any, "code-execution-"),
    beta("context_management", Holds::Object, "context-management-"),
];

const COUNT: &[Field] = &[
    needed("model", Holds::Text),
    needed("messages", Holds::Some),
    field("system", Holds::TextOrList),
    field("thinking", Holds::Object),
    field("tools", Holds::List),
    field("tool_choice", Holds::Object),
    field("output_config", Holds::Object),
    removed("temperature", Holds::Fraction(0.0, 1.0)),
    removed("top_p", Holds::Fraction(0.0, 1.0)),
    removed("top_k", Holds::Number(0)),
    beta("mcp_servers", Holds::List, "mcp-client-"),
    beta("context_management", Holds::Object, "context-management-"),
];

/// Refused from version 2026-10-21 on, also at the default (platform.claude.com, "Migrate to 2026-10-21").
const fn removed(name: &'static str, holds: Holds) -> Field {
    Field { removed_in: Some("2026-10-21"), ..field(name, holds) }
}

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
