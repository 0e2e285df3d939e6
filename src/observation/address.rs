//! What an address says of itself: its class by the registries of special addresses.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use serde::{Deserialize, Serialize};

/// The class of an address (IANA IPv4 and IPv6 Special-Purpose Address Registries, RFC 6890).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Class {
    /// None of the others: it may be anywhere.
    Public,
    /// 0.0.0.0/8 and `::`: on Linux this host itself.
    Unspecified,
    /// 127.0.0.0/8, `::1`.
    Loopback,
    /// RFC 1918, RFC 4193.
    Private,
    /// 100.64.0.0/10, between a provider and its customers (RFC 6598).
    Shared,
    /// 169.254.0.0/16, fe80::/10.
    LinkLocal,
    /// For books (RFC 5737, RFC 3849, RFC 9637).
    Documentation,
    /// 198.18.0.0/15 (RFC 2544), 2001:2::/48 (RFC 5180).
    Benchmarking,
    /// 224.0.0.0/4, ff00::/8.
    Multicast,
    /// 240.0.0.0/4 and others that nobody has.
    Reserved,
    /// 127.0.53.53: two zones share a name (ICANN, name collision).
    Collision,
}

impl Class {
    /// The class of an address. One that carries an IPv4 address inside is what that is.
    pub fn of(address: IpAddr) -> Self {
        match address {
            IpAddr::V4(address) => of_v4(address),
            IpAddr::V6(address) => match address.to_ipv4_mapped() {
                Some(inside) => of_v4(inside),
                None => of_v6(address),
            },
        }
    }

    /// The fixed name.
    pub fn label(self) -> &'static str {
        match self {
            Self::Public => "public",
            Self::Unspecified => "unspecified",
            Self::Loopback => "loopback",
            Self::Private => "private",
            Self::Shared => "shared",
            Self::LinkLocal => "link_local",
            Self::Documentation => "documentation",
            Self::Benchmarking => "benchmarking",
            Self::Multicast => "multicast",
            Self::Reserved => "reserved",
            Self::Collision => "collision",
        }
    }

    /// Whether the address is inside of an organisation or of this host: no public name has it,
    /// but an organisation's own server may.
    pub fn is_inside(self) -> bool {
        match self {
            Self::Loopback | Self::Private | Self::Shared | Self::LinkLocal | Self::Collision => {
                true
            }
            Self::Public
            | Self::Unspecified
            | Self::Documentation
            | Self::Benchmarking
            | Self::Multicast
            | Self::Reserved => false,
        }
    }
}

fn of_v4(address: Ipv4Addr) -> Class {
    match address.octets() {
        [127, 0, 53, 53] => Class::Collision,
        [0, ..] => Class::Unspecified,
        [127, ..] => Class::Loopback,
        [10, ..] | [172, 16..=31, ..] | [192, 168, ..] => Class::Private,
        [100, 64..=127, ..] => Class::Shared,
        [169, 254, ..] => Class::LinkLocal,
        [192, 0, 2, _] | [198, 51, 100, _] | [203, 0, 113, _] => Class::Documentation,
        [198, 18..=19, ..] => Class::Benchmarking,
        [224..=239, ..] => Class::Multicast,
        [240..=255, ..] => Class::Reserved,
        _ => Class::Public,
    }
}

fn of_v6(address: Ipv6Addr) -> Class {
    match address.segments() {
        [0, 0, 0, 0, 0, 0, 0, 0] => Class::Unspecified,
        [0, 0, 0, 0, 0, 0, 0, 1] => Class::Loopback,
        [0xfc00..=0xfdff, ..] => Class::Private,
        [0xfe80..=0xfebf, ..] => Class::LinkLocal,
        [0x2001, 0xdb8, ..] | [0x3fff, 0..=0x0fff, ..] => Class::Documentation,
        [0x2001, 2, 0, ..] => Class::Benchmarking,
        [0xff00..=0xffff, ..] => Class::Multicast,
        [0x2000..=0x3fff, ..] | [0x64, 0xff9b, ..] => Class::Public,
        _ => Class::Reserved,
    }
}

/// A block of addresses, as a provider publishes it or a configuration writes it (RFC 4632 3.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Range {
    /// Its first address.
    pub network: IpAddr,
    /// How many bits of it count.
    pub bits: u8,
}

impl Range {
    /// A block of IPv4 addresses.
    pub const fn v4(octets: [u8; 4], bits: u8) -> Self {
        let [a, b, c, d] = octets;
        Self { network: IpAddr::V4(Ipv4Addr::new(a, b, c, d)), bits }
    }

    /// A block of IPv6 addresses, by its first two groups.
    pub const fn v6(first: u16, second: u16, third: u16, bits: u8) -> Self {
        Self { network: IpAddr::V6(Ipv6Addr::new(first, second, third, 0, 0, 0, 0, 0)), bits }
    }

    /// The block that a text names: `ADDRESS/BITS`, or one address.
    pub fn parse(text: &str) -> Option<Self> {
        let (network, bits) = match text.split_once('/') {
            Some((network, bits)) => (network.parse().ok()?, bits.parse().ok()?),
            None => (text.parse().ok()?, u8::MAX),
        };
        let width = match network {
            IpAddr::V4(_) => 32,
            IpAddr::V6(_) => 128,
        };
        let bits = if bits == u8::MAX && !text.contains('/') { width } else { bits };
        (bits <= width).then_some(Self { network, bits })
    }

    /// Whether an address lies in it.
    pub fn contains(&self, address: IpAddr) -> bool {
        let shift = |width: u32| width.saturating_sub(u32::from(self.bits));
        match (self.network, address) {
            (IpAddr::V4(network), IpAddr::V4(address)) => {
                (network.to_bits() ^ address.to_bits()).checked_shr(shift(32)).unwrap_or(0) == 0
            }
            (IpAddr::V6(network), IpAddr::V6(address)) => {
                (network.to_bits() ^ address.to_bits()).checked_shr(shift(128)).unwrap_or(0) == 0
            }
            (IpAddr::V4(_), IpAddr::V6(_)) | (IpAddr::V6(_), IpAddr::V4(_)) => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_address_has_the_class_that_the_registries_give_it() {
        let rows = [
            ("8.8.8.8", Class::Public),
            ("0.0.0.0", Class::Unspecified),
            ("0.1.2.3", Class::Unspecified),
            ("127.0.0.1", Class::Loopback),
            ("127.0.53.53", Class::Collision),
            ("10.1.2.3", Class::Private),
            ("172.15.0.1", Class::Public),
            ("172.16.0.1", Class::Private),
            ("172.32.0.1", Class::Public),
            ("192.168.255.1", Class::Private),
            ("100.63.255.255", Class::Public),
            ("100.64.0.1", Class::Shared),
            ("100.128.0.0", Class::Public),
            ("169.254.1.1", Class::LinkLocal),
            ("192.0.2.1", Class::Documentation),
            ("198.51.100.9", Class::Documentation),
            ("203.0.113.9", Class::Documentation),
            ("198.19.0.1", Class::Benchmarking),
            ("224.0.0.1", Class::Multicast),
            ("255.255.255.255", Class::Reserved),
            ("146.112.61.106", Class::Public),
            ("::", Class::Unspecified),
            ("::1", Class::Loopback),
            ("fd00::1", Class::Private),
            ("fe80::1", Class::LinkLocal),
            ("2001:db8::1", Class::Documentation),
            ("3fff:fff::1", Class::Documentation),
            ("2607:6bc0::10", Class::Public),
            ("64:ff9b::808:808", Class::Public),
            ("ff02::1", Class::Multicast),
            ("::ffff:10.0.0.1", Class::Private),
            ("5f00::1", Class::Reserved),
        ];
        for (text, class) in rows {
            assert_eq!(Class::of(text.parse().unwrap()), class, "{text}");
        }
    }

    #[test]
    fn a_range_ends_where_its_bits_do() {
        let range = Range::v4([160, 79, 104, 0], 23);
        let contains = |text: &str| range.contains(text.parse().unwrap());
        assert!(contains("160.79.104.0") && contains("160.79.105.255"));
        assert!(!contains("160.79.103.255") && !contains("160.79.106.0") && !contains("::1"));
        assert!(Range::v4([0; 4], 0).contains("255.1.2.3".parse().unwrap()));
        let range = Range::v6(0x2607, 0x6bc0, 0, 48);
        assert!(range.contains("2607:6bc0::10".parse().unwrap()));
        assert!(!range.contains("2607:6bc0:1::".parse().unwrap()));
        assert_eq!(Range::parse("10.0.0.0/8"), Some(Range::v4([10, 0, 0, 0], 8)));
        assert_eq!(Range::parse("10.0.0.1"), Some(Range::v4([10, 0, 0, 1], 32)));
        assert_eq!(Range::parse("2607:6bc0::/48"), Some(Range::v6(0x2607, 0x6bc0, 0, 48)));
        for wrong in
            ["", "10.0.0.0/33", "10.0.0.0/", "10.0.0/8", "fd00::/129", "/8", "10.0.0.0/255"]
        {
            assert_eq!(Range::parse(wrong), None, "{wrong}");
        }
    }
}
