//! The series of certificates: those that servers showed, and those that are configured, which end too.

use std::collections::{BTreeMap, BTreeSet};

use super::check::Own;
use super::page::{Page, seconds};
use super::table;
use crate::observation::{Certificate, Chain, Trip};
use crate::store::{Check, Configured, Seen};

/// What stands for all names beyond the first.
const OTHER: &str = "other";

/// Those of a trip: of the target and of a proxy.
pub(super) fn put_shown(page: &mut Page, check: &Check, trip: &Trip, own: &Own<'_>) {
    let mut shown: BTreeMap<(&str, &str), Vec<&Chain>> = BTreeMap::new();
    for leg in &trip.legs {
        for (of, chain) in [("target", &leg.chain), ("proxy", &leg.proxy_chain)] {
            if let Some(chain) = chain {
                shown.entry((of, chain.trust().label())).or_default().push(chain);
            }
        }
    }
    for ((of, trust), chains) in shown {
        let labels = [own[0], own[1], ("of", of), ("trust", trust)];
        dates(page, &labels, chains.iter().flat_map(|chain| &chain.certificates));
        let issuers = chains.iter().filter_map(|chain| chain.top_issuer());
        let issuers: BTreeSet<&str> =
            issuers.map(|issuer| check.seen.issuer(issuer).unwrap_or(OTHER)).collect();
        for issuer in issuers {
            let labels = [own[0], own[1], labels[2], labels[3], ("issuer", issuer)];
            page.put(table::CERTIFICATE_INFO, &labels, 1.0);
        }
    }
}

/// Those of the configuration.
pub(super) fn put_configured(page: &mut Page, configured: &[Configured]) {
    for of in configured {
        let Configured { target, route, .. } = of;
        let mut labels: Vec<(&str, &str)> = Vec::new();
        labels.extend(target.iter().map(|target| ("target", target.as_str())));
        labels.extend(route.iter().map(|route| ("route", route.as_str())));
        labels.extend([("of", of.of.label()), ("trust", of.of.trust().label())]);
        dates(page, &labels, of.certificates.iter());
        let mut names: Vec<String> = Vec::new();
        for name in of.tops().map(Seen::reduced) {
            let name = if names.len() < Seen::ISSUERS { name } else { OTHER.to_owned() };
            if !names.contains(&name) {
                names.push(name);
            }
        }
        for issuer in names {
            let mut labels = labels.clone();
            labels.push(("issuer", &issuer));
            page.put(table::CERTIFICATE_INFO, &labels, 1.0);
        }
    }
}

fn dates<'a>(
    page: &mut Page,
    labels: &[(&str, &str)],
    certificates: impl Iterator<Item = &'a Certificate> + Clone,
) {
    if let Some(end) = certificates.clone().map(|one| one.not_after).min() {
        page.put(table::CERTIFICATE_NOT_AFTER, labels, seconds(end));
    }
    if let Some(begin) = certificates.map(|one| one.not_before).max() {
        page.put(table::CERTIFICATE_NOT_BEFORE, labels, seconds(begin));
    }
}
