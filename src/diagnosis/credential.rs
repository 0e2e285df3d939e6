//! The target's own key: unreadable, empty, or with something in it that no header may carry. The trip
//! went without it, so these are named only where the way itself is fine; so with a client certificate
//! that could not be shown, where the server asked for one; and a login at a proxy that asks for it.

use super::case::{Case, Found};
use super::{Held, Key, answer};
use crate::observation::{Ending, TlsFailure, TlsKind};

rules! { RULES
    /// A secret cannot be read or used, and the trip went without it: the API key, where the way itself is
    /// fine; the client certificate, where the server asked for one; the login, where the proxy asked for it.
    LocalCredentialUnavailable unavailable,

    /// There is nothing in the configured API key, so that none was sent; the way itself is fine.
    ApiKeyMissing empty,

    /// The configured API key has white space or a control character inside, which no header may carry, so that
    /// it was not sent; the way itself is fine.
    ApiKeyInvalid unsendable,
}

fn is(case: &Case<'_>, wanted: impl Fn(&Key) -> bool) -> Held {
    let answered_as_without = case.answer().is_some_and(|(response, reading, author)| {
        let target = case.target();
        answer::bad_answer(target, response, &reading, author).is_none()
            || answer::demands_a_key(target, response, &reading, author)
    });
    let arrived = matches!(case.trip().ending(), Ending::Answered(..)) && answered_as_without;
    if arrived && wanted(&case.target().key) { Found::high().yes() } else { Ok(None) }
}

fn unavailable(case: &Case<'_>) -> Held {
    if case.unreadable_login().is_some() {
        return Found::high().yes();
    }
    if case.unusable_certificate().is_some() {
        let refused = |(_, failure): (_, &TlsFailure)| failure.kind == TlsKind::ClientCertificate;
        let answered = matches!(case.trip().ending(), Ending::Answered(..));
        return if answered || case.tls().is_some_and(refused) {
            Found::high().yes()
        } else {
            Ok(None)
        };
    }
    is(case, |key| matches!(key, Key::Unavailable(..)))
}

fn empty(case: &Case<'_>) -> Held {
    is(case, |key| matches!(key, Key::Empty(_)))
}

fn unsendable(case: &Case<'_>) -> Held {
    is(case, |key| matches!(key, Key::Unsendable(..)))
}
