//! What each provider's file says fits together: hosts, URL, requests that are sent, kinds of keys.

use std::collections::BTreeMap;

use egressd::plan::{AdHoc, ad_hoc};
use egressd::provider::Provider;
use egressd::provider::request::{Endpoint, Holds};
use serde_json::Value;

use crate::config::{nothing_given, plan};

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
            // The host is the customer's, and has something to ask for nevertheless.
            for host in facts.hosts {
                assert!(host.contains('*'), "{provider}: {host}");
                let path = facts.minimal_at(host).unwrap_or_else(|| panic!("{host}"));
                assert!(endpoint(provider, path).is_some(), "{provider}: {path}");
            }
            continue;
        };
        let url = url::Url::parse(url).unwrap();
        assert!(provider.owns(url.host_str().unwrap()), "{provider}: {url}");
        assert_eq!(facts.minimal_at(url.host_str().unwrap()), Some(url.path()), "{provider}");
        let endpoint =
            endpoint(provider, url.path()).unwrap_or_else(|| panic!("{provider}: {url}"));
        assert!(endpoint.methods.contains(&"GET"), "{provider}: {url}");
        assert!(endpoint.instead.is_none(), "{provider}: {url} is deprecated");
    }
}

/// A URL that names nothing asks for what is free: by a file as by itself, and nowhere but at the provider's own hosts.
#[test]
fn a_url_without_a_path_asks_for_what_is_free() {
    let rows = [
        ("openai", "https://api.openai.com", "/v1/models", None),
        ("azure_openai", "https://contoso.openai.azure.com/", "/openai/v1/models", None),
        ("bedrock", "https://bedrock.us-east-1.amazonaws.com", "/foundation-models", None),
        ("bedrock", "https://bedrock-runtime.us-east-1.amazonaws.com", "/async-invoke", None),
        ("bedrock", "https://bedrock-mantle.us-east-1.api.aws", "/v1/models", None),
        ("github_copilot", "https://api.business.githubcopilot.com", "/_ping", None),
        ("gemini", "https://generativelanguage.googleapis.com/?a=b", "/", Some("a=b")),
        ("openai", "https://api.openai.com/v1/files", "/v1/files", None),
        ("anthropic", "https://llm.corp.example/", "/", None),
    ];
    for (id, url, path, query) in rows {
        let text = format!("[[target]]\nname = \"a\"\nprovider = \"{id}\"\nurl = \"{url}\"\n");
        let plan = plan(&text, &nothing_given()).unwrap();
        let url = &plan.targets[0].endpoint.url;
        assert_eq!((url.path(), url.query()), (path, query), "{url}");
        let asked = AdHoc { url: url.as_str(), ..AdHoc::default() };
        let by_itself = ad_hoc(&plan, asked).unwrap();
        assert_eq!(by_itself.targets[0].endpoint.url, *url);
        let own = id != "anthropic";
        assert_eq!(by_itself.targets[0].provider.facts().id == id, own, "{url}");
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
            Holds::Messages(roles) => value.as_array().is_some_and(|list| {
                let role = |message: &Value| message["role"].as_str().map(str::to_owned);
                let known = |role: String| roles.contains(&role.as_str());
                !list.is_empty() && list.iter().all(|one| role(one).is_some_and(known))
            }),
            Holds::SomeOrObject => {
                value.is_object() || value.as_array().is_some_and(|list| !list.is_empty())
            }
            Holds::Object => value.is_object(),
            Holds::TextOrList => value.is_string() || value.is_array(),
            Holds::Any => true,
        };
        assert!(fits && field.removed_in.is_none() && field.beta.is_none(), "{name}: {value}");
    }
}
