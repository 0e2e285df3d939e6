//! How a route leaves: its proxy or PAC file, the login there, and what belongs to either.

use std::ops::Range;
use std::path::PathBuf;
use std::sync::Arc;

use toml::Spanned;

use super::super::environment::Named;
use super::super::written::{self, Written};
use super::super::{Account, Pac, Proof, Proxy, Way};
use super::Build;
use crate::config::{self, Problem, Text};
use crate::observation::Scheme;

/// Headers that a CONNECT has already, or that would change what it is.
const OWN: &[&str] = &[
    "connection",
    "content-length",
    "host",
    "proxy-authorization",
    "te",
    "transfer-encoding",
    "upgrade",
    "user-agent",
];

/// What a route says beside its proxy's URL.
struct Beside {
    account: Option<Account>,
    headers: Vec<(String, String)>,
    roots: Vec<Vec<u8>>,
    files: Vec<PathBuf>,
}

impl Build<'_> {
    /// How it leaves; none where it is wrong, or where the environment names no proxy.
    pub(super) fn way(&mut self, route: &config::Route, name: &Spanned<String>) -> Option<Way> {
        let beside = self.beside(route);
        let Some(proxy) = &route.proxy else {
            self.belongs_to_a_proxy(route, name);
            // A direct route of its own is one that leaves from somewhere else.
            if route.source.is_none() && route.interface.is_none() {
                let what = format!("route `{}` has neither a proxy nor a source", name.get_ref());
                let help = "add proxy = \"http://HOST:PORT\", or source or interface; the direct \
                            route exists without a table";
                self.problems.push(Problem::at(Some(name.span()), what, help).as_absence());
            }
            return Some(Way::Direct);
        };
        let text = self.text(proxy)?;
        if text == "environment" {
            let found = self.environment(proxy.span())?;
            return Some(self.through(route, (found, proxy.span()), beside));
        }
        match written::proxy(&text) {
            Ok(Written::Proxy(written)) => self.named(route, (written, proxy), beside),
            Ok(Written::Pac(url)) => {
                self.pac_is_sound(route, &url, proxy.span());
                let hosts = route.auth_hosts.iter().map(|host| host.get_ref().clone()).collect();
                let Beside { account, headers, roots, files } = beside;
                Some(Way::Pac(Arc::new(Pac { url, hosts, account, headers, roots, files })))
            }
            Err(why) => {
                let what = format!("this proxy cannot be used: {why}");
                let help = "write http://HOST:PORT, https://, socks5://, socks5h://, or \
                            pac+https://HOST/FILE";
                self.fault(proxy.span(), what, help);
                None
            }
        }
    }

    /// A proxy by its URL.
    fn named(
        &mut self,
        route: &config::Route,
        (written, text): (Proxy, &Spanned<Text>),
        beside: Beside,
    ) -> Option<Way> {
        if written.account.is_some() && matches!(text.get_ref(), Text::Literal(_)) {
            let help = "write auth = { scheme = \"basic\", username = \"…\", \
                        password = { file = \"PATH\" } }";
            self.fault(text.span(), "a login does not stand in this file", help);
            return None;
        }
        Some(self.through(route, (written, text.span()), beside))
    }

    /// Through a proxy, whoever names it; what stands beside it has to fit.
    fn through(
        &mut self,
        route: &config::Route,
        (proxy, place): (Proxy, Range<usize>),
        beside: Beside,
    ) -> Way {
        let spoken = proxy.spoken;
        if !route.auth_hosts.is_empty() || route.insecure_pac {
            let what = "`auth_hosts` and `insecure_pac` are for a PAC file";
            self.fault(place.clone(), what, "take them out");
        }
        if spoken.label() != "https" && !route.ca_files.is_empty() {
            let what =
                format!("a proxy that is spoken to by {} shows no certificate", spoken.label());
            self.fault(place.clone(), what, "take `ca_files` out, or write https://");
        }
        if spoken.is_socks() && !route.connect_headers.is_empty() {
            let what = "SOCKS has no headers";
            self.fault(place, what, "take `connect_headers` out");
        }
        if spoken.is_socks()
            && let (Some(auth), Some(account)) = (&route.auth, &beside.account)
        {
            self.fits_socks(auth, account);
        }
        Way::Proxy(Arc::new(with(proxy, beside)))
    }

    /// RFC 1929 2: one byte counts each.
    fn fits_socks(&mut self, auth: &Spanned<config::Auth>, account: &Account) {
        if account.scheme != Scheme::Basic {
            let what = format!("SOCKS knows no {}", account.scheme.label());
            self.fault(auth.span(), what, "write scheme = \"basic\": name and password");
        }
        if account.name.len() > 255 {
            self.fault(auth.span(), "SOCKS takes names of at most 255 bytes", "shorten it");
        }
    }

    /// Plain HTTP is refused: whoever is on the way could choose the proxy.
    fn pac_is_sound(&mut self, route: &config::Route, url: &url::Url, place: Range<usize>) {
        if url.scheme() == "http" && !route.insecure_pac {
            let what = "a PAC file over plain HTTP can be changed by everybody on the way";
            self.fault(place, what, "write pac+https://, or insecure_pac = true");
        }
        if !route.auth_hosts.is_empty() {
            return;
        }
        let help = "add auth_hosts = [\"proxy.corp.example:3128\"]";
        if let Some(auth) = &route.auth {
            let what = "a PAC file may name any proxy: the login would go to none";
            self.fault(auth.span(), what, help);
        }
        if let Some(header) = route.connect_headers.keys().next() {
            let what = "a PAC file may name any proxy: the headers would go to none";
            self.fault(header.span(), what, help);
        }
    }

    /// What a route without a proxy has no use for.
    fn belongs_to_a_proxy(&mut self, route: &config::Route, name: &Spanned<String>) {
        let given = [
            ("auth", route.auth.is_some()),
            ("auth_hosts", !route.auth_hosts.is_empty()),
            ("ca_files", !route.ca_files.is_empty()),
            ("connect_headers", !route.connect_headers.is_empty()),
            ("insecure_pac", route.insecure_pac),
        ];
        for (key, _) in given.iter().filter(|(_, given)| *given) {
            let what = format!("`{key}` is for a proxy, and route `{}` has none", name.get_ref());
            self.fault(name.span(), what, "add proxy = \"http://HOST:PORT\"");
        }
    }

    fn beside(&mut self, route: &config::Route) -> Beside {
        let account = route.auth.as_ref().and_then(|auth| self.account(auth));
        let roots = route
            .ca_files
            .iter()
            .flat_map(|file| self.certificates(file.get_ref(), &file.span()))
            .collect();
        let headers = route.connect_headers.iter();
        let headers = headers.filter_map(|(name, value)| self.header(name, value, OWN)).collect();
        let files = route.ca_files.iter().map(|file| file.get_ref().clone()).collect();
        Beside { account, headers, roots, files }
    }

    /// A header as it is sent, unless it is one of those that are decided elsewhere.
    pub(super) fn header(
        &mut self,
        name: &Spanned<String>,
        value: &str,
        decided: &[&str],
    ) -> Option<(String, String)> {
        let text = name.get_ref();
        let sound = http::HeaderName::from_bytes(text.as_bytes()).is_ok()
            && http::HeaderValue::from_str(value).is_ok();
        if !sound {
            let what = format!("`{text}` and its value are no header");
            self.fault(name.span(), what, "write X-Name = \"value\" without line breaks");
        } else if decided.contains(&text.to_ascii_lowercase().as_str()) {
            let what = format!("`{text}` is not for the configuration to say");
            self.fault(name.span(), what, "take it out; a login or a key has its own setting");
        } else {
            return Some((text.clone(), value.to_owned()));
        }
        None
    }

    fn environment(&mut self, place: Range<usize>) -> Option<Proxy> {
        match self.given.proxies.named() {
            Named::Nothing => None,
            Named::Proxy { proxy, .. } => Some(proxy),
            Named::Unusable { variable, why } => {
                let what = format!("the proxy in {variable} cannot be used: {why}");
                self.warn(place, what, "the route is left out");
                None
            }
        }
    }

    pub(super) fn account(&mut self, auth: &Spanned<config::Auth>) -> Option<Account> {
        let known: Vec<(&str, Scheme)> =
            Scheme::ALL.iter().map(|scheme| (scheme.label(), *scheme)).collect();
        let Some(scheme) = &auth.get_ref().scheme else {
            let help = "write scheme = \"basic\", \"digest\", \"ntlm\" or \"negotiate\"";
            let problem = Problem::at(Some(auth.span()), "a login without a scheme", help);
            self.problems.push(problem.as_absence());
            return None;
        };
        let scheme = self.one_of(scheme.get_ref(), scheme.span(), &known)?;
        let built = match scheme {
            Scheme::Basic | Scheme::Digest => true,
            Scheme::Ntlm => cfg!(feature = "ntlm"),
            Scheme::Negotiate => cfg!(feature = "kerberos"),
        };
        if !built {
            let what = format!("this build is without {}", scheme.label());
            self.fault(auth.span(), what, "build it with its feature, which is on by default");
            return None;
        }
        match scheme {
            Scheme::Negotiate => self.ticket(auth),
            Scheme::Basic | Scheme::Digest | Scheme::Ntlm => self.password(auth, scheme),
        }
    }

    fn password(&mut self, auth: &Spanned<config::Auth>, scheme: Scheme) -> Option<Account> {
        let config::Auth { username, domain, password, keytab, principal, ccache, .. } =
            auth.get_ref();
        if keytab.is_some() || principal.is_some() || ccache.is_some() {
            let what = format!("keytab, principal and ccache are not for {}", scheme.label());
            self.fault(auth.span(), what, "write username and password, or scheme = \"negotiate\"");
        }
        if domain.is_some() && scheme != Scheme::Ntlm {
            let what = "a domain is for ntlm";
            self.fault(auth.span(), what, "take it out, or write it into the username");
        }
        let (Some(username), Some(password)) = (username, password) else {
            let what = format!("a login by {} has a username and a password", scheme.label());
            let help = "write username = \"…\" and password = { file = \"PATH\" }";
            self.problems.push(Problem::at(Some(auth.span()), what, help).as_absence());
            return None;
        };
        self.source_is_sound(password);
        let name = self.text(username)?;
        // RFC 7617 2: the first colon ends the name.
        let wrong = |c: char| c.is_control() || c == ':' && scheme == Scheme::Basic;
        if name.is_empty() || name.contains(wrong) {
            let what = format!("this cannot be a name for {}", scheme.label());
            self.fault(username.span(), what, "write it without colon and control characters");
        }
        let proof = Proof::Password(password.get_ref().clone());
        Some(Account { scheme, name, domain: domain.clone(), proof })
    }

    fn ticket(&mut self, auth: &Spanned<config::Auth>) -> Option<Account> {
        let config::Auth { username, domain, password, keytab, principal, ccache, .. } =
            auth.get_ref();
        if username.is_some() || password.is_some() || domain.is_some() {
            let what = "negotiate takes a ticket, not a password";
            let help =
                "write principal = \"svc@REALM\" and keytab = \"PATH\", or ccache = \"PATH\"";
            self.fault(auth.span(), what, help);
        }
        let proof = match (keytab, ccache) {
            (Some(_), Some(_)) => {
                let what = "a ticket comes from a keytab or from a cache";
                self.fault(auth.span(), what, "write one of keytab, ccache");
                return None;
            }
            (Some(keytab), None) => Proof::Keytab(keytab.get_ref().clone()),
            (None, cache) => Proof::Cache(cache.clone()),
        };
        let name = match principal {
            Some(principal) => self.text(principal)?,
            None => String::new(),
        };
        Some(Account { scheme: Scheme::Negotiate, name, domain: None, proof })
    }
}

/// What is written beside the URL counts; the login of an environment's URL only where nothing is.
fn with(proxy: Proxy, beside: Beside) -> Proxy {
    let Beside { account, headers, roots, files } = beside;
    Proxy { account: account.or(proxy.account), headers, roots, files, ..proxy }
}
