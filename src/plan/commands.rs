//! A check as commands of other programs, layer by layer, ready to be pasted into a shell: for who does not believe
//! a verdict. It runs nothing, and writes no secret: a key, a password, a proxy's header stay where they are.

use std::net::IpAddr;
use std::path::PathBuf;
use std::sync::Arc;

use url::Host;

use super::asked::asked;
use super::login;
use super::look_up::{question, transport};
use super::shell::{self, Line, quote};
use super::written::{self, Written};
use super::{Pac, Plan, Proxy, Route, Spoken, Target, Way};
use crate::observation::Trip;

/// Addresses that have commands of their own at most.
const ADDRESSES: usize = 4;

/// What is asked, and the command that asks it: none where there is but something to say.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Step {
    /// In a few words.
    pub about: String,
    /// One line of a POSIX shell.
    pub command: Option<String>,
}

/// The commands for a check, in the order of the layers. The trip, where one was made, says which addresses there are
/// and which way a PAC file chose.
pub fn commands(plan: &Plan, target: &Target, route: &Route, trip: Option<&Trip>) -> Vec<Step> {
    let mut hand = Hand { plan, target, route: route.clone(), proxy_ca: None, steps: Vec::new() };
    if let Way::Pac(pac) = &route.way {
        hand.pac_file(pac);
        let Some(way) = trip.and_then(|trip| chosen(pac, trip)) else {
            hand.say("the way that the file chooses is not known: no trip was made along it");
            return hand.steps;
        };
        hand.route = route.by(way);
    }
    let seen = trip.map(|trip| addresses(trip, &target.endpoint.host)).unwrap_or_default();
    let trust = target.trust.as_deref().unwrap_or(&plan.trust);
    let ca = hand.bundle("CA_BUNDLE", &trust.files);
    let client = hand.client();
    match hand.route.proxy().cloned() {
        None => {
            hand.names(&target.endpoint.host);
            hand.connections(&seen);
        }
        Some(proxy) => hand.proxy(&proxy, ca.as_deref()),
    }
    if target.endpoint.is_tls() {
        hand.handshake(ca.as_deref(), client.as_ref());
    }
    hand.request(&seen, ca.as_deref(), client.as_ref());
    hand.name_variables();
    hand.steps
}

/// Steps as they are printed below a check.
pub fn commands_text(steps: &[Step]) -> String {
    let mut out = String::new();
    for Step { about, command } in steps {
        out.push_str(&format!("  # {about}\n"));
        if let Some(line) = command {
            out.push_str(&format!("  {line}\n"));
        }
    }
    out
}

/// The addresses that a trip tried, where its first hop is the target.
fn addresses(trip: &Trip, host: &Host<String>) -> Vec<IpAddr> {
    let mut seen: Vec<IpAddr> = Vec::new();
    for leg in &trip.legs {
        if !trip.proxied && matches!(host, Host::Domain(_)) && !seen.contains(&leg.address.ip()) {
            seen.push(leg.address.ip());
        }
    }
    seen.truncate(ADDRESSES);
    seen
}

/// The way that a PAC file chose: a trip keeps the proxy's place, and the file's answer how it is spoken to.
fn chosen(pac: &Pac, trip: &Trip) -> Option<Way> {
    let seen = trip.pac.as_ref()?;
    if seen.chosen == "DIRECT" {
        return Some(Way::Direct);
    }
    seen.answer.split(';').find_map(|entry| {
        let (word, place) = entry.trim().split_once(char::is_whitespace)?;
        let scheme = match word.to_ascii_uppercase().as_str() {
            "PROXY" | "HTTP" => "http",
            "HTTPS" => "https",
            // By it browsers let the proxy resolve.
            "SOCKS5" => "socks5h",
            _ => return None,
        };
        match written::proxy(&format!("{scheme}://{}", place.trim())) {
            Ok(Written::Proxy(proxy)) if proxy.to_string() == seen.chosen => {
                Some(Way::Proxy(Arc::new(pac.names(proxy.spoken, proxy.host, proxy.port))))
            }
            Ok(_) | Err(_) => None,
        }
    })
}

struct Hand<'a> {
    plan: &'a Plan,
    target: &'a Target,
    route: Route,
    /// The word for the roots of an `https://` proxy's certificate.
    proxy_ca: Option<String>,
    steps: Vec<Step>,
}

impl Hand<'_> {
    fn say(&mut self, about: impl Into<String>) {
        self.steps.push(Step { about: about.into(), command: None });
    }

    fn step(&mut self, about: impl Into<String>, line: Line) {
        self.steps.push(Step { about: about.into(), command: Some(line.finished()) });
    }

    /// One file with all of these, as a word: programs take no list.
    fn bundle(&mut self, name: &str, files: &[PathBuf]) -> Option<String> {
        match files {
            [] => None,
            [only] => Some(shell::path(only)),
            several => {
                let paths: Vec<String> = several.iter().map(|file| shell::path(file)).collect();
                let line = format!("{name}=$(mktemp) && cat {} > \"${name}\"", paths.join(" "));
                self.step("the configured roots in one file", Line::new(&line));
                Some(format!("\"${name}\""))
            }
        }
    }

    /// The certificate and its key, as curl and openssl take them: two words.
    fn client(&mut self) -> Option<[String; 2]> {
        let client = self.target.client_cert.as_ref()?;
        let key = shell::secret_file(&client.key).unwrap_or_else(|| {
            let value = shell::secret(&client.key);
            let line = format!("CLIENT_KEY=$(mktemp) && printf '%s\\n' {value} > \"$CLIENT_KEY\"");
            self.step("the key of the client certificate in a file", Line::new(&line));
            "\"$CLIENT_KEY\"".to_owned()
        });
        Some([client.file.display().to_string(), key])
    }

    /// Variables that a shell has only if somebody sets them.
    fn name_variables(&mut self) {
        let uses = |name: &str| {
            let named = |step: &Step| step.command.as_ref().is_some_and(|line| line.contains(name));
            self.steps.iter().any(named)
        };
        let about = match (uses("$CREDENTIALS_DIRECTORY"), uses("$PROXY_USER")) {
            (true, _) => {
                "CREDENTIALS_DIRECTORY is set by systemd: here, to a folder with the secrets"
            }
            (_, true) => "PROXY_USER and PROXY_PASSWORD are the login that the environment names",
            (false, false) => return,
        };
        self.steps.insert(0, Step { about: about.to_owned(), command: None });
    }

    fn pac_file(&mut self, pac: &Pac) {
        let ca = match pac.url.scheme() {
            "https" => self.bundle("PAC_CA_BUNDLE", &self.plan.trust.files),
            _ => None,
        };
        let line = match pac.url.to_file_path() {
            Ok(file) => Line::new("cat").and(&shell::path(&file)),
            Err(()) => self.direct(ca.as_deref()).option("--url", Some(&pac.shown())),
        };
        let query = if pac.url.query().is_some() { ", its query left out" } else { "" };
        self.step(format!("proxy: the PAC file{query}"), line);
    }

    /// The look-up of a name at each server that is asked.
    fn names(&mut self, host: &Host<String>) {
        let Host::Domain(name) = host else { return };
        // A name may begin as an option does.
        let (end, name) = (end_of_options(name), quote(name));
        let both = match end {
            "" => format!("{name} A {name} AAAA"),
            _ => format!("-q {name} -t A -q {name} -t AAAA"),
        };
        let Some(servers) = &self.plan.resolvers else {
            let line = Line::new("getent ahosts").and(&format!("{end}{name}"));
            self.step("dns: as the programs of this host do it", line);
            self.step("dns: the first server of resolv.conf", Line::new("dig").and(&both));
            return;
        };
        for server in servers {
            let roots = self.plan.trust.files.first();
            self.step(format!("dns: {}", transport(server)), question(server, roots).and(&both));
        }
    }

    /// curl without a proxy, whatever the environment names.
    fn direct(&self, ca: Option<&str>) -> Line {
        let line = Line::new("curl -sS -v --noproxy '*'");
        ca.into_iter().fold(self.from(line), |line, ca| line.and("--cacert").and(ca))
    }

    /// With the time, and the place to leave from, that a trip has.
    fn from(&self, line: Line) -> Line {
        let seconds = self.target.timeout.as_secs_f64().ceil();
        let line = line.and(&format!("--max-time {seconds}"));
        let source = self.route.source.map(|source| source.to_string());
        line.option("--interface", source.or_else(|| self.route.interface.clone()).as_deref())
    }

    /// The connection by name, and to each address.
    fn connections(&mut self, seen: &[IpAddr]) {
        match (&self.route.source, &self.route.interface) {
            (_, None) => {}
            (None, Some(_)) => {
                self.say("curl alone leaves by the interface: nc and openssl know none");
            }
            (Some(_), Some(_)) => {
                self.say("the interface is left out: curl takes it or the address");
            }
        }
        let (host, port) = (self.target.endpoint.host.clone(), self.target.endpoint.port);
        let hosts = seen.iter().map(|address| match address {
            IpAddr::V4(address) => Host::Ipv4(*address),
            IpAddr::V6(address) => Host::Ipv6(*address),
        });
        for host in [host].into_iter().chain(hosts) {
            self.connection("tcp", &host, port);
        }
    }

    fn connection(&mut self, about: &str, host: &Host<String>, port: u16) {
        let address = match host {
            Host::Domain(name) => name.clone(),
            Host::Ipv4(address) => address.to_string(),
            Host::Ipv6(address) => address.to_string(),
        };
        let seconds = self.target.timeout.as_secs_f64().ceil();
        let source = self.route.source.map(|source| source.to_string());
        let line =
            Line::new("nc -vz").and(&format!("-w {seconds}")).option("-s", source.as_deref());
        let line = line.and(&format!("{}{} {port}", end_of_options(&address), quote(&address)));
        self.step(format!("{about}: to {host} port {port}"), line);
    }

    /// All that leads to a tunnel, and what the proxy answers where it is asked for one.
    fn proxy(&mut self, proxy: &Arc<Proxy>, ca: Option<&str>) {
        self.names(&proxy.host);
        self.connection("proxy", &proxy.host, proxy.port);
        let (host, port) = (self.target.endpoint.host.clone(), self.target.endpoint.port);
        match proxy.spoken {
            Spoken::Https => {
                self.proxy_ca = self.proxy_roots(proxy);
                let line = openssl(&proxy.host, proxy.port);
                let line = roots(line, "-CAfile", self.proxy_ca.as_deref());
                self.step("proxy: its own TLS", line.and("</dev/null"));
            }
            Spoken::Socks5 => self.names(&host),
            Spoken::Http | Spoken::Socks5h => {}
        }
        if let Some(line) = proxy.account.as_ref().and_then(login::ticket) {
            self.step("proxy: the Kerberos ticket", line);
        }
        if !proxy.spoken.is_socks() {
            let url = format!("{}://{host}:{port}/", self.target.endpoint.url.scheme());
            let line = self.through(proxy).and("-o /dev/null -w '%{http_connect}\\n'");
            let line = roots(line, "--cacert", ca.filter(|_| self.target.endpoint.is_tls()));
            let about = format!("proxy: what it answers to CONNECT {host}:{port}, the last line");
            self.step(about, line.option("--url", Some(&url)));
        }
    }

    /// The roots for a proxy's own certificate: its own beside the usual ones.
    fn proxy_roots(&mut self, proxy: &Proxy) -> Option<String> {
        let files = proxy.files.iter().chain(&self.plan.trust.files).cloned();
        self.bundle("PROXY_CA_BUNDLE", &files.collect::<Vec<PathBuf>>())
    }

    /// curl through a proxy, with the login that is configured for it.
    fn through(&self, proxy: &Proxy) -> Line {
        let place = format!("{}://{proxy}", proxy.spoken.label());
        let line = Line::new("curl -sS -v --noproxy ''").option("-x", Some(&place));
        let mut line = if proxy.spoken.is_socks() { line } else { line.and("-p") };
        line = roots(line, "--proxy-cacert", self.proxy_ca.as_deref());
        for (name, _) in &proxy.headers {
            line = line.and("--proxy-header").and(&login::header(name));
        }
        let line = match &proxy.account {
            Some(account) => login::curl(line, account, proxy.spoken),
            None => line,
        };
        self.from(line)
    }

    /// The handshake with the target, and the certificates that it shows.
    fn handshake(&mut self, ca: Option<&str>, client: Option<&[String; 2]>) {
        let mut line = openssl(&self.target.endpoint.host, self.target.endpoint.port);
        if let Some(proxy) = self.route.proxy() {
            let by = match (proxy.spoken, &proxy.account) {
                (Spoken::Http, None) => Ok(line.option("-proxy", Some(&proxy.to_string()))),
                (Spoken::Http, Some(account)) => {
                    login::openssl(line.option("-proxy", Some(&proxy.to_string())), account)
                }
                (Spoken::Https, _) => Err("openssl speaks no TLS with a proxy".to_owned()),
                (Spoken::Socks5 | Spoken::Socks5h, _) => Err("openssl speaks no SOCKS".to_owned()),
            };
            line = match by {
                Ok(line) => line,
                Err(why) => {
                    self.say(format!("tls: {why}; curl below shows the certificate"));
                    return;
                }
            };
        }
        line = roots(line.and("-alpn h2,http/1.1"), "-CAfile", ca);
        if let Some([certificate, key]) = client {
            line = line.and("-cert").and(&shell::path(certificate.as_ref()));
            line = line.and("-key").and(key);
        }
        let source = self.route.source.map(|source| match source {
            IpAddr::V4(source) => source.to_string(),
            IpAddr::V6(source) => format!("[{source}]"),
        });
        line = line.option("-bind", source.as_deref());
        self.step("tls: the handshake, and the certificates", line.and("</dev/null"));
    }

    /// The request, and the same at each address.
    fn request(&mut self, seen: &[IpAddr], ca: Option<&str>, client: Option<&[String; 2]>) {
        let endpoint = &self.target.endpoint;
        let ca = ca.filter(|_| endpoint.is_tls());
        let mut line = match self.route.proxy() {
            Some(proxy) => roots(self.through(proxy), "--cacert", ca),
            None => self.direct(ca),
        };
        if let Some([certificate, key]) = client {
            // What stands behind a colon would be a password.
            let certificate = certificate.replace('\\', "\\\\").replace(':', "\\:");
            line = line.option("--cert", Some(&certificate)).and("--key").and(key);
        }
        let plan = self.plan.trip(self.target, &self.route, None);
        let (line, left_out) = asked(line, self.target, &plan.request);
        // Else curl takes brackets and braces for a list of URLs.
        let line = if endpoint.url.as_str().contains(['[', ']', '{', '}']) {
            line.and("-g")
        } else {
            line
        };
        let line = line.option("--url", Some(&endpoint.shown()));
        let left_out = if endpoint.shown() == endpoint.url.as_str() {
            left_out
        } else {
            format!("{left_out}, values of its query left out")
        };
        let port = endpoint.port;
        // To curl a dash in front of such an entry takes it out.
        let named = |_: &&IpAddr| !endpoint.host.to_string().starts_with('-');
        let by_address: Vec<(IpAddr, Line)> = seen
            .iter()
            .filter(named)
            .map(|address| {
                let there = match address {
                    IpAddr::V4(address) => format!("{}:{port}:{address}", endpoint.host),
                    IpAddr::V6(address) => format!("{}:{port}:[{address}]", endpoint.host),
                };
                (*address, line.clone().option("--resolve", Some(&there)))
            })
            .collect();
        self.step(format!("http: the request{left_out}"), line);
        for (address, line) in by_address {
            self.step(format!("http: the request to {address}"), line);
        }
    }
}

/// What stands before a word that would be read as an option.
fn end_of_options(word: &str) -> &'static str {
    if word.starts_with('-') { "-- " } else { "" }
}

fn roots(line: Line, option: &str, word: Option<&str>) -> Line {
    word.into_iter().fold(line, |line, word| line.and(option).and(word))
}

/// A handshake that ends where the certificate does not verify for this host.
fn openssl(host: &Host<String>, port: u16) -> Line {
    let line = Line::new("openssl s_client").option("-connect", Some(&format!("{host}:{port}")));
    let line = match host {
        Host::Domain(name) => {
            line.option("-servername", Some(name)).option("-verify_hostname", Some(name))
        }
        Host::Ipv4(address) => {
            line.and("-noservername").option("-verify_ip", Some(&address.to_string()))
        }
        Host::Ipv6(address) => {
            line.and("-noservername").option("-verify_ip", Some(&address.to_string()))
        }
    };
    line.and("-showcerts -verify_return_error")
}
