//! One request on a given stream, HTTP/2 or 1.1 as ALPN chose: the answer's head and the first bytes of
//! its body, both bounded; nothing is followed, nothing decompressed.
//!
//! hyper speaks HTTP/1.1. HTTP/2 is h2 itself: hyper's client drops the connection's error, and the request's own
//! often says no more than "canceled". Each connection is driven in the same task and its result kept.

mod body;
mod failure;
mod hold;
mod watch;

use std::future::{Future, poll_fn};
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::Bytes;
use http::{HeaderName, HeaderValue, Request, Version};
use http_body_util::Full;
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::time::error::Elapsed;
use tokio::time::{Instant, timeout_at};

use super::parse;
use super::stream::{Counted, Counts, Listen};
use super::tcp::Gauge;
use crate::observation::{Failure, Framing, HttpKind, Response};
use crate::plan::RequestPlan;
use body::{Body, Reading};
use failure::{End, Stage, Wrong};
pub(super) use hold::hold;
use watch::Watch;

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
pub(super) struct Exchange {
    pub(super) response: Option<Response>,
    /// The bytes of a body that is no text.
    pub(super) bytes: Vec<u8>,
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
    let watch = Watch::new(http2);
    let listener = Arc::clone(&watch) as Arc<dyn Listen>;
    let io = Counted::new(stream, Arc::clone(&counts)).heard_by(listener).reads_on();
    let mut end = End { counts: &counts, watch: &watch, around, http2, tls, stage: Stage::Head };
    let Some(request) = build(plan, tls, http2) else {
        return stopped(end.plain(HttpKind::Other, None, "no such request"));
    };
    if http2 {
        over_http2(plan, io, request, &mut end).await
    } else {
        over_http1(plan, io, request, &mut end).await
    }
}

fn stopped(failure: Failure) -> Exchange {
    Exchange { response: None, bytes: Vec::new(), stop: Some(failure) }
}

/// The library's own beginning, before anything is asked.
async fn ready<T, E: Into<Wrong>>(
    shaken: impl Future<Output = Result<T, E>>,
    end: &End<'_>,
) -> Result<T, Failure> {
    match timeout_at(end.around.deadline, shaken).await {
        Ok(Ok(ready)) => Ok(ready),
        Ok(Err(error)) => Err(end.of(&error.into(), None)),
        Err(_) => Err(end.late()),
    }
}

async fn over_http1<S>(
    plan: &RequestPlan,
    io: Counted<S>,
    request: Request<()>,
    end: &mut End<'_>,
) -> Exchange
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let mut builder = http1::Builder::new();
    let shaken = builder.max_headers(100).max_buf_size(HEAD_LIMIT).handshake(TokioIo::new(io));
    let (mut sender, connection) = match ready(shaken, end).await {
        Ok(shaken) => shaken,
        Err(failure) => return stopped(failure),
    };
    let connection = pin!(async { connection.await.map_err(Wrong::from) });
    let mut driver = Driver::of(connection);
    let body = plan.body.clone().unwrap_or_default();
    let answer = sender.send_request(request.map(|()| Full::new(body)));
    let answer = async { Ok(answer.await?.map(Body::Http1)) };
    let answer = timeout_at(end.around.deadline, driver.drive(answer)).await;
    finish(plan, answer, &mut driver, end).await
}

async fn over_http2<S>(
    plan: &RequestPlan,
    io: Counted<S>,
    request: Request<()>,
    end: &mut End<'_>,
) -> Exchange
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let mut builder = h2::client::Builder::new();
    builder
        .enable_push(false)
        .max_header_list_size(u32::try_from(HEAD_LIMIT).unwrap_or(u32::MAX))
        .initial_window_size(H2_WINDOW)
        .initial_connection_window_size(H2_WINDOW);
    let shaken = builder.handshake::<_, Bytes>(io);
    let (mut sender, connection) = match ready(shaken, end).await {
        Ok(shaken) => shaken,
        Err(failure) => return stopped(failure),
    };
    let connection = pin!(async { connection.await.map_err(Wrong::from) });
    let mut driver = Driver::of(connection);
    let sent = sender.send_request(request, plan.body.is_none());
    let answer = async {
        let (answer, mut stream) = sent?;
        if let Some(body) = &plan.body {
            // It is kept until the peer's window lets it go.
            stream.send_data(body.clone(), true)?;
        }
        Ok(answer.await?.map(Body::Http2))
    };
    let answer = timeout_at(end.around.deadline, driver.drive(answer)).await;
    finish(plan, answer, &mut driver, end).await
}

/// From the head on, the same in both versions.
async fn finish<C>(
    plan: &RequestPlan,
    answer: Result<Result<http::Response<Body>, Wrong>, Elapsed>,
    driver: &mut Driver<'_, C>,
    end: &mut End<'_>,
) -> Exchange
where
    C: Future<Output = Result<(), Wrong>>,
{
    let answer = match answer {
        Ok(Ok(answer)) => answer,
        Ok(Err(error)) => {
            return stopped(end.of(&error, driver.error().await.as_ref()));
        }
        Err(_) => return stopped(end.late()),
    };
    let head_at = Instant::now();
    end.stage = Stage::Body;
    let (head, body) = answer.into_parts();
    let mut response = begun(&head, plan, (end.watch, head_at));
    let usual = if plan.whole_body { BODY_LIMIT } else { BODY_KEPT as u64 };
    let limit = plan.limit.unwrap_or(usual);
    // Chunk framing may be longer than what it frames, but not for ever.
    end.counts.allow_more(limit.saturating_mul(2));
    let mut reading =
        Reading::new(head_at, response.is_event_stream() && response.encoding().is_none());
    let all = plan.file || plan.limit.is_some();
    let kept = if all { usize::try_from(limit).unwrap_or(BODY_KEPT) } else { BODY_KEPT };
    let read = driver.drive(reading.read(body, (limit, kept)));
    let stop = match timeout_at(end.around.deadline, read).await {
        Ok(Ok(())) if plan.whole_body && !reading.whole => {
            Some(end.plain(HttpKind::TooLarge, Some(Framing::EndlessBody), "a body without end"))
        }
        Ok(Ok(())) => unknown_coding(&head, end),
        Ok(Err(error)) => Some(end.of(&error, driver.error().await.as_ref())),
        Err(_) => Some(end.late()),
    };
    response.body_seconds = head_at.elapsed().as_secs_f64();
    response.socket = end.around.gauge.counters();
    let bytes = reading.into_response(&mut response);
    Exchange { response: Some(response), bytes, stop }
}

/// An answer of which the head is there.
fn begun(
    head: &http::response::Parts,
    plan: &RequestPlan,
    (watch, head_at): (&Watch, Instant),
) -> Response {
    let since_sent = |then: Instant| then.saturating_duration_since(watch.sent()).as_secs_f64();
    let headers = head.headers.iter().map(|(name, value)| {
        (name.as_str().to_owned(), String::from_utf8_lossy(value.as_bytes()).into_owned())
    });
    Response {
        status: head.status.as_u16(),
        version: version(head.version).to_owned(),
        headers: headers.collect(),
        keyed: plan.keyed && !plan.secrets.is_empty(),
        first_byte: since_sent(watch.first().unwrap_or(head_at)),
        head_seconds: since_sent(head_at),
        ..Response::default()
    }
}

/// hyper reads on where it does not know a transfer coding; what it then hands over is no content.
fn unknown_coding(head: &http::response::Parts, end: &End<'_>) -> Option<Failure> {
    if end.http2 {
        return None;
    }
    let values = head.headers.get_all(http::header::TRANSFER_ENCODING).iter();
    let framing = parse::transfer_codings(values.map(HeaderValue::as_bytes))?;
    Some(end.plain(HttpKind::Malformed, Some(framing), "a transfer coding that nobody asked for"))
}

fn version(version: Version) -> &'static str {
    match version {
        Version::HTTP_2 => "2",
        Version::HTTP_10 => "1.0",
        _ => "1.1",
    }
}

fn build(plan: &RequestPlan, tls: bool, http2: bool) -> Option<Request<()>> {
    // HTTP/2 wants the whole URI and no Host; HTTP/1.1 the path and a Host (RFC 9113 8.3.1, 9112 3.2).
    let scheme = if tls { "https" } else { "http" };
    let uri = if http2 {
        format!("{scheme}://{}{}", plan.authority, plan.path)
    } else {
        plan.path.clone()
    };
    let mut request = Request::builder().method(plan.method.clone()).uri(uri).body(()).ok()?;
    let headers = request.headers_mut();
    let own = [
        // An answer is evidence, to be read as it came.
        ("accept-encoding", "identity"),
        ("user-agent", concat!("egressd/", env!("CARGO_PKG_VERSION"))),
        ("accept", "application/json, */*"),
    ];
    for (name, value) in own {
        headers.insert(HeaderName::from_static(name), HeaderValue::from_static(value));
    }
    if !http2 {
        headers.insert("host", HeaderValue::try_from(plan.authority.as_str()).ok()?);
    }
    // hyper says the length by itself; over HTTP/2 clients say it too (RFC 9113 8.1.1).
    if let Some(body) = plan.body.as_ref().filter(|_| http2) {
        headers.insert("content-length", HeaderValue::from(body.len()));
    }
    // What is given stands in the place of our own; given twice, it is sent twice.
    for (name, _) in &plan.headers {
        headers.remove(name.as_str());
    }
    for (name, value) in &plan.headers {
        let name = HeaderName::try_from(name.as_str()).ok()?;
        headers.append(name, HeaderValue::try_from(value.as_str()).ok()?);
    }
    for (name, secret) in &plan.secrets {
        let mut value = HeaderValue::try_from(secret.expose()).ok()?;
        value.set_sensitive(true);
        headers.append(HeaderName::try_from(name.as_str()).ok()?, value);
    }
    Some(request)
}

/// A connection that is polled beside whatever uses it.
struct Driver<'a, C> {
    connection: Pin<&'a mut C>,
    over: bool,
    error: Option<Wrong>,
}

impl<'a, C: Future<Output = Result<(), Wrong>>> Driver<'a, C> {
    fn of(connection: Pin<&'a mut C>) -> Self {
        Self { connection, over: false, error: None }
    }

    /// Waits for the work, or for the end of the connection that it works on. h2 ends a connection whose write failed
    /// without a word to its streams (`Connection::poll`), and the work would wait for ever.
    async fn drive<T>(&mut self, work: impl Future<Output = Result<T, Wrong>>) -> Result<T, Wrong> {
        let (mut work, mut last_chance) = (pin!(work), false);
        let done = poll_fn(|context| {
            self.poll(context);
            match work.as_mut().poll(context) {
                Poll::Ready(done) => Poll::Ready(Some(done)),
                Poll::Pending if !self.over => Poll::Pending,
                Poll::Pending if last_chance => Poll::Ready(None),
                // tokio's channels pretend to be empty where a task has run for long.
                Poll::Pending => {
                    last_chance = true;
                    context.waker().wake_by_ref();
                    Poll::Pending
                }
            }
        });
        match done.await {
            Some(done) => done,
            None => Err(self.error.take().unwrap_or(Wrong::Over)),
        }
    }

    /// Waits for the end of the connection.
    async fn ended(&mut self) {
        poll_fn(|context| {
            self.poll(context);
            if self.over { Poll::Ready(()) } else { Poll::Pending }
        })
        .await;
    }

    /// The connection's own error, if it has one by now.
    async fn error(&mut self) -> Option<Wrong> {
        poll_fn(|context| {
            self.poll(context);
            Poll::Ready(())
        })
        .await;
        self.error.take()
    }

    fn poll(&mut self, context: &mut Context<'_>) {
        if !self.over
            && let Poll::Ready(result) = self.connection.as_mut().poll(context)
        {
            self.over = true;
            self.error = result.err();
        }
    }
}
