//! How values are spelled: durations, strings that differ between hosts, secrets and where they are.

use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use serde::Deserialize;
use serde::de::{self, Deserializer, MapAccess, SeqAccess, Visitor, value::MapAccessDeserializer};
use zeroize::Zeroizing;

use super::TargetRoute;

/// Nothing here is meant to take longer; and no sum of such lengths overflows.
const LONGEST: Duration = Duration::from_secs(31 * 24 * 3600);

/// A length of time as people write it: `10s`, `1m 30s`, `250ms`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Period(Duration);

impl Period {
    pub(super) fn seconds(seconds: u64) -> Self {
        Self(Duration::from_secs(seconds))
    }

    /// The length.
    pub fn get(self) -> Duration {
        self.0
    }
}

impl<'de> Deserialize<'de> for Period {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        let length = humantime::parse_duration(&text).map_err(|error| {
            de::Error::custom(format!("`{text}` is no duration: {error}; write 10s, 1m, 250ms"))
        })?;
        if length.is_zero() {
            return Err(de::Error::custom("a duration of nothing; write 10s, 1m, 250ms"));
        }
        if length > LONGEST {
            return Err(de::Error::custom("a duration of more than a month; write 10s, 1m, 1h"));
        }
        Ok(Self(length))
    }
}

/// A length of time that may be nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Hold(Duration);

impl Hold {
    /// The length.
    pub fn get(self) -> Duration {
        self.0
    }
}

impl<'de> Deserialize<'de> for Hold {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        let length = humantime::parse_duration(&text).map_err(|error| {
            de::Error::custom(format!("`{text}` is no duration: {error}; write 0s, 90s, 5m"))
        })?;
        Ok(Self(length))
    }
}

/// A string, or the name of the variable of the environment that holds it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Text {
    /// As written.
    Literal(String),
    /// `{ env = "NAME" }`
    Env(String),
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct EnvTable {
    env: String,
}

impl<'de> Deserialize<'de> for Text {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Spelling;
        impl<'de> Visitor<'de> for Spelling {
            type Value = Text;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a string, or { env = \"NAME\" }")
            }
            fn visit_str<E: de::Error>(self, text: &str) -> Result<Text, E> {
                Ok(Text::Literal(text.to_owned()))
            }
            fn visit_map<M: MapAccess<'de>>(self, map: M) -> Result<Text, M::Error> {
                EnvTable::deserialize(MapAccessDeserializer::new(map))
                    .map(|table| Text::Env(table.env))
            }
        }
        deserializer.deserialize_any(Spelling)
    }
}

/// A word for the usual choices, or a list of names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Pick {
    /// One word.
    Word(String),
    /// Names.
    List(Vec<String>),
}

impl<'de> Deserialize<'de> for Pick {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Spelling;
        impl<'de> Visitor<'de> for Spelling {
            type Value = Pick;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a word, or a list of strings")
            }
            fn visit_str<E: de::Error>(self, text: &str) -> Result<Pick, E> {
                Ok(Pick::Word(text.to_owned()))
            }
            fn visit_seq<S: SeqAccess<'de>>(self, mut seq: S) -> Result<Pick, S::Error> {
                let mut names = Vec::new();
                while let Some(name) = seq.next_element()? {
                    names.push(name);
                }
                Ok(Pick::List(names))
            }
        }
        deserializer.deserialize_any(Spelling)
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RouteTable {
    name: String,
    expect: Option<String>,
}

impl<'de> Deserialize<'de> for TargetRoute {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Spelling;
        impl<'de> Visitor<'de> for Spelling {
            type Value = TargetRoute;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a route's name, or { name = \"…\", expect = \"open\" }")
            }
            fn visit_str<E: de::Error>(self, text: &str) -> Result<TargetRoute, E> {
                Ok(TargetRoute { name: text.to_owned(), expect: None })
            }
            fn visit_map<M: MapAccess<'de>>(self, map: M) -> Result<TargetRoute, M::Error> {
                RouteTable::deserialize(MapAccessDeserializer::new(map))
                    .map(|table| TargetRoute { name: table.name, expect: table.expect })
            }
        }
        deserializer.deserialize_any(Spelling)
    }
}

/// Where a secret is; never the secret itself.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct SecretSource {
    /// A variable of the environment.
    pub env: Option<String>,
    /// A file.
    pub file: Option<PathBuf>,
    /// A credential of systemd, by its name in `$CREDENTIALS_DIRECTORY`.
    pub credential: Option<String>,
}

#[derive(Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct SecretTable {
    env: Option<String>,
    file: Option<PathBuf>,
    credential: Option<String>,
}

impl<'de> Deserialize<'de> for SecretSource {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Spelling;
        impl<'de> Visitor<'de> for Spelling {
            type Value = SecretSource;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("{ env = \"NAME\" }, { file = \"PATH\" } or { credential = \"NAME\" }")
            }
            // The likeliest mistake is the secret itself: it must not be said back.
            fn visit_str<E: de::Error>(self, _: &str) -> Result<SecretSource, E> {
                Err(E::custom("a secret does not stand in this file; write { file = \"PATH\" }"))
            }
            fn visit_map<M: MapAccess<'de>>(self, map: M) -> Result<SecretSource, M::Error> {
                let SecretTable { env, file, credential } =
                    SecretTable::deserialize(MapAccessDeserializer::new(map))?;
                Ok(SecretSource { env, file, credential })
            }
        }
        deserializer.deserialize_any(Spelling)
    }
}

impl fmt::Display for SecretSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (&self.env, &self.file, &self.credential) {
            (Some(name), _, _) => write!(f, "environment variable {name}"),
            (_, Some(path), _) => write!(f, "file {}", path.display()),
            (_, _, Some(name)) => write!(f, "systemd credential {name}"),
            (None, None, None) => f.write_str("nowhere"),
        }
    }
}

/// Where a secret file is that is not text: a path, or a credential of systemd.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum FileSource {
    /// Its path.
    Path(PathBuf),
    /// A credential of systemd, by its name in `$CREDENTIALS_DIRECTORY`.
    Credential(String),
}

#[derive(Deserialize)]
#[serde(rename_all = "snake_case")]
enum FileTable {
    File(PathBuf),
    Credential(String),
}

impl<'de> Deserialize<'de> for FileSource {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Spelling;
        impl<'de> Visitor<'de> for Spelling {
            type Value = FileSource;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a path, { file = \"PATH\" } or { credential = \"NAME\" }")
            }
            fn visit_str<E: de::Error>(self, path: &str) -> Result<FileSource, E> {
                Ok(FileSource::Path(path.into()))
            }
            fn visit_map<M: MapAccess<'de>>(self, map: M) -> Result<FileSource, M::Error> {
                FileTable::deserialize(MapAccessDeserializer::new(map)).map(|table| match table {
                    FileTable::File(path) => FileSource::Path(path),
                    FileTable::Credential(name) => FileSource::Credential(name),
                })
            }
        }
        deserializer.deserialize_any(Spelling)
    }
}

impl fmt::Display for FileSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Path(path) => write!(f, "file {}", path.display()),
            Self::Credential(name) => write!(f, "systemd credential {name}"),
        }
    }
}

/// A value that cannot be printed: no `Display`, no `Serialize`, and a `Debug` that says only that
/// it is one. Its memory is wiped when it goes.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(Zeroizing<String>);

/// Parts of names of headers whose values are nobody's to see.
const SECRET: &[&str] =
    &["auth", "key", "token", "secret", "cookie", "credential", "signature", "password", "session"];
/// Names that have such a part and hold nothing that is one.
const NO_SECRET: &[&str] = &["idempotency-key", "x-idempotency-key"];

impl Secret {
    /// Whether the name of a header says that its value is one.
    pub fn is_named(header: &str) -> bool {
        let name = header.to_ascii_lowercase();
        !NO_SECRET.contains(&name.as_str()) && SECRET.iter().any(|part| name.contains(part))
    }

    /// Takes a value over.
    pub fn new(value: String) -> Self {
        Self(Zeroizing::new(value))
    }

    /// The value, for the one place that sends it.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret")
    }
}
