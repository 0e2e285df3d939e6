//! The only code that touches the network under test. A trip reads as a page: resolve; then for each
//! address connect, tunnel, handshake; then the request on the first that got there.
//!
//! It never judges and never fails: what the network did is an observation. Every step has a
//! deadline, every buffer a limit; tasks are owned by the trip that started them.

mod dns;
mod http;
mod hold;
mod hops;
mod leg;
mod legs;
#[cfg(feature = "pac")]
pub mod pac;
pub mod parse;
mod proxy;
mod socket;
mod stream;
mod tcp;
mod tls;
#[cfg(not(feature = "pac"))]
mod without_pac;

use std::borrow::Cow;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use jiff::Timestamp;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::task::JoinSet;
use tokio::time::Instant;

use crate::observation::{
    Failure, Leg, LocalFailure, LocalKind, Lookup, Response, Trip, Trust as Verified,
};
use crate::plan::{
    Depth, Families, Hop, Known, Plan, Proxy, Reach, RequestPlan, Spoken, TlsPlan, TripPlan, Trust,
    Tunnel, Way,
};
use legs::Legs;
use tcp::Gauge;

pub use tls::described;

/// Addresses tried at most: a name with more is cut, an attacker's answer too.
const ADDRESSES: usize = 16;

/// What all trips share: the resolver's configuration and the roots.
pub struct Network {
    names: dns::Names,
    tls: tls::Tls,
    /// For proxies that are judged by roots of their own as well.
    of_proxies: Vec<(Vec<Vec<u8>>, tls::Tls)>,
    /// For targets that are judged by roots of their own alone.
    of_targets: Vec<(Arc<Trust>, tls::Tls)>,
    gate: proxy::Gate,
    /// What no peer may bring back.
    secrets: Arc<Known>,
    #[cfg(feature = "pac")]
    files: pac::Files,
}

impl std::fmt::Debug for Network {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Network")
    }
}

/// What is wrong with ourselves before a trip begins.
#[derive(Debug, thiserror::Error)]
pub enum Fault {
    /// The TLS library refuses what it is built with.
    #[error("set up TLS: {0}")]
    Tls(#[from] rustls::Error),
}

#[cfg(feature = "pac")]
pub use pac::Choice;
#[cfg(not(feature = "pac"))]
pub use without_pac::Choice;

/// A stream above TLS or without it.
trait Stream: AsyncRead + AsyncWrite + Unpin + Send {}
impl<S: AsyncRead + AsyncWrite + Unpin + Send> Stream for S {}

/// A leg that got there, with all that the request needs.
struct Arrived {
    stream: Box<dyn Stream>,
    gauge: Gauge,
    http2: bool,
    asked: bool,
}

impl Network {
    /// Prepares what trips under this plan share.
    pub fn new(plan: &Plan) -> Result<Self, Fault> {
        let own = plan.targets.iter().filter_map(|target| target.trust.clone());
        Self::judging(plan, own)
    }

    /// The same, for targets that are judged by these roots of their own.
    pub fn judging(plan: &Plan, own: impl IntoIterator<Item = Arc<Trust>>) -> Result<Self, Fault> {
        let names = dns::Names::new(plan.resolvers.clone());
        let mut of_proxies: Vec<(Vec<Vec<u8>>, tls::Tls)> = Vec::new();
        for route in &plan.routes {
            let roots = match &route.way {
                Way::Direct => &Vec::new(),
                Way::Proxy(proxy) => &proxy.roots,
                Way::Pac(pac) => &pac.roots,
            };
            if !roots.is_empty() && !of_proxies.iter().any(|(known, _)| known == roots) {
                of_proxies.push((roots.clone(), tls::Tls::new(&plan.trust.with(roots))?));
            }
        }
        let mut of_targets: Vec<(Arc<Trust>, tls::Tls)> = Vec::new();
        for trust in own {
            if !of_targets.iter().any(|(known, _)| *known == trust) {
                let tls = tls::Tls::new(&trust)?;
                of_targets.push((trust, tls));
            }
        }
        Ok(Self {
            names,
            tls: tls::Tls::new(&plan.trust)?,
            of_proxies,
            of_targets,
            gate: proxy::Gate::default(),
            secrets: Arc::default(),
            #[cfg(feature = "pac")]
            files: pac::Files::new(),
        })
    }

    /// Takes over what another network knows of logins: a rejected one is not tried again because the
    /// configuration was loaded.
    pub fn remember(&self, old: &Self) {
        self.gate.remember(&old.gate);
        self.secrets.remember(&old.secrets);
    }

    /// Knows the same secrets as another one from now on: a peer may say to one what it learned from the other.
    #[must_use]
    pub fn sharing(self, other: &Self) -> Self {
        Self { secrets: Arc::clone(&other.secrets), ..self }
    }

    /// What no peer may bring back to whoever reads: what trips carried, and what is told besides.
    pub fn secrets(&self) -> &Known {
        &self.secrets
    }

    /// What a proxy's own certificate is judged with.
    fn tls_of(&self, proxy: &Proxy) -> &tls::Tls {
        let own = self.of_proxies.iter().find(|(roots, _)| *roots == proxy.roots);
        own.map_or(&self.tls, |(_, tls)| tls)
    }

    /// What a target's certificate is judged with.
    fn tls_for(&self, plan: &TlsPlan) -> &tls::Tls {
        let own = plan.trust.as_ref().and_then(|trust| {
            let same = |known: &Arc<Trust>| Arc::ptr_eq(known, trust) || known == trust;
            self.of_targets.iter().find(|(known, _)| same(known))
        });
        own.map_or(&self.tls, |(_, tls)| tls)
    }

    /// Walks one trip.
    pub async fn walk(self: &Arc<Self>, plan: &Arc<TripPlan>) -> Trip {
        self.fetch(plan).await.0
    }

    /// Walks one trip, and hands over the bytes of the answer's body.
    async fn fetch(self: &Arc<Self>, plan: &Arc<TripPlan>) -> (Trip, Vec<u8>) {
        self.secrets.carried(plan);
        let (started, begun) = (now(), Instant::now());
        let deadline = begun + plan.timeout;
        let (mut lookup, questions) = dns::look_up(self, plan, deadline).await;
        let addresses = chosen(&mut lookup, plan);
        let mut trip = Trip {
            started,
            seconds: 0.0,
            proxied: plan.tunnel.is_some(),
            host: plan.destination().to_string(),
            pac: None,
            lookup,
            resolved_here: self.resolved_here(plan, deadline).await,
            legs: Vec::new(),
            untried: Vec::new(),
        };
        let mut bytes = Vec::new();
        let nowhere = trip.resolved_here.as_ref().is_some_and(|lookup| lookup.failure().is_some());
        if plan.depth > Depth::Lookup && !nowhere {
            bytes = self.legs(plan, &addresses, deadline, &mut trip).await;
        }
        trip.seconds = begun.elapsed().as_secs_f64();
        if plan.depth == Depth::Request {
            questions.heard_out(deadline).await;
        }
        trip.lookup.questions = questions.finish(deadline);
        if Instant::now() >= deadline {
            // It had all of its time, whoever took it.
            trip.seconds = begun.elapsed().as_secs_f64();
        }
        (trip, bytes)
    }

    /// The look-up of the target's own name, where the proxy is to be told an address.
    async fn resolved_here(self: &Arc<Self>, plan: &TripPlan, deadline: Instant) -> Option<Lookup> {
        let here =
            |tunnel: &&Tunnel| tunnel.proxy.spoken == Spoken::Socks5 || plan.beyond.is_some();
        let tunnel = plan.tunnel.as_ref().filter(here)?;
        if plan.depth == Depth::Lookup {
            return None;
        }
        let hop = Hop { host: tunnel.host.clone(), port: tunnel.port, address: None };
        let resolvers = plan.beyond.clone().or_else(|| plan.resolvers.clone());
        let plan = TripPlan { hop, resolvers, ..plan.clone() };
        let (mut lookup, questions) = dns::look_up(self, &plan, deadline).await;
        lookup.questions = questions.finish(deadline);
        // None that can be dialled is a failure too.
        match &plan.reach {
            // The first is the one that the proxy is told.
            Some(reach) => within_reach(&mut lookup, reach, 1),
            None => dns::usable(&mut lookup, 1),
        };
        Some(lookup)
    }

    /// All legs side by side; the request on the first in order that got there.
    async fn legs(
        self: &Arc<Self>,
        plan: &Arc<TripPlan>,
        addresses: &[SocketAddr],
        deadline: Instant,
        trip: &mut Trip,
    ) -> Vec<u8> {
        let beyond = trip.resolved_here.as_mut();
        let beyond = beyond.and_then(|lookup| dns::usable(lookup, 1).first().copied());
        let mut tasks = JoinSet::new();
        for (place, address) in addresses.iter().enumerate() {
            let (network, plan, address) = (Arc::clone(self), Arc::clone(plan), *address);
            let to = beyond;
            tasks.spawn(async move { (place, network.leg(&plan, (address, to), deadline).await) });
        }
        let mut legs = Legs::new(tasks, addresses.len());
        let mut bytes = Vec::new();
        if plan.depth == Depth::Request
            && let Some((leg, arrived)) = legs.first_to_arrive().await
        {
            bytes = ask(plan, leg, arrived, deadline).await;
        }
        (trip.legs, trip.untried) = legs.all().await;
        bytes
    }
}

/// Sends the request; where its answer is a file, its bytes are handed over.
async fn ask(plan: &TripPlan, leg: &mut Leg, arrived: Arrived, deadline: Instant) -> Vec<u8> {
    let Arrived { stream, gauge, http2, asked } = arrived;
    let around = http::Around { gauge: &gauge, deadline, asked };
    let (request, withheld) = sendable(&plan.request, leg);
    let exchange = http::request(&request, stream, (plan.tls.is_some(), http2), &around).await;
    leg.response = exchange.response.map(|response| Response { withheld, ..response });
    leg.stop = exchange.stop;
    let Some(response) = leg.response.as_mut().filter(|_| plan.request.file) else {
        return Vec::new();
    };
    // The text is the bytes, unless they are none.
    let text = std::mem::take(&mut response.body).into_bytes();
    if exchange.bytes.is_empty() { text } else { exchange.bytes }
}

/// The request as it may be sent on this leg, whoever sends it, and whether its secrets were left out for that.
fn sendable<'a>(request: &'a RequestPlan, leg: &Leg) -> (Cow<'a, RequestPlan>, bool) {
    let public = leg.chain.as_ref().is_some_and(|chain| chain.trust() == Verified::Public);
    if public || !request.key_wants_public_chain || request.secrets.is_empty() {
        return (Cow::Borrowed(request), false);
    }
    (Cow::Owned(RequestPlan { secrets: Vec::new(), ..request.clone() }), request.keyed)
}

/// The addresses that this trip is to try. A proxy is configured, and may be anywhere.
fn chosen(lookup: &mut Lookup, plan: &TripPlan) -> Vec<SocketAddr> {
    let usable = match &plan.reach {
        Some(reach) if plan.tunnel.is_none() => within_reach(lookup, reach, ADDRESSES),
        Some(_) | None => dns::usable(lookup, ADDRESSES),
    };
    let first = usable.first().map(IpAddr::is_ipv4);
    let wanted = |ipv4: bool| usable.iter().position(|address| address.is_ipv4() == ipv4);
    usable
        .iter()
        .enumerate()
        .filter(|(place, address)| match plan.families {
            Families::All => true,
            Families::First => *place == 0,
            Families::Second => Some(address.is_ipv4()) != first,
            Families::One { ipv4, other } => {
                wanted(ipv4).or(Some(0).filter(|_| other)) == Some(*place)
            }
        })
        .map(|(_, address)| SocketAddr::new(*address, plan.hop.port))
        .collect()
}

/// The usable addresses that may be dialled; where a name has none but others, that ends the trip.
fn within_reach(lookup: &mut Lookup, reach: &Reach, most: usize) -> Vec<IpAddr> {
    let mut usable = dns::usable(lookup, most);
    let first = usable.first().copied();
    usable.retain(|address| reach.allows(*address));
    if let Some(first) = first.filter(|_| usable.is_empty()) {
        let what = format!("{first} may not be dialled");
        lookup.stop = Some(Failure::Local(LocalFailure::new(LocalKind::PolicyDenied, what)));
    }
    usable
}

/// The wall clock, for the begin of a trip.
#[expect(clippy::disallowed_methods, reason = "a trip says when it began")]
fn now() -> Timestamp {
    Timestamp::now()
}
