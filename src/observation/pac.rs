//! Which way a PAC file chose, and what went wrong with the file itself.

use serde::{Deserialize, Serialize};

use super::{Failure, ProxyFailure, ProxyKind};

/// One decision of a PAC file.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Pac {
    /// The file's URL.
    pub url: String,
    /// What it returned, cut to 256 characters.
    pub answer: String,
    /// The entry that was taken: `DIRECT`, or a proxy.
    pub chosen: String,
    /// The entries before it that led nowhere, in order.
    pub skipped: Vec<Skipped>,
    /// The names that it had looked up.
    pub looked_up: Vec<String>,
    /// Time to fetch and to decide in seconds; nothing where the decision was kept from before.
    pub seconds: f64,
    /// Why there is no decision.
    pub stop: Option<PacFailure>,
}

/// An entry that was passed over, as other clients do it: the next one is tried.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Skipped {
    /// The entry.
    pub entry: String,
    /// How its proxy was not reached; none for an entry of a kind that is not spoken here.
    #[serde(default)]
    pub failure: Option<Failure>,
}

/// No decision.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PacFailure {
    /// The file could not be had: how its own trip ended, where that failed, and a word for people.
    Unavailable {
        /// The failure of its trip.
        #[serde(default)]
        failure: Option<Box<Failure>>,
        /// The status of the answer.
        #[serde(default)]
        status: Option<u16>,
        /// More of it.
        #[serde(default)]
        detail: String,
    },
    /// It does not parse, has no `FindProxyForURL`, throws, does not end, takes too much, or returns
    /// nonsense: the engine's word, with its place.
    Invalid(String),
    /// It was not decided in time: the fetch, a look-up or others that ask were waited for.
    Undecided(String),
}

impl PacFailure {
    /// As a failure of the proxy's layer.
    pub(super) fn as_of_proxy(&self) -> ProxyFailure {
        let of = ProxyFailure::new(ProxyKind::Pac);
        match self {
            Self::Unavailable { failure, status, detail } => {
                ProxyFailure { inner: failure.clone(), status: *status, body: detail.clone(), ..of }
            }
            Self::Invalid(detail) | Self::Undecided(detail) => {
                ProxyFailure { body: detail.clone(), ..of }
            }
        }
    }
}
