//! A proxy as meant: how it is spoken to, who logs in there and how, and a PAC file that chooses one.

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;

use url::{Host, Url};

use super::{Endpoint, Tunnel};
use crate::config::{FileSource, Secret, SecretSource};
use crate::observation::Scheme;

/// How a route leaves.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Way {
    /// Straight to the target.
    #[default]
    Direct,
    /// Through this proxy.
    Proxy(Arc<Proxy>),
    /// As a PAC file says, for each URL.
    Pac(Arc<Pac>),
}

/// How a proxy is spoken to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Spoken {
    /// HTTP CONNECT (RFC 9110 9.3.6).
    #[default]
    Http,
    /// HTTP CONNECT inside of TLS with the proxy.
    Https,
    /// SOCKS5 (RFC 1928); the target's name is resolved on this host.
    Socks5,
    /// SOCKS5; the proxy resolves the name.
    Socks5h,
}

impl Spoken {
    /// All of them, with the scheme of a URL that means each.
    pub const ALL: &[(&str, Self)] = &[
        ("http", Self::Http),
        ("https", Self::Https),
        ("socks5", Self::Socks5),
        ("socks5h", Self::Socks5h),
    ];

    /// The scheme of a URL that means it.
    pub fn label(self) -> &'static str {
        Self::ALL.iter().find(|(_, spoken)| *spoken == self).map_or("http", |(label, _)| label)
    }

    /// The port where none is written, as Go and Node have it (curl takes 1080 for `http` too).
    pub fn default_port(self) -> u16 {
        match self {
            Self::Http => 80,
            Self::Https => 443,
            Self::Socks5 | Self::Socks5h => 1080,
        }
    }

    /// Whether it is SOCKS.
    pub fn is_socks(self) -> bool {
        matches!(self, Self::Socks5 | Self::Socks5h)
    }
}

/// A proxy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Proxy {
    /// How it is spoken to.
    pub spoken: Spoken,
    /// Its host.
    pub host: Host<String>,
    /// Its port.
    pub port: u16,
    /// Who logs in there, where it asks.
    pub account: Option<Account>,
    /// Headers of a CONNECT beside those that every one has.
    pub headers: Vec<(String, String)>,
    /// The roots that its own certificate is judged by beside the usual ones, DER.
    pub roots: Vec<Vec<u8>>,
    /// The files that these are from, for people.
    pub files: Vec<PathBuf>,
}

impl Proxy {
    /// A proxy without a login.
    pub fn new(spoken: Spoken, host: Host<String>, port: u16) -> Self {
        let (headers, roots, files) = (Vec::new(), Vec::new(), Vec::new());
        Self { spoken, host, port, account: None, headers, roots, files }
    }

    /// The way through it to a host.
    pub(super) fn tunnel(self: &Arc<Self>, endpoint: &Endpoint) -> Tunnel {
        let (host, port) = (endpoint.host.clone(), endpoint.port);
        Tunnel { host, port, proxy: Arc::clone(self), credential: None }
    }
}

impl fmt::Display for Proxy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.host, self.port)
    }
}

/// Who logs in at a proxy, and with what.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Account {
    /// The only scheme that is used.
    pub scheme: Scheme,
    /// The user's name; for Negotiate the principal, empty for the cache's own.
    pub name: String,
    /// The domain of NTLM.
    pub domain: Option<String>,
    /// What proves it.
    pub proof: Proof,
}

/// What proves who logs in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Proof {
    /// A password, read each time.
    Password(SecretSource),
    /// The password of the environment's proxy variable.
    Given(Secret),
    /// A Kerberos keytab.
    Keytab(FileSource),
    /// A Kerberos credential cache; none: the default one.
    Cache(Option<String>),
}

/// A login as it is used in one trip.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Credential {
    /// A name and a password.
    Password {
        /// The scheme.
        scheme: Scheme,
        /// The user's name.
        name: String,
        /// The domain of NTLM.
        domain: Option<String>,
        /// The password.
        password: Secret,
    },
    /// A Kerberos ticket that is to be had.
    Ticket {
        /// The principal; empty: the cache's own.
        principal: String,
        /// The keytab.
        keytab: Option<PathBuf>,
        /// The credential cache; none: the default one, or with a keytab one in memory.
        cache: Option<String>,
    },
}

impl Credential {
    /// The scheme that it is for.
    pub fn scheme(&self) -> Scheme {
        match self {
            Self::Password { scheme, .. } => *scheme,
            Self::Ticket { .. } => Scheme::Negotiate,
        }
    }
}

/// A PAC file that chooses the way for each URL.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pac {
    /// Where it is: `https`, `http` or `file`.
    pub url: Url,
    /// The proxies, of those that it names, that the login and the headers are for: `host` or `host:port`.
    pub hosts: Vec<String>,
    /// Who logs in there.
    pub account: Option<Account>,
    /// Headers of a CONNECT there.
    pub headers: Vec<(String, String)>,
    /// The roots for an `https://` proxy that it names.
    pub roots: Vec<Vec<u8>>,
    /// The files that these are from, for people.
    pub files: Vec<PathBuf>,
}

impl Pac {
    /// A file without a login.
    pub(super) fn at(url: Url) -> Self {
        let (hosts, headers, roots) = (Vec::new(), Vec::new(), Vec::new());
        Self { url, hosts, account: None, headers, roots, files: Vec::new() }
    }

    /// Its URL for people: a query may hold a token.
    pub fn shown(&self) -> String {
        let mut url = self.url.clone();
        url.set_query(None);
        url.into()
    }

    /// A proxy that it names: the login, and headers, which often are one, go only to those that the
    /// configuration lists.
    pub fn names(&self, spoken: Spoken, host: Host<String>, port: u16) -> Proxy {
        let (name, place) = (host.to_string(), format!("{host}:{port}"));
        let may = |listed: &String| {
            listed.eq_ignore_ascii_case(&name) || listed.eq_ignore_ascii_case(&place)
        };
        let (roots, files) = (self.roots.clone(), self.files.clone());
        let proxy = Proxy { roots, files, ..Proxy::new(spoken, host, port) };
        if !self.hosts.iter().any(may) {
            return proxy;
        }
        Proxy { account: self.account.clone(), headers: self.headers.clone(), ..proxy }
    }
}
