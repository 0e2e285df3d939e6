//! The ordinary trip with one thing changed: what an experiment sends.
//!
//! Only the repeat is the same trip, and what a target asks for goes as its own request does (`further`). Every
//! other goes without key and without client certificate.

use std::net::{IpAddr, SocketAddr};

use http::Method;
use url::Host;

use super::further;
use super::standing::{NOBODY, NOBODY_TIMEOUT};
use super::trip::CONTROL_TIMEOUT;
use super::{
    Alpn, Depth, Families, Hop, Nameserver, Plan, Route, Spoken, Target, Through, TlsPlan,
    TripPlan, Tunnel,
};
use crate::observation::{Change, NotRun, Sent};

/// Segments that pass every link: what TCP sends where it knows nothing better (RFC 9293 3.7.1).
pub(super) const SMALL_SEGMENT: u16 = 536;

/// A name that nobody has (RFC 6761 6.4).
pub(super) const NO_NAME: &str = "no-such-host.invalid";

impl Plan {
    /// The trip with one thing changed.
    pub fn vary(
        &self,
        (target, route): (&Target, &Route),
        base: &TripPlan,
        change: Change,
    ) -> Result<TripPlan, NotRun> {
        if !self.allowed.contains(&change.control()) {
            return Err(NotRun::NotAllowed);
        }
        if asks_again(change) && !target.may_be_repeated() {
            return Err(NotRun::NotApplicable);
        }
        let mut trip = base.clone();
        match change {
            Change::Repeat => return Ok(trip),
            Change::ControlHost(_)
            | Change::ControlName(_)
            | Change::RandomName
            | Change::UnanswerableAddress
            | Change::Portal => return self.standing(route, change),
            Change::OtherResolver
            | Change::WithoutHosts
            | Change::OtherTransport
            | Change::UnanswerableResolver => {
                self.names(&mut trip, change)?;
            }
            Change::OtherPort(_)
            | Change::ClampedSegments(_)
            | Change::TtlWalk(..)
            | Change::OtherFamily
            | Change::EachAddress => packets(&mut trip, target, change)?,
            Change::OtherName(_)
            | Change::NameElsewhere(_)
            | Change::SmallHello(_)
            | Change::SplitHello(_)
            | Change::OlderTls(_) => self.hello(&mut trip, change)?,
            Change::UntrustedHandshake(address) => {
                tls(&mut trip)?.any_chain = true;
                bare(&mut trip, target);
                trip.hop.address = Some(address.ip());
            }
            Change::ControlTunnel(_) | Change::SameAddress(_) | Change::RandomTunnel => {
                self.tunnel(&mut trip, change)?;
            }
            Change::LongerTimeout => trip.timeout *= 2,
            Change::Http1 => tls(&mut trip)?.hello.alpn = Alpn::Http1,
            Change::NoKey if !trip.request.keyed => return Err(NotRun::NotApplicable),
            Change::NoKey => {}
            Change::LargerBody(_)
            | Change::ClampedBody(_)
            | Change::RepeatedBody(_)
            | Change::Stream
            | Change::IdleHold => return further::request(target, base, change),
        }
        trip.request.secrets.clear();
        if let Some(tls) = &mut trip.tls {
            tls.client = None;
        }
        if change != Change::LongerTimeout {
            trip.timeout = trip.timeout.min(CONTROL_TIMEOUT);
        }
        Ok(trip)
    }

    /// What is changed about where the proxy is to lead; without one, about the address.
    fn tunnel(&self, trip: &mut TripPlan, change: Change) -> Result<(), NotRun> {
        trip.depth = Depth::Handshake;
        match (change, &mut trip.tunnel) {
            (Change::ControlTunnel(index), Some(tunnel)) => {
                let control = self.controls.get(index).ok_or(NotRun::NotConfigured)?;
                (tunnel.host, tunnel.port) = (control.host.clone(), control.port);
                trip.tls = None;
            }
            (Change::SameAddress(address), Some(tunnel)) => tunnel.host = host_of(address.ip()),
            (Change::SameAddress(address), None) => handshake_with(trip, address),
            (Change::RandomTunnel, Some(_)) => to_nobody(trip)?,
            _ => return Err(NotRun::NotApplicable),
        }
        Ok(())
    }

    /// What is changed about the `ClientHello`, or whom it is sent to.
    fn hello(&self, trip: &mut TripPlan, change: Change) -> Result<(), NotRun> {
        let control = |index: usize| self.controls.get(index).ok_or(NotRun::NotConfigured);
        match change {
            Change::OtherName(address) => {
                tls(trip)?.name = control(0)?.host.clone();
                handshake_with(trip, address);
            }
            Change::NameElsewhere(index) => {
                let control = control(index)?;
                if trip.tunnel.is_some() || trip.tls.is_none() {
                    return Err(NotRun::NotApplicable);
                }
                trip.hop = Hop { host: control.host.clone(), port: control.port, address: None };
                trip.families = Families::First;
                trip.depth = Depth::Handshake;
            }
            Change::SmallHello(address) => {
                tls(trip)?.hello.classic = true;
                handshake_with(trip, address);
            }
            Change::SplitHello(address) => {
                let hello = &mut tls(trip)?.hello;
                (hello.classic, hello.split) = (true, true);
                handshake_with(trip, address);
            }
            Change::OlderTls(address) => {
                tls(trip)?.hello.tls12_only = true;
                handshake_with(trip, address);
            }
            _ => return Err(NotRun::NotApplicable),
        }
        Ok(())
    }

    /// What is changed about a look-up.
    fn names(&self, trip: &mut TripPlan, change: Change) -> Result<(), NotRun> {
        if change == Change::OtherResolver && self.independent.is_empty() {
            return Err(NotRun::NotConfigured);
        }
        if let Some(tunnel) = trip.tunnel.as_ref().filter(|_| change == Change::OtherResolver) {
            // The proxy's own name stays as it is: what is asked anew is the name behind it.
            if !matches!(tunnel.host, Host::Domain(_)) {
                return Err(NotRun::NotApplicable);
            }
            trip.beyond = Some(self.independent.clone());
            trip.depth = Depth::Handshake;
            return Ok(());
        }
        if !matches!(trip.hop.host, Host::Domain(_)) {
            return Err(NotRun::NotApplicable);
        }
        // What other servers name is not the configured proxy until it has proven that it is.
        if change == Change::WithoutHosts && trip.tunnel.is_some() {
            return Err(NotRun::NotApplicable);
        }
        if change == Change::UnanswerableResolver {
            trip.resolvers = Some(vec![Nameserver::at((NOBODY, 53).into())]);
            trip.depth = Depth::Lookup;
            // Who stands in between is near.
            trip.timeout = trip.timeout.min(NOBODY_TIMEOUT);
            return Ok(());
        }
        let datagrams = |server: &Nameserver| server.through == Through::Udp;
        if change == Change::OtherTransport
            && self.resolvers.as_ref().is_some_and(|servers| !servers.iter().any(datagrams))
        {
            return Err(NotRun::NotApplicable);
        }
        if change == Change::WithoutHosts {
            trip.without_hosts = true;
            trip.depth = Depth::Handshake;
        } else if change == Change::OtherResolver {
            trip.resolvers = Some(self.independent.clone());
            trip.depth = Depth::Handshake;
        } else {
            trip.dns_over_tcp = true;
            trip.depth = Depth::Handshake;
        }
        Ok(())
    }
}

/// Whether it sends the target's own request a further time.
fn asks_again(change: Change) -> bool {
    matches!(
        change,
        Change::Repeat | Change::Http1 | Change::LongerTimeout | Change::IdleHold | Change::NoKey
    )
}

/// The request without anything that may be secret: what is in its query, its body or a header of its own.
fn bare(trip: &mut TripPlan, target: &Target) {
    let request = &mut trip.request;
    request.path = request.path.split('?').next().unwrap_or_default().to_owned();
    request.headers = target.provider.facts().needed_headers();
    (request.method, request.body) = (Method::GET, None);
}

/// What is changed about packets, addresses and ports, below TLS.
fn packets(trip: &mut TripPlan, target: &Target, change: Change) -> Result<(), NotRun> {
    match change {
        Change::OtherPort(_) if trip.tunnel.is_some() => return Err(NotRun::NotApplicable),
        Change::OtherPort(address) => connect_to(trip, address),
        Change::ClampedSegments(address) => {
            trip.socket.segment = Some(SMALL_SEGMENT);
            handshake_with(trip, address);
        }
        Change::TtlWalk(address, sent) => {
            // Beyond a proxy its own packets go on, not ours.
            if trip.tunnel.is_some() && sent == Sent::Hello {
                return Err(NotRun::NotApplicable);
            }
            trip.hops = Some(sent);
            handshake_with(trip, address);
        }
        Change::OtherFamily | Change::EachAddress if target.all_addresses => {
            return Err(NotRun::NotApplicable);
        }
        Change::OtherFamily => {
            trip.families = Families::Second;
            trip.depth = Depth::Handshake;
        }
        Change::EachAddress => {
            trip.families = Families::All;
            trip.depth = Depth::Handshake;
        }
        _ => return Err(NotRun::NotApplicable),
    }
    Ok(())
}

fn host_of(address: IpAddr) -> Host<String> {
    match address {
        IpAddr::V4(address) => Host::Ipv4(address),
        IpAddr::V6(address) => Host::Ipv6(address),
    }
}

/// A connection, and nothing on it.
pub(super) fn connect_to(trip: &mut TripPlan, to: SocketAddr) {
    trip.hop = Hop { host: host_of(to.ip()), port: to.port(), address: None };
    trip.tls = None;
    trip.depth = Depth::Handshake;
}

fn tls(trip: &mut TripPlan) -> Result<&mut TlsPlan, NotRun> {
    trip.tls.as_mut().ok_or(NotRun::NotApplicable)
}

/// A tunnel to a name that nobody has; one that is resolved here is not asked of the proxy.
fn to_nobody(trip: &mut TripPlan) -> Result<(), NotRun> {
    let asks = |tunnel: &&mut Tunnel| tunnel.proxy.spoken != Spoken::Socks5;
    let tunnel = trip.tunnel.as_mut().filter(asks).ok_or(NotRun::NotApplicable)?;
    tunnel.host = Host::Domain(NO_NAME.to_owned());
    trip.tls = None;
    trip.depth = Depth::Handshake;
    Ok(())
}

/// This address only, and no request.
fn handshake_with(trip: &mut TripPlan, address: SocketAddr) {
    trip.hop.address = Some(address.ip());
    trip.depth = Depth::Handshake;
}
