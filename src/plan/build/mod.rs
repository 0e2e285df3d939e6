//! The one conversion from a configuration to a plan: it collects every problem, not the first.

mod alertmanager;
mod client_cert;
mod further;
mod list;
mod proxy;
mod request;
mod route;
mod target;
mod trust;
pub(super) mod value;

use std::ops::Range;
use std::path::PathBuf;

use toml::Spanned;

use super::{Budget, Given, Histogram, Log, LogFormat, Plan, Route, TargetRoute};
use crate::config::{self, Config, Problem, Text, nearest};
use crate::observation::Expect;

/// Where systemd lets a service keep its state (`systemd.exec(5)`); of several the first.
const STATE_DIRECTORY: &str = "STATE_DIRECTORY";

/// The files that a configuration names and the plan needs (keys are read later, each time).
pub fn named_files(config: &Config) -> Vec<PathBuf> {
    let mut files: Vec<PathBuf> =
        config.trust.ca_files.iter().map(|file| file.get_ref().clone()).collect();
    files.extend(config.trust.also.iter().map(|file| file.get_ref().clone()));
    let public = config.trust.public_roots.get_ref();
    if public != "bundled" {
        files.push(PathBuf::from(public));
    }
    let shown = config.target.iter().filter_map(|target| target.get_ref().client_cert.as_ref());
    let shown = shown.filter_map(|client_cert| client_cert.get_ref().certificate.as_ref());
    files.extend(shown.map(|file| file.get_ref().clone()));
    let of_targets = config.target.iter().filter_map(|target| target.get_ref().trust.as_ref());
    files.extend(of_targets.filter_map(|trust| match trust.get_ref() {
        config::TargetTrust::File(file) => Some(file.clone()),
        config::TargetTrust::Word(_) => None,
    }));
    let of_proxies = config.route.iter().flat_map(|route| &route.ca_files);
    files.extend(of_proxies.map(|file| file.get_ref().clone()));
    files
}

/// The variables that a configuration names for its strings, and the one of systemd's that a plan needs.
pub fn named_variables(config: &Config) -> Vec<String> {
    let controls = config.control.urls.iter().chain(&config.control.url);
    let targets = config.target.iter().filter_map(|target| target.get_ref().url.as_ref());
    let requests = config.target.iter().filter_map(|target| target.get_ref().request.as_ref());
    let texts = requests.flat_map(|request| {
        let config::Request { path, headers, body, .. } = request.get_ref();
        path.iter().chain(headers.values()).chain(body)
    });
    let proxies = config.route.iter().filter_map(|route| route.proxy.as_ref());
    let auths = config.route.iter().filter_map(|route| route.auth.as_ref());
    let auths = auths.chain(&config.alertmanager.auth);
    let names = auths.flat_map(|auth| [&auth.get_ref().username, &auth.get_ref().principal]);
    controls
        .chain(targets)
        .chain(texts)
        .chain(proxies)
        .chain(names.flatten())
        .chain(&config.site)
        .chain(&config.alertmanager.urls)
        .chain([&config.alertmanager.runbooks])
        .chain([&config.server.listen])
        .filter_map(|text| match text.get_ref() {
            Text::Env(name) => Some(name.clone()),
            Text::Literal(_) => None,
        })
        .chain([STATE_DIRECTORY.to_owned()])
        .collect()
}

/// The plan, where there is no fault; the problems are faults and warnings, in the file's order.
pub fn build(config: &Config, given: &Given) -> (Option<Plan>, Vec<Problem>) {
    let mut build = Build { given, problems: Vec::new() };
    let plan = build.plan(config);
    let mut problems = build.problems;
    problems.sort_by_key(Problem::order);
    let sound = problems.iter().all(|problem| problem.warning);
    (plan.filter(|_| sound), problems)
}

struct Build<'a> {
    given: &'a Given,
    problems: Vec<Problem>,
}

impl Build<'_> {
    pub(super) fn fault(
        &mut self,
        place: Range<usize>,
        what: impl Into<String>,
        help: impl Into<String>,
    ) {
        self.problems.push(Problem::at(Some(place), what, help));
    }

    pub(super) fn warn(
        &mut self,
        place: Range<usize>,
        what: impl Into<String>,
        help: impl Into<String>,
    ) {
        self.problems.push(Problem::at(Some(place), what, help).as_warning());
    }

    fn plan(&mut self, config: &Config) -> Option<Plan> {
        let site = config.site.as_ref().and_then(|site| self.text(site));
        let listen = self.listen(&config.server.listen);
        let routes = self.routes(&config.route);
        let proxied = routes.iter().filter_map(|named| named.route.as_ref()).any(route::connects);
        let controls = self.controls(config, proxied);
        let portal = self.portal(&config.control.portal_url);
        let lists = self.lists(config);
        let targets = self.targets(config, &routes);
        let alertmanager = self.alertmanager(&config.alertmanager, &routes);
        let trust = self.trust(&config.trust);
        let resolvers = self.resolvers(&config.dns.servers);
        let independent = config
            .dns
            .independent
            .iter()
            .filter_map(|server| self.resolver(server.get_ref(), server.span()))
            .collect();
        let state = self.state(&config.state);
        let (format, filter) = (self.format(&config.log), self.filter(&config.log.filter));
        let phase_histogram = self.histogram(&config.metrics);
        let allowed = self.allowed(&config.experiments.allow);
        let concurrency = &config.probe.concurrency;
        if concurrency.get_ref() == &0 {
            self.fault(concurrency.span(), "no check could ever start", "write at least 1");
        }
        // Every problem has been noted by now: what follows may stop at the first.
        Some(Plan {
            site,
            hosts: config.server.hosts.clone(),
            blackbox_modules: config.server.blackbox_modules.as_ref().map(|f| f.get_ref().clone()),
            web_config_file: config.server.web_config_file.as_ref().map(|f| f.get_ref().clone()),
            state,
            log: Log { format: format?, filter },
            phase_histogram: phase_histogram?,
            address_series: config.metrics.addresses,
            concurrency: usize::from(*concurrency.get_ref()),
            allowed,
            again: config.experiments.again.get(),
            trust,
            resolvers: resolvers.ok()?,
            independent,
            controls,
            portal,
            alertmanager,
            control_interval: config.control.interval.get(),
            routes: routes.into_iter().filter_map(|named| named.route).collect(),
            lists,
            targets,
            listen: listen?,
        })
    }

    fn state(&mut self, state: &config::State) -> Option<PathBuf> {
        if let Some(dir) = &state.dir {
            if !dir.get_ref().is_absolute() {
                let what =
                    format!("`{}` would be another place for each caller", dir.get_ref().display());
                self.fault(dir.span(), what, "write the whole path, from / on");
            }
            return Some(dir.get_ref().clone());
        }
        let given = self.given.variables.get(STATE_DIRECTORY)?.split(':').next()?;
        (!given.is_empty()).then(|| PathBuf::from(given))
    }

    fn format(&mut self, log: &config::Log) -> Option<LogFormat> {
        let known = [
            ("auto", LogFormat::Auto),
            ("text", LogFormat::Text),
            ("json", LogFormat::Json),
            ("journald", LogFormat::Journald),
        ];
        self.one_of(log.format.get_ref(), log.format.span(), &known)
    }

    fn histogram(&mut self, metrics: &config::Metrics) -> Option<Histogram> {
        let known =
            [("check", Histogram::Check), ("target", Histogram::Target), ("off", Histogram::Off)];
        let value = &metrics.phase_histogram;
        self.one_of(value.get_ref(), value.span(), &known)
    }

    pub(super) fn text(&mut self, text: &Spanned<Text>) -> Option<String> {
        match text.get_ref() {
            Text::Literal(value) => Some(value.clone()),
            Text::Env(name) => match self.given.variables.get(name) {
                Some(value) if !value.is_empty() => Some(value.clone()),
                _ => {
                    self.fault(
                        text.span(),
                        format!("the environment has no variable {name}"),
                        "set it for the service, or write the value here",
                    );
                    None
                }
            },
        }
    }

    pub(super) fn one_of<T: Clone>(
        &mut self,
        value: &str,
        place: Range<usize>,
        known: &[(&str, T)],
    ) -> Option<T> {
        let found = known.iter().find(|(name, _)| *name == value).map(|(_, value)| value.clone());
        if found.is_none() {
            let names: Vec<&str> = known.iter().map(|(name, _)| *name).collect();
            self.fault(
                place,
                format!("`{value}` is not one of the values of this key"),
                nearest(value, &names),
            );
        }
        found
    }

    pub(super) fn name_is_sound(&mut self, name: &Spanned<String>) {
        let text = name.get_ref();
        let sound = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-');
        if text.is_empty() || text.len() > 64 || !text.chars().all(sound) {
            let what = format!("`{}` cannot be a name", value::shown_url(text));
            self.fault(name.span(), what, "use 1 to 64 of A-Z a-z 0-9 . _ -");
        }
    }
}

/// What is expected where nothing is said: direct is `either` once a proxy route exists, else open.
pub(super) fn expectations(routes: Vec<(Route, Option<Expect>)>) -> Vec<TargetRoute> {
    let proxied = routes.iter().any(|(route, _)| !route.is_direct());
    routes
        .into_iter()
        .map(|(route, expect)| {
            let usual = if proxied && route.is_direct() { Expect::Either } else { Expect::Open };
            TargetRoute { expect: expect.unwrap_or(usual), route }
        })
        .collect()
}

pub(super) fn budget(budget: &config::Budget) -> Budget {
    Budget { dns: budget.dns.get(), proxy: budget.proxy.get(), first_byte: budget.first_byte.get() }
}
