//! A name server as the configuration writes it: an address, or a URL that says how it is asked.

use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::str::FromStr;

use url::{Host, Url};

/// A name server.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Nameserver {
    /// Its address and port.
    pub address: SocketAddr,
    /// How it is asked.
    pub through: Through,
}

/// How a name server is asked.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Through {
    /// Datagrams, and TCP for what does not fit.
    Udp,
    /// TCP.
    Tcp,
    /// TLS; its certificate is for this name.
    Tls(Host<String>),
    /// HTTPS; its certificate is for this name, and this is the path.
    Https(Host<String>, String),
}

impl Nameserver {
    /// One that is asked by datagrams.
    pub fn at(address: SocketAddr) -> Self {
        Self { address, through: Through::Udp }
    }
}

impl fmt::Display for Nameserver {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.through {
            Through::Udp if self.address.port() == 53 => write!(f, "{}", self.address.ip()),
            Through::Udp => write!(f, "{}", self.address),
            Through::Tcp => write!(f, "tcp://{}", self.address),
            Through::Tls(name) => write!(f, "tls://{}#{name}", self.address),
            Through::Https(name, path) => write!(f, "https://{}{path}#{name}", self.address),
        }
    }
}

impl FromStr for Nameserver {
    type Err = String;

    /// `10.0.0.53`, `[::1]:5353`, `tcp://…`, `tls://10.0.0.53#dns.corp.example`,
    /// `https://10.0.0.53/dns-query#dns.corp.example`: what stands behind `#` is the name that the
    /// certificate is for; without it the certificate is for the address (RFC 8310 8.1).
    fn from_str(text: &str) -> Result<Self, String> {
        if !text.contains("://") {
            let address = text.parse::<SocketAddr>().or_else(|_port| {
                text.parse::<IpAddr>().map(|address| SocketAddr::new(address, 53))
            });
            return address.map(Self::at).map_err(|error| format!("it is no address ({error})"));
        }
        let url = Url::parse(text).map_err(|error| format!("it is no URL: {error}"))?;
        let host = url.host_str().ok_or("it has no host")?;
        let address: IpAddr = host
            .trim_start_matches('[')
            .trim_end_matches(']')
            .parse()
            .map_err(|_name| format!("{host} is a name, and names need a server first"))?;
        let name = match url.fragment() {
            None => match address {
                IpAddr::V4(address) => Host::Ipv4(address),
                IpAddr::V6(address) => Host::Ipv6(address),
            },
            Some(name) => Host::parse(name)
                .map_err(|error| format!("`{name}` behind # is no host name ({error})"))?,
        };
        let (port, through) = match url.scheme() {
            "udp" => (53, Through::Udp),
            "tcp" => (53, Through::Tcp),
            "tls" => (853, Through::Tls(name)),
            "https" => {
                let path = if url.path() == "/" { "/dns-query" } else { url.path() };
                (443, Through::Https(name, path.to_owned()))
            }
            other => return Err(format!("{other}:// is no way to ask a name server")),
        };
        let address = SocketAddr::new(address, url.port().unwrap_or(port));
        Ok(Self { address, through })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_is_written_as_it_was_read() {
        for text in [
            "10.0.0.53",
            "10.0.0.53:5353",
            "[::1]:5353",
            "tcp://10.0.0.53:53",
            "tls://10.0.0.53:853#dns.corp.example",
            "https://[2001:db8::1]:443/dns-query#dns.corp.example",
            "https://10.0.0.53:8443/q#10.0.0.53",
        ] {
            assert_eq!(text.parse::<Nameserver>().unwrap().to_string(), text);
        }
    }

    #[test]
    fn what_is_left_out_is_what_everybody_means() {
        for (short, long) in [
            ("udp://10.0.0.53", "10.0.0.53"),
            ("tls://10.0.0.53", "tls://10.0.0.53:853#10.0.0.53"),
            ("tls://[::1]", "tls://[::1]:853#[::1]"),
            ("https://10.0.0.53", "https://10.0.0.53:443/dns-query#10.0.0.53"),
        ] {
            assert_eq!(short.parse::<Nameserver>().unwrap().to_string(), long);
        }
    }

    #[test]
    fn what_cannot_be_asked_is_refused() {
        for text in ["", "dns.corp.example", "tls://dns.corp.example", "quic://10.0.0.53", "tls://"]
        {
            assert!(text.parse::<Nameserver>().is_err(), "{text}");
        }
    }
}
