//! A curl command line as the request that it would send (curl.se, "curl.1"). It reads no file: what is named is
//! handed over by who may. What has no bearing on the request is passed over.

mod pieces;
mod sent;

use std::collections::BTreeMap;
use std::fmt;

use pieces::{Piece, Put, Source, encoded, piece, with_ampersand};
use sent::{proxy, whole};

use super::options::{self, Opt};
use super::request::{Fault, Header, Part, Place, Request, Unmade};
use super::shell::{self, Command, Input, Variables, Word};
use crate::config::Secret;

/// A file's bytes, or why they cannot be had.
pub type Files = BTreeMap<String, Result<Vec<u8>, String>>;

/// Notes that are said at most.
const MOST_NOTES: usize = 20;

/// A command line that was understood, before its files are read.
#[derive(Clone, Default)]
#[expect(clippy::struct_excessive_bools, reason = "each is an option of curl")]
pub struct Line {
    method: Option<String>,
    url: Option<Word>,
    more: usize,
    headers: Vec<Header>,
    header_files: Vec<(String, Place)>,
    /// By options of their own: `-A`, `-e`, `-b`, `-r`.
    told: Vec<Header>,
    removed: Vec<String>,
    body: Vec<Piece>,
    query: Vec<Piece>,
    upload: Option<Piece>,
    get: bool,
    head: bool,
    login: Option<Word>,
    bearer: Option<Word>,
    signed: bool,
    insecure: Option<&'static str>,
    own_proxy: bool,
    proxy: Option<Secret>,
    way: Vec<&'static str>,
    unmade: Vec<Unmade>,
    unread: bool,
    input_unmade: Option<Unmade>,
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
    let Command { words, input, input_made, notes } = shell::command(text, variables, is_curl)?;
    let input_unmade =
        input_made.map(|(by_command, place)| Unmade { part: Part::Body, place, by_command });
    let mut line = Line { input_unmade, input, notes, ..Line::default() };
    let mut words = words.into_iter().skip(1);
    let mut options_end = false;
    while let Some(word) = words.next() {
        let text = word.text.expose().to_owned();
        if text
            .starts_with(['\u{2010}', '\u{2011}', '\u{2012}', '\u{2013}', '\u{2014}', '\u{2212}'])
        {
            let what = "a dash as word processors make it, in the place of -";
            return Err(Fault::at(word.place, what, "type the option anew: - or --"));
        }
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
            "netrc" | "netrc-optional" => self.netrc(),
            _ => {}
        }
        if options::is_of_the_way(option.name) {
            self.way.push(option.name);
        }
    }

    fn netrc(&mut self) {
        self.unread = true;
        self.notes.push("a login in a .netrc was not read".to_owned());
    }

    /// What a command or a variable that is not set makes is not there.
    fn made(&mut self, part: Part, word: &Word) {
        if (word.made || !word.unset.is_empty()) && self.unmade.len() < MOST_NOTES {
            self.unmade.push(Unmade { part, place: word.place, by_command: word.made });
        }
    }

    /// What is kept of any value: whether it is known, and whether it decides the way.
    fn mark(&mut self, name: &'static str, word: &Word) {
        match name {
            "request" => self.made(Part::Method, word),
            "url-query" => self.made(Part::Url, word),
            "json" | "upload-file" => self.made(Part::Body, word),
            _ if name.starts_with("data") => self.made(Part::Body, word),
            _ => {}
        }
        if options::is_of_the_way(name) {
            self.way.push(name);
        }
    }

    fn valued(&mut self, name: &'static str, word: Word) -> Result<(), Fault> {
        let text = word.text.expose().to_owned();
        let place = word.place;
        self.mark(name, &word);
        match name {
            "request" => self.method = Some(text),
            "url" => self.take_url(word),
            "header" => self.header(&word)?,
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
            "user" => self.login = Some(word),
            "oauth2-bearer" => self.bearer = Some(word),
            "aws-sigv4" => self.signed = true,
            "user-agent" => self.said("User-Agent", &text, &word),
            "referer" => self.said("Referer", &text, &word),
            "cookie" if text.contains('=') => self.said("Cookie", &text, &word),
            "range" => self.said("Range", &format!("bytes={text}"), &word),
            "netrc-file" => self.netrc(),
            "preproxy" | "noproxy" => self.own_proxy = true,
            "proxy" | "socks5" | "socks5-hostname" | "socks4" | "socks4a" | "proxy1.0" => {
                self.made(Part::Proxy, &word);
                self.own_proxy = true;
                self.proxy = Some(text)
                    .filter(|text| !text.is_empty())
                    .map(|text| Secret::new(proxy(name, &text)));
                if self.proxy.is_none() {
                    self.way.push("--proxy with nothing behind it");
                }
            }
            "config" => {
                self.unread = true;
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
        let of_headers = self.header_files.iter().map(|(path, _)| path.as_str());
        of_pieces.chain(of_input).chain(of_headers)
    }

    fn cap_notes(&mut self) {
        let left = self.notes.len().saturating_sub(MOST_NOTES);
        if left > 0 {
            self.notes.truncate(MOST_NOTES);
            self.notes.push(format!("{left} more of these are left out"));
        }
    }

    /// The request, once its files have been read.
    pub fn request(mut self, files: &Files) -> Result<Request, Fault> {
        let Some(word) = self.url.take() else {
            return Err(Fault::at(Place::START, "the command line has no URL", "add it"));
        };
        self.made(Part::Url, &word);
        self.read_headers(files)?;
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
        request.proxy = self.proxy.take();
        request.way = std::mem::take(&mut self.way);
        request.way.sort_unstable();
        request.way.dedup();
        let reads = |piece: &Piece| matches!(piece.source, Source::Input);
        if self.body.iter().chain(&self.upload).any(reads) {
            self.unmade.extend(self.input_unmade);
        }
        if self.get {
            self.unmade
                .iter_mut()
                .filter(|unmade| unmade.part == Part::Body)
                .for_each(|unmade| unmade.part = Part::Url);
        }
        request.unmade = std::mem::take(&mut self.unmade);
        request.unread = self.unread;
        if self.more > 0 {
            let more = self.more;
            self.notes.push(format!("{more} more URL(s) on the line are not looked at"));
        }
        if self.headers.iter().any(|header| header.made) {
            self.notes.push(
                "a command in the line was not run: what it would print is not judged".to_owned(),
            );
        }
        request.headers = self.with_implied(&request);
        self.cap_notes();
        request.notes = self.notes;
        // From here on the login is a header, as on the wire.
        let (Ok(()) | Err(())) = request.url.set_username("").and(request.url.set_password(None));
        Ok(request)
    }
}
