//! The OpenAI API at api.openai.com: Cloudflare's edge in front of it, no addresses of its own published.
//!
//! Sources: developers.openai.com "API overview", "Error codes", "Deprecations"; help.openai.com 5955604 for the kinds
//! of 429. Its `code` says more than its `type`, which a missing key shares with a typing error.

use serde_json::Value;

use super::body::{document, has, text};
use super::generic::by_status;
use super::request::{
    Endpoint, Field, Holds, KeyKind, Requests, answer, field, get, model, needed, open, posted,
    retired,
};
use super::{Facts, KeyHeader, Post, Reading, is_cloudflare};
use crate::cause::Cause;
use crate::mistake::Mistake;
use crate::observation::Response;

pub(super) const FACTS: Facts = Facts {
    id: "openai",
    hosts: &["api.openai.com"],
    ranges: &[],
    url: Some("https://api.openai.com/v1/models"),
    minimal: &[("", "/v1/models")],
    key: Some(KeyHeader { name: "authorization", prefix: "Bearer " }),
    headers: &[],
    whole_body: true,
    // "The moderation endpoint is free to use" (developers.openai.com, "Moderation").
    counting: Some(Post { path: "/v1/moderations", body: moderated }),
    streaming: Some(Post { path: "/v1/chat/completions", body: streamed }),
    closes_after: None,
    requests: &REQUESTS,
    read,
    cause,
};

/// Ordinary words, of which a filter has nothing to say.
fn moderated(bytes: usize) -> String {
    let text = "The quick brown fox jumps over the lazy dog. ".repeat(bytes / 45 + 1);
    format!(r#"{{"model":"omni-moderation-latest","input":"{}"}}"#, text.trim())
}

/// The cheapest model (developers.openai.com, "Pricing"), and enough words that a healthy answer takes a second.
fn streamed(_bytes: usize) -> String {
    r#"{"model":"gpt-6-luna","max_completion_tokens":256,"stream":true,"messages":[{"role":"user","content":"Count from 1 to 30."}]}"#
        .to_owned()
}

/// Sources: developers.openai.com "API reference", "Deprecations"; the answers are from the issues that api.openai.com's
/// users filed.
const REQUESTS: Requests = Requests {
    version: "v1",
    endpoints: &[
        get("/v1/models"),
        open("/v1/models/{}", &["GET", "DELETE"]),
        Endpoint { methods: &["GET", "POST"], ..posted("/v1/chat/completions", CHAT) },
        posted("/v1/responses", RESPONSE),
        open("/v1/responses/{}", &["GET", "DELETE"]),
        open("/v1/responses/input_tokens", &["POST"]),
        posted(
            "/v1/moderations",
            &[needed("input", Holds::TextOrList), field("model", Holds::Text)],
        ),
        posted(
            "/v1/embeddings",
            &[needed("input", Holds::TextOrList), needed("model", Holds::Text)],
        ),
        open("/v1/files", &["GET", "POST"]),
        open("/v1/files/{}", &["GET", "DELETE"]),
        get("/v1/files/{}/content"),
        open("/v1/batches", &["GET", "POST"]),
        get("/v1/batches/{}"),
        open("/v1/images/generations", &["POST"]),
        open("/v1/audio/transcriptions", &["POST"]),
        open("/v1/audio/speech", &["POST"]),
        legacy("/v1/completions", "POST /v1/responses"),
        legacy("/v1/edits", "POST /v1/chat/completions"),
        legacy("/v1/engines", "GET /v1/models"),
    ],
    keys: &[
        KeyKind { name: "project key", prefix: "sk-proj-", header: Some("authorization") },
        KeyKind {
            name: "service account key",
            prefix: "sk-svcacct-",
            header: Some("authorization"),
        },
        KeyKind { name: "admin key", prefix: "sk-admin-", header: Some("authorization") },
        KeyKind { name: "API key", prefix: "sk-", header: Some("authorization") },
    ],
    key_headers: &[KeyHeader { name: "authorization", prefix: "Bearer " }],
    headers: &[],
    query: &[],
    query_unless: &[],
    shared: &[],
    largest: u64::MAX,
    models: &[
        retired("gpt-3.5-turbo*", "2026-10-23"),
        retired("gpt-4", "2026-10-23"),
        retired("gpt-4-*", "2026-10-23"),
        retired("gpt-4o-2024-05-13", "2026-10-23"),
        retired("gpt-4.1-nano*", "2026-10-23"),
        retired("o1*", "2026-10-23"),
        retired("o3-mini*", "2026-10-23"),
        retired("o4-mini*", "2026-10-23"),
        retired("gpt-5", "2026-12-11"),
        retired("gpt-5-2025-08-07", "2026-12-11"),
        retired("gpt-5-mini*", "2026-12-11"),
        retired("gpt-5-nano*", "2026-12-11"),
        retired("gpt-5-pro*", "2026-12-11"),
        retired("o3", "2026-12-11"),
        retired("o3-2025-04-16", "2026-12-11"),
        retired("o3-pro*", "2026-12-11"),
        retired("gpt-4o", "2027-01-14"),
        retired("gpt-4o-2024-08-06", "2027-01-14"),
        retired("gpt-4o-2024-11-20", "2027-01-14"),
        retired("gpt-4o-mini", "2027-01-14"),
        retired("gpt-4o-mini-2024-07-18", "2027-01-14"),
        retired("gpt-4.1", "2027-01-14"),
        retired("gpt-4.1-2025-04-14", "2027-01-14"),
        retired("gpt-4.1-mini*", "2027-01-14"),
        // Models of an organisation's own, and those that came later.
        model("*"),
    ],
    base_variables: &["OPENAI_BASE_URL", "OPENAI_API_BASE"],
    answers: &[
        answer(
            Mistake::KeyMissing,
            401,
            "invalid_request_error",
            "You didn't provide an API key. You need to provide your API key in an Authorization header…",
        ),
        answer(
            Mistake::KeyPlaceholder,
            401,
            "invalid_api_key",
            "Incorrect API key provided: …. You can find your API key at …",
        ),
        answer(
            Mistake::KeyOfOtherProvider,
            401,
            "invalid_api_key",
            "Incorrect API key provided: …. You can find your API key at …",
        ),
        answer(Mistake::UrlVersionMissing, 404, "invalid_request_error", "Invalid URL (…)"),
        answer(Mistake::UrlVersionDoubled, 404, "invalid_request_error", "Invalid URL (…)"),
        answer(Mistake::UrlPathOfOtherProvider, 404, "invalid_request_error", "Invalid URL (…)"),
        answer(Mistake::ContentTypeWrong, 400, "unsupported_content_type", ""),
        answer(
            Mistake::BodyNotJson,
            400,
            "invalid_request_error",
            "We could not parse the JSON body of your request…",
        ),
        answer(
            Mistake::ModelUnknown,
            404,
            "model_not_found",
            "The model `…` does not exist or you do not have access to it.",
        ),
        answer(Mistake::ModelRetired, 404, "model_not_found", "The model `…` has been deprecated…"),
    ],
};

/// "Legacy" in the API reference.
const fn legacy(path: &'static str, instead: &'static str) -> Endpoint {
    Endpoint { instead: Some(instead), ..open(path, &["GET", "POST"]) }
}

const CHAT: &[Field] = &[
    needed("model", Holds::Text),
    needed("messages", Holds::Some),
    field("stream", Holds::Truth),
    field("max_tokens", Holds::Number(1)),
    field("max_completion_tokens", Holds::Number(1)),
    field("temperature", Holds::Fraction(0.0, 2.0)),
    field("top_p", Holds::Fraction(0.0, 1.0)),
    field("n", Holds::Number(1)),
    field("frequency_penalty", Holds::Fraction(-2.0, 2.0)),
    field("presence_penalty", Holds::Fraction(-2.0, 2.0)),
    field("stop", Holds::TextOrList),
    field("tools", Holds::List),
    field("metadata", Holds::Object),
    field("response_format", Holds::Object),
    field("stream_options", Holds::Object),
];

const RESPONSE: &[Field] = &[
    field("model", Holds::Text),
    field("input", Holds::TextOrList),
    field("instructions", Holds::TextOrList),
    field("stream", Holds::Truth),
    field("max_output_tokens", Holds::Number(1)),
    field("temperature", Holds::Fraction(0.0, 2.0)),
    field("top_p", Holds::Fraction(0.0, 1.0)),
    field("tools", Holds::List),
    field("metadata", Holds::Object),
    field("reasoning", Holds::Object),
    field("text", Holds::Object),
];

/// The origin sets `x-request-id`, and `openai-version` or `openai-processing-ms` beside it once it knows the account;
/// what Cloudflare refuses by itself has neither, and not the four keys of its errors.
fn read(response: &Response) -> Reading {
    let document = document(response);
    let is_error = document.as_ref().is_some_and(is_error);
    let shape = is_error || document.as_ref().is_some_and(is_answer);
    let request_id = response.header("x-request-id").map(str::to_owned);
    let of_account = ["openai-version", "openai-processing-ms", "openai-organization"];
    let signed = of_account.iter().any(|name| response.header(name).is_some());
    let named = request_id.as_deref().is_some_and(|id| id.starts_with("req_"));
    let said = document.as_ref().map(said).unwrap_or_default();
    Reading {
        origin_mark: request_id.is_some() && signed || named && shape,
        edge_mark: is_cloudflare(response) && !is_error,
        shape,
        documented: is_error,
        relayed: false,
        error_type: said.error_type,
        message: said.message,
        request_id: request_id
            .or_else(|| response.header("cf-ray").map(|ray| format!("cf-ray {ray}"))),
    }
}

/// What an error of this shape says.
#[derive(Default)]
pub(super) struct Said {
    pub(super) error_type: Option<String>,
    pub(super) message: Option<String>,
}

/// The `code` where it is a word, else the `type`.
pub(super) fn said(document: &Value) -> Said {
    let word = |pointer| {
        let word = text(document, pointer)?;
        let telling = word.chars().any(|c| c.is_ascii_alphabetic()) && word != "None";
        telling.then_some(word)
    };
    Said {
        error_type: word("/error/code").or_else(|| word("/error/type")),
        message: text(document, "/error/message"),
    }
}

/// Whether it is an error with three of the four keys at least: message, type, param, code.
pub(super) fn is_error(document: &Value) -> bool {
    let Some(error) = document.get("error") else { return false };
    let beside = ["type", "param", "code"].iter().filter(|key| error.get(key).is_some()).count();
    error.get("message").is_some_and(Value::is_string) && beside >= 2
}

/// Whether it is a list, an object or a part of a stream.
pub(super) fn is_answer(document: &Value) -> bool {
    let typed = document.get("type").and_then(Value::as_str).unwrap_or_default();
    document.get("data").is_some_and(Value::is_array)
        || document.get("object").is_some_and(Value::is_string)
        // Moderations have no `object`.
        || document.get("results").is_some_and(Value::is_array)
        || typed.starts_with("response.")
}

/// The documented codes first: 401, 403 and 429 each stand for several causes.
pub(super) fn cause(response: &Response, reading: &Reading) -> Option<Cause> {
    let message = reading.message.as_deref();
    let by_code = match reading.error_type.as_deref().unwrap_or_default() {
        "invalid_api_key" => Some(Cause::ApiKeyInvalid),
        "unsupported_country_region_territory" | "request_forbidden" => {
            Some(Cause::RegionNotSupported)
        }
        "ip_not_authorized" => Some(Cause::ApiEgressNotAllowed),
        "insufficient_quota"
        | "credit_balance_exhausted"
        | "organization_usage_limit_exceeded"
        | "organization_spend_limit_exceeded"
        | "project_spend_limit_exceeded"
        | "billing_not_active"
        | "billing_hard_limit_reached" => Some(Cause::ApiBilling),
        "rate_limit_exceeded" | "rate_limit_error" | "slow_down" | "tokens" | "requests" => {
            Some(Cause::ApiRateLimited)
        }
        "server_is_overloaded" | "overloaded_error" => Some(Cause::ApiOverloaded),
        // In a stream there is no status that says it.
        "server_error" | "service_unavailable_error" if response.status < 400 => {
            Some(Cause::ApiError)
        }
        "invalid_request_error" if response.status < 400 => Some(Cause::ApiBadRequest),
        "account_deactivated" | "organization_deactivated" => Some(Cause::ApiForbidden),
        // 403 is said of a model that is there, and not this project's.
        "model_not_found" if response.status != 403 => Some(Cause::ApiModelUnknown),
        _ => None,
    };
    by_code.or_else(|| by_words(response, message)).or_else(|| by_status(response.status))
}

/// What has no code of its own.
fn by_words(response: &Response, message: Option<&str>) -> Option<Cause> {
    let says = |parts: &[&str]| has(message, parts);
    match response.status {
        401 if says(&["ip not authorized", "ip address", "ip is not"]) => {
            Some(Cause::ApiEgressNotAllowed)
        }
        401 if says(&["member of an organization", "missing scopes", "deactivated"]) => {
            Some(Cause::ApiForbidden)
        }
        401 if says(&["didn't provide an api key", "missing bearer", "no api key"]) => {
            Some(Cause::ApiKeyMissing)
        }
        403 if says(&["country, region, or territory"]) => Some(Cause::RegionNotSupported),
        404 if says(&["must be verified"]) => Some(Cause::ApiForbidden),
        429 if says(&["check your plan and billing", "spend limit"]) => Some(Cause::ApiBilling),
        503 if says(&["overloaded", "slow down"]) => Some(Cause::ApiOverloaded),
        _ => None,
    }
}
