//! What the kernel knows of a connection: `TCP_INFO`, `IP_RECVERR` and the error queue.
//!
//! One of the places with `unsafe`: no crate offers these socket options. The layouts are the
//! kernel's (`include/uapi/linux/tcp.h`, `include/uapi/linux/errqueue.h`), read by offset, so that an
//! older kernel's shorter answer leaves zeroes behind. Every buffer is owned here and bounded.
#![expect(
    unsafe_code,
    reason = "getsockopt(TCP_INFO) and recvmsg(MSG_ERRQUEUE) have no safe wrapper"
)]

use std::io;
use std::mem::size_of;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};
use std::os::fd::{AsRawFd as _, RawFd};

use socket2::Socket as RawSocket;

use super::parse::{QueuedError, queued_error};
use crate::observation::{Icmp, Socket};

/// Asks for ICMP errors with their sender, also after the connection is made.
pub(super) fn want_icmp(socket: &RawSocket, v6: bool) {
    let (level, name) =
        if v6 { (libc::SOL_IPV6, libc::IPV6_RECVERR) } else { (libc::SOL_IP, libc::IP_RECVERR) };
    set(socket, level, name);
}

/// Leaves the choice of a port to `connect`, which can share one between destinations (`ip(7)`,
/// `IP_BIND_ADDRESS_NO_PORT`, both families). So `bind` to an address has one reason left to say `EADDRNOTAVAIL`.
pub(super) fn without_port(socket: &RawSocket) {
    set(socket, libc::SOL_IP, libc::IP_BIND_ADDRESS_NO_PORT);
}

/// Switches an option on. A refusal leaves the socket as it was, with less to read later.
fn set(socket: &RawSocket, level: libc::c_int, name: libc::c_int) {
    let on: libc::c_int = 1;
    // SAFETY: the pointer and the length describe `on`, which outlives the call.
    unsafe {
        libc::setsockopt(
            socket.as_raw_fd(),
            level,
            name,
            (&raw const on).cast(),
            libc::socklen_t::try_from(size_of::<libc::c_int>()).unwrap_or(4),
        );
    }
}

/// Reads `TCP_INFO`; none where the kernel refuses.
pub(super) fn counters(fd: RawFd) -> Option<Socket> {
    let mut info = [0_u8; 256];
    let mut length = libc::socklen_t::try_from(info.len()).ok()?;
    // SAFETY: the kernel writes at most `length` bytes into `info` and says how many.
    let answer = unsafe {
        libc::getsockopt(
            fd,
            libc::IPPROTO_TCP,
            libc::TCP_INFO,
            info.as_mut_ptr().cast(),
            &raw mut length,
        )
    };
    if answer != 0 {
        return None;
    }
    let u32_at = |at: usize| {
        info.get(at..at + 4).and_then(|b| b.try_into().ok()).map_or(0, u32::from_ne_bytes)
    };
    let u64_at = |at: usize| {
        info.get(at..at + 8).and_then(|b| b.try_into().ok()).map_or(0, u64::from_ne_bytes)
    };
    Some(Socket {
        state: info.first().copied().unwrap_or_default(),
        snd_mss: u32_at(16),
        unacked: u32_at(24),
        sacked: u32_at(28),
        lost: u32_at(32),
        retrans: u32_at(36),
        pmtu: u32_at(60),
        rtt_us: u32_at(68),
        advmss: u32_at(84),
        total_retrans: u32_at(100),
        // The kernel counts the SYN.
        bytes_acked: u64_at(120).saturating_sub(1),
        bytes_received: u64_at(128),
        segs_in: u32_at(140),
        // All bits are set until there is one (`tcp_init_sock`).
        min_rtt_us: Some(u32_at(148)).filter(|rtt| *rtt != u32::MAX).unwrap_or_default(),
        data_segs_in: u32_at(152),
        rcv_ooopack: u32_at(224),
    })
}

/// Takes the newest ICMP error off the error queue.
pub(super) fn icmp_error(fd: RawFd) -> Option<Icmp> {
    let mut newest = None;
    // The queue is as long as the peer made it: a bound keeps a flood from holding us.
    for _ in 0..16 {
        match next_error(fd) {
            Queued::Icmp(error) => newest = Some(error),
            Queued::Other => {}
            Queued::Nothing => break,
        }
    }
    newest
}

/// One message of the queue.
enum Queued {
    Icmp(Icmp),
    Other,
    Nothing,
}

fn next_error(fd: RawFd) -> Queued {
    let mut control = [0_u64; 64];
    let mut data = [0_u8; 64];
    let mut part = libc::iovec { iov_base: data.as_mut_ptr().cast(), iov_len: data.len() };
    // SAFETY: `msghdr` is plain data for which zero is valid; the pointers set below outlive the call.
    let mut message: libc::msghdr = unsafe { std::mem::zeroed() };
    message.msg_iov = &raw mut part;
    message.msg_iovlen = 1;
    message.msg_control = control.as_mut_ptr().cast();
    message.msg_controllen = size_of_val(&control);
    // SAFETY: the header describes buffers that are alive, and MSG_DONTWAIT never blocks.
    let read =
        unsafe { libc::recvmsg(fd, &raw mut message, libc::MSG_ERRQUEUE | libc::MSG_DONTWAIT) };
    if read < 0 {
        return Queued::Nothing;
    }
    // SAFETY: the kernel filled the control buffer and its length; the macros stay inside of it.
    let mut header = unsafe { libc::CMSG_FIRSTHDR(&raw const message) };
    let mut found = None;
    while !header.is_null() {
        // SAFETY: CMSG_FIRSTHDR and CMSG_NXTHDR give a complete header or null.
        let (level, kind, length) =
            unsafe { ((*header).cmsg_level, (*header).cmsg_type, (*header).cmsg_len) };
        let is_error = (level == libc::SOL_IP && kind == libc::IP_RECVERR)
            || (level == libc::SOL_IPV6 && kind == libc::IPV6_RECVERR);
        if is_error {
            // SAFETY: the data of this header begins there, inside of `control`.
            let start = unsafe { libc::CMSG_DATA(header) };
            let offset = (start as usize).saturating_sub(header as usize);
            let bytes = length.saturating_sub(offset).min(64);
            // SAFETY: `bytes` is what the header says its data is, cut to what we read.
            let payload = unsafe { std::slice::from_raw_parts(start.cast_const(), bytes) };
            found = icmp(payload).or(found);
        }
        // SAFETY: as above.
        header = unsafe { libc::CMSG_NXTHDR(&raw const message, header) };
    }
    found.map_or(Queued::Other, Queued::Icmp)
}

/// The ICMP error in a message of the queue. What this host's own stack says of itself names nobody;
/// TCP has no such message (`tcp_v4_err` takes a smaller MTU without one: it shows as `pmtu`).
fn icmp(payload: &[u8]) -> Option<Icmp> {
    match queued_error(payload)? {
        QueuedError::Icmp { kind, code, offender, .. } => {
            Some(Icmp { kind, code, offender, own: is_own(offender) })
        }
        QueuedError::Local { .. } => None,
    }
}

/// Whether an address is one of this host's: then the kernel's own source for it is the same. Binding
/// would not tell, where `ip_nonlocal_bind` is set. Connecting a datagram socket sends nothing.
fn is_own(address: IpAddr) -> bool {
    source_towards(SocketAddr::new(address, 9)).is_ok_and(|source| source == address)
}

/// The address that this host would send from. Connecting a datagram socket sends nothing.
pub(super) fn source_towards(address: SocketAddr) -> io::Result<IpAddr> {
    let any: IpAddr = match address {
        SocketAddr::V4(_) => Ipv4Addr::UNSPECIFIED.into(),
        SocketAddr::V6(_) => Ipv6Addr::UNSPECIFIED.into(),
    };
    let socket = UdpSocket::bind((any, 0))?;
    socket.connect(address)?;
    Ok(socket.local_addr()?.ip())
}

#[cfg(test)]
mod tests {
    use std::io::{Read as _, Write as _};
    use std::net::{TcpListener, TcpStream};

    use super::*;

    #[test]
    fn an_icmp_error_is_this_hosts_where_its_sender_is() {
        let from = |sender: [u8; 4]| {
            let mut payload = vec![111, 0, 0, 0, 2, 3, 13, 0, 0, 0, 0, 0, 0, 0, 0, 0];
            payload.extend(libc::AF_INET.to_ne_bytes().into_iter().take(2).chain([0, 0]));
            payload.extend(sender);
            icmp(&payload).unwrap()
        };
        let (far, near) = (from([192, 0, 2, 1]), from([127, 0, 0, 1]));
        assert_eq!((far.kind, far.code, far.own), (3, 13, false));
        assert!(far.is_prohibition() && near.own);
    }

    /// Every counter that a quiet exchange over loopback fixes: a wrong offset shows another number.
    #[test]
    fn the_counters_are_those_of_a_known_exchange() {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let mut client = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let (mut server, _) = listener.accept().unwrap();
        let read = |stream: &mut TcpStream, count: usize| {
            stream.read_exact(&mut vec![0; count]).unwrap();
        };
        for _ in 0..3 {
            client.write_all(&[1; 100]).unwrap();
            read(&mut server, 100);
            server.write_all(&[2; 70]).unwrap();
            read(&mut client, 70);
        }
        let counted = counters(client.as_raw_fd()).unwrap();
        assert_eq!((counted.state, counted.unacked, counted.lost, counted.retrans), (1, 0, 0, 0));
        assert_eq!((counted.bytes_acked, counted.bytes_received), (300, 210));
        assert_eq!((counted.data_segs_in, counted.total_retrans), (3, 0));
        assert_eq!(counted.rcv_ooopack, 0);
        // The answer to the SYN, and what else carries no data.
        assert!(counted.segs_in > 3, "{counted:?}");
        // 40 bytes are the headers (RFC 6691 2), 12 more the time stamps where they are on (RFC 7323 A).
        assert!((40..=52).contains(&(counted.pmtu - counted.advmss)), "{counted:?}");
        assert!(counted.snd_mss <= counted.advmss && counted.snd_mss > 500, "{counted:?}");
        let round_trips = counted.min_rtt_us..1_000_000;
        assert!(counted.min_rtt_us > 0 && round_trips.contains(&counted.rtt_us), "{counted:?}");
    }
}
