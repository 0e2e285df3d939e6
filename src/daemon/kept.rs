//! What a target's further tests showed over each route, kept for as long as the plan says: they cost tokens, or
//! some of a rate limit, and a check each minute must not.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use super::controls::way_of;
use crate::observation::{Change, Failure, Trip};
use crate::plan::{Plan, Route, Target};

/// The target, its route, the way that it took, and the test.
type Key = (String, String, String, Change);

/// The trips.
#[derive(Debug, Default)]
pub struct Kept {
    trips: Mutex<BTreeMap<Key, Entry>>,
}

#[derive(Clone, Debug)]
struct Entry {
    until: Instant,
    trip: Trip,
    /// Whether it was counted as an experiment.
    told: bool,
}

impl Kept {
    /// What was measured and is not too old, and whether it was handed out before.
    pub fn newest(
        &self,
        (target, route): (&Target, &Route),
        change: Change,
    ) -> Option<(Trip, bool)> {
        let mut trips = self.trips.lock().unwrap_or_else(PoisonError::into_inner);
        trips.retain(|_, entry| entry.until > Instant::now());
        let entry = trips.get_mut(&key(target, route, change))?;
        Some((entry.trip.clone(), std::mem::replace(&mut entry.told, true)))
    }

    /// Keeps a trip whose request was sent, for so long: what ended before that says nothing of the request.
    pub fn keep(
        &self,
        (target, route): (&Target, &Route),
        change: Change,
        trip: &Trip,
        (again, told): (Duration, bool),
    ) {
        let sent = trip.leading().is_some_and(|leg| {
            leg.response.is_some() || matches!(leg.stop, Some(Failure::Http(_)))
        });
        if !sent {
            return;
        }
        let mut trip = trip.clone();
        for leg in &mut trip.legs {
            let timed = leg.held.is_some();
            if let Some(response) = &mut leg.response
                && (timed || response.is_event_stream())
            {
                // What it said is no evidence: when it came is.
                response.body = String::new();
            }
        }
        let mut trips = self.trips.lock().unwrap_or_else(PoisonError::into_inner);
        trips.insert(
            key(target, route, change),
            Entry { until: Instant::now() + again, trip, told },
        );
    }

    /// Takes over what is of targets that a new plan still has as they were.
    pub fn remember(&self, old: &Self, (plan, before): (&Plan, &Plan)) {
        let of = |plan: &Plan, name: &str| plan.targets.iter().find(|t| t.name == name).cloned();
        let theirs = old.trips.lock().unwrap_or_else(PoisonError::into_inner);
        let mut ours = self.trips.lock().unwrap_or_else(PoisonError::into_inner);
        for (key, kept) in theirs.iter().filter(|_| plan.trust == before.trust) {
            if of(plan, &key.0) == of(before, &key.0) {
                ours.insert(key.clone(), kept.clone());
            }
        }
    }
}

fn key(target: &Target, route: &Route, change: Change) -> Key {
    (target.name.clone(), route.name.clone(), way_of(route), change)
}
