//! What each provider's file says fits together: hosts, URL, requests that are sent, kinds of keys.

use std::collections::BTreeMap;

use egressd::provider::Provider;
use egressd::provider::request::{Endpoint, Holds};
use serde_json::Value;

fn known() -> impl Iterator<Item = Provider> {
    Provider::ALL.iter().copied().filter(|provider| *provider != Provider::Generic)
}

fn endpoint(provider: Provider, path: &str) -> Option<&'static Endpoint> {
    provider.facts().requests.endpoint(path)
}

#[test]
fn the_minimal_request_is_the_providers_own() {
    for provider in known() {
        let facts = provider.facts();
        let Some(url) = facts.url else {
            // The host is the customer's.
            assert!(facts.hosts.iter().all(|host| host.contains('*')), "{provider}");
            continue;
        };
        let url = url::Url::parse(url).unwrap();
        assert!(provider.owns(url.host_str().unwrap()), "{provider}: {url}");
        let endpoint =
            endpoint(provider, url.path()).unwrap_or_else(|| panic!("{provider}: {url}"));
        assert!(endpoint.methods.contains(&"GET"), "{provider}: {url}");
        assert!(endpoint.instead.is_none(), "{provider}: {url} is deprecated");
    }
}

/// A key is told by its prefix: no two providers have the same.
#[test]
fn prefixes_of_keys_are_distinct() {
    let mut seen = BTreeMap::new();
    for provider in known() {
        for kind in provider.facts().requests.keys {
            let before = seen.insert(kind.prefix, provider);
            assert_eq!(before, None, "{} of {provider}", kind.prefix);
        }
    }
}

#[test]
fn what_is_sent_is_sound() {
    for provider in known() {
        let facts = provider.facts();
        for post in [facts.counting, facts.streaming].into_iter().flatten() {
            let path = post.path.split('?').next().unwrap();
            let endpoint = endpoint(provider, path).unwrap_or_else(|| panic!("{provider}: {path}"));
            assert!(endpoint.methods.contains(&"POST") && endpoint.instead.is_none(), "{path}");
            for size in [0, 100, 20_000] {
                let text = (post.body)(size);
                let body: Value = serde_json::from_str(&text).unwrap();
                sound(endpoint, &body);
            }
        }
        if let Some(counting) = facts.counting {
            let length = (counting.body)(20_000).len();
            assert!((20_000..21_000).contains(&length), "{provider}: {length}");
        }
    }
}

fn sound(endpoint: &Endpoint, body: &Value) {
    for field in endpoint.fields.iter().filter(|field| field.required) {
        assert!(body.get(field.name).is_some(), "{}: no {}", endpoint.path, field.name);
    }
    for (name, value) in body.as_object().unwrap() {
        let field = endpoint.fields.iter().find(|field| field.name == name);
        let Some(field) = field else {
            assert!(!endpoint.closed, "{}: {name} is not known", endpoint.path);
            continue;
        };
        let fits = match field.holds {
            Holds::Text => value.is_string(),
            Holds::Number(least) => value.as_i64().is_some_and(|number| number >= least),
            Holds::Fraction(from, to) => {
                value.as_f64().is_some_and(|number| (from..=to).contains(&number))
            }
            Holds::Truth => value.is_boolean(),
            Holds::List => value.is_array(),
            Holds::Some => value.as_array().is_some_and(|list| !list.is_empty()),
            Holds::Object => value.is_object(),
            Holds::TextOrList => value.is_string() || value.is_array(),
            Holds::Any => true,
        };
        assert!(fits && field.removed_in.is_none() && field.beta.is_none(), "{name}: {value}");
    }
}
