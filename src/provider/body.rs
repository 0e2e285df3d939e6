//! The body of an answer as the APIs write it: one JSON document, a list of them, or the events of a stream.
//!
//! It finds the document that tells most, an error before anything else. What it means is each provider's.

use serde_json::Value;

use crate::observation::Response;

/// The document of an answer: the body, the first of a list, of an event stream the error in it, else its first event.
pub(super) fn document(response: &Response) -> Option<Value> {
    if response.is_event_stream() {
        return of_events(&response.body);
    }
    match serde_json::from_str(&response.body).ok()? {
        // Gemini streams a list where no events are asked for.
        Value::Array(list) => list.into_iter().next(),
        document => Some(document),
    }
}

/// An API says what went wrong after it has begun with 200 as an event of its own.
fn of_events(body: &str) -> Option<Value> {
    let data = body.lines().filter_map(|line| line.strip_prefix("data:"));
    let mut first = None;
    for document in data.filter_map(|data| serde_json::from_str::<Value>(data.trim()).ok()) {
        if document.get("error").is_some_and(Value::is_object) {
            return Some(document);
        }
        first.get_or_insert(document);
    }
    first
}

/// The text at a JSON pointer (RFC 6901), if there is any in it.
pub(super) fn text(document: &Value, pointer: &str) -> Option<String> {
    let text = document.pointer(pointer)?.as_str()?;
    (!text.is_empty()).then(|| text.to_owned())
}

/// Whether one of these stands in a text, whatever its case; the parts are in lower case.
pub(super) fn has(text: Option<&str>, parts: &[&str]) -> bool {
    let text = text.unwrap_or_default().to_ascii_lowercase();
    parts.iter().any(|part| text.contains(part))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(kind: &str, body: &str) -> Response {
        let headers = vec![("content-type".to_owned(), kind.to_owned())];
        Response { status: 200, headers, body: body.to_owned(), ..Response::default() }
    }

    #[test]
    fn an_error_among_events_is_what_tells() {
        let stream = "event: message_start\ndata: {\"type\":\"message_start\"}\n\n\
                      event: error\ndata: {\"type\":\"error\",\"error\":{\"type\":\"overloaded_error\"}}\n\n";
        let found = document(&answer("text/event-stream", stream)).unwrap();
        assert_eq!(text(&found, "/error/type").as_deref(), Some("overloaded_error"));
        let fine =
            document(&answer("text/event-stream", "data: {\"id\":\"a\"}\n\ndata: [DONE]\n\n"));
        assert_eq!(text(&fine.unwrap(), "/id").as_deref(), Some("a"));
        assert_eq!(document(&answer("text/event-stream", "data: [DONE]\n\n")), None);
    }

    #[test]
    fn the_first_of_a_list_is_the_document() {
        let found = document(&answer("application/json", "[{\"error\":{\"code\":400}}]")).unwrap();
        assert!(found.pointer("/error/code").is_some());
        assert_eq!(document(&answer("text/html", "<html>")), None);
    }
}
