//! From evidence to a verdict: what broke, who has to act, and what decided. Pure: no clock, no socket.
//!
//! `diagnose` sees all routes of a target together. `FAULTS` are tried in the order of the layers: the
//! first that holds is the headline; what it still needs is asked for as experiments. `FACTS` are
//! notes, or a lesser cause where there is no fault. Each layer has tables of rules, which read as prose in
//! the order in which they are tried. Rules read marks and counters, never names, addresses or texts of any
//! particular network; whose product has left its marks (`looks_like`) is said beside a verdict and decides
//! nothing.

#[macro_use]
mod rule;

mod answer;
mod api;
mod astray;
mod author;
mod between;
mod case;
mod certificate;
mod connect;
mod credential;
mod dns;
mod experiment;
mod facts;
mod fingerprints;
mod hops;
mod http;
mod local;
mod login;
mod looks_like;
mod mark;
mod pac;
mod portal;
mod proxy;
mod seen;
mod slots;
mod steady;
mod tcp;
mod tls;
mod verdict;
mod weigh;
mod words;

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::cause::{Cause, Status};
use crate::observation::{Change, Control, Expect, Further, Needs, NotRun, Range, Trip, Wanted};
use crate::provider::{Provider, Reading};

pub use author::Author;
pub use experiment::{ControlResult, EvidenceLine};
pub use fingerprints::sinkhole_of;
pub use looks_like::{LooksLike, Sign};
pub use steady::{Raw, Steady};
pub use verdict::{Confidence, Finding, NetworkState, RouteVerdict, TargetVerdict};
pub use weigh::{Weighed, weigh};

use case::{Case, Found, Needed};
pub use rule::Rule;

/// All that is known when a decision is due.
#[derive(Clone, Debug)]
pub struct Evidence {
    /// The target and what was declared of it.
    pub target: TargetFacts,
    /// The ordinary trip of each route.
    pub walks: Vec<Walk>,
    /// The experiments that were asked for, run or not.
    pub outcomes: Vec<Outcome>,
    /// The last findings of a full set, where they may still stand.
    pub standing: Option<Findings>,
}

/// The target and what was declared of it.
#[derive(Clone, Debug)]
pub struct TargetFacts {
    /// Its name.
    pub name: String,
    /// The host that is asked.
    pub host: String,
    /// Its port.
    pub port: u16,
    /// The path that is asked for.
    pub path: String,
    /// The API that is spoken.
    pub provider: Provider,
    /// The state of its key.
    pub key: Key,
    /// How its routes are weighed.
    pub needs: Needs,
    /// Seconds of a look-up, CONNECT and first byte that are not slow.
    pub budget: [f64; 3],
    /// How many control hosts there are.
    pub controls: usize,
    /// The ranges that its name must resolve to; empty: any.
    pub private: Vec<Range>,
    /// Whether it is a gateway of the organisation's own.
    pub ours: bool,
    /// Whether roots were given for it alone, so that its certificate need not be a public one.
    pub own_roots: bool,
    /// The headers that each of its requests has beside the key, in lower case.
    pub headers: Vec<String>,
    /// The answer that is wanted, where the request is the target's own.
    pub wanted: Option<Wanted>,
    /// What is tested beyond the minimal request.
    pub further: Further,
}

/// The state of a configured key.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Key {
    /// None is configured.
    #[default]
    None,
    /// It is sent; where it is.
    InForce(String),
    /// It cannot be read: where, and why.
    Unavailable(String, String),
    /// There is nothing in it: where.
    Empty(String),
    /// It holds what no header may: where, and at which character.
    Unsendable(String, String),
}

impl Key {
    /// Where it is.
    pub fn place(&self) -> &str {
        match self {
            Self::None => "the target's `key`",
            Self::InForce(place)
            | Self::Unavailable(place, _)
            | Self::Empty(place)
            | Self::Unsendable(place, _) => place,
        }
    }
}

/// One route's ordinary trip.
#[derive(Clone, Debug)]
pub struct Walk {
    /// The route's name.
    pub route: String,
    /// The proxy, `host:port`.
    pub proxy: Option<String>,
    /// What is expected of the route.
    pub expect: Expect,
    /// What happened.
    pub trip: Trip,
    /// Whether the control hosts ever worked over this route.
    pub baseline: Baseline,
    /// What the other controls that depend on no target showed when they were measured last; those that
    /// were not measured are absent.
    pub usual: BTreeMap<Control, bool>,
    /// What was published of this check before; none: nothing yet.
    pub before: Option<Status>,
}

/// Whether the control hosts work over a route when nothing is wrong.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Baseline {
    /// Never measured.
    #[default]
    Unknown,
    /// They did.
    Good,
    /// They never did: they prove nothing here.
    Bad,
}

/// An experiment that diagnosis asks for.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Experiment {
    /// The route.
    pub route: String,
    /// What is changed.
    pub change: Change,
}

/// What an experiment brought.
#[derive(Clone, Debug)]
pub struct Outcome {
    /// The experiment.
    pub experiment: Experiment,
    /// The trip, or why there is none.
    pub result: Result<Trip, NotRun>,
}

/// What is decided of a target.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Findings {
    /// One verdict a route, in the order of the walks.
    pub routes: Vec<RouteVerdict>,
    /// What they say together.
    pub target: TargetVerdict,
    /// What was seen, to tell whether it is still the same.
    pub symptom: Vec<Option<Symptom>>,
    /// What was known of the control hosts.
    pub baseline: Vec<Baseline>,
    /// When the trips behind it were made.
    pub at: Timestamp,
}

/// The layer and kind of a route's failure, and the status where there was an answer.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Symptom {
    /// The layer's name.
    pub layer: String,
    /// The kind's name.
    pub kind: String,
    /// The answer's status.
    pub status: Option<u16>,
    /// What tells it from others of its kind: the author and the error's type, or what `mark` says of a
    /// failure. A peer's words are in it: it is compared and never shown.
    #[serde(default)]
    pub mark: Option<String>,
}

/// What diagnosis answers.
#[derive(Clone, Debug)]
pub enum Decision {
    /// It is decided.
    Decided(Findings),
    /// These would separate what is left.
    Ask(Vec<Experiment>),
}

/// Yes with its proof, no, or what is needed to say.
pub(crate) type Held = Result<Option<Found>, Needed>;

/// The faults in their order: what chooses the way, then the network's layers; a secret that could not be read is named
/// only where the way is fine, since it does not stop the trip.
const FAULTS: &[&[Rule]] = &[
    pac::RULES,
    local::RULES,
    portal::RULES,
    dns::RULES,
    astray::RULES,
    tcp::RULES,
    login::RULES,
    proxy::RULES,
    connect::RULES,
    tls::RULES,
    certificate::RULES,
    http::RULES,
    credential::RULES,
    between::RULES,
    answer::RULES,
    api::RULES,
    verdict::RULES,
];

/// All rules, as they are printed: faults, what the repeat makes of them, facts.
pub fn rules() -> impl Iterator<Item = &'static Rule> {
    FAULTS.iter().chain([&verdict::CONFIRMATION]).chain(facts::FACTS).copied().flatten()
}

/// Decides, or asks.
pub fn diagnose(evidence: &Evidence) -> Decision {
    let symptom: Vec<Option<Symptom>> =
        evidence.walks.iter().map(|walk| Case::new(evidence, walk).symptom()).collect();
    // While nothing about the failures has changed, what the full set of controls said stands.
    let baseline: Vec<Baseline> = evidence.walks.iter().map(|walk| walk.baseline).collect();
    // Whether something that passed a moment ago has become steady is asked anew each time.
    let stands = |standing: &&Findings| {
        let finding = |route: &RouteVerdict| route.finding.as_ref().map(|finding| finding.cause);
        let by_turns = standing.routes.iter().any(|r| finding(r) == Some(Cause::Intermittent));
        standing.symptom == symptom && standing.baseline == baseline && !by_turns
    };
    let standing = evidence.standing.as_ref().filter(stands);
    let mut asked = Vec::new();
    let mut routes = Vec::new();
    for (place, walk) in evidence.walks.iter().enumerate() {
        let failing = symptom.get(place).is_some_and(Option::is_some);
        if let Some(verdict) = standing.filter(|_| failing).and_then(|s| s.routes.get(place)) {
            routes.push(verdict.clone());
            continue;
        }
        match verdict::of_route(&Case::new(evidence, walk)) {
            Ok(verdict) => routes.push(verdict),
            Err(needed) => asked.extend(needed.0),
        }
    }
    // What is cut off where there are too many is the dearest, on every route alike.
    asked.sort_by_key(|one| {
        let first = match one.change {
            Change::Repeat => 0,
            Change::ControlHost(_) | Change::ControlTunnel(_) => 1,
            // What is asked for whatever fails comes last.
            change if change.is_asked_for() => 3,
            _ => 2,
        };
        (first, one.change.control().rank(), one.clone())
    });
    asked.dedup();
    asked.retain(|experiment| !evidence.outcomes.iter().any(|done| done.experiment == *experiment));
    if !asked.is_empty() {
        return Decision::Ask(asked);
    }
    let weighed: Vec<Weighed<'_>> = evidence
        .walks
        .iter()
        .zip(&routes)
        .map(|(walk, verdict)| Weighed {
            expect: walk.expect,
            worked: walk
                .before
                .filter(|before| matches!(before, Status::Ok | Status::Degraded))
                .map(|_| walk.trip.started),
            reached: walk.trip.reached(),
            verdict,
        })
        .collect();
    let target = weigh(&evidence.target.name, &evidence.target.needs, &weighed);
    let newest = evidence.walks.iter().map(|walk| walk.trip.started).max().unwrap_or_default();
    let at = standing.map_or(newest, |standing| standing.at);
    Decision::Decided(Findings { routes, target, symptom, baseline, at })
}

/// The reading of a trip's answer and who wrote it, for whoever publishes it.
pub fn read_answer(target: &TargetFacts, trip: &Trip) -> Option<(Reading, Author)> {
    let (mut reading, author) = author::of_trip(target, trip)?;
    for text in [&mut reading.error_type, &mut reading.message, &mut reading.request_id] {
        // A peer's text is as long as the peer likes.
        *text = text.take().map(|text| text.chars().take(256).collect());
    }
    Some((reading, author))
}

/// Whether a control's trip shows that what it tests works.
pub fn control_passed(control: Control, trip: &Trip) -> bool {
    experiment::passed(control, trip)
}

/// What a result of a control means, as a clause.
pub fn control_means(control: Control, result: ControlResult) -> &'static str {
    experiment::means(control, result)
}

/// What can decide a cause, in the order of the tables, and then what only the memory between checks shows:
/// the name of each rule, and what it means.
pub fn decides(cause: Cause) -> impl Iterator<Item = (&'static str, String)> {
    let of_trips = rules().filter(move |rule| rule.cause == cause);
    let of_memory = std::iter::once(steady::FLAPPING).filter(move |_| cause == Cause::Intermittent);
    of_trips
        .map(|rule| (rule.name(), rule.means()))
        .chain(of_memory.map(|[name, means]| (name, means.to_owned())))
}
