//! A finding in words: the fixed sentence of its cause, filled with configured names and own
//! measurements. A peer's text never gets in here.

use super::case::{Case, Found};
use super::slots::Slots;
use super::verdict::Holds;
use super::{Confidence, Finding, experiment};
use crate::cause::{Cause, Layer, Party};
use crate::diagnosis::ControlResult;

/// A summary at most, in ASCII characters.
const SUMMARY: usize = 140;

pub(super) fn finding(case: &Case<'_>, Holds { rule, found }: &Holds) -> Finding {
    let cause = rule.cause;
    let row = cause.row();
    let mut slots = Slots::of(case, found);
    let in_tunnel = case.trip().leading().is_some_and(|leg| leg.tunnelled.is_some());
    if in_tunnel && row.layer == Some(Layer::Tls) {
        // The connection's address is the proxy's, and who speaks TLS is behind it.
        slots.address = format!("{} behind {}", slots.host, slots.proxy);
    }
    let says = slots.fill(row.says);
    let clause = match found.confidence {
        Confidence::High => says,
        Confidence::Medium => format!("probably {says}"),
        Confidence::Low => format!("cannot tell from here: {}", slots.fill(row.or)),
    };
    let because = because(case, found);
    let party = whose(case, cause, found.party.unwrap_or(row.party));
    let head = format!("{} via {}: ", case.target().name, case.walk.route);
    Finding {
        rule: rule.name().to_owned(),
        cause,
        layer: row.layer.unwrap_or_else(|| ended_in(case)),
        party,
        status: found.status.unwrap_or(row.status),
        confidence: found.confidence,
        summary: fit(&head, &clause, because.as_deref()),
        means: means(&slots, row.says, &clause, found.confidence, because.as_deref()),
        advice: match found.confidence {
            // Nobody is sent to work on a guess.
            Confidence::Low => format!(
                "Network team: find out which it is ({}): compare with another route, or from another host.",
                slots.fill(row.or)
            ),
            Confidence::Medium | Confidence::High => {
                advice(row.advice, found.party, &slots) + &another_request(case, cause)
            }
        },
        do_not: slots.fill(row.do_not),
        ask: ask(case, party, &slots),
    }
}

/// What is the provider's at other hosts is ours at a gateway of ours; but not what is behind it.
fn whose(case: &Case<'_>, cause: Cause, party: Party) -> Party {
    match party {
        Party::Edge | Party::Origin
            if case.target().ours && cause != Cause::GatewayUpstreamFailed =>
        {
            Party::Gateway
        }
        _ => party,
    }
}

/// The row's advice, to the party that was found where that is not the usual one.
fn advice(text: &str, party: Option<Party>, slots: &Slots) -> String {
    let (usual, found) = match party {
        Some(Party::Proxy) => ("Firewall team:", "Proxy team:"),
        Some(Party::Firewall) => ("Network team:", "Firewall team:"),
        Some(_) | None => return slots.fill(text),
    };
    match text.strip_prefix(usual) {
        Some(what) => format!("{found}{}", slots.fill(what)),
        None => slots.fill(text),
    }
}

/// Gateways have what their clients use, and often not what costs nothing.
fn another_request(case: &Case<'_>, cause: Cause) -> String {
    let target = case.target();
    let status = case.answer().map(|(response, ..)| response.status);
    let lacks = cause == Cause::ApiNotFound
        || cause == Cause::ApiBadRequest && matches!(status, Some(404 | 405));
    let elsewhere = !target.provider.owns(&target.host) && target.wanted.is_none();
    match target.provider.facts().counting {
        Some(free) if lacks && elsewhere => {
            let path = free.path;
            format!(
                " A gateway may lack what the provider has: the target's `request` may be POST {path}."
            )
        }
        Some(_) | None => String::new(),
    }
}

/// What decided, as a clause.
fn because(case: &Case<'_>, found: &Found) -> Option<String> {
    if found.by_route {
        return Some("another route was compared".to_owned());
    }
    let control = found.by?;
    let lines = experiment::lines(case);
    let line = lines.iter().find(|line| line.control == control)?;
    (line.result != ControlResult::NotRun).then(|| line.means.clone())
}

fn fit(head: &str, clause: &str, because: Option<&str>) -> String {
    let short = format!("{head}{clause}");
    let whole = match because {
        Some(because) => format!("{short}; {because}"),
        None => short.clone(),
    };
    let fits = if whole.len() <= SUMMARY { whole } else { short };
    let ascii: String = fits.chars().map(|c| if c.is_ascii() { c } else { '?' }).collect();
    if ascii.len() <= SUMMARY {
        ascii
    } else {
        ascii.chars().take(SUMMARY - 3).chain("...".chars()).collect()
    }
}

fn means(
    slots: &Slots,
    says: &str,
    clause: &str,
    confidence: Confidence,
    because: Option<&str>,
) -> String {
    // At confidence low the clause names the candidates; the sentence still says what was seen.
    let seen = match confidence {
        Confidence::Low => format!("It looks as if {}; {clause}", slots.fill(says)),
        Confidence::Medium | Confidence::High => clause.to_owned(),
    };
    let mut sentence = seen;
    // A sentence that begins with a host begins with its name as it is.
    let host = sentence.split(' ').next().is_some_and(|word| word.contains('.'));
    if let Some(first) = sentence.get_mut(..1).filter(|_| !host) {
        first.make_ascii_uppercase();
    }
    if let Some(because) = because {
        sentence.push_str("; ");
        sentence.push_str(because);
    }
    sentence.push('.');
    sentence
}

/// The layer where the trip ended, or else its repeat.
fn ended_in(case: &Case<'_>) -> Layer {
    let ended =
        case.symptom().or_else(|| case.symptom_of(case.repeat()?)).map(|symptom| symptom.layer);
    let layer =
        ended.and_then(|name| Layer::ALL.iter().copied().find(|layer| layer.label() == name));
    layer.unwrap_or(Layer::Http)
}

/// What the other team needs to find it in its own logs.
fn ask(case: &Case<'_>, party: Party, slots: &Slots) -> String {
    let at = format!("{:.3}", case.trip().started);
    let Slots { host, port, address, source, proxy, .. } = slots;
    match party {
        Party::Credential if case.no_ticket() => {
            format!("Log of the KDC for what {proxy} was to be shown, at {at}.")
        }
        // What is beyond the proxy is seen from there alone.
        Party::Firewall | Party::Network | Party::Undetermined
            if case.proxied()
                && case.trip().leading().is_some_and(|leg| leg.connected.is_some()) =>
        {
            format!("Log of {proxy} for CONNECT {host}:{port} from {source} at {at}.")
        }
        Party::Firewall | Party::Network | Party::Undetermined => {
            format!("Log of the way {source} -> {address} at {at}.")
        }
        Party::Inspection | Party::Portal => {
            format!("Policy and log for {host} from {source} at {at}.")
        }
        Party::Proxy | Party::Credential => {
            format!("Log of {proxy} for CONNECT {host}:{port} from {source} at {at}.")
        }
        Party::Resolver | Party::DnsZone => format!("Query log for {host} at {at}."),
        Party::Client if !slots.pac.is_empty() => {
            format!("What changed in {} before {at}?", slots.pac)
        }
        Party::Client => format!("What changed on this host before {at}?"),
        Party::Edge | Party::Origin | Party::Gateway => {
            let id = super::read_answer(case.target(), case.trip())
                .and_then(|(reading, _)| reading.request_id)
                .filter(|id| id.chars().all(|c| c.is_ascii_graphic() || c == ' '));
            match id {
                Some(id) => format!("Provider's support: {id}, {at}."),
                None => format!("Provider's support: {host} at {address}, {at}."),
            }
        }
        Party::Account | Party::Request => {
            "The API's own words in this check's response; nobody else needs to act.".to_owned()
        }
    }
}
