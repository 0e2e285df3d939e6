//! When each target is due: at once after the start, then on a grid in which the starts are spread.
//!
//! Pure: time comes in as a length since the start. A start that would fall into a check that still
//! runs within its bound is left out, never queued.

use std::time::Duration;

/// The first starts of many targets are this far apart, so that a restart is no burst.
const FIRST_STEP: Duration = Duration::from_millis(5);

/// The grid of one target.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Schedule {
    first: Duration,
    offset: Duration,
    interval: Duration,
}

impl Schedule {
    /// The grid of the target at `place` of `count`, all with this interval.
    pub fn new(place: usize, count: usize, interval: Duration) -> Self {
        let place = u32::try_from(place).unwrap_or(u32::MAX);
        let count = u32::try_from(count.max(1)).unwrap_or(u32::MAX);
        let offset = interval.saturating_mul(place) / count;
        Self { first: FIRST_STEP.saturating_mul(place).min(offset), offset, interval }
    }

    /// The next start after the last one (none: the first), not before `now`.
    pub fn next(&self, last: Option<Duration>, now: Duration) -> Duration {
        let Some(last) = last else { return now.saturating_add(self.first) };
        // The first start lies before its place on the grid: at least half an interval later.
        let earliest = now.max(last.saturating_add(self.interval / 2));
        let interval = self.interval.as_nanos().max(1);
        let since = earliest.saturating_sub(self.offset).as_nanos();
        let steps = u32::try_from(since.div_ceil(interval)).unwrap_or(u32::MAX);
        self.offset.saturating_add(self.interval.saturating_mul(steps))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: fn(u64) -> Duration = Duration::from_millis;

    #[test]
    fn one_target_starts_at_once_and_then_each_interval() {
        let schedule = Schedule::new(0, 1, MS(1000));
        assert_eq!(schedule.next(None, MS(0)), MS(0));
        assert_eq!(schedule.next(Some(MS(0)), MS(10)), MS(1000));
        assert_eq!(schedule.next(Some(MS(1000)), MS(1001)), MS(2000));
    }

    #[test]
    fn a_start_inside_a_long_check_is_left_out() {
        let schedule = Schedule::new(0, 1, MS(1000));
        assert_eq!(schedule.next(Some(MS(0)), MS(2500)), MS(3000));
    }

    #[test]
    fn starts_are_spread_over_the_interval() {
        let starts: Vec<Duration> =
            (0..10).map(|i| Schedule::new(i, 10, MS(1000)).next(Some(MS(50)), MS(60))).collect();
        let mut sorted = starts.clone();
        sorted.sort();
        sorted.dedup();
        assert_eq!(sorted.len(), 10, "{starts:?}");
        assert!(starts.iter().all(|start| (MS(500)..=MS(1500)).contains(start)), "{starts:?}");
    }

    #[test]
    fn the_first_starts_are_close_and_never_all_at_once() {
        let first = |place| Schedule::new(place, 100, MS(60_000)).next(None, MS(0));
        assert_eq!(first(0), MS(0));
        assert_eq!(first(99), MS(495));
    }
}
