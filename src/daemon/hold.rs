//! At what second a silent connection is cut: several with silences of their own, spread up to the limit, and
//! again between the longest that lived and the shortest that died, until that is about a second.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use tokio::task::{JoinError, JoinSet};
use tokio::time::Instant;

use super::Setup;
use super::controls::Controls;
use super::inquiry::{equipped, key_of};
use super::keys;
use super::way::{self, Along};
use crate::diagnosis::RouteVerdict;
use crate::observation::{Change, Control, Expect, Held, HeldEnd, Trip};
use crate::plan::{Route, Target, TripPlan};
use crate::probe::Network;
use crate::store::{CheckId, Report};

/// Connections side by side.
const SIDE_BY_SIDE: u32 = 8;
/// Times that they are made: the first of up to the limit, two between what lived and what died.
const ROUNDS: usize = 3;
/// Seconds between what lived and what died that are exact enough.
const EXACT: f64 = 1.0;
/// Targets and routes that are held at the same time.
const AT_ONCE: usize = 4;
/// When what showed nothing is tried again.
const SOON: Duration = Duration::from_secs(600);
/// The shortest time between two holds of a route.
const RARE: Duration = Duration::from_secs(6 * 3600);

/// How often a limit like this is tried.
fn period(limit: Duration) -> Duration {
    RARE.max(limit * 10)
}

/// Finds it over a route beside the checks, and keeps what was found; whether anything was.
async fn beside(controls: Arc<Controls>, target: Arc<Target>, route: Route) -> bool {
    let limit = Duration::from_secs(target.further.idle_hold.into());
    let (plan, network) = controls.parts();
    let (_, secret) = key_of(&target);
    let client = target.client_cert.as_ref().map(|cert| cert.with(keys::read_pem(&cert.key)));
    let ordinary =
        |route: &Route| equipped((&plan, &target), route, (secret.as_ref(), client.as_ref()));
    let Along { route: taken, trip } =
        way::walk(&network, &route, &target.endpoint.url, ordinary).await;
    let Some(taken) = taken.filter(|_| trip.failure().is_none()) else { return false };
    let of = (&*target, &taken);
    let Ok(planned) = plan.vary(of, &ordinary(&taken), Change::IdleHold) else { return false };
    let rounds = u32::try_from(ROUNDS).unwrap_or(1);
    let until = Instant::now() + (limit + planned.timeout * 3) * rounds;
    let Some(trip) = rounds_of(&network, &Arc::new(planned), limit, until).await else {
        return false;
    };
    controls.kept.keep(of, Change::IdleHold, &trip, (period(limit) * 2, false));
    trip.legs.iter().any(|leg| leg.held.is_some())
}

/// All rounds that have time; none where not even the first has.
pub(super) async fn rounds_of(
    network: &Arc<Network>,
    plan: &Arc<TripPlan>,
    limit: Duration,
    until: Instant,
) -> Option<Trip> {
    let mut found: Option<Trip> = None;
    let mut silences = spread(Duration::ZERO, limit, SIDE_BY_SIDE);
    let mut died_again = false;
    for round in 0..ROUNDS {
        let longest = silences.iter().max().copied().unwrap_or_default();
        if silences.is_empty() || Instant::now() + longest + plan.timeout > until {
            break;
        }
        let more = network.hold(plan, &silences).await;
        if round > 0 && !died_again {
            died_again = dies_after(&more, longest);
            if !died_again {
                break;
            }
        }
        let trip = match found.take() {
            None => more,
            Some(mut trip) => {
                trip.seconds += more.seconds;
                trip.legs.extend(more.legs);
                trip
            }
        };
        silences = next(&trip, limit, died_again);
        found = Some(trip);
    }
    if let Some(trip) = found.as_mut().filter(|_| !died_again) {
        // An outage kills all at once too, and only once.
        for leg in &mut trip.legs {
            leg.held = leg.held.filter(|held| held.end == HeldEnd::Lived);
        }
    }
    found
}

/// Whether one that was to be silent for so long died.
fn dies_after(trip: &Trip, silence: Duration) -> bool {
    let as_long = |held: &Held| held.asked >= silence.as_secs_f64() && held.end != HeldEnd::Lived;
    trip.legs.iter().filter_map(|leg| leg.held).any(|held| as_long(&held))
}

/// So many between two, the last at the end.
fn spread(from: Duration, to: Duration, steps: u32) -> Vec<Duration> {
    let step = to.saturating_sub(from) / steps;
    (1..=steps).map(|place| from + step * place).collect()
}

/// What is to be tried next, at the end what has to die again: a little more silence than the shortest that died,
/// which was cut by chance where it is as long as the limit of who cuts. Nothing where it is known, or cannot be.
fn next(trip: &Trip, limit: Duration, died_again: bool) -> Vec<Duration> {
    let held: Vec<Held> = trip.legs.iter().filter_map(|leg| leg.held).collect();
    let dead = held.iter().filter(|held| held.end != HeldEnd::Lived).map(|held| held.asked);
    let dead = dead.fold(f64::INFINITY, f64::min);
    let lived = held.iter().filter(|held| held.end == HeldEnd::Lived && held.asked < dead);
    let lived = lived.map(|held| held.asked).fold(0.0, f64::max);
    if !dead.is_finite() {
        return Vec::new();
    }
    let is_exact = held.iter().any(|held| held.ended.is_some()) || dead - lived <= EXACT;
    let beyond = Duration::from_secs_f64(dead + EXACT).min(limit);
    let [lived, dead] = [lived, dead].map(Duration::from_secs_f64);
    let mut silences = if is_exact { vec![] } else { spread(lived, dead, SIDE_BY_SIDE) };
    if !died_again {
        silences.push(beyond);
    }
    silences
}

/// What is held beside the checks of a daemon, and when each may be again.
#[derive(Debug, Default)]
pub(super) struct Holds {
    tasks: JoinSet<(CheckId, bool)>,
    due: BTreeMap<CheckId, Instant>,
    running: BTreeSet<CheckId>,
}

impl Holds {
    /// Begins where a check is fine.
    pub(super) fn after(&mut self, report: &Report, setup: &Setup) {
        let (plan, controls) = (&setup.plan, &setup.controls);
        let target = plan.targets.iter().find(|known| known.name == report.target);
        let allowed = plan.allowed.contains(&Control::IdleHold);
        let Some((target, controls)) = target.zip(controls.as_ref()).filter(|_| allowed) else {
            return;
        };
        let fine = |verdict: &&RouteVerdict| verdict.works && verdict.symptom.is_none();
        for verdict in report.findings.routes.iter().filter(fine) {
            let used = target.routes.iter().find(|used| used.route.name == verdict.route);
            if let Some(used) = used.filter(|used| used.expect != Expect::Closed) {
                self.begin(controls, target, &used.route);
            }
        }
    }

    /// Begins with a check that is fine, unless it was done not long ago or others are under way.
    fn begin(&mut self, controls: &Arc<Controls>, target: &Target, route: &Route) {
        let id = CheckId { target: target.name.clone(), route: route.name.clone() };
        let due = self.due.get(&id).is_none_or(|due| Instant::now() >= *due);
        if !due || self.tasks.len() >= AT_ONCE || target.further.idle_hold == 0 {
            return;
        }
        let again = period(Duration::from_secs(target.further.idle_hold.into()));
        self.due.insert(id.clone(), Instant::now() + again);
        let (controls, target, route) =
            (Arc::clone(controls), Arc::new(target.clone()), route.clone());
        self.running.insert(id.clone());
        self.tasks.spawn(async move { (id, beside(controls, target, route).await) });
    }

    /// Under another setup what is under way is begun anew, and what was found of these targets is not looked for
    /// again before its time.
    pub(super) fn under_another(&mut self, stays: impl Fn(&str) -> bool) {
        let running = std::mem::take(&mut self.running);
        self.tasks = JoinSet::new();
        self.due.retain(|id, _| stays(&id.target) && !running.contains(id));
    }

    /// The end of one; none while there is none.
    pub(super) async fn ended(&mut self) -> Option<Result<(), JoinError>> {
        let ended = self.tasks.join_next().await?;
        Some(ended.map(|(id, found)| {
            self.running.remove(&id);
            if !found {
                self.due.insert(id, Instant::now() + SOON);
            }
        }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::observation::Leg;

    fn trip(held: &[(f64, Option<f64>, HeldEnd)]) -> Trip {
        let leg = |(asked, ended, end): &(f64, Option<f64>, HeldEnd)| Leg {
            held: Some(Held { asked: *asked, ended: *ended, end: *end }),
            ..Leg::to("192.0.2.1:443".parse().unwrap())
        };
        Trip { legs: held.iter().map(leg).collect(), ..Trip::default() }
    }

    #[test]
    fn what_lived_and_what_died_come_closer_until_a_second() {
        let limit = Duration::from_secs(400);
        let (cut, mut held) = (97.0, Vec::new());
        let mut silences = spread(Duration::ZERO, limit, SIDE_BY_SIDE);
        assert_eq!(silences.len(), 8);
        assert_eq!(silences.last(), Some(&limit));
        for round in 0..ROUNDS {
            let end = |asked| if asked < cut { HeldEnd::Lived } else { HeldEnd::Silent };
            held.extend(silences.iter().map(|s| (s.as_secs_f64(), None, end(s.as_secs_f64()))));
            silences = next(&trip(&held), limit, round > 0);
            assert_eq!(silences.is_empty(), round == 2, "{round}: {silences:?}");
        }
        let dead = held.iter().filter(|(_, _, end)| *end == HeldEnd::Silent);
        let dead = dead.map(|(asked, ..)| *asked).fold(f64::INFINITY, f64::min);
        assert!(dead >= cut && dead - cut < 1.0, "{dead}");
    }

    #[tokio::test]
    async fn what_was_found_is_not_looked_for_again_because_another_target_came() {
        let id = |target: &str| CheckId { target: target.into(), route: "direct".into() };
        let due = ["found", "gone", "under way"].map(|name| (id(name), Instant::now() + RARE));
        let running = BTreeSet::from([id("under way")]);
        let mut holds = Holds { due: due.into(), running, tasks: JoinSet::new() };
        holds.under_another(|target| target != "gone");
        assert_eq!(holds.due.into_keys().collect::<Vec<_>>(), [id("found")]);
        assert!(holds.running.is_empty());
    }

    #[test]
    fn what_was_seen_or_never_died_is_not_tried_again() {
        let seen = trip(&[(50.0, None, HeldEnd::Lived), (100.0, Some(60.0), HeldEnd::Closed)]);
        let limit = Duration::from_secs(100);
        assert!(next(&seen, limit, true).is_empty());
        assert_eq!(next(&seen, limit, false), [limit], "it has to die again");
        assert_eq!(next(&seen, limit * 2, false), [limit + Duration::from_secs(1)], "surely");
        assert!(dies_after(&seen, Duration::from_secs(100)));
        assert!(!dies_after(&seen, Duration::from_secs(101)));
        assert!(next(&trip(&[(50.0, None, HeldEnd::Lived)]), limit, false).is_empty());
        assert!(next(&trip(&[]), limit, false).is_empty());
    }
}
