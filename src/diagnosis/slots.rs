//! What stands for the slots of the fixed sentences: configured names and own measurements.

use super::case::{Case, Found};
use crate::observation::{ChainVerdict, Change, Failure, Leg, Login, ProxyFailure, Source};
use crate::provider::Provider;

/// What stands for each slot.
pub(super) struct Slots {
    pub(super) host: String,
    pub(super) port: String,
    pub(super) address: String,
    pub(super) source: String,
    pub(super) resolver: String,
    pub(super) proxy: String,
    pub(super) route: String,
    pub(super) status: String,
    pub(super) key: String,
    pub(super) offender: String,
    pub(super) login: AtLogin,
    pub(super) pac: String,
    pub(super) bundle: String,
    pub(super) body: String,
    pub(super) idle: String,
    pub(super) at_gateway: bool,
}

/// What is said of a login and of the proxy's own TLS.
#[derive(Default)]
pub(super) struct AtLogin {
    until: String,
    offers: String,
    scheme: String,
    ticket: String,
    tls: String,
}

impl AtLogin {
    fn of(failure: &ProxyFailure) -> Self {
        let login = &failure.login;
        let scheme = match login {
            Login::Sent(scheme) | Login::NotOffered(scheme) => Some(*scheme),
            Login::Rejected(rejected) => Some(rejected.scheme),
            Login::None
            | Login::NotAsked
            | Login::Withheld(_)
            | Login::Unreadable(_)
            | Login::NoTicket(_) => None,
        };
        Self {
            until: login.rejected_until().map(|until| format!("{until:.0}")).unwrap_or_default(),
            offers: failure.offers.join(", "),
            scheme: scheme.map(|scheme| scheme.label().to_owned()).unwrap_or_default(),
            ticket: login
                .no_ticket()
                .map(|ticket| ticket.kind.words().to_owned())
                .unwrap_or_default(),
            tls: failure.inner.as_ref().map(|inner| inner.kind().to_owned()).unwrap_or_default(),
        }
    }
}

/// The first bundle that does not accept the chain.
fn refusing_bundle<'a>(case: &Case<'a>) -> Option<&'a str> {
    let mut also = case.chain()?.also.iter();
    let refusing = also.find(|(_, verdict)| *verdict != ChainVerdict::Verified)?;
    Some(&refusing.0)
}

/// The status of the answer, the target's or the proxy's.
fn status(failure: Option<&Failure>, leg: Option<&Leg>) -> Option<String> {
    match failure {
        Some(Failure::Proxy(proxy)) => {
            let reply = proxy.socks.map(|reply| format!("SOCKS reply {reply}"));
            proxy.status.map(|status| status.to_string()).or(reply)
        }
        _ => Some(leg?.response.as_ref()?.status.to_string()),
    }
}

/// What was answered behind a certificate that is not accepted, where that was looked at.
fn status_behind(case: &Case<'_>) -> Option<String> {
    let leg = case.trip().leading()?;
    let outcome = case.outcome(Change::UntrustedHandshake(leg.address))?;
    let response = outcome.result.as_ref().ok()?.leading()?.response.as_ref()?;
    Some(response.status.to_string())
}

impl Slots {
    pub(super) fn of(case: &Case<'_>, found: &Found) -> Self {
        let (target, trip) = (case.target(), case.trip());
        let leg = trip.leading();
        let failure = trip.failure();
        let status = status(failure.as_ref(), leg).or_else(|| status_behind(case));
        let icmp = match leg.and_then(|leg| leg.stop.as_ref()) {
            None => case.lookup_failure().and_then(|(_, failure)| failure.icmp),
            Some(Failure::Tcp(tcp)) => tcp.icmp,
            Some(Failure::Local(local)) => local.icmp,
            _ => None,
        };
        let address = found.address.or(leg.map(|leg| leg.address));
        let looked_up = || {
            let all = trip.lookup.addresses();
            all.first().map_or_else(|| target.host.clone(), ToString::to_string)
        };
        let source = leg.and_then(|leg| leg.local);
        let key = match (case.unusable_certificate(), case.unreadable_login()) {
            (Some(_), _) => "of the target's `client_cert`".to_owned(),
            (None, Some(place)) => place,
            (None, None) => target.key.place().to_owned(),
        };
        let resolver = match trip.lookup.source {
            Source::Hosts => "the hosts file".to_owned(),
            Source::Dns | Source::Literal => trip.lookup.servers.join(", "),
        };
        let or = |text: String, otherwise: &str| {
            if text.is_empty() { otherwise.to_owned() } else { text }
        };
        Self {
            at_gateway: target.ours
                || target.provider != Provider::Generic && !target.provider.owns(&target.host),
            host: target.host.clone(),
            port: target.port.to_string(),
            address: address.map_or_else(looked_up, |address| address.ip().to_string()),
            source: source.map_or_else(|| "this host".to_owned(), |source| source.to_string()),
            resolver: or(resolver, "of this host"),
            proxy: found
                .proxy
                .clone()
                .or(case.walk.proxy.clone())
                .unwrap_or_else(|| "the proxy".to_owned()),
            route: case.walk.route.clone(),
            status: status.unwrap_or_else(|| "no status".to_owned()),
            key,
            offender: icmp
                .map_or_else(|| "a hop on the way".to_owned(), |icmp| icmp.offender.to_string()),
            login: match &failure {
                Some(Failure::Proxy(proxy)) => AtLogin::of(proxy),
                _ => AtLogin::default(),
            },
            bundle: refusing_bundle(case).unwrap_or_default().to_owned(),
            body: super::facts::body::stopped(case),
            idle: super::facts::idle::seconds(case),
            pac: trip.pac.as_ref().map(|pac| pac.url.clone()).unwrap_or_default(),
        }
    }

    pub(super) fn fill(&self, text: &str) -> String {
        let mut out = text.to_owned();
        if self.at_gateway {
            // What others have at the provider, stands at the gateway there.
            out = out.replace("the provider's edge", "the gateway");
            out = out.replace("watch the provider's status page", "ask the owner of {host}");
        }
        for (slot, value) in [
            ("{host}", &self.host),
            ("{port}", &self.port),
            ("{address}", &self.address),
            ("{resolver}", &self.resolver),
            ("{proxy}", &self.proxy),
            ("{route}", &self.route),
            ("{status}", &self.status),
            ("{key}", &self.key),
            ("{offender}", &self.offender),
            ("{pac}", &self.pac),
            ("{until}", &self.login.until),
            ("{offers}", &self.login.offers),
            ("{scheme}", &self.login.scheme),
            ("{ticket}", &self.login.ticket),
            ("{tls}", &self.login.tls),
            ("{bundle}", &self.bundle),
            ("{body}", &self.body),
            ("{idle}", &self.idle),
        ] {
            if out.contains(slot) {
                out = out.replace(slot, value);
            }
        }
        out
    }
}
