//! Unsound answers over HTTP/1.1, written byte by byte. One table says what each behaviour sends and how it goes on from there.

use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};

use super::super::Journal;
use super::super::wire::{self, Ending, Record};
use super::{Behaviour, Request};

/// What is sent at once, and what then.
pub(super) struct Script {
    first: Vec<u8>,
    then: Then,
}

enum Then {
    End(Ending),
    /// Again and again, until the peer ends it.
    Repeat(Vec<u8>),
    /// A piece each time that long has passed, then silence.
    Drip(Vec<String>, Duration),
}

/// The script of a behaviour, or `None` where it is none of these.
pub(super) fn script(behaviour: &Behaviour) -> Option<Script> {
    let close = Then::End(Ending::Close);
    let silent = Then::End(Ending::Silent);
    let (first, then) = match behaviour {
        Behaviour::CloseWithoutByte => (String::new(), close),
        Behaviour::ResetWithoutByte => (String::new(), Then::End(Ending::Reset)),
        Behaviour::HalfHeadThenStall => (HALF_HEAD.to_owned(), silent),
        Behaviour::HalfHeadThenClose => (HALF_HEAD.to_owned(), close),
        Behaviour::HeadThenStall => (head("Content-Length: 26"), silent),
        Behaviour::BodyStall => (head("Content-Length: 26") + &BODY[..13], silent),
        Behaviour::Drip(pause) => {
            let drops = BODY.chars().map(String::from).collect();
            (head("Content-Length: 26"), Then::Drip(drops, *pause))
        }
        Behaviour::BodyTruncated => (head("Content-Length: 26") + &BODY[..13], close),
        Behaviour::ChunkCut => (head("Transfer-Encoding: chunked") + "1a\r\n" + &BODY[..13], close),
        Behaviour::BadStatusLine => {
            ("HTPP/1.1 two hundred\r\nContent-Length: 0\r\n\r\n".to_owned(), close)
        }
        Behaviour::TwoContentLengths => {
            (head("Content-Length: 26\r\nContent-Length: 13") + BODY, close)
        }
        Behaviour::EndlessHeaders => {
            ("HTTP/1.1 200 OK\r\n".to_owned(), Then::Repeat(filler_header()))
        }
        Behaviour::EndlessContinue => {
            (String::new(), Then::Repeat("HTTP/1.1 100 Continue\r\n\r\n".repeat(40).into()))
        }
        Behaviour::EndlessBody => {
            (head("Transfer-Encoding: chunked"), Then::Repeat(filler_chunk()))
        }
        Behaviour::HugeContentLength => {
            (head("Content-Length: 10000000000000"), Then::Repeat(vec![b' '; 1024]))
        }
        Behaviour::Raw(bytes, ending) => (bytes.clone(), Then::End(*ending)),
        Behaviour::Pieces(pieces, pause) => (String::new(), Then::Drip(pieces.clone(), *pause)),
        Behaviour::Answer { .. }
        | Behaviour::AnthropicUnauthorized
        | Behaviour::AnthropicByKey { .. }
        | Behaviour::HtmlBlockPage(_)
        | Behaviour::Choose(_)
        | Behaviour::Idles(..)
        | Behaviour::CloudflareChallenge
        | Behaviour::CloudflareForbiddenJson
        | Behaviour::Edge522
        | Behaviour::Redirect(_)
        | Behaviour::CompressedBomb
        | Behaviour::NoAnswer
        | Behaviour::RefusesEarly(_)
        | Behaviour::H2GoAway(_)
        | Behaviour::H2ResetStream(_)
        | Behaviour::H2GoAwayInBody(_)
        | Behaviour::H2ResetInBody(_) => return None,
    };
    Some(Script { first: first.into(), then })
}

/// Answers a head, and resets with its body unread.
pub(super) async fn refuse_early<S: AsyncRead + AsyncWrite + Unpin>(
    stream: &mut S,
    record: &Record,
    answer: &str,
) {
    if wire::read_head(stream).await.is_some()
        && stream.write_all(answer.as_bytes()).await.is_ok()
        && stream.flush().await.is_ok()
    {
        wire::end(stream, record, Ending::Reset).await;
    }
}

/// Answers until nothing was asked for so long.
pub(super) async fn idle<S: AsyncRead + AsyncWrite + Unpin>(
    stream: &mut S,
    record: &Record,
    (silence, ending): (Duration, Ending),
    requests: &Journal<Request>,
) {
    let body = r#"{"data":[],"has_more":false}"#;
    let answer = format!(
        "HTTP/1.1 200 OK\r\nrequest-id: req_011CT\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    );
    loop {
        match tokio::time::timeout(silence, read_request(stream)).await {
            Ok(Some(request)) => {
                requests.push(request);
            }
            Ok(None) => return,
            Err(_) => return wire::end(stream, record, ending).await,
        }
        if stream.write_all(answer.as_bytes()).await.is_err() || stream.flush().await.is_err() {
            return;
        }
    }
}

/// Takes one request, then plays the script.
pub(super) async fn play<S>(
    stream: &mut S,
    record: &Record,
    script: Script,
    requests: &Journal<Request>,
) where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let Some(request) = read_request(stream).await else {
        return;
    };
    requests.push(request);
    if stream.write_all(&script.first).await.is_err() || stream.flush().await.is_err() {
        return;
    }
    match script.then {
        Then::End(ending) => wire::end(stream, record, ending).await,
        Then::Repeat(bytes) => wire::repeat(stream, &bytes).await,
        Then::Drip(pieces, pause) => drip(stream, &pieces, pause).await,
    }
}

const HALF_HEAD: &str = "HTTP/1.1 200 OK\r\nContent-Type: applica";

const BODY: &str = "{\"data\":[],\"has_more\":0.0}";

fn head(field: &str) -> String {
    format!("HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n{field}\r\n\r\n")
}

fn filler_header() -> Vec<u8> {
    format!("X-Filler: {}\r\n", "x".repeat(500)).into()
}

fn filler_chunk() -> Vec<u8> {
    format!("400\r\n{}\r\n", "x".repeat(1024)).into()
}

async fn drip<S>(stream: &mut S, pieces: &[String], pause: Duration)
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let (mut reader, mut writer) = tokio::io::split(stream);
    let drops = async {
        for piece in pieces {
            tokio::time::sleep(pause).await;
            if writer.write_all(piece.as_bytes()).await.is_err() || writer.flush().await.is_err() {
                return;
            }
        }
        std::future::pending::<()>().await;
    };
    tokio::select! {
        () = wire::drain(&mut reader) => {}
        () = drops => {}
    }
}

async fn read_request<S: AsyncRead + Unpin>(stream: &mut S) -> Option<Request> {
    let (head, mut body) = wire::read_head(stream).await?;
    let (words, headers) = wire::parse_head(&head);
    let mut words = words.into_iter();
    let (method, path) = (words.next()?, words.next()?);
    let request = Request { http2: false, method, path, headers, body: Vec::new() };
    let length =
        request.header("content-length").and_then(|length| length.parse().ok()).unwrap_or(0);
    while body.len() < length {
        if stream.read_buf(&mut body).await.ok()? == 0 {
            return None;
        }
    }
    Some(Request { body, ..request })
}
