//! Messages of a socket's error queue.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// One message of a socket's error queue (`ip(7)`, `IP_RECVERR`; `include/uapi/linux/errqueue.h`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum QueuedError {
    /// An ICMP error.
    Icmp {
        /// Its type.
        kind: u8,
        /// Its code within the type.
        code: u8,
        /// Who sent it.
        offender: IpAddr,
        /// The MTU that a "packet too big" asks for (RFC 1191 4, RFC 4443 3.2).
        mtu: Option<u32>,
    },
    /// An error of this host's own stack, about a packet that did not leave.
    Local {
        /// The error number.
        errno: u32,
        /// The MTU that the packet was too big for (`EMSGSIZE`).
        mtu: Option<u32>,
    },
}

/// Reads a `struct sock_extended_err` (errno, origin, type, code, pad, info, data: 16 bytes) and the
/// address behind it (`SO_EE_OFFENDER`); none where it is too short, of another origin, or, for ICMP,
/// without a sender.
pub fn queued_error(payload: &[u8]) -> Option<QueuedError> {
    let errno = u32::from_ne_bytes(bytes(payload, 0)?);
    let [origin, kind, code, _] = bytes(payload, 4)?;
    let info = u32::from_ne_bytes(bytes(payload, 8)?);
    // The structure is complete or it is none.
    let _data: [u8; 4] = bytes(payload, 12)?;
    match origin {
        ORIGIN_LOCAL => {
            let too_big = i32::try_from(errno) == Ok(libc::EMSGSIZE);
            Some(QueuedError::Local { errno, mtu: too_big.then_some(info) })
        }
        ORIGIN_ICMP | ORIGIN_ICMP6 => {
            // Fragmentation needed: 3/4. Packet too big: 2.
            let too_big = if origin == ORIGIN_ICMP { (kind, code) == (3, 4) } else { kind == 2 };
            let mtu = too_big.then_some(info);
            Some(QueuedError::Icmp { kind, code, offender: offender(payload)?, mtu })
        }
        _ => None,
    }
}

const ORIGIN_LOCAL: u8 = 1;
const ORIGIN_ICMP: u8 = 2;
const ORIGIN_ICMP6: u8 = 3;

/// The socket address behind the structure. Its family is 0 where the kernel knows no sender; a socket
/// of IPv6 that spoke IPv4 has the sender in the mapped form (`ipv6_recv_error`).
fn offender(payload: &[u8]) -> Option<IpAddr> {
    let family = i32::from(u16::from_ne_bytes(bytes(payload, 16)?));
    if family == libc::AF_INET {
        // struct sockaddr_in: family, port, address.
        Some(Ipv4Addr::from(bytes::<4>(payload, 20)?).into())
    } else if family == libc::AF_INET6 {
        // struct sockaddr_in6: family, port, flow, address.
        Some(IpAddr::V6(Ipv6Addr::from(bytes::<16>(payload, 24)?)).to_canonical())
    } else {
        None
    }
}

fn bytes<const N: usize>(payload: &[u8], at: usize) -> Option<[u8; N]> {
    payload.get(at..at.checked_add(N)?)?.try_into().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// errno, origin, type, code, info, and the sender's socket address.
    fn message(errno: i32, [origin, kind, code]: [u8; 3], info: u32, sender: &[u8]) -> Vec<u8> {
        let mut payload = errno.to_ne_bytes().to_vec();
        payload.extend([origin, kind, code, 0]);
        payload.extend(info.to_ne_bytes());
        payload.extend([0; 4]);
        payload.extend(sender);
        payload
    }

    fn sender(address: &str) -> Vec<u8> {
        let (family, flow, octets) = match address.parse().unwrap() {
            IpAddr::V4(address) => (libc::AF_INET, 0, address.octets().to_vec()),
            IpAddr::V6(address) => (libc::AF_INET6, 4, address.octets().to_vec()),
        };
        let mut bytes = u16::try_from(family).unwrap().to_ne_bytes().to_vec();
        bytes.extend(vec![0; 2 + flow]);
        bytes.extend(octets);
        bytes
    }

    #[test]
    fn an_icmp_error_is_read_with_its_sender() {
        let read = |of: [u8; 3], info, from: &str| {
            queued_error(&message(libc::EHOSTUNREACH, of, info, &sender(from))).unwrap()
        };
        let icmp = |kind, code, offender: &str, mtu| QueuedError::Icmp {
            kind,
            code,
            offender: offender.parse().unwrap(),
            mtu,
        };
        assert_eq!(read([2, 3, 13], 0, "192.0.2.1"), icmp(3, 13, "192.0.2.1", None));
        assert_eq!(read([2, 3, 4], 1300, "192.0.2.1"), icmp(3, 4, "192.0.2.1", Some(1300)));
        assert_eq!(read([3, 3, 0], 0, "2001:db8::1"), icmp(3, 0, "2001:db8::1", None));
        assert_eq!(read([3, 2, 0], 1280, "2001:db8::1"), icmp(2, 0, "2001:db8::1", Some(1280)));
        assert_eq!(read([2, 11, 0], 0, "::ffff:192.0.2.1"), icmp(11, 0, "192.0.2.1", None));
    }

    #[test]
    fn what_this_host_says_of_itself_has_no_sender() {
        let nobody = [0; 16];
        let too_big = message(libc::EMSGSIZE, [1, 0, 0], 1300, &nobody);
        let errno = u32::try_from(libc::EMSGSIZE).unwrap();
        assert_eq!(queued_error(&too_big), Some(QueuedError::Local { errno, mtu: Some(1300) }));
        let other = message(libc::ENETUNREACH, [1, 0, 0], 7, &nobody);
        assert!(matches!(queued_error(&other), Some(QueuedError::Local { mtu: None, .. })));
        // An ICMP error without a sender accuses nobody, least of all 0.0.0.0.
        assert_eq!(queued_error(&message(libc::EHOSTUNREACH, [2, 11, 0], 0, &nobody)), None);
        // A time stamp (origin 4) is no error.
        assert_eq!(queued_error(&message(0, [4, 0, 0], 0, &nobody)), None);
    }

    #[test]
    fn a_short_message_is_no_error() {
        let four = message(libc::EHOSTUNREACH, [2, 3, 1], 0, &sender("192.0.2.1"));
        let six = message(libc::EHOSTUNREACH, [3, 1, 0], 0, &sender("2001:db8::1"));
        for whole in [four, six] {
            assert!(queued_error(&whole).is_some());
            for length in 0..whole.len() {
                assert_eq!(queued_error(&whole[..length]), None, "{length} of {}", whole.len());
            }
        }
    }
}
