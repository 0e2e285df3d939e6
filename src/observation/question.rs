//! One question put to one name server by itself: what came back, from whom, and what else arrived.
//!
//! The walk goes on with what the resolver answered; these are facts beside it.

use std::net::{IpAddr, SocketAddr};

use serde::{Deserialize, Serialize};

use super::{DnsFailure, Icmp};

/// A question, and its fate as far as the trip saw it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Question {
    /// Who was asked.
    pub server: Server,
    /// For which family.
    pub family: Family,
    /// Until the answer or the failure came, in seconds; without either, how long it was waited for.
    #[serde(default)]
    pub seconds: f64,
    /// How often it was sent: a datagram may be lost.
    #[serde(default)]
    pub sent: u8,
    /// The answer.
    #[serde(default)]
    pub reply: Option<Reply>,
    /// What is wrong, with the answer or instead of one. Without answer and failure the trip was
    /// over before either came.
    #[serde(default)]
    pub stop: Option<DnsFailure>,
    /// An ICMP error that a program of this host would not have been told (`udp(7)`): it waits on.
    #[serde(default)]
    pub icmp: Option<Icmp>,
    /// What came from the network and was no answer to this question.
    #[serde(default)]
    pub strays: Vec<Stray>,
    /// Answers after the first, where they say something else and the question was sent once.
    #[serde(default)]
    pub late: Vec<Reply>,
}

/// A name server, and what it is to this host.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Server {
    /// Its address and port.
    pub address: SocketAddr,
    /// How it was asked.
    #[serde(default)]
    pub transport: Transport,
    /// What it is.
    #[serde(default)]
    pub role: Role,
}

/// How a server is asked.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Transport {
    /// A datagram.
    #[default]
    Udp,
    /// RFC 7766.
    Tcp,
    /// DNS over TLS, RFC 7858.
    Tls,
    /// DNS over HTTPS, RFC 8484.
    Https,
}

impl Transport {
    /// The fixed name.
    pub fn label(self) -> &'static str {
        match self {
            Self::Udp => "udp",
            Self::Tcp => "tcp",
            Self::Tls => "tls",
            Self::Https => "https",
        }
    }
}

/// What a server is to this host.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    /// The host's programs ask it.
    #[default]
    Configured,
    /// The same, on this host itself: it asks others.
    Stub,
    /// The stub asks it.
    Upstream,
    /// An experiment asks it.
    Independent,
}

impl Role {
    /// The fixed name.
    pub fn label(self) -> &'static str {
        match self {
            Self::Configured => "configured",
            Self::Stub => "stub",
            Self::Upstream => "upstream",
            Self::Independent => "independent",
        }
    }
}

/// Which addresses are asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Family {
    /// IPv4.
    A,
    /// IPv6.
    #[serde(rename = "AAAA")]
    Aaaa,
}

impl Family {
    /// The record type's name.
    pub fn label(self) -> &'static str {
        match self {
            Self::A => "A",
            Self::Aaaa => "AAAA",
        }
    }
}

/// An answer, taken apart.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Reply {
    /// The response code with its extension (RFC 6895 2.3).
    pub rcode: u16,
    /// The header's flags.
    pub flags: Flags,
    /// Extended errors (RFC 8914).
    pub errors: Vec<ExtendedError>,
    /// The CNAMEs from the name that was asked for, in their order.
    pub aliases: Vec<Alias>,
    /// The addresses at the end of them.
    pub addresses: Vec<Found>,
    /// Whether the authority section has an SOA, as a denial by the zone itself does (RFC 2308 2).
    pub soa: bool,
    /// The message's length in bytes.
    pub bytes: usize,
}

impl Reply {
    /// Whether two replies say the same: times to live run down, and the order rotates.
    pub fn agrees_with(&self, other: &Self) -> bool {
        let addresses = |reply: &Self| {
            let mut all: Vec<IpAddr> = reply.addresses.iter().map(|found| found.address).collect();
            all.sort_unstable();
            all
        };
        self.rcode == other.rcode && addresses(self) == addresses(other)
    }
}

/// The header's flags (RFC 1035 4.1.1, RFC 4035 3.2.3).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[expect(clippy::struct_excessive_bools, reason = "they are bits of a header")]
pub struct Flags {
    /// AA: the server is an authority for the name.
    pub aa: bool,
    /// TC: the answer did not fit.
    pub tc: bool,
    /// RA: the server asks others.
    pub ra: bool,
    /// AD: it verified the zone's signatures.
    pub ad: bool,
}

/// A reason that a server gives of itself.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ExtendedError {
    /// The code (RFC 8914 4): 15 blocked, 16 censored, 17 filtered, 18 prohibited.
    pub code: u16,
    /// The server's words.
    #[serde(default)]
    pub text: String,
}

/// One CNAME.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Alias {
    /// The name that has another.
    pub name: String,
    /// The other.
    pub target: String,
    /// Time to live in seconds.
    pub ttl: u32,
}

/// One address of an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Found {
    /// The address.
    pub address: IpAddr,
    /// Time to live in seconds.
    pub ttl: u32,
}

/// What arrived and was no answer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Stray {
    /// Who sent it.
    pub from: SocketAddr,
    /// Why it is none.
    pub flaw: Flaw,
}

/// Why a message is no answer to a question.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Flaw {
    /// It is no DNS message, or a query.
    Malformed,
    /// Its id is another question's.
    WrongId,
    /// It repeats another question.
    WrongQuestion,
    /// It is sound, and comes from somebody who was not asked.
    WrongSource,
}
