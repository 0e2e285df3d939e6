//! A walk by TTL, as any user may make it: a packet that may pass n routers and no more, and what the
//! kernel says of it. ICMP errors come with their sender through the socket's own error queue, so no
//! raw socket and no privilege is needed.
//!
//! `Sent::Syn` sends SYNs with TTL 1, 2, 3 … a few milliseconds apart, until one is answered.
//!
//! `Sent::Hello` looks for the place where a `ClientHello` is stopped though a connection is made, in three
//! steps: (1) one hello without a limit shows what becomes of it; meanwhile SYNs find how far the far
//! end is, by halving; (2) hellos, two side by side, cut the way in three each time, until the smallest
//! TTL is known that gives the same as without a limit; (3) SYNs with that TTL and one less name the
//! routers there. Each hello has a connection of its own, made without a limit. With `FAR` = 32 that is
//! 1 + 5 connections, 6 hellos, one more where the far end itself was not tried or where there was silence,
//! and 2 SYNs: 15 at most.
//!
//! A hello with a post-quantum key share has two segments. Where somebody drops the first and lets the
//! second pass, the second dies of age farther on, and that is what is seen: such a one is looked for
//! with `Hello::classic`.
//!
//! No request is made here and no key is sent. What the hops mean is said in `observation/hop.rs`.

use std::io;
use std::mem::{MaybeUninit, discriminant};
use std::net::SocketAddr;
use std::time::Duration;

use socket2::SockRef;
use tokio::io::Interest;
use tokio::net::TcpStream;
use tokio::task::{JoinError, JoinSet};
use tokio::time::{Instant, timeout_at};

use super::legs::Walked;
use super::tcp::{self, Gauge, NoConnection};
use super::tls::Tls;
use crate::observation::{Came, Failure, Hop, Icmp, Leg, Sent, TcpKind};
use crate::plan::{SocketPlan, TripPlan};

/// How long a packet is waited for: the kernel sends a SYN again after a second (RFC 6298 2.1), and
/// here each is sent once. A hello is sent again sooner, with the same TTL.
const PATIENCE: Duration = Duration::from_millis(900);
/// Between the starts of two SYNs.
const GAP: Duration = Duration::from_millis(5);
/// The largest TTL of a walk with SYNs, and so their number.
const SYNS: u8 = 16;
/// The far end is nearer than this, or its distance stays unknown.
const FAR: u8 = 32;

/// Walks to the address of a leg. Its `hops` are filled, and nothing else; why nothing could be sent at
/// all is its failure. A packet is sent only while the time for its answer is left before the deadline.
pub(super) async fn walk(
    tls: &Tls,
    plan: &TripPlan,
    (sent, leg): (Sent, Leg),
    deadline: Instant,
) -> Walked {
    let way = Way { address: leg.address, socket: plan.socket.clone(), deadline };
    let (hops, unsent) = match sent {
        Sent::Syn => syns(&way).await,
        // Through a tunnel the packets of a handshake are the proxy's own.
        Sent::Hello if plan.tunnel.is_some() => (Vec::new(), None),
        Sent::Hello => match plan.tls.as_ref().and_then(|plan| tls.first_bytes(plan)) {
            Some(bytes) => hellos(&way, &bytes).await,
            None => (Vec::new(), None),
        },
    };
    let mut leg = Leg { hops, ..leg };
    leg.hops.sort_by_key(|hop| (hop.sent == Sent::Hello, hop.ttl));
    match unsent {
        None => Walked::Leg(leg, None),
        Some(NoConnection::Failed(failure)) => {
            Walked::Leg(Leg { stop: Some(failure), ..leg }, None)
        }
        Some(NoConnection::NoRoute(failure)) => {
            Walked::NoRoute(Leg { hops: Vec::new(), stop: Some(failure), ..leg })
        }
    }
}

/// Where to, how, and until when.
#[derive(Clone)]
struct Way {
    address: SocketAddr,
    socket: SocketPlan,
    deadline: Instant,
}

/// What came for one packet; nothing where there was no time for it. Why it was not sent, if so.
type Step = Option<(Came, Option<NoConnection>)>;

/// SYNs with growing TTL, side by side.
async fn syns(way: &Way) -> (Vec<Hop>, Option<NoConnection>) {
    let mut tasks: JoinSet<(u8, Step)> = JoinSet::new();
    let (mut hops, mut unsent) = (Vec::new(), None::<NoConnection>);
    let mut note = |joined: Result<(u8, Step), JoinError>| {
        let (ttl, step) = finished(joined)?;
        let (came, why) = step?;
        hops.push(Hop { ttl, sent: Sent::Syn, came });
        unsent = why.or(unsent.take());
        Some(is_end(came) || came == Came::NotSent)
    };
    'sending: for ttl in 1..=SYNS {
        let own = way.clone();
        tasks.spawn(async move { (ttl, own.syn(ttl).await) });
        let next = Instant::now() + GAP;
        while let Ok(Some(joined)) = timeout_at(next, tasks.join_next()).await {
            if note(joined) != Some(false) {
                break 'sending;
            }
        }
    }
    while let Some(joined) = tasks.join_next().await {
        note(joined);
    }
    // A word about what was not sent counts where nothing was.
    let unsent = unsent.filter(|_| hops.iter().all(|hop| hop.came == Came::NotSent));
    (hops, unsent)
}

/// A panic is contained by the check that walks.
fn finished<T>(joined: Result<T, JoinError>) -> Option<T> {
    match joined {
        Ok(value) => Some(value),
        Err(error) => match error.try_into_panic() {
            Ok(panic) => std::panic::resume_unwind(panic),
            Err(_) => None,
        },
    }
}

/// Whether a longer life would make no difference.
fn is_end(came: Came) -> bool {
    match came {
        Came::Answered | Came::Closed | Came::Reset | Came::Rejected(_) => true,
        Came::Expired(_) | Came::Nothing | Came::NotSent => false,
    }
}

/// The search for the place where a hello ends.
async fn hellos(way: &Way, bytes: &[u8]) -> (Vec<Hop>, Option<NoConnection>) {
    let mut hops = Vec::new();
    let (whole, distance) = tokio::join!(way.hello(bytes, None), way.distance(&mut hops));
    let (whole, unsent) = match whole {
        None => return (hops, None),
        Some((hop, unsent)) => (hop, unsent),
    };
    hops.push(whole);
    // Without a connection there is no hello; an ICMP error about one is the same as its life's end.
    if whole.sent == Sent::Syn || matches!(whole.came, Came::Expired(_) | Came::NotSent) {
        return (hops, unsent);
    }
    let found = way.search(bytes, whole.came, distance.unwrap_or(FAR), &mut hops).await;
    // Silence is asked for once more, a hop on: a router may keep its word back, and a packet may be
    // lost. What is heard of there shows that the hello came farther.
    let next = if whole.came == Came::Nothing { found.saturating_add(1) } else { found };
    let last = if distance.is_some_and(|distance| distance < next) { found } else { next };
    if (distance == Some(found) || last > found) && !tried(&hops, Sent::Hello, last) {
        hops.extend(way.hello(bytes, Some(last)).await.map(|(hop, _)| hop));
    }
    for ttl in [found.saturating_sub(1), found] {
        if (1..FAR).contains(&ttl)
            && !tried(&hops, Sent::Syn, ttl)
            && let Some((came, _)) = way.syn(ttl).await
        {
            hops.push(Hop { ttl, sent: Sent::Syn, came });
        }
    }
    (hops, None)
}

fn tried(hops: &[Hop], sent: Sent, ttl: u8) -> bool {
    hops.iter().any(|hop| hop.sent == sent && hop.ttl == ttl)
}

impl Way {
    fn has_time(&self) -> bool {
        Instant::now() + PATIENCE <= self.deadline
    }

    /// One SYN with that TTL.
    async fn syn(&self, ttl: u8) -> Step {
        if !self.has_time() {
            return None;
        }
        let socket = SocketPlan { ttl: Some(ttl), ..self.socket.clone() };
        let until = Instant::now() + PATIENCE;
        Some(match tcp::connect(self.address, &socket, until, &mut None).await {
            Ok(_) => (Came::Answered, None),
            Err(NoConnection::Failed(failure)) => {
                let came = of_syn(&failure);
                (came, (came == Came::NotSent).then_some(NoConnection::Failed(failure)))
            }
            Err(no_route @ NoConnection::NoRoute(_)) => (Came::NotSent, Some(no_route)),
        })
    }

    /// The smallest TTL with which the far end is reached, by halving 1..FAR: five SYNs. A SYN that
    /// was lost makes it too large, which the hops show: nothing expired just before it.
    async fn distance(&self, hops: &mut Vec<Hop>) -> Option<u8> {
        let (mut low, mut high) = (0, FAR);
        while high - low > 1 {
            let ttl = u8::midpoint(low, high);
            let (came, _) = self.syn(ttl).await?;
            hops.push(Hop { ttl, sent: Sent::Syn, came });
            if came == Came::NotSent {
                return None;
            }
            if is_end(came) { high = ttl } else { low = ttl }
        }
        (high < FAR).then_some(high)
    }

    /// The smallest TTL with which a hello comes to the same as without a limit. It is taken as
    /// known that this holds for `high`.
    async fn search(&self, bytes: &[u8], whole: Came, mut high: u8, hops: &mut Vec<Hop>) -> u8 {
        let mut low = 0;
        while high - low > 1 {
            let third = (high - low).div_ceil(3);
            let near = low + third;
            let far = near.saturating_add(third).min(high);
            let (one, two) = tokio::join!(self.hello(bytes, Some(near)), async {
                if far < high { self.hello(bytes, Some(far)).await } else { None }
            });
            let Some((one, _)) = one else { break };
            let two = two.map(|(hop, _)| hop);
            hops.push(one);
            hops.extend(two);
            let same = |hop: &Hop| {
                hop.sent == Sent::Hello && discriminant(&hop.came) == discriminant(&whole)
            };
            if same(&one) {
                high = near;
            } else if two.is_some_and(|two| same(&two)) {
                (low, high) = (near, far);
            } else {
                low = if two.is_some() { far } else { near };
            }
        }
        high
    }

    /// One hello with that TTL, or with the usual one, on a connection of its own that was made
    /// without a limit. Where that was not made, the hop is a SYN's.
    async fn hello(&self, bytes: &[u8], ttl: Option<u8>) -> Option<(Hop, Option<NoConnection>)> {
        if !self.has_time() {
            return None;
        }
        let until = Instant::now() + PATIENCE;
        let (stream, gauge) = match tcp::connect(self.address, &self.socket, until, &mut None).await
        {
            Ok((stream, gauge, _)) => (stream, gauge),
            Err(why) => return Some(self.unconnected(why)),
        };
        let usual = self.usual(&stream);
        let ttl = ttl.unwrap_or(usual);
        let v6 = self.address.is_ipv6();
        let hop = |came| Some((Hop { ttl, sent: Sent::Hello, came }, None));
        if !self.has_time() || tcp::live_for(&SockRef::from(&stream), ttl, v6).is_err() {
            return hop(Came::NotSent);
        }
        let came = said(&stream, &gauge, bytes).await;
        // The far end may never have seen the hello: a reset, that reaches it again, lets it forget
        // the connection, and keeps the kernel from sending the hello on.
        tcp::live_for(&SockRef::from(&stream), usual, v6).ok();
        SockRef::from(&stream).set_linger(Some(Duration::ZERO)).ok();
        hop(came)
    }

    /// The TTL that this host's packets have.
    fn usual(&self, stream: &TcpStream) -> u8 {
        let socket = SockRef::from(stream);
        let ttl = if self.address.is_ipv6() { socket.unicast_hops_v6() } else { socket.ttl_v4() };
        ttl.ok().and_then(|ttl| u8::try_from(ttl).ok()).unwrap_or(u8::MAX)
    }

    fn unconnected(&self, why: NoConnection) -> (Hop, Option<NoConnection>) {
        let came = match &why {
            NoConnection::Failed(failure) => of_syn(failure),
            NoConnection::NoRoute(_) => Came::NotSent,
        };
        let ttl = self.socket.ttl.unwrap_or(u8::MAX);
        (Hop { ttl, sent: Sent::Syn, came }, (came == Came::NotSent).then_some(why))
    }
}

/// Sends the first bytes and waits for what comes of it.
async fn said(stream: &TcpStream, gauge: &Gauge, bytes: &[u8]) -> Came {
    let until = Instant::now() + PATIENCE;
    // The send buffer of a new connection is larger than any hello (`tcp(7)`, `tcp_wmem`).
    if let Err(error) = stream.try_write(bytes) {
        return of_error(&error, gauge);
    }
    // An ICMP error makes the socket neither readable nor closed.
    let interest = Interest::READABLE | Interest::ERROR;
    loop {
        let ready = match timeout_at(until, stream.ready(interest)).await {
            Ok(Ok(ready)) => ready,
            Ok(Err(error)) => return of_error(&error, gauge),
            Err(_) => return Came::Nothing,
        };
        // One at a time: for two together `try_io` does not even try.
        let interest = if ready.is_error() { Interest::ERROR } else { Interest::READABLE };
        let mut buffer = [MaybeUninit::uninit(); 64];
        match stream.try_io(interest, || SockRef::from(stream).recv(&mut buffer)) {
            Ok(0) => return Came::Closed,
            Ok(_) => return Came::Answered,
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            Err(error) => return of_error(&error, gauge),
        }
    }
}

/// On a connection the kernel tells an ICMP error as an errno (with `IP_RECVERR`), without its sender.
fn of_error(error: &io::Error, gauge: &Gauge) -> Came {
    match (gauge.icmp(), error.raw_os_error()) {
        (Some(icmp), _) => of_icmp(icmp),
        (None, Some(libc::ECONNRESET | libc::EPIPE)) => Came::Reset,
        (None, Some(libc::ETIMEDOUT)) => Came::Nothing,
        (None, _) => Came::Expired(None),
    }
}

fn of_syn(failure: &Failure) -> Came {
    match failure {
        Failure::Tcp(tcp) => match (tcp.icmp, tcp.kind) {
            (Some(icmp), _) => of_icmp(icmp),
            (None, TcpKind::Refused | TcpKind::Reset) => Came::Reset,
            (None, TcpKind::IcmpUnreachable | TcpKind::IcmpProhibited) => Came::Expired(None),
            (None, TcpKind::Timeout | TcpKind::NoRoute | TcpKind::Other) => Came::Nothing,
        },
        // This host's own stack, asked by a packet that did leave the socket.
        Failure::Local(local) => local.icmp.map_or(Came::NotSent, Came::Rejected),
        Failure::Dns(_) | Failure::Proxy(_) | Failure::Tls(_) | Failure::Http(_) => Came::NotSent,
    }
}

/// Time exceeded is type 11 (RFC 792), 3 in ICMPv6 (RFC 4443 3.3).
fn of_icmp(icmp: Icmp) -> Came {
    let expired = if icmp.offender.is_ipv4() { 11 } else { 3 };
    if icmp.kind == expired { Came::Expired(Some(icmp)) } else { Came::Rejected(icmp) }
}
