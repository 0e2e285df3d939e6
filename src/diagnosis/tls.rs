//! No finished handshake: cut, refused, or shown a certificate that nobody here accepts.

use super::case::{Case, Found, Seen};
use super::hops::our_firewall;
use super::{Confidence, Held};
use crate::cause::{Party, Status};
use crate::observation::{Change, Control, Failure, Leg, Sent, Socket, TlsFailure, TlsKind, Trip};

rules! { RULES
    /// Our client certificate was shown, and refused.
    TlsClientCertRejected client_cert_rejected,

    /// The server demands a client certificate, and none is configured.
    TlsClientCertRequired client_cert_required,

    /// Full segments vanish and small ones pass: the small end of our hello is there and its begin is not,
    /// or there is a gap before what came of theirs. With small segments the same handshake is finished.
    MtuBlackhole mtu_blackhole,

    /// protocol_version, insufficient_security, or handshake_failure for other names alike (RFC 8446 6.2).
    TlsVersionUnsupported version_unsupported,

    /// The handshake is cut when it names the target; with another name the same address answers.
    SniFiltered sni_filtered,

    /// The usual, post-quantum `ClientHello` is cut whatever name it has, and a small one passes: something
    /// cannot take a hello of two segments. Smaller segments alone do not help, or it was no silence.
    TlsHelloTooLarge hello_too_large,

    /// A connection is made, and nothing that is sent on it is ever acknowledged, whatever its name and size.
    /// Where every other route is cut too, it is the edge's.
    TcpDataDropped data_dropped,

    /// The address fails the handshake for every name, on every route, and unrelated hosts work.
    EdgeTlsFailed edge_tls_failed,

    /// The first byte is no TLS record.
    TlsPlaintextReply plaintext_reply,

    /// A record does not decrypt or decode; on another route all do.
    TlsCorrupted corrupted,

    /// A root that nobody here trusts, and not the origin's: an unrelated host shows the same issuer, or
    /// another route shows the real chain.
    TlsInspectionUntrusted inspection_untrusted,

    /// A certificate that no public CA issued is outside its dates or for another name, and another route
    /// or an unrelated host shows that it is not the origin's.
    InspectionCertInvalid inspection_cert_invalid,

    /// The leaf or an intermediate is past its end, and the clock is right.
    CertExpired cert_expired,

    /// The certificate's begin is to come, and the clock is right.
    CertNotYetValid cert_not_yet_valid,

    /// The certificate is for other names, at the right address.
    CertWrongName cert_wrong_name,

    /// The leaf is its own issuer.
    CertSelfSigned cert_self_signed,

    /// Nobody here knows the issuer.
    CertUnknownIssuer cert_unknown_issuer,
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
    let Some(socket) = failure.socket.filter(|_| failure.kind == TlsKind::Timeout) else {
        return Ok(None);
    };
    let ours = socket.sacked > 0;
    let theirs = socket.rcv_ooopack > 0;
    if !(ours || theirs) || !case.seen(Change::ClampedSegments(leg.address))?.passed() {
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
    // Through an inspecting device it is the device's own hello that the far end takes.
    let found = if case.other_route_is_public() && case.control_host()?.passed() {
        Found::high().party(Party::Firewall).by_other_route()
    } else {
        // The far end may be what cannot take it.
        Found::medium().party(Party::Undetermined).by(Control::SmallHello)
    };
    // Today's clients send the same hello, and do not try a smaller one.
    found.status(Status::Broken).yes()
}

fn client_cert_required(case: &Case<'_>) -> Held {
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
    match our_firewall(case, leg, Sent::Hello)? {
        Some(found) => found.yes(),
        None => Found::undetermined().by(Control::OtherName).yes(),
    }
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

fn edge_tls_failed(case: &Case<'_>) -> Held {
    let Some((leg, failure)) = cut(case) else { return Ok(None) };
    let other_name = case.other_name(leg)?;
    if other_name.passed() && !got_no_further(failure, other_name) {
        return Ok(None);
    }
    if other_name.trip().is_none() || !case.control_host()?.passed() {
        return Ok(None);
    }
    of_the_server(case, |other| cut(other).is_some())
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

fn inspection_untrusted(case: &Case<'_>) -> Held {
    let Some((leg, failure)) = case.tls() else { return Ok(None) };
    if !matches!(failure.kind, TlsKind::UnknownIssuer | TlsKind::SelfSigned) {
        return Ok(None);
    }
    let Some(issuer) = leg.chain.as_ref().and_then(|chain| chain.top_issuer()) else {
        return Ok(None);
    };
    let same = |trip: &Trip| {
        trip.leading().and_then(|leg| leg.chain.as_ref()).and_then(|chain| chain.top_issuer())
            == Some(issuer)
    };
    match case.control_shows()? {
        Seen::Passed(control) | Seen::Failed(control) if same(control) => {
            Found::high().by(Control::ControlHost).yes()
        }
        Seen::Passed(_) | Seen::Failed(_) | Seen::Nothing if case.other_route_is_public() => {
            Found::medium().by_other_route().yes()
        }
        Seen::Passed(_) | Seen::Failed(_) | Seen::Nothing => Ok(None),
    }
}

fn inspection_cert_invalid(case: &Case<'_>) -> Held {
    let Some((leg, failure)) = case.tls() else { return Ok(None) };
    let wrong =
        matches!(failure.kind, TlsKind::Expired | TlsKind::NotYetValid | TlsKind::WrongName);
    let Some(chain) = leg.chain.as_ref().filter(|chain| wrong && !chain.is_public()) else {
        return Ok(None);
    };
    let same = |trip: &Trip| {
        trip.leading()
            .and_then(|leg| leg.chain.as_ref())
            .is_some_and(|other| other.top_issuer() == chain.top_issuer() && !other.is_public())
    };
    match case.control_shows()?.trip() {
        Some(control) if same(control) => Found::high().by(Control::ControlHost).yes(),
        Some(_) | None if case.other_route_is_public() => Found::high().by_other_route().yes(),
        Some(_) | None => Ok(None),
    }
}

fn cert_expired(case: &Case<'_>) -> Held {
    certificate(case, TlsKind::Expired)
}

fn cert_not_yet_valid(case: &Case<'_>) -> Held {
    certificate(case, TlsKind::NotYetValid)
}

fn cert_wrong_name(case: &Case<'_>) -> Held {
    certificate(case, TlsKind::WrongName)
}

fn cert_self_signed(case: &Case<'_>) -> Held {
    certificate(case, TlsKind::SelfSigned)
}

fn cert_unknown_issuer(case: &Case<'_>) -> Held {
    certificate(case, TlsKind::UnknownIssuer)
}

/// The server's, where a public CA issued it or every route shows the same chain, and neither this
/// host's clock nor a wrong address explains it.
fn certificate(case: &Case<'_>, kind: TlsKind) -> Held {
    let Some((leg, failure)) = case.tls() else { return Ok(None) };
    if failure.kind != kind {
        return Ok(None);
    }
    let Some(chain) = &leg.chain else { return Found::undetermined().yes() };
    let same = |other: &Case<'_>| {
        other.chain().is_some_and(|theirs| theirs.certificates == chain.certificates)
    };
    let everywhere = case.every_route(same);
    if !everywhere && !chain.is_public() {
        return Found::undetermined().yes();
    }
    match kind {
        TlsKind::Expired | TlsKind::NotYetValid if case.control_host()?.passed() => {
            Found::high().by(Control::ControlHost).yes()
        }
        TlsKind::Expired | TlsKind::NotYetValid => Found::undetermined().yes(),
        _ if everywhere => Found::high().by_other_route().yes(),
        // Anybody can have a public certificate for a name of his own.
        _ if case.other_route_is_public() => Found::undetermined().by_other_route().yes(),
        _ => match case.other_resolver()? {
            Seen::Failed(other) if ends_in(other, kind) => {
                Found::high().by(Control::OtherResolver).yes()
            }
            Seen::Failed(_) | Seen::Nothing => Found::medium().yes(),
            Seen::Passed(_) => Ok(None),
        },
    }
}

fn ends_in(trip: &Trip, kind: TlsKind) -> bool {
    matches!(trip.failure(), Some(Failure::Tls(failure)) if failure.kind == kind)
}
