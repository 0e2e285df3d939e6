//! What an exchange ended in, by the types behind the libraries' errors, never by their text.

use std::error::Error as StdError;
use std::io;

use super::Around;
use super::watch::Watch;
use crate::observation::{Failure, Framing, H2End, HttpFailure, HttpKind, TlsFailure, TlsKind};
use crate::probe::parse::Head;
use crate::probe::stream::Counts;
use crate::probe::tls;

/// The only stream of a connection (RFC 9113 5.1.1).
const STREAM: u32 = 1;

/// A header block that may be a list beyond the limit: a field counts 32 bytes more than it has, and Huffman's code saves
/// a third of it (RFC 7541 4.1, 5.2). Only the dynamic table makes one of fewer bytes.
const LARGE: u64 = super::HEAD_LIMIT as u64 / 8;

/// How far the answer came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stage {
    Head,
    Body,
}

/// An error of the library that speaks the version.
#[derive(Debug)]
pub(super) enum Wrong {
    Http1(hyper::Error),
    Http2(h2::Error),
    /// The connection is over, and the request was not told.
    Over,
}

impl From<hyper::Error> for Wrong {
    fn from(error: hyper::Error) -> Self {
        Self::Http1(error)
    }
}

impl From<h2::Error> for Wrong {
    fn from(error: h2::Error) -> Self {
        Self::Http2(error)
    }
}

/// What is known at the end.
pub(super) struct End<'a> {
    pub(super) counts: &'a Counts,
    pub(super) watch: &'a Watch,
    pub(super) around: &'a Around<'a>,
    pub(super) http2: bool,
    pub(super) tls: bool,
    pub(super) stage: Stage,
}

/// What it is called.
type Named = (HttpKind, Option<Framing>, Option<H2End>);

impl End<'_> {
    /// The deadline came first.
    pub(super) fn late(&self) -> Failure {
        let named = if self.watch.first().is_none() && self.stage == Stage::Head {
            (HttpKind::Timeout, None, self.goodbye())
        } else {
            let dripping = self.watch.is_dripping();
            let framing = if dripping { Framing::Dripping } else { Framing::Stalled };
            (HttpKind::Stalled, Some(framing), self.goodbye())
        };
        self.failure(
            named,
            match named {
                (HttpKind::Timeout, ..) => "no answer",
                (_, Some(Framing::Dripping), _) => "the answer came too slowly",
                _ => "the answer stopped",
            },
        )
    }

    /// A failure that no library names.
    pub(super) fn plain(&self, kind: HttpKind, framing: Option<Framing>, detail: &str) -> Failure {
        self.failure((kind, framing, None), detail)
    }

    /// The request's error, or the connection's where that says more.
    pub(super) fn of(&self, error: &Wrong, driver: Option<&Wrong>) -> Failure {
        if let Some(tls) = of_tls(error).cloned().or_else(|| self.counts.refusal()) {
            let failure = TlsFailure {
                socket: self.around.gauge.counters(),
                received: self.counts.received(),
                ..TlsFailure::new(TlsKind::Other)
            };
            return Failure::Tls(tls::of_rustls(&tls, failure, self.around.asked));
        }
        match (error, driver) {
            (Wrong::Http1(error), Some(Wrong::Http1(driver)))
                if error.is_canceled() || error.is_closed() =>
            {
                self.of_hyper(driver)
            }
            (Wrong::Http1(error), _) => self.of_hyper(error),
            (Wrong::Http2(error), Some(Wrong::Http2(driver))) => self.of_h2(error, Some(driver)),
            (Wrong::Http2(error), _) => self.of_h2(error, None),
            (Wrong::Over, _) => {
                let kind = self.cut();
                self.failure((kind, of_kind(kind), self.goodbye()), "the connection is over")
            }
        }
    }

    fn failure(&self, (kind, framing, h2): Named, detail: &str) -> Failure {
        Failure::Http(HttpFailure {
            kind,
            framing,
            h2,
            notified: matches!(kind, HttpKind::Closed | HttpKind::Truncated)
                && self.tls
                && !self.counts.was_torn(),
            received: self.counts.received(),
            quiet_ms: u64::try_from(self.watch.quiet().as_millis()).unwrap_or(u64::MAX),
            errno: self.around.gauge.icmp_errno(),
            socket: self.around.gauge.counters(),
            detail: detail.to_owned(),
        })
    }

    // ---- HTTP/1.1

    fn of_hyper(&self, error: &hyper::Error) -> Failure {
        let kind = self.kind(error);
        if kind == HttpKind::Timeout {
            return self.late();
        }
        self.failure((kind, self.framing(kind, error), None), &detail(error))
    }

    fn kind(&self, error: &hyper::Error) -> HttpKind {
        if self.counts.is_over() || error.is_parse_too_large() {
            return HttpKind::TooLarge;
        }
        if let Some(error) = find::<io::Error>(error) {
            return self.of_io(error);
        }
        if error.is_incomplete_message() || error.is_canceled() || error.is_closed() {
            return self.cut();
        }
        if error.is_parse() { HttpKind::Malformed } else { HttpKind::Other }
    }

    fn of_io(&self, error: &io::Error) -> HttpKind {
        match (error.raw_os_error(), error.kind()) {
            (Some(libc::ECONNRESET | libc::EPIPE | libc::ECONNABORTED), _) => HttpKind::Reset,
            (_, io::ErrorKind::ConnectionReset | io::ErrorKind::BrokenPipe) => HttpKind::Reset,
            (_, io::ErrorKind::UnexpectedEof) => self.cut(),
            (_, io::ErrorKind::FileTooLarge) => HttpKind::TooLarge,
            (_, io::ErrorKind::InvalidInput | io::ErrorKind::InvalidData) => HttpKind::Malformed,
            (Some(libc::ETIMEDOUT), _) => HttpKind::Timeout,
            _ => HttpKind::Other,
        }
    }

    /// An end before the answer's own.
    fn cut(&self) -> HttpKind {
        let began = self.stage == Stage::Body || self.watch.first().is_some();
        if began { HttpKind::Truncated } else { HttpKind::Closed }
    }

    fn framing(&self, kind: HttpKind, error: &hyper::Error) -> Option<Framing> {
        match (kind, self.stage) {
            (HttpKind::Malformed, Stage::Head) if is_of_status_line(error) => {
                Some(Framing::StatusLine)
            }
            (HttpKind::Malformed, Stage::Head) => match self.watch.head() {
                Head::Broken(framing) => Some(framing),
                // A field that hyper does not take and httparse does.
                Head::Partial { .. } | Head::Sound => Some(Framing::Header),
            },
            // After its head hyper finds nothing else unsound.
            (HttpKind::Malformed, Stage::Body) => Some(Framing::TransferCoding),
            (HttpKind::TooLarge, Stage::Head) => Some(match self.watch.head() {
                Head::Partial { interim, rest } if interim > rest => Framing::EndlessInterim,
                // A length that hyper cannot count to.
                Head::Sound => Framing::EndlessBody,
                Head::Partial { .. } | Head::Broken(_) => Framing::HeaderFlood,
            }),
            (HttpKind::TooLarge, Stage::Body) => Some(Framing::EndlessBody),
            _ => of_kind(kind),
        }
    }

    // ---- HTTP/2

    /// Of the two errors the one with a code: the stream's own often says no more than that the connection is gone.
    fn of_h2(&self, error: &h2::Error, driver: Option<&h2::Error>) -> Failure {
        let coded = [Some(error), driver]
            .into_iter()
            .flatten()
            .find(|error| error.is_go_away() || error.is_reset());
        let detail = coded.unwrap_or(error).to_string();
        let named = match coded {
            // Not a byte of it was HTTP/2: what h2 says of its frames would mislead.
            _ if self.counts.first().starts_with(b"HTTP/1") => {
                (HttpKind::Malformed, Some(Framing::Frame), None)
            }
            Some(coded) => {
                let end = end_of(coded);
                let ours = end.is_some_and(|end| !end.remote);
                (HttpKind::H2, ours.then(|| self.fault(coded)), end)
            }
            None if self.counts.is_over() => {
                (HttpKind::TooLarge, Some(self.flood()), self.goodbye())
            }
            None => self.gone(error),
        };
        self.failure(named, &detail)
    }

    /// The connection ended with the stream open. A GOAWAY before it says why, where it is no mere farewell: one with
    /// a code, or one that did not look at the request.
    fn gone(&self, error: &h2::Error) -> Named {
        let goodbye = self.goodbye();
        let excluded = self.watch.frames().goaway().is_some_and(|goaway| goaway.last < STREAM);
        if goodbye.is_some_and(|end| end.code != 0 || excluded) {
            return (HttpKind::H2, None, goodbye);
        }
        let kind = match error.get_io() {
            _ if self.counts.was_reset() => HttpKind::Reset,
            // What h2 calls an orderly end with a stream open (`State::recv_eof`).
            Some(error) if error.kind() == io::ErrorKind::BrokenPipe => self.cut(),
            Some(error) => self.of_io(error),
            None => HttpKind::Other,
        };
        (kind, of_kind(kind), goodbye)
    }

    fn goodbye(&self) -> Option<H2End> {
        let goaway = self.watch.frames().goaway().filter(|_| self.http2)?;
        Some(H2End { goaway: true, code: goaway.code, remote: true })
    }

    /// What the peer did that this end answered with that code.
    fn fault(&self, error: &h2::Error) -> Framing {
        match error.reason() {
            // Of an answer's head h2 bears no more than a few frames and four times the limit.
            Some(h2::Reason::ENHANCE_YOUR_CALM) if self.stage == Stage::Head => {
                if self.watch.frames().blocks() > 0 {
                    Framing::HeaderFlood
                } else {
                    Framing::FrameFlood
                }
            }
            Some(h2::Reason::ENHANCE_YOUR_CALM) => Framing::FrameFlood,
            // A fault of one stream is in its fields (RFC 9113 8.1.1): h2 has one code for a list beyond the limit and
            // for one that is unsound, and only a block that is large itself is sure to be the first.
            _ if error.is_reset() && self.stage == Stage::Head => {
                let large = self.watch.frames().largest_block() >= LARGE;
                if large { Framing::HeaderFlood } else { Framing::Header }
            }
            _ => Framing::Frame,
        }
    }

    /// What of HTTP/2 went beyond the limit of bytes.
    fn flood(&self) -> Framing {
        let frames = self.watch.frames();
        match self.stage {
            Stage::Body => Framing::EndlessBody,
            Stage::Head if frames.is_block_open() => Framing::HeaderFlood,
            Stage::Head if frames.blocks() > 0 => Framing::EndlessInterim,
            Stage::Head => Framing::FrameFlood,
        }
    }
}

fn is_of_status_line(error: &hyper::Error) -> bool {
    error.is_parse_status() || error.is_parse_version_h2()
}

/// What a kind means by itself.
fn of_kind(kind: HttpKind) -> Option<Framing> {
    match kind {
        HttpKind::Truncated => Some(Framing::Truncated),
        HttpKind::Reset => Some(Framing::Reset),
        _ => None,
    }
}

fn end_of(error: &h2::Error) -> Option<H2End> {
    let code = error.reason()?.into();
    Some(H2End { goaway: error.is_go_away(), code, remote: error.is_remote() })
}

fn of_tls(error: &Wrong) -> Option<&rustls::Error> {
    match error {
        Wrong::Http1(error) => find(error),
        Wrong::Http2(error) => find(error.get_io()?),
        Wrong::Over => None,
    }
}

/// The first error of a type in the chain. An `io::Error` hides what it holds from `source`.
fn find<'a, E: StdError + 'static>(error: &'a (dyn StdError + 'static)) -> Option<&'a E> {
    let mut next = Some(error);
    while let Some(error) = next {
        if let Some(found) = error.downcast_ref::<E>() {
            return Some(found);
        }
        if let Some(inner) = error.downcast_ref::<io::Error>().and_then(io::Error::get_ref) {
            let inner: &(dyn StdError + 'static) = inner;
            if let Some(found) = find(inner) {
                return Some(found);
            }
        }
        next = error.source();
    }
    None
}

/// Every level's words, for people.
fn detail(error: &hyper::Error) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(source) = next {
        text.push_str(": ");
        text.push_str(&source.to_string());
        next = source.source();
    }
    text
}
