//! When an answer came: its first byte, its head, the parts of its body, by a peer that takes its time.

use std::net::Ipv4Addr;
use std::time::Duration;

use egressd::observation::{Response, Trip};
use tokio::io::AsyncWriteExt as _;
use tokio_rustls::TlsAcceptor;

use super::super::{LEAF, Way, finding};
use super::version2::hear_request;
use super::{Behaviour, HTTP1, HTTP2, answer, response, server, walk};
use crate::support::wire::{self, Server};

/// Long enough to be told from the noise of a busy host.
const PAUSE: Duration = Duration::from_millis(300);
/// What is left of it where what came before was seen late.
const LEAST: f64 = 0.2;

fn pieces(pieces: &[&str]) -> Trip {
    let pieces = pieces.iter().map(|piece| (*piece).to_owned()).collect();
    let server = server(&Behaviour::Pieces(pieces, PAUSE), HTTP1);
    let trip = Way::named(server.address()).walk();
    assert_eq!(finding(&trip), "200 over 1.1", "{:?}", trip.failure());
    trip
}

/// First byte, head and body came one pause apart.
fn are_apart(response: &Response) {
    let Response { first_byte, head_seconds, body_seconds, .. } = response;
    assert!(*first_byte >= LEAST, "{response:?}");
    assert!(head_seconds - first_byte >= LEAST, "{response:?}");
    assert!(*body_seconds >= LEAST, "{response:?}");
}

#[test]
fn first_byte_head_and_body_have_times_of_their_own() {
    let trip = pieces(&["H", "TTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n", "{}"]);
    are_apart(response(&trip));
    let socket = response(&trip).socket.expect("counters");
    assert!(socket.bytes_received > 40, "{socket:?}");
    let connected = trip.legs[0].connected.as_ref().and_then(|connected| connected.socket);
    assert!(connected.is_some_and(|before| before.bytes_received < socket.bytes_received));
}

/// A server that says these, a pause before each but the first.
fn speaks(frames: &'static [&'static [u8]]) -> Server {
    let acceptor = TlsAcceptor::from(LEAF.server_config(&[HTTP2]));
    Server::start((Ipv4Addr::LOCALHOST, 0).into(), move |stream| {
        let acceptor = acceptor.clone();
        async move {
            let Ok(mut stream) = acceptor.accept(stream).await else { return };
            hear_request(&mut stream).await;
            for (place, frame) in frames.iter().enumerate() {
                if place > 0 {
                    tokio::time::sleep(PAUSE).await;
                }
                stream.write_all(frame).await.ok();
                stream.flush().await.ok();
            }
            wire::drain(&mut stream).await;
            wire::settle(stream.into_inner().0).await;
        }
    })
}

#[test]
fn settings_are_no_first_byte_of_an_answer() {
    let server = speaks(&[
        &[0, 0, 0, 4, 0, 0, 0, 0, 0],
        // HEADERS with `:status: 200`, an empty CONTINUATION, DATA that is the last.
        &[0, 0, 1, 1, 0, 0, 0, 0, 1, 0x88],
        &[0, 0, 0, 9, 4, 0, 0, 0, 1],
        &[0, 0, 2, 0, 1, 0, 0, 0, 1, b'{', b'}'],
    ]);
    let trip = Way::named(server.address()).walk();
    assert_eq!(finding(&trip), "200 over 2", "{:?}", trip.failure());
    are_apart(response(&trip));
}

#[test]
fn the_parts_of_an_event_stream_are_its_events() {
    let head = "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nContent-Length: 48\r\n\r\n";
    // Ends of lines in all three ways and cut everywhere; a comment is no event; the last has no end.
    let rest = ["data: a\n", "\ndata: b\r\n\r", "\n: alive\n\n", "data: c\rid: 1\r\r", "data"];
    let trip = pieces(&[&[head][..], &rest].concat());
    let parts = &response(&trip).parts;
    assert_eq!((parts.count, parts.gaps.len()), (3, 2), "{parts:?}");
    // The head is one piece, the first event ends two later, the second at once, the third two after that.
    let [short, long] = parts.gaps[..] else { panic!("{parts:?}") };
    assert!(parts.first.is_some_and(|first| first >= 2.0 * LEAST), "{parts:?}");
    assert!(short < LEAST && long >= 2.0 * LEAST, "{parts:?}");
    assert!((parts.longest - long).abs() < f64::EPSILON, "{parts:?}");
}

#[test]
fn the_parts_of_another_body_are_what_came_at_once() {
    let head = "HTTP/1.1 200 OK\r\nContent-Length: 30\r\n\r\n";
    let trip = pieces(&[head, "data: a\n\ndata: b\n\n", "data: c\n\n", "\n\n\n"]);
    let parts = &response(&trip).parts;
    assert_eq!((parts.count, parts.gaps.len()), (3, 2), "{parts:?}");
    assert!(parts.gaps.iter().all(|gap| *gap >= LEAST), "{parts:?}");
    assert!(parts.first.is_some_and(|first| first >= LEAST), "{parts:?}");
}

#[test]
fn gaps_are_kept_up_to_a_limit() {
    let events = "data: {}\n\n".repeat(3000);
    for alpn in [HTTP1, HTTP2] {
        let fields = [("content-type", "Text/Event-Stream; charset=utf-8")];
        let trip = walk(&answer(200, &fields, events.clone()), alpn);
        let parts = &response(&trip).parts;
        assert_eq!((parts.count, parts.gaps.len()), (3000, 64));
    }
    let trip = walk(&answer(204, &[], ""), HTTP2);
    assert_eq!(response(&trip).parts, egressd::observation::Parts::default());
}
