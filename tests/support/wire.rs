//! What every TCP server of the tests stands on: a listener with a task for each connection, and a stream that writes down what passed over it.
//!
//! It knows nothing of what is said on the stream.

use std::future::Future;
use std::io;
use std::net::{SocketAddr, TcpListener};
use std::os::fd::AsRawFd as _;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use socket2::SockRef;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, ReadBuf};
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tokio::time::Instant;

use super::{Background, Journal, reap};

/// One accepted connection, as the server saw it. Bytes are those on TCP, with all that TLS adds.
#[derive(Clone, Debug)]
pub(crate) struct Connection {
    pub(crate) peer: SocketAddr,
    /// The name in the `ClientHello`; also `None` where no `ClientHello` came.
    pub(crate) sni: Option<String>,
    /// The protocols that the `ClientHello` offered.
    pub(crate) alpn: Vec<String>,
    /// The size of the records that made up the `ClientHello`.
    pub(crate) hello_bytes: Option<u64>,
    /// The TCP segments that it came in.
    pub(crate) hello_segments: Option<u32>,
    /// The fatal alert that the client ended the handshake with.
    pub(crate) alert: Option<u8>,
    pub(crate) sent: u64,
    pub(crate) received: u64,
    /// From the accept to the end, by the server's clock.
    pub(crate) seconds_until_closed: Option<f64>,
    /// How it ended; `None` while it is open.
    pub(crate) end: Option<End>,
}

/// Who ended a connection first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum End {
    /// The peer sent its FIN.
    PeerClosed,
    /// The peer sent a RST, which is also what a close with unread bytes becomes.
    PeerReset,
    /// The server, before it saw anything of the kind.
    Server,
}

/// A way to break off, shared by all layers.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Ending {
    /// FIN, and what still comes is read, because closing with unread bytes would send a RST instead.
    Close,
    /// RST.
    Reset,
    /// Not another byte, until the peer gives up.
    Silent,
}

/// A listener on a thread of its own.
#[derive(Debug)]
pub(crate) struct Server {
    address: SocketAddr,
    connections: Journal<Connection>,
    _background: Background,
}

impl Server {
    /// Listens on `bind` before it returns, and runs `serve` for each connection.
    pub(crate) fn start<S, F>(bind: SocketAddr, serve: S) -> Self
    where
        S: Fn(Wire) -> F + Send + 'static,
        F: Future<Output = ()> + Send + 'static,
    {
        let listener = TcpListener::bind(bind)
            .unwrap_or_else(|error| panic!("cannot listen on {bind}: {error}"));
        listener.set_nonblocking(true).expect("a listener that does not block");
        let address = listener.local_addr().expect("the listener's address");
        let connections = Journal::new();
        let journal = connections.clone();
        let background = Background::run(move || accept(listener, journal, serve));
        Self { address, connections, _background: background }
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    pub(crate) fn connections(&self) -> Vec<Connection> {
        self.connections.entries()
    }

    /// Blocks until `count` connections have ended; a client on this thread has to be dropped before.
    #[track_caller]
    pub(crate) fn wait_closed(&self, count: usize) -> Vec<Connection> {
        self.connections
            .wait_until(|all| all.iter().filter(|one| one.end.is_some()).count() >= count)
    }
}

async fn accept<S, F>(listener: TcpListener, journal: Journal<Connection>, serve: S)
where
    S: Fn(Wire) -> F,
    F: Future<Output = ()> + Send + 'static,
{
    let listener = tokio::net::TcpListener::from_std(listener).expect("a listener in a runtime");
    let mut tasks = JoinSet::new();
    loop {
        tokio::select! {
            // The kernel hands the error of a connection that was reset in the queue to accept; the next one is none the worse.
            accepted = listener.accept() => if let Ok((stream, peer)) = accepted {
                // Without this Nagle's algorithm and the peer's delayed ACK add 40 ms to every second small write.
                stream.set_nodelay(true).ok();
                tasks.spawn(serve(Wire::new(stream, peer, &journal)));
            },
            () = reap(&mut tasks) => {}
        }
    }
}

/// The stream of one connection, counted.
#[derive(Debug)]
pub(crate) struct Wire {
    stream: TcpStream,
    record: Record,
}

/// A connection's entry in the journal, and the one thing that code above TLS must be able to ask of the socket below.
#[derive(Clone, Debug)]
pub(crate) struct Record {
    journal: Journal<Connection>,
    place: usize,
    opened: Instant,
    reset: Arc<AtomicBool>,
}

impl Wire {
    fn new(stream: TcpStream, peer: SocketAddr, journal: &Journal<Connection>) -> Self {
        let place = journal.push(Connection {
            peer,
            sni: None,
            alpn: Vec::new(),
            hello_bytes: None,
            hello_segments: None,
            alert: None,
            sent: 0,
            received: 0,
            seconds_until_closed: None,
            end: None,
        });
        let record = Record {
            journal: journal.clone(),
            place,
            opened: Instant::now(),
            reset: Arc::default(),
        };
        Self { stream, record }
    }

    pub(crate) fn record(&self) -> Record {
        self.record.clone()
    }

    /// Segments with data that came so far: what a reader sees depends on when it looks, this does not.
    pub(crate) fn segments(&self) -> u32 {
        segments(&self.stream)
    }
}

/// `tcpi_data_segs_in` (`include/uapi/linux/tcp.h`).
#[expect(unsafe_code, reason = "getsockopt(TCP_INFO) has no safe wrapper")]
fn segments(stream: &TcpStream) -> u32 {
    let mut info = [0_u8; 256];
    let mut length = 256;
    // SAFETY: the kernel writes at most `length` bytes into `info`.
    let answer = unsafe {
        libc::getsockopt(
            stream.as_raw_fd(),
            libc::IPPROTO_TCP,
            libc::TCP_INFO,
            info.as_mut_ptr().cast(),
            &raw mut length,
        )
    };
    assert!(answer == 0 && length >= 156, "no TCP_INFO: {answer}, {length}");
    u32::from_ne_bytes(info[152..156].try_into().expect("four bytes"))
}

impl Record {
    pub(crate) fn update(&self, change: impl FnOnce(&mut Connection)) {
        self.journal.update(self.place, change);
    }

    /// From now on the end of the stream is a RST. Set before the stream is dropped, from above whatever wraps it.
    pub(crate) fn reset_when_dropped(&self) {
        self.reset.store(true, Ordering::Relaxed);
    }

    fn ended(&self, end: End) {
        let seconds = self.opened.elapsed().as_secs_f64();
        self.update(|connection| {
            if connection.end.is_none() {
                connection.end = Some(end);
                connection.seconds_until_closed = Some(seconds);
            }
        });
    }

    fn failed(&self, error: &io::Error) {
        // EPIPE: the RST had been read before as an error by the other half.
        if matches!(error.kind(), io::ErrorKind::ConnectionReset | io::ErrorKind::BrokenPipe) {
            self.ended(End::PeerReset);
        }
    }
}

impl Drop for Wire {
    fn drop(&mut self) {
        if self.record.reset.load(Ordering::Relaxed) {
            SockRef::from(&self.stream).set_linger(Some(Duration::ZERO)).ok();
        }
        self.record.ended(End::Server);
    }
}

impl AsyncRead for Wire {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        let result = ready!(Pin::new(&mut self.stream).poll_read(context, buffer));
        let read = buffer.filled().len() - before;
        match &result {
            Ok(()) if read > 0 => {
                self.record.update(|connection| connection.received += read as u64);
            }
            Ok(()) => self.record.ended(End::PeerClosed),
            Err(error) => self.record.failed(error),
        }
        Poll::Ready(result)
    }
}

impl AsyncWrite for Wire {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let result = ready!(Pin::new(&mut self.stream).poll_write(context, bytes));
        match &result {
            Ok(written) => self.record.update(|connection| connection.sent += *written as u64),
            Err(error) => self.record.failed(error),
        }
        Poll::Ready(result)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}

/// Breaks a stream off. Over TLS a close is a polite one, with `close_notify`. A reset happens when the wire is dropped.
pub(crate) async fn end<S: AsyncRead + AsyncWrite + Unpin>(
    stream: &mut S,
    record: &Record,
    ending: Ending,
) {
    match ending {
        Ending::Reset => record.reset_when_dropped(),
        Ending::Silent => drain(stream).await,
        Ending::Close => {
            stream.shutdown().await.ok();
            drain(stream).await;
        }
    }
}

/// The end of every connection: waits for the peer's own end, which is what the record is about. What is above TLS sees only `close_notify`.
pub(crate) async fn settle(mut wire: Wire) {
    if !wire.record.reset.load(Ordering::Relaxed) {
        wire.shutdown().await.ok();
        drain(&mut wire).await;
    }
}

/// Writes `bytes` again and again until the peer ends it.
pub(crate) async fn repeat<S: AsyncRead + AsyncWrite + Unpin>(stream: &mut S, bytes: &[u8]) {
    // Both ways at once: a peer that closes in order is seen by the reader, one that resets by the writer.
    let (mut reader, mut writer) = tokio::io::split(stream);
    tokio::select! {
        () = drain(&mut reader) => {}
        () = async { while writer.write_all(bytes).await.is_ok() {} } => {}
    }
}

/// Reads and forgets until the peer ends it.
pub(crate) async fn drain<S: AsyncRead + Unpin>(stream: &mut S) {
    let mut buffer = [0; 4096];
    while matches!(stream.read(&mut buffer).await, Ok(read) if read > 0) {}
}

/// Reads up to the end of an HTTP head, and returns it with what came after. `None` where the peer ended it before, or where there is no end in 64 KiB.
pub(crate) async fn read_head<S: AsyncRead + Unpin>(stream: &mut S) -> Option<(String, Vec<u8>)> {
    let mut bytes = Vec::new();
    while bytes.len() < 65_536 {
        if stream.read_buf(&mut bytes).await.ok()? == 0 {
            return None;
        }
        if let Some(end) = bytes.windows(4).position(|four| four == b"\r\n\r\n") {
            let rest = bytes.split_off(end + 4);
            return Some((String::from_utf8_lossy(&bytes).into_owned(), rest));
        }
    }
    None
}

/// The start line's words and the fields (names in lower case) of a head.
pub(crate) fn parse_head(head: &str) -> (Vec<String>, Vec<(String, String)>) {
    let mut lines = head.trim_end().split("\r\n");
    let words = lines.next().unwrap_or_default().split(' ').map(str::to_owned).collect();
    let fields = lines.filter_map(|line| line.split_once(':'));
    let fields =
        fields.map(|(name, value)| (name.to_ascii_lowercase(), value.trim().to_owned())).collect();
    (words, fields)
}
