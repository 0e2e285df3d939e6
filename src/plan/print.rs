//! A plan for people: what would run, where it would go, how often, and what else may be sent.

use std::fmt;
use std::time::Duration;

use super::vary::NO_NAME;
use super::{Account, Alertmanager, Endpoint, Nameserver, Plan, Route, Spoken, Target, Way};
use crate::observation::{Control, Needs, other_port};

impl fmt::Display for Plan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let site = self.site.as_deref().unwrap_or("(no site)");
        writeln!(f, "site {site}, listening on {}", self.listen)?;
        self.kept(f)?;
        let names = |list: &[Nameserver]| {
            list.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
        };
        let servers = self.resolvers.as_deref().map_or_else(|| "this host's own".to_owned(), names);
        writeln!(f, "resolvers: {servers}; each is asked by itself too, and whom a stub asks")?;
        if !self.independent.is_empty() {
            writeln!(f, "resolvers to compare with: {}", names(&self.independent))?;
        }
        writeln!(f, "routes:")?;
        for route in &self.routes {
            let from = leaves(route);
            writeln!(f, "  {}: {}{from}", route.name, through(route))?;
        }
        self.read_again(f)?;
        writeln!(f, "targets:")?;
        for target in &self.targets {
            self.target(f, target)?;
        }
        writeln!(
            f,
            "controls, each route every {}:",
            humantime::format_duration(self.control_interval)
        )?;
        for control in &self.controls {
            writeln!(
                f,
                "  GET {} ({}:{}), no credentials",
                control.shown(),
                control.host,
                control.port
            )?;
        }
        if let Some(alertmanager) = &self.alertmanager {
            let every = humantime::format_duration(Alertmanager::EVERY);
            writeln!(
                f,
                "alerts, via {}, every {every}, and when one begins, changes or ends:",
                alertmanager.route.name
            )?;
            for endpoint in &alertmanager.endpoints {
                let (host, port) = (&endpoint.host, endpoint.port);
                let login = alertmanager.account.as_ref().map_or_else(
                    || "no credentials".to_owned(),
                    |account| format!("with a login by basic: {}", account.name),
                );
                writeln!(f, "  POST {} ({host}:{port}), {login}", endpoint.shown())?;
            }
        }
        // Those are a target's own wish, whatever fails.
        let wished = |control: &&Control| {
            matches!(control, Control::LargerBody | Control::Stream | Control::IdleHold)
        };
        let allowed = self.allowed.iter().filter(|control| !wished(control));
        let allowed: Vec<&str> = allowed.map(|control| control.label()).collect();
        writeln!(f, "experiments when something fails, at most 12 a check: {}", allowed.join(", "))
    }
}

/// What a target asks for by itself, and where its key does not go.
fn asks(f: &mut fmt::Formatter<'_>, target: &Target) -> fmt::Result {
    if let Some(own) = &target.request {
        let body = own.body.as_ref().map_or(0, bytes::Bytes::len);
        let names = own.headers.iter().map(|(name, _)| name.as_str());
        let names: Vec<&str> = names.collect();
        let headers = if names.is_empty() { "no headers".to_owned() } else { names.join(", ") };
        let again = if target.may_be_repeated() { "" } else { "; never repeated" };
        writeln!(
            f,
            "    its own request: a body of {body} bytes, {headers} beside the API's{again}"
        )?;
    }
    if target.key.is_some() && !target.key_through_inspection {
        writeln!(f, "    its key: only over a chain of a public CA")?;
    }
    Ok(())
}

/// How a route leaves, and who logs in on the way.
fn through(route: &Route) -> String {
    let login = |account: &Account| {
        let name = if account.name.is_empty() { "the cache's principal" } else { &account.name };
        format!(", where it asks for a login by {}: {name}", account.scheme.label())
    };
    match &route.way {
        Way::Direct => "no proxy".to_owned(),
        Way::Proxy(proxy) => {
            let spoken = match proxy.spoken {
                Spoken::Http => "HTTP CONNECT",
                Spoken::Https => "HTTP CONNECT in TLS",
                Spoken::Socks5 => "SOCKS5, names resolved here,",
                Spoken::Socks5h => "SOCKS5",
            };
            let login = proxy.account.as_ref().map(login).unwrap_or_default();
            format!("{spoken} through {proxy}{login}")
        }
        Way::Pac(pac) => {
            let login = pac.account.as_ref().map(login).unwrap_or_default();
            let names: Vec<&str> = pac.headers.iter().map(|(name, _)| name.as_str()).collect();
            let headers = if names.is_empty() {
                String::new()
            } else {
                format!(", with {} in a CONNECT", names.join(", "))
            };
            let only = if login.is_empty() && headers.is_empty() {
                String::new()
            } else {
                format!(" (at {} only)", pac.hosts.join(", "))
            };
            let file = pac.shown();
            format!("as the PAC file {file} says, which may look up 8 names{login}{headers}{only}")
        }
    }
}

/// Where a route's connections leave from, if that is said.
fn leaves(route: &Route) -> String {
    let source = route.source.map(|source| format!(", from {source}"));
    let interface = route.interface.as_ref().map(|name| format!(", by {name}"));
    [source, interface].into_iter().flatten().collect()
}

impl Plan {
    /// Where the state is kept over a restart.
    fn kept(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.state {
            Some(folder) => writeln!(f, "state: kept over a restart in {}", folder.display())?,
            None => writeln!(
                f,
                "state: not kept over a restart: no [state] dir, and no $STATE_DIRECTORY here"
            )?,
        }
        Ok(())
    }

    /// Which lists are read again.
    fn read_again(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(refresh) = self.lists.refresh {
            let (files, every) = (self.lists.files.join(", "), humantime::format_duration(refresh));
            writeln!(f, "lists of targets, read again every {every}: {files}")?;
        }
        Ok(())
    }

    fn target(&self, f: &mut fmt::Formatter<'_>, target: &Target) -> fmt::Result {
        let Target { name, provider, endpoint, .. } = target;
        let every = humantime::format_duration(target.interval);
        writeln!(
            f,
            "  {name} ({provider}): {} {} every {every}, timeout {}",
            target.request.as_ref().map_or("GET", |own| own.method.as_str()),
            endpoint.shown(),
            humantime::format_duration(target.timeout)
        )?;
        asks(f, target)?;
        let needs = match &target.needs {
            Needs::Any => "any of",
            Needs::All => "all of",
            Needs::Route(route) => route.as_str(),
        };
        let routes: Vec<String> = target
            .routes
            .iter()
            .map(|route| format!("{} ({})", route.route.name, route.expect.label()))
            .collect();
        writeln!(f, "    needs {needs}: {}", routes.join(", "))?;
        for (route, variable) in self.routes.iter().filter_map(|r| Some((r, r.exempts(endpoint)?)))
        {
            writeln!(f, "    not via {}: {variable} takes it around the proxy", route.name)?;
        }
        writeln!(f, "    sends: TCP {}, server name {}", endpoint.port, endpoint.host)?;
        let other = self.controls.first().filter(|_| self.allowed.contains(&Control::OtherName));
        if let Some(control) = other {
            writeln!(f, "    may send: server name {} to the same addresses", control.host)?;
        }
        if let Some(client_cert) = &target.client_cert {
            writeln!(
                f,
                "    client certificate: where the server asks, its key: {}",
                client_cert.key
            )?;
        }
        self.further(f, target)?;
        self.may_send(f, target)?;
        if self.allowed.contains(&Control::UnanswerableResolver) {
            writeln!(
                f,
                "    may ask: 192.0.2.254, where no resolver can be, for the first hop's name"
            )?;
        }
        let walks = self.allowed.contains(&Control::TtlWalk);
        if walks {
            writeln!(
                f,
                "    may send: at most 16 SYNs of short life to an address that fails, some followed by a ClientHello"
            )?;
        }
        match &target.key {
            Some(source) => writeln!(f, "    key: {source}"),
            None => writeln!(f, "    key: none, the answer without one proves the way"),
        }
    }

    /// What is tested beyond the minimal request.
    fn further(&self, f: &mut fmt::Formatter<'_>, target: &Target) -> fmt::Result {
        let again = humantime::format_duration(self.again);
        let (facts, further) = (target.provider.facts(), target.further);
        let allowed = |control: Control| self.allowed.contains(&control);
        if let Some(post) =
            facts.counting.filter(|_| further.body_bytes > 0 && allowed(Control::LargerBody))
        {
            let path = target.endpoint.path_of(target.provider, &post).unwrap_or_default();
            let bytes = further.body_bytes;
            writeln!(
                f,
                "    sends too: POST {path} of {bytes} B, every {again} over each route that works; where that fails, a small one and one in small segments"
            )?;
        }
        // A gateway may not know the minimal request.
        let elsewhere = !target.provider.owns(&target.endpoint.host.to_string());
        let minimal = elsewhere && target.request.is_none() && allowed(Control::LargerBody);
        if let Some(post) = facts.counting.filter(|_| minimal) {
            let path = target.endpoint.path_of(target.provider, &post).unwrap_or_default();
            writeln!(f, "    may send: POST {path}, where that is not known there")?;
        }
        if let Some(post) = facts.streaming.filter(|_| further.stream && allowed(Control::Stream)) {
            let path = target.endpoint.path_of(target.provider, &post).unwrap_or_default();
            writeln!(
                f,
                "    sends too: POST {path}, every {again} over each route that works; costs a few tokens"
            )?;
        }
        if further.idle_hold > 0 && allowed(Control::IdleHold) {
            let limit = Duration::from_secs(further.idle_hold.into());
            let limit = humantime::format_duration(limit);
            writeln!(
                f,
                "    sends too: the request twice on each of 8 connections, up to {limit} of silence between, and 16 where they are cut; seldom, over each route that works"
            )?;
        }
        Ok(())
    }

    /// What controls send beside the trip itself, and where to.
    fn may_send(&self, f: &mut fmt::Formatter<'_>, target: &Target) -> fmt::Result {
        let allowed = |control: Control| self.allowed.contains(&control);
        let port = target.endpoint.port;
        let direct = target.routes.iter().any(|used| used.route.proxy().is_none());
        let proxied = target.routes.iter().any(|used| !used.route.is_direct());
        if allowed(Control::RandomName) {
            writeln!(f, "    may ask the name servers: {NO_NAME}, which cannot exist")?;
        }
        if direct && allowed(Control::UnanswerableAddress) {
            writeln!(f, "    may connect to: 192.0.2.254:443, where nobody can be")?;
        }
        if direct && allowed(Control::OtherPort) {
            writeln!(f, "    may connect to: port {} of the same addresses", other_port(port))?;
        }
        if let Some(portal) = self.portal.as_ref().filter(|_| direct && allowed(Control::Portal)) {
            writeln!(f, "    may ask for: {}", portal.shown())?;
        }
        let elsewhere = |_: &&Endpoint| direct && allowed(Control::NameElsewhere);
        if let Some(control) = self.controls.first().filter(elsewhere) {
            let host = &target.endpoint.host;
            writeln!(f, "    may send: server name {host} to {}:{}", control.host, control.port)?;
        }
        if proxied && allowed(Control::ControlTunnel) {
            for control in &self.controls {
                writeln!(
                    f,
                    "    may ask its proxies: a tunnel to {}:{}",
                    control.host, control.port
                )?;
            }
        }
        if allowed(Control::ControlName) {
            for control in &self.controls {
                writeln!(f, "    may ask the name servers: {}", control.host)?;
            }
        }
        if proxied && (allowed(Control::OtherRoute) || allowed(Control::OtherResolver)) {
            writeln!(
                f,
                "    may ask its proxies: a tunnel to addresses of {}",
                target.endpoint.host
            )?;
        }
        if proxied && allowed(Control::RandomTunnel) {
            writeln!(f, "    may ask its proxies: a tunnel to {NO_NAME}:{port}")?;
        }
        Ok(())
    }
}
