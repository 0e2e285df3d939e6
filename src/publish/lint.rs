//! What `egressd lint` found, for people and for programs. What is shown was made to be shown: no value of a
//! header, no byte of a body.

use serde::Serialize;

use super::shown;
use super::text::{coloured, shown_sentence, wrapped};
use crate::lint::{Answers, Finding, Judged};
use crate::mistake::Level;

/// The document.
#[derive(Debug, Serialize)]
pub(super) struct Document<'a> {
    schema: &'static str,
    findings: Vec<Found<'a>>,
    requests: Vec<One<'a>>,
}

#[derive(Debug, Serialize)]
struct Found<'a> {
    id: &'static str,
    level: Level,
    #[serde(rename = "where")]
    place: &'a str,
    message: &'a str,
    api_answers: Option<Answer<'a>>,
    client_shows: Option<&'static str>,
    fix: &'a str,
    target: Option<&'a str>,
}

#[derive(Debug, Serialize)]
struct Answer<'a> {
    status: u16,
    #[serde(rename = "type")]
    error_type: Option<&'a str>,
    message: &'a str,
}

#[derive(Debug, Serialize)]
struct One<'a> {
    target: Option<&'a str>,
    provider: String,
    request: &'a str,
    notes: &'a [String],
}

pub(super) fn document(judged: &[Judged]) -> Document<'_> {
    let each = judged.iter().flat_map(|one| one.findings.iter().map(move |finding| (one, finding)));
    Document {
        schema: "egressd.lint/1",
        findings: each.map(|(one, finding)| found(one.target.as_deref(), finding)).collect(),
        requests: judged
            .iter()
            .map(|one| One {
                target: one.target.as_deref(),
                provider: one.provider.to_string(),
                request: &one.line,
                notes: &one.notes,
            })
            .collect(),
    }
}

fn found<'a>(target: Option<&'a str>, finding: &'a Finding) -> Found<'a> {
    let row = finding.mistake.row();
    let (api_answers, client_shows) = match &finding.answers {
        Answers::Api { status, error_type, message } => {
            let error_type = Some(error_type.as_str()).filter(|name| !name.is_empty());
            (Some(Answer { status: *status, error_type, message }), None)
        }
        Answers::Never(shows) => (None, Some(*shows)),
        Answers::Unknown => (None, None),
    };
    Found {
        id: row.id,
        level: finding.level,
        place: &finding.place,
        message: &finding.message,
        api_answers,
        client_shows,
        fix: &finding.fix,
        target,
    }
}

/// The document, `egressd.lint/1`.
pub fn json(judged: &[Judged]) -> String {
    serde_json::to_string_pretty(&document(judged)).unwrap_or_default()
}

/// The document where nothing could be judged: `place: message`, and the way out on a line of its own.
pub fn refused(why: &str) -> String {
    let (first, fix) = why.split_once("\n    ").unwrap_or((why, ""));
    let (place, message) = first.split_once(": ").unwrap_or(("", first));
    let document = serde_json::json!({
        "schema": "egressd.lint/1",
        "findings": [],
        "error": { "place": place, "message": message, "fix": fix },
    });
    serde_json::to_string_pretty(&document).unwrap_or_default()
}

/// A block a finding, and how many there are; colour only where it is asked for.
pub fn text(judged: &[Judged], colour: bool) -> String {
    findings(judged, colour) + &last_line(judged)
}

/// A block a finding.
pub fn findings(judged: &[Judged], colour: bool) -> String {
    let mut out = String::new();
    for one in judged {
        let target = one.target.as_ref().map(|name| format!("{} · ", shown(name)));
        let head = format!("{}{} as {}", target.unwrap_or_default(), one.line, one.provider);
        wrapped(&mut out, "request", &shown_sentence(&head));
        for note in &one.notes {
            wrapped(&mut out, "note", &shown_sentence(&format!("{note}.")));
        }
        out.push('\n');
        for finding in &one.findings {
            block(&mut out, finding, colour);
        }
    }
    out
}

fn block(out: &mut String, finding: &Finding, colour: bool) {
    let (word, bad) = match finding.level {
        Level::Error => ("ERROR", true),
        Level::Warning => ("WARNING", false),
    };
    let gap = " ".repeat(11 - word.len());
    let word = if colour { coloured(word, bad) } else { word.to_owned() };
    let place = shown_sentence(&finding.place);
    out.push_str(&format!("{word}{gap}{} · {place}\n", finding.mistake));
    wrapped(out, "is", &shown_sentence(&finding.message));
    let answer = match &finding.answers {
        Answers::Api { status, error_type, message } => {
            let words = [error_type.as_str(), message.as_str()];
            // Some have the status as the error's type.
            let said = |word: &&str| !word.is_empty() && **word != status.to_string();
            let words: Vec<&str> = words.into_iter().filter(said).collect();
            if words.is_empty() {
                format!("The API answers {status}.")
            } else {
                format!("The API answers {status} {}", words.join(": "))
            }
        }
        Answers::Never(shows) => sentence(shows),
        Answers::Unknown => "It is not known what the API answers.".to_owned(),
    };
    wrapped(out, "then", &shown_sentence(&answer));
    wrapped(out, "do", &shown_sentence(&finding.fix));
    out.push('\n');
}

fn sentence(clause: &str) -> String {
    let mut text = format!("{clause}.");
    if let Some(first) = text.get_mut(..1) {
        first.make_ascii_uppercase();
    }
    text
}

fn last_line(judged: &[Judged]) -> String {
    let count = |level| {
        let all = judged.iter().flat_map(|one| &one.findings);
        all.filter(|finding| finding.level == level).count()
    };
    let plural = |count: usize, word: &str| match count {
        1 => format!("1 {word}"),
        _ => format!("{count} {word}s"),
    };
    match (count(Level::Error), count(Level::Warning)) {
        (0, 0) => "Nothing is known to be wrong. Nothing was sent.\n".to_owned(),
        (errors, warnings) => format!(
            "{}, {}. Nothing was sent.\n",
            plural(errors, "error"),
            plural(warnings, "warning")
        ),
    }
}
