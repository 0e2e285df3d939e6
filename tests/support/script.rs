//! A server that follows a script, a list of steps for each connection: what it waits for, what it says, how it ends.
//!
//! It knows no protocol, so that it can break any. What it was told is kept byte by byte.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use rustls::ServerConfig;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::TcpSocket;
use tokio_rustls::TlsAcceptor;

use super::Journal;
use super::wire::{self, Connection, Ending, Record, Server, Wire};

/// One thing that it does. After the last it closes in order.
#[derive(Clone, Debug)]
pub(crate) enum Step {
    /// Reads up to an empty line.
    Head,
    /// Reads so many bytes.
    Read(usize),
    /// Says that.
    Say(Vec<u8>),
    /// Says that again and again, until the client ends it.
    Repeat(Vec<u8>),
    /// Carries what comes to that server and back.
    Carry(SocketAddr),
    /// Ends.
    End(Ending),
}

/// The steps of one connection.
pub(crate) type Script = Vec<Step>;

/// What it was told in one step: on which connection, and what.
pub(crate) type Told = (usize, Vec<u8>);

/// A running server.
#[derive(Debug)]
pub(crate) struct Scripted {
    server: Server,
    told: Journal<Told>,
}

impl Scripted {
    /// On 127.0.0.1. The last script is for all connections that follow.
    pub(crate) fn start(scripts: Vec<Script>) -> Self {
        Self::start_over(None, scripts)
    }

    /// The same inside of TLS, where there is a configuration for it.
    pub(crate) fn start_over(tls: Option<Arc<ServerConfig>>, scripts: Vec<Script>) -> Self {
        let (told, count) = (Journal::new(), AtomicUsize::new(0));
        let journal = told.clone();
        let tls = tls.map(TlsAcceptor::from);
        let server = Server::start((Ipv4Addr::LOCALHOST, 0).into(), move |wire| {
            let place = count.fetch_add(1, Ordering::Relaxed);
            let script = scripts.get(place).or(scripts.last()).cloned().unwrap_or_default();
            let (tls, journal) = (tls.clone(), journal.clone());
            async move { serve(wire, tls, script, (place, journal)).await }
        });
        Self { server, told }
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.server.address()
    }

    /// What it was told, in order.
    pub(crate) fn told(&self) -> Vec<Told> {
        self.told.entries()
    }

    pub(crate) fn connections(&self) -> Vec<Connection> {
        self.server.connections()
    }

    /// Blocks until `count` connections have ended.
    #[track_caller]
    pub(crate) fn wait_closed(&self, count: usize) -> Vec<Connection> {
        self.server.wait_closed(count)
    }
}

async fn serve(
    mut wire: Wire,
    tls: Option<TlsAcceptor>,
    script: Script,
    to: (usize, Journal<Told>),
) {
    let record = wire.record();
    let wire = match tls {
        None => {
            follow(&mut wire, &record, script, to).await;
            wire
        }
        Some(acceptor) => match acceptor.accept(wire).into_fallible().await {
            Ok(mut stream) => {
                follow(&mut stream, &record, script, to).await;
                stream.into_inner().0
            }
            Err((_, wire)) => wire,
        },
    };
    wire::settle(wire).await;
}

async fn follow<S: AsyncRead + AsyncWrite + Unpin>(
    stream: &mut S,
    record: &Record,
    script: Script,
    (place, told): (usize, Journal<Told>),
) {
    // What came with the last head and is no part of it.
    let mut early = Vec::new();
    for step in script {
        match step {
            Step::Head => {
                let Some((head, rest)) = wire::read_head(stream).await else { return };
                told.push((place, head.into_bytes()));
                early = rest;
            }
            Step::Read(count) => {
                let mut bytes = vec![0; count];
                if stream.read_exact(&mut bytes).await.is_err() {
                    return;
                }
                told.push((place, bytes));
            }
            Step::Say(bytes) => {
                if stream.write_all(&bytes).await.is_err() || stream.flush().await.is_err() {
                    return;
                }
            }
            Step::Repeat(bytes) => return wire::repeat(stream, &bytes).await,
            Step::Carry(server) => return carry(stream, server, &early).await,
            Step::End(ending) => return wire::end(stream, record, ending).await,
        }
    }
    wire::end(stream, record, Ending::Close).await;
}

async fn carry<S: AsyncRead + AsyncWrite + Unpin>(
    stream: &mut S,
    server: SocketAddr,
    early: &[u8],
) {
    let socket = if server.is_ipv4() { TcpSocket::new_v4() } else { TcpSocket::new_v6() };
    let mut server = socket.expect("a socket").connect(server).await.expect("the server is there");
    server.set_nodelay(true).ok();
    server.write_all(early).await.ok();
    // Its error is an end of one of the two.
    tokio::io::copy_bidirectional(stream, &mut server).await.ok();
}
