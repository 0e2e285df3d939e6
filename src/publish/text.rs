//! For people at three in the morning: broken checks first, a line a layer, the controls with what each
//! means, then the seven lines that say what to do. Working checks take one line.

use anstyle::{AnsiColor, Style};

use super::{api, beside, shown};
use crate::cause::{Layer, Status};
use crate::diagnosis::{ControlResult, EvidenceLine, Finding};
use crate::observation::{Answer, Connected, Failure, Leg, Login, Socket, Source, Trip};
use crate::store::{Check, Snapshot};

/// Columns at most.
const WIDTH: usize = 110;

/// The text of a snapshot; colour only where it is asked for.
pub fn render(snapshot: &Snapshot, colour: bool) -> String {
    let mut out = String::new();
    let mut checks: Vec<&Check> = snapshot.checks.values().map(AsRef::as_ref).collect();
    checks.sort_by_key(|check| std::cmp::Reverse(check.status()));
    for check in checks {
        one(&mut out, check, colour);
    }
    for target in snapshot.targets.values() {
        let summary = target.verdict.as_ref().map_or("not known", |verdict| &verdict.summary);
        let word = painted(target.status(), colour);
        out.push_str(&format!("target {}: {word} - {}\n", target.declared.target, shown(summary)));
    }
    out
}

fn one(out: &mut String, check: &Check, colour: bool) {
    let status = check.status();
    let name = format!("{} · {}", check.id.target, check.id.route);
    let finding = check.verdict().and_then(|verdict| verdict.finding.as_ref());
    let Some(trip) = check.trip.as_deref().filter(|_| status != Status::Ok) else {
        let took = check.trip.as_deref().map(fine).unwrap_or_default();
        head(out, &format!("{name}   {took}"), &painted(status, colour), status);
        for note in check.verdict().iter().flat_map(|verdict| &verdict.notes) {
            out.push_str(&format!("  note: {} - {}\n", note.cause, shown(&note.summary)));
        }
        if status == Status::Unknown {
            out.push_str(&format!("  {}\n", shown(&api::summary(check))));
        }
        out.push('\n');
        return;
    };
    head(out, &name, &painted(status, colour), status);
    let evidence = check.verdict().map(|verdict| verdict.evidence.as_slice()).unwrap_or_default();
    tree(out, trip, evidence, finding.map(|finding| finding.layer));
    for note in check.verdict().iter().flat_map(|verdict| &verdict.notes) {
        out.push_str(&format!("  note: {} - {}\n", note.cause, shown(&note.summary)));
    }
    if let Some(finding) = finding {
        seven_lines(out, check, finding);
    }
    out.push('\n');
}

/// A name at the left, a word at the right edge.
fn head(out: &mut String, name: &str, word: &str, status: Status) {
    let used = name.chars().count() + status.label().len();
    let gap = WIDTH.saturating_sub(used).max(1);
    out.push_str(&format!("{name}{}{word}\n", " ".repeat(gap)));
}

fn painted(status: Status, colour: bool) -> String {
    let word = match status {
        Status::Ok => status.label().to_owned(),
        Status::Degraded | Status::Unknown | Status::Broken => status.label().to_uppercase(),
    };
    let of = |colour: AnsiColor| Style::new().fg_color(Some(colour.into())).bold();
    let style = match status {
        _ if !colour => return word,
        Status::Ok => of(AnsiColor::Green),
        Status::Degraded | Status::Unknown => of(AnsiColor::Yellow),
        Status::Broken => of(AnsiColor::Red),
    };
    format!("{style}{word}{style:#}")
}

/// A working check in one line.
fn fine(trip: &Trip) -> String {
    let Some(leg) = trip.leading() else { return String::new() };
    match (&leg.response, &leg.stop) {
        (Some(response), None) => {
            format!("status {} from {} in {}", response.status, leg.address.ip(), ms(trip.seconds))
        }
        (_, Some(failure)) => format!("{} {}", failure.layer(), failure.kind()),
        (None, None) => String::new(),
    }
}

struct Line {
    layer: Layer,
    word: String,
    seconds: Option<f64>,
    facts: String,
}

fn tree(out: &mut String, trip: &Trip, evidence: &[EvidenceLine], at: Option<Layer>) {
    let lines = lines(trip);
    let last = lines.len().saturating_sub(1);
    for (place, line) in lines.iter().enumerate() {
        let branch = if place == last { '└' } else { '├' };
        let time = line.seconds.map(ms).unwrap_or_default();
        let text = format!(
            "{branch} {:<8} {:<16} {time:>9}   {}",
            line.layer.label(),
            line.word,
            line.facts
        );
        out.push_str(&format!("{}\n", cut(text.trim_end())));
        if line.layer == Layer::Dns {
            for beside in beside::lines(&trip.lookup) {
                out.push_str(&format!("{}\n", cut(&format!("│          {beside}"))));
            }
        }
    }
    if let Some(layer) = at.filter(|_| !evidence.is_empty()) {
        out.push_str(&format!("  controls for {layer}:\n"));
    }
    for line in evidence {
        let mark = match line.result {
            ControlResult::Passed => '✓',
            ControlResult::Failed => '✗',
            ControlResult::NotRun => '–',
        };
        let detail = shown(&line.detail);
        let text = format!("  {mark} {:<22} {detail:<40} -> {}", line.control.label(), line.means);
        out.push_str(&format!("{}\n", cut(&text)));
    }
}

fn lines(trip: &Trip) -> Vec<Line> {
    let none =
        || Line {
            layer: Layer::Dns, word: "–".into(), seconds: None, facts: "not reached".into()
        };
    let leg = trip.leading();
    let at = |layer, line: Option<Line>| Line { layer, ..line.unwrap_or_else(none) };
    let mut lines = vec![at(Layer::Dns, Some(dns(trip))), at(Layer::Tcp, leg.map(connect))];
    if trip.proxied {
        lines.push(at(Layer::Proxy, leg.and_then(proxy)));
    }
    lines.push(at(Layer::Tls, leg.and_then(tls)));
    lines.push(at(Layer::Http, leg.and_then(http)));
    lines
}

fn line(word: impl Into<String>, seconds: Option<f64>, facts: impl Into<String>) -> Line {
    Line { layer: Layer::Dns, word: word.into(), seconds, facts: facts.into() }
}

fn dns(trip: &Trip) -> Line {
    let lookup = &trip.lookup;
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
    if let Some(untried) = trip.untried.first() {
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
        let facts = format!("{own}{facts}{}", login(&tunnel.login));
        return Some(line("ok", Some(tunnel.seconds), facts));
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
        (None, None, None) => shown(failure.body.lines().next().unwrap_or_default()),
    };
    let offers = match failure.offers.as_slice() {
        [] => String::new(),
        offers => format!("   offers {}", offers.join(", ")),
    };
    let facts = format!("{own}{facts}{offers}{}", login(&failure.login));
    Some(line(failure.kind.label(), None, facts))
}

/// What became of the login, where there is one.
fn login(login: &Login) -> String {
    match login {
        Login::None | Login::NotAsked => String::new(),
        Login::Sent(scheme) => format!("   login by {}", scheme.label()),
        Login::Rejected(rejected) => {
            format!(
                "   login by {}: rejected, again at {:.0}",
                rejected.scheme.label(),
                rejected.until
            )
        }
        Login::Withheld(withheld) => {
            format!("   login rejected before, again at {:.0}", withheld.until)
        }
        Login::NotOffered(scheme) => format!("   login by {} not sent", scheme.label()),
        Login::Unreadable(why) => format!("   no login: {}", shown(why)),
        Login::NoTicket(ticket) => format!("   no ticket: {}", ticket.kind.words()),
    }
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
    let keyed = if response.keyed { "with key" } else { "without key" };
    let facts = format!("HTTP/{} {keyed}, {} B", response.version, response.length);
    Some(line(response.status.to_string(), Some(response.first_byte), facts))
}

fn seven_lines(out: &mut String, check: &Check, finding: &Finding) {
    let since = check.steady.since.map(api::time).unwrap_or_default();
    let report = check.answer.as_ref().map(|(reading, _)| {
        let part = |name: &str, value: &Option<String>| {
            value.as_ref().map(|value| format!("{name} {}", shown(value))).unwrap_or_default()
        };
        [
            part("id", &reading.request_id),
            part("type", &reading.error_type),
            part("says", &reading.message),
        ]
        .join(" ")
    });
    let verdict = format!(
        "{} · {} · confidence {} · since {since}",
        finding.cause, finding.party, finding.confidence
    );
    let report = report.map(|report| report.trim().to_owned()).filter(|report| !report.is_empty());
    let rows = [
        ("verdict", verdict),
        ("means", shown_sentence(&finding.means)),
        ("do", shown_sentence(&finding.advice)),
        ("do not", shown_sentence(&finding.do_not)),
        ("ask", shown_sentence(&finding.ask)),
        (
            "report",
            report.unwrap_or_else(|| format!("egressd check {} --format json", check.id.target)),
        ),
    ];
    out.push('\n');
    for (label, text) in rows {
        wrapped(out, label, &text);
    }
}

/// Our own sentence; a configured name in it may be anything.
fn shown_sentence(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { '?' } else { c }).collect()
}

fn wrapped(out: &mut String, label: &str, text: &str) {
    let mut line = format!("{label:<11}");
    let indent = line.clone();
    let mut empty = true;
    for word in text.split(' ') {
        if !empty && line.chars().count() + 1 + word.chars().count() > WIDTH {
            out.push_str(&format!("{}\n", line.trim_end()));
            line = " ".repeat(indent.chars().count());
            empty = true;
        }
        if !empty {
            line.push(' ');
        }
        line.push_str(word);
        empty = false;
    }
    out.push_str(&format!("{}\n", line.trim_end()));
}

fn cut(text: &str) -> String {
    if text.chars().count() <= WIDTH {
        return text.to_owned();
    }
    text.chars().take(WIDTH - 1).chain(['…']).collect()
}

/// Seconds as people read them.
fn ms(seconds: f64) -> String {
    if seconds < 0.0095 {
        format!("{:.1} ms", seconds * 1000.0)
    } else {
        format!("{:.0} ms", seconds * 1000.0)
    }
}
