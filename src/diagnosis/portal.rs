//! A captive portal: until somebody signs in, it answers in the place of everybody, whatever the layer
//! where that shows.

use super::case::{Case, Found, Needed};
use super::experiment::portal;
use super::{Author, Held};
use crate::observation::{Certificate, Chain, Change, Control, Failure, Response, TlsKind, Trip};

rules! { RULES
    /// A page in plain HTTP that is known to be empty comes redirected or rewritten, unrelated hosts are not
    /// reached either, and what is met in the target's place is no server of its own.
    CaptivePortal answers_for_all,

    /// What answers in the target's place sends to a sign-in, asks for one, or says that the network wants a
    /// login (status 511), over a chain that no public CA vouches for or over none.
    CaptivePortal asks_to_sign_in,
}

fn answers_for_all(case: &Case<'_>) -> Held {
    let ours_only = case.local().is_some() || case.proxied() || case.answered_by_provider();
    if ours_only || case.symptom().is_none() || case.reached() {
        return Ok(None);
    }
    // Where the page never came as it is, something else than a portal keeps it away.
    if case.walk.usual.get(&Control::Portal) == Some(&false) {
        return Ok(None);
    }
    let (page, control) = (case.seen(Change::Portal), case.control_shows());
    let Some(page) = page?.failed() else { return Ok(None) };
    if portal(page) != Some(false) || control?.passed() {
        return Ok(None);
    }
    let known = case.walk.usual.get(&Control::Portal) == Some(&true);
    let found = if known { Found::high() } else { Found::medium() };
    found.by(Control::Portal).yes()
}

fn asks_to_sign_in(case: &Case<'_>) -> Held {
    if case.proxied() || case.answered_by_provider() {
        return Ok(None);
    }
    let own = &case.target().host;
    match case.answer() {
        Some((response, _, Author::Middlebox)) if is_sign_in(response, own) => {
            return Found::high().yes();
        }
        // A service of the organisation's own may want a login of its own: only what says that it is the network's.
        Some((response, _, Author::Unknown)) if response.status == 511 => {
            return Found::high().yes();
        }
        Some(_) | None => {}
    }
    let Some((leg, failure)) = case.tls() else { return Ok(None) };
    if failure.kind == TlsKind::NotTls && is_sign_in_head(&failure.first_bytes, own) {
        return Found::medium().yes();
    }
    // A public CA's certificate for another name is a portal's where unrelated hosts show the very same.
    let is_public = match &leg.chain {
        Some(chain) if chain.is_public() => !is_shown_by_all(case, chain)?,
        Some(_) => false,
        None => true,
    };
    let shown = matches!(
        failure.kind,
        TlsKind::WrongName | TlsKind::UnknownIssuer | TlsKind::SelfSigned | TlsKind::Expired
    );
    if !shown || is_public {
        return Ok(None);
    }
    match case.seen(Change::UntrustedHandshake(leg.address))?.trip().and_then(answer_of) {
        Some(response) if is_sign_in(response, own) => {
            Found::medium().by(Control::UntrustedHandshake).yes()
        }
        Some(_) | None => Ok(None),
    }
}

/// Whether unrelated hosts show a leaf for the same names, by the same issuer: one server answers for all.
pub(super) fn is_shown_by_all(case: &Case<'_>, chain: &Chain) -> Result<bool, Needed> {
    let theirs = case.control_shows()?.trip().and_then(Trip::leading);
    let theirs = theirs.and_then(|leg| leg.chain.as_ref()).and_then(|chain| chain.leaf());
    let same = |(theirs, ours): (&Certificate, &Certificate)| {
        !ours.names.is_empty() && theirs.names == ours.names && theirs.issuer == ours.issuer
    };
    Ok(theirs.zip(chain.leaf()).is_some_and(same))
}

fn answer_of(trip: &Trip) -> Option<&Response> {
    match trip.failure() {
        Some(Failure::Http(_)) | None => trip.leading()?.response.as_ref(),
        Some(_) => None,
    }
}

/// Whether an answer wants a person to sign in: by its status (RFC 6585 6), by where it sends to, or by a
/// field for a password.
pub(super) fn is_sign_in(response: &Response, own: &str) -> bool {
    let leads =
        || response.redirect().is_some_and(|redirect| leads_to_sign_in(redirect.location, own));
    let asks = || {
        let body = response.body.to_ascii_lowercase();
        ["type=\"password\"", "type='password'", "type=password"].iter().any(|f| body.contains(f))
    };
    response.status == 511 || leads() || asks()
}

/// Whether a plain answer where TLS was awaited sends to a sign-in.
fn is_sign_in_head(first_bytes: &str, own: &str) -> bool {
    let head = first_bytes.to_ascii_lowercase();
    let location = head.split("location:").nth(1).unwrap_or_default();
    head.starts_with("http/")
        && (head.contains(" 511 ")
            || leads_to_sign_in(location.split("\\r\\n").next().unwrap_or_default(), own))
}

/// Whether a redirect leads to a sign-in, by the words that such pages have in their host or path, whoever makes
/// them: not behind the `?`, where a refusal names what was asked for, and not at the host itself.
fn leads_to_sign_in(location: &str, own: &str) -> bool {
    const WORDS: &[&str] = &[
        "login",
        "logon",
        "signin",
        "sign",
        "captive",
        "hotspot",
        "portal",
        "guest",
        "splash",
        "authenticate",
        "auth",
        "wifi",
        "welcome",
    ];
    let location = location.trim().to_ascii_lowercase();
    let place = location.split(['?', '#']).next().unwrap_or_default();
    let host = place.split("//").nth(1).unwrap_or_default().split('/').next().unwrap_or_default();
    let elsewhere = host != own.to_ascii_lowercase();
    elsewhere && place.split(|c: char| !c.is_ascii_alphanumeric()).any(|word| WORDS.contains(&word))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn redirect(to: &str) -> Response {
        Response {
            status: 302,
            headers: vec![("location".into(), to.into())],
            ..Response::default()
        }
    }

    #[test]
    fn a_sign_in_is_told_from_a_refusal() {
        for to in ["https://wifi.example/guest/start?u=x", "http://10.0.0.1/login.html", "/signin"]
        {
            assert!(is_sign_in(&redirect(to), "api.example"), "{to}");
        }
        for to in [
            "https://filter.corp.example/blocked?url=https://portal.example/login",
            "https://api.example/login",
            "https://www.example.com/bloginfo",
            "",
        ] {
            assert!(!is_sign_in(&redirect(to), "api.example"), "{to}");
        }
        let page =
            |status, body: &str| Response { status, body: body.into(), ..Response::default() };
        assert!(is_sign_in(&page(511, ""), ""));
        assert!(is_sign_in(&page(200, "<form><input TYPE=\"password\" name=p></form>"), ""));
        assert!(!is_sign_in(&page(403, "<h1>blocked by policy</h1>"), ""));
    }
}
