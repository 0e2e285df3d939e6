//! How the first hop's name was resolved: what an application would get, and the single questions beside it.

use std::net::IpAddr;

use serde::{Deserialize, Serialize};

use super::{DnsFailure, DnsKind, Failure, Question};

/// Where an address came from.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Source {
    /// A DNS server.
    #[default]
    Dns,
    /// The hosts file.
    Hosts,
    /// The configuration names an address, or an experiment reuses one.
    Literal,
}

/// How a name was resolved, each family by itself.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Lookup {
    /// The name that was asked for.
    pub name: String,
    /// Where the answer came from.
    #[serde(default)]
    pub source: Source,
    /// The configured servers, in order.
    #[serde(default)]
    pub servers: Vec<String>,
    /// Why this host has none: then its programs ask 127.0.0.1.
    #[serde(default)]
    pub missing: Option<String>,
    /// The answer for A.
    #[serde(default)]
    pub a: Option<Answer>,
    /// The answer for AAAA.
    #[serde(default)]
    pub aaaa: Option<Answer>,
    /// The name that was answered, where the search list made another one of it.
    #[serde(default)]
    pub searched: Option<String>,
    /// The same question put to each server by itself.
    #[serde(default)]
    pub questions: Vec<Question>,
    /// Why nothing could be asked at all.
    #[serde(default)]
    pub stop: Option<Failure>,
    /// Time until the walk could go on, in seconds.
    #[serde(default)]
    pub seconds: f64,
}

/// What one question brought.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Answer {
    /// At least one address.
    Addresses(Vec<IpAddr>),
    /// None.
    Failed(DnsFailure),
}

impl Answer {
    /// The addresses, none after a failure.
    pub fn addresses(&self) -> &[IpAddr] {
        match self {
            Self::Addresses(addresses) => addresses,
            Self::Failed(_) => &[],
        }
    }

    /// The failure, if it was one.
    pub fn failure(&self) -> Option<&DnsFailure> {
        match self {
            Self::Addresses(_) => None,
            Self::Failed(failure) => Some(failure),
        }
    }
}

impl Lookup {
    /// All addresses, IPv4 first, in the order of the answers.
    pub fn addresses(&self) -> Vec<IpAddr> {
        [&self.a, &self.aaaa].into_iter().flatten().flat_map(Answer::addresses).copied().collect()
    }

    /// Why there is no address at all. Of two failures the one that says more: a family that a
    /// name does not have (no data) says less than what happened to the other.
    pub fn failure(&self) -> Option<Failure> {
        if let Some(stop) = &self.stop {
            return Some(stop.clone());
        }
        if !self.addresses().is_empty() {
            return None;
        }
        let failures: Vec<&DnsFailure> =
            [&self.a, &self.aaaa].into_iter().flatten().filter_map(Answer::failure).collect();
        failures
            .iter()
            .find(|failure| failure.kind != DnsKind::Nodata)
            .or(failures.first())
            .map(|failure| Failure::Dns((*failure).clone()))
    }
}
