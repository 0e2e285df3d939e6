//! One event as a line: text for people, JSON for programs, fields for the journal. It knows no verdict; what a
//! line says is its caller's.
//!
//! Whatever it is made of, it is one line of bounded length: a line break or a control character in it is written
//! out, so that nothing can look like a line of its own.

use std::fmt::{self, Write as _};

use jiff::Timestamp;
use serde_json::Value as Json;
use tracing::field::{Field, Visit};
use tracing::{Event, Level};

use crate::publish::api;

/// Bytes of a message or a field at most.
const LIMIT: usize = 16 * 1024;
/// The field whose value is the journal's `MESSAGE_ID`.
const MESSAGE_ID: &str = "message_id";

/// What happened.
#[derive(Debug)]
pub(super) struct Line {
    at: Timestamp,
    level: Level,
    module: String,
    place: Option<(String, u32)>,
    message: String,
    message_id: Option<String>,
    fields: Vec<(&'static str, Value)>,
}

/// A field's value.
#[derive(Debug)]
enum Value {
    /// A text.
    Text(String),
    /// What was formatted already.
    Shown(String),
    /// A number, or true or false.
    Plain(Json),
}

impl Line {
    pub(super) fn of(event: &Event<'_>, at: Timestamp) -> Self {
        let metadata = event.metadata();
        let place = metadata.file().zip(metadata.line());
        let mut line = Self {
            place: place.map(|(file, line)| (file.to_owned(), line)),
            ..Self::new(at, *metadata.level(), metadata.target(), String::new())
        };
        event.record(&mut line);
        line
    }

    pub(super) fn new(at: Timestamp, level: Level, module: &str, message: String) -> Self {
        Self {
            at,
            level,
            module: module.to_owned(),
            place: None,
            message,
            message_id: None,
            fields: Vec::new(),
        }
    }

    /// For people.
    pub(super) fn text(&self) -> Vec<u8> {
        let mut out = format!("{} {:>5} ", api::time(self.at), self.level.as_str());
        if !self.is_ours() {
            out.push_str(&format!("{}: ", self.escaped(&self.module)));
        }
        out.push_str(&self.escaped(&self.message));
        for (name, value) in &self.fields {
            let value = match value {
                Value::Text(text) => format!("\"{}\"", text.replace('"', "\\\"")),
                Value::Shown(text) => text.clone(),
                Value::Plain(json) => json.to_string(),
            };
            out.push_str(&format!(" {name}={}", self.escaped(&value)));
        }
        out.push('\n');
        out.into_bytes()
    }

    /// For programs: one object.
    pub(super) fn json(&self) -> Vec<u8> {
        let own = [
            ("timestamp", api::time(self.at)),
            ("level", self.level.as_str().to_ascii_lowercase()),
            ("message", self.message.clone()),
            ("module", self.module.clone()),
        ];
        let mut parts: Vec<String> = own
            .iter()
            .map(|(name, text)| format!("{}:{}", Json::from(*name), Json::from(text.as_str())))
            .collect();
        for (at, (name, value)) in self.fields.iter().enumerate() {
            let value = match value {
                Value::Text(text) | Value::Shown(text) => &Json::from(text.as_str()),
                Value::Plain(json) => json,
            };
            // A library may name its fields as ours, or two of them alike.
            let taken = own.iter().any(|(own, _)| own == name)
                || self.fields.iter().take(at).any(|(before, _)| before == name);
            let mark = if taken { format!("_{at}") } else { String::new() };
            parts.push(format!("{}:{value}", Json::from(format!("{name}{mark}"))));
        }
        format!("{{{}}}\n", parts.join(",")).into_bytes()
    }

    /// For the journal, in its native protocol (<https://systemd.io/JOURNAL_NATIVE_PROTOCOL/>).
    pub(super) fn journal(&self) -> Vec<u8> {
        // `syslog(3)`; a trace is no less than its debug.
        let priority = match self.level {
            Level::ERROR => "3",
            Level::WARN => "4",
            Level::INFO => "6",
            Level::DEBUG | Level::TRACE => "7",
        };
        let mut out = Vec::new();
        put(&mut out, "MESSAGE", &self.escaped(&self.message));
        put(&mut out, "PRIORITY", priority);
        put(&mut out, "SYSLOG_IDENTIFIER", "egressd");
        if let Some(id) = &self.message_id {
            put(&mut out, "MESSAGE_ID", id);
        }
        if let Some((file, line)) = &self.place {
            put(&mut out, "CODE_FILE", file);
            put(&mut out, "CODE_LINE", &line.to_string());
        }
        put(&mut out, "EGRESSD_MODULE", &self.escaped(&self.module));
        for (name, value) in &self.fields {
            let value = match value {
                Value::Text(text) | Value::Shown(text) => self.escaped(text),
                Value::Plain(json) => json.to_string(),
            };
            put(&mut out, &journal_name(name), &value);
        }
        out
    }

    fn is_ours(&self) -> bool {
        self.module == "egressd" || self.module.starts_with("egressd::")
    }

    /// Without what could look like another line. What a library says may be a peer's: of that, only ASCII is shown
    /// as it is. Our own lines that have several parts keep them, set in.
    fn escaped(&self, text: &str) -> String {
        let ours = self.is_ours();
        let mut out = String::with_capacity(text.len());
        for c in text.chars() {
            match c {
                ' '..='~' => out.push(c),
                '\n' if ours => out.push_str("\n    "),
                _ if ours && !c.is_control() && !is_direction(c) => out.push(c),
                _ => {
                    for byte in c.encode_utf8(&mut [0; 4]).bytes() {
                        out.push_str(&format!("\\x{byte:02x}"));
                    }
                }
            }
        }
        out
    }

    fn take(&mut self, field: &Field, value: Value) {
        match (field.name(), value) {
            ("message", Value::Text(text) | Value::Shown(text)) => self.message = text,
            (MESSAGE_ID, Value::Text(text) | Value::Shown(text)) => self.message_id = Some(text),
            (name, value) => self.fields.push((name, value)),
        }
    }
}

impl Visit for Line {
    fn record_f64(&mut self, field: &Field, value: f64) {
        self.take(field, Value::Plain(Json::from(value)));
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.take(field, Value::Plain(Json::from(value)));
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.take(field, Value::Plain(Json::from(value)));
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.take(field, Value::Plain(Json::from(value)));
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.take(field, Value::Text(bounded(format_args!("{value}"))));
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.take(field, Value::Shown(bounded(format_args!("{value:?}"))));
    }
}

/// What changes the direction of a text, or parts lines in some viewers (Unicode 5.8, UAX 9).
fn is_direction(c: char) -> bool {
    matches!(c, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}')
}

/// A field as the journal wants it named, one of ours.
fn journal_name(name: &str) -> String {
    let word = |c: char| if c.is_ascii_alphanumeric() { c.to_ascii_uppercase() } else { '_' };
    "EGRESSD_".chars().chain(name.chars().map(word)).take(64).collect()
}

fn put(out: &mut Vec<u8>, name: &str, value: &str) {
    out.extend(name.as_bytes());
    if value.contains('\n') {
        out.push(b'\n');
        out.extend(u64::try_from(value.len()).unwrap_or(u64::MAX).to_le_bytes());
    } else {
        out.push(b'=');
    }
    out.extend(value.as_bytes());
    out.push(b'\n');
}

/// A text that ends where it gets too long.
struct Bounded(String);

impl fmt::Write for Bounded {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        let room = LIMIT.saturating_sub(self.0.len());
        if text.len() <= room {
            self.0.push_str(text);
            return Ok(());
        }
        self.0.extend(
            text.char_indices().take_while(|(at, c)| at + c.len_utf8() <= room).map(|(_, c)| c),
        );
        Err(fmt::Error)
    }
}

fn bounded(what: fmt::Arguments<'_>) -> String {
    let mut out = Bounded(String::new());
    // It is full, or what was to be shown could not be.
    if out.write_fmt(what).is_err() {
        out.0.push_str(" (cut)");
    }
    out.0
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(module: &str, message: &str) -> Line {
        let at = "2026-11-22T03:09:12.123456Z".parse().unwrap();
        Line::new(at, Level::INFO, module, message.to_owned())
    }

    #[test]
    fn nothing_looks_like_a_line_of_its_own() {
        let forged = "a\r\n2026-11-22T03:09:13.000Z ERROR b\u{2028}\u{202e}\u{1b}[31m\u{85}";
        let text = |module| String::from_utf8(line(module, forged).text()).unwrap();
        assert_eq!(
            text("h2::codec"),
            "2026-11-22T03:09:12.123Z  INFO h2::codec: a\\x0d\\x0a2026-11-22T03:09:13.000Z ERROR \
             b\\xe2\\x80\\xa8\\xe2\\x80\\xae\\x1b[31m\\xc2\\x85\n"
        );
        assert_eq!(
            text("egressd::daemon"),
            "2026-11-22T03:09:12.123Z  INFO a\\x0d\n    2026-11-22T03:09:13.000Z ERROR \
             b\\xe2\\x80\\xa8\\xe2\\x80\\xae\\x1b[31m\\xc2\\x85\n"
        );
    }

    #[test]
    fn an_object_is_one_line_and_has_each_key_once() {
        let mut line = line("h2", "a\nb\u{0}\"");
        line.fields = vec![
            ("level", Value::Text("x".to_owned())),
            ("n", Value::Plain(Json::from(1))),
            ("n", Value::Shown("Some(\"y\")".to_owned())),
        ];
        let json = String::from_utf8(line.json()).unwrap();
        assert_eq!(
            json,
            "{\"timestamp\":\"2026-11-22T03:09:12.123Z\",\"level\":\"info\",\"message\":\"a\\nb\\u0000\\\"\",\
             \"module\":\"h2\",\"level_0\":\"x\",\"n\":1,\"n_2\":\"Some(\\\"y\\\")\"}\n"
        );
        let read: serde_json::Value = serde_json::from_str(&json).unwrap();
        assert_eq!(read["message"], "a\nb\u{0}\"");
    }

    #[test]
    fn a_field_of_several_lines_tells_the_journal_its_length() {
        let mut line = line("egressd", "two\nlines");
        line.fields = vec![("a.b", Value::Text("c".to_owned()))];
        line.message_id = Some("ab".to_owned());
        let length = "two\n    lines".len().to_le_bytes();
        let expected = [
            b"MESSAGE\n".as_slice(),
            &length,
            b"two\n    lines\nPRIORITY=6\nSYSLOG_IDENTIFIER=egressd\nMESSAGE_ID=ab\n\
              EGRESSD_MODULE=egressd\nEGRESSD_A_B=c\n",
        ];
        assert_eq!(line.journal(), expected.concat());
    }

    #[test]
    fn a_long_value_is_cut_while_it_is_written() {
        let long = "\u{e4}".repeat(LIMIT);
        let cut = bounded(format_args!("{long}"));
        assert!(cut.len() <= LIMIT + " (cut)".len() && cut.ends_with("\u{e4} (cut)"));
    }
}
