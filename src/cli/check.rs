//! `egressd check`: every check once, with the controls that it needs, for people or for a monitor.

use std::collections::BTreeSet;
use std::io::IsTerminal as _;
use std::path::PathBuf;
use std::sync::Arc;

use clap::Args;
use tokio::sync::Semaphore;
use tokio::task::JoinSet;

use super::{Format, OK, UNKNOWN, block_on, colour, complain, lint, own, print};
use crate::cause::Status;
use crate::config::nearest;
use crate::daemon::inquiry::{Context, Memory, inquire};
use crate::daemon::load::{self, Loaded};
use crate::daemon::{declared::declared, environment, keys, process};
use crate::diagnosis::Key;
use crate::lint::{Judged, Request};
use crate::plan::{self, AdHoc, Plan};
use crate::publish::{api, nagios, text};
use crate::store::{Check, Own, Snapshot, Store};

/// What stands above the commands.
const BY_HAND: &str = "  The same by hand; curl -v prints the key and the login that it sends: look before you pass its words on.";

#[derive(Debug, Args)]
pub(super) struct Options {
    /// Names of targets [default: all], or one URL.
    #[arg(value_name = "TARGET|URL")]
    targets: Vec<String>,
    /// The configuration [default: as for `run`].
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Only over this route.
    #[arg(long, value_name = "NAME")]
    route: Option<String>,
    /// A URL only through this proxy.
    #[arg(long, value_name = "URL")]
    proxy: Option<String>,
    /// Prints the equivalent dig, openssl and curl commands below each check, in the text.
    #[arg(long)]
    explain: bool,
    /// The very request of a curl command line, which is judged as by `lint` first; `-` is standard input.
    #[arg(long, value_name = "LINE", conflicts_with = "targets")]
    curl: Option<String>,
    /// How results are printed.
    #[arg(long, value_enum, default_value = "text")]
    format: Format,
}

/// A request that was given, and what is wrong with it.
struct Given {
    request: Request,
    judged: Judged,
}

pub(super) fn main(options: &Options) -> u8 {
    match checked(options) {
        Ok((loaded, given, snapshot)) => {
            // What nobody can read is nobody's result.
            if show(options, &loaded, given.as_ref(), &snapshot) != OK {
                return UNKNOWN;
            }
            let worst = snapshot.targets.values().map(|target| target.status()).max();
            code(worst.unwrap_or(Status::Unknown))
        }
        Err(why) => {
            complain(&why);
            if options.format == Format::Nagios {
                print("EGRESSD UNKNOWN - the configuration cannot be used\n");
            }
            UNKNOWN
        }
    }
}

/// The monitoring plugins' convention.
fn code(status: Status) -> u8 {
    match status {
        Status::Ok => 0,
        Status::Degraded => 1,
        Status::Broken => 2,
        Status::Unknown => UNKNOWN,
    }
}

fn checked(options: &Options) -> Result<(Loaded, Option<Given>, Snapshot), String> {
    let mut loaded = load::load(options.config.as_deref()).map_err(|fault| fault.to_string())?;
    let given = options.curl.as_deref().map(|line| given(line, &loaded.plan)).transpose()?;
    loaded.plan = narrowed(&loaded.plan, options, given.as_ref())?;
    let checked = block_on(all(&loaded.plan, options));
    let snapshot = checked.map_err(|error| format!("start the runtime: {error}"))??;
    Ok((loaded, given, snapshot))
}

/// Errors in it do not stop the check: what is on the way is worth knowing all the same.
fn given(line: &str, plan: &Plan) -> Result<Given, String> {
    let request = lint::of_curl(line).map_err(|(why, _)| why)?;
    if let Some(unmade) = request.unmade.first() {
        return Err(format!("--curl is not sent, since not all of it is known here: {unmade}"));
    }
    let mut judged = lint::one(&request, None, &plan.targets);
    for option in &request.way {
        let note = format!("not as curl does: {} is passed over", option_name(option));
        complain(&note);
        judged.notes.push(note);
    }
    Ok(Given { request, judged })
}

fn option_name(name: &str) -> String {
    if name.starts_with('-') { name.to_owned() } else { format!("--{name}") }
}

/// The plan with what was asked for alone.
fn narrowed(plan: &Plan, options: &Options, given: Option<&Given>) -> Result<Plan, String> {
    let url = options.targets.iter().find(|target| target.contains("://"));
    let mut plan = match url {
        Some(_) if options.targets.len() > 1 => {
            return Err("a URL is checked alone".to_owned());
        }
        Some(url) => {
            let proxy = options.proxy.as_deref();
            plan::ad_hoc(plan, AdHoc { url, proxy, ..AdHoc::default() })?
        }
        None if given.is_some() => asked(plan, options, given)?,
        None if options.proxy.is_some() => {
            return Err(
                "--proxy goes with a URL; a target's routes are in its configuration".to_owned()
            );
        }
        None => plan.clone(),
    };
    if url.is_none() && !options.targets.is_empty() {
        let known: Vec<&str> = plan.targets.iter().map(|target| target.name.as_str()).collect();
        if let Some(name) = options.targets.iter().find(|name| !known.contains(&name.as_str())) {
            return Err(format!("there is no target `{name}`: {}", nearest(name, &known)));
        }
        plan.targets.retain(|target| options.targets.contains(&target.name));
    }
    if let Some(route) = &options.route {
        let known: BTreeSet<&str> = plan
            .targets
            .iter()
            .flat_map(|target| &target.routes)
            .map(|used| used.route.name.as_str())
            .collect();
        if !known.contains(route.as_str()) {
            let known: Vec<&str> = known.into_iter().collect();
            return Err(format!("there is no route `{route}` here: {}", nearest(route, &known)));
        }
        for target in &mut plan.targets {
            target.routes.retain(|used| used.route.name == *route);
            target.needs = crate::observation::Needs::Any;
        }
        plan.targets.retain(|target| !target.routes.is_empty());
    }
    Ok(plan)
}

/// The plan with the request that was given.
fn asked(plan: &Plan, options: &Options, given: Option<&Given>) -> Result<Plan, String> {
    let Some(Given { request, .. }) = given else { return Ok(plan.clone()) };
    // What is only probable is good enough for advice, and not for a verdict.
    let host = request.url.host().map(|host| host.to_owned());
    let mut gateways =
        plan.targets.iter().filter(|target| Some(&target.endpoint.host) == host.as_ref());
    let provider = gateways
        .next()
        .map_or_else(|| crate::lint::certain_provider_of(request), |target| target.provider);
    let own_proxy = request.proxy.as_ref().map(crate::config::Secret::expose);
    let asked = AdHoc {
        url: request.url.as_str(),
        proxy: options.proxy.as_deref().or(own_proxy),
        provider: Some(provider),
        request: Some(own::own(request)?),
    };
    plan::ad_hoc(plan, asked)
}

async fn all(plan: &Plan, options: &Options) -> Result<Snapshot, String> {
    let context = Context::new(Arc::new(plan.clone())).map_err(|fault| fault.to_string())?;
    let mut store = Store::new(Own::default());
    store.declare(plan.site.clone(), declared(plan));
    let places = Arc::new(Semaphore::new(plan.concurrency));
    let mut tasks = JoinSet::new();
    for target in &plan.targets {
        let (context, target) = (context.clone(), Arc::new(target.clone()));
        let places = Arc::clone(&places);
        tasks.spawn(async move {
            let _place = places.acquire_owned().await;
            inquire(context, target, Memory::default()).await
        });
    }
    let mut left = plan.targets.len();
    let shows = options.format == Format::Text && std::io::stderr().is_terminal();
    while let Some(joined) = tasks.join_next().await {
        left -= 1;
        if shows && left > 0 {
            complain(&format!("{left} more to come"));
        }
        match joined {
            Ok(report) => {
                store.apply(report);
            }
            // What is missing is shown as unknown.
            Err(error) => complain(&format!("a check could not finish: {error}")),
        }
    }
    Ok(Snapshot::clone(&store.snapshot()))
}

fn show(options: &Options, loaded: &Loaded, given: Option<&Given>, snapshot: &Snapshot) -> u8 {
    let judged = given.map(|given| std::slice::from_ref(&given.judged));
    match options.format {
        Format::Json => print(&format!("{}\n", api::json(snapshot, judged))),
        Format::Nagios => print(&format!("{}\n", nagios::line(snapshot))),
        Format::Text => {
            let colour = colour();
            let findings = judged.map(|judged| crate::publish::lint::findings(judged, colour));
            let below = |check: &Check| {
                if options.explain { by_hand(&loaded.plan, check) } else { String::new() }
            };
            let text = text::render_with(snapshot, colour, below);
            let (first, findings) = (first_line(loaded), findings.unwrap_or_default());
            let printed = print(&format!("{findings}{first}\n{text}"));
            loaded.warnings.iter().for_each(|warning| complain(warning));
            printed
        }
    }
}

/// A check as commands of other programs.
fn by_hand(plan: &Plan, check: &Check) -> String {
    let target = plan.targets.iter().find(|target| target.name == check.id.target);
    let found = target.and_then(|target| {
        let used = target.routes.iter().find(|used| used.route.name == check.id.route)?;
        Some(plan::commands(plan, target, &used.route, check.trip.as_deref()))
    });
    found.map(|steps| format!("{BY_HAND}\n{}", plan::commands_text(&steps))).unwrap_or_default()
}

/// Which configuration and which credentials are in force here: a shell sees others than the service.
fn first_line(loaded: &Loaded) -> String {
    let plan = &loaded.plan;
    let site = plan.site.as_ref().map(|site| format!("site {site} · ")).unwrap_or_default();
    let mut keys: Vec<String> = plan
        .targets
        .iter()
        .filter(|target| target.key.is_some())
        .map(|target| match keys::read(target.key.as_ref()).0 {
            Key::None => format!("{}: none", target.name),
            Key::InForce(place) => format!("{}: {place}", target.name),
            Key::Unavailable(place, why) => format!("{}: {place} ({why})", target.name),
            Key::Empty(place) => format!("{}: {place} (empty)", target.name),
            Key::Unsendable(place, why) => format!("{}: {place} ({why})", target.name),
        })
        .collect();
    if keys.is_empty() {
        keys.push("none configured".to_owned());
    }
    format!(
        "egressd {} · {site}{} · {} · {} · keys: {}\n",
        env!("CARGO_PKG_VERSION"),
        environment::host_name(),
        api::time(process::now()),
        loaded.source,
        keys.join(", "),
    )
}
