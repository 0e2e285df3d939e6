//! Alerts, brought to each Alertmanager over probe's own tunnels: at once what is new, the rest every minute, what
//! failed again with a growing pause. Beside the checks, which never wait for it; the newest snapshot counts.
//!
//! An empty list is sent too: a way that is broken is then known before it is needed.

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};
use tracing::{info, warn};

use super::{Setup, environment, keys, process, way};
use crate::plan::{Alertmanager, Endpoint, Plan};
use crate::probe::Network;
use crate::publish::alerts::{Alert, Origin, Standing, json};
use crate::store::Snapshot;

/// Alerts in one request: with their texts less than the 1 MiB at which nginx refuses (`client_max_body_size`).
const BATCH: usize = 256;
/// The pause after a first failure; each one after it is twice as long, up to `LONGEST`.
const FIRST: Duration = Duration::from_secs(1);
const LONGEST: Duration = Duration::from_secs(30);
/// Between two looks, and between two deliveries, at least.
const GAP: Duration = Duration::from_secs(1);

/// Who is told, and how.
#[derive(Debug)]
struct Destination {
    alertmanager: Alertmanager,
    network: Arc<Network>,
    origin: Origin,
}

impl Destination {
    fn of(setup: &Setup) -> Option<Arc<Self>> {
        let alertmanager = setup.plan.alertmanager.clone()?;
        let (_, network) = setup.controls.as_ref()?.parts();
        let origin = origin(&setup.plan, &alertmanager);
        Some(Arc::new(Self { alertmanager, network, origin }))
    }
}

/// Where alerts come from. A status that only this host reaches is no link.
fn origin(plan: &Plan, alertmanager: &Alertmanager) -> Origin {
    let (instance, listen) = (environment::host_name(), plan.listen);
    let host = if listen.ip().is_unspecified() {
        format!("{instance}:{}", listen.port())
    } else {
        listen.to_string()
    };
    let status_url = (!listen.ip().is_loopback()).then(|| format!("http://{host}/api/v1/status"));
    let (hold, runbooks) = (alertmanager.hold, alertmanager.runbooks.clone());
    Origin { instance, status_url, runbooks, hold }
}

/// The task that delivers, and what it says.
pub(super) struct Alerts {
    to: watch::Sender<Option<Arc<Destination>>>,
    failures: mpsc::Receiver<()>,
    task: JoinSet<()>,
}

impl Alerts {
    /// Begins to deliver what these snapshots show.
    pub(super) fn start(setup: &Setup, snapshots: watch::Receiver<Arc<Snapshot>>) -> Self {
        let (to, destinations) = watch::channel(Destination::of(setup));
        let (failed, failures) = mpsc::channel(16);
        let mut task = JoinSet::new();
        task.spawn(run(snapshots, destinations, failed));
        Self { to, failures, task }
    }

    /// From now on to those of this setup.
    pub(super) fn reload(&self, setup: &Setup) {
        self.to.send_replace(Destination::of(setup));
    }

    /// Waits for a delivery that failed.
    pub(super) async fn failed(&mut self) {
        tokio::select! {
            Some(()) = self.failures.recv() => {}
            Some(ended) = self.task.join_next() => resume(ended),
            else => std::future::pending().await,
        }
    }
}

/// Nobody would be told any more: the process ends, and is started again.
fn resume(ended: Result<(), tokio::task::JoinError>) {
    if let Err(error) = ended
        && let Ok(panic) = error.try_into_panic()
    {
        std::panic::resume_unwind(panic);
    }
}

async fn run(
    mut snapshots: watch::Receiver<Arc<Snapshot>>,
    mut destinations: watch::Receiver<Option<Arc<Destination>>>,
    failed: mpsc::Sender<()>,
) {
    let mut standing = Standing::default();
    loop {
        let destination = destinations.borrow_and_update().clone();
        let Some(to) = destination else {
            standing = Standing::default();
            if destinations.changed().await.is_err() {
                return;
            }
            continue;
        };
        let (alerts, told) = watch::channel(Arc::new(Vec::new()));
        let mut senders = JoinSet::new();
        for endpoint in to.alertmanager.endpoints.clone() {
            let (to, told, failed) = (Arc::clone(&to), told.clone(), failed.clone());
            senders.spawn(async move { tell(&to, &endpoint, told, &failed).await });
        }
        loop {
            let now = process::now();
            let snapshot = Arc::clone(&snapshots.borrow_and_update());
            standing.update(&snapshot, &to.origin, now);
            show(&alerts, standing.alerts());
            let wait = standing.next(now).map_or(Alertmanager::EVERY, |next| next.max(GAP));
            tokio::select! {
                // Each finished check is a change: one look takes in all of a second.
                changed = pause_then(&mut snapshots) => if changed.is_err() { return },
                changed = destinations.changed() => {
                    if changed.is_err() { return }
                    break;
                }
                Some(ended) = senders.join_next() => resume(ended),
                () = sleep(wait.min(Alertmanager::EVERY)) => {}
            }
        }
    }
}

async fn pause_then(
    snapshots: &mut watch::Receiver<Arc<Snapshot>>,
) -> Result<(), watch::error::RecvError> {
    sleep(GAP).await;
    snapshots.changed().await
}

fn show(alerts: &watch::Sender<Arc<Vec<Alert>>>, now: Vec<Alert>) {
    alerts.send_if_modified(|before| {
        let changed = **before != now;
        if changed {
            *before = Arc::new(now);
        }
        changed
    });
}

/// Tells one Alertmanager, for as long as somebody has something to say.
async fn tell(
    to: &Destination,
    endpoint: &Endpoint,
    mut alerts: watch::Receiver<Arc<Vec<Alert>>>,
    failed: &mpsc::Sender<()>,
) {
    let (mut pause, mut trouble) = (FIRST, None);
    loop {
        let list = Arc::clone(&alerts.borrow_and_update());
        let wrong = deliver(to, endpoint, &list, process::now()).await.err();
        log(endpoint, trouble.as_ref(), wrong.as_ref());
        let wait = if wrong.is_some() {
            if failed.send(()).await.is_err() {
                return;
            }
            let wait = pause;
            pause = (pause * 2).min(LONGEST);
            sleep(wait).await;
            Duration::ZERO
        } else {
            pause = FIRST;
            sleep(GAP).await;
            Alertmanager::EVERY.saturating_sub(GAP)
        };
        trouble = wrong;
        // What is new goes at once, and what is not in its time.
        if let Ok(Err(_)) = timeout(wait, alerts.changed()).await {
            return;
        }
    }
}

/// What was wrong with a delivery, in our own words.
#[derive(Debug, PartialEq)]
struct Wrong {
    layer: &'static str,
    kind: String,
}

/// Delivers all of them in requests of a size that proxies take; none at all is a request, too.
async fn deliver(
    to: &Destination,
    endpoint: &Endpoint,
    alerts: &[Alert],
    now: Timestamp,
) -> Result<(), Wrong> {
    let (first, others) = alerts.split_at(alerts.len().min(BATCH));
    send(to, endpoint, first, now).await?;
    for batch in others.chunks(BATCH) {
        send(to, endpoint, batch, now).await?;
    }
    Ok(())
}

async fn send(
    to: &Destination,
    endpoint: &Endpoint,
    alerts: &[Alert],
    now: Timestamp,
) -> Result<(), Wrong> {
    let body = bytes::Bytes::from(json(alerts, &to.origin, now));
    let route = &to.alertmanager.route;
    let login = to.alertmanager.account.as_ref().map(keys::basic).transpose();
    let login =
        login.map_err(|why| Wrong { layer: "local", kind: format!("credential: {why}") })?;
    let planned = |route: &crate::plan::Route| {
        let mut planned = to.alertmanager.trip((endpoint, route), body.clone(), login.clone());
        keys::equip(&mut planned);
        planned
    };
    let trip = way::walk(&to.network, route, &endpoint.url, planned).await.trip;
    if let Some(failure) = trip.failure() {
        return Err(Wrong { layer: failure.layer(), kind: failure.kind().to_owned() });
    }
    let status = trip.leading().and_then(|leg| leg.response.as_ref()).map(|answer| answer.status);
    match status {
        Some(200..=299) => Ok(()),
        Some(status) => Err(Wrong { layer: "http", kind: format!("status {status}") }),
        None => Err(Wrong { layer: "http", kind: "no answer".to_owned() }),
    }
}

/// One line for each change.
fn log(endpoint: &Endpoint, before: Option<&Wrong>, now: Option<&Wrong>) {
    let alertmanager = endpoint.shown();
    match (before, now) {
        (_, Some(now)) if before != Some(now) => {
            let (layer, kind) = (now.layer, now.kind.as_str());
            warn!(alertmanager, layer, kind, "alerts cannot be delivered; each try is counted");
        }
        (Some(_), None) => info!(alertmanager, "alerts are delivered again"),
        (_, Some(_)) | (None, None) => {}
    }
}
