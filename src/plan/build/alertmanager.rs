//! Where alerts go: each URL made that of its API, and the route by its name.

use toml::Spanned;

use super::super::alertmanager::API;
use super::super::{Alertmanager, Endpoint};
use super::Build;
use super::route::{NamedRoute, connects};
use crate::config::{self, Text, nearest};

impl Build<'_> {
    /// None where nobody is to be told, or where it is wrong.
    pub(super) fn alertmanager(
        &mut self,
        written: &config::Alertmanager,
        routes: &[NamedRoute],
    ) -> Option<Alertmanager> {
        let (name, place) = (written.route.get_ref(), written.route.span());
        let named = routes.iter().find(|named| named.name == *name);
        if named.is_none() {
            let names: Vec<&str> = routes.iter().map(|named| named.name.as_str()).collect();
            let what = format!("there is no route `{name}`");
            self.fault(place.clone(), what, nearest(name, &names));
        }
        let route = named.and_then(|named| named.route.clone());
        if named.is_some() && route.is_none() && !written.urls.is_empty() && !self.has_faults() {
            let what = format!("route `{name}` leads nowhere here: the environment names no proxy");
            self.fault(place, what, "write another route, or set the environment");
        }
        let proxied = route.as_ref().is_some_and(connects);
        let endpoints: Vec<Endpoint> =
            written.urls.iter().filter_map(|url| self.receiver(url, proxied)).collect();
        let runbooks = written.runbooks.as_ref().and_then(|url| {
            let text = self.text(url)?;
            self.url(&text, url.span()).map(|endpoint| endpoint.url.to_string())
        });
        let hold = written.hold.get();
        Some(Alertmanager { endpoints, route: route?, hold, runbooks })
            .filter(|alertmanager| !alertmanager.endpoints.is_empty())
    }

    fn has_faults(&self) -> bool {
        self.problems.iter().any(|problem| !problem.warning)
    }

    /// An Alertmanager's API, by the URL that its pages have.
    fn receiver(&mut self, url: &Spanned<Text>, proxied: bool) -> Option<Endpoint> {
        let text = self.text(url)?;
        let mut endpoint = self.url(&text, url.span())?;
        if endpoint.url.query().is_some() || endpoint.url.fragment().is_some() {
            let what = "an Alertmanager's URL ends with its path";
            self.fault(url.span(), what, "take out what follows: https://am.corp.example:9093");
            return None;
        }
        let path = endpoint.url.path().trim_end_matches('/');
        if path.ends_with(API) || path.ends_with("/api/v2") {
            let what = "this is the API's own URL, and its path is added here";
            self.fault(url.span(), what, "write the URL that its pages have");
            return None;
        }
        if proxied {
            self.tunnels_well(&endpoint, url.span());
        }
        let path = format!("{path}/{API}");
        endpoint.url.set_path(&path);
        Some(endpoint)
    }
}
