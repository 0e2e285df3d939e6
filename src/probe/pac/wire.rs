//! What parent and child say to each other: a length in four bytes (big-endian), and so much JSON. Either
//! side trusts no length beyond its limit.

use std::io::{Error, ErrorKind, Result};
use std::net::IpAddr;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use super::Question;
use super::fault::ScriptFault;

/// To the child: a script of 1 MiB, each character of which may become an escape of six.
pub(super) const DOWN: usize = 8 * 1024 * 1024;
/// From the child: an answer, a name or a fault.
pub(super) const UP: usize = 64 * 1024;

/// What the parent says.
#[derive(Debug, Serialize, Deserialize)]
pub(super) enum Order {
    /// Forget what was loaded, and load this.
    Load(String),
    /// Ask what is loaded.
    Decide(Question),
    /// The addresses of the name that was asked for.
    Addresses(Vec<IpAddr>),
}

/// What the child says.
#[derive(Debug, Serialize, Deserialize)]
pub(super) enum Reply {
    /// The script is loaded.
    Loaded,
    /// It wants to know this name's addresses, and waits.
    LookUp(String),
    /// It has returned.
    Decided(String),
    /// It gave no answer.
    Fault(ScriptFault),
}

/// A message with its length before it.
pub(super) fn frame<T: Serialize>(message: &T, limit: usize) -> Result<Vec<u8>> {
    let body = serde_json::to_vec(message)?;
    let length = u32::try_from(body.len()).ok().filter(|_| body.len() <= limit);
    let length = length.ok_or_else(|| broken("a message is too long"))?;
    Ok([&length.to_be_bytes()[..], &body].concat())
}

/// How many bytes follow.
pub(super) fn length(prefix: [u8; 4], limit: usize) -> Result<usize> {
    let length = usize::try_from(u32::from_be_bytes(prefix)).ok();
    length.filter(|length| *length <= limit).ok_or_else(|| broken("a message is too long"))
}

/// The message of these bytes.
pub(super) fn message<T: DeserializeOwned>(body: &[u8]) -> Result<T> {
    Ok(serde_json::from_slice(body)?)
}

/// The other side does not keep to the protocol.
pub(super) fn broken(why: &'static str) -> Error {
    Error::new(ErrorKind::InvalidData, why)
}
