//! What `FindProxyForURL` returned, read as Chromium reads it: entries with `;` between them, each tried
//! after the one before. Pure: no text makes it panic or grow.
//!
//! Chromium goes direct where no entry can be used; here that is [`Nonsense`], and who walks decides.

use url::Host;

/// Characters of an entry that are kept to be shown.
const SHOWN: usize = 256;
/// A text is not longer than this.
pub(super) const BYTES: usize = 4096;
/// Nobody waits for the seventeenth proxy: the rest is left out.
const ENTRIES: usize = 16;

/// One way that the script names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Entry {
    /// `DIRECT`: without a proxy.
    Direct,
    /// A proxy.
    Proxy {
        /// What is spoken with it.
        kind: Kind,
        /// Its host, an address of IPv6 without brackets.
        host: Host,
        /// Its port, or the default of its kind.
        port: u16,
    },
    /// Nothing that can be used; browsers pass over it. Cut to 256 characters.
    Unusable(String),
}

/// What is spoken with a proxy.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// `PROXY`, and Firefox's `HTTP`: CONNECT or a request, without TLS to the proxy.
    Http,
    /// `HTTPS`: the same inside of TLS to the proxy.
    Https,
    /// `SOCKS4`, and `SOCKS`, which was there before there was a version 5.
    Socks4,
    /// `SOCKS5`.
    Socks5,
}

/// The text as a whole is of no use.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Nonsense {
    /// Longer than 4 KiB.
    #[error("the answer has {0} bytes")]
    TooLong(usize),
    /// Something, but no entry that can be used.
    #[error("the answer names no way: {0}")]
    NoEntry(String),
}

impl Kind {
    fn of(word: &str) -> Option<Self> {
        let words = [
            ("PROXY", Self::Http),
            ("HTTP", Self::Http),
            ("HTTPS", Self::Https),
            ("SOCKS", Self::Socks4),
            ("SOCKS4", Self::Socks4),
            ("SOCKS5", Self::Socks5),
        ];
        words.iter().find(|(name, _)| name.eq_ignore_ascii_case(word)).map(|(_, kind)| *kind)
    }

    /// The port where none is written, as Chromium has it.
    pub fn default_port(self) -> u16 {
        match self {
            Self::Http => 80,
            Self::Https => 443,
            Self::Socks4 | Self::Socks5 => 1080,
        }
    }
}

/// The entries of an answer in their order. An empty text is `DIRECT`; without one usable entry there is
/// no answer.
pub fn parse(text: &str) -> Result<Vec<Entry>, Nonsense> {
    if text.len() > BYTES {
        return Err(Nonsense::TooLong(text.len()));
    }
    if text.trim_ascii().is_empty() {
        return Ok(vec![Entry::Direct]);
    }
    let elements = text.split(';').map(str::trim_ascii).filter(|element| !element.is_empty());
    let entries: Vec<Entry> = elements.take(ENTRIES).map(entry).collect();
    if entries.iter().all(|entry| matches!(entry, Entry::Unusable(_))) {
        return Err(Nonsense::NoEntry(cut(text.trim_ascii())));
    }
    Ok(entries)
}

fn entry(element: &str) -> Entry {
    let (word, rest) = element
        .split_once(|character: char| character.is_ascii_whitespace())
        .unwrap_or((element, ""));
    let rest = rest.trim_ascii();
    if word.eq_ignore_ascii_case("DIRECT") && rest.is_empty() {
        return Entry::Direct;
    }
    let proxy = Kind::of(word).and_then(|kind| {
        let (host, port) = authority(rest)?;
        Some(Entry::Proxy { kind, host, port: port.unwrap_or(kind.default_port()) })
    });
    proxy.unwrap_or_else(|| Entry::Unusable(cut(element)))
}

/// `host`, `host:port`, `[address]`, `[address]:port`.
fn authority(text: &str) -> Option<(Host, Option<u16>)> {
    // Chromium refuses a name that is not ASCII, too: which encoding was meant is not known here.
    if !text.is_ascii() {
        return None;
    }
    let end = if text.starts_with('[') { text.find(']')? } else { 0 };
    let (host, port) = match text.get(end..)?.find(':') {
        Some(colon) => {
            let (host, port) = text.split_at_checked(end.checked_add(colon)?)?;
            (host, Some(number(port.strip_prefix(':')?)?))
        }
        None => (text, None),
    };
    Some((Host::parse(host).ok()?, port))
}

/// A port, in digits and nothing else.
fn number(text: &str) -> Option<u16> {
    let digits = text.bytes().all(|byte| byte.is_ascii_digit());
    text.parse().ok().filter(|port| digits && *port > 0)
}

fn cut(text: &str) -> String {
    text.chars().take(SHOWN).collect()
}

#[cfg(test)]
mod tests {
    use super::{ENTRIES, Entry, Kind, Nonsense, parse};

    fn proxy(kind: Kind, host: &str, port: u16) -> Entry {
        Entry::Proxy { kind, host: url::Host::parse(host).unwrap(), port }
    }

    #[test]
    fn an_answer_is_read_as_in_chromium() {
        let rows: Vec<(&str, Vec<Entry>)> = vec![
            ("", vec![Entry::Direct]),
            (" \t\n", vec![Entry::Direct]),
            ("DIRECT", vec![Entry::Direct]),
            ("direct;", vec![Entry::Direct]),
            ("PROXY a:8080", vec![proxy(Kind::Http, "a", 8080)]),
            ("proxy\ta.example:8080 ", vec![proxy(Kind::Http, "a.example", 8080)]),
            ("Proxy   a", vec![proxy(Kind::Http, "a", 80)]),
            ("HTTP a", vec![proxy(Kind::Http, "a", 80)]),
            ("HTTPS a", vec![proxy(Kind::Https, "a", 443)]),
            ("SOCKS a", vec![proxy(Kind::Socks4, "a", 1080)]),
            ("SOCKS4 a:1", vec![proxy(Kind::Socks4, "a", 1)]),
            ("socks5 a", vec![proxy(Kind::Socks5, "a", 1080)]),
            ("PROXY 192.0.2.1:3128", vec![proxy(Kind::Http, "192.0.2.1", 3128)]),
            ("PROXY [2001:db8::1]:3128", vec![proxy(Kind::Http, "[2001:db8::1]", 3128)]),
            ("PROXY [2001:db8::]:1", vec![proxy(Kind::Http, "[2001:db8::]", 1)]),
            ("HTTPS [2001:db8::1]", vec![proxy(Kind::Https, "[2001:db8::1]", 443)]),
            (
                "PROXY a:1; SOCKS5 b:2;;DIRECT",
                vec![proxy(Kind::Http, "a", 1), proxy(Kind::Socks5, "b", 2), Entry::Direct],
            ),
            (
                "QUIC a:1; PROXY a:1",
                vec![Entry::Unusable("QUIC a:1".to_owned()), proxy(Kind::Http, "a", 1)],
            ),
        ];
        for (text, expected) in rows {
            assert_eq!(parse(text), Ok(expected), "{text:?}");
        }
    }

    #[test]
    fn what_cannot_be_used_is_passed_over_and_shown() {
        let unusable = [
            "PROXY",
            "PROXY :80",
            "PROXY a:",
            "PROXY a:0",
            "PROXY a:65536",
            "PROXY a:+80",
            "PROXY a:80:80",
            "PROXY 2001:db8::1",
            "PROXY [2001:db8::1",
            "PROXY [2001:db8::1]x",
            "PROXY [2001:db8::1]x:80",
            "PROXY a b",
            "PROXY user:secret@a:80",
            "PROXY http://a:80",
            "PROXY b\u{fc}ro:80",
            "DIRECT a",
            "a:80",
            "null",
        ];
        for text in unusable {
            assert_eq!(parse(text), Err(Nonsense::NoEntry(text.to_owned())), "{text}");
            let beside = parse(&format!("{text} ; DIRECT"));
            assert_eq!(beside, Ok(vec![Entry::Unusable(text.to_owned()), Entry::Direct]));
        }
    }

    #[test]
    fn an_answer_has_limits() {
        let many = "DIRECT;".repeat(400);
        assert_eq!(parse(&many).map(|entries| entries.len()), Ok(ENTRIES));
        assert_eq!(parse(&"x".repeat(4097)), Err(Nonsense::TooLong(4097)));
        let long = format!("{}; DIRECT", "\u{e4}".repeat(1000));
        let expected = vec![Entry::Unusable("\u{e4}".repeat(256)), Entry::Direct];
        assert_eq!(parse(&long), Ok(expected));
        assert_eq!(parse(";;"), Err(Nonsense::NoEntry(";;".to_owned())));
    }
}
