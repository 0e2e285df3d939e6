//! The series of a check: how it stands, what was counted, what its newest trip showed.

use std::collections::BTreeMap;

use super::page::{Page, count, seconds};
use super::{Choice, Grain, certificate, table};
use crate::cause::Status;
use crate::diagnosis::{Author, Confidence, Finding, NetworkState};
use crate::observation::Trip;
use crate::store::{Check, CheckId};

/// The labels of a check.
pub(super) type Own<'a> = [(&'a str, &'a str); 2];

/// Adds them.
pub(super) fn put(page: &mut Page, id: &CheckId, check: &Check, choice: Choice) {
    let own = [("target", id.target.as_str()), ("route", id.route.as_str())];
    page.put(table::CHECK_STATUS, &own, code(check.status()));
    page.put(table::FLAPPING, &own, f64::from(u8::from(check.steady.flapping)));
    page.put(table::VERDICT_CHANGES, &own, count(check.steady.changes));
    page.put(table::CHECK_INTERVAL, &own, check.interval);
    if let Some(at) = check.checked {
        page.put(table::LAST_CHECK, &own, seconds(at));
    }
    verdict(page, check, &own);
    counters(page, check, &own);
    if let Some(pop) = check.seen.pop() {
        page.put(table::POP_INFO, &[own[0], own[1], ("pop", pop)], 1.0);
    }
    if let Some(trip) = &check.trip {
        measured(page, check, trip, &own);
        if choice.addresses {
            addresses(page, trip, &own);
        }
        certificate::put_shown(page, check, trip, &own);
    }
    if choice.histogram == Some(Grain::Check) {
        for (phase, values) in &check.phases {
            let labels = [own[0], own[1], ("phase", phase.label())];
            page.histogram(table::PHASE, &labels, values);
        }
    }
}

fn verdict(page: &mut Page, check: &Check, own: &Own<'_>) {
    match check.status() {
        Status::Ok | Status::Degraded => page.put(table::CHECK_UP, own, 1.0),
        Status::Broken => page.put(table::CHECK_UP, own, 0.0),
        Status::Unknown => {}
    }
    // One series from the first decision on, also while egressd itself cannot say.
    if check.steady.verdict.is_some() || check.checked.is_some() {
        let finding = check.verdict().and_then(|verdict| verdict.finding.as_ref());
        let [layer, cause, party] = names(finding);
        let status = ("status", check.status().label());
        page.put(table::VERDICT, &[own[0], own[1], status, layer, cause, party], 1.0);
        if let Some(finding) = finding {
            page.put(table::VERDICT_CONFIDENCE, own, confidence(finding));
        }
    }
    let Some(verdict) = check.verdict() else { return };
    if let Some(since) = check.steady.since {
        page.put(table::VERDICT_SINCE, own, seconds(since));
    }
    match verdict.network {
        NetworkState::Ok => page.put(table::NETWORK_UP, own, 1.0),
        NetworkState::Broken => page.put(table::NETWORK_UP, own, 0.0),
        NetworkState::Unknown => {}
    }
    let mut seen = Vec::new();
    for note in &verdict.notes {
        if seen.len() < table::NOTES && !seen.contains(&(note.cause, note.party)) {
            seen.push((note.cause, note.party));
            let [_, cause, party] = names(Some(note));
            page.put(table::NOTE, &[own[0], own[1], cause, party], 1.0);
        }
    }
}

fn counters(page: &mut Page, check: &Check, own: &Own<'_>) {
    for ((status, network), value) in &check.finished {
        let labels = [own[0], own[1], ("status", status.label()), ("network", network.label())];
        page.put(table::CHECKS, &labels, count(*value));
    }
    for ((layer, kind), value) in &check.failures {
        let labels = [own[0], own[1], ("layer", layer.as_str()), ("kind", kind.as_str())];
        page.put(table::FAILURES, &labels, count(*value));
    }
    for (control, value) in &check.experiments {
        let labels = [own[0], own[1], ("control", control.label())];
        page.put(table::EXPERIMENTS, &labels, count(*value));
    }
}

fn measured(page: &mut Page, check: &Check, trip: &Trip, own: &Own<'_>) {
    let response = trip.legs.iter().find_map(|leg| leg.response.as_ref());
    if let (Some(response), Some((_, author))) = (response, &check.answer) {
        let labels = [own[0], own[1], ("author", Author::label(*author))];
        page.put(table::RESPONSE_STATUS, &labels, f64::from(response.status));
    }
    // Before there is a connection, it is what the first link can take.
    let connected = trip.leading().filter(|leg| leg.connected.is_some());
    let socket = connected.and_then(|leg| leg.socket());
    if let Some(socket) = socket.filter(|socket| socket.pmtu > 0) {
        page.put(table::PATH_MTU, own, f64::from(socket.pmtu));
    }
}

/// An address that has two legs is up only where both are.
fn addresses(page: &mut Page, trip: &Trip, own: &Own<'_>) {
    let mut up = BTreeMap::new();
    for leg in &trip.legs {
        let address = leg.address.ip();
        if up.len() < table::ADDRESSES || up.contains_key(&address) {
            *up.entry(address).or_insert(true) &= leg.stop.is_none();
        }
    }
    for (address, up) in up {
        let family = if address.is_ipv4() { "ipv4" } else { "ipv6" };
        let address = address.to_string();
        let labels = [own[0], own[1], ("address", &address), ("family", family)];
        page.put(table::ADDRESS_UP, &labels, f64::from(u8::from(up)));
    }
}

/// The labels of a finding, or of none.
pub(super) fn names(finding: Option<&Finding>) -> [(&'static str, &'static str); 3] {
    let Some(finding) = finding else {
        return [("layer", "none"), ("cause", "none"), ("party", "none")];
    };
    [
        ("layer", finding.layer.label()),
        ("cause", finding.cause.label()),
        ("party", finding.party.label()),
    ]
}

/// A status as a number.
pub(super) fn code(status: Status) -> f64 {
    match status {
        Status::Ok => 0.0,
        Status::Degraded => 1.0,
        Status::Broken => 2.0,
        Status::Unknown => 3.0,
    }
}

/// A confidence as a number.
pub(super) fn confidence(finding: &Finding) -> f64 {
    match finding.confidence {
        Confidence::Low => 1.0,
        Confidence::Medium => 2.0,
        Confidence::High => 3.0,
    }
}
