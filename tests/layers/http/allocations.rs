//! No layer allocates for each byte that it reads: the same trip with more bytes, or with smaller reads, allocates no more.

use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use tokio::io::AsyncWriteExt as _;

use super::super::{Way, finding};
use super::{Behaviour, HTTP1, HTTP2, answer, response, server};
use crate::support::allocations;
use crate::support::http::HttpServer;
use crate::support::wire::{self, Server};

/// What 59 KiB more may cost: buffers that grow, and the libraries' own for each record, frame and read, 30 in all on an idle
/// machine and more where the scheduler cuts the bytes into more reads. One for each byte would be 60,000, one for each
/// cache line a thousand.
const MORE_BYTES: u64 = 500;
/// What 300 reads more may cost: six, as a buffer grows. One for each would be 300.
const MORE_READS: u64 = 30;
const PAUSE: Duration = Duration::from_millis(1);

/// Allocations of the second walk: the first pays for what is made once.
fn allocations(way: &Way, expected: &str, body: usize) -> u64 {
    let walker = way.walker();
    let mut count = 0;
    for _ in 0..2 {
        let (trip, allocations) = allocations::during(|| walker.walk());
        assert_eq!(finding(&trip), expected, "{:?}", trip.failure());
        assert_eq!(response(&trip).body.len(), body);
        count = allocations;
    }
    count
}

fn at_most(what: &str, (few, many): (u64, u64), more: u64) {
    assert!(many <= few + more, "{what}: {few} allocations, then {many}");
}

fn plain(address: SocketAddr) -> Way {
    Way::to(format!("http://{address}/"))
}

#[test]
fn a_longer_body_is_not_more_allocations() {
    let counts = [1024, 60 * 1024].map(|length| {
        // As many segments, however long they are.
        let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {length}\r\n\r\n");
        let pieces = [head].into_iter().chain((0..16).map(|_| "x".repeat(length / 16)));
        let server = HttpServer::start(Behaviour::Pieces(pieces.collect(), PAUSE));
        allocations(&plain(server.address()), "200 over 1.1", length)
    });
    at_most("plain", counts.into(), MORE_BYTES);
    for (alpn, expected) in [(HTTP1, "200 over 1.1"), (HTTP2, "200 over 2")] {
        let counts = [1024, 60 * 1024].map(|length| {
            let server = server(&answer(200, &[], vec![b'x'; length]), alpn);
            allocations(&Way::named(server.address()), expected, length)
        });
        at_most(expected, counts.into(), MORE_BYTES);
    }
}

#[test]
fn events_are_counted_without_allocations_of_their_own() {
    let counts = [10, 5000].map(|events| {
        let body = "data: {}\n\n".repeat(events);
        let fields = [("content-type", "text/event-stream")];
        let server = server(&answer(200, &fields, body.clone()), HTTP1);
        allocations(&Way::named(server.address()), "200 over 1.1", body.len())
    });
    at_most("events", counts.into(), MORE_BYTES);
}

/// A head of 300 bytes.
fn head(first: &str) -> String {
    let fields = format!("Content-Length: 2\r\nX-Filler: {}\r\n\r\n", "x".repeat(250));
    format!("{first}\r\n{fields}")
}

fn bytes_of(text: &str) -> Vec<String> {
    text.chars().map(String::from).collect()
}

#[test]
fn a_head_byte_by_byte_is_not_more_allocations() {
    let text = head("HTTP/1.1 200 OK") + "{}";
    let counts = [vec![text.clone()], bytes_of(&text)].map(|pieces| {
        let server = HttpServer::start(Behaviour::Pieces(pieces, PAUSE));
        allocations(&plain(server.address()), "200 over 1.1", 2)
    });
    at_most("head", counts.into(), MORE_READS);
}

/// A proxy that opens a tunnel in these pieces, and is the server behind it too.
fn proxy(pieces: Vec<String>) -> Server {
    Server::start((Ipv4Addr::LOCALHOST, 0).into(), move |mut stream| {
        let pieces = pieces.clone();
        async move {
            let answers = [pieces, vec![head("HTTP/1.1 200 OK") + "{}"]];
            for pieces in answers {
                if wire::read_head(&mut stream).await.is_none() {
                    return;
                }
                for piece in pieces {
                    tokio::time::sleep(PAUSE).await;
                    if stream.write_all(piece.as_bytes()).await.is_err() {
                        return;
                    }
                }
            }
            wire::settle(stream).await;
        }
    })
}

#[test]
fn a_proxys_head_byte_by_byte_is_not_more_allocations() {
    let text = format!("HTTP/1.1 200 OK\r\nX-Filler: {}\r\n\r\n", "x".repeat(270));
    let counts = [vec![text.clone()], bytes_of(&text)].map(|pieces| {
        let proxy = proxy(pieces);
        let way = Way::to("http://behind.layers.test/").through(proxy.address());
        allocations(&way, "200 over 1.1", 2)
    });
    at_most("proxy", counts.into(), MORE_READS);
}
