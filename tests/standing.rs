//! Alerts of made snapshots: when one begins, what keeps it, and when it ends.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use egressd::cause::{Cause, Layer, Party, Status};
use egressd::diagnosis::{Confidence, Finding, TargetVerdict};
use egressd::observation::Needs;
use egressd::publish::alerts::{Alert, Origin, Standing, json};
use egressd::publish::teams;
use egressd::store::{Declared, Snapshot, Target, Zone};
use jiff::Timestamp;

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(second).unwrap()
}

fn origin() -> Origin {
    Origin {
        instance: "mon1".to_owned(),
        status_url: Some("http://mon1:9737/api/v1/status".to_owned()),
        runbooks: "https://wiki.corp.example/VERDICTS.md".to_owned(),
        hold: Duration::from_secs(180),
    }
}

fn target(status: Status, (cause, party): (Cause, Party), since: i64) -> Target {
    let finding = Finding {
        rule: String::new(),
        cause,
        layer: Layer::Tls,
        party,
        status,
        confidence: Confidence::High,
        summary: "api via direct: a filter cuts it".to_owned(),
        means: "A filter cuts it.".to_owned(),
        advice: "Firewall team: allow it.".to_owned(),
        do_not: "change the key.".to_owned(),
        ask: String::new(),
    };
    let broken = !matches!(status, Status::Ok | Status::Unknown);
    let declared = Declared {
        target: "api".to_owned(),
        provider: "anthropic".to_owned(),
        zone: Zone::Provider,
        labels: BTreeMap::new(),
        needs: Needs::Any,
        interval: 60.0,
        ranges: &[],
        routes: Vec::new(),
    };
    let summary = finding.summary.clone();
    let finding = broken.then_some(finding);
    let verdict = Some(TargetVerdict { status, finding, summary });
    Target { declared, verdict, since: Some(at(since)), unknown: status == Status::Unknown }
}

fn snapshot(targets: impl IntoIterator<Item = Target>) -> Snapshot {
    let mut snapshot = Snapshot { site: Some("tokyo-2".to_owned()), ..Snapshot::default() };
    snapshot.own.reload_ok = true;
    for target in targets {
        snapshot.targets.insert(target.declared.target.as_str().into(), Arc::new(target));
    }
    snapshot
}

const FILTERED: (Cause, Party) = (Cause::SniFiltered, Party::Firewall);

fn broken(since: i64) -> Snapshot {
    snapshot([target(Status::Broken, FILTERED, since)])
}

/// Names of alerts, those that have ended with a cross.
fn told(standing: &Standing) -> Vec<String> {
    let told = |alert: &Alert| {
        format!("{}{}", if alert.until.is_some() { "x" } else { "" }, alert.labels["alertname"])
    };
    standing.alerts().iter().map(told).collect()
}

/// What is told after each of these moments.
fn after(moments: &[(i64, Snapshot)]) -> Vec<Vec<String>> {
    let mut standing = Standing::default();
    let mut seen = Vec::new();
    for (second, snapshot) in moments {
        standing.update(snapshot, &origin(), at(*second));
        seen.push(told(&standing));
    }
    seen
}

#[test]
fn it_begins_when_the_time_has_passed_and_ends_at_once() {
    let seen = after(&[
        (1_000, broken(1_000)),
        (1_179, broken(1_000)),
        (1_180, broken(1_000)),
        (1_200, snapshot([target(Status::Ok, FILTERED, 1_200)])),
        (1_499, snapshot([target(Status::Ok, FILTERED, 1_200)])),
        (1_500, snapshot([target(Status::Ok, FILTERED, 1_200)])),
    ]);
    let name = "EgressFirewallBroken".to_owned();
    let over = "xEgressFirewallBroken".to_owned();
    assert_eq!(
        seen,
        [vec![], vec![], vec![name], vec![over.clone()], vec![over], vec![]],
        "its end is told for five minutes"
    );
}

/// The trap of rules with the cause in their labels.
#[test]
fn causes_that_alternate_are_one_alert() {
    let other = (Cause::TlsCut, Party::Firewall);
    let mut standing = Standing::default();
    for second in 0..6 {
        let cause = if second % 2 == 0 { FILTERED } else { other };
        let now = 1_000 + second * 60;
        let shown = snapshot([target(Status::Broken, cause, now)]);
        standing.update(&shown, &origin(), at(now));
        assert_eq!(standing.alerts().len(), usize::from(second >= 3), "after {second} minutes");
    }
    assert_eq!(standing.alerts()[0].since, at(1_000));
}

#[test]
fn parties_that_alternate_are_told_as_what_they_are() {
    let parties = [FILTERED, (Cause::ProxyDown, Party::Proxy)];
    let mut standing = Standing::default();
    for minute in 0..=15 {
        let now = 1_000 + minute * 60;
        let cause = parties[usize::from(minute % 2 == 1)];
        let shown = snapshot([target(Status::Broken, cause, now)]);
        standing.update(&shown, &origin(), at(now));
        let expected: &[&str] = if minute < 15 { &[] } else { &["EgressPartyUnsteady"] };
        assert_eq!(told(&standing), expected, "after {minute} minutes");
    }
}

#[test]
fn a_bad_key_waits_longer_and_calls_nobody_of_the_network() {
    let key = (Cause::ApiKeyMissing, Party::Account);
    let shown = || snapshot([target(Status::Broken, key, 1_000)]);
    let mut standing = Standing::default();
    standing.update(&shown(), &origin(), at(1_599));
    assert!(standing.alerts().is_empty());
    assert_eq!(standing.next(at(1_599)), Some(Duration::from_secs(1)));
    standing.update(&shown(), &origin(), at(1_600));
    let alerts = standing.alerts();
    assert_eq!(alerts.len(), 1, "{alerts:?}");
    assert_eq!(alerts[0].labels["team"], "account");
    assert_eq!(alerts[0].labels["severity"], "warning");
}

#[test]
fn what_egressd_cannot_say_ends_nothing() {
    let unknown = || snapshot([target(Status::Unknown, FILTERED, 1_000)]);
    let seen = after(&[
        (1_180, broken(1_000)),
        (1_240, unknown()),
        (2_140, unknown()),
        (2_200, broken(1_000)),
    ]);
    let (name, own) = ("EgressFirewallBroken".to_owned(), "EgressdStatusUnknown".to_owned());
    let over = "xEgressdStatusUnknown".to_owned();
    assert_eq!(seen[..2], [vec![name.clone()], vec![name.clone()]]);
    let sorted = |mut names: Vec<String>| {
        names.sort();
        names
    };
    assert_eq!(sorted(seen[2].clone()), [name.clone(), own]);
    assert_eq!(sorted(seen[3].clone()), [name, over]);
}

#[test]
fn a_target_that_is_gone_is_resolved() {
    let seen = after(&[(1_180, broken(1_000)), (1_200, snapshot([]))]);
    assert_eq!(seen[1], ["xEgressFirewallBroken"]);
}

#[test]
fn egressds_own_trouble_is_its_own_teams() {
    let mut standing = Standing::default();
    let mut shown = snapshot([]);
    shown.own.reload_ok = false;
    standing.update(&shown, &origin(), at(1_000));
    shown.own.panics = 1;
    shown.own.late = 1;
    standing.update(&shown, &origin(), at(1_300));
    let alerts = standing.alerts();
    let mut names: Vec<&str> = alerts.iter().map(|alert| &*alert.labels["alertname"]).collect();
    names.sort_unstable();
    assert_eq!(names, ["EgressdPanics", "EgressdReloadFailed"]);
    assert!(alerts.iter().all(|alert| alert.labels["team"] == "egressd"));
    // The one panic is forgotten after an hour, and a counter from before a start is no increase.
    shown.own.reload_ok = true;
    standing.update(&shown, &origin(), at(1_300 + 3_600));
    assert!(standing.alerts().iter().all(|alert| alert.until.is_some()));
}

#[test]
fn a_clock_that_is_set_back_raises_and_ends_nothing() {
    let seen = after(&[(1_180, broken(1_000)), (500, broken(1_000)), (1_181, broken(1_000))]);
    assert!(seen.iter().all(|told| *told == ["EgressFirewallBroken"]), "{seen:?}");
    assert_eq!(after(&[(500, broken(1_000))]), [Vec::<String>::new()]);
}

/// The state of before a restart may be of another clock, and Alertmanager refuses what ends before it starts.
#[test]
fn what_began_in_the_future_begins_now() {
    let seen = after(&[(1_000, broken(90_000)), (1_179, broken(90_000)), (1_180, broken(90_000))]);
    assert_eq!(seen, [vec![], vec![], vec!["EgressFirewallBroken".to_owned()]]);
    let mut standing = Standing::default();
    for second in [90_000, 90_180, 1_000] {
        standing.update(&broken(90_000), &origin(), at(second));
    }
    let healthy = snapshot([target(Status::Ok, FILTERED, 1_000)]);
    for shown in [broken(90_000), healthy] {
        standing.update(&shown, &origin(), at(1_000));
        let told: serde_json::Value =
            serde_json::from_str(&json(&standing.alerts(), &origin(), at(1_000))).unwrap();
        let [alert] = told.as_array().unwrap().as_slice() else { panic!("{told}") };
        assert_eq!(alert["startsAt"], "1970-01-01T00:16:40Z");
        assert!(alert["startsAt"].as_str() <= alert["endsAt"].as_str(), "{alert}");
    }
}

#[test]
fn it_is_told_in_these_words() {
    let mut standing = Standing::default();
    let origin = origin();
    standing.update(&broken(1_000), &origin, at(1_180));
    let text = json(&standing.alerts(), &origin, at(1_180));
    let value: serde_json::Value = serde_json::from_str(&text).unwrap();
    assert_eq!(
        value,
        serde_json::json!([{
            "labels": {
                "alertname": "EgressFirewallBroken", "party": "firewall", "severity": "critical",
                "site": "tokyo-2", "target": "api", "team": "firewall",
            },
            "annotations": {
                "summary": "api via direct: a filter cuts it",
                "description": "A filter cuts it. Do: Firewall team: allow it. Do not: change the key. \
                                Evidence: `egressd check api` on mon1, or /api/v1/status there.",
                "cause": "sni_filtered", "confidence": "high",
                "runbook_url": "https://wiki.corp.example/VERDICTS.md#sni_filtered",
            },
            "startsAt": "1970-01-01T00:16:40Z",
            "endsAt": "1970-01-01T00:23:40Z",
            "generatorURL": "http://mon1:9737/api/v1/status",
        }])
    );
}

/// Of each alert that is told here: how long it waits, and how urgent it is, by the rule of the same name.
#[test]
fn the_rules_of_prometheus_say_the_same() {
    let rules = std::fs::read_to_string("deploy/prometheus/alerts.yml").unwrap();
    let rule = |name: &str| {
        let rest = rules.split(&format!("- alert: {name}\n")).nth(1).unwrap_or_default();
        let of = rest.split("- alert: ").next().unwrap_or_default();
        let value = |key: &str| {
            let line = of.lines().find(|line| line.trim().starts_with(key));
            line.map(|line| line.trim().trim_start_matches(key).trim().to_owned())
        };
        (value("for:"), value("severity:"))
    };
    let mut wrong = Vec::new();
    let mut same = |name: &str, after: Duration, severity: &str| {
        let minutes = after.as_secs() / 60;
        let after = (minutes > 0).then(|| format!("{minutes}m"));
        if rule(name) != (after.clone(), Some(severity.to_owned())) {
            wrong.push(format!("{name}: {:?}, here {after:?} {severity}", rule(name)));
        }
    };
    for party in Party::ALL {
        let call = teams::of(*party, Zone::Own);
        same(call.alert, call.after, call.severity.label());
    }
    same(teams::DEGRADED, teams::DEGRADED_AFTER, "warning");
    same(teams::ROUTE, teams::ROUTE_AFTER, "warning");
    let minutes = |minutes: u64| Duration::from_secs(60 * minutes);
    same("EgressPartyUnsteady", minutes(15), "critical");
    same("EgressdReloadFailed", minutes(5), "warning");
    same("EgressdStatusUnknown", minutes(15), "warning");
    same("EgressdChecksLate", minutes(15), "warning");
    same("EgressdPanics", minutes(0), "warning");
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// With another `hold` all of them wait in proportion.
#[test]
fn the_times_move_together() {
    let origin = Origin { hold: Duration::from_secs(18), ..origin() };
    let key = (Cause::ApiKeyInvalid, Party::Account);
    for (shown, after) in
        [(broken(1_000), 18), (snapshot([target(Status::Broken, key, 1_000)]), 60)]
    {
        let mut standing = Standing::default();
        standing.update(&shown, &origin, at(1_000 + after - 1));
        assert!(standing.alerts().is_empty());
        standing.update(&shown, &origin, at(1_000 + after));
        assert_eq!(standing.alerts().len(), 1);
    }
}
