//! One question to one server over a socket of ours: what a resolver drops is written down (wrong ids,
//! other senders, second answers), and so is the ICMP error with its sender.
//!
//! The socket stays open until the trip is over; nobody waits for it longer than the walk does.

use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::os::fd::AsRawFd as _;
use std::sync::Arc;
use std::time::Duration;

use data_encoding::BASE64URL_NOPAD;
use socket2::{Domain, Protocol, Type};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::UdpSocket;
use tokio::time::{Instant, sleep_until, timeout_at};
use url::Host;

use super::message::{Asked, fault};
use super::questions::{Sheet, of_flaw, silence};
use crate::observation::{DnsFailure, DnsKind, Failure, Family, Icmp, Reply, Stray};
use crate::plan::{Hello, Nameserver, RequestPlan, SocketPlan, Through, TlsPlan};
use crate::probe::stream::{Counted, Counts};
use crate::probe::{Network, http, socket, tcp, tls};

/// How long an answer is waited for, and when the question is sent again before (a datagram may be
/// lost): the C library's own time for a server (`resolv.conf(5)`, `timeout`).
const PATIENCE: Duration = Duration::from_secs(5);
const AGAIN: [Duration; 2] = [Duration::from_secs(1), Duration::from_secs(3)];
/// Second answers and strays that are kept, and datagrams that are looked at: an attacker's flood ends here.
const KEPT: usize = 4;
const DATAGRAMS: usize = 64;
/// The longest answer over UDP that is read; more was not asked for.
const DATAGRAM: usize = 4096;

/// One question, ready to be put.
pub(super) struct Task {
    pub(super) network: Arc<Network>,
    pub(super) sheet: Sheet,
    pub(super) server: Nameserver,
    pub(super) name: String,
    pub(super) family: Family,
    pub(super) deadline: Instant,
}

impl Task {
    /// Asks, and writes down what comes.
    pub(super) async fn run(self) {
        let Some(asked) = self.asked(random_id()) else {
            let detail = format!("{} cannot be a name", self.name);
            self.sheet.note(|q| q.stop = Some(DnsFailure::new(DnsKind::Other, detail)));
            return;
        };
        match &self.server.through {
            Through::Udp => self.over_udp(&asked).await,
            Through::Tcp => settle(&self.sheet, self.over_tcp(&asked).await),
            Through::Tls(name) => settle(&self.sheet, self.over_tls(&asked, name).await),
            Through::Https(name, path) => {
                settle(&self.sheet, self.over_https(name, path).await);
            }
        }
    }

    fn asked(&self, id: u16) -> Option<Asked> {
        Asked::new(&self.name, self.family, id)
    }

    fn until(&self) -> Instant {
        self.deadline.min(Instant::now() + PATIENCE)
    }

    async fn over_udp(&self, asked: &Asked) {
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
            Ok(_) if !is_same(from, self.server.address) => {
                Err(crate::observation::Flaw::WrongSource)
            }
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
                if is_news && !known.flags.tc && question.late.len() < KEPT {
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
    fn refused(&self, error: &std::io::Error, icmp: Option<Icmp>) {
        let from_itself =
            icmp.is_none_or(|icmp| is_same((icmp.offender, 0).into(), self.server.address));
        let closed = icmp.is_none_or(|icmp| icmp.is_port_unreachable());
        let kind = match (error.kind(), icmp) {
            (std::io::ErrorKind::ConnectionRefused, _) if from_itself && closed => {
                DnsKind::PortClosed
            }
            (_, Some(_)) => DnsKind::Icmp,
            (_, None) => DnsKind::Transport,
        };
        // This host's own stack, and it is not the server: a rule here, or a neighbour that is silent.
        let own = icmp.filter(|icmp| icmp.own && !from_itself);
        let failure = match own {
            None => DnsFailure { icmp, ..DnsFailure::new(kind, error.to_string()) },
            Some(icmp) => through(Failure::Local(tcp::own_failure(error, icmp))),
        };
        self.sheet.note(|question| {
            if question.reply.is_none() {
                question.stop.get_or_insert(failure);
            }
        });
    }

    async fn over_tcp(&self, asked: &Asked) -> Result<Reply, DnsFailure> {
        let until = self.until();
        let (stream, _gauge) = self.connect(until).await?;
        framed(stream, asked, until).await
    }

    async fn over_tls(&self, asked: &Asked, name: &Host<String>) -> Result<Reply, DnsFailure> {
        let until = self.until();
        let (stream, gauge) = self.connect(until).await?;
        // RFC 7858 3.1: the port says what is spoken.
        let hello = Hello { alpn: crate::plan::Alpn::Nothing, ..Hello::default() };
        let plan = TlsPlan { hello, ..TlsPlan::to(name.clone()) };
        let (stream, _) = self.secure(&plan, stream, (&gauge, until)).await?;
        framed(stream, asked, until).await
    }

    /// RFC 8484 4.1: the id is 0, the question is in the URL.
    async fn over_https(&self, name: &Host<String>, path: &str) -> Result<Reply, DnsFailure> {
        let until = self.until();
        let other = |detail: &str| DnsFailure::new(DnsKind::Other, detail);
        let asked = self.asked(0).ok_or_else(|| other("no question"))?;
        let message = asked.message().ok_or_else(|| other("no question"))?;
        let (stream, gauge) = self.connect(until).await?;
        let (stream, http2) =
            self.secure(&TlsPlan::to(name.clone()), stream, (&gauge, until)).await?;
        let request = RequestPlan {
            // RFC 9110 7.2: the port too, where it is not the scheme's.
            authority: match self.server.address.port() {
                443 => name.to_string(),
                port => format!("{name}:{port}"),
            },
            path: format!("{path}?dns={}", BASE64URL_NOPAD.encode(&message)),
            headers: vec![("accept", "application/dns-message")],
            key: None,
            whole_body: true,
        };
        let around = http::Around { gauge: &gauge, deadline: until, asked: false };
        let http::Exchange { response, bytes, stop } =
            http::request(&request, stream, (true, http2), &around).await;
        match (stop, response) {
            (Some(stop), _) => Err(through(stop)),
            (None, Some(response)) if response.status == 200 => asked
                .read(if bytes.is_empty() { response.body.as_bytes() } else { &bytes })
                .map_err(|flaw| of_flaw(flaw).unwrap_or_else(|| other("what came is no answer"))),
            (None, Some(response)) => {
                Err(DnsFailure::new(DnsKind::Transport, format!("HTTP {}", response.status)))
            }
            (None, None) => Err(other("no answer")),
        }
    }

    async fn connect(
        &self,
        until: Instant,
    ) -> Result<(tokio::net::TcpStream, tcp::Gauge), DnsFailure> {
        let (mut local, plan) = (None, SocketPlan::default());
        self.sheet.note(|question| question.sent = question.sent.saturating_add(1));
        match tcp::connect(self.server.address, &plan, until, &mut local).await {
            Ok((stream, gauge, _)) => Ok((stream, gauge)),
            Err(tcp::NoConnection::Failed(failure) | tcp::NoConnection::NoRoute(failure)) => {
                Err(through(failure))
            }
        }
    }

    async fn secure(
        &self,
        plan: &TlsPlan,
        stream: tokio::net::TcpStream,
        (gauge, until): (&tcp::Gauge, Instant),
    ) -> Result<(impl AsyncRead + AsyncWrite + Unpin + Send + use<>, bool), DnsFailure> {
        let counts = Counts::with_limit(u64::MAX);
        let stream = Counted::new(stream, Arc::clone(&counts));
        let around = tls::Around { counts: &counts, gauge, deadline: until, identity: None };
        let made = tls::handshake(&self.network.tls, plan, stream, around).await;
        let (stream, secured) = made.end.map_err(through)?;
        counts.allow_more(u64::MAX);
        Ok((stream, secured.alpn == "h2"))
    }
}

/// The way to the server failed.
fn through(failure: Failure) -> DnsFailure {
    let detail = format!("{} {}", failure.layer(), failure.kind());
    let kind = match &failure {
        Failure::Tcp(tcp) if tcp.kind == crate::observation::TcpKind::Timeout => DnsKind::Timeout,
        Failure::Tcp(tcp) if tcp.kind == crate::observation::TcpKind::Refused => {
            DnsKind::PortClosed
        }
        _ => DnsKind::Transport,
    };
    DnsFailure { inner: Some(Box::new(failure)), ..DnsFailure::new(kind, detail) }
}

fn settle(sheet: &Sheet, answer: Result<Reply, DnsFailure>) {
    sheet.note(|question| match answer {
        Ok(reply) => {
            question.stop = fault(&reply).map(|kind| DnsFailure::new(kind, ""));
            question.reply = Some(reply);
        }
        Err(failure) => question.stop = Some(failure),
    });
}

/// One exchange with two bytes of length before each message (RFC 1035 4.2.2).
async fn framed<S>(mut stream: S, asked: &Asked, until: Instant) -> Result<Reply, DnsFailure>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let transport = |detail: String| DnsFailure::new(DnsKind::Transport, detail);
    let message = asked.message().unwrap_or_default();
    let length = u16::try_from(message.len()).unwrap_or_default();
    let exchange = async {
        stream.write_all(&[&length.to_be_bytes()[..], &message].concat()).await?;
        stream.flush().await?;
        let length = stream.read_u16().await?;
        let mut answer = vec![0_u8; usize::from(length)];
        stream.read_exact(&mut answer).await?;
        Ok::<_, std::io::Error>(answer)
    };
    match timeout_at(until, exchange).await {
        Err(_) => Err(DnsFailure::new(DnsKind::Timeout, "connected, and no answer")),
        Ok(Err(error)) => Err(transport(error.to_string())),
        Ok(Ok(answer)) => asked.read(&answer).map_err(|flaw| {
            of_flaw(flaw).unwrap_or_else(|| transport("what came is no answer".to_owned()))
        }),
    }
}

/// A socket that hears everybody: one that is connected would not show who else answers. ICMP errors
/// come with their sender all the same (`udp(7)`, `IP_RECVERR`).
fn unconnected(server: SocketAddr) -> std::io::Result<UdpSocket> {
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

/// What a forger would have to guess, beside the port that the kernel picks.
fn random_id() -> u16 {
    let mut id = [0_u8; 2];
    // Where the kernel has no randomness the port is all there is.
    aws_lc_rs::rand::fill(&mut id).unwrap_or_default();
    u16::from_ne_bytes(id)
}
