//! What the web port needs of the setup in force, and the port's pages made of it. A reload takes its place, while
//! the port stays.

use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::watch;

use super::{Setup, blackbox, declared, environment, keys, process};
use crate::publish::metrics::{Choice, Outside};
use crate::publish::server::{Reply, Site};
use crate::store::Snapshot;

/// What the web port needs.
#[derive(Clone, Debug)]
pub(super) struct InForce {
    choice: Choice,
    hosts: Vec<String>,
    /// The files that hold secrets.
    secrets: keys::Files,
    probes: Option<Arc<blackbox::Probes>>,
}

impl InForce {
    pub(super) fn of(setup: &Setup) -> Self {
        let plan = &setup.plan;
        let mut hosts = plan.hosts.clone();
        hosts.push(environment::host_name());
        let (choice, secrets) = (declared::choice(plan), keys::files(plan));
        Self { choice, hosts, secrets, probes: setup.probes.clone() }
    }
}

/// The pages, as of whatever is in force when one is asked for.
pub(super) fn site(
    in_force: &Arc<Mutex<InForce>>,
    snapshot: watch::Receiver<Arc<Snapshot>>,
) -> Arc<Site> {
    let [choice, hosts, secrets, probes] = [(); 4].map(|()| Arc::clone(in_force));
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
    })
}
