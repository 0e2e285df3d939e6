//! Targets: what is asked for, with which key, how often, over which routes.

use std::ops::Range;

use toml::Spanned;

use super::super::{Endpoint, Target, TargetRoute};
use super::list::Names;
use super::route::NamedRoute;
use super::{Build, budget};
use crate::config::{self, Config, Place, Problem, SecretSource, nearest};
use crate::observation::{Needs, Range as Addresses};
use crate::provider::Provider;

/// Bytes of a label's name or value at most: each is in every answer to a scrape.
const LONGEST_LABEL: usize = 256;

impl Build<'_> {
    pub(super) fn targets(&mut self, config: &Config, routes: &[NamedRoute]) -> Vec<Target> {
        let mut names = Names::new();
        let mut targets = Vec::new();
        for target in &config.target {
            self.takes_name(target, Place { file: None, at: target.span() }, &mut names);
            targets.extend(self.target(target, config, routes));
        }
        targets.extend(self.listed(config, routes, &mut names));
        // A list may be empty for a while.
        if config.target.is_empty() && config.target_list.is_empty() {
            let problem = Problem::at(
                None,
                "nothing to check",
                "add a [[target]] with a name and a provider or a url",
            );
            self.problems.push(problem.as_absence());
        }
        targets
    }

    pub(super) fn target(
        &mut self,
        place: &Spanned<config::Target>,
        config: &Config,
        routes: &[NamedRoute],
    ) -> Option<Target> {
        let target = place.get_ref();
        let name = if let Some(name) = &target.name {
            self.name_is_sound(name);
            Some(name.get_ref().clone())
        } else {
            let problem =
                Problem::at(Some(place.span()), "a target without a name", "add name = \"…\"");
            self.problems.push(problem.as_absence());
            None
        };
        let (provider, mut endpoint) = self.api(place);
        if let (Some(key), Some(endpoint)) = (&target.key, &endpoint) {
            self.key_is_sound(key, endpoint);
        }
        let client_cert = target
            .client_cert
            .as_ref()
            .and_then(|table| self.client_cert(table, endpoint.as_ref()));
        let request = self.own_request(target, provider, endpoint.as_mut());
        let interval = target.interval.as_ref().unwrap_or(&config.probe.interval);
        let timeout = target.timeout.as_ref().unwrap_or(&config.probe.timeout);
        if timeout.get_ref() > interval.get_ref() {
            let place = if target.timeout.is_some() { timeout.span() } else { interval.span() };
            let what = "a timeout above the interval: checks would run into each other";
            self.fault(place, what, "make the timeout shorter, or the interval longer");
        }
        let addresses = target.addresses.as_ref().unwrap_or(&config.probe.addresses);
        let all =
            self.one_of(addresses.get_ref(), addresses.span(), &[("all", true), ("one", false)]);
        self.labels_are_sound(target);
        let used = self.used_routes(target, routes, endpoint.as_ref(), place.span());
        let connects = used.iter().any(|used| super::route::connects(&used.route));
        if let (Some(url), Some(endpoint), true) = (&target.url, &endpoint, connects) {
            self.tunnels_well(endpoint, url.span());
        }
        let needs = self.needs(target, &used);
        let private = target.private.iter().filter_map(|range| self.range(range)).collect();
        let ours = self.is_ours(target);
        let further = self.further(target, provider.zip(endpoint.as_ref()), config);
        Some(Target {
            name: name?,
            provider: provider?,
            endpoint: endpoint?,
            key: target.key.as_ref().map(|key| key.get_ref().clone()),
            client_cert,
            routes: used,
            needs,
            interval: interval.get_ref().get(),
            timeout: timeout.get_ref().get(),
            all_addresses: all?,
            budget: budget(&config.probe.budget),
            private,
            ours,
            trust: target.trust.as_ref().and_then(|trust| self.trust_of(trust, config)),
            key_through_inspection: self.key_goes(target),
            request,
            further,
            rules: None,
            labels: target.labels.iter().map(|(k, v)| (k.get_ref().clone(), v.clone())).collect(),
        })
    }

    pub(super) fn api(
        &mut self,
        place: &Spanned<config::Target>,
    ) -> (Option<Provider>, Option<Endpoint>) {
        let target = place.get_ref();
        let known: Vec<(&str, Provider)> =
            Provider::ALL.iter().map(|provider| (provider.facts().id, *provider)).collect();
        let named = target
            .provider
            .as_ref()
            .map(|provider| self.one_of(provider.get_ref(), provider.span(), &known));
        let endpoint =
            match (&target.url, named.flatten().and_then(|provider| provider.facts().url)) {
                (Some(url), _) => self.text(url).and_then(|text| self.url(&text, url.span())),
                (None, Some(url)) => self.url(url, place.span()),
                (None, None) => {
                    if !matches!(named, Some(None)) {
                        let problem = without_url(place.span(), named.flatten());
                        self.problems.push(problem.as_absence());
                    }
                    None
                }
            };
        let of_host = |endpoint: &Endpoint| Provider::of_host(&endpoint.host.to_string());
        let provider = match named {
            Some(named) => named,
            None => Some(endpoint.as_ref().and_then(of_host).unwrap_or(Provider::Generic)),
        };
        let minimal = |endpoint: Endpoint| match provider {
            // What a request of its own asks for, it says itself.
            Some(provider) if target.request.is_none() => endpoint.asking(provider),
            Some(_) | None => endpoint,
        };
        (provider, endpoint.map(minimal))
    }

    pub(super) fn key_is_sound(&mut self, key: &Spanned<SecretSource>, endpoint: &Endpoint) {
        self.source_is_sound(key);
        if !endpoint.is_tls() {
            self.fault(
                key.span(),
                "a key is only sent over verified TLS, and this url is http://",
                "write https://",
            );
        }
    }

    pub(super) fn source_is_sound(&mut self, key: &Spanned<SecretSource>) {
        let SecretSource { env, file, credential } = key.get_ref();
        let given = usize::from(env.is_some())
            + usize::from(file.is_some())
            + usize::from(credential.is_some());
        if given != 1 {
            self.fault(key.span(), "a key has one place", "write one of env, file, credential");
        }
        // Who writes the key itself here must not read it again in a log.
        let letters = |name: &String| name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
        if env.as_ref().is_some_and(|name| name.is_empty() || !letters(name)) {
            self.fault(
                key.span(),
                "this is no name of a variable",
                "write the name of the variable, not what it holds",
            );
        }
        if let Some(name) = credential
            && (name.is_empty() || name.contains('/') || name.starts_with('.'))
        {
            self.fault(
                key.span(),
                "a credential's name is no path",
                "write the name that LoadCredential= gives it",
            );
        }
    }

    pub(super) fn labels_are_sound(&mut self, target: &config::Target) {
        for (label, value) in &target.labels {
            let name = label.get_ref();
            if name.len().max(value.len()) > LONGEST_LABEL {
                let what = format!("a label of more than {LONGEST_LABEL} bytes");
                self.fault(label.span(), what, "give it a shorter name or value");
                continue;
            }
            let mut letters = name.chars();
            let first = letters.next().is_some_and(|c| c.is_ascii_alphabetic());
            let sound = first && letters.all(|c| c.is_ascii_alphanumeric() || c == '_');
            if !sound
                || matches!(
                    name.as_str(),
                    "target" | "provider" | "zone" | "site" | "instance" | "job"
                )
            {
                let what = format!("`{name}` cannot be a label here");
                self.fault(
                    label.span(),
                    what,
                    "use a-z 0-9 _, and not target, provider, zone, site, instance, job",
                );
            }
        }
    }

    /// Whether we run what is checked.
    fn is_ours(&mut self, target: &config::Target) -> bool {
        let operator = target.operator.as_ref();
        operator.is_some_and(|who| self.one_of(who.get_ref(), who.span(), &[("us", ())]).is_some())
    }

    fn range(&mut self, text: &Spanned<String>) -> Option<Addresses> {
        let range = Addresses::parse(text.get_ref());
        if range.is_none() {
            let what = format!("`{}` is no range of addresses", text.get_ref());
            self.fault(text.span(), what, "write ADDRESS/BITS, such as \"10.0.0.0/8\"");
        }
        range
    }

    pub(super) fn needs(&mut self, target: &config::Target, used: &[TargetRoute]) -> Needs {
        let Some(needs) = &target.needs else { return Needs::Any };
        match needs.get_ref().as_str() {
            "any" => Needs::Any,
            "all" => Needs::All,
            name if used.iter().any(|route| route.route.name == name) => {
                Needs::Route(name.to_owned())
            }
            name => {
                let mut known = vec!["any", "all"];
                known.extend(used.iter().map(|route| route.route.name.as_str()));
                self.fault(
                    needs.span(),
                    format!("`{name}` is no route of this target"),
                    nearest(name, &known),
                );
                Needs::Any
            }
        }
    }
}

/// There is no URL, and none can be known.
fn without_url(place: Range<usize>, provider: Option<Provider>) -> Problem {
    let host = provider.and_then(|provider| provider.facts().hosts.first());
    match provider.zip(host) {
        Some((provider, host)) => Problem::at(
            Some(place),
            format!("a target without a url, and the host of {provider} is your own"),
            format!("add url = \"https://{host}\", with what is yours in the place of the *"),
        ),
        None => Problem::at(Some(place), "a target without a url", "add url = \"https://…\""),
    }
}
