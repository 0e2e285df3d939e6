//! One route's verdict: the first fault that holds, confirmed; the facts beside it; the evidence.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::case::{Case, Found, Needed};
use super::facts::FACTS;
use super::{
    EvidenceLine, FAULTS, Held, Key, LooksLike, Rule, Symptom, experiment, looks_like, words,
};
use crate::cause::{Cause, Layer, Party, Status};
use crate::observation::{Change, Control, Expect};

documented! {
/// How sure a verdict is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Confidence {
    /// It shows, and more than one party may be behind it: nobody is sent to work on a guess.
    Low,
    /// Probable: the evidence names this party, and leaves a doubt.
    Medium,
    /// Proven: by a control, by another route, or by a mark of whoever did it.
    High,
}
}

impl Confidence {
    /// All of them, the surest first.
    pub const ALL: &[Self] = &[Self::High, Self::Medium, Self::Low];

    /// The fixed name.
    pub fn label(self) -> &'static str {
        match self {
            Self::Low => "low",
            Self::Medium => "medium",
            Self::High => "high",
        }
    }
}

impl fmt::Display for Confidence {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.label())
    }
}

/// Whether the way out works, whatever the API says.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum NetworkState {
    /// An answer of the provider came over an accepted chain.
    Ok,
    /// Somebody on this side has to act.
    Broken,
    /// Neither is proven.
    Unknown,
}

impl NetworkState {
    /// All of them.
    pub const ALL: &[Self] = &[Self::Ok, Self::Broken, Self::Unknown];

    /// The fixed name.
    pub fn label(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Broken => "broken",
            Self::Unknown => "unknown",
        }
    }
}

/// One cause, with its words.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Finding {
    /// The rule that decided.
    pub rule: String,
    /// The cause.
    pub cause: Cause,
    /// Where it shows.
    pub layer: Layer,
    /// Who has to act.
    pub party: Party,
    /// What it makes of the check.
    pub status: Status,
    /// How sure it is.
    pub confidence: Confidence,
    /// The one line.
    pub summary: String,
    /// What is so, in a sentence.
    pub means: String,
    /// What to do.
    pub advice: String,
    /// What not to do.
    pub do_not: String,
    /// What to ask the other team.
    pub ask: String,
}

/// What is decided of one route.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RouteVerdict {
    /// The route.
    pub route: String,
    /// How it stands.
    pub status: Status,
    /// Whether the way out works.
    pub network: NetworkState,
    /// Whether the target was reached and used.
    pub works: bool,
    /// The headline; none where it is ok.
    pub finding: Option<Finding>,
    /// What else was found.
    pub notes: Vec<Finding>,
    /// The controls.
    pub evidence: Vec<EvidenceLine>,
    /// The raw symptom.
    pub symptom: Option<Symptom>,
    /// Whose marks were seen: no part of what was decided.
    #[serde(default)]
    pub looks_like: Vec<LooksLike>,
}

/// What the routes say together.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TargetVerdict {
    /// How it stands.
    pub status: Status,
    /// The headline; none where it is ok.
    pub finding: Option<Finding>,
    /// The one line.
    pub summary: String,
}

rules! { RULES
    /// The trip failed, and no other rule holds. All of its evidence is kept, so that a rule can be made of it.
    Unknown unknown,
}

rules! { CONFIRMATION
    /// The trip failed and its repeat arrived, or the reverse, within seconds, so that no cause can be named.
    Intermittent intermittent,
}

fn unknown(case: &Case<'_>) -> Held {
    if case.symptom().is_some() { Found::undetermined().yes() } else { Ok(None) }
}

fn intermittent(case: &Case<'_>) -> Held {
    let Some(repeat) = case.repeat() else { return Ok(None) };
    let arrives = |symptom: Option<Symptom>| symptom.is_none();
    if arrives(case.symptom()) == arrives(case.symptom_of(repeat)) {
        return Ok(None);
    }
    Found::undetermined().by(Control::Repeat).yes()
}

/// A rule that holds, with its proof.
#[derive(Clone, Debug)]
pub(super) struct Holds {
    pub(super) rule: &'static Rule,
    pub(super) found: Found,
}

impl Holds {
    fn status(&self) -> Status {
        self.found.status.unwrap_or(self.rule.cause.row().status)
    }
}

/// The verdict of a route, or what is needed for it.
pub(super) fn of_route(case: &Case<'_>) -> Result<RouteVerdict, Needed> {
    let mut needed = Vec::new();
    let symptom = case.symptom();
    let fault = decide(case, &mut needed);
    let facts = collect(case, &mut needed);
    let status = fault.as_ref().map_or(Status::Ok, Holds::status);
    // Asked for together with what a rule needs, so that it costs no time of its own.
    let confirm = case.asks && case.is_news(status);
    if confirm && let Err(Needed(repeat)) = case.seen(Change::Repeat) {
        needed.extend(repeat);
    }
    if !needed.is_empty() {
        return Err(Needed(needed));
    }
    let fault = if confirm { confirmed(case, fault)? } else { fault };
    Ok(publish(case, fault.as_ref(), &facts, symptom))
}

/// The first fault that holds. What a rule above it still needs is noted.
fn decide(case: &Case<'_>, needed: &mut Vec<super::Experiment>) -> Option<Holds> {
    // Nothing failed, and the key is not at fault: no rule can hold. Most checks end here.
    if case.symptom().is_none() && matches!(case.target().key, Key::None | Key::InForce(_)) {
        return None;
    }
    holding(FAULTS.iter().copied().flatten(), case, needed).next()
}

fn collect(case: &Case<'_>, needed: &mut Vec<super::Experiment>) -> Vec<Holds> {
    holding(FACTS.iter().copied().flatten(), case, needed).collect()
}

fn holding(
    rules: impl Iterator<Item = &'static Rule>,
    case: &Case<'_>,
    needed: &mut Vec<super::Experiment>,
) -> impl Iterator<Item = Holds> {
    rules.filter_map(|rule| match (rule.holds)(case) {
        Ok(found) => found.map(|found| Holds { rule, found }),
        Err(more) => {
            needed.extend(more.0);
            None
        }
    })
}

/// What the repeat makes of it: the same again confirms; the opposite is a fault of its own.
fn confirmed(case: &Case<'_>, fault: Option<Holds>) -> Result<Option<Holds>, Needed> {
    for rule in CONFIRMATION {
        if let Some(found) = (rule.holds)(case)? {
            return Ok(Some(Holds { rule, found }));
        }
    }
    let same = case.repeat().is_some_and(|again| case.symptom() == case.symptom_of(again));
    let weaker = |holds: Holds| Holds { found: holds.found.at_most(Confidence::Medium), ..holds };
    Ok(if same { fault } else { fault.map(weaker) })
}

fn publish(
    case: &Case<'_>,
    fault: Option<&Holds>,
    facts: &[Holds],
    symptom: Option<Symptom>,
) -> RouteVerdict {
    let word = |holds: &Holds| words::finding(case, holds);
    let mut notes: Vec<Finding> = facts.iter().map(word).collect();
    let mut headline = fault.map(word);
    if headline.is_none() {
        // A degraded fact is the cause where there is no fault.
        let worst = notes.iter().map(|note| note.status).max().unwrap_or(Status::Ok);
        if worst > Status::Ok
            && let Some(place) = notes.iter().position(|note| note.status == worst)
        {
            headline = Some(notes.remove(place));
        }
    }
    let found = headline.as_ref().map_or(Status::Ok, |finding| finding.status);
    let works = found != Status::Broken;
    // Closed as declared is ok, and a note says how.
    let closed = case.walk.expect == Expect::Closed && found == Status::Broken && !case.reached();
    if closed {
        notes.extend(headline.take());
    }
    let network = network(case, headline.as_ref());
    RouteVerdict {
        route: case.walk.route.clone(),
        status: if closed { Status::Ok } else { found },
        network,
        works,
        finding: headline,
        notes,
        evidence: experiment::lines(case),
        symptom,
        looks_like: looks_like::of(case),
    }
}

/// Ok by the provider's answer; broken by who has to act; else not proven.
fn network(case: &Case<'_>, headline: Option<&Finding>) -> NetworkState {
    let author = super::read_answer(case.target(), case.trip()).map(|(_, author)| author);
    if author.is_some_and(super::Author::is_provider) {
        return NetworkState::Ok;
    }
    // Without its client certificate the server was reached, and did not go on.
    let secret = |finding: &Finding| finding.cause == Cause::LocalCredentialUnavailable;
    if headline.is_some_and(secret) && case.proxy().is_none() {
        return NetworkState::Unknown;
    }
    match headline.map(|finding| finding.party) {
        Some(
            Party::Client
            | Party::Resolver
            | Party::DnsZone
            | Party::Firewall
            | Party::Network
            | Party::Inspection
            | Party::Portal
            | Party::Proxy
            | Party::Credential,
        ) => NetworkState::Broken,
        Some(
            Party::Edge
            | Party::Origin
            | Party::Account
            | Party::Gateway
            | Party::Request
            | Party::Undetermined,
        )
        | None => NetworkState::Unknown,
    }
}
