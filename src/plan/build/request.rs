//! A target's own request, and the roots that count for it alone.

use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::Bytes;
use http::Method;
use toml::Spanned;

use super::super::{Endpoint, OwnRequest, Trust};
use super::Build;
use crate::config::{self, Config, ExpectJson, Secret, TargetTrust};
use crate::observation::Wanted;
use crate::provider::Provider;

/// Headers that the connection or the body decides.
const OURS: &[&str] = &[
    "host",
    "connection",
    "content-length",
    "transfer-encoding",
    "upgrade",
    "te",
    "trailer",
    "expect",
    "accept-encoding",
];

/// The variable that holds a value.
fn variable(value: &Spanned<config::Text>) -> Option<String> {
    match value.get_ref() {
        config::Text::Env(name) => Some(name.clone()),
        config::Text::Literal(_) => None,
    }
}

impl Build<'_> {
    /// The request; its path goes into the URL that it is sent to.
    pub(super) fn own_request(
        &mut self,
        target: &config::Target,
        provider: Option<Provider>,
        endpoint: Option<&mut Endpoint>,
    ) -> Option<OwnRequest> {
        let (table, endpoint) = target.request.as_ref().zip(endpoint)?;
        let own = self.request(table.get_ref(), endpoint)?;
        let facts = provider.map(Provider::facts);
        let costs = own.method == Method::POST && own.body.is_some();
        let free = facts.and_then(|facts| facts.counting).map(|free| free.path);
        let free = free.is_some_and(|free| endpoint.url.path().ends_with(free));
        if costs && !free && provider != Some(Provider::Generic) {
            let what = "each check sends this, and the API may charge for it";
            self.warn(table.span(), what, "make the interval longer, or ask for what is free");
        }
        Some(own)
    }

    fn request(
        &mut self,
        request: &config::Request,
        endpoint: &mut Endpoint,
    ) -> Option<OwnRequest> {
        if let Some(path) = &request.path {
            self.place(path, endpoint);
        }
        let body = request.body.as_ref().and_then(|body| self.text(body)).map(Bytes::from);
        let method = self.method(request, body.is_some());
        if let (Some(Method::HEAD), Some(json)) = (&method, &request.expect_json) {
            let what = "an answer to HEAD has no body, and no JSON (RFC 9110 9.3.2)";
            self.fault(json.span(), what, "write method = \"GET\", or leave expect_json out");
        }
        let (mut headers, mut variables) = (Vec::new(), BTreeMap::new());
        for (name, value) in &request.headers {
            headers.extend(self.request_header(name, value));
            let holder = variable(value).map(|held| (name.get_ref().to_ascii_lowercase(), held));
            variables.extend(holder);
        }
        let body_variable = request.body.as_ref().and_then(variable);
        let typed = headers.iter().any(|(name, _)| name == "content-type");
        if body.is_some() && !typed {
            headers.push(("content-type".to_owned(), "application/json".to_owned()));
        }
        let wanted = Wanted {
            status: request
                .expect_status
                .as_ref()
                .map(|s| s.get_ref().0.clone())
                .unwrap_or_default(),
            json: request.expect_json.as_ref().map(|json| self.json(json)).unwrap_or_default(),
        };
        let method = method?;
        let own = OwnRequest {
            method,
            headers,
            variables,
            body,
            body_variable,
            wanted,
            ..OwnRequest::default()
        };
        Some(own)
    }

    /// RFC 9112 3.2.1: a path, and perhaps a query.
    fn place(&mut self, path: &Spanned<config::Text>, endpoint: &mut Endpoint) {
        let Some(text) = self.text(path) else { return };
        let sound = text.starts_with('/')
            && !text.starts_with("//")
            && text.chars().all(|c| c.is_ascii_graphic() && c != '#');
        let help = "write it with its query as it is sent: \"/v1/models?limit=1\"";
        if !sound {
            self.fault(path.span(), "no path of a request", help);
            return;
        }
        match endpoint.url.join(&text) {
            Ok(url) => {
                self.holds_no_key(&url, path.span());
                endpoint.url = url;
            }
            Err(error) => self.fault(path.span(), format!("no path of a request: {error}"), help),
        }
    }

    fn method(&mut self, request: &config::Request, has_body: bool) -> Option<Method> {
        let Some(method) = &request.method else {
            return Some(if has_body { Method::POST } else { Method::GET });
        };
        let text = method.get_ref();
        let sound = !text.is_empty() && text.chars().all(|c| c.is_ascii_uppercase());
        let parsed = Method::from_bytes(text.as_bytes()).ok();
        let parsed = parsed.filter(|method| sound && *method != Method::CONNECT);
        if parsed.is_none() {
            let what = format!("`{text}` is no method of a request");
            self.fault(method.span(), what, "write it in capitals: \"GET\", \"POST\"");
        }
        parsed
    }

    fn request_header(
        &mut self,
        name: &Spanned<String>,
        value: &Spanned<config::Text>,
    ) -> Option<(String, String)> {
        let lower = name.get_ref().to_ascii_lowercase();
        // It would be printed, and sent over plain HTTP and in experiments.
        if Secret::is_named(&lower) {
            let what = format!("`{}` carries a secret", name.get_ref());
            self.fault(name.span(), what, "take it out; a key has its own setting, `key`");
            return None;
        }
        let value = self.text(value)?;
        let (_, value) = self.header(name, &value, OURS)?;
        Some((lower, value))
    }

    fn json(&mut self, json: &Spanned<ExpectJson>) -> Vec<(String, Option<serde_json::Value>)> {
        let wanted: Vec<(String, Option<serde_json::Value>)> = match json.get_ref() {
            ExpectJson::Place(place) => vec![(place.clone(), None)],
            ExpectJson::Values(values) => values
                .iter()
                .map(|(place, value)| (place.clone(), serde_json::to_value(value).ok()))
                .collect(),
        };
        for (place, _) in &wanted {
            if !place.is_empty() && !place.starts_with('/') {
                let what = format!("`{place}` is no JSON pointer (RFC 6901)");
                self.fault(json.span(), what, "write \"/data/0/id\", or \"\" for the whole of it");
            }
        }
        wanted
    }

    /// Whether its key may go over an inspected chain. Where no public root counts, one that may not would go nowhere.
    pub(super) fn key_goes(&mut self, target: &config::Target) -> bool {
        let Some(goes) = &target.key_through_inspection else { return true };
        let public = target.trust.as_ref().is_none_or(|trust| match trust.get_ref() {
            TargetTrust::Word(word) => word == "public",
            TargetTrust::File(_) => false,
        });
        if !goes.get_ref() && !public {
            let what = "the key would never be sent: no public root counts for this target";
            let help =
                "leave out `key_through_inspection`, or `trust`, or write trust = \"public\"";
            self.fault(goes.span(), what, help);
        }
        *goes.get_ref()
    }

    /// The roots that count for it alone; none: those of `[trust]`.
    pub(super) fn trust_of(
        &mut self,
        trust: &Spanned<TargetTrust>,
        config: &Config,
    ) -> Option<Arc<Trust>> {
        let nobody = Trust {
            system: None,
            organisation: Vec::new(),
            public: Some(Vec::new()),
            also: Vec::new(),
            files: Vec::new(),
        };
        let all = &config.trust;
        match trust.get_ref() {
            TargetTrust::File(file) => {
                let organisation = self.certificates(file, &trust.span());
                let files = vec![file.clone()];
                Some(Arc::new(Trust { organisation, files, ..nobody }))
            }
            TargetTrust::Word(word) => {
                let known = [("public", true), ("organisation", false)];
                let public = self.one_of(word, trust.span(), &known)?;
                if !public && all.ca_files.is_empty() {
                    let what = "the organisation has no roots here";
                    let help = "add `[trust] ca_files`, or write { ca_file = \"PATH\" }";
                    self.fault(trust.span(), what, help);
                    return None;
                }
                // What is wrong with these files is said where they stand.
                let quiet = self.problems.len();
                let whole = self.trust(all);
                self.problems.truncate(quiet);
                Some(Arc::new(if public {
                    let files = whole.files.into_iter().skip(all.ca_files.len()).collect();
                    Trust { system: None, organisation: Vec::new(), files, ..whole }
                } else {
                    let files = whole.files.into_iter().take(all.ca_files.len()).collect();
                    Trust { organisation: whole.organisation, also: whole.also, files, ..nobody }
                }))
            }
        }
    }
}
