//! What the routes of a target say together, by what it needs.

use jiff::Timestamp;

use super::{Finding, RouteVerdict, TargetVerdict};
use crate::cause::Status;
use crate::observation::{Expect, Needs};

/// A summary at most, in ASCII characters.
const SUMMARY: usize = 140;

/// One route, as it is weighed.
#[derive(Clone, Copy, Debug)]
pub struct Weighed<'a> {
    /// What is expected of it.
    pub expect: Expect,
    /// When it worked last.
    pub worked: Option<Timestamp>,
    /// How far its newest trip came.
    pub reached: u8,
    /// What is decided of it.
    pub verdict: &'a RouteVerdict,
}

/// Weighs the routes of the target of this name.
pub fn weigh(name: &str, needs: &Needs, routes: &[Weighed<'_>]) -> TargetVerdict {
    let open = routes.iter().filter(|route| route.expect == Expect::Open);
    let closed = routes.iter().all(|route| route.verdict.status == Status::Ok);
    let (status, finding) = match needs {
        // Whatever is needed: something has to work, unless all of it is closed on purpose.
        Needs::All if !closed && !routes.iter().any(|route| route.verdict.works) => {
            (Status::Broken, headline(routes))
        }
        Needs::Any => any(routes),
        Needs::All => worst(open),
        Needs::Route(wanted) => worst(routes.iter().filter(|r| r.verdict.route == *wanted)),
    };
    let working: Vec<&str> = routes
        .iter()
        .filter(|route| route.verdict.works)
        .map(|route| route.verdict.route.as_str())
        .collect();
    let summary = match &finding {
        Some(finding) => finding.summary.clone(),
        None if working.is_empty() => format!("{name}: closed, as declared"),
        None => format!("{name}: works via {}", working.join(", ")),
    };
    let summary = summary.chars().filter(char::is_ascii).take(SUMMARY).collect();
    TargetVerdict { status, finding, summary }
}

/// Broken when none works, degraded when an open one does not, else the best.
fn any(routes: &[Weighed<'_>]) -> (Status, Option<Finding>) {
    if !routes.iter().any(|route| route.verdict.works) {
        return (Status::Broken, headline(routes));
    }
    let missing = routes.iter().find(|r| r.expect == Expect::Open && !r.verdict.works);
    if let Some(route) = missing {
        return (Status::Degraded, route.verdict.finding.clone());
    }
    let working = routes.iter().map(|route| route.verdict).filter(|verdict| verdict.works);
    stands(working.min_by_key(|verdict| verdict.status))
}

fn worst<'a>(routes: impl Iterator<Item = &'a Weighed<'a>>) -> (Status, Option<Finding>) {
    stands(routes.map(|route| route.verdict).max_by_key(|verdict| verdict.status))
}

fn stands(verdict: Option<&RouteVerdict>) -> (Status, Option<Finding>) {
    verdict.map_or((Status::Ok, None), |verdict| (verdict.status, verdict.finding.clone()))
}

/// Where nothing works: the cause that all share, else that of the route that worked last, else that
/// of the trip that came furthest. A route that is closed on purpose explains nothing while there is
/// another.
fn headline(routes: &[Weighed<'_>]) -> Option<Finding> {
    let of =
        |verdict: &RouteVerdict| verdict.finding.clone().or_else(|| verdict.notes.last().cloned());
    let meant: Vec<&Weighed<'_>> = routes.iter().filter(|r| r.expect != Expect::Closed).collect();
    if meant.is_empty() {
        return routes.first().and_then(|route| of(route.verdict));
    }
    let causes = || meant.iter().filter_map(|route| route.verdict.finding.as_ref());
    if let Some(first) = causes().next()
        && causes().count() == meant.len()
        && causes().all(|finding| finding.cause == first.cause)
    {
        return causes().max_by_key(|finding| finding.confidence).cloned();
    }
    // Of equals the one that is meant to be open, then the first.
    let is_open = |route: &Weighed<'_>| route.expect == Expect::Open;
    let worked = meant.iter().rev().filter(|route| route.worked.is_some());
    let last = worked.max_by_key(|route| (route.worked, is_open(route)));
    let furthest = || meant.iter().rev().max_by_key(|route| (route.reached, is_open(route)));
    last.or_else(furthest).and_then(|route| of(route.verdict))
}
