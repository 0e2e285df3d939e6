//! Vendors' fingerprints as data: the rows are in `fingerprints.toml`, each with its source.

use std::net::IpAddr;
use std::sync::LazyLock;

use serde::Deserialize;

/// All rows, parsed once. That they parse is tested: a broken row would only take the names away.
static ROWS: LazyLock<Rows> =
    LazyLock::new(|| toml::from_str(include_str!("fingerprints.toml")).unwrap_or_default());

/// The rows. Their sources are for readers, and not kept.
#[derive(Debug, Default, Deserialize)]
struct Rows {
    sinkhole: Vec<Sinkhole>,
}

/// What a resolver answers with.
#[derive(Debug, Deserialize)]
struct Sinkhole {
    vendor: String,
    addresses: Vec<Span>,
}

/// The maker of the filter that answers with this address instead of the real one.
pub fn sinkhole_of(address: IpAddr) -> Option<&'static str> {
    // Umbrella answers AAAA with its IPv4 address inside.
    let address = address.to_canonical();
    let holds = |row: &&Sinkhole| row.addresses.iter().any(|span| span.contains(address));
    ROWS.sinkhole.iter().find(holds).map(|row| row.vendor.as_str())
}

/// Addresses from the first to the last.
#[derive(Debug, Deserialize)]
#[serde(try_from = "String")]
struct Span {
    first: IpAddr,
    last: IpAddr,
}

impl TryFrom<String> for Span {
    type Error = std::net::AddrParseError;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        let (first, last) = text.split_once('-').unwrap_or((&text, &text));
        Ok(Self { first: first.parse()?, last: last.parse()? })
    }
}

impl Span {
    fn contains(&self, address: IpAddr) -> bool {
        self.first <= address && address <= self.last
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sinkhole_is_one_address_and_not_its_neighbour() {
        let of = |text: &str| sinkhole_of(text.parse().unwrap());
        assert_eq!(of("146.112.61.106"), Some("Cisco Umbrella"));
        assert_eq!(of("::ffff:146.112.61.106"), Some("Cisco Umbrella"));
        assert_eq!(of("208.91.112.55"), Some("FortiGuard"));
        for text in
            ["146.112.61.103", "146.112.61.111", "208.91.112.56", "0.0.0.0", "10.10.10.1", "::"]
        {
            assert_eq!(of(text), None, "{text}");
        }
    }
}
