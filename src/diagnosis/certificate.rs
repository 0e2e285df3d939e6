//! A certificate that nobody here accepts: a device's that inspects, a page's that refuses, or the server's
//! own. How a handshake is cut is `tls`.

use super::Held;
use super::between::refused_upstream;
use super::case::{Case, Found, Seen};
use super::portal::{is_shown_by_all, is_sign_in};
use crate::cause::Party;
use crate::observation::{
    Chain, ChainVerdict, Change, Control, Failure, Leg, TlsKind, Trip, Trust,
};

rules! { RULES
    /// The issuer of the leaf is no root and its certificate was not sent, though it exists: another chain
    /// that was seen has it, or the leaf carries the timestamps that only public CAs' have.
    CertIncompleteChain incomplete_chain,

    /// The device that inspects this route shows unrelated hosts under the CA that is trusted here, and the
    /// target under one that is not: it does not trust or reach the target itself.
    InspectionUpstreamFailed inspector_distrusts,

    /// Behind a certificate that no public CA issued, and that only this target gets, somebody refuses in the
    /// API's place: the certificate only carries the page.
    BlockPage refusal_behind_the_certificate,

    /// Behind such a certificate somebody answers with success, and not as the API does.
    ResponseReplaced answer_behind_the_certificate,

    /// Nobody here trusts the issuer of the certificate, and it is not the target's own: an unrelated host
    /// shows the same issuer, or another route shows the chain of a public CA.
    TlsInspectionUntrusted inspection_untrusted,

    /// A certificate that no public CA issued is outside its dates or for another name, and it is not the
    /// target's own: an unrelated host shows the same issuer, or another route shows the chain of a public CA.
    InspectionCertInvalid inspection_cert_invalid,

    /// A certificate of the chain is past its end. The server's where a public CA issued it or every route
    /// shows it, and an unrelated host is accepted, so that the clock is right; else nobody is named.
    CertExpired cert_expired,

    /// A certificate of the chain begins in the future. The server's where a public CA issued it or every route
    /// shows it, and an unrelated host is accepted, so that the clock is right; else nobody is named.
    CertNotYetValid cert_not_yet_valid,

    /// The certificate is for other names. The server's where every route shows it, or where a public CA issued
    /// it and no independent resolver leads to a server that works; else somebody may stand in the server's
    /// place.
    CertWrongName cert_wrong_name,

    /// The certificate is its own issuer. The server's where every route shows the same one; else a device may
    /// stand in the server's place.
    CertSelfSigned cert_self_signed,

    /// No root that is known here leads to the issuer of the certificate. The server's where every route shows
    /// the same one; else a device may stand in the server's place.
    CertUnknownIssuer cert_unknown_issuer,
}

/// The handshake that failed by its certificate, which no public CA issued.
fn private_certificate<'a>(case: &Case<'a>) -> Option<(&'a Leg, &'a Chain)> {
    let (leg, failure) = case.tls()?;
    let shown = matches!(
        failure.kind,
        TlsKind::UnknownIssuer
            | TlsKind::SelfSigned
            | TlsKind::WrongName
            | TlsKind::Expired
            | TlsKind::NotYetValid
            | TlsKind::CertificateOther
    );
    let chain = leg.chain.as_ref().filter(|chain| shown && !chain.is_public())?;
    Some((leg, chain))
}

/// What may be wrong with a certificate.
const FLAWS: &[TlsKind] = &[
    TlsKind::Expired,
    TlsKind::NotYetValid,
    TlsKind::WrongName,
    TlsKind::SelfSigned,
    TlsKind::UnknownIssuer,
];

fn inspector_distrusts(case: &Case<'_>) -> Held {
    let Some((_, chain)) = private_certificate(case) else { return Ok(None) };
    if FLAWS.iter().any(|kind| is_told_by_the_inspector(case, *kind)) {
        return Ok(None);
    }
    let theirs = case.control_shows()?.trip().and_then(Trip::leading);
    let Some(theirs) = theirs.and_then(|leg| leg.chain.as_ref()) else { return Ok(None) };
    let inspected = matches!(theirs.trust(), Trust::System | Trust::Organisation);
    if !inspected || theirs.top_issuer() == chain.top_issuer() {
        return Ok(None);
    }
    if case.other_route_is_public() {
        return Found::high().by_other_route().yes();
    }
    if case.target().provider.owns(&case.target().host) {
        return Found::medium().by(Control::ControlHost).yes();
    }
    Found::undetermined().by(Control::ControlHost).yes()
}

/// What answers behind a certificate that only this target gets, where it is not the API: it is known which
/// one the target has, by another route or because it is a provider's own host.
fn behind_the_certificate(case: &Case<'_>, refuses: bool) -> Held {
    let Some((leg, chain)) = private_certificate(case) else { return Ok(None) };
    let known = case.other_route_is_public();
    if !known && !case.target().provider.owns(&case.target().host) {
        return Ok(None);
    }
    let theirs = case.control_host()?;
    let same = |other: &Chain| other.top_issuer() == chain.top_issuer();
    let control = theirs.trip().and_then(Trip::leading).and_then(|leg| leg.chain.as_deref());
    // Where unrelated hosts get it too, it is inspection; where none was seen, that cannot be said.
    if control.is_none_or(same) {
        return Ok(None);
    }
    let page = case.seen(Change::UntrustedHandshake(leg.address))?;
    let Some(response) = page.trip().and_then(Trip::leading).and_then(|leg| leg.response.as_ref())
    else {
        return Ok(None);
    };
    let reading = case.target().provider.read(response);
    let refused = response.status >= 300;
    if reading.origin_mark || refused != refuses || is_sign_in(response, &case.target().host) {
        return Ok(None);
    }
    let found = if known { Found::high() } else { Found::medium() };
    found.by(Control::UntrustedHandshake).yes()
}

fn refusal_behind_the_certificate(case: &Case<'_>) -> Held {
    behind_the_certificate(case, true)
}

fn answer_behind_the_certificate(case: &Case<'_>) -> Held {
    behind_the_certificate(case, false)
}

fn incomplete_chain(case: &Case<'_>) -> Held {
    let Some((leg, failure)) = case.tls() else { return Ok(None) };
    let chain = leg.chain.as_ref().filter(|_| failure.kind == TlsKind::UnknownIssuer);
    let Some(last) = chain.and_then(|chain| chain.certificates.last()) else { return Ok(None) };
    if last.self_signed {
        return Ok(None);
    }
    let control = case.control_shows()?.trip().map(|trip| (Control::ControlHost, trip));
    let has_issuer = |trip: &Trip| {
        let chains = trip.legs.iter().filter_map(|leg| leg.chain.as_ref());
        let accepted = chains.filter(|chain| chain.trust() != Trust::None);
        accepted.flat_map(|chain| &chain.certificates).any(|one| one.subject == last.issuer)
    };
    let same_leaf = |other: &Case<'_>| {
        let theirs = other.chain().and_then(Chain::leaf).map(|leaf| &leaf.spki);
        theirs.is_some_and(|key| !key.is_empty())
            && theirs == chain.and_then(|chain| chain.leaf()).map(|leaf| &leaf.spki)
    };
    if case.others().any(|other| has_issuer(other.trip()) && same_leaf(&other)) {
        // The same certificate comes whole over another route.
        let party = if case.proxied() { Party::Proxy } else { Party::Inspection };
        return Found::medium().party(party).by_other_route().yes();
    }
    if has_issuer(case.trip()) || case.others().any(|other| has_issuer(other.trip())) {
        return Found::high().yes();
    }
    if let Some((by, _)) = control.filter(|(_, trip)| has_issuer(trip)) {
        return Found::high().by(by).yes();
    }
    let public = chain.and_then(|chain| chain.leaf()).is_some_and(|leaf| leaf.scts > 0);
    if public { Found::medium().yes() } else { Ok(None) }
}

fn inspection_untrusted(case: &Case<'_>) -> Held {
    let Some((leg, failure)) = case.tls() else { return Ok(None) };
    if !matches!(failure.kind, TlsKind::UnknownIssuer | TlsKind::SelfSigned) {
        return Ok(None);
    }
    let Some(issuer) = leg.chain.as_ref().and_then(|chain| chain.top_issuer()) else {
        return Ok(None);
    };
    // A public CA has many customers; a target may take the organisation's alone.
    let same = |trip: &Trip| {
        let theirs = trip.leading().and_then(|leg| leg.chain.as_ref());
        theirs.is_some_and(|chain| chain.top_issuer() == Some(issuer) && !chain.is_public())
    };
    match case.control_shows()? {
        Seen::Passed(control) | Seen::Failed(control) if same(control) => {
            Found::high().by(Control::ControlHost).yes()
        }
        Seen::Passed(_) | Seen::Failed(_) | Seen::Nothing if case.other_route_is_public() => {
            Found::medium().by_other_route().yes()
        }
        Seen::Passed(_) | Seen::Failed(_) | Seen::Nothing => Ok(None),
    }
}

fn inspection_cert_invalid(case: &Case<'_>) -> Held {
    let Some((leg, failure)) = case.tls() else { return Ok(None) };
    let wrong =
        matches!(failure.kind, TlsKind::Expired | TlsKind::NotYetValid | TlsKind::WrongName);
    let Some(chain) = leg.chain.as_ref().filter(|chain| wrong && !chain.is_public()) else {
        return Ok(None);
    };
    let same = |trip: &Trip| {
        trip.leading()
            .and_then(|leg| leg.chain.as_ref())
            .is_some_and(|other| other.top_issuer() == chain.top_issuer() && !other.is_public())
    };
    match case.control_shows()?.trip() {
        Some(control) if same(control) => Found::high().by(Control::ControlHost).yes(),
        Some(_) | None if case.other_route_is_public() => Found::high().by_other_route().yes(),
        // A provider's own host has no certificate of the organisation's.
        Some(control)
            if control.arrived()
                && case.target().provider.owns(&case.target().host)
                && [chain.organisation, chain.system].into_iter().any(is_of_ours) =>
        {
            Found::high().by(Control::ControlHost).yes()
        }
        Some(_) | None => Ok(None),
    }
}

/// Whether a root that is trusted here issued it, but for its dates or names.
fn is_of_ours(verdict: ChainVerdict) -> bool {
    matches!(verdict, ChainVerdict::Expired | ChainVerdict::NotYetValid | ChainVerdict::WrongName)
}

fn cert_expired(case: &Case<'_>) -> Held {
    certificate(case, TlsKind::Expired)
}

fn cert_not_yet_valid(case: &Case<'_>) -> Held {
    certificate(case, TlsKind::NotYetValid)
}

fn cert_wrong_name(case: &Case<'_>) -> Held {
    certificate(case, TlsKind::WrongName)
}

fn cert_self_signed(case: &Case<'_>) -> Held {
    certificate(case, TlsKind::SelfSigned)
}

fn cert_unknown_issuer(case: &Case<'_>) -> Held {
    certificate(case, TlsKind::UnknownIssuer)
}

/// The server's, where a public CA issued it or every route shows the same chain, and neither this
/// host's clock nor a wrong address explains it.
fn certificate(case: &Case<'_>, kind: TlsKind) -> Held {
    if is_told_by_the_inspector(case, kind) {
        return Found::high().by_other_route().yes();
    }
    let Some((leg, failure)) = case.tls() else { return Ok(None) };
    if failure.kind != kind {
        return Ok(None);
    }
    let Some(chain) = &leg.chain else { return Found::undetermined().yes() };
    // Two places of one edge may have two certificates of public CAs, with one flaw.
    let same = |other: &Case<'_>| {
        let alike = other.tls().is_some_and(|(_, theirs)| theirs.kind == kind);
        other.chain().is_some_and(|theirs| {
            theirs.certificates == chain.certificates
                || alike && theirs.is_public() && chain.is_public()
        })
    };
    if is_shown_by_all(case, chain)? && !matches!(kind, TlsKind::Expired | TlsKind::NotYetValid) {
        return Found::undetermined().yes();
    }
    let everywhere = case.every_route(same);
    if !everywhere && !chain.is_public() {
        return Found::undetermined().yes();
    }
    match kind {
        TlsKind::Expired | TlsKind::NotYetValid if case.control_host()?.passed() => {
            Found::high().by(Control::ControlHost).yes()
        }
        TlsKind::Expired | TlsKind::NotYetValid => Found::undetermined().yes(),
        _ if everywhere => Found::high().by_other_route().yes(),
        // Anybody can have a public certificate for a name of his own.
        _ if case.other_route_is_public() => Found::undetermined().by_other_route().yes(),
        _ => match case.other_resolver()? {
            Seen::Failed(other) if ends_in(other, kind) => {
                Found::high().by(Control::OtherResolver).yes()
            }
            Seen::Failed(_) | Seen::Nothing => Found::medium().yes(),
            Seen::Passed(_) => Ok(None),
        },
    }
}

/// Whether a device on this route does not accept the target, in its own way, and another route shows why: what
/// a public CA issued has this flaw.
fn is_told_by_the_inspector(case: &Case<'_>, kind: TlsKind) -> bool {
    let shows = |other: &Case<'_>| {
        let flawed = other.tls().is_some_and(|(_, failure)| failure.kind == kind);
        flawed && other.chain().is_some_and(Chain::is_public)
    };
    let refuses = private_certificate(case).is_some() || refused_upstream(case);
    refuses && case.others().any(|other| shows(&other))
}

fn ends_in(trip: &Trip, kind: TlsKind) -> bool {
    matches!(trip.failure(), Some(Failure::Tls(failure)) if failure.kind == kind)
}
