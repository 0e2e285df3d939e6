//! Connections: who gets a place, who loses it, and the TLS that each speaks. What is answered is the router's.
//!
//! There are 64 places. Where all are taken, a newcomer gets the place of the network (an IPv4 address, an IPv6 /64)
//! that has the most: there the connection goes for which nothing is computed and which has stood longest as it stands.
//! So one peer cannot keep another out, however many connections it opens.

use std::collections::HashMap;
use std::convert::Infallible;
use std::io;
use std::net::{IpAddr, Ipv6Addr};
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::response::Response;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::{Service as _, service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use rustls::ServerConfig;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::{AbortHandle, Id, JoinSet};
use tokio::time::sleep;
use tokio_rustls::TlsAcceptor;

use super::Site;
use super::pace::{Pace, Paced};

/// Connections at the same time.
const CONNECTIONS: usize = 64;
/// After this a connection ends with the answer that is under way.
const CONNECTION_TIME: Duration = Duration::from_secs(300);
/// A request's head at most.
const HEAD_BYTES: usize = 16 * 1024;
/// Its headers at most.
const HEADERS: usize = 64;
/// What the kernel keeps for a peer that does not read.
const SEND_BUFFER: usize = 256 * 1024;
/// After this the kernel, too, gives up a peer that takes nothing.
const SILENCE: Duration = Duration::from_secs(30);

/// Who is at the other end.
#[derive(Clone, Debug)]
pub(super) struct Peer {
    /// Its network.
    pub(super) from: IpAddr,
    /// What TLS is spoken by; none: plain HTTP.
    pub(super) tls: Option<Arc<ServerConfig>>,
    /// Whether it has shown a certificate.
    pub(super) showed: bool,
}

/// Where an answer carries it, none is given: the connection is closed.
#[derive(Clone, Copy, Debug, thiserror::Error)]
#[error("the connection is of before")]
pub(super) struct Hangup;

struct Place {
    from: IpAddr,
    pace: Pace,
    task: AbortHandle,
}

/// Serves until the future ends; connections that are then open are closed.
pub(super) async fn serve(
    listener: TcpListener,
    site: Arc<Site>,
    router: Router,
    end: impl Future<Output = ()>,
) {
    let mut connections = JoinSet::new();
    let mut places: HashMap<Id, Place> = HashMap::new();
    let mut end = pin!(end);
    loop {
        let accepted = tokio::select! {
            () = &mut end => break,
            Some(ended) = connections.join_next_with_id() => {
                let id = ended.map_or_else(|error| error.id(), |(id, ())| id);
                places.remove(&id);
                continue;
            }
            accepted = accept(&listener) => accepted,
        };
        let Ok((stream, from)) = accepted else { continue };
        if places.len() >= CONNECTIONS
            && let Some(id) = who_goes(&places, from)
            && let Some(place) = places.remove(&id)
        {
            place.task.abort();
        }
        let (pace, router) = (Pace::new(), router.clone());
        let tls = (site.access)().tls.clone();
        let task = connections.spawn(attend(stream, (from, tls), pace.clone(), router));
        places.insert(task.id(), Place { from, pace, task });
    }
}

async fn accept(listener: &TcpListener) -> io::Result<(TcpStream, IpAddr)> {
    match listener.accept().await {
        Ok((stream, from)) => {
            let socket = socket2::SockRef::from(&stream);
            // A kernel that does not know them serves as well.
            let (Ok(()) | Err(_)) = socket.set_send_buffer_size(SEND_BUFFER);
            let (Ok(()) | Err(_)) = socket.set_tcp_user_timeout(Some(SILENCE));
            Ok((stream, network(from.ip())))
        }
        // Out of descriptors: wait for one, instead of spinning on the same error.
        Err(error) => {
            sleep(Duration::from_millis(50)).await;
            Err(error)
        }
    }
}

/// Whoever has an IPv6 address has as many as the last 64 bits can say.
fn network(ip: IpAddr) -> IpAddr {
    match ip.to_canonical() {
        IpAddr::V4(ip) => IpAddr::V4(ip),
        IpAddr::V6(ip) => IpAddr::V6(Ipv6Addr::from_bits(ip.to_bits() & !u128::from(u64::MAX))),
    }
}

fn who_goes(places: &HashMap<Id, Place>, newcomer: IpAddr) -> Option<Id> {
    let mut counts: HashMap<IpAddr, usize> = HashMap::from([(newcomer, 1)]);
    for place in places.values() {
        *counts.entry(place.from).or_default() += 1;
    }
    let key = |place: &Place| {
        let count = counts.get(&place.from).copied().unwrap_or_default();
        (std::cmp::Reverse(count), place.pace.rank())
    };
    places.iter().min_by_key(|(_, place)| key(place)).map(|(id, _)| *id)
}

/// One connection to its end. A client's own errors are no business of ours.
async fn attend(
    stream: impl AsyncRead + AsyncWrite + Unpin,
    (from, tls): (IpAddr, Option<Arc<ServerConfig>>),
    pace: Pace,
    router: Router,
) {
    let all = async {
        let Some(config) = tls else {
            let peer = Peer { from, tls: None, showed: false };
            return converse(stream, peer, &pace, router).await;
        };
        let Ok(stream) = TlsAcceptor::from(Arc::clone(&config)).accept(stream).await else {
            return;
        };
        pace.shaken();
        let showed = stream.get_ref().1.peer_certificates().is_some_and(|all| !all.is_empty());
        converse(stream, Peer { from, tls: Some(config), showed }, &pace, router).await;
    };
    tokio::select! {
        () = all => {}
        () = pace.overdue() => {}
    }
}

async fn converse(
    stream: impl AsyncRead + AsyncWrite + Unpin,
    peer: Peer,
    pace: &Pace,
    router: Router,
) {
    let inner = TowerToHyperService::new(router);
    let service = service_fn(|mut request: hyper::Request<Incoming>| {
        pace.asked();
        request.extensions_mut().insert(peer.clone());
        let answer = inner.call(request);
        async move {
            let Ok(answer): Result<Response, Infallible> = answer.await;
            pace.answered();
            match answer.extensions().get::<Hangup>() {
                Some(hangup) => Err(*hangup),
                None => Ok(answer),
            }
        }
    });
    let mut server = http1::Builder::new();
    // Its own time for heads ends connections that are idle, too.
    server.timer(TokioTimer::new()).header_read_timeout(None);
    server.max_buf_size(HEAD_BYTES).max_headers(HEADERS);
    let paced = Paced { stream, pace: pace.clone() };
    let mut connection = pin!(server.serve_connection(TokioIo::new(paced), service));
    tokio::select! {
        ended = connection.as_mut() => {
            let (Ok(()) | Err(_)) = ended;
            return;
        }
        () = sleep(CONNECTION_TIME) => connection.as_mut().graceful_shutdown(),
    }
    let (Ok(()) | Err(_)) = connection.await;
}

#[cfg(test)]
mod tests {
    use axum::routing::get;
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, DuplexStream, duplex};
    use tokio::time::Instant;

    use super::*;

    const ASK: &[u8] = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n";

    /// How many seconds a connection lives whose peer does this. No clock is waited for.
    async fn lives<F: Future<Output = ()>>(peer: impl FnOnce(DuplexStream) -> F) -> u64 {
        let (ours, theirs) = duplex(4096);
        let router = Router::new().route("/", get(|| async { "a".repeat(100_000) }));
        let begun = Instant::now();
        let attended = async {
            attend(ours, ([127, 0, 0, 1].into(), None), Pace::new(), router).await;
            begun.elapsed().as_secs()
        };
        tokio::join!(attended, peer(theirs)).0
    }

    async fn take_answer(stream: &mut DuplexStream) -> bool {
        let (mut answer, mut bytes) = (Vec::new(), [0; 8192]);
        while answer.len() < 100_000 {
            match stream.read(&mut bytes).await {
                Ok(0) | Err(_) => return false,
                Ok(read) => answer.extend_from_slice(bytes.get(..read).unwrap()),
            }
        }
        true
    }

    #[tokio::test(start_paused = true)]
    async fn who_sends_nothing_or_a_byte_a_second_is_cut_after_ten() {
        let silent = |mut stream: DuplexStream| async move {
            assert_eq!(stream.read(&mut [0; 1]).await.ok(), Some(0));
        };
        assert_eq!(lives(silent).await, 10);
        let slow = |mut stream: DuplexStream| async move {
            for byte in ASK.iter().cycle() {
                if stream.write_all(&[*byte]).await.is_err() {
                    return;
                }
                sleep(Duration::from_secs(1)).await;
            }
        };
        assert_eq!(lives(slow).await, 10);
    }

    #[tokio::test(start_paused = true)]
    async fn who_does_not_read_is_cut_after_thirty() {
        let deaf = |mut stream: DuplexStream| async move {
            stream.write_all(ASK).await.unwrap();
            sleep(Duration::from_secs(100)).await;
        };
        assert_eq!(lives(deaf).await, 30);
        let slow = |mut stream: DuplexStream| async move {
            stream.write_all(ASK).await.unwrap();
            while matches!(stream.read(&mut [0; 1]).await, Ok(1)) {
                sleep(Duration::from_secs(1)).await;
                // What lies in the buffer is still read when the other end has gone.
                if stream.write_all(ASK).await.is_err() {
                    return;
                }
            }
        };
        assert_eq!(lives(slow).await, 30);
    }

    #[tokio::test(start_paused = true)]
    async fn who_asks_at_intervals_keeps_the_connection_for_its_time() {
        let once = |mut stream: DuplexStream| async move {
            stream.write_all(ASK).await.unwrap();
            assert!(take_answer(&mut stream).await);
            assert_eq!(stream.read(&mut [0; 1]).await.ok(), Some(0));
        };
        assert_eq!(lives(once).await, 130);
        let again = |mut stream: DuplexStream| async move {
            let mut answers = 0;
            while stream.write_all(ASK).await.is_ok() && take_answer(&mut stream).await {
                answers += 1;
                sleep(Duration::from_secs(70)).await;
            }
            assert_eq!(answers, 5);
        };
        assert_eq!(lives(again).await, 300);
    }

    #[test]
    fn an_address_counts_as_its_network() {
        let of = |text: &str| network(text.parse().unwrap()).to_string();
        assert_eq!(of("10.1.2.3"), "10.1.2.3");
        assert_eq!(of("::ffff:10.1.2.3"), "10.1.2.3");
        assert_eq!(of("2001:db8:1:2:3:4:5:6"), "2001:db8:1:2::");
    }
}
