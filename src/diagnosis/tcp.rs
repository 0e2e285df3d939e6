//! No connection, on a direct route.

use std::net::{IpAddr, SocketAddr};

use super::between::says_upstream_unreached;
use super::case::{Case, Found, Needed, Seen, proxy_failure};
use super::connect::{could_not_connect, could_not_resolve, fails_by_address, may_be_the_name};
use super::hops::our_firewall;
use super::{Baseline, Confidence, Held};
use crate::cause::Party;
use crate::observation::{
    Change, Class, Control, Failure, Leg, LocalKind, ProxyFailure, ProxyKind, Question, Sent,
    TcpFailure, TcpKind, Trip, other_port,
};

rules! { RULES
    /// Unrelated hosts are not reached at this port either, in the same way, and another port of the target's
    /// address opens: it is the port that is closed.
    EgressPortBlocked port_blocked,

    /// Neither the target nor the control hosts are reached, directly or by the proxy's word, and the control
    /// hosts worked over this route before.
    UplinkDown uplink_down,

    /// A hop answers by ICMP that it has no way there. Nobody is named where the hop is not known, or where
    /// this host itself finds nobody on its link at that address.
    TcpUnreachable unreachable,

    /// The target and an unrelated host outside fail to connect in the same way. Proven where such hosts never
    /// worked over this route, as in a network that is left through proxies; probable where another way out
    /// works; else it may be a dead uplink.
    EgressBlocked egress_blocked,

    /// A hop that is not the target answers "prohibited" by ICMP, and is named by it.
    TcpRejected rejected_by_icmp,

    /// The target is reached over none of several routes, directly or by the proxies' word, and over each of
    /// them an unrelated host works.
    EdgeUnreachable edge_unreachable,

    /// Only one address was to be tried, an IPv6 one, to which no connection is made; the IPv4 addresses of the
    /// name work.
    Ipv6Broken ipv6_alone,

    /// Only one address was to be tried, an IPv4 one, to which no connection is made; the IPv6 addresses of the
    /// name work.
    Ipv4Broken ipv4_alone,

    /// Only the first address was to be tried, and it fails; another one of its family works.
    TcpAddressDead address_alone,

    /// A reset or an ICMP refusal came instead of a connection. A firewall's where an unrelated host works and
    /// another route reaches the target, or where a walk hop by hop finds the hop that stops it; else the
    /// server may have sent it.
    TcpRejected rejected,

    /// The SYN was not answered. A firewall dropped it where an unrelated host works and another route reaches
    /// the target, or where a walk hop by hop finds the hop that stops it; else it may be lost at the far end.
    TcpDropped dropped,
}

/// Whether a trip ended before a connection was made, be it by the proxy's word.
fn is_unreached(trip: &Trip) -> bool {
    match trip.failure() {
        Some(Failure::Tcp(_)) => true,
        Some(Failure::Local(local)) => local.kind == LocalKind::NoRoute,
        Some(Failure::Proxy(proxy)) => could_not_connect(&proxy),
        Some(Failure::Dns(_) | Failure::Tls(_) | Failure::Http(_)) | None => false,
    }
}

/// Whether an unrelated host failed as the target did, before a connection was made.
fn is_alike(control: &Trip, failure: &TcpFailure) -> bool {
    match control.failure() {
        Some(Failure::Tcp(theirs)) => theirs.kind == failure.kind,
        Some(
            Failure::Local(_)
            | Failure::Dns(_)
            | Failure::Proxy(_)
            | Failure::Tls(_)
            | Failure::Http(_),
        )
        | None => false,
    }
}

fn port_blocked(case: &Case<'_>) -> Held {
    let Some((leg, failure)) =
        case.tcp().filter(|(leg, _)| !Class::of(leg.address.ip()).is_inside())
    else {
        return Ok(None);
    };
    if !case.control_shows()?.failed().is_some_and(|control| is_alike(control, failure)) {
        return Ok(None);
    }
    let port = other_port(leg.address.port());
    let other = SocketAddr::new(leg.address.ip(), port);
    if case.seen(Change::OtherPort(other))?.passed() {
        return Found::with(case.by_controls()).by(Control::OtherPort).yes();
    }
    Ok(None)
}

/// Whether the address is one where the target answers: its provider publishes it, an independent resolver
/// gives it too, or over a route that works the handshake at this very address is finished. A proxy that
/// resolves by itself proves nothing of ours.
fn is_right_address(case: &Case<'_>, leg: &Leg) -> Result<Option<bool>, Needed> {
    let (target, ip) = (case.target(), leg.address.ip());
    let published = target.provider.facts().ranges.iter().any(|range| range.contains(ip));
    if published && target.provider.owns(&target.host) {
        return Ok(Some(true));
    }
    let Some(other) = case.others().find(Case::reached) else { return Ok(None) };
    if other.trip().legs.iter().any(|theirs| theirs.address.ip() == ip) {
        return Ok(Some(true));
    }
    let (there, elsewhere) =
        (other.seen(Change::SameAddress(leg.address)), case.other_resolver()?.trip());
    let confirmed = elsewhere.is_some_and(|trip| trip.lookup.addresses().contains(&ip));
    Ok(match there? {
        Seen::Passed(_) => Some(true),
        // A proxy may refuse addresses on principle, which says nothing of this one.
        Seen::Failed(trip) => proxy_failure(trip)
            .is_none_or(|failure| could_not_connect(&failure) || failure.kind == ProxyKind::Timeout)
            .then_some(false),
        Seen::Nothing => confirmed.then_some(true),
    })
}

/// Whether the unrelated hosts fail over a route that reaches the target, too.
fn is_down_elsewhere(case: &Case<'_>) -> Result<bool, Needed> {
    let Some(other) = case.others().find(Case::reached) else { return Ok(false) };
    Ok(other.control_shows()?.failed().is_some())
}

/// Whether a name server outside of the organisation answered over this route.
fn is_heard_from_outside(case: &Case<'_>) -> Result<bool, Needed> {
    let Some(trip) = case.other_resolver()?.trip() else { return Ok(false) };
    // Where port 53 is redirected, whoever is asked, somebody near answers.
    if !case.seen(Change::UnanswerableResolver)?.passed() {
        return Ok(false);
    }
    let outside = |question: &Question| {
        question.reply.is_some() && Class::of(question.server.address.ip()) == Class::Public
    };
    Ok(trip.lookup.questions.iter().any(outside))
}

/// Whether a hop that is neither this host nor the far end says that it lets nothing through.
fn is_prohibited_on_the_way(trip: &Trip) -> bool {
    let Some(leg) = trip.leading() else { return false };
    match &leg.stop {
        Some(Failure::Tcp(TcpFailure { icmp: Some(icmp), .. })) => {
            icmp.is_prohibition() && !icmp.own && icmp.offender != leg.address.ip()
        }
        Some(_) | None => false,
    }
}

fn uplink_down(case: &Case<'_>) -> Held {
    let by_the_proxy = case.proxy().is_some_and(|proxy| could_not_connect(&proxy));
    if case.tcp().is_none() && !by_the_proxy || case.walk.baseline != Baseline::Good {
        return Ok(None);
    }
    // Who says that nothing may pass is no broken line.
    if is_prohibited_on_the_way(case.trip()) {
        return Ok(None);
    }
    // A line that is down resets nothing, and brings no answer from outside.
    let reset = |(_, failure): (&Leg, &TcpFailure)| {
        matches!(failure.kind, TcpKind::Refused | TcpKind::Reset)
    };
    if case.tcp().is_some_and(reset) || case.tcp().is_some() && is_heard_from_outside(case)? {
        return Ok(None);
    }
    match case.control_host()? {
        Seen::Failed(control) if is_unreached(control) => {
            Found::with(case.when_control_fails()).by(Control::ControlHost).yes()
        }
        Seen::Failed(_) | Seen::Passed(_) | Seen::Nothing => Ok(None),
    }
}

fn rejected_by_icmp(case: &Case<'_>) -> Held {
    if case.tcp().is_none() {
        return Ok(None);
    }
    let refused = case.trip().legs.iter().find_map(|leg| match &leg.stop {
        Some(Failure::Tcp(failure)) if failure.kind == TcpKind::IcmpProhibited => {
            Some((leg, failure))
        }
        Some(_) | None => None,
    });
    match refused {
        Some((leg, failure)) => match failure.icmp {
            Some(icmp) if icmp.offender == leg.address.ip() => Ok(None),
            // A hop outside may be the provider's own.
            Some(icmp) if Class::of(icmp.offender) == Class::Public => {
                let ours = case.other_route_arrives() && case.control_host()?.passed();
                if ours { Found::high().yes() } else { Found::medium().yes() }
            }
            Some(_) => Found::high().yes(),
            None => Ok(None),
        },
        None => Ok(None),
    }
}

fn unreachable(case: &Case<'_>) -> Held {
    if let Some(local) = case.local() {
        let silent_neighbour =
            !case.proxied() && local.kind == LocalKind::NoRoute && local.icmp.is_some();
        return if silent_neighbour { Found::undetermined().yes() } else { Ok(None) };
    }
    match case.tcp() {
        Some((_, failure)) if failure.kind == TcpKind::IcmpUnreachable => match failure.icmp {
            Some(_) => Found::high().yes(),
            None => Found::undetermined().yes(),
        },
        _ => Ok(None),
    }
}

fn egress_blocked(case: &Case<'_>) -> Held {
    let Some((_, failure)) = case.tcp().filter(|(leg, _)| !Class::of(leg.address.ip()).is_inside())
    else {
        return Ok(None);
    };
    let (shows, down) = Needed::both(case.control_shows(), is_down_elsewhere(case))?;
    match shows {
        // One that fails where the target is reached is down itself.
        Seen::Failed(_) if down => Ok(None),
        Seen::Failed(control) if is_alike(control, failure) => {
            let named = is_prohibited_on_the_way(case.trip()) && is_prohibited_on_the_way(control);
            let found = match case.walk.baseline {
                _ if named => Found::high(),
                Baseline::Bad => Found::with(case.by_controls()),
                Baseline::Good | Baseline::Unknown if case.other_route_arrives() => Found::medium(),
                // A line that is down resets nothing.
                Baseline::Good | Baseline::Unknown
                    if matches!(failure.kind, TcpKind::Refused | TcpKind::Reset) =>
                {
                    Found::medium()
                }
                // Who answers from outside shows that the line is up.
                // With one unrelated host alone, two sites may be down.
                Baseline::Good | Baseline::Unknown
                    if case.by_controls() == Confidence::High && is_heard_from_outside(case)? =>
                {
                    Found::medium()
                }
                Baseline::Good | Baseline::Unknown => Found::undetermined(),
            };
            found.by(Control::ControlHost).yes()
        }
        Seen::Failed(_) | Seen::Passed(_) | Seen::Nothing => Ok(None),
    }
}

fn edge_unreachable(case: &Case<'_>) -> Held {
    let may_be = |one: &Case<'_>| is_refused_beyond(one) || says_nothing_of_it(one);
    if !may_be(case) || !case.every_route(may_be) {
        return Ok(None);
    }
    if !case.control_host()?.passed() {
        return Ok(None);
    }
    for other in case.others().filter(|other| !other.is_closed_by_design()) {
        if !other.control_host()?.passed() {
            return Ok(None);
        }
    }
    if !is_refused_beyond(case) || !case.every_route(is_refused_beyond) {
        return Ok(None);
    }
    // Two ways out of this host that are both direct may have one firewall before them.
    if case.proxied() || case.others().any(|other| other.proxied()) {
        return Found::high().by(Control::ControlHost).yes();
    }
    Ok(None)
}

/// Whether the proxy's answer may be its word for a name that it does not know, too.
fn says_nothing_of_it(case: &Case<'_>) -> bool {
    let bare = |proxy: &ProxyFailure| matches!(proxy.status, Some(500 | 502 | 504));
    case.proxy().is_some_and(|proxy| bare(&proxy) && may_be_the_name(&proxy))
}

/// Whether a route failed where the target should have answered: its own connection, or the proxy's
/// word (or silence) that it could not make one.
fn is_refused_beyond(case: &Case<'_>) -> bool {
    let by_the_proxy = case.proxy().is_some_and(|proxy| {
        let bare = matches!(proxy.status, Some(500 | 502..=504))
            && (!may_be_the_name(&proxy) || fails_by_address(case));
        let says_so = could_not_connect(&proxy) && proxy.socks != Some(4);
        says_so || bare && !could_not_resolve(&proxy) || proxy.kind == ProxyKind::Timeout
    });
    // One of our own hops that says what it does is no witness of the far end.
    let told = case.tcp().and_then(|(leg, failure)| Some((leg, failure.icmp?)));
    let by_ours = told.is_some_and(|(leg, icmp)| {
        icmp.offender != leg.address.ip() && Class::of(icmp.offender) != Class::Public
    });
    let direct = case.tcp().is_some() && !by_ours;
    direct || by_the_proxy || says_upstream_unreached(case)
}

fn ipv6_alone(case: &Case<'_>) -> Held {
    family_alone(case, true)
}

fn ipv4_alone(case: &Case<'_>) -> Held {
    family_alone(case, false)
}

fn family_alone(case: &Case<'_>, v6: bool) -> Held {
    let Some((leg, _)) = case.tcp().filter(|(leg, _)| leg.address.is_ipv6() == v6) else {
        return Ok(None);
    };
    let trip = case.trip();
    let left_out = trip.lookup.addresses().into_iter().any(|address| {
        address.is_ipv6() != leg.address.is_ipv6() && !trip.untried.contains(&address)
    });
    let all_tried = trip.legs.iter().any(|other| other.address.is_ipv6() != v6);
    if left_out && !all_tried && case.seen(Change::OtherFamily)?.passed() {
        return Found::medium().by(Control::OtherFamily).yes();
    }
    Ok(None)
}

fn address_alone(case: &Case<'_>) -> Held {
    let Some((leg, _)) = case.tcp() else { return Ok(None) };
    let trip = case.trip();
    let family = |address: &IpAddr| address.is_ipv4() == leg.address.is_ipv4();
    let of_family = trip.lookup.addresses().into_iter().filter(family).count();
    if trip.legs.len() > 1 || of_family < 2 {
        return Ok(None);
    }
    let works = |trip: &Trip| {
        trip.legs.iter().any(|other| family(&other.address.ip()) && other.stop.is_none())
    };
    match case.seen(Change::EachAddress)?.trip() {
        Some(trip) if works(trip) => Found::high().at(leg.address).by(Control::EachAddress).yes(),
        Some(_) | None => Ok(None),
    }
}

fn rejected(case: &Case<'_>) -> Held {
    match case.tcp() {
        Some((_, failure)) => match failure.kind {
            TcpKind::Refused | TcpKind::Reset | TcpKind::IcmpProhibited => only_here(case),
            TcpKind::Timeout | TcpKind::IcmpUnreachable | TcpKind::NoRoute | TcpKind::Other => {
                Ok(None)
            }
        },
        None => Ok(None),
    }
}

fn dropped(case: &Case<'_>) -> Held {
    match case.tcp() {
        Some((_, failure)) if failure.kind == TcpKind::Timeout => only_here(case),
        _ => Ok(None),
    }
}

/// The firewall's, where another route reaches the target and an unrelated host works over this one.
fn only_here(case: &Case<'_>) -> Held {
    let control = case.control_host()?;
    let Some((leg, failure)) = case.tcp() else { return Ok(None) };
    // The far end itself says so, or nothing has left this host: a SYN is sent again after a second
    // (RFC 6298 2.1).
    let own_word = failure.icmp.is_some_and(|icmp| icmp.offender == leg.address.ip());
    let unsent =
        failure.socket.is_some_and(|socket| socket.total_retrans > 0 && socket.retrans == 0);
    if own_word || unsent {
        return Found::undetermined().yes();
    }
    if control.passed() && case.other_route_arrives() {
        let found = Found::high().party(Party::Firewall).by(Control::ControlHost);
        return match is_right_address(case, leg)? {
            Some(true) => found.yes(),
            Some(false) => Found::undetermined().yes(),
            None => found.at_most(Confidence::Medium).yes(),
        };
    }
    match our_firewall(case, leg, Sent::Syn)? {
        Some(found) => found.yes(),
        None => Found::undetermined().yes(),
    }
}
