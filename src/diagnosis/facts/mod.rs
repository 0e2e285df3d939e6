//! What is worth a note, or is a fault although the trip arrived. All that hold are said.

mod answer;
pub(super) mod body;
pub(super) mod idle;
mod names;
pub(super) mod stream;
mod way;

use super::case::{Case, Found, Seen};
use super::{Held, Rule};
use crate::cause::Status;
use crate::observation::{Change, Control, Trip};

/// All of them, in the order of the layers.
pub(super) const FACTS: &[&[Rule]] = &[
    names::FACTS,
    way::FACTS,
    idle::FACTS,
    answer::FACTS,
    body::FACTS,
    stream::FACTS,
    super::pac::FACTS,
];

/// Later than the budget, here and in the repeat.
fn slow(case: &Case<'_>, seconds: impl Fn(&Trip) -> Option<f64>, budget: f64) -> Held {
    let over = |trip: &Trip| seconds(trip).is_some_and(|seconds| seconds > budget);
    // What is published as slow already needs no second trip each time.
    if case.walk.before == Some(Status::Degraded) && case.trip().arrived() && over(case.trip()) {
        return Found::high().yes();
    }
    twice(case, |trip| trip.arrived() && over(trip))
}

/// Holds here and in the repeat: one lost packet is no fault.
fn twice(case: &Case<'_>, holds: impl Fn(&Trip) -> bool) -> Held {
    if !holds(case.trip()) {
        return Ok(None);
    }
    match case.seen(Change::Repeat)? {
        Seen::Passed(again) | Seen::Failed(again) if holds(again) => {
            Found::high().by(Control::Repeat).yes()
        }
        Seen::Passed(_) | Seen::Failed(_) => Ok(None),
        Seen::Nothing => Found::medium().yes(),
    }
}
