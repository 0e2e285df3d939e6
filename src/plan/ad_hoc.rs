//! One URL that no file names, or one request, as a plan.

use std::collections::BTreeMap;
use std::sync::Arc;

use url::Url;

use super::build::value::shown_url;
use super::build::{budget, expectations};
use super::query;
use super::written::{self, Written};
use super::{Endpoint, OwnRequest, Pac, Plan, Proxy, Route, Target, Way};
use crate::config::Config;
use crate::observation::{Further, Needs};
use crate::provider::Provider;

/// What is asked for without a file.
#[derive(Debug, Default)]
pub struct AdHoc<'a> {
    /// Where.
    pub url: &'a str,
    /// Through this proxy alone; none: over all routes.
    pub proxy: Option<&'a str>,
    /// The API that is spoken; none: by the URL's host.
    pub provider: Option<Provider>,
    /// The very request; none: the URL is read.
    pub request: Option<OwnRequest>,
}

/// The same plan for one URL that no file names.
pub fn ad_hoc(plan: &Plan, asked: AdHoc<'_>) -> Result<Plan, String> {
    let AdHoc { url, proxy, provider, request } = asked;
    let mut plan = plan.clone();
    let parsed =
        Url::parse(url).map_err(|error| format!("`{}` is no URL: {error}", shown_url(url)))?;
    let endpoint = Endpoint::of(&parsed).ok_or_else(|| {
        format!("`{}`: a URL with http:// or https:// and a host is needed", shown_url(url))
    })?;
    if !parsed.username().is_empty() || parsed.password().is_some() {
        return Err("a login inside of a URL is not sent; take it out".to_owned());
    }
    // A request that was given is the very one; what is typed stays in the shell's history.
    if request.is_none() && query::key(&parsed).is_some() {
        return Err("a key inside of a URL is seen by many; take it out, or give the whole request by --curl".to_owned());
    }
    if let Some(text) = proxy {
        let way = match written::proxy(text).map_err(|why| format!("--proxy: {why}"))? {
            Written::Proxy(proxy) => Way::Proxy(Arc::new(proxy)),
            // What is typed is meant: also a file over plain HTTP.
            Written::Pac(url) => Way::Pac(Arc::new(Pac::at(url))),
        };
        plan.routes = vec![Route { name: "proxy".into(), way, ..Route::default() }];
    }
    let host = endpoint.host.to_string();
    let provider = provider.or_else(|| Provider::of_host(&host)).unwrap_or(Provider::Generic);
    let endpoint = if request.is_none() { endpoint.asking(provider) } else { endpoint };
    let defaults = Config::default().probe;
    let takes = |route: &&Route| route.exempts(&endpoint).is_none();
    let routes = plan.routes.iter().filter(takes).map(|route| (route.clone(), None)).collect();
    plan.targets = vec![Target {
        name: host,
        provider,
        endpoint,
        key: None,
        client_cert: None,
        routes: expectations(routes),
        needs: Needs::Any,
        interval: defaults.interval.get_ref().get(),
        timeout: defaults.timeout.get_ref().get(),
        all_addresses: true,
        budget: budget(&defaults.budget),
        private: Vec::new(),
        ours: false,
        trust: None,
        key_through_inspection: true,
        request,
        further: Further::default(),
        labels: BTreeMap::new(),
        rules: None,
    }];
    Ok(plan)
}

/// A route through a proxy that is named by its URL.
pub fn route_through(
    name: &str,
    proxy: &str,
    headers: &[(String, String)],
) -> Result<Route, String> {
    match written::proxy(proxy)? {
        Written::Proxy(proxy) if headers.is_empty() || !proxy.spoken.is_socks() => {
            let proxy = Proxy { headers: headers.to_vec(), ..proxy };
            Ok(Route { name: name.into(), way: Way::Proxy(Arc::new(proxy)), ..Route::default() })
        }
        Written::Proxy(_) => Err("SOCKS has no headers".to_owned()),
        Written::Pac(_) => Err("a PAC file is a route of egressd's own configuration".to_owned()),
    }
}
