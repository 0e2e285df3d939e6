//! What a module of `/probe` asks of a trip beyond what a target can say: whom it may dial, which family is wanted,
//! which protocols are spoken. Addresses are judged where they are dialled, so that a name cannot change its mind.

use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;

use url::Host;

use super::{Alpn, Families, TripPlan};
use crate::observation::{Class, Lookup, Range, Trip};

/// The addresses that may be dialled: public ones, and those that are listed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Reach {
    /// What may be dialled beside public addresses.
    pub networks: Vec<Range>,
}

/// What is public by its number and nearby by its use: translators of one's own network (RFC 8215), which ignore the
/// bits behind the IPv4 address that they make of it; Teredo, which hides one (RFC 4380 4); protocol assignments
/// (RFC 6890 2.2.2), where a cloud has its metadata; and the host below a machine of Azure ("What is IP address
/// 168.63.129.16").
const NEARBY: [Range; 4] = [
    Range::v6(0x64, 0xff9b, 1, 48),
    Range::v6(0x2001, 0, 0, 32),
    Range::v4([192, 0, 0, 0], 24),
    Range::v4([168, 63, 129, 16], 32),
];

impl Reach {
    /// Whether an address may be dialled. One that carries an IPv4 address inside is what that is, too.
    pub fn allows(&self, address: IpAddr) -> bool {
        let listed = |address| self.networks.iter().any(|range| range.contains(address));
        let nearby = |address| NEARBY.iter().any(|range| range.contains(address));
        let public = |address| Class::of(address) == Class::Public && !nearby(address);
        let one = |address| public(address) || listed(address);
        one(address) && inside(address).is_none_or(one)
    }
}

/// The IPv4 address that a gateway makes of an IPv6 one (RFC 4291 2.5.5.2, RFC 6052 2.1, RFC 3056 2).
fn inside(address: IpAddr) -> Option<IpAddr> {
    let IpAddr::V6(address) = address else { return None };
    let of = |high: u16, low: u16| {
        let ([a, b], [c, d]) = (high.to_be_bytes(), low.to_be_bytes());
        Some(IpAddr::V4(Ipv4Addr::new(a, b, c, d)))
    };
    match address.segments() {
        [0, 0, 0, 0, 0, 0xffff, high, low] | [0x64, 0xff9b, .., high, low] => of(high, low),
        [0x2002, high, low, ..] => of(high, low),
        _ => None,
    }
}

/// The rules of one module.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Rules {
    /// Whom it may dial.
    pub reach: Arc<Reach>,
    /// The one address that is tried; none: every one.
    pub family: Option<Families>,
    /// Whether any certificate will do; then nothing secret may be sent.
    pub any_chain: bool,
    /// Whether HTTP/2 is left out.
    pub http1: bool,
    /// Whether TLS 1.2 is all that is offered.
    pub tls12_only: bool,
    /// The name that the certificate is judged for, where that is not the target's.
    pub server_name: Option<Host<String>>,
    /// What the request names as its host.
    pub authority: Option<String>,
    /// Bytes of the body that are read and kept.
    pub body_limit: Option<u64>,
}

impl Rules {
    /// The address that a name has and that may not be dialled, where it has no other.
    pub fn refused(&self, trip: &Trip) -> Option<IpAddr> {
        let own = if trip.proxied { trip.resolved_here.as_ref() } else { Some(&trip.lookup) };
        let addresses = own.map(Lookup::addresses).unwrap_or_default();
        let refused = addresses.first().copied();
        refused.filter(|_| trip.legs.is_empty() && !addresses.iter().any(|a| self.reach.allows(*a)))
    }

    /// Makes a trip one by these rules.
    pub(super) fn apply(&self, trip: &mut TripPlan) {
        trip.reach = Some(Arc::clone(&self.reach));
        if let Some(families) = self.family {
            trip.families = families;
        }
        if let Some(tls) = &mut trip.tls {
            tls.any_chain = self.any_chain;
            tls.hello.tls12_only = self.tls12_only;
            if self.http1 {
                tls.hello.alpn = Alpn::Http1;
            }
            if let Some(name) = &self.server_name {
                tls.name = name.clone();
            }
        }
        if let Some(authority) = &self.authority {
            trip.request.authority.clone_from(authority);
        }
        trip.request.limit = self.body_limit;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_public_addresses_and_those_that_are_listed_are_dialled() {
        let none = Reach::default();
        let listed = Reach { networks: vec![Range::parse("10.0.0.0/8").unwrap()] };
        let rows = [
            ("160.79.104.10", true, true),
            ("2607:6bc0::10", true, true),
            ("10.1.2.3", false, true),
            ("127.0.0.1", false, false),
            ("::1", false, false),
            ("169.254.169.254", false, false),
            ("192.168.0.1", false, false),
            ("fd00::1", false, false),
            ("fe80::1", false, false),
            ("224.0.0.1", false, false),
            ("0.0.0.0", false, false),
            ("100.64.0.1", false, false),
            ("::ffff:127.0.0.1", false, false),
            ("64:ff9b::a9fe:a9fe", false, false),
            ("64:ff9b::a01:203", false, true),
            ("2002:7f00:1::", false, false),
            ("64:ff9b:1:7f00:0:100:808:808", false, false),
            ("2001:0:808:808::1", false, false),
            ("192.0.0.192", false, false),
            ("168.63.129.16", false, false),
            ("64:ff9b::a83f:8110", false, false),
            ("168.63.129.17", true, true),
        ];
        for (address, without, with) in rows {
            let address = address.parse().unwrap();
            assert_eq!(
                (none.allows(address), listed.allows(address)),
                (without, with),
                "{address}"
            );
        }
    }
}
