//! Each provider's answers row by row: what was captured or documented, and by hand who wrote it, what it means and
//! which of its words are kept. The way itself is always fine here.

mod facts;

use std::fs;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;

use egressd::diagnosis::{
    Baseline, Decision, Evidence, Findings, Key, Outcome, TargetFacts, Walk, diagnose, read_answer,
};
use egressd::observation::{
    Answer, Chain, ChainVerdict, Change, Expect, Leg, Lookup, Needs, NotRun, Response, Secured,
    Trip, Wanted,
};
use egressd::provider::Provider;
use serde::Deserialize;

/// Rounds of experiments at most.
const ROUNDS: usize = 4;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Table {
    /// The provider's own host that is asked.
    host: String,
    /// An address of it.
    address: String,
    row: Vec<Row>,
}

/// One answer.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Row {
    /// Where it was captured or is documented.
    source: String,
    status: u16,
    #[serde(default)]
    headers: Vec<(String, String)>,
    #[serde(default)]
    body: String,
    /// Whether the key was sent.
    #[serde(default = "yes")]
    keyed: bool,
    /// Another host than the provider's own: a gateway.
    host: Option<String>,
    /// Who accepts the chain.
    #[serde(default)]
    chain: ChainOf,
    /// What is asked for, where that counts.
    path: Option<String>,
    /// Whether the host is a gateway of the organisation's own.
    #[serde(default)]
    ours: bool,
    /// Headers of the request's own, in lower case.
    #[serde(default)]
    sent: Vec<String>,
    /// The answer that is wanted, where the request is the target's own.
    wanted: Option<Wanted>,
    /// The status of the same request without the key, where that decides.
    no_key: Option<u16>,
    author: String,
    /// A cause, or "ok".
    cause: String,
    #[serde(default)]
    party: Option<String>,
    confidence: Option<String>,
    #[serde(default)]
    error_type: Option<String>,
    #[serde(default)]
    message: Option<String>,
    #[serde(default)]
    request_id: Option<String>,
    #[serde(default)]
    gateway: bool,
}

#[derive(Clone, Copy, Debug, Default, Deserialize)]
#[serde(rename_all = "snake_case")]
enum ChainOf {
    #[default]
    Public,
    Organisation,
    Plain,
}

fn yes() -> bool {
    true
}

impl ChainOf {
    fn chain(self) -> Option<Arc<Chain>> {
        let (public, organisation) = match self {
            Self::Plain => return None,
            Self::Public => (ChainVerdict::Verified, ChainVerdict::UnknownIssuer),
            Self::Organisation => (ChainVerdict::UnknownIssuer, ChainVerdict::Verified),
        };
        Some(Arc::new(Chain { public, system: public, organisation, ..Chain::default() }))
    }
}

impl Row {
    fn trip(&self, address: SocketAddr, host: &str, response: Response) -> Trip {
        let chain = self.chain.chain();
        let leg = Leg {
            address,
            local: None,
            connected: None,
            proxy_secured: None,
            proxy_chain: None,
            tunnelled: None,
            secured: chain.as_ref().map(|_| Secured::default()),
            chain,
            asked: None,
            response: Some(response),
            held: None,
            hops: Vec::new(),
            stop: None,
        };
        let answer = Answer::Addresses(vec![address.ip()]);
        let lookup = Lookup { name: host.to_owned(), a: Some(answer), ..Lookup::default() };
        Trip { host: host.to_owned(), lookup, legs: vec![leg], ..Trip::default() }
    }

    fn response(&self) -> Response {
        Response {
            status: self.status,
            headers: self.headers.clone(),
            body: self.body.clone(),
            length: self.body.len() as u64,
            whole: true,
            keyed: self.keyed,
            ..Response::default()
        }
    }

    fn evidence(&self, provider: Provider, table: &Table) -> Evidence {
        let address = SocketAddr::new(table.address.parse().unwrap(), 443);
        let host = self.host.as_ref().unwrap_or(&table.host).clone();
        let trip = self.trip(address, &host, self.response());
        let minimal = || provider.facts().minimal_at(&table.host).unwrap_or("/").to_owned();
        let key = if self.keyed { Key::InForce("KEY".to_owned()) } else { Key::None };
        Evidence {
            target: TargetFacts {
                headers: provider
                    .facts()
                    .needed_headers()
                    .into_iter()
                    .map(|(name, _)| name)
                    .chain(self.sent.iter().cloned())
                    .collect(),
                wanted: self.wanted.clone(),
                further: egressd::observation::Further::default(),
                name: "api".to_owned(),
                host,
                port: 443,
                path: self.path.clone().unwrap_or_else(minimal),
                provider,
                key,
                needs: Needs::Any,
                budget: [1.0; 3],
                controls: 1,
                private: Vec::new(),
                ours: self.ours,
                own_roots: false,
            },
            walks: vec![Walk {
                route: "direct".to_owned(),
                proxy: None,
                expect: Expect::Open,
                trip,
                baseline: Baseline::Good,
                usual: std::collections::BTreeMap::new(),
                before: None,
            }],
            outcomes: Vec::new(),
            standing: None,
        }
    }

    /// The repeat is the same again, and of the other experiments only that without the key is told.
    fn run(&self, mut evidence: Evidence) -> (Evidence, Findings) {
        let trip = evidence.walks[0].trip.clone();
        for _ in 0..ROUNDS {
            let asked = match diagnose(&evidence) {
                Decision::Decided(findings) => return (evidence, findings),
                Decision::Ask(asked) => asked,
            };
            for experiment in asked {
                let without = |status: u16| {
                    let response = Response { status, whole: true, ..Response::default() };
                    self.trip(trip.legs[0].address, &trip.host, response)
                };
                let result = match (experiment.change, self.no_key) {
                    (Change::Repeat, _) => Ok(trip.clone()),
                    (Change::NoKey, Some(status)) => Ok(without(status)),
                    _ => Err(NotRun::NotAllowed),
                };
                evidence.outcomes.push(Outcome { experiment, result });
            }
        }
        panic!("asks without end: {self:?}");
    }

    /// Everything that is not as the row says.
    fn differences(&self, provider: Provider, table: &Table) -> Vec<String> {
        let (evidence, findings) = self.run(self.evidence(provider, table));
        let (reading, author) = read_answer(&evidence.target, &evidence.walks[0].trip).unwrap();
        let verdict = &findings.routes[0];
        let finding = verdict.finding.as_ref();
        let gateway = verdict.notes.iter().any(|note| note.cause.row().id == "gateway");
        let party = finding.map(|finding| finding.party.label().to_owned());
        let sure = finding.map(|finding| finding.confidence.label().to_owned());
        let found = [
            ("author", Some(author.label().to_owned()), Some(self.author.clone())),
            (
                "cause",
                Some(finding.map_or("ok", |finding| finding.cause.row().id).to_owned()),
                Some(self.cause.clone()),
            ),
            ("error_type", reading.error_type, self.error_type.clone()),
            ("message", reading.message, self.message.clone()),
            ("request_id", reading.request_id, self.request_id.clone()),
            ("gateway", Some(gateway.to_string()), Some(self.gateway.to_string())),
            ("party", party.clone(), self.party.clone().or(party)),
            ("confidence", sure.clone(), self.confidence.clone().or(sure)),
        ];
        let wrong = found.into_iter().filter(|(_, found, told)| found != told);
        wrong.map(|(what, found, told)| format!("{what}: found {found:?}, told {told:?}")).collect()
    }
}

#[test]
fn every_answer_is_understood() {
    let mut wrong = Vec::new();
    for provider in Provider::ALL.iter().filter(|provider| **provider != Provider::Generic) {
        let id = provider.facts().id;
        let path = Path::new("tests/providers").join(format!("{id}.toml"));
        let text = fs::read_to_string(&path).unwrap_or_else(|error| panic!("{id}: {error}"));
        let table: Table = toml::from_str(&text).unwrap_or_else(|error| panic!("{id}: {error}"));
        assert!(provider.owns(&table.host), "{id}: {}", table.host);
        for row in &table.row {
            assert!(!row.source.is_empty(), "{id}: {row:?}");
            let differences = row.differences(*provider, &table);
            if !differences.is_empty() {
                wrong.push(format!(
                    "{id}: {} {}\n    {}",
                    row.status,
                    row.body,
                    differences.join("\n    ")
                ));
            }
        }
    }
    assert!(wrong.is_empty(), "{}\n{}", wrong.len(), wrong.join("\n"));
}

/// What a gateway need not have is said with what it may have instead; nothing of the kind at the provider's own host.
#[test]
fn a_gateway_is_asked_for_something_else() {
    let text = fs::read_to_string("tests/providers/anthropic.toml").unwrap();
    let table: Table = toml::from_str(&text).unwrap();
    let mut seen = [0; 2];
    for row in table.row.iter().filter(|row| row.cause == "api_not_found") {
        let (_, findings) = row.run(row.evidence(Provider::Anthropic, &table));
        let advice = &findings.routes[0].finding.as_ref().unwrap().advice;
        let said = advice.contains("may be POST /v1/messages/count_tokens.");
        assert_eq!(said, row.host.is_some(), "{advice}");
        seen[usize::from(said)] += 1;
    }
    assert!(seen.iter().all(|count| *count > 0), "{seen:?}");
}
