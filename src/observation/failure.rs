//! The failures of each layer, with what was measured at that moment.

use serde::{Deserialize, Serialize};

use super::kind::{DnsKind, HttpKind, LocalKind, ProxyKind, TcpKind, TlsKind};
use super::{First, Icmp, Login, Socket};

/// What ended a leg or a look-up, by the layer in which it did.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Failure {
    /// Nothing left this host.
    Local(LocalFailure),
    /// No address.
    Dns(DnsFailure),
    /// No connection.
    Tcp(TcpFailure),
    /// No tunnel.
    Proxy(ProxyFailure),
    /// No finished handshake.
    Tls(TlsFailure),
    /// No complete answer.
    Http(HttpFailure),
}

/// Nothing left this host.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LocalFailure {
    /// What.
    pub kind: LocalKind,
    /// The error number.
    #[serde(default)]
    pub errno: Option<i32>,
    /// Whether the kernel said so at once, before a packet could be answered.
    #[serde(default)]
    pub synchronous: bool,
    /// The ICMP error of this host itself.
    #[serde(default)]
    pub icmp: Option<Icmp>,
    /// More of it, for people.
    #[serde(default)]
    pub detail: String,
}

impl LocalFailure {
    /// A failure with a word for people.
    pub fn new(kind: LocalKind, detail: impl Into<String>) -> Self {
        Self { kind, errno: None, synchronous: false, icmp: None, detail: detail.into() }
    }
}

/// No address.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DnsFailure {
    /// What.
    pub kind: DnsKind,
    /// The ICMP error, with its sender.
    #[serde(default)]
    pub icmp: Option<Icmp>,
    /// What happened to the connection to the server, where one was needed.
    #[serde(default)]
    pub inner: Option<Box<Failure>>,
    /// More of it, for people.
    #[serde(default)]
    pub detail: String,
}

impl DnsFailure {
    /// A failure with a word for people.
    pub fn new(kind: DnsKind, detail: impl Into<String>) -> Self {
        Self { kind, icmp: None, inner: None, detail: detail.into() }
    }
}

/// No connection.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TcpFailure {
    /// What.
    pub kind: TcpKind,
    /// The error number.
    #[serde(default)]
    pub errno: Option<i32>,
    /// Whether the kernel said so at once, in the call that sends the SYN.
    #[serde(default)]
    pub synchronous: bool,
    /// The ICMP error, with its sender.
    #[serde(default)]
    pub icmp: Option<Icmp>,
    /// What the kernel counted.
    #[serde(default)]
    pub socket: Option<Socket>,
}

/// No tunnel.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ProxyFailure {
    /// What.
    pub kind: ProxyKind,
    /// The failed look-up or connection, where that is what it was.
    #[serde(default)]
    pub inner: Option<Box<Failure>>,
    /// The proxy's status.
    #[serde(default)]
    pub status: Option<u16>,
    /// The words beside the status.
    #[serde(default)]
    pub reason: String,
    /// The reply of a SOCKS proxy (RFC 1928 6).
    #[serde(default)]
    pub socks: Option<u8>,
    /// The proxy's headers.
    #[serde(default)]
    pub headers: Vec<(String, String)>,
    /// The first bytes of its answer's body, or of what is no answer.
    #[serde(default)]
    pub body: String,
    /// The schemes of login that it asked for, by their names in lower case.
    #[serde(default)]
    pub offers: Vec<String>,
    /// What became of the login.
    #[serde(default)]
    pub login: Login,
    /// Time from the first request for the tunnel to the failure, in milliseconds.
    #[serde(default)]
    pub waited_ms: u64,
    /// What the kernel counted.
    #[serde(default)]
    pub socket: Option<Socket>,
}

impl ProxyFailure {
    /// A failure of which only the kind is known.
    pub fn new(kind: ProxyKind) -> Self {
        Self {
            kind,
            inner: None,
            status: None,
            reason: String::new(),
            socks: None,
            headers: Vec::new(),
            body: String::new(),
            offers: Vec::new(),
            login: Login::None,
            waited_ms: 0,
            socket: None,
        }
    }

    /// What it answered: the status, or the reply of SOCKS.
    pub fn answer(&self) -> Option<u16> {
        self.status.or(self.socks.map(u16::from))
    }

    /// Whether it asks for a login. Some proxies answer 407 without saying how (RFC 9110 15.5.8 wants
    /// it said): that is a refusal.
    pub fn asks_for_login(&self) -> bool {
        let header = |(name, _): &(String, String)| name == "proxy-authenticate";
        self.kind == ProxyKind::Auth && (!self.offers.is_empty() || self.headers.iter().any(header))
    }
}

/// A TLS alert.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Alert {
    /// Its number (RFC 8446 6).
    pub code: u8,
    /// Whether it was ours, about what the peer had sent.
    #[serde(default)]
    pub own: bool,
}

/// No finished handshake.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TlsFailure {
    /// What.
    pub kind: TlsKind,
    /// The alert that ended it, the peer's or ours.
    #[serde(default)]
    pub alert: Option<Alert>,
    /// Bytes sent in the handshake.
    #[serde(default)]
    pub sent: u64,
    /// Bytes received in the handshake.
    #[serde(default)]
    pub received: u64,
    /// The first bytes, where they are not TLS.
    #[serde(default)]
    pub first_bytes: String,
    /// How the peer began, where it sent anything.
    #[serde(default)]
    pub first: Option<First>,
    /// An ICMP error after the connection was made.
    #[serde(default)]
    pub icmp: Option<Icmp>,
    /// What the kernel made of an ICMP error that it gave nobody's name for: on a connection that is
    /// all it keeps (`net/ipv4/tcp_ipv4.c`, `tcp_v4_err`).
    #[serde(default)]
    pub errno: Option<i32>,
    /// What the kernel counted.
    #[serde(default)]
    pub socket: Option<Socket>,
    /// More of it, for people.
    #[serde(default)]
    pub detail: String,
}

impl TlsFailure {
    /// A failure of which only the kind is known.
    pub fn new(kind: TlsKind) -> Self {
        Self {
            kind,
            alert: None,
            sent: 0,
            received: 0,
            first_bytes: String::new(),
            first: None,
            icmp: None,
            errno: None,
            socket: None,
            detail: String::new(),
        }
    }

    /// The number of the alert, where it was the peer's: ours says only what we think of the peer.
    pub fn peers_alert(&self) -> Option<u8> {
        self.alert.filter(|alert| !alert.own).map(|alert| alert.code)
    }
}

/// No complete answer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct HttpFailure {
    /// What.
    pub kind: HttpKind,
    /// Which rule of the protocol is broken, by name.
    #[serde(default)]
    pub framing: Option<Framing>,
    /// How HTTP/2 was ended.
    #[serde(default)]
    pub h2: Option<H2End>,
    /// Whether an end was announced inside of TLS, which only its peer can do (RFC 8446 6.1).
    #[serde(default)]
    pub notified: bool,
    /// Bytes of the answer that came, above TLS.
    #[serde(default)]
    pub received: u64,
    /// Since the last byte of it, or else since the request, in milliseconds.
    #[serde(default)]
    pub quiet_ms: u64,
    /// What the kernel made of an ICMP error, as in a handshake.
    #[serde(default)]
    pub errno: Option<i32>,
    /// What the kernel counted.
    #[serde(default)]
    pub socket: Option<Socket>,
    /// More of it, for people.
    #[serde(default)]
    pub detail: String,
}

/// What is wrong with an answer's framing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Framing {
    /// The first line is no status line of HTTP/1 (RFC 9112 4).
    StatusLine,
    /// A header that is none (RFC 9112 5).
    Header,
    /// Lengths that contradict each other, or are none (RFC 9112 6.3).
    ConflictingLengths,
    /// A chunk that is none, or a transfer coding that is not known (RFC 9112 7.1).
    TransferCoding,
    /// More of a head than the limit.
    HeaderFlood,
    /// Interim answers without a final one (RFC 9110 15.2).
    EndlessInterim,
    /// A body beyond the limit.
    EndlessBody,
    /// Ends before its declared end.
    Truncated,
    /// Stopped.
    Stalled,
    /// Goes on, too slowly to end in time.
    Dripping,
    /// Reset.
    Reset,
    /// Not HTTP/2 (RFC 9113 3.4, 4).
    Frame,
    /// Frames of HTTP/2 that bring no answer, without end (RFC 9113 10.5).
    FrameFlood,
}

/// How a peer ended an HTTP/2 connection or stream (RFC 9113 6.4, 6.8, 7).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct H2End {
    /// Whether the connection ended (GOAWAY), else the stream (RST_STREAM).
    pub goaway: bool,
    /// The error code.
    pub code: u32,
    /// Whether it was the peer that ended it.
    pub remote: bool,
}

impl Failure {
    /// The layer's fixed name.
    pub fn layer(&self) -> &'static str {
        match self {
            Self::Local(_) => "local",
            Self::Dns(_) => "dns",
            Self::Tcp(_) => "tcp",
            Self::Proxy(_) => "proxy",
            Self::Tls(_) => "tls",
            Self::Http(_) => "http",
        }
    }

    /// The kind's fixed name.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Local(failure) => failure.kind.label(),
            Self::Dns(failure) => failure.kind.label(),
            Self::Tcp(failure) => failure.kind.label(),
            Self::Proxy(failure) => failure.kind.label(),
            Self::Tls(failure) => failure.kind.label(),
            Self::Http(failure) => failure.kind.label(),
        }
    }

    /// The same failure, where the first hop is a proxy.
    #[must_use]
    pub fn at_the_proxy(self) -> Self {
        let kind = match &self {
            Self::Dns(_) => ProxyKind::Resolve,
            Self::Tcp(_) => ProxyKind::Connect,
            Self::Local(_) | Self::Proxy(_) | Self::Tls(_) | Self::Http(_) => return self,
        };
        Self::Proxy(ProxyFailure { inner: Some(Box::new(self)), ..ProxyFailure::new(kind) })
    }
}
