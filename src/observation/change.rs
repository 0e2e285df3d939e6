//! What an experiment changes in the ordinary trip, as a closed list, and the names of the controls.

use std::fmt;
use std::net::SocketAddr;

use serde::{Deserialize, Serialize};

use super::Sent;

documented! {
/// The name of a control: `evidence[].control`, and what `experiments.allow` lists.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Control {
    /// An unrelated host over the same route.
    ControlHost,
    /// An unrelated name at the same resolver.
    ControlName,
    /// A name that cannot exist, at the same resolver.
    RandomName,
    /// Another name on the same address.
    OtherName,
    /// An independent resolver.
    OtherResolver,
    /// The same resolvers over TCP.
    OtherTransport,
    /// An address where no resolver can be.
    UnanswerableResolver,
    /// An address where nobody can be.
    UnanswerableAddress,
    /// Another port of the same address.
    OtherPort,
    /// The other address family.
    OtherFamily,
    /// The addresses that the trip left out, each by itself.
    EachAddress,
    /// The target's name at an unrelated host's address.
    NameElsewhere,
    /// The handshake without the post-quantum key share.
    SmallHello,
    /// The handshake without the post-quantum key share, its hello sent in two segments.
    SplitHello,
    /// The trip with small segments, both ways.
    ClampedSegments,
    /// The handshake of TLS 1.2.
    OlderTls,
    /// The trip whatever certificate is shown, without credentials.
    UntrustedHandshake,
    /// Packets that die on the way, hop by hop.
    TtlWalk,
    /// The target over its other routes: they are walked anyway.
    OtherRoute,
    /// A tunnel to an unrelated host.
    ControlTunnel,
    /// A tunnel to a name that cannot exist.
    RandomTunnel,
    /// A plain-HTTP page that is known to be empty.
    Portal,
    /// The same trip with more time.
    LongerTimeout,
    /// HTTP/1.1 instead of HTTP/2.
    Http1,
    /// The request without its key.
    NoKey,
    /// The same trip again.
    Repeat,
    /// A request with a body, where the target asks for it; kept until `experiments.again` has passed.
    LargerBody,
    /// Connections that are silent for up to `idle_hold`, where the target asks for it; once in six hours or more.
    IdleHold,
    /// A request whose answer is streamed, where the target asks for it; kept until `experiments.again` has passed.
    Stream,
}
}

impl Control {
    /// All of them, the cheapest first.
    pub const ALL: &[Self] = &[
        Self::OtherRoute,
        Self::ControlName,
        Self::RandomName,
        Self::OtherTransport,
        Self::UnanswerableResolver,
        Self::OtherResolver,
        Self::UnanswerableAddress,
        Self::OtherPort,
        Self::OtherName,
        Self::SmallHello,
        Self::ClampedSegments,
        Self::OlderTls,
        Self::NameElsewhere,
        Self::EachAddress,
        Self::OtherFamily,
        Self::ControlTunnel,
        Self::RandomTunnel,
        Self::Portal,
        Self::ControlHost,
        Self::UntrustedHandshake,
        Self::NoKey,
        Self::Http1,
        Self::TtlWalk,
        Self::LongerTimeout,
        Self::SplitHello,
        Self::Repeat,
        Self::LargerBody,
        Self::IdleHold,
        Self::Stream,
    ];

    /// Its place among them: the cheaper, the earlier.
    pub fn rank(self) -> usize {
        Self::ALL.iter().position(|control| *control == self).unwrap_or(Self::ALL.len())
    }

    /// The fixed name.
    pub fn label(self) -> &'static str {
        match self {
            Self::ControlHost => "control_host",
            Self::ControlName => "control_name",
            Self::RandomName => "random_name",
            Self::OtherName => "other_name",
            Self::OtherResolver => "other_resolver",
            Self::OtherTransport => "other_transport",
            Self::UnanswerableResolver => "unanswerable_resolver",
            Self::UnanswerableAddress => "unanswerable_address",
            Self::OtherPort => "other_port",
            Self::OtherFamily => "other_family",
            Self::EachAddress => "each_address",
            Self::NameElsewhere => "name_elsewhere",
            Self::SmallHello => "small_hello",
            Self::SplitHello => "split_hello",
            Self::ClampedSegments => "clamped_segments",
            Self::OlderTls => "older_tls",
            Self::UntrustedHandshake => "untrusted_handshake",
            Self::TtlWalk => "ttl_walk",
            Self::OtherRoute => "other_route",
            Self::ControlTunnel => "control_tunnel",
            Self::RandomTunnel => "random_tunnel",
            Self::Portal => "portal",
            Self::LongerTimeout => "longer_timeout",
            Self::Http1 => "http1",
            Self::NoKey => "no_key",
            Self::Repeat => "repeat",
            Self::LargerBody => "larger_body",
            Self::Stream => "stream",
            Self::IdleHold => "idle_hold",
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
    /// Only the look-up of a name that cannot exist.
    RandomName,
    /// A connection to an address that nobody has.
    UnanswerableAddress,
    /// A connection to this address and port.
    OtherPort(SocketAddr),
    /// All addresses, up to the finished handshake.
    EachAddress,
    /// Over this route, the address at which another one fails, up to the finished handshake.
    SameAddress(SocketAddr),
    /// The target's handshake at the address of the control host at this place.
    NameElsewhere(usize),
    /// This address, with a control host's name in the handshake; ends with the first TLS record.
    OtherName(SocketAddr),
    /// The name from an independent resolver, and the way to what it says.
    OtherResolver,
    /// The name from the configured name servers, whatever the hosts file says, and the way to it.
    WithoutHosts,
    /// The name from the same resolvers, asked over TCP.
    OtherTransport,
    /// The name from an address where no resolver can be: whoever answers stands in between.
    UnanswerableResolver,
    /// This address, with a `ClientHello` that fits one segment.
    SmallHello(SocketAddr),
    /// The same, in two segments with a pause.
    SplitHello(SocketAddr),
    /// This address, with a handshake of TLS 1.2 only.
    OlderTls(SocketAddr),
    /// This address, whatever certificate it shows; what answers behind it, without credentials.
    UntrustedHandshake(SocketAddr),
    /// This address, with segments that pass every link.
    ClampedSegments(SocketAddr),
    /// The hops to this address, by what is sent to each.
    TtlWalk(SocketAddr, Sent),
    /// Only the addresses of the family that the trip left out.
    OtherFamily,
    /// The proxy, asked for a tunnel to the control host at this place.
    ControlTunnel(usize),
    /// The plain-HTTP page that is configured for it.
    Portal,
    /// The ordinary trip with twice its time.
    LongerTimeout,
    /// The proxy, asked for a tunnel to a name that cannot exist (RFC 6761 6.4).
    RandomTunnel,
    /// HTTP/1.1 only.
    Http1,
    /// The request without its key.
    NoKey,
    /// The provider's free request with a body, padded to so many bytes; 0: as small as it can be.
    LargerBody(u32),
    /// The same, with segments that pass every link.
    ClampedBody(u32),
    /// The request with a body, once more as it is.
    RepeatedBody(u32),
    /// The provider's request whose answer is streamed.
    Stream,
    /// Two requests on each of several connections, with a silence between.
    IdleHold,
}

impl Change {
    /// Whether it is one that a target asks for, whatever fails: the ordinary request's kind, with the key.
    pub fn is_asked_for(self) -> bool {
        let is_body =
            matches!(self, Self::LargerBody(_) | Self::ClampedBody(_) | Self::RepeatedBody(_));
        is_body || matches!(self, Self::Stream | Self::IdleHold)
    }

    /// The control that it is.
    pub fn control(self) -> Control {
        match self {
            Self::Repeat => Control::Repeat,
            Self::ControlHost(_) => Control::ControlHost,
            Self::ControlName(_) => Control::ControlName,
            Self::RandomName => Control::RandomName,
            Self::UnanswerableAddress => Control::UnanswerableAddress,
            Self::OtherPort(_) => Control::OtherPort,
            Self::EachAddress => Control::EachAddress,
            Self::SameAddress(_) => Control::OtherRoute,
            Self::NameElsewhere(_) => Control::NameElsewhere,
            Self::SplitHello(_) => Control::SplitHello,
            Self::OlderTls(_) => Control::OlderTls,
            Self::UntrustedHandshake(_) => Control::UntrustedHandshake,
            Self::ControlTunnel(_) => Control::ControlTunnel,
            Self::Portal => Control::Portal,
            Self::LongerTimeout => Control::LongerTimeout,
            Self::OtherName(_) => Control::OtherName,
            Self::OtherResolver | Self::WithoutHosts => Control::OtherResolver,
            Self::OtherTransport => Control::OtherTransport,
            Self::UnanswerableResolver => Control::UnanswerableResolver,
            Self::SmallHello(_) => Control::SmallHello,
            Self::ClampedSegments(_) | Self::ClampedBody(_) => Control::ClampedSegments,
            Self::LargerBody(_) | Self::RepeatedBody(_) => Control::LargerBody,
            Self::Stream => Control::Stream,
            Self::IdleHold => Control::IdleHold,
            Self::TtlWalk(..) => Control::TtlWalk,
            Self::OtherFamily => Control::OtherFamily,
            Self::RandomTunnel => Control::RandomTunnel,
            Self::Http1 => Control::Http1,
            Self::NoKey => Control::NoKey,
        }
    }
}

/// The port that is tried where this one does not open: that of plain HTTP, else that of HTTPS.
pub fn other_port(port: u16) -> u16 {
    if port == 443 { 80 } else { 443 }
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
