//! What a gateway makes of an answer: another API's shape, an API's error inside of its own, or a web framework's words.
//!
//! The API's own error is taken out, so that its type, its words and its id are what is kept. Marks are never taken
//! from inside: whose answer it is, the gateway cannot say for another.

use serde_json::Value;

use super::body::{document, has, text};
use super::{Facts, Provider, Reading};
use crate::cause::Cause;
use crate::observation::Response;

/// APIs that gateways speak, and relay the errors of.
const SPOKEN: &[Provider] = &[Provider::Anthropic, Provider::Openai, Provider::Gemini];

/// The reading of an answer, with what is wrapped in it.
pub(super) fn read(facts: &Facts, response: &Response) -> Reading {
    let own = (facts.read)(response);
    if let Some((inner, facts)) = inner(response) {
        let said = (facts.read)(&inner);
        return Reading {
            relayed: true,
            documented: said.documented,
            error_type: said.error_type.or(own.error_type),
            message: said.message.or(own.message),
            request_id: said.request_id.or(own.request_id),
            ..own
        };
    }
    let other = of_another(response);
    if own.shape {
        let documented = other.is_some_and(|facts| (facts.read)(response).documented);
        return Reading { documented: own.documented || documented, ..own };
    }
    if let Some(facts) = other {
        let said = (facts.read)(response);
        let error_type = said.error_type.or_else(|| class(said.message.as_deref()));
        let documented = said.documented;
        return Reading { relayed: true, documented, error_type, message: said.message, ..own };
    }
    match of_framework(response) {
        Some(message) => Reading { relayed: true, documented: true, message: Some(message), ..own },
        None => own,
    }
}

/// What an answer means, with what is wrapped in it.
pub(super) fn cause(facts: &Facts, response: &Response, reading: &Reading) -> Option<Cause> {
    if let Some((inner, facts)) = inner(response) {
        return (facts.cause)(&inner, &(facts.read)(&inner));
    }
    let by_words = || of_gateway(reading);
    if !reading.relayed {
        return (facts.cause)(response, reading);
    }
    match of_another(response) {
        Some(facts) => by_words().or_else(|| (facts.cause)(response, reading)),
        None => (facts.cause)(response, reading),
    }
}

/// Whether an API's own error stands inside of a gateway's, or the gateway says in words of its own what that API said.
pub fn wraps_an_error(response: &Response) -> bool {
    let said = || text(&document(response)?, "/error/message");
    // The budget is the gateway's own (docs.litellm.ai, "Exception mapping").
    let of_upstream = || class(said().as_deref()).is_some_and(|name| name != "BudgetExceededError");
    inner(response).is_some() || of_upstream()
}

/// `LiteLLM` puts the error as it came, as JSON or as Python writes bytes, behind the words of its own.
fn inner(response: &Response) -> Option<(Response, &'static Facts)> {
    let message = text(&document(response)?, "/error/message")?;
    // Words of the gateway's own may have braces, too.
    let starts = message.match_indices('{').take(8);
    let found = starts.filter_map(|(start, _)| message.get(start..)).find_map(|text| {
        let mut values = serde_json::Deserializer::from_str(text).into_iter::<Value>();
        values.next()?.ok().filter(Value::is_object)
    })?;
    let inner = Response {
        status: response.status,
        keyed: response.keyed,
        body: found.to_string(),
        ..Response::default()
    };
    let facts = of_another(&inner)?;
    Some((inner, facts))
}

/// The API whose error this is by its shape.
fn of_another(response: &Response) -> Option<&'static Facts> {
    let is_theirs = |facts: &&Facts| {
        let reading = (facts.read)(response);
        reading.shape && reading.message.is_some()
    };
    SPOKEN.iter().map(|provider| provider.facts()).find(is_theirs)
}

/// What Starlette says by itself, and `FastAPI` of a body that does not fit (RFC 9457 is not theirs).
fn of_framework(response: &Response) -> Option<String> {
    let document = document(response)?;
    match document.get("detail")? {
        Value::String(said) => {
            let fixed = matches!(said.as_str(), "Not Found" | "Method Not Allowed");
            fixed.then(|| said.clone())
        }
        Value::Array(_) if response.status == 422 => {
            let said = text(&document, "/detail/0/msg")?;
            let place = document.pointer("/detail/0/loc")?.as_array()?;
            let place: Vec<&str> = place.iter().filter_map(Value::as_str).take(8).collect();
            Some(format!("{}: {said}", place.join(".")))
        }
        _ => None,
    }
}

/// The class of `LiteLLM`'s exception (docs.litellm.ai, "Exception mapping").
fn class(message: Option<&str>) -> Option<String> {
    let rest = message?.strip_prefix("litellm.")?;
    let name: String = rest.chars().take_while(char::is_ascii_alphabetic).take(40).collect();
    (name.ends_with("Error") || name == "Timeout").then_some(name)
}

/// What `LiteLLM` says by itself, where nothing is inside.
fn of_gateway(reading: &Reading) -> Option<Cause> {
    let says = |parts: &[&str]| has(reading.message.as_deref(), parts);
    match reading.error_type.as_deref().unwrap_or_default() {
        "AuthenticationError" => Some(Cause::ApiKeyInvalid),
        "PermissionDeniedError" => Some(Cause::ApiForbidden),
        "NotFoundError" => Some(Cause::ApiNotFound),
        "RateLimitError" => Some(Cause::ApiRateLimited),
        "BudgetExceededError" | "budget_exceeded" => Some(Cause::ApiBilling),
        "Timeout"
        | "InternalServerError"
        | "ServiceUnavailableError"
        | "APIConnectionError"
        | "APIError" => Some(Cause::ApiError),
        _ if says(&["no api key passed"]) => Some(Cause::ApiKeyMissing),
        _ if says(&["invalid model name passed"]) => Some(Cause::ApiModelUnknown),
        _ => None,
    }
}
