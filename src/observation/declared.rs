//! What was declared of a target beforehand, and what observations are weighed against.

use serde::{Deserialize, Serialize};

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
