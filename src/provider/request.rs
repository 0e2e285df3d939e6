//! What a sound request of an API is like, as data: endpoints and their fields, kinds of keys, versions, models,
//! and what the API is known to answer to a request that is not sound.
//!
//! `lint` holds a request against it. Only what a source says is here: an API takes more fields than are listed,
//! and what is not listed is no mistake unless `closed` says so.

use super::KeyHeader;
use crate::mistake::Mistake;

/// What is known of the requests of one API.
#[derive(Debug)]
pub struct Requests {
    /// The first segment of all its paths, which names the API's version; empty: there is none.
    pub version: &'static str,
    /// What may be asked for.
    pub endpoints: &'static [Endpoint],
    /// The kinds of keys that it issues, the most telling prefix first.
    pub keys: &'static [KeyKind],
    /// The headers by which a key may be sent.
    pub key_headers: &'static [KeyHeader],
    /// The headers that it needs beside the key.
    pub headers: &'static [Needed],
    /// The query parameters that it needs.
    pub query: &'static [&'static str],
    /// How paths begin that need none of them.
    pub query_unless: &'static [&'static str],
    /// Domains whose hosts serve other APIs as well, and how this one's paths begin there.
    pub shared: &'static [(&'static str, &'static [&'static str])],
    /// The largest body that it takes, in bytes.
    pub largest: u64,
    /// The models that were known when this was written; empty: none is judged.
    pub models: &'static [Model],
    /// The environment variables by which its clients are pointed elsewhere.
    pub base_variables: &'static [&'static str],
    /// What it is known to answer.
    pub answers: &'static [Answer],
}

/// Something that may be asked for.
#[derive(Debug)]
pub struct Endpoint {
    /// The path with its version; `{}` stands for one segment.
    pub path: &'static str,
    /// The methods that it takes.
    pub methods: &'static [&'static str],
    /// The fields of its body that are known.
    pub fields: &'static [Field],
    /// Whether it refuses a field that is not among them.
    pub closed: bool,
    /// What to use instead, where it is deprecated.
    pub instead: Option<&'static str>,
    /// What it needs beside what is asked for.
    pub needs: Needs,
    /// The largest body that it takes, in bytes, where that is not the API's own limit.
    pub largest: Option<u64>,
}

/// What an endpoint needs of the API's headers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Needs {
    /// The key and all headers.
    All,
    /// A key alone, as clients of another API send it: the endpoint is made for them.
    Key,
    /// Neither.
    Nothing,
}

/// A field of a body.
#[derive(Debug)]
pub struct Field {
    /// Its name, at the top of the body.
    pub name: &'static str,
    /// What it holds.
    pub holds: Holds,
    /// Whether a body without it is refused.
    pub required: bool,
    /// The version of the API, as its version header names it, from which on it is refused.
    pub removed_in: Option<&'static str>,
    /// What has to stand in the beta header, where it is a beta field.
    pub beta: Option<&'static str>,
}

/// What a field holds.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Holds {
    /// A text.
    Text,
    /// A whole number of at least this.
    Number(i64),
    /// Any number in this range.
    Fraction(f64, f64),
    /// True or false.
    Truth,
    /// A list.
    List,
    /// A list that must not be empty.
    Some,
    /// A list of messages, each with one of these roles and a content.
    Messages(&'static [&'static str]),
    /// An object.
    Object,
    /// A text or a list.
    TextOrList,
    /// A list that must not be empty, or an object in the place of its only entry.
    SomeOrObject,
    /// Whatever it is, it is not judged.
    Any,
}

/// A kind of key.
#[derive(Debug)]
pub struct KeyKind {
    /// What it is called.
    pub name: &'static str,
    /// How it begins.
    pub prefix: &'static str,
    /// The header that takes it (in lower case); none: it is no key of the API's requests at all.
    pub header: Option<&'static str>,
}

/// A header that is needed.
#[derive(Debug)]
pub struct Needed {
    /// Its name, in lower case.
    pub name: &'static str,
    /// The values that are known; empty: any.
    pub values: &'static [&'static str],
    /// The mistake of leaving it out.
    pub missing: Mistake,
}

/// A model.
#[derive(Debug)]
pub struct Model {
    /// Its id, or how all ids of it begin where it ends with `*`.
    pub id: &'static str,
    /// The day on which it was or will be retired.
    pub retired: Option<&'static str>,
}

/// What the API is known to answer to a mistake.
#[derive(Debug)]
pub struct Answer {
    /// The mistake.
    pub mistake: Mistake,
    /// The status.
    pub status: u16,
    /// The type of the error.
    pub error_type: &'static str,
    /// The words, as they were captured; `…` stands for what differs.
    pub message: &'static str,
}

/// A field that may be left out.
pub(super) const fn field(name: &'static str, holds: Holds) -> Field {
    Field { name, holds, required: false, removed_in: None, beta: None }
}

/// A field that is required.
pub(super) const fn needed(name: &'static str, holds: Holds) -> Field {
    Field { required: true, ..field(name, holds) }
}

/// A field that needs a beta header which begins so.
pub(super) const fn beta(name: &'static str, holds: Holds, header: &'static str) -> Field {
    Field { beta: Some(header), ..field(name, holds) }
}

/// Something that is read.
pub(super) const fn get(path: &'static str) -> Endpoint {
    open(path, &["GET"])
}

/// Something whose body is not judged.
pub(super) const fn open(path: &'static str, methods: &'static [&'static str]) -> Endpoint {
    Endpoint {
        path,
        methods,
        fields: &[],
        closed: false,
        instead: None,
        needs: Needs::All,
        largest: None,
    }
}

/// Something to which a body with these fields is posted.
pub(super) const fn posted(path: &'static str, fields: &'static [Field]) -> Endpoint {
    Endpoint { fields, ..open(path, &["POST"]) }
}

/// Something that wants neither key nor headers.
pub(super) const fn free(path: &'static str, methods: &'static [&'static str]) -> Endpoint {
    Endpoint { needs: Needs::Nothing, ..open(path, methods) }
}

/// Something that takes bodies of so many MiB.
pub(super) const fn large(
    path: &'static str,
    methods: &'static [&'static str],
    mebibytes: u64,
) -> Endpoint {
    Endpoint { largest: Some(mebibytes * 1024 * 1024), ..open(path, methods) }
}

/// A model in use.
pub(super) const fn model(id: &'static str) -> Model {
    Model { id, retired: None }
}

/// A model that was retired on this day.
pub(super) const fn retired(id: &'static str, day: &'static str) -> Model {
    Model { id, retired: Some(day) }
}

/// An answer that was captured.
pub(super) const fn answer(
    mistake: Mistake,
    status: u16,
    error_type: &'static str,
    message: &'static str,
) -> Answer {
    Answer { mistake, status, error_type, message }
}

impl Endpoint {
    /// Whether this path is asked for; a `{}` stands for one segment, or for the begin of one.
    pub fn is_at(&self, path: &str) -> bool {
        let (mut own, mut asked) = (self.path.split('/'), path.split('/'));
        loop {
            match (own.next(), asked.next()) {
                (None, None) => return true,
                (Some(own), Some(asked)) if own == asked => {}
                (Some(own), Some(asked)) => {
                    let Some(rest) = own.strip_prefix("{}") else { return false };
                    let stands = asked.strip_suffix(rest).is_some_and(|begin| !begin.is_empty());
                    // A method behind a colon is no part of a name.
                    if !stands || rest.is_empty() && asked.contains(':') {
                        return false;
                    }
                }
                (Some(_), None) | (None, Some(_)) => return false,
            }
        }
    }
}

impl Requests {
    /// The query parameters that this path needs.
    pub fn query_at(&self, path: &str) -> &'static [&'static str] {
        if self.query_unless.iter().any(|begin| path.starts_with(begin)) { &[] } else { self.query }
    }

    /// What is asked for by this path; what is written out stands before what a `{}` stands for.
    pub fn endpoint(&self, path: &str) -> Option<&'static Endpoint> {
        let written = self.endpoints.iter().find(|endpoint| endpoint.path == path);
        written.or_else(|| self.endpoints.iter().find(|endpoint| endpoint.is_at(path)))
    }

    /// What the API is known to answer to this mistake; none: no answer was captured.
    pub fn answer(&self, mistake: Mistake) -> Option<&'static Answer> {
        self.answers.iter().find(|answer| answer.mistake == mistake)
    }
}
