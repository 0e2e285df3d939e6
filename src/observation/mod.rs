//! What happened, as plain data: what a trip gained, layer by layer, and the one failure that ended each leg.
//!
//! Nothing here acts, judges or names a party. A trip is one look-up of the first hop's name and a
//! leg for each of its addresses; a leg has room for one failure, so a second cannot be written.

mod address;
mod answer;
mod chain;
mod change;
mod declared;
mod failure;
mod first;
mod held;
mod hop;
mod kind;
mod login;
mod lookup;
mod pac;
mod question;
mod socket;
mod texts;

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

pub use address::{Class, Range};
pub use answer::{Parts, Redirect, Response, is_mark};
pub use chain::{Certificate, Chain, Trust, Verdict as ChainVerdict};
pub use change::{Change, Control, NotRun, other_port};
pub use declared::{Expect, Further, Needs, Wanted};
pub use failure::{
    Alert, DnsFailure, Failure, Framing, H2End, HttpFailure, LocalFailure, ProxyFailure,
    TcpFailure, TlsFailure,
};
pub use first::{First, PlainAlert, Protocol, Record, ServerHello};
pub use held::{Held, HeldEnd};
pub use hop::{Came, Distance, Hop, Place, Sent, Stopper, distance, last_router, refusal, stopper};
pub use kind::{DnsKind, HttpKind, LocalKind, ProxyKind, TcpKind, TlsKind};
pub use login::{Login, Rejected, Scheme, Ticket, TicketKind, Withheld};
pub use lookup::{Answer, Lookup, Source};
pub use pac::{Pac, PacFailure, Skipped};
pub use question::{
    Alias, ExtendedError, Family, Flags, Flaw, Found, Question, Reply, Role, Server, Stray,
    Transport,
};
pub use socket::{Icmp, Socket};

/// One walk along one route.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Trip {
    /// When it began.
    #[serde(default)]
    pub started: Timestamp,
    /// Its length in seconds, all legs included.
    #[serde(default)]
    pub seconds: f64,
    /// Whether the first hop is a proxy.
    #[serde(default)]
    pub proxied: bool,
    /// The host that was to be reached: on a proxy route another one than the first hop.
    #[serde(default)]
    pub host: String,
    /// The decision of a PAC file, on a route of one.
    #[serde(default)]
    pub pac: Option<Pac>,
    /// How the first hop's name was resolved.
    pub lookup: Lookup,
    /// How the target's own name was resolved, where a proxy wants its address (`socks5`).
    #[serde(default)]
    pub resolved_here: Option<Lookup>,
    /// One leg for each address that was tried, in the resolver's order.
    #[serde(default)]
    pub legs: Vec<Leg>,
    /// Addresses of a family that this host has no route for: not tried, as its own programs would not.
    #[serde(default)]
    pub untried: Vec<IpAddr>,
}

/// The way to one address, as far as it went.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Leg {
    /// The address and port of the first hop.
    pub address: SocketAddr,
    /// Our own end, for other people's logs; also where no connection came about.
    #[serde(default)]
    pub local: Option<SocketAddr>,
    /// The connection.
    #[serde(default)]
    pub connected: Option<Connected>,
    /// The handshake with the proxy itself, where its URL is `https://`.
    #[serde(default)]
    pub proxy_secured: Option<Secured>,
    /// The chain that the proxy showed, also when that handshake failed.
    #[serde(default)]
    pub proxy_chain: Option<Arc<Chain>>,
    /// The tunnel through the proxy.
    #[serde(default)]
    pub tunnelled: Option<Tunnelled>,
    /// The finished handshake.
    #[serde(default)]
    pub secured: Option<Secured>,
    /// The chain that was shown, also when the handshake failed.
    #[serde(default)]
    pub chain: Option<Arc<Chain>>,
    /// What the server asked of this client, where it wants a certificate.
    #[serde(default)]
    pub asked: Option<Asked>,
    /// The answer to the request; none where the request went over another leg.
    #[serde(default)]
    pub response: Option<Response>,
    /// What became of it where it was silent on purpose, after that answer.
    #[serde(default)]
    pub held: Option<Held>,
    /// The hops of a TTL walk, where that is what was made.
    #[serde(default)]
    pub hops: Vec<Hop>,
    /// What ended it, if anything did.
    #[serde(default)]
    pub stop: Option<Failure>,
}

impl Leg {
    /// A leg that has not begun.
    pub fn to(address: SocketAddr) -> Self {
        Self {
            address,
            local: None,
            connected: None,
            proxy_secured: None,
            proxy_chain: None,
            tunnelled: None,
            secured: None,
            chain: None,
            asked: None,
            response: None,
            held: None,
            hops: Vec::new(),
            stop: None,
        }
    }

    /// How far it came: 0 nothing, 1 connected, 2 tunnel, 3 handshake, 4 answer.
    pub fn reached(&self) -> u8 {
        if self.response.is_some() {
            4
        } else if self.secured.is_some() {
            3
        } else if self.tunnelled.is_some() {
            2
        } else {
            u8::from(self.connected.is_some())
        }
    }

    /// The newest reading of the connection's counters.
    pub fn socket(&self) -> Option<&Socket> {
        let failed = match self.stop.as_ref() {
            Some(Failure::Tcp(failure)) => failure.socket.as_ref(),
            Some(Failure::Proxy(failure)) => failure.socket.as_ref(),
            Some(Failure::Tls(failure)) => failure.socket.as_ref(),
            Some(Failure::Http(failure)) => failure.socket.as_ref(),
            Some(Failure::Local(_) | Failure::Dns(_)) | None => None,
        };
        failed
            .or_else(|| self.response.as_ref()?.socket.as_ref())
            .or_else(|| self.secured.as_ref()?.socket.as_ref())
            .or_else(|| self.tunnelled.as_ref()?.socket.as_ref())
            .or_else(|| self.connected.as_ref()?.socket.as_ref())
    }

    /// Whether a TLS record came back, be it an alert or a certificate for somebody else.
    pub fn heard_tls(&self) -> bool {
        self.secured.is_some()
            || self.chain.is_some()
            || matches!(&self.stop, Some(Failure::Tls(failure)) if failure.kind.is_a_record())
    }
}

/// A connection that was made.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Connected {
    /// Time in seconds.
    pub seconds: f64,
    /// What the kernel counted at that moment.
    pub socket: Option<Socket>,
}

/// A tunnel that the proxy opened.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Tunnelled {
    /// Time from the first request for it to the answer that opened it, in seconds, logins included.
    pub seconds: f64,
    /// The proxy's status; for SOCKS its reply, 0.
    pub status: u16,
    /// The words beside the status.
    pub reason: String,
    /// The headers of the answer that opened it.
    pub headers: Vec<(String, String)>,
    /// What became of the login.
    pub login: Login,
    /// What the kernel counted at that moment.
    pub socket: Option<Socket>,
}

/// A finished handshake.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Secured {
    /// Time in seconds.
    pub seconds: f64,
    /// `1.2` or `1.3`.
    pub version: String,
    /// The cipher suite's name.
    pub cipher: String,
    /// The key exchange group's name.
    pub group: String,
    /// What ALPN chose, empty where nothing was.
    pub alpn: String,
    /// Bytes that the handshake sent.
    pub sent: u64,
    /// Bytes that it received.
    pub received: u64,
    /// What the kernel counted at that moment.
    pub socket: Option<Socket>,
}

/// A server's wish for a client certificate (RFC 8446 4.3.2).
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Asked {
    /// The issuers that it names, ten at most.
    pub issuers: Vec<String>,
    /// Whether one was sent.
    pub sent: bool,
    /// Why the configured one could not be: the trip went without it.
    pub unusable: Option<String>,
}

/// How a trip ended.
#[derive(Clone, Copy, Debug)]
pub enum Ending<'a> {
    /// No address to go to.
    NoAddress,
    /// No leg got an answer: the one that came furthest, the first of equals.
    Stopped(&'a Leg, &'a Failure),
    /// An answer came, whatever it says.
    Answered(&'a Leg, &'a Response),
    /// It was to end before the request, and did.
    Arrived(&'a Leg),
}

impl Trip {
    /// The leg that the published phases and failure are taken from: the one that carried the
    /// request, else the one that came furthest, the first of equals.
    pub fn leading(&self) -> Option<&Leg> {
        let carried = |leg: &&Leg| match &leg.stop {
            Some(Failure::Http(_)) => true,
            // In TLS 1.3 a server may refuse only after the handshake: then the request had begun.
            Some(Failure::Tls(_)) => leg.secured.is_some(),
            _ => leg.response.is_some(),
        };
        self.legs.iter().find(carried).or_else(|| {
            let furthest = self.legs.iter().map(Leg::reached).max()?;
            self.legs.iter().find(|leg| leg.reached() == furthest)
        })
    }

    /// How it ended.
    pub fn ending(&self) -> Ending<'_> {
        match self.leading() {
            None => Ending::NoAddress,
            Some(leg) => match (&leg.response, &leg.stop) {
                (_, Some(failure)) => Ending::Stopped(leg, failure),
                (Some(response), None) => Ending::Answered(leg, response),
                (None, None) => Ending::Arrived(leg),
            },
        }
    }

    /// The one failure that ended it. On a proxy route a failed look-up or connection is the
    /// proxy's, and keeps what it was inside; where the proxy wants the target's address, a failed
    /// look-up of that is the target's.
    pub fn failure(&self) -> Option<Failure> {
        if let Some(stop) = self.pac.as_ref().and_then(|pac| pac.stop.as_ref()) {
            return Some(Failure::Proxy(stop.as_of_proxy()));
        }
        if let Some(failure) = self.resolved_here.as_ref().and_then(Lookup::failure) {
            return Some(failure);
        }
        let inner = match self.ending() {
            Ending::NoAddress => self.lookup.failure().unwrap_or_else(|| {
                Failure::Local(LocalFailure::new(LocalKind::NoRoute, "no route to any address"))
            }),
            Ending::Stopped(_, failure) => failure.clone(),
            Ending::Answered(..) | Ending::Arrived(_) => return None,
        };
        Some(if self.proxied { inner.at_the_proxy() } else { inner })
    }

    /// How far it came: 0 no address, else one more than its furthest leg.
    pub fn reached(&self) -> u8 {
        self.legs.iter().map(Leg::reached).max().map_or(0, |reached| reached + 1)
    }

    /// Whether the handshake was finished over an accepted chain, or, in plain HTTP, an answer came.
    pub fn arrived(&self) -> bool {
        matches!(self.ending(), Ending::Answered(..) | Ending::Arrived(_))
    }
}
