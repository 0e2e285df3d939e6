//! A curl command line as the request that it would send (curl.se, "curl.1"). It reads no file: what is named is
//! handed over by who may. What has no bearing on the request is passed over.

mod pieces;

use std::collections::BTreeMap;
use std::fmt;

use data_encoding::BASE64;
use percent_encoding::percent_decode_str;
use url::Url;

use pieces::{Piece, Put, Source, encoded, piece, with_ampersand};

use super::options::{self, Opt};
use super::request::{Fault, Header, Place, Request};
use super::shell::{self, Command, Input, Variables, Word};
use crate::config::Secret;

/// A file's bytes, or why they cannot be had.
pub type Files = BTreeMap<String, Result<Vec<u8>, String>>;

/// A command line that was understood, before its files are read.
#[derive(Clone, Default)]
#[expect(clippy::struct_excessive_bools, reason = "each is an option of curl")]
pub struct Line {
    method: Option<String>,
    url: Option<Word>,
    more: usize,
    headers: Vec<Header>,
    removed: Vec<String>,
    body: Vec<Piece>,
    query: Vec<Piece>,
    upload: Option<Piece>,
    get: bool,
    head: bool,
    login: Option<Secret>,
    bearer: Option<Secret>,
    signed: bool,
    insecure: Option<&'static str>,
    own_proxy: bool,
    input: Option<Input>,
    notes: Vec<String>,
}

impl fmt::Debug for Line {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Line").field("headers", &self.headers).finish_non_exhaustive()
    }
}

/// Reads a command line with what the environment's variables hold.
pub fn read(text: &str, variables: Variables<'_>) -> Result<Line, Fault> {
    let is_curl = |word: &str| {
        let name = word.rsplit(['/', '\\']).next().unwrap_or_default();
        name == "curl" || name == "curl.exe"
    };
    let Command { words, input, notes } = shell::command(text, variables, is_curl)?;
    let mut line = Line { input, notes, ..Line::default() };
    let mut words = words.into_iter().skip(1);
    let mut options_end = false;
    while let Some(word) = words.next() {
        let text = word.text.expose().to_owned();
        match text.strip_prefix('-') {
            _ if options_end => line.take_url(word),
            Some("-") => options_end = true,
            Some(rest) if rest.starts_with('-') => {
                if !line.long(&word, rest.trim_start_matches('-'), &mut words)? {
                    break;
                }
            }
            Some(letters) if !letters.is_empty() => {
                if !line.short(&word, letters, &mut words)? {
                    break;
                }
            }
            _ => line.take_url(word),
        }
    }
    if line.url.is_none() {
        let help = "add the URL, or quote it where the shell took a part of it away";
        return Err(Fault::at(Place::START, "the command line has no URL", help));
    }
    Ok(line)
}

fn unknown(place: Place, help: String) -> Fault {
    // The word may be a secret that lost the option before it.
    Fault::at(place, "an option that curl does not know", help)
}

impl Line {
    fn take_url(&mut self, word: Word) {
        if self.url.is_some() {
            self.more += 1;
        } else {
            self.url = Some(word);
        }
    }

    /// `--name`, with the next word as its value; whether the same request goes on.
    fn long(
        &mut self,
        word: &Word,
        name: &str,
        words: &mut impl Iterator<Item = Word>,
    ) -> Result<bool, Fault> {
        if name == "next" {
            self.another_request(word.place);
            return Ok(false);
        }
        let off =
            name.strip_prefix("no-").filter(|name| options::long(name).is_some_and(|o| !o.valued));
        if options::long(name).is_none() && off.is_some() {
            if off == Some("insecure") {
                self.insecure = None;
            }
            return Ok(true);
        }
        let Some(option) = options::long(name) else {
            let help = match name.split_once('=') {
                Some((name, _)) if options::long(name).is_some() => {
                    format!("curl takes --{name} and its value as two words, without =")
                }
                _ => options::meant(name),
            };
            return Err(unknown(word.place, help));
        };
        self.option(option, word, None, words)?;
        Ok(true)
    }

    /// `-sSX POST`, `-XPOST`; whether the same request goes on.
    fn short(
        &mut self,
        word: &Word,
        letters: &str,
        words: &mut impl Iterator<Item = Word>,
    ) -> Result<bool, Fault> {
        let mut rest = letters.chars();
        while let Some(letter) = rest.next() {
            if letter == ':' {
                self.another_request(word.place);
                return Ok(false);
            }
            let Some(option) = options::short(letter) else {
                let help = "see `curl --help all`; a word that begins with - and is no option goes behind --";
                return Err(unknown(word.place, help.to_owned()));
            };
            if option.valued {
                let attached = Some(rest.as_str()).filter(|rest| !rest.is_empty());
                self.option(option, word, attached, words)?;
                return Ok(true);
            }
            self.flag(option, "-k");
        }
        Ok(true)
    }

    fn another_request(&mut self, place: Place) {
        self.notes
            .push(format!("--next at {place} begins another request, which is not looked at"));
    }

    fn option(
        &mut self,
        option: Opt,
        word: &Word,
        attached: Option<&str>,
        words: &mut impl Iterator<Item = Word>,
    ) -> Result<(), Fault> {
        if !option.valued {
            self.flag(option, "--insecure");
            return Ok(());
        }
        let value = match attached {
            Some(text) => Some(Word { text: Secret::new(text.to_owned()), ..word.clone() }),
            None => words.next(),
        };
        let Some(value) = value else {
            let what = format!("--{} lacks its value", option.name);
            return Err(Fault::at(word.place, what, "give it behind the option"));
        };
        self.valued(option.name, value)
    }

    fn flag(&mut self, option: Opt, insecure: &'static str) {
        match option.name {
            "insecure" => self.insecure = Some(insecure),
            "get" => self.get = true,
            "head" => self.head = true,
            _ => {}
        }
    }

    fn valued(&mut self, name: &str, word: Word) -> Result<(), Fault> {
        let text = word.text.expose().to_owned();
        let place = word.place;
        match name {
            "request" => self.method = Some(text),
            "url" => self.take_url(word),
            "header" => self.header(&word),
            "data" | "data-ascii" => self.body.push(piece(&text, Put::Text, place)),
            "data-binary" => self.body.push(piece(&text, Put::Binary, place)),
            "data-raw" => {
                let source = Source::Text(text);
                self.body.push(Piece { source, put: Put::Text, name: String::new(), place });
            }
            "json" => self.body.push(piece(&text, Put::Json, place)),
            "data-urlencode" => self.body.push(encoded(&text, place)),
            "url-query" => self.query.push(match text.strip_prefix('+') {
                Some(rest) => piece(rest, Put::Binary, place),
                None => encoded(&text, place),
            }),
            "upload-file" => {
                let source = if text == "-" { Source::Input } else { Source::File(text) };
                self.upload = Some(Piece { source, put: Put::Binary, name: String::new(), place });
            }
            "user" => self.login = Some(Secret::new(text)),
            "oauth2-bearer" => self.bearer = Some(Secret::new(text)),
            "aws-sigv4" => self.signed = true,
            "user-agent" => self.said("User-Agent", text),
            "referer" => self.said("Referer", text),
            "cookie" if text.contains('=') => self.said("Cookie", text),
            "proxy" | "preproxy" | "socks5" | "socks5-hostname" | "socks4" | "socks4a"
            | "proxy1.0" | "noproxy" => self.own_proxy = true,
            "config" => {
                self.notes.push(format!("the options in the file at {place} were not read"));
            }
            "form" | "form-string" => {
                let help = "write the request to a file, and give that as --request FILE";
                return Err(Fault::at(place, "a form of several parts (-F) is not read", help));
            }
            _ => {}
        }
        Ok(())
    }

    fn said(&mut self, name: &str, value: String) {
        self.headers.push(Header::new(name, value));
    }

    /// `Name: value`; `Name:` takes curl's own away, `Name;` sends an empty one.
    fn header(&mut self, word: &Word) {
        let text = word.text.expose();
        if text.starts_with('@') {
            self.notes.push(format!("the headers in the file at {} were not read", word.place));
            return;
        }
        let of = |name: &str, value: &str| Header {
            unset: word.unset.clone(),
            made: word.made,
            ..Header::new(name, value)
        };
        match (text.split_once(':'), text.trim_end().strip_suffix(';')) {
            (Some((name, value)), _) if value.trim().is_empty() => {
                self.removed.push(name.trim().to_owned());
            }
            (Some((name, value)), _) => {
                let value = value.strip_prefix(' ').unwrap_or(value);
                self.headers.push(of(name.trim(), value));
            }
            (None, Some(name)) => self.headers.push(of(name.trim(), "")),
            (None, None) => self
                .notes
                .push(format!("the header at {} has no colon: curl does not send it", word.place)),
        }
    }

    /// The files whose bytes [`Self::request`] needs.
    pub fn files(&self) -> impl Iterator<Item = &str> {
        let pieces = self.body.iter().chain(&self.query).chain(&self.upload);
        let of_pieces = pieces.filter_map(|piece| match &piece.source {
            Source::File(path) => Some(path.as_str()),
            Source::Text(_) | Source::Input => None,
        });
        let of_input = self.input.iter().filter_map(|input| match input {
            Input::File(word) => Some(word.text.expose()),
            Input::Text(_) => None,
        });
        of_pieces.chain(of_input)
    }

    /// The request, once its files have been read.
    pub fn request(mut self, files: &Files) -> Result<Request, Fault> {
        let Some(word) = self.url.take() else {
            return Err(Fault::at(Place::START, "the command line has no URL", "add it"));
        };
        let body = self.joined(&self.body, files)?;
        let mut query = self.joined(&self.query, files)?;
        if self.get {
            query = [query, body.clone()].into_iter().flatten().reduce(with_ampersand);
        }
        let url = whole(&word, query.as_deref())?;
        let upload = self.upload.as_ref().map(|piece| self.bytes(piece, files)).transpose()?;
        let body = if self.get || self.head { None } else { body.or(upload) };
        let method = match &self.method {
            Some(method) => method.as_str(),
            None if self.head => "HEAD",
            None if body.is_some() => {
                if self.upload.is_some() && self.body.is_empty() {
                    "PUT"
                } else {
                    "POST"
                }
            }
            None => "GET",
        };
        let mut request = Request::new(method, url);
        request.body = body;
        request.insecure = self.insecure;
        request.own_proxy = self.own_proxy;
        if self.more > 0 {
            let more = self.more;
            self.notes.push(format!("{more} more URL(s) on the line are not looked at"));
        }
        if word.made || self.headers.iter().any(|header| header.made) {
            self.notes.push(
                "a command in the line was not run: what it would print is not judged".to_owned(),
            );
        }
        request.headers = self.with_implied(&request);
        request.notes = self.notes;
        // From here on the login is a header, as on the wire.
        let (Ok(()) | Err(())) = request.url.set_username("").and(request.url.set_password(None));
        Ok(request)
    }

    /// The headers on the line, and what curl adds.
    fn with_implied(&self, request: &Request) -> Vec<Header> {
        let mut headers = self.headers.clone();
        let free = |name: &str| {
            !self.headers.iter().any(|header| header.is(name))
                && !self.removed.iter().any(|removed| removed.eq_ignore_ascii_case(name))
        };
        let mut implied = Vec::new();
        let json = self.body.iter().any(|piece| piece.put == Put::Json);
        if free("Accept") {
            implied.push(Header::implied("Accept", if json { "application/json" } else { "*/*" }));
        }
        if request.body.is_some() && !self.body.is_empty() && free("Content-Type") {
            let kind = if json { "application/json" } else { "application/x-www-form-urlencoded" };
            implied.push(Header::implied("Content-Type", kind));
        }
        if let Some(value) = self.authorization(&request.url).filter(|_| free("Authorization")) {
            implied.push(Header::new("Authorization", value));
        }
        if self.signed {
            implied.push(Header::implied("X-Amz-Date", "…"));
        }
        headers.extend(implied);
        headers
    }

    /// What curl makes of a login.
    fn authorization(&self, url: &Url) -> Option<String> {
        if self.signed {
            return Some("AWS4-HMAC-SHA256 …".to_owned());
        }
        if let Some(token) = &self.bearer {
            return Some(format!("Bearer {}", token.expose()));
        }
        let in_url = || {
            let decoded = |text| percent_decode_str(text).decode_utf8_lossy().into_owned();
            let name = url.username();
            let login = || format!("{}:{}", decoded(name), decoded(url.password().unwrap_or("")));
            (!name.is_empty() || url.password().is_some()).then(login)
        };
        let login = self.login.as_ref().map(|login| login.expose().to_owned()).or_else(in_url)?;
        let login = if login.contains(':') { login } else { login + ":" };
        Some(format!("Basic {}", BASE64.encode(login.as_bytes())))
    }
}

/// The URL with the query that options add; without a scheme it is HTTP.
fn whole(word: &Word, query: Option<&[u8]>) -> Result<Url, Fault> {
    let written = word.text.expose();
    let help = "write https://, the host and the path";
    if written.contains(|c: char| c.is_whitespace() || c.is_control()) {
        let what = "white space in the URL, which curl refuses";
        return Err(Fault::at(word.place, what, "take it out, or write %20"));
    }
    let guessed =
        if written.contains("://") { written.to_owned() } else { format!("http://{written}") };
    let mut url = match Url::parse(&guessed) {
        Ok(url) if matches!(url.scheme(), "http" | "https") && url.has_host() => url,
        Ok(_) => return Err(Fault::at(word.place, "a URL that is not HTTP's", help)),
        Err(error) => {
            return Err(Fault::at(word.place, format!("the URL is none: {error}"), help));
        }
    };
    if let Some(query) = query {
        let query = String::from_utf8_lossy(query);
        let all = url.query().map_or_else(|| query.to_string(), |old| format!("{old}&{query}"));
        url.set_query(Some(&all));
    }
    Ok(url)
}
