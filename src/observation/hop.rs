//! One step of a TTL walk: what came back for a packet that was to live so long.

use serde::{Deserialize, Serialize};

use super::Icmp;

/// What a walk sends.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Sent {
    /// The SYN of a new connection.
    Syn,
    /// The first bytes of the handshake, on a connection that was made without a limit.
    Hello,
}

/// A packet with a short life, and what became of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Hop {
    /// How many routers it may pass, and one more.
    pub ttl: u8,
    /// What it was.
    pub sent: Sent,
    /// What came back.
    pub came: Came,
}

/// What came back.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Came {
    /// ICMP time exceeded; its sender is the hop, where the kernel tells it (for a SYN it does).
    Expired(Option<Icmp>),
    /// Another ICMP error: the hop refuses.
    Rejected(Icmp),
    /// A reset.
    Reset,
    /// An answer of the far end, or of whoever speaks for it.
    Answered,
    /// The far end closed.
    Closed,
    /// Nothing in the time that a hop is given.
    Nothing,
    /// Nothing left this host.
    NotSent,
}
