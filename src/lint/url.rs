//! Mistakes of the first line: where a request goes, and by what method. An endpoint that nobody listed is no
//! mistake: APIs have more than are known here.

use super::look::{Look, fits, meant};
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
    if known.is_empty() || look.is_own_host() || look.around.declared {
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
    let never = super::Answers::Never("what answers there is not the API");
    look.found_with(Mistake::UrlHostUnknown, PLACE, (message, fix), never);
}

fn capital(text: &str) -> String {
    let mut text = text.to_owned();
    if let Some(first) = text.get_mut(..1) {
        first.make_ascii_uppercase();
    }
    text
}

fn path(look: &mut Look<'_>) {
    let (wants, request) = (look.wants, look.request);
    let path = request.url.path().trim_end_matches('/');
    if look.around.provider == Provider::Generic || wants.version.is_empty() {
        return;
    }
    let version = format!("/{}", wants.version);
    if path.contains(&format!("{version}{version}/"))
        || path.ends_with(&format!("{version}{version}"))
    {
        let message = format!(
            "The path has {version} twice: a base URL ends with it, and the client adds it again."
        );
        let fix = format!("Take {version} out of the base URL.");
        look.find(Mistake::UrlVersionDoubled, PLACE, message, fix);
        return;
    }
    if path.is_empty() || path == version || (!look.is_own_host() && path.ends_with(&version)) {
        let example = wants.endpoints.first().map_or("the endpoint", |endpoint| endpoint.path);
        let message =
            "The URL ends before an endpoint: the answer to that looks like a refused region.";
        look.find(
            Mistake::UrlBaseOnly,
            PLACE,
            message.to_owned(),
            format!("Add the endpoint: {example}."),
        );
        return;
    }
    if let Some(endpoint) = look.endpoint {
        if let Some(instead) = endpoint.instead {
            let message = format!("{} is deprecated.", endpoint.path);
            look.find(Mistake::UrlEndpointDeprecated, PLACE, message, format!("Use {instead}."));
        }
        return;
    }
    let with_version = format!("{version}{path}");
    if wants.endpoints.iter().any(|endpoint| fits(endpoint.path, &with_version)) {
        let message = format!("The path lacks {version}.");
        let fix = format!("Write {with_version}.");
        look.find(Mistake::UrlVersionMissing, PLACE, message, fix);
        return;
    }
    let other = Provider::ALL.iter().find(|other| {
        let endpoints = other.facts().requests.endpoints;
        **other != look.around.provider
            && endpoints.iter().any(|endpoint| fits(endpoint.path, path))
    });
    if let Some(other) = other {
        let message =
            format!("The path is one of {other}, and {} has no such endpoint.", look.api());
        let example = wants.endpoints.first().map_or("its own", |endpoint| endpoint.path);
        let fix = format!("Ask {} for {example}, or send this to {other}.", look.api());
        look.find(Mistake::UrlPathOfOtherProvider, PLACE, message, fix);
    }
}

fn trailing_slash(look: &mut Look<'_>) {
    let path = look.request.url.path();
    if look.endpoint.is_some() && path.ends_with('/') {
        let message = "The path ends with a slash: the answer is a redirect, which clients do not follow with POST.";
        let fix = format!("Write {}.", path.trim_end_matches('/'));
        look.find(Mistake::UrlTrailingSlash, PLACE, message.to_owned(), fix);
    }
}

fn query(look: &mut Look<'_>) {
    let has = |name: &str| {
        look.request.url.query_pairs().any(|(known, value)| known == name && !value.is_empty())
    };
    let missing: Vec<&str> = look.wants.query.iter().copied().filter(|name| !has(name)).collect();
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
    let message = if endpoint.methods.contains(&upper.as_str()) {
        format!("The method is not in capitals: {} takes {wanted}.", endpoint.path)
    } else {
        let word = match upper.as_str() {
            "GET" | "HEAD" | "POST" | "PUT" | "PATCH" | "DELETE" => upper.as_str(),
            _ => "this method",
        };
        format!("{} does not take {word}, but {wanted}.", endpoint.path)
    };
    look.find(Mistake::MethodWrong, PLACE, message, format!("Send it as {wanted}."));
}
