//! The way to one address up to the finished handshake: connect, the proxy's own handshake, the tunnel,
//! the target's handshake. A proxy may close after it asked for a login: then it is connected to again.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use tokio::net::TcpStream;
use tokio::time::Instant;
use url::Host;

use super::legs::Walked;
use super::proxy::{self, Session};
use super::stream::{Counted, Counts};
use super::tcp::{self, Gauge, NoConnection};
use super::tls::{self, Shown};
use super::{Arrived, Network, Stream, hops};
use crate::observation::{Failure, Leg, ProxyFailure, ProxyKind};
use crate::plan::{Alpn, Hello, Spoken, TlsPlan, TripPlan, Tunnel};

/// Connections to one address of a proxy at most: one to be asked for a login, one to send it, and one
/// for a login that goes to and fro.
const CONNECTIONS: usize = 3;

/// What the way to one address goes by.
struct Way<'a> {
    plan: &'a TripPlan,
    /// The target's address, where the proxy is to be told it.
    beyond: Option<IpAddr>,
    deadline: Instant,
    identity: Shown,
}

/// A connection as far as it is made.
struct On<'a> {
    stream: Counted<Box<dyn Stream>>,
    counts: Arc<Counts>,
    gauge: &'a Gauge,
}

/// A stream that led through, whether it speaks HTTP/2, and whether a client certificate was asked for.
type Entered = (Box<dyn Stream>, bool, bool);

impl Network {
    /// Walks it.
    pub(super) async fn leg(
        &self,
        plan: &TripPlan,
        (address, beyond): (SocketAddr, Option<IpAddr>),
        deadline: Instant,
    ) -> Walked {
        let mut leg = Leg::to(address);
        if let Some(sent) = plan.hops {
            return hops::walk(&self.tls, plan, (sent, leg), deadline).await;
        }
        // The way is walked without what cannot be used, as without a key.
        let (identity, unusable) = match tls::identity(&self.tls, plan.tls.as_ref()) {
            Ok(identity) => (identity, None),
            Err(why) => (None, Some(why)),
        };
        let way = Way { plan, beyond, deadline, identity };
        let walked = self.connections(&way, &mut leg).await;
        if let Some(asked) = &mut leg.asked {
            asked.unusable = unusable;
        }
        match walked {
            Ok(arrived) => Walked::Leg(leg, Some(arrived)),
            Err(NoConnection::Failed(failure)) => {
                leg.stop = Some(failure);
                Walked::Leg(leg, None)
            }
            Err(NoConnection::NoRoute(failure)) => {
                leg.stop = Some(failure);
                Walked::NoRoute(leg)
            }
        }
    }

    /// As many connections as the proxy's login needs.
    async fn connections(&self, way: &Way<'_>, leg: &mut Leg) -> Result<Arrived, NoConnection> {
        // A proxy that is not to resolve the name is told the address in its place.
        let by_address = way.beyond.filter(|_| way.plan.beyond.is_some());
        let tunnel = way.plan.tunnel.clone().map(|tunnel| match by_address {
            Some(IpAddr::V4(address)) => Tunnel { host: Host::Ipv4(address), ..tunnel },
            Some(IpAddr::V6(address)) => Tunnel { host: Host::Ipv6(address), ..tunnel },
            None => tunnel,
        });
        let mut session = tunnel.as_ref().map(|tunnel| Session::new(tunnel, &self.gate));
        for _ in 0..CONNECTIONS {
            let made = tcp::connect(leg.address, &way.plan.socket, way.deadline, &mut leg.local);
            let (stream, gauge, connected) = made.await?;
            leg.connected = Some(connected);
            let entered = self.enter(way, leg, (stream, &gauge), session.as_mut()).await;
            if let Some((stream, http2, asked)) = entered.map_err(NoConnection::Failed)? {
                return Ok(Arrived { stream, gauge, http2, asked });
            }
        }
        let failure = ProxyFailure::new(ProxyKind::Closed);
        let failure = session.as_mut().map_or(failure.clone(), |session| session.told(failure));
        Err(NoConnection::Failed(Failure::Proxy(failure)))
    }

    /// What follows on a connection; none where it is to be made anew.
    async fn enter(
        &self,
        way: &Way<'_>,
        leg: &mut Leg,
        (stream, gauge): (TcpStream, &Gauge),
        session: Option<&mut Session<'_>>,
    ) -> Result<Option<Entered>, Failure> {
        let counts = Counts::with_limit(u64::MAX);
        let stream: Box<dyn Stream> = Box::new(stream);
        let mut on = On { stream: Counted::new(stream, Arc::clone(&counts)), counts, gauge };
        if let Some(session) = session {
            if session.proxy().spoken == Spoken::Https {
                on = self.with_proxy(way, leg, session, on).await?;
            }
            let On { stream, counts, gauge } = &mut on;
            let around =
                proxy::Around { counts, gauge, deadline: way.deadline, address: way.beyond };
            let Some(tunnelled) = proxy::tunnel(stream, session, &around).await? else {
                return Ok(None);
            };
            leg.tunnelled = Some(tunnelled);
        }
        self.with_target(way, leg, on).await.map(Some)
    }

    /// The handshake with the proxy itself, judged for its own name; and what binds a login to it.
    async fn with_proxy<'a>(
        &self,
        way: &Way<'_>,
        leg: &mut Leg,
        session: &mut Session<'_>,
        on: On<'a>,
    ) -> Result<On<'a>, Failure> {
        let proxy = session.proxy();
        let On { stream, counts, gauge } = on;
        let hello = Hello { alpn: Alpn::Http1, ..Hello::default() };
        let plan = TlsPlan { hello, ..TlsPlan::to(proxy.host.clone()) };
        let around = tls::Around { counts: &counts, gauge, deadline: way.deadline, identity: None };
        let handshake = tls::handshake(self.tls_of(proxy), &plan, stream, around).await;
        leg.proxy_chain = handshake.chain;
        let (stream, secured) = handshake.end.map_err(|inner| {
            let of = session.told(ProxyFailure::new(ProxyKind::Tls));
            Failure::Proxy(ProxyFailure { inner: Some(Box::new(inner)), ..of })
        })?;
        session.saw(tls::endpoint_hash(&stream), handshake.asked.is_some());
        leg.proxy_secured = Some(secured);
        // From here on the limits are the tunnel's, and what is counted is inside of this.
        counts.allow_more(u64::MAX);
        let counts = Counts::with_limit(u64::MAX);
        let stream: Box<dyn Stream> = Box::new(stream);
        Ok(On { stream: Counted::new(stream, Arc::clone(&counts)), counts, gauge })
    }

    /// The handshake with the target.
    async fn with_target(
        &self,
        way: &Way<'_>,
        leg: &mut Leg,
        on: On<'_>,
    ) -> Result<Entered, Failure> {
        let On { stream, counts, gauge } = on;
        let Some(tls) = &way.plan.tls else {
            counts.allow_more(u64::MAX);
            return Ok((Box::new(stream), false, false));
        };
        let identity = way.identity.clone();
        let around = tls::Around { counts: &counts, gauge, deadline: way.deadline, identity };
        let handshake = tls::handshake(self.tls_for(tls), tls, stream, around).await;
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
