//! The series of targets, of routes, and of controls that are measured while nothing fails.

use std::collections::BTreeMap;

use super::check::{code, confidence, names};
use super::page::{Page, seconds};
use super::{Choice, Grain, table};
use crate::store::{Histogram, Phase, Snapshot, Target};

/// Adds them.
pub(super) fn put(page: &mut Page, snapshot: &Snapshot, choice: Choice) {
    let mut routes: BTreeMap<&str, &str> = BTreeMap::new();
    for (name, target) in &snapshot.targets {
        stands(page, name, target);
        let declared = &target.declared;
        let own = ("target", name.as_ref());
        let zone = ("zone", declared.zone.label());
        let mut labels = vec![own, ("provider", declared.provider.as_str()), zone];
        labels.extend(declared.labels.iter().map(|(a, b)| (a.as_str(), b.as_str())));
        page.put(table::TARGET_INFO, &labels, 1.0);
        for (route, _, egress) in &declared.routes {
            routes.insert(route, egress.as_deref().unwrap_or_default());
        }
        if choice.histogram == Some(Grain::Target) {
            merged(page, snapshot, name);
        }
    }
    for (route, egress) in routes {
        page.put(table::ROUTE_INFO, &[("route", route), ("egress", egress)], 1.0);
    }
    for ((control, route), works) in &snapshot.controls {
        let labels = [("control", control.as_str()), ("route", route.as_str())];
        page.put(table::CONTROL_UP, &labels, f64::from(u8::from(*works)));
    }
}

fn stands(page: &mut Page, name: &str, target: &Target) {
    let own = ("target", name);
    page.put(table::TARGET_STATUS, &[own], code(target.status()));
    if let Some(verdict) = &target.verdict {
        let finding = verdict.finding.as_ref().filter(|_| !target.unknown);
        let [layer, cause, party] = names(finding);
        let status = ("status", target.status().label());
        page.put(table::TARGET_VERDICT, &[own, status, layer, cause, party], 1.0);
        if let Some(finding) = finding {
            page.put(table::TARGET_VERDICT_CONFIDENCE, &[own], confidence(finding));
        }
    }
    if let Some(since) = target.since {
        page.put(table::TARGET_VERDICT_SINCE, &[own], seconds(since));
    }
}

fn merged(page: &mut Page, snapshot: &Snapshot, target: &str) {
    for phase in Phase::ALL {
        let mut all = Histogram::default();
        let checks = snapshot.checks.values().filter(|check| check.id.target == target);
        checks.filter_map(|check| check.phases.get(phase)).for_each(|one| all.merge(one));
        if all.count > 0 {
            let labels = [("target", target), ("phase", phase.label())];
            page.histogram(table::PHASE, &labels, &all);
        }
    }
}
