//! Another plan in the place of the one in force: what stays as it is goes on, also what is under way.

use std::sync::PoisonError;

use tokio::task::JoinSet;
use tokio::time::Instant;
use tracing::{info, warn};

use super::declared::{self, declared};
use super::hold::Holds;
use super::in_force::InForce;
use super::schedule::Agenda;
use super::{Daemon, Reload, process, state};
use crate::plan::Plan;

impl Daemon {
    pub(super) fn reload(&mut self, reload: &Reload) {
        let fresh = reload(&self.setup);
        self.store.own().reload_ok = fresh.is_some();
        if let Some(setup) = fresh {
            if setup.plan.listen != self.setup.plan.listen {
                warn!("[server] listen takes effect with a restart");
            }
            if setup.plan.state != self.setup.plan.state {
                warn!("[state] dir takes effect with a restart");
            }
            if setup.plan.log != self.setup.plan.log {
                warn!("[log] takes effect with a restart");
            }
            self.store.own().reloaded = process::now();
            self.store.declare(setup.plan.site.clone(), declared(&setup.plan));
            self.store.settle(&state::places(&setup.plan));
            self.store.certificates(declared::certificates(&setup.plan));
            // A check under way goes on only where nothing but the targets has changed: else its
            // evidence is of another plan.
            let same = Plan { targets: Vec::new(), ..(*setup.plan).clone() }
                == Plan { targets: Vec::new(), ..(*self.setup.plan).clone() };
            if !same {
                self.tasks.abort_all();
                self.agenda.forget_running();
            }
            self.agenda = Agenda::new(&setup.plan, Some(&self.agenda));
            *self.in_force.lock().unwrap_or_else(PoisonError::into_inner) = InForce::of(&setup);
            self.setup = setup;
            self.alerts.reload(&self.setup);
            // Findings were made under other rules of the house.
            self.standing.clear();
            self.measuring = JoinSet::new();
            self.holds = Holds::default();
            self.controls_due = Instant::now();
            self.agenda.wake_for(self.controls_due);
            info!("reloaded");
        }
        self.publish();
    }
}
