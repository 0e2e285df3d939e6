//! SOCKS5 (RFC 1928), with name and password (RFC 1929) where the proxy asks for them.

use std::net::IpAddr;

use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::time::{Instant, timeout_at};
use url::Host;
use zeroize::Zeroizing;

use super::super::stream::{Counted, Counts};
use super::reply::{escaped, of_io};
use super::session::{Answer, Session};
use super::{Opened, PATIENCE};
use crate::observation::{Login, ProxyFailure, ProxyKind, Tunnelled};

/// Everything that a proxy may say in a sound exchange is shorter.
pub(super) const LIMIT: u64 = 1024;

const VERSION: u8 = 5;
const NO_LOGIN: u8 = 0;
const PASSWORD: u8 = 2;
const NONE_OF_THESE: u8 = 0xff;

/// How an exchange ended early.
pub(super) enum End {
    /// In this way, after these bytes.
    Kind(ProxyKind),
    /// No login that it takes.
    Login,
    /// With this reply.
    Reply(u8),
}

impl End {
    /// What is found.
    pub(super) fn into_failure(self) -> ProxyFailure {
        match self {
            Self::Kind(kind) => ProxyFailure::new(kind),
            Self::Login => ProxyFailure::new(ProxyKind::Auth),
            Self::Reply(reply) => {
                ProxyFailure { socks: Some(reply), ..ProxyFailure::new(ProxyKind::Status) }
            }
        }
    }
}

impl From<std::io::Error> for End {
    fn from(error: std::io::Error) -> Self {
        Self::Kind(of_io(&error))
    }
}

/// Asks for the tunnel on one connection; to this address, where one is given, else to the name.
pub(super) async fn open<S>(
    stream: &mut Counted<S>,
    session: &mut Session<'_>,
    (counts, deadline): (&Counts, Instant),
    address: Option<IpAddr>,
) -> Opened
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    counts.begin_stage(LIMIT);
    let end = timeout_at(deadline, exchange(stream, session, address, deadline)).await;
    let end = match end {
        Ok(Ok(())) => return Opened::Tunnel(Tunnelled::default()),
        Ok(Err(end)) => end,
        Err(_) => End::Kind(ProxyKind::Timeout),
    };
    // What it answered says all there is; of what is no answer the bytes do.
    let answered = !matches!(end, End::Kind(_));
    let failure = end.into_failure();
    if answered {
        return Opened::Not(failure);
    }
    // After a login nothing more is kept: a port that sends everything back would have it in there.
    if failure.kind == ProxyKind::NotAProxy && !matches!(session.login(), Login::Sent(_)) {
        hear_out(stream, deadline).await;
    }
    Opened::Not(ProxyFailure { body: escaped(&counts.first()), ..failure })
}

/// Two bytes do not show what it is that answers, and what more it said is there already.
async fn hear_out<S: AsyncRead + Unpin>(stream: &mut Counted<S>, deadline: Instant) {
    let mut more = [0_u8; 64];
    // Whatever ends it, what came is counted.
    timeout_at(deadline.min(Instant::now() + PATIENCE), stream.read(&mut more)).await.ok();
}

pub(super) async fn exchange<S>(
    stream: &mut Counted<S>,
    session: &mut Session<'_>,
    address: Option<IpAddr>,
    deadline: Instant,
) -> Result<(), End>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let methods: &[u8] = if session.has_password() { &[NO_LOGIN, PASSWORD] } else { &[NO_LOGIN] };
    let count = u8::try_from(methods.len()).unwrap_or_default();
    send(stream, &[&[VERSION, count], methods].concat()).await?;
    match read(stream).await? {
        [VERSION, NO_LOGIN] => {}
        [VERSION, PASSWORD] if session.has_password() => log_in(stream, session, deadline).await?,
        // Some that have users do not look at what is offered.
        [VERSION, PASSWORD] => {
            session.asked_for_password();
            return Err(End::Login);
        }
        [VERSION, NONE_OF_THESE] => {
            // RFC 1928 3: what it would take is not said.
            if session.has_password() {
                session.not_offered();
            } else {
                session.asked_for_password();
            }
            return Err(End::Login);
        }
        _ => return Err(End::Kind(ProxyKind::NotAProxy)),
    }
    send(stream, &request(session, address)).await?;
    answer(stream).await
}

/// RFC 1929 2. The answer's first byte is 1 by the standard, and 5 in some programs.
async fn log_in<S>(
    stream: &mut Counted<S>,
    session: &mut Session<'_>,
    deadline: Instant,
) -> Result<(), End>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    session.asked_for_password();
    let message = match session.password(deadline).await {
        Ok((name, password)) => login(name, password),
        Err(Answer::Busy) => return Err(End::Kind(ProxyKind::Timeout)),
        Err(_) => return Err(End::Login),
    };
    send(stream, &message).await?;
    drop(message);
    match read(stream).await? {
        [1 | VERSION, 0] => {
            session.let_through();
            Ok(())
        }
        [1 | VERSION, _] => {
            session.turned_away();
            Err(End::Login)
        }
        _ => Err(End::Kind(ProxyKind::NotAProxy)),
    }
}

/// The message of a login (RFC 1929 2); both texts are of 1 to 255 bytes.
fn login(name: &str, password: &str) -> Zeroizing<Vec<u8>> {
    let mut message = Zeroizing::new(vec![1]);
    for text in [name, password] {
        message.push(u8::try_from(text.len()).unwrap_or(u8::MAX));
        message.extend(text.bytes());
    }
    message
}

/// RFC 1928 4: CONNECT to an address, or to a name that the proxy resolves.
fn request(session: &Session<'_>, address: Option<IpAddr>) -> Vec<u8> {
    let (host, port) = session.destination();
    let mut request = vec![VERSION, 1, 0];
    let literal = match (address, host) {
        (Some(address), _) => Some(address),
        (None, Host::Ipv4(address)) => Some(IpAddr::V4(*address)),
        (None, Host::Ipv6(address)) => Some(IpAddr::V6(*address)),
        (None, Host::Domain(name)) => {
            // A name that DNS can have is no longer than 253 bytes.
            request.push(3);
            request.push(u8::try_from(name.len()).unwrap_or(u8::MAX));
            request.extend(name.bytes().take(usize::from(u8::MAX)));
            None
        }
    };
    match literal {
        Some(IpAddr::V4(address)) => {
            request.push(1);
            request.extend(address.octets());
        }
        Some(IpAddr::V6(address)) => {
            request.push(4);
            request.extend(address.octets());
        }
        None => {}
    }
    request.extend(port.to_be_bytes());
    request
}

/// RFC 1928 6. The bound address says nothing, but is read to its end: the tunnel begins behind it.
async fn answer<S>(stream: &mut Counted<S>) -> Result<(), End>
where
    S: AsyncRead + Unpin,
{
    let [version, reply] = read(stream).await?;
    if version != VERSION {
        return Err(End::Kind(ProxyKind::NotAProxy));
    }
    // Some programs close right after a refusal's first bytes.
    if reply != 0 {
        return Err(End::Reply(reply));
    }
    let [_, kind] = read(stream).await?;
    let length = match kind {
        1 => 4,
        4 => 16,
        3 => {
            let [length] = read(stream).await?;
            usize::from(length)
        }
        _ => return Err(End::Kind(ProxyKind::NotAProxy)),
    };
    let mut bound = vec![0_u8; length + 2];
    stream.read_exact(&mut bound).await?;
    Ok(())
}

async fn send<S: AsyncWrite + Unpin>(stream: &mut S, bytes: &[u8]) -> Result<(), End> {
    stream.write_all(bytes).await?;
    Ok(stream.flush().await?)
}

async fn read<const N: usize, S: AsyncRead + Unpin>(stream: &mut S) -> Result<[u8; N], End> {
    let mut bytes = [0_u8; N];
    stream.read_exact(&mut bytes).await?;
    Ok(bytes)
}
