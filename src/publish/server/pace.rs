//! Where a connection stands and until when: each wait has its deadline, also that for a peer that does not read.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::sync::watch;
use tokio::time::{Instant, sleep_until};

/// The handshake of TLS; and a request's head, the first from the connection's begin.
const HEAD: Duration = Duration::from_secs(10);
/// Between two requests: longer than the usual intervals of scrapes.
const IDLE: Duration = Duration::from_secs(130);
/// An answer is being made: a probe ends by its own bounds before.
const ASKED: Duration = Duration::from_secs(300);
/// An answer is being read.
const READ: Duration = Duration::from_secs(30);

/// What a connection is at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    /// The handshake, or a head, comes in.
    Head,
    /// An answer is being made.
    Asked,
    /// It is being sent.
    Answered,
    /// Nothing is under way.
    Idle,
}

#[derive(Clone, Copy, Debug)]
struct State {
    phase: Phase,
    since: Instant,
    /// Since when something waits to be sent.
    writing: Option<Instant>,
}

/// Where a connection stands.
#[derive(Clone, Debug)]
pub(super) struct Pace(Arc<watch::Sender<State>>);

impl Pace {
    pub(super) fn new() -> Self {
        let state = State { phase: Phase::Head, since: Instant::now(), writing: None };
        Self(Arc::new(watch::Sender::new(state)))
    }

    /// The handshake is done: the head has its own time.
    pub(super) fn shaken(&self) {
        self.enter(Phase::Head);
    }

    pub(super) fn asked(&self) {
        self.enter(Phase::Asked);
    }

    pub(super) fn answered(&self) {
        self.enter(Phase::Answered);
    }

    /// By it the one is found that can go best: those for whom nothing is computed, the oldest of them.
    pub(super) fn rank(&self) -> (bool, Instant) {
        let state = *self.0.borrow();
        (state.phase == Phase::Asked, state.since)
    }

    /// Returns when it has stood still for too long.
    pub(super) async fn overdue(&self) {
        let mut changes = self.0.subscribe();
        loop {
            let deadline = changes.borrow_and_update().deadline();
            tokio::select! {
                () = sleep_until(deadline) => return,
                // The sender is this one's own.
                _ = changes.changed() => {}
            }
        }
    }

    fn enter(&self, phase: Phase) {
        self.0.send_modify(|state| (state.phase, state.since) = (phase, Instant::now()));
    }

    fn received(&self) {
        if self.0.borrow().phase == Phase::Idle {
            self.enter(Phase::Head);
        }
    }

    fn writes(&self) {
        if self.0.borrow().writing.is_none() {
            self.0.send_modify(|state| state.writing = Some(Instant::now()));
        }
    }

    fn written(&self) {
        if self.0.borrow().writing.is_some() {
            self.0.send_modify(|state| state.writing = None);
        }
        if self.0.borrow().phase == Phase::Answered {
            self.enter(Phase::Idle);
        }
    }
}

impl State {
    fn deadline(&self) -> Instant {
        let time = match self.phase {
            Phase::Head => HEAD,
            Phase::Asked => ASKED,
            Phase::Answered => READ,
            Phase::Idle => IDLE,
        };
        let by_phase = self.since + time;
        self.writing.map_or(by_phase, |since| by_phase.min(since + READ))
    }
}

/// A stream that tells how it goes on.
#[derive(Debug)]
pub(super) struct Paced<S> {
    pub(super) stream: S,
    pub(super) pace: Pace,
}

impl<S: AsyncRead + Unpin> AsyncRead for Paced<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        let read = Pin::new(&mut self.stream).poll_read(context, buffer);
        if buffer.filled().len() > before {
            self.pace.received();
        }
        read
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Paced<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.pace.writes();
        Pin::new(&mut self.stream).poll_write(context, bytes)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.pace.writes();
        Pin::new(&mut self.stream).poll_write_vectored(context, slices)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let flushed = Pin::new(&mut self.stream).poll_flush(context);
        if flushed.is_ready() {
            self.pace.written();
        }
        flushed
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.pace.writes();
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}
