//! A client's message looked up in a text that somebody pasted, and said for people. It knows what a message can
//! mean, never what happened: that is a check's to find out.

use super::explain::{in_words, sentence};
use super::messages::{MESSAGES, Message};
use super::text::wrapped;

/// Bytes of a text that are read at most.
pub const READ: usize = 64 * 1024;
/// Messages that are told at most.
const TOLD: usize = 3;
/// Places of one pattern that are looked at.
const PLACES: usize = 64;

const END: &str = "\
egressd explain CAUSE says who acts. egressd check finds out which of them it is, from this host, with the
configured routes and roots: a client with other variables, or with roots of its own, may go another way.
";

/// A pattern's place in a text.
struct Found {
    message: &'static Message,
    begin: usize,
    end: usize,
}

impl Found {
    fn len(&self) -> usize {
        self.end - self.begin
    }

    /// Whether it is a part of what another message was found by.
    fn is_inside(&self, other: &Self) -> bool {
        other.begin <= self.begin
            && self.end <= other.end
            && self.len() < other.len()
            && other.message.id != self.message.id
    }
}

/// The messages in a text: what says most first, then by the length of what was found.
pub fn find(text: &str) -> Vec<&'static Message> {
    let text = readable(text);
    let mut all: Vec<Found> = MESSAGES
        .iter()
        .flat_map(|message| message.patterns.iter().map(move |pattern| (message, pattern)))
        .flat_map(|(message, pattern)| places(&text, message, pattern))
        .collect();
    all.sort_by_key(|found| (found.message.vague, std::cmp::Reverse(found.len())));
    let mut told: Vec<&'static Message> = Vec::new();
    for found in &all {
        let known = told.iter().any(|message| message.id == found.message.id);
        if told.len() < TOLD && !known && !all.iter().any(|other| found.is_inside(other)) {
            told.push(found.message);
        }
    }
    told
}

/// Where a pattern stands in a text as words of its own.
fn places(text: &str, message: &'static Message, pattern: &str) -> Vec<Found> {
    let pattern = pattern.to_lowercase();
    let (first, last) = (pattern.chars().next(), pattern.chars().next_back());
    let stands = |begin: usize, end: usize| {
        let before = text.get(..begin).and_then(|before| before.chars().next_back());
        let after = text.get(end..).and_then(|after| after.chars().next());
        !is_joined(before, first) && !is_joined(last, after)
    };
    text.match_indices(&pattern)
        .take(PLACES)
        .map(|(begin, _)| (begin, begin + pattern.len()))
        .filter(|(begin, end)| stands(*begin, *end))
        .map(|(begin, end)| Found { message, begin, end })
        .collect()
}

/// Whether two characters belong to one word; a number and its unit are two.
fn is_joined(left: Option<char>, right: Option<char>) -> bool {
    let is_word = |c: char| c.is_alphanumeric() || c == '_';
    left.zip(right).is_some_and(|(left, right)| {
        is_word(left) && is_word(right) && left.is_numeric() == right.is_numeric()
    })
}

/// The begin of a text in small letters, on one line, without a terminal's colours.
fn readable(text: &str) -> String {
    let mut out = String::new();
    let mut chars = text.char_indices().take_while(|(at, _)| *at < READ).map(|(_, c)| c);
    while let Some(c) = chars.next() {
        match c {
            // ECMA-48 5.4: parameters, then one byte from `@` to `~`.
            '\x1b' => {
                if chars.next() == Some('[') {
                    chars.find(|c| ('@'..='~').contains(c));
                }
            }
            '\u{2018}' | '\u{2019}' => out.push('\''),
            _ if c.is_whitespace() || c.is_control() => {
                if !out.ends_with(' ') {
                    out.push(' ');
                }
            }
            _ => out.extend(c.to_lowercase()),
        }
    }
    out
}

/// What messages mean, one after the other.
pub fn text(messages: &[&Message]) -> String {
    let mut out = String::new();
    for message in messages {
        one(&mut out, message);
    }
    out.push_str(END);
    out
}

fn one(out: &mut String, message: &Message) {
    out.push_str(&format!("{}\n\n", message.id));
    wrapped(out, "said by", message.by);
    wrapped(out, "means", message.means);
    wrapped(out, "worked", message.worked.about());
    wrapped(out, "decided by", &format!("{}.", message.look));
    for control in message.controls {
        wrapped(out, "", &format!("{control}: {}", control.about()));
    }
    out.push_str("\nIt can be, the likeliest first:\n\n");
    for cause in message.causes {
        let row = cause.row();
        wrapped(out, &format!("  {:<30}", row.id), &sentence(row.says));
    }
    out.push('\n');
}

/// All messages as rows of a table: its spelling, whose it is, what it means, the causes.
pub(super) fn rows() -> impl Iterator<Item = [String; 4]> {
    MESSAGES.iter().map(|message| {
        let causes: Vec<String> = message.causes.iter().map(|cause| format!("`{cause}`")).collect();
        [message.id.to_owned(), message.by.to_owned(), in_words(message.means), causes.join(", ")]
    })
}
