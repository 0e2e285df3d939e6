//! The tunnel through a proxy: CONNECT or SOCKS5 on a connection that is made, with the login that it
//! asks for.
//!
//! A login is sent only where the proxy asks for it, only by the configured scheme, and not again while
//! the proxy has rejected it (`gate`).

pub(super) mod challenge;
mod connect;
mod digest;
mod gate;
#[cfg(feature = "kerberos")]
mod gssapi;
pub(super) mod heard;
#[cfg_attr(
    not(any(feature = "ntlm", feature = "kerberos")),
    expect(dead_code, reason = "of the schemes that are left none takes two steps")
)]
mod login;
#[cfg(feature = "ntlm")]
pub(super) mod ntlm;
mod reply;
mod session;
mod socks;
#[cfg(feature = "kerberos")]
mod ticket;

use std::net::IpAddr;
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite};
use tokio::time::Instant;

use super::stream::{Counted, Counts};
use super::tcp::Gauge;
use super::tls;
use crate::observation::{Failure, ProxyFailure, ProxyKind, TlsFailure, TlsKind, Tunnelled};
pub(super) use gate::Gate;
pub(super) use session::Session;

/// How long a refusal's body is waited for, and what more there is of what is no answer: without a
/// length, on a connection that stays open, it would take the whole trip.
const PATIENCE: Duration = Duration::from_secs(1);

/// What one connection to a proxy came to.
enum Opened {
    /// It leads on.
    Tunnel(Tunnelled),
    /// The same again, on a new connection.
    Again,
    /// Nothing.
    Not(ProxyFailure),
}

/// What a connection to a proxy is used with.
pub(super) struct Around<'a> {
    pub(super) counts: &'a Counts,
    pub(super) gauge: &'a Gauge,
    pub(super) deadline: Instant,
    /// The target's address, where the proxy is to be told that instead of the name.
    pub(super) address: Option<IpAddr>,
}

/// Asks for the tunnel; none where the same is to be tried on a new connection.
pub(super) async fn tunnel<S>(
    stream: &mut Counted<S>,
    session: &mut Session<'_>,
    around: &Around<'_>,
) -> Result<Option<Tunnelled>, Failure>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let Around { counts, gauge, deadline, address } = around;
    session.begin();
    let opened = if session.proxy().spoken.is_socks() {
        socks::open(stream, session, (counts, *deadline), *address).await
    } else {
        connect::open(stream, session, counts, *deadline).await
    };
    match opened {
        Opened::Again => Ok(None),
        Opened::Tunnel(tunnelled) => Ok(Some(Tunnelled {
            seconds: session.took().as_secs_f64(),
            login: session.login().clone(),
            socket: gauge.counters(),
            ..tunnelled
        })),
        Opened::Not(failure) => {
            session.in_vain();
            let failure = of_tls(failure, session, around);
            let socket = gauge.counters();
            Err(Failure::Proxy(ProxyFailure { socket, ..session.told(failure) }))
        }
    }
}

/// In TLS 1.3 a proxy refuses a missing client certificate only after our part of the handshake (RFC
/// 8446 4.4.2.4): what ends then, instead of an answer, is still that handshake.
fn of_tls(failure: ProxyFailure, session: &Session<'_>, around: &Around<'_>) -> ProxyFailure {
    let Some(error) = around.counts.refusal().filter(|_| failure.status.is_none()) else {
        return failure;
    };
    let inner = TlsFailure {
        socket: around.gauge.counters(),
        received: around.counts.received(),
        ..TlsFailure::new(TlsKind::Other)
    };
    let inner = Failure::Tls(tls::of_rustls(&error, inner, session.was_asked()));
    ProxyFailure { inner: Some(Box::new(inner)), ..ProxyFailure::new(ProxyKind::Tls) }
}
