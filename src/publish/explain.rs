//! A cause looked up, for people: what is said of it, who acts, and the rules that can decide it. What
//! VERDICTS.md prints of a cause is the same. It explains what may be found, never what was found.

use super::text::{cut, painted, wrapped};
use crate::cause::{CAUSES, Layer, Party, Row};
use crate::diagnosis::decides;

/// Slots that need other words beside them than "the host" for `{host}`. The longer of two stands first.
const WORDS: &[(&str, &str)] = &[
    ("TCP {port} to {host}", "TCP to the host's port"),
    ("closes TCP {port} to", "closes a TCP port to"),
    ("CONNECT {host}:{port}", "CONNECT to the host"),
    ("{host}:{port}", "the host"),
    ("{address} port {port}", "the address and port"),
    ("to port {port}", "to the port"),
    ("the name {host}", "the host's name"),
    ("does not answer: {address}", "does not answer"),
    ("others are fine: {address}", "others are fine"),
    (" ({address})", " (at its address)"),
    ("private address {address}", "private address"),
    ("the resolver {resolver}", "the resolver"),
    ("the proxy {proxy}", "the proxy"),
    ("the proxy's name {proxy}", "the proxy's name"),
    ("of route {route}", "of the route"),
    ("at {offender}", "at that router"),
    ("the bundle {bundle}", "an application's bundle"),
    ("a body of {body}", "a body of some kilobytes"),
    ("the router {offender}", "a router"),
    ("{offender}", "a hop on the way"),
    ("{status}", "a status code"),
    ("the secret {key}", "the secret"),
    ("the key {key}", "the key"),
    ("{key}", "its configured place"),
    ("the PAC file {pac}", "the PAC file"),
    ("the URL {pac}", "the URL of the PAC file"),
    ("at {until}", "at the time that the verdict names"),
    ("by {offers}", "by a scheme that it offers"),
    ("takes {offers} only", "takes other logins only"),
    ("the login is {scheme}", "the configured one is of another scheme"),
    (": {ticket};", ":"),
    (": {ticket}", ""),
    (" ({tls})", ""),
];

/// A sentence of the table with words in the place of its slots.
pub(super) fn in_words(text: &str) -> String {
    let mut out = text.to_owned();
    for (slots, words) in WORDS {
        out = out.replace(slots, words);
    }
    out.replace('{', "the ").replace('}', "")
}

/// A clause of the table as a sentence of its own.
pub(super) fn sentence(clause: &str) -> String {
    let mut text = in_words(clause);
    if let Some(first) = text.get_mut(..1) {
        first.make_ascii_uppercase();
    }
    text.push('.');
    text
}

/// What a verdict says at confidence low; nothing where there is but one who can be meant.
pub(super) fn doubt(row: &Row) -> Option<String> {
    let doubtful = row.or.contains(" or ") || row.party == Party::Undetermined;
    doubtful.then(|| format!("cannot tell from here: {}", in_words(row.or)))
}

/// The layer where a cause shows, with what it is.
pub(super) fn layer(layer: Option<Layer>) -> (&'static str, &'static str) {
    layer.map_or(("any", "Wherever the trip ended."), |layer| (layer.label(), layer.about()))
}

/// All layers in their order, then what has none, each with its causes.
pub(super) fn by_layer() -> impl Iterator<Item = (Option<Layer>, impl Iterator<Item = &'static Row>)>
{
    let layers = Layer::ALL.iter().copied().map(Some).chain([None]);
    layers.map(|layer| (layer, CAUSES.iter().filter(move |row| row.layer == layer)))
}

/// All causes, one a line.
pub fn list() -> String {
    let mut out = String::new();
    for (at, rows) in by_layer() {
        let (label, about) = layer(at);
        out.push_str(&format!("{label}: {about}\n"));
        for row in rows {
            let line = format!("  {:<28}  {}", row.id, in_words(row.says));
            out.push_str(&format!("{}\n", cut(&line)));
        }
        out.push('\n');
    }
    out.push_str("egressd explain CAUSE says who acts, what to do, and how it is decided.\n");
    out.push_str("egressd explain MESSAGE says what a client's words can mean: ERR_BAD_REQUEST, ECONNRESET, curl: (35).\n");
    out
}

/// One cause; colour only where it is asked for.
pub fn cause(row: &Row, colour: bool) -> String {
    let mut out = format!("{}\n\n", row.id);
    let (label, about) = layer(row.layer);
    wrapped(&mut out, "layer", &format!("{label}. {about}"));
    wrapped(&mut out, "party", &format!("{}, usually. {}", row.party, row.party.about()));
    let status = painted(row.status, colour);
    out.push_str(&format!("{:<11}{status}, usually. {}\n", "status", row.status.about()));
    wrapped(&mut out, "says", &sentence(row.says));
    if let Some(doubt) = doubt(row) {
        wrapped(&mut out, "", &format!("At confidence low: \"{doubt}\"."));
    }
    wrapped(&mut out, "do", &in_words(row.advice));
    wrapped(&mut out, "do not", &in_words(row.do_not));
    out.push_str("\nHow it is decided, in this order:\n");
    for (name, means) in decides(row.cause) {
        out.push_str(&format!("\n{name}\n"));
        wrapped(&mut out, "", &means);
    }
    out
}
