//! No address. One that leads astray is `astray`.

use std::net::IpAddr;

use super::case::{Case, Found, Needed, Seen};
use super::connect::{could_not_resolve, says_so_of_no_name};
use super::{Confidence, Held};
use crate::cause::{Party, Status};
use crate::observation::{
    Change, Class, Control, DnsFailure, DnsKind, Failure, Lookup, Question, Reply, Role, Server,
    Source, Transport, Trip,
};

rules! { RULES
    /// The name has private ranges by the configuration, and none of its addresses lies in one, or it has
    /// none: the resolver does not serve the private zone.
    DnsPrivateAnswerMissing private_answer_missing,

    /// One question got two different answers, and the trip failed. Proven where the resolver, asked over TCP,
    /// where nobody can slip an answer in, says what the second said; where TCP tells nothing, or neither of
    /// them, nobody is named.
    DnsInjected injected,

    /// A hop refuses the questions to the resolver by ICMP, for an unrelated name too: a prohibition is a
    /// firewall's, "no route" is routing, and the resolver's own word is its own. Or no datagram is answered
    /// for any name, and over TCP the resolver answers.
    DnsResolverBlocked resolver_blocked,

    /// Every resolver that is asked says from its own address that its port is closed, for an unrelated name
    /// too. One that runs on this host is for this host's owner to start.
    DnsResolverDown resolver_down,

    /// With twice the time the same look-up is answered: nobody drops it, it is slow.
    DnsSlow slow_beyond_the_timeout,

    /// No resolver answers, neither for this name nor for an unrelated one, and who drops the questions does
    /// not show. Without an unrelated name to compare with, nobody is named.
    DnsResolverUnreachable resolver_unreachable,

    /// What came back is no answer to the question. It is probably the resolver's doing where another resolver
    /// knows the name; a device on the way may do the same to every resolver.
    DnsAnswerMalformed answer_malformed,

    /// The answer does not fit into a datagram, and the resolver is not reached over TCP. Who refuses is known
    /// only where ICMP says it: a hop is a firewall, the resolver's own address is the resolver.
    DnsOverTcpBlocked over_tcp_blocked,

    /// The resolver answers with an error or a denial, for this name and for an unrelated one. Proven where an
    /// independent resolver knows the name; where both names are merely denied, the target's has to be known
    /// elsewhere, or be the provider's own.
    DnsResolverFailing resolver_failing,

    /// The name is an alias of one that does not exist, as an independent resolver says too: the zone's own
    /// fault. Where that one, or another route, finds the end of the alias, it is the resolver's.
    DnsCnameDangling alias_dangles,

    /// The name is denied here, and by an independent resolver too. Where none could be asked, nobody is named;
    /// a provider's own name, or one that another route reaches, is not taken for missing.
    DnsNameMissing name_missing,

    /// The configured and an independent resolver both answer with an error for this name, and the configured
    /// one answers for an unrelated name.
    DnsZoneBroken zone_broken,

    /// The resolver denies or refuses this name, and not an unrelated one. Proven where the unrelated name is
    /// answered, and an independent resolver knows the target's name or another route reaches the target; where
    /// neither does, nobody is named.
    DnsNameFiltered name_filtered,

    /// The resolver fails or stays silent for this name, and not for an unrelated one. Proven where the
    /// unrelated name is answered, and an independent resolver knows the target's name or another route reaches
    /// the target; where neither does, nobody is named.
    DnsNameFailing name_failing,
}

fn private_answer_missing(case: &Case<'_>) -> Held {
    let private = &case.target().private;
    if private.is_empty() || case.proxied() || case.trip().lookup.source != Source::Dns {
        return Ok(None);
    }
    // What the API says of request, key or itself is not about where it was asked from.
    let forbids = |status: u16| matches!(status, 403 | 404);
    if case
        .answer()
        .is_some_and(|(response, _, author)| author.is_provider() && !forbids(response.status))
    {
        return Ok(None);
    }
    let is_private = |address: &IpAddr| private.iter().any(|range| range.contains(*address));
    let denied = case.lookup_failure().is_some_and(|(_, failure)| is_denial(failure.kind));
    let addresses = case.trip().lookup.addresses();
    let public = !addresses.is_empty() && !addresses.iter().any(is_private);
    if denied || public { Found::high().yes() } else { Ok(None) }
}

fn alias_dangles(case: &Case<'_>) -> Held {
    let case = &resolving(case)?;
    let Some((lookup, failure)) = case.lookup_failure() else { return Ok(None) };
    let aliased = |question: &Question| {
        question.reply.as_ref().is_some_and(|reply| !reply.aliases.is_empty())
    };
    if !is_denial(failure.kind) || case.looks_up_a_proxy() || !asked(lookup).any(aliased) {
        return Ok(None);
    }
    if case.other_route_arrives() {
        return Found::high().party(Party::Resolver).by_other_route().yes();
    }
    match case.other_resolver()?.trip() {
        Some(other) if knows(other) => {
            Found::high().party(Party::Resolver).by(Control::OtherResolver).yes()
        }
        Some(other) if kind(other).is_some_and(is_denial) => {
            Found::high().by(Control::OtherResolver).yes()
        }
        Some(_) | None => Found::undetermined().yes(),
    }
}

fn slow_beyond_the_timeout(case: &Case<'_>) -> Held {
    let Some((_, failure)) = case.lookup_failure() else { return Ok(None) };
    if failure.kind != DnsKind::Timeout {
        return Ok(None);
    }
    match case.seen(Change::LongerTimeout)?.trip() {
        Some(trip) if !trip.lookup.addresses().is_empty() => {
            Found::high().status(Status::Broken).by(Control::LongerTimeout).yes()
        }
        Some(_) | None => Ok(None),
    }
}

fn kind(trip: &Trip) -> Option<DnsKind> {
    match trip.lookup.failure()? {
        Failure::Dns(failure) => Some(failure.kind),
        Failure::Local(_)
        | Failure::Tcp(_)
        | Failure::Proxy(_)
        | Failure::Tls(_)
        | Failure::Http(_) => None,
    }
}

fn is_silence(kind: DnsKind) -> bool {
    matches!(kind, DnsKind::Timeout | DnsKind::Transport | DnsKind::PortClosed | DnsKind::Icmp)
}

fn is_refusal(kind: DnsKind) -> bool {
    matches!(kind, DnsKind::Servfail | DnsKind::Refused | DnsKind::RcodeOther | DnsKind::Other)
}

fn is_denial(kind: DnsKind) -> bool {
    matches!(kind, DnsKind::Nxdomain | DnsKind::Nodata)
}

fn injected(case: &Case<'_>) -> Held {
    if case.answered_by_provider() {
        return Ok(None);
    }
    let Some(question) = asked(&case.trip().lookup).find(|question| !question.late.is_empty())
    else {
        return Ok(None);
    };
    let real = match case.seen(Change::OtherTransport)? {
        Seen::Passed(trip) => trip.lookup.addresses(),
        Seen::Failed(_) | Seen::Nothing => return Found::undetermined().yes(),
    };
    let is_real = |reply: &Reply| reply.addresses.iter().any(|found| real.contains(&found.address));
    if question.reply.as_ref().is_some_and(is_real) {
        return Ok(None);
    }
    if question.late.iter().any(is_real) {
        return Found::high().by(Control::OtherTransport).yes();
    }
    Found::undetermined().yes()
}

fn resolver_blocked(case: &Case<'_>) -> Held {
    let Some((lookup, failure)) = case.lookup_failure() else { return Ok(None) };
    let icmp = failure.icmp.filter(|icmp| failure.kind == DnsKind::Icmp && !icmp.own);
    let Some(icmp) = icmp else { return datagrams_blocked(case, &failure) };
    match case.control_name()? {
        Seen::Failed(control) if kind(control) == Some(DnsKind::Icmp) => {}
        Seen::Nothing => {}
        // Another server answers for that name: this one alone is cut off, and is not the fault here.
        Seen::Failed(_) | Seen::Passed(_) => return Ok(None),
    }
    if is_asked(lookup, icmp.offender) {
        return Found::high().party(Party::Resolver).yes();
    }
    if icmp.is_port_unreachable() {
        // A server behind a shared address may say so itself; a hop of ours does not speak for one outside.
        let outside =
            |question: &Question| Class::of(question.server.address.ip()) == Class::Public;
        let outside = asked(lookup).all(outside) && asked(lookup).next().is_some();
        let is_ours = Class::of(icmp.offender).is_inside() && outside;
        return if is_ours { Found::medium().yes() } else { Found::undetermined().yes() };
    }
    if icmp.is_prohibition() {
        return Found::high().yes();
    }
    Found::medium().party(Party::Network).yes()
}

/// No datagram is answered, for no name, and the same resolver answers over TCP: it is there, and its
/// datagrams are not let through. On this host itself it is the resolver's own fault.
fn datagrams_blocked(case: &Case<'_>, failure: &DnsFailure) -> Held {
    let elsewhere =
        |server: &Server| server.transport == Transport::Udp && !server.address.ip().is_loopback();
    let servers = || asked(&case.trip().lookup).map(|question| &question.server);
    if failure.kind != DnsKind::Timeout
        || !servers().all(elsewhere)
        || !case.control_name()?.failed().and_then(kind).is_some_and(is_silence)
    {
        return Ok(None);
    }
    match case.seen(Change::OtherTransport)? {
        Seen::Passed(_) => Found::medium().by(Control::OtherTransport).yes(),
        Seen::Failed(_) | Seen::Nothing => Ok(None),
    }
}

/// The questions to the servers that this host's programs ask.
pub(super) fn asked(lookup: &Lookup) -> impl Iterator<Item = &Question> {
    lookup.questions.iter().filter(|question| question.server.role != Role::Upstream)
}

fn is_asked(lookup: &Lookup, address: IpAddr) -> bool {
    asked(lookup).any(|question| question.server.address.ip() == address)
}

fn resolver_down(case: &Case<'_>) -> Held {
    let Some((lookup, failure)) = case.lookup_failure() else { return Ok(None) };
    let is_closed = |question: &Question| {
        question.stop.as_ref().is_some_and(|stop| stop.kind == DnsKind::PortClosed)
    };
    if failure.kind != DnsKind::PortClosed || !asked(lookup).all(is_closed) {
        return Ok(None);
    }
    let own = failure.icmp.is_some_and(|icmp| icmp.own || icmp.offender.is_loopback());
    let party = if own { Party::Client } else { Party::Resolver };
    match case.control_name()? {
        Seen::Failed(control) if kind(control) == Some(DnsKind::PortClosed) => {
            Found::high().by(Control::ControlName).party(party).yes()
        }
        Seen::Nothing => Found::medium().party(party).yes(),
        // It is back, or one of several servers is down.
        Seen::Failed(_) | Seen::Passed(_) => Ok(None),
    }
}

fn answer_malformed(case: &Case<'_>) -> Held {
    let Some((_, failure)) = case.lookup_failure() else { return Ok(None) };
    let malformed =
        matches!(failure.kind, DnsKind::Malformed | DnsKind::WrongId | DnsKind::WrongQuestion);
    if !malformed {
        return Ok(None);
    }
    match case.other_resolver()?.trip().map(knows) {
        Some(true) => Found::medium().by(Control::OtherResolver).yes(),
        // A device on the way may do it to every resolver.
        Some(false) | None => Found::undetermined().yes(),
    }
}

fn over_tcp_blocked(case: &Case<'_>) -> Held {
    let Some((lookup, failure)) = case.lookup_failure() else { return Ok(None) };
    if failure.kind != DnsKind::Truncated {
        return Ok(None);
    }
    let refusal = match failure.inner.as_deref() {
        Some(Failure::Tcp(tcp)) => tcp.icmp.filter(|icmp| !icmp.own && icmp.is_prohibition()),
        Some(_) | None => None,
    };
    match refusal {
        Some(icmp) if is_asked(lookup, icmp.offender) => Found::high().party(Party::Resolver).yes(),
        Some(_) => Found::high().yes(),
        None => Found::undetermined().yes(),
    }
}

fn resolver_unreachable(case: &Case<'_>) -> Held {
    let Some((_, failure)) = case.lookup_failure() else { return Ok(None) };
    if !is_silence(failure.kind) {
        return Ok(None);
    }
    match case.control_name()? {
        Seen::Failed(control) if kind(control).is_some_and(is_silence) => {
            Found::medium().by(Control::ControlName).yes()
        }
        Seen::Nothing => Found::undetermined().yes(),
        Seen::Failed(_) | Seen::Passed(_) => Ok(None),
    }
}

fn resolver_failing(case: &Case<'_>) -> Held {
    let Some((_, failure)) = case.lookup_failure() else { return Ok(None) };
    let fails = |kind| is_refusal(kind) || is_denial(kind);
    // One outside name that it answers is another than every name.
    let answered = |other: &Case<'_>| {
        let lookup = &other.trip().lookup;
        let outside = |address: &IpAddr| !Class::of(*address).is_inside();
        lookup.source == Source::Dns && lookup.addresses().iter().any(outside)
    };
    if case.others().any(|other| answered(&other)) {
        return Ok(None);
    }
    if !fails(failure.kind) || !case.control_name()?.failed().and_then(kind).is_some_and(fails) {
        return Ok(None);
    }
    match case.other_resolver()?.trip().map(knows) {
        Some(true) => Found::high().by(Control::OtherResolver).yes(),
        None if case.target().provider.owns(&case.target().host) && !case.looks_up_a_proxy() => {
            Found::medium().by(Control::ControlName).yes()
        }
        Some(false) | None if is_refusal(failure.kind) || case.other_route_arrives() => {
            Found::medium().by(Control::ControlName).yes()
        }
        Some(false) | None => Ok(None),
    }
}

fn knows(trip: &Trip) -> bool {
    trip.lookup.failure().is_none()
}

/// The route on which this one's name is resolved here: where its proxy could not resolve the target's, the
/// direct one, since a name that fails there too is no fault of the proxy.
fn resolving<'a>(case: &Case<'a>) -> Result<Case<'a>, Needed> {
    let Some(failure) = case.proxy() else { return Ok(*case) };
    let direct = |other: &Case<'_>| !other.proxied() && other.lookup_failure().is_some();
    let Some(other) = case.others().find(direct) else { return Ok(*case) };
    let unresolved = could_not_resolve(&failure) || says_so_of_no_name(case, &failure)?;
    Ok(if unresolved { other } else { *case })
}

/// How an independent resolver fails for the name that this route's proxy could not resolve.
fn behind_the_proxy(case: &Case<'_>) -> Result<Option<DnsKind>, Needed> {
    let Some(failure) = case.proxy() else { return Ok(None) };
    if case.other_route_arrives()
        || !could_not_resolve(&failure) && !says_so_of_no_name(case, &failure)?
    {
        return Ok(None);
    }
    let Some(trip) = case.seen(Change::OtherResolver)?.failed() else { return Ok(None) };
    Ok(match trip.resolved_here.as_ref().and_then(Lookup::failure) {
        Some(Failure::Dns(failure)) => Some(failure.kind),
        Some(_) | None => None,
    })
}

fn name_missing(case: &Case<'_>) -> Held {
    if behind_the_proxy(case)?.is_some_and(is_denial) {
        return Found::high().by(Control::OtherResolver).yes();
    }
    let case = &resolving(case)?;
    let Some((_, failure)) = case.lookup_failure() else { return Ok(None) };
    if !is_denial(failure.kind) || case.looks_up_a_proxy() {
        return Ok(None);
    }
    // One that is silent was not asked.
    let other = case.other_resolver()?.trip();
    match other.filter(|trip| !kind(trip).is_some_and(is_silence)) {
        // Over another route it has a server.
        Some(_) if case.other_route_arrives() => Ok(None),
        Some(other) if kind(other).is_some_and(is_denial) => {
            // Where port 53 is redirected, the other resolver was not asked.
            if case.seen(Change::UnanswerableResolver)?.failed().is_some() {
                return Found::undetermined().yes();
            }
            Found::high().by(Control::OtherResolver).yes()
        }
        Some(_) => Ok(None),
        None if asked(&case.trip().lookup).any(says_it_filters) => Ok(None),
        // A provider's own name is not misspelt: its absence is a filter's doing, or its own.
        None if case.target().provider.owns(&case.target().host) => Ok(None),
        None if case.other_route_arrives() => Ok(None),
        None => Found::undetermined().yes(),
    }
}

fn zone_broken(case: &Case<'_>) -> Held {
    if behind_the_proxy(case)?.is_some_and(is_refusal) {
        return Found::high().by(Control::OtherResolver).yes();
    }
    let case = &resolving(case)?;
    let Some((_, failure)) = case.lookup_failure() else { return Ok(None) };
    if !is_refusal(failure.kind) || case.looks_up_a_proxy() || !case.control_name()?.passed() {
        return Ok(None);
    }
    match case.other_resolver()?.trip().and_then(kind) {
        // A server that refuses a stranger says nothing of the zone.
        Some(kind) if is_refusal(kind) && kind != DnsKind::Refused => {
            Found::high().by(Control::OtherResolver).yes()
        }
        Some(_) | None => Ok(None),
    }
}

/// RFC 8914 4.16 to 4.19: the resolver says itself that it blocks, censors, filters or may not.
fn says_it_filters(question: &Question) -> bool {
    let reply = question.reply.as_ref();
    reply.is_some_and(|reply| reply.errors.iter().any(|error| (15..=18).contains(&error.code)))
}

fn name_filtered(case: &Case<'_>) -> Held {
    let Some((lookup, failure)) = case.lookup_failure() else { return Ok(None) };
    if case.looks_up_a_proxy() || !(is_denial(failure.kind) || failure.kind == DnsKind::Refused) {
        return Ok(None);
    }
    let found = for_this_name(case)?;
    let unproven = found.as_ref().is_some_and(|found| found.confidence == Confidence::Low);
    if unproven && asked(lookup).any(says_it_filters) && case.control_name()?.passed() {
        return Found::medium().by(Control::ControlName).yes();
    }
    Ok(found)
}

fn name_failing(case: &Case<'_>) -> Held {
    let Some((_, failure)) = case.lookup_failure() else { return Ok(None) };
    if case.looks_up_a_proxy()
        || is_denial(failure.kind)
        || failure.kind == DnsKind::UnusableAddress
    {
        return Ok(None);
    }
    for_this_name(case)
}

fn for_this_name(case: &Case<'_>) -> Held {
    let others_answered = case.control_name()?;
    if others_answered.failed().is_some() {
        return Ok(None);
    }
    if case.other_route_arrives() && others_answered.passed() {
        return Found::high().by_other_route().yes();
    }
    match case.other_resolver()?.trip().map(knows) {
        Some(true) if others_answered.passed() => Found::high().by(Control::OtherResolver).yes(),
        Some(true) => Found::medium().by(Control::OtherResolver).yes(),
        Some(false) | None => Found::undetermined().yes(),
    }
}
