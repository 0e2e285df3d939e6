//! A connection that was silent on purpose, and what became of it.

use serde::{Deserialize, Serialize};

/// What became of a connection that carried one good answer and was then left alone.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Held {
    /// How long it was to be silent, in seconds.
    pub asked: f64,
    /// After how many seconds its end was seen; none: it was not seen before it was used again.
    #[serde(default)]
    pub ended: Option<f64>,
    /// How it ended.
    pub end: HeldEnd,
}

/// How a silent connection ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum HeldEnd {
    /// It did not: the next request was answered.
    Lived,
    /// By whoever ends TLS: a `close_notify` (RFC 8446 6.1), or words of HTTP.
    Notified,
    /// By FIN, without a word of TLS before it.
    Closed,
    /// By RST.
    Reset,
    /// The next request was never answered.
    Silent,
}

impl HeldEnd {
    /// In words, after "dead: ".
    pub fn words(self) -> &'static str {
        match self {
            Self::Lived => "it lives",
            Self::Notified => "ended by its TLS peer",
            Self::Closed => "closed",
            Self::Reset => "reset",
            Self::Silent => "no answer any more",
        }
    }
}
