//! What tells one failure from another of its layer and kind, as one string: only compared, never shown,
//! since a proxy's own word is in it. Two trips that fail alike have the same, so no time taken is.

use super::Case;
use crate::observation::{Chain, Failure, Login, Pac, PacFailure, ProxyFailure};

/// The mark of a failure; none where there is nothing beside layer and kind.
pub(super) fn of(case: &Case<'_>, failure: &Failure) -> Option<String> {
    let mut marks = Vec::new();
    marks.extend(case.trip().pac.as_ref().map(of_pac));
    // A PAC file may choose another one each time.
    marks.extend(case.walk.proxy.clone());
    match failure {
        Failure::Proxy(failure) => marks.extend(of_proxy(failure)),
        Failure::Local(_)
        | Failure::Dns(_)
        | Failure::Tcp(_)
        | Failure::Tls(_)
        | Failure::Http(_) => {
            marks.extend(case.chain().and_then(Chain::top_issuer).map(str::to_owned));
        }
    }
    marks.retain(|mark| !mark.is_empty());
    (!marks.is_empty()).then(|| marks.join(" "))
}

/// A login that was rejected says until when: a new rejection is worded anew. One that is held back
/// since says the same time.
fn of_proxy(failure: &ProxyFailure) -> [String; 6] {
    let login = &failure.login;
    let offers = match login {
        Login::NotOffered(_) => failure.offers.join(","),
        Login::None
        | Login::NotAsked
        | Login::Sent(_)
        | Login::Rejected(_)
        | Login::Withheld(_)
        | Login::Unreadable(_)
        | Login::NoTicket(_) => String::new(),
    };
    let ticket = login.no_ticket().map(|ticket| ticket.kind.label());
    [
        failure.inner.as_deref().map(name).unwrap_or_default(),
        login.label().to_owned(),
        ticket.unwrap_or_default().to_owned(),
        login.rejected_until().map(|until| until.to_string()).unwrap_or_default(),
        offers,
        own_word(failure),
    ]
}

fn name(failure: &Failure) -> String {
    format!("{}/{}", failure.layer(), failure.kind())
}

/// What the proxy says itself: squid's error, and those of `Proxy-Status` (RFC 9209 2.1.2), without what
/// stands behind them.
fn own_word(failure: &ProxyFailure) -> String {
    let mut words = Vec::new();
    for (header, value) in &failure.headers {
        match header.as_str() {
            "x-squid-error" => words.extend(value.split_whitespace().next()),
            "proxy-status" => words.extend(value.split("error=").skip(1).map(token)),
            _ => {}
        }
    }
    words.join(" ")
}

fn token(text: &str) -> &str {
    text.split(|c: char| !c.is_ascii_alphanumeric() && c != '_').next().unwrap_or_default()
}

/// Why a PAC file gave no way, or which entries led nowhere before the one that was taken.
fn of_pac(pac: &Pac) -> String {
    let stop = match &pac.stop {
        Some(PacFailure::Unavailable { failure, .. }) => {
            let inner = failure.as_deref().map(name).unwrap_or_default();
            Some(format!("unavailable {inner}"))
        }
        Some(PacFailure::Invalid(_)) => Some("invalid".to_owned()),
        Some(PacFailure::Undecided(_)) => Some("undecided".to_owned()),
        None => None,
    };
    let skipped = pac.skipped.iter().map(|skipped| match &skipped.failure {
        Some(Failure::Proxy(ProxyFailure { inner: Some(inner), .. })) => {
            format!("{} {}", skipped.entry, name(inner))
        }
        Some(failure) => format!("{} {}", skipped.entry, name(failure)),
        None => skipped.entry.clone(),
    });
    stop.into_iter().chain(skipped).collect::<Vec<String>>().join(" ")
}
