//! Mistakes of the key: missing, broken on its way from a file or a document, in the wrong header, of somebody
//! else. A key is never shown: its kind, its length and the place of a character are all that is said.

use super::look::Look;
use super::placeholder::stand_in;
use super::request::Header;
use super::{Answers, Finding};
use crate::mistake::{Level, Mistake};
use crate::provider::Provider;
use crate::provider::request::{KeyKind, Needs};

/// How a client's own library shows a header that it refuses to send.
const REFUSED: &str = "it is never sent: the client's own library refuses the header, and many show that as a connection error";

pub(super) fn rules(look: &mut Look<'_>) {
    let names = key_headers(look);
    let keys: Vec<&Header> = look
        .request
        .headers
        .iter()
        .filter(|header| names.iter().any(|name| header.is(name)))
        .collect();
    missing(look, &keys);
    for header in keys {
        one(look, header);
    }
}

/// The headers by which any of the APIs takes a key, and those of this one.
fn key_headers(look: &Look<'_>) -> Vec<&'static str> {
    let of = |provider: &Provider| provider.facts().requests.key_headers.iter();
    let mut names: Vec<&str> =
        Provider::ALL.iter().flat_map(of).map(|header| header.name).collect();
    names.extend(["authorization", "x-api-key", "api-key", "x-goog-api-key"]);
    names.extend(look.wants.key_headers.iter().map(|header| header.name));
    names.sort_unstable();
    names.dedup();
    names
}

fn missing(look: &mut Look<'_>, keys: &[&Header]) {
    let Some(first) = look.wants.key_headers.first() else { return };
    let in_query =
        look.request.url.query_pairs().any(|(name, _)| name == "key" || name == "X-Amz-Signature");
    let needs_none = look.needs() == Needs::Nothing;
    if needs_none || !keys.is_empty() || in_query || look.around.keyless || is_signable(look) {
        return;
    }
    let names: Vec<&str> = look.wants.key_headers.iter().map(|header| header.name).collect();
    let message = format!("No header carries a key: {} wants {}.", look.api(), names.join(" or "));
    let fix = format!("Send the key as `{}: {}…`.", first.name, first.prefix);
    look.find(Mistake::KeyMissing, first.name, message, fix);
}

/// Whether requests may be signed instead: who has neither is told so with the signature.
fn is_signable(look: &Look<'_>) -> bool {
    look.api() == "bedrock"
}

fn one(look: &mut Look<'_>, header: &Header) {
    let name = header.name.to_ascii_lowercase();
    if header.made {
        return;
    }
    let whole = header.value.expose();
    let value = whole.trim_matches([' ', '\t']);
    let (scheme, key) = taken_apart(&name, value);
    if key.trim().is_empty() && matches!(scheme, Scheme::Bare | Scheme::Bearer) {
        let message = "The header carries an empty key.".to_owned();
        let fix = "Set the variable or file that the key is read from; look whether it is empty.";
        look.found_with(
            Mistake::KeyEmpty,
            &name,
            (message, fix.to_owned()),
            Answers::Never(REFUSED),
        );
        return;
    }
    if scheme == Scheme::Other {
        return;
    }
    if placeholder(look, header, &name, key) {
        return;
    }
    spelling(look, &name, whole, key);
    let bare = key.trim().trim_matches(['"', '\'', '`']);
    let (again, bare) = without_bearer(bare);
    if again || (matches!(scheme, Scheme::Bearer) && name != "authorization") {
        let message = if name == "authorization" {
            "The word Bearer stands twice before the key.".to_owned()
        } else {
            "The word Bearer stands before the key, and this header takes the key alone.".to_owned()
        };
        look.find(Mistake::KeyBearerDoubled, &name, message, "Take one Bearer out.".to_owned());
    }
    belongs(look, &name, scheme, bare);
}

/// What stands before a key.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Scheme {
    Bare,
    Bearer,
    Basic,
    /// Another scheme (RFC 9110 11.1): what stands behind it is no key, or in a form of its own.
    Other,
}

fn taken_apart<'a>(name: &str, value: &'a str) -> (Scheme, &'a str) {
    if value.eq_ignore_ascii_case("bearer") {
        return (Scheme::Bearer, "");
    }
    let (word, rest) = value.split_once(' ').unwrap_or((value, ""));
    match word.to_ascii_lowercase().as_str() {
        "bearer" => (Scheme::Bearer, rest),
        "basic" if name == "authorization" => (Scheme::Basic, rest),
        "aws4-hmac-sha256" | "digest" | "oauth" | "token" | "apikey" | "negotiate" | "ntlm"
            if name == "authorization" =>
        {
            (Scheme::Other, rest)
        }
        _ => (Scheme::Bare, value),
    }
}

fn without_bearer(key: &str) -> (bool, &str) {
    match key.split_once(' ') {
        Some((word, rest)) if word.eq_ignore_ascii_case("bearer") => (true, rest.trim()),
        _ => (false, key),
    }
}

/// Something that stands for a key, or a variable that no shell replaced.
fn placeholder(look: &mut Look<'_>, header: &Header, name: &str, key: &str) -> bool {
    let message = if let Some(variable) = header.unset.first() {
        format!(
            "The variable {variable} is not set here, so the key is not judged; where it is not set either, \
             none is sent."
        )
    } else {
        match stand_in(key) {
            // A gateway may want none, and have clients that send something all the same.
            Some("A word that stands for nothing" | "A placeholder of a manual")
                if !look.is_strict() =>
            {
                return false;
            }
            Some(what) => format!("{what} stands in the place of the key."),
            None => return false,
        }
    };
    let fix = match header.unset.first() {
        Some(variable) => {
            format!("Set {variable} in the shell that sends the request, and export it.")
        }
        None if key.contains('$') => {
            "Put the value into double quotes: a shell replaces no variable in single ones."
                .to_owned()
        }
        None => "Put the key itself there.".to_owned(),
    };
    let mistake =
        if header.unset.is_empty() { Mistake::KeyPlaceholder } else { Mistake::KeyMissing };
    let answers = look.answer(mistake, "");
    look.found_with(Mistake::KeyPlaceholder, name, (message, fix), answers);
    true
}

/// What happened to a key between its file and the header.
fn spelling(look: &mut Look<'_>, name: &str, whole: &str, key: &str) {
    let length = key.chars().count();
    let at = |wanted: &dyn Fn(char) -> bool| {
        key.chars().position(wanted).map(|place| format!("character {} of {length}", place + 1))
    };
    let refused = || Answers::Never(REFUSED);
    if let Some(place) = at(&|c| c != '\t' && c.is_control()) {
        let what = key.chars().find(|c| *c != '\t' && c.is_control()).map_or("", control);
        let message = format!("{what} is in the key: {place}.");
        let fix = "Take it out: a key is one line; a file's last line break is none of it.";
        look.found_with(Mistake::KeyControlCharacter, name, (message, fix.to_owned()), refused());
    }
    if let Some(place) = at(&|c| !c.is_ascii() && !c.is_control()) {
        let what = key.chars().find(|c| !c.is_ascii() && !c.is_control()).map_or("", foreign);
        let message = format!("{what} is in the key: {place}.");
        let fix = "Copy the key anew from where it was issued, as plain text.";
        look.found_with(Mistake::KeyNotAscii, name, (message, fix.to_owned()), refused());
    }
    let outer = whole.trim_end_matches(['\n', '\r']);
    let inner = key.trim_matches(['"', '\'', '`', ' ', '\t']);
    let lines = key.trim_matches(['\r', '\n']);
    let spaced = |text: &str| text.trim_matches([' ', '\t']) != text;
    if spaced(outer) || spaced(lines) {
        let message =
            "White space stands before or behind the key: some clients refuse it, others trim it.";
        let fix = "Take it out where the key is kept.";
        look.found_with(
            Mistake::KeyWhiteSpace,
            name,
            (message.to_owned(), fix.to_owned()),
            Answers::Unknown,
        );
    } else if without_bearer(inner).1.contains([' ', '\t']) {
        let message = "White space is within the key: no API issues such a one.".to_owned();
        let fix = "Copy the key anew from where it was issued.";
        look.found_with(Mistake::KeyWhiteSpace, name, (message, fix.to_owned()), Answers::Unknown);
    }
    let bare = key.trim();
    if bare.len() > 1 && (bare.starts_with(['"', '\'', '`']) || bare.ends_with(['"', '\'', '`'])) {
        let message = "Quotes stand around the key, and are sent with it.".to_owned();
        let fix = "Take the quotes out: not every reader of .env files removes them.";
        look.find(Mistake::KeyQuoted, name, message, fix.to_owned());
    }
}

fn control(c: char) -> &'static str {
    match c {
        '\n' => "A line break",
        '\r' => "A carriage return (CR)",
        '\0' => "A NUL",
        _ => "A control character",
    }
}

fn foreign(c: char) -> &'static str {
    match c {
        '\u{200b}'..='\u{200f}' | '\u{2060}' => "A character without width",
        '\u{feff}' => "A byte order mark (BOM)",
        '\u{2018}'..='\u{201f}' => "A curly quote",
        '\u{a0}' | '\u{2000}'..='\u{200a}' | '\u{202f}' | '\u{3000}' => {
            "A blank that is no plain space"
        }
        '\u{2010}'..='\u{2015}' => "A dash that is no plain hyphen",
        _ => "A character outside of ASCII",
    }
}

/// The kind of a key, by the longest prefix that it begins with.
fn kind(key: &str) -> Option<(Provider, &'static KeyKind)> {
    let of = |provider: &Provider| {
        let provider = *provider;
        provider.facts().requests.keys.iter().map(move |kind| (provider, kind))
    };
    let all = Provider::ALL.iter().flat_map(of);
    all.filter(|(_, kind)| !kind.prefix.is_empty() && key.starts_with(kind.prefix))
        .max_by_key(|(_, kind)| kind.prefix.len())
}

/// A key as it may be shown.
fn described(provider: Provider, kind: &KeyKind, key: &str) -> String {
    let article = if kind.name.starts_with(['a', 'e', 'i', 'o', 'u', 'A', 'E', 'I', 'O', 'U']) {
        "an"
    } else {
        "a"
    };
    format!("{article} {} of {provider} ({} characters)", kind.name, key.chars().count())
}

/// Whose key it is, and whether this header takes it. A gateway has keys and habits of its own.
fn belongs(look: &mut Look<'_>, name: &str, scheme: Scheme, key: &str) {
    let broken = !key.chars().all(|c| c.is_ascii_graphic());
    if look.wants.key_headers.is_empty() || !look.is_own_host() || broken {
        return;
    }
    let found = kind(key);
    let own = found.filter(|(provider, _)| *provider == look.around.provider);
    if let (Some((provider, kind)), None) = (found, own) {
        let message = format!(
            "The key is {}, and this goes to {}.",
            described(provider, kind, key),
            look.api()
        );
        let fix = format!("Send a key of {}.", look.api());
        look.find(Mistake::KeyOfOtherProvider, name, message, fix);
        return;
    }
    let taken = look.wants.key_headers.iter().find(|header| header.name == name);
    let names: Vec<&str> = look.wants.key_headers.iter().map(|header| header.name).collect();
    let what = own.map_or_else(
        || format!("a key of {} characters", key.chars().count()),
        |(provider, kind)| described(provider, kind, key),
    );
    let (message, fix) = match (taken, own, scheme) {
        (_, Some((_, kind)), _) if kind.header.is_none() => (
            format!("The header carries {what}, which is no key of requests."),
            format!("Send an API key as {}.", names.join(" or ")),
        ),
        // Claude Code's helper sends its key by both headers, and the right one counts.
        (_, Some((_, kind)), _) if is_also_in(look, name, kind.header, key) => return,
        (_, Some((_, kind)), _)
            if kind.header.is_some_and(|header| header != name && !is_either(look)) =>
        {
            let wanted = kind.header.unwrap_or_default();
            let prefix = if wanted == "authorization" { "Bearer " } else { "" };
            (
                format!("{name} carries {what}, which belongs into {wanted}."),
                format!("Send it as `{wanted}: {prefix}…`."),
            )
        }
        (None, _, _) if is_either(look) => return,
        (None, _, _) => (
            format!("The key is in {name}, and {} takes {}.", look.api(), names.join(" or ")),
            format!("Send it as {}.", names.join(" or ")),
        ),
        (Some(_), _, Scheme::Basic) => (
            "The header carries a name and a password (Basic), and no key.".to_owned(),
            format!("Send the key as {}.", names.join(" or ")),
        ),
        (Some(header), _, Scheme::Bare) if !header.prefix.is_empty() => (
            format!("The header carries {what} without {}before it.", header.prefix),
            format!("Write `{name}: {}…`.", header.prefix),
        ),
        _ => return,
    };
    wrong_header(look, name, message, fix);
}

/// Whether the header that takes this key has it, too.
fn is_also_in(look: &Look<'_>, name: &str, wanted: Option<&str>, key: &str) -> bool {
    let other = wanted.filter(|wanted| *wanted != name);
    let header = other.and_then(|wanted| look.request.header(wanted));
    header.is_some_and(|header| header.trimmed().ends_with(key))
}

/// Where a key may be sent as other APIs want it: on hosts and paths made for their clients.
fn is_either(look: &Look<'_>) -> bool {
    let host = look.request.host().to_string();
    let path = look.request.url.path();
    look.needs() != Needs::All
        || ["/openai/", "/anthropic/"].iter().any(|part| path.contains(part))
        || host.starts_with("bedrock-mantle.")
}

/// Where the newest version of the API is asked, keys as Bearer have been reported to work.
fn wrong_header(look: &mut Look<'_>, name: &str, message: String, fix: String) {
    let slot = if name == "authorization" { "bearer" } else { name };
    let answers = look.answer(Mistake::KeyWrongHeader, slot);
    let needed = look.wants.headers.iter().find(|needed| needed.values.len() > 1);
    let newest = needed.and_then(|needed| needed.values.iter().max()).copied();
    let is_newest = newest.is_some() && look.version() == newest && name == "authorization";
    let level = if is_newest { Level::Warning } else { Level::Error };
    let mistake = Mistake::KeyWrongHeader;
    look.push(Finding { mistake, level, place: name.to_owned(), message, answers, fix });
}
