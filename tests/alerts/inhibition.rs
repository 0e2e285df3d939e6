//! Which alerts are silenced by which, asked of a real Alertmanager with the shipped configuration.

use std::collections::BTreeSet;
use std::process::Command;
use std::time::{Duration, Instant};

use super::{ROUTING, fs};
use crate::support::alertmanager::Alertmanager;
use crate::support::foreign::At;

/// An alert's labels, and whether another one silences it.
const ALERTS: &[(&str, bool)] = &[
    // The provider is down: its alerts at sites are silenced, those of another target and of another party are not.
    ("alertname=EgressProviderOutage severity=critical team=provider target=api", false),
    (
        "alertname=EgressProviderBroken severity=warning team=provider site=a target=api party=origin",
        true,
    ),
    (
        "alertname=EgressUndeterminedBroken severity=critical team=network site=b target=api party=undetermined",
        true,
    ),
    ("alertname=EgressPopDead severity=warning team=provider target=api pop=NRT", true),
    (
        "alertname=EgressProviderBroken severity=warning team=provider site=a target=other party=origin",
        false,
    ),
    (
        "alertname=EgressFirewallBroken severity=critical team=firewall site=c target=api party=firewall",
        false,
    ),
    (
        "alertname=EgressProxyBroken severity=critical team=proxy site=d target=api party=proxy",
        false,
    ),
    // A target that is broken says enough of its routes; one that works does not.
    (
        "alertname=EgressRouteBroken severity=warning team=firewall site=c target=api route=r party=firewall",
        true,
    ),
    (
        "alertname=EgressRedundancyLost severity=warning team=network site=c target=api instance=m1",
        true,
    ),
    (
        "alertname=EgressRouteBroken severity=warning team=firewall site=h target=api route=r party=firewall",
        false,
    ),
    // The key of one host says nothing of another host's way.
    (
        "alertname=EgressAccountBroken severity=warning team=account site=f target=other party=account",
        false,
    ),
    (
        "alertname=EgressUndeterminedBroken severity=critical team=network site=f target=other party=undetermined",
        false,
    ),
    // Nor does its clock, or its password of the proxy.
    (
        "alertname=EgressHostBroken severity=critical team=host site=j target=other party=client",
        false,
    ),
    (
        "alertname=EgressUndeterminedBroken severity=critical team=network site=j target=other party=undetermined",
        false,
    ),
    (
        "alertname=EgressCredentialBroken severity=critical team=credential site=k target=other party=credential",
        false,
    ),
    ("alertname=EgressPartyUnsteady severity=critical team=network site=k target=other", false),
    (
        "alertname=EgressDnsBroken severity=critical team=dns site=i target=other party=resolver",
        false,
    ),
    (
        "alertname=EgressUndeterminedBroken severity=critical team=network site=i target=other party=undetermined",
        true,
    ),
    // The finer of two.
    (
        "alertname=EgressIpv6Broken severity=warning team=network site=g target=other route=r party=network",
        false,
    ),
    (
        "alertname=EgressDegraded severity=warning team=network site=g target=other party=network",
        true,
    ),
    ("alertname=EgressDegraded severity=warning team=proxy site=g target=other party=proxy", false),
    (
        "alertname=EgressFastBurn severity=critical team=proxy site=e target=other route=r party=proxy",
        false,
    ),
    (
        "alertname=EgressSlowBurn severity=warning team=proxy site=e target=other route=r party=proxy",
        true,
    ),
    (
        "alertname=EgressSlowBurn severity=warning team=proxy site=e target=other route=s party=resolver",
        false,
    ),
    // egressd itself: of the same instance only. What is critical of one silences no warning of another.
    ("alertname=EgressdDown severity=critical team=egressd job=egressd instance=m1", false),
    (
        "alertname=EgressdStale severity=critical team=egressd job=egressd instance=m1 site=a target=api route=r",
        true,
    ),
    (
        "alertname=EgressdStale severity=critical team=egressd job=egressd instance=m2 site=a target=api route=r",
        false,
    ),
    ("alertname=EgressdReloadFailed severity=warning team=egressd job=egressd instance=m2", false),
];

/// Labels in one order, as they are compared.
fn sorted<'a>(labels: impl Iterator<Item = &'a str>) -> String {
    labels.collect::<BTreeSet<&str>>().into_iter().collect::<Vec<&str>>().join(" ")
}

#[test]
fn an_alert_is_silenced_by_one_that_says_more() {
    let routing = fs::read_to_string(ROUTING).unwrap();
    let Some(alertmanager) = Alertmanager::start(At::default(), &routing) else { return };
    for (labels, _) in ALERTS {
        let added = Command::new("amtool")
            .arg(format!("--alertmanager.url={}", alertmanager.url()))
            .args(["alert", "add"])
            .args(labels.split(' '))
            .status()
            .expect("amtool is installed (apt-get install prometheus-alertmanager)");
        assert!(added.success(), "{labels}");
    }
    let expected: BTreeSet<(String, bool)> =
        ALERTS.iter().map(|(labels, silent)| (sorted(labels.split(' ')), *silent)).collect();
    // Who silences learns of an alert a moment after it is taken.
    let until = Instant::now() + Duration::from_secs(60);
    loop {
        let state = |alert: &serde_json::Value| {
            let labels = alert["labels"].as_object().expect("labels");
            let labels: Vec<String> = labels
                .iter()
                .map(|(name, value)| format!("{name}={}", value.as_str().unwrap_or_default()))
                .collect();
            let suppressed = alert["status"]["state"] == "suppressed";
            (sorted(labels.iter().map(String::as_str)), suppressed)
        };
        let found: BTreeSet<(String, bool)> = alertmanager.alerts().iter().map(state).collect();
        if found == expected {
            return;
        }
        let wrong: Vec<_> = expected.symmetric_difference(&found).collect();
        assert!(Instant::now() < until, "{wrong:#?}");
    }
}
