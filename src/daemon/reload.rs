//! Another plan in the place of the one in force: what stays as it is goes on, also what is under way.

use std::sync::PoisonError;

use tokio::task::JoinSet;
use tokio::time::Instant;
use tracing::{info, warn};

use super::declared::{self, declared};
use super::in_force::InForce;
use super::schedule::Agenda;
use super::{Daemon, Order, Reload, Reloaded, process, state};
use crate::plan::{Plan, Target};

impl Daemon {
    pub(super) fn reload(&mut self, reload: &Reload, order: &Order) {
        let Reloaded { setup, is_sound } = reload(&self.setup, order);
        self.store.own().reload_ok = is_sound;
        if let Some(setup) = setup {
            if setup.plan.listen != self.setup.plan.listen {
                warn!("[server] listen takes effect with a restart");
            }
            if setup.plan.state != self.setup.plan.state {
                warn!("[state] dir takes effect with a restart");
            }
            self.store.own().reloaded = process::now();
            self.store.declare(setup.plan.site.clone(), declared(&setup.plan));
            self.store.settle(&state::places(&setup.plan));
            self.store.certificates(declared::certificates(&setup.plan));
            // A check under way goes on only where nothing but targets and log have changed: else its
            // evidence is of another plan.
            let (log, of) =
                (&setup.plan.log, |plan: &Plan| Plan { targets: Vec::new(), ..plan.clone() });
            let same = of(&setup.plan) == Plan { log: log.clone(), ..of(&self.setup.plan) };
            if !same {
                self.tasks.abort_all();
                self.agenda.forget_running();
                self.store.forget_controls();
            }
            // Findings were made under other rules of the house, or of another target.
            let [of, before] = [&setup.plan, &self.setup.plan].map(|plan| &plan.targets);
            let target = |all: &[Target], name: &str| all.iter().find(|t| t.name == name).cloned();
            let stays = |name: &str| same && target(of, name) == target(before, name);
            self.standing.retain(|name, _| stays(name));
            self.holds.under_another(stays);
            self.agenda = Agenda::new(&setup.plan, Some(&self.agenda));
            *self.in_force.lock().unwrap_or_else(PoisonError::into_inner) = InForce::of(&setup);
            self.setup = setup;
            self.alerts.reload(&self.setup);
            // What is measured now would be told to those who are asked no more.
            if !same || !self.measuring.is_empty() {
                self.measuring = JoinSet::new();
                self.controls_due = Instant::now();
            }
            self.agenda.wake_for(self.controls_due);
            info!("reloaded: {} targets", self.setup.plan.targets.len());
        }
        self.publish();
    }
}
