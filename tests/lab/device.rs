//! Two servers of the lab's own: the device on the router that ends TLS, and a SOCKS proxy that misbehaves.

use std::collections::HashMap;
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};

use rustls::ClientConfig;
use rustls::crypto::aws_lc_rs;
use rustls::pki_types::ServerName;
use rustls::server::Acceptor;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _, ReadBuf};
use tokio::net::{TcpSocket, TcpStream};
use tokio_rustls::client::TlsStream;
use tokio_rustls::{TlsAcceptor, TlsConnector};

use super::draw::Facts;
use super::servers::{Authorities, ending, http};
use super::words::{Answer, Certificate, End, Issuer, OurSocks, Then};
use crate::support::Journal;
use crate::support::http::{self as web, Protocol};
use crate::support::pki::Leaf;
use crate::support::wire::{self, Server, Wire};

/// Where names lead; the empty one is for all others.
pub(crate) type Leads = HashMap<String, SocketAddr>;

/// The device: what it ends TLS for, with whose certificates, and what then.
#[derive(Debug)]
pub(crate) struct Device {
    pub(crate) only: Option<Vec<String>>,
    pub(crate) certificate: Certificate,
    pub(crate) then: Then,
    pub(crate) authorities: Arc<Authorities>,
    pub(crate) facts: Facts,
    pub(crate) leads: Leads,
    pub(crate) made: Mutex<HashMap<String, Arc<Leaf>>>,
}

impl Device {
    /// Call this on the host where it is to be.
    pub(crate) fn start(self, at: SocketAddr) -> Server {
        let device = Arc::new(self);
        Server::start(at, move |wire| {
            let device = Arc::clone(&device);
            // How a stream ended is for the client to say.
            async move { drop(device.serve(wire).await) }
        })
    }

    async fn serve(&self, mut wire: Wire) -> io::Result<()> {
        let Some((early, name, alpn)) = hello(&mut wire).await else {
            wire::settle(wire).await;
            return Ok(());
        };
        let stream = Replayed { early, wire };
        if self.only.as_ref().is_some_and(|only| !only.contains(&name)) {
            return self.pass(stream, &name).await;
        }
        match &self.then {
            Then::End(end) => stop(stream.wire, b"", *end).await,
            Then::Alert(code) => stop(stream.wire, &alert(*code), End::Close).await,
            Then::Plain(text) => {
                stop(stream.wire, self.facts.fill(text).as_bytes(), End::Close).await;
            }
            Then::Answer(answer) => self.answer(stream, (&name, &self.certificate), answer).await?,
            Then::Forward => self.forward(stream, &name, (alpn, &[])).await?,
            Then::Strip(fields) => {
                self.forward(stream, &name, (vec![b"http/1.1".to_vec()], fields)).await?;
            }
            Then::Cut { after, then } => self.cut(stream, &name, (*after, *then)).await?,
            Then::CutUpload { after, then } => {
                self.cut_upload(stream, &name, (*after, *then)).await?;
            }
            Then::Refuse { larger_than, in_segments, offers_13: newest, end, alert: code } => {
                let size = u64::try_from(stream.early.len()).expect("a few kilobytes");
                let meant = larger_than.is_none_or(|limit| size > limit)
                    && (!in_segments || stream.wire.segments() > 1)
                    && (!newest || offers_13(&stream.early));
                if !meant {
                    return self.pass(stream, &name).await;
                }
                let bytes = code.map(alert).unwrap_or_default();
                stop(stream.wire, &bytes, end.unwrap_or(End::Close)).await;
            }
            Then::Verify { trusts, answer } => {
                let issuer = Issuer::Untrusted;
                let untrusted = Certificate { issuer, ..Certificate::default() };
                match (self.secured(&name, (alpn, *trusts)).await, answer) {
                    (Ok(upstream), _) => {
                        self.join(stream, (&name, &self.certificate), upstream).await?;
                    }
                    (Err(_), Some(answer)) => {
                        self.answer(stream, (&name, &self.certificate), answer).await?;
                    }
                    (Err(_), None) => {
                        self.answer(stream, (&name, &untrusted), &Answer::Api).await?;
                    }
                }
            }
            Then::ClientCertificate => self.ask_for_certificate(stream, &name, alpn).await?,
        }
        Ok(())
    }

    /// Two connections, of which the client's wants a certificate.
    async fn ask_for_certificate(
        &self,
        stream: Replayed,
        name: &str,
        alpn: Vec<Vec<u8>>,
    ) -> io::Result<()> {
        let mut upstream = self.secured(name, (alpn, Issuer::Public)).await?;
        let agreed: Vec<&[u8]> = upstream.get_ref().1.alpn_protocol().into_iter().collect();
        let clients = Some(&self.authorities.organisation);
        let leaf = self.leaf(name, &self.certificate);
        let config = leaf.server_config_with(&agreed, rustls::ALL_VERSIONS, clients);
        let mut stream = TlsAcceptor::from(config).accept(stream).await?;
        tokio::io::copy_bidirectional(&mut stream, &mut upstream).await.map(drop)
    }

    async fn answer(
        &self,
        stream: Replayed,
        (name, certificate): (&str, &Certificate),
        answer: &Answer,
    ) -> io::Result<()> {
        let record = stream.wire.record();
        let behaviour = http(answer, &self.facts);
        let config = self.leaf(name, certificate).server_config(&behaviour.alpn());
        let mut stream = TlsAcceptor::from(config).accept(stream).await?;
        let protocol = Protocol::from_alpn(stream.get_ref().1.alpn_protocol());
        let seen = Journal::new();
        web::serve(&mut stream, &record, protocol, &behaviour, &seen).await;
        wire::settle(stream.into_inner().0.wire).await;
        Ok(())
    }

    /// As if it were not there.
    async fn pass(&self, mut stream: Replayed, name: &str) -> io::Result<()> {
        let mut upstream = self.dial(name).await?;
        tokio::io::copy_bidirectional(&mut stream, &mut upstream).await.map(drop)
    }

    /// As if it were not there, until the server has said so many bytes.
    async fn cut(&self, stream: Replayed, name: &str, (after, then): (u64, End)) -> io::Result<()> {
        let upstream = self.dial(name).await?;
        let record = stream.wire.record();
        let (mut from_client, mut to_client) = tokio::io::split(stream);
        let (from_server, mut to_server) = tokio::io::split(upstream);
        let mut limited = from_server.take(after);
        tokio::select! {
            _ = tokio::io::copy(&mut from_client, &mut to_server) => return Ok(()),
            _ = tokio::io::copy(&mut limited, &mut to_client) => {}
        }
        if limited.limit() == 0 {
            let mut stream = from_client.unsplit(to_client);
            wire::end(&mut stream.wire, &record, ending(then)).await;
            wire::settle(stream.wire).await;
        }
        Ok(())
    }

    /// As if it were not there, until the client has said so many bytes.
    async fn cut_upload(
        &self,
        stream: Replayed,
        name: &str,
        (after, then): (u64, End),
    ) -> io::Result<()> {
        let upstream = self.dial(name).await?;
        let record = stream.wire.record();
        let (from_client, mut to_client) = tokio::io::split(stream);
        let (mut from_server, mut to_server) = tokio::io::split(upstream);
        let mut limited = from_client.take(after);
        tokio::select! {
            _ = tokio::io::copy(&mut limited, &mut to_server) => {}
            _ = tokio::io::copy(&mut from_server, &mut to_client) => return Ok(()),
        }
        if limited.limit() == 0 {
            let mut stream = limited.into_inner().unsplit(to_client);
            wire::end(&mut stream.wire, &record, ending(then)).await;
            wire::settle(stream.wire).await;
        }
        Ok(())
    }

    /// Two connections, and what is said in one is said in the other, but for these fields of the request.
    async fn forward(
        &self,
        stream: Replayed,
        name: &str,
        (alpn, without): (Vec<Vec<u8>>, &[String]),
    ) -> io::Result<()> {
        let mut upstream = self.secured(name, (alpn, Issuer::Public)).await?;
        if without.is_empty() {
            return self.join(stream, (name, &self.certificate), upstream).await;
        }
        let config = self.leaf(name, &self.certificate).server_config(&[b"http/1.1"]);
        let mut stream = TlsAcceptor::from(config).accept(stream).await?;
        let Some((head, early)) = wire::read_head(&mut stream).await else { return Ok(()) };
        let kept = head.split_inclusive("\r\n").filter(|line| {
            let field = line.split(':').next().unwrap_or_default();
            !without.iter().any(|gone| gone.eq_ignore_ascii_case(field))
        });
        upstream.write_all(kept.collect::<String>().as_bytes()).await?;
        upstream.write_all(&early).await?;
        tokio::io::copy_bidirectional(&mut stream, &mut upstream).await.map(drop)
    }

    /// Carries on, under a certificate of its own.
    async fn join(
        &self,
        stream: Replayed,
        (name, certificate): (&str, &Certificate),
        mut upstream: TlsStream<TcpStream>,
    ) -> io::Result<()> {
        let agreed: Vec<&[u8]> = upstream.get_ref().1.alpn_protocol().into_iter().collect();
        let config = self.leaf(name, certificate).server_config(&agreed);
        let mut stream = TlsAcceptor::from(config).accept(stream).await?;
        tokio::io::copy_bidirectional(&mut stream, &mut upstream).await.map(drop)
    }

    /// TLS with the true server, whose certificate has to be of that authority.
    async fn secured(
        &self,
        name: &str,
        (alpn, trusts): (Vec<Vec<u8>>, Issuer),
    ) -> io::Result<TlsStream<TcpStream>> {
        let to = ServerName::try_from(name.to_owned()).map_err(io::Error::other)?;
        let upstream = self.dial(name).await?;
        let connector = TlsConnector::from(self.client_config(alpn, trusts));
        connector.connect(to, upstream).await
    }

    async fn dial(&self, name: &str) -> io::Result<TcpStream> {
        let to = self.leads.get(name).or(self.leads.get("")).copied();
        dial(to.ok_or(io::ErrorKind::NotFound)?).await
    }

    fn client_config(&self, alpn: Vec<Vec<u8>>, trusts: Issuer) -> Arc<ClientConfig> {
        let roots = self.authorities.of(trusts).roots();
        let provider = Arc::new(aws_lc_rs::default_provider());
        let mut config = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .expect("its own versions")
            .with_root_certificates(roots)
            .with_no_client_auth();
        config.alpn_protocols = alpn;
        Arc::new(config)
    }

    fn leaf(&self, name: &str, certificate: &Certificate) -> Arc<Leaf> {
        let mut made = self.made.lock().expect("no panic while locked");
        let make = || Arc::new(self.authorities.leaf(certificate, &self.facts, &[name]));
        Arc::clone(made.entry(name.to_owned()).or_insert_with(make))
    }
}

/// The bytes of a `ClientHello`, its name and its protocols.
async fn hello(wire: &mut Wire) -> Option<(Vec<u8>, String, Vec<Vec<u8>>)> {
    let (mut early, mut acceptor) = (Vec::new(), Acceptor::default());
    loop {
        let before = early.len();
        if wire.read_buf(&mut early).await.ok()? == 0 {
            return None;
        }
        acceptor.read_tls(&mut &early[before..]).ok()?;
        if let Some(accepted) = acceptor.accept().ok()? {
            let hello = accepted.client_hello();
            let name = hello.server_name().unwrap_or_default().to_owned();
            let alpn = hello.alpn().into_iter().flatten().map(<[u8]>::to_vec).collect();
            return Some((early, name, alpn));
        }
    }
}

async fn stop(mut wire: Wire, bytes: &[u8], end: End) {
    let record = wire.record();
    wire.write_all(bytes).await.ok();
    wire::end(&mut wire, &record, ending(end)).await;
    wire::settle(wire).await;
}

/// A fatal one.
fn alert(code: u8) -> Vec<u8> {
    vec![0x15, 3, 3, 0, 2, 2, code]
}

/// The extension `supported_versions` (RFC 8446 4.2.1), with 1.3 in it.
fn offers_13(hello: &[u8]) -> bool {
    hello.windows(5).enumerate().any(|(place, five)| {
        let versions = usize::from(five[4]);
        five[..3] == [0, 0x2b, 0]
            && five[3] == five[4].wrapping_add(1)
            && hello[place + 5..].chunks(2).take(versions / 2).any(|version| version == [3, 4])
    })
}

async fn dial(to: SocketAddr) -> io::Result<TcpStream> {
    let socket = if to.is_ipv4() { TcpSocket::new_v4()? } else { TcpSocket::new_v6()? };
    let stream = socket.connect(to).await?;
    stream.set_nodelay(true)?;
    Ok(stream)
}

/// A stream of which some was read already.
struct Replayed {
    early: Vec<u8>,
    wire: Wire,
}

impl AsyncRead for Replayed {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if self.early.is_empty() {
            return Pin::new(&mut self.wire).poll_read(context, buffer);
        }
        let count = buffer.remaining().min(self.early.len());
        buffer.put_slice(&self.early[..count]);
        self.early.drain(..count);
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Replayed {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.wire).poll_write(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.wire).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.wire).poll_shutdown(context)
    }
}

/// A SOCKS5 proxy without logins (RFC 1928) that answers as it is told to.
pub(crate) fn socks(at: SocketAddr, words: OurSocks, leads: Leads) -> Server {
    let shared = Arc::new((words, leads));
    Server::start(at, move |mut wire| {
        let shared = Arc::clone(&shared);
        async move {
            serve_socks(&mut wire, &shared.0, &shared.1).await.ok();
            wire::settle(wire).await;
        }
    })
}

async fn serve_socks(wire: &mut Wire, words: &OurSocks, leads: &Leads) -> io::Result<()> {
    if let Some(raw) = &words.raw {
        return wire.write_all(raw.as_bytes()).await;
    }
    let mut greeting = [0; 2];
    wire.read_exact(&mut greeting).await?;
    wire.read_exact(&mut vec![0; greeting[1].into()]).await?;
    if words.silent {
        wire::drain(wire).await;
        return Ok(());
    }
    let method = words.method.unwrap_or(0);
    wire.write_all(&[5, method]).await?;
    if method != 0 {
        return Ok(());
    }
    let name = asked_for(wire).await?;
    let code = words.names.get(&name).copied().unwrap_or(words.reply);
    let upstream = match (code, leads.get(&name)) {
        (0, Some(to)) => dial(*to).await.map_err(|_unreachable| 5),
        (0, None) => Err(4),
        (code, _) => Err(code),
    };
    let code = upstream.as_ref().map_or_else(|code| *code, |_| 0);
    wire.write_all(&[5, code, 0, 1, 0, 0, 0, 0, 0, 0]).await?;
    match upstream {
        Ok(mut upstream) => tokio::io::copy_bidirectional(wire, &mut upstream).await.map(drop),
        Err(_) => Ok(()),
    }
}

/// The name or the address of a request.
async fn asked_for(wire: &mut Wire) -> io::Result<String> {
    let mut head = [0; 4];
    wire.read_exact(&mut head).await?;
    let length = match head[3] {
        1 => 4,
        3 => wire.read_u8().await?.into(),
        _ => 16,
    };
    let mut name = vec![0; length];
    wire.read_exact(&mut name).await?;
    wire.read_u16().await?;
    Ok(match <[u8; 4]>::try_from(name.as_slice()) {
        Ok(octets) if head[3] == 1 => std::net::Ipv4Addr::from(octets).to_string(),
        _ => String::from_utf8_lossy(&name).into_owned(),
    })
}
