//! The shell: it wires the stations, keeps the schedule, and tells systemd. All I/O that is neither
//! probing nor serving happens below here.
//!
//! `run` is a function: plan, listener, signals and the work itself come in. One task owns the state;
//! every check is a task of its own set, bounded in time, and a panic in one is contained.

mod alerts;
pub mod blackbox;
pub mod controls;
pub mod declared;
pub mod environment;
pub mod handed;
mod hold;
mod in_force;
pub mod inquiry;
pub mod kept;
pub mod keys;
pub mod lists;
pub mod load;
pub mod logging;
mod modules;
pub mod process;
mod reload;
mod schedule;
pub mod signals;
mod state;
mod systemd;
pub mod way;
pub mod web;

use std::collections::BTreeMap;
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::net::TcpListener;
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep_until};
use tracing::{error, info};

use crate::blackbox::Modules;
use crate::observation::{Change, Control};
use crate::plan::{Plan, Target};
use crate::publish::server;
use crate::store::{Own, Report, Store};
use alerts::Alerts;
use declared::declared;
use hold::Holds;
use in_force::InForce;
use inquiry::{Context, Memory};
use schedule::Agenda;
use state::{Keeper, Outlet};

/// A unit of work: one target's inquiry.
pub type Work =
    Arc<dyn Fn(Arc<Target>, Memory) -> Pin<Box<dyn Future<Output = Report> + Send>> + Send + Sync>;

/// A plan in force, with what does its work.
pub struct Setup {
    /// The plan.
    pub plan: Arc<Plan>,
    /// What asks a target.
    pub work: Work,
    /// The control hosts, for the baseline.
    pub controls: Option<Arc<controls::Controls>>,
    /// What answers `/probe`.
    pub probes: Option<Arc<blackbox::Probes>>,
    /// Who may ask the web port.
    pub access: Arc<server::Access>,
}

impl std::fmt::Debug for Setup {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Setup").field("plan", &self.plan).finish_non_exhaustive()
    }
}

impl Setup {
    /// The real work under a plan; what is known of control hosts comes over from an old setup.
    pub fn new(
        plan: Plan,
        modules: Option<Arc<Modules>>,
        old: Option<&Self>,
    ) -> Result<Self, crate::probe::Fault> {
        let context = Context { waits: false, ..Context::new(Arc::new(plan))? };
        if let Some(known) = old.and_then(|old| old.controls.as_ref()) {
            context.controls.remember(known);
        }
        let (plan, controls) = (Arc::clone(&context.plan), Some(Arc::clone(&context.controls)));
        let work: Work = Arc::new(move |target, memory| {
            Box::pin(inquiry::inquire(context.clone(), target, memory))
        });
        let probes = modules.zip(controls.clone()).map(|(modules, controls)| {
            let old = old.and_then(|old| old.probes.as_deref());
            blackbox::Probes::new(&plan, modules, controls, old).map(Arc::new)
        });
        Ok(Self { plan, work, controls, probes: probes.transpose()?, access: Arc::default() })
    }

    /// The same, for those who may ask.
    #[must_use]
    pub fn for_those(self, access: Arc<server::Access>) -> Self {
        Self { access, ..self }
    }
}

/// What comes from outside while the daemon runs.
#[derive(Debug)]
pub enum Order {
    /// Load the configuration again.
    Reload,
    /// Load the lists of targets, and the web configuration, again where they have changed.
    Lists,
    /// End.
    Stop,
}

/// Loads again what the order says, beside the setup in force; what is wrong is logged by it.
pub type Reload = Box<dyn Fn(&Setup, &Order) -> Reloaded + Send>;

/// What came of loading again.
#[derive(Debug, Default)]
pub struct Reloaded {
    /// What is in force from now on; none: the old one.
    pub setup: Option<Setup>,
    /// Whether all of it took: of a list that is wrong the last good one stays.
    pub is_sound: bool,
    /// What is wrong, rendered.
    pub wrong: String,
}

/// Runs until it is told to stop.
pub async fn run(
    setup: Setup,
    listener: TcpListener,
    mut orders: mpsc::Receiver<Order>,
    reload: Reload,
) {
    let now = process::now();
    let own = Own { started: now, reload_ok: true, reloaded: now, ..Own::default() };
    let mut daemon = Daemon::new(setup, own);
    let (end, ended) = tokio::sync::oneshot::channel::<()>();
    let mut servers = JoinSet::new();
    let (asking, mut asked) = in_force::reloads();
    servers.spawn(server::serve(
        listener,
        in_force::site(&daemon.in_force, daemon.outlet.subscribe(), asking),
        async {
            // A sender that is gone ends it as well.
            let (Ok(()) | Err(_)) = ended.await;
        },
    ));
    systemd::ready(&daemon.status_line());
    let mut watchdog = systemd::watchdog().map(tokio::time::interval);
    loop {
        let due = daemon.agenda.next_due(daemon.room());
        tokio::select! {
            order = orders.recv() => match order {
                Some(Order::Reload) => daemon.reload_all(&reload, None),
                Some(Order::Lists) => daemon.reload_changed(&reload),
                Some(Order::Stop) | None => break,
            },
            Some(answer) = asked.recv() => daemon.reload_all(&reload, Some(answer)),
            Some(done) = daemon.tasks.join_next_with_id() => daemon.finish(done),
            Some(measured) = daemon.measuring.join_next() => daemon.measured(measured),
            () = daemon.alerts.failed() => daemon.undelivered(),
            Some(ended) = daemon.holds.ended() => {
                ended.unwrap_or_else(|error| daemon.contain("a silent connection", &error));
            }
            Some(ended) = servers.join_next() => {
                // A daemon that nobody can ask is worse than a dead one.
                if let Err(error) = ended && let Ok(panic) = error.try_into_panic() {
                    std::panic::resume_unwind(panic);
                }
                break;
            }
            () = sleep_until(due) => daemon.start_due(),
            () = tick(&mut watchdog) => daemon.feed_watchdog(),
            () = sleep_until(daemon.look_at) => daemon.publish(),
        }
    }
    systemd::stopping();
    drop(end);
    daemon.tasks.abort_all();
    servers.join_next().await;
    daemon.end();
    info!("stopped");
}

async fn tick(watchdog: &mut Option<tokio::time::Interval>) {
    match watchdog {
        Some(watchdog) => {
            watchdog.tick().await;
        }
        None => std::future::pending().await,
    }
}

type Done = Result<(tokio::task::Id, Option<Report>), tokio::task::JoinError>;

/// What a control showed when nothing was tested but it.
struct Measured {
    control: String,
    change: Change,
    route: String,
    works: Option<bool>,
}

struct Daemon {
    setup: Setup,
    store: Store,
    outlet: Arc<Outlet>,
    /// How many snapshots were published.
    published: u64,
    /// When time was counted last, and when it is next.
    looked: Instant,
    look_at: Instant,
    /// Who keeps the state over a restart.
    keeper: Option<Keeper>,
    in_force: Arc<Mutex<InForce>>,
    agenda: Agenda,
    tasks: JoinSet<Option<Report>>,
    measuring: JoinSet<Measured>,
    /// Silent connections, which take longer than a check.
    holds: Holds,
    /// Who is told without a Prometheus.
    alerts: Alerts,
    /// When the control hosts are measured next.
    controls_due: Instant,
    /// The last findings of a full set, by target.
    standing: BTreeMap<String, crate::diagnosis::Findings>,
}

impl Daemon {
    fn new(setup: Setup, own: Own) -> Self {
        let mut store = Store::new(own);
        store.declare(setup.plan.site.clone(), declared(&setup.plan));
        store.certificates(declared::certificates(&setup.plan));
        store.settle(&state::places(&setup.plan));
        let mut keeper = Keeper::new(&setup.plan);
        if let Some(document) = keeper.as_ref().and_then(Keeper::read) {
            let restored = store.restore(&document, process::now());
            logging::restored(&document, restored);
        }
        let outlet = Arc::new(Outlet::new(store.snapshot()));
        if let Some(keeper) = &mut keeper {
            keeper.begin(Arc::clone(&outlet));
        }
        let agenda = Agenda::new(&setup.plan, None);
        Self {
            alerts: Alerts::start(&setup, outlet.subscribe()),
            in_force: Arc::new(Mutex::new(InForce::of(&setup))),
            outlet,
            published: 0,
            looked: Instant::now(),
            look_at: Instant::now(),
            keeper,
            agenda,
            setup,
            store,
            tasks: JoinSet::new(),
            measuring: JoinSet::new(),
            holds: Holds::default(),
            controls_due: Instant::now(),
            standing: BTreeMap::new(),
        }
    }

    /// The state as it is now, for all views: at once, or as soon as it is kept.
    fn publish(&mut self) {
        let now = Instant::now();
        self.store.pass(now - std::mem::replace(&mut self.looked, now));
        self.look_at = now + LOOK;
        self.published += 1;
        let snapshot = self.store.snapshot();
        let kept = self.keeper.as_ref();
        if !kept.is_some_and(|keeper| keeper.take(self.published, Arc::clone(&snapshot))) {
            self.outlet.put(self.published, snapshot);
        }
    }

    /// What is known is kept, where it can be.
    fn end(mut self) {
        self.publish();
        if let Some(keeper) = self.keeper {
            keeper.end();
        }
    }

    fn start_due(&mut self) {
        if Instant::now() >= self.controls_due {
            self.measure_controls();
        }
        self.store.own().late += self.agenda.count_late();
        for target in self.agenda.take_due(self.room()) {
            let memory = self.memory(&target);
            let bound = target.bound() + GRACE;
            let work = (self.setup.work)(Arc::clone(&target), memory);
            // Its own bound is kept inside; this one is for what no code can promise.
            let task =
                self.tasks.spawn(async move { tokio::time::timeout(bound, work).await.ok() });
            self.agenda.started(&target.name, task.id());
        }
        self.agenda.wake_for(self.controls_due);
    }

    /// How many checks may start now.
    fn room(&self) -> usize {
        self.setup.plan.concurrency.saturating_sub(self.tasks.len())
    }

    fn memory(&self, target: &Target) -> Memory {
        let before = target.routes.iter().filter_map(|used| {
            let route = used.route.name.clone();
            let id = crate::store::CheckId { target: target.name.clone(), route: route.clone() };
            Some((route, self.store.before(&id)?))
        });
        let standing = self.standing.get(&target.name).filter(|findings| {
            let age = process::now().duration_since(findings.at);
            Duration::try_from(age).is_ok_and(|age| age < self.setup.plan.again)
        });
        Memory { before: before.collect(), standing: standing.cloned() }
    }

    fn measure_controls(&mut self) {
        self.controls_due = Instant::now() + self.setup.plan.control_interval;
        let Some(controls) = &self.setup.controls else { return };
        let plan = &self.setup.plan;
        for route in &plan.routes {
            for change in plan.standing_controls() {
                let (controls, route) = (Arc::clone(controls), route.clone());
                let control = match change {
                    Change::ControlHost(index) => {
                        plan.controls.get(index).map(|control| control.host.to_string())
                    }
                    _ => Some(change.control().label().to_owned()),
                };
                let control = control.unwrap_or_default();
                self.measuring.spawn(async move {
                    let works = controls.measure(&route, change).await;
                    Measured { control, change, route: route.name, works }
                });
            }
        }
    }

    fn measured(&mut self, measured: Result<Measured, tokio::task::JoinError>) {
        match measured {
            Ok(Measured { control, change, route, works: Some(works) }) => {
                // A control that fails while targets work over the same route is itself dead: it
                // proves nothing any more.
                let dead = !works && change.control() == Control::ControlHost;
                if let Some(controls) = self.setup.controls.as_ref().filter(|_| dead)
                    && self.store.works_over(&route)
                {
                    controls.forget(&route, change);
                }
                self.store.control(control, route, works);
                self.publish();
            }
            Ok(Measured { works: None, .. }) => {}
            Err(error) => self.contain("a control host", &error),
        }
    }

    fn finish(&mut self, done: Done) {
        let (id, report) = match done {
            Ok((id, Some(report))) => (id, Ok(report)),
            Ok((id, None)) => (id, Err("its own bound was reached")),
            Err(error) => {
                self.contain("a check", &error);
                (error.id(), Err("a panic inside of it was contained"))
            }
        };
        // A check of an older plan has no place any more.
        let Some(target) = self.agenda.finished(id) else { return };
        let is_lost = report.is_err();
        let changes = match report {
            Ok(report) => {
                logging::report(&report);
                self.holds.after(&report, &self.setup);
                // Only what fails is worth remembering: a healthy target has nothing that could stand.
                if report.findings.symptom.iter().any(Option::is_some) {
                    self.standing.insert(target, report.findings.clone());
                } else {
                    self.standing.remove(&target);
                }
                self.store.apply(report)
            }
            Err(why) => {
                self.store.own().late += u64::from(why.starts_with("its own"));
                self.store.unknown(&target, why, process::now())
            }
        };
        if is_lost || !changes.is_empty() {
            // Who reads of a change can ask for it; what egressd could not finish is no routine, either.
            self.publish();
        } else {
            self.look_at = self.look_at.min(Instant::now() + SOON);
        }
        changes.iter().for_each(logging::change);
        if !changes.is_empty() {
            systemd::status(&self.status_line());
        }
    }

    fn undelivered(&mut self) {
        self.store.own().alerts_failed += 1;
        self.publish();
    }

    fn contain(&mut self, what: &str, error: &tokio::task::JoinError) {
        if error.is_panic() {
            self.store.own().panics += 1;
            error!("{what} panicked; the panic was contained");
        }
    }

    fn feed_watchdog(&mut self) {
        if self.agenda.is_overdue(self.room()) {
            error!("a check is overdue: the watchdog is not fed");
        } else {
            systemd::alive();
        }
    }

    fn status_line(&self) -> String {
        systemd::status_line(&self.store.snapshot())
    }
}

/// How often the time of verdicts is counted while nothing else happens.
const LOOK: Duration = Duration::from_secs(10);
/// What only counts is published together: a snapshot is of all checks, however many there are.
const SOON: Duration = Duration::from_millis(100);
/// What a check may take beyond its own bound before it is given up.
const GRACE: Duration = Duration::from_secs(2);
