//! What an experiment changes in the ordinary trip, as a closed list, and the names of the controls.

use std::fmt;
use std::net::SocketAddr;

use serde::{Deserialize, Serialize};

use super::Sent;

/// The name of a control: `evidence[].control`, and what `experiments.allow` lists.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Control {
    /// An unrelated host over the same route.
    ControlHost,
    /// An unrelated name at the same resolver.
    ControlName,
    /// Another name on the same address.
    OtherName,
    /// An independent resolver.
    OtherResolver,
    /// The same resolvers over TCP.
    OtherTransport,
    /// An address where no resolver can be.
    UnanswerableResolver,
    /// The other address family.
    OtherFamily,
    /// The handshake without the post-quantum key share.
    SmallHello,
    /// The trip with small segments, both ways.
    ClampedSegments,
    /// Packets that die on the way, hop by hop.
    TtlWalk,
    /// A tunnel to a name that cannot exist.
    RandomTunnel,
    /// HTTP/1.1 instead of HTTP/2.
    Http1,
    /// The request without its key.
    NoKey,
    /// The same trip again.
    Repeat,
}

impl Control {
    /// All of them, the cheapest first.
    pub const ALL: &[Self] = &[
        Self::ControlName,
        Self::OtherTransport,
        Self::UnanswerableResolver,
        Self::OtherResolver,
        Self::OtherName,
        Self::SmallHello,
        Self::ClampedSegments,
        Self::OtherFamily,
        Self::RandomTunnel,
        Self::ControlHost,
        Self::NoKey,
        Self::Http1,
        Self::TtlWalk,
        Self::Repeat,
    ];

    /// The fixed name.
    pub fn label(self) -> &'static str {
        match self {
            Self::ControlHost => "control_host",
            Self::ControlName => "control_name",
            Self::OtherName => "other_name",
            Self::OtherResolver => "other_resolver",
            Self::OtherTransport => "other_transport",
            Self::UnanswerableResolver => "unanswerable_resolver",
            Self::OtherFamily => "other_family",
            Self::SmallHello => "small_hello",
            Self::ClampedSegments => "clamped_segments",
            Self::TtlWalk => "ttl_walk",
            Self::RandomTunnel => "random_tunnel",
            Self::Http1 => "http1",
            Self::NoKey => "no_key",
            Self::Repeat => "repeat",
        }
    }
}

impl fmt::Display for Control {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.label())
    }
}

/// One change, with what it needs to be made.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Change {
    /// Nothing but the source port.
    Repeat,
    /// The control host at this place of the configuration; no credentials.
    ControlHost(usize),
    /// Only the look-up of that host's name.
    ControlName(usize),
    /// This address, with a control host's name in the handshake; ends with the first TLS record.
    OtherName(SocketAddr),
    /// The name from an independent resolver, and the way to what it says.
    OtherResolver,
    /// The name from the same resolvers, asked over TCP.
    OtherTransport,
    /// The name from an address where no resolver can be: whoever answers stands in between.
    UnanswerableResolver,
    /// This address, with a `ClientHello` that fits one segment.
    SmallHello(SocketAddr),
    /// This address, with segments that pass every link.
    ClampedSegments(SocketAddr),
    /// The hops to this address, by what is sent to each.
    TtlWalk(SocketAddr, Sent),
    /// Only the addresses of the family that the trip left out.
    OtherFamily,
    /// The proxy, asked for a tunnel to a name that cannot exist (RFC 6761 6.4).
    RandomTunnel,
    /// HTTP/1.1 only.
    Http1,
    /// The request without its key.
    NoKey,
}

impl Change {
    /// The control that it is.
    pub fn control(self) -> Control {
        match self {
            Self::Repeat => Control::Repeat,
            Self::ControlHost(_) => Control::ControlHost,
            Self::ControlName(_) => Control::ControlName,
            Self::OtherName(_) => Control::OtherName,
            Self::OtherResolver => Control::OtherResolver,
            Self::OtherTransport => Control::OtherTransport,
            Self::UnanswerableResolver => Control::UnanswerableResolver,
            Self::SmallHello(_) => Control::SmallHello,
            Self::ClampedSegments(_) => Control::ClampedSegments,
            Self::TtlWalk(..) => Control::TtlWalk,
            Self::OtherFamily => Control::OtherFamily,
            Self::RandomTunnel => Control::RandomTunnel,
            Self::Http1 => Control::Http1,
            Self::NoKey => Control::NoKey,
        }
    }
}

/// Why an experiment was not run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum NotRun {
    /// `experiments.allow` leaves it out.
    NotAllowed,
    /// Nothing is configured to compare with.
    NotConfigured,
    /// There is nothing that it could change here.
    NotApplicable,
    /// The check's own budget is used up.
    NoTime,
}

impl NotRun {
    /// The reason, for people.
    pub fn reason(self) -> &'static str {
        match self {
            Self::NotAllowed => "not tested: experiments.allow leaves it out",
            Self::NotConfigured => "not tested: none is configured",
            Self::NotApplicable => "not tested: nothing to change here",
            Self::NoTime => "not tested: no time was left",
        }
    }
}
