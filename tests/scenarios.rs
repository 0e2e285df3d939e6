//! Stories: observations in, verdict out, no network. Each `scenarios/*.toml` is one.
//!
//! A story hands over only what `diagnose` asks for: an experiment that it does not tell fails it,
//! and so does one that it tells in vain. What a story may say is in `story.rs`; `trips.toml` holds
//! the trips that many share; `replay/` holds cases that were told in public, `replay.rs` what they say
//! beyond a story. The code is never asked what a story should expect.

mod replay;
mod story;

use std::collections::BTreeSet;
use std::fmt::Debug;
use std::sync::Arc;

use egressd::cause::{CAUSES, Cause, Party};
use egressd::diagnosis::{
    Decision, Evidence, Finding, Findings, RouteVerdict, Rule, diagnose, rules,
};
use egressd::observation::{Failure, Trip};

use story::{Expected, Library, Story, TargetExpected};

/// A summary at most, in characters.
const SUMMARY: usize = 140;
/// Shorter texts of a peer may be ordinary words.
const TELLING: usize = 12;
/// Those who are not at fault where a site is broken, or where nothing is.
const ON_THE_WAY: [Party; 4] = [Party::Firewall, Party::Proxy, Party::Inspection, Party::Portal];

#[test]
fn every_story_ends_as_it_says() {
    let library = Library::read();
    let mut problems = library.problems.clone();
    for (name, story) in &library.stories {
        if let Err(difference) = differences(story, &library) {
            problems.push(format!("{name}: {difference}"));
        }
    }
    let (wrong, all) = (problems.len(), library.stories.len());
    assert!(problems.is_empty(), "{wrong} of {all} stories:\n\n{}\n", problems.join("\n\n"));
}

#[test]
fn every_cause_has_a_story() {
    let library = Library::read();
    let expected =
        library.stories.iter().flat_map(|(_, story)| story.expected().unwrap_or_default());
    let told: BTreeSet<Cause> =
        expected.flat_map(|expected| expected.notes.into_iter().chain(expected.cause)).collect();
    let missing: Vec<&str> =
        CAUSES.iter().filter(|row| !told.contains(&row.cause)).map(|row| row.id).collect();
    assert!(missing.is_empty(), "no story expects {missing:?}");
}

#[test]
fn every_rule_decides_a_story() {
    let library = Library::read();
    let mut idle: BTreeSet<&str> = rules().map(Rule::name).collect();
    for (_, story) in &library.stories {
        let (_, findings) = story.run(&library).expect("it is told");
        let routes = findings.routes.iter();
        for finding in routes.flat_map(|route| route.finding.iter().chain(&route.notes)) {
            idle.remove(finding.rule.as_str());
        }
    }
    assert!(idle.is_empty(), "no story ends by {idle:?}");
}

#[test]
fn a_quarter_of_the_stories_accuse_nobody() {
    let library = Library::read();
    let negative = library.stories.iter().filter(|(_, story)| story.negative).count();
    let all = library.stories.len();
    assert!(negative * 4 >= all, "{negative} of {all} are negative");
}

#[test]
fn every_shared_trip_is_used() {
    let library = Library::read();
    let values = library.stories.iter().flat_map(|(_, story)| {
        let routes = story.route.iter().map(|route| &route.trip);
        routes.chain(story.outcome.iter().filter_map(|told| told.trip.as_ref()))
    });
    let names: BTreeSet<&str> =
        values.filter_map(|value| value.as_str().or_else(|| value.get("like")?.as_str())).collect();
    let unused: Vec<&String> =
        library.shared.keys().filter(|name| !names.contains(name.as_str())).collect();
    assert!(unused.is_empty(), "no story uses {unused:?} of trips.toml");
}

#[test]
fn what_was_found_stands_while_the_failures_stay_the_same() {
    let library = Library::read();
    let (mut stood, mut asked) = (0, 0);
    for (name, story) in &library.stories {
        let (evidence, findings) = story.run(&library).expect("it is told");
        let all_fail = findings.symptom.iter().all(Option::is_some);
        let by_turns = findings
            .routes
            .iter()
            .filter_map(|route| route.finding.as_ref())
            .any(|finding| finding.cause == Cause::Intermittent);
        if !all_fail || by_turns {
            continue;
        }
        let again = Evidence { outcomes: Vec::new(), standing: Some(findings.clone()), ..evidence };
        match diagnose(&again) {
            Decision::Decided(still) => assert_eq!(still, findings, "{name}"),
            Decision::Ask(more) => panic!("{name} asks again: {more:?}"),
        }
        stood += 1;
        // Another failure than the one that was examined: nothing stands.
        let mut other = findings.clone();
        other.symptom.iter_mut().flatten().for_each(|symptom| symptom.kind.push_str("_other"));
        let changed = Evidence { standing: Some(other), ..again };
        asked += usize::from(matches!(diagnose(&changed), Decision::Ask(_)));
    }
    assert!(stood > 50 && asked > 50, "{stood} stood, {asked} were examined anew");
}

/// What another failure of the same layer and kind is: a change of each of these is examined, or worded,
/// anew, and the same again is not.
#[test]
fn a_failure_that_changed_inside_is_another() {
    let connect =
        |inner: &str| format!("kind = \"connect\", inner = {{ tcp = {{ kind = \"{inner}\" }} }}");
    let auth = |login: &str| format!("kind = \"auth\", status = 407, login = {{ {login} }}");
    let until = |kind: &str, time: &str| match kind {
        "rejected" => auth(&format!("rejected = {{ scheme = \"basic\", until = \"{time}\" }}")),
        _ => auth(&format!("withheld = {{ until = \"{time}\" }}")),
    };
    let says = |header: &str, value: &str| {
        format!("kind = \"status\", status = 503, headers = [[\"{header}\", \"{value}\"]]")
    };
    let (noon, later) = ("2026-11-22T12:00:00Z", "2026-11-22T12:15:00Z");
    let ticket = |kind: &str| auth(&format!("no_ticket = {{ kind = \"{kind}\" }}"));
    let rows = [
        (connect("timeout"), connect("refused"), false),
        (connect("timeout"), format!("{}, waited_ms = 1234", connect("timeout")), true),
        (until("rejected", noon), until("rejected", later), false),
        (until("rejected", noon), until("withheld", noon), true),
        (ticket("expired"), ticket("revoked"), false),
        (
            says("x-squid-error", "ERR_DNS_FAIL 0"),
            says("x-squid-error", "ERR_CANNOT_FORWARD 0"),
            false,
        ),
        (says("x-squid-error", "ERR_DNS_FAIL 0"), says("x-squid-error", "ERR_DNS_FAIL 7"), true),
        (
            says("proxy-status", "p; error=dns_error; rcode=2"),
            says("proxy-status", "p; error=dns_timeout"),
            false,
        ),
        (
            says("proxy-status", "p; error=dns_error; details=\\\"1\\\""),
            says("proxy-status", "p; error=dns_error; details=\\\"2\\\""),
            true,
        ),
        (says("date", "1"), says("date", "2"), true),
    ];
    for (one, other, alike) in rows {
        let library = Library::read();
        let symptom = |failure: &str| {
            let text = format!(
                "story = \"\"\nexpect = []\n[[route]]\nname = \"corp\"\nproxy = \"10.8.0.5:3128\"\nexpect = \"closed\"\n\
                 [route.trip]\nlookup = {{ name = \"\", a = {{ addresses = [\"10.8.0.5\"] }} }}\n\
                 legs = [{{ address = \"10.8.0.5:3128\", stop = {{ proxy = {{ {failure} }} }} }}]\n"
            );
            let story: Story = toml::from_str(&text).expect("a story");
            story.run(&library).expect("it is told").1.symptom
        };
        assert_eq!(symptom(&one) == symptom(&other), alike, "{one}\n{other}");
    }
}

/// Every story ends the same with a vendor's marks everywhere, and without those it has.
#[test]
fn no_verdict_depends_on_whose_marks_are_seen() {
    let library = Library::read();
    let mut named = [0; 3];
    for (name, story) in &library.stories {
        let changes: [fn(&mut Trip); 3] = [|_| (), marked, unmarked];
        let runs = changes.map(|change| story.run_with(&library, change).expect("it is told").1);
        let ends = runs.each_ref().map(|findings| {
            // The symptom is compared and never shown: the issuer is in it.
            let routes = findings.routes.iter().map(|route| RouteVerdict {
                symptom: None,
                looks_like: Vec::new(),
                ..route.clone()
            });
            (routes.collect::<Vec<_>>(), &findings.target)
        });
        // Whose certificate is missing is known by the issuer's name alone, whoever that is.
        let by_name = ends[0].1.finding.as_ref().map(|finding| finding.cause);
        if by_name == Some(Cause::CertIncompleteChain) {
            continue;
        }
        assert!(ends.iter().all(|end| *end == ends[0]), "{name}: {ends:#?}");
        for (count, findings) in named.iter_mut().zip(&runs) {
            *count += findings.routes.iter().filter(|route| !vendors(route).is_empty()).count();
        }
    }
    let [told, planted, left] = named;
    assert!(planted > told + 30 && told > left, "{named:?} routes look like somebody's");
}

/// A vendor's name wherever a device may write one.
fn marked(trip: &mut Trip) {
    change_marks(
        trip,
        |issuer| issuer.push_str(",O=Fortinet"),
        |headers, body| {
            headers.push(("server".into(), "Zscaler/6.2".into()));
            if !body.is_empty() && !body.starts_with('{') {
                body.push_str("<!-- Internet Security by Zscaler -->");
            }
        },
    );
}

/// None where there is one that no rule reads.
fn unmarked(trip: &mut Trip) {
    change_marks(
        trip,
        |issuer| *issuer = issuer.replace("Fortinet", "Example Corp"),
        |headers, _| headers.retain(|(name, value)| name != "server" || value == "cloudflare"),
    );
}

fn change_marks(
    trip: &mut Trip,
    of_chain: impl Fn(&mut String),
    of_answer: impl Fn(&mut Vec<(String, String)>, &mut String),
) {
    for leg in &mut trip.legs {
        let chain = leg.chain.as_mut().map(Arc::make_mut).filter(|chain| !chain.is_public());
        chain.into_iter().flat_map(|chain| &mut chain.certificates).for_each(|certificate| {
            of_chain(&mut certificate.issuer);
        });
        if let Some(response) = &mut leg.response {
            of_answer(&mut response.headers, &mut response.body);
        }
        if let Some(Failure::Proxy(failure)) = &mut leg.stop {
            of_answer(&mut failure.headers, &mut failure.body);
        }
    }
}

/// Everything that is not as the story says.
fn differences(story: &Story, library: &Library) -> Result<(), String> {
    let (evidence, findings) = story.run(library)?;
    let expected = story.expected()?;
    let mut found: Vec<Expected> = findings.routes.iter().map(decided).collect();
    for (found, _) in found.iter_mut().zip(&expected).filter(|(_, told)| told.looks_like.is_none())
    {
        found.looks_like = None;
    }
    let mut report = compare("the routes", &found, &expected);
    let headline = findings.target.finding.as_ref();
    let target = TargetExpected {
        status: findings.target.status,
        cause: headline.map(|finding| finding.cause),
        party: headline.map(|finding| finding.party),
    };
    report += &compare("the target", &target, &story.expected_of_target(&expected)?);
    report += &wording(&evidence, &findings);
    if story.negative {
        let headlines = findings.routes.iter().filter_map(|route| route.finding.as_ref());
        let parties: Vec<Party> = headlines.chain(headline).map(|finding| finding.party).collect();
        let accused: Vec<&Party> =
            parties.iter().filter(|party| ON_THE_WAY.contains(party)).collect();
        report += &compare("whom a negative story accuses", &accused, &Vec::new());
    }
    if report.is_empty() { Ok(()) } else { Err(format!("{}{report}", story.sentence)) }
}

fn compare<T: PartialEq + Debug>(what: &str, found: &T, expected: &T) -> String {
    if found == expected {
        return String::new();
    }
    format!("\n  {what}\n    expected {expected:?}\n    found    {found:?}")
}

fn decided(verdict: &RouteVerdict) -> Expected {
    let finding = verdict.finding.as_ref();
    let mut notes: Vec<Cause> = verdict.notes.iter().map(|note| note.cause).collect();
    notes.sort();
    Expected {
        route: Some(verdict.route.clone()),
        status: verdict.status,
        network: verdict.network,
        cause: finding.map(|finding| finding.cause),
        rule: finding.map(|finding| finding.rule.clone()),
        party: finding.map(|finding| finding.party),
        confidence: finding.map(|finding| finding.confidence),
        layer: finding.map(|finding| finding.layer),
        notes,
        looks_like: Some(vendors(verdict)),
    }
}

fn vendors(verdict: &RouteVerdict) -> Vec<String> {
    let each = verdict.looks_like.iter();
    each.map(|like| format!("{} ({})", like.vendor, like.by.label())).collect()
}

/// What is wrong with the words.
fn wording(evidence: &Evidence, findings: &Findings) -> String {
    let of_routes = findings.routes.iter();
    let of_routes = of_routes.flat_map(|route| route.finding.iter().chain(&route.notes));
    let mut peers = peer_texts(evidence);
    // Nor is a vendor's name, which a peer can choose.
    let vendors = findings.routes.iter().flat_map(|route| &route.looks_like);
    peers.extend(vendors.map(|like| like.vendor.clone()));
    let mut report = String::new();
    for Finding { summary, means, advice, do_not, .. } in of_routes.chain(&findings.target.finding)
    {
        let fits = summary.is_ascii() && summary.len() <= SUMMARY;
        report += &compare("a summary that is no line of ASCII", &fits, &true);
        let said = [summary, means, advice, do_not];
        let from_peers: Vec<&String> =
            peers.iter().filter(|text| said.iter().any(|said| said.contains(*text))).collect();
        report += &compare("a peer's text in words", &from_peers, &Vec::new());
    }
    report
}

/// Texts that peers chose, in all trips.
fn peer_texts(evidence: &Evidence) -> BTreeSet<String> {
    let ran = evidence.outcomes.iter().filter_map(|outcome| outcome.result.as_ref().ok());
    let mut texts = BTreeSet::new();
    for leg in evidence.walks.iter().map(|walk| &walk.trip).chain(ran).flat_map(|trip| &trip.legs) {
        if let Some(response) = &leg.response {
            texts.insert(response.body.clone());
            texts.extend(response.headers.iter().map(|(_, value)| value.clone()));
            let body: Option<serde_json::Value> = serde_json::from_str(&response.body).ok();
            for key in ["message", "type"] {
                let said = body.as_ref().and_then(|body| body.get("error")?.get(key)?.as_str());
                texts.extend(said.map(str::to_owned));
            }
        }
        for certificate in leg.chain.iter().flat_map(|chain| &chain.certificates) {
            texts.extend([certificate.subject.clone(), certificate.issuer.clone()]);
            texts.extend(certificate.issuer.split('=').map(str::to_owned));
            texts.extend(certificate.names.iter().cloned());
        }
        match &leg.stop {
            Some(Failure::Proxy(failure)) => {
                texts.insert(failure.body.clone());
                texts.extend(failure.headers.iter().map(|(_, value)| value.clone()));
            }
            Some(Failure::Tls(failure)) => {
                texts.extend([failure.first_bytes.clone(), failure.detail.clone()]);
            }
            Some(Failure::Http(failure)) => texts.extend([failure.detail.clone()]),
            Some(Failure::Local(_) | Failure::Dns(_) | Failure::Tcp(_)) | None => {}
        }
    }
    let host = &evidence.target.host;
    texts.retain(|text| text.len() >= TELLING && !host.contains(text.as_str()));
    texts
}
