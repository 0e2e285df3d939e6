//! Single values: addresses, filters, lists of controls, resolvers, URLs.

use std::net::SocketAddr;
use std::ops::Range;

use toml::Spanned;
use url::Url;

use super::super::{Endpoint, Nameserver, query};
use super::Build;
use crate::config::{Config, Pick, Problem, Text, nearest};
use crate::observation::Control;

/// The reason is among the problems.
pub(super) struct Unusable;

impl Build<'_> {
    pub(super) fn listen(&mut self, text: &Spanned<Text>) -> Option<SocketAddr> {
        let value = self.text(text)?;
        match value.parse::<SocketAddr>() {
            Ok(address) => Some(address),
            Err(_) => {
                let what = format!("`{}` is no address with a port", shown_url(&value));
                self.fault(text.span(), what, "write an address and a port: 127.0.0.1:9737");
                None
            }
        }
    }

    pub(super) fn filter(&mut self, filter: &Spanned<String>) -> String {
        let text = filter.get_ref();
        // A word alone is taken for a module's name by the library; a misspelt level would be silence.
        let levels = ["off", "error", "warn", "info", "debug", "trace"];
        let bare = text.split(',').map(str::trim).find(|part| {
            !part.contains('=') && !levels.contains(&part.to_ascii_lowercase().as_str())
        });
        if let Some(word) = bare {
            self.fault(filter.span(), format!("`{word}` is no level"), nearest(word, &levels));
        } else if let Err(error) = tracing_subscriber::EnvFilter::builder().parse(text) {
            let what = format!("`{text}` is no log filter: {error}");
            self.fault(filter.span(), what, "write a level, or target=level: info, egressd=debug");
        }
        text.clone()
    }

    pub(super) fn allowed(&mut self, allow: &Spanned<Pick>) -> Vec<Control> {
        match allow.get_ref() {
            Pick::Word(word) => {
                let words =
                    &[("usual", Words::Usual), ("all", Words::All), ("passive", Words::Passive)];
                match self.one_of(word, allow.span(), words) {
                    Some(Words::All) => Control::ALL.to_vec(),
                    // It may look like evasion to those who watch the network.
                    Some(Words::Usual) => {
                        let usual = |control: &Control| *control != Control::NameElsewhere;
                        Control::ALL.iter().copied().filter(usual).collect()
                    }
                    Some(Words::Passive) | None => Vec::new(),
                }
            }
            Pick::List(names) => {
                let known: Vec<(&str, Control)> =
                    Control::ALL.iter().map(|control| (control.label(), *control)).collect();
                names.iter().filter_map(|name| self.one_of(name, allow.span(), &known)).collect()
            }
        }
    }

    pub(super) fn resolvers(
        &mut self,
        servers: &Spanned<Pick>,
    ) -> Result<Option<Vec<Nameserver>>, Unusable> {
        match servers.get_ref() {
            Pick::Word(word) => {
                self.one_of(word, servers.span(), &[("system", None)]).ok_or(Unusable)
            }
            Pick::List(list) if list.is_empty() => {
                self.fault(
                    servers.span(),
                    "no server to ask",
                    "write \"system\", or at least one address",
                );
                Err(Unusable)
            }
            Pick::List(list) => Ok(Some(
                list.iter().filter_map(|server| self.resolver(server, servers.span())).collect(),
            )),
        }
    }

    pub(super) fn resolver(&mut self, text: &str, place: Range<usize>) -> Option<Nameserver> {
        match text.parse() {
            Ok(server) => Some(server),
            Err(why) => {
                self.fault(
                    place,
                    format!("`{}` is no DNS server: {why}", shown_url(text)),
                    "write an address, with a port where it is not 53 ([::1]:5353), or how to ask \
                     it: tls://10.0.0.53#dns.corp.example, https://10.0.0.53/dns-query#dns.corp.example",
                );
                None
            }
        }
    }

    pub(super) fn url(&mut self, url: &str, place: Range<usize>) -> Option<Endpoint> {
        let help = "write a whole URL: https://api.anthropic.com/v1/models";
        // The URL standard makes a host of what follows three slashes; nobody means that.
        if url.contains(":///") {
            self.fault(place, format!("`{}` has no host", shown_url(url)), help);
            return None;
        }
        let parsed = match Url::parse(url) {
            Ok(parsed) => parsed,
            Err(error) => {
                self.fault(place, format!("`{}` is no URL: {error}", shown_url(url)), help);
                return None;
            }
        };
        if !parsed.username().is_empty() || parsed.password().is_some() {
            self.fault(
                place,
                "a login inside of a URL is not sent",
                "take it out; a key has its own setting",
            );
            return None;
        }
        self.holds_no_key(&parsed, place.clone());
        let endpoint = Endpoint::of(&parsed);
        if endpoint.is_none() {
            let what =
                format!("`{}` has no host, or another scheme than http and https", shown_url(url));
            self.fault(place, what, help);
        }
        endpoint
    }

    /// A key in a query would be in every log, and is told to no place that keeps it.
    pub(super) fn holds_no_key(&mut self, url: &Url, place: Range<usize>) {
        if let Some(name) = query::key(url) {
            let what = format!("`{name}` in the query is a key, and a URL is seen by many");
            self.fault(
                place,
                what,
                "take it out; a key has its own setting, `key`, and goes in a header",
            );
        }
    }

    pub(super) fn controls(&mut self, config: &Config, proxied: bool) -> Vec<Endpoint> {
        let urls = config.control.urls.iter().chain(&config.control.url);
        let controls: Vec<Endpoint> = urls
            .filter_map(|url| {
                let text = self.text(url)?;
                let endpoint = self.url(&text, url.span())?;
                if proxied {
                    self.tunnels_well(&endpoint, url.span());
                }
                Some(endpoint)
            })
            .collect();
        if controls.is_empty() && config.control.urls.is_empty() && config.control.url.is_none() {
            let what = "no control host: few failures can be told apart";
            let help = "add `[control] urls` with hosts that this network lets through";
            self.problems.push(Problem::at(None, what, help).as_warning());
        }
        controls
    }
}

/// What `experiments.allow` may say in one word.
#[derive(Clone, Copy)]
enum Words {
    Usual,
    All,
    Passive,
}

impl Build<'_> {
    /// The page that shows a captive portal: in plain HTTP, where a portal can answer in its place.
    pub(super) fn portal(&mut self, url: &Spanned<String>) -> Option<Endpoint> {
        if url.get_ref().is_empty() {
            return None;
        }
        let endpoint = self.url(url.get_ref(), url.span())?;
        if endpoint.is_tls() {
            let what = "a portal cannot answer in the place of an https:// page";
            self.fault(url.span(), what, "write http://, with a page that answers 204");
        }
        Some(endpoint)
    }

    /// Browsers ask a proxy for plain HTTP without a tunnel; here everything goes through one.
    pub(super) fn tunnels_well(&mut self, endpoint: &Endpoint, place: Range<usize>) {
        if !endpoint.is_tls() {
            let what = format!(
                "a proxy is asked for CONNECT to port {}, which many refuse but to 443",
                endpoint.port
            );
            self.warn(place, what, "write https://");
        }
    }
}

/// A URL without what may be a password in it: nothing that stands before an `@` is shown.
pub(in crate::plan) fn shown_url(url: &str) -> String {
    let (url, query) = url.split_once('?').map_or((url, ""), |(before, _)| (before, "?…"));
    let shown =
        url.rsplit_once('@').map_or_else(|| url.to_owned(), |(_, rest)| format!("…@{rest}"));
    format!("{shown}{query}")
}
