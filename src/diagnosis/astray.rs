//! An address that leads astray: to nobody, or to somebody else's server.

use std::net::IpAddr;

use super::case::{Case, Found, Seen};
use super::{Held, sinkhole_of};
use crate::cause::Party;
use crate::observation::{Change, Class, Control, DnsKind, Failure, Leg, Source, TlsKind, Trip};

rules! { RULES
    /// The same resolver, asked over TCP, gives another address that works: somebody on the way answers the
    /// datagrams in its place.
    DnsInjected over_tcp_it_differs,

    /// The answer is an address that is no destination; or it is private or a filter's own, nobody can be
    /// connected to there, and an independent resolver gives another address, which works. A provider's own
    /// host is never at a private address.
    DnsSinkholed sinkholed,

    /// Somebody else's server is at the address: its certificate is for another name or of an unknown issuer,
    /// or it speaks no TLS. An independent resolver gives another address, which works.
    DnsHijacked hijacked,

    /// The resolver has the same address for a name that cannot exist: it answers so for every name, and who is
    /// there is not the target.
    DnsHijacked answers_anything,

    /// No connection can be made to the address; an independent resolver gives another one, which works, and no
    /// unrelated host fails.
    DnsStaleAddress stale_address,
}

fn answers_anything(case: &Case<'_>) -> Held {
    let lookup = &case.trip().lookup;
    let failed = case.stopped().is_some_and(|(_, failure)| is_astray(failure));
    if case.proxied() || !failed || lookup.source != Source::Dns {
        return Ok(None);
    }
    let ours = lookup.addresses();
    match case.seen(Change::RandomName)?.failed() {
        // A search list may have made another name of it.
        Some(trip)
            if trip.lookup.searched.is_none()
                && trip.lookup.addresses().iter().all(|address| ours.contains(address)) =>
        {
            Found::high().by(Control::RandomName).yes()
        }
        Some(_) | None => Ok(None),
    }
}

fn over_tcp_it_differs(case: &Case<'_>) -> Held {
    let failed = case.stopped().is_some_and(|(_, failure)| is_astray(failure));
    if case.proxied() || !failed || case.trip().lookup.source != Source::Dns {
        return Ok(None);
    }
    // Where this route carries nothing at all, no other address is better.
    if case.control_host()?.failed().is_some() {
        return Ok(None);
    }
    let ours = case.trip().lookup.addresses();
    // Names with many addresses give them by turns.
    if case.repeat().is_some_and(|again| again.lookup.addresses() != ours) {
        return Ok(None);
    }
    match case.seen(Change::OtherTransport)?.trip() {
        Some(trip) if works_elsewhere(trip, &ours) => {
            Found::medium().by(Control::OtherTransport).yes()
        }
        Some(_) | None => Ok(None),
    }
}

/// Whether an address is none that anything can be sent to, or this host itself.
pub(super) fn is_nowhere(address: IpAddr) -> bool {
    matches!(Class::of(address), Class::Unspecified | Class::Loopback)
}

/// Whether a failure may be met at an address that is not the target's: nobody there, or somebody else. A
/// handshake that is cut without a word is met at the right one.
pub(super) fn is_astray(failure: &Failure) -> bool {
    match failure {
        // Who refuses what goes there is not the one who is there.
        Failure::Tcp(failure) => failure.icmp.is_none_or(|icmp| !icmp.is_prohibition()),
        Failure::Local(_) => true,
        Failure::Tls(failure) => !matches!(
            failure.kind,
            TlsKind::Timeout | TlsKind::Reset | TlsKind::Closed | TlsKind::Alert
        ),
        Failure::Dns(_) | Failure::Proxy(_) | Failure::Http(_) => false,
    }
}

/// Whether a trip reached the target, and at none of these addresses.
fn works_elsewhere(trip: &Trip, ours: &[IpAddr]) -> bool {
    let mut reached = trip.legs.iter().filter(|leg| leg.secured.is_some() && leg.stop.is_none());
    reached.any(|leg| !ours.contains(&leg.address.ip()))
}

fn sinkholed(case: &Case<'_>) -> Held {
    if case.proxied() || case.trip().lookup.source != Source::Dns {
        return Ok(None);
    }
    if let Some((_, failure)) = case.lookup_failure() {
        if failure.kind != DnsKind::UnusableAddress {
            return Ok(None);
        }
        return match case.other_resolver()? {
            Seen::Passed(_) => Found::high().by(Control::OtherResolver).yes(),
            // The zone itself may say so.
            Seen::Failed(trip) if !trip.lookup.addresses().is_empty() && trip.legs.is_empty() => {
                Found::undetermined().yes()
            }
            Seen::Failed(_) | Seen::Nothing => Found::medium().yes(),
        };
    }
    let Some((_, failure)) = case.stopped() else { return Ok(None) };
    let nobody_there = matches!(failure, Failure::Tcp(_) | Failure::Local(_));
    // An address of a family that this host does not have led nobody anywhere.
    let no_route = |leg: &&Leg| matches!(leg.stop, Some(Failure::Local(_)));
    let sent_nowhere = case.trip().lookup.addresses().into_iter().any(is_nowhere)
        && case.trip().legs.iter().all(|leg| no_route(&leg));
    let tried = || {
        let legs = case.trip().legs.iter().filter(|leg| !(sent_nowhere && no_route(leg)));
        legs.map(|leg| leg.address.ip())
    };
    let led_astray = |address: IpAddr| match Class::of(address) {
        Class::Public | Class::Documentation => sinkhole_of(address).is_some(),
        _ => true,
    };
    let inside = tried().all(led_astray);
    if !nobody_there || !inside {
        return Ok(None);
    }
    if case.other_address_works()? {
        return Found::high().by(Control::OtherResolver).yes();
    }
    // Any other host may live at a private address on purpose, and be down.
    if case.target().provider.owns(&case.target().host) {
        return Found::medium().yes();
    }
    Ok(None)
}

fn hijacked(case: &Case<'_>) -> Held {
    let Some((_, failure)) = case.tls() else { return Ok(None) };
    let somebody_else = matches!(
        failure.kind,
        TlsKind::WrongName | TlsKind::UnknownIssuer | TlsKind::SelfSigned | TlsKind::NotTls
    );
    if case.proxied() || !somebody_else || case.trip().lookup.source != Source::Dns {
        return Ok(None);
    }
    if case.other_address_works()? {
        return Found::high().by(Control::OtherResolver).yes();
    }
    Ok(None)
}

fn stale_address(case: &Case<'_>) -> Held {
    if case.tcp().is_none() || case.trip().lookup.source != Source::Dns {
        return Ok(None);
    }
    if !case.other_address_works()? {
        return Ok(None);
    }
    match case.control_host()? {
        Seen::Passed(_) => Found::high().by(Control::OtherResolver).yes(),
        Seen::Failed(_) => Ok(None),
        Seen::Nothing => Found::medium().by(Control::OtherResolver).party(Party::Resolver).yes(),
    }
}
