//! egressd.toml(5): every option with its type, its default and its meaning, out of the file that shows them all
//! (`config/egressd.toml`): a comment there is the text here. Whether the options exist is its own test's.

use super::roff::{literal, prose, section, subsection, tagged};
use crate::config::EMBEDDED;

/// What stands around the options.
const PROSE: &str = include_str!("configuration.roff");

/// A table of the file.
#[derive(Debug, Default)]
struct Table {
    /// As it is opened; empty for what stands before all others.
    header: String,
    said: String,
    options: Vec<Shown>,
}

/// An option, at one of the places where it is shown.
#[derive(Debug, Default)]
struct Shown {
    key: String,
    value: String,
    said: String,
    is_live: bool,
}

pub(super) fn page() -> String {
    let options: String = tables(EMBEDDED).iter().map(Table::text).collect();
    let text = PROSE.replace(".@OPTIONS@\n", &format!("{}{options}", section("OPTIONS")));
    format!("{}{text}", super::title("EGRESSD.TOML", 5, "File Formats"))
}

/// What a line of the file is.
enum Line<'a> {
    Empty,
    /// What the lines below are for.
    Situation,
    Table(&'a str, &'a str),
    Option {
        key: &'a str,
        value: &'a str,
        said: &'a str,
    },
    /// The rest of the comment above.
    Further(&'a str),
    Text(&'a str),
}

fn line(line: &str) -> (Line<'_>, bool) {
    let is_live = !line.starts_with('#');
    let body = line.strip_prefix('#').unwrap_or(line);
    let (code, said) = commented(body);
    let code = code.trim();
    let read = if line.trim().is_empty() {
        Line::Empty
    } else if body.trim_start().starts_with("situation:") {
        Line::Situation
    } else if code.is_empty() && !said.is_empty() {
        Line::Further(said)
    } else if code.starts_with('[') && code.ends_with(']') {
        Line::Table(code, said)
    } else if let Some((key, value)) = code.split_once(" = ").filter(|(key, _)| is_key(key)) {
        Line::Option { key, value, said }
    } else {
        Line::Text(code)
    };
    (read, is_live)
}

fn is_key(text: &str) -> bool {
    !text.is_empty() && text.chars().all(|c| c.is_ascii_lowercase() || c == '_')
}

/// A line before its comment, and the comment. A `#` inside of quotes begins none.
fn commented(line: &str) -> (&str, &str) {
    let mut quote = None;
    for (at, character) in line.char_indices() {
        match (quote, character) {
            (None, '#') => {
                let (code, said) = line.split_at(at);
                return (code, said.trim_start_matches('#').trim());
            }
            (None, '"' | '\'') => quote = Some(character),
            (Some(open), _) if open == character => quote = None,
            _ => {}
        }
    }
    (line, "")
}

fn tables(text: &str) -> Vec<Table> {
    let mut tables = vec![Table::default()];
    let (mut here, mut above) = (0, Vec::new());
    // What a comment that goes on belongs to: an option, else its table.
    let mut is_option = false;
    for text in text.lines() {
        let (read, is_live) = line(text);
        match read {
            Line::Empty | Line::Situation => above.clear(),
            Line::Text(text) => above.push(text),
            Line::Table(header, said) => {
                let known = tables.iter().position(|table| table.header == header);
                here = known.unwrap_or_else(|| {
                    // A table inside of another stands behind it.
                    let near = |table: &Table| first_of(&table.header) == first_of(header);
                    let at = tables.iter().rposition(near).map_or(tables.len(), |at| at + 1);
                    tables.insert(at, Table { header: header.to_owned(), ..Table::default() });
                    at
                });
                is_option = false;
                if let Some(table) = tables.get_mut(here) {
                    join(&mut table.said, said);
                }
            }
            Line::Option { key, value, said } => {
                let mut shown =
                    Shown { key: key.to_owned(), value: value.to_owned(), ..Shown::default() };
                above.drain(..).chain([said]).for_each(|said| join(&mut shown.said, said));
                shown.is_live = is_live;
                is_option = true;
                if let Some(table) = tables.get_mut(here) {
                    table.options.push(shown);
                }
            }
            Line::Further(said) => {
                if let Some(table) = tables.get_mut(here) {
                    match table.options.last_mut().filter(|_| is_option) {
                        Some(option) => join(&mut option.said, said),
                        None => join(&mut table.said, said),
                    }
                }
            }
        }
    }
    tables
}

/// `route` of `[route.auth]`, and of `[[route]]`.
fn first_of(header: &str) -> &str {
    header.trim_matches(['[', ']']).split('.').next().unwrap_or_default()
}

fn join(text: &mut String, more: &str) {
    if !text.is_empty() && !more.is_empty() {
        text.push(' ');
    }
    text.push_str(more);
}

impl Table {
    fn text(&self) -> String {
        let header = if self.header.is_empty() { "Before all tables" } else { &self.header };
        let mut out = subsection(header);
        if !self.said.is_empty() {
            out.push_str(&format!("{}\n", prose(&sentence(&self.said))));
        }
        let mut keys: Vec<&str> = Vec::new();
        for option in &self.options {
            if !keys.contains(&option.key.as_str()) {
                keys.push(&option.key);
            }
        }
        for key in keys {
            let places: Vec<&Shown> =
                self.options.iter().filter(|option| option.key == key).collect();
            let kind = places.iter().map(|shown| kind(shown)).find(|kind| !kind.is_empty());
            let tag =
                format!("\\fB{}\\fR (\\fI{}\\fR)", literal(key), literal(kind.unwrap_or_default()));
            out.push_str(&tagged(&tag, &self.said_of(&places)));
        }
        out
    }

    /// What is said of an option at all its places, each with the value there; one of which nothing is said is shown
    /// where it is the only one.
    fn said_of(&self, places: &[&Shown]) -> String {
        let mut lines: Vec<String> = Vec::new();
        let is_said = places.iter().any(|shown| !shown.said.is_empty());
        for shown in places {
            let is_default = shown.is_live && !self.header.starts_with("[[");
            if shown.said.is_empty() && (is_said || !lines.is_empty()) {
                continue;
            }
            let name = if is_default { "Default" } else { "Example" };
            let value = format!("{name}: \\fB{}\\fR", literal(&shown.value));
            // What goes on with "or" belongs to the value.
            if shown.said.starts_with("or ") {
                lines.push(format!("{value}, {}", prose(&shown.said)));
                continue;
            }
            if !shown.said.is_empty() {
                lines.push(prose(&sentence(&shown.said)));
            }
            lines.push(value);
        }
        lines.join("\n.br\n")
    }
}

/// What kind of value this is.
fn kind(shown: &Shown) -> &'static str {
    let line = format!("{} = {}", shown.key, shown.value);
    let Ok(table) = toml::from_str::<toml::Table>(&line) else { return "" };
    match table.get(&shown.key) {
        Some(toml::Value::String(text)) if humantime::parse_duration(text).is_ok() => "duration",
        Some(toml::Value::String(_)) => "string",
        Some(toml::Value::Integer(_)) => "integer",
        Some(toml::Value::Boolean(_)) => "boolean",
        Some(toml::Value::Array(_)) => "list",
        Some(toml::Value::Table(_)) => "table",
        Some(toml::Value::Float(_) | toml::Value::Datetime(_)) | None => "",
    }
}

fn sentence(text: &str) -> String {
    let stop = if text.ends_with(['.', ':', '?']) { "" } else { "." };
    let mut characters = text.chars();
    match characters.next() {
        // What begins with a value keeps it as it is.
        Some(first) if !begins_with_a_value(text) => {
            format!("{}{}{stop}", first.to_uppercase(), characters.as_str())
        }
        _ => format!("{text}{stop}"),
    }
}

fn begins_with_a_value(text: &str) -> bool {
    let mut words = text.split(' ');
    let first = words.next().unwrap_or_default();
    let is_listed = words.next().is_some_and(|next| next == "|" || next.starts_with('('));
    is_listed || first.ends_with([':', ';']) || first.contains(['_', '/'])
}
