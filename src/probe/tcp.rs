//! One connection to one address: no name is dialled, no family raced, and every error is read from
//! the kernel (errno, counters, the ICMP error with its sender) before the socket goes.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::os::fd::AsRawFd as _;

use socket2::{Domain, Protocol, SockRef, Type};
use tokio::net::TcpStream;
use tokio::time::{Instant, timeout_at};

use super::socket;
use crate::observation::{
    Connected, Failure, Icmp, LocalFailure, LocalKind, Socket, TcpFailure, TcpKind,
};
use crate::plan::SocketPlan;

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

    /// What an ICMP error left to be told: readers are not woken for one. A reset and an end leave
    /// others.
    pub(super) fn icmp_errno(&self) -> Option<i32> {
        let error = self.0.as_ref().and_then(|socket| socket.take_error().ok()?)?;
        error.raw_os_error().filter(|errno| {
            !matches!(*errno, libc::ECONNRESET | libc::EPIPE | libc::ETIMEDOUT | libc::ECONNABORTED)
        })
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
    /// Its family has no route, no address to send from, or not the one that was asked for: nothing was sent.
    NoRoute(Failure),
}

/// Connects, or says why not; our own end is known in both cases, once the SYN was sent.
pub(super) async fn connect(
    address: SocketAddr,
    plan: &SocketPlan,
    deadline: Instant,
    local: &mut Option<SocketAddr>,
) -> Result<(TcpStream, Gauge, Connected), NoConnection> {
    let started = Instant::now();
    let stream = begin(address, plan)?;
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

/// Sends the SYN. The errors of this step come before an answer.
fn begin(address: SocketAddr, plan: &SocketPlan) -> Result<TcpStream, NoConnection> {
    let socket = prepare(address, plan)?;
    match socket.connect(&address.into()) {
        Ok(()) => {}
        Err(error) if error.raw_os_error() == Some(libc::EINPROGRESS) => {}
        Err(error) => return Err(refused_at_once(&error, &socket, address, plan)),
    }
    TcpStream::from_std(socket.into()).map_err(|error| stopped(local_failure(&error)))
}

/// What `connect` itself said.
fn refused_at_once(
    error: &io::Error,
    socket: &socket2::Socket,
    address: SocketAddr,
    plan: &SocketPlan,
) -> NoConnection {
    let failure = local_failure(error);
    match error.raw_os_error() {
        Some(libc::ENETUNREACH | libc::EAFNOSUPPORT) => untried(failure),
        // `EADDRNOTAVAIL`: no port is left, or, in IPv6, there is no address to send from
        // (`ipv6_dev_get_saddr`); a datagram socket, which needs no port of ours, tells them apart.
        Some(libc::EADDRNOTAVAIL) if plan.source.is_none() && has_no_source(address) => {
            let detail = format!("no address of this host to send from: {error}");
            untried(LocalFailure { kind: LocalKind::NoRoute, detail, ..failure })
        }
        Some(libc::ECONNREFUSED) => {
            let icmp = socket::icmp_error(socket.as_raw_fd());
            let counters = socket::counters(socket.as_raw_fd());
            NoConnection::Failed(match classify(error, icmp, counters) {
                Failure::Tcp(failure) => Failure::Tcp(TcpFailure { synchronous: true, ..failure }),
                other => other,
            })
        }
        _ => stopped(failure),
    }
}

/// Whether this host has no address to send from. A datagram socket that gets no port says nothing of that.
fn has_no_source(address: SocketAddr) -> bool {
    let errno = socket::source_towards(address).err().and_then(|error| error.raw_os_error());
    matches!(errno, Some(libc::ENETUNREACH | libc::EADDRNOTAVAIL))
}

/// Creates the socket as the plan wants it; nothing is sent yet.
fn prepare(address: SocketAddr, plan: &SocketPlan) -> Result<socket2::Socket, NoConnection> {
    let failed = |what: &str, error: &io::Error| stopped(refusal(what, error));
    if let Some(source) = plan.source.filter(|source| source.is_ipv4() != address.is_ipv4()) {
        let detail = format!("the source address {source} is of the other family");
        return Err(untried(LocalFailure::new(LocalKind::NoRoute, detail)));
    }
    let socket = socket2::Socket::new(
        Domain::for_address(address),
        Type::STREAM.nonblocking().cloexec(),
        Some(Protocol::TCP),
    )
    .map_err(|error| failed("create a socket", &error))?;
    // Without it a request waits for the acknowledgement of the handshake (Nagle and delayed ACK).
    socket.set_tcp_nodelay(true).map_err(|error| failed("switch Nagle's algorithm off", &error))?;
    socket::want_icmp(&socket, address.is_ipv6());
    if let Some(interface) = &plan.interface {
        leave_by(&socket, interface).map_err(stopped)?;
    }
    if let Some(source) = plan.source {
        leave_from(&socket, source).map_err(stopped)?;
    }
    if let Some(segment) = plan.segment {
        // Before the SYN it clamps both ways: what is announced and what is sent (`tcp_connect_init`).
        let what = format!("limit segments to {segment} bytes");
        socket.set_tcp_mss(segment.into()).map_err(|error| failed(&what, &error))?;
    }
    if let Some(ttl) = plan.ttl {
        live_for(&socket, ttl, address.is_ipv6())
            .map_err(|error| failed(&format!("limit packets to {ttl} hops"), &error))?;
    }
    Ok(socket)
}

/// The longest name of an interface (`include/uapi/linux/if.h`, `IFNAMSIZ` with its zero). The kernel cuts
/// a longer one and would take what is left for another interface; an empty one means any.
const INTERFACE: usize = 15;

fn leave_by(socket: &socket2::Socket, interface: &str) -> Result<(), LocalFailure> {
    let named = (1..=INTERFACE).contains(&interface.len()) && !interface.contains('\0');
    let bound = if named {
        socket.bind_device(Some(interface.as_bytes()))
    } else {
        Err(io::Error::from_raw_os_error(libc::ENODEV))
    };
    bound.map_err(|error| match error.raw_os_error() {
        Some(libc::ENODEV) => {
            let what = format!("this host has no interface {interface}");
            LocalFailure { kind: LocalKind::NoRoute, ..refusal(&what, &error) }
        }
        // Before Linux 5.7 this needed CAP_NET_RAW.
        _ => refusal(&format!("leave by interface {interface}"), &error),
    })
}

fn leave_from(socket: &socket2::Socket, source: IpAddr) -> Result<(), LocalFailure> {
    socket::without_port(socket);
    socket.bind(&SocketAddr::new(source, 0).into()).map_err(|error| match error.raw_os_error() {
        Some(libc::EADDRNOTAVAIL) => {
            let what = format!("the source address {source} is not one of this host's");
            LocalFailure { kind: LocalKind::NoRoute, ..refusal(&what, &error) }
        }
        _ => refusal(&format!("leave from {source}"), &error),
    })
}

/// How many routers the packets of a socket may pass, and one more.
pub(super) fn live_for(socket: &socket2::Socket, ttl: u8, v6: bool) -> io::Result<()> {
    if v6 { socket.set_unicast_hops_v6(ttl.into()) } else { socket.set_ttl_v4(ttl.into()) }
}

fn stopped(failure: LocalFailure) -> NoConnection {
    NoConnection::Failed(Failure::Local(LocalFailure { synchronous: true, ..failure }))
}

fn untried(failure: LocalFailure) -> NoConnection {
    NoConnection::NoRoute(Failure::Local(LocalFailure { synchronous: true, ..failure }))
}

/// Why a socket cannot be made as it was to be. `EINVAL` is a route's word only in `connect`.
fn refusal(what: &str, error: &io::Error) -> LocalFailure {
    let failure = local_failure(error);
    let kind = match error.raw_os_error() {
        Some(libc::EINVAL) => LocalKind::Other,
        _ => failure.kind,
    };
    LocalFailure { kind, detail: format!("{what}: {error}"), ..failure }
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
