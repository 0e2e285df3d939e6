//! A request as data, wherever it was read: method, URL, headers in their order, body. Nothing of it can be
//! printed by accident: a URL may hold a login or a key, a header is often one.

use std::fmt;

use url::{Host, Url};

use super::look::shown_name;
use crate::config::Secret;
use crate::provider::Provider;

/// The longest segment of an unknown path that is shown.
const LONGEST_SEGMENT: usize = 24;

/// The longest path that is shown, in characters.
const LONGEST_PATH: usize = 200;

/// A place in a text that a person wrote: both count from 1, columns in characters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place {
    /// The line.
    pub line: usize,
    /// The column.
    pub column: usize,
}

impl Place {
    /// Where a text begins.
    pub const START: Self = Self { line: 1, column: 1 };

    /// The place behind this character.
    pub(super) fn after(self, c: char) -> Self {
        match c {
            '\n' => Self { line: self.line + 1, column: 1 },
            _ => Self { column: self.column + 1, ..self },
        }
    }

    /// The place of a byte of a text; a byte that is no text counts as a character.
    pub(super) fn of(bytes: &[u8], at: usize) -> Self {
        let before = bytes.get(..at).unwrap_or(bytes);
        let begin = before.iter().rposition(|byte| *byte == b'\n').map_or(0, |end| end + 1);
        let line = before.split(|byte| *byte == b'\n').count();
        let last = before.get(begin..).unwrap_or_default();
        Self { line, column: String::from_utf8_lossy(last).chars().count() + 1 }
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.line, self.column)
    }
}

/// Why a text cannot be read as a request, and the way out. What stands there is never said back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// Where.
    pub place: Place,
    /// The reason.
    pub what: String,
    /// The way out.
    pub help: String,
}

impl Fault {
    pub(super) fn at(place: Place, what: impl Into<String>, help: impl Into<String>) -> Self {
        Self { place, what: what.into(), help: help.into() }
    }

    /// `source:line:column: reason`, then the way out.
    pub fn render(&self, source: &str) -> String {
        format!("{source}:{}: {}\n    {}", self.place, self.what, self.help)
    }
}

/// A header as it would be sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Header {
    /// Its name, as written.
    pub name: String,
    /// Its value.
    pub value: Secret,
    /// The variables in it that are not set here, so that their names still stand there.
    pub unset: Vec<String>,
    /// Whether a part of it is made by a command, which is not run here.
    pub made: bool,
    /// Whether the client adds it by itself.
    pub implied: bool,
}

impl Header {
    /// A header whose value is as it stands.
    pub fn new(name: &str, value: impl Into<String>) -> Self {
        Self {
            name: name.to_owned(),
            value: Secret::new(value.into()),
            unset: Vec::new(),
            made: false,
            implied: false,
        }
    }

    /// A header that the client adds by itself.
    pub(super) fn implied(name: &str, value: impl Into<String>) -> Self {
        Self { implied: true, ..Self::new(name, value) }
    }

    /// Whether it has this name, in whatever case.
    pub fn is(&self, name: &str) -> bool {
        self.name.eq_ignore_ascii_case(name)
    }

    /// What a server takes for its value (RFC 9110 5.5: blanks around it are none of it).
    pub(super) fn trimmed(&self) -> &str {
        self.value.expose().trim_matches([' ', '\t'])
    }
}

/// A request that can be judged.
#[derive(Clone)]
pub struct Request {
    /// The method, as written.
    pub method: String,
    /// Where it goes.
    pub url: Url,
    /// The headers, in their order.
    pub headers: Vec<Header>,
    /// The body, byte for byte.
    pub body: Option<Vec<u8>>,
    /// The option by which certificates are not checked.
    pub insecure: Option<&'static str>,
    /// Whether it names its proxy itself, so that the environment's is not taken.
    pub own_proxy: bool,
    /// The proxy that it names itself.
    pub proxy: Option<Secret>,
    /// Options that decide the way, beside the proxy, as they are written in full.
    pub way: Vec<&'static str>,
    /// The parts that a command or a variable that is not set would make, and where they stand: what is here is
    /// not what would be sent.
    pub unmade: Vec<Unmade>,
    /// Whether headers may come from a file that was not read, so that what is not here is not missing.
    pub unread: bool,
    /// What was not read, or is not judged, and why.
    pub notes: Vec<String>,
}

/// A part of a request that is not known before something is run or set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Unmade {
    /// Which.
    pub part: Part,
    /// Where it stands.
    pub place: Place,
    /// Whether a command makes it; else a variable does.
    pub by_command: bool,
}

/// A part of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    /// The method.
    Method,
    /// The URL.
    Url,
    /// The body.
    Body,
    /// The proxy.
    Proxy,
}

impl fmt::Display for Unmade {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let part = match self.part {
            Part::Method => "method",
            Part::Url => "URL",
            Part::Body => "body",
            Part::Proxy => "proxy",
        };
        let by = if self.by_command {
            "a command makes a part of it, which is not run"
        } else {
            "a variable in it is not set here"
        };
        write!(f, "the {part} at {}: {by}", self.place)
    }
}

impl Request {
    /// A request for this URL without anything else.
    pub fn new(method: &str, url: Url) -> Self {
        Self {
            method: method.to_owned(),
            url,
            headers: Vec::new(),
            body: None,
            insecure: None,
            own_proxy: false,
            proxy: None,
            way: Vec::new(),
            unmade: Vec::new(),
            unread: false,
            notes: Vec::new(),
        }
    }

    /// All headers of this name.
    pub fn all<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a Header> {
        self.headers.iter().filter(move |header| header.is(name))
    }

    /// The first header of this name.
    pub fn header(&self, name: &str) -> Option<&Header> {
        self.headers.iter().find(|header| header.is(name))
    }

    /// The host.
    pub(super) fn host(&self) -> Host<String> {
        self.url.host().map_or_else(|| Host::Domain(String::new()), |host| host.to_owned())
    }

    /// Where it goes, without login, query and fragment: what may be shown.
    pub fn shown_url(&self) -> String {
        let port = self.url.port().map(|port| format!(":{port}")).unwrap_or_default();
        format!("{}://{}{port}{}", self.url.scheme(), self.host(), self.shown_path())
    }

    /// Its path: what may be a key that was pasted into one is left out.
    pub(super) fn shown_path(&self) -> String {
        let path = self.url.path();
        // Where the path is known, what is long is a model or a deployment; elsewhere it may be a secret.
        let mut all = Provider::ALL.iter();
        let known = all.any(|provider| provider.facts().requests.endpoint(path).is_some());
        let shown = path.split('/').map(|part| match part {
            "" => "",
            part if part.len() > LONGEST_SEGMENT && !known => "…",
            part => shown_name(part).unwrap_or("…"),
        });
        let whole = shown.collect::<Vec<&str>>().join("/");
        match whole.char_indices().nth(LONGEST_PATH) {
            Some((at, _)) => format!("{}…", whole.get(..at).unwrap_or_default()),
            None => whole,
        }
    }
}

impl fmt::Debug for Request {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Request")
            .field("method", &self.method)
            .field("url", &self.shown_url())
            .field("headers", &self.headers)
            .field("body", &self.body.as_ref().map(Vec::len))
            .finish_non_exhaustive()
    }
}
