//! The body of an answer, as it comes: its first bytes, its length, when its parts came.

use bytes::Bytes;
use http_body_util::BodyExt as _;
use hyper::body::{Body as _, Incoming};
use tokio::time::Instant;

use super::failure::Wrong;
use crate::observation::{Parts, Response};
use crate::probe::parse::Events;

/// Gaps that are kept.
const GAPS: usize = 64;

/// A body in either version.
pub(super) enum Body {
    Http1(Incoming),
    Http2(h2::RecvStream),
}

impl Body {
    async fn next(&mut self) -> Option<Result<Bytes, Wrong>> {
        match self {
            Self::Http1(body) => loop {
                let frame = match body.frame().await? {
                    Ok(frame) => frame,
                    Err(error) => return Some(Err(error.into())),
                };
                // What is no data is a trailer.
                if let Ok(data) = frame.into_data() {
                    return Some(Ok(data));
                }
            },
            Self::Http2(body) => {
                let data = body.data().await?;
                if let Ok(data) = &data {
                    // It can only fail for more than was received.
                    body.flow_control().release_capacity(data.len()).ok();
                }
                Some(data.map_err(Wrong::from))
            }
        }
    }

    fn is_end(&self) -> bool {
        match self {
            Self::Http1(body) => body.is_end_stream(),
            Self::Http2(body) => body.is_end_stream(),
        }
    }

    /// Its length, where it says one.
    fn declared(&self) -> Option<u64> {
        match self {
            Self::Http1(body) => body.size_hint().exact(),
            Self::Http2(_) => None,
        }
    }
}

/// What was read.
pub(super) struct Reading {
    pub(super) whole: bool,
    kept: Vec<u8>,
    length: u64,
    parts: Parts,
    events: Option<Events>,
    head: Instant,
    last: Instant,
}

impl Reading {
    /// Of a body whose head came now.
    pub(super) fn new(head: Instant, is_event_stream: bool) -> Self {
        Self {
            kept: Vec::new(),
            length: 0,
            whole: false,
            parts: Parts::default(),
            events: is_event_stream.then(Events::default),
            head,
            last: head,
        }
    }

    /// Reads up to the limit.
    pub(super) async fn read(
        &mut self,
        mut body: Body,
        (limit, kept): (u64, usize),
    ) -> Result<(), Wrong> {
        let declared = body.declared().and_then(|length| usize::try_from(length).ok());
        self.kept.reserve_exact(declared.unwrap_or_default().min(kept));
        while let Some(data) = body.next().await {
            let data = data?;
            self.length = self.length.saturating_add(data.len() as u64);
            let room = kept.saturating_sub(self.kept.len());
            self.kept.extend_from_slice(data.get(..room).unwrap_or(&data));
            self.note_parts(&data);
            if self.length >= limit {
                self.whole = body.is_end();
                return Ok(());
            }
        }
        self.whole = true;
        Ok(())
    }

    /// Hands what was read over. Bytes that are no text come back as they are, too.
    pub(super) fn into_response(self, response: &mut Response) -> Vec<u8> {
        let mut bytes = Vec::new();
        response.body = String::from_utf8(self.kept).unwrap_or_else(|error| {
            bytes = error.into_bytes();
            String::from_utf8_lossy(&bytes).into_owned()
        });
        response.length = self.length;
        response.whole = self.whole;
        response.parts = self.parts;
        bytes
    }

    fn note_parts(&mut self, data: &[u8]) {
        let count = match &mut self.events {
            Some(events) => events.read(data),
            None => u64::from(!data.is_empty()),
        };
        let now = Instant::now();
        for _ in 0..count {
            self.note_part(now);
        }
    }

    fn note_part(&mut self, now: Instant) {
        let parts = &mut self.parts;
        if parts.first.is_none() {
            parts.first = Some(now.saturating_duration_since(self.head).as_secs_f64());
        } else {
            let gap = now.saturating_duration_since(self.last).as_secs_f64();
            parts.longest = parts.longest.max(gap);
            if parts.gaps.len() < GAPS {
                parts.gaps.push(gap);
            }
        }
        parts.count = parts.count.saturating_add(1);
        self.last = now;
    }
}
