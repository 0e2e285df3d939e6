//! What the kernel knew of a connection: the counters of `TCP_INFO`, and the ICMP error of the error queue.

use std::net::IpAddr;

use serde::{Deserialize, Serialize};

/// A reading of `TCP_INFO` (`include/uapi/linux/tcp.h`), taken before the socket was closed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Socket {
    /// `tcpi_state`: 1 established, 2 SYN sent, 7 closed, 8 close wait.
    pub state: u8,
    /// Segments sent and not acknowledged.
    pub unacked: u32,
    /// Segments after a gap that the peer has (RFC 2018): small ones pass where these are the small ones.
    pub sacked: u32,
    /// Segments that are taken for lost.
    pub lost: u32,
    /// Retransmissions of what is not acknowledged now: a packet that never left this host has none.
    pub retrans: u32,
    /// Retransmissions over the connection's life.
    pub total_retrans: u32,
    /// Bytes that the peer acknowledged, the SYN not counted.
    pub bytes_acked: u64,
    /// Bytes received in order.
    pub bytes_received: u64,
    /// Segments received.
    pub segs_in: u32,
    /// Segments received that held data.
    pub data_segs_in: u32,
    /// Segments that arrived out of order (Linux 5.4 and newer).
    pub rcv_ooopack: u32,
    /// Smoothed round-trip time in microseconds.
    pub rtt_us: u32,
    /// Smallest round-trip time in microseconds.
    pub min_rtt_us: u32,
    /// Path MTU in bytes, as TCP believes it.
    pub pmtu: u32,
    /// Largest segment that is sent, in bytes.
    pub snd_mss: u32,
    /// Largest segment that the peer was told to send, in bytes.
    pub advmss: u32,
}

/// An ICMP error that the kernel tied to a connection (`ip(7)`, `IP_RECVERR`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Icmp {
    /// ICMP type: 3 is unreachable (IPv6: 1).
    pub kind: u8,
    /// ICMP code within the type.
    pub code: u8,
    /// Who sent it.
    pub offender: IpAddr,
    /// Whether that is an address of this host.
    #[serde(default)]
    pub own: bool,
}

impl Icmp {
    /// Whether it says that nobody listens at the port (RFC 792, RFC 4443 3.1).
    pub fn is_port_unreachable(&self) -> bool {
        match self.offender {
            IpAddr::V4(_) => (self.kind, self.code) == (3, 3),
            IpAddr::V6(_) => (self.kind, self.code) == (1, 4),
        }
    }

    /// Whether it says "administratively prohibited" (RFC 1812 5.2.7.1, RFC 4443 3.1) or port
    /// unreachable, which a router has no other reason to send for a TCP port.
    pub fn is_prohibition(&self) -> bool {
        match self.offender {
            IpAddr::V4(_) => self.kind == 3 && matches!(self.code, 3 | 9 | 10 | 13),
            IpAddr::V6(_) => self.kind == 1 && matches!(self.code, 1 | 4 | 5 | 6),
        }
    }
}
