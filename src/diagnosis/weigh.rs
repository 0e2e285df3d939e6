//! What the routes of a target say together, by what it needs.

use super::{Evidence, Finding, RouteVerdict, TargetVerdict, Walk};
use crate::cause::Status;
use crate::observation::{Expect, Leg, Needs};

pub(super) fn target(evidence: &Evidence, routes: &[RouteVerdict]) -> TargetVerdict {
    let name = &evidence.target.name;
    let pairs: Vec<(&Walk, &RouteVerdict)> = evidence.walks.iter().zip(routes).collect();
    let open = || pairs.iter().filter(|(walk, _)| walk.expect == Expect::Open);
    let (status, finding) = match &evidence.target.needs {
        Needs::Any => any(&pairs),
        Needs::All => worst(open().map(|(_, verdict)| *verdict)),
        Needs::Route(route) => worst(routes.iter().filter(|verdict| verdict.route == *route)),
    };
    let working: Vec<&str> = routes
        .iter()
        .filter(|verdict| verdict.works)
        .map(|verdict| verdict.route.as_str())
        .collect();
    let summary = match &finding {
        Some(finding) => finding.summary.clone(),
        None if working.is_empty() => format!("{name}: closed, as declared"),
        None => format!("{name}: works via {}", working.join(", ")),
    };
    TargetVerdict { status, finding, summary }
}

/// Broken when none works, degraded when an open one does not, else the best.
fn any(pairs: &[(&Walk, &RouteVerdict)]) -> (Status, Option<Finding>) {
    if !pairs.iter().any(|(_, verdict)| verdict.works) {
        return (Status::Broken, headline(pairs));
    }
    let missing =
        pairs.iter().find(|(walk, verdict)| walk.expect == Expect::Open && !verdict.works);
    if let Some((_, verdict)) = missing {
        return (Status::Degraded, verdict.finding.clone());
    }
    let best = pairs
        .iter()
        .filter(|(_, verdict)| verdict.works)
        .min_by_key(|(_, verdict)| verdict.status)
        .map(|(_, verdict)| *verdict);
    best.map_or((Status::Ok, None), |verdict| (verdict.status, verdict.finding.clone()))
}

fn worst<'a>(verdicts: impl Iterator<Item = &'a RouteVerdict>) -> (Status, Option<Finding>) {
    verdicts
        .max_by_key(|verdict| verdict.status)
        .map_or((Status::Ok, None), |verdict| (verdict.status, verdict.finding.clone()))
}

/// Where nothing works: the cause that all share, else that of the route that worked before, else
/// that of the trip that came furthest. A route that is closed on purpose explains nothing while
/// there is another.
fn headline(pairs: &[(&Walk, &RouteVerdict)]) -> Option<Finding> {
    let meant: Vec<&(&Walk, &RouteVerdict)> =
        pairs.iter().filter(|(walk, _)| walk.expect != Expect::Closed).collect();
    let of =
        |verdict: &RouteVerdict| verdict.finding.clone().or_else(|| verdict.notes.last().cloned());
    if meant.is_empty() {
        return pairs.first().and_then(|(_, verdict)| of(verdict));
    }
    let causes = || meant.iter().filter_map(|(_, verdict)| verdict.finding.as_ref());
    if let Some(first) = causes().next()
        && causes().count() == meant.len()
        && causes().all(|finding| finding.cause == first.cause)
    {
        return causes().max_by_key(|finding| finding.confidence).cloned();
    }
    let worked = |walk: &Walk| matches!(walk.before, Some(Status::Ok | Status::Degraded));
    let chosen = meant.iter().find(|(walk, _)| walk.expect == Expect::Open && worked(walk));
    let chosen = chosen.or_else(|| meant.iter().find(|(walk, _)| worked(walk)));
    // Of equals the one that is meant to be open, then the first.
    let furthest = || {
        meant.iter().rev().max_by_key(|(walk, _)| {
            let reached =
                walk.trip.legs.iter().map(Leg::reached).max().map_or(0, |reached| reached + 1);
            (reached, walk.expect == Expect::Open)
        })
    };
    chosen.or_else(furthest).and_then(|(_, verdict)| of(verdict))
}
