//! Mistakes of the first line: where a request goes, and by what method. An endpoint that nobody listed is no
//! mistake: APIs have more than are known here.

use super::Answers;
use super::environment::{base_variables, is_local};
use super::look::{Look, meant};
use crate::mistake::Mistake;
use crate::provider::Provider;

const PLACE: &str = "url";

pub(super) fn rules(look: &mut Look<'_>) {
    scheme(look);
    host(look);
    path(look);
    trailing_slash(look);
    query(look);
    method(look);
}

/// Only where the API itself is asked: a gateway may well speak plain HTTP on the inside.
fn scheme(look: &mut Look<'_>) {
    if look.request.url.scheme() == "http" && look.is_own_host() {
        let message = format!(
            "The URL begins with http://, and {} speaks TLS only: the key would cross the network in the clear.",
            look.api()
        );
        look.find(Mistake::UrlSchemeHttp, PLACE, message, "Write https://.".to_owned());
    }
}

fn host(look: &mut Look<'_>) {
    let known = look.around.provider.facts().hosts;
    if known.is_empty() || look.is_strict() || is_base(look) || is_local(&look.request.host()) {
        return;
    }
    let host = look.request.host().to_string();
    let message =
        format!("{host} is no host of {}, and no target declares a gateway there.", look.api());
    let fix = match meant(&host, known) {
        Some(hint) => format!("{} The key would go to somebody else.", capital(&hint)),
        None => format!(
            "Write {}; or declare the gateway: a [[target]] with provider = \"{}\" and its url.",
            known.first().unwrap_or(&"the provider's host"),
            look.api()
        ),
    };
    let never = Answers::Never("what answers there is not the API");
    look.found_with(Mistake::UrlHostUnknown, PLACE, (message, fix), never);
}

/// Whether a variable of this API's clients names the host.
fn is_base(look: &Look<'_>) -> bool {
    let mut urls = base_variables(look).into_iter().filter_map(|(_, url)| url);
    urls.any(|url| url.host() == look.request.url.host())
}

fn capital(text: &str) -> String {
    let mut text = text.to_owned();
    if let Some(first) = text.get_mut(..1) {
        first.make_ascii_uppercase();
    }
    text
}

fn path(look: &mut Look<'_>) {
    if look.around.provider == Provider::Generic {
        return;
    }
    let path = look.request.url.path().trim_end_matches('/');
    let version = match look.wants.version {
        "" => String::new(),
        version => format!("/{version}"),
    };
    let doubled = format!("{version}{version}");
    let versioned = !version.is_empty();
    if versioned && (path.contains(&format!("{doubled}/")) || path.ends_with(&doubled)) {
        let message = format!(
            "The path has {version} twice: a base URL ends with it, and the client adds it again."
        );
        let fix = format!("Take {version} out of the base URL.");
        look.find(Mistake::UrlVersionDoubled, PLACE, message, fix);
    } else if path.is_empty() || path == version || (versioned && path.ends_with(&version)) {
        let message = if look.around.provider == Provider::Anthropic && look.is_own_host() {
            "The URL ends before an endpoint: the answer to that can look like a refused region."
        } else {
            "The URL ends before an endpoint."
        };
        let fix = format!("Add the endpoint: {}.", example(look));
        look.find(Mistake::UrlBaseOnly, PLACE, message.to_owned(), fix);
    } else if let Some(endpoint) = look.endpoint {
        if let Some(instead) = endpoint.instead {
            let message = format!("{} is deprecated.", endpoint.path);
            look.find(Mistake::UrlEndpointDeprecated, PLACE, message, format!("Use {instead}."));
        }
    } else if versioned && look.wants.endpoint(&format!("{version}{path}")).is_some() {
        let message = format!("The path lacks {version}.");
        let fix = format!("Write {version}{}.", look.request.shown_path());
        look.find(Mistake::UrlVersionMissing, PLACE, message, fix);
    } else {
        of_other(look, path);
    }
}

/// What a request of this API is for.
fn example(look: &Look<'_>) -> &'static str {
    let fields = look.wants.endpoints.iter().find(|endpoint| !endpoint.fields.is_empty());
    fields.or(look.wants.endpoints.first()).map_or("as its manual says", |endpoint| endpoint.path)
}

fn of_other(look: &mut Look<'_>, path: &str) {
    let own = look.around.provider;
    let has = |other: &&Provider| **other != own && other.facts().requests.endpoint(path).is_some();
    let Some(other) = Provider::ALL.iter().find(has) else { return };
    let message = format!("The path is one of {other}, and {own} has no such endpoint.");
    let fix = format!("Ask {own} for {}, or send this to {other}.", example(look));
    look.find(Mistake::UrlPathOfOtherProvider, PLACE, message, fix);
}

fn trailing_slash(look: &mut Look<'_>) {
    let path = look.request.url.path();
    // Of others it is not known that they mind.
    let minds = look.is_own_host() && look.wants.answer(Mistake::UrlTrailingSlash).is_some();
    if minds && look.endpoint.is_some() && path.ends_with('/') {
        let message = "The path ends with a slash: the answer is a redirect, which clients do not follow with POST.";
        let shown = look.request.shown_path();
        let fix = format!("Write {}.", shown.trim_end_matches('/'));
        look.find(Mistake::UrlTrailingSlash, PLACE, message.to_owned(), fix);
    }
}

fn query(look: &mut Look<'_>) {
    let has = |name: &str| {
        look.request.url.query_pairs().any(|(known, value)| known == name && !value.is_empty())
    };
    let missing: Vec<&str> = look
        .wants
        .query_at(look.request.url.path())
        .iter()
        .copied()
        .filter(|name| !has(name))
        .collect();
    for name in missing {
        let message = format!("The query lacks {name}, which {} needs.", look.api());
        look.find(Mistake::UrlQueryMissing, PLACE, message, format!("Add ?{name}=… to the URL."));
    }
}

fn method(look: &mut Look<'_>) {
    let Some(endpoint) = look.endpoint else { return };
    let method = look.request.method.as_str();
    let reads = method == "HEAD" && endpoint.methods.contains(&"GET");
    if endpoint.methods.contains(&method) || reads || method == "OPTIONS" {
        return;
    }
    let wanted = endpoint.methods.join(" or ");
    let upper = method.to_ascii_uppercase();
    let fix = format!("Send it as {wanted}.");
    if endpoint.methods.contains(&upper.as_str()) {
        let message = format!("The method is not in capitals: {} takes {wanted}.", endpoint.path);
        look.found_with(Mistake::MethodWrong, PLACE, (message, fix), Answers::Unknown);
        return;
    }
    let word = match upper.as_str() {
        "GET" | "HEAD" | "POST" | "PUT" | "PATCH" | "DELETE" => upper.as_str(),
        _ => "this method",
    };
    let message = format!("{} does not take {word}, but {wanted}.", endpoint.path);
    look.find(Mistake::MethodWrong, PLACE, message, fix);
}
