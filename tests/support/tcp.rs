//! Ports where a connection cannot be made, held for as long as the value lives, so that no other test can be given the same number.

use std::net::{Ipv4Addr, SocketAddr, UdpSocket};

use socket2::{Domain, SockAddr, Socket, Type};

/// A port that answers a SYN with RST and a datagram with ICMP port unreachable.
#[derive(Debug)]
pub(crate) struct ClosedPort {
    address: SocketAddr,
    _tcp: Socket,
    _udp: UdpSocket,
}

impl ClosedPort {
    /// A TCP socket that is bound and does not listen refuses; a UDP socket that is connected elsewhere is no receiver for a stranger's datagram.
    pub(crate) fn hold() -> Self {
        loop {
            let tcp = Socket::new(Domain::IPV4, Type::STREAM, None).expect("a TCP socket");
            tcp.bind(&SockAddr::from(SocketAddr::from((Ipv4Addr::LOCALHOST, 0))))
                .expect("a free port");
            let address =
                tcp.local_addr().expect("its address").as_socket().expect("an IPv4 address");
            if let Ok(udp) = UdpSocket::bind(address) {
                udp.connect(address).expect("a UDP socket connected to itself");
                return Self { address, _tcp: tcp, _udp: udp };
            }
        }
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }
}

/// A port that never answers a SYN: Linux drops it while the queue of connections that wait to be accepted is full.
#[derive(Debug)]
pub(crate) struct SilentPort {
    address: SocketAddr,
    _listener: Socket,
    _queued: Socket,
}

impl SilentPort {
    /// Backlog 0 has room for one connection, which is made here and never accepted.
    pub(crate) fn hold() -> Self {
        let listener = Socket::new(Domain::IPV4, Type::STREAM, None).expect("a TCP socket");
        listener
            .bind(&SockAddr::from(SocketAddr::from((Ipv4Addr::LOCALHOST, 0))))
            .expect("a free port");
        listener.listen(0).expect("a listener");
        let address = listener.local_addr().expect("its address");
        let first = Socket::new(Domain::IPV4, Type::STREAM, None).expect("a TCP socket");
        first.connect(&address).expect("room for one connection");
        let address = address.as_socket().expect("an IPv4 address");
        Self { address, _listener: listener, _queued: first }
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }
}
