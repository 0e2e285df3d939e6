//! What a proxy says, heard from bytes instead of from a connection that may be waited for: what fuzzing enters by.

use std::pin::pin;
use std::task::{Context, Poll, Waker};

use tokio::io::AsyncReadExt as _;
use tokio::time::Instant;

use super::super::stream::{Counted, Counts};
use super::gate::Gate;
use super::reply::Reader;
use super::session::Session;
use super::socks;
use crate::observation::{ProxyFailure, ProxyKind};
use crate::plan::Tunnel;

/// What an answer to CONNECT came to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProxyReply {
    /// Its status and headers, or what it is instead of one.
    pub head: Result<(u16, Vec<(String, String)>), ProxyKind>,
    /// Of a tunnel what came in it already, of a refusal the page, else what was read.
    pub rest: Vec<u8>,
    /// Whether a page was read to its end, and nothing beyond it.
    pub whole: bool,
    /// Whether another request may follow.
    pub persists: bool,
}

/// What SOCKS5 came to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SocksReply {
    /// Nothing where there is a tunnel.
    pub end: Result<(), ProxyFailure>,
    /// What the proxy was told.
    pub sent: Vec<u8>,
    /// How many bytes of it were read.
    pub taken: u64,
}

/// Reads an answer to CONNECT that comes in two pieces, and then ends; none where bytes are waited for
/// that are there.
pub fn proxy_reply(first: &[u8], then: &[u8]) -> Option<ProxyReply> {
    at_once(async {
        let (mut stream, mut reader) = (first.chain(then), Reader::default());
        let head = reader.head(&mut stream).await;
        let (mut whole, mut persists) = (false, false);
        if let Ok(head) = &head {
            persists = head.persists();
            if !(200..300).contains(&head.status) {
                whole = reader.body(&mut stream, head).await;
            }
        }
        let head = head.map(|head| (head.status, head.headers));
        ProxyReply { head, rest: reader.rest().to_vec(), whole, persists }
    })
}

/// Speaks SOCKS5 with a proxy that says these two pieces, whatever it is told, and then ends; none
/// where bytes are waited for that are there.
pub fn socks_reply(tunnel: &Tunnel, first: &[u8], then: &[u8]) -> Option<SocksReply> {
    let (gate, mut sent) = (Gate::default(), Vec::new());
    let mut session = Session::new(tunnel, &gate);
    let counts = Counts::with_limit(socks::LIMIT);
    let stream = tokio::io::join(first.chain(then), &mut sent);
    let mut stream = Counted::new(stream, std::sync::Arc::clone(&counts));
    let end = at_once(socks::exchange(&mut stream, &mut session, None, Instant::now()))?;
    drop(stream);
    let end = end.map_err(socks::End::into_failure);
    Some(SocksReply { end, sent, taken: counts.received() })
}

fn at_once<T>(work: impl Future<Output = T>) -> Option<T> {
    match pin!(work).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(done) => Some(done),
        Poll::Pending => None,
    }
}
