//! The programs in the proxies' namespace: those of the routes of a run, and those that a case starts.

use std::fs;
use std::net::{IpAddr, SocketAddr};

use super::case::{Action, Route, RouteUse};
use super::device::{Leads, socks};
use super::net::Host;
use super::servers::proxy;
use super::world::World;
use crate::support::foreign::At;
use crate::support::socks::Socks;
use crate::support::squid::{Login, Setup, Squid};
use crate::support::tinyproxy::Tinyproxy;

impl World<'_> {
    /// Where names lead for a proxy of ours.
    pub(super) fn leads(&self) -> Leads {
        let mut leads: Leads = [
            ("host", "api"),
            ("control_name", "control"),
            ("control2_name", "control2"),
            ("elsewhere_name", "elsewhere"),
        ]
        .iter()
        .map(|(name, at)| (self.get(name).to_owned(), (self.ip(at), 443).into()))
        .collect();
        let literal: Vec<_> = leads.values().map(|to| (to.ip().to_string(), *to)).collect();
        leads.extend(literal);
        leads
    }

    pub(super) fn start_proxies(&mut self) {
        let resolv = self.facts.fill("nameserver {dns_public}\n");
        fs::write(self.net.etc(Host::Proxies).join("resolv.conf"), resolv)
            .expect("its resolv.conf");
        let mut routes: Vec<Route> = self.truth.routes.iter().map(RouteUse::route).collect();
        for action in &self.case.set {
            if let Action::Start(more) = action {
                routes.extend(more);
            }
        }
        routes.sort_unstable();
        routes.dedup();
        for route in routes {
            self.start_proxy(route);
        }
    }

    fn start_proxy(&mut self, route: Route) {
        let namespace = self.net.namespace(Host::Proxies);
        let socket = self.socket(route.word());
        let at = At::Namespace(&namespace, socket.ip(), Some(socket.port()));
        match route {
            Route::Direct | Route::Line | Route::Pac | Route::Environment => {}
            Route::Squid => self.start_squid(at),
            Route::Tinyproxy => self.start_tinyproxy(at),
            Route::Danted => {
                let rules = self.said(|a| if let Action::Danted(s) = a { Some(s) } else { None });
                let rules = self.facts.fill(rules.map_or("", String::as_str));
                self.keep(Socks::danted(at, &rules));
            }
            Route::Microsocks => {
                let user = self.said(|a| match a {
                    Action::Microsocks { user, password } => {
                        Some((self.facts.fill(user), self.facts.fill(password)))
                    }
                    _ => None,
                });
                let user = user.as_ref().map(|(name, password)| (&**name, &**password));
                self.keep(Socks::microsocks(at, user));
            }
            Route::Ours | Route::Secure => self.start_our_proxy(socket, route == Route::Secure),
            Route::Socks => self.start_our_socks(socket),
        }
    }

    fn start_our_socks(&mut self, at: SocketAddr) {
        let mut words = self
            .said(|a| if let Action::Socks(s) = a { Some(s.clone()) } else { None })
            .unwrap_or_default();
        let names = words.names.iter();
        words.names = names.map(|(name, code)| (self.facts.fill(name), *code)).collect();
        let leads = self.leads();
        self.keep(self.net.there(Host::Proxies, move || socks(at, words, leads)));
    }

    fn start_squid(&mut self, at: At<'_>) {
        let words = self
            .said(|a| if let Action::Squid(s) = a { Some(s.clone()) } else { None })
            .unwrap_or_default();
        if words.down {
            return;
        }
        let dns = self.facts.fill(words.dns.as_deref().unwrap_or("{dns_public}"));
        let lines = self.facts.fill(words.lines.as_deref().unwrap_or_default());
        let public = self.authorities.public.pem();
        let setup = Setup {
            at,
            logins: if words.login { &[Login::Basic] } else { &[] },
            dns: Some(dns.parse().expect("an address")),
            lines: &lines,
            bump: words.bump.then_some((&self.authorities.organisation, &public)),
            ..Setup::default()
        };
        let squid = Squid::start(&setup);
        self.keep(squid);
    }

    fn start_tinyproxy(&mut self, at: At<'_>) {
        let said = self.said(|a| match a {
            Action::Tinyproxy { lines, refused, down } => Some((lines, refused, down)),
            _ => None,
        });
        if said.is_some_and(|(_, _, down)| *down == Some(true)) {
            return;
        }
        let lines = said.and_then(|(lines, ..)| lines.as_deref()).unwrap_or_default();
        let refused = said.and_then(|(_, refused, _)| refused.as_ref()).into_iter().flatten();
        let refused: Vec<String> = refused.map(|name| self.facts.fill(name)).collect();
        let refused: Vec<&str> = refused.iter().map(String::as_str).collect();
        let tinyproxy = Tinyproxy::start(at, &self.facts.fill(lines), &refused);
        self.keep(tinyproxy);
    }

    fn start_our_proxy(&mut self, at: SocketAddr, is_secure: bool) {
        let words = self
            .said(|a| if let Action::Proxy(s) = a { Some(s.clone()) } else { None })
            .unwrap_or_default();
        if words.down {
            return;
        }
        let mut leads = self.leads();
        for (name, to) in &words.leads {
            let to = self.facts.fill(to).parse::<IpAddr>().expect("an address");
            leads.insert(self.facts.fill(name), (to, 443).into());
        }
        let names = [self.get("proxies"), self.get("proxy_name")];
        let leaf =
            is_secure.then(|| self.authorities.leaf(&words.certificate, &self.facts, &names));
        let proxy =
            proxy(&self.net, (at, leaf), &words, (&self.facts, leads.into_iter().collect()));
        self.keep(proxy);
    }
}
