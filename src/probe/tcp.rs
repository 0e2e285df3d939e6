//! One connection to one address: no name is dialled, no family raced, and every error is read from
//! the kernel (errno, counters, the ICMP error with its sender) before the socket goes.

use std::io;
use std::net::SocketAddr;
use std::os::fd::AsRawFd as _;

use socket2::{Domain, Protocol, SockRef, Type};
use tokio::net::TcpStream;
use tokio::time::{Instant, timeout_at};

use super::socket;
use crate::observation::{
    Connected, Failure, Icmp, LocalFailure, LocalKind, Socket, TcpFailure, TcpKind,
};

/// A look at a connection that outlives the stream: a second descriptor of the same socket, so that
/// the counters can be read after a library has consumed the stream.
#[derive(Debug)]
pub(super) struct Gauge(Option<socket2::Socket>);

impl Gauge {
    fn on(stream: &TcpStream) -> Self {
        Self(SockRef::from(stream).try_clone().ok())
    }

    /// The counters, as of now.
    pub(super) fn counters(&self) -> Option<Socket> {
        self.0.as_ref().and_then(|socket| socket::counters(socket.as_raw_fd()))
    }

    /// An ICMP error that arrived since the connection was made.
    pub(super) fn icmp(&self) -> Option<Icmp> {
        self.0.as_ref().and_then(|socket| socket::icmp_error(socket.as_raw_fd()))
    }
}

/// Why there is no connection: a failure, or a family that this host has no route for.
#[derive(Debug)]
pub(super) enum NoConnection {
    /// What happened.
    Failed(Failure),
    /// `ENETUNREACH` or `EADDRNOTAVAIL` at once: nothing was sent.
    NoRoute(Failure),
}

/// Connects, or says why not; our own end is known in both cases, once the SYN was sent.
pub(super) async fn connect(
    address: SocketAddr,
    deadline: Instant,
    local: &mut Option<SocketAddr>,
) -> Result<(TcpStream, Gauge, Connected), NoConnection> {
    let started = Instant::now();
    let stream = begin(address)?;
    *local = stream.local_addr().ok();
    let gauge = Gauge::on(&stream);
    let ready = timeout_at(deadline, stream.writable()).await;
    let error = match ready {
        Ok(Ok(())) => stream.take_error().unwrap_or_else(Some),
        Ok(Err(error)) => Some(error),
        Err(_) => Some(io::ErrorKind::TimedOut.into()),
    };
    let counters = gauge.counters();
    match error {
        None => {
            let connected =
                Connected { seconds: started.elapsed().as_secs_f64(), socket: counters };
            Ok((stream, gauge, connected))
        }
        Some(error) => Err(NoConnection::Failed(classify(&error, gauge.icmp(), counters))),
    }
}

/// Creates the socket and sends the SYN. The errors of this step come before a packet.
fn begin(address: SocketAddr) -> Result<TcpStream, NoConnection> {
    let local = |error: &io::Error| NoConnection::Failed(Failure::Local(local_failure(error)));
    let socket = socket2::Socket::new(
        Domain::for_address(address),
        Type::STREAM.nonblocking().cloexec(),
        Some(Protocol::TCP),
    )
    .map_err(|error| local(&error))?;
    // Without it a request waits for the acknowledgement of the handshake (Nagle and delayed ACK).
    socket.set_tcp_nodelay(true).map_err(|error| local(&error))?;
    socket::want_icmp(&socket, address.is_ipv6());
    match socket.connect(&address.into()) {
        Ok(()) => {}
        Err(error) if error.raw_os_error() == Some(libc::EINPROGRESS) => {}
        Err(error) => {
            let failure = Failure::Local(local_failure(&error));
            return Err(match error.raw_os_error() {
                Some(libc::ENETUNREACH | libc::EADDRNOTAVAIL | libc::EAFNOSUPPORT) => {
                    NoConnection::NoRoute(failure)
                }
                Some(libc::ECONNREFUSED) => NoConnection::Failed(classify(
                    &error,
                    None,
                    socket::counters(socket.as_raw_fd()),
                )),
                _ => NoConnection::Failed(failure),
            });
        }
    }
    TcpStream::from_std(socket.into()).map_err(|error| local(&error))
}

/// What an error that came before a packet means.
pub(super) fn local_failure(error: &io::Error) -> LocalFailure {
    let kind = match error.raw_os_error() {
        // A `blackhole` route gives EINVAL, `unreachable` EHOSTUNREACH, `prohibit` EACCES (fib_frontend.c).
        Some(libc::ENETUNREACH | libc::EHOSTUNREACH | libc::EINVAL) => LocalKind::NoRoute,
        Some(libc::EACCES | libc::EPERM) => LocalKind::PolicyDenied,
        Some(
            libc::EADDRNOTAVAIL
            | libc::EMFILE
            | libc::ENFILE
            | libc::ENOBUFS
            | libc::ENOMEM
            | libc::EAGAIN,
        ) => LocalKind::ResourcesExhausted,
        _ => LocalKind::Other,
    };
    LocalFailure { errno: error.raw_os_error(), ..LocalFailure::new(kind, error.to_string()) }
}

/// An ICMP error of this host's own: its stack sends host unreachable when the neighbour stays silent,
/// prohibited when a rule of this host refuses.
pub(super) fn own_failure(error: &io::Error, icmp: Icmp) -> LocalFailure {
    let kind = if icmp.is_prohibition() { LocalKind::PolicyDenied } else { LocalKind::NoRoute };
    LocalFailure {
        errno: error.raw_os_error(),
        icmp: Some(icmp),
        ..LocalFailure::new(kind, error.to_string())
    }
}

/// What a failed connection was: the ICMP error says more than the errno that it was mapped to
/// (`net/ipv4/icmp.c`, `icmp_err_convert`).
fn classify(error: &io::Error, icmp: Option<Icmp>, socket: Option<Socket>) -> Failure {
    if let Some(own) = icmp.filter(|icmp| icmp.own) {
        return Failure::Local(own_failure(error, own));
    }
    let kind = match (icmp, error.raw_os_error()) {
        (Some(icmp), _) if icmp.is_prohibition() => TcpKind::IcmpProhibited,
        (Some(_), _) => TcpKind::IcmpUnreachable,
        (None, Some(libc::ECONNREFUSED)) => TcpKind::Refused,
        (None, Some(libc::ECONNRESET)) => TcpKind::Reset,
        (None, Some(libc::EHOSTUNREACH | libc::ENETUNREACH)) => TcpKind::IcmpUnreachable,
        (None, Some(libc::EACCES | libc::EPERM)) => return Failure::Local(local_failure(error)),
        (None, Some(libc::ETIMEDOUT)) => TcpKind::Timeout,
        (None, None) if error.kind() == io::ErrorKind::TimedOut => TcpKind::Timeout,
        (None, _) => TcpKind::Other,
    };
    Failure::Tcp(TcpFailure { kind, errno: error.raw_os_error(), synchronous: false, icmp, socket })
}
