//! Facts of the look-up: slow, partly dead, redirected.

use std::net::{IpAddr, SocketAddr};

use super::{slow, twice};
use crate::cause::Status;
use crate::diagnosis::Held;
use crate::diagnosis::astray::is_nowhere;
use crate::diagnosis::case::{Case, Found, Seen};
use crate::diagnosis::dns::asked;
use crate::observation::{
    Answer, Change, Control, DnsKind, Failure, Family, Question, Source, Trip,
};

rules! { FACTS
    /// The look-up took longer than `probe.budget.dns`, and again in the repeat, though no address family was
    /// left without an answer.
    DnsSlow dns_slow,

    /// One of several name servers that this host's programs ask is silent or refuses, here and in the repeat,
    /// while another answers.
    DnsOneResolverDead one_resolver_dead,

    /// The question for IPv6 addresses (AAAA) fails otherwise than by "there is none", that for IPv4 addresses
    /// is answered, and the trip arrived.
    DnsAaaaBroken aaaa_broken,

    /// The name has IPv6 addresses only, and IPv4 ones by an independent resolver, or by what its provider
    /// publishes.
    DnsAMissing a_missing,

    /// The name is meant to have a private address by the configuration, has a public one, and that works.
    DnsPrivateAnswerMissing private_answer_missing,

    /// An address where no resolver can be answers a question: port 53 is redirected, and another resolver in
    /// the configuration will not help. Tried only where the look-up failed or was answered twice.
    DnsIntercepted intercepted,
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
        // Nor is a dead server's silence the slowness of the one that answered.
        let waited = waited || dead_server(trip).is_some();
        (!waited && trip.lookup.source == Source::Dns).then_some(trip.lookup.seconds)
    };
    slow(case, answered, budget)
}

fn one_resolver_dead(case: &Case<'_>) -> Held {
    let found = twice(case, |trip| dead_server(trip).is_some())?;
    Ok(found.zip(dead_server(case.trip())).map(|(found, server)| found.at(server)))
}

/// How long a name server is silent that is taken for dead beside one that answered, in seconds.
const SILENT: f64 = 0.9;

/// A server that fails where another one answers. A denial is an answer; one of a private zone may differ.
fn dead_server(trip: &Trip) -> Option<SocketAddr> {
    let questions = || asked(&trip.lookup).filter(|question| question.family == Family::A);
    let answered = |question: &Question| {
        question.reply.as_ref().is_some_and(|reply| !reply.addresses.is_empty())
    };
    let failed = |question: &&Question| match &question.stop {
        // This host has no way to its family: its programs do not ask it either.
        Some(stop) if matches!(stop.inner.as_deref(), Some(Failure::Local(_))) => false,
        Some(stop) => match stop.kind {
            DnsKind::Servfail
            | DnsKind::Refused
            | DnsKind::Timeout
            | DnsKind::PortClosed
            | DnsKind::Icmp
            | DnsKind::Transport => true,
            DnsKind::Nxdomain
            | DnsKind::Nodata
            | DnsKind::RcodeOther
            | DnsKind::Malformed
            | DnsKind::WrongId
            | DnsKind::WrongQuestion
            | DnsKind::Truncated
            | DnsKind::UnusableAddress
            | DnsKind::Other => false,
        },
        None => question.reply.is_none() && question.seconds >= SILENT,
    };
    if !questions().any(answered) {
        return None;
    }
    let dead = questions().find(failed)?.server.address;
    // It may have answered over another transport.
    (!questions().any(|question| question.server.address == dead && answered(question)))
        .then_some(dead)
}

fn a_missing(case: &Case<'_>) -> Held {
    let lookup = &case.trip().lookup;
    let none = lookup.a.as_ref().and_then(Answer::failure);
    let only_v6 = lookup.aaaa.as_ref().is_some_and(|answer| !answer.addresses().is_empty());
    let denied = none.is_some_and(|failure| failure.kind == DnsKind::Nodata);
    if case.proxied() || !denied || !only_v6 || lookup.source != Source::Dns {
        return Ok(None);
    }
    let facts = case.target().provider.facts();
    let published = facts.ranges.iter().any(|range| range.network.is_ipv4());
    let has_v4 = published && case.target().provider.owns(&case.target().host);
    // A name that has IPv6 alone is no fault: it is asked about only where that does not work.
    if has_v4 && case.trip().arrived() {
        return Found::medium().yes();
    }
    if case.trip().arrived() {
        return Ok(None);
    }
    match case.other_resolver()?.trip() {
        Some(trip) if trip.lookup.addresses().iter().any(IpAddr::is_ipv4) => {
            Found::high().by(Control::OtherResolver).yes()
        }
        Some(_) | None => Ok(None),
    }
}

fn private_answer_missing(case: &Case<'_>) -> Held {
    let private = &case.target().private;
    let addresses = case.trip().lookup.addresses();
    let inside = |address: &IpAddr| private.iter().any(|range| range.contains(*address));
    if private.is_empty()
        || case.proxied()
        || case.symptom().is_some()
        || addresses.iter().any(inside)
    {
        return Ok(None);
    }
    Found::high().status(Status::Degraded).yes()
}

fn intercepted(case: &Case<'_>) -> Held {
    let contradicted = || asked(&case.trip().lookup).any(|question| !question.late.is_empty());
    let fails = case.symptom().is_some();
    if case.lookup_failure().is_none() && !(fails && contradicted()) {
        return Ok(None);
    }
    match case.seen(Change::UnanswerableResolver)? {
        Seen::Failed(_) => Found::high().by(Control::UnanswerableResolver).yes(),
        Seen::Passed(_) | Seen::Nothing => Ok(None),
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
    let nulled = lookup
        .aaaa
        .as_ref()
        .is_some_and(|answer| answer.addresses().iter().any(|address| is_nowhere(*address)));
    if fine && (broken || nulled) && case.trip().arrived() { Found::high().yes() } else { Ok(None) }
}
