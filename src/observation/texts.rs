//! Every text of a trip that a peer may have chosen, one by one, for who has to change them.
//!
//! What is left out is ours: names from the plan, labels, and details that our own code words.

use std::sync::Arc;

use super::{Chain, Failure, Leg, Lookup, Pac, PacFailure, Trip};

/// Who sees each of them.
type See<'a> = &'a mut dyn FnMut(&mut String);

impl Trip {
    /// Shows each of its texts.
    pub fn texts(&mut self, see: See<'_>) {
        lookup(&mut self.lookup, see);
        if let Some(here) = &mut self.resolved_here {
            lookup(here, see);
        }
        if let Some(chosen) = &mut self.pac {
            pac(chosen, see);
        }
        for one in &mut self.legs {
            leg(one, see);
        }
    }
}

/// What the file returned, and what was said of it.
fn pac(pac: &mut Pac, see: See<'_>) {
    see(&mut pac.answer);
    see(&mut pac.chosen);
    pac.looked_up.iter_mut().for_each(&mut *see);
    for skipped in &mut pac.skipped {
        see(&mut skipped.entry);
        if let Some(failure) = &mut skipped.failure {
            failed(failure, see);
        }
    }
    match &mut pac.stop {
        Some(PacFailure::Unavailable { failure, detail, .. }) => {
            see(detail);
            if let Some(failure) = failure {
                failed(failure, see);
            }
        }
        Some(PacFailure::Invalid(detail) | PacFailure::Undecided(detail)) => see(detail),
        None => {}
    }
}

fn lookup(lookup: &mut Lookup, see: See<'_>) {
    if let Some(failure) = lookup.stop.as_mut() {
        failed(failure, see);
    }
    for question in &mut lookup.questions {
        for reply in question.reply.iter_mut().chain(&mut question.late) {
            reply.errors.iter_mut().for_each(|error| see(&mut error.text));
            for alias in &mut reply.aliases {
                see(&mut alias.name);
                see(&mut alias.target);
            }
        }
    }
}

fn leg(leg: &mut Leg, see: See<'_>) {
    for chain in [&mut leg.proxy_chain, &mut leg.chain].into_iter().flatten() {
        shown(chain, see);
    }
    if let Some(tunnelled) = &mut leg.tunnelled {
        see(&mut tunnelled.reason);
        headers(&mut tunnelled.headers, see);
    }
    if let Some(asked) = &mut leg.asked {
        asked.issuers.iter_mut().for_each(&mut *see);
    }
    if let Some(response) = &mut leg.response {
        headers(&mut response.headers, see);
        see(&mut response.body);
    }
    if let Some(failure) = &mut leg.stop {
        failed(failure, see);
    }
}

/// Chains are shared: one that stays as it is is not copied for good.
fn shown(chain: &mut Arc<Chain>, see: See<'_>) {
    let mut copy = (**chain).clone();
    for certificate in &mut copy.certificates {
        see(&mut certificate.subject);
        see(&mut certificate.issuer);
        see(&mut certificate.serial);
        certificate.names.iter_mut().for_each(&mut *see);
    }
    if copy != **chain {
        *chain = Arc::new(copy);
    }
}

fn headers(headers: &mut [(String, String)], see: See<'_>) {
    for (name, value) in headers {
        see(name);
        see(value);
    }
}

fn failed(failure: &mut Failure, see: See<'_>) {
    match failure {
        Failure::Local(local) => see(&mut local.detail),
        Failure::Dns(dns) => {
            see(&mut dns.detail);
            if let Some(inner) = &mut dns.inner {
                failed(inner, see);
            }
        }
        Failure::Tcp(_) => {}
        Failure::Proxy(proxy) => {
            see(&mut proxy.reason);
            see(&mut proxy.body);
            headers(&mut proxy.headers, see);
            proxy.offers.iter_mut().for_each(&mut *see);
            if let Some(inner) = &mut proxy.inner {
                failed(inner, see);
            }
        }
        Failure::Tls(tls) => {
            see(&mut tls.first_bytes);
            see(&mut tls.detail);
        }
        Failure::Http(http) => see(&mut http.detail),
    }
}
