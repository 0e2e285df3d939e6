//! A YAML file as a tree in which each value knows its place, read within fixed limits. What the values mean is
//! `read`'s to say.

use std::fmt;
use std::ops::Range;

use serde::de::{Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_saphyr::{Location, Spanned};

use crate::config::Problem;

/// A modules file at most.
pub const FILE: usize = 256 * 1024;

/// A value with its place.
pub(super) type Node = Spanned<Value>;

/// A value of YAML.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Value {
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

/// Reads a text. Aliases may save a few lines of headers; what multiplies is refused.
pub(super) fn parse(text: &str) -> Result<Node, Problem> {
    if text.len() > FILE {
        let what = format!("the file has {} bytes, more than {FILE}", text.len());
        return Err(Problem::at(None, what, "keep the modules that are used"));
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
pub(super) fn place(text: &str, location: Location) -> Option<Range<usize>> {
    let (line, column) = (location.line(), location.column());
    let before = usize::try_from(line.checked_sub(1)?).ok()?;
    let skipped: usize = text.split_inclusive('\n').take(before).map(str::len).sum();
    let characters = usize::try_from(column.checked_sub(1)?).ok()?;
    let within: usize = text.get(skipped..)?.chars().take(characters).map(char::len_utf8).sum();
    Some(skipped + within..skipped + within + 1)
}

impl Value {
    /// A value in words: a number or a truth is one, too, as in Go's reader.
    pub(super) fn text(&self) -> Option<&str> {
        match self {
            Self::Text(text) | Self::Number(text) => Some(text),
            Self::Bool(true) => Some("true"),
            Self::Bool(false) => Some("false"),
            Self::Null => Some(""),
            Self::List(_) | Self::Table(_) => None,
        }
    }

    /// The entries of a table; nothing at all is an empty one.
    pub(super) fn table(&self) -> Option<&[(Spanned<String>, Node)]> {
        match self {
            Self::Table(table) => Some(table),
            Self::Null => Some(&[]),
            Self::Bool(_) | Self::Number(_) | Self::Text(_) | Self::List(_) => None,
        }
    }

    /// The values of a list; nothing at all is an empty one.
    pub(super) fn list(&self) -> Option<&[Node]> {
        match self {
            Self::List(list) => Some(list),
            Self::Null => Some(&[]),
            Self::Bool(_) | Self::Number(_) | Self::Text(_) | Self::Table(_) => None,
        }
    }
}
