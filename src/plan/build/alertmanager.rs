//! Where alerts go: each URL made that of its API, and the route by its name.

use toml::Spanned;
use url::Url;

use super::super::alertmanager::API;
use super::super::{Account, Alertmanager, Endpoint};
use super::Build;
use super::route::{NamedRoute, connects};
use crate::config::{self, Text, nearest};
use crate::observation::Scheme;

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
        let account = written.auth.as_ref().and_then(|auth| self.login(auth, &endpoints));
        let runbooks = self.runbooks(&written.runbooks);
        let hold = written.hold.get();
        Some(Alertmanager { endpoints, route: route?, account, hold, runbooks: runbooks? })
            .filter(|alertmanager| !alertmanager.endpoints.is_empty())
    }

    /// Alertmanager itself knows no other login, and over plain HTTP everybody on the way would know it too.
    fn login(&mut self, auth: &Spanned<config::Auth>, to: &[Endpoint]) -> Option<Account> {
        let account = self.account(auth)?;
        if account.scheme != Scheme::Basic {
            let what = format!("an Alertmanager takes no {}", account.scheme.label());
            self.fault(auth.span(), what, "write scheme = \"basic\"");
        }
        if to.iter().any(|endpoint| !endpoint.is_tls()) {
            let what = "over plain HTTP this login could be read by everybody on the way";
            self.fault(auth.span(), what, "write https:// in each of the urls");
        }
        Some(account)
    }

    /// A link for people: nothing is fetched from there.
    fn runbooks(&mut self, url: &Spanned<Text>) -> Option<String> {
        let text = self.text(url)?;
        let sound = Url::parse(&text).is_ok_and(|url| {
            matches!(url.scheme(), "https" | "http" | "file")
                && url.username().is_empty()
                && url.password().is_none()
                && url.fragment().is_none()
        });
        if !sound {
            let what = "this is no link that the name of a cause can be added to";
            self.fault(url.span(), what, "write https://wiki.corp.example/egressd/VERDICTS.md");
        }
        sound.then_some(text)
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
