//! Legs that are walked side by side, and which of them carries the request: the first in the
//! resolver's order that got there, so that it goes the same way each time.

use std::net::IpAddr;
use std::time::Duration;

use tokio::task::{JoinError, JoinSet};
use tokio::time::{Instant, timeout_at};

use super::Arrived;
use crate::observation::Leg;

/// How long a leg that got there waits for those before it in the order (RFC 8305 5 has the same
/// length between two attempts).
const ORDER: Duration = Duration::from_millis(250);

/// A leg that is over, as far as the handshake.
pub(super) enum Walked {
    /// It ended, or it got there.
    Leg(Leg, Option<Arrived>),
    /// This host has no route of its family.
    NoRoute(Leg),
}

/// All legs of a trip.
pub(super) struct Legs {
    tasks: JoinSet<(usize, Walked)>,
    slots: Vec<Slot>,
}

#[derive(Default)]
struct Slot {
    leg: Option<Leg>,
    arrived: Option<Arrived>,
    no_route: bool,
}

impl Legs {
    pub(super) fn new(tasks: JoinSet<(usize, Walked)>, count: usize) -> Self {
        Self { tasks, slots: (0..count).map(|_| Slot::default()).collect() }
    }

    /// The leg that carries the request, none where no leg got there. The others go on meanwhile.
    pub(super) async fn first_to_arrive(&mut self) -> Option<(&mut Leg, Arrived)> {
        let mut until = None;
        loop {
            let first = self.slots.iter().position(|slot| slot.arrived.is_some());
            if let Some(first) = first {
                if self.slots.iter().take(first).all(|slot| slot.leg.is_some()) {
                    break;
                }
                until.get_or_insert_with(|| Instant::now() + ORDER);
            }
            let next = match until {
                Some(until) => timeout_at(until, self.tasks.join_next()).await,
                None => Ok(self.tasks.join_next().await),
            };
            match next {
                Ok(Some(joined)) => self.note(joined),
                Ok(None) | Err(_) => break,
            }
        }
        let slot = self.slots.iter_mut().find(|slot| slot.arrived.is_some())?;
        slot.leg.as_mut().zip(slot.arrived.take())
    }

    /// Every leg in order, and the addresses that were not tried: those of a family without a route
    /// count only where there is nothing else.
    pub(super) async fn all(mut self) -> (Vec<Leg>, Vec<IpAddr>) {
        while let Some(joined) = self.tasks.join_next().await {
            self.note(joined);
        }
        let (untried, tried): (Vec<Slot>, Vec<Slot>) =
            self.slots.into_iter().partition(|slot| slot.no_route);
        let legs = |slots: Vec<Slot>| slots.into_iter().filter_map(|slot| slot.leg);
        if tried.is_empty() {
            (legs(untried).collect(), Vec::new())
        } else {
            (legs(tried).collect(), legs(untried).map(|leg| leg.address.ip()).collect())
        }
    }

    fn note(&mut self, joined: Result<(usize, Walked), JoinError>) {
        match joined {
            Ok((place, walked)) => {
                let Some(slot) = self.slots.get_mut(place) else { return };
                *slot = match walked {
                    Walked::Leg(leg, arrived) => Slot { leg: Some(leg), arrived, no_route: false },
                    Walked::NoRoute(leg) => Slot { leg: Some(leg), arrived: None, no_route: true },
                };
            }
            // A leg that panicked is contained by the check that walks it.
            Err(error) => {
                if let Ok(panic) = error.try_into_panic() {
                    std::panic::resume_unwind(panic);
                }
            }
        }
    }
}
