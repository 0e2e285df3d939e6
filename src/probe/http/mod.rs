//! One request on a given stream, HTTP/2 or 1.1 as ALPN chose: the answer's head and the first bytes of
//! its body, both bounded; nothing is followed, nothing decompressed.
//!
//! hyper speaks the protocol. Its connection is driven in the same task and its result kept, since on
//! HTTP/2 the request's own error often says no more than "canceled".

mod failure;

use std::future::{Future, poll_fn};
use std::pin::{Pin, pin};
use std::sync::{Arc, Mutex};
use std::task::Poll;

use bytes::Bytes;
use http::{HeaderValue, Method, Request, Version};
use http_body_util::{BodyExt as _, Empty};
use hyper::body::{Body as _, Incoming};
use hyper::client::conn::{http1, http2};
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::task::JoinSet;
use tokio::time::{Instant, timeout_at};

use super::stream::{Counted, Counts};
use super::tcp::Gauge;
use crate::observation::{Failure, HttpKind, Parts, Response};
use crate::plan::RequestPlan;
use failure::{End, Stage};

/// A response head at most, HTTP/1.1 and 2 alike.
const HEAD_LIMIT: usize = 16 * 1024;
/// Interim answers and framing before the final head, at most.
const HEAD_SLACK: u64 = 16 * 1024;
/// HTTP/2 lets a peer send this much of a body before it is asked for (RFC 9113 6.9.2).
const H2_WINDOW: u32 = 64 * 1024;
/// Bytes of a body that are kept.
const BODY_KEPT: usize = 64 * 1024;
/// Bytes of a body that are read where only the whole of it can be understood.
const BODY_LIMIT: u64 = 1024 * 1024;

/// What the request brought: a response, complete or not, and what ended it.
#[derive(Default)]
pub(super) struct Exchange {
    pub(super) response: Option<Response>,
    /// The kept bytes of the body, as they came.
    pub(super) body: Vec<u8>,
    pub(super) stop: Option<Failure>,
}

/// What the classification needs beside the error.
pub(super) struct Around<'a> {
    pub(super) gauge: &'a Gauge,
    pub(super) deadline: Instant,
    /// Whether the handshake saw a request for a client certificate.
    pub(super) asked: bool,
}

/// Sends the request and reads the answer.
pub(super) async fn request<S>(
    plan: &RequestPlan,
    stream: S,
    (tls, http2): (bool, bool),
    around: &Around<'_>,
) -> Exchange
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let slack = if http2 { HEAD_SLACK + 2 * u64::from(H2_WINDOW) } else { HEAD_SLACK };
    let counts = Counts::with_limit(HEAD_LIMIT as u64 + slack);
    let io = TokioIo::new(Counted::new(stream, Arc::clone(&counts)));
    let mut end = End { counts: &counts, around, http2, stage: Stage::Head };
    let Some(request) = build(plan, tls, http2) else {
        return Exchange {
            stop: Some(end.plain(HttpKind::Other, "no such request")),
            ..Exchange::default()
        };
    };
    if http2 {
        let shaken = http2::Builder::new(Tasks::default())
            .max_header_list_size(u32::try_from(HEAD_LIMIT).unwrap_or(u32::MAX))
            .initial_stream_window_size(H2_WINDOW)
            .initial_connection_window_size(H2_WINDOW)
            .handshake::<_, Empty<Bytes>>(io);
        converse(plan, shaken, |sender| sender.send_request(request), &mut end).await
    } else {
        let shaken = http1::Builder::new().max_headers(100).max_buf_size(HEAD_LIMIT).handshake(io);
        converse(plan, shaken, |sender| sender.send_request(request), &mut end).await
    }
}

/// The exchange itself, the same in both versions.
async fn converse<S, C, A>(
    plan: &RequestPlan,
    shaken: impl Future<Output = hyper::Result<(S, C)>>,
    send: impl FnOnce(&mut S) -> A,
    end: &mut End<'_>,
) -> Exchange
where
    C: Future<Output = hyper::Result<()>>,
    A: Future<Output = hyper::Result<http::Response<Incoming>>>,
{
    let started = Instant::now();
    match timeout_at(end.around.deadline, shaken).await {
        Ok(Ok((mut sender, connection))) => {
            let mut driver = Driver { connection: pin!(connection), ended: None };
            let answer = driver.drive(send(&mut sender));
            let answer = timeout_at(end.around.deadline, answer).await;
            finish(plan, answer, &mut driver, (end, started)).await
        }
        Ok(Err(error)) => Exchange { stop: Some(end.of(&error, None)), ..Exchange::default() },
        Err(_) => Exchange { stop: Some(end.late()), ..Exchange::default() },
    }
}

type Answered = Result<hyper::Result<http::Response<Incoming>>, tokio::time::error::Elapsed>;

async fn finish<C>(
    plan: &RequestPlan,
    answer: Answered,
    driver: &mut Driver<'_, C>,
    (end, started): (&mut End<'_>, Instant),
) -> Exchange
where
    C: Future<Output = hyper::Result<()>>,
{
    let answer = match answer {
        Ok(Ok(answer)) => answer,
        Ok(Err(error)) => {
            let stop = end.of(&error, driver.result().await.as_ref());
            return Exchange { stop: Some(stop), ..Exchange::default() };
        }
        Err(_) => return Exchange { stop: Some(end.late()), ..Exchange::default() },
    };
    let first_byte = started.elapsed().as_secs_f64();
    end.stage = Stage::Body;
    let (head, body) = answer.into_parts();
    let limit = if plan.whole_body { BODY_LIMIT } else { BODY_KEPT as u64 };
    // Chunk framing may be longer than what it frames, but not for ever.
    end.counts.allow_more(limit.saturating_mul(2));
    let mut reading = Reading { kept: Vec::new(), length: 0, whole: false };
    let read = read_body(body, &mut reading, limit);
    let read = timeout_at(end.around.deadline, driver.drive(read)).await;
    let stop = match read {
        Ok(Ok(())) if plan.whole_body && !reading.whole => {
            Some(end.plain(HttpKind::TooLarge, "a body without end"))
        }
        Ok(Ok(())) => None,
        Ok(Err(error)) => Some(end.of(&error, driver.result().await.as_ref())),
        Err(_) => Some(end.late()),
    };
    let response = Response {
        status: head.status.as_u16(),
        version: version(head.version).to_owned(),
        headers: head
            .headers
            .iter()
            .map(|(name, value)| {
                (name.as_str().to_owned(), String::from_utf8_lossy(value.as_bytes()).into_owned())
            })
            .collect(),
        body: String::from_utf8_lossy(&reading.kept).into_owned(),
        length: reading.length,
        whole: reading.whole,
        keyed: plan.key.is_some(),
        first_byte,
        body_seconds: started.elapsed().as_secs_f64() - first_byte,
        parts: Parts::default(),
        socket: None,
    };
    Exchange { response: Some(response), body: reading.kept, stop }
}

struct Reading {
    kept: Vec<u8>,
    length: u64,
    whole: bool,
}

async fn read_body(mut body: Incoming, reading: &mut Reading, limit: u64) -> hyper::Result<()> {
    while let Some(frame) = body.frame().await {
        let frame = frame?;
        let Some(data) = frame.data_ref() else { continue };
        reading.length += data.len() as u64;
        let room = BODY_KEPT.saturating_sub(reading.kept.len());
        reading.kept.extend(data.iter().take(room));
        if reading.length >= limit {
            reading.whole = body.is_end_stream();
            return Ok(());
        }
    }
    reading.whole = true;
    Ok(())
}

fn version(version: Version) -> &'static str {
    match version {
        Version::HTTP_2 => "2",
        Version::HTTP_10 => "1.0",
        _ => "1.1",
    }
}

fn build(plan: &RequestPlan, tls: bool, http2: bool) -> Option<Request<Empty<Bytes>>> {
    // HTTP/2 wants the whole URI and no Host; HTTP/1.1 the path and a Host (RFC 9113 8.3.1, 9112 3.2).
    let scheme = if tls { "https" } else { "http" };
    let uri = if http2 {
        format!("{scheme}://{}{}", plan.authority, plan.path)
    } else {
        plan.path.clone()
    };
    let mut request = Request::builder()
        .method(Method::GET)
        .uri(uri)
        .header("accept", "application/json, */*")
        .header("user-agent", concat!("egressd/", env!("CARGO_PKG_VERSION")));
    if !http2 {
        request = request.header("host", plan.authority.as_str());
    }
    for (name, value) in &plan.headers {
        request = request.header(*name, *value);
    }
    if let Some((name, prefix, key)) = &plan.key {
        let mut value = HeaderValue::try_from(format!("{prefix}{}", key.expose())).ok()?;
        value.set_sensitive(true);
        request = request.header(*name, value);
    }
    request.body(Empty::new()).ok()
}

/// A connection that is polled beside whatever uses it.
struct Driver<'a, C> {
    connection: Pin<&'a mut C>,
    ended: Option<hyper::Result<()>>,
}

impl<C: Future<Output = hyper::Result<()>>> Driver<'_, C> {
    async fn drive<F: Future>(&mut self, work: F) -> F::Output {
        let mut work = pin!(work);
        poll_fn(|context| {
            if self.ended.is_none()
                && let Poll::Ready(result) = self.connection.as_mut().poll(context)
            {
                self.ended = Some(result);
            }
            work.as_mut().poll(context)
        })
        .await
    }

    /// The connection's own error, if it has one by now.
    async fn result(&mut self) -> Option<hyper::Error> {
        self.drive(std::future::ready(())).await;
        self.ended.take().and_then(Result::err)
    }
}

/// The helpers of an HTTP/2 connection, owned: they end with it.
#[derive(Clone, Default)]
struct Tasks(Arc<Mutex<JoinSet<()>>>);

impl<F> hyper::rt::Executor<F> for Tasks
where
    F: Future + Send + 'static,
    F::Output: Send,
{
    fn execute(&self, future: F) {
        if let Ok(mut tasks) = self.0.lock() {
            tasks.spawn(async move {
                future.await;
            });
        }
    }
}
