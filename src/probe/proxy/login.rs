//! What is shown to a proxy that asks for a login, scheme by scheme, and what follows from its next
//! challenge. Nothing here sends anything; no token is kept once it was made into a header.

use data_encoding::BASE64;
use tokio::time::Instant;
use zeroize::Zeroizing;

use super::challenge::Challenge;
use super::digest::{Asked, Fresh, Login as Digest, Offer, new_cnonce};
#[cfg(feature = "ntlm")]
use super::ntlm::{NtlmFresh, NtlmLogin, channel_bindings, ntlm_challenge, ntlm_negotiate};
#[cfg(feature = "kerberos")]
use super::ticket::{self, Initiator};
use crate::observation::{Scheme, Ticket};
use crate::plan::Credential;

/// The value of a `Proxy-Authorization`.
pub(super) type Header = Zeroizing<String>;

/// How far a login came.
pub(super) enum Step {
    /// Nothing was shown.
    Unasked,
    /// All of it was shown.
    Shown,
    /// All of it was shown, with a nonce of the proxy that may have run out.
    Digest,
    /// The first of NTLM's two messages was shown.
    #[cfg(feature = "ntlm")]
    Ntlm,
    /// A token was shown, and there may be a next one.
    #[cfg(feature = "kerberos")]
    Ticket(Box<Initiator>),
}

impl Step {
    /// Whether what is shown now only begins.
    pub(super) fn is_opening(&self) -> bool {
        match self {
            Self::Unasked | Self::Shown | Self::Digest => false,
            #[cfg(feature = "ntlm")]
            Self::Ntlm => true,
            #[cfg(feature = "kerberos")]
            Self::Ticket(_) => false,
        }
    }

    /// Whether it is half-way, in a way that is bound to its connection.
    pub(super) fn is_bound(&self) -> bool {
        match self {
            Self::Unasked | Self::Shown | Self::Digest => false,
            #[cfg(feature = "ntlm")]
            Self::Ntlm => true,
            // The first token may be all: then the connection is as good as any.
            #[cfg(feature = "kerberos")]
            Self::Ticket(_) => true,
        }
    }
}

/// What a login is made for.
#[cfg_attr(
    not(feature = "kerberos"),
    expect(dead_code, reason = "a ticket is for a host, and waited for")
)]
pub(super) struct Place<'a> {
    /// The proxy's host.
    pub(super) host: &'a str,
    /// What CONNECT asks for.
    pub(super) authority: &'a str,
    /// The hash of the proxy's certificate (RFC 5929 4), where it shows one.
    pub(super) certificate: Option<&'a [u8]>,
    pub(super) deadline: Instant,
}

/// What follows from a challenge.
pub(super) enum Next {
    /// This is shown.
    Show(Header, Step),
    /// What was shown is not taken.
    Rejected,
    /// The scheme is offered in a form that nobody here can answer.
    Unusable,
    /// There is nothing to show.
    #[cfg_attr(not(feature = "kerberos"), expect(dead_code, reason = "only Kerberos has tickets"))]
    NoTicket(Ticket),
    /// What the proxy says is no challenge of this scheme: what is wrong with it.
    Flawed(String),
}

/// The first thing to show.
pub(super) async fn first(
    credential: &Credential,
    challenges: &[Challenge],
    place: &Place<'_>,
) -> Next {
    match credential {
        Credential::Password { scheme: Scheme::Basic, name, password, .. } => {
            let plain = Zeroizing::new(format!("{name}:{}", password.expose()));
            Next::Show(header("Basic", plain.as_bytes()), Step::Shown)
        }
        Credential::Password { scheme: Scheme::Digest, name, password, .. } => {
            let login = Digest { user: name, password: password.expose() };
            digest(login, challenges, place)
        }
        #[cfg(feature = "ntlm")]
        Credential::Password { scheme: Scheme::Ntlm, .. } => {
            Next::Show(header("NTLM", &ntlm_negotiate()), Step::Ntlm)
        }
        Credential::Password { .. } => Next::Unusable,
        #[cfg(feature = "kerberos")]
        Credential::Ticket { principal, keytab, cache } => {
            let of = |text: &String| (!text.is_empty()).then(|| text.clone());
            let source = ticket::Source {
                principal: of(principal),
                keytab: keytab.clone(),
                ccache: cache.clone(),
            };
            let made = ticket::first(source, place.host.to_owned(), place.deadline).await;
            negotiate(made)
        }
        #[cfg(not(feature = "kerberos"))]
        Credential::Ticket { .. } => Next::Unusable,
    }
}

/// What to show after another challenge.
pub(super) async fn next(
    step: Step,
    credential: &Credential,
    challenges: &[Challenge],
    place: &Place<'_>,
) -> Next {
    match step {
        Step::Unasked => first(credential, challenges, place).await,
        Step::Shown => Next::Rejected,
        Step::Digest => match (credential, Offer::strongest(challenges)) {
            (Credential::Password { name, password, .. }, Ok(offer)) if offer.is_stale() => {
                let login = Digest { user: name, password: password.expose() };
                match digest(login, challenges, place) {
                    // Once: a nonce cannot run out each time.
                    Next::Show(header, _) => Next::Show(header, Step::Shown),
                    other => other,
                }
            }
            _ => Next::Rejected,
        },
        #[cfg(feature = "ntlm")]
        Step::Ntlm => ntlm(credential, token(challenges, Scheme::Ntlm), place),
        #[cfg(feature = "kerberos")]
        Step::Ticket(initiator) => match token(challenges, Scheme::Negotiate) {
            Some(Ok(token)) => negotiate(ticket::next(initiator, token, place.deadline).await),
            Some(Err(why)) => Next::Flawed(why),
            None => Next::Rejected,
        },
    }
}

fn header(scheme: &str, bytes: &[u8]) -> Header {
    let encoded = Zeroizing::new(BASE64.encode(bytes));
    Zeroizing::new(format!("{scheme} {}", encoded.as_str()))
}

fn digest(login: Digest<'_>, challenges: &[Challenge], place: &Place<'_>) -> Next {
    let Ok(offer) = Offer::strongest(challenges) else { return Next::Unusable };
    let Ok(cnonce) = new_cnonce() else { return Next::Unusable };
    // Each trip has a nonce of its own: it is used for the first time.
    let fresh = Fresh { count: 1, cnonce: &cnonce };
    let answer = offer.answer(login, Asked::tunnel(place.authority), fresh);
    Next::Show(Zeroizing::new(answer), Step::Digest)
}

/// The token of a scheme's challenge; none where there is none, which is how these two say no.
fn token(challenges: &[Challenge], scheme: Scheme) -> Option<Result<Vec<u8>, String>> {
    let challenge = challenges.iter().find(|challenge| challenge.scheme == Some(scheme))?;
    let token = challenge.token.as_ref()?;
    Some(BASE64.decode(token.as_bytes()).map_err(|error| format!("its token is none: {error}")))
}

#[cfg(feature = "ntlm")]
fn ntlm(
    credential: &Credential,
    token: Option<Result<Vec<u8>, String>>,
    place: &Place<'_>,
) -> Next {
    let Credential::Password { name, domain, password, .. } = credential else {
        return Next::Unusable;
    };
    let challenge = match token {
        // Of the login nothing was shown yet.
        None => return Next::Flawed("it does not go on with NTLM".to_owned()),
        Some(Err(why)) => return Next::Flawed(why),
        Some(Ok(bytes)) => match ntlm_challenge(&bytes) {
            Ok(challenge) => challenge,
            Err(flaw) => return Next::Flawed(flaw.to_string()),
        },
    };
    let mut nonce = [0_u8; 8];
    if aws_lc_rs::rand::fill(&mut nonce).is_err() {
        return Next::Unusable;
    }
    let user = match domain {
        Some(domain) => format!("{domain}\\{name}"),
        None => name.clone(),
    };
    let login = NtlmLogin { user: &user, password: password.expose(), workstation: "" };
    let bindings = place.certificate.map(channel_bindings);
    let answer = challenge.answer(login, NtlmFresh { nonce, time: windows_time(), bindings });
    Next::Show(header("NTLM", &answer), Step::Shown)
}

/// Tenths of a microsecond since 1601 (MS-DTYP 2.3.3).
#[cfg(feature = "ntlm")]
fn windows_time() -> u64 {
    const FROM_1601_TO_1970: i64 = 11_644_473_600;
    let now = super::super::now();
    let seconds = u64::try_from(now.as_second().saturating_add(FROM_1601_TO_1970));
    seconds.unwrap_or_default().saturating_mul(10_000_000)
}

#[cfg(feature = "kerberos")]
fn negotiate(made: Result<(Box<Initiator>, Vec<u8>), Ticket>) -> Next {
    match made {
        Ok((initiator, token)) => Next::Show(header("Negotiate", &token), Step::Ticket(initiator)),
        Err(ticket) => Next::NoTicket(ticket),
    }
}
