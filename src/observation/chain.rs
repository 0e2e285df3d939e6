//! A certificate chain as it was shown, and what each set of roots says of it.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

/// Whose roots verify a chain.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Trust {
    /// The public CAs.
    Public,
    /// This host's store, and no public CA.
    System,
    /// The organisation's own files, and no public CA.
    Organisation,
    /// Nobody.
    None,
}

impl Trust {
    /// The fixed name in JSON and metrics.
    pub fn label(self) -> &'static str {
        match self {
            Self::Public => "public",
            Self::System => "system",
            Self::Organisation => "organisation",
            Self::None => "none",
        }
    }
}

/// What one set of roots says of a chain.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// The set is empty or switched off.
    #[default]
    NotAsked,
    /// The chain ends in one of its roots, dates and name are right.
    Verified,
    /// Right but for the dates: the end has passed.
    Expired,
    /// Right but for the dates: the begin is to come.
    NotYetValid,
    /// Right but for the name.
    WrongName,
    /// No root of the set.
    UnknownIssuer,
    /// Anything else (purpose, constraints, a key too small, not parsable).
    Other,
}

/// A chain, and the three judgements.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Chain {
    /// The leaf first, as shown.
    pub certificates: Vec<Certificate>,
    /// By the public roots.
    pub public: Verdict,
    /// By the host's store.
    pub system: Verdict,
    /// By the organisation's files.
    pub organisation: Verdict,
    /// By each bundle that further applications have: its name, and what it says.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub also: Vec<(String, Verdict)>,
}

impl Chain {
    /// The first set that verifies it; the organisation's files say more than the store they may be in.
    pub fn trust(&self) -> Trust {
        if self.public == Verdict::Verified {
            Trust::Public
        } else if self.organisation == Verdict::Verified {
            Trust::Organisation
        } else if self.system == Verdict::Verified {
            Trust::System
        } else {
            Trust::None
        }
    }

    /// Why nobody accepts it: of the sets that were asked the one that comes nearest.
    pub fn problem(&self) -> Option<Verdict> {
        if self.trust() != Trust::None {
            return None;
        }
        let asked = [self.public, self.organisation, self.system];
        [Verdict::Expired, Verdict::NotYetValid, Verdict::WrongName, Verdict::UnknownIssuer]
            .into_iter()
            .find(|verdict| asked.contains(verdict))
            .or(Some(Verdict::Other))
    }

    /// Whether a public CA issued it, be its dates and name right or not.
    pub fn is_public(&self) -> bool {
        matches!(
            self.public,
            Verdict::Verified | Verdict::Expired | Verdict::NotYetValid | Verdict::WrongName
        )
    }

    /// The leaf.
    pub fn leaf(&self) -> Option<&Certificate> {
        self.certificates.first()
    }

    /// The name at the top of what was shown: the issuer of the last certificate.
    pub fn top_issuer(&self) -> Option<&str> {
        self.certificates.last().map(|certificate| certificate.issuer.as_str())
    }

    /// The earliest end of validity in the chain.
    pub fn not_after(&self) -> Option<Timestamp> {
        self.certificates.iter().map(|certificate| certificate.not_after).min()
    }
}

/// What a person would want to read of a certificate.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Certificate {
    /// The subject's distinguished name.
    pub subject: String,
    /// The issuer's distinguished name.
    pub issuer: String,
    /// The names it is for.
    #[serde(default)]
    pub names: Vec<String>,
    /// Begin of validity.
    pub not_before: Timestamp,
    /// End of validity.
    pub not_after: Timestamp,
    /// Whether it names itself as its issuer.
    #[serde(default)]
    pub self_signed: bool,
    /// The serial number, in hex.
    #[serde(default)]
    pub serial: String,
    /// SHA-256 of all of it, in hex.
    #[serde(default)]
    pub fingerprint: String,
    /// SHA-256 of the public key with its algorithm (RFC 7469 2.4), in hex.
    #[serde(default)]
    pub spki: String,
    /// Signed certificate timestamps inside (RFC 6962 3.3): a public CA's leaf has some.
    #[serde(default)]
    pub scts: u8,
}
