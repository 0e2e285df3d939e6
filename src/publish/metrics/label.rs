//! The labels, and what each may hold: a closed set, or what bounds it. No text of a peer is among them but what is
//! reduced and counted.

use std::collections::BTreeSet;

use crate::cause::{CAUSES, Layer, Party, Status};
use crate::diagnosis::{Author, NetworkState};
use crate::observation::{
    Control, DnsKind, HttpKind, LocalKind, ProxyKind, TcpKind, TlsKind, Trust,
};
use crate::store::{Phase, Zone};

/// A label of a series.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Label {
    /// A target.
    Target,
    /// A route.
    Route,
    /// A status.
    Status,
    /// A layer.
    Layer,
    /// A cause.
    Cause,
    /// A party.
    Party,
    /// Whether the way out is proven.
    Network,
    /// The kind of a failure.
    Kind,
    /// A control that is an experiment.
    Control,
    /// A control that is measured while nothing fails.
    Baseline,
    /// A phase of a trip.
    Phase,
    /// An address of the first hop.
    Address,
    /// Its family.
    Family,
    /// Whose certificate it is.
    Of,
    /// Whose roots verify it.
    Trust,
    /// The topmost name of a chain.
    Issuer,
    /// Who wrote an answer.
    Author,
    /// A point of presence.
    Pop,
    /// A provider.
    Provider,
    /// Whose a target's name is.
    Zone,
    /// A way out.
    Egress,
    /// Where a secret is kept.
    Credential,
    /// A version of this program.
    Version,
    /// Any label that the configuration gives a target.
    Configured,
}

/// What a label may hold.
#[derive(Debug)]
pub enum Values {
    /// One of these.
    Closed(BTreeSet<&'static str>),
    /// What is said here, and no more of them than that.
    Bounded(&'static str),
}

impl Label {
    /// Its name; none where the configuration gives it.
    pub fn name(self) -> Option<&'static str> {
        Some(match self {
            Self::Target => "target",
            Self::Route => "route",
            Self::Status => "status",
            Self::Layer => "layer",
            Self::Cause => "cause",
            Self::Party => "party",
            Self::Network => "network",
            Self::Kind => "kind",
            Self::Control | Self::Baseline => "control",
            Self::Phase => "phase",
            Self::Address => "address",
            Self::Family => "family",
            Self::Of => "of",
            Self::Trust => "trust",
            Self::Issuer => "issuer",
            Self::Author => "author",
            Self::Pop => "pop",
            Self::Provider => "provider",
            Self::Zone => "zone",
            Self::Egress => "egress",
            Self::Credential => "credential",
            Self::Version => "version",
            Self::Configured => return None,
        })
    }

    /// What it may hold.
    pub fn values(self) -> Values {
        let closed = |values: Vec<&'static str>| Values::Closed(values.into_iter().collect());
        let or_none = |mut values: Vec<&'static str>| {
            // The seconds of what is beyond a check's bound are `other`.
            values.extend(["none", "other"]);
            closed(values)
        };
        match self {
            Self::Target => Values::Bounded("a target's name, as configured"),
            Self::Route => Values::Bounded("a route's name, as configured, or `direct`"),
            Self::Status => closed(Status::ALL.iter().map(|one| one.label()).collect()),
            Self::Layer => or_none(Layer::ALL.iter().map(|one| one.label()).collect()),
            Self::Cause => or_none(CAUSES.iter().map(|row| row.id).collect()),
            Self::Party => or_none(Party::ALL.iter().map(|one| one.label()).collect()),
            Self::Network => closed(NetworkState::ALL.iter().map(|one| one.label()).collect()),
            Self::Kind => closed(kinds()),
            Self::Control => closed(Control::ALL.iter().map(|one| one.label()).collect()),
            Self::Baseline => Values::Bounded(
                "a control host's name, as configured, or `random_name`, `unanswerable_address`, `portal`",
            ),
            Self::Phase => closed(Phase::ALL.iter().map(|one| one.label()).collect()),
            Self::Address => Values::Bounded("an address of the newest trip, at most 16 a check"),
            Self::Family => closed(vec!["ipv4", "ipv6"]),
            Self::Of => closed(vec!["target", "proxy", "client", "ca"]),
            Self::Trust => closed(
                [Trust::Public, Trust::System, Trust::Organisation, Trust::None]
                    .map(Trust::label)
                    .to_vec(),
            ),
            Self::Issuer => Values::Bounded(
                "the name at the top of the chain, reduced to 64 of A-Z a-z 0-9 . _ ( ) - and blank; the first 4 of a check, then `other`",
            ),
            Self::Author => closed(Author::ALL.iter().map(|one| one.label()).collect()),
            Self::Pop => Values::Bounded(
                "three letters and up to three digits (`FRA`, `FRA56`); the first 16 of a check, then `other`",
            ),
            Self::Provider => Values::Bounded("`provider` of the configuration"),
            Self::Zone => closed(Zone::ALL.iter().map(|one| one.label()).collect()),
            Self::Egress => Values::Bounded("`egress` of the route, as configured; empty without"),
            Self::Credential => Values::Bounded("where a secret is kept, as the verdicts say it"),
            Self::Version => Values::Bounded("the version of this program"),
            Self::Configured => Values::Bounded("the target's `labels`, as configured"),
        }
    }
}

fn kinds() -> Vec<&'static str> {
    let mut kinds: Vec<&str> = LocalKind::ALL.iter().map(|kind| kind.label()).collect();
    kinds.extend(DnsKind::ALL.iter().map(|kind| kind.label()));
    kinds.extend(TcpKind::ALL.iter().map(|kind| kind.label()));
    kinds.extend(ProxyKind::ALL.iter().map(|kind| kind.label()));
    kinds.extend(TlsKind::ALL.iter().map(|kind| kind.label()));
    kinds.extend(HttpKind::ALL.iter().map(|kind| kind.label()));
    kinds
}
