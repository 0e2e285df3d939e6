//! One target, asked until it is decided: walk all routes, diagnose, run what diagnosis asks for,
//! diagnose again. The same for the daemon and for `check`; bounded in rounds, number and time.

use std::collections::BTreeMap;
use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::Poll;
use std::time::Duration;

use tokio::time::{Instant, timeout_at};

use super::controls::Controls;
use super::way::{self, Along};
use super::{hold, keys};
use crate::cause::Status;
use crate::config::Secret;
use crate::diagnosis::{
    Baseline, Decision, Evidence, Experiment, Findings, Key, Outcome, TargetFacts, Walk,
    control_passed, diagnose, read_answer,
};
use crate::observation::{Change, Control, NotRun, Pac, Trip};
use crate::plan::{Identity, Plan, Route, Target, TripPlan};
use crate::probe::Network;
use crate::store::{Report, Walked};

/// Rounds of experiments at most.
const ROUNDS: usize = 3;
/// Experiments of one inquiry at most.
const EXPERIMENTS: usize = 12;

/// What all inquiries under one plan share.
#[derive(Clone, Debug)]
pub struct Context {
    /// The plan.
    pub plan: Arc<Plan>,
    /// The network.
    pub network: Arc<Network>,
    /// The control hosts.
    pub controls: Arc<Controls>,
    /// Whether an inquiry holds connections itself; else that is done beside it.
    pub waits: bool,
    /// How long somebody waits for the answer, who wants the body whole; none: nobody does.
    pub asker: Option<Duration>,
}

impl Context {
    /// A context for a plan.
    pub fn new(plan: Arc<Plan>) -> Result<Self, crate::probe::Fault> {
        let network = Arc::new(Network::new(&plan)?);
        network.secrets().learn(keys::known(&plan));
        let controls = Arc::new(Controls::new(Arc::clone(&plan), Arc::clone(&network)));
        Ok(Self { plan, network, controls, waits: true, asker: None })
    }
}

/// What is known of a target from before.
#[derive(Clone, Debug, Default)]
pub struct Memory {
    /// How each route was published.
    pub before: BTreeMap<String, Status>,
    /// The last findings, while they may stand.
    pub standing: Option<Findings>,
}

/// Asks until it is decided. In the report no peer says a secret back.
pub async fn inquire(context: Context, target: Arc<Target>, memory: Memory) -> Report {
    let network = Arc::clone(&context.network);
    let mut report = as_seen(context, target, memory).await;
    network.secrets().blot(|see| report.texts(see));
    report.trips.iter_mut().for_each(|walked| shorten(&mut walked.trip));
    report
}

/// The same with what was on the wire, for who has to judge it. It is not to be shown.
pub(super) async fn as_seen(context: Context, target: Arc<Target>, memory: Memory) -> Report {
    let begun = Instant::now();
    let asker = context.asker;
    let deadline = begun + asker.unwrap_or_else(|| target.bound());
    let (key, secret) = key_of(&target);
    let client = target.client_cert.as_ref().map(|cert| cert.with(keys::read_pem(&cert.key)));
    let taken = Mutex::default();
    let inquiry = Inquiry { context, target, secret, client, taken, had: Mutex::default() };
    let walks = inquiry.walks(&memory).await;
    let facts = inquiry.facts(key);
    let mut evidence =
        Evidence { target: facts, walks, outcomes: Vec::new(), standing: memory.standing };
    let mut round = 0;
    let findings = loop {
        match diagnose(&evidence) {
            Decision::Decided(findings) => break findings,
            Decision::Ask(asked) => {
                // Every answer, also "not run", makes the next question smaller: this ends.
                let goes_on =
                    round < ROUNDS && Instant::now() < deadline && !inquiry.is_refused(&evidence);
                let ran = evidence.outcomes.iter().filter(|outcome| counts(outcome)).count();
                let room = goes_on.then(|| EXPERIMENTS.saturating_sub(ran));
                evidence.outcomes.extend(inquiry.round(asked, room, deadline).await);
                round += 1;
            }
        }
    };
    let experiments = evidence
        .outcomes
        .iter()
        // What was kept caused no traffic now.
        .filter(|outcome| outcome.result.is_ok() && !inquiry.had(&outcome.experiment))
        .map(|outcome| (outcome.experiment.route.clone(), outcome.experiment.change.control()))
        .collect();
    let trips = evidence
        .walks
        .into_iter()
        .map(|walk| {
            let answer = read_answer(&evidence.target, &walk.trip);
            Walked { route: walk.route, trip: walk.trip, answer }
        })
        .collect();
    Report {
        target: inquiry.target.name.clone(),
        trips,
        findings,
        experiments,
        at: super::process::now(),
        seconds: begun.elapsed().as_secs_f64(),
    }
}

/// The state of the target's key, and the key where it stands outside of the request.
pub(super) fn key_of(target: &Target) -> (Key, Option<Secret>) {
    match &target.request {
        Some(own)
            if target.endpoint.is_tls()
                && own.secrets.iter().any(|(name, _)| target.takes_key_by(name)) =>
        {
            (Key::InForce("the request itself".to_owned()), None)
        }
        Some(_) | None => keys::read(target.key.as_ref()),
    }
}

/// The ordinary trip along a route with a fixed way, with all that is secret about it.
pub(super) fn equipped(
    (plan, target): (&Plan, &Target),
    route: &Route,
    (secret, client): (Option<&Secret>, Option<&Arc<Identity>>),
) -> TripPlan {
    let mut trip = plan.trip(target, route, secret);
    if let Some(tls) = &mut trip.tls {
        tls.client = client.cloned();
    }
    keys::equip(&mut trip);
    trip
}

/// Whether a result may be kept: what a fault brought is measured anew, so that no verdict outlives it. What is
/// neither JSON nor a stream is a page of somebody on the way.
fn is_good(change: Change, trip: &Trip) -> bool {
    let response = trip.leading().and_then(|leg| leg.response.as_ref());
    let kind = response.and_then(|response| response.header("content-type")).unwrap_or_default();
    let is_the_apis = kind.contains("json") || kind.contains("event-stream");
    is_the_apis && control_passed(change.control(), trip)
}

/// Whether an outcome takes the place of another.
fn counts(outcome: &Outcome) -> bool {
    outcome.result.is_ok() && !outcome.experiment.change.is_asked_for()
}

/// A body is evidence in its first kilobytes; a hundred targets must not keep megabytes.
fn shorten(trip: &mut Trip) {
    const KEPT: usize = 1024;
    for response in trip.legs.iter_mut().filter_map(|leg| leg.response.as_mut()) {
        if response.body.len() > KEPT {
            response.body = response.body.chars().take(KEPT).collect();
        }
    }
}

struct Inquiry {
    context: Context,
    target: Arc<Target>,
    secret: Option<Secret>,
    client: Option<Arc<Identity>>,
    /// The routes as they were taken, by name, and how a PAC file chose: it chooses anew each time.
    taken: Mutex<BTreeMap<String, (Route, Option<Pac>)>>,
    /// What was kept from an inquiry before.
    had: Mutex<Vec<Experiment>>,
}

impl Inquiry {
    fn trip(&self, route: &Route) -> TripPlan {
        let of = (&*self.context.plan, &*self.target);
        equipped(of, route, (self.secret.as_ref(), self.client.as_ref()))
    }

    async fn walks(&self, memory: &Memory) -> Vec<Walk> {
        let trips = side_by_side(self.target.routes.iter().map(|used| self.along(&used.route)));
        let trips = trips.await;
        let routes = self.target.routes.iter();
        routes
            .zip(trips)
            .map(|(used, trip)| Walk {
                route: used.route.name.clone(),
                proxy: self
                    .taken(&used.route.name)
                    .and_then(|(route, _)| route.proxy().map(ToString::to_string)),
                expect: used.expect,
                trip,
                baseline: match self.taken(&used.route.name) {
                    Some((taken, _)) => self.context.controls.baseline(&taken),
                    None => Baseline::Unknown,
                },
                usual: match self.taken(&used.route.name) {
                    Some((taken, _)) => self.context.controls.usual(&taken),
                    None => BTreeMap::new(),
                },
                before: memory.before.get(&used.route.name).copied(),
            })
            .collect()
    }

    /// The ordinary trip along a route, which is remembered as it was taken.
    async fn along(&self, route: &Route) -> Trip {
        let network = &self.context.network;
        let url = &self.target.endpoint.url;
        let Along { route: taken, trip } =
            way::walk(network, route, url, |route| self.trip(route)).await;
        if let Some(taken) = taken {
            let mut known = self.taken.lock().unwrap_or_else(PoisonError::into_inner);
            known.entry(route.name.clone()).or_insert_with(|| (taken, trip.pac.clone()));
        }
        trip
    }

    /// Whether the name leads where it may not be followed: then nothing more is tried.
    fn is_refused(&self, evidence: &Evidence) -> bool {
        let Some(rules) = &self.target.rules else { return false };
        evidence.walks.iter().any(|walk| rules.refused(&walk.trip).is_some())
    }

    fn taken(&self, route: &str) -> Option<(Route, Option<Pac>)> {
        self.taken.lock().unwrap_or_else(PoisonError::into_inner).get(route).cloned()
    }

    fn facts(&self, key: Key) -> TargetFacts {
        let (budget, own_trust) = (&self.target.budget, self.target.trust.as_ref());
        TargetFacts {
            name: self.target.name.clone(),
            host: self.target.endpoint.host.to_string(),
            port: self.target.endpoint.port,
            path: self.target.endpoint.url.path().to_owned(),
            provider: self.target.provider,
            key,
            needs: self.target.needs.clone(),
            budget: [budget.dns, budget.proxy, budget.first_byte].map(|time| time.as_secs_f64()),
            controls: self.context.plan.controls.len(),
            private: self.target.private.clone(),
            ours: self.target.ours,
            own_roots: own_trust.is_some_and(|own| own.is_apart_from(&self.context.plan.trust)),
            headers: self.target.sent_headers(),
            wanted: self.target.request.as_ref().map(|own| own.wanted.clone()),
            further: self.target.further,
        }
    }

    /// What was asked for at once; no room: no more of it is run.
    async fn round(
        &self,
        asked: Vec<Experiment>,
        room: Option<usize>,
        deadline: Instant,
    ) -> Vec<Outcome> {
        // What cannot be run takes nobody's place.
        let (asked, cannot): (Vec<_>, Vec<_>) =
            asked.into_iter().partition(|experiment| self.can_run(experiment));
        let mut outcomes = self.experiments(cannot, deadline).await;
        // What the target itself asks for comes last among them, and is not counted.
        let has_room = |(place, one): &(usize, Experiment)| {
            room.is_some_and(|room| *place < room || one.change.is_asked_for())
        };
        let (run, left): (Vec<_>, Vec<_>) = asked.into_iter().enumerate().partition(has_room);
        let run = run.into_iter().map(|(_, experiment)| experiment).collect();
        outcomes.extend(self.experiments(run, deadline).await);
        let no_time = |(_, experiment)| Outcome { experiment, result: Err(NotRun::NoTime) };
        outcomes.extend(left.into_iter().map(no_time));
        outcomes
    }

    /// All side by side, each within what is left.
    async fn experiments(&self, asked: Vec<Experiment>, deadline: Instant) -> Vec<Outcome> {
        let outcomes = asked.into_iter().map(|experiment| async move {
            let run = self.experiment(&experiment, deadline);
            let result = timeout_at(deadline, run).await.unwrap_or(Err(NotRun::NoTime));
            Outcome { experiment, result }
        });
        side_by_side(outcomes).await
    }

    /// Whether the plan has a trip for it.
    fn can_run(&self, experiment: &Experiment) -> bool {
        self.taken(&experiment.route).is_some_and(|(taken, _)| {
            let plan = &self.context.plan;
            plan.vary((&self.target, &taken), &self.trip(&taken), experiment.change).is_ok()
        })
    }

    async fn experiment(&self, experiment: &Experiment, deadline: Instant) -> Result<Trip, NotRun> {
        let mut routes = self.target.routes.iter().map(|used| &used.route);
        let route = routes.find(|route| route.name == experiment.route);
        let route = route.ok_or(NotRun::NotApplicable)?;
        let Context { plan, network, controls, .. } = &self.context;
        let Some((taken, pac)) = self.taken(&route.name) else {
            // No way was chosen: all that can be done is to ask again.
            let repeats =
                experiment.change == Change::Repeat && plan.allowed.contains(&Control::Repeat);
            return if repeats { Ok(self.along(route).await) } else { Err(NotRun::NotApplicable) };
        };
        let base = self.trip(&taken);
        let planned = plan.vary((&self.target, &taken), &base, experiment.change)?;
        let of = (&*self.target, &taken);
        match experiment.change {
            change if change.is_asked_for() => {
                self.asked_for(of, experiment, planned, deadline).await
            }
            // They do not depend on the target: one result serves every one that asks.
            Change::ControlHost(_)
            | Change::ControlName(_)
            | Change::RandomName
            | Change::UnanswerableAddress
            | Change::Portal => controls.trip(&taken, experiment.change).await,
            // The same trip again, by the same choice.
            Change::Repeat => Ok(Trip { pac, ..network.walk(&Arc::new(planned)).await }),
            _ => Ok(network.walk(&Arc::new(planned)).await),
        }
    }
}

impl Inquiry {
    /// What the target asks for: what is kept of it, else a new trip, which is kept.
    async fn asked_for(
        &self,
        of: (&Target, &Route),
        experiment: &Experiment,
        planned: TripPlan,
        deadline: Instant,
    ) -> Result<Trip, NotRun> {
        let Context { plan, network, controls, waits, .. } = &self.context;
        let change = experiment.change;
        if let Some((trip, told)) = controls.kept.newest(of, change) {
            if told {
                let mut had = self.had.lock().unwrap_or_else(PoisonError::into_inner);
                had.push(experiment.clone());
            }
            return Ok(trip);
        }
        let planned = Arc::new(planned);
        if change != Change::IdleHold {
            let trip = network.walk(&planned).await;
            if is_good(change, &trip) {
                controls.kept.keep(of, change, &trip, (plan.again, true));
            }
            return Ok(trip);
        }
        if !waits {
            // It goes on beside the checks, and is there for one of the next.
            return Err(NotRun::NoTime);
        }
        let limit = Duration::from_secs(self.target.further.idle_hold.into());
        hold::rounds_of(network, &planned, limit, deadline).await.ok_or(NotRun::NoTime)
    }

    /// Whether an outcome was there before this inquiry.
    fn had(&self, experiment: &Experiment) -> bool {
        self.had.lock().unwrap_or_else(PoisonError::into_inner).contains(experiment)
    }
}

/// All of them at the same time, in this task: they are few, and a panic goes on in whoever contains
/// it. The results are in the order of the work.
async fn side_by_side<F: Future>(work: impl Iterator<Item = F>) -> Vec<F::Output> {
    struct Slot<F: Future> {
        work: Pin<Box<F>>,
        result: Option<F::Output>,
    }
    let mut slots: Vec<Slot<F>> =
        work.map(|work| Slot { work: Box::pin(work), result: None }).collect();
    poll_fn(|context| {
        let mut pending = false;
        for slot in slots.iter_mut().filter(|slot| slot.result.is_none()) {
            match slot.work.as_mut().poll(context) {
                Poll::Ready(output) => slot.result = Some(output),
                Poll::Pending => pending = true,
            }
        }
        if pending { Poll::Pending } else { Poll::Ready(()) }
    })
    .await;
    slots.into_iter().filter_map(|slot| slot.result).collect()
}
