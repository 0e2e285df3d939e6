//! A look at an answer's bytes on their way to the library: when they came, how its head began, which frames they were.
//!
//! Everything has a fixed size, allocated once for a request.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use super::HEAD_LIMIT;
use crate::probe::parse::{self, Frames, Head};
use crate::probe::stream::Listen;

/// What a pause is at least that says something: below it, a busy host alone makes one.
const PAUSE: Duration = Duration::from_millis(100);
/// Reads that make a rhythm: the pauses between fewer tell nothing of the next.
const RHYTHM: u64 = 3;

/// What is known of the bytes; shared with whoever judges afterwards.
#[derive(Debug)]
pub(super) struct Watch {
    http2: bool,
    sent: Instant,
    seen: Mutex<Seen>,
}

#[derive(Debug)]
struct Seen {
    /// The first bytes, as many as a head may have, of HTTP/1.
    head: Vec<u8>,
    frames: Frames,
    first: Option<Instant>,
    last: Option<Instant>,
    reads: u64,
    longest: Duration,
}

impl Watch {
    /// For a request that is sent now.
    pub(super) fn new(http2: bool) -> Arc<Self> {
        let seen = Seen {
            head: Vec::with_capacity(if http2 { 0 } else { HEAD_LIMIT }),
            frames: Frames::default(),
            first: None,
            last: None,
            reads: 0,
            longest: Duration::ZERO,
        };
        Arc::new(Self { http2, sent: Instant::now(), seen: Mutex::new(seen) })
    }

    /// When the request was sent.
    pub(super) fn sent(&self) -> Instant {
        self.sent
    }

    /// When the first byte of the answer came.
    pub(super) fn first(&self) -> Option<Instant> {
        self.seen().first
    }

    /// Since the last byte of the answer, else since the request.
    pub(super) fn quiet(&self) -> Duration {
        self.seen().last.unwrap_or(self.sent).elapsed()
    }

    /// Whether the answer still goes on: several reads brought some of it, and its silence is not longer than its own
    /// pauses have been, twice the longest at most, since those of a peer that drips vary with both hosts' load.
    pub(super) fn is_dripping(&self) -> bool {
        let (reads, longest) = {
            let seen = self.seen();
            (seen.reads, seen.longest)
        };
        reads >= RHYTHM && self.quiet() <= longest.saturating_mul(2).max(PAUSE)
    }

    /// How the answer began, as HTTP/1.
    pub(super) fn head(&self) -> Head {
        parse::head(&self.seen().head)
    }

    /// The frames so far, as HTTP/2.
    pub(super) fn frames(&self) -> Frames {
        self.seen().frames.clone()
    }

    fn seen(&self) -> MutexGuard<'_, Seen> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Listen for Watch {
    fn hear(&self, bytes: &[u8]) {
        let mut seen = self.seen();
        let of_answer = if self.http2 {
            seen.frames.read(bytes)
        } else {
            let room = HEAD_LIMIT.saturating_sub(seen.head.len());
            seen.head.extend_from_slice(bytes.get(..room).unwrap_or(bytes));
            true
        };
        if !of_answer {
            return;
        }
        let now = Instant::now();
        if let Some(last) = seen.last {
            seen.longest = seen.longest.max(now.saturating_duration_since(last));
        }
        seen.first.get_or_insert(now);
        seen.last = Some(now);
        seen.reads = seen.reads.saturating_add(1);
    }
}
