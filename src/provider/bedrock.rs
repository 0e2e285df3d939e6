//! Amazon Bedrock by its API keys as bearer tokens: a host for each region, one to run models and one to manage them.
//! Requests are not signed (Signature Version 4).
//!
//! Sources: docs.aws.amazon.com/bedrock "API error codes", "API keys", "Count tokens", "API reference"; docs.aws.amazon.com
//! "Common error types".

use serde_json::Value;

use super::body::{document, has, text};
use super::generic::by_status;
use super::request::{Field, Holds, KeyKind, Requests, answer, field, get, needed, open, posted};
use super::{Facts, KeyHeader, Reading, anthropic, openai};
use crate::cause::Cause;
use crate::mistake::Mistake;
use crate::observation::Response;

pub(super) const FACTS: Facts = Facts {
    id: "bedrock",
    hosts: &[
        "bedrock.*.amazonaws.com",
        "bedrock-runtime.*.amazonaws.com",
        "bedrock-fips.*.amazonaws.com",
        "bedrock-runtime-fips.*.amazonaws.com",
        "bedrock-mantle.*.api.aws",
    ],
    ranges: &[],
    // The region is the customer's.
    url: None,
    minimal: &[
        ("bedrock-runtime", "/async-invoke"),
        ("bedrock-mantle.", "/v1/models"),
        ("bedrock", "/foundation-models"),
    ],
    key: Some(KeyHeader { name: "authorization", prefix: "Bearer " }),
    headers: &[],
    whole_body: true,
    // Counting is free, but only some regions and models have it, and only the runtime's host.
    counting: None,
    // Streams are in a binary framing of their own.
    streaming: None,
    closes_after: None,
    requests: &REQUESTS,
    read,
    cause,
};

const REQUESTS: Requests = Requests {
    version: "",
    endpoints: &[
        get("/foundation-models"),
        get("/foundation-models/{}"),
        get("/inference-profiles"),
        get("/inference-profiles/{}"),
        get("/async-invoke"),
        get("/v1/models"),
        posted("/model/{}/converse", CONVERSE),
        posted("/model/{}/converse-stream", CONVERSE),
        posted("/model/{}/invoke", &[]),
        posted("/model/{}/invoke-with-response-stream", &[]),
        posted("/model/{}/count-tokens", &[needed("input", Holds::Object)]),
        open("/openai/v1/chat/completions", &["POST"]),
        open("/v1/chat/completions", &["POST"]),
        open("/v1/responses", &["POST"]),
        open("/anthropic/v1/messages", &["POST"]),
    ],
    keys: &[
        KeyKind { name: "long-term API key", prefix: "ABSK", header: Some("authorization") },
        KeyKind {
            name: "short-term API key",
            prefix: "bedrock-api-key-",
            header: Some("authorization"),
        },
        KeyKind { name: "access key id", prefix: "AKIA", header: None },
        KeyKind { name: "temporary access key id", prefix: "ASIA", header: None },
    ],
    key_headers: &[
        KeyHeader { name: "authorization", prefix: "Bearer " },
        // The host of the other APIs' shapes takes it, too.
        KeyHeader { name: "x-api-key", prefix: "" },
    ],
    headers: &[],
    query: &[],
    query_unless: &[],
    shared: &[],
    largest: u64::MAX,
    models: &[],
    base_variables: &["AWS_ENDPOINT_URL_BEDROCK_RUNTIME", "ANTHROPIC_BEDROCK_BASE_URL"],
    answers: &[
        answer(Mistake::KeyMissing, 403, "", "Authorization header is missing"),
        answer(
            Mistake::KeyPlaceholder,
            403,
            "UnrecognizedClientException",
            "The security token included in the request is invalid.",
        ),
        answer(
            Mistake::KeyOfOtherProvider,
            403,
            "",
            "Invalid API Key format: Must start with pre-defined prefix",
        ),
        answer(
            Mistake::SignatureMixed,
            403,
            "UnrecognizedClientException",
            "The security token included in the request is invalid.",
        ),
        answer(
            Mistake::ModelUnknown,
            400,
            "ValidationException",
            "The provided model identifier is invalid.",
        ),
    ],
};

const CONVERSE: &[Field] = &[
    field("messages", Holds::List),
    field("system", Holds::List),
    field("inferenceConfig", Holds::Object),
    field("toolConfig", Holds::Object),
    field("guardrailConfig", Holds::Object),
    field("additionalModelRequestFields", Holds::Any),
];

/// Its services set `x-amzn-requestid` on all their answers, and the kind of an error in a header of its own; API
/// gateways of its customers set the first, too, so that the kind or the shape has to be there.
fn read(response: &Response) -> Reading {
    let document = document(response);
    let kind = response.header("x-amzn-errortype").map(str::to_owned);
    let said = |pointer| document.as_ref().and_then(|document| text(document, pointer));
    let of_aws = ["x-amzn-requestid", "x-amz-request-id"];
    let signed = of_aws.iter().find_map(|name| response.header(name));
    let request_id = signed.or_else(|| response.header("request-id")).map(str::to_owned);
    // `NameException:http://internal…` in the header, `service#NameException` in the body.
    let kind = kind.or_else(|| said("/__type")).map(|kind| {
        let name = kind.split(':').next().unwrap_or_default();
        name.rsplit('#').next().unwrap_or_default().to_owned()
    });
    let words = said("/message").or_else(|| said("/Message"));
    let of_the_others = document.as_ref().is_some_and(is_error_of_another);
    let documented = kind.is_some() || of_the_others;
    // Anybody writes a message alone; with AWS's id it is theirs.
    let shape = document.as_ref().is_some_and(is_theirs)
        || documented
        || words.is_some() && signed.is_some();
    let spoken = document.as_ref().map(openai::said).unwrap_or_default();
    Reading {
        origin_mark: shape && (signed.is_some() || documented && request_id.is_some()),
        edge_mark: false,
        shape,
        documented,
        relayed: false,
        error_type: kind.or(spoken.error_type),
        message: words.or(spoken.message),
        request_id,
    }
}

/// A list or an answer of its own, or one in the shape of the APIs that it speaks, too.
fn is_theirs(document: &Value) -> bool {
    const OWN: &[&str] = &[
        "modelSummaries",
        "modelDetails",
        "inferenceProfileSummaries",
        "asyncInvokeSummaries",
        "inputTokens",
        "output",
    ];
    OWN.iter().any(|key| document.get(key).is_some()) || openai::is_answer(document)
}

fn is_error_of_another(document: &Value) -> bool {
    anthropic::is_error(document) || openai::is_error(document)
}

/// The kinds of its errors first: 400 and 403 each stand for several causes.
fn cause(response: &Response, reading: &Reading) -> Option<Cause> {
    let says = |parts: &[&str]| has(reading.message.as_deref(), parts);
    if says(&["authorization header is missing", "missing authentication token"]) {
        return Some(Cause::ApiKeyMissing);
    }
    if says(&["unsupported countries, regions"]) {
        return Some(Cause::RegionNotSupported);
    }
    let by_kind = match reading.error_type.as_deref().unwrap_or_default() {
        "MissingAuthenticationToken" | "MissingAuthenticationTokenException" => {
            Some(Cause::ApiKeyMissing)
        }
        "UnrecognizedClientException"
        | "InvalidClientTokenId"
        | "ExpiredTokenException"
        | "ExpiredToken"
        | "InvalidSignatureException"
        | "IncompleteSignature"
        | "IncompleteSignatureException"
        | "SignatureDoesNotMatch"
        | "RequestExpired" => Some(Cause::ApiKeyInvalid),
        "AccessDeniedException" | "AccessDenied" | "NotAuthorized" => Some(of_access(says)),
        "OptInRequired" | "FTUFormNotFilled" => Some(Cause::ApiForbidden),
        "ThrottlingException" | "ServiceQuotaExceededException" | "TooManyRequestsException" => {
            Some(Cause::ApiRateLimited)
        }
        "ModelNotReadyException" => Some(Cause::ApiOverloaded),
        "ValidationException" | "ValidationError" if says(&["model identifier is invalid"]) => {
            Some(Cause::ApiModelUnknown)
        }
        "ResourceNotFoundException" | "ResourceNotFound" if says(&["use case details"]) => {
            Some(Cause::ApiForbidden)
        }
        "ResourceNotFoundException" | "ResourceNotFound" => Some(Cause::ApiModelUnknown),
        "UnknownOperationException" => Some(Cause::ApiNotFound),
        "RequestEntityTooLargeException" => Some(Cause::ApiTooLarge),
        // 408 and 424 are the model's, not the request's.
        "ModelTimeoutException"
        | "ModelErrorException"
        | "ModelStreamErrorException"
        | "InternalServerException"
        | "InternalFailure" => Some(Cause::ApiError),
        "ServiceUnavailableException" | "ServiceUnavailable" if says(&["too many", "capacity"]) => {
            Some(Cause::ApiOverloaded)
        }
        _ => None,
    };
    by_kind.or_else(|| of_keys(response, says)).or_else(|| of_the_others(response, reading))
}

/// A policy of a VPC endpoint is about where the request comes from, others are about who asks.
fn of_access(says: impl Fn(&[&str]) -> bool) -> Cause {
    if says(&["vpc endpoint policy"]) {
        Cause::ApiEgressNotAllowed
    } else if says(&["invalid_payment_instrument", "payment instrument"]) {
        Cause::ApiBilling
    } else if says(&["api key format", "bearer token has expired", "api key is invalid"]) {
        Cause::ApiKeyInvalid
    } else {
        Cause::ApiForbidden
    }
}

fn of_keys(response: &Response, says: impl Fn(&[&str]) -> bool) -> Option<Cause> {
    let of_a_key = ["api key format", "security token", "bearer token has expired", "api key"];
    (response.status == 403 && says(&of_a_key)).then_some(Cause::ApiKeyInvalid)
}

/// The host of the other APIs' shapes says what they say.
fn of_the_others(response: &Response, reading: &Reading) -> Option<Cause> {
    if document(response).as_ref().is_some_and(anthropic::is_error) {
        return anthropic::cause(response, reading);
    }
    match reading.error_type {
        Some(_) => openai::cause(response, reading),
        None => by_status(response.status),
    }
}
