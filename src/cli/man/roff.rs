//! Text as roff wants it, in the few macros that both man(7) and mandoc(1) render alike. It knows nothing of what
//! is said.

use std::fmt::Write as _;

/// Words of prose: what is marked as code is bold, and nothing of it is a request.
pub(super) fn prose(text: &str) -> String {
    let mut out = String::new();
    for (at, part) in text.split('`').enumerate() {
        // What no second mark closes is still text.
        if at % 2 == 1 {
            let _infallible = write!(out, "\\fB{}\\fR", escaped(part));
        } else {
            out.push_str(&escaped(part));
        }
    }
    guarded(&out)
}

/// The same, as it stands: a value, a command, a line of a file.
pub(super) fn literal(text: &str) -> String {
    guarded(&escaped(text))
}

/// A line that begins as a request does would be one.
fn guarded(text: &str) -> String {
    if text.starts_with(['.', '\'']) { format!("\\&{text}") } else { text.to_owned() }
}

/// Characters that roff would take for something else; those beyond ASCII by their numbers, so that no locale counts.
fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '\\' => out.push_str("\\e"),
            '-' => out.push_str("\\-"),
            '\'' => out.push_str("\\(aq"),
            '`' => out.push_str("\\(ga"),
            '^' => out.push_str("\\(ha"),
            '~' => out.push_str("\\(ti"),
            _ if character.is_ascii() => out.push(character),
            _ => {
                let _infallible = write!(out, "\\[u{:04X}]", u32::from(character));
            }
        }
    }
    out
}

/// A heading of the first order.
pub(super) fn section(title: &str) -> String {
    format!(".SH {}\n", quoted(title))
}

/// A heading of the second order.
pub(super) fn subsection(title: &str) -> String {
    format!(".SS {}\n", quoted(title))
}

/// What is explained, in roff, and what is said of it.
pub(super) fn tagged(tag: &str, said: &str) -> String {
    format!(".TP\n{tag}\n{said}\n")
}

fn quoted(title: &str) -> String {
    format!("\"{}\"", escaped(title).replace('"', "\\(dq"))
}
