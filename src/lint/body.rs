//! Mistakes of the body: its size, its JSON, its fields. A field's name may be shown, its value never.

use super::Answers;
use super::json::{Node, Value};
use super::look::{Look, shown_name};
use super::request::Place;
use super::{messages, model};
use crate::mistake::Mistake;
use crate::provider::request::{Endpoint, Field, Holds};

/// Fields that are well known from other APIs.
const FOREIGN: &[&str] = &[
    "contents",
    "frequency_penalty",
    "function_call",
    "functions",
    "generationConfig",
    "logit_bias",
    "logprobs",
    "max_completion_tokens",
    "max_output_tokens",
    "messages",
    "n",
    "presence_penalty",
    "response_format",
    "stop",
    "stream_options",
];

/// Fields of APIs before messages, with what is there instead.
const LEGACY: &[(&str, &str)] = &[("prompt", "messages"), ("max_tokens_to_sample", "max_tokens")];

pub(super) fn rules(look: &mut Look<'_>) {
    let request = look.request;
    let length = request.body.as_ref().map_or(0, Vec::len);
    if length == 0 {
        missing(look);
        return;
    }
    let largest = look.endpoint.and_then(|endpoint| endpoint.largest).unwrap_or(look.wants.largest);
    if u64::try_from(length).is_ok_and(|length| length > largest) {
        let most = largest / (1024 * 1024);
        let message =
            format!("The body has {length} bytes, and {} takes {most} MiB at most.", look.api());
        let fix = "Send less, or the parts by themselves; files by the API's own way for files.";
        look.find(Mistake::BodyTooLarge, "body:1:1", message, fix.to_owned());
    }
    if !is_to_be_json(look) {
        return;
    }
    match look.json() {
        Some(Ok(read)) if read.whole => fields(look, &read.top),
        Some(Ok(_)) => {
            let note = "the body has more than a million values: its fields are not judged";
            look.notes.push(note.to_owned());
        }
        Some(Err(not)) => {
            let place = look.body_place(not.at);
            let message = format!("The body is not JSON: {}.", not.why);
            let fix = format!("{}.", capital(not.help));
            let answers = with_place(look.answer(Mistake::BodyNotJson, ""), look, not.at);
            look.found_with(Mistake::BodyNotJson, &place, (message, fix), answers);
        }
        None => {}
    }
}

/// The API's answer with the place that it would name.
fn with_place(answers: Answers, look: &Look<'_>, at: usize) -> Answers {
    let body = look.request.body.as_deref().unwrap_or_default();
    let place = Place::of(body, at);
    let before = String::from_utf8_lossy(body.get(..at).unwrap_or_default()).chars().count();
    match answers {
        Answers::Api { status, error_type, message } => {
            let filled = format!("line {} column {} (char {before})", place.line, place.column);
            let message = message.replace("line … column … (char …)", &filled);
            Answers::Api { status, error_type, message }
        }
        answers => answers,
    }
}

fn capital(text: &str) -> String {
    let mut text = text.to_owned();
    if let Some(first) = text.get_mut(..1) {
        first.make_ascii_uppercase();
    }
    text
}

fn missing(look: &mut Look<'_>) {
    let wants_one =
        look.endpoint.is_some_and(|endpoint| endpoint.fields.iter().any(|field| field.required));
    let sends = matches!(look.request.method.as_str(), "POST" | "PUT" | "PATCH");
    if wants_one && sends {
        let message = format!("The {} has no body.", look.request.method);
        let fix = "Send the JSON of the request; look whether the file or variable that holds it is empty.";
        look.find(Mistake::BodyMissing, "body:1:1", message, fix.to_owned());
    }
}

/// Where JSON is declared; where the API is known, also where the endpoint takes fields, or it looks like JSON.
fn is_to_be_json(look: &Look<'_>) -> bool {
    let header = look.request.header("content-type");
    let value = header.map(|header| header.trimmed().to_ascii_lowercase()).unwrap_or_default();
    let kind = value.split(';').next().unwrap_or_default().trim();
    let declared = matches!(kind, "application/json" | "text/json")
        || kind.ends_with("+json")
        || kind.starts_with("application/x-amz-json");
    let other = kind.starts_with("multipart/")
        || ["json-seq", "ndjson", "jsonl"].iter().any(|lines| kind.contains(lines));
    let judged = look.endpoint.is_some_and(|endpoint| !endpoint.fields.is_empty());
    let body = look.request.body.as_deref().unwrap_or_default();
    let looks = matches!(body.trim_ascii_start().first(), Some(b'{' | b'['))
        && header.is_none_or(|header| header.implied);
    declared || !other && look.is_strict() && (judged || looks)
}

fn fields(look: &mut Look<'_>, top: &Node) {
    let Some(endpoint) = look.endpoint.filter(|endpoint| !endpoint.fields.is_empty()) else {
        return;
    };
    let Value::Object(found) = &top.value else {
        let message =
            format!("The body is {}, and {} takes an object.", top.value.kind(), endpoint.path);
        let answers = look.answer(Mistake::BodyFieldType, "body");
        let fix = "Send { … }.".to_owned();
        look.found_with(Mistake::BodyFieldType, "body:1:1", (message, fix), answers);
        return;
    };
    let legacy = legacy(look, endpoint, found);
    for field in endpoint.fields {
        match top.field(field.name) {
            None if field.required && !legacy.contains(&field.name) => {
                let message = format!("The field `{}` is missing.", field.name);
                let answers = look.answer(Mistake::BodyFieldMissing, field.name);
                let place = look.body_place(top.at);
                let fix = format!("Add `{}`: {}.", field.name, wanted(field.holds));
                look.found_with(Mistake::BodyFieldMissing, &place, (message, fix), answers);
            }
            None => {}
            Some(node) => one(look, field, node),
        }
    }
    unknown(look, endpoint, found);
    tokens(look, top);
    if let Some(node) = top.field("model") {
        model::rules(look, node);
    }
}

/// Fields of an older API, and those that stand in their place.
fn legacy(
    look: &mut Look<'_>,
    endpoint: &Endpoint,
    found: &[(String, usize, Node)],
) -> Vec<&'static str> {
    let takes = |name: &str| endpoint.fields.iter().any(|field| field.name == name);
    let mut replaced = Vec::new();
    for (old, new) in LEGACY {
        let Some((_, at, _)) = found.iter().find(|(name, ..)| name == old) else { continue };
        if takes(old) || !takes(new) {
            continue;
        }
        replaced.push(*new);
        let message =
            format!("`{old}` is a field of an older API; {} takes `{new}`.", endpoint.path);
        let answers = look.answer(Mistake::BodyLegacyFields, old);
        let place = look.body_place(*at);
        let fix = format!("Write `{new}`: {}.", wanted_of(endpoint, new));
        look.found_with(Mistake::BodyLegacyFields, &place, (message, fix), answers);
    }
    replaced
}

fn wanted_of(endpoint: &Endpoint, name: &str) -> String {
    let field = endpoint.fields.iter().find(|field| field.name == name);
    field.map_or_else(|| "what it asks for".to_owned(), |field| wanted(field.holds))
}

/// What a field holds, for people.
fn wanted(holds: Holds) -> String {
    match holds {
        Holds::Text => "a text".to_owned(),
        Holds::Number(least) => format!("a whole number of at least {least}"),
        Holds::Fraction(least, most) => format!("a number from {least} to {most}"),
        Holds::Truth => "true or false".to_owned(),
        Holds::List => "a list".to_owned(),
        Holds::Some => "a list that is not empty".to_owned(),
        Holds::SomeOrObject => "a list that is not empty, or an object".to_owned(),
        Holds::Messages(_) => "a list of messages that is not empty".to_owned(),
        Holds::Object => "an object".to_owned(),
        Holds::TextOrList => "a text or a list".to_owned(),
        Holds::Any => "what the API's manual says".to_owned(),
    }
}

/// A field that is known: whether this request may have it, and what it holds.
fn one(look: &mut Look<'_>, field: &Field, node: &Node) {
    let place = look.body_place(node.at);
    let name = field.name;
    if let (Some(from), Some(version)) = (field.removed_in, look.version())
        && version >= from
        && !matches!(node.value, Value::Null)
    {
        let message = format!("`{name}` is refused from version {from} on, even at its default.");
        let answers = look.answer(Mistake::BodyFieldRemoved, name);
        let fix = "Leave it out.".to_owned();
        look.found_with(Mistake::BodyFieldRemoved, &place, (message, fix), answers);
        return;
    }
    if let Some(beta) = field.beta
        && look.request.header("anthropic-beta").is_none()
    {
        let message = format!("`{name}` is a beta field, and no anthropic-beta header names it.");
        let answers = look.answer(Mistake::BodyFieldUnknown, name);
        let fix = format!(
            "Send `anthropic-beta: {beta}…` as the manual has it; look whether a gateway takes it out."
        );
        look.found_with(Mistake::BodyFieldUnknown, &place, (message, fix), answers);
        return;
    }
    holds(look, field, node, &place);
}

fn holds(look: &mut Look<'_>, field: &Field, node: &Node, place: &str) {
    let name = field.name;
    let out_of_range = |number: f64| match field.holds {
        #[expect(clippy::cast_precision_loss, reason = "least values are small")]
        Holds::Number(least) => number < least as f64,
        Holds::Fraction(least, most) => number < least || number > most,
        _ => false,
    };
    match (field.holds, &node.value) {
        (Holds::Text, Value::Text(text)) if text.is_empty() && field.required => {
            empty(look, name, place, "an empty text");
        }
        (Holds::Some | Holds::SomeOrObject | Holds::Messages(_), Value::List(nodes))
            if nodes.is_empty() =>
        {
            empty(look, name, place, "an empty list");
        }
        (Holds::Messages(roles), Value::List(nodes)) => messages::rules(look, name, nodes, roles),
        (Holds::Number(_) | Holds::Fraction(..), Value::Number(number))
            if out_of_range(*number) =>
        {
            let message =
                format!("`{name}` is out of its range: it takes {}.", wanted(field.holds));
            let fix = "Write a number in that range.".to_owned();
            let answers = look.answer(Mistake::BodyFieldRange, name);
            look.found_with(Mistake::BodyFieldRange, place, (message, fix), answers);
        }
        (Holds::Number(_), Value::Number(number)) if number.fract() != 0.0 => {
            wrong_type(look, field, place, "a number with a fraction");
        }
        (Holds::Text, Value::Text(_))
        | (Holds::Number(_) | Holds::Fraction(..), Value::Number(_))
        | (Holds::Truth, Value::Truth)
        | (Holds::List | Holds::Some | Holds::SomeOrObject, Value::List(_))
        | (Holds::TextOrList, Value::List(_) | Value::Text(_))
        | (Holds::Object | Holds::SomeOrObject, Value::Object(_))
        | (Holds::Any, _) => {}
        // What is null is taken for what is not there.
        (_, Value::Null) if !field.required => {}
        (Holds::Number(_) | Holds::Fraction(..), Value::Text(text))
            if text.trim().parse::<f64>().is_ok() =>
        {
            wrong_type(look, field, place, "a text that holds a number");
        }
        (_, value) => wrong_type(look, field, place, value.kind()),
    }
}

fn empty(look: &mut Look<'_>, name: &str, place: &str, what: &str) {
    let message = format!("`{name}` is {what}.");
    let answers = look.answer(Mistake::BodyFieldEmpty, name);
    let fix = format!("Put something into `{name}`.");
    look.found_with(Mistake::BodyFieldEmpty, place, (message, fix), answers);
}

fn wrong_type(look: &mut Look<'_>, field: &Field, place: &str, is: &str) {
    let name = field.name;
    let message = format!("`{name}` is {is}, and takes {}.", wanted(field.holds));
    let answers = look.answer(Mistake::BodyFieldType, name);
    let fix = match is {
        "a text that holds a number" => "Take the quotes away.".to_owned(),
        _ => format!("Write {}.", wanted(field.holds)),
    };
    look.found_with(Mistake::BodyFieldType, place, (message, fix), answers);
}

/// Fields that are surely unknown, where an endpoint refuses them: a slip, or another API's. Any other may be newer
/// than what is known here.
fn unknown(look: &mut Look<'_>, endpoint: &Endpoint, found: &[(String, usize, Node)]) {
    if !endpoint.closed || look.request.headers.iter().any(|header| header.is("anthropic-beta")) {
        return;
    }
    let known: Vec<&str> = endpoint.fields.iter().map(|field| field.name).collect();
    let is_legacy = |name: &str| LEGACY.iter().any(|(old, _)| *old == name);
    let unknown =
        found.iter().filter(|(name, ..)| !known.contains(&name.as_str()) && !is_legacy(name));
    for (name, at, _) in unknown {
        if look.is_full() {
            return;
        }
        let said = shown_name(name);
        let slip = said.and_then(|name| slip(name, &known));
        if slip.is_none() && !FOREIGN.contains(&name.as_str()) {
            continue;
        }
        let message = match said {
            Some(name) => format!("`{name}` is no field of {}.", endpoint.path),
            None => format!("A field of this name is unknown to {}.", endpoint.path),
        };
        let fix = match slip {
            Some(meant) => format!("Did you mean `{meant}`?"),
            None => "Leave it out: it is another API's.".to_owned(),
        };
        let answers = look.answer(Mistake::BodyFieldUnknown, said.unwrap_or_default());
        let place = look.body_place(*at);
        look.found_with(Mistake::BodyFieldUnknown, &place, (message, fix), answers);
    }
}

/// The field that was surely meant: one letter off, or two of a long name.
fn slip<'a>(name: &str, known: &[&'a str]) -> Option<&'a str> {
    let most = if name.len() >= 8 { 2 } else { 1 };
    let is = |one: &&&str| {
        one.len() > 3
            && one.len().abs_diff(name.len()) <= most
            && strsim::damerau_levenshtein(one, name) <= most
    };
    known.iter().find(is).copied()
}

/// What may be thought is part of what may be said.
fn tokens(look: &mut Look<'_>, top: &Node) {
    let number = |node: Option<&Node>| match node.map(|node| &node.value) {
        Some(Value::Number(number)) => Some(*number),
        _ => None,
    };
    let (Some(most), Some(thinking)) = (top.field("max_tokens"), top.field("thinking")) else {
        return;
    };
    let (Some(all), Some(budget)) = (number(Some(most)), number(thinking.field("budget_tokens")))
    else {
        return;
    };
    // Between calls of tools more may be thought than is said in one answer.
    let interleaved = look
        .request
        .all("anthropic-beta")
        .any(|header| header.value.expose().contains("interleaved-thinking"));
    if all <= budget && all >= 1.0 && !interleaved {
        let message = "`max_tokens` is not greater than `thinking.budget_tokens`.".to_owned();
        let fix = "Raise `max_tokens`, or lower the budget.".to_owned();
        let place = look.body_place(most.at);
        let answers = look.answer(Mistake::BodyFieldRange, "budget_tokens");
        look.found_with(Mistake::BodyFieldRange, &place, (message, fix), answers);
    }
}
