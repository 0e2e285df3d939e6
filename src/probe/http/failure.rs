//! What an exchange ended in, by the types behind hyper's error, never by its text.

use std::error::Error as StdError;
use std::io;

use super::Around;
use crate::observation::{Failure, HttpFailure, HttpKind, TlsFailure, TlsKind};
use crate::probe::stream::Counts;
use crate::probe::tls;

/// How far the answer came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stage {
    Head,
    Body,
}

/// What is known at the end.
pub(super) struct End<'a> {
    pub(super) counts: &'a Counts,
    pub(super) around: &'a Around<'a>,
    pub(super) http2: bool,
    pub(super) stage: Stage,
}

impl End<'_> {
    /// The deadline came first.
    pub(super) fn late(&self) -> Failure {
        // On HTTP/2 the peer's settings are bytes too: only a head tells that an answer began.
        let began = match self.stage {
            Stage::Body => true,
            Stage::Head => !self.http2 && self.counts.received() > 0,
        };
        if began {
            self.plain(HttpKind::Stalled, "the answer stopped")
        } else {
            self.plain(HttpKind::Timeout, "no answer")
        }
    }

    /// A failure that no library names.
    pub(super) fn plain(&self, kind: HttpKind, detail: &str) -> Failure {
        Failure::Http(HttpFailure {
            kind,
            framing: None,
            h2: None,
            quiet_ms: 0,
            received: self.counts.received(),
            socket: self.around.gauge.counters(),
            detail: detail.to_owned(),
        })
    }

    /// The request's error, or the connection's where that says more.
    pub(super) fn of(&self, error: &hyper::Error, driver: Option<&hyper::Error>) -> Failure {
        let vague = |error: &hyper::Error| error.is_canceled() || error.is_closed();
        let error = match driver {
            Some(driver) if vague(error) => driver,
            _ => error,
        };
        let of_tls = find::<rustls::Error>(error).cloned().or_else(|| self.counts.refusal());
        if let Some(tls) = &of_tls {
            let failure = TlsFailure {
                socket: self.around.gauge.counters(),
                received: self.counts.received(),
                ..TlsFailure::new(TlsKind::Other)
            };
            return Failure::Tls(tls::of_rustls(tls, failure, self.around.asked));
        }
        self.plain(self.kind(error), &detail(error))
    }

    fn kind(&self, error: &hyper::Error) -> HttpKind {
        let cut = if self.counts.received() == 0 { HttpKind::Closed } else { HttpKind::Truncated };
        // On HTTP/2 the peer's settings are bytes too.
        let end = if self.http2 && self.stage == Stage::Head { HttpKind::Closed } else { cut };
        if self.counts.is_over() || error.is_parse_too_large() {
            return HttpKind::TooLarge;
        }
        if let Some(error) = find::<io::Error>(error) {
            return match (error.raw_os_error(), error.kind()) {
                (Some(libc::ECONNRESET | libc::EPIPE | libc::ECONNABORTED), _) => HttpKind::Reset,
                // What h2 calls an orderly end with a stream open (`State::recv_eof`).
                (None, io::ErrorKind::BrokenPipe) if self.http2 && !self.counts.was_reset() => end,
                (_, io::ErrorKind::ConnectionReset | io::ErrorKind::BrokenPipe) => HttpKind::Reset,
                (_, io::ErrorKind::UnexpectedEof) => cut,
                (_, io::ErrorKind::FileTooLarge) => HttpKind::TooLarge,
                (_, io::ErrorKind::InvalidInput | io::ErrorKind::InvalidData) => {
                    HttpKind::Malformed
                }
                (Some(libc::ETIMEDOUT), _) => HttpKind::Timeout,
                _ => HttpKind::Other,
            };
        }
        if let Some(error) = find::<h2::Error>(error) {
            let is_http1 = self.counts.first().starts_with(b"HTTP/1");
            return match error.get_io().map(io::Error::kind) {
                Some(io::ErrorKind::ConnectionReset | io::ErrorKind::BrokenPipe) => HttpKind::Reset,
                Some(io::ErrorKind::UnexpectedEof) => HttpKind::Closed,
                _ if is_http1 => HttpKind::Malformed,
                _ => HttpKind::H2,
            };
        }
        if error.is_incomplete_message() || error.is_canceled() || error.is_closed() {
            return end;
        }
        if error.is_parse() { HttpKind::Malformed } else { HttpKind::Other }
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
