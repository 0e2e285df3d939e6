//! A proxy that is asked with CONNECT, and opens the tunnel, refuses it, or breaks off around it.
//!
//! It looks up no name: a test says where each one leads, and an address of this host's
//! loopback leads to itself, so that nothing can leave the host.

use std::collections::HashMap;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream};
use tokio_rustls::TlsAcceptor;

use super::Journal;
use super::wire::{self, Connection, Ending, Record, Server, Wire};

/// What the proxy does with a request.
#[derive(Clone, Debug)]
pub(crate) enum Behaviour {
    /// Opens the tunnel; 503 where the upstream cannot be reached or is not mapped, 405 to anything but CONNECT.
    Tunnel,
    /// Answers with that, and opens nothing.
    Status { code: u16, headers: Vec<(&'static str, String)>, body: String },
    /// 407 with a Basic challenge, unless `Proxy-Authorization` has exactly that value; then the tunnel.
    AuthRequired { accepts: Option<String> },
    /// 407 to a request without a login; to one with it no word, and FIN.
    AuthThenClose,
    /// 407 to a request without a login; one with it is told back in a page, as it came and decoded.
    AuthThenEcho(String),
    /// 403 for that name, the tunnel for every other.
    Denies(String),
    /// Takes the request and says nothing.
    Silent,
    /// FIN without an answer.
    CloseAfterConnect,
    /// RST without an answer.
    ResetAfterConnect,
    /// Bytes of no protocol.
    Garbage,
    /// A TLS alert, as from a port that wants TLS.
    TlsBytes,
    /// 200 and header lines without end.
    EndlessHead,
    /// The tunnel, and FIN both ways after so long.
    TunnelFor(Duration),
    /// 200, and no byte from upstream.
    TunnelThenSilent,
    /// 200, then FIN.
    TunnelThenClose,
    /// 200, then RST on the first byte.
    TunnelThenReset,
    /// 200, then an HTTP error page in answer to the first bytes.
    TunnelThenPlainText,
}

/// One request to the proxy.
#[derive(Clone, Debug)]
pub(crate) struct Connect {
    pub(crate) method: String,
    /// As it was asked for: `name:port`.
    pub(crate) target: String,
    /// Names in lower case, in the order they came.
    pub(crate) headers: Vec<(String, String)>,
}

impl Connect {
    /// The first value under that name (in lower case).
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }
}

/// A running proxy.
#[derive(Debug)]
pub(crate) struct Proxy {
    server: Server,
    site: Arc<Site>,
}

#[derive(Debug)]
struct Site {
    behaviours: Mutex<HashMap<String, Behaviour>>,
    upstreams: HashMap<String, SocketAddr>,
    connects: Journal<Connect>,
}

impl Proxy {
    /// On 127.0.0.1. `upstreams` says where a name leads, on whatever port it is asked for.
    pub(crate) fn start(behaviour: Behaviour, upstreams: &[(&str, SocketAddr)]) -> Self {
        let behaviours = HashMap::from([(String::new(), behaviour)]);
        Self::start_at((Ipv4Addr::LOCALHOST, 0).into(), None, behaviours, upstreams)
    }

    /// At an address, inside of TLS where there is an acceptor, with a behaviour for each name; that of
    /// the empty name is for all others.
    pub(crate) fn start_at(
        bind: SocketAddr,
        tls: Option<TlsAcceptor>,
        behaviours: HashMap<String, Behaviour>,
        upstreams: &[(&str, SocketAddr)],
    ) -> Self {
        let site = Arc::new(Site {
            behaviours: Mutex::new(behaviours),
            upstreams: upstreams
                .iter()
                .map(|(name, address)| ((*name).to_owned(), *address))
                .collect(),
            connects: Journal::new(),
        });
        let shared = Arc::clone(&site);
        let server = Server::start(bind, move |wire| {
            let (site, tls) = (Arc::clone(&shared), tls.clone());
            async move { site.serve_wire(wire, tls).await }
        });
        Self { server, site }
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.server.address()
    }

    /// Blocks until `count` connections have ended.
    #[track_caller]
    pub(crate) fn wait_closed(&self, count: usize) -> Vec<Connection> {
        self.server.wait_closed(count)
    }

    /// Every request, in order.
    pub(crate) fn connects(&self) -> Vec<Connect> {
        self.site.connects.entries()
    }
}

impl Site {
    async fn serve_wire(&self, mut wire: Wire, tls: Option<TlsAcceptor>) {
        let record = wire.record();
        let wire = match tls {
            None => {
                self.serve(&mut wire, &record).await;
                wire
            }
            Some(acceptor) => match acceptor.accept(wire).into_fallible().await {
                Ok(mut stream) => {
                    self.serve(&mut stream, &record).await;
                    stream.into_inner().0
                }
                Err((_, wire)) => wire,
            },
        };
        wire::settle(wire).await;
    }

    async fn serve<S: AsyncRead + AsyncWrite + Unpin>(&self, stream: &mut S, record: &Record) {
        let Some((head, early)) = wire::read_head(stream).await else {
            return;
        };
        let (words, headers) = wire::parse_head(&head);
        let [method, target, ..] = words.as_slice() else {
            return;
        };
        let connect = Connect { method: method.clone(), target: target.clone(), headers };
        self.connects.push(connect.clone());
        let credentials = connect.header("proxy-authorization");
        match self.behaviour_for(name(target)) {
            Behaviour::AuthRequired { accepts }
                if accepts.is_none() || accepts.as_deref() != credentials =>
            {
                let challenge = ("Proxy-Authenticate", "Basic realm=\"proxy\"".to_owned());
                say(stream, record, &answer(407, &[challenge], "")).await;
            }
            Behaviour::AuthThenClose | Behaviour::AuthThenEcho(_) if credentials.is_none() => {
                let challenge = ("Proxy-Authenticate", "Basic realm=\"proxy\"".to_owned());
                say(stream, record, &answer(407, &[challenge], "")).await;
            }
            Behaviour::AuthThenClose => wire::end(stream, record, Ending::Close).await,
            Behaviour::AuthThenEcho(decoded) => {
                let page = format!("<pre>{head}</pre> who are you, {decoded}?");
                let header = ("X-You-Sent", credentials.unwrap_or_default().to_owned());
                say(stream, record, &answer(403, &[header], &page)).await;
            }
            Behaviour::Denies(denied) if denied == name(target) => {
                let reason = ("X-Squid-Error", "ERR_ACCESS_DENIED 0".to_owned());
                say(stream, record, &answer(403, &[reason], "Access Denied")).await;
            }
            Behaviour::TunnelFor(time) => {
                let tunnel = self.tunnel(stream, record, &connect, &early);
                tokio::time::timeout(time, tunnel).await.ok();
            }
            Behaviour::Tunnel | Behaviour::AuthRequired { .. } | Behaviour::Denies(_) => {
                self.tunnel(stream, record, &connect, &early).await;
            }
            Behaviour::Status { code, headers, body } => {
                say(stream, record, &answer(code, &headers, &body)).await;
            }
            Behaviour::Garbage => say(stream, record, GARBAGE).await,
            Behaviour::TlsBytes => say(stream, record, &[0x15, 3, 3, 0, 2, 2, 80]).await,
            Behaviour::Silent => wire::end(stream, record, Ending::Silent).await,
            Behaviour::CloseAfterConnect => wire::end(stream, record, Ending::Close).await,
            Behaviour::ResetAfterConnect => wire::end(stream, record, Ending::Reset).await,
            other => after_opening(stream, record, &other).await,
        }
    }

    fn behaviour_for(&self, name: &str) -> Behaviour {
        let behaviours = self.behaviours.lock().expect("no panic while locked");
        behaviours.get(name).unwrap_or(&behaviours[""]).clone()
    }

    async fn tunnel<S: AsyncRead + AsyncWrite + Unpin>(
        &self,
        stream: &mut S,
        record: &Record,
        connect: &Connect,
        early: &[u8],
    ) {
        if connect.method != "CONNECT" {
            return say(stream, record, &answer(405, &[], "only CONNECT")).await;
        }
        let mapped = self.upstreams.get(name(&connect.target)).copied();
        let literal = || {
            connect.target.parse().ok().filter(|address: &SocketAddr| address.ip().is_loopback())
        };
        let Some(upstream) = mapped.or_else(literal) else {
            let reason = ("X-Squid-Error", "ERR_DNS_FAIL 0".to_owned());
            return say(stream, record, &answer(503, &[reason], "no such name")).await;
        };
        let Ok(mut upstream) = dial(upstream).await else {
            let reason = ("X-Squid-Error", "ERR_CONNECT_FAIL 111".to_owned());
            return say(stream, record, &answer(503, &[reason], "connection refused")).await;
        };
        if stream.write_all(OPENED).await.is_err() || upstream.write_all(early).await.is_err() {
            return;
        }
        // Its error is an end of one of the two streams, which has been written down.
        let ended = tokio::io::copy_bidirectional(stream, &mut upstream).await;
        if ended.is_err_and(|error| error.kind() == io::ErrorKind::ConnectionReset) {
            record.reset_when_dropped();
        }
    }
}

const GARBAGE: &[u8] = b"\x00\x01\x02 this is no protocol that anybody speaks \xfd\xfe\xff";

const OPENED: &[u8] = b"HTTP/1.1 200 Connection established\r\n\r\n";

/// The ways in which an opened tunnel is none.
async fn after_opening<S: AsyncRead + AsyncWrite + Unpin>(
    stream: &mut S,
    record: &Record,
    behaviour: &Behaviour,
) {
    if matches!(behaviour, Behaviour::EndlessHead) {
        stream.write_all(b"HTTP/1.1 200 Connection established\r\n").await.ok();
        return wire::repeat(stream, format!("X-Filler: {}\r\n", "x".repeat(500)).as_bytes()).await;
    }
    if stream.write_all(OPENED).await.is_err() || stream.flush().await.is_err() {
        return;
    }
    match behaviour {
        Behaviour::TunnelThenSilent => wire::end(stream, record, Ending::Silent).await,
        Behaviour::TunnelThenClose => wire::end(stream, record, Ending::Close).await,
        Behaviour::TunnelThenReset => {
            // Not before the client has used the tunnel: a RST would overtake the 200 in its buffers.
            stream.read_u8().await.ok();
            wire::end(stream, record, Ending::Reset).await;
        }
        Behaviour::TunnelThenPlainText => {
            stream.read_u8().await.ok();
            say(stream, record, &answer(502, &[], "upstream failed")).await;
        }
        _ => unreachable!("called for an opened tunnel only"),
    }
}

/// Connects to an address, never to a name.
async fn dial(address: SocketAddr) -> io::Result<TcpStream> {
    let socket = if address.is_ipv4() { TcpSocket::new_v4()? } else { TcpSocket::new_v6()? };
    let stream = socket.connect(address).await?;
    stream.set_nodelay(true)?;
    Ok(stream)
}

async fn say<S: AsyncRead + AsyncWrite + Unpin>(stream: &mut S, record: &Record, bytes: &[u8]) {
    stream.write_all(bytes).await.ok();
    wire::end(stream, record, Ending::Close).await;
}

fn answer(code: u16, headers: &[(&str, String)], body: &str) -> Vec<u8> {
    let mut head = format!("HTTP/1.1 {code} Proxy says no\r\nConnection: close\r\n");
    for (name, value) in headers {
        head.extend([name, ": ", value, "\r\n"]);
    }
    format!("{head}Content-Length: {}\r\n\r\n{body}", body.len()).into()
}

/// The host of `host:port`, without the brackets of an IPv6 address.
fn name(target: &str) -> &str {
    target
        .rsplit_once(':')
        .map_or(target, |(host, _)| host)
        .trim_start_matches('[')
        .trim_end_matches(']')
}
