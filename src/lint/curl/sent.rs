//! What curl makes of its options: headers that it adds or takes away, logins, the whole URL, the proxy. It puts no
//! body together.

use data_encoding::BASE64;
use percent_encoding::percent_decode_str;
use url::Url;

use super::pieces::Put;
use super::{Fault, Files, Header, Line, Request, Secret, Word};
use crate::lint::http::LONGEST_HEAD;

/// Headers that are taken at most.
const MOST_HEADERS: usize = 1000;

impl Header {
    /// A header that a word of the line makes.
    fn of(word: &Word, name: &str, value: &str) -> Self {
        Self { unset: word.unset.clone(), made: word.made, ..Self::new(name, value) }
    }
}

impl Line {
    /// What an option of its own says of a header: the last one counts, and cookies are put together.
    pub(super) fn said(&mut self, name: &str, value: &str, word: &Word) {
        let told = self.told.iter().position(|header| header.is(name));
        let mut header = Header::of(word, name, value);
        if let Some(place) = told {
            let old = self.told.remove(place);
            if name == "Cookie" {
                header.value = Secret::new(format!("{};{value}", old.value.expose()));
                header.made |= old.made;
                header.unset.extend(old.unset);
            }
        }
        self.told.push(header);
    }

    /// `Name: value`; `Name:` takes curl's own away, `Name;` sends an empty one; `@FILE` has one a line.
    pub(super) fn header(&mut self, word: &Word) -> Result<(), Fault> {
        let text = word.text.expose();
        if let Some(path) = text.strip_prefix('@') {
            if path == "-" {
                self.unread = true;
                self.notes.push(format!("the headers at {} were not read", word.place));
            } else {
                self.header_files.push((path.to_owned(), word.place));
            }
            return Ok(());
        }
        self.header_line(text, word)
    }

    fn header_line(&mut self, text: &str, word: &Word) -> Result<(), Fault> {
        if self.headers.len() + self.removed.len() >= MOST_HEADERS {
            let what = "more than 1000 headers";
            return Err(Fault::at(word.place, what, "no server takes them; send less"));
        }
        match (text.split_once(':'), text.trim_end().strip_suffix(';')) {
            (Some((name, value)), _) if value.trim().is_empty() => {
                self.removed.push(name.trim().to_owned());
            }
            (Some((name, value)), _) => {
                let value = value.strip_prefix(' ').unwrap_or(value);
                if name.trim().eq_ignore_ascii_case("host") {
                    self.way.push("--header Host");
                }
                self.headers.push(Header::of(word, name.trim(), value));
            }
            (None, Some(name)) => self.headers.push(Header::of(word, name.trim(), "")),
            (None, None) => self
                .notes
                .push(format!("the header at {} has no colon: curl does not send it", word.place)),
        }
        Ok(())
    }

    /// The headers in files, a line each.
    pub(super) fn read_headers(&mut self, files: &Files) -> Result<(), Fault> {
        for (path, place) in std::mem::take(&mut self.header_files) {
            let bytes = match files.get(&path) {
                Some(Ok(bytes)) if bytes.len() <= LONGEST_HEAD => bytes,
                Some(Ok(_)) => {
                    let what = "a file of headers of more than 64 KiB";
                    return Err(Fault::at(place, what, "no server takes them; send less"));
                }
                Some(Err(why)) => {
                    let what = format!("the file of headers cannot be read: {why}");
                    return Err(Fault::at(place, what, "name a file that can be read here"));
                }
                None => return Err(Fault::at(place, "the file was not read", "name it again")),
            };
            let word =
                Word { text: Secret::new(String::new()), place, unset: Vec::new(), made: false };
            for line in String::from_utf8_lossy(bytes).lines().filter(|line| !line.is_empty()) {
                self.header_line(line, &word)?;
            }
        }
        Ok(())
    }

    /// The headers on the line, and what curl adds.
    pub(super) fn with_implied(&self, request: &Request) -> Vec<Header> {
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
        if let Some(header) = self.authorization(&request.url).filter(|_| free("Authorization")) {
            implied.push(header);
        }
        let told = self.told.iter().filter(|told| free(&told.name) && !told.trimmed().is_empty());
        implied.extend(told.cloned());
        if self.signed {
            implied.push(Header::implied("X-Amz-Date", "…"));
        }
        headers.extend(implied);
        headers
    }

    /// What curl makes of a login.
    fn authorization(&self, url: &Url) -> Option<Header> {
        let of = |word: &Word, value: String| Some(Header::of(word, "Authorization", &value));
        if self.signed {
            return Some(Header::new("Authorization", "AWS4-HMAC-SHA256 …"));
        }
        if let Some(token) = &self.bearer {
            return of(token, format!("Bearer {}", token.text.expose()));
        }
        let in_url = || {
            let decoded = |text| percent_decode_str(text).decode_utf8_lossy().into_owned();
            let name = url.username();
            let login = || format!("{}:{}", decoded(name), decoded(url.password().unwrap_or("")));
            (!name.is_empty() || url.password().is_some()).then(login)
        };
        let basic = |login: &str| {
            let colon = if login.contains(':') { "" } else { ":" };
            format!("Basic {}", BASE64.encode(format!("{login}{colon}").as_bytes()))
        };
        match &self.login {
            Some(word) => of(word, basic(word.text.expose())),
            None => in_url().map(|login| Header::new("Authorization", basic(&login))),
        }
    }
}

/// A proxy as an option of curl names it: without a scheme it is HTTP's, without a port 1080.
pub(super) fn proxy(option: &str, written: &str) -> String {
    let scheme = match option {
        "socks5" => "socks5",
        "socks5-hostname" => "socks5h",
        "socks4" => "socks4",
        "socks4a" => "socks4a",
        _ => "http",
    };
    let whole =
        if written.contains("://") { written.to_owned() } else { format!("{scheme}://{written}") };
    let whole = whole.trim_end_matches('/');
    let host = whole.rsplit(['@', '/']).next().unwrap_or_default();
    let port = host.rsplit_once(':').map(|(_, port)| port);
    if port.is_some_and(|port| !port.is_empty() && port.chars().all(|c| c.is_ascii_digit())) {
        return whole.to_owned();
    }
    let port = if whole.starts_with("https://") { 443 } else { 1080 };
    format!("{whole}:{port}")
}

/// The URL with the query that options add; without a scheme it is HTTP.
pub(super) fn whole(word: &Word, query: Option<&[u8]>) -> Result<Url, Fault> {
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
