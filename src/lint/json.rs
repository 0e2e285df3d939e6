//! JSON with the place of each value, and of what is no JSON the place and the likely cause (RFC 8259). What is
//! accepted is what `serde_json` accepts. Bytes of the text are never said back, only what kind they are.

mod guess;

use super::request::Place;

/// Lists and objects in each other at most, as for `serde_json`.
const DEEPEST: usize = 127;
/// Values that are kept; what a longer text holds beyond is read and not kept.
const MOST: usize = 1_000_000;

/// A value, and the byte where it begins.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Node {
    pub(super) at: usize,
    pub(super) value: Value,
}

/// What a value is.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Value {
    Null,
    Truth,
    Number(f64),
    Text(String),
    List(Vec<Node>),
    /// Names with the byte where each begins.
    Object(Vec<(String, usize, Node)>),
}

impl Value {
    /// What it is, for people.
    pub(super) fn kind(&self) -> &'static str {
        match self {
            Self::Null => "null",
            Self::Truth => "true or false",
            Self::Number(_) => "a number",
            Self::Text(_) => "a text",
            Self::List(_) => "a list",
            Self::Object(_) => "an object",
        }
    }

    /// A text.
    pub(super) fn text(&self) -> Option<&str> {
        match self {
            Self::Text(text) => Some(text),
            _ => None,
        }
    }
}

impl Node {
    /// A field of an object; of several of one name the last, as parsers have it.
    pub(super) fn field(&self, name: &str) -> Option<&Self> {
        let Value::Object(fields) = &self.value else { return None };
        fields.iter().rev().find(|(known, ..)| known == name).map(|(.., node)| node)
    }
}

/// Why a text is no JSON.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NotJson {
    /// The byte.
    pub at: usize,
    /// The likely cause.
    pub why: String,
    /// The way out.
    pub help: &'static str,
}

impl NotJson {
    /// Its place in the text.
    pub fn place(&self, bytes: &[u8]) -> Place {
        Place::of(bytes, self.at)
    }
}

/// A text that was read.
#[derive(Debug)]
pub(super) struct Read {
    /// Its value.
    pub(super) top: Node,
    /// Whether all of it was kept.
    pub(super) whole: bool,
}

/// Whether bytes are JSON.
pub fn check(bytes: &[u8]) -> Result<(), NotJson> {
    read(bytes).map(|_| ())
}

pub(super) fn read(bytes: &[u8]) -> Result<Read, NotJson> {
    if bytes.starts_with(b"\xef\xbb\xbf") {
        let help = "save it as UTF-8 without a byte order mark";
        return fault(0, "a byte order mark (BOM) before the first character", help);
    }
    if bytes.starts_with(b"\xff\xfe") || bytes.starts_with(b"\xfe\xff") {
        return fault(0, "a text in UTF-16", "save it as UTF-8");
    }
    let text = match std::str::from_utf8(bytes) {
        Ok(text) => text,
        Err(error) => {
            let help = "save it as UTF-8";
            return fault(error.valid_up_to(), "a byte that is no UTF-8", help);
        }
    };
    let mut reader = Reader { text, at: 0, kept: 0 };
    reader.blanks();
    let node = reader.value(0)?;
    reader.blanks();
    match reader.peek() {
        None => Ok(Read { top: node, whole: reader.kept <= MOST }),
        Some('{' | '[') => fault(reader.at, "a second value behind the first", "send one"),
        Some(',') => fault(reader.at, "a comma behind the end", "take it out"),
        Some('}' | ']') => fault(reader.at, "a bracket that nothing opened", "take it out"),
        Some('\0') => fault(reader.at, "a NUL behind the end", "take it out"),
        Some(_) => fault(reader.at, "text behind the end", "take it out"),
    }
}

fn fault<T>(at: usize, why: impl Into<String>, help: &'static str) -> Result<T, NotJson> {
    Err(NotJson { at, why: why.into(), help })
}

struct Reader<'a> {
    text: &'a str,
    at: usize,
    kept: usize,
}

impl Reader<'_> {
    fn rest(&self) -> &str {
        self.text.get(self.at..).unwrap_or_default()
    }

    fn peek(&self) -> Option<char> {
        self.rest().chars().next()
    }

    fn next(&mut self) -> Option<char> {
        let c = self.peek()?;
        self.at += c.len_utf8();
        Some(c)
    }

    fn blanks(&mut self) {
        let bytes = self.text.as_bytes();
        while matches!(bytes.get(self.at), Some(b' ' | b'\t' | b'\n' | b'\r')) {
            self.at += 1;
        }
    }

    fn takes(&mut self, word: &str) -> bool {
        let has = self.rest().starts_with(word);
        self.at += if has { word.len() } else { 0 };
        has
    }

    fn value(&mut self, depth: usize) -> Result<Node, NotJson> {
        let at = self.at;
        let value = match self.peek() {
            Some('{' | '[') if depth >= DEEPEST => {
                return fault(
                    at,
                    "lists or objects in each other, more than 127 deep",
                    "send less",
                );
            }
            Some('{') => self.object(depth)?,
            Some('[') => self.list(depth)?,
            Some('"') => Value::Text(self.string()?),
            Some('-' | '0'..='9') => self.number()?,
            Some('t') if self.takes("true") => Value::Truth,
            Some('f') if self.takes("false") => Value::Truth,
            Some('n') if self.takes("null") => Value::Null,
            _ => return self.no_value("a value"),
        };
        Ok(Node { at, value })
    }

    fn keeps(&mut self) -> bool {
        self.kept += 1;
        self.kept <= MOST
    }

    fn list(&mut self, depth: usize) -> Result<Value, NotJson> {
        let begin = self.at;
        self.next();
        let mut nodes = Vec::new();
        self.blanks();
        if self.takes("]") {
            return Ok(Value::List(nodes));
        }
        loop {
            let node = self.value(depth + 1)?;
            if self.keeps() {
                nodes.push(node);
            }
            if self.goes_on(']', begin)? {
                continue;
            }
            return Ok(Value::List(nodes));
        }
    }

    fn object(&mut self, depth: usize) -> Result<Value, NotJson> {
        let begin = self.at;
        self.next();
        let mut fields = Vec::new();
        self.blanks();
        if self.takes("}") {
            return Ok(Value::Object(fields));
        }
        loop {
            let at = self.at;
            if self.peek() != Some('"') {
                return self.no_value("a field's name");
            }
            let name = self.string()?;
            self.blanks();
            if !self.takes(":") {
                return match self.peek() {
                    None => self.cut_short(begin),
                    Some('=') => {
                        fault(self.at, "an equals sign behind a field's name", "write a colon")
                    }
                    Some(_) => fault(self.at, "no colon behind a field's name", "write a colon"),
                };
            }
            self.blanks();
            let node = self.value(depth + 1)?;
            if self.keeps() {
                fields.push((name, at, node));
            }
            if self.goes_on('}', begin)? {
                continue;
            }
            return Ok(Value::Object(fields));
        }
    }

    fn cut_short<T>(&self, begin: usize) -> Result<T, NotJson> {
        let place = Place::of(self.text.as_bytes(), begin);
        let why = format!("the text is cut short: what begins at {place} has no end");
        fault(self.text.len(), why, "send all of it")
    }

    fn number(&mut self) -> Result<Value, NotJson> {
        let begin = self.at;
        let digits = |reader: &mut Self| {
            let from = reader.at;
            while matches!(reader.peek(), Some('0'..='9')) {
                reader.at += 1;
            }
            reader.at - from
        };
        self.takes("-");
        let zero = self.peek() == Some('0');
        let whole = digits(self);
        if whole == 0 {
            return fault(self.at, "a minus without a number", "write the number");
        }
        if zero && whole > 1 {
            return fault(begin, "a number that begins with 0", "take the 0 out");
        }
        let mut sound = true;
        if self.takes(".") {
            sound &= digits(self) > 0;
        }
        if self.takes("e") || self.takes("E") {
            if !self.takes("+") {
                self.takes("-");
            }
            sound &= digits(self) > 0;
        }
        if !sound {
            return fault(self.at, "a number without its end", "write the digits");
        }
        let number: f64 = self.text.get(begin..self.at).unwrap_or_default().parse().unwrap_or(0.0);
        if number.is_infinite() {
            return fault(begin, "a number larger than any that is read", "write a smaller one");
        }
        Ok(Value::Number(number))
    }

    fn string(&mut self) -> Result<String, NotJson> {
        let begin = self.at;
        self.next();
        let mut text = String::new();
        loop {
            let at = self.at;
            match self.next() {
                Some('"') => return Ok(text),
                Some('\\') => self.escape(at, &mut text)?,
                Some('\n' | '\r') => {
                    return fault(
                        at,
                        "a line break in a text",
                        "write \\n, or close the text before it",
                    );
                }
                Some('\t') => return fault(at, "a tab in a text", "write \\t"),
                Some(c) if c < ' ' => {
                    let why = format!("the control character U+{:04X} in a text", u32::from(c));
                    return fault(at, why, "take it out, or write it as \\u");
                }
                Some(c) => text.push(c),
                None => return self.cut_short(begin),
            }
        }
    }

    fn escape(&mut self, at: usize, text: &mut String) -> Result<(), NotJson> {
        let c = match self.next() {
            Some(c @ ('"' | '\\' | '/')) => c,
            Some('b') => '\u{8}',
            Some('f') => '\u{c}',
            Some('n') => '\n',
            Some('r') => '\r',
            Some('t') => '\t',
            Some('u') => return self.unicode(at, text),
            Some('\'') => {
                return fault(at, "a backslash before a single quote", "write the quote alone");
            }
            Some(_) => {
                let help = "write \\\\ for a backslash";
                return fault(at, "a backslash before a character that needs none", help);
            }
            None => return self.cut_short(at),
        };
        text.push(c);
        Ok(())
    }

    fn unicode(&mut self, at: usize, text: &mut String) -> Result<(), NotJson> {
        let first = self.four(at)?;
        let lone = "half of a surrogate pair: a character was cut in two";
        let help = "cut texts between characters, or write the character itself as UTF-8";
        let code = match first {
            0xd800..=0xdbff => {
                if !self.takes("\\u") {
                    return fault(at, lone, help);
                }
                match self.four(at)? {
                    second @ 0xdc00..=0xdfff => {
                        0x1_0000 + ((first - 0xd800) << 10) + (second - 0xdc00)
                    }
                    _ => return fault(at, lone, help),
                }
            }
            other => other,
        };
        match char::from_u32(code) {
            Some(c) => {
                text.push(c);
                Ok(())
            }
            None => fault(at, lone, help),
        }
    }

    fn four(&mut self, at: usize) -> Result<u32, NotJson> {
        let digits = self.text.get(self.at..self.at + 4).unwrap_or_default();
        match u32::from_str_radix(digits, 16) {
            Ok(code) if digits.len() == 4 && !digits.starts_with('+') => {
                self.at += 4;
                Ok(code)
            }
            _ => fault(at, "\\u without four hexadecimal digits", "write all four"),
        }
    }
}
