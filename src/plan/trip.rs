//! One trip as it is to be made: where it goes, how far, and what its packets are like.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::Method;
use url::Host;

use super::{Credential, Endpoint, Nameserver, Pac, Plan, Proxy, Reach, Route, Target, Trust, Way};
use crate::config::Secret;
use crate::observation::Sent;
use crate::provider::Provider;

/// A trip, ready to be walked.
#[derive(Clone, Debug, PartialEq)]
pub struct TripPlan {
    /// Where it goes first: the proxy, or the target itself.
    pub hop: Hop,
    /// Where the first hop, a proxy, is to lead.
    pub tunnel: Option<Tunnel>,
    /// The servers to ask for the first hop's name; none: the configured ones.
    pub resolvers: Option<Vec<Nameserver>>,
    /// Who resolves the target's name here, so that the proxy is told an address instead of it.
    pub beyond: Option<Vec<Nameserver>>,
    /// Whether the hosts file is passed over.
    pub without_hosts: bool,
    /// Whether these are asked over TCP, where they would be by datagrams.
    pub dns_over_tcp: bool,
    /// Which addresses are tried.
    pub families: Families,
    /// Which of the target's may be dialled at all; none: every one.
    pub reach: Option<Arc<Reach>>,
    /// What its connections are to be like.
    pub socket: SocketPlan,
    /// A TTL walk with this to each address, instead of a connection.
    pub hops: Option<Sent>,
    /// Where it ends.
    pub depth: Depth,
    /// The handshake; none for plain HTTP.
    pub tls: Option<TlsPlan>,
    /// The request.
    pub request: RequestPlan,
    /// All layers together.
    pub timeout: Duration,
    /// How long the second family's answer is waited for once the first has come.
    pub patience: Duration,
}

impl TripPlan {
    /// The host that is to be reached in the end.
    pub fn destination(&self) -> &Host<String> {
        match (&self.tls, &self.tunnel) {
            _ if self.depth == Depth::Lookup => &self.hop.host,
            (Some(tls), _) => &tls.name,
            (None, Some(tunnel)) => &tunnel.host,
            (None, None) => &self.hop.host,
        }
    }
}

/// The first hop.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hop {
    /// Its host.
    pub host: Host<String>,
    /// Its port.
    pub port: u16,
    /// An address that is used instead of a look-up.
    pub address: Option<IpAddr>,
}

/// A tunnel through a proxy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tunnel {
    /// The host that it leads to.
    pub host: Host<String>,
    /// Its port.
    pub port: u16,
    /// The proxy.
    pub proxy: Arc<Proxy>,
    /// The login, or why it cannot be read; none where the proxy has no account of ours.
    pub credential: Option<Result<Credential, String>>,
}

impl Tunnel {
    /// `host:port`, an IPv6 address in brackets (RFC 9110 9.3.6).
    pub fn authority(&self) -> String {
        format!("{}:{}", self.host, self.port)
    }
}

/// Which addresses are tried.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Families {
    /// Every one.
    All,
    /// The first only.
    First,
    /// Those that `First` leaves out, of the other family.
    Second,
    /// The first of one family, and where there is none, if that will do, of the other.
    One {
        /// Whether it is IPv4.
        ipv4: bool,
        /// Whether the other will do.
        other: bool,
    },
}

/// Where a trip ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Depth {
    /// After the look-up.
    Lookup,
    /// After the handshake.
    Handshake,
    /// After the answer.
    Request,
}

/// What a connection is to be like; the default is what any program's is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SocketPlan {
    /// The address that it leaves from; the other family is not tried then.
    pub source: Option<IpAddr>,
    /// The interface that it leaves by.
    pub interface: Option<String>,
    /// The largest segment in bytes, both ways (`tcp(7)`, `TCP_MAXSEG`).
    pub segment: Option<u16>,
    /// How many routers its packets may pass, and one more.
    pub ttl: Option<u8>,
}

/// The handshake.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TlsPlan {
    /// The name that the certificate is judged for, and the one in the `ClientHello`.
    pub name: Host<String>,
    /// What the `ClientHello` is like.
    pub hello: Hello,
    /// The certificate that is shown where the server asks for one.
    pub client: Option<Arc<Identity>>,
    /// Whose roots count for it alone; none: those that count for all.
    pub trust: Option<Arc<Trust>>,
    /// Whether it goes on whatever certificate the server shows; then nothing secret may be sent.
    pub any_chain: bool,
}

impl TlsPlan {
    /// A handshake as today's clients make it.
    pub fn to(name: Host<String>) -> Self {
        Self { name, hello: Hello::default(), client: None, trust: None, any_chain: false }
    }
}

/// What a `ClientHello` is like; the default is what today's clients send.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Hello {
    /// The server name in it.
    pub sni: Sni,
    /// The protocols that it offers.
    pub alpn: Alpn,
    /// Whether TLS 1.2 is all that it offers.
    pub tls12_only: bool,
    /// Whether it goes without the post-quantum key share, which makes it small: 1200 bytes less.
    pub classic: bool,
    /// Whether it is sent in two segments with a pause.
    pub split: bool,
}

/// The server name of a `ClientHello` (RFC 6066 3).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Sni {
    /// The name that the certificate is judged for.
    #[default]
    Same,
    /// Another.
    Other(String),
    /// None.
    Nothing,
}

/// The protocols of a `ClientHello` (RFC 7301).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Alpn {
    /// `h2` and `http/1.1`.
    #[default]
    Http2,
    /// `http/1.1`.
    Http1,
    /// No such extension.
    Nothing,
}

/// A client certificate and its key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Identity {
    /// The certificate, and the intermediates behind it, DER.
    pub certificates: Vec<Vec<u8>>,
    /// The key, PEM, or why it cannot be read.
    pub key: Result<Secret, String>,
}

/// The request.
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(clippy::struct_excessive_bools, reason = "each says one thing of a request")]
pub struct RequestPlan {
    /// What is done there.
    pub method: Method,
    /// `host` or `host:port`.
    pub authority: String,
    /// The path with its query.
    pub path: String,
    /// Headers beside those that every request has, names in lower case. One that every request has is replaced.
    pub headers: Vec<(String, String)>,
    /// The headers that carry secrets, names in lower case: the key, and whatever else nobody may see.
    pub secrets: Vec<(String, Secret)>,
    /// Whether one of those is a key of the API that is spoken.
    pub keyed: bool,
    /// Whether those are left out over a chain that no public root verifies.
    pub key_wants_public_chain: bool,
    /// What is sent; none: nothing.
    pub body: Option<Bytes>,
    /// Whether the answer can only be understood whole.
    pub whole_body: bool,
    /// Bytes of the body that are read and kept; none: the usual.
    pub limit: Option<u64>,
    /// Whether its body is a file that is wanted as it is, not evidence alone.
    pub file: bool,
}

/// The headers by which APIs of any kind take their keys.
const KEYS: &[&str] = &["authorization", "x-api-key", "api-key"];

/// How long a control may take at most, so that a full set stays within a check's bound.
pub(super) const CONTROL_TIMEOUT: Duration = Duration::from_secs(5);

impl Plan {
    /// The ordinary trip of a target along one of its routes.
    pub fn trip(&self, target: &Target, route: &Route, key: Option<&Secret>) -> TripPlan {
        let facts = target.provider.facts();
        let mut trip = trip_to(&target.endpoint, route, target.timeout);
        // What is waited for here is taken from all that follows.
        trip.patience = (target.budget.dns * 2).min(target.timeout / 3);
        trip.families = if target.all_addresses { Families::All } else { Families::First };
        trip.request.whole_body = facts.whole_body;
        let key = facts.key.zip(key).filter(|_| target.endpoint.is_tls());
        trip.request.secrets = key
            .map(|(header, key)| {
                let value = Secret::new(format!("{}{}", header.prefix, key.expose()));
                (header.name.to_owned(), value)
            })
            .into_iter()
            .collect();
        ask(&mut trip.request, target);
        let is_key = |(name, _): &(String, Secret)| target.takes_key_by(name);
        trip.request.keyed = trip.request.secrets.iter().any(is_key);
        if let Some(tls) = &mut trip.tls {
            tls.trust.clone_from(&target.trust);
        }
        trip.request.key_wants_public_chain = !target.key_through_inspection;
        if let Some(rules) = &target.rules {
            rules.apply(&mut trip);
        }
        trip
    }

    /// The trip to a control host along a route: no credentials, ever.
    pub fn control_trip(&self, endpoint: &Endpoint, route: &Route) -> TripPlan {
        // Shared by all targets: it fits into the shortest trip.
        let shortest = self.targets.iter().map(|target| target.timeout).min();
        let timeout = shortest.map_or(CONTROL_TIMEOUT, |shortest| shortest.min(CONTROL_TIMEOUT));
        TripPlan { families: Families::First, ..trip_to(endpoint, route, timeout) }
    }
}

/// What is asked for: the provider's minimal request, or the target's own.
fn ask(request: &mut RequestPlan, target: &Target) {
    let own = target.request.as_ref();
    request.headers = target.headers();
    let Some(own) = own else { return };
    request.method = own.method.clone();
    request.body.clone_from(&own.body);
    request.whole_body |= !own.wanted.json.is_empty();
    request.secrets.retain(|(name, _)| !own.secrets.iter().any(|(own, _)| own == name));
    // Over plain HTTP a key is not sent, whoever wrote it.
    if target.endpoint.is_tls() {
        request.secrets.extend(own.secrets.iter().cloned());
    }
}

impl Target {
    /// The headers of its request beside the key: the provider's, unless they are given in the request.
    pub fn headers(&self) -> Vec<(String, String)> {
        let own = self.request.as_ref();
        let given = own.map(|own| own.headers.as_slice()).unwrap_or_default();
        let mut headers = self.provider.facts().needed_headers();
        let complete = own.is_some_and(|own| own.complete);
        headers.retain(|(name, _)| !complete && !given.iter().any(|(given, _)| given == name));
        headers.extend(given.iter().cloned());
        headers
    }

    /// Whether its API takes a key by this header.
    pub fn takes_key_by(&self, header: &str) -> bool {
        let facts = self.provider.facts();
        let known = facts.requests.key_headers.iter().chain(&facts.key);
        let usual = self.provider == Provider::Generic && KEYS.contains(&header);
        usual || known.into_iter().any(|known| known.name == header)
    }

    /// Their names.
    pub fn sent_headers(&self) -> Vec<String> {
        self.headers().into_iter().map(|(name, _)| name).collect()
    }
}

/// The trip that fetches a PAC file, straight to its server; none where its URL leads nowhere.
pub fn pac_trip(pac: &Pac, route: &Route, timeout: Duration) -> Option<TripPlan> {
    let endpoint = Endpoint::of(&pac.url)?;
    let mut trip = trip_to(&endpoint, &route.by(Way::Direct), timeout.min(CONTROL_TIMEOUT));
    (trip.request.whole_body, trip.request.file) = (true, true);
    Some(trip)
}

pub(super) fn trip_to(endpoint: &Endpoint, route: &Route, timeout: Duration) -> TripPlan {
    let (host, port) = (endpoint.host.clone(), endpoint.port);
    let url = &endpoint.url;
    let path = match url.query() {
        Some(query) => format!("{}?{query}", url.path()),
        None => url.path().to_owned(),
    };
    let hop = match route.proxy() {
        Some(proxy) => Hop { host: proxy.host.clone(), port: proxy.port, address: None },
        None => Hop { host: host.clone(), port, address: None },
    };
    TripPlan {
        hop,
        tunnel: route.proxy().map(|proxy| proxy.tunnel(endpoint)),
        resolvers: None,
        beyond: None,
        without_hosts: false,
        dns_over_tcp: false,
        families: Families::All,
        reach: None,
        socket: SocketPlan {
            source: route.source,
            interface: route.interface.clone(),
            ..SocketPlan::default()
        },
        hops: None,
        depth: Depth::Request,
        tls: endpoint.is_tls().then(|| TlsPlan::to(host.clone())),
        request: RequestPlan {
            method: Method::GET,
            // RFC 9110 4.2.3: the scheme's own port is left out.
            authority: url.port().map_or_else(|| host.to_string(), |port| format!("{host}:{port}")),
            path,
            headers: Vec::new(),
            secrets: Vec::new(),
            keyed: false,
            key_wants_public_chain: false,
            body: None,
            whole_body: false,
            limit: None,
            file: false,
        },
        timeout,
        patience: Duration::from_secs(1),
    }
}
