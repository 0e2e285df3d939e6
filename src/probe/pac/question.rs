//! What a script is told: a URL, its host, and the addresses of this host.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};

use serde::{Deserialize, Serialize};
use url::{Host, Url};

/// One question to a script.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Question {
    pub(super) url: String,
    pub(super) host: String,
    pub(super) mine: Vec<IpAddr>,
}

impl Question {
    /// The question for a URL: without user and fragment, and without path and query where TLS would hide
    /// them, as in Chromium. `None` for a URL without a host. `mine` is what `myIpAddress` answers with.
    pub fn new(url: &Url, mine: Vec<IpAddr>) -> Option<Self> {
        // An address of IPv6 is handed over without its brackets.
        let host = match url.host()? {
            Host::Domain(name) => name.to_owned(),
            Host::Ipv4(address) => address.to_string(),
            Host::Ipv6(address) => address.to_string(),
        };
        let mut shown = url.clone();
        shown.set_fragment(None);
        // A URL with a host can be without a user.
        shown.set_username("").and_then(|()| shown.set_password(None)).ok()?;
        if matches!(url.scheme(), "https" | "wss") {
            shown.set_path("/");
            shown.set_query(None);
        }
        Some(Self { url: shown.into(), host, mine })
    }

    /// The URL as the script gets it.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// The host as the script gets it.
    pub fn host(&self) -> &str {
        &self.host
    }
}

/// The addresses by which this host would go out, IPv4 first. Connecting a UDP socket sends nothing; the
/// kernel chooses the source as it would for a packet to there. Chromium asks in the same way.
pub fn own_addresses() -> Vec<IpAddr> {
    let towards = |any: IpAddr, far: IpAddr| {
        let socket = UdpSocket::bind((any, 0)).ok()?;
        socket.connect(SocketAddr::new(far, 80)).ok()?;
        let own = socket.local_addr().ok()?.ip();
        (!own.is_unspecified() && !own.is_loopback()).then_some(own)
    };
    let four = towards(Ipv4Addr::UNSPECIFIED.into(), Ipv4Addr::new(8, 8, 8, 8).into());
    let far = Ipv6Addr::new(0x2001, 0x4860, 0x4860, 0, 0, 0, 0, 0x8888);
    let six = towards(Ipv6Addr::UNSPECIFIED.into(), far.into());
    four.into_iter().chain(six).collect()
}

#[cfg(test)]
mod tests {
    use super::Question;

    #[test]
    fn a_script_is_told_what_chromium_tells_it() {
        let rows = [
            ("https://api.example/v1/models?key=secret#x", "https://api.example/", "api.example"),
            ("https://user:secret@api.example:8443/a", "https://api.example:8443/", "api.example"),
            ("https://api.example:443/a", "https://api.example/", "api.example"),
            (
                "http://user:secret@API.example/a/b?c=d#e",
                "http://api.example/a/b?c=d",
                "api.example",
            ),
            ("http://192.0.2.1:8080", "http://192.0.2.1:8080/", "192.0.2.1"),
            ("https://[2001:DB8::1]:1/a", "https://[2001:db8::1]:1/", "2001:db8::1"),
            ("wss://api.example/a?b", "wss://api.example/", "api.example"),
        ];
        for (url, shown, host) in rows {
            let question = Question::new(&url.parse().unwrap(), Vec::new()).unwrap();
            assert_eq!((question.url(), question.host()), (shown, host), "{url}");
        }
        assert_eq!(Question::new(&"data:x".parse().unwrap(), Vec::new()), None);
    }
}
