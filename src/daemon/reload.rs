//! Another plan in the place of the one in force: what stays as it is goes on, also what is under way.

use std::sync::PoisonError;

use tokio::task::JoinSet;
use tokio::time::Instant;
use tracing::{info, warn};

use super::declared::{self, declared};
use super::in_force::{Answer, InForce};
use super::schedule::Agenda;
use super::{Daemon, Order, Reload, Reloaded, process, state, systemd};
use crate::plan::{Plan, Target};

impl Daemon {
    /// All of it, as a signal or somebody at the web port asks, who is told what came of it.
    pub(super) fn reload_all(&mut self, reload: &Reload, answer: Option<Answer>) {
        systemd::reloading();
        let told = self.reload(reload, &Order::Reload);
        systemd::ready(&self.status_line());
        if let Some(answer) = answer {
            // Whoever asked may have gone.
            let (Ok(()) | Err(_)) = answer.send(told);
        }
    }

    /// What has changed of the files that are looked at.
    pub(super) fn reload_changed(&mut self, reload: &Reload) {
        let before = self.status_line();
        let (Ok(()) | Err(_)) = self.reload(reload, &Order::Lists);
        if self.status_line() != before {
            systemd::status(&self.status_line());
        }
    }

    /// What is wrong, where something is, has been logged by whoever loads.
    fn reload(&mut self, reload: &Reload, order: &Order) -> Result<(), String> {
        let Reloaded { setup, is_sound, wrong } = reload(&self.setup, order);
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
        if is_sound { Ok(()) } else { Err(wrong) }
    }
}
