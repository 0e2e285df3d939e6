//! What servers chose and is a label, reduced to few letters and to few values: issuers, and the points of presence
//! of a provider's edge. Bounded over time, not only at one moment: a peer that shows another name each time makes
//! no new series.

use crate::diagnosis::Author;
use crate::observation::{Certificate, Response, Trip, Trust};

/// What was seen of a check's servers.
#[derive(Clone, Debug, Default)]
pub struct Seen {
    issuers: Vec<String>,
    pops: Vec<String>,
    pop: Option<String>,
}

/// What stands for all values beyond the bound.
const OTHER: &str = "other";
/// Characters of a name at most.
const LENGTH: usize = 64;

impl Seen {
    /// Issuers of a check that have their own name.
    pub const ISSUERS: usize = 4;
    /// Points of presence of a check that have their own name.
    pub const POPS: usize = 16;

    /// Takes a trip in: who wrote its answer, and whether the target works. An edge that hands on what the origin says
    /// is sound, whatever that is; one that answers by itself has to be what works.
    pub fn take(&mut self, trip: &Trip, author: Option<Author>, works: bool) {
        let chains = trip.legs.iter().flat_map(|leg| [&leg.chain, &leg.proxy_chain]).flatten();
        for issuer in chains.filter_map(|chain| chain.top_issuer()) {
            let name = Self::reduced(issuer);
            if self.issuers.len() < Self::ISSUERS && !self.issuers.contains(&name) {
                self.issuers.push(name);
            }
        }
        let response = trip.legs.iter().find_map(|leg| leg.response.as_ref());
        let is_good = match author {
            Some(Author::Origin) => true,
            Some(Author::Edge) => works,
            Some(Author::Proxy | Author::Middlebox | Author::Unknown) | None => false,
        };
        if let Some(response) = response.filter(|_| is_good) {
            self.answered(response);
        }
    }

    fn answered(&mut self, response: &Response) {
        let Some(pop) = response.pop() else { return };
        if self.pops.contains(&pop) {
            self.pop = Some(pop);
        } else if self.pops.len() < Self::POPS {
            self.pops.push(pop.clone());
            self.pop = Some(pop);
        } else {
            self.pop = Some(OTHER.to_owned());
        }
    }

    /// The name of an issuer, where it is one of the first.
    pub fn issuer(&self, issuer: &str) -> Option<&str> {
        let name = Self::reduced(issuer);
        self.issuers.iter().find(|known| **known == name).map(String::as_str)
    }

    /// Where the last good answer came from.
    pub fn pop(&self) -> Option<&str> {
        self.pop.as_deref()
    }

    /// The name in a distinguished name, of letters that every system shows alike.
    pub fn reduced(distinguished: &str) -> String {
        let sound = |c: char| c.is_ascii_alphanumeric() || " ._()-".contains(c);
        let name = name_in(distinguished);
        let name: String = name.trim().chars().take(LENGTH).collect();
        let name: String = name.chars().map(|c| if sound(c) { c } else { '_' }).collect();
        if name.is_empty() { "_".to_owned() } else { name }
    }
}

/// The common name, else the unit's or organisation's, else all of it.
fn name_in(distinguished: &str) -> &str {
    let begins = |key: &str| {
        let at_begin = distinguished.strip_prefix(key);
        at_begin.or_else(|| distinguished.split_once(&format!(", {key}")).map(|(_, rest)| rest))
    };
    let Some(rest) = ["CN=", "OU=", "O="].into_iter().find_map(begins) else {
        return distinguished;
    };
    // A comma may be in the name itself: what ends it is the next key.
    let is_key = |part: &str| {
        part.split_once('=').is_some_and(|(key, _)| {
            !key.is_empty() && key.chars().all(|c| c.is_ascii_alphanumeric() || c == '.')
        })
    };
    let ends = rest.match_indices(", ").find(|(at, _)| rest.get(at + 2..).is_some_and(is_key));
    ends.and_then(|(at, _)| rest.get(..at)).unwrap_or(rest)
}

/// Certificates that are configured: they end as others do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Configured {
    /// What they are.
    pub of: Kind,
    /// The target that they are for; none: all.
    pub target: Option<String>,
    /// The route that they are for; none: all.
    pub route: Option<String>,
    /// The certificates: a chain, or roots side by side.
    pub certificates: Vec<Certificate>,
}

/// What configured certificates are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A chain that is shown to a server.
    Client,
    /// Roots of the organisation.
    Ca,
}

impl Kind {
    /// Its fixed name.
    pub fn label(self) -> &'static str {
        match self {
            Self::Client => "client",
            Self::Ca => "ca",
        }
    }

    /// Whose roots they are under: what a server makes of ours is its own business.
    pub fn trust(self) -> Trust {
        match self {
            Self::Client => Trust::None,
            Self::Ca => Trust::Organisation,
        }
    }
}

impl Configured {
    /// The names at the top: of a chain its last issuer, of roots each.
    pub fn tops(&self) -> impl Iterator<Item = &str> {
        let skipped = match self.of {
            Kind::Client => self.certificates.len().saturating_sub(1),
            Kind::Ca => 0,
        };
        self.certificates.iter().skip(skipped).map(|certificate| certificate.issuer.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_reduced_to_what_every_system_shows() {
        let rows = [
            ("C=US, O=Let's Encrypt, CN=R10", "R10"),
            (
                "CN=Example Corp TLS Inspection CA 3, O=Example Corp",
                "Example Corp TLS Inspection CA 3",
            ),
            ("O=Acme, Inc., CN=Acme, Root (G2), C=DE", "Acme_ Root (G2)"),
            ("C=DE, O=Only an Organisation", "Only an Organisation"),
            ("2.5.4.3=odd", "2.5.4.3_odd"),
            ("CN=evil\"}\n1 x{a=\"\\", "evil___1 x_a___"),
            ("CN=\u{202e}gnp", "_gnp"),
            ("CN=", "_"),
            ("", "_"),
        ];
        for (given, expected) in rows {
            assert_eq!(Seen::reduced(given), expected, "{given}");
        }
        assert_eq!(Seen::reduced(&format!("CN={}", "ä".repeat(1000))).len(), LENGTH);
    }

    #[test]
    fn a_peer_that_changes_its_place_each_time_makes_few_values() {
        let mut seen = Seen::default();
        let mut values = std::collections::BTreeSet::new();
        for place in 0..1000 {
            let headers = vec![("cf-ray".to_owned(), format!("8f-AAA{place}"))];
            seen.answered(&Response { headers, ..Response::default() });
            values.extend(seen.pop().map(str::to_owned));
        }
        assert_eq!(values.len(), Seen::POPS + 1, "{values:?}");
        assert_eq!(seen.pop(), Some(OTHER));
        // One that is known has its name again.
        let headers = vec![("cf-ray".to_owned(), "8f-AAA1".to_owned())];
        seen.answered(&Response { headers, ..Response::default() });
        assert_eq!(seen.pop(), Some("AAA1"));
    }
}
