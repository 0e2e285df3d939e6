//! Mistakes of the headers beside the key. Values are not shown, but for a version that looks like a date.

use super::Answers;
use super::look::Look;
use super::request::Header;
use crate::mistake::Mistake;
use crate::provider::request::Needs;

/// By this header a page says that it means to be a browser's request (Anthropic's SDK for TypeScript,
/// `dangerouslyAllowBrowser`).
const BROWSER: &str = "anthropic-dangerous-direct-browser-access";

pub(super) fn rules(look: &mut Look<'_>) {
    doubled(look);
    needed(look);
    origin(look);
    content_type(look);
    signature(look);
}

/// Only those of which one alone can count: lists may stand on several lines (RFC 9110 5.3), and of others it is
/// not known here whether they are lists.
fn doubled(look: &mut Look<'_>) {
    let wants = look.wants;
    let keys = wants.key_headers.iter().map(|key| key.name);
    let versions = wants.headers.iter().map(|needed| needed.name);
    let mut names: Vec<&str> = keys.chain(versions).collect();
    names.extend(["authorization", "content-type", "host"]);
    names.sort_unstable();
    names.dedup();
    for name in names {
        let values: Vec<&str> = look.request.all(name).map(Header::trimmed).collect();
        let version = wants.headers.iter().any(|needed| needed.name == name);
        let joined = version && values.iter().any(|value| halves(value));
        if values.len() < 2 && !joined {
            continue;
        }
        let message = if values.len() > 1 {
            "The header is there more than once, whatever its case: a server joins the values with a comma."
        } else {
            "The header's value is there twice, joined with a comma: two places set it."
        };
        let is_key = wants.key_headers.iter().any(|key| key.name == name);
        let answers = match (version, is_key) {
            (true, _) => {
                let value = values.iter().take(3).copied().collect::<Vec<&str>>().join(", ");
                let slot = shown_version(&value).unwrap_or_default();
                look.answer(Mistake::VersionHeaderUnknown, slot)
            }
            (false, true) => look.answer(Mistake::HeaderDoubled, ""),
            (false, false) => Answers::Unknown,
        };
        let fix =
            "Set it in one place: the client's own setting, or the additional headers.".to_owned();
        look.found_with(Mistake::HeaderDoubled, name, (message.to_owned(), fix), answers);
    }
}

/// Whether a value is one value twice.
fn halves(value: &str) -> bool {
    value.split_once(',').is_some_and(|(one, other)| one.trim() == other.trim())
}

/// A version as it may be shown: digits and what stands between them.
fn shown_version(value: &str) -> Option<&str> {
    let plain =
        value.chars().all(|c| c.is_ascii_digit() || matches!(c, '-' | '.' | ',' | ' ' | 'v'));
    (plain && value.len() <= 24 && !value.is_empty()).then_some(value)
}

fn needed(look: &mut Look<'_>) {
    let wants = look.wants;
    if look.needs() != Needs::All {
        return;
    }
    for needed in wants.headers {
        let Some(header) = look.request.header(needed.name) else {
            let message =
                format!("The header {} is missing, which {} needs.", needed.name, look.api());
            let mut own = look.around.provider.facts().headers.iter();
            let example = own.find(|(name, _)| *name == needed.name).map(|(_, value)| value);
            let fix = match example {
                Some(value) => format!("Send `{}: {value}`.", needed.name),
                None => format!("Send {}, as this API's own clients do.", needed.name),
            };
            look.find(needed.missing, needed.name, message, fix);
            continue;
        };
        let value = header.trimmed();
        if header.made
            || needed.values.is_empty()
            || needed.values.contains(&value)
            || halves(value)
        {
            continue;
        }
        let shown = shown_version(value);
        let said = shown.map_or_else(|| "The value".to_owned(), |value| format!("\"{value}\""));
        let message = format!("{said} is no version of this API.");
        let fix = format!("Write one of {}.", needed.values.join(", "));
        let answers = look.answer(Mistake::VersionHeaderUnknown, shown.unwrap_or_default());
        look.found_with(Mistake::VersionHeaderUnknown, needed.name, (message, fix), answers);
    }
}

/// Only where the API is known to mind.
fn origin(look: &mut Look<'_>) {
    let minds = look.wants.answer(Mistake::OriginHeader).is_some();
    if minds && look.request.header("origin").is_some() && look.request.header(BROWSER).is_none() {
        let message =
            "An Origin header makes it a browser's request, which not every organization allows.";
        let fix = "Leave Origin out; from a web page, ask a server of your own that holds the key.";
        look.find(Mistake::OriginHeader, "origin", message.to_owned(), fix.to_owned());
    }
}

fn content_type(look: &mut Look<'_>) {
    let Some(body) = look.request.body.as_deref().filter(|body| !body.is_empty()) else { return };
    let judged = look.endpoint.is_some_and(|endpoint| !endpoint.fields.is_empty());
    let begins = body.trim_ascii_start().first();
    let header = look.request.header("content-type");
    // Elsewhere only what nobody meant: files and forms have types of their own.
    let meant = header.is_some_and(|header| !header.implied);
    if !judged && (meant || !matches!(begins, Some(b'{' | b'['))) {
        return;
    }
    let value = header.map(|header| header.trimmed().to_ascii_lowercase());
    let kind = value.as_deref().map(|value| value.split(';').next().unwrap_or_default().trim());
    let message = match (kind, header.is_some_and(|header| header.implied)) {
        (Some("application/json"), _) => return,
        (Some(kind), _) if kind.contains("json") => return,
        (Some(_), true) => {
            "curl's -d declares the body as application/x-www-form-urlencoded, and it is JSON."
        }
        (Some(_), false) => "The body is not declared as application/json.",
        (None, _) => "The body is not declared at all.",
    };
    let fix = "Send `content-type: application/json`.".to_owned();
    look.find(Mistake::ContentTypeWrong, "content-type", message.to_owned(), fix);
}

/// Signed requests: either a signature (with its token, where the credentials are a session's) or a bearer key.
fn signature(look: &mut Look<'_>) {
    if look.api() != "bedrock" || look.needs() == Needs::Nothing {
        return;
    }
    let request = look.request;
    let authorization =
        request.header("authorization").map(|header| header.trimmed().to_ascii_lowercase());
    let signed_query =
        request.url.query_pairs().any(|(name, _)| name.eq_ignore_ascii_case("x-amz-signature"));
    let session = request.header("x-amz-security-token").is_some();
    let scheme = authorization.as_deref().map(|value| value.split(' ').next().unwrap_or_default());
    let (message, fix) = match scheme {
        Some("bearer") if session || signed_query => (
            "A bearer key and the token of a session are sent together.",
            "Send one: unset AWS_BEARER_TOKEN_BEDROCK, or AWS_SESSION_TOKEN with its keys.",
        ),
        Some("aws4-hmac-sha256") if signed_query => {
            ("The request is signed twice, by a header and by its query.", "Sign it once.")
        }
        Some("aws4-hmac-sha256")
            if request.header("x-amz-date").is_none() && request.header("date").is_none() =>
        {
            ("The request is signed, and its date is missing.", "Send x-amz-date as it was signed.")
        }
        None if !signed_query && !look.around.keyless && request.header("x-api-key").is_none() => (
            "The request is neither signed nor does it carry a bearer key.",
            "Sign it (SigV4), or send `authorization: Bearer …`.",
        ),
        _ => return,
    };
    look.find(Mistake::SignatureMixed, "authorization", message.to_owned(), fix.to_owned());
}
