//! The times of a phase, in fixed buckets.

use serde::{Deserialize, Serialize};

/// The phases of a trip.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Phase {
    /// Resolving the first hop's name.
    Dns,
    /// Connecting to it.
    Connect,
    /// CONNECT sent to answered.
    Proxy,
    /// The handshake.
    Tls,
    /// Request sent to the answer's head.
    FirstByte,
    /// The answer's body.
    Body,
}

impl Phase {
    /// All of them, in order.
    pub const ALL: &[Self] =
        &[Self::Dns, Self::Connect, Self::Proxy, Self::Tls, Self::FirstByte, Self::Body];

    /// The fixed name.
    pub fn label(self) -> &'static str {
        match self {
            Self::Dns => "dns",
            Self::Connect => "connect",
            Self::Proxy => "proxy",
            Self::Tls => "tls",
            Self::FirstByte => "first_byte",
            Self::Body => "body",
        }
    }
}

/// Upper bounds in seconds.
pub const BUCKETS: [f64; 10] = [0.005, 0.02, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0];

/// Counts by bucket, and their sum.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Histogram {
    counts: [u64; BUCKETS.len()],
    /// All observations.
    pub count: u64,
    /// Their sum in seconds.
    pub sum: f64,
}

impl Histogram {
    /// Adds one observation.
    pub fn observe(&mut self, seconds: f64) {
        let fits = BUCKETS.iter().zip(self.counts.iter_mut()).find(|(bound, _)| seconds <= **bound);
        if let Some((_, count)) = fits {
            *count += 1;
        }
        self.count += 1;
        self.sum += seconds;
    }

    /// Whether it can have come about, with at most so many observations.
    pub(super) fn is_sound(&self, most: u64) -> bool {
        let counted = self.counts.iter().try_fold(0_u64, |sum, count| sum.checked_add(*count));
        self.count <= most
            && counted.is_some_and(|counted| counted <= self.count)
            && self.sum.is_finite()
            && self.sum >= 0.0
    }

    /// Adds another one's observations.
    pub fn merge(&mut self, other: &Self) {
        for (count, theirs) in self.counts.iter_mut().zip(other.counts) {
            *count = count.saturating_add(theirs);
        }
        self.count = self.count.saturating_add(other.count);
        self.sum += other.sum;
    }

    /// Upper bound and cumulative count of each bucket.
    pub fn cumulative(&self) -> impl Iterator<Item = (f64, u64)> {
        let mut total = 0;
        BUCKETS.iter().zip(self.counts).map(move |(bound, count)| {
            total += count;
            (*bound, total)
        })
    }
}
