//! One question by datagram, on a socket of ours: what a resolver drops is written down (wrong ids, other
//! senders, second answers), and so is the ICMP error with its sender.
//!
//! The socket stays open until the trip is over; nobody waits for it longer than the walk does.

use std::io;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::os::fd::AsRawFd as _;
use std::time::Duration;

use socket2::{Domain, Protocol, Type};
use tokio::net::UdpSocket;
use tokio::time::{Instant, sleep_until};

use super::exchange::{Task, random_id, settle, through};
use super::message::Asked;
use super::questions::silence;
use crate::observation::{DnsFailure, DnsKind, Failure, Flaw, Icmp, Reply, Stray};
use crate::probe::{socket, tcp};

/// When the question is sent again: a datagram may be lost.
const AGAIN: [Duration; 2] = [Duration::from_secs(1), Duration::from_secs(3)];
/// Second answers and strays that are kept, and datagrams that are looked at: an attacker's flood ends here.
const KEPT: usize = 4;
const DATAGRAMS: usize = 64;
/// The longest answer that is read; more was not asked for.
const DATAGRAM: usize = 4096;

impl Task {
    pub(super) async fn over_udp(&self, asked: &Asked) {
        let address = self.server.address;
        let (Some(message), Ok(socket)) = (asked.message(), unconnected(address)) else {
            let failure = DnsFailure::new(DnsKind::Transport, "no socket could be had");
            self.sheet.note(|question| question.stop = Some(failure));
            return;
        };
        let (begun, until) = (Instant::now(), self.until());
        let mut again = AGAIN.iter().map(|after| begun + *after).filter(|at| *at < until);
        let mut buffer = vec![0_u8; DATAGRAM];
        let mut budget = DATAGRAMS;
        if !self.send(&socket, &message).await {
            return;
        }
        let mut next = again.next();
        while budget > 0 {
            // After an answer only others are listened for, for as long as the trip goes on.
            let wake = if self.sheet.is_settled() { None } else { Some(next.unwrap_or(until)) };
            tokio::select! {
                received = socket.recv_from(&mut buffer) => {
                    budget -= 1;
                    match received {
                        Ok((length, from)) => {
                            let bytes = buffer.get(..length).unwrap_or_default();
                            self.received(asked, bytes, from).await;
                        }
                        Err(error) => self.refused(&error, socket::icmp_error(socket.as_raw_fd())),
                    }
                }
                () = sleep_until(wake.unwrap_or(begun)), if wake.is_some() => match next {
                    Some(_) => {
                        self.send(&socket, &message).await;
                        next = again.next();
                    }
                    None => self.sheet.note(|question| question.stop = Some(silence(question))),
                }
            }
        }
        // Whoever sends so much keeps the answer from being found in it.
        if !self.sheet.is_settled() {
            self.sheet.note(|question| question.stop = Some(silence(question)));
        }
    }

    /// Sends the question; a refusal of this host's own ends it.
    async fn send(&self, socket: &UdpSocket, message: &[u8]) -> bool {
        match socket.send_to(message, self.server.address).await {
            Ok(_) => {
                self.sheet.note(|question| question.sent = question.sent.saturating_add(1));
                true
            }
            Err(error) => {
                // An ICMP error that waits is told by the next call, whichever it is.
                let icmp = socket::icmp_error(socket.as_raw_fd());
                if icmp.is_some() {
                    self.refused(&error, icmp);
                    return true;
                }
                let local = Failure::Local(tcp::local_failure(&error));
                let failure = DnsFailure {
                    inner: Some(Box::new(local)),
                    ..DnsFailure::new(DnsKind::Transport, error.to_string())
                };
                self.sheet.note(|question| {
                    question.stop.get_or_insert(failure);
                });
                false
            }
        }
    }

    async fn received(&self, asked: &Asked, bytes: &[u8], from: SocketAddr) {
        let reply = match asked.read(bytes) {
            Ok(_) if !is_same(from, self.server.address) => Err(Flaw::WrongSource),
            read => read,
        };
        match reply {
            Err(flaw) => self.sheet.note(|question| {
                if question.strays.len() < KEPT {
                    question.strays.push(Stray { from, flaw });
                }
            }),
            Ok(reply) if self.is_first(&reply) => {
                if reply.flags.tc {
                    self.truncated(reply).await;
                } else {
                    settle(&self.sheet, Ok(reply));
                }
            }
            Ok(_) => {}
        }
    }

    /// Whether this is the first answer; a later one is kept where it says something else.
    fn is_first(&self, reply: &Reply) -> bool {
        let mut first = false;
        self.sheet.note(|question| match &question.reply {
            None => first = true,
            Some(known) => {
                let is_news = !known.agrees_with(reply)
                    && question.late.iter().all(|late| !late.agrees_with(reply));
                // A question that was sent again may rightly be answered twice.
                let once = question.sent <= 1 && !known.flags.tc;
                if is_news && once && question.late.len() < KEPT {
                    question.late.push(reply.clone());
                }
            }
        });
        first
    }

    /// The same over TCP (RFC 7766 5); the truncated answer is written down with what came of it.
    async fn truncated(&self, reply: Reply) {
        let sheet = self.sheet.over_tcp(&self.server);
        // At once: the trip may be over before TCP says anything.
        self.sheet.note(|question| question.reply = Some(reply));
        let answer = match self.asked(random_id()) {
            Some(asked) => self.over_tcp(&asked).await,
            None => Err(DnsFailure::new(DnsKind::Other, "no question")),
        };
        let stop = answer.as_ref().err().map(|failure| DnsFailure {
            inner: failure.inner.clone(),
            ..DnsFailure::new(DnsKind::Truncated, format!("and over TCP: {}", failure.detail))
        });
        self.sheet.note(|question| question.stop = stop);
        settle(&sheet, answer);
    }

    /// An error that the kernel tied to the socket: the server's own word, or somebody's before it.
    fn refused(&self, error: &io::Error, icmp: Option<Icmp>) {
        let from_itself =
            icmp.is_none_or(|icmp| is_same((icmp.offender, 0).into(), self.server.address));
        let closed = icmp.is_none_or(|icmp| icmp.is_port_unreachable());
        let kind = match (error.kind(), icmp) {
            (io::ErrorKind::ConnectionRefused, _) if from_itself && closed => DnsKind::PortClosed,
            (_, Some(_)) => DnsKind::Icmp,
            (_, None) => DnsKind::Transport,
        };
        // This host's own stack, and it is not the server: a rule here, or a neighbour that is silent.
        let own = icmp.filter(|icmp| icmp.own && !from_itself);
        // The rest of the ICMP errors passes: a program is not told, and sends again (`udp_err`, `harderr`).
        let passing = icmp
            .filter(|icmp| own.is_none() && !icmp.is_port_unreachable() && !icmp.is_prohibition());
        let failure = match own {
            None => DnsFailure { icmp, ..DnsFailure::new(kind, error.to_string()) },
            Some(icmp) => through(Failure::Local(tcp::own_failure(error, icmp))),
        };
        self.sheet.note(|question| {
            if passing.is_some() {
                question.icmp = passing;
            } else if question.reply.is_none() {
                question.stop.get_or_insert(failure);
            }
        });
    }
}

/// A socket that hears everybody: one that is connected would not show who else answers. ICMP errors
/// come with their sender all the same (`udp(7)`, `IP_RECVERR`).
fn unconnected(server: SocketAddr) -> io::Result<UdpSocket> {
    let any: SocketAddr = if server.is_ipv4() {
        (Ipv4Addr::UNSPECIFIED, 0).into()
    } else {
        (Ipv6Addr::UNSPECIFIED, 0).into()
    };
    let kind = Type::DGRAM.nonblocking().cloexec();
    let socket = socket2::Socket::new(Domain::for_address(server), kind, Some(Protocol::UDP))?;
    socket::want_icmp(&socket, server.is_ipv6());
    socket.bind(&any.into())?;
    UdpSocket::from_std(socket.into())
}

fn is_same(from: SocketAddr, server: SocketAddr) -> bool {
    from.ip() == server.ip() && (from.port() == server.port() || from.port() == 0)
}
