//! What the web port needs of the setup in force, and the port's pages made of it. A reload takes its place, while
//! the port stays.

use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::{mpsc, oneshot, watch};

use super::{Setup, blackbox, declared, environment, keys, process};
use crate::publish::metrics::{Choice, Outside};
use crate::publish::server::{Access, Reply, Site};
use crate::store::Snapshot;

/// What the web port needs.
#[derive(Clone, Debug)]
pub(super) struct InForce {
    choice: Choice,
    hosts: Vec<String>,
    /// The files that hold secrets.
    secrets: keys::Files,
    probes: Option<Arc<blackbox::Probes>>,
    access: Arc<Access>,
}

/// Where who asks for a reload waits for what came of it.
pub(super) type Answer = oneshot::Sender<Result<(), String>>;

/// Where a reload is asked for over the web port.
pub(super) type Asking = mpsc::Sender<Answer>;

/// The same, and where it is heard: one at a time.
pub(super) fn reloads() -> (Asking, mpsc::Receiver<Answer>) {
    mpsc::channel(1)
}

impl InForce {
    pub(super) fn of(setup: &Setup) -> Self {
        let plan = &setup.plan;
        let mut hosts = plan.hosts.clone();
        hosts.push(environment::host_name());
        let (choice, secrets) = (declared::choice(plan), keys::files(plan));
        let (probes, access) = (setup.probes.clone(), Arc::clone(&setup.access));
        Self { choice, hosts, secrets, probes, access }
    }
}

/// The pages, as of whatever is in force when one is asked for.
pub(super) fn site(
    in_force: &Arc<Mutex<InForce>>,
    snapshot: watch::Receiver<Arc<Snapshot>>,
    asking: Asking,
) -> Arc<Site> {
    let [choice, hosts, secrets, probes, access] = [(); 5].map(|()| Arc::clone(in_force));
    let read = |of: &Arc<Mutex<InForce>>| of.lock().unwrap_or_else(PoisonError::into_inner).clone();
    Arc::new(Site {
        snapshot,
        choice: Box::new(move || read(&choice).choice),
        outside: Box::new(move || Outside {
            process: process::read(),
            credentials: keys::ages(&read(&secrets).secrets, process::now()),
        }),
        hosts: Box::new(move || read(&hosts).hosts),
        probe: Box::new(move |asked| {
            let probes = read(&probes).probes;
            Box::pin(async move {
                match probes {
                    Some(probes) => probes.answer(asked).await,
                    None => Reply::off(),
                }
            })
        }),
        access: Box::new(move || read(&access).access),
        reload: Box::new(move || {
            let asking = asking.clone();
            Box::pin(async move {
                let (answer, answered) = oneshot::channel();
                let stops = || "egressd is stopping".to_owned();
                asking.send(answer).await.map_err(|_gone| stops())?;
                answered.await.unwrap_or_else(|_gone| Err(stops()))
            })
        }),
    })
}
