//! Which rule the head of an HTTP/1 answer breaks: hyper says of most faults no more than that there is one.

use httparse::{EMPTY_HEADER, Error, Header, Response, Status};

use crate::observation::Framing;

/// As many fields as hyper is told to take.
const FIELDS: usize = 100;

/// What the first bytes of an answer are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Head {
    /// Not complete.
    Partial {
        /// Bytes of the complete interim answers before it (RFC 9110 15.2).
        interim: usize,
        /// Bytes of what is not complete.
        rest: usize,
    },
    /// Complete, and without a fault.
    Sound,
    /// At fault.
    Broken(Framing),
}

/// Reads the head of an answer; interim answers before the final one are passed over.
pub fn head(bytes: &[u8]) -> Head {
    let mut rest = bytes;
    loop {
        let mut fields = [EMPTY_HEADER; FIELDS];
        let mut response = Response::new(&mut fields);
        match response.parse(rest) {
            Ok(Status::Partial) => {
                return Head::Partial {
                    interim: bytes.len().saturating_sub(rest.len()),
                    rest: rest.len(),
                };
            }
            // 101 is the last of its connection (RFC 9110 15.2.2).
            Ok(Status::Complete(length))
                if matches!(response.code, Some(100 | 102..=199)) && length > 0 =>
            {
                rest = rest.get(length..).unwrap_or_default();
            }
            Ok(Status::Complete(_)) => {
                let old = response.version == Some(0);
                return framed(response.headers, old).map_or(Head::Sound, Head::Broken);
            }
            Err(error) => return Head::Broken(fault(error, rest)),
        }
    }
}

fn fault(error: Error, head: &[u8]) -> Framing {
    match error {
        Error::Status | Error::Version => Framing::StatusLine,
        Error::HeaderName | Error::HeaderValue => Framing::Header,
        Error::TooManyHeaders => Framing::HeaderFlood,
        // Either line can hold these: it is the first where the first is at fault by itself.
        Error::NewLine | Error::Token => {
            // A stray CR among the blank lines before it is a fault of its own.
            let blank = head.iter().take_while(|byte| matches!(byte, b'\r' | b'\n')).count();
            let end = head.iter().skip(blank).position(|byte| *byte == b'\n');
            let line = end.and_then(|end| head.get(..=blank.saturating_add(end))).unwrap_or(head);
            let mut none = [];
            match Response::new(&mut none).parse(line) {
                Err(_) => Framing::StatusLine,
                Ok(_) => Framing::Header,
            }
        }
    }
}

/// What is wrong with how the body's end is told (RFC 9112 6.3). A Content-Length beside a Transfer-Encoding is
/// overridden by it, and no fault.
fn framed(fields: &[Header<'_>], old: bool) -> Option<Framing> {
    let values = |wanted: &'static str| {
        let named = fields.iter().filter(move |field| field.name.eq_ignore_ascii_case(wanted));
        named.map(|field| field.value)
    };
    if values("transfer-encoding").next().is_some() {
        // HTTP/1.0 has none (RFC 9112 6.1).
        return if old {
            Some(Framing::TransferCoding)
        } else {
            transfer_codings(values("transfer-encoding"))
        };
    }
    let mut lengths = values("content-length")
        .flat_map(|value| value.split(|byte| *byte == b','))
        .map(|value| length(value.trim_ascii()));
    let first = lengths.next()?;
    // The same length more than once is allowed to be read as one.
    let agree = first.is_some() && lengths.all(|other| other == first);
    (!agree).then_some(Framing::ConflictingLengths)
}

/// Digits only: a number type's own parser takes a sign too.
fn length(digits: &[u8]) -> Option<u64> {
    let text = std::str::from_utf8(digits).ok()?;
    text.bytes().all(|byte| byte.is_ascii_digit()).then(|| text.parse().ok()).flatten()
}

/// What is wrong with the transfer codings of an answer to a request that accepts `chunked` only (RFC 9112 6.1, 7).
/// `identity` was a name for none until RFC 7230.
pub fn transfer_codings<'a>(values: impl Iterator<Item = &'a [u8]>) -> Option<Framing> {
    let mut chunked = false;
    for value in values {
        for coding in value.split(|byte| *byte == b',') {
            let coding = coding.trim_ascii();
            let again = chunked;
            if coding.eq_ignore_ascii_case(b"chunked") && !again {
                chunked = true;
            } else if !coding.is_empty() && !coding.eq_ignore_ascii_case(b"identity") {
                return Some(Framing::TransferCoding);
            }
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::{Head, head};
    use crate::observation::Framing;

    fn with(fields: &str) -> Head {
        head(format!("HTTP/1.1 200 OK\r\n{fields}\r\n\r\n").as_bytes())
    }

    #[test]
    fn every_fault_has_its_name() {
        use Framing::{ConflictingLengths, Header, HeaderFlood, StatusLine, TransferCoding};
        let rows = [
            ("HTTP/1.1 two hundred\r\n\r\n", StatusLine),
            ("HTTP/3.0 200 OK\r\n\r\n", StatusLine),
            ("HTTP/1.1 200 O\x01K\r\n\r\n", StatusLine),
            ("HTTP/1.1 200 OK\rX\r\n\r\n", StatusLine),
            ("\rHTTP/1.1 200 OK\r\n\r\n", StatusLine),
            ("\n\rH", StatusLine),
            ("<html>", StatusLine),
            ("\x15\x03\x03", StatusLine),
            ("HTTP/1.1 200 OK\r\nA b: c\r\n\r\n", Header),
            ("HTTP/1.1 200 OK\r\n: c\r\n\r\n", Header),
            ("\r\n\r\nHTTP/1.1 200 OK\r\nA: \x01\r\n\r\n", Header),
            ("HTTP/1.1 200 OK\r\nA: b\rc\r\n\r\n", Header),
            ("HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\n=\r\n\r\n", Header),
        ];
        for (bytes, expected) in rows {
            assert_eq!(head(bytes.as_bytes()), Head::Broken(expected), "{bytes:?}");
        }
        assert_eq!(with(&"a: b\r\n".repeat(101)), Head::Broken(HeaderFlood));
        let rows = [
            ("content-length: 1\r\nContent-Length: 2", Some(ConflictingLengths)),
            ("content-length: 1, 2", Some(ConflictingLengths)),
            ("content-length: one", Some(ConflictingLengths)),
            ("content-length: +1", Some(ConflictingLengths)),
            ("content-length: ", Some(ConflictingLengths)),
            ("content-length: 1,", Some(ConflictingLengths)),
            ("content-length: 18446744073709551616", Some(ConflictingLengths)),
            ("content-length: 1\r\ncontent-length: 1", None),
            ("content-length: 1, 1", None),
            ("content-length: 1\r\ntransfer-encoding: chunked", None),
            ("transfer-encoding: Chunked", None),
            ("transfer-encoding: identity", None),
            ("transfer-encoding: gzip, chunked", Some(TransferCoding)),
            ("transfer-encoding: gzip", Some(TransferCoding)),
            ("transfer-encoding: chunked\r\ntransfer-encoding: chunked", Some(TransferCoding)),
            ("transfer-encoding: \x0bchunked", Some(Header)),
            ("", None),
        ];
        for (fields, expected) in rows {
            assert_eq!(with(fields), expected.map_or(Head::Sound, Head::Broken), "{fields:?}");
        }
        let old = "HTTP/1.0 200 OK\r\ntransfer-encoding: chunked\r\n\r\n";
        assert_eq!(head(old.as_bytes()), Head::Broken(TransferCoding));
    }

    #[test]
    fn interim_answers_are_passed_over_and_counted() {
        let interim = "HTTP/1.1 103 Early Hints\r\nlink: x\r\n\r\n";
        let bytes = interim.repeat(3) + "HTTP/1.1 2";
        let (all, rest) = (interim.len() * 3, 10);
        assert_eq!(head(bytes.as_bytes()), Head::Partial { interim: all, rest });
        assert_eq!(head((interim.repeat(2) + "HTTP/1.1 204 -\r\n\r\n").as_bytes()), Head::Sound);
        assert_eq!(head(b"HTTP/1.1 101 Switching\r\n\r\n"), Head::Sound);
        assert_eq!(head(b""), Head::Partial { interim: 0, rest: 0 });
    }

    #[test]
    fn no_bytes_make_it_panic() {
        let seed = b"HTTP/1.1 100 C\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 1\r\nTransfer-Encoding: a\r\n\r\n";
        for cut in 0..=seed.len() {
            for byte in 0..=u8::MAX {
                let mut bytes = seed.to_vec();
                bytes.truncate(cut);
                bytes.push(byte);
                head(&bytes);
                bytes.extend_from_slice(&seed[cut..]);
                head(&bytes);
            }
        }
    }
}
