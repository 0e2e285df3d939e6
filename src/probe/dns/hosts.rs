//! The hosts file as the C library of this host reads it (`hosts(5)`, glibc `nss/nss_files`): an
//! address, its names, and what cannot be read passed over.

use std::collections::HashMap;
use std::net::IpAddr;

/// Addresses of one name at most; a block list has one each.
const ADDRESSES: usize = 16;

/// Names in lower case, and their addresses in the file's order.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Hosts(HashMap<String, Vec<IpAddr>>);

impl Hosts {
    /// Reads the file's bytes.
    pub fn read(bytes: &[u8]) -> Self {
        let mut names: HashMap<String, Vec<IpAddr>> = HashMap::new();
        for line in bytes.split(|byte| *byte == b'\n') {
            let line = line.split(|byte| *byte == b'#').next().unwrap_or_default();
            let line = String::from_utf8_lossy(line);
            let mut words = line.split_ascii_whitespace();
            let Some(Ok(address)) = words.next().map(str::parse::<IpAddr>) else { continue };
            // A name that is not ASCII is none that could be asked for; those beside it are.
            for name in words.filter(|name| name.is_ascii()) {
                let known = names.entry(name.to_ascii_lowercase()).or_default();
                if known.len() < ADDRESSES && !known.contains(&address) {
                    known.push(address);
                }
            }
        }
        Self(names)
    }

    /// The addresses of a name, in any case; none where the file does not have it.
    pub fn addresses(&self, name: &str) -> &[IpAddr] {
        let name = name.strip_suffix('.').unwrap_or(name).to_ascii_lowercase();
        self.0.get(&name).map(Vec::as_slice).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_has_all_its_addresses_in_order() {
        let hosts = Hosts::read(
            b"127.0.0.1 localhost\n::1\tlocalhost ip6-localhost\n\
              10.0.0.7  API.example api # our own\n10.0.0.8 api.example\n10.0.0.7 api.example\n",
        );
        let of = |name| hosts.addresses(name).iter().map(IpAddr::to_string).collect::<Vec<_>>();
        assert_eq!(of("localhost"), ["127.0.0.1", "::1"]);
        assert_eq!(of("api.EXAMPLE"), ["10.0.0.7", "10.0.0.8"]);
        assert_eq!(of("api.example."), ["10.0.0.7", "10.0.0.8"]);
        assert!(of("our").is_empty() && of("").is_empty());
    }

    #[test]
    fn what_cannot_be_read_hides_nothing_else() {
        let hosts = Hosts::read(
            b"# 10.0.0.1 a\n10.0.0 a\n10.0.0.2\nname 10.0.0.3\n\xff\xfe a\n10.0.0.4 a\r\n\n\
              10.0.0.5 b\xfccher a\n",
        );
        let expected: [IpAddr; 2] = ["10.0.0.4", "10.0.0.5"].map(|a| a.parse().unwrap());
        assert_eq!(hosts.addresses("a"), expected);
    }
}
