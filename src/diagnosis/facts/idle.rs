//! Connections that were silent on purpose, where a target asks for that: whether somebody on the way forgets them.
//! Whoever answers requests may end an idle connection, and says so; that is no fault.

use crate::cause::Party;
use crate::diagnosis::Held as Decided;
use crate::diagnosis::case::{Case, Found};
use crate::observation::{Chain, Change, Control, HeldEnd, Trip, Trust};

rules! { FACTS
    /// Connections that were silent for longer than some seconds (`idle_hold`) are dead and fresh ones work. The
    /// network's, the proxy's on its route or the inspecting device's, where one lives longer to the same server
    /// over another route; else nobody's. Not where the API itself ends them, or all routes show the same.
    IdleCut idle_cut,
}

/// Seconds by which two timers may differ and be the same.
const SAME: f64 = 2.0;

/// What the silent connections of a trip show.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Silence {
    /// The longest silence in seconds after which one was answered.
    lived: f64,
    /// After how many seconds all are dead, and how they ended.
    dead: Option<(f64, HeldEnd)>,
}

impl Silence {
    fn of(trip: &Trip) -> Option<Self> {
        let held = || trip.legs.iter().filter_map(|leg| leg.held);
        held().next()?;
        let lived = held().filter(|held| held.end == HeldEnd::Lived).map(|held| held.asked);
        let lived = lived.fold(0.0, f64::max);
        let ends = held().filter(|held| held.end != HeldEnd::Lived);
        let ends = ends.map(|held| (held.ended.unwrap_or(held.asked), held.end));
        let first = ends.min_by(|(one, _), (other, _)| one.total_cmp(other));
        // One that died alone, and was outlived, was no rule.
        let count = held().filter(|held| held.end != HeldEnd::Lived).count();
        let dead = first.filter(|(second, _)| *second >= lived && count > 1);
        Some(Self { lived, dead })
    }
}

/// Whether silent connections live, as far as it was tried; none: nothing was shown.
pub(in crate::diagnosis) fn lives(trip: &Trip) -> Option<bool> {
    Silence::of(trip).map(|silence| silence.dead.is_none())
}

/// What was measured, in words.
pub(in crate::diagnosis) fn words(trip: &Trip) -> String {
    let count = trip.legs.len();
    match Silence::of(trip) {
        None => format!("{count} connections, none was kept"),
        Some(Silence { lived, dead: None }) => format!("alive after {lived:.0} s of silence"),
        Some(Silence { lived, dead: Some((second, end)) }) => {
            format!("alive after {lived:.0} s, dead after {second:.0} s: {}", end.words())
        }
    }
}

/// After how many seconds of silence connections are dead on this route.
pub(in crate::diagnosis) fn seconds(case: &Case<'_>) -> String {
    let dead = shown(case).and_then(|silence| silence.dead);
    dead.map(|(second, _)| format!("{second:.0}")).unwrap_or_default()
}

fn shown(case: &Case<'_>) -> Option<Silence> {
    let trip = case.outcome(Change::IdleHold)?.result.as_ref().ok()?;
    Silence::of(trip)
}

fn idle_cut(case: &Case<'_>) -> Decided {
    if case.target().further.idle_hold == 0
        || case.symptom().is_some()
        || !case.answered_by_provider()
    {
        return Ok(None);
    }
    let Some(trip) = case.seen(Change::IdleHold)?.trip() else { return Ok(None) };
    let Some((second, end)) = Silence::of(trip).and_then(|silence| silence.dead) else {
        return Ok(None);
    };
    if is_announced(case, trip, second) || end == HeldEnd::Notified && !is_opened(case) {
        return Ok(None);
    }
    let same =
        |silence: Silence| silence.dead.is_some_and(|(theirs, _)| (theirs - second).abs() <= SAME);
    if case.others().filter_map(|other| shown(&other)).any(same) {
        return Ok(None);
    }
    let longer = |silence: Silence| silence.lived > second + SAME;
    let lives_there = |other: &Case<'_>| shown(other).is_some_and(longer);
    // Where another server answers, its own time says nothing of this way.
    let elsewhere = case.others().filter(lives_there).any(|other| same_peer(case, &other));
    let private = is_private(case);
    match end {
        // Only who ends TLS there can: the device itself.
        HeldEnd::Notified if elsewhere => Found::medium().party(Party::Inspection).by_other_route(),
        _ if elsewhere && case.proxied() => Found::high().party(Party::Proxy).by_other_route(),
        // Who ends TLS there may be who ends the connection.
        HeldEnd::Closed | HeldEnd::Reset if elsewhere && private => {
            Found::medium().party(Party::Inspection).by_other_route()
        }
        _ if elsewhere => Found::high().by_other_route(),
        // A server's own balancer may forget in silence too.
        HeldEnd::Silent | HeldEnd::Reset => Found::undetermined().by(Control::IdleHold),
        // Its end was seen, and may be the server's own.
        HeldEnd::Closed | HeldEnd::Notified | HeldEnd::Lived => return Ok(None),
    }
    .yes()
}

/// Whether an authority of the organisation stands for the server on this route.
fn is_private(case: &Case<'_>) -> bool {
    let trust = case.chain().map(Chain::trust);
    matches!(trust, Some(Trust::System | Trust::Organisation))
}

/// Whether a device opens what is for the provider's own host, and ends TLS itself.
fn is_opened(case: &Case<'_>) -> bool {
    let target = case.target();
    is_private(case) && target.provider.owns(&target.host)
}

/// Whether what is behind both routes is the same server: by its key, by public chains for the name, or because a
/// device stands before the provider's own on one of them.
fn same_peer(case: &Case<'_>, other: &Case<'_>) -> bool {
    let (ours, theirs) = (case.chain(), other.chain());
    let key = |chain: Option<&Chain>| {
        let spki = chain.and_then(Chain::leaf).map(|leaf| leaf.spki.clone());
        spki.filter(|spki| !spki.is_empty())
    };
    let public = |chain: Option<&Chain>| chain.is_some_and(|chain| chain.trust() == Trust::Public);
    let same_key = key(ours).is_some() && key(ours) == key(theirs);
    same_key || public(theirs) && (public(ours) || is_opened(case))
}

/// Whether it is the time after which the provider's edge is known to close, or the server announced to.
fn is_announced(case: &Case<'_>, trip: &Trip, second: f64) -> bool {
    let target = case.target();
    let own = target.provider.owns(&target.host);
    let known = target.provider.facts().closes_after.filter(|_| own).map(f64::from);
    let response = trip.legs.iter().find_map(|leg| leg.response.as_ref());
    let field = response.and_then(|response| response.header("keep-alive")).unwrap_or_default();
    // RFC 2068 19.7.1.1, which servers still follow.
    let timeouts = field.split(',').filter_map(|part| part.trim().strip_prefix("timeout="));
    let announced = timeouts.filter_map(|seconds| seconds.parse::<f64>().ok());
    announced.chain(known).any(|own| (own - second).abs() <= SAME)
}
