//! A proxy's URL as people and environments write it.

use std::borrow::Cow;

use percent_encoding::percent_decode_str;
use url::{Host, Url};

use super::{Account, Proof, Proxy, Spoken};
use crate::config::Secret;
use crate::observation::Scheme;

/// What a URL in a proxy's place names.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Written {
    /// A proxy, with the login that stands in the URL.
    Proxy(Proxy),
    /// A PAC file.
    Pac(Url),
}

/// Reads a proxy's URL; without a scheme it is HTTP, as curl and Go have it.
pub(super) fn proxy(text: &str) -> Result<Written, String> {
    if let Some(rest) = text.strip_prefix("pac+") {
        if !cfg!(feature = "pac") {
            return Err("this build is without PAC files (feature `pac`)".to_owned());
        }
        return pac(rest).map(Written::Pac);
    }
    let whole = if text.contains("://") { text.to_owned() } else { format!("http://{text}") };
    let url = Url::parse(&whole).map_err(|error| format!("it is no URL: {error}"))?;
    let spoken = Spoken::ALL.iter().find(|(scheme, _)| *scheme == url.scheme());
    let Some((_, spoken)) = spoken else {
        let known: Vec<String> =
            Spoken::ALL.iter().map(|(scheme, _)| format!("{scheme}://")).collect();
        return Err(format!("{}:// is not spoken; known are {}", url.scheme(), known.join(", ")));
    };
    // An address behind a scheme that the URL standard does not know is left a text there.
    let host = url.host_str().filter(|host| !host.is_empty());
    let host = host.ok_or_else(|| "it has no host".to_owned())?;
    let host = Host::parse(host).map_err(|error| format!("its host is none: {error}"))?;
    // The standard drops a scheme's own port, so that "http://proxy" and "http://proxy:80" are one.
    let port = url.port().unwrap_or(spoken.default_port());
    Ok(Written::Proxy(Proxy { account: login(&url), ..Proxy::new(*spoken, host, port) }))
}

fn pac(text: &str) -> Result<Url, String> {
    let url = Url::parse(text).map_err(|error| format!("the PAC file's URL is none: {error}"))?;
    if login(&url).is_some() {
        return Err("a login inside of a PAC file's URL is not sent; take it out".to_owned());
    }
    match url.scheme() {
        "file" if url.to_file_path().is_ok() => Ok(url),
        "https" | "http" if url.host().is_some() => Ok(url),
        _ => Err("a PAC file is at pac+https://, pac+http:// or pac+file:///".to_owned()),
    }
}

/// Real clients log in by Basic with what stands in the URL.
fn login(url: &Url) -> Option<Account> {
    if url.username().is_empty() && url.password().is_none() {
        return None;
    }
    let decoded = |text: &str| match percent_decode_str(text).decode_utf8() {
        Ok(decoded) => Cow::into_owned(decoded),
        Err(_) => text.to_owned(),
    };
    let password = Secret::new(decoded(url.password().unwrap_or_default()));
    Some(Account {
        scheme: Scheme::Basic,
        name: decoded(url.username()),
        domain: None,
        proof: Proof::Given(password),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, expected: &str) {
        let found = match proxy(text) {
            Ok(Written::Proxy(proxy)) => {
                let login = proxy.account.as_ref().map(|account| match &account.proof {
                    Proof::Given(password) => format!(" {}:{}", account.name, password.expose()),
                    _ => String::new(),
                });
                format!("{} {proxy}{}", proxy.spoken.label(), login.unwrap_or_default())
            }
            Ok(Written::Pac(url)) => format!("pac {url}"),
            Err(why) => why,
        };
        assert_eq!(found, expected, "{text}");
    }

    #[test]
    fn schemes_hosts_ports_and_logins() {
        check("proxy.corp.example:3128", "http proxy.corp.example:3128");
        check("http://proxy", "http proxy:80");
        check("https://proxy", "https proxy:443");
        check("HTTPS://Proxy:443/", "https proxy:443");
        check("socks5://10.0.0.1", "socks5 10.0.0.1:1080");
        check("socks5h://[fd00::1]:80", "socks5h [fd00::1]:80");
        check("http://[::1]:8080", "http [::1]:8080");
        check("http://u%40corp:p%3Aw@proxy:3128", "http proxy:3128 u@corp:p:w");
        check("http://u@proxy", "http proxy:80 u:");
        check("pac+https://corp.example/proxy.pac", "pac https://corp.example/proxy.pac");
        check("pac+file:///etc/proxy.pac", "pac file:///etc/proxy.pac");
        let login = "a login inside of a PAC file's URL is not sent; take it out";
        check("pac+https://svc:secret@corp.example/proxy.pac", login);
        check("pac+http://svc@corp.example/proxy.pac", login);
        check("pac+ftp://x/y", "a PAC file is at pac+https://, pac+http:// or pac+file:///");
        check("http://", "it is no URL: empty host");
        check("socks5://", "it has no host");
        check(
            "socks4://p:1",
            "socks4:// is not spoken; known are http://, https://, socks5://, socks5h://",
        );
    }
}
