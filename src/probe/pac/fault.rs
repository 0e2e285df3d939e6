//! Why a script gave no answer, and why nobody could be asked: two closed enums.

use serde::{Deserialize, Serialize};

/// What is wrong with the script. Lines and columns count from 1.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
pub enum ScriptFault {
    /// It is not JavaScript.
    #[error("line {line}, column {column}: {detail}")]
    Parse {
        /// The line.
        line: u32,
        /// The column.
        column: u32,
        /// The engine's own words, cut to 256 characters.
        detail: String,
    },
    /// It has no function `FindProxyForURL`.
    #[error("it has no function FindProxyForURL")]
    NoFunction,
    /// It threw an exception, while it was loaded or asked.
    #[error("it threw {detail}")]
    Threw {
        /// The line of the script, where the engine knows it.
        line: Option<u32>,
        /// What was thrown, cut to 256 characters.
        detail: String,
    },
    /// It took more time than it has.
    #[error("it takes too long")]
    TooLong,
    /// It took more memory than it has.
    #[error("it takes too much memory")]
    TooMuchMemory,
    /// It looked up more names than it may for one decision.
    #[error("it looks up too many names")]
    TooManyLookups,
    /// It returned something else than text.
    #[error("it returned {what}, which is no text")]
    NotAString {
        /// The kind of value.
        what: String,
    },
}

impl ScriptFault {
    /// Whether the engine that met it can go on: one that ran out of something is replaced.
    pub(super) fn is_mild(&self) -> bool {
        match self {
            Self::Parse { .. }
            | Self::NoFunction
            | Self::Threw { .. }
            | Self::TooManyLookups
            | Self::NotAString { .. } => true,
            Self::TooLong | Self::TooMuchMemory => false,
        }
    }
}

/// Why there is no decision.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    /// The script is at fault.
    #[error("the PAC script: {0}")]
    Script(#[from] ScriptFault),
    /// The process that runs it could not be started, has gone, or does not keep to the protocol.
    #[error("the PAC engine: {0}")]
    Child(#[from] std::io::Error),
}
