//! The environment's proxy variables: which is taken, and which hosts go around it.
//!
//! Order: `https_proxy`, `HTTPS_PROXY`, `all_proxy`, `ALL_PROXY`, the first that is not empty;
//! `no_proxy`, else `NO_PROXY`. Values may hold a password, so nothing here can print them.

use std::collections::BTreeMap;
use std::fmt;

use url::Host;

use super::Proxy;
use super::no_proxy::is_exempt;
use super::written::{self, Written};

/// The variables as found, of those that clients read: lower case counts before upper, as for curl,
/// Python and Node (Go has it the other way round). An empty one is none.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct ProxyVariables(BTreeMap<String, String>);

impl fmt::Debug for ProxyVariables {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.0.keys()).finish()
    }
}

/// Hosts that go around the environment's proxy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Exemptions {
    /// The variable that lists them.
    pub variable: &'static str,
    /// The list, as it stands there.
    pub list: String,
}

/// What the environment says of proxies.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Named {
    /// No variable is set.
    Nothing,
    /// A proxy with the login that stood in it, and the variable that names it.
    Proxy { variable: &'static str, proxy: Proxy },
    /// A variable whose value cannot be used, and why.
    Unusable { variable: &'static str, why: String },
}

impl ProxyVariables {
    /// The names that are looked at, in order.
    pub const NAMES: &[&str] = &["https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY"];
    /// The names of the exemptions, in order.
    pub const EXEMPTIONS: &[&str] = &["no_proxy", "NO_PROXY"];

    /// Keeps what concerns proxies of an environment.
    pub fn new(variables: impl IntoIterator<Item = (String, String)>) -> Self {
        let ours = |name: &str| Self::NAMES.contains(&name) || Self::EXEMPTIONS.contains(&name);
        Self(
            variables.into_iter().filter(|(name, value)| ours(name) && !value.is_empty()).collect(),
        )
    }

    fn first(&self, names: &'static [&'static str]) -> Option<(&'static str, &str)> {
        names.iter().find_map(|name| self.0.get(*name).map(|value| (*name, value.as_str())))
    }

    pub(super) fn named(&self) -> Named {
        match self.first(Self::NAMES) {
            None => Named::Nothing,
            Some((variable, value)) => match written::proxy(value) {
                Ok(Written::Proxy(proxy)) => Named::Proxy { variable, proxy },
                Ok(Written::Pac(_)) => {
                    let why = "no client takes a PAC file from it".to_owned();
                    Named::Unusable { variable, why }
                }
                Err(why) => Named::Unusable { variable, why },
            },
        }
    }

    /// Which hosts go around the proxy, where that is said.
    pub(super) fn exemptions(&self) -> Option<Exemptions> {
        let (variable, list) = self.first(Self::EXEMPTIONS)?;
        Some(Exemptions { variable, list: list.to_owned() })
    }
}

impl Exemptions {
    /// Whether a host is among them ([`is_exempt`] says by what rules).
    pub fn include(&self, host: &Host<String>, port: u16) -> bool {
        is_exempt(&self.list, host, port)
    }
}

#[cfg(test)]
mod tests {
    use super::super::Spoken;
    use super::*;

    #[test]
    fn exemptions_are_those_of_the_first_variable_that_is_not_empty() {
        let host = Host::Domain("api.example.org".to_owned());
        let variable = |pairs: &[(&str, &str)]| {
            ProxyVariables::new(pairs.iter().map(|(a, b)| ((*a).to_owned(), (*b).to_owned())))
                .exemptions()
                .filter(|exemptions| exemptions.include(&host, 443))
                .map(|exemptions| exemptions.variable)
        };
        assert_eq!(variable(&[]), None);
        assert_eq!(variable(&[("no_proxy", "example.org")]), Some("no_proxy"));
        assert_eq!(variable(&[("no_proxy", ""), ("NO_PROXY", "*")]), Some("NO_PROXY"));
        assert_eq!(variable(&[("no_proxy", "example.com"), ("NO_PROXY", "*")]), None);
    }

    #[test]
    fn the_first_variable_that_is_not_empty_counts() {
        let named = |pairs: &[(&str, &str)]| {
            ProxyVariables::new(pairs.iter().map(|(a, b)| ((*a).to_owned(), (*b).to_owned())))
                .named()
        };
        let proxy = |variable, port| Named::Proxy {
            variable,
            proxy: Proxy::new(Spoken::Http, Host::Domain("p".into()), port),
        };
        assert_eq!(named(&[]), Named::Nothing);
        assert_eq!(
            named(&[("https_proxy", ""), ("HTTPS_PROXY", "http://p:1")]),
            proxy("HTTPS_PROXY", 1)
        );
        assert_eq!(named(&[("ALL_PROXY", "p:2"), ("https_proxy", "p")]), proxy("https_proxy", 80));
        assert!(matches!(named(&[("all_proxy", "socks4://p:1")]), Named::Unusable { .. }));
        assert!(matches!(
            named(&[("all_proxy", "http://u:p@p:1")]),
            Named::Proxy { proxy, .. } if proxy.account.is_some()
        ));
    }
}
