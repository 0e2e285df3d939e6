//! What a story may say, and how it is played: the files as structs that refuse unknown keys, and
//! the turns of diagnosis and experiments. What is compared with its end is the parent's.

use std::collections::BTreeMap;
use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use egressd::cause::{Cause, Layer, Party, Status};
use egressd::diagnosis::{
    Baseline, Confidence, Decision, Evidence, Experiment, Findings, Key, NetworkState, Outcome,
    TargetFacts, Walk, diagnose,
};
use egressd::observation::{
    Answer, Change, Control, Expect, Further, Leg, Needs, NotRun, Range, Trip, Wanted,
};
use egressd::provider::Provider;
use serde::Deserialize;
use serde::de::DeserializeOwned;

/// Rounds of experiments at most.
const ROUNDS: usize = 3;
/// Experiments at most.
const EXPERIMENTS: usize = 12;

/// The folder of the cases that were told in public, beside the others.
pub(super) const REPLAY: &str = "replay";

/// One file.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Story {
    /// What happened, in a sentence.
    #[serde(rename = "story")]
    pub(super) sentence: String,
    /// Of a replay: where the case was told in public.
    pub(super) link: Option<String>,
    /// Of a replay: what the client showed, or whoever ran it.
    pub(super) symptom: Option<String>,
    /// Of a replay: what was on the wire.
    pub(super) wire: Option<String>,
    /// It asserts that nobody on the way is accused.
    #[serde(default)]
    pub(super) negative: bool,
    #[serde(default)]
    pub(super) target: Target,
    pub(super) route: Vec<Route>,
    #[serde(default)]
    pub(super) trips: BTreeMap<String, Trip>,
    #[serde(default)]
    pub(super) outcome: Vec<Told>,
    /// `[expect]` where there is one route, else `[[expect]]` for each.
    pub(super) expect: toml::Value,
    /// Left out: what is expected of the only route.
    pub(super) target_expect: Option<TargetExpected>,
}

#[derive(Debug, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct Target {
    name: String,
    host: String,
    port: u16,
    path: String,
    provider: String,
    key: Key,
    needs: Needs,
    controls: usize,
    budget: [f64; 3],
    private: Vec<Range>,
    ours: bool,
    own_roots: bool,
    headers: Vec<String>,
    wanted: Option<Wanted>,
    further: Further,
}

impl Target {
    /// The provider's, and those that the story adds.
    fn headers(&self, provider: Provider) -> Vec<String> {
        let needed = provider.facts().needed_headers().into_iter().map(|(name, _)| name);
        needed.chain(self.headers.iter().cloned()).collect()
    }
}

impl Default for Target {
    fn default() -> Self {
        Self {
            name: "claude".into(),
            host: "api.anthropic.com".into(),
            port: 443,
            path: "/v1/models".into(),
            provider: "anthropic".into(),
            key: Key::None,
            needs: Needs::Any,
            controls: 1,
            budget: [1.0; 3],
            private: Vec::new(),
            ours: false,
            own_roots: false,
            headers: Vec::new(),
            wanted: None,
            further: Further::default(),
        }
    }
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Route {
    pub(super) name: String,
    pub(super) proxy: Option<String>,
    #[serde(default)]
    pub(super) expect: Expect,
    #[serde(default)]
    pub(super) baseline: Baseline,
    #[serde(default)]
    pub(super) usual: BTreeMap<Control, bool>,
    pub(super) before: Option<Status>,
    pub(super) trip: toml::Value,
}

/// An experiment's outcome: a trip (`"same"`: the route's own again), or why it was not run.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Told {
    pub(super) route: Option<String>,
    pub(super) change: Change,
    pub(super) trip: Option<toml::Value>,
    pub(super) not_run: Option<NotRun>,
}

/// A named trip, at other addresses: more addresses than legs repeat the last leg without its answer.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Like {
    like: String,
    at: Vec<SocketAddr>,
}

#[derive(Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Expected {
    pub(super) route: Option<String>,
    pub(super) status: Status,
    pub(super) network: NetworkState,
    pub(super) cause: Option<Cause>,
    /// The rule that decides.
    pub(super) rule: Option<String>,
    pub(super) party: Option<Party>,
    pub(super) confidence: Option<Confidence>,
    /// Left out: the one that the table names.
    pub(super) layer: Option<Layer>,
    #[serde(default)]
    pub(super) notes: Vec<Cause>,
    /// Each vendor with its mark; left out: whatever is seen.
    pub(super) looks_like: Option<Vec<String>>,
}

#[derive(Clone, Copy, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct TargetExpected {
    pub(super) status: Status,
    pub(super) cause: Option<Cause>,
    pub(super) party: Option<Party>,
}

/// All files, read.
pub(super) struct Library {
    pub(super) shared: BTreeMap<String, Trip>,
    pub(super) stories: Vec<(String, Story)>,
    pub(super) problems: Vec<String>,
}

fn parse<T: DeserializeOwned>(text: &str, of: &str) -> Result<T, String> {
    toml::from_str(text).map_err(|error| format!("{of}: {error}"))
}

fn convert<T: DeserializeOwned>(value: &toml::Value, of: &str) -> Result<T, String> {
    value.clone().try_into().map_err(|error| format!("{of}: {error}"))
}

impl Library {
    pub(super) fn read() -> Self {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/scenarios");
        let mut library =
            Self { shared: BTreeMap::new(), stories: Vec::new(), problems: Vec::new() };
        let mut files: Vec<PathBuf> = [folder.clone(), folder.join(REPLAY)]
            .iter()
            .flat_map(|folder| fs::read_dir(folder).into_iter().flatten().flatten())
            .map(|entry| entry.path())
            .filter(|file| file.extension().is_some_and(|extension| extension == "toml"))
            .collect();
        files.sort();
        for file in files {
            let name = file.strip_prefix(&folder).unwrap_or(&file).with_extension("");
            let name = name.to_string_lossy().into_owned();
            if let Err(problem) = library.take(&name, &file) {
                library.problems.push(problem);
            }
        }
        library
    }

    fn take(&mut self, name: &str, file: &Path) -> Result<(), String> {
        let text = fs::read_to_string(file).map_err(|error| format!("{name}: {error}"))?;
        if name == "trips" {
            self.shared = parse(&text, name)?;
        } else {
            let story: Story = parse(&text, name)?;
            self.stories.push((name.to_owned(), story));
        }
        Ok(())
    }
}

impl Story {
    fn named(&self, name: &str, library: &Library) -> Result<Trip, String> {
        let trip = self.trips.get(name).or_else(|| library.shared.get(name));
        trip.cloned().ok_or_else(|| format!("no trip is named `{name}`"))
    }

    /// A trip by its name, like another one at other addresses, or written out.
    fn trip(&self, value: &toml::Value, route: &Route, library: &Library) -> Result<Trip, String> {
        let mut trip = match value {
            toml::Value::String(name) if name == "same" => return self.walked(route, library),
            toml::Value::String(name) => self.named(name, library)?,
            toml::Value::Table(table) if table.contains_key("like") => {
                let like: Like = convert(value, "trip")?;
                moved(self.named(&like.like, library)?, &like.at)?
            }
            _ => convert(value, "trip")?,
        };
        trip.proxied = route.proxy.is_some();
        if trip.lookup.name.is_empty() {
            let proxy = route.proxy.as_deref().and_then(|proxy| proxy.rsplit_once(':'));
            trip.lookup.name =
                proxy.map_or_else(|| self.target.host.clone(), |(host, _)| host.to_owned());
        }
        Ok(trip)
    }

    fn walked(&self, route: &Route, library: &Library) -> Result<Trip, String> {
        match &route.trip {
            toml::Value::String(name) if name == "same" => {
                Err("a route's trip is not `same`".into())
            }
            value => self.trip(value, route, library),
        }
    }

    fn evidence(&self, library: &Library) -> Result<Evidence, String> {
        let walk = |route: &Route| {
            Ok(Walk {
                route: route.name.clone(),
                proxy: route.proxy.clone(),
                expect: route.expect,
                trip: self.walked(route, library)?,
                baseline: route.baseline,
                usual: route.usual.clone(),
                before: route.before,
            })
        };
        let provider = Provider::named(&self.target.provider)
            .ok_or_else(|| format!("no provider `{}`", self.target.provider))?;
        Ok(Evidence {
            target: TargetFacts {
                name: self.target.name.clone(),
                host: self.target.host.clone(),
                port: self.target.port,
                path: self.target.path.clone(),
                provider,
                key: self.target.key.clone(),
                needs: self.target.needs.clone(),
                budget: self.target.budget,
                controls: self.target.controls,
                private: self.target.private.clone(),
                ours: self.target.ours,
                own_roots: self.target.own_roots,
                headers: self.target.headers(provider),
                wanted: self.target.wanted.clone(),
                further: self.target.further,
            },
            walks: self.route.iter().map(walk).collect::<Result<_, String>>()?,
            outcomes: Vec::new(),
            standing: None,
        })
    }

    /// What the story tells of experiments.
    fn told(&self, library: &Library) -> Result<Vec<Outcome>, String> {
        let outcome = |told: &Told| {
            let wanted =
                |route: &&Route| told.route.as_ref().is_none_or(|name| *name == route.name);
            let route = self.route.iter().find(wanted).ok_or("an outcome is of no route")?;
            let result = match (&told.trip, told.not_run) {
                (Some(value), None) => Ok(self.trip(value, route, library)?),
                (None, Some(why)) => Err(why),
                (Some(_), Some(_)) | (None, None) => {
                    return Err(format!("{:?} needs a trip or not_run", told.change));
                }
            };
            Ok(Outcome {
                experiment: Experiment { route: route.name.clone(), change: told.change },
                result,
            })
        };
        self.outcome.iter().map(outcome).collect()
    }

    /// Diagnosis and experiments by turns, as the daemon does it.
    pub(super) fn run(&self, library: &Library) -> Result<(Evidence, Findings), String> {
        self.run_with(library, |_| ())
    }

    /// The same, with every trip changed.
    pub(super) fn run_with(
        &self,
        library: &Library,
        change: impl Fn(&mut Trip),
    ) -> Result<(Evidence, Findings), String> {
        let mut evidence = self.evidence(library)?;
        let mut left = self.told(library)?;
        let told = left.iter_mut().filter_map(|outcome| outcome.result.as_mut().ok());
        evidence.walks.iter_mut().map(|walk| &mut walk.trip).chain(told).for_each(change);
        for _ in 0..=ROUNDS {
            let asked = match diagnose(&evidence) {
                Decision::Decided(findings) if left.is_empty() => return Ok((evidence, findings)),
                Decision::Decided(_) => {
                    let vain: Vec<&Experiment> =
                        left.iter().map(|outcome| &outcome.experiment).collect();
                    return Err(format!("decided without asking for {vain:?}"));
                }
                Decision::Ask(asked) => asked,
            };
            for experiment in asked {
                let place = left.iter().position(|outcome| outcome.experiment == experiment);
                let place =
                    place.ok_or_else(|| format!("asks for {experiment:?}, which is not told"))?;
                evidence.outcomes.push(left.swap_remove(place));
            }
            let ran = evidence.outcomes.iter().filter(|outcome| outcome.result.is_ok()).count();
            if ran > EXPERIMENTS {
                return Err(format!("asks for more than {EXPERIMENTS} experiments"));
            }
        }
        Err(format!("asks in more than {ROUNDS} rounds"))
    }

    pub(super) fn expected(&self) -> Result<Vec<Expected>, String> {
        let mut all: Vec<Expected> = match &self.expect {
            toml::Value::Array(_) => convert(&self.expect, "expect")?,
            one => vec![convert(one, "expect")?],
        };
        for (place, expected) in all.iter_mut().enumerate() {
            let first = (place == 0).then(|| self.route.first().map(|route| route.name.clone()));
            expected.route = expected.route.take().or(first.flatten());
            expected.layer =
                expected.layer.or_else(|| expected.cause.and_then(|cause| cause.row().layer));
            expected.notes.sort();
        }
        Ok(all)
    }

    /// What is expected of the target, by default that of the only route.
    pub(super) fn expected_of_target(&self, routes: &[Expected]) -> Result<TargetExpected, String> {
        match (self.target_expect, routes) {
            (Some(told), _) => Ok(told),
            (None, [Expected { status, cause, party, .. }]) => {
                Ok(TargetExpected { status: *status, cause: *cause, party: *party })
            }
            (None, _) => Err("more than one route needs [target_expect]".into()),
        }
    }
}

/// The same trip at other addresses.
fn moved(trip: Trip, at: &[SocketAddr]) -> Result<Trip, String> {
    let mut legs = Vec::new();
    for (place, address) in at.iter().enumerate() {
        let leg = match trip.legs.get(place) {
            Some(leg) => leg.clone(),
            None => Leg {
                response: None,
                ..trip.legs.last().ok_or("`at` needs a trip with a leg")?.clone()
            },
        };
        legs.push(Leg { address: *address, ..leg });
    }
    let family = |v6: bool| {
        let of_it = at.iter().map(SocketAddr::ip).filter(|address| address.is_ipv6() == v6);
        Answer::Addresses(of_it.collect())
    };
    let mut lookup = trip.lookup;
    (lookup.a, lookup.aaaa) = (Some(family(false)), Some(family(true)));
    Ok(Trip { legs, lookup, ..trip })
}
