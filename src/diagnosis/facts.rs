//! What is worth a note, or is a fault although the trip arrived. All that hold are said.

use super::case::{Case, Found, Seen};
use super::dns::asked;
use super::{Author, Held};
use crate::cause::{Party, Status};
use crate::observation::{
    Answer, ChainVerdict, Change, Control, DnsKind, Expect, Failure, Leg, Source, Trip, Trust,
};
use crate::provider::Provider;

rules! { FACTS
    /// The first family's answer came later than `probe.budget.dns`.
    DnsSlow dns_slow,

    /// AAAA fails otherwise than by "there is none", A is fine.
    DnsAaaaBroken aaaa_broken,

    /// An address where nobody can be answers: port 53 is redirected, and another resolver of the configuration
    /// will not help. Tried only where the look-up failed or was contradicted.
    DnsIntercepted intercepted,

    /// Every IPv6 address fails, IPv4 works, and this host has an IPv6 route.
    Ipv6Broken ipv6_broken,

    /// Every IPv4 address fails, IPv6 works, and this host has an IPv4 route.
    Ipv4Broken ipv4_broken,

    /// One address is not reached, another of its family is.
    TcpAddressDead address_dead,

    /// The route is declared closed, and the target was reached over it.
    EgressOpenUnexpectedly open_unexpectedly,

    /// CONNECT was answered later than `probe.budget.proxy`.
    ProxySlow proxy_slow,

    /// One address fails the handshake, another finishes it.
    TlsAddressDiffers address_differs,

    /// The chain verifies only with the organisation's roots.
    TlsInspected inspected,

    /// The bundled public roots verify the chain, this host's store, which is in use, does not.
    TrustStoreOutdated store_outdated,

    /// The first byte came later than `probe.budget.first_byte`, and connect and handshake did not:
    /// where they are slow too it is the way. It is the proxy's or the inspecting device's where only that
    /// route is late.
    OriginSlow origin_slow,

    /// No key is configured, and the API asks for one: that proves the way, and is no fault.
    ApiKeyMissing no_key_configured,

    /// The API is spoken by a host that is not the provider's.
    Gateway gateway,
}

/// Later than the budget, and again in the repeat.
fn slow(case: &Case<'_>, seconds: impl Fn(&Trip) -> Option<f64>, budget: f64) -> Held {
    let over = |trip: &Trip| seconds(trip).is_some_and(|seconds| seconds > budget);
    if !case.trip().arrived() || !over(case.trip()) {
        return Ok(None);
    }
    // What is published as slow already needs no second trip each time.
    if case.walk.before == Some(Status::Degraded) {
        return Found::high().yes();
    }
    match case.seen(Change::Repeat)? {
        Seen::Passed(again) if over(again) => Found::high().by(Control::Repeat).yes(),
        Seen::Passed(_) | Seen::Failed(_) => Ok(None),
        Seen::Nothing => Found::medium().yes(),
    }
}

fn dns_slow(case: &Case<'_>) -> Held {
    let [budget, _, _] = case.target().budget;
    // A family that stays silent is waited for, which is not the other's slowness.
    let answered = |trip: &Trip| {
        let silent = |answer: &Option<Answer>| {
            let kind = answer.as_ref().and_then(Answer::failure).map(|failure| failure.kind);
            !matches!(kind, None | Some(DnsKind::Nxdomain | DnsKind::Nodata))
        };
        let waited = silent(&trip.lookup.a) || silent(&trip.lookup.aaaa);
        (!waited && trip.lookup.source == Source::Dns).then_some(trip.lookup.seconds)
    };
    slow(case, answered, budget)
}

fn intercepted(case: &Case<'_>) -> Held {
    let contradicted = || asked(&case.trip().lookup).any(|question| !question.late.is_empty());
    if case.lookup_failure().is_none() && !contradicted() {
        return Ok(None);
    }
    match case.seen(Change::UnanswerableResolver)? {
        Seen::Failed(_) => Found::high().by(Control::UnanswerableResolver).yes(),
        Seen::Passed(_) | Seen::Nothing => Ok(None),
    }
}

fn proxy_slow(case: &Case<'_>) -> Held {
    let [_, budget, _] = case.target().budget;
    slow(case, |trip| Some(trip.leading()?.tunnelled.as_ref()?.seconds), budget)
}

fn origin_slow(case: &Case<'_>) -> Held {
    let [_, _, budget] = case.target().budget;
    let first_byte = |trip: &Trip| {
        let leg = trip.leading()?;
        let connect = leg.connected.as_ref().map_or(0.0, |connected| connected.seconds);
        let tls = leg.secured.as_ref().map_or(0.0, |secured| secured.seconds);
        (connect + tls <= budget).then_some(leg.response.as_ref()?.first_byte)
    };
    let Some(found) = slow(case, first_byte, budget)? else { return Ok(None) };
    let in_time = |other: &Case<'_>| {
        other.answered_by_provider()
            && first_byte(other.trip()).is_some_and(|seconds| seconds <= budget)
    };
    let late = |other: &Case<'_>| first_byte(other.trip()).is_some_and(|seconds| seconds > budget);
    let public = case.chain().is_some_and(|chain| chain.trust() == Trust::Public);
    match (case.others().any(|other| in_time(&other)), public) {
        (true, _) if case.proxied() => Found::medium().party(Party::Proxy).by_other_route().yes(),
        (true, false) => Found::medium().party(Party::Inspection).by_other_route().yes(),
        (false, true) => found.yes(),
        (false, false) if case.every_route(late) => found.yes(),
        (true, true) | (false, false) => Found::undetermined().yes(),
    }
}

fn aaaa_broken(case: &Case<'_>) -> Held {
    let lookup = &case.trip().lookup;
    let fine = lookup.a.as_ref().is_some_and(|answer| !answer.addresses().is_empty());
    let broken = lookup
        .aaaa
        .as_ref()
        .and_then(Answer::failure)
        .is_some_and(|failure| !matches!(failure.kind, DnsKind::Nodata | DnsKind::Nxdomain));
    if fine && broken && case.trip().arrived() { Found::high().yes() } else { Ok(None) }
}

fn is_unreached(leg: &Leg) -> bool {
    matches!(leg.stop, Some(Failure::Tcp(_) | Failure::Local(_)))
}

/// Every address of one family fails before it is connected, one of the other arrives.
fn family_broken(case: &Case<'_>, v6: bool) -> bool {
    let (mine, other): (Vec<&Leg>, Vec<&Leg>) =
        case.trip().legs.iter().partition(|leg| leg.address.is_ipv6() == v6);
    !mine.is_empty()
        && mine.into_iter().all(is_unreached)
        && other.iter().any(|leg| leg.stop.is_none())
}

fn ipv6_broken(case: &Case<'_>) -> Held {
    if !case.proxied() && family_broken(case, true) { Found::medium().yes() } else { Ok(None) }
}

fn ipv4_broken(case: &Case<'_>) -> Held {
    if !case.proxied() && family_broken(case, false) { Found::medium().yes() } else { Ok(None) }
}

fn address_dead(case: &Case<'_>) -> Held {
    let legs = &case.trip().legs;
    let dead = legs.iter().find(|leg| {
        let same = |other: &&Leg| other.address.is_ipv4() == leg.address.is_ipv4();
        is_unreached(leg) && legs.iter().filter(same).any(|other| other.stop.is_none())
    });
    match dead {
        Some(leg) => Found::high().at(leg.address).yes(),
        None => Ok(None),
    }
}

fn address_differs(case: &Case<'_>) -> Held {
    let legs = &case.trip().legs;
    let failed = legs.iter().find(|leg| matches!(leg.stop, Some(Failure::Tls(_))));
    match failed {
        Some(leg) if legs.iter().any(|leg| leg.secured.is_some() && leg.stop.is_none()) => {
            Found::medium().at(leg.address).yes()
        }
        Some(_) | None => Ok(None),
    }
}

fn open_unexpectedly(case: &Case<'_>) -> Held {
    if case.walk.expect == Expect::Closed && case.reached() {
        Found::high().yes()
    } else {
        Ok(None)
    }
}

fn inspected(case: &Case<'_>) -> Held {
    let own_host = case.target().provider.owns(&case.target().host);
    match case.chain().map(crate::observation::Chain::trust) {
        Some(Trust::System | Trust::Organisation) if own_host => Found::high().yes(),
        Some(Trust::System | Trust::Organisation) => Found::medium().yes(),
        Some(Trust::Public | Trust::None) | None => Ok(None),
    }
}

fn store_outdated(case: &Case<'_>) -> Held {
    match case.chain() {
        Some(chain)
            if chain.public == ChainVerdict::Verified
                && chain.system == ChainVerdict::UnknownIssuer =>
        {
            Found::high().yes()
        }
        Some(_) | None => Ok(None),
    }
}

fn no_key_configured(case: &Case<'_>) -> Held {
    let Some((response, ..)) = case.answer() else { return Ok(None) };
    let hoped_for = response.status == 401 && case.symptom().is_none();
    if hoped_for && case.target().key == super::Key::None {
        Found::high().status(Status::Ok).yes()
    } else {
        Ok(None)
    }
}

fn gateway(case: &Case<'_>) -> Held {
    let target = case.target();
    let elsewhere = target.provider != Provider::Generic && !target.provider.owns(&target.host);
    match case.answer() {
        Some((_, _, Author::Origin)) if elsewhere => Found::high().yes(),
        _ => Ok(None),
    }
}
