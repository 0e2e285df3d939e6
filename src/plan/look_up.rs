//! A question to a name server as dig asks it, or kdig where it is encrypted.

use std::path::PathBuf;

use super::shell::{Line, quote};
use super::{Nameserver, Through};

/// How a server is asked, for people.
pub(super) fn transport(server: &Nameserver) -> &'static str {
    match server.through {
        Through::Udp => "a configured server",
        Through::Tcp => "a configured server, over TCP",
        Through::Tls(_) => "a configured server, over TLS (kdig, of knot-dnsutils)",
        Through::Https(..) => "a configured server, over HTTPS (kdig, of knot-dnsutils)",
    }
}

/// One question to one server, without what is asked.
pub(super) fn question(server: &Nameserver, roots: Option<&PathBuf>) -> Line {
    let program = match server.through {
        Through::Udp | Through::Tcp => "dig",
        Through::Tls(_) | Through::Https(..) => "kdig",
    };
    let port = server.address.port().to_string();
    let line = Line::new(program).and(&format!("@{}", server.address.ip()));
    let line = line.option("-p", Some(&port).filter(|port| *port != "53").map(String::as_str));
    let (line, name) = match &server.through {
        Through::Udp => return line,
        Through::Tcp => return line.and("+tcp"),
        Through::Tls(name) => (line.and("+tls"), name),
        Through::Https(name, path) => (line.and(&quote(&format!("+https={name}{path}"))), name),
    };
    let ca = match roots {
        Some(file) => quote(&format!("+tls-ca={}", file.display())),
        None => "+tls-ca".to_owned(),
    };
    line.and(&ca).and(&quote(&format!("+tls-hostname={name}")))
}
