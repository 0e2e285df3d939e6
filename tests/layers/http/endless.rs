//! Peers that never end: how much they get rid of, and how soon they are left, by their own count and clock.

use std::future::poll_fn;
use std::net::Ipv4Addr;

use egressd::observation::{Framing, H2End, Trip};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio_rustls::TlsAcceptor;

use super::super::{AMPLE, BUFFERS, LEAF, Way, finding};
use super::framing::HELD;
use super::version2::hear_request;
use super::{Behaviour, HTTP1, HTTP2, refused, response, server};
use crate::support::wire::{self, Connection, End, Server};

/// That it was left by us, early, and had not much said by then.
fn was_left(what: &str, connection: &Connection, trip: &Trip) {
    assert!(connection.sent < BUFFERS, "{what}: {connection:?}");
    assert_ne!(connection.end, Some(End::Server), "{what}: {connection:?}");
    let seconds = connection.seconds_until_closed.expect("an end");
    assert!(seconds < AMPLE.as_secs_f64() / 2.0, "{what}: {connection:?}");
    assert!(trip.seconds < AMPLE.as_secs_f64() / 2.0, "{what}: {trip:?}");
}

#[test]
fn an_answer_without_end_is_left_at_its_limit() {
    let rows = [
        (Behaviour::EndlessHeaders, "http too_large", Framing::HeaderFlood),
        (Behaviour::EndlessContinue, "http too_large", Framing::EndlessInterim),
        // Half of a page is evidence enough, half of an API's answer is not understood.
        (Behaviour::EndlessBody, "200 over 1.1", Framing::EndlessBody),
        (Behaviour::HugeContentLength, "200 over 1.1", Framing::EndlessBody),
    ];
    for (behaviour, generic, framing) in rows {
        for (provider, expected) in [("generic", generic), ("anthropic", "http too_large")] {
            let server = server(&behaviour, HTTP1);
            let trip = Way { provider, ..Way::named(server.address()) }.walk();
            assert_eq!(finding(&trip), expected, "{behaviour:?} of {provider}");
            if trip.failure().is_some() {
                let refused = refused(&trip);
                assert_eq!(refused.framing, Some(framing), "{behaviour:?} of {provider}");
                // A head: 16 KiB, as much of interim answers, and one read, for which hyper has twice as much room; a
                // body: twice its limit beside.
                let most = if framing == Framing::EndlessBody { 2200 } else { 64 };
                assert!(refused.received <= most * 1024, "{behaviour:?}: {}", refused.received);
            }
            let what = format!("{behaviour:?} of {provider}");
            was_left(&what, &server.wait_closed(1)[0], &trip);
            if trip.legs[0].response.is_some() {
                let response = response(&trip);
                assert_eq!((response.body.len(), response.whole), (64 * 1024, false), "{what}");
                assert!(response.length <= 2 * 1024 * 1024, "{what}: {}", response.length);
            }
        }
    }
}

/// A server that agrees to HTTP/2, and then says the begin once and the rest, if any, without end.
fn endless(begin: &'static [u8], rest: Vec<u8>) -> Server {
    let acceptor = TlsAcceptor::from(LEAF.server_config(&[HTTP2]));
    Server::start((Ipv4Addr::LOCALHOST, 0).into(), move |stream| {
        let (acceptor, rest) = (acceptor.clone(), rest.clone());
        async move {
            let mut stream = match acceptor.accept(stream).into_fallible().await {
                Ok(stream) => stream,
                Err((_, stream)) => return wire::settle(stream).await,
            };
            hear_request(&mut stream).await;
            match stream.write_all(begin).await {
                Ok(()) if rest.is_empty() => wire::drain(&mut stream).await,
                Ok(()) => wire::repeat(&mut stream, &rest).await,
                Err(_) => {}
            }
            wire::settle(stream.into_inner().0).await;
        }
    })
}

/// A frame of HTTP/2 (RFC 9113 4.1).
fn frame(kind: u8, flags: u8, stream: u8, payload: &[u8]) -> Vec<u8> {
    let [high, low] = u16::try_from(payload.len()).expect("a short frame").to_be_bytes();
    [&[0, high, low, kind, flags, 0, 0, 0, stream], payload].concat()
}

/// Empty SETTINGS, and where the answer has begun `:status: 200` (RFC 7541, static table, 8).
const SETTINGS: &[u8] = &[0, 0, 0, 4, 0, 0, 0, 0, 0];
const ANSWERED: &[u8] = &[0, 0, 0, 4, 0, 0, 0, 0, 0, 0, 0, 1, 1, 4, 0, 0, 0, 1, 0x88];
/// HEADERS that are not the last of their block.
const BEGUN: &[u8] = &[0, 0, 0, 4, 0, 0, 0, 0, 0, 0, 0, 1, 1, 0, 0, 0, 0, 1, 0x88];
#[test]
fn frames_without_end_are_left_at_their_limit() {
    use Framing::{EndlessInterim, Frame, FrameFlood, Header, HeaderFlood};
    // A literal field without indexing, with a name and a value of one byte (RFC 7541 6.2.2).
    let field = [0, 1, b'x', 1, b'y'].repeat(40);
    let interim = frame(1, 4, 1, &[8, 3, b'1', b'0', b'3']);
    let many = [&[0x88][..], &field.repeat(75)].concat();
    let long = [&[0, 1, b'x', 100][..], &[b'y'; 100]].concat();
    let long = [&[0x88][..], &long.repeat(140)].concat();
    // A field of 120 bytes that goes into the dynamic table (RFC 7541 6.2.1), to be named by a byte from then on: a list of 60 KiB
    // in a block of 520 bytes, which nobody can tell from one that is unsound.
    let bomb = [&b"\x88\x40\x01x\x75"[..], &[b'y'; 0x75], &[0xbe; 400]].concat();
    let rows = [
        ("pings", SETTINGS, frame(6, 0, 0, &[0; 8]), "too_large", FrameFlood, None),
        ("answers to pings", SETTINGS, frame(6, 1, 0, &[0; 8]), "too_large", FrameFlood, None),
        ("settings", SETTINGS, frame(4, 0, 0, &[]), "too_large", FrameFlood, None),
        ("unknown", SETTINGS, frame(0xbb, 0, 0, &[0; 200]), "too_large", FrameFlood, None),
        ("window updates", SETTINGS, frame(8, 0, 0, &[0, 0, 0, 1]), "too_large", FrameFlood, None),
        ("interim answers", SETTINGS, interim, "too_large", EndlessInterim, None),
        ("fields", BEGUN, frame(9, 0, 1, &field), "h2", HeaderFlood, Some((true, 11))),
        ("empty continuations", BEGUN, frame(9, 0, 1, &[]), "h2", HeaderFlood, Some((true, 11))),
        ("a list of 18 KiB", SETTINGS, frame(1, 4, 1, &long), "h2", HeaderFlood, Some((false, 1))),
        ("a list of 99 KiB", SETTINGS, frame(1, 4, 1, &many), "h2", HeaderFlood, Some((true, 11))),
        ("a bomb", SETTINGS, frame(1, 4, 1, &bomb), "h2", Header, Some((false, 1))),
        ("empty data", ANSWERED, frame(0, 0, 1, &[]), "h2", FrameFlood, Some((true, 11))),
        ("padding", ANSWERED, frame(0, 8, 1, &[199; 200]), "h2", FrameFlood, Some((true, 11))),
        ("beyond the window", ANSWERED, frame(0, 0, 1, &[b'x'; 200]), "h2", Frame, Some((true, 3))),
    ];
    let mut wrong = Vec::new();
    for (what, begin, rest, kind, framing, own) in rows {
        let server = endless(begin, rest.repeat(20));
        let trip = Way { provider: "anthropic", ..Way::named(server.address()) }.walk();
        let found = (finding(&trip), refused(&trip).framing, refused(&trip).h2);
        let own = own.map(|(goaway, code)| H2End { goaway, code, remote: false });
        if found != (format!("http {kind}"), Some(framing), own) {
            wrong.push(format!("{what}: {found:?}: {:?}", trip.failure()));
        }
        was_left(what, &server.wait_closed(1)[0], &trip);
        // 160 KiB and what one read brings: the most that the kernel holds in one piece is TLS's 16 KiB.
        let received = refused(&trip).received;
        assert!(received <= 192 * 1024, "{what}: {received}");
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn a_goodbye_that_excludes_the_request_is_known_as_one() {
    // RFC 9113 6.8: GOAWAY with last stream 0, so that the request was not looked at, and ENHANCE_YOUR_CALM.
    const GOODBYE: &[u8] =
        &[0, 0, 0, 4, 0, 0, 0, 0, 0, 0, 0, 8, 7, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 11];
    let server = endless(GOODBYE, Vec::new());
    let trip = Way::named(server.address()).walk();
    assert_eq!(finding(&trip), "http h2", "{:?}", trip.failure());
    was_left("goodbye", &server.wait_closed(1)[0], &trip);
}

/// A server that answers over HTTP/2 with a body without end, as fast as it is taken.
fn endless_body() -> Server {
    let acceptor = TlsAcceptor::from(LEAF.server_config(&[HTTP2]));
    Server::start((Ipv4Addr::LOCALHOST, 0).into(), move |stream| {
        let acceptor = acceptor.clone();
        async move {
            let Ok(mut stream) = acceptor.accept(stream).await else { return };
            let Ok(mut connection) = h2::server::handshake(&mut stream).await else { return };
            let Some(Ok((_, mut respond))) = connection.accept().await else { return };
            let answer = respond.send_response(hyper::Response::new(()), false);
            let mut body = answer.expect("room for an answer");
            let chunks = async {
                body.reserve_capacity(16 * 1024);
                while let Some(Ok(room)) = poll_fn(|context| body.poll_capacity(context)).await {
                    if body.send_data(vec![b'x'; room].into(), false).is_err() {
                        return;
                    }
                    body.reserve_capacity(16 * 1024);
                }
            };
            tokio::join!(chunks, async { while connection.accept().await.is_some() {} });
            drop(connection);
            wire::settle(stream.into_inner().0).await;
        }
    })
}

#[test]
fn a_body_without_end_is_cut_over_http_2_too() {
    for (provider, expected) in [("generic", "200 over 2"), ("anthropic", "http too_large")] {
        let server = endless_body();
        let trip = Way { provider, ..Way::named(server.address()) }.walk();
        assert_eq!(finding(&trip), expected, "{:?}", trip.failure());
        was_left(provider, &server.wait_closed(1)[0], &trip);
        let response = response(&trip);
        assert_eq!((response.body.len(), response.whole), (64 * 1024, false));
        assert!(response.length <= 2 * 1024 * 1024, "{}", response.length);
    }
}

#[test]
fn a_peer_that_holds_on_is_left_at_the_deadline() {
    let head = "HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n".to_owned();
    let drops = std::iter::repeat_n("x".to_owned(), 1000);
    let drip = Behaviour::Pieces([head].into_iter().chain(drops).collect(), HELD / 100);
    let rows = [
        (drip, Some(Framing::Dripping)),
        (Behaviour::BodyStall, Some(Framing::Stalled)),
        (Behaviour::HalfHeadThenStall, Some(Framing::Stalled)),
        (Behaviour::NoAnswer, None),
    ];
    for (behaviour, framing) in rows {
        let server = server(&behaviour, HTTP1);
        let trip = Way::named(server.address()).within(HELD).walk();
        assert_eq!(refused(&trip).framing, framing, "{behaviour:.100?}");
        assert!(trip.seconds >= HELD.as_secs_f64(), "{behaviour:.100?}: {}", trip.seconds);
        was_left("held", &server.wait_closed(1)[0], &trip);
    }
}

#[test]
fn a_peer_that_closes_one_way_only_is_left_at_once() {
    let rows = [
        (Behaviour::CloseWithoutByte, "http closed"),
        (Behaviour::HalfHeadThenClose, "http truncated"),
        (Behaviour::BodyTruncated, "http truncated"),
    ];
    for (behaviour, expected) in rows {
        // It reads on until this end closes.
        let server = server(&behaviour, HTTP1);
        let trip = Way::named(server.address()).walk();
        assert_eq!(finding(&trip), expected, "{behaviour:?}");
        was_left("half closed", &server.wait_closed(1)[0], &trip);
    }
}

/// A server that reads the first bytes and then says the same without end, below TLS.
fn endless_records(rest: Vec<u8>) -> Server {
    Server::start((Ipv4Addr::LOCALHOST, 0).into(), move |mut stream| {
        let rest = rest.clone();
        async move {
            stream.read_u8().await.ok();
            wire::repeat(&mut stream, &rest).await;
            wire::settle(stream).await;
        }
    })
}

#[test]
fn records_without_end_are_left_at_their_limit() {
    let hello = [&[22, 3, 3, 1, 0][..], &[2, 0xff, 0xff, 0xff], &[0; 252]].concat();
    let rows = [
        ("the pieces of a hello", hello, "tls corrupted"),
        ("changes of the cipher", vec![20, 3, 3, 0, 1, 1], "tls other"),
        ("warnings", vec![21, 3, 3, 0, 2, 1, 90], "tls other"),
        ("empty records", vec![22, 3, 3, 0, 0], "tls corrupted"),
        ("requests for a hello", vec![22, 3, 3, 0, 4, 0, 0, 0, 0], "tls other"),
    ];
    for (what, rest, expected) in rows {
        let server = endless_records(rest.repeat(100));
        let trip = Way::named(server.address()).walk();
        assert_eq!(finding(&trip), expected, "{what}: {:?}", trip.failure());
        was_left(what, &server.wait_closed(1)[0], &trip);
    }
}
