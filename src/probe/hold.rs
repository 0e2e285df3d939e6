//! Connections that are silent on purpose, side by side: one good answer on each, its own silence, and a second
//! request. Nothing is sent meanwhile: no keep-alive of TCP, no PING.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use tokio::task::JoinSet;
use tokio::time::Instant;

use super::legs::Walked;
use super::{Network, chosen, dns, http, now, sendable};
use crate::observation::{HeldEnd, Leg, Response, Trip};
use crate::plan::TripPlan;

/// Seconds by which the clocks may differ over a hold.
const SLEPT: f64 = 1.0;

impl Network {
    /// A connection for each of these silences, all to the first address.
    pub async fn hold(self: &Arc<Self>, plan: &Arc<TripPlan>, silences: &[Duration]) -> Trip {
        self.secrets.carried(plan);
        let (started, begun) = (now(), Instant::now());
        let deadline = begun + plan.timeout;
        let (mut lookup, questions) = dns::look_up(self, plan, deadline).await;
        let addresses = chosen(&mut lookup, plan);
        lookup.questions = questions.finish(deadline);
        let mut resolved_here = self.resolved_here(plan, deadline).await;
        let beyond = resolved_here.as_mut();
        let beyond = beyond.and_then(|lookup| dns::usable(lookup, 1).first().copied());
        let mut tasks = JoinSet::new();
        for silence in silences.iter().filter(|_| !addresses.is_empty()) {
            let (network, plan, silence) = (Arc::clone(self), Arc::clone(plan), *silence);
            let to = addresses.first().copied();
            tasks.spawn(async move {
                match to {
                    Some(to) => Some(network.held(&plan, (to, beyond), silence).await),
                    None => None,
                }
            });
        }
        let mut legs: Vec<Leg> = Vec::new();
        while let Some(joined) = tasks.join_next().await {
            match joined {
                Ok(leg) => legs.extend(leg),
                // It is contained by whoever runs this.
                Err(error) => {
                    if let Ok(panic) = error.try_into_panic() {
                        std::panic::resume_unwind(panic);
                    }
                }
            }
        }
        let seconds = begun.elapsed().as_secs_f64();
        // The monotonic clock stands while a host sleeps, and its connections die meanwhile.
        let wall = now().duration_since(started).as_secs_f64();
        if (wall - seconds).abs() > SLEPT {
            for leg in &mut legs {
                leg.held = None;
            }
        }
        Trip {
            started,
            seconds,
            proxied: plan.tunnel.is_some(),
            host: plan.destination().to_string(),
            pac: None,
            lookup,
            resolved_here,
            legs,
            untried: Vec::new(),
        }
    }

    async fn held(
        &self,
        plan: &TripPlan,
        to: (SocketAddr, Option<IpAddr>),
        silence: Duration,
    ) -> Leg {
        let deadline = Instant::now() + plan.timeout;
        match self.leg(plan, to, deadline).await {
            Walked::Leg(mut leg, Some(arrived)) => {
                let around = http::Around { gauge: &arrived.gauge, deadline, asked: arrived.asked };
                let tls = plan.tls.is_some();
                let wait = (silence, plan.timeout);
                let (request, withheld) = sendable(&plan.request, &leg);
                let (response, stop, held) =
                    http::hold(&request, arrived.stream, tls, &around, wait).await;
                leg.response = response.map(|response| Response { withheld, ..response });
                (leg.stop, leg.held) = (stop, held);
                let dead = leg.held.is_some_and(|held| held.end != HeldEnd::Lived);
                if dead && !self.answers(plan, to).await {
                    // What fails now for all says nothing of silence.
                    leg.held = None;
                }
                leg
            }
            Walked::Leg(leg, None) | Walked::NoRoute(leg) => leg,
        }
    }

    /// Whether a fresh connection is answered.
    async fn answers(&self, plan: &TripPlan, to: (SocketAddr, Option<IpAddr>)) -> bool {
        let deadline = Instant::now() + plan.timeout;
        let Walked::Leg(mut leg, Some(arrived)) = self.leg(plan, to, deadline).await else {
            return false;
        };
        super::ask(plan, &mut leg, arrived, deadline).await;
        leg.response.is_some() && leg.stop.is_none()
    }
}
