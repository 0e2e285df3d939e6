//! The controls that depend on no target: what they send, along a route with a fixed way. They are measured
//! while nothing fails too, and one result serves every target. None carries a credential of a target.

use std::net::Ipv4Addr;
use std::time::Duration;

use url::Url;

use super::vary::{NO_NAME, connect_to};
use super::{Depth, Endpoint, Hop, Plan, Route, TripPlan};
use crate::observation::{Change, NotRun};

/// An address that nobody has (RFC 5737 3), and how long it is waited for that nobody answers there: who
/// stands in between is near.
pub(super) const NOBODY: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 254);
pub(super) const NOBODY_TIMEOUT: Duration = Duration::from_secs(2);

impl Plan {
    /// Those that are measured while nothing fails.
    pub fn standing_controls(&self) -> Vec<Change> {
        let hosts = (0..self.controls.len()).map(Change::ControlHost);
        let others = [Change::RandomName, Change::UnanswerableAddress, Change::Portal];
        let all = hosts.chain(others).filter(|change| self.allowed.contains(&change.control()));
        all.filter(|change| *change != Change::Portal || self.portal.is_some()).collect()
    }

    /// The trip of one of them.
    pub fn standing(&self, route: &Route, change: Change) -> Result<TripPlan, NotRun> {
        if !self.allowed.contains(&change.control()) {
            return Err(NotRun::NotAllowed);
        }
        let control = |index: usize| self.controls.get(index).ok_or(NotRun::NotConfigured);
        // A proxy's own look-ups and connections are not ours to vary.
        let is_near = route.proxy().is_none();
        match change {
            Change::ControlHost(index) => Ok(self.control_trip(control(index)?, route)),
            // On a proxy route the local resolver is asked for the proxy's name only.
            Change::ControlName(index) => Ok(self.look_up(control(index)?, route)),
            Change::RandomName if is_near => {
                Ok(self.look_up(&endpoint(&format!("https://{NO_NAME}/"))?, route))
            }
            Change::UnanswerableAddress if is_near => {
                let mut trip = self.control_trip(&endpoint(&format!("https://{NOBODY}/"))?, route);
                connect_to(&mut trip, (NOBODY, 443).into());
                trip.timeout = trip.timeout.min(NOBODY_TIMEOUT);
                Ok(trip)
            }
            Change::Portal if is_near => {
                let portal = self.portal.as_ref().ok_or(NotRun::NotConfigured)?;
                Ok(self.control_trip(portal, route))
            }
            _ => Err(NotRun::NotApplicable),
        }
    }

    fn look_up(&self, endpoint: &Endpoint, route: &Route) -> TripPlan {
        let mut trip = self.control_trip(endpoint, route);
        trip.hop = Hop { host: endpoint.host.clone(), port: 443, address: None };
        trip.depth = Depth::Lookup;
        trip
    }
}

fn endpoint(url: &str) -> Result<Endpoint, NotRun> {
    Url::parse(url).ok().and_then(|url| Endpoint::of(&url)).ok_or(NotRun::NotApplicable)
}
