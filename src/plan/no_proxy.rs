//! Which hosts a list like `no_proxy` takes around the proxy. No standard says; clients differ.
//!
//! Followed is what most of curl, Python, Go and Node do, and where they are even what the list's
//! writer can only have meant. `tests/no_proxy.toml` has each case with what each of the four does;
//! a test holds it against curl and Python themselves. Names are never looked up here.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use url::Host;

/// Whether a list takes this host and port around the proxy.
///
/// Entries stand between commas or blanks:
///
/// - `example.org`, `.example.org`: that name and all below it; `*.example.org`: all below it;
/// - `192.0.2.1`, `2001:db8::1`, `[2001:db8::1]`: that address, however it is spelled;
/// - `192.0.2.0/24`, `2001:db8::/32`: a network (RFC 4632, RFC 4291 2.3);
/// - any but a network with `:443` behind it: on that port only, IPv6 then in brackets.
///
/// A list that is `*` and nothing else takes every host. What is none of these matches nothing.
pub fn is_exempt(list: &str, host: &Host<String>, port: u16) -> bool {
    let host = match host {
        Host::Domain(name) => To::Name(whole(&name.to_ascii_lowercase()).to_owned()),
        Host::Ipv4(address) => To::Address(IpAddr::V4(*address)),
        Host::Ipv6(address) => To::Address(IpAddr::V6(*address)),
    };
    let mut entries = list.split(|c: char| c == ',' || c.is_ascii_whitespace());
    list == "*" || entries.any(|entry| matches(&entry.to_ascii_lowercase(), &host, port))
}

/// A host, once its two kinds of address are one.
enum To {
    Name(String),
    Address(IpAddr),
}

fn matches(entry: &str, host: &To, port: u16) -> bool {
    if let Some((network, bits)) = entry.split_once('/') {
        return is_within(network, bits, host);
    }
    let Some((wanted, only)) = split(entry) else { return false };
    only.is_none_or(|only| only == port)
        && match (host, wanted) {
            (To::Address(address), Wanted::Address(wanted)) => *address == wanted,
            (To::Name(name), Wanted::Text(text)) => is_named(text, name),
            // Digits and dots that stand for less than an address are a name.
            (To::Address(_), Wanted::Text(_)) | (To::Name(_), Wanted::Address(_)) => false,
        }
}

enum Wanted<'a> {
    Address(IpAddr),
    Text(&'a str),
}

/// An entry and the port that it is for. None where there is a port, and it is none.
fn split(entry: &str) -> Option<(Wanted<'_>, Option<u16>)> {
    // Before ports: the last group of an IPv6 address looks like one.
    if let Ok(address) = entry.parse() {
        return Some((Wanted::Address(address), None));
    }
    if let Some(inside) = entry.strip_prefix('[') {
        let (address, after) = inside.split_once(']')?;
        let address = Wanted::Address(IpAddr::V6(address.parse::<Ipv6Addr>().ok()?));
        return match after.strip_prefix(':') {
            Some(digits) => Some((address, Some(number(digits)?))),
            None if after.is_empty() => Some((address, None)),
            None => None,
        };
    }
    let Some((text, digits)) = entry.split_once(':') else {
        return Some((Wanted::Text(entry), None));
    };
    let wanted = match text.parse::<Ipv4Addr>() {
        Ok(address) => Wanted::Address(IpAddr::V4(address)),
        Err(_) => Wanted::Text(text),
    };
    Some((wanted, Some(number(digits)?)))
}

/// Whether an entry's name is this one or above it.
fn is_named(text: &str, name: &str) -> bool {
    let (below, text) = match text.strip_prefix("*.") {
        Some(rest) => (true, rest),
        None => (false, text.strip_prefix('.').unwrap_or(text)),
    };
    let wanted = whole(text);
    // Two dots, a star within: no name, so that none can end with it.
    if wanted.split('.').any(|label| label.is_empty() || label.contains('*')) {
        return false;
    }
    match name.strip_suffix(wanted) {
        Some("") => !below,
        Some(before) => before.ends_with('.'),
        None => false,
    }
}

/// A name without the dot that says that it is whole.
fn whole(name: &str) -> &str {
    name.strip_suffix('.').unwrap_or(name)
}

fn is_within(network: &str, bits: &str, host: &To) -> bool {
    let To::Address(address) = host else { return false };
    let (Ok(network), Some(bits)) = (network.parse(), number::<u32>(bits)) else { return false };
    // The length of the part of both that differs.
    let (differ, all) = match (network, *address) {
        (IpAddr::V4(network), IpAddr::V4(address)) => {
            (u128::from(network.to_bits() ^ address.to_bits()), 32)
        }
        (IpAddr::V6(network), IpAddr::V6(address)) => (network.to_bits() ^ address.to_bits(), 128),
        (IpAddr::V4(_), IpAddr::V6(_)) | (IpAddr::V6(_), IpAddr::V4(_)) => return false,
    };
    bits <= all && u128::BITS - differ.leading_zeros() <= all - bits
}

/// Digits and nothing else: what is parsed elsewhere takes a sign too.
fn number<T: std::str::FromStr>(digits: &str) -> Option<T> {
    digits.bytes().all(|byte| byte.is_ascii_digit()).then(|| digits.parse().ok()).flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_length_of_a_network_is_exact() {
        let within = |network: IpAddr, bits: u32, address: IpAddr| {
            let host = match address {
                IpAddr::V4(address) => Host::Ipv4(address),
                IpAddr::V6(address) => Host::Ipv6(address),
            };
            is_exempt(&format!("{network}/{bits}"), &host, 443)
        };
        for bits in 0..=32 {
            let base = 0xc0a8_5a3c_u32;
            for bit in 0..32 {
                let other = base ^ (1_u32 << (31 - bit));
                let [base, other] = [base, other].map(|bits| IpAddr::V4(Ipv4Addr::from_bits(bits)));
                assert_eq!(within(base, bits, other), bit >= bits, "{base}/{bits} {other}");
            }
        }
        for bits in 0..=128 {
            let base = 0x2001_0db8_5a3c_u128 << 80 | 0x5a3c;
            for bit in 0..128 {
                let other = base ^ (1_u128 << (127 - bit));
                let [base, other] = [base, other].map(|bits| IpAddr::V6(Ipv6Addr::from_bits(bits)));
                assert_eq!(within(base, bits, other), bit >= bits, "{base}/{bits} {other}");
            }
        }
    }
}
