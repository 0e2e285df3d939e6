//! Routes: those that are declared, the one that the environment names, and which of them a target uses.

use std::net::IpAddr;
use std::ops::Range;

use toml::Spanned;

use super::super::{Endpoint, Route, TargetRoute};
use super::{Build, expectations};
use crate::config::{self, Problem, Text, nearest};
use crate::observation::Expect;

/// A route by its name; none where the environment names no proxy, or where it is wrong.
pub(super) struct NamedRoute {
    pub(super) name: String,
    pub(super) route: Option<Route>,
}

/// Whether a route asks a proxy for CONNECT.
pub(super) fn connects(route: &Route) -> bool {
    route.proxy().is_some_and(|proxy| !proxy.spoken.is_socks())
}

impl Build<'_> {
    pub(super) fn routes(&mut self, routes: &[config::Route]) -> Vec<NamedRoute> {
        let direct = Route { name: "direct".into(), ..Route::default() };
        let mut out = vec![NamedRoute { name: "direct".into(), route: Some(direct) }];
        for route in routes {
            let Some(name) = &route.name else {
                let place = route.proxy.as_ref().map(Spanned::span);
                let problem = Problem::at(place, "a route without a name", "add name = \"…\"");
                self.problems.push(problem.as_absence());
                continue;
            };
            self.name_is_sound(name);
            if out.iter().any(|other| other.name == *name.get_ref()) {
                let what = format!("there are two routes `{}`", name.get_ref());
                self.fault(name.span(), what, "name each route once; `direct` always exists");
            }
            let environment = matches!(&route.proxy, Some(proxy) if *proxy.get_ref() == Text::Literal("environment".into()));
            let way = self.way(route, name);
            let source = route.source.as_ref().and_then(|source| self.source(source));
            let interface = route.interface.as_ref().and_then(|name| self.interface(name));
            let route = way.map(|way| Route {
                name: name.get_ref().clone(),
                way,
                source,
                interface,
                egress: route.egress.clone(),
                exemptions: self.given.proxies.exemptions().filter(|_| environment),
            });
            out.push(NamedRoute { name: name.get_ref().clone(), route });
        }
        out
    }

    fn source(&mut self, source: &Spanned<String>) -> Option<IpAddr> {
        let address = source.get_ref().parse().ok();
        if address.is_none() {
            let what = format!("`{}` is no address", source.get_ref());
            self.fault(source.span(), what, "write an address of this host: 10.1.2.3");
        }
        address
    }

    /// The kernel's own rule for a name (`net/core/dev.c`, `dev_valid_name`).
    fn interface(&mut self, name: &Spanned<String>) -> Option<String> {
        let text = name.get_ref();
        let sound = !matches!(text.as_str(), "" | "." | "..")
            && text.len() < 16
            && !text.contains(|c: char| c == '/' || c == ':' || c.is_whitespace());
        if !sound {
            let what = format!("`{text}` cannot be an interface's name");
            self.fault(name.span(), what, "write it as `ip link` shows it: eth0");
        }
        sound.then(|| text.clone())
    }

    pub(super) fn used_routes(
        &mut self,
        target: &config::Target,
        routes: &[NamedRoute],
        endpoint: Option<&Endpoint>,
        place: Range<usize>,
    ) -> Vec<TargetRoute> {
        let names: Vec<&str> = routes.iter().map(|route| route.name.as_str()).collect();
        let mut used: Vec<(Route, Option<Expect>)> = Vec::new();
        let mut take = |named: &NamedRoute, expect| {
            let exempt = |route: &Route| endpoint.and_then(|endpoint| route.exempts(endpoint));
            let route = named.route.clone().filter(|route| exempt(route).is_none());
            used.extend(route.map(|route| (route, expect)));
        };
        match &target.routes {
            None => routes.iter().for_each(|route| take(route, None)),
            Some(list) => {
                for entry in list {
                    let route = entry.get_ref();
                    let expects = &[
                        ("open", Expect::Open),
                        ("closed", Expect::Closed),
                        ("either", Expect::Either),
                    ];
                    let expect = route
                        .expect
                        .as_ref()
                        .and_then(|word| self.one_of(word, entry.span(), expects));
                    let twice = list.iter().filter(|other| other.get_ref().name == route.name);
                    if twice.count() > 1 {
                        let what = format!("route `{}` is listed twice", route.name);
                        self.fault(entry.span(), what, "list each route once");
                    }
                    match routes.iter().find(|named| named.name == route.name) {
                        Some(named) => take(named, expect),
                        None => self.fault(
                            entry.span(),
                            format!("there is no route `{}`", route.name),
                            nearest(&route.name, &names),
                        ),
                    }
                }
            }
        }
        let undefined = self.problems.iter().any(|problem| !problem.warning);
        if used.is_empty() && !undefined {
            let what =
                "no route is left for this target: the environment names no proxy, or exempts it";
            self.fault(place, what, "add \"direct\" to its routes, or set the environment");
        }
        expectations(used)
    }
}
