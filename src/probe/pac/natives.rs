//! What the helper functions of a script are too slow for, or cannot do: patterns, prefixes, the order of
//! addresses. Pure.

use std::net::IpAddr;

/// Whether a text matches a pattern of stars and question marks; `None` where the pattern has more than that.
///
/// Most scripts ask this many times a decision. One star is gone back to at most: the time is bounded by the
/// product of both lengths, where a regular expression would multiply with every star.
pub(super) fn glob(text: &str, pattern: &str) -> Option<bool> {
    if pattern.contains(['\\', '^', '$', '+', '(', ')', '[', ']', '{', '}', '|']) {
        return None;
    }
    if text.is_ascii() && pattern.is_ascii() {
        return Some(matches(text.as_bytes(), pattern.as_bytes(), (&b'*', &b'?')));
    }
    let (text, pattern): (Vec<char>, Vec<char>) =
        (text.chars().collect(), pattern.chars().collect());
    Some(matches(&text, &pattern, (&'*', &'?')))
}

fn matches<T: PartialEq>(text: &[T], pattern: &[T], (star, one): (&T, &T)) -> bool {
    let (mut text, mut pattern) = (text, pattern);
    // What follows the last star, and the text where it was tried.
    let mut again: Option<(&[T], &[T])> = None;
    loop {
        match (pattern.split_first(), text.split_first()) {
            (Some((first, rest)), _) if first == star => {
                pattern = rest;
                again = Some((rest, text));
            }
            (Some((first, rest)), Some((here, after))) if first == one || first == here => {
                (pattern, text) = (rest, after);
            }
            (None, None) => return true,
            _ => {
                let Some((after_star, tried)) = again else { return false };
                let Some((_, next)) = tried.split_first() else { return false };
                (pattern, text) = (after_star, next);
                again = Some((after_star, next));
            }
        }
    }
}

/// Four octets as one number; leading zeros make none of them octal, as in browsers.
pub(super) fn dotted(text: &str) -> Option<u32> {
    let mut octets = text.split('.').map(|octet| {
        let is_number = octet.len() <= 3 && octet.bytes().all(|byte| byte.is_ascii_digit());
        octet.parse::<u8>().ok().filter(|_| is_number)
    });
    let mut next = || octets.next().flatten();
    let number = u32::from_be_bytes([next()?, next()?, next()?, next()?]);
    octets.next().is_none().then_some(number)
}

/// Whether an address lies in a prefix as `192.0.2.0/24` or `2001:db8::/32`. What is neither does not.
pub(super) fn in_prefix(address: &str, prefix: &str) -> bool {
    let inside = || {
        let (network, length) = prefix.split_once('/')?;
        let (address, network): (IpAddr, IpAddr) = (address.parse().ok()?, network.parse().ok()?);
        let length: u32 = length.parse().ok()?;
        match (address, network) {
            (IpAddr::V4(address), IpAddr::V4(network)) => {
                let differ = address.to_bits() ^ network.to_bits();
                (length <= 32).then(|| differ.leading_zeros() >= length)
            }
            (IpAddr::V6(address), IpAddr::V6(network)) => {
                let differ = address.to_bits() ^ network.to_bits();
                (length <= 128).then(|| differ.leading_zeros() >= length)
            }
            _ => None,
        }
    };
    inside().unwrap_or(false)
}

/// A list of addresses with `;` between them in order: IPv6 first, as Chromium has it. `None` where one is no
/// address.
pub(super) fn sorted(list: &str) -> Option<String> {
    let parse = |word: &str| word.trim_ascii().parse::<IpAddr>().ok();
    let mut addresses: Vec<IpAddr> = list.split(';').map(parse).collect::<Option<_>>()?;
    addresses.sort_by_key(|address| (address.is_ipv4(), *address));
    Some(addresses.iter().map(ToString::to_string).collect::<Vec<_>>().join(";"))
}

#[cfg(test)]
mod tests {
    use super::{dotted, glob, in_prefix, sorted};

    #[test]
    fn four_octets() {
        let rows = [
            ("192.0.2.1", Some(0xc000_0201)),
            ("010.000.000.255", Some(0x0a00_00ff)),
            ("256.0.0.1", None),
            ("1.2.3", None),
            ("1.2.3.4.5", None),
            ("1.2.3.0004", None),
            ("1.2.3.+4", None),
            ("1.2..4", None),
            ("", None),
        ];
        for (text, expected) in rows {
            assert_eq!(dotted(text), expected, "{text}");
        }
    }

    #[test]
    fn stars_and_question_marks() {
        let rows = [
            ("", "", true),
            ("", "*", true),
            ("", "?", false),
            ("a", "", false),
            ("abc", "abc", true),
            ("abc", "ABC", false),
            ("abc", "a?c", true),
            ("abc", "a*", true),
            ("abc", "*c", true),
            ("abc", "*b", false),
            ("abcabc", "*abc", true),
            ("abcabcd", "*abc", false),
            ("http://a.example/x", "*.example/*", true),
            ("http://aXexample/x", "*.example/*", false),
            ("gr\u{fc}n", "gr?n", true),
            ("***", "*?*?*?*", true),
            ("**", "*?*?*?*", false),
        ];
        for (text, pattern, expected) in rows {
            assert_eq!(glob(text, pattern), Some(expected), "{text} {pattern}");
        }
        assert_eq!(glob("a", "(a|b)"), None);
        // Each star by itself would multiply the time.
        assert_eq!(glob(&"a".repeat(4000), &format!("{}b", "*a".repeat(40))), Some(false));
    }

    #[test]
    fn prefixes() {
        let rows = [
            ("192.0.2.7", "192.0.2.0/24", true),
            ("192.0.3.7", "192.0.2.0/24", false),
            ("192.0.3.7", "0.0.0.0/0", true),
            ("192.0.2.7", "192.0.2.7/32", true),
            ("192.0.2.7", "192.0.2.7/33", false),
            ("192.0.2.7", "192.0.2.7", false),
            ("192.0.2.7", "::/0", false),
            ("2001:db8::1", "2001:db8::/32", true),
            ("2001:db9::1", "2001:db8::/32", false),
            ("2001:db9::1", "::/0", true),
            ("name", "::/0", false),
        ];
        for (address, prefix, expected) in rows {
            assert_eq!(in_prefix(address, prefix), expected, "{address} {prefix}");
        }
    }

    #[test]
    fn addresses_have_an_order() {
        let list = "192.0.2.9; 2001:db8::2;192.0.2.1;2001:db8::1";
        let expected = "2001:db8::1;2001:db8::2;192.0.2.1;192.0.2.9";
        assert_eq!(sorted(list).as_deref(), Some(expected));
        assert_eq!([sorted(""), sorted("192.0.2.1;x")], [None, None]);
    }
}
