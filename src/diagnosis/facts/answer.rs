//! Facts of the handshake and the answer: inspection, stores, lateness, what the API announces.

use super::slow;
use crate::cause::{Party, Status};
use crate::diagnosis::author::is_at_home;
use crate::diagnosis::case::{Case, Found};
use crate::diagnosis::{Author, Held, Key};
use crate::observation::{ChainVerdict, Failure, Trip, Trust};
use crate::provider::Provider;

rules! { FACTS
    /// One address fails the handshake, and another finishes it.
    TlsAddressDiffers address_differs,

    /// The certificate is accepted by this host's store or the organisation's roots, and not by the public
    /// ones. Proven at a provider's own host; any other may have a certificate of the organisation's by itself,
    /// and has where roots were given for it alone, or where it is ours and has the private address that was declared.
    TlsInspected inspected,

    /// This host accepts the chain, and a bundle of `trust.also` does not.
    TrustStoreLacksCa bundle_lacks_ca,

    /// The bundled public roots verify the certificate, and this host's store, which is in use, does not know
    /// its issuer.
    TrustStoreOutdated store_outdated,

    /// The first byte of the answer came later than `probe.budget.first_byte`, and again in the repeat, though
    /// connect and handshake were not slow. The proxy's or the inspecting device's where another route is in
    /// time.
    OriginSlow origin_slow,

    /// No key is configured, and the API asks for one: that proves the way, and nothing is wrong.
    ApiKeyMissing no_key_configured,

    /// The configured key was left out, because no public CA vouches for the chain and `key_through_inspection` is
    /// off: the way is proven, and whether the API accepts the key is not.
    ApiKeyMissing key_withheld,

    /// The answer is good, and says by `deprecation` (RFC 9745), `sunset` (RFC 8594) or a warning 299 that this
    /// way of asking will end; or what is asked for is deprecated by the API's own documentation.
    ApiDeprecated to_end,

    /// The provider's API is spoken by a host that is not the provider's own.
    Gateway gateway,
}

fn bundle_lacks_ca(case: &Case<'_>) -> Held {
    let Some(chain) = case.chain().filter(|chain| chain.trust() != Trust::None) else {
        return Ok(None);
    };
    let refuses = |(_, verdict): &&(String, ChainVerdict)| *verdict != ChainVerdict::Verified;
    match chain.also.iter().find(refuses) {
        Some(_) => Found::high().yes(),
        None => Ok(None),
    }
}

fn to_end(case: &Case<'_>) -> Held {
    let Some((response, _, author)) = case.answer() else { return Ok(None) };
    let warns = |(name, value): &(String, String)| match name.as_str() {
        "deprecation" | "sunset" => true,
        "warning" => value.trim_start().starts_with("299"),
        _ => false,
    };
    let target = case.target();
    let endpoint = target.provider.facts().requests.endpoint(&target.path);
    let replaced = endpoint.is_some_and(|endpoint| endpoint.instead.is_some());
    let good = author.is_provider() && case.symptom().is_none();
    if good && (replaced || response.headers.iter().any(warns)) {
        Found::high().yes()
    } else {
        Ok(None)
    }
}

fn origin_slow(case: &Case<'_>) -> Held {
    let [_, _, budget] = case.target().budget;
    let first_byte = |trip: &Trip| {
        let leg = trip.leading()?;
        let connect = leg.connected.as_ref().map_or(0.0, |connected| connected.seconds);
        let tls = leg.secured.as_ref().map_or(0.0, |secured| secured.seconds);
        (connect + tls <= budget).then_some(leg.response.as_ref()?.first_byte)
    };
    let Some(found) = slow(case, first_byte, budget)? else { return Ok(None) };
    let in_time = |other: &Case<'_>| {
        other.answered_by_provider()
            && first_byte(other.trip()).is_some_and(|seconds| seconds <= budget)
    };
    let late = |other: &Case<'_>| first_byte(other.trip()).is_some_and(|seconds| seconds > budget);
    let public = case.chain().is_some_and(|chain| chain.trust() == Trust::Public);
    match (case.others().any(|other| in_time(&other)), public) {
        (true, _) if case.proxied() => Found::medium().party(Party::Proxy).by_other_route().yes(),
        (true, false) => Found::medium().party(Party::Inspection).by_other_route().yes(),
        (false, true) => found.yes(),
        (false, false) if case.every_route(late) => found.yes(),
        (true, true) | (false, false) => Found::undetermined().yes(),
    }
}

fn address_differs(case: &Case<'_>) -> Held {
    let legs = &case.trip().legs;
    let failed = legs.iter().find(|leg| matches!(leg.stop, Some(Failure::Tls(_))));
    match failed {
        Some(leg) if legs.iter().any(|leg| leg.secured.is_some() && leg.stop.is_none()) => {
            // Without a certificate that only the provider can have, a rule by address looks the same.
            let theirs = leg.chain.as_ref().is_some_and(|chain| chain.is_public());
            let party = if theirs { Party::Edge } else { Party::Undetermined };
            Found::medium().party(party).at(leg.address).yes()
        }
        Some(_) | None => Ok(None),
    }
}

fn inspected(case: &Case<'_>) -> Held {
    let own_host = case.target().provider.owns(&case.target().host);
    let at_home = case.trip().leading().is_some_and(|leg| is_at_home(case.target(), leg));
    match case.chain().map(crate::observation::Chain::trust) {
        Some(Trust::System | Trust::Organisation) if own_host => Found::high().yes(),
        // The roots that were given for it say who signs its certificate.
        Some(Trust::System | Trust::Organisation) if case.target().own_roots || at_home => Ok(None),
        Some(Trust::System | Trust::Organisation) => Found::medium().yes(),
        Some(Trust::Public | Trust::None) | None => Ok(None),
    }
}

fn store_outdated(case: &Case<'_>) -> Held {
    match case.chain() {
        Some(chain)
            if chain.public == ChainVerdict::Verified
                && chain.system == ChainVerdict::UnknownIssuer =>
        {
            Found::high().yes()
        }
        Some(_) | None => Ok(None),
    }
}

fn no_key_configured(case: &Case<'_>) -> Held {
    let Some((response, ..)) = case.answer() else { return Ok(None) };
    let hoped_for = (400..500).contains(&response.status) && case.symptom().is_none();
    if hoped_for && case.target().key == Key::None {
        Found::high().status(Status::Ok).yes()
    } else {
        Ok(None)
    }
}

fn key_withheld(case: &Case<'_>) -> Held {
    match case.answer() {
        Some((response, ..)) if response.withheld && case.symptom().is_none() => {
            Found::high().status(Status::Ok).yes()
        }
        Some(_) | None => Ok(None),
    }
}

fn gateway(case: &Case<'_>) -> Held {
    let target = case.target();
    let elsewhere = target.provider != Provider::Generic && !target.provider.owns(&target.host);
    match case.answer() {
        Some((_, _, Author::Origin)) if elsewhere => Found::high().yes(),
        _ => Ok(None),
    }
}
