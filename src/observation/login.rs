//! A login at a proxy: what became of it, never what it is.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::kind::kinds;

kinds! {
    /// The schemes of a login (RFC 7617, RFC 7616, MS-NLMP, RFC 4559). A SOCKS proxy's name and
    /// password (RFC 1929) count as `basic`: both travel as they are.
    Scheme {
        /// Name and password as they are.
        Basic = "basic",
        /// A digest of name, password and nonces.
        Digest = "digest",
        /// Challenge and response, bound to the connection.
        Ntlm = "ntlm",
        /// A Kerberos ticket, in SPNEGO.
        Negotiate = "negotiate",
    }
}
kinds! {
    /// Why there is no ticket to log in with, by the numbers of the host's GSSAPI.
    TicketKind {
        /// This host, or this build, has no GSSAPI.
        LibraryMissing = "library_missing",
        /// Neither a keytab nor a credential cache holds anything.
        NoTicket = "no_ticket",
        /// The ticket, or the account's password, is past its end.
        Expired = "expired",
        /// No KDC answers.
        KdcUnreachable = "kdc_unreachable",
        /// The clocks of KDC and this host differ too much.
        ClockSkew = "clock_skew",
        /// The keytab cannot be read, or lacks the principal.
        KeytabUnreadable = "keytab_unreadable",
        /// The KDC refuses the key: the keytab holds an old one.
        WrongKey = "wrong_key",
        /// The KDC does not know this account.
        UnknownClient = "unknown_client",
        /// The KDC does not know the proxy.
        UnknownService = "unknown_service",
        /// The account is locked.
        Revoked = "revoked",
        /// Anything else.
        Other = "other",
    }
}

impl TicketKind {
    /// The reason, for people.
    pub fn words(self) -> &'static str {
        match self {
            Self::LibraryMissing => "this host has no libgssapi_krb5",
            Self::NoTicket => "no ticket, and no keytab to get one with",
            Self::Expired => "the ticket or the password has expired",
            Self::KdcUnreachable => "no KDC answers",
            Self::ClockSkew => "the clocks of KDC and host differ",
            Self::KeytabUnreadable => "the keytab lacks the principal or cannot be read",
            Self::WrongKey => "the keytab holds an old key",
            Self::UnknownClient => "the KDC does not know the account",
            Self::UnknownService => "the KDC does not know the proxy's service HTTP/host",
            Self::Revoked => "the account is locked",
            Self::Other => "the library failed in another way",
        }
    }
}

/// What became of a login in one trip.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Login {
    /// None is configured.
    #[default]
    None,
    /// The proxy did not ask for it.
    NotAsked,
    /// It was sent.
    Sent(Scheme),
    /// It was sent, and not taken.
    Rejected(Rejected),
    /// It was rejected before, and stays here for a while, or until it changes.
    Withheld(Withheld),
    /// The proxy does not offer the configured scheme.
    NotOffered(Scheme),
    /// The secret cannot be read: where it is, and why.
    Unreadable(String),
    /// There is no ticket.
    NoTicket(Ticket),
}

/// A login that the proxy did not take.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Rejected {
    /// How it was sent.
    pub scheme: Scheme,
    /// When it may be sent again, if nothing changes.
    pub until: Timestamp,
}

/// A login that is not sent again yet.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Withheld {
    /// When it may be sent again, if nothing changes.
    pub until: Timestamp,
    /// What the KDC had against it, where it was not the proxy that rejected it.
    #[serde(default)]
    pub ticket: Option<Ticket>,
}

/// A ticket that could not be had.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Ticket {
    /// Why.
    pub kind: TicketKind,
    /// The library's words for it.
    #[serde(default)]
    pub detail: String,
    /// When the KDC may be asked again, if nothing changes: it refused, and counts that.
    #[serde(default)]
    pub until: Option<Timestamp>,
}

impl Login {
    /// When a login that the proxy rejected, now or before, may be sent again.
    pub fn rejected_until(&self) -> Option<Timestamp> {
        match self {
            Self::Rejected(rejected) => Some(rejected.until),
            Self::Withheld(withheld) if withheld.ticket.is_none() => Some(withheld.until),
            Self::None
            | Self::NotAsked
            | Self::Sent(_)
            | Self::Withheld(_)
            | Self::NotOffered(_)
            | Self::Unreadable(_)
            | Self::NoTicket(_) => None,
        }
    }

    /// What tells one way to fail from another, while a failure lasts.
    pub fn label(&self) -> &'static str {
        match self {
            Self::None => "none",
            Self::NotAsked => "not_asked",
            Self::Sent(_) => "sent",
            Self::Rejected(_) => "rejected",
            Self::Withheld(withheld) if withheld.ticket.is_none() => "rejected",
            Self::NotOffered(_) => "not_offered",
            Self::Unreadable(_) => "unreadable",
            Self::Withheld(_) | Self::NoTicket(_) => "no_ticket",
        }
    }

    /// Why there is no ticket, now or when one was asked for last.
    pub fn no_ticket(&self) -> Option<&Ticket> {
        match self {
            Self::NoTicket(ticket) => Some(ticket),
            Self::Withheld(withheld) => withheld.ticket.as_ref(),
            Self::None
            | Self::NotAsked
            | Self::Sent(_)
            | Self::Rejected(_)
            | Self::NotOffered(_)
            | Self::Unreadable(_) => None,
        }
    }
}
