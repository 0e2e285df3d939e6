//! Which target is due, which runs, and which is late: the plan's grid, laid over this process's clock.

use std::sync::Arc;
use std::time::Duration;

use tokio::task::Id;
use tokio::time::Instant;

use super::GRACE;
use crate::plan::{Plan, Schedule, Target};

/// All targets of a plan.
#[derive(Debug)]
pub(super) struct Agenda {
    began: Instant,
    slots: Vec<Slot>,
    /// Another moment at which the loop has something to do.
    wake: Option<Instant>,
}

#[derive(Debug)]
struct Slot {
    target: Arc<Target>,
    grid: Schedule,
    /// The grid's place of the newest start, as a length since the begin.
    last: Option<Duration>,
    due: Duration,
    running: Option<(Id, Instant)>,
    counted_late: bool,
}

impl Agenda {
    /// The agenda of a plan. A target that an older one has keeps its place on the grid, its last start and a check
    /// under way.
    pub(super) fn new(plan: &Plan, old: Option<&Self>) -> Self {
        let began = old.map_or_else(Instant::now, |old| old.began);
        let now = began.elapsed();
        let count = plan.targets.len();
        let slots = plan.targets.iter().enumerate().map(|(place, target)| {
            let known = old.and_then(|old| old.slots.iter().find(|slot| *slot.target == *target));
            let last = known.and_then(|slot| slot.last);
            let fresh = || Schedule::new(place, count, target.interval);
            let grid = known.map_or_else(fresh, |slot| slot.grid);
            Slot {
                due: known.map_or_else(|| grid.next(last, now), |slot| slot.due),
                target: Arc::new(target.clone()),
                grid,
                last,
                running: known.and_then(|slot| slot.running),
                counted_late: false,
            }
        });
        Self { began, slots: slots.collect(), wake: None }
    }

    /// When the loop has to look again. Without room nothing can start before something ends, and that
    /// wakes the loop by itself.
    pub(super) fn next_due(&self, room: usize) -> Instant {
        let idle = self.slots.iter().filter(|slot| slot.running.is_none() && room > 0);
        let due = idle.map(|slot| self.began + slot.due).min();
        let far = Instant::now() + Duration::from_secs(3600);
        due.into_iter().chain(self.wake).min().unwrap_or(far)
    }

    /// Checks under way are none of this agenda any more.
    pub(super) fn forget_running(&mut self) {
        let now = self.began.elapsed();
        for slot in self.slots.iter_mut().filter(|slot| slot.running.is_some()) {
            slot.running = None;
            slot.due = now;
        }
    }

    pub(super) fn wake_for(&mut self, at: Instant) {
        self.wake = Some(at);
    }

    /// The targets that are due now, at most so many; the longest due come first.
    pub(super) fn take_due(&mut self, room: usize) -> Vec<Arc<Target>> {
        let now = self.began.elapsed();
        let mut due: Vec<&Slot> =
            self.slots.iter().filter(|slot| slot.running.is_none() && slot.due <= now).collect();
        due.sort_by_key(|slot| slot.due);
        due.into_iter().take(room).map(|slot| Arc::clone(&slot.target)).collect()
    }

    pub(super) fn started(&mut self, target: &str, id: Id) {
        if let Some(slot) = self.slots.iter_mut().find(|slot| slot.target.name == target) {
            slot.running = Some((id, Instant::now()));
            slot.last = Some(slot.due);
            slot.counted_late = false;
        }
    }

    /// The target whose check this was, if it is still on the agenda.
    pub(super) fn finished(&mut self, id: Id) -> Option<String> {
        let now = self.began.elapsed();
        let ours = |slot: &&mut Slot| matches!(slot.running, Some((running, _)) if running == id);
        let slot = self.slots.iter_mut().find(ours)?;
        slot.running = None;
        slot.due = slot.grid.next(slot.last, now);
        Some(slot.target.name.clone())
    }

    /// Starts that are a whole interval late for lack of room; each is counted once.
    pub(super) fn count_late(&mut self) -> u64 {
        let now = self.began.elapsed();
        let mut count = 0;
        for slot in &mut self.slots {
            if slot.is_late(now) && !slot.counted_late {
                slot.counted_late = true;
                count += 1;
            }
        }
        count
    }

    /// Whether a check runs beyond its bound, or is due and was not started.
    pub(super) fn is_overdue(&self, room: usize) -> bool {
        let now = self.began.elapsed();
        self.slots.iter().any(|slot| match slot.running {
            Some((_, since)) => since.elapsed() > slot.target.bound() + 2 * GRACE,
            // Waiting for a place is late, and counted; it is not being stuck.
            None => room > 0 && slot.is_late(now),
        })
    }
}

impl Slot {
    fn is_late(&self, now: Duration) -> bool {
        self.running.is_none() && now > self.due + self.target.interval.max(GRACE)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::{Given, build};

    /// One target each minute, whose check is bounded by four seconds.
    fn agenda() -> Agenda {
        let text = "[probe]\ninterval = \"60s\"\ntimeout = \"1s\"\n[trust]\nsystem = false\n\
                    [[target]]\nname = \"api\"\nurl = \"https://api.example/\"\n";
        let (config, _) = crate::config::parse(text);
        let given = Given {
            variables: std::collections::BTreeMap::default(),
            proxies: crate::plan::ProxyVariables::default(),
            files: std::collections::BTreeMap::default(),
            lists: Vec::new(),
            system_roots: Ok(Vec::new()),
        };
        let (plan, problems) = build(&config, &given);
        Agenda::new(&plan.unwrap_or_else(|| panic!("{problems:?}")), None)
    }

    async fn until(at: u64, agenda: &Agenda) {
        tokio::time::sleep_until(agenda.began + Duration::from_secs(at)).await;
    }

    #[tokio::test(start_paused = true)]
    async fn a_check_beyond_its_bound_is_overdue_until_it_ends() {
        let mut agenda = agenda();
        let mut tasks = tokio::task::JoinSet::new();
        let task = tasks.spawn(std::future::pending::<()>());
        agenda.started("api", task.id());
        // Four seconds, and twice the grace of two.
        until(8, &agenda).await;
        assert!(!agenda.is_overdue(1));
        until(9, &agenda).await;
        assert!(agenda.is_overdue(1));
        // That there is no room is no excuse for what runs.
        assert!(agenda.is_overdue(0));
        assert_eq!(agenda.finished(task.id()).as_deref(), Some("api"));
        assert!(!agenda.is_overdue(1));
    }

    #[tokio::test(start_paused = true)]
    async fn a_check_that_is_due_and_not_started_is_overdue_where_there_is_room() {
        let agenda = agenda();
        let due = agenda.next_due(1).duration_since(agenda.began).as_secs();
        until(due + 60, &agenda).await;
        assert!(!agenda.is_overdue(1));
        until(due + 62, &agenda).await;
        assert!(agenda.is_overdue(1));
        assert!(!agenda.is_overdue(0), "it waits for a place");
    }
}
