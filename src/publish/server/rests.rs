//! How often pages are made: a network that asks without an end gets its answers one after the other, and waits between
//! them, so that what it costs is bounded and the checks beside it keep their time. What a page is is not known here.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::{Mutex as Turn, OwnedMutexGuard};
use tokio::time::{Instant, sleep_until};

/// After a page all those who ask rest for as many times of what it took.
const REST: u32 = 4;
/// One rest at most: who asks for a page within the seconds of a scrape gets it.
const LONGEST: Duration = Duration::from_secs(2);

/// Until when each network rests.
#[derive(Debug, Default)]
pub(super) struct Rests(Mutex<HashMap<IpAddr, Arc<Turn<Instant>>>>);

/// The turn of a network, until its page is made.
#[derive(Debug)]
pub(super) struct Page {
    until: OwnedMutexGuard<Instant>,
    begun: Instant,
    networks: u32,
}

impl Rests {
    /// Returns when a page may be made for it: at once for who has not asked for one just now.
    pub(super) async fn page(&self, from: IpAddr) -> Page {
        let (turn, networks) = {
            let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            let now = Instant::now();
            // Whoever makes a page, or waits, is known here, and beside it those who rest.
            all.retain(|_, turn| {
                turn.try_lock().map_or(true, |until| *until > now) || Arc::strong_count(turn) > 1
            });
            let rested = || Arc::new(Turn::new(now));
            let turn = Arc::clone(all.entry(from).or_insert_with(rested));
            (turn, u32::try_from(all.len()).unwrap_or(u32::MAX))
        };
        let until = turn.lock_owned().await;
        sleep_until(*until).await;
        Page { until, begun: Instant::now(), networks }
    }
}

impl Page {
    /// It is made.
    pub(super) fn made(self) {
        let took = self.begun.elapsed();
        self.rests_after(took);
    }

    /// All those who ask together take no more than one alone.
    fn rests_after(mut self, took: Duration) {
        let rest = took.saturating_mul(REST).saturating_mul(self.networks);
        *self.until = Instant::now() + rest.min(LONGEST);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn who_asks_without_an_end_rests_and_nobody_else_waits() {
        let rests = Rests::default();
        let [here, there] = [1, 2].map(|last| IpAddr::from([10, 0, 0, last]));
        let begun = Instant::now();
        for _ in 0..10 {
            rests.page(here).await.rests_after(Duration::from_millis(5));
        }
        assert_eq!(begun.elapsed(), Duration::from_millis(9 * 20));
        // Another one's is made at once; both rest for longer then.
        rests.page(there).await.rests_after(Duration::from_millis(5));
        assert_eq!(begun.elapsed(), Duration::from_millis(9 * 20));
        rests.page(there).await.rests_after(Duration::from_secs(9));
        assert_eq!(begun.elapsed(), Duration::from_millis(9 * 20 + 40));
        rests.page(there).await.made();
        assert_eq!(begun.elapsed(), Duration::from_millis(9 * 20 + 40 + 2000));
        // Who has rested is forgotten.
        tokio::time::sleep(LONGEST).await;
        let _page = rests.page(there).await;
        assert_eq!(rests.0.lock().unwrap().len(), 1);
    }
}
