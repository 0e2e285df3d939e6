//! An answer to CONNECT, read with bounds: its head, and of a refusal's page what is worth keeping.

use tokio::io::{AsyncRead, AsyncReadExt as _};

use crate::observation::ProxyKind;

/// A head longer than this is no answer.
pub(super) const HEAD_LIMIT: usize = 16 * 1024;
/// Bytes of a refusal's body that are kept.
pub(super) const BODY_KEPT: usize = 4 * 1024;
/// Bytes of it that are read at most, so that a login can go over the same connection.
pub(super) const BODY_READ: usize = 64 * 1024;

/// A head.
pub(super) struct Head {
    pub(super) status: u16,
    pub(super) reason: String,
    pub(super) headers: Vec<(String, String)>,
    /// Whether its last line was HTTP/1.1.
    modern: bool,
    length: usize,
}

/// How far the body goes (RFC 9112 6.3).
enum Framing {
    Length(usize),
    Chunked,
    UntilClosed,
}

impl Head {
    /// The values of a header, its name in lower case.
    pub(super) fn all<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a str> {
        self.headers.iter().filter(move |(key, _)| key == name).map(|(_, value)| value.as_str())
    }

    /// What does not say clearly where it ends, ends with the connection: a login goes over a new one.
    fn framing(&self) -> Framing {
        if self.status == 304 {
            return Framing::Length(0);
        }
        if let Some(last) = self.words("transfer-encoding").last() {
            // HTTP/1.0 has none (RFC 9112 6.1).
            let chunked = self.modern && last.eq_ignore_ascii_case("chunked");
            return if chunked { Framing::Chunked } else { Framing::UntilClosed };
        }
        let mut lengths = self.words("content-length").map(length);
        match lengths.next().flatten() {
            Some(first) if lengths.all(|other| other == Some(first)) => Framing::Length(first),
            Some(_) | None => Framing::UntilClosed,
        }
    }

    /// The members of a header that is a list.
    fn words<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a str> {
        self.all(name).flat_map(|value| value.split(',')).map(str::trim)
    }

    /// Whether another request may follow on this connection (RFC 9112 9.3). Proxies say it in a header
    /// of their own too.
    pub(super) fn persists(&self) -> bool {
        let mut words = self.words("connection").chain(self.words("proxy-connection"));
        if self.modern {
            !words.any(|word| word.eq_ignore_ascii_case("close"))
        } else {
            words.any(|word| word.eq_ignore_ascii_case("keep-alive"))
        }
    }
}

/// What is read of one connection to a proxy.
#[derive(Default)]
pub(super) struct Reader {
    read: Vec<u8>,
}

impl Reader {
    /// The next final head. Where it ends otherwise, what came is still in `rest`.
    pub(super) async fn head<S>(&mut self, stream: &mut S) -> Result<Head, ProxyKind>
    where
        S: AsyncRead + Unpin,
    {
        loop {
            match parse(&self.read)? {
                // However it comes in pieces, the limit is the same.
                Some(head) if head.length > HEAD_LIMIT => return Err(ProxyKind::Other),
                Some(head) => {
                    self.read.drain(..head.length);
                    // An interim answer says nothing yet (RFC 9110 15.2); 101 is the last of its
                    // connection (15.2.2), and opens no tunnel.
                    if !matches!(head.status, 100 | 102..=199) {
                        return Ok(head);
                    }
                }
                // It speaks HTTP, and does not come to an end.
                None if self.read.len() > HEAD_LIMIT && self.read.starts_with(b"HTTP/1.") => {
                    return Err(ProxyKind::Other);
                }
                None if self.read.len() > HEAD_LIMIT => return Err(ProxyKind::NotAProxy),
                None => match self.more(stream).await {
                    Ok(0) => return Err(ProxyKind::Closed),
                    Ok(_) => {}
                    Err(error) => return Err(of_io(&error)),
                },
            }
        }
    }

    /// The page behind a head, and whether it was read to its end, so that the connection can go on.
    /// What was read before a deadline ended it is in `rest`.
    pub(super) async fn body<S>(&mut self, stream: &mut S, head: &Head) -> bool
    where
        S: AsyncRead + Unpin,
    {
        loop {
            let end = match head.framing() {
                Framing::Length(length) if length > BODY_READ => None,
                Framing::Length(length) => {
                    (self.read.len() >= length).then_some((length, self.read.len() == length))
                }
                Framing::Chunked => unchunk(&mut self.read),
                Framing::UntilClosed => None,
            };
            match end {
                // Nobody sends an answer that was not asked for yet: what follows is no sound proxy's.
                Some((end, nothing_follows)) => {
                    self.read.truncate(end);
                    return nothing_follows;
                }
                None if self.read.len() > BODY_READ => return false,
                None => match self.more(stream).await {
                    Ok(0) | Err(_) => return false,
                    Ok(_) => {}
                },
            }
        }
    }

    /// What was read and belongs to no head.
    pub(super) fn rest(&self) -> &[u8] {
        &self.read
    }

    /// Forgets a page.
    pub(super) fn clear(&mut self) {
        self.read.clear();
    }

    async fn more<S: AsyncRead + Unpin>(&mut self, stream: &mut S) -> std::io::Result<usize> {
        let mut chunk = [0_u8; 4096];
        let count = stream.read(&mut chunk).await?;
        self.read.extend_from_slice(chunk.get(..count).unwrap_or_default());
        Ok(count)
    }
}

/// Digits only: a number type's own parser takes a sign too.
fn length(digits: &str) -> Option<usize> {
    digits.bytes().all(|byte| byte.is_ascii_digit()).then(|| digits.parse().ok()).flatten()
}

/// A complete head, none while it is incomplete.
///
/// What a client has to take, or takes in practice, is no reason to call a proxy none: lines that go on
/// in the next one (RFC 9112 5.2), blanks before a colon (5.1), more blanks in the first line (4).
fn parse(read: &[u8]) -> Result<Option<Head>, ProxyKind> {
    let mut headers = [httparse::EMPTY_HEADER; 100];
    let mut response = httparse::Response::new(&mut headers);
    let mut parser = httparse::ParserConfig::default();
    parser
        .allow_obsolete_multiline_headers_in_responses(true)
        .allow_spaces_after_header_name_in_responses(true)
        .allow_multiple_spaces_in_response_status_delimiters(true);
    match parser.parse_response(&mut response, read) {
        Ok(httparse::Status::Partial) => Ok(None),
        Ok(httparse::Status::Complete(length)) => Ok(Some(Head {
            status: response.code.unwrap_or_default(),
            reason: response.reason.unwrap_or_default().to_owned(),
            headers: response
                .headers
                .iter()
                .map(|header| {
                    let value = String::from_utf8_lossy(header.value);
                    let value = value.replace(['\r', '\n'], " ");
                    (header.name.to_ascii_lowercase(), value)
                })
                .collect(),
            modern: response.version == Some(1),
            length,
        })),
        Err(_) => Err(ProxyKind::NotAProxy),
    }
}

/// Where a chunked body is complete, it is unwrapped in place (RFC 9112 7.1): its length then, and whether
/// nothing follows it.
fn unchunk(read: &mut Vec<u8>) -> Option<(usize, bool)> {
    let (mut at, mut body) = (0_usize, Vec::new());
    loop {
        let rest = read.get(at..)?;
        let (begin, size) = match httparse::parse_chunk_size(rest) {
            Ok(httparse::Status::Complete(found)) => found,
            Ok(httparse::Status::Partial) | Err(_) => return None,
        };
        let size = usize::try_from(size).ok().filter(|size| *size <= BODY_READ)?;
        let data = rest.get(begin..)?.get(..size)?;
        body.extend_from_slice(data);
        let end = begin.checked_add(size)?;
        let after = rest.get(end..)?;
        if size == 0 {
            // Trailers are not expected from anybody; the empty line ends it.
            let follows = after.strip_prefix(b"\r\n")?;
            let whole = read.len().checked_sub(follows.len())?;
            let nothing_follows = follows.is_empty();
            // As much of it as of any other page: where the limit is does not depend on its pieces.
            (whole <= BODY_READ).then_some(())?;
            *read = body;
            return Some((read.len(), nothing_follows));
        }
        after.strip_prefix(b"\r\n")?;
        at = at.checked_add(end)?.checked_add(2)?;
    }
}

/// What an error of the connection is, seen from the proxy's layer.
pub(super) fn of_io(error: &std::io::Error) -> ProxyKind {
    match error.kind() {
        std::io::ErrorKind::ConnectionReset | std::io::ErrorKind::BrokenPipe => ProxyKind::Reset,
        std::io::ErrorKind::UnexpectedEof => ProxyKind::Closed,
        std::io::ErrorKind::FileTooLarge => ProxyKind::NotAProxy,
        _ => ProxyKind::Other,
    }
}

/// Bytes that are no HTTP and may be anything, escaped.
pub(super) fn escaped(read: &[u8]) -> String {
    read.iter().take(64).copied().collect::<Vec<u8>>().escape_ascii().to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn page(head: &str, rest: &str) -> (bool, String, bool) {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(async {
            let bytes = format!("{head}\r\n\r\n{rest}");
            let mut stream = bytes.as_bytes();
            let mut reader = Reader::default();
            let head = reader.head(&mut stream).await.unwrap();
            let whole = reader.body(&mut stream, &head).await;
            (whole, String::from_utf8_lossy(reader.rest()).into_owned(), head.persists())
        })
    }

    #[test]
    fn a_page_ends_where_its_framing_says() {
        let length = "HTTP/1.1 407 Login\r\nContent-Length: 4";
        assert_eq!(page(length, "page"), (true, "page".into(), true));
        assert_eq!(page(length, "pa"), (false, "pa".into(), true));
        assert_eq!(page(length, "page and more"), (false, "page".into(), true));
        let chunked = "HTTP/1.1 407 Login\r\nTransfer-Encoding: chunked\r\nConnection: close";
        assert_eq!(page(chunked, "2\r\npa\r\n2\r\nge\r\n0\r\n\r\n"), (true, "page".into(), false));
        assert_eq!(page(chunked, "4\r\npage\r\n0\r\n\r\nmore"), (false, "page".into(), false));
        assert_eq!(
            page(chunked, "ffffffffffffff\r\n"),
            (false, "ffffffffffffff\r\n".into(), false)
        );
        let old = "HTTP/1.0 407 Login\r\nProxy-Connection: keep-alive\r\nContent-Length: 0";
        assert_eq!(page(old, ""), (true, String::new(), true));
        assert_eq!(page("HTTP/1.0 407 Login", "page"), (false, "page".into(), false));
    }

    #[test]
    fn a_page_without_a_clear_end_ends_with_the_connection() {
        let until_closed = [
            "Transfer-Encoding: gzip",
            "Transfer-Encoding: chunked, gzip",
            "Content-Length: 4\r\nContent-Length: 5",
            "Content-Length: 4, 5",
            "Content-Length: +4",
            "Content-Length: 4\r\nTransfer-Encoding: gzip",
            "X-Nothing: said",
        ];
        for head in until_closed {
            let read = page(&format!("HTTP/1.1 407 Login\r\n{head}"), "page");
            assert_eq!(read, (false, "page".into(), true), "{head}");
        }
        // A list may say the same twice; the last coding is what the end goes by.
        let twice = "HTTP/1.1 407 Login\r\nContent-Length: 4, 4";
        assert_eq!(page(twice, "page"), (true, "page".into(), true));
        let both = "HTTP/1.1 407 Login\r\nTransfer-Encoding: gzip\r\nTransfer-Encoding: Chunked";
        assert_eq!(page(both, "2\r\npa\r\n0\r\n\r\n"), (true, "pa".into(), true));
        let old = "HTTP/1.0 407 Login\r\nTransfer-Encoding: chunked";
        assert_eq!(page(old, "0\r\n\r\n"), (false, "0\r\n\r\n".into(), false));
        assert_eq!(page("HTTP/1.1 304 Same", ""), (true, String::new(), true));
    }

    #[test]
    fn lines_that_go_on_are_one() {
        let head =
            parse(b"HTTP/1.1  407  Login\r\nProxy-Authenticate : Basic\r\n\trealm=x\r\n\r\n");
        let head = head.unwrap().unwrap();
        assert_eq!((head.status, head.reason.as_str()), (407, "Login"));
        let values: Vec<&str> = head.all("proxy-authenticate").collect();
        assert_eq!(values, ["Basic  \trealm=x"]);
    }
}
