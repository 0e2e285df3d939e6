//! What of a URL's query people may see. A key has a place of its own: one that stands in a query is in the logs of
//! every proxy on the way.

use url::Url;

/// Parameters by which APIs take a key or a signature, without dashes and underscores.
const KEYS: &[&str] = &[
    "key",
    "apikey",
    "xapikey",
    "accesskey",
    "accesstoken",
    "authtoken",
    "token",
    "auth",
    "authorization",
    "bearer",
    "sig",
    "signature",
    "subscriptionkey",
    "secret",
    "clientsecret",
    "password",
    "xgoogapikey",
    "xamzsignature",
    "xamzcredential",
    "xamzsecuritytoken",
    "xgoogsignature",
];
/// Parameters that choose something, and hold nothing of anybody's.
const USUAL: &[&str] =
    &["alt", "api-version", "beta", "limit", "order", "page", "page_size", "pagesize", "version"];

/// The first parameter whose name says that it holds a key.
pub(super) fn key(url: &Url) -> Option<String> {
    let is_key = |name: &str| {
        let plain: String = name.chars().filter(|c| !matches!(c, '-' | '_')).collect();
        KEYS.contains(&plain.to_ascii_lowercase().as_str())
    };
    url.query_pairs().map(|(name, _)| name.into_owned()).find(|name| is_key(name))
}

/// A URL with the values of its query only where their names are usual ones.
pub(super) fn shown(url: &Url) -> String {
    let Some(query) = url.query() else { return url.to_string() };
    let shown = query.split('&').map(|pair| match pair.split_once('=') {
        Some((name, _)) if !USUAL.contains(&name.to_ascii_lowercase().as_str()) => {
            format!("{name}=…")
        }
        // Without a name it may be a value.
        None if !pair.is_empty() => "…".to_owned(),
        Some(_) | None => pair.to_owned(),
    });
    let shown: Vec<String> = shown.collect();
    let mut before = url.clone();
    before.set_query(None);
    before.set_fragment(None);
    format!("{before}?{}", shown.join("&"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_hidden_and_keys_are_known() {
        let of = |query: &str| Url::parse(&format!("https://api.example/v1?{query}")).unwrap();
        for (query, seen, named) in [
            ("limit=1&api-version=2024-10-21", "limit=1&api-version=2024-10-21", None),
            ("key=AIza&limit=1", "key=…&limit=1", Some("key")),
            ("team=ml", "team=…", None),
            ("sk-precious", "…", None),
            ("subscription-key=a", "subscription-key=…", Some("subscription-key")),
            ("Access_Token=a", "Access_Token=…", Some("Access_Token")),
            ("ke%79=a", "ke%79=…", Some("key")),
        ] {
            assert_eq!(shown(&of(query)), format!("https://api.example/v1?{seen}"));
            assert_eq!(key(&of(query)).as_deref(), named, "{query}");
        }
    }
}
