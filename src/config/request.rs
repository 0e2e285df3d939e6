//! What a target asks for instead of its provider's minimal request, and whose roots count for it alone.

use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;

use serde::Deserialize;
use serde::de::{self, Deserializer, MapAccess, SeqAccess, Visitor, value::MapAccessDeserializer};
use toml::Spanned;

use super::Text;

/// A request of the target's own.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Request {
    /// What is done; left out: GET, or POST where there is a body.
    pub method: Option<Spanned<String>>,
    /// The path with its query, in the place of the URL's.
    pub path: Option<Spanned<Text>>,
    /// Further headers, or others in the place of the provider's.
    pub headers: BTreeMap<Spanned<String>, Spanned<Text>>,
    /// What is sent.
    pub body: Option<Spanned<Text>>,
    /// The status that a good answer has; left out: any of 200 to 299.
    pub expect_status: Option<Spanned<Statuses>>,
    /// What a good answer's JSON has.
    pub expect_json: Option<Spanned<ExpectJson>>,
}

/// One status, or several.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Statuses(pub Vec<u16>);

impl<'de> Deserialize<'de> for Statuses {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Spelling;
        impl<'de> Visitor<'de> for Spelling {
            type Value = Statuses;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a status code, or a list of them")
            }
            fn visit_i64<E: de::Error>(self, status: i64) -> Result<Statuses, E> {
                one(status).map(|status| Statuses(vec![status]))
            }
            fn visit_seq<S: SeqAccess<'de>>(self, mut seq: S) -> Result<Statuses, S::Error> {
                let mut all = Vec::new();
                while let Some(status) = seq.next_element()? {
                    all.push(one(status)?);
                }
                Ok(Statuses(all))
            }
        }
        deserializer.deserialize_any(Spelling)
    }
}

/// RFC 9110 15: what is below 200 is no final answer.
fn one<E: de::Error>(status: i64) -> Result<u16, E> {
    let status = u16::try_from(status).ok().filter(|status| (200..=599).contains(status));
    status.ok_or_else(|| E::custom("no status of an answer; write a number from 200 to 599"))
}

/// What JSON is wanted: a place that is there (RFC 6901), or places with their values.
#[derive(Clone, Debug, PartialEq)]
pub enum ExpectJson {
    /// This place is there.
    Place(String),
    /// These places have these values.
    Values(BTreeMap<String, toml::Value>),
}

impl<'de> Deserialize<'de> for ExpectJson {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Spelling;
        impl<'de> Visitor<'de> for Spelling {
            type Value = ExpectJson;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(
                    "a JSON pointer such as \"/data/0/id\", or a table of pointers and values",
                )
            }
            fn visit_str<E: de::Error>(self, place: &str) -> Result<ExpectJson, E> {
                Ok(ExpectJson::Place(place.to_owned()))
            }
            fn visit_map<M: MapAccess<'de>>(self, map: M) -> Result<ExpectJson, M::Error> {
                BTreeMap::deserialize(MapAccessDeserializer::new(map)).map(ExpectJson::Values)
            }
        }
        deserializer.deserialize_any(Spelling)
    }
}

/// Whose roots count for one target alone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TargetTrust {
    /// `public` or `organisation`.
    Word(String),
    /// `{ ca_file = "PATH" }`
    File(PathBuf),
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct FileTable {
    ca_file: PathBuf,
}

impl<'de> Deserialize<'de> for TargetTrust {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Spelling;
        impl<'de> Visitor<'de> for Spelling {
            type Value = TargetTrust;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("\"public\", \"organisation\" or { ca_file = \"PATH\" }")
            }
            fn visit_str<E: de::Error>(self, word: &str) -> Result<TargetTrust, E> {
                Ok(TargetTrust::Word(word.to_owned()))
            }
            fn visit_map<M: MapAccess<'de>>(self, map: M) -> Result<TargetTrust, M::Error> {
                FileTable::deserialize(MapAccessDeserializer::new(map))
                    .map(|table| TargetTrust::File(table.ca_file))
            }
        }
        deserializer.deserialize_any(Spelling)
    }
}
