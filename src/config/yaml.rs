//! A YAML file as a tree in which each value knows its place, read within fixed limits, and how its values are read
//! with every problem at once. What they mean is said by whoever reads them.

use std::fmt;
use std::ops::Range;
use std::path::{Path, PathBuf};

use serde::de::{Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_saphyr::{Location, Spanned};

use super::{Problem, nearest};

/// A file at most.
pub const FILE: usize = 256 * 1024;

/// A value with its place.
pub(crate) type Node = Spanned<Value>;

/// A value of YAML.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Value {
    Null,
    Bool(bool),
    /// As it is printed.
    Number(String),
    Text(String),
    List(Vec<Node>),
    Table(Vec<(Spanned<String>, Node)>),
}

impl<'de> Deserialize<'de> for Value {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Any)
    }
}

struct Any;

impl<'de> Visitor<'de> for Any {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value")
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_none<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(Value::Bool(value))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Value, E> {
        Ok(Value::Number(value.to_string()))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Value, E> {
        Ok(Value::Number(value.to_string()))
    }

    fn visit_f64<E>(self, value: f64) -> Result<Value, E> {
        Ok(Value::Number(value.to_string()))
    }

    fn visit_str<E>(self, value: &str) -> Result<Value, E> {
        Ok(Value::Text(value.to_owned()))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Value, A::Error> {
        let mut list = Vec::new();
        while let Some(one) = seq.next_element()? {
            list.push(one);
        }
        Ok(Value::List(list))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Value, A::Error> {
        let mut table = Vec::new();
        while let Some(entry) = map.next_entry()? {
            table.push(entry);
        }
        Ok(Value::Table(table))
    }
}

/// What reads the files that a text names, once.
pub type Files<'a> = &'a dyn Fn(&Path) -> Result<Vec<u8>, String>;

/// What is read, and what is wrong with it.
pub(crate) struct Reader<'a> {
    text: &'a str,
    pub(crate) files: Files<'a>,
    problems: Vec<Problem>,
    /// What the part at hand asks for and is not done here.
    pub(crate) unsupported: Vec<String>,
}

impl<'a> Reader<'a> {
    /// Of that text; what it names is read by `files`.
    pub(crate) fn new(text: &'a str, files: Files<'a>) -> Self {
        Self { text, files, problems: Vec::new(), unsupported: Vec::new() }
    }

    /// The whole as a tree; none where it is no YAML.
    pub(crate) fn tree(&mut self) -> Option<Node> {
        parse(self.text).map_err(|problem| self.problems.push(problem)).ok()
    }

    /// Everything that is wrong, in the order of the text.
    pub(crate) fn problems(mut self) -> Vec<Problem> {
        self.problems.sort_by_key(|problem| problem.place.as_ref().map_or(0, |place| place.start));
        self.problems
    }

    /// What is wrong.
    pub(crate) fn fault(&mut self, at: &Node, what: impl Into<String>, help: impl Into<String>) {
        self.problems.push(Problem::at(place(self.text, at.referenced), what, help));
    }

    /// What may surprise.
    pub(crate) fn warn(&mut self, at: &Node, what: impl Into<String>, help: impl Into<String>) {
        let place = place(self.text, at.referenced);
        self.problems.push(Problem::at(place, what, help).as_warning());
    }

    pub(crate) fn unknown(&mut self, key: &Spanned<String>, known: &[&str]) {
        let place = place(self.text, key.referenced);
        let what = format!("unknown key `{}`", key.value);
        self.problems.push(Problem::at(place, what, nearest(&key.value, known)));
    }

    /// The entries of a table, which is copied: what is read of it notes its problems.
    pub(crate) fn table(&mut self, node: &Node) -> Vec<(Spanned<String>, Node)> {
        match node.value.table() {
            Some(table) => table.to_vec(),
            None => {
                self.fault(node, "this is no table", "write key: value, one to a line");
                Vec::new()
            }
        }
    }

    pub(crate) fn list(&mut self, node: &Node) -> Vec<Node> {
        match node.value.list() {
            Some(list) => list.to_vec(),
            None => {
                self.fault(node, "this is no list", "write [one, another]");
                Vec::new()
            }
        }
    }

    pub(crate) fn text(&mut self, node: &Node) -> String {
        match node.value.text() {
            Some(text) => text.to_owned(),
            None => {
                self.fault(node, "this is no text", "write one value");
                String::new()
            }
        }
    }

    pub(crate) fn texts(&mut self, node: &Node) -> Vec<String> {
        self.list(node).iter().map(|one| self.text(one)).collect()
    }

    pub(crate) fn truth(&mut self, node: &Node) -> bool {
        if let Value::Bool(truth) = node.value {
            return truth;
        }
        self.fault(node, "this is neither true nor false", "write true or false");
        false
    }

    /// What a text means by `parse`; else a problem.
    pub(crate) fn parsed<T>(
        &mut self,
        node: &Node,
        (what, help): (&str, &str),
        parse: impl Fn(&str) -> Option<T>,
    ) -> Option<T> {
        let text = self.text(node);
        let parsed = parse(&text);
        if parsed.is_none() {
            self.fault(node, format!("`{text}` is no {what}"), help);
        }
        parsed
    }

    /// What a file holds, read now.
    pub(crate) fn content(&mut self, node: &Node) -> Option<(PathBuf, Vec<u8>)> {
        let path = PathBuf::from(self.text(node));
        match (self.files)(&path) {
            Ok(bytes) => Some((path, bytes)),
            Err(why) => {
                let what = format!("{} cannot be read: {why}", path.display());
                self.fault(node, what, "correct the path, or its permissions");
                None
            }
        }
    }
}

/// Reads a text. Aliases may save a few lines of headers; what multiplies is refused.
fn parse(text: &str) -> Result<Node, Problem> {
    if text.len() > FILE {
        let what = format!("the file has {} bytes, more than {FILE}", text.len());
        return Err(Problem::at(None, what, "keep what is used"));
    }
    let options = serde_saphyr::options! {
        budget: serde_saphyr::budget! {
            max_events: 50_000,
            max_nodes: 20_000,
            max_depth: 16,
            max_aliases: 64,
            max_anchors: 64,
            max_documents: 1,
            max_merge_keys: 64,
            max_total_scalar_bytes: FILE,
        },
        with_snippet: false,
    };
    serde_saphyr::from_str_with_options(text, options).map_err(|error| {
        let place = error.location().and_then(|location| place(text, location));
        let what = error.without_snippet().to_string();
        let what = what.lines().next().unwrap_or_default().to_owned();
        Problem::at(place, what, "correct the YAML at this place")
    })
}

/// Where something stands, as bytes of the text.
fn place(text: &str, location: Location) -> Option<Range<usize>> {
    let (line, column) = (location.line(), location.column());
    let before = usize::try_from(line.checked_sub(1)?).ok()?;
    let skipped: usize = text.split_inclusive('\n').take(before).map(str::len).sum();
    let characters = usize::try_from(column.checked_sub(1)?).ok()?;
    let within: usize = text.get(skipped..)?.chars().take(characters).map(char::len_utf8).sum();
    Some(skipped + within..skipped + within + 1)
}

impl Value {
    /// A value in words: a number or a truth is one, too, as in Go's reader.
    pub(crate) fn text(&self) -> Option<&str> {
        match self {
            Self::Text(text) | Self::Number(text) => Some(text),
            Self::Bool(true) => Some("true"),
            Self::Bool(false) => Some("false"),
            Self::Null => Some(""),
            Self::List(_) | Self::Table(_) => None,
        }
    }

    /// The entries of a table; nothing at all is an empty one.
    pub(crate) fn table(&self) -> Option<&[(Spanned<String>, Node)]> {
        match self {
            Self::Table(table) => Some(table),
            Self::Null => Some(&[]),
            Self::Bool(_) | Self::Number(_) | Self::Text(_) | Self::List(_) => None,
        }
    }

    /// The values of a list; nothing at all is an empty one.
    pub(crate) fn list(&self) -> Option<&[Node]> {
        match self {
            Self::List(list) => Some(list),
            Self::Null => Some(&[]),
            Self::Bool(_) | Self::Number(_) | Self::Text(_) | Self::Table(_) => None,
        }
    }
}
