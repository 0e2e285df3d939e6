//! A trip as a person reads it: a line a layer, with its word, its time and what is worth knowing.

use std::net::IpAddr;

use super::shown;
use crate::cause::Layer;
use crate::observation::{
    Answer, Connected, Failure, Leg, Login, Lookup, Pac, PacFailure, ProxyKind, Socket, Source,
    Trip, Withheld,
};

/// One line of the tree.
pub(super) struct Line {
    pub(super) layer: Layer,
    pub(super) word: String,
    pub(super) seconds: Option<f64>,
    pub(super) facts: String,
    /// What does not fit beside them.
    pub(super) below: Vec<String>,
}

/// The lines of a trip, in the order of the way.
pub(super) fn lines(trip: &Trip) -> Vec<Line> {
    let none = || line("–", None, "not reached");
    let leg = trip.leading();
    let at = |layer, line: Option<Line>| Line { layer, ..line.unwrap_or_else(none) };
    let mut lines: Vec<Line> =
        trip.pac.iter().map(|pac| Line { layer: Layer::Proxy, ..self::pac(pac) }).collect();
    if lines.iter().any(|line| line.word != "ok") {
        return lines;
    }
    lines.extend([
        at(Layer::Dns, Some(dns(&trip.lookup, &trip.untried))),
        at(Layer::Tcp, leg.map(connect)),
    ]);
    if let Some(here) = &trip.resolved_here {
        lines.push(at(Layer::Dns, Some(dns(here, &[]))));
    }
    if trip.proxied {
        let below = leg.map(login).unwrap_or_default();
        lines.push(Line { below, ..at(Layer::Proxy, leg.and_then(proxy)) });
    }
    lines.push(at(Layer::Tls, leg.and_then(tls)));
    lines.push(at(Layer::Http, leg.and_then(http)));
    lines
}

fn line(word: impl Into<String>, seconds: Option<f64>, facts: impl Into<String>) -> Line {
    Line { layer: Layer::Dns, word: word.into(), seconds, facts: facts.into(), below: Vec::new() }
}

/// Which way a PAC file chose, and what it passed over.
fn pac(pac: &Pac) -> Line {
    let facts = match &pac.stop {
        Some(PacFailure::Unavailable { failure: Some(failure), .. }) => {
            format!("{}: {} {}", pac.url, failure.layer(), failure.kind())
        }
        Some(
            PacFailure::Unavailable { detail, .. }
            | PacFailure::Invalid(detail)
            | PacFailure::Undecided(detail),
        ) => format!("{}: {}", pac.url, shown(detail)),
        None => format!("{} -> {}", pac.url, shown(&pac.chosen)),
    };
    let mut line = line(if pac.stop.is_some() { "pac" } else { "ok" }, Some(pac.seconds), facts);
    for skipped in &pac.skipped {
        let why = skipped.failure.as_ref().map_or("not spoken here", Failure::kind);
        let inner = match &skipped.failure {
            Some(Failure::Proxy(proxy)) => proxy.inner.as_deref().map(Failure::kind),
            _ => None,
        };
        let why = inner.unwrap_or(why);
        line.facts.push_str(&format!("   passed over {}: {why}", shown(&skipped.entry)));
    }
    line
}

fn dns(lookup: &Lookup, untried: &[IpAddr]) -> Line {
    let from = match lookup.source {
        Source::Hosts => "the hosts file".to_owned(),
        Source::Literal => "as configured".to_owned(),
        Source::Dns => lookup.servers.join(", "),
    };
    if let Some(failure) = lookup.failure() {
        let facts = format!("{} from {from}", lookup.name);
        return line(failure.kind(), Some(lookup.seconds), facts);
    }
    let addresses: Vec<String> = lookup.addresses().iter().map(ToString::to_string).collect();
    let mut facts = format!("{from} -> {}", addresses.join(", "));
    let failed =
        |answer: &Option<Answer>| answer.as_ref().and_then(Answer::failure).map(|f| f.kind);
    for (family, kind) in [("A", failed(&lookup.a)), ("AAAA", failed(&lookup.aaaa))] {
        if let Some(kind) = kind {
            facts.push_str(&format!("   {family}: {}", kind.label()));
        }
    }
    if let Some(untried) = untried.first() {
        let family = if untried.is_ipv4() { "IPv4" } else { "IPv6" };
        facts.push_str(&format!("   no {family} route here"));
    }
    line("ok", Some(lookup.seconds), facts)
}

fn connect(leg: &Leg) -> Line {
    let local = leg.local.map(|local| format!("{local} -> ")).unwrap_or_default();
    let way = format!("{local}{}", leg.address);
    let retransmits = |socket: Option<Socket>| match socket.map(|socket| socket.total_retrans) {
        None | Some(0) => String::new(),
        Some(count) => format!("   {count} retransmits"),
    };
    if let Some(Connected { seconds, socket }) = &leg.connected {
        return line("ok", Some(*seconds), format!("{way}{}", retransmits(*socket)));
    }
    let facts = match &leg.stop {
        Some(Failure::Tcp(tcp)) => {
            let who = tcp
                .icmp
                .map(|icmp| format!("   ICMP {}/{} from {}", icmp.kind, icmp.code, icmp.offender));
            format!("{way}{}{}", who.unwrap_or_default(), retransmits(tcp.socket))
        }
        Some(Failure::Local(local)) => format!("{}   {}", leg.address, shown(&local.detail)),
        _ => way,
    };
    line(leg.stop.as_ref().map_or("–", Failure::kind), None, facts)
}

fn proxy(leg: &Leg) -> Option<Line> {
    let own = match &leg.proxy_secured {
        Some(secured) => format!("TLS {} in {}, ", secured.version, ms(secured.seconds)),
        None => String::new(),
    };
    if let Some(tunnel) = &leg.tunnelled {
        let facts = match tunnel.status {
            0 => "SOCKS opened".to_owned(),
            status => format!("CONNECT answered {status}"),
        };
        return Some(line("ok", Some(tunnel.seconds), format!("{own}{facts}")));
    }
    let Some(Failure::Proxy(failure)) = &leg.stop else { return None };
    // The proxy's own word for it, where it is one that names a cause.
    let word = |name: &str| {
        let found = failure.headers.iter().find(|(header, _)| header == name);
        found.map(|(name, value)| format!("   {name}: {}", shown(value)))
    };
    let word = word("x-squid-error").or_else(|| word("proxy-status")).unwrap_or_default();
    let facts = match (failure.status, failure.socks, failure.inner.as_deref()) {
        (Some(status), ..) => format!("CONNECT answered {status}{word}"),
        (_, Some(reply), _) => format!("SOCKS reply {reply}"),
        (_, _, Some(inner)) => {
            let issuer = leg.proxy_chain.as_ref().and_then(|chain| chain.top_issuer());
            let issuer = issuer.map(|issuer| format!("   issuer {}", shown(issuer)));
            format!("{} {}{}", inner.layer(), inner.kind(), issuer.unwrap_or_default())
        }
        (None, None, None) if failure.body.is_empty() && failure.kind == ProxyKind::Timeout => {
            format!("no answer within {} ms", failure.waited_ms)
        }
        (None, None, None) => shown(failure.body.lines().next().unwrap_or_default()),
    };
    Some(line(failure.kind.label(), None, format!("{own}{facts}")))
}

/// What the proxy asks for, and what became of the login, where there is one: a line each.
fn login(leg: &Leg) -> Vec<String> {
    let (offers, login): (&[String], _) = match (&leg.tunnelled, &leg.stop) {
        (Some(tunnel), _) => (&[], &tunnel.login),
        (None, Some(Failure::Proxy(failure))) => (&failure.offers, &failure.login),
        (None, _) => return Vec::new(),
    };
    let asks = (!offers.is_empty()).then(|| format!("asks for {}", offers.join(", ")));
    let became = match login {
        Login::None | Login::NotAsked => None,
        Login::Sent(scheme) => Some(format!("login by {}", scheme.label())),
        Login::Rejected(rejected) => Some(format!(
            "login by {}: not taken, sent again at {:.0}",
            rejected.scheme.label(),
            rejected.until
        )),
        Login::Withheld(Withheld { until, ticket: None }) => {
            Some(format!("login not taken before, sent again at {until:.0}"))
        }
        Login::Withheld(Withheld { until, ticket: Some(ticket) }) => Some(format!(
            "no ticket before ({}), asked for again at {until:.0}",
            ticket.kind.words()
        )),
        Login::NotOffered(scheme) => Some(format!("login by {} not sent", scheme.label())),
        Login::Unreadable(why) => Some(format!("no login: {}", shown(why))),
        Login::NoTicket(ticket) => {
            // Of two numbers in words the mechanism's own come last, and say more.
            let words = ticket.detail.rsplit("; ").next().unwrap_or_default();
            let again = ticket.until.map(|until| format!(", asked for again at {until:.0}"));
            Some(format!("no ticket: {}{}", shown(words), again.unwrap_or_default()))
        }
    };
    asks.into_iter().chain(became).collect()
}

fn tls(leg: &Leg) -> Option<Line> {
    let issuer = leg.chain.as_ref().and_then(|chain| chain.top_issuer()).map(shown);
    let trust = leg.chain.as_ref().map(|chain| chain.trust().label());
    let who = match (issuer, trust) {
        (Some(issuer), Some(trust)) => format!("   issuer {issuer}, trusted by {trust}"),
        _ => String::new(),
    };
    if let Some(secured) = &leg.secured {
        let facts = format!("{} {} {}{who}", secured.version, secured.group, secured.alpn);
        return Some(line("ok", Some(secured.seconds), facts));
    }
    match &leg.stop {
        Some(Failure::Tls(failure)) => {
            let alert = failure.alert.map(|alert| {
                let whose = if alert.own { "own alert" } else { "alert" };
                format!("   {whose} {}", alert.code)
            });
            let first = match failure.first_bytes.as_str() {
                "" => String::new(),
                bytes => format!("   began with {}", shown(bytes)),
            };
            let facts = format!(
                "{} B sent, {} B received{}{}{first}{who}",
                failure.sent,
                failure.received,
                told(failure.errno),
                alert.unwrap_or_default()
            );
            Some(line(failure.kind.label(), None, facts))
        }
        _ => None,
    }
}

/// An ICMP error whose sender the kernel keeps to itself.
fn told(errno: Option<i32>) -> String {
    errno.map(|errno| format!("   ICMP from somebody, errno {errno}")).unwrap_or_default()
}

fn http(leg: &Leg) -> Option<Line> {
    if let Some(Failure::Http(failure)) = &leg.stop {
        let status = leg.response.as_ref().map(|response| format!("status {}, ", response.status));
        let status = status.unwrap_or_default();
        let facts = format!("{status}{} B received{}", failure.received, told(failure.errno));
        return Some(line(failure.kind.label(), None, facts));
    }
    let response = leg.response.as_ref()?;
    let keyed = match (response.keyed, response.withheld) {
        (true, _) => "with key",
        (false, true) => "without its key, over a chain that is not public,",
        (false, false) => "without key",
    };
    let facts = format!("HTTP/{} {keyed}, {} B", response.version, response.length);
    Some(line(response.status.to_string(), Some(response.first_byte), facts))
}

/// Seconds as people read them.
pub(super) fn ms(seconds: f64) -> String {
    if seconds < 0.0095 {
        format!("{:.1} ms", seconds * 1000.0)
    } else {
        format!("{:.0} ms", seconds * 1000.0)
    }
}
