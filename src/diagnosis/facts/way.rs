//! Facts of the way to the target or the proxy: families, addresses, loss, who completes handshakes.

use super::slow;
use crate::diagnosis::Held;
use crate::diagnosis::case::{Case, Found, Seen};
use crate::observation::{Change, Control, Expect, Failure, Leg, Socket};

rules! { FACTS
    /// No IPv6 address can be connected to, an IPv4 address works, and this host has an IPv6 route.
    Ipv6Broken ipv6_broken,

    /// No IPv4 address can be connected to, an IPv6 address works, and this host has an IPv4 route.
    Ipv4Broken ipv4_broken,

    /// One address cannot be connected to, and another of its family works.
    TcpAddressDead address_dead,

    /// A SYN or several data segments had to be sent again, here and in the repeat.
    TcpLossy lossy,

    /// Somebody completes the TCP handshake for an address that nobody has: an open port proves nothing here.
    TcpIntercepted tcp_intercepted,

    /// The route is declared closed, and the target was reached over it.
    EgressOpenUnexpectedly open_unexpectedly,

    /// The proxy answered CONNECT later than `probe.budget.proxy`, and again in the repeat.
    ProxySlow proxy_slow,
}

fn lossy(case: &Case<'_>) -> Held {
    if case.symptom().is_some() {
        return Ok(None);
    }
    if !case.trip().legs.iter().any(is_lossy) {
        return Ok(None);
    }
    // What is lost on the way back shows in the repeat as a gap.
    match case.seen(Change::Repeat)?.trip() {
        Some(again)
            if again.legs.iter().any(is_lossy)
                || case.trip().legs.iter().any(lost_its_syn)
                    && again.legs.iter().any(shows_loss) =>
        {
            Found::high().by(Control::Repeat).yes()
        }
        Some(_) | None => Ok(None),
    }
}

/// A small link makes segments be sent again once (RFC 1191), a SYN never.
fn lost_its_syn(leg: &Leg) -> bool {
    let socket = leg.connected.as_ref().and_then(|connected| connected.socket);
    socket.is_some_and(|socket| socket.total_retrans > 0)
}

/// Whether anything was sent again, or came after a gap.
fn shows_loss(leg: &Leg) -> bool {
    let connected = leg.connected.as_ref().and_then(|connected| connected.socket);
    let secured = leg.secured.as_ref().and_then(|secured| secured.socket);
    let answered = leg.response.as_ref().and_then(|response| response.socket);
    let sockets = [connected, secured, answered].into_iter().flatten();
    sockets.into_iter().any(|socket| socket.total_retrans > 0 || socket.rcv_ooopack > 0)
}

/// Segments that are sent again before it is loss: a single one may be a probe (RFC 8985 7).
const RESENT: u32 = 2;

fn is_lossy(leg: &Leg) -> bool {
    let resent = |socket: Option<Socket>| socket.map_or(0, |socket| socket.total_retrans);
    let syn = leg.connected.as_ref().map_or(0, |connected| resent(connected.socket));
    let secured = leg.secured.as_ref().map_or(0, |secured| resent(secured.socket));
    let answered = leg.response.as_ref().map_or(0, |response| resent(response.socket));
    leg.stop.is_none() && (syn > 0 || secured.max(answered) >= RESENT)
}

fn tcp_intercepted(case: &Case<'_>) -> Held {
    if case.proxied() {
        return Ok(None);
    }
    if case.walk.usual.get(&Control::UnanswerableAddress) == Some(&false) {
        return Found::high().by(Control::UnanswerableAddress).yes();
    }
    // Asked where a connection was made and nothing good came of it.
    let Some((leg, Failure::Tls(_) | Failure::Http(_))) = case.stopped() else { return Ok(None) };
    if leg.connected.is_none() {
        return Ok(None);
    }
    match case.seen(Change::UnanswerableAddress)? {
        Seen::Failed(_) => Found::high().by(Control::UnanswerableAddress).yes(),
        Seen::Passed(_) | Seen::Nothing => Ok(None),
    }
}

fn proxy_slow(case: &Case<'_>) -> Held {
    let [_, budget, _] = case.target().budget;
    slow(case, |trip| Some(trip.leading()?.tunnelled.as_ref()?.seconds), budget)
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

fn open_unexpectedly(case: &Case<'_>) -> Held {
    if case.walk.expect == Expect::Closed && case.reached() {
        Found::high().yes()
    } else {
        Ok(None)
    }
}
