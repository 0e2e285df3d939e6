//! What a verdict may say of a vendor: "looks like FortiGate", by one mark. Beside it, and computed when it
//! stands: neither cause nor party nor confidence depends on it.
//!
//! A chain of a public CA names nobody, nor does an answer of the provider's own: vendors have sites of their
//! own, and edges have marks. What is left was said by somebody between.

use serde::{Deserialize, Serialize};

use super::case::Case;
use super::{author, fingerprints};
use crate::observation::{Chain, Failure, Leg, Lookup, Source};

/// Vendors at most.
const NAMED: usize = 2;

/// A vendor, and what it is named by.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LooksLike {
    /// The vendor's or its product's name.
    pub vendor: String,
    /// Where its fingerprint was seen.
    pub by: Sign,
}

/// Where a fingerprint is seen, the more telling first: what a device writes by itself before what its owner
/// may have written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Sign {
    /// An address, or an alias, that a filtering resolver answers with.
    Sinkhole,
    /// A header.
    Header,
    /// Where an answer leads.
    Redirect,
    /// The issuer of a certificate.
    Issuer,
    /// A piece of a page.
    Body,
}

impl Sign {
    /// The fixed name.
    pub fn label(self) -> &'static str {
        match self {
            Self::Sinkhole => "sinkhole",
            Self::Header => "header",
            Self::Redirect => "redirect",
            Self::Issuer => "issuer",
            Self::Body => "body",
        }
    }
}

type Seen = (Sign, &'static str);

/// The vendors that a route's trip shows marks of.
pub(super) fn of(case: &Case<'_>) -> Vec<LooksLike> {
    let trip = case.trip();
    let mut seen: Vec<Seen> = Vec::new();
    let public = |leg: &Leg| leg.chain.as_ref().is_some_and(|chain| chain.is_public());
    // Behind a sinkhole nobody has a public CA's certificate for the name.
    if !trip.legs.iter().any(public) {
        let lookups = [Some(&trip.lookup), trip.resolved_here.as_ref()];
        seen.extend(lookups.into_iter().flatten().flat_map(sinkholes));
    }
    for leg in &trip.legs {
        let chains = [&leg.proxy_chain, &leg.chain];
        seen.extend(chains.into_iter().flatten().flat_map(|chain| issuers(chain)));
        if let Some(Failure::Proxy(refused)) = &leg.stop {
            seen.extend(answer(refused.status, &refused.headers, &refused.body));
        }
    }
    // Who wrote it is asked where it can be anybody else.
    let answered = trip.legs.iter().find(|leg| leg.response.is_some()).filter(|leg| !public(leg));
    if let Some(response) = answered.and_then(|leg| leg.response.as_ref())
        && author::of_trip(case.target(), trip).is_some_and(|(_, author)| !author.is_provider())
    {
        seen.extend(answer(Some(response.status), &response.headers, &response.body));
    }
    named(seen)
}

/// The most telling mark of each vendor.
fn named(mut seen: Vec<Seen>) -> Vec<LooksLike> {
    seen.sort_by_key(|(by, _)| *by);
    let mut named: Vec<LooksLike> = Vec::new();
    for (by, vendor) in seen {
        if named.iter().all(|other| other.vendor != vendor) {
            named.push(LooksLike { vendor: vendor.to_owned(), by });
        }
    }
    named.truncate(NAMED);
    named
}

/// What a resolver said, of the addresses that were tried and of the aliases before them.
fn sinkholes(lookup: &Lookup) -> Vec<Seen> {
    if lookup.source != Source::Dns {
        return Vec::new();
    }
    let replies = lookup.questions.iter().filter_map(|question| question.reply.as_ref());
    let aliases = replies.flat_map(|reply| &reply.aliases);
    let by_alias = aliases.filter_map(|alias| fingerprints::alias(&alias.target));
    let by_address = lookup.addresses().into_iter().filter_map(fingerprints::sinkhole_of);
    by_address.chain(by_alias).map(|vendor| (Sign::Sinkhole, vendor)).collect()
}

/// The issuers only: an inspecting device copies the subject from the server's own certificate.
fn issuers(chain: &Chain) -> Vec<Seen> {
    if chain.is_public() {
        return Vec::new();
    }
    let names = chain.certificates.iter().map(|certificate| certificate.issuer.as_str());
    names.filter_map(fingerprints::issuer).map(|vendor| (Sign::Issuer, vendor)).collect()
}

/// What an answer shows that somebody on the way wrote.
fn answer(status: Option<u16>, headers: &[(String, String)], body: &str) -> Vec<Seen> {
    let by_header = headers.iter().filter_map(|(name, value)| fingerprints::header(name, value));
    let mut seen: Vec<Seen> = by_header.map(|vendor| (Sign::Header, vendor)).collect();
    if status.is_some_and(|status| (300..400).contains(&status)) {
        let location = headers.iter().find(|(name, _)| name == "location");
        let vendor = location.and_then(|(_, location)| fingerprints::redirect(location));
        seen.extend(vendor.map(|vendor| (Sign::Redirect, vendor)));
    }
    // The words of an API may be anybody's.
    if !body.trim_start().starts_with(['{', '[']) {
        seen.extend(fingerprints::body(body).map(|vendor| (Sign::Body, vendor)));
    }
    seen
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_issuer_counts_where_no_public_ca_stands_behind_it_and_a_subject_never() {
        let chain = |public: &str, subject: &str, issuer: &str| {
            let text = format!(
                "public = \"{public}\"\ncertificates = [{{ subject = \"{subject}\", issuer = \"{issuer}\", \
                 not_before = \"2026-01-01T00:00:00Z\", not_after = \"2028-01-01T00:00:00Z\" }}]"
            );
            issuers(&toml::from_str(&text).unwrap())
        };
        let (ours, cisco) = ("CN=Example Corp CA", "CN=a.example, O=Cisco Systems");
        assert_eq!(chain("unknown_issuer", ours, cisco), [(Sign::Issuer, "Cisco")]);
        for public in ["verified", "expired", "not_yet_valid", "wrong_name"] {
            assert_eq!(chain(public, ours, cisco), []);
        }
        // Copied from the certificate of the server behind.
        assert_eq!(chain("unknown_issuer", cisco, ours), []);
    }

    #[test]
    fn a_page_counts_and_an_apis_words_and_a_place_without_a_redirect_do_not() {
        let header = |name: &str, value: &str| vec![(name.to_owned(), value.to_owned())];
        let leads = header("location", "https://gateway.zscaler.net/");
        let body = "<p>Powered By FortiGuard</p>";
        assert_eq!(
            answer(Some(302), &leads, body),
            [(Sign::Redirect, "Zscaler"), (Sign::Body, "FortiGate")]
        );
        assert_eq!(answer(Some(403), &leads, ""), []);
        assert_eq!(answer(None, &leads, " {\"page\": \"Powered By FortiGuard\"}"), []);
    }

    #[test]
    fn a_sinkhole_is_what_a_resolver_answered() {
        let seen = |source: &str, rest: &str| {
            let text = format!("name = \"a.example\"\nsource = \"{source}\"\n{rest}");
            sinkholes(&toml::from_str(&text).unwrap())
        };
        let address = "a = { addresses = [\"208.91.112.55\"] }";
        assert_eq!(seen("dns", address), [(Sign::Sinkhole, "FortiGuard")]);
        assert_eq!(seen("hosts", address), []);
        assert_eq!(seen("literal", address), []);
        let alias = "[[questions]]\nserver = { address = \"10.0.0.53:53\" }\nfamily = \"A\"\n\
             reply = { aliases = [{ name = \"a.example\", target = \"sinkhole.paloaltonetworks.com.\", ttl = 9 }] }";
        assert_eq!(seen("dns", alias), [(Sign::Sinkhole, "Palo Alto Networks")]);
    }

    #[test]
    fn two_vendors_are_named_each_by_its_most_telling_mark() {
        let seen = vec![
            (Sign::Body, "A"),
            (Sign::Issuer, "B"),
            (Sign::Header, "A"),
            (Sign::Body, "C"),
            (Sign::Issuer, "B"),
        ];
        let like = |vendor: &str, by| LooksLike { vendor: vendor.to_owned(), by };
        assert_eq!(named(seen), [like("A", Sign::Header), like("B", Sign::Issuer)]);
    }
}
