//! The Claude API at api.anthropic.com: its own addresses, Cloudflare's edge in front of it.
//!
//! Sources: platform.claude.com "Errors", "Versioning", "IP addresses", "API overview".

use serde_json::Value;

use super::body::{document, has, text};
use super::generic::by_status;
use super::request::{
    Endpoint, Field, Holds, KeyKind, Needed, Needs, Requests, answer, beta, field, free, get,
    large, model, needed, open, posted, retired,
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
    minimal: &[("", "/v1/models")],
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
        Endpoint { closed: true, ..posted("/v1/messages", MESSAGE) },
        Endpoint { closed: true, ..posted("/v1/messages/count_tokens", COUNT) },
        get("/v1/models"),
        get("/v1/models/{}"),
        large("/v1/messages/batches", &["GET", "POST"], 256),
        open("/v1/messages/batches/{}", &["GET", "DELETE"]),
        open("/v1/messages/batches/{}/cancel", &["POST"]),
        get("/v1/messages/batches/{}/results"),
        large("/v1/files", &["GET", "POST"], 500),
        open("/v1/files/{}", &["GET", "DELETE"]),
        get("/v1/files/{}/content"),
        // platform.claude.com, "OpenAI SDK compatibility".
        Endpoint { needs: Needs::Key, ..open("/v1/chat/completions", &["POST"]) },
        free("/api/hello", &["GET"]),
        free("/v1/oauth/token", &["POST"]),
        Endpoint { instead: Some("POST /v1/messages"), ..posted("/v1/complete", &[]) },
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
    query_unless: &[],
    shared: &[],
    largest: 32 * 1024 * 1024,
    models: &[
        model("claude-haiku-4-5*"),
        model("claude-haiku-5-5*"),
        model("claude-sonnet-4-5*"),
        model("claude-sonnet-4-6*"),
        model("claude-opus-4-1*"),
        model("claude-opus-4-5*"),
        model("claude-opus-4-6*"),
        model("claude-opus-4-7*"),
        model("claude-opus-4-8*"),
        model("claude-opus-5*"),
        model("claude-sonnet-5*"),
        retired("claude-1*", "2024-11-06"),
        retired("claude-instant*", "2024-11-06"),
        retired("claude-2*", "2025-07-21"),
        retired("claude-3-sonnet*", "2025-07-21"),
        retired("claude-3-opus*", "2026-01-05"),
        retired("claude-3-7-sonnet*", "2026-02-19"),
        retired("claude-3-5-haiku*", "2026-02-19"),
        retired("claude-opus-4-0", "2026-06-15"),
        retired("claude-sonnet-4-0", "2026-06-15"),
        // What the two short ids stand for.
        retired("claude-opus-4-20250514", "2026-06-15"),
        retired("claude-sonnet-4-20250514", "2026-06-15"),
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
        answer(Mistake::KeyWrongHeader, 401, "authentication_error", "invalid x-api-key"),
        answer(Mistake::KeyWrongHeader, 401, "authentication_error", "Invalid bearer token"),
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
            Mistake::BodyFieldRange,
            400,
            "invalid_request_error",
            "`max_tokens` must be greater than `thinking.budget_tokens`",
        ),
        answer(
            Mistake::BodyFieldEmpty,
            400,
            "invalid_request_error",
            "messages: at least one message is required",
        ),
        answer(
            Mistake::BodyFieldEmpty,
            400,
            "invalid_request_error",
            "messages: text content blocks must be non-empty",
        ),
        answer(
            Mistake::BodyFieldEmpty,
            400,
            "invalid_request_error",
            "all messages must have non-empty content except for the optional final assistant message",
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

const ROLES: Holds = Holds::Messages(&["user", "assistant"]);

const MESSAGE: &[Field] = &[
    needed("model", Holds::Text),
    needed("messages", ROLES),
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
    field("cache_control", Holds::Any),
    field("inference_geo", Holds::Any),
    field("container", Holds::Any),
    field("context_management", Holds::Any),
];

const COUNT: &[Field] = &[
    needed("model", Holds::Text),
    needed("messages", ROLES),
    field("system", Holds::TextOrList),
    field("thinking", Holds::Object),
    field("tools", Holds::List),
    field("tool_choice", Holds::Object),
    field("output_config", Holds::Object),
    removed("temperature", Holds::Fraction(0.0, 1.0)),
    removed("top_p", Holds::Fraction(0.0, 1.0)),
    removed("top_k", Holds::Number(0)),
    beta("mcp_servers", Holds::List, "mcp-client-"),
    field("cache_control", Holds::Any),
    field("context_management", Holds::Any),
];

/// Refused from version 2026-10-21 on, also at the default (platform.claude.com, "Migrate to 2026-10-21").
const fn removed(name: &'static str, holds: Holds) -> Field {
    Field { removed_in: Some("2026-10-21"), ..field(name, holds) }
}

/// The origin sets `request-id` on all its answers; the body's `request_id` may be null on genuine
/// ones, so the header counts, beside the shape. Envoy's timing header is the origin's too.
fn read(response: &Response) -> Reading {
    let document = document(response);
    let said = |pointer| document.as_ref().and_then(|document| text(document, pointer));
    let is_error = document.as_ref().is_some_and(is_error);
    let shape = is_error || document.as_ref().is_some_and(is_answer);
    let signed = response.header("request-id");
    let request_id = signed.map(str::to_owned).or_else(|| said("/request_id"));
    let marked = request_id.as_deref().is_some_and(|id| id.starts_with("req_"));
    Reading {
        origin_mark: marked && (shape || signed.is_some()),
        edge_mark: is_cloudflare(response),
        shape,
        documented: is_error,
        relayed: false,
        error_type: said("/error/type"),
        message: said("/error/message"),
        request_id: request_id
            .or_else(|| response.header("cf-ray").map(|ray| format!("cf-ray {ray}"))),
    }
}

/// Whether it is an error of this shape.
pub(super) fn is_error(document: &Value) -> bool {
    document.get("type").and_then(Value::as_str) == Some("error") && document.get("error").is_some()
}

/// A list, a count, an object that names its type, or an event of a stream, which does, too.
fn is_answer(document: &Value) -> bool {
    const TYPES: &[&str] =
        &["message", "model", "message_batch", "file", "completion", "message_start", "ping"];
    let typed = document.get("type").and_then(Value::as_str);
    document.get("data").is_some_and(Value::is_array)
        || document.get("input_tokens").is_some_and(Value::is_number)
        || typed.is_some_and(|typed| TYPES.contains(&typed))
}

/// The documented types first: a status alone is shared by several of them.
pub(super) fn cause(response: &Response, reading: &Reading) -> Option<Cause> {
    let message = reading.message.as_deref();
    let says = |parts: &[&str]| has(message, parts);
    let by_type = match reading.error_type.as_deref().unwrap_or_default() {
        "authentication_error" if says(&["header is required"]) => Some(Cause::ApiKeyMissing),
        // It is refused for its `Origin` header, whatever the key.
        "authentication_error" if says(&["cors requests"]) => Some(Cause::ApiBadRequest),
        "authentication_error" => Some(Cause::ApiKeyInvalid),
        "permission_error" if says(&["ip address", "ip allow"]) => Some(Cause::ApiEgressNotAllowed),
        "permission_error" => Some(Cause::ApiForbidden),
        "billing_error" => Some(Cause::ApiBilling),
        "rate_limit_error" if is_spend_limit(response) => Some(Cause::ApiBilling),
        "rate_limit_error" => Some(Cause::ApiRateLimited),
        "overloaded_error" => Some(Cause::ApiOverloaded),
        "request_too_large" => Some(Cause::ApiTooLarge),
        "api_error" | "timeout_error" => Some(Cause::ApiError),
        "not_found_error" if message.is_some_and(|said| said.starts_with("model:")) => {
            Some(Cause::ApiModelUnknown)
        }
        "not_found_error" => Some(Cause::ApiNotFound),
        "invalid_request_error" => Some(of_request(message)),
        _ => None,
    };
    by_type.or(match response.status {
        529 => Some(Cause::ApiOverloaded),
        status => by_status(status),
    })
}

/// The month's cap of a tier is said in a detail of a 429 alone (platform.claude.com, "Rate limits").
fn is_spend_limit(response: &Response) -> bool {
    let document = document(response);
    let code = document.and_then(|document| text(&document, "/error/details/error_code"));
    code.as_deref() == Some("enforced_spend_limit_reached")
}

/// What an `invalid_request_error` is about, beside the request.
fn of_request(message: Option<&str>) -> Cause {
    let says = |parts: &[&str]| has(message, parts);
    if says(&["credit balance", "spend limit", "usage limit"]) {
        Cause::ApiBilling
    } else if says(&["organization has been disabled"]) {
        Cause::ApiForbidden
    } else if says(&["credential is only authorized for"]) {
        // A subscription's token, which is no key of the API.
        Cause::ApiKeyInvalid
    } else {
        Cause::ApiBadRequest
    }
}
