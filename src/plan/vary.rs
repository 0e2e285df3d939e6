//! The ordinary trip with one thing changed: what an experiment sends.
//!
//! Only the repeat is the same trip. Every other goes without key and without client certificate.

use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use url::Host;

use super::trip::CONTROL_TIMEOUT;
use super::{
    Alpn, Depth, Families, Hop, Nameserver, Plan, Route, Spoken, Target, Through, TlsPlan,
    TripPlan, Tunnel,
};
use crate::observation::{Change, NotRun, Sent};

/// Segments that pass every link that IPv6 passes (RFC 8200 5: 1280 bytes), headers and options taken off.
const SMALL_SEGMENT: u16 = 1200;

/// A name that nobody has (RFC 6761 6.4).
pub(super) const NO_NAME: &str = "no-such-host.invalid";

/// An address that nobody has (RFC 5737 3), and how long it is waited for that nobody answers there.
const NOBODY: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 254);
const NOBODY_TIMEOUT: Duration = Duration::from_secs(2);

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
        let mut trip = base.clone();
        match change {
            Change::Repeat => return Ok(trip),
            Change::ControlHost(index) => {
                let control = self.controls.get(index).ok_or(NotRun::NotConfigured)?;
                return Ok(self.control_trip(control, route));
            }
            Change::ControlName(_)
            | Change::OtherResolver
            | Change::OtherTransport
            | Change::UnanswerableResolver => {
                self.names(&mut trip, change)?;
            }
            Change::OtherName(address) => {
                let control = self.controls.first().ok_or(NotRun::NotConfigured)?;
                tls(&mut trip)?.name = control.host.clone();
                handshake_with(&mut trip, address);
            }
            Change::SmallHello(address) => {
                tls(&mut trip)?.hello.classic = true;
                handshake_with(&mut trip, address);
            }
            Change::ClampedSegments(address) => {
                trip.socket.segment = Some(SMALL_SEGMENT);
                handshake_with(&mut trip, address);
            }
            Change::TtlWalk(address, sent) => {
                // Beyond a proxy its own packets go on, not ours.
                if trip.tunnel.is_some() && sent == Sent::Hello {
                    return Err(NotRun::NotApplicable);
                }
                trip.hops = Some(sent);
                handshake_with(&mut trip, address);
            }
            Change::OtherFamily if target.all_addresses => return Err(NotRun::NotApplicable),
            Change::OtherFamily => {
                trip.families = Families::Second;
                trip.depth = Depth::Handshake;
            }
            Change::RandomTunnel => to_nobody(&mut trip)?,
            Change::Http1 => tls(&mut trip)?.hello.alpn = Alpn::Http1,
            Change::NoKey if trip.request.key.is_none() => return Err(NotRun::NotApplicable),
            Change::NoKey => {}
        }
        trip.request.key = None;
        // What another resolver names is not the configured proxy until it has proven that it is.
        if change == Change::OtherResolver
            && let Some(tunnel) = &mut trip.tunnel
        {
            tunnel.credential = None;
        }
        if let Some(tls) = &mut trip.tls {
            tls.client = None;
        }
        trip.timeout = trip.timeout.min(CONTROL_TIMEOUT);
        Ok(trip)
    }

    /// What is changed about a look-up.
    fn names(&self, trip: &mut TripPlan, change: Change) -> Result<(), NotRun> {
        if let Change::ControlName(index) = change {
            // On a proxy route the local resolver is asked for the proxy's name only.
            let host = self.controls.get(index).ok_or(NotRun::NotConfigured)?.host.clone();
            trip.hop = Hop { host, port: 443, address: None };
            trip.depth = Depth::Lookup;
            return Ok(());
        }
        if change == Change::OtherResolver && self.independent.is_empty() {
            return Err(NotRun::NotConfigured);
        }
        if !matches!(trip.hop.host, Host::Domain(_)) {
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
        if change == Change::OtherResolver {
            trip.resolvers = Some(self.independent.clone());
            trip.depth = Depth::Handshake;
        } else {
            trip.dns_over_tcp = true;
            trip.depth = Depth::Lookup;
        }
        Ok(())
    }
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
