//! A certificate for people: names, dates, number, and what tells two with the same names apart.
//!
//! Everything in it was written by the peer, and is cut.

use aws_lc_rs::digest;
use jiff::Timestamp;
use rustls::pki_types::CertificateDer;
use x509_parser::extensions::{GeneralName, ParsedExtension};
use x509_parser::prelude::{FromDer as _, X509Certificate, X509Name};

use crate::observation::Certificate;

/// Certificates of a chain that are looked at, names of each, and issuers that a server names.
pub(super) const SHOWN: usize = 10;
/// Octets of a serial number (RFC 5280 4.1.2.2).
const SERIAL: usize = 20;

/// A certificate for people; none where it cannot be parsed at all.
pub(super) fn describe(der: &CertificateDer<'_>) -> Option<Certificate> {
    let (_, certificate) = X509Certificate::from_der(der).ok()?;
    let date = |time: x509_parser::time::ASN1Time| {
        Timestamp::from_second(time.timestamp()).unwrap_or(Timestamp::MAX)
    };
    let names = certificate.subject_alternative_name().ok().flatten().map(|extension| {
        let names = extension.value.general_names.iter().filter_map(|name| match name {
            GeneralName::DNSName(name) => Some(cut((*name).to_owned())),
            GeneralName::IPAddress(octets) => octets_to_address(octets),
            _ => None,
        });
        names.take(SHOWN).collect()
    });
    Some(Certificate {
        subject: cut(certificate.subject().to_string()),
        issuer: cut(certificate.issuer().to_string()),
        names: names.unwrap_or_default(),
        not_before: date(certificate.validity().not_before),
        not_after: date(certificate.validity().not_after),
        self_signed: certificate.subject().as_raw() == certificate.issuer().as_raw(),
        serial: serial(certificate.raw_serial()),
        fingerprint: hex(digest::digest(&digest::SHA256, der).as_ref()),
        spki: hex(digest::digest(&digest::SHA256, certificate.public_key().raw).as_ref()),
        scts: timestamps(&certificate),
    })
}

/// Configured certificates for people; those that cannot be parsed are left out.
pub fn described(configured: &[Vec<u8>]) -> Vec<Certificate> {
    configured.iter().filter_map(|der| describe(&CertificateDer::from(der.as_slice()))).collect()
}

/// The number as `openssl x509 -serial` has it, in lower case: without the zeroes that DER puts
/// before it, and no longer than one may be (RFC 5280 4.1.2.2).
fn serial(octets: &[u8]) -> String {
    let zeroes = octets.iter().take_while(|octet| **octet == 0).count();
    let significant = octets.get(zeroes..).filter(|rest| !rest.is_empty());
    let shown = significant.unwrap_or(&[0]);
    hex(shown.get(..SERIAL).unwrap_or(shown))
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::with_capacity(2 * bytes.len()), |mut text, byte| {
        text.push_str(&format!("{byte:02x}"));
        text
    })
}

/// How many timestamps the list in the certificate holds; none where it is not one.
fn timestamps(certificate: &X509Certificate<'_>) -> u8 {
    let mut lists = certificate.extensions().iter().filter_map(|extension| {
        match extension.parsed_extension() {
            ParsedExtension::SCT(list) => Some(list.len()),
            _ => None,
        }
    });
    lists.next().map_or(0, |count| u8::try_from(count).unwrap_or(u8::MAX))
}

/// A distinguished name for people; none where it is not one.
pub(super) fn distinguished_name(der: &[u8]) -> Option<String> {
    let (_, name) = X509Name::from_der(der).ok()?;
    Some(cut(name.to_string()))
}

/// A peer's text is as long as the peer likes.
pub(super) fn cut(text: String) -> String {
    if text.len() <= 256 { text } else { text.chars().take(256).collect() }
}

fn octets_to_address(octets: &[u8]) -> Option<String> {
    let v4 = <[u8; 4]>::try_from(octets).map(std::net::IpAddr::from);
    let v6 = <[u8; 16]>::try_from(octets).map(std::net::IpAddr::from);
    v4.or(v6).ok().map(|address| address.to_string())
}
