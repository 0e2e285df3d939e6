//! In the place of `pac` in a build without it: no configuration gets here with a PAC file.

use std::sync::Arc;

use tokio::time::Instant;
use url::Url;

use super::Network;
use crate::observation::{self, PacFailure};
use crate::plan::{Pac, Route, Way};

/// The ways that a PAC file names, in order.
#[derive(Debug)]
pub struct Choice {
    /// What is said of it.
    pub seen: observation::Pac,
    /// Each entry as it is called, and its way.
    pub ways: Vec<(String, Option<Way>)>,
}

impl Network {
    /// Nothing.
    #[expect(clippy::unused_async, reason = "the same as where there is an engine")]
    pub async fn choose(self: &Arc<Self>, (pac, _): (&Pac, &Route), _: &Url, _: Instant) -> Choice {
        let stop = Some(PacFailure::Invalid("this build is without PAC files".to_owned()));
        let seen = observation::Pac { url: pac.shown(), stop, ..Default::default() };
        Choice { seen, ways: Vec::new() }
    }
}
