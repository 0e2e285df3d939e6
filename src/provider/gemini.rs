//! The Gemini API at generativelanguage.googleapis.com: Google's front end in front of it, whose answers have no id.
//!
//! Sources: ai.google.dev "API errors", "Troubleshooting", "Tokens", "Models", "API keys"; cloud.google.com "Error model"
//! for the reasons in the details.

use serde_json::Value;

use super::body::{document, has, text};
use super::generic::by_status;
use super::request::{
    Endpoint, Field, Holds, KeyKind, Requests, answer, field, get, model, needed, open, posted,
    retired,
};
use super::{Facts, KeyHeader, Post, Reading};
use crate::cause::Cause;
use crate::mistake::Mistake;
use crate::observation::Response;

pub(super) const FACTS: Facts = Facts {
    id: "gemini",
    hosts: &["generativelanguage.googleapis.com"],
    ranges: &[],
    url: Some("https://generativelanguage.googleapis.com/v1beta/models"),
    minimal: &[("", "/v1beta/models")],
    key: Some(KeyHeader { name: "x-goog-api-key", prefix: "" }),
    headers: &[],
    whole_body: true,
    counting: Some(Post {
        path: "/v1beta/models/gemini-flash-lite-latest:countTokens",
        body: counted,
    }),
    streaming: Some(Post {
        path: "/v1beta/models/gemini-flash-lite-latest:streamGenerateContent?alt=sse",
        body: streamed,
    }),
    closes_after: None,
    requests: &REQUESTS,
    read,
    cause,
};

/// Ordinary words, of which a filter has nothing to say.
fn counted(bytes: usize) -> String {
    let text = "The quick brown fox jumps over the lazy dog. ".repeat(bytes / 45 + 1);
    format!(r#"{{"contents":[{{"role":"user","parts":[{{"text":"{}"}}]}}]}}"#, text.trim())
}

/// Enough words that a healthy answer takes a second.
fn streamed(_bytes: usize) -> String {
    r#"{"contents":[{"role":"user","parts":[{"text":"Count from 1 to 30."}]}],"generationConfig":{"maxOutputTokens":256}}"#
        .to_owned()
}

/// Sources: ai.google.dev "API reference", "Deprecations".
const REQUESTS: Requests = Requests {
    version: "v1beta",
    endpoints: &[
        get("/v1beta/models"),
        get("/v1/models"),
        get("/v1beta/models/{}"),
        get("/v1/models/{}"),
        of_model("/v1beta/models/{}:generateContent", GENERATE),
        of_model("/v1/models/{}:generateContent", GENERATE),
        of_model("/v1beta/models/{}:streamGenerateContent", GENERATE),
        of_model("/v1/models/{}:streamGenerateContent", GENERATE),
        of_model("/v1beta/models/{}:countTokens", COUNT),
        of_model("/v1/models/{}:countTokens", COUNT),
        of_model("/v1beta/models/{}:embedContent", EMBED),
        open("/v1beta/interactions", &["POST"]),
        open("/v1beta/files", &["GET"]),
        open("/v1beta/cachedContents", &["GET", "POST"]),
        get("/v1beta/openai/models"),
        open("/v1beta/openai/chat/completions", &["POST"]),
        Endpoint {
            instead: Some("POST /v1beta/models/{}:generateContent"),
            ..open("/v1beta/models/{}:generateMessage", &["POST"])
        },
        Endpoint {
            instead: Some("POST /v1beta/models/{}:generateContent"),
            ..open("/v1beta/models/{}:generateText", &["POST"])
        },
    ],
    keys: &[
        KeyKind { name: "API key", prefix: "AIza", header: Some("x-goog-api-key") },
        KeyKind { name: "authorization key", prefix: "AQ.", header: Some("x-goog-api-key") },
        KeyKind { name: "OAuth token", prefix: "ya29.", header: Some("authorization") },
    ],
    key_headers: &[
        KeyHeader { name: "x-goog-api-key", prefix: "" },
        KeyHeader { name: "authorization", prefix: "Bearer " },
    ],
    headers: &[],
    query: &[],
    query_unless: &[],
    shared: &[],
    largest: u64::MAX,
    models: &[
        retired("gemini-pro", "2025-02-15"),
        retired("gemini-1.0*", "2025-02-15"),
        retired("gemini-1.5*", "2025-09-29"),
        model("*"),
    ],
    base_variables: &["GOOGLE_GEMINI_BASE_URL", "GEMINI_BASE_URL"],
    answers: &[
        answer(
            Mistake::KeyMissing,
            403,
            "PERMISSION_DENIED",
            "Method doesn't allow unregistered callers (callers without established identity)…",
        ),
        answer(
            Mistake::KeyPlaceholder,
            400,
            "API_KEY_INVALID",
            "API key not valid. Please pass a valid API key.",
        ),
        answer(
            Mistake::KeyOfOtherProvider,
            400,
            "API_KEY_INVALID",
            "API key not valid. Please pass a valid API key.",
        ),
        answer(
            Mistake::BodyFieldUnknown,
            400,
            "INVALID_ARGUMENT",
            "Invalid JSON payload received. Unknown name \"…\": Cannot find field.",
        ),
        answer(Mistake::BodyNotJson, 400, "INVALID_ARGUMENT", "Invalid JSON payload received. …"),
        answer(
            Mistake::ModelUnknown,
            404,
            "NOT_FOUND",
            "models/… is not found for API version v1beta, or is not supported for …",
        ),
        answer(
            Mistake::ModelRetired,
            404,
            "NOT_FOUND",
            "models/… is not found for API version v1beta, or is not supported for …",
        ),
    ],
};

const fn of_model(path: &'static str, fields: &'static [Field]) -> Endpoint {
    Endpoint { closed: true, ..posted(path, fields) }
}

/// Names are taken in both styles (protobuf.dev, "ProtoJSON").
const GENERATE: &[Field] = &[
    needed("contents", Holds::SomeOrObject),
    field("systemInstruction", Holds::Object),
    field("system_instruction", Holds::Object),
    field("generationConfig", Holds::Object),
    field("generation_config", Holds::Object),
    field("safetySettings", Holds::List),
    field("safety_settings", Holds::List),
    field("tools", Holds::Any),
    field("toolConfig", Holds::Object),
    field("tool_config", Holds::Object),
    field("cachedContent", Holds::Text),
    field("cached_content", Holds::Text),
    field("model", Holds::Text),
    field("serviceTier", Holds::Text),
    field("service_tier", Holds::Text),
    field("store", Holds::Truth),
];

const COUNT: &[Field] = &[
    field("contents", Holds::SomeOrObject),
    field("model", Holds::Text),
    field("generateContentRequest", Holds::Object),
    field("generate_content_request", Holds::Object),
];

const EMBED: &[Field] = &[
    needed("content", Holds::Object),
    field("model", Holds::Text),
    field("taskType", Holds::Text),
    field("task_type", Holds::Text),
    field("title", Holds::Text),
    field("outputDimensionality", Holds::Number(1)),
    field("output_dimensionality", Holds::Number(1)),
];

/// Its origin calls itself so, and Google's front end counts the time it waited for it. Both stand on answers of other
/// Google services, too: the error's own shape has to be there, or what was asked for.
fn read(response: &Response) -> Reading {
    let document = document(response);
    let error = document.as_ref().and_then(|document| document.get("error"));
    let is_error = error.is_some_and(|error| {
        error.get("code").is_some_and(|code| code.is_u64() || code.is_string())
            && error.get("message").is_some_and(Value::is_string)
    });
    let shape = is_error || document.as_ref().is_some_and(is_answer);
    let is_scaffolding = response.header("server") == Some("scaffolding on HTTPServer2");
    let timed =
        response.header("server-timing").is_some_and(|timing| timing.starts_with("gfet4t7"));
    let said = |pointer| document.as_ref().and_then(|document| text(document, pointer));
    Reading {
        origin_mark: shape && (is_scaffolding || timed),
        // The front end's own pages are timed, too.
        edge_mark: !shape && (is_scaffolding || timed),
        shape,
        documented: is_error && document.as_ref().is_some_and(has_status),
        relayed: false,
        error_type: document
            .as_ref()
            .and_then(reason)
            .or_else(|| said("/error/status"))
            .or_else(|| said("/error/code")),
        message: said("/error/message"),
        request_id: None,
    }
}

/// The status is a name of `google.rpc.Code`, beside a code and a message that anybody writes (google.aip.dev/193).
fn has_status(document: &Value) -> bool {
    let is_name = |status: &String| status.bytes().all(|b| b.is_ascii_uppercase() || b == b'_');
    text(document, "/error/status").is_some_and(|status| is_name(&status))
        || reason(document).is_some()
}

/// The reason in the details, which says more than the status (google.aip.dev/193).
fn reason(document: &Value) -> Option<String> {
    let details = document.pointer("/error/details")?.as_array()?;
    details.iter().take(16).find_map(|detail| text(detail, "/reason"))
}

fn is_answer(document: &Value) -> bool {
    ["models", "candidates", "embeddings", "files", "cachedContents", "data"]
        .iter()
        .any(|list| document.get(list).is_some_and(Value::is_array))
        || document.get("totalTokens").is_some_and(Value::is_number)
        || text(document, "/name").is_some_and(|name| name.starts_with("models/"))
}

/// Reasons and statuses first: 400 and 403 each stand for several causes.
fn cause(response: &Response, reading: &Reading) -> Option<Cause> {
    let message = reading.message.as_deref();
    let says = |parts: &[&str]| has(message, parts);
    let by_type = match reading.error_type.as_deref().unwrap_or_default() {
        "API_KEY_INVALID" | "API_KEY_EXPIRED" => Some(Cause::ApiKeyInvalid),
        "UNAUTHENTICATED"
        | "ACCESS_TOKEN_TYPE_UNSUPPORTED"
        | "ACCESS_TOKEN_EXPIRED"
        | "CREDENTIALS_MISSING"
        | "authentication" => Some(of_credentials(message)),
        "API_KEY_IP_ADDRESS_BLOCKED" => Some(Cause::ApiEgressNotAllowed),
        "BILLING_DISABLED" => Some(Cause::ApiBilling),
        "FAILED_PRECONDITION"
            if says(&["location is not supported", "not available in your country"]) =>
        {
            Some(Cause::RegionNotSupported)
        }
        "FAILED_PRECONDITION" if says(&["billing"]) => Some(Cause::ApiBilling),
        "PERMISSION_DENIED" if says(&["unregistered callers", "api key is missing"]) => {
            Some(Cause::ApiKeyMissing)
        }
        "PERMISSION_DENIED"
            if says(&["ip address restriction", "from ip address", "caller's ip"]) =>
        {
            Some(Cause::ApiEgressNotAllowed)
        }
        "PERMISSION_DENIED" if says(&["reported as leaked"]) => Some(Cause::ApiKeyInvalid),
        "RESOURCE_EXHAUSTED"
            if response.status == 402
                || says(&["prepayment credits", "spend cap", "spending cap"]) =>
        {
            Some(Cause::ApiBilling)
        }
        "RESOURCE_EXHAUSTED"
        | "RATE_LIMIT_EXCEEDED"
        | "rate_limit_exceeded"
        | "quota_exceeded"
        | "too_many_requests" => Some(Cause::ApiRateLimited),
        "NOT_FOUND" if says(&["models/", "model "]) => Some(Cause::ApiModelUnknown),
        "UNAVAILABLE" if says(&["overloaded", "high demand"]) => Some(Cause::ApiOverloaded),
        // In a stream there is no status that says it.
        "INTERNAL" | "UNAVAILABLE" | "DEADLINE_EXCEEDED" => Some(Cause::ApiError),
        _ => None,
    };
    by_type.or_else(|| by_status(response.status))
}

fn of_credentials(message: Option<&str>) -> Cause {
    // It wants an OAuth token or "other valid authentication credential", and says no more where there was none.
    if has(message, &["missing required authentication", "api key is missing"]) {
        Cause::ApiKeyMissing
    } else {
        Cause::ApiKeyInvalid
    }
}
