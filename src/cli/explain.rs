//! `egressd explain`: a cause or a client's message looked up, all causes in a list, or the page that the alerts
//! link to. It reads no configuration and asks nobody.

use std::ffi::OsString;
use std::io::Read as _;

use clap::Args;

use super::{USAGE, colour, complain, print};
use crate::cause::CAUSES;
use crate::publish::messages::MESSAGES;
use crate::publish::metrics::manual;
use crate::publish::{explain, said, shown, verdicts};

/// Ids that are proposed at most.
const PROPOSED: usize = 3;
/// Characters of an unknown message that are compared, and shown.
const COMPARED: usize = 60;

/// Characters of a word that is no secret, whatever they are.
const LONGEST_WORD: usize = 20;

#[derive(Debug, Args)]
pub(super) struct Options {
    /// The id of a cause, as in `sni_filtered`, or what a client has said, as in `ERR_BAD_REQUEST` or a whole
    /// line; `-` reads it from standard input [default: lists all causes].
    #[arg(value_name = "CAUSE|MESSAGE")]
    words: Vec<OsString>,
    /// Prints VERDICTS.md.
    #[arg(long, hide = true, conflicts_with = "words")]
    markdown: bool,
    /// Prints METRICS.md: all metrics, with their labels and what these may hold.
    #[arg(long, conflicts_with_all = ["words", "markdown"])]
    metrics: bool,
}

pub(super) fn main(options: &Options) -> u8 {
    if options.metrics {
        return print(&manual::page());
    }
    if options.words.is_empty() {
        return print(&if options.markdown { verdicts::page() } else { explain::list() });
    }
    let text = match text(&options.words) {
        Ok(text) => text,
        Err(error) => {
            complain(&format!("standard input: {error}"));
            return USAGE;
        }
    };
    let text = text.trim();
    if let Some(row) = CAUSES.iter().find(|row| row.id == text) {
        return print(&explain::cause(row, colour()));
    }
    if text.is_empty() {
        complain("there is nothing to explain: give a cause or a message");
        return USAGE;
    }
    let messages = said::find(text);
    if !messages.is_empty() {
        return print(&said::text(&messages));
    }
    // A long word that the end cuts is still seen as the long word that it is.
    let begin = begin_of(text);
    complain(&format!(
        "there is no cause and no known message in `{}`: nearest are {}; `egressd explain` lists all causes",
        without_secrets(&begin),
        nearest(&begin).join(", ")
    ));
    USAGE
}

/// What was typed, or what standard input holds, as far as it is read.
fn text(words: &[OsString]) -> std::io::Result<String> {
    if let [only] = words
        && only == "-"
    {
        let mut bytes = Vec::new();
        std::io::stdin().take(said::READ as u64).read_to_end(&mut bytes)?;
        return Ok(String::from_utf8_lossy(&bytes).into_owned());
    }
    let words: Vec<_> = words.iter().map(|word| word.to_string_lossy()).collect();
    Ok(words.join(" "))
}

/// The words at its begin, each whole, as far as a secret could be long.
fn begin_of(text: &str) -> String {
    let mut begin = String::new();
    for word in text.split_whitespace() {
        if begin.chars().count() >= COMPARED {
            break;
        }
        if !begin.is_empty() {
            begin.push(' ');
        }
        begin.extend(word.chars().take(COMPARED));
    }
    begin
}

/// Words that may be keys are not repeated: long ones of letters and digits, and those that begin as keys do.
fn without_secrets(text: &str) -> String {
    let begins =
        ["sk-", "sk_", "AIza", "AKIA", "ASIA", "gsk_", "xai-", "hf_", "ghp_", "eyJ", "Bearer"];
    let is_secret = |word: &str| {
        let mixed = word.contains(|c: char| c.is_ascii_digit())
            || (word.contains(|c: char| c.is_ascii_lowercase())
                && word.contains(|c: char| c.is_ascii_uppercase()));
        (word.chars().count() > LONGEST_WORD && mixed)
            || begins.iter().any(|begin| word.contains(begin))
    };
    let words =
        text.split(' ').map(|word| if is_secret(word) { "…".to_owned() } else { shown(word) });
    let words: Vec<String> = words.collect();
    words.join(" ")
}

/// The ids that are most like it: those that hold it as it is, then by how little is changed.
fn nearest(text: &str) -> Vec<&'static str> {
    let text = text.to_ascii_lowercase().replace(['-', ' '], "_");
    let causes = CAUSES.iter().map(|row| row.id);
    let mut ids: Vec<&str> = causes.chain(MESSAGES.iter().map(|message| message.id)).collect();
    ids.sort_by_cached_key(|known| {
        let id = known.to_ascii_lowercase().replace('-', "_");
        (!id.contains(&text), strsim::damerau_levenshtein(&text, &id))
    });
    ids.truncate(PROPOSED);
    ids
}
