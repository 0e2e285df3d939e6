//! `/probe`: one question of a Prometheus, one inquiry by a module, one answer. It publishes nothing else and keeps
//! nothing: what is asked here is no check.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{Semaphore, SemaphorePermit};
use tokio::time::{Instant, timeout};

use super::inquiry::{Context, Memory, as_seen};
use super::{controls::Controls, keys};
use crate::blackbox::{
    self, CONTENT_TYPE, Modules, Numbers, Query, Refusal, families, judge, planned, time_for,
};
use crate::observation::Control;
use crate::plan::{Pac, Plan, Proxy, Route, Target, Way};
use crate::probe::{Fault, Network};
use crate::publish::server::{Asked, Reply};

/// Probes at the same time.
const AT_ONCE: usize = 4;
/// Probes that wait for one of them to end.
const WAITING: usize = 16;

/// The modules in force, with what walks their trips.
pub struct Probes {
    modules: Arc<Modules>,
    plan: Plan,
    network: Arc<Network>,
    /// What the daemon knows of the routes that are here as they are there.
    known: (Arc<Controls>, Vec<Route>),
    /// What is tried over the others, which have no login here: it must not be taken for what the daemon's own show.
    own: Arc<Controls>,
    places: Arc<Places>,
}

/// Who may go, and who may wait for it: the web port has to stay open for others.
struct Places {
    inside: Semaphore,
    going: Semaphore,
}

impl std::fmt::Debug for Probes {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Probes")
    }
}

impl Probes {
    /// What answers for these modules under a plan, in the place of what did so before.
    pub fn new(
        plan: &Plan,
        modules: Arc<Modules>,
        controls: Arc<Controls>,
        old: Option<&Self>,
    ) -> Result<Self, Fault> {
        let mut plan = plan.clone();
        let theirs = plan.routes.clone();
        // egressd's own logins and keys are not for whoever asks here.
        plan.routes = plan.routes.iter().map(without_login).collect();
        // Another port is one that the module may not name, and the name elsewhere is no address of its.
        let not = [Control::OtherPort, Control::NameElsewhere];
        plan.allowed.retain(|control| !not.contains(control));
        // The roots of each module are prepared once.
        let trusts = modules.modules.iter().filter_map(|module| module.http.tls.trust.clone());
        let (_, others) = controls.parts();
        let network = Arc::new(Network::judging(&plan, trusts)?.sharing(&others));
        if let Some(old) = old {
            // A login inside of a `proxy_url` that was rejected stays so.
            network.remember(&old.network);
        }
        plan.targets = Vec::new();
        let same = plan.routes.iter().filter(|route| theirs.contains(route)).cloned().collect();
        let own = Arc::new(Controls::new(Arc::new(plan.clone()), Arc::clone(&network)));
        // Those of before a reload may still be under way.
        let places = old.map(|old| Arc::clone(&old.places)).unwrap_or_default();
        Ok(Self { modules, plan, network, known: (controls, same), own, places })
    }

    fn controls(&self, target: &Target) -> &Arc<Controls> {
        let (theirs, same) = &self.known;
        let is_known = target.routes.iter().all(|used| same.contains(&used.route));
        if is_known { theirs } else { &self.own }
    }

    /// Answers one question.
    pub async fn answer(&self, asked: Asked) -> Reply {
        match self.probe(&asked).await {
            Ok(reply) => reply,
            Err(Refusal { status, why }) => Reply {
                status,
                content_type: "text/plain; charset=utf-8",
                body: format!("{why}\n"),
            },
        }
    }

    async fn probe(&self, asked: &Asked) -> Result<Reply, Refusal> {
        let query = Query::read(&asked.query)?;
        let module = query.module(&self.modules)?;
        let whole = time_for(module.timeout, asked.scrape_timeout.as_deref())?;
        let mut plan = planned(&self.plan, (module, &query), whole, keys::as_kept)?;
        let asked_at = Instant::now();
        let _place = self.places.take(whole / 2).await?;
        let time = whole.saturating_sub(asked_at.elapsed());
        plan.targets.iter_mut().for_each(|target| target.timeout = time);
        let Some(target) = plan.targets.first().cloned().map(Arc::new) else {
            return Err(Refusal::bad("the target is none"));
        };
        let begun = Instant::now();
        let context = Context {
            plan: Arc::new(plan),
            network: Arc::clone(&self.network),
            controls: Arc::clone(self.controls(&target)),
            waits: false,
            asker: Some(time),
        };
        let mut report = as_seen(context, Arc::clone(&target), Memory::default()).await;
        let judged = match report.trips.first() {
            Some(walked) => judge(module, &walked.trip, report.findings.routes.first()),
            None => return Err(Refusal::bad("no route takes this target")),
        };
        self.network.secrets().blot(|see| report.texts(see));
        let verdict = report.findings.routes.first();
        let Some(walked) = report.trips.first() else {
            return Err(Refusal::bad("no route takes this target"));
        };
        let trip = &walked.trip;
        let rules = target.rules.as_ref();
        if let Some(address) = rules.and_then(|rules| rules.refused(trip)) {
            return Err(module.refuses(address));
        }
        let seconds = begun.elapsed().as_secs_f64();
        let seconds = if report.experiments.is_empty() { seconds } else { trip.seconds };
        let numbers = Numbers { seconds, timeout: whole.as_secs_f64() };
        let metrics = blackbox::render(&families(trip, &judged, numbers));
        let body = if query.debug {
            blackbox::debug_text((module, &query), trip, (&judged, verdict), &metrics)
        } else {
            metrics
        };
        Ok(Reply { status: 200, content_type: CONTENT_TYPE, body })
    }
}

impl Default for Places {
    fn default() -> Self {
        let inside = Semaphore::new(AT_ONCE + WAITING);
        Self { inside, going: Semaphore::new(AT_ONCE) }
    }
}

impl Places {
    /// A place, once there is one. Whoever goes away leaves it.
    async fn take(
        &self,
        most: Duration,
    ) -> Result<(SemaphorePermit<'_>, SemaphorePermit<'_>), Refusal> {
        let full = || {
            let why =
                format!("{AT_ONCE} probes are under way: ask less often, or add a [[target]]");
            Refusal { status: 503, why }
        };
        let inside = self.inside.try_acquire().map_err(|_full| full())?;
        match timeout(most, self.going.acquire()).await {
            Ok(Ok(going)) => Ok((inside, going)),
            Ok(Err(_)) | Err(_) => Err(full()),
        }
    }
}

fn without_login(route: &Route) -> Route {
    let way = match &route.way {
        Way::Proxy(proxy) => Way::Proxy(Arc::new(Proxy {
            account: None,
            headers: Vec::new(),
            ..Proxy::clone(proxy)
        })),
        Way::Pac(pac) => {
            Way::Pac(Arc::new(Pac { account: None, headers: Vec::new(), ..Pac::clone(pac) }))
        }
        Way::Direct => Way::Direct,
    };
    route.by(way)
}
