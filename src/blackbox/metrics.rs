//! One probe in blackbox_exporter's own names, and what they lack: `probe_failure_info`, the phases of a proxy, and
//! the certificate of a handshake that failed. A phase that was not passed is absent.

use std::net::IpAddr;

use prometheus::proto::{self, LabelPair, MetricFamily, MetricType};
use prometheus::{Encoder as _, TextEncoder};

use super::judge::{Judged, protocol};
use crate::observation::{Chain, Leg, Response, Secured, Source, Trip, Trust};

/// The content type of the text format.
pub const CONTENT_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";

/// Characters of a label that a certificate fills.
const LABEL: usize = 256;

/// What is measured around a trip.
#[derive(Clone, Copy, Debug, Default)]
pub struct Numbers {
    /// How long the probe took, in seconds.
    pub seconds: f64,
    /// How long it may have taken, in seconds.
    pub timeout: f64,
}

/// The text of some families.
pub fn render(families: &[MetricFamily]) -> String {
    let mut out = Vec::new();
    // Writing into memory cannot fail, and a family without series is not made.
    TextEncoder::new().encode(families, &mut out).unwrap_or_default();
    String::from_utf8(out).unwrap_or_default()
}

/// All families of a probe.
pub fn families(trip: &Trip, judged: &Judged, numbers: Numbers) -> Vec<MetricFamily> {
    let mut page = Page::default();
    page.own(judged, numbers);
    if let Some(failure) = trip.failure() {
        let help = "1, with the layer at which the trip ended and how";
        let labels = [("layer", failure.layer()), ("kind", failure.kind())];
        page.put("probe_failure_symptom_info", help, &labels, 1.0);
    }
    page.way(trip);
    let leg = trip.leading();
    let response = leg.and_then(|leg| leg.response.as_ref());
    page.phases(trip, leg);
    page.response(response, leg.is_some_and(|leg| leg.secured.is_some()), judged);
    let chain = leg.and_then(|leg| leg.chain.as_deref());
    if let Some(chain) = chain {
        page.chain(chain);
    }
    if let Some(secured) = leg.and_then(|leg| leg.secured.as_ref()) {
        page.secured(secured);
    }
    page.families
}

#[derive(Default)]
struct Page {
    families: Vec<MetricFamily>,
}

impl Page {
    fn put(&mut self, name: &str, help: &str, labels: &[(&str, &str)], value: f64) {
        let pairs = labels.iter().map(|(name, value)| {
            let mut pair = LabelPair::default();
            pair.set_name((*name).to_owned());
            pair.set_value((*value).to_owned());
            pair
        });
        let mut series = proto::Metric::from_label(pairs.collect());
        let mut gauge = proto::Gauge::default();
        gauge.set_value(value);
        series.set_gauge(gauge);
        if let Some(family) = self.families.iter_mut().find(|family| family.name() == name) {
            family.mut_metric().push(series);
            return;
        }
        let mut family = MetricFamily::default();
        family.set_name(name.to_owned());
        family.set_help(help.to_owned());
        family.set_field_type(MetricType::GAUGE);
        family.mut_metric().push(series);
        self.families.push(family);
    }

    fn own(&mut self, judged: &Judged, numbers: Numbers) {
        let truth = |truth: bool| f64::from(u8::from(truth));
        self.put(
            "probe_success",
            "Displays whether or not the probe was a success",
            &[],
            truth(judged.success),
        );
        self.put(
            "probe_duration_seconds",
            "Returns how long the probe took to complete in seconds",
            &[],
            numbers.seconds,
        );
        self.put(
            "probe_timeout_seconds",
            "Returns the timeout of the probe in seconds",
            &[],
            numbers.timeout,
        );
        if let Some((layer, cause, party)) = judged.failure {
            let labels =
                [("layer", layer.label()), ("cause", cause.label()), ("party", party.label())];
            let help = "1, with what broke and who has to act, where the probe is no success";
            self.put("probe_failure_info", help, &labels, 1.0);
        }
    }

    fn way(&mut self, trip: &Trip) {
        let help = "Returns the time taken for probe dns lookup in seconds";
        self.put("probe_dns_lookup_time_seconds", help, &[], trip.lookup.seconds);
        let Some(address) = trip.leading().map(|leg| leg.address.ip()) else { return };
        let protocol = if address.is_ipv4() { 4.0 } else { 6.0 };
        self.put(
            "probe_ip_protocol",
            "Specifies whether probe ip protocol is IP4 or IP6",
            &[],
            protocol,
        );
        let help =
            "Specifies the hash of IP address. It's useful to detect if the IP address changes.";
        self.put("probe_ip_addr_hash", help, &[], f64::from(hash(address)));
    }

    /// `resolve` and `connect` are the proxy's where there is one, and what it adds has names of its own, so that a
    /// sum over all stays right.
    fn phases(&mut self, trip: &Trip, leg: Option<&Leg>) {
        let resolved = trip.lookup.source != Source::Dns || !trip.lookup.addresses().is_empty();
        let response = leg.and_then(|leg| leg.response.as_ref());
        let seconds = |secured: Option<&Secured>| secured.map(|secured| secured.seconds);
        // A body that was cut short was not transferred.
        let whole = response.filter(|_| leg.is_some_and(|leg| leg.stop.is_none()));
        let phases = [
            ("resolve", resolved.then_some(trip.lookup.seconds)),
            ("connect", leg.and_then(|leg| leg.connected.as_ref()).map(|one| one.seconds)),
            ("proxy_tls", seconds(leg.and_then(|leg| leg.proxy_secured.as_ref()))),
            ("proxy_connect", leg.and_then(|leg| leg.tunnelled.as_ref()).map(|one| one.seconds)),
            ("tls", seconds(leg.and_then(|leg| leg.secured.as_ref()))),
            ("processing", response.map(|response| response.first_byte)),
            ("transfer", whole.map(transfer)),
        ];
        for (phase, seconds) in phases {
            if let Some(seconds) = seconds {
                let help = "Duration of http request by phase, summed over all redirects";
                self.put("probe_http_duration_seconds", help, &[("phase", phase)], seconds);
            }
        }
    }

    /// What rules compare with 0 is 0 without an answer, as blackbox_exporter has it.
    fn response(&mut self, response: Option<&Response>, tls: bool, judged: &Judged) {
        let truth = |truth: bool| f64::from(u8::from(truth));
        let status = response.map_or(0.0, |response| f64::from(response.status));
        self.put("probe_http_status_code", "Response HTTP status code", &[], status);
        let version = response.map_or(0.0, |response| match protocol(&response.version) {
            "HTTP/2.0" => 2.0,
            "HTTP/1.0" => 1.0,
            _ => 1.1,
        });
        self.put(
            "probe_http_version",
            "Returns the version of HTTP of the probe response",
            &[],
            version,
        );
        let ssl = truth(tls && response.is_some());
        self.put("probe_http_ssl", "Indicates if SSL was used for the final redirect", &[], ssl);
        self.put("probe_http_redirects", "The number of redirects", &[], 0.0);
        let help = "Indicates if probe failed due to regex";
        self.put("probe_failed_due_to_regex", help, &[], truth(judged.by_expression));
        let Some(response) = response else { return };
        let length = response.header("content-length").and_then(|text| text.trim().parse().ok());
        let help = "Length of http content response";
        self.put("probe_http_content_length", help, &[], length.map_or(-1.0, count));
        let help = "Length of uncompressed response body";
        self.put("probe_http_uncompressed_body_length", help, &[], count(response.length));
        let modified = response.header("last-modified");
        if let Some(at) = modified.and_then(|text| jiff::fmt::rfc2822::parse(text).ok()) {
            let help = "Returns the Last-Modified HTTP response header in unixtime";
            let seconds = at.timestamp().as_duration().as_secs_f64();
            self.put("probe_http_last_modified_timestamp_seconds", help, &[], seconds);
        }
    }

    /// Dates also of a handshake that failed; names only where a root vouches for them.
    fn chain(&mut self, chain: &Chain) {
        let seconds = |at: jiff::Timestamp| at.as_duration().as_secs_f64();
        if let Some(at) = chain.not_after() {
            let help = "Returns last SSL chain expiry in unixtime";
            self.put("probe_ssl_earliest_cert_expiry", help, &[], seconds(at));
        }
        let Some(leaf) = chain.leaf().filter(|_| chain.trust() != Trust::None) else { return };
        if let Some(at) = verified(chain) {
            let help = "Returns last SSL chain expiry in timestamp";
            self.put("probe_ssl_last_chain_expiry_timestamp_seconds", help, &[], seconds(at));
        }
        let names = label(&leaf.names.join(","));
        let labels = [
            ("fingerprint_sha256", leaf.fingerprint.as_str()),
            ("subject", &label(&leaf.subject)),
            ("issuer", &label(&leaf.issuer)),
            ("subjectalternative", &names),
            ("serialnumber", &leaf.serial),
        ];
        self.put(
            "probe_ssl_last_chain_info",
            "Contains SSL leaf certificate information",
            &labels,
            1.0,
        );
    }

    fn secured(&mut self, secured: &Secured) {
        let version = format!("TLS {}", secured.version);
        let help = "Returns the TLS version used or NaN when unknown";
        self.put("probe_tls_version_info", help, &[("version", &version)], 1.0);
        // IANA's name, as Go writes it.
        let cipher = secured.cipher.replacen("TLS13_", "TLS_", 1);
        let help = "Returns the TLS cipher negotiated during handshake";
        self.put("probe_tls_cipher_info", help, &[("cipher", &cipher)], 1.0);
    }
}

/// From the answer's first byte to its last.
fn transfer(response: &Response) -> f64 {
    (response.head_seconds - response.first_byte).max(0.0) + response.body_seconds
}

/// The earliest end in the chain from the leaf up, as far as it was shown: what else the server sends is not part of it.
fn verified(chain: &Chain) -> Option<jiff::Timestamp> {
    let mut at = chain.leaf()?;
    let mut earliest = at.not_after;
    // A chain of names may lead around.
    for _ in 0..chain.certificates.len() {
        let above = chain.certificates.iter().find(|one| one.subject == at.issuer);
        match above.filter(|above| !above.self_signed && *above != at) {
            Some(above) => at = above,
            None => break,
        }
        earliest = earliest.min(at.not_after);
    }
    Some(earliest)
}

/// FNV-1a over the address's octets, as blackbox_exporter makes it.
fn hash(address: IpAddr) -> u32 {
    let of = |octets: &[u8]| {
        let step = |hash: u32, octet: &u8| (hash ^ u32::from(*octet)).wrapping_mul(0x0100_0193);
        octets.iter().fold(0x811c_9dc5, step)
    };
    match address {
        IpAddr::V4(address) => of(&address.octets()),
        IpAddr::V6(address) => of(&address.octets()),
    }
}

/// A name of a certificate that verified; nevertheless short, and of printable characters.
fn label(text: &str) -> String {
    let shown = |c: char| if c == ' ' || c.is_ascii_graphic() { c } else { '?' };
    text.chars().take(LABEL).map(shown).collect()
}

#[expect(clippy::cast_precision_loss, reason = "lengths stay below 2^53")]
fn count(value: u64) -> f64 {
    value as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The values of Go's `hash/fnv`, New32a.
    #[test]
    fn addresses_have_the_hash_that_blackbox_exporter_gives_them() {
        assert_eq!(hash("127.0.0.1".parse().unwrap()), 3_668_918_509);
        assert_eq!(hash("::1".parse().unwrap()), 1_751_717_746);
    }
}
