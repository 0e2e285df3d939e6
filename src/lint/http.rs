//! A request as a file: HTTP/1.1 as it is on the wire (RFC 9112), or headers with `:method` and its kin as a
//! browser's tools copy them (RFC 9113 8.3.1). Line ends may be CR LF or LF. It says what cannot be read, and
//! leaves what is wrong with a readable request to the rules.

use url::Url;

use super::request::{Fault, Header, Place, Request};

/// Bytes of request line and headers at most.
pub const LONGEST_HEAD: usize = 64 * 1024;
/// Bytes of a body at most.
pub const LONGEST_BODY: usize = 64 * 1024 * 1024;

/// Reads a request.
pub fn read(bytes: &[u8]) -> Result<Request, Fault> {
    let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
    if bytes.starts_with(b"\xff\xfe") || bytes.starts_with(b"\xfe\xff") {
        return Err(Fault::at(Place::START, "the file is UTF-16", "save it as UTF-8"));
    }
    if bytes.trim_ascii().is_empty() {
        let help = "write `POST https://HOST/PATH HTTP/1.1`, headers, an empty line, the body";
        return Err(Fault::at(Place::START, "it is empty", help));
    }
    let (lines, body) = divide(bytes)?;
    let mut head = Head::default();
    for (number, line) in lines.iter().enumerate() {
        head.line(line, number + 1)?;
    }
    let mut request = head.request()?;
    take_body(&mut request, body);
    Ok(request)
}

/// The lines of the head, and what stands behind the empty line.
fn divide(bytes: &[u8]) -> Result<(Vec<&[u8]>, &[u8]), Fault> {
    let mut lines = Vec::new();
    let mut rest = bytes;
    while !rest.is_empty() {
        let end = rest.iter().position(|byte| *byte == b'\n').unwrap_or(rest.len());
        let (line, after) = rest.split_at(end);
        rest = after.get(1..).unwrap_or_default();
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        if bytes.len() - rest.len() > LONGEST_HEAD {
            let place = Place { line: lines.len() + 1, column: 1 };
            let help = "put an empty line between headers and body";
            return Err(Fault::at(place, "more than 64 KiB without an empty line", help));
        }
        if line.is_empty() && !lines.is_empty() {
            break;
        }
        lines.push(line);
    }
    if rest.len() > LONGEST_BODY {
        let place = Place { line: lines.len() + 2, column: 1 };
        return Err(Fault::at(place, "a body of more than 64 MiB", "no API takes it; send less"));
    }
    Ok((lines, rest))
}

#[derive(Default)]
struct Head {
    method: Option<String>,
    target: Option<(String, Place)>,
    scheme: Option<String>,
    authority: Option<String>,
    headers: Vec<Header>,
    begun: bool,
}

impl Head {
    fn line(&mut self, line: &[u8], number: usize) -> Result<(), Fault> {
        let at = |column| Place { line: number, column };
        if !self.begun && line.trim_ascii().is_empty() {
            return Ok(());
        }
        if let Some(pseudo) = line.strip_prefix(b":") {
            self.begun = true;
            return self.pseudo(&text(pseudo), at(1));
        }
        if !self.begun {
            self.begun = true;
            return self.request_line(line, number);
        }
        if line.starts_with(b" ") || line.starts_with(b"\t") {
            // A value that goes on (RFC 9112 5.2): its line break stays, for the rules to find.
            let Some(last) = self.headers.last_mut() else {
                let help = "begin the line with the header's name";
                return Err(Fault::at(at(1), "a line of a header's value before any header", help));
            };
            let value = format!("{}\n{}", last.value.expose(), text(line));
            *last = Header::new(&last.name, value);
            return Ok(());
        }
        let Some(colon) = line.iter().position(|byte| *byte == b':') else {
            let what = "no colon in a header line";
            let help = "write `name: value`; a value is one line; an empty line ends the headers";
            return Err(Fault::at(at(1), what, help));
        };
        let (name, value) = line.split_at(colon);
        if let Some(wrong) = name.iter().position(|byte| !is_token(*byte)) {
            let what = "a character that no header's name has";
            return Err(Fault::at(at(wrong + 1), what, "write `name: value`"));
        }
        if name.is_empty() {
            return Err(Fault::at(at(1), "a header without a name", "write `name: value`"));
        }
        let value = value.strip_prefix(b":").unwrap_or(value);
        let value = value.strip_prefix(b" ").unwrap_or(value);
        self.headers.push(Header::new(&text(name), text(value)));
        Ok(())
    }

    /// `POST /v1/messages HTTP/1.1`
    fn request_line(&mut self, line: &[u8], number: usize) -> Result<(), Fault> {
        let at = |column| Place { line: number, column };
        let help = "write `POST https://HOST/PATH HTTP/1.1`";
        let line = text(line);
        if let Some((what, help)) = something_else(&line) {
            return Err(Fault::at(at(1), what, help));
        }
        if line.starts_with("HTTP/") {
            return Err(Fault::at(at(1), "an answer, not a request", help));
        }
        let mut words = line.split(' ').filter(|word| !word.is_empty());
        let method = words.next().unwrap_or_default();
        if method.is_empty() || !method.bytes().all(is_token) {
            return Err(Fault::at(at(1), "the first line does not begin with a method", help));
        }
        let place = at(method.chars().count() + 2);
        let Some(target) = words.next() else {
            return Err(Fault::at(place, "the first line has no URL", help));
        };
        match (words.next(), words.next()) {
            (None, None) => {}
            (Some(version), None) if version.starts_with("HTTP/") => {}
            _ => {
                let place = at(method.chars().count() + target.chars().count() + 3);
                let what = "the first line does not end with the version of HTTP";
                return Err(Fault::at(place, what, help));
            }
        }
        self.method = Some(method.to_owned());
        self.target = Some((target.to_owned(), place));
        Ok(())
    }

    /// `:method: POST`
    fn pseudo(&mut self, line: &str, place: Place) -> Result<(), Fault> {
        let help = "write `:method: POST`, `:scheme: https`, `:authority: HOST`, `:path: /PATH`";
        let Some((name, value)) = line.split_once(':') else {
            return Err(Fault::at(place, "a header with : before it and no value", help));
        };
        let value = value.trim().to_owned();
        match name.trim() {
            "method" => self.method = Some(value),
            "path" => self.target = Some((value, place)),
            "scheme" => self.scheme = Some(value),
            "authority" => self.authority = Some(value),
            _ => {
                return Err(Fault::at(
                    place,
                    "a header with : before it that HTTP/2 does not have",
                    help,
                ));
            }
        }
        Ok(())
    }

    fn request(self) -> Result<Request, Fault> {
        let help = "write `POST https://HOST/PATH HTTP/1.1`, or add a Host header";
        let Some((target, place)) = self.target else {
            return Err(Fault::at(Place::START, "it says not what is asked for", help));
        };
        let host = self.headers.iter().find(|header| header.is("host"));
        let host = self.authority.or_else(|| host.map(|host| host.trimmed().to_owned()));
        let whole = match (target.starts_with('/') || target == "*", host) {
            (false, _) if target.contains("://") => target,
            (false, _) => {
                let what = "neither a URL nor a path that begins with /";
                return Err(Fault::at(place, what, help));
            }
            (true, None) => return Err(Fault::at(place, "a path, and no Host header", help)),
            (true, Some(host)) => {
                let scheme = self.scheme.unwrap_or_else(|| "https".to_owned());
                format!("{scheme}://{host}{target}")
            }
        };
        let url = match Url::parse(&whole) {
            Ok(url) if matches!(url.scheme(), "http" | "https") => url,
            Ok(_) => return Err(Fault::at(place, "a URL that is not HTTP's", help)),
            Err(error) => {
                return Err(Fault::at(place, format!("the URL is none: {error}"), help));
            }
        };
        let mut request = Request::new(self.method.as_deref().unwrap_or("GET"), url);
        request.headers = self.headers;
        Ok(request)
    }
}

/// What a text is that is no request, and the way out.
fn something_else(line: &str) -> Option<(&'static str, &'static str)> {
    let help = "write `POST https://HOST/PATH HTTP/1.1`, headers, an empty line, the body";
    let begin = line.trim_start();
    if begin.starts_with("curl ") || begin.starts_with("$ curl ") {
        let help = "give it as --curl -, from standard input";
        return Some(("a curl command line, not a request", help));
    }
    if begin.starts_with("> ") || begin.starts_with("* ") {
        return Some((
            "the words of curl -v, not a request",
            "take `> ` from the lines, or use --curl",
        ));
    }
    if begin.starts_with(['{', '[']) {
        return Some(("JSON, such as a body or a HAR, not a request", help));
    }
    None
}

/// The body, as far as the headers say that it goes.
fn take_body(request: &mut Request, body: &[u8]) {
    let chunked = request.header("transfer-encoding").is_some();
    let length = request.header("content-length").and_then(|header| header.trimmed().parse().ok());
    if chunked {
        request.notes.push("a body in chunks is judged as it stands in the file".to_owned());
    }
    let body = match length {
        Some(length) if !chunked && body.len() < length => {
            request.notes.push(format!(
                "content-length says {length}, and the file has a body of {} bytes: a server would wait for the rest",
                body.len()
            ));
            body
        }
        // An editor's line break at the end is none of it.
        Some(length) if !chunked => {
            let (body, rest) = body.split_at_checked(length).unwrap_or((body, &[]));
            if !rest.trim_ascii().is_empty() {
                request.notes.push(format!(
                    "content-length says {length}, and the file has {} bytes more: a server takes them for another \
                     request",
                    rest.len()
                ));
            }
            body
        }
        _ => body,
    };
    if !body.is_empty() {
        request.body = Some(body.to_vec());
    }
}

/// RFC 9110 5.6.2.
fn is_token(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte)
}

/// Bytes as text: what is no UTF-8 is Latin-1, as HTTP had it once.
fn text(bytes: &[u8]) -> String {
    match std::str::from_utf8(bytes) {
        Ok(text) => text.to_owned(),
        Err(_) => bytes.iter().map(|byte| char::from(*byte)).collect(),
    }
}
