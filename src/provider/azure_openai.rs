//! Azure `OpenAI` and Foundry: each customer has a host of its own, with an API gateway in front of the models.
//!
//! Sources: learn.microsoft.com "Azure OpenAI REST reference", "Models - List", "Troubleshoot errors", "Azure OpenAI v1 API".

use serde_json::Value;

use super::body::{document, has, text};
use super::generic::by_status;
use super::request::{Endpoint, Field, Holds, Requests, answer, field, get, needed, open, posted};
use super::{Facts, KeyHeader, Reading, openai};
use crate::cause::Cause;
use crate::mistake::Mistake;
use crate::observation::Response;

pub(super) const FACTS: Facts = Facts {
    id: "azure_openai",
    hosts: &["*.openai.azure.com", "*.services.ai.azure.com", "*.cognitiveservices.azure.com"],
    ranges: &[],
    // The host is the customer's.
    url: None,
    minimal: &[("", "/openai/v1/models")],
    key: Some(KeyHeader { name: "api-key", prefix: "" }),
    headers: &[],
    whole_body: true,
    // Deployments have the customer's names, and none of them is free.
    counting: None,
    streaming: None,
    closes_after: None,
    requests: &REQUESTS,
    read,
    cause,
};

const REQUESTS: Requests = Requests {
    version: "",
    endpoints: &[
        get("/openai/models"),
        get("/openai/models/{}"),
        posted("/openai/deployments/{}/chat/completions", CHAT),
        posted("/openai/deployments/{}/embeddings", EMBED),
        Endpoint {
            instead: Some("POST /openai/v1/responses"),
            ..posted("/openai/deployments/{}/completions", &[])
        },
        get("/openai/v1/models"),
        get("/openai/v1/models/{}"),
        posted("/openai/v1/chat/completions", V1_CHAT),
        open("/openai/v1/responses", &["POST"]),
        open("/openai/v1/embeddings", &["POST"]),
        open("/openai/responses", &["POST"]),
        open("/anthropic/v1/messages", &["POST"]),
    ],
    // Hexadecimal digits without a prefix.
    keys: &[],
    key_headers: &[
        KeyHeader { name: "api-key", prefix: "" },
        KeyHeader { name: "authorization", prefix: "Bearer " },
        KeyHeader { name: "ocp-apim-subscription-key", prefix: "" },
    ],
    headers: &[],
    query: &["api-version"],
    query_unless: &["/openai/v1/", "/anthropic/"],
    shared: &[("cognitiveservices.azure.com", &["/openai/", "/models/", "/anthropic/"])],
    largest: u64::MAX,
    models: &[],
    base_variables: &["AZURE_OPENAI_ENDPOINT"],
    answers: &[
        answer(
            Mistake::KeyMissing,
            401,
            "401",
            "Access denied due to missing subscription key. Make sure to include subscription key when making requests to an API.",
        ),
        answer(
            Mistake::KeyPlaceholder,
            401,
            "401",
            "Access denied due to invalid subscription key or wrong API endpoint…",
        ),
        answer(
            Mistake::KeyOfOtherProvider,
            401,
            "401",
            "Access denied due to invalid subscription key or wrong API endpoint…",
        ),
        answer(Mistake::UrlQueryMissing, 404, "404", "Resource not found"),
        answer(
            Mistake::ModelUnknown,
            404,
            "DeploymentNotFound",
            "The API deployment for this resource does not exist…",
        ),
    ],
};

/// The model is the deployment's, in the path.
const CHAT: &[Field] = &[
    needed("messages", Holds::Some),
    field("stream", Holds::Truth),
    field("max_tokens", Holds::Number(1)),
    field("max_completion_tokens", Holds::Number(1)),
    field("temperature", Holds::Fraction(0.0, 2.0)),
    field("top_p", Holds::Fraction(0.0, 1.0)),
    field("stop", Holds::TextOrList),
    field("tools", Holds::List),
];

const V1_CHAT: &[Field] = &[
    needed("model", Holds::Text),
    needed("messages", Holds::Some),
    field("stream", Holds::Truth),
    field("max_completion_tokens", Holds::Number(1)),
    field("temperature", Holds::Fraction(0.0, 2.0)),
    field("top_p", Holds::Fraction(0.0, 1.0)),
];

const EMBED: &[Field] = &[needed("input", Holds::TextOrList)];

/// The gateway sets `apim-request-id` on all its answers, and `policy-id` where the resource's own firewall refuses.
fn read(response: &Response) -> Reading {
    let document = document(response);
    let error = document.as_ref().and_then(error);
    let shape = error.is_some() || document.as_ref().is_some_and(openai::is_answer);
    let request_id = response.header("apim-request-id").map(str::to_owned);
    let word = |pointer| error.and_then(|error| word(error, pointer));
    Reading {
        origin_mark: request_id.is_some() || response.header("policy-id").is_some(),
        edge_mark: false,
        shape,
        documented: document.as_ref().is_some_and(openai::is_error)
            || error.is_some_and(is_documented),
        relayed: false,
        error_type: word("/code").or_else(|| word("/statusCode")).or_else(|| word("/type")),
        message: word("/message"),
        request_id: request_id.or_else(|| response.header("x-request-id").map(str::to_owned)),
    }
}

/// The error stands in `error`, or is all there is, of the gateway in front with `statusCode`.
fn error(document: &Value) -> Option<&Value> {
    let error = document.get("error").filter(|error| error.is_object()).unwrap_or(document);
    let told = error.get("code").or_else(|| error.get("statusCode")).is_some();
    (told && error.get("message").is_some_and(Value::is_string)).then_some(error)
}

/// Whether its code is one of its own, or API Management speaks of its subscription key.
fn is_documented(error: &Value) -> bool {
    const OWN: &[&str] = &[
        "DeploymentNotFound",
        "ModelNotFound",
        "unknown_model",
        "ModelDeprecated",
        "PermissionDenied",
        "AuthorizationFailed",
        "AuthenticationTypeDisabled",
        "NoCapacity",
        "EngineOverloaded",
        "OperationNotSupported",
        "content_filter",
    ];
    let code = text(error, "/code");
    code.is_some_and(|code| OWN.contains(&code.as_str()))
        || has(text(error, "/message").as_deref(), &["subscription key"])
}

/// A text, or a number as one.
fn word(error: &Value, pointer: &str) -> Option<String> {
    let number = || error.pointer(pointer)?.as_u64().map(|number| number.to_string());
    text(error, pointer).or_else(number)
}

/// Its own codes, then what the models behind it say as api.openai.com does.
fn cause(response: &Response, reading: &Reading) -> Option<Cause> {
    let says = |parts: &[&str]| has(reading.message.as_deref(), parts);
    let denied = response.header("policy-id") == Some("ThrowExceptionDueToTrafficDenied");
    match reading.error_type.as_deref().unwrap_or_default() {
        _ if denied => Some(Cause::ApiEgressNotAllowed),
        "DeploymentNotFound" | "ModelNotFound" | "unknown_model" | "ModelDeprecated" => {
            Some(Cause::ApiModelUnknown)
        }
        "PermissionDenied" | "AuthorizationFailed" | "AuthenticationTypeDisabled" => {
            Some(Cause::ApiForbidden)
        }
        "NoCapacity" | "EngineOverloaded" => Some(Cause::ApiOverloaded),
        "content_filter" => Some(Cause::ApiBadRequest),
        _ => by_words(response.status, says).or_else(|| openai::cause(response, reading)),
    }
    .or_else(|| by_status(response.status))
}

/// What has no code but its status.
fn by_words(status: u16, says: impl Fn(&[&str]) -> bool) -> Option<Cause> {
    match status {
        401 if says(&["missing subscription key"]) => Some(Cause::ApiKeyMissing),
        // It says missing, invalid or expired at once.
        401 if says(&["access token is missing"]) => Some(Cause::ApiKeyInvalid),
        401 | 403 if says(&["virtual network", "firewall", "public access is disabled"]) => {
            Some(Cause::ApiEgressNotAllowed)
        }
        400 | 404 if says(&["api version not supported", "unsupported api version"]) => {
            Some(Cause::ApiBadRequest)
        }
        429 if says(&["high demand", "no capacity"]) => Some(Cause::ApiOverloaded),
        503 if says(&["overloaded", "high demand"]) => Some(Cause::ApiOverloaded),
        _ => None,
    }
}
