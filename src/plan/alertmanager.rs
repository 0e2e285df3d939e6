//! Where alerts go without a Prometheus, and the trip that brings them there.

use std::time::Duration;

use bytes::Bytes;
use http::Method;

use super::trip::trip_to;
use super::{Account, Endpoint, Families, Route, TripPlan};
use crate::config::Secret;

/// The place of its API (v2) below an Alertmanager's URL.
pub(super) const API: &str = "api/v2/alerts";
/// One delivery.
const TIMEOUT: Duration = Duration::from_secs(10);

/// The Alertmanagers that are told.
#[derive(Clone, Debug, PartialEq)]
pub struct Alertmanager {
    /// Each of a cluster, which wants to be told one by one; the URL is that of its API.
    pub endpoints: Vec<Endpoint>,
    /// The way to them.
    pub route: Route,
    /// Who logs in there, by Basic.
    pub account: Option<Account>,
    /// How long a target must have been broken; what waits longer does so in proportion.
    pub hold: Duration,
    /// Where VERDICTS.md is.
    pub runbooks: String,
}

impl Alertmanager {
    /// Between two deliveries of the same alerts.
    pub const EVERY: Duration = Duration::from_secs(60);

    /// The trip that delivers this body, with this login; it is sent only over a chain that verified.
    pub fn trip(
        &self,
        (endpoint, route): (&Endpoint, &Route),
        body: Bytes,
        login: Option<Secret>,
    ) -> TripPlan {
        let mut trip = trip_to(endpoint, route, TIMEOUT);
        trip.families = Families::All;
        trip.request.method = Method::POST;
        trip.request.headers = vec![("content-type".to_owned(), "application/json".to_owned())];
        let login = login.filter(|_| endpoint.is_tls());
        trip.request.secrets =
            login.map(|it| ("authorization".to_owned(), it)).into_iter().collect();
        trip.request.body = Some(body);
        trip
    }
}
