//! What is known of each API: its hosts, its minimal request, the marks of its answers, its errors.
//!
//! A provider is one file of data and a few functions, registered in `Provider`. Nothing here
//! decides who answered: it reads marks, `diagnosis::author` weighs them.

mod anthropic;
mod azure_openai;
mod bedrock;
mod body;
mod gemini;
mod generic;
mod github_copilot;
mod openai;
pub mod request;
mod wrapped;

use std::fmt;

pub use generic::{is_made_by_edge, lacks_the_resource};
pub use wrapped::wraps_an_error;

use crate::cause::Cause;
use crate::observation::{Range, Response};
use request::Requests;

/// What one file says of its API.
#[derive(Debug)]
pub struct Facts {
    /// The name in the configuration.
    pub id: &'static str,
    /// The provider's own hosts; `*` stands for one label.
    pub hosts: &'static [&'static str],
    /// The addresses that it publishes as its own; none where it publishes none.
    pub ranges: &'static [Range],
    /// The minimal request that costs nothing; none where the host is the customer's.
    pub url: Option<&'static str>,
    /// What is asked for at its own hosts that begin so, where the URL names no path.
    pub minimal: &'static [(&'static str, &'static str)],
    /// How a key is sent.
    pub key: Option<KeyHeader>,
    /// Headers that every request needs.
    pub headers: &'static [(&'static str, &'static str)],
    /// Whether an answer can only be understood whole.
    pub whole_body: bool,
    /// A request with a body, which costs nothing.
    pub counting: Option<Post>,
    /// A request whose answer is streamed, which costs a few tokens.
    pub streaming: Option<Post>,
    /// After how many seconds of silence its edge closes a connection by itself, where that was measured.
    pub closes_after: Option<u16>,
    /// What a sound request is like.
    pub requests: &'static Requests,
    /// Reads the marks of an answer.
    pub read: fn(&Response) -> Reading,
    /// What an error of the API means. Where none was sent, a key is missing, whatever is said of it.
    pub cause: fn(&Response, &Reading) -> Option<Cause>,
}

impl Facts {
    /// What costs nothing to ask for at one of its own hosts.
    pub fn minimal_at(&self, host: &str) -> Option<&'static str> {
        let begins = |(begin, _): &&(&str, &str)| host.starts_with(begin);
        self.minimal.iter().find(begins).map(|(_, path)| *path)
    }

    /// The headers that every request needs, as they are sent.
    pub fn needed_headers(&self) -> Vec<(String, String)> {
        let owned = |(name, value): &(&str, &str)| ((*name).to_owned(), (*value).to_owned());
        self.headers.iter().map(owned).collect()
    }
}

/// A request with a body.
#[derive(Clone, Copy, Debug)]
pub struct Post {
    /// Its path, with the version.
    pub path: &'static str,
    /// A harmless body of about so many bytes, at least what is needed.
    pub body: fn(usize) -> String,
}

/// The header that carries a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct KeyHeader {
    /// Its name.
    pub name: &'static str,
    /// What stands before the key.
    pub prefix: &'static str,
}

/// The marks of one answer.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[expect(clippy::struct_excessive_bools, reason = "each mark is there or not, by itself")]
pub struct Reading {
    /// It carries a mark that only the API's origin sets.
    pub origin_mark: bool,
    /// It carries a mark that the provider's edge sets.
    pub edge_mark: bool,
    /// It has the shape of this API's answers (generic: it is what was asked for).
    pub shape: bool,
    /// It has a word that the documentation of an API has, this one's or one that gateways relay: a code and a message
    /// alone are anybody's.
    pub documented: bool,
    /// It has another API's shape, or one that gateways have.
    pub relayed: bool,
    /// The error's type, as the API names it.
    pub error_type: Option<String>,
    /// The API's own words.
    pub message: Option<String>,
    /// The id that the provider's support asks for.
    pub request_id: Option<String>,
}

/// The known APIs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Provider {
    /// The Claude API.
    Anthropic,
    /// The OpenAI API.
    Openai,
    /// The same as Azure serves it.
    AzureOpenai,
    /// The Gemini API.
    Gemini,
    /// Amazon Bedrock.
    Bedrock,
    /// GitHub Copilot.
    GithubCopilot,
    /// Any URL.
    Generic,
}

impl Provider {
    /// All of them.
    pub const ALL: &[Self] = &[
        Self::Anthropic,
        Self::Openai,
        Self::AzureOpenai,
        Self::Gemini,
        Self::Bedrock,
        Self::GithubCopilot,
        Self::Generic,
    ];

    /// What is known of it.
    pub fn facts(self) -> &'static Facts {
        match self {
            Self::Anthropic => &anthropic::FACTS,
            Self::Openai => &openai::FACTS,
            Self::AzureOpenai => &azure_openai::FACTS,
            Self::Gemini => &gemini::FACTS,
            Self::Bedrock => &bedrock::FACTS,
            Self::GithubCopilot => &github_copilot::FACTS,
            Self::Generic => &generic::FACTS,
        }
    }

    /// Reads the marks of an answer.
    pub fn read(self, response: &Response) -> Reading {
        match self {
            // Nothing is known of what it wraps.
            Self::Generic => (self.facts().read)(response),
            _ => wrapped::read(self.facts(), response),
        }
    }

    /// What an error of the API means.
    pub fn cause(self, response: &Response, reading: &Reading) -> Option<Cause> {
        match wrapped::cause(self.facts(), response, reading) {
            // What is said of a key that was not sent is the demand for one.
            Some(Cause::ApiKeyInvalid) if !response.keyed => Some(Cause::ApiKeyMissing),
            cause => cause,
        }
    }

    /// The one of this name.
    pub fn named(id: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|provider| provider.facts().id == id)
    }

    /// The one whose host this is.
    pub fn of_host(host: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|provider| provider.owns(host))
    }

    /// Whether this is one of the provider's own hosts.
    pub fn owns(self, host: &str) -> bool {
        self.facts().hosts.iter().any(|own| is_of(own, host))
    }
}

impl fmt::Display for Provider {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.facts().id)
    }
}

/// Whether a host is one of this pattern.
fn is_of(pattern: &str, host: &str) -> bool {
    let (mut pattern, mut host) = (pattern.split('.'), host.split('.'));
    loop {
        match (pattern.next(), host.next()) {
            (None, None) => return true,
            (Some("*"), Some(label)) if !label.is_empty() => {}
            (Some(own), Some(label)) if own.eq_ignore_ascii_case(label) => {}
            _ => return false,
        }
    }
}

/// Cloudflare sets `cf-ray` on what passes it and `cf-mitigated` on its challenges
/// (developers.cloudflare.com, "Cloudflare HTTP headers", "Detect a challenge page response").
fn is_cloudflare(response: &Response) -> bool {
    response.header("cf-ray").is_some()
        || response.header("cf-mitigated").is_some()
        || response.header("cf-error-type").is_some()
        || response.header("server").is_some_and(|server| server.eq_ignore_ascii_case("cloudflare"))
}
