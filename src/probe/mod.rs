//! The only code that touches the network under test. A trip reads as a page: resolve; then for each
//! address connect, tunnel, handshake; then the request on the first that got there.
//!
//! It never judges and never fails: what the network did is an observation. Every step has a
//! deadline, every buffer a limit; tasks are owned by the trip that started them.

mod dns;
mod http;
mod hops;
mod legs;
pub mod parse;
mod proxy;
mod socket;
mod stream;
mod tcp;
mod tls;

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use jiff::Timestamp;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tokio::time::Instant;

use crate::observation::{Failure, Leg, Lookup, Trip};
use crate::plan::{Depth, Families, Plan, TripPlan};
use legs::{Legs, Walked};
use stream::{Counted, Counts};
use tcp::{Gauge, NoConnection};

/// Addresses tried at most: a name with more is cut, an attacker's answer too.
const ADDRESSES: usize = 16;

/// What all trips share: the resolver's configuration and the roots.
pub struct Network {
    names: dns::Names,
    tls: tls::Tls,
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
        let names = dns::Names::new(plan.resolvers.clone());
        Ok(Self { names, tls: tls::Tls::new(&plan.trust)? })
    }

    /// Walks one trip.
    pub async fn walk(self: &Arc<Self>, plan: &Arc<TripPlan>) -> Trip {
        let (started, begun) = (now(), Instant::now());
        let deadline = begun + plan.timeout;
        let (mut lookup, questions) = dns::look_up(self, plan, deadline).await;
        let addresses = chosen(&mut lookup, plan);
        let mut trip = Trip {
            started,
            seconds: 0.0,
            proxied: plan.tunnel.is_some(),
            host: plan.destination().to_string(),
            lookup,
            legs: Vec::new(),
            untried: Vec::new(),
        };
        if plan.depth > Depth::Lookup {
            self.legs(plan, &addresses, deadline, &mut trip).await;
        }
        trip.lookup.questions = questions.finish(deadline);
        trip.seconds = begun.elapsed().as_secs_f64();
        trip
    }

    /// All legs side by side; the request on the first in order that got there.
    async fn legs(
        self: &Arc<Self>,
        plan: &Arc<TripPlan>,
        addresses: &[SocketAddr],
        deadline: Instant,
        trip: &mut Trip,
    ) {
        let mut tasks = JoinSet::new();
        for (place, address) in addresses.iter().enumerate() {
            let (network, plan, address) = (Arc::clone(self), Arc::clone(plan), *address);
            tasks.spawn(async move { (place, network.leg(&plan, address, deadline).await) });
        }
        let mut legs = Legs::new(tasks, addresses.len());
        if plan.depth == Depth::Request
            && let Some((leg, arrived)) = legs.first_to_arrive().await
        {
            ask(plan, leg, arrived, deadline).await;
        }
        (trip.legs, trip.untried) = legs.all().await;
    }

    /// The way to one address up to the finished handshake.
    async fn leg(&self, plan: &TripPlan, address: SocketAddr, deadline: Instant) -> Walked {
        let mut leg = Leg::to(address);
        if let Some(sent) = plan.hops {
            return hops::walk(&self.tls, plan, (sent, leg), deadline).await;
        }
        // The way is walked without what cannot be used, as without a key.
        let (identity, unusable) = match tls::identity(&self.tls, plan.tls.as_ref()) {
            Ok(identity) => (identity, None),
            Err(why) => (None, Some(why)),
        };
        let made = tcp::connect(address, &plan.socket, deadline, &mut leg.local).await;
        let (stream, gauge) = match made {
            Ok((stream, gauge, connected)) => {
                leg.connected = Some(connected);
                (stream, gauge)
            }
            Err(NoConnection::Failed(failure)) => {
                leg.stop = Some(failure);
                return Walked::Leg(leg, None);
            }
            Err(NoConnection::NoRoute(failure)) => {
                leg.stop = Some(failure);
                return Walked::NoRoute(leg);
            }
        };
        let entered = self.enter(plan, &mut leg, stream, (&gauge, deadline, identity)).await;
        if let Some(asked) = &mut leg.asked {
            asked.unusable = unusable;
        }
        match entered {
            Ok((stream, http2, asked)) => {
                Walked::Leg(leg, Some(Arrived { stream, gauge, http2, asked }))
            }
            Err(failure) => {
                leg.stop = Some(failure);
                Walked::Leg(leg, None)
            }
        }
    }

    /// Tunnel and handshake on a connection.
    async fn enter(
        &self,
        plan: &TripPlan,
        leg: &mut Leg,
        stream: TcpStream,
        (gauge, deadline, identity): (&Gauge, Instant, tls::Shown),
    ) -> Result<(Box<dyn Stream>, bool, bool), Failure> {
        let counts = Counts::with_limit(u64::MAX);
        let mut stream = Counted::new(stream, Arc::clone(&counts));
        if let Some(authority) = &plan.tunnel {
            let tunnel = proxy::tunnel(&mut stream, authority, &counts, (gauge, deadline)).await?;
            leg.tunnelled = Some(tunnel);
        }
        let Some(tls) = &plan.tls else {
            counts.allow_more(u64::MAX);
            return Ok((Box::new(stream), false, false));
        };
        let around = tls::Around { counts: &counts, gauge, deadline, identity };
        let handshake = tls::handshake(&self.tls, tls, stream, around).await;
        leg.chain = handshake.chain;
        leg.asked = handshake.asked;
        let (stream, secured) = handshake.end?;
        // From here on the limits are the request's.
        counts.allow_more(u64::MAX);
        let http2 = secured.alpn == "h2";
        leg.secured = Some(secured);
        Ok((Box::new(stream), http2, leg.asked.is_some()))
    }
}

async fn ask(plan: &TripPlan, leg: &mut Leg, arrived: Arrived, deadline: Instant) {
    let Arrived { stream, gauge, http2, asked } = arrived;
    let around = http::Around { gauge: &gauge, deadline, asked };
    let exchange = http::request(&plan.request, stream, (plan.tls.is_some(), http2), &around).await;
    leg.response = exchange.response;
    leg.stop = exchange.stop;
}

/// The addresses that this trip is to try.
fn chosen(lookup: &mut Lookup, plan: &TripPlan) -> Vec<SocketAddr> {
    let usable = dns::usable(lookup, ADDRESSES);
    let first = usable.first().map(IpAddr::is_ipv4);
    usable
        .iter()
        .enumerate()
        .filter(|(place, address)| match plan.families {
            Families::All => true,
            Families::First => *place == 0,
            Families::Second => Some(address.is_ipv4()) != first,
        })
        .map(|(_, address)| SocketAddr::new(*address, plan.hop.port))
        .collect()
}

/// The wall clock, for the begin of a trip.
#[expect(clippy::disallowed_methods, reason = "a trip says when it began")]
fn now() -> Timestamp {
    Timestamp::now()
}
