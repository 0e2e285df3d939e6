//! A proxy that asks for a login: none is configured, it cannot be had, it is of another kind, or it is
//! not taken.

use super::Held;
use super::case::{Case, Found, Seen, proxy_failure};
use crate::cause::Party;
use crate::observation::{Control, Login, ProxyFailure, TicketKind, Trip};

rules! { RULES
    /// The proxy asks for a login and no Kerberos ticket could be had, so that nothing was sent. A host without
    /// the GSSAPI library is to be mended by its owner.
    ProxyAuthUnavailable unavailable,

    /// The proxy asks for a login, and the configured scheme is not among those that it offers; no other is
    /// used in its place.
    ProxyAuthUnsupported unsupported,

    /// The login was sent, now or in the last quarter of an hour, and the proxy asks again. Proven where an
    /// unrelated host is refused so too, or in SOCKS, which has named no host yet. Where that host is let
    /// through, the login is good and the target is denied.
    ProxyAuthRejected rejected,

    /// The proxy asks for a login, and none is configured for this route.
    ProxyAuthRequired required,
}

/// The failure, where the proxy asks for a login.
fn asked(case: &Case<'_>) -> Option<ProxyFailure> {
    case.proxy().filter(ProxyFailure::asks_for_login)
}

fn unavailable(case: &Case<'_>) -> Held {
    let Some(failure) = asked(case) else { return Ok(None) };
    match failure.login.no_ticket().map(|ticket| ticket.kind) {
        Some(TicketKind::LibraryMissing) => Found::high().party(Party::Client).yes(),
        // The library's word is of no kind that is known here.
        Some(TicketKind::Other) => Found::medium().yes(),
        Some(_) => Found::high().yes(),
        None => Ok(None),
    }
}

fn unsupported(case: &Case<'_>) -> Held {
    match asked(case) {
        Some(failure) if matches!(failure.login, Login::NotOffered(_)) => Found::high().yes(),
        Some(_) | None => Ok(None),
    }
}

fn rejected(case: &Case<'_>) -> Held {
    let Some(failure) = asked(case).filter(|failure| failure.login.rejected_until().is_some())
    else {
        return Ok(None);
    };
    match case.control_shows()? {
        Seen::Passed(_) => Ok(None),
        Seen::Failed(control) if is_rejected(control) => {
            Found::high().by(Control::ControlHost).yes()
        }
        Seen::Failed(_) | Seen::Nothing if failure.status.is_none() => Found::high().yes(),
        Seen::Failed(_) | Seen::Nothing => Found::medium().yes(),
    }
}

/// Whether the login was shown in this very trip, and not taken.
fn is_rejected(trip: &Trip) -> bool {
    proxy_failure(trip).is_some_and(|failure| matches!(failure.login, Login::Rejected(_)))
}

fn required(case: &Case<'_>) -> Held {
    match asked(case) {
        Some(failure) if failure.login == Login::None => Found::high().yes(),
        Some(_) | None => Ok(None),
    }
}
