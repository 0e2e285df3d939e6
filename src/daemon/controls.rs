//! The controls that depend on no target, over each route, shared: one fresh result serves every target that
//! asks within two seconds, and what they showed when nothing was wrong is remembered as the baseline.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use super::kept::Kept;
use super::keys;
use super::way::{self, Along};
use crate::diagnosis::{Baseline, control_passed};
use crate::observation::{Change, Control, NotRun, Trip};
use crate::plan::{Plan, Route, Way};
use crate::probe::Network;

/// How long a result is fresh.
const FRESH: Duration = Duration::from_secs(2);

/// A route, the way that it takes, and the control: on a route of a PAC file a control that went another
/// way proves nothing of this one.
type Key = (String, String, Change);
type Cell = Arc<tokio::sync::Mutex<Option<(Instant, Walked)>>>;
/// The key of a control as it was walked, and its trip.
type Walked = (Key, Trip);

/// What a control showed, and how often it was measured.
#[derive(Clone, Copy, Debug, Default)]
struct Shown {
    ever: bool,
    last: bool,
    times: u32,
}

/// Measurements without success that make "never": one may have met an outage.
const NEVER: u32 = 3;

/// The standing controls of a plan.
#[derive(Debug)]
pub struct Controls {
    plan: Arc<Plan>,
    network: Arc<Network>,
    cells: Mutex<BTreeMap<Key, Cell>>,
    /// What they showed where they were measured.
    worked: Mutex<BTreeMap<Key, Shown>>,
    /// What targets ask for beyond that.
    pub kept: Kept,
}

impl Controls {
    /// Nothing measured yet.
    pub fn new(plan: Arc<Plan>, network: Arc<Network>) -> Self {
        Self {
            plan,
            network,
            cells: Mutex::default(),
            worked: Mutex::default(),
            kept: Kept::default(),
        }
    }

    /// What trips beside the checks are made with.
    pub(super) fn parts(&self) -> (Arc<Plan>, Arc<Network>) {
        (Arc::clone(&self.plan), Arc::clone(&self.network))
    }

    /// A fresh trip of a control: somebody else's of the last two seconds, or a new one.
    pub async fn trip(&self, route: &Route, change: Change) -> Result<Trip, NotRun> {
        self.walked(route, change).await.map(|(_, trip)| trip)
    }

    async fn walked(&self, route: &Route, change: Change) -> Result<Walked, NotRun> {
        let cell = {
            let mut cells = self.cells.lock().unwrap_or_else(PoisonError::into_inner);
            Arc::clone(cells.entry(key(route, change)).or_default())
        };
        let mut kept = cell.lock().await;
        if let Some((at, walked)) = &*kept
            && at.elapsed() < FRESH
        {
            return Ok(walked.clone());
        }
        let walked = self.anew(route, change).await?;
        *kept = Some((Instant::now(), walked.clone()));
        Ok(walked)
    }

    async fn anew(&self, route: &Route, change: Change) -> Result<Walked, NotRun> {
        let planned = |route: &Route| {
            let mut planned = self.plan.standing(route, change)?;
            keys::equip(&mut planned);
            Ok(planned)
        };
        let Change::ControlHost(index) = change else {
            // What it looks at is this host's own way, which a PAC file does not choose.
            if matches!(route.way, Way::Pac(_)) {
                return Err(NotRun::NotApplicable);
            }
            let trip = self.network.walk(&Arc::new(planned(route)?)).await;
            return Ok((key(route, change), trip));
        };
        let control = self.plan.controls.get(index).ok_or(NotRun::NotConfigured)?;
        if !self.plan.allowed.contains(&change.control()) {
            return Err(NotRun::NotAllowed);
        }
        let to_host = |route: &Route| {
            let mut planned = self.plan.control_trip(control, route);
            keys::equip(&mut planned);
            planned
        };
        let Along { route: taken, trip } =
            way::walk(&self.network, route, &control.url, to_host).await;
        Ok((key(taken.as_ref().unwrap_or(route), change), trip))
    }

    /// Measures a control for the baseline, and says what it shows; none where that is nothing.
    pub async fn measure(&self, route: &Route, change: Change) -> Option<bool> {
        let (key, trip) = self.walked(route, change).await.ok()?;
        let shows = control_passed(change.control(), &trip);
        let mut worked = self.worked.lock().unwrap_or_else(PoisonError::into_inner);
        let known = worked.entry(key).or_default();
        *known =
            Shown { ever: known.ever || shows, last: shows, times: known.times.saturating_add(1) };
        Some(shows)
    }

    /// A control host that is dead itself: what it did before says nothing any more.
    pub fn forget(&self, route: &str, change: Change) {
        let mut worked = self.worked.lock().unwrap_or_else(PoisonError::into_inner);
        worked.retain(|(of, _, other), _| !(of == route && *other == change));
    }

    /// What is known from before of the control hosts that took the same way.
    pub fn baseline(&self, route: &Route) -> Baseline {
        let worked = self.worked.lock().unwrap_or_else(PoisonError::into_inner);
        let (name, way, _) = key(route, Change::ControlHost(0));
        let same = |(of, by, change): &Key| {
            *of == name && *by == way && change.control() == Control::ControlHost
        };
        let of_route = || worked.iter().filter(|(key, _)| same(key)).map(|(_, shown)| *shown);
        if of_route().any(|shown| shown.ever) {
            Baseline::Good
        } else if of_route().any(|shown| shown.times >= NEVER) {
            Baseline::Bad
        } else {
            Baseline::Unknown
        }
    }

    /// What the other controls showed over a route when they were measured last.
    pub fn usual(&self, route: &Route) -> BTreeMap<Control, bool> {
        let worked = self.worked.lock().unwrap_or_else(PoisonError::into_inner);
        let (name, way, _) = key(route, Change::Portal);
        let others = worked.iter().filter(|((of, by, change), _)| {
            *of == name && *by == way && change.control() != Control::ControlHost
        });
        // A page that came as it is once may come otherwise; what is redirected now is redirected.
        let shows = |change: Change, shown: &Shown| match change {
            Change::Portal => shown.ever,
            _ => shown.last,
        };
        others.map(|((_, _, change), shown)| (change.control(), shows(*change, shown))).collect()
    }

    /// Carries over what is known of routes that a new plan still has, and of logins.
    pub fn remember(&self, old: &Self) {
        self.network.remember(&old.network);
        self.kept.remember(&old.kept, (&self.plan, &old.plan));
        let same = |change: Change| match change {
            Change::ControlHost(index) => {
                self.plan.controls.get(index) == old.plan.controls.get(index)
            }
            Change::Portal => self.plan.portal == old.plan.portal,
            _ => self.plan.resolvers == old.plan.resolvers,
        };
        let theirs = old.worked.lock().unwrap_or_else(PoisonError::into_inner);
        let mut ours = self.worked.lock().unwrap_or_else(PoisonError::into_inner);
        for ((route, way, change), works) in theirs.iter() {
            let route_of = |plan: &Plan| plan.routes.iter().find(|r| r.name == *route).cloned();
            if same(*change) && route_of(&self.plan) == route_of(&old.plan) {
                ours.insert((route.clone(), way.clone(), *change), *works);
            }
        }
    }
}

fn key(route: &Route, change: Change) -> Key {
    (route.name.clone(), way_of(route), change)
}

/// The way that a route takes.
pub(super) fn way_of(route: &Route) -> String {
    match &route.way {
        Way::Direct => String::new(),
        Way::Proxy(proxy) => format!("{}://{proxy}", proxy.spoken.label()),
        Way::Pac(pac) => format!("pac+{}", pac.url),
    }
}
