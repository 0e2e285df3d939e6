//! State over time: what is published of a target follows its routes' steady verdicts, not the newest trip.

use std::collections::BTreeMap;
use std::time::Duration;

use egressd::cause::{Cause, Party, Status};
use egressd::diagnosis::{
    Confidence, Finding, Findings, NetworkState, RouteVerdict, TargetVerdict,
};
use egressd::observation::{Expect, Needs, Trip};
use egressd::store::{CheckId, Declared, Document, Own, Report, Restored, Store, Walked, Zone};
use jiff::Timestamp;

fn trip() -> Trip {
    Trip { started: Timestamp::UNIX_EPOCH, ..Trip::default() }
}

/// A route that works, or is broken for a cause.
fn verdict(route: &str, cause: Option<(Cause, Confidence)>) -> RouteVerdict {
    let finding = cause.map(|(cause, confidence)| Finding {
        rule: String::new(),
        cause,
        layer: cause.row().layer.unwrap_or(egressd::cause::Layer::Http),
        party: if confidence == Confidence::Low { Party::Undetermined } else { cause.row().party },
        status: cause.row().status,
        confidence,
        summary: format!("api via {route}: {cause}"),
        means: String::new(),
        advice: String::new(),
        do_not: String::new(),
        ask: String::new(),
    });
    RouteVerdict {
        route: route.to_owned(),
        status: finding.as_ref().map_or(Status::Ok, |finding| finding.status),
        network: NetworkState::Unknown,
        works: finding.is_none(),
        finding,
        notes: Vec::new(),
        evidence: Vec::new(),
        symptom: None,
        looks_like: Vec::new(),
    }
}

/// A store with a proxy route and a direct one.
fn store() -> Store {
    let mut store = Store::new(Own::default());
    let declared = Declared {
        ranges: &[],
        target: "api".into(),
        provider: "anthropic".into(),
        zone: Zone::Provider,
        labels: BTreeMap::new(),
        needs: Needs::Any,
        interval: 1.0,
        routes: vec![("corp".into(), Expect::Open, None), ("direct".into(), Expect::Either, None)],
    };
    store.declare(None, vec![declared]);
    store
}

fn apply(store: &mut Store, second: i64, routes: [RouteVerdict; 2]) -> usize {
    let routes = Vec::from(routes);
    let target = TargetVerdict { status: Status::Ok, finding: None, summary: String::new() };
    let walked = |route: &str| Walked { route: route.to_owned(), trip: trip(), answer: None };
    let at = Timestamp::from_second(second).expect("a second");
    let findings = Findings { routes, target, symptom: Vec::new(), baseline: Vec::new(), at };
    let trips = vec![walked("corp"), walked("direct")];
    let report =
        Report { target: "api".into(), trips, findings, experiments: Vec::new(), at, seconds: 0.0 };
    store.apply(report).len()
}

fn headline(store: &Store) -> (Status, Option<(Cause, Party)>) {
    let snapshot = store.snapshot();
    let target = &snapshot.targets["api"];
    let finding = target.verdict.as_ref().and_then(|verdict| verdict.finding.as_ref());
    (target.status(), finding.map(|finding| (finding.cause, finding.party)))
}

#[test]
fn the_headline_stays_with_the_route_that_worked_last() {
    let mut store = store();
    let cut = || verdict("direct", Some((Cause::TcpDropped, Confidence::Low)));
    let down = || verdict("corp", Some((Cause::ProxyDown, Confidence::High)));
    apply(&mut store, 1, [verdict("corp", None), cut()]);
    assert_eq!(headline(&store), (Status::Ok, None));
    for second in 2..6 {
        apply(&mut store, second, [down(), cut()]);
        let proxy = Some((Cause::ProxyDown, Party::Proxy));
        assert_eq!(headline(&store), (Status::Broken, proxy), "check {second}");
    }
}

#[test]
fn an_open_incident_keeps_its_party_in_the_target_too() {
    let mut store = store();
    let cut = |confidence| verdict("direct", Some((Cause::TcpDropped, confidence)));
    let proven = || verdict("corp", Some((Cause::ProxyDown, Confidence::High)));
    let weaker = || verdict("corp", Some((Cause::Unknown, Confidence::Low)));
    apply(&mut store, 1, [verdict("corp", None), verdict("direct", None)]);
    apply(&mut store, 2, [proven(), cut(Confidence::Low)]);
    let expected = (Status::Broken, Some((Cause::ProxyDown, Party::Proxy)));
    assert_eq!(headline(&store), expected);
    let changes = apply(&mut store, 3, [weaker(), cut(Confidence::Low)]);
    assert_eq!((headline(&store), changes), (expected, 0), "unknown replaces nothing");
}

#[test]
fn flapping_accuses_nobody() {
    let mut store = store();
    for second in 1..8 {
        let broken = second % 2 == 0;
        let cause = broken.then_some((Cause::ProxyDown, Confidence::High));
        apply(&mut store, second, [verdict("corp", cause), verdict("direct", None)]);
    }
    let snapshot = store.snapshot();
    let check =
        snapshot.checks.values().find(|check| check.id.route == "corp").expect("it is there");
    let finding = check.verdict().and_then(|verdict| verdict.finding.clone()).expect("a finding");
    assert!(check.steady.flapping);
    assert_eq!((finding.cause, finding.party), (Cause::Intermittent, Party::Undetermined));
    assert_eq!(finding.confidence, Confidence::Low);
    assert!(finding.summary.contains("cannot tell from here"), "{}", finding.summary);
    assert!(!finding.summary.contains("proxy"), "{}", finding.summary);
}

/// A store whose checks lead to this place.
fn at_place(place: &str) -> Store {
    let mut store = store();
    let id = |route: &str| CheckId { target: "api".into(), route: route.into() };
    store.settle(&["corp", "direct"].map(|route| (id(route), place.into())).into());
    store
}

fn second(second: i64) -> Timestamp {
    Timestamp::from_second(second).expect("a second")
}

#[test]
fn what_is_kept_goes_on_where_it_leads_to_the_same_place() {
    let mut before = at_place("https://api.example/");
    for second in 1..8 {
        let cause = (second % 2 == 0).then_some((Cause::ProxyDown, Confidence::High));
        before.pass(Duration::from_secs(1));
        apply(&mut before, second, [verdict("corp", cause), verdict("direct", None)]);
    }
    let old = before.snapshot();
    let text = Document::of(&old, second(8)).text();
    let document = Document::parse(&text).expect("it is whole");

    let mut after = at_place("https://api.example/");
    let restored = after.restore(&document, second(100));
    assert_eq!((restored.checks, restored.verdicts), (2, 2));
    let again = Document::of(&after.snapshot(), second(8)).text();
    assert_eq!(String::from_utf8(again), String::from_utf8(text), "nothing is lost on the way");
    assert_eq!(headline(&after), headline(&before));
    assert!(!after.snapshot().is_ready(), "nothing was checked by this process");
    // Its memory too: it flaps on, until ten agree.
    let corp = |store: &Store| {
        let snapshot = store.snapshot();
        let check = snapshot.checks.values().find(|check| check.id.route == "corp").cloned();
        check.expect("it is there")
    };
    assert!(corp(&after).steady.flapping);
    for second in 101..109 {
        apply(&mut after, second, [verdict("corp", None), verdict("direct", None)]);
        assert!(corp(&after).steady.flapping, "{second}");
    }
    apply(&mut after, 109, [verdict("corp", None), verdict("direct", None)]);
    assert!(!corp(&after).steady.flapping);

    let mut elsewhere = at_place("https://other.example/");
    assert_eq!(elsewhere.restore(&document, second(100)), Restored::default());
    assert_eq!(corp(&elsewhere).steady.changes, 0);
}

#[test]
fn verdicts_of_another_day_are_decided_anew_and_counters_go_on() {
    let mut before = at_place("https://api.example/");
    before.pass(Duration::from_secs(1));
    apply(&mut before, 1, [verdict("corp", None), verdict("direct", None)]);
    before.pass(Duration::from_secs(3));
    let document = Document::of(&before.snapshot(), second(4));
    let day = 24 * 3600;
    // A clock that was set back proves nothing either.
    for now in [4 + day, -1000] {
        let mut after = at_place("https://api.example/");
        let restored = after.restore(&document, second(now));
        assert_eq!((restored.checks, restored.verdicts), (2, 0), "{now}");
        let snapshot = after.snapshot();
        for check in snapshot.checks.values() {
            assert_eq!((check.status(), check.checked), (Status::Unknown, None));
            assert_eq!(check.unknown.as_deref(), Some("not checked yet"));
            assert_eq!(check.finished.values().sum::<u64>(), 1);
            let seconds: Vec<f64> = check.spent.at(snapshot.watched).map(|(_, s)| s).collect();
            assert_eq!(seconds, [3.0]);
        }
        assert_eq!(snapshot.targets["api"].verdict, None);
    }
    let mut after = at_place("https://api.example/");
    assert_eq!(after.restore(&document, second(3 + day)).verdicts, 2);
}

#[test]
fn time_that_nobody_watched_is_in_no_verdict() {
    let mut store = store();
    apply(&mut store, 1, [verdict("corp", None), verdict("direct", None)]);
    store.pass(Duration::from_secs(10));
    // A host that slept for an hour, or a process that was stopped.
    store.pass(Duration::from_secs(3600));
    let snapshot = store.snapshot();
    for check in snapshot.checks.values() {
        let all: Vec<f64> = check.spent.at(snapshot.watched).map(|(_, seconds)| seconds).collect();
        assert_eq!(all, [25.0]);
    }
}
