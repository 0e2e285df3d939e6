//! No finished handshake: cut or refused. A certificate that nobody accepts is `certificate`.

use super::case::{Case, Found, Needed, Seen};
use super::hops::our_firewall;
use super::{Confidence, Held};
use crate::cause::{Party, Status};
use crate::observation::{
    Change, Control, Failure, HttpKind, Leg, Sent, Socket, TlsFailure, TlsKind, Trip,
};

rules! { RULES
    /// The server asked for a client certificate, was shown the configured one, and refused it.
    TlsClientCertRejected client_cert_rejected,

    /// The server demands a client certificate, and none is configured.
    TlsClientCertRequired client_cert_required,

    /// Large segments vanish and small ones pass: the end of our hello arrived and its begin did not, whatever
    /// name it has, or there is a gap in what came back. With small segments the same handshake is finished.
    MtuBlackhole mtu_blackhole,

    /// There is no TLS version or cipher in common, by the alert protocol_version, insufficient_security, or
    /// handshake_failure for another name alike (RFC 8446 6.2). The server's where every route shows it; from
    /// one route alone nobody is named.
    TlsVersionUnsupported version_unsupported,

    /// The handshake is cut after the peer has begun to answer, at the same point each time, while another
    /// route completes it, and so does an unrelated host over the same route.
    TlsCut cut_in_the_middle,

    /// The handshake is cut when it names the target, and with another name the same address answers. A
    /// filter's where an unrelated host works and another route reaches the target, or where a walk hop by hop
    /// finds the hop that stops it; in a tunnel probably the proxy's.
    SniFiltered sni_filtered,

    /// The usual ClientHello, two segments long by its post-quantum key share, is cut whatever name it has, and
    /// a small one passes. A firewall's where another route shows the target's public chain and an unrelated
    /// host works; else the far end may be what cannot take it.
    TlsHelloTooLarge hello_too_large,

    /// A handshake that offers TLS 1.3 is cut whatever name it has and however small it is, and one of TLS 1.2
    /// is not: the server, or a device before it, cannot take the newer one.
    TlsVersionUnsupported older_only,

    /// A connection is made, and nothing that is sent on it is ever acknowledged, whatever its name and size. A
    /// firewall's where an unrelated host works and another route reaches the target, else nobody is named;
    /// where every other route is cut too, it may be the edge's and is left to it.
    TcpDataDropped data_dropped,

    /// A TLS record does not decrypt or decode. Changed on the way where another route reaches the target; else
    /// the server may have sent it so.
    TlsCorrupted corrupted,

    /// The address fails the handshake for another name too, and an unrelated host works. The edge's where
    /// every route is cut; from one route alone nobody is named.
    EdgeTlsFailed edge_tls_failed,

    /// The first byte that comes back is no TLS record. The server's where every route shows the same; from one
    /// route alone nobody is named.
    TlsPlaintextReply plaintext_reply,

}

fn client_cert_rejected(case: &Case<'_>) -> Held {
    match case.tls() {
        Some((leg, failure)) if failure.kind == TlsKind::ClientCertificate => {
            let shown = leg.asked.as_ref().is_some_and(|asked| asked.sent);
            if shown { Found::high().yes() } else { Ok(None) }
        }
        _ => Ok(None),
    }
}

fn mtu_blackhole(case: &Case<'_>) -> Held {
    let Some((leg, failure)) = case.tls() else { return Ok(None) };
    let Some(socket) = failure.socket else { return Ok(None) };
    let silent = failure.kind == TlsKind::Timeout;
    // Who gets the end without the begin may reset it, before it is sent again.
    let ours = socket.sacked > 0 && (silent || failure.kind == TlsKind::Reset);
    let theirs = socket.rcv_ooopack > 0 && silent;
    if !(ours || theirs) {
        return Ok(None);
    }
    let small = case.seen(Change::ClampedSegments(leg.address));
    let (small, other_name) = Needed::both(small, case.other_name(leg))?;
    // A hello of this size that passes with another name was taken away for what is in it. What comes back may
    // be smaller for that name.
    if !small.passed() || !theirs && other_name.passed() {
        return Ok(None);
    }
    Found::high().by(Control::ClampedSegments).yes()
}

fn hello_too_large(case: &Case<'_>) -> Held {
    let Some((leg, failure)) = cut(case).filter(|(leg, _)| leg.chain.is_none()) else {
        return Ok(None);
    };
    let other_name = case.other_name(leg)?;
    if other_name.passed() && !got_no_further(failure, other_name) {
        return Ok(None);
    }
    if !case.seen(Change::SmallHello(leg.address))?.passed() {
        return Ok(None);
    }
    // For those who have to find it: whether it is the size, or the second segment.
    case.seen(Change::SplitHello(leg.address))?;
    // Through an inspecting device it is the device's own hello that the far end takes.
    // A device may do it to every host alike.
    let others = case.control_host()?;
    let alike = others.failed().is_some_and(
        |trip| matches!(trip.failure(), Some(Failure::Tls(theirs)) if theirs.kind == failure.kind),
    );
    let found = if case.other_route_is_public() && (others.passed() || alike) {
        let party = if case.proxied() { Party::Proxy } else { Party::Firewall };
        Found::high().party(party).by_other_route()
    } else {
        // The far end may be what cannot take it.
        Found::medium().party(Party::Undetermined).by(Control::SmallHello)
    };
    // Today's clients send the same hello, and do not try a smaller one.
    found.status(Status::Broken).yes()
}

fn client_cert_required(case: &Case<'_>) -> Held {
    // In TLS 1.3 the refusal comes after the handshake, and a reset may overtake its alert.
    let cut_after = matches!(
        case.http(),
        Some((leg, failure)) if matches!(failure.kind, HttpKind::Closed | HttpKind::Reset)
            && leg.response.is_none()
            && leg.asked.as_ref().is_some_and(|asked| !asked.sent && asked.unusable.is_none())
    );
    if cut_after {
        return Found::medium().yes();
    }
    match case.tls().filter(|_| case.unusable_certificate().is_none()) {
        Some((_, failure)) if failure.kind == TlsKind::ClientCertificate => Found::high().yes(),
        _ => Ok(None),
    }
}

fn cut<'a>(case: &Case<'a>) -> Option<(&'a Leg, &'a TlsFailure)> {
    case.tls().filter(|(_, failure)| match failure.kind {
        TlsKind::Timeout | TlsKind::Reset | TlsKind::Closed | TlsKind::Alert => true,
        TlsKind::NotTls
        | TlsKind::Corrupted
        | TlsKind::Expired
        | TlsKind::NotYetValid
        | TlsKind::WrongName
        | TlsKind::SelfSigned
        | TlsKind::UnknownIssuer
        | TlsKind::CertificateOther
        | TlsKind::ClientCertificate
        | TlsKind::NoCommonVersion
        | TlsKind::Other => false,
    })
}

fn version_unsupported(case: &Case<'_>) -> Held {
    let Some((leg, failure)) = case.tls() else { return Ok(None) };
    let says_so =
        failure.kind == TlsKind::NoCommonVersion || matches!(failure.peers_alert(), Some(70 | 71));
    let may_say = failure.peers_alert() == Some(40);
    let refused = says_so || may_say && got_no_further(failure, case.other_name(leg)?);
    if !refused {
        return Ok(None);
    }
    of_the_server(case, |other| other.tls().is_some_and(|(_, theirs)| is_alike(theirs, failure)))
}

/// Whether the other name brought no more than this failure did: the same alert, or no record.
fn got_no_further(failure: &TlsFailure, seen: Seen<'_>) -> bool {
    let Some(leg) = seen.trip().and_then(Trip::leading) else { return false };
    match &leg.stop {
        Some(Failure::Tls(theirs)) => is_alike(theirs, failure),
        _ => false,
    }
}

/// Whether two handshakes ended in the same way: by the same kind, and the same alert of the peer.
fn is_alike(one: &TlsFailure, other: &TlsFailure) -> bool {
    one.kind == other.kind && one.peers_alert() == other.peers_alert()
}

fn cut_in_the_middle(case: &Case<'_>) -> Held {
    let begun = |failure: &TlsFailure| {
        matches!(failure.kind, TlsKind::Reset | TlsKind::Closed) && failure.received > 0
    };
    let Some((leg, failure)) = cut(case).filter(|(_, failure)| begun(failure)) else {
        return Ok(None);
    };
    // At another point each time it is loss or load, and nobody's rule.
    let elsewhere = case.repeat().is_some_and(|again| match again.failure() {
        Some(Failure::Tls(again)) => again.received.abs_diff(failure.received) > SAME_POINT,
        _ => false,
    });
    if elsewhere || case.every_route(|other| cut(other).is_some()) {
        return Ok(None);
    }
    if case.other_route_arrives() && case.control_host()?.passed() {
        let party = if case.proxied() { Party::Proxy } else { Party::Firewall };
        return Found::high().party(party).by_other_route().yes();
    }
    // The name may be what it is cut for.
    if case.other_name(leg)?.passed() || case.control_host()?.passed() {
        return Found::undetermined().yes();
    }
    Ok(None)
}

/// Bytes by which the place of a cut may differ: session ids and random padding have various lengths.
const SAME_POINT: u64 = 128;

fn older_only(case: &Case<'_>) -> Held {
    let Some((leg, failure)) = cut(case).filter(|(leg, _)| leg.chain.is_none()) else {
        return Ok(None);
    };
    let other_name = case.other_name(leg)?;
    let for_this_name = other_name.passed() && !got_no_further(failure, other_name);
    // A hello of TLS 1.2 is small, too.
    if for_this_name || case.seen(Change::SmallHello(leg.address))?.failed().is_none() {
        return Ok(None);
    }
    if !case.seen(Change::OlderTls(leg.address))?.passed() {
        return Ok(None);
    }
    if case.other_route_is_public() && case.control_host()?.passed() {
        let party = if case.proxied() { Party::Proxy } else { Party::Inspection };
        return Found::medium().party(party).by_other_route().yes();
    }
    of_the_server(case, |other| cut(other).is_some())
}

fn sni_filtered(case: &Case<'_>) -> Held {
    let Some((leg, failure)) = cut(case) else { return Ok(None) };
    let other_name = case.other_name(leg)?;
    if !other_name.passed() || got_no_further(failure, other_name) {
        return Ok(None);
    }
    if case.other_route_arrives() && case.control_host()?.passed() {
        let found = Found::high().by(Control::OtherName);
        if case.proxied() {
            // The proxy itself may end a tunnel by its name, as squid does, or something behind it.
            return found.party(Party::Proxy).at_most(Confidence::Medium).yes();
        }
        return found.yes();
    }
    if !case.proxied() {
        case.ask_for(&[Change::NameElsewhere(0), Change::TtlWalk(leg.address, Sent::Hello)])?;
    }
    if let Some(found) = our_firewall(case, leg, Sent::Hello)? {
        return found.yes();
    }
    // An unrelated host has no reason to cut this name, and takes its own.
    let elsewhere = !case.proxied() && case.seen(Change::NameElsewhere(0))?.failed().is_some();
    if elsewhere && case.control_host()?.passed() {
        return Found::medium().party(Party::Firewall).by(Control::NameElsewhere).yes();
    }
    Found::undetermined().by(Control::OtherName).yes()
}

fn data_dropped(case: &Case<'_>) -> Held {
    let unheard = |failure: &TlsFailure| {
        let unacknowledged = |socket: Socket| socket.unacked > 0 && socket.bytes_acked == 0;
        failure.kind == TlsKind::Timeout
            && failure.received == 0
            && failure.socket.is_some_and(unacknowledged)
    };
    let Some((leg, _)) = case.tls().filter(|(_, failure)| unheard(failure)) else {
        return Ok(None);
    };
    if case.every_route(|other| cut(other).is_some())
        || case.other_name(leg)?.failed().is_none()
        || case.seen(Change::SmallHello(leg.address))?.failed().is_none()
    {
        return Ok(None);
    }
    if case.other_route_arrives() && case.control_host()?.passed() {
        return Found::high().by_other_route().yes();
    }
    Found::undetermined().yes()
}

fn is_corrupted(case: &Case<'_>) -> bool {
    case.tls().is_some_and(|(_, failure)| failure.kind == TlsKind::Corrupted)
}

fn edge_tls_failed(case: &Case<'_>) -> Held {
    let corrupted = || {
        let everywhere = is_corrupted(case) && case.every_route(is_corrupted);
        case.tls().filter(|_| everywhere)
    };
    let Some((leg, failure)) = cut(case).or_else(corrupted) else { return Ok(None) };
    let other_name = case.other_name(leg)?;
    if other_name.passed() && !got_no_further(failure, other_name) {
        return Ok(None);
    }
    if other_name.trip().is_none() || !case.control_host()?.passed() {
        return Ok(None);
    }
    of_the_server(case, |other| cut(other).is_some() || is_corrupted(other))
}

fn plaintext_reply(case: &Case<'_>) -> Held {
    match case.tls() {
        Some((_, failure)) if failure.kind == TlsKind::NotTls => of_the_server(case, |other| {
            other.tls().is_some_and(|(_, theirs)| theirs.kind == TlsKind::NotTls)
        }),
        _ => Ok(None),
    }
}

fn corrupted(case: &Case<'_>) -> Held {
    match case.tls() {
        Some((_, failure)) if failure.kind == TlsKind::Corrupted => {
            if case.other_route_arrives() {
                return Found::high().party(Party::Network).by_other_route().yes();
            }
            // Changed alike on all ways, it is the far end that sends so.
            if case.every_route(is_corrupted) {
                return Ok(None);
            }
            Found::undetermined().yes()
        }
        _ => Ok(None),
    }
}

/// The server's, where every route shows the same; from one route alone nobody can be named.
fn of_the_server(case: &Case<'_>, alike: impl Fn(&Case<'_>) -> bool) -> Held {
    if case.every_route(alike) {
        return Found::high().by_other_route().yes();
    }
    Found::undetermined().yes()
}
