//! Along a route, however that chooses its way: through its proxy, or as its PAC file says, whose entries
//! are tried in their order as other clients do it, until a proxy is reached.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;
use url::Url;

use crate::observation::{Failure, LocalKind, Pac, PacFailure, ProxyKind, Skipped, Trip};
use crate::plan::{Route, TripPlan, Way};
use crate::probe::{Choice, Network};

/// Entries that are tried at most.
const ENTRIES: usize = 4;

/// A trip, and the route as it was taken: with the way that was chosen.
#[derive(Debug)]
pub struct Along {
    /// The route; none where no way was chosen.
    pub route: Option<Route>,
    /// What happened.
    pub trip: Trip,
}

/// Walks the trip that `plan` makes of a route with a fixed way, to this URL.
pub async fn walk(
    network: &Arc<Network>,
    route: &Route,
    to: &Url,
    plan: impl Fn(&Route) -> TripPlan,
) -> Along {
    let Way::Pac(pac) = &route.way else {
        let trip = network.walk(&Arc::new(plan(route))).await;
        return Along { route: Some(route.clone()), trip };
    };
    // Fetching, deciding and walking have the time of one trip together.
    let whole = plan(&route.by(Way::Direct));
    let begun = Instant::now();
    let deadline = begun + whole.timeout;
    let Choice { mut seen, ways } =
        network.choose((pac, route), to, begun + whole.timeout / 2).await;
    let mut left = ways.iter().filter(|(_, way)| way.is_some()).count().min(ENTRIES);
    for (entry, way) in ways {
        let Some(way) = way else {
            seen.skipped.push(Skipped { entry, failure: None });
            continue;
        };
        left = left.saturating_sub(1);
        let taken = route.by(way);
        let time = deadline.saturating_duration_since(Instant::now());
        let trip = network.walk(&Arc::new(within(plan(&taken), time, left))).await;
        match unreached(&trip).filter(|_| left > 0) {
            Some(failure) => seen.skipped.push(Skipped { entry, failure: Some(failure) }),
            None => {
                seen.chosen = entry;
                let seconds = begun.elapsed().as_secs_f64();
                return Along {
                    route: Some(taken),
                    trip: Trip { pac: Some(seen), seconds, ..trip },
                };
            }
        }
    }
    if seen.stop.is_none() {
        let what = format!("none of its ways is spoken here: {}", seen.answer);
        seen.stop = Some(PacFailure::Invalid(what));
    }
    Along { route: None, trip: nowhere(&whole, seen, begun) }
}

/// A trip with its share of the time: what comes after it has one, too.
fn within(plan: TripPlan, time: Duration, left: usize) -> TripPlan {
    let timeout = if left > 0 { time / 2 } else { time };
    TripPlan { timeout, ..plan }
}

/// How the proxy itself was not reached: then clients try the next entry. A host that is off on a link of
/// ours is silent to this host's own kernel.
fn unreached(trip: &Trip) -> Option<Failure> {
    let failure = trip.failure().filter(|_| trip.proxied)?;
    let is_unreached = match &failure {
        Failure::Proxy(proxy) => matches!(proxy.kind, ProxyKind::Resolve | ProxyKind::Connect),
        Failure::Local(local) => local.kind == LocalKind::NoRoute,
        Failure::Dns(_) | Failure::Tcp(_) | Failure::Tls(_) | Failure::Http(_) => false,
    };
    is_unreached.then_some(failure)
}

/// A trip that had no way to go.
fn nowhere(plan: &TripPlan, seen: Pac, begun: Instant) -> Trip {
    Trip {
        started: super::process::now(),
        seconds: begun.elapsed().as_secs_f64(),
        host: plan.destination().to_string(),
        pac: Some(seen),
        ..Trip::default()
    }
}
