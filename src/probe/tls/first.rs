//! How a peer began: its first bytes, taken apart as far as they go.
//!
//! A pure parser of bytes that a hostile peer chose: whatever is missing or wrong is left out, and
//! nothing after it is read. It never decides what a failure was.

use crate::observation::{First, PlainAlert, Protocol, Record, ServerHello};

/// `ServerHello.random` of a HelloRetryRequest: SHA-256 of its name (RFC 8446 4.1.3).
const RETRY: [u8; 32] = [
    0xcf, 0x21, 0xad, 0x74, 0xe5, 0x9a, 0x61, 0x11, 0xbe, 0x1d, 0x8c, 0x02, 0x1e, 0x65, 0xb8, 0x91,
    0xc2, 0xa2, 0x11, 0x16, 0x7a, 0xbb, 0x8c, 0x5e, 0x07, 0x9e, 0x09, 0xe2, 0xc8, 0xa8, 0x33, 0x9c,
];
/// The extension `supported_versions` (RFC 8446 4.2).
const SUPPORTED_VERSIONS: u16 = 43;

/// What a peer's first bytes are; none where there are none. Fewer bytes than a whole message show
/// as much as they hold.
pub fn first(bytes: &[u8]) -> Option<First> {
    let kind = *bytes.first()?;
    let protocol = match bytes {
        // RFC 8446 5.1: the kinds of records, and a version whose first byte never was another.
        [0x14..=0x17] | [0x14..=0x17, 3, ..] => Protocol::Tls,
        _ if bytes.starts_with(b"HTTP/") => Protocol::Http,
        _ if bytes.starts_with(b"SSH-") => Protocol::Ssh,
        _ => Protocol::Other,
    };
    let mut first = First { protocol, ..First::default() };
    if first.protocol != Protocol::Tls {
        return Some(first);
    }
    let mut rest = Bytes(bytes.get(1..)?);
    let (Some(version), Some(length)) = (rest.u16(), rest.u16()) else { return Some(first) };
    first.record = Some(Record { kind, version, length });
    let inside = Bytes(rest.0.get(..usize::from(length)).unwrap_or(rest.0));
    match (kind, length) {
        // Two bytes are an alert in clear text; an encrypted one is longer.
        (21, 2) => first.alert = alert(inside),
        (22, _) => first.hello = server_hello(inside),
        _ => {}
    }
    Some(first)
}

fn alert(mut inside: Bytes<'_>) -> Option<PlainAlert> {
    Some(PlainAlert { level: inside.u8()?, code: inside.u8()? })
}

/// RFC 8446 4.1.3, and RFC 5246 7.4.1.3, which has the same beginning.
fn server_hello(mut inside: Bytes<'_>) -> Option<ServerHello> {
    if inside.u8()? != 2 {
        return None;
    }
    inside.take(3)?;
    let version = inside.u16()?;
    let mut hello = ServerHello { version, cipher: None, selected: None, retry: false };
    let Some(random) = inside.take(RETRY.len()) else { return Some(hello) };
    hello.retry = random == RETRY;
    let session = inside.u8().and_then(|length| inside.take(usize::from(length)));
    hello.cipher = session.and_then(|_| inside.u16());
    // The compression method, then the length of all extensions.
    if hello.cipher.is_some() && inside.take(3).is_some() {
        hello.selected = selected_version(inside);
    }
    Some(hello)
}

fn selected_version(mut extensions: Bytes<'_>) -> Option<u16> {
    loop {
        let (kind, length) = (extensions.u16()?, extensions.u16()?);
        let mut inside = Bytes(extensions.take(usize::from(length))?);
        if kind == SUPPORTED_VERSIONS {
            return inside.u16();
        }
    }
}

/// What is left to read.
struct Bytes<'a>(&'a [u8]);

impl<'a> Bytes<'a> {
    fn take(&mut self, count: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(count)?;
        self.0 = rest;
        Some(taken)
    }

    fn u8(&mut self) -> Option<u8> {
        self.take(1).and_then(|bytes| bytes.first().copied())
    }

    fn u16(&mut self) -> Option<u16> {
        self.take(2).and_then(|bytes| bytes.try_into().ok()).map(u16::from_be_bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A record with a `ServerHello` as of TLS 1.3, with that random.
    fn hello(random: [u8; 32]) -> Vec<u8> {
        let mut inside = vec![3, 3];
        inside.extend(random);
        inside.push(32);
        inside.extend([7; 32]);
        // The suite, no compression, and two extensions: a key share of nothing, the version.
        inside.extend([0x13, 0x02, 0, 0, 10, 0, 51, 0, 0, 0, 43, 0, 2, 3, 4]);
        let length = u8::try_from(inside.len()).unwrap();
        let mut bytes = vec![0x16, 3, 3, 0, length + 4, 2, 0, 0, length];
        bytes.extend(inside);
        bytes
    }

    #[test]
    fn what_is_no_record_is_told_apart() {
        let rows: [(&[u8], Protocol); 9] = [
            (b"HTTP/1.1 400 Bad Request\r\n", Protocol::Http),
            (b"SSH-2.0-OpenSSH_9.2p1\r\n", Protocol::Ssh),
            (b"220 mail ESMTP\r\n", Protocol::Other),
            (b"HTT", Protocol::Other),
            (&[0x80, 0x2e, 1, 3], Protocol::Other),
            (&[0x16, 2, 0], Protocol::Other),
            (&[0x18, 3, 3], Protocol::Other),
            (&[0x16], Protocol::Tls),
            (&[0x17, 3], Protocol::Tls),
        ];
        for (bytes, protocol) in rows {
            let found = first(bytes).unwrap();
            assert_eq!((found.protocol, found.record), (protocol, None), "{bytes:?}");
        }
        assert_eq!(first(b""), None);
    }

    #[test]
    fn an_alert_in_clear_text_is_read_and_an_encrypted_one_is_not() {
        let found = first(&[0x15, 3, 1, 0, 2, 2, 70]).unwrap();
        assert_eq!(found.record, Some(Record { kind: 21, version: 0x0301, length: 2 }));
        assert_eq!(found.alert, Some(PlainAlert { level: 2, code: 70 }));
        assert_eq!(first(&[0x15, 3, 3, 0, 2, 2]).unwrap().alert, None);
        assert_eq!(first(&[0x15, 3, 3, 0, 26, 2, 40]).unwrap().alert, None);
    }

    #[test]
    fn a_server_hello_is_read_as_far_as_it_goes() {
        let whole = hello([9; 32]);
        let expected = ServerHello {
            version: 0x0303,
            cipher: Some(0x1302),
            selected: Some(0x0304),
            retry: false,
        };
        assert_eq!(first(&whole).unwrap().hello, Some(expected));
        assert!(first(&hello(RETRY)).unwrap().hello.unwrap().retry);
        for end in 1..whole.len() {
            let found = first(&whole[..end]).unwrap();
            assert_eq!(found.record.is_some(), end >= 5, "{end}");
            assert_eq!(found.hello.is_some(), end >= 11, "{end}");
            assert_eq!(found.hello.and_then(|hello| hello.cipher).is_some(), end >= 78, "{end}");
        }
    }

    #[test]
    fn no_bytes_make_it_panic() {
        // Every length byte of a sound message in turn says every length.
        let whole = hello(RETRY);
        for place in 0..whole.len() {
            for value in 0..=u8::MAX {
                let mut bytes = whole.clone();
                bytes[place] = value;
                let found = first(&bytes).unwrap();
                assert!(found.record.is_some() || found.protocol != Protocol::Tls);
            }
        }
    }
}
