//! The hosts of GitHub Copilot: whether they are reached is told by `/_ping`, which wants no token.
//!
//! Sources: docs.github.com "Copilot allowlist reference", "Troubleshooting network errors for GitHub Copilot". What needs a
//! token of an editor, which lives for minutes, is not asked for.

use super::body::{document, has};
use super::generic::by_status;
use super::request::{
    Field, Holds, KeyKind, Needed, Requests, answer, field, free, get, needed, open, posted,
};
use super::{Facts, KeyHeader, Reading, openai};
use crate::cause::Cause;
use crate::mistake::Mistake;
use crate::observation::Response;

pub(super) const FACTS: Facts = Facts {
    id: "github_copilot",
    hosts: &[
        "api.githubcopilot.com",
        "api.individual.githubcopilot.com",
        "api.business.githubcopilot.com",
        "api.enterprise.githubcopilot.com",
        "copilot-proxy.githubusercontent.com",
    ],
    ranges: &[],
    url: Some("https://api.githubcopilot.com/_ping"),
    minimal: &[("", "/_ping")],
    key: Some(KeyHeader { name: "authorization", prefix: "Bearer " }),
    headers: &[],
    whole_body: true,
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
        free("/_ping", &["GET"]),
        get("/models"),
        posted("/chat/completions", CHAT),
        open("/responses", &["POST"]),
        open("/v1/messages", &["POST"]),
        open("/embeddings", &["POST"]),
    ],
    keys: &[
        KeyKind { name: "Copilot token", prefix: "tid=", header: Some("authorization") },
        KeyKind { name: "GitHub token", prefix: "ghu_", header: Some("authorization") },
        KeyKind { name: "OAuth token", prefix: "gho_", header: Some("authorization") },
        KeyKind { name: "personal access token", prefix: "ghp_", header: None },
    ],
    key_headers: &[KeyHeader { name: "authorization", prefix: "Bearer " }],
    headers: &[
        Needed { name: "editor-version", values: &[], missing: Mistake::IntegrationHeaderMissing },
        Needed {
            name: "copilot-integration-id",
            values: &[],
            missing: Mistake::IntegrationHeaderMissing,
        },
    ],
    query: &[],
    query_unless: &[],
    shared: &[],
    largest: u64::MAX,
    models: &[],
    base_variables: &[],
    answers: &[
        answer(
            Mistake::IntegrationHeaderMissing,
            400,
            "",
            "bad request: missing Editor-Version header for IDE auth",
        ),
        answer(Mistake::KeyMissing, 401, "", "unauthorized: …"),
        answer(Mistake::KeyPlaceholder, 401, "", "unauthorized: …"),
    ],
};

const CHAT: &[Field] = &[
    needed("messages", Holds::Some),
    field("model", Holds::Text),
    field("stream", Holds::Truth),
    field("max_tokens", Holds::Number(1)),
    field("temperature", Holds::Fraction(0.0, 2.0)),
    field("tools", Holds::List),
];

/// GitHub sets `x-github-request-id` on all its answers, those of the ping as well. Many are plain text.
fn read(response: &Response) -> Reading {
    let document = document(response);
    let is_error = document.as_ref().is_some_and(openai::is_error)
        || document.as_ref().is_some_and(|document| document.pointer("/error/message").is_some());
    let said = document.as_ref().map(openai::said).unwrap_or_default();
    let request_id = response.header("x-github-request-id").map(str::to_owned);
    let backend = response.header("x-github-backend").is_some();
    let line = || response.body.lines().next().map(str::trim).filter(|line| !line.is_empty());
    // A line of plain text is anybody's refusal; with GitHub's mark it is theirs.
    let marked = request_id.is_some() || backend;
    let is_text = is_plain(response)
        && response.body.len() <= LINE
        && (marked || (200..300).contains(&response.status));
    let told = is_text && document.is_none() && response.status >= 400;
    Reading {
        origin_mark: marked,
        edge_mark: false,
        shape: is_error || is_text || document.as_ref().is_some_and(openai::is_answer),
        documented: document.as_ref().is_some_and(openai::is_error),
        relayed: false,
        error_type: said.error_type,
        message: said.message.or_else(|| line().filter(|_| told).map(str::to_owned)),
        request_id: request_id.or_else(|| response.header("x-request-id").map(str::to_owned)),
    }
}

/// Longer texts are no answer of its own.
const LINE: usize = 512;

fn is_plain(response: &Response) -> bool {
    let kind = response.header("content-type").unwrap_or_default();
    kind.split(';').next().unwrap_or_default().trim().eq_ignore_ascii_case("text/plain")
}

/// The words first: 400 and 401 are plain text.
fn cause(response: &Response, reading: &Reading) -> Option<Cause> {
    let says = |parts: &[&str]| has(reading.message.as_deref(), parts);
    match reading.error_type.as_deref().unwrap_or_default() {
        // It stopped waiting for the end of the request.
        "user_request_timeout" => Some(Cause::ApiError),
        "model_not_supported" | "model_not_found" => Some(Cause::ApiModelUnknown),
        "quota_exceeded" => Some(Cause::ApiBilling),
        _ if response.status == 401 && says(&["missing authorization", "no token"]) => {
            Some(Cause::ApiKeyMissing)
        }
        _ if response.status == 403 && says(&["ip allow list"]) => Some(Cause::ApiEgressNotAllowed),
        _ if response.status == 400 && says(&["model is not supported"]) => {
            Some(Cause::ApiModelUnknown)
        }
        _ => by_status(response.status),
    }
}
