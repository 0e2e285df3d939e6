//! Control hosts over each route, shared: one fresh result serves every target that asks within two
//! seconds, and what they did when nothing was wrong is remembered as the baseline.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use super::keys;
use super::way::{self, Along};
use crate::diagnosis::{Baseline, control_passed};
use crate::observation::{Control, NotRun, Trip};
use crate::plan::{Plan, Route, Way};
use crate::probe::Network;

/// How long a result is fresh.
const FRESH: Duration = Duration::from_secs(2);

/// A route, the way that it takes, and a control's place: on a route of a PAC file a control that went another
/// way proves nothing of this one.
type Key = (String, String, usize);
type Cell = Arc<tokio::sync::Mutex<Option<(Instant, Walked)>>>;
/// The key of a control as it was walked, and its trip.
type Walked = (Key, Trip);

/// The control hosts of a plan.
#[derive(Debug)]
pub struct Controls {
    plan: Arc<Plan>,
    network: Arc<Network>,
    cells: Mutex<BTreeMap<Key, Cell>>,
    /// Whether each ever worked, where it was measured.
    worked: Mutex<BTreeMap<Key, bool>>,
}

impl Controls {
    /// Nothing measured yet.
    pub fn new(plan: Arc<Plan>, network: Arc<Network>) -> Self {
        Self { plan, network, cells: Mutex::default(), worked: Mutex::default() }
    }

    /// A fresh trip to a control host: somebody else's of the last two seconds, or a new one.
    pub async fn trip(&self, route: &Route, index: usize) -> Result<Trip, NotRun> {
        self.walked(route, index).await.map(|(_, trip)| trip)
    }

    async fn walked(&self, route: &Route, index: usize) -> Result<Walked, NotRun> {
        let control = self.plan.controls.get(index).ok_or(NotRun::NotConfigured)?;
        let cell = {
            let mut cells = self.cells.lock().unwrap_or_else(PoisonError::into_inner);
            Arc::clone(cells.entry(key(route, index)).or_default())
        };
        let mut kept = cell.lock().await;
        if let Some((at, walked)) = &*kept
            && at.elapsed() < FRESH
        {
            return Ok(walked.clone());
        }
        let planned = |route: &Route| {
            let mut planned = self.plan.control_trip(control, route);
            keys::equip(&mut planned);
            planned
        };
        let Along { route: taken, trip } =
            way::walk(&self.network, route, &control.url, planned).await;
        let walked = (key(taken.as_ref().unwrap_or(route), index), trip);
        *kept = Some((Instant::now(), walked.clone()));
        Ok(walked)
    }

    /// Measures a control host for the baseline, and says whether it works.
    pub async fn measure(&self, route: &Route, index: usize) -> Option<bool> {
        let (key, trip) = self.walked(route, index).await.ok()?;
        let works = control_passed(Control::ControlHost, &trip);
        let mut worked = self.worked.lock().unwrap_or_else(PoisonError::into_inner);
        *worked.entry(key).or_default() |= works;
        Some(works)
    }

    /// A control host that is dead itself: what it did before says nothing any more.
    pub fn forget(&self, route: &str, index: usize) {
        let mut worked = self.worked.lock().unwrap_or_else(PoisonError::into_inner);
        let of_it = worked.iter_mut().filter(|((of, _, place), _)| of == route && *place == index);
        of_it.for_each(|(_, works)| *works = false);
    }

    /// What is known from before of the control hosts that took the same way.
    pub fn baseline(&self, route: &Route) -> Baseline {
        let worked = self.worked.lock().unwrap_or_else(PoisonError::into_inner);
        let (name, way, _) = key(route, 0);
        let same = |(of, by, _): &Key| *of == name && *by == way;
        let of_route = || worked.iter().filter(|(key, _)| same(key)).map(|(_, works)| *works);
        if of_route().any(|works| works) {
            Baseline::Good
        } else if of_route().next().is_some() {
            Baseline::Bad
        } else {
            Baseline::Unknown
        }
    }

    /// Carries over what is known of routes that a new plan still has, and of logins.
    pub fn remember(&self, old: &Self) {
        self.network.remember(&old.network);
        let same = |index: usize| self.plan.controls.get(index) == old.plan.controls.get(index);
        let theirs = old.worked.lock().unwrap_or_else(PoisonError::into_inner);
        let mut ours = self.worked.lock().unwrap_or_else(PoisonError::into_inner);
        for ((route, way, index), works) in theirs.iter() {
            let route_of = |plan: &Plan| plan.routes.iter().find(|r| r.name == *route).cloned();
            if same(*index) && route_of(&self.plan) == route_of(&old.plan) {
                ours.insert((route.clone(), way.clone(), *index), *works);
            }
        }
    }
}

fn key(route: &Route, index: usize) -> Key {
    let way = match &route.way {
        Way::Direct => String::new(),
        Way::Proxy(proxy) => format!("{}://{proxy}", proxy.spoken.label()),
        Way::Pac(pac) => format!("pac+{}", pac.url),
    };
    (route.name.clone(), way, index)
}
