//! What was declared of a target beforehand, and what observations are weighed against.

use serde::{Deserialize, Serialize};

/// What of a target is tested beyond its minimal request.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Further {
    /// Whether the parts of a streamed answer come as they are made.
    pub stream: bool,
    /// The bytes of a request's body; 0: not tested.
    pub body_bytes: u32,
    /// The longest silence that is tried on a connection, in seconds; 0: not tested.
    pub idle_hold: u32,
}

/// What is expected of a route.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Expect {
    /// It works.
    #[default]
    Open,
    /// It does not, on purpose.
    Closed,
    /// Whatever it does.
    Either,
}

impl Expect {
    /// The fixed name.
    pub fn label(self) -> &'static str {
        match self {
            Self::Open => "open",
            Self::Closed => "closed",
            Self::Either => "either",
        }
    }
}

/// The answer that a target wants where it asks for something of its own.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Wanted {
    /// The statuses; none: any of 200 to 299.
    pub status: Vec<u16>,
    /// Places of the answer's JSON (RFC 6901), each with the value that it has; none: whatever it has.
    pub json: Vec<(String, Option<serde_json::Value>)>,
}

impl Wanted {
    /// Whether it is the status that is wanted.
    pub fn has_status(&self, status: u16) -> bool {
        if self.status.is_empty() {
            (200..300).contains(&status)
        } else {
            self.status.contains(&status)
        }
    }

    /// Whether the body has what is wanted.
    pub fn has_body(&self, body: &str) -> bool {
        if self.json.is_empty() {
            return true;
        }
        let Ok(body) = serde_json::from_str::<serde_json::Value>(body) else { return false };
        self.json.iter().all(|(place, value)| {
            body.pointer(place)
                .is_some_and(|there| value.as_ref().is_none_or(|value| there == value))
        })
    }
}

/// How a target weighs its routes.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Needs {
    /// One that works.
    #[default]
    Any,
    /// Every open one.
    All,
    /// This one.
    Route(String),
}
