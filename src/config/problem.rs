//! What is wrong with a configuration: where, why, and the way out.

use std::ops::Range;
use std::path::{Path, PathBuf};

/// A place in a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// The list; none: the configuration.
    pub file: Option<PathBuf>,
    /// The bytes of its text.
    pub at: Range<usize>,
}

/// One fault, or one warning.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// The place, as bytes of the text; none where something is missing altogether.
    pub place: Option<Range<usize>>,
    /// The list in which it is; none: the configuration.
    pub file: Option<PathBuf>,
    /// What it contradicts, in another file.
    pub first: Option<Place>,
    /// The reason.
    pub what: String,
    /// The way out.
    pub help: String,
    /// Whether it runs all the same.
    pub warning: bool,
    /// Whether it says that something is missing: not said where a fault at that place was said before.
    pub absence: bool,
}

impl Problem {
    /// A fault with a place.
    pub fn at(
        place: Option<Range<usize>>,
        what: impl Into<String>,
        help: impl Into<String>,
    ) -> Self {
        let place = place.filter(|place| *place != (0..0));
        let (what, help) = (what.into(), help.into());
        Self { place, file: None, first: None, what, help, warning: false, absence: false }
    }

    /// Something that runs, and may surprise.
    #[must_use]
    pub fn as_warning(self) -> Self {
        Self { warning: true, ..self }
    }

    /// Something that is not there.
    #[must_use]
    pub fn as_absence(self) -> Self {
        Self { absence: true, ..self }
    }

    /// A message of the deserializer, with the nearest known name where it knows the names.
    pub(super) fn from_serde(message: &str, place: Option<Range<usize>>) -> Self {
        let quoted: Vec<&str> = message.split('`').skip(1).step_by(2).collect();
        let unknown =
            message.starts_with("unknown field") || message.starts_with("unknown variant");
        match quoted.split_first() {
            Some((given, known)) if unknown => {
                let what = if message.starts_with("unknown field") {
                    format!("unknown key `{given}`")
                } else {
                    format!("`{given}` is not one of the values of this key")
                };
                Self::at(place, what, nearest(given, known))
            }
            _ => {
                // Our own messages bring their way out along.
                let line = without_value(&message.replace('\n', " "));
                let own = line.rsplit_once("; write ");
                match own.or_else(|| line.rsplit_once(", expected ")) {
                    Some((what, help)) => Self::at(place, what, format!("write {}", kind(help))),
                    None => Self::at(place, line, "write a value of the expected kind"),
                }
            }
        }
    }

    /// Whether its place is inside of the other's.
    pub(super) fn lies_within(&self, other: &Self) -> bool {
        match (&self.place, &other.place) {
            (Some(inner), Some(outer)) => outer.start <= inner.start && inner.end <= outer.end,
            _ => false,
        }
    }

    /// By it problems are told in the order of the text, those of lists behind those of the configuration.
    pub fn order(&self) -> (Option<PathBuf>, usize) {
        (self.file.clone(), self.place.as_ref().map_or(usize::MAX, |place| place.start))
    }

    /// `file:line:column: reason`, then the way out.
    pub fn render(&self, file: &str, text: &str) -> String {
        self.render_among(&|_| (file.to_owned(), text))
    }

    /// The same, with the name and the text of each list, and of the configuration.
    pub fn render_among<'a>(&self, files: &dyn Fn(Option<&Path>) -> (String, &'a str)) -> String {
        let at = |file: Option<&Path>, place: Option<&Range<usize>>| {
            let (name, text) = files(file);
            match place {
                Some(place) => format!("{}:{}", plain(&name), line_and_column(text, place)),
                None => plain(&name),
            }
        };
        let mut out = at(self.file.as_deref(), self.place.as_ref());
        let kind = if self.warning { "warning: " } else { "" };
        out.push_str(&format!(": {kind}{}", plain(&self.what)));
        if let Some(first) = &self.first {
            let first = at(first.file.as_deref(), Some(&first.at));
            out.push_str(&format!("; the other one is {first}"));
        }
        out.push_str(&format!("\n    {}", plain(&self.help)));
        out
    }
}

/// A text of a file as part of a line: what a terminal would obey, or would show in another order, is escaped.
pub fn plain(text: &str) -> String {
    // Unicode UAX 9, 2: the marks of direction.
    let turns = |c| matches!(c, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        if c.is_control() || turns(c) {
            out.extend(c.escape_default());
        } else {
            out.push(c);
        }
    }
    out
}

fn line_and_column(text: &str, place: &Range<usize>) -> String {
    let before = text.get(..place.start).unwrap_or(text);
    let line = before.matches('\n').count() + 1;
    let column = before.rsplit('\n').next().map_or(0, |rest| rest.chars().count()) + 1;
    format!("{line}:{column}")
}

/// The library's word for a kind of value, in TOML's words.
fn kind(expected: &str) -> &str {
    match expected {
        "u16" => "a whole number from 0 to 65535",
        "a sequence" => "a list: [\"…\"]",
        "a map" => "a table: { … = … }",
        "a boolean" => "true or false",
        other => other,
    }
}

/// A hint: the known name that is nearest to what was written, or all of them.
pub fn nearest(given: &str, known: &[&str]) -> String {
    let close = known
        .iter()
        .map(|name| (strsim::damerau_levenshtein(given, name), name))
        .min_by_key(|(distance, _)| *distance)
        .filter(|(distance, name)| *distance <= 1 + name.len() / 4);
    match close {
        Some((_, name)) => format!("did you mean `{name}`?"),
        None if known.is_empty() => "take it out".to_owned(),
        None => format!("known here: {}", known.join(", ")),
    }
}
/// `invalid type: string "…", expected a table` without what was written there: a secret may stand in a wrong place.
fn without_value(line: &str) -> String {
    let is_of_serde =
        ["invalid type: ", "invalid value: "].iter().any(|begin| line.starts_with(begin));
    let value = line.find(['"', '`']).filter(|_| is_of_serde);
    let Some((what, rest)) = value.and_then(|at| line.split_at_checked(at)) else {
        return line.to_owned();
    };
    let expected = rest.rfind(", expected ").and_then(|at| rest.get(at..)).unwrap_or_default();
    format!("{}{expected}", what.trim_end())
}
