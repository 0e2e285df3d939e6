//! A stream that counts: bytes both ways, the first ones received, and a limit that hostile peers meet.
//!
//! It stands under TLS (what came over the wire) and over it (what HTTP saw), because a library's
//! error alone does not tell "closed without a byte" from "closed half-way".

use std::future::Future as _;
use std::io::{self, IoSlice};
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::Sleep;

#[cfg(test)]
pub(super) use tests::Gone;

/// Bytes kept from the beginning, as evidence: a `ServerHello` up to its version (RFC 8446 4.1.3).
const KEPT: usize = 128;
/// Between the two segments of a message that is split: longer than any queue of a switch, shorter
/// than a time that a peer would wait for the rest.
const PAUSE: Duration = Duration::from_millis(20);

/// What passed through a stream; shared with whoever judges afterwards.
#[derive(Debug)]
pub(super) struct Counts {
    sent: AtomicU64,
    received: AtomicU64,
    limit: AtomicU64,
    first: Mutex<Vec<u8>>,
    refusal: Mutex<Option<rustls::Error>>,
    reset: AtomicBool,
    torn: AtomicBool,
    /// The length of the last write, and its first seven bytes.
    last: AtomicU64,
}

impl Counts {
    /// A count that refuses to read on beyond `limit` bytes.
    pub(super) fn with_limit(limit: u64) -> Arc<Self> {
        Arc::new(Self {
            sent: AtomicU64::new(0),
            received: AtomicU64::new(0),
            limit: AtomicU64::new(limit),
            first: Mutex::new(Vec::with_capacity(KEPT)),
            refusal: Mutex::new(None),
            reset: AtomicBool::new(false),
            torn: AtomicBool::new(false),
            last: AtomicU64::new(0),
        })
    }

    pub(super) fn sent(&self) -> u64 {
        self.sent.load(Ordering::Relaxed)
    }

    pub(super) fn received(&self) -> u64 {
        self.received.load(Ordering::Relaxed)
    }

    /// Whether the peer sent more than the limit.
    pub(super) fn is_over(&self) -> bool {
        self.received() >= self.limit.load(Ordering::Relaxed)
    }

    /// Allows so many more bytes from here on.
    pub(super) fn allow_more(&self, bytes: u64) {
        self.limit.store(self.received().saturating_add(bytes), Ordering::Relaxed);
    }

    /// A new layer begins: its first bytes are kept, and so many are allowed.
    pub(super) fn begin_stage(&self, bytes: u64) {
        self.allow_more(bytes);
        if let Ok(mut first) = self.first.lock() {
            first.clear();
        }
    }

    /// The first bytes received in this stage.
    pub(super) fn first(&self) -> Vec<u8> {
        self.first.lock().map(|first| first.clone()).unwrap_or_default()
    }

    /// The TLS error that the stream below ended in: h2 keeps only the words of an `io::Error`.
    pub(super) fn refusal(&self) -> Option<rustls::Error> {
        self.refusal.lock().ok().and_then(|refusal| refusal.clone())
    }

    /// Whether the stream below ended in a reset: h2 names an orderly end the same.
    pub(super) fn was_reset(&self) -> bool {
        self.reset.load(Ordering::Relaxed)
    }

    /// Whether TLS below ended without a word of its own (RFC 8446 6.1).
    pub(super) fn was_torn(&self) -> bool {
        self.torn.load(Ordering::Relaxed)
    }

    /// The length of the last write (255 for any longer one), and its first seven bytes: what ends a
    /// handshake from our side is an alert, and each record is a write.
    pub(super) fn last_write(&self) -> (u8, [u8; 7]) {
        let [length, bytes @ ..] = self.last.load(Ordering::Relaxed).to_be_bytes();
        (length, bytes)
    }

    fn note_write(&self, bytes: &[u8]) {
        self.sent.fetch_add(bytes.len() as u64, Ordering::Relaxed);
        let length = u64::try_from(bytes.len().min(255)).unwrap_or_default();
        let begin = bytes.iter().copied().chain(std::iter::repeat(0)).take(7);
        let last = begin.fold(length, |last, byte| last << 8 | u64::from(byte));
        self.last.store(last, Ordering::Relaxed);
    }

    fn note_error(&self, error: &io::Error) {
        if matches!(error.kind(), io::ErrorKind::ConnectionReset | io::ErrorKind::BrokenPipe) {
            self.reset.store(true, Ordering::Relaxed);
        }
        if error.kind() == io::ErrorKind::UnexpectedEof {
            self.torn.store(true, Ordering::Relaxed);
        }
        let of_tls = error.get_ref().and_then(|inner| inner.downcast_ref::<rustls::Error>());
        if let (Some(error), Ok(mut refusal)) = (of_tls, self.refusal.lock()) {
            refusal.get_or_insert_with(|| error.clone());
        }
    }

    fn note(&self, bytes: &[u8]) {
        self.received.fetch_add(bytes.len() as u64, Ordering::Relaxed);
        if let Ok(mut first) = self.first.lock() {
            let room = KEPT.saturating_sub(first.len());
            first.extend(bytes.iter().take(room));
        }
    }
}

/// Who hears every byte that is read, beside the count.
pub(super) trait Listen: std::fmt::Debug + Send + Sync {
    /// One read brought these.
    fn hear(&self, bytes: &[u8]);
}

/// The stream.
#[derive(Debug)]
pub(super) struct Counted<S> {
    inner: S,
    counts: Arc<Counts>,
    listener: Option<Arc<dyn Listen>>,
    /// Bytes that were read too early and come first, and how many of them have come.
    before: Vec<u8>,
    begin: usize,
    split: Split,
    deaf: Deaf,
}

/// What becomes of writes to a peer that does not listen any more.
#[derive(Debug)]
enum Deaf {
    /// They fail.
    Tells,
    /// They go nowhere: what the peer has said before is read first (RFC 9112 9.3), then comes the write's error.
    ReadsOn(Option<io::Error>),
}

impl Deaf {
    /// Puts an error of a write aside, and says whether it did.
    fn keeps(&mut self, error: &io::Error) -> bool {
        let Self::ReadsOn(first) = self else { return false };
        let gone = matches!(
            error.kind(),
            io::ErrorKind::ConnectionReset
                | io::ErrorKind::ConnectionAborted
                | io::ErrorKind::BrokenPipe
        );
        if gone {
            // A system's error has no more than its number to it; one of TLS says more, and is no such.
            let same = error.raw_os_error().map(io::Error::from_raw_os_error);
            first.get_or_insert(same.unwrap_or_else(|| error.kind().into()));
        }
        gone
    }

    fn is_gone(&self) -> bool {
        matches!(self, Self::ReadsOn(Some(_)))
    }

    /// The error that was put aside.
    fn told(&self) -> Option<io::Error> {
        let Self::ReadsOn(Some(error)) = self else { return None };
        let same = error.raw_os_error().map(io::Error::from_raw_os_error);
        Some(same.unwrap_or_else(|| error.kind().into()))
    }
}

/// How the next write leaves.
#[derive(Debug)]
enum Split {
    /// As it comes.
    No,
    /// Its first half only.
    Half,
    /// After the pause.
    Rest(Pin<Box<Sleep>>),
}

impl<S> Counted<S> {
    pub(super) fn new(inner: S, counts: Arc<Counts>) -> Self {
        let (before, split, deaf) = (Vec::new(), Split::No, Deaf::Tells);
        Self { inner, counts, listener: None, before, begin: 0, split, deaf }
    }

    /// The same; where the peer takes no more, what it said is read before that is told.
    pub(super) fn reads_on(self) -> Self {
        Self { deaf: Deaf::ReadsOn(None), ..self }
    }

    /// The same, and somebody listens.
    pub(super) fn heard_by(self, listener: Arc<dyn Listen>) -> Self {
        Self { listener: Some(listener), ..self }
    }

    fn note(&self, bytes: &[u8]) {
        self.counts.note(bytes);
        if let Some(listener) = &self.listener {
            listener.hear(bytes);
        }
    }

    /// The next write leaves in two halves with a pause between: on a socket without Nagle's
    /// algorithm these are two segments.
    pub(super) fn split_next_write(&mut self) {
        self.split = Split::Half;
    }

    /// What may be written now; none while the pause lasts.
    fn due<'a>(&mut self, context: &mut Context<'_>, bytes: &'a [u8]) -> Option<&'a [u8]> {
        match &mut self.split {
            Split::No => Some(bytes),
            Split::Half => bytes.get(..bytes.len().div_ceil(2)),
            Split::Rest(pause) => {
                if pause.as_mut().poll(context).is_pending() {
                    return None;
                }
                self.split = Split::No;
                Some(bytes)
            }
        }
    }

    /// Puts bytes back that belong to whoever reads next, and are counted there.
    pub(super) fn put_back(&mut self, bytes: &[u8]) {
        self.counts.received.fetch_sub(bytes.len() as u64, Ordering::Relaxed);
        self.before.extend_from_slice(bytes);
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Counted<S> {
    fn poll_read(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let before = this.before.get(this.begin..).unwrap_or_default();
        if !before.is_empty() {
            let now = before.get(..buffer.remaining()).unwrap_or(before);
            this.note(now);
            buffer.put_slice(now);
            this.begin = this.begin.saturating_add(now.len());
            return Poll::Ready(Ok(()));
        }
        if this.counts.is_over() {
            return Poll::Ready(Err(io::ErrorKind::FileTooLarge.into()));
        }
        let filled = buffer.filled().len();
        let answer = Pin::new(&mut this.inner).poll_read(context, buffer);
        if let Some(new) = buffer.filled().get(filled..)
            && !new.is_empty()
        {
            this.note(new);
        }
        let nothing = buffer.filled().len() == filled && buffer.remaining() > 0;
        let answer = match (answer, this.deaf.told()) {
            // The kernel tells an error once, and then that all is over.
            (Poll::Ready(Ok(())), Some(error)) if nothing => Poll::Ready(Err(error)),
            (Poll::Ready(Err(_)), Some(error)) => Poll::Ready(Err(error)),
            (answer, _) => answer,
        };
        if let Poll::Ready(Err(error)) = &answer {
            this.counts.note_error(error);
        }
        answer
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Counted<S> {
    fn poll_write(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        if this.deaf.is_gone() {
            return Poll::Ready(Ok(bytes.len()));
        }
        let Some(bytes) = this.due(context, bytes) else { return Poll::Pending };
        let answer = Pin::new(&mut this.inner).poll_write(context, bytes);
        match &answer {
            Poll::Ready(Err(error)) if this.deaf.keeps(error) => {
                return Poll::Ready(Ok(bytes.len()));
            }
            Poll::Ready(Ok(count)) => {
                this.counts.note_write(bytes.get(..*count).unwrap_or(bytes));
                if matches!(this.split, Split::Half) {
                    this.split = Split::Rest(Box::pin(tokio::time::sleep(PAUSE)));
                }
            }
            Poll::Ready(Err(error)) => this.counts.note_error(error),
            Poll::Pending => {}
        }
        answer
    }

    /// rustls hands its records over together, and what sends its last alert writes only once: with
    /// the first record alone, which in TLS 1.3 is no alert (RFC 8446 D.4), the alert would be lost.
    fn poll_write_vectored(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffers: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        if !matches!(self.split, Split::No) {
            let first = buffers.iter().find(|buffer| !buffer.is_empty());
            return self.poll_write(context, first.map_or(&[], |buffer| &**buffer));
        }
        let this = self.get_mut();
        let all = || Poll::Ready(Ok(buffers.iter().map(|buffer| buffer.len()).sum()));
        if this.deaf.is_gone() {
            return all();
        }
        let answer = Pin::new(&mut this.inner).poll_write_vectored(context, buffers);
        match &answer {
            Poll::Ready(Err(error)) if this.deaf.keeps(error) => return all(),
            Poll::Ready(Ok(count)) => {
                let mut left = *count;
                for buffer in buffers {
                    let written = buffer.get(..left).unwrap_or(buffer);
                    left -= written.len();
                    if !written.is_empty() {
                        this.counts.note_write(written);
                    }
                }
            }
            Poll::Ready(Err(error)) => this.counts.note_error(error),
            Poll::Pending => {}
        }
        answer
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        if this.deaf.is_gone() {
            return Poll::Ready(Ok(()));
        }
        match Pin::new(&mut this.inner).poll_flush(context) {
            Poll::Ready(Err(error)) if this.deaf.keeps(&error) => Poll::Ready(Ok(())),
            answer => answer,
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().inner).poll_shutdown(context)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

    /// A connection whose other end is gone: it takes nothing.
    pub(in crate::probe) struct Gone;

    impl AsyncWrite for Gone {
        fn poll_write(
            self: Pin<&mut Self>,
            _: &mut Context<'_>,
            _: &[u8],
        ) -> Poll<io::Result<usize>> {
            Poll::Ready(Err(io::Error::from_raw_os_error(libc::ECONNRESET)))
        }

        fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
            Poll::Ready(Ok(()))
        }

        fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
            Poll::Ready(Ok(()))
        }
    }

    #[tokio::test]
    async fn what_the_peer_said_comes_before_the_error_of_a_write() {
        let counts = || Counts::with_limit(1000);
        let said = || tokio::io::join(&b"413"[..], Gone);
        let mut tells = Counted::new(said(), counts());
        assert!(tells.write_all(b"body").await.is_err());
        let mut reads_on = Counted::new(said(), counts()).reads_on();
        reads_on.write_all(b"body").await.unwrap();
        reads_on.flush().await.unwrap();
        let mut said = Vec::new();
        let error = reads_on.read_to_end(&mut said).await.unwrap_err();
        assert_eq!((said.as_slice(), error.raw_os_error()), (&b"413"[..], Some(libc::ECONNRESET)));
        assert!(reads_on.counts.was_reset());
    }
}
