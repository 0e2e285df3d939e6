//! The JSON of `/api/v1/status` and of `check --format json`: types of their own, so that what is
//! inside may change and what others read does not.

use serde::Serialize;

use crate::cause::{Cause, Layer, Party, Status};
use crate::diagnosis::{Author, Confidence, EvidenceLine, Finding, LooksLike, NetworkState};
use crate::lint::Judged;
use crate::observation::{Expect, Trip};
use crate::store::{self, Phase, Snapshot};

use super::lint;
use super::observed::Observed;

/// The whole document.
#[derive(Debug, Serialize)]
pub struct Document<'a> {
    schema: &'static str,
    version: &'static str,
    site: Option<String>,
    checks: Vec<Check<'a>>,
    targets: Vec<Target>,
}

#[derive(Debug, Serialize)]
struct Check<'a> {
    target: String,
    route: String,
    expect: Expect,
    status: Status,
    network: NetworkState,
    layer: Option<Layer>,
    cause: Option<Cause>,
    party: Option<Party>,
    confidence: Option<Confidence>,
    rule: Option<String>,
    since: Option<String>,
    flapping: bool,
    incident: Option<String>,
    failure: Option<Failure>,
    summary: String,
    advice: Option<String>,
    do_not: Option<String>,
    ask: Option<String>,
    notes: Vec<Note>,
    looks_like: Vec<LooksLike>,
    evidence: Vec<EvidenceLine>,
    phases: Phases,
    addresses: Vec<Address>,
    tls: Option<Tls>,
    response: Option<Response>,
    started: Option<String>,
    seconds: f64,
    latest: Option<Latest>,
    observed: Option<Observed<'a>>,
}

#[derive(Debug, Serialize)]
struct Failure {
    layer: String,
    kind: String,
}

#[derive(Debug, Serialize)]
struct Note {
    cause: Cause,
    party: Party,
    status: Status,
    summary: String,
}

#[derive(Debug, Default, Serialize)]
struct Phases {
    dns: Option<f64>,
    connect: Option<f64>,
    proxy: Option<f64>,
    tls: Option<f64>,
    first_byte: Option<f64>,
    body: Option<f64>,
}

#[derive(Debug, Serialize)]
struct Address {
    address: String,
    family: &'static str,
    status: &'static str,
    failure: Option<Failure>,
}

#[derive(Debug, Serialize)]
struct Tls {
    version: Option<String>,
    issuer: Option<String>,
    not_after: Option<String>,
    trust: &'static str,
}

#[derive(Debug, Serialize)]
struct Response {
    status: u16,
    author: Author,
    request_id: Option<String>,
    error_type: Option<String>,
    message: Option<String>,
    /// Seconds, where the answer says when to ask again.
    retry_after: Option<u64>,
}

#[derive(Debug, Serialize)]
struct Latest {
    status: Status,
    failure: Option<Failure>,
}

#[derive(Debug, Serialize)]
struct Target {
    target: String,
    status: Status,
    layer: Option<Layer>,
    cause: Option<Cause>,
    party: Option<Party>,
    confidence: Option<Confidence>,
    summary: String,
}

/// A time as this document writes it: UTC with milliseconds.
pub fn time(at: jiff::Timestamp) -> String {
    format!("{at:.3}")
}

/// The document of a snapshot.
pub fn document(snapshot: &Snapshot) -> Document<'_> {
    Document {
        schema: "egressd.status/1",
        version: env!("CARGO_PKG_VERSION"),
        site: snapshot.site.clone(),
        checks: snapshot.checks.values().map(|check| Check::of(check, snapshot)).collect(),
        targets: snapshot.targets.values().map(|target| Target::of(target)).collect(),
    }
}

/// The document with what is wrong with the request that was checked.
#[derive(Serialize)]
struct WithLint<'a> {
    #[serde(flatten)]
    document: Document<'a>,
    #[serde(skip_serializing_if = "Option::is_none")]
    lint: Option<lint::Document<'a>>,
}

/// The document as text, two spaces a level; with the findings, where a request was given.
pub fn json(snapshot: &Snapshot, judged: Option<&[Judged]>) -> String {
    let whole = WithLint { document: document(snapshot), lint: judged.map(lint::document) };
    serde_json::to_string_pretty(&whole).unwrap_or_default()
}

impl<'a> Check<'a> {
    fn of(check: &'a store::Check, snapshot: &Snapshot) -> Self {
        let verdict = check.verdict();
        let finding = verdict.and_then(|verdict| verdict.finding.as_ref());
        let trip = check.trip.as_deref();
        let symptom = |symptom: &crate::diagnosis::Symptom| Failure {
            layer: symptom.layer.clone(),
            kind: symptom.kind.clone(),
        };
        let target = snapshot.targets.get(check.id.target.as_str());
        let ranges = target.map_or(&[][..], |target| target.declared.ranges);
        let text = |of: fn(&Finding) -> &String| finding.map(|finding| of(finding).clone());
        Self {
            target: check.id.target.clone(),
            route: check.id.route.clone(),
            expect: check.expect,
            status: check.status(),
            network: verdict.map_or(NetworkState::Unknown, |verdict| verdict.network),
            layer: finding.map(|finding| finding.layer),
            cause: finding.map(|finding| finding.cause),
            party: finding.map(|finding| finding.party),
            confidence: finding.map(|finding| finding.confidence),
            rule: text(|finding| &finding.rule),
            since: verdict.and(check.steady.since).map(time),
            flapping: check.steady.flapping,
            incident: None,
            failure: verdict.and_then(|verdict| verdict.symptom.as_ref()).map(symptom),
            summary: summary(check),
            advice: text(|finding| &finding.advice),
            do_not: text(|finding| &finding.do_not),
            ask: text(|finding| &finding.ask),
            notes: verdict.iter().flat_map(|verdict| &verdict.notes).map(Note::of).collect(),
            looks_like: verdict.map(|verdict| verdict.looks_like.clone()).unwrap_or_default(),
            evidence: verdict.map(|verdict| verdict.evidence.clone()).unwrap_or_default(),
            phases: trip.map(Phases::of).unwrap_or_default(),
            addresses: trip.map(addresses).unwrap_or_default(),
            tls: trip.and_then(Tls::of),
            response: Response::of(check),
            started: trip.map(|trip| time(trip.started)),
            seconds: check.seconds,
            latest: check.latest.as_ref().map(|latest| Latest {
                status: latest.status,
                failure: latest.symptom.as_ref().map(symptom),
            }),
            observed: trip.map(|trip| Observed::of(trip, ranges)),
        }
    }
}

/// The one line of a check.
pub fn summary(check: &store::Check) -> String {
    let name = format!("{} via {}", check.id.target, check.id.route);
    match (&check.unknown, check.verdict()) {
        (Some(why), _) => format!("{name}: egressd cannot say: {why}"),
        (None, Some(verdict)) => match (&verdict.finding, verdict.works) {
            (Some(finding), _) => finding.summary.clone(),
            (None, true) => format!("{name}: works"),
            (None, false) => format!("{name}: closed, as declared"),
        },
        (None, None) => format!("{name}: not checked yet"),
    }
}

impl Note {
    fn of(finding: &Finding) -> Self {
        Self {
            cause: finding.cause,
            party: finding.party,
            status: finding.status,
            summary: finding.summary.clone(),
        }
    }
}

impl Phases {
    fn of(trip: &Trip) -> Self {
        let mut phases = Self::default();
        for (phase, seconds) in store::passed(trip) {
            *match phase {
                Phase::Dns => &mut phases.dns,
                Phase::Connect => &mut phases.connect,
                Phase::Proxy => &mut phases.proxy,
                Phase::Tls => &mut phases.tls,
                Phase::FirstByte => &mut phases.first_byte,
                Phase::Body => &mut phases.body,
            } = Some(seconds);
        }
        phases
    }
}

fn addresses(trip: &Trip) -> Vec<Address> {
    trip.legs
        .iter()
        .map(|leg| Address {
            address: leg.address.ip().to_string(),
            family: if leg.address.is_ipv4() { "ipv4" } else { "ipv6" },
            status: if leg.stop.is_none() { "ok" } else { "broken" },
            failure: leg.stop.as_ref().map(|failure| Failure {
                layer: failure.layer().to_owned(),
                kind: failure.kind().to_owned(),
            }),
        })
        .collect()
}

impl Tls {
    fn of(trip: &Trip) -> Option<Self> {
        let leg = trip.leading()?;
        if leg.secured.is_none() && leg.chain.is_none() {
            return None;
        }
        let chain = leg.chain.as_deref();
        Some(Self {
            version: leg.secured.as_ref().map(|secured| secured.version.clone()),
            issuer: chain.and_then(|chain| chain.top_issuer()).map(str::to_owned),
            not_after: chain.and_then(crate::observation::Chain::not_after).map(time),
            trust: chain.map_or("none", |chain| chain.trust().label()),
        })
    }
}

impl Response {
    fn of(check: &store::Check) -> Option<Self> {
        let response = check.trip.as_ref()?.legs.iter().find_map(|leg| leg.response.as_ref())?;
        let (reading, author) = check.answer.as_ref()?;
        Some(Self {
            status: response.status,
            author: *author,
            request_id: reading.request_id.clone(),
            error_type: reading.error_type.clone(),
            message: reading.message.clone(),
            retry_after: response.retry_after(),
        })
    }
}

impl Target {
    fn of(target: &store::Target) -> Self {
        let verdict = target.verdict.as_ref().filter(|_| !target.unknown);
        let finding = verdict.and_then(|verdict| verdict.finding.as_ref());
        let name = &target.declared.target;
        Self {
            target: name.clone(),
            status: target.status(),
            layer: finding.map(|finding| finding.layer),
            cause: finding.map(|finding| finding.cause),
            party: finding.map(|finding| finding.party),
            confidence: finding.map(|finding| finding.confidence),
            summary: verdict
                .map_or_else(|| format!("{name}: not known"), |verdict| verdict.summary.clone()),
        }
    }
}
