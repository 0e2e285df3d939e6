//! What stands around a request: proxy variables, lists of exemptions, base URLs, and a client that was told not
//! to verify. Values of variables may hold passwords and are not shown, but for the host of a base URL.

use ::url::{Host, Url};

use super::Answers;
use super::look::Look;
use crate::mistake::Mistake;
use crate::provider::Provider;

/// What clients do with a proxy of a kind that they do not speak.
const NEVER: &str =
    "it is never sent, or goes around the proxy: clients show a connection error or a timeout";

/// Each variable in both cases.
const PAIRS: &[(&str, &str)] = &[
    ("https_proxy", "HTTPS_PROXY"),
    ("http_proxy", "HTTP_PROXY"),
    ("all_proxy", "ALL_PROXY"),
    ("no_proxy", "NO_PROXY"),
];

pub(super) fn rules(look: &mut Look<'_>) {
    if !look.request.own_proxy {
        proxies(look);
        disagree(look);
        exemptions(look);
    }
    base_urls(look);
    insecure(look);
}

/// The variables by which this request's proxy would be found, in the order of most clients.
fn names(look: &Look<'_>) -> &'static [&'static str] {
    if look.request.url.scheme() == "http" {
        &["http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"]
    } else {
        &["https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY"]
    }
}

fn proxies(look: &mut Look<'_>) {
    for name in names(look) {
        let Some(value) = look.around.variable(name) else { continue };
        let (message, fix, mild) = match judged(value) {
            Ok(()) => continue,
            Err(Wrong::Quoted) => ("quotes are part of the value", "Take the quotes out.", false),
            Err(Wrong::Blank) => {
                ("white space or a line break is in the value", "Take it out.", false)
            }
            Err(Wrong::NoScheme) => (
                "the value has no scheme: curl and Go take it for http://, Node and its programs refuse it",
                "Write http:// before the host.",
                false,
            ),
            Err(Wrong::Socks) => (
                "the value names a SOCKS proxy, which curl takes and many clients do not, Claude Code among them",
                "Name an http:// proxy, where there is one.",
                true,
            ),
            Err(Wrong::Scheme) => {
                ("the value's scheme is none of a proxy", "Write http://HOST:PORT.", false)
            }
            Err(Wrong::NoUrl) => (
                "the value is no URL",
                "Write http://HOST:PORT; in a password, write @ : / # % as %40 %3A %2F %23 %25.",
                false,
            ),
        };
        let message = format!("{name}: {message}.");
        look.found_with(
            Mistake::ProxyVariableInvalid,
            name,
            (message, fix.to_owned()),
            Answers::Never(NEVER),
        );
        if mild {
            look.soften();
        }
    }
}

enum Wrong {
    Quoted,
    Blank,
    NoScheme,
    Socks,
    Scheme,
    NoUrl,
}

fn judged(value: &str) -> Result<(), Wrong> {
    if value.starts_with(['"', '\'']) || value.ends_with(['"', '\'']) {
        return Err(Wrong::Quoted);
    }
    if value.contains(|c: char| c.is_whitespace() || c.is_control()) {
        return Err(Wrong::Blank);
    }
    let Some((scheme, rest)) = value.split_once("://") else { return Err(Wrong::NoScheme) };
    let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
    if authority.is_empty() || Url::parse(value).is_err() {
        return Err(Wrong::NoUrl);
    }
    // A login with one of these unescaped ends the host too early.
    if rest.get(authority.len()..).is_some_and(|behind| behind.contains('@')) {
        return Err(Wrong::NoUrl);
    }
    match scheme.to_ascii_lowercase().as_str() {
        "http" | "https" => Ok(()),
        "socks" | "socks4" | "socks4a" | "socks5" | "socks5h" => Err(Wrong::Socks),
        _ => Err(Wrong::Scheme),
    }
}

fn disagree(look: &mut Look<'_>) {
    for (lower, upper) in PAIRS {
        let (one, other) = (look.around.variable(lower), look.around.variable(upper));
        let (Some(one), Some(other)) = (one, other) else { continue };
        let concerns = names(look).contains(lower) || *lower == "no_proxy";
        if one == other || !concerns {
            continue;
        }
        let who = match *lower {
            "http_proxy" => {
                "curl takes the lower case alone, Python and Claude Code the lower case first, GitHub \
                             Copilot and Go the upper case first"
            }
            _ => {
                "curl, Python and Claude Code take the lower case, GitHub Copilot and Go the upper case"
            }
        };
        let message = format!("{lower} and {upper} differ: {who}.");
        let fix = format!("Set both to the same, or unset {upper}.");
        look.found_with(
            Mistake::ProxyVariablesDisagree,
            lower,
            (message, fix),
            Answers::Never("clients on one host go different ways"),
        );
    }
}

/// The first proxy variable that is set, and the list of exemptions that counts.
fn exemptions(look: &mut Look<'_>) {
    let around = look.around;
    let Some(proxy) = names(look).iter().find(|name| around.variable(name).is_some()) else {
        return;
    };
    let list = ["no_proxy", "NO_PROXY"]
        .into_iter()
        .find_map(|name| around.variable(name).map(|list| (name, list)));
    let exempt = |host: &Host<String>, port: u16| {
        list.is_some_and(|(_, list)| (around.exempts)(list, host, port))
    };
    let host = look.request.host();
    let port = look.request.url.port_or_known_default().unwrap_or(443);
    if let Some((name, _)) = list.filter(|_| exempt(&host, port) && !is_local(&host)) {
        let message = format!("{name} takes {host} around the proxy that {proxy} names.");
        let fix = format!("Take the entry out of {name}, unless the direct way is meant.");
        let never = Answers::Never(
            "what answers is whoever is on the direct way: often a timeout or a reset",
        );
        look.found_with(Mistake::NoProxyCatchesHost, name, (message, fix), never);
    }
    let of_request = is_local(&host).then_some((host, port));
    let of_variables = base_variables(look).into_iter().filter_map(|(_, url)| {
        let url = url?;
        let host = url.host()?.to_owned();
        Some((host, url.port_or_known_default().unwrap_or(80)))
    });
    let local = of_request.into_iter().chain(of_variables.filter(|(host, _)| is_local(host)));
    let missed: Vec<Host<String>> =
        local.filter(|(host, port)| !exempt(host, *port)).map(|(host, _)| host).collect();
    if let Some(host) = missed.first() {
        let name = list.map_or("no_proxy", |(name, _)| name);
        let message = format!(
            "{host} is this host, and {name} does not name it: it is asked through the proxy."
        );
        let fix = format!("Add {host} to no_proxy and NO_PROXY: localhost,127.0.0.1,::1.");
        let never = Answers::Never("the proxy answers, with 403, 502 or a page, or not at all");
        look.found_with(Mistake::NoProxyMissesLocalhost, name, (message, fix), never);
    }
}

pub(super) fn is_local(host: &Host<String>) -> bool {
    match host {
        Host::Domain(name) => {
            let name = name.trim_end_matches('.');
            name.eq_ignore_ascii_case("localhost")
                || name.to_ascii_lowercase().ends_with(".localhost")
        }
        Host::Ipv4(address) => address.is_loopback(),
        Host::Ipv6(address) => address.is_loopback(),
    }
}

/// The variables that point this API's clients elsewhere, where they are set, and what they hold.
pub(super) fn base_variables(look: &Look<'_>) -> Vec<(&'static str, Option<Url>)> {
    let names = look.wants.base_variables.iter();
    names
        .filter_map(|name| look.around.variable(name).map(|value| (*name, value)))
        .map(|(name, value)| (name, Url::parse(value).ok().filter(Url::has_host)))
        .collect()
}

fn base_urls(look: &mut Look<'_>) {
    let host = look.request.host();
    for (name, url) in base_variables(look) {
        let never = Answers::Never("what answers there is not the target");
        let Some(url) = url else {
            let message = format!("{name} is set, and its value is no URL.");
            let fix = format!("Unset {name}, or write https:// and the host.");
            look.found_with(Mistake::BaseUrlElsewhere, name, (message, fix), never);
            continue;
        };
        let there = url.host().map(|there| there.to_owned());
        if there.as_ref() != Some(&host) {
            let there = there.map(|there| there.to_string()).unwrap_or_default();
            let message =
                format!("{name} points clients to {there}, and this request goes to {host}.");
            let fix = format!("Judge what is sent to {there}, or unset {name}.");
            look.found_with(Mistake::BaseUrlElsewhere, name, (message, fix), never);
        }
        // Its clients add the version themselves; those of other APIs expect it in the variable.
        let version = look.wants.version;
        let last = url.path_segments().and_then(|mut parts| parts.rfind(|part| !part.is_empty()));
        if look.around.provider == Provider::Anthropic && last == Some(version) {
            let message = format!("{name} ends with /{version}, which clients add themselves.");
            let fix = format!("Take /{version} out of {name}.");
            look.find(Mistake::UrlVersionDoubled, name, message, fix);
        }
    }
}

fn insecure(look: &mut Look<'_>) {
    let Some(option) = look.request.insecure else { return };
    let message = format!(
        "{option} takes any certificate: a way that works so proves nothing, and shows the key to it."
    );
    let fix = format!("Take {option} out; an inspecting proxy's CA goes into --cacert.");
    look.found_with(
        Mistake::CurlInsecure,
        option,
        (message, fix),
        Answers::Never("it is sent to whoever answers"),
    );
}
