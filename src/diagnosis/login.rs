//! A proxy that asks for a login: none is configured, it cannot be had, it is of another kind, or it is
//! not taken.

use super::Held;
use super::case::{Case, Found, Seen, proxy_failure};
use crate::cause::Party;
use crate::observation::{Control, Login, ProxyFailure, TicketKind, Trip};

rules! { RULES
    /// No ticket could be had, so nothing was sent. A host without the library is to be mended by its owner.
    ProxyAuthUnavailable unavailable,

    /// The configured scheme is not among those that the proxy offers, and no other is used.
    ProxyAuthUnsupported unsupported,

    /// The login was shown, now or at most a quarter of an hour ago, and the proxy asks for one again, for an
    /// unrelated host too. Where that one is let through with it, the login is good, and this target denied.
    ///
    /// A proxy may ask again where the account is good and may not go there, as squid does where the rule
    /// that denies ends with the login. So it is proven by a second host for which it was shown in vain, or in
    /// SOCKS, where nobody has named a host yet (RFC 1929). A control that was held back proves nothing.
    ProxyAuthRejected rejected,

    /// None is configured.
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
