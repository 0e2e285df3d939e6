//! Vendors' fingerprints: what their devices and services leave on what passes them, as data.
//!
//! The rows are in `fingerprints.toml`, each with its source. A match adds a name to a verdict and is never
//! the ground of one: names are chosen by whoever runs the device, and texts change with its version. Which
//! parts of a trip may be compared at all is `looks_like`'s to say.

use std::net::IpAddr;
use std::sync::LazyLock;

use serde::Deserialize;

/// All rows, parsed once. That they parse is tested: a broken row would only take the names away.
static ROWS: LazyLock<Rows> =
    LazyLock::new(|| toml::from_str(include_str!("fingerprints.toml")).unwrap_or_default());

/// The rows by where they are seen. Their sources are for readers, and not kept.
#[derive(Debug, Default, Deserialize)]
struct Rows {
    issuer: Vec<Issuer>,
    header: Vec<Header>,
    redirect: Vec<Redirect>,
    body: Vec<Body>,
    sinkhole: Vec<Sinkhole>,
}

/// A field of the name of a certificate's issuer.
#[derive(Debug, Deserialize)]
struct Issuer {
    vendor: String,
    /// As a name is written: `cn`, `o`, `ou`, `email`.
    field: String,
    like: Like,
}

/// A header of an answer.
#[derive(Debug, Deserialize)]
struct Header {
    vendor: String,
    /// Its name in lower case.
    header: String,
    like: Like,
}

/// Where an answer leads; what is left out may be anything.
#[derive(Debug, Deserialize)]
struct Redirect {
    vendor: String,
    /// This host, or one below it.
    host: Option<String>,
    port: Option<u16>,
    /// It begins in the path, and may go on into the query.
    path: Option<String>,
}

/// A piece of a body, in lower case.
#[derive(Debug, Deserialize)]
struct Body {
    vendor: String,
    piece: Lower,
}

/// What a resolver answers with.
#[derive(Debug, Deserialize)]
struct Sinkhole {
    vendor: String,
    #[serde(default)]
    addresses: Vec<Span>,
    /// An alias that it puts there instead.
    name: Option<String>,
}

/// The maker of the filter that answers with this address instead of the real one.
pub fn sinkhole_of(address: IpAddr) -> Option<&'static str> {
    // Umbrella answers AAAA with its IPv4 address inside.
    let address = address.to_canonical();
    let holds = |row: &&Sinkhole| row.addresses.iter().any(|span| span.contains(address));
    ROWS.sinkhole.iter().find(holds).map(|row| row.vendor.as_str())
}

/// The same for a name that the one that was asked for is made an alias of.
pub(super) fn alias(target: &str) -> Option<&'static str> {
    let target = target.trim_end_matches('.');
    let is =
        |row: &&Sinkhole| row.name.as_ref().is_some_and(|name| name.eq_ignore_ascii_case(target));
    ROWS.sinkhole.iter().find(is).map(|row| row.vendor.as_str())
}

/// Whose issuer has this distinguished name, compared field by field.
pub(super) fn issuer(name: &str) -> Option<&'static str> {
    let fields = fields(name);
    let fits = |row: &&Issuer| {
        fields.iter().any(|(field, value)| *field == row.field && row.like.fits(value))
    };
    ROWS.issuer.iter().find(fits).map(|row| row.vendor.as_str())
}

/// Who sends this header; its name is in lower case.
pub(super) fn header(name: &str, value: &str) -> Option<&'static str> {
    let value = value.trim().to_ascii_lowercase();
    let fits = |row: &&Header| row.header == name && row.like.fits(&value);
    ROWS.header.iter().find(fits).map(|row| row.vendor.as_str())
}

/// Who leads there.
pub(super) fn redirect(location: &str) -> Option<&'static str> {
    // What is relative stays on a host that is not known here.
    let base = url::Url::parse("http://host.invalid/").ok();
    let url = url::Url::options().base_url(base.as_ref()).parse(location).ok()?;
    ROWS.redirect.iter().find(|row| row.fits(&url)).map(|row| row.vendor.as_str())
}

/// Whose page this is a part of.
pub(super) fn body(text: &str) -> Option<&'static str> {
    let text = text.to_ascii_lowercase();
    ROWS.body.iter().find(|row| text.contains(&row.piece.0)).map(|row| row.vendor.as_str())
}

impl Redirect {
    fn fits(&self, url: &url::Url) -> bool {
        let host = self.host.as_deref().is_none_or(|host| {
            url.host_str().is_some_and(|is| {
                is.strip_suffix(host).is_some_and(|rest| rest.is_empty() || rest.ends_with('.'))
            })
        });
        let port = self.port.is_none_or(|port| url.port_or_known_default() == Some(port));
        let path = self.path.as_deref().is_none_or(|path| {
            let query = url.query().map(|query| format!("?{query}")).unwrap_or_default();
            // In the query alone it may be another page's address, handed on.
            let whole = format!("{}{query}", url.path());
            whole.find(path).is_some_and(|at| at < url.path().len())
        });
        host && port && path
    }
}

/// The fields of a distinguished name, in lower case. Neither a comma nor a plus inside of a value is marked,
/// so a field begins where its type does.
fn fields(name: &str) -> Vec<(String, String)> {
    let mut fields: Vec<(String, String)> = Vec::new();
    for part in name.to_ascii_lowercase().split_inclusive([',', '+']) {
        let is_type =
            |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_alphanumeric());
        match part.split_once('=').filter(|(field, _)| is_type(field.trim())) {
            Some((field, value)) => fields.push((field.trim().to_owned(), value.to_owned())),
            None => fields.iter_mut().rev().take(1).for_each(|(_, value)| value.push_str(part)),
        }
    }
    for (_, value) in &mut fields {
        *value = value.trim_end_matches([',', '+', ' ']).trim_matches([' ', '"']).to_owned();
    }
    fields
}

/// A text in lower case.
#[derive(Debug, Deserialize)]
#[serde(from = "String")]
struct Lower(String);

impl From<String> for Lower {
    fn from(text: String) -> Self {
        Self(text.to_ascii_lowercase())
    }
}

/// A whole text, or its begin, its end or a piece of it, in lower case.
#[derive(Debug, Deserialize)]
#[serde(from = "String")]
struct Like {
    text: String,
    open: [bool; 2],
}

impl From<String> for Like {
    fn from(like: String) -> Self {
        let text = like.trim_start_matches('*').trim_end_matches('*').to_ascii_lowercase();
        Self { text, open: [like.starts_with('*'), like.ends_with('*')] }
    }
}

impl Like {
    /// Whether a text in lower case is like that.
    fn fits(&self, text: &str) -> bool {
        match self.open {
            [false, false] => text == self.text,
            [false, true] => text.starts_with(&self.text),
            [true, false] => text.ends_with(&self.text),
            [true, true] => text.contains(&self.text),
        }
    }
}

/// Addresses from the first to the last.
#[derive(Debug, Deserialize)]
#[serde(try_from = "String")]
struct Span {
    first: IpAddr,
    last: IpAddr,
}

impl TryFrom<String> for Span {
    type Error = std::net::AddrParseError;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        let (first, last) = text.split_once('-').unwrap_or((&text, &text));
        Ok(Self { first: first.parse()?, last: last.parse()? })
    }
}

impl Span {
    fn contains(&self, address: IpAddr) -> bool {
        self.first <= address && address <= self.last
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::observation::Class;

    const TEXT: &str = include_str!("fingerprints.toml");

    #[test]
    fn every_row_parses_once_and_has_a_source() {
        let rows: Rows = toml::from_str(TEXT).unwrap();
        let counts = [
            rows.issuer.len(),
            rows.header.len(),
            rows.redirect.len(),
            rows.body.len(),
            rows.sinkhole.len(),
        ];
        assert!(counts.iter().all(|count| (10..100).contains(count)), "{counts:?}");
        let table: toml::Table = toml::from_str(TEXT).unwrap();
        let keys = |kind: &str| match kind {
            "issuer" => &["field", "like"][..],
            "header" => &["header", "like"],
            "redirect" => &["host", "path", "port"],
            "body" => &["piece"],
            "sinkhole" => &["addresses", "name"],
            _ => panic!("a kind of its own: {kind}"),
        };
        let sources = table["sources"].as_table().unwrap();
        let mut used = BTreeSet::new();
        for (kind, rows) in table.iter().filter(|(kind, _)| *kind != "sources") {
            let mut seen = BTreeSet::new();
            for row in rows.as_array().unwrap() {
                let mut row = row.as_table().unwrap().clone();
                let text = |value: Option<toml::Value>| match value {
                    Some(toml::Value::String(text)) if !text.trim().is_empty() => text,
                    other => panic!("{kind} {row:?}: {other:?}"),
                };
                let vendor = text(row.get("vendor").cloned());
                assert!(vendor.len() <= 40 && vendor.is_ascii(), "{vendor}");
                let source = text(row.get("source").cloned());
                let key = source.split([' ', ';', ',']).next().unwrap().to_owned();
                assert!(source.starts_with("https://") || sources.contains_key(&key), "{source}");
                used.insert(key);
                row.retain(|key, _| !["vendor", "source"].contains(&key));
                assert!(!row.is_empty(), "{kind} of {vendor} says nothing");
                assert!(row.keys().all(|key| keys(kind).contains(&key.as_str())), "{row:?}");
                let mark = row.to_string().to_ascii_lowercase();
                assert!(seen.insert(mark.clone()), "twice: {kind} {mark}");
            }
        }
        assert!(sources.keys().all(|key| used.contains(key)), "a source that no row names");
    }

    #[test]
    fn no_row_is_so_short_or_so_open_that_anybody_fits() {
        let rows: Rows = toml::from_str(TEXT).unwrap();
        let likes =
            rows.issuer.iter().map(|row| &row.like).chain(rows.header.iter().map(|row| &row.like));
        for like in likes {
            // A star inside would be taken for a star.
            assert!(like.text.len() >= 3 && !like.text.contains('*'), "{like:?}");
            assert!(like.text.len() >= 4 || like.open != [true, true], "{like:?}");
        }
        assert!(rows.body.iter().all(|row| row.piece.0.len() >= 15));
        let fields = ["cn", "o", "ou", "email"];
        assert!(rows.issuer.iter().all(|row| fields.contains(&row.field.as_str())));
        assert!(rows.header.iter().all(|row| row.header == row.header.to_ascii_lowercase()));
        for row in &rows.redirect {
            let path = row.path.as_ref().is_some_and(|path| path.len() >= 10);
            assert!(row.host.as_ref().map_or(path, |host| host.contains('.')), "{row:?}");
        }
        for row in &rows.sinkhole {
            assert!(row.addresses.is_empty() == row.name.is_some(), "{row:?}");
            for Span { first, last } in &row.addresses {
                assert!(first <= last && first.is_ipv4() == last.is_ipv4(), "{row:?}");
                assert!([first, last].iter().all(|ip| Class::of(**ip) == Class::Public), "{row:?}");
            }
        }
    }

    #[test]
    fn each_row_matches_what_it_says() {
        let rows: Rows = toml::from_str(TEXT).unwrap();
        let sample = |Like { text, open }: &Like| {
            let [before, after] = open.map(|open| if open { "x" } else { "" });
            format!("{before}{text}{after}")
        };
        for row in &rows.issuer {
            let field = row.field.to_ascii_uppercase();
            let name = format!("C=XX, {field}={}, L=Nowhere", sample(&row.like));
            assert_eq!(issuer(&name), Some(row.vendor.as_str()), "{name}");
        }
        for row in &rows.header {
            let value = sample(&row.like);
            assert_eq!(header(&row.header, &value), Some(row.vendor.as_str()), "{row:?}");
        }
        for row in &rows.redirect {
            let host = row.host.as_deref().unwrap_or("192.0.2.1");
            let port = row.port.map(|port| format!(":{port}")).unwrap_or_default();
            let path = row.path.as_deref().unwrap_or_default().trim_start_matches('/');
            let location = format!("http://{host}{port}/{path}");
            assert_eq!(redirect(&location), Some(row.vendor.as_str()), "{location}");
        }
        for row in &rows.body {
            let page = format!("<html>{}</html>", row.piece.0);
            assert_eq!(body(&page), Some(row.vendor.as_str()), "{page}");
        }
        for row in &rows.sinkhole {
            for Span { first, last } in &row.addresses {
                assert_eq!(sinkhole_of(*first), Some(row.vendor.as_str()));
                assert_eq!(sinkhole_of(*last), Some(row.vendor.as_str()));
            }
            assert!(row.name.iter().all(|name| alias(name) == Some(row.vendor.as_str())));
        }
    }

    #[test]
    fn an_issuer_is_compared_field_by_field() {
        let rows = [
            (
                "C=US, ST=California, L=Sunnyvale, O=Fortinet, OU=Certificate Authority, CN=FG100E",
                Some("FortiGate"),
            ),
            ("CN=FGT60F Deep Inspection,O=Fortinet", Some("FortiGate")),
            ("O=Cisco, CN=Cisco Umbrella Secondary SubCA lon-SG", Some("Cisco Umbrella")),
            ("CN=Cisco Secure Access Root CA, O=Cisco", Some("Cisco")),
            ("Email=certadmin@netskope.com, CN=ca.example.eu.goskope.com", Some("Netskope")),
            ("C=SK, O=ESET, spol. s r. o., CN=ESET SSL Filter CA", Some("ESET")),
            // Another's name in another's field, or as a part of a longer one.
            ("CN=Fortinet is not used here, O=Example Corp", None),
            ("CN=San Francisco Inspection CA, O=Example Corp", None),
            ("OU=Zscaler Inc., O=Example Corp", None),
            ("CN=zs_ssl_intermediate_ca1 (Example Corp)", None),
            ("CN=ca.goskope.com.example", None),
            ("CN=Example Corp TLS Inspection CA 3, O=Example Corp", None),
            ("CN=mitmproxy lab, O=Example Corp", None),
            ("", None),
            ("=,+=", None),
        ];
        for (name, vendor) in rows {
            assert_eq!(issuer(name), vendor, "{name}");
        }
    }

    #[test]
    fn an_ordinary_cdn_server_or_page_looks_like_nobody() {
        let headers = [
            ("server", "cloudflare"),
            ("server", "AkamaiGHost"),
            ("server", "nginx/1.26.0"),
            ("server", "Apache"),
            ("server", "envoy-of-mine"),
            ("server", "Microsoft-IIS/10.0"),
            ("via", "1.1 varnish"),
            ("via", "1.1 0123456789abcdef.cloudfront.net (CloudFront)"),
            ("via", "1.1 squid.example"),
            ("x-cache", "MISS from squid"),
            ("x-squid-error", ""),
            ("x-served-by", "squid/6.1"),
            ("set-cookie", "__cf_bm=1; path=/"),
            ("location", "https://www.example.com/?by=Barracuda/NGFirewall"),
        ];
        for (name, value) in headers {
            assert_eq!(header(name, value), None, "{name}: {value}");
        }
        let pages = [
            "<title>Just a moment...</title>",
            "<title>Web Page Blocked</title>",
            "Application Blocked",
            "Blocking rule",
            "Please contact your system administrator if you believe this is in error",
            "Kaspersky Anti-Virus",
            "",
        ];
        for page in pages {
            assert_eq!(body(page), None, "{page}");
        }
    }

    #[test]
    fn a_redirect_is_its_host_port_and_path_and_not_what_it_hands_on() {
        let rows = [
            ("https://gateway.zscaler.net/auT?origurl=http%3A%2F%2Fa.example", Some("Zscaler")),
            ("https://eu.gateway.zscaler.net:443/", Some("Zscaler")),
            ("http://10.1.2.3:15871/cgi-bin/blockpage.cgi?ws-session=1", Some("Forcepoint")),
            ("/php/urlblock.php?args=AAAA", Some("Palo Alto Networks")),
            ("http://proxy.example/cgi-bin/squidGuard.cgi?clientaddr=10.1.2.3", Some("squidGuard")),
            ("https://gateway.zscaler.net.example/", None),
            ("https://mygateway.zscaler.net/", None),
            ("http://10.1.2.3/cgi-bin/blockpage.cgi", None),
            ("https://login.example/?next=/php/urlblock.php?args=1", None),
            ("https://login.example/?next=https://gateway.zscaler.net/", None),
            ("https://login.example/access?id=1", None),
            ("http://[", None),
            ("", None),
        ];
        for (location, vendor) in rows {
            assert_eq!(redirect(location), vendor, "{location}");
        }
    }

    #[test]
    fn a_sinkhole_is_one_address_and_not_its_neighbour() {
        let of = |text: &str| sinkhole_of(text.parse().unwrap());
        assert_eq!(of("146.112.61.106"), Some("Cisco Umbrella"));
        assert_eq!(of("::ffff:146.112.61.106"), Some("Cisco Umbrella"));
        assert_eq!(of("208.91.112.55"), Some("FortiGuard"));
        for text in
            ["146.112.61.103", "146.112.61.111", "208.91.112.56", "0.0.0.0", "10.10.10.1", "::"]
        {
            assert_eq!(of(text), None, "{text}");
        }
        assert_eq!(alias("sinkhole.PaloAltoNetworks.com."), Some("Palo Alto Networks"));
        assert_eq!(alias("www.paloaltonetworks.com"), None);
    }
}
