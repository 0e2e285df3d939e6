//! Which rule of HTTP/1.1 an answer breaks, by name, told by real peers.

use std::time::Duration;

use egressd::observation::{Framing, Trip};

use super::super::{AMPLE, Way};
use super::{Behaviour, HTTP1, finding, refused, server, walk};
use crate::support::wire::Ending;

/// How a trip ended, with the name of what was wrong with the answer's framing.
pub(super) fn framed(trip: &Trip) -> (String, Option<Framing>) {
    (finding(trip), refused(trip).framing)
}

fn raw(bytes: &str) -> Behaviour {
    Behaviour::Raw(bytes.to_owned(), Ending::Close)
}

/// An answer with these fields, and a body.
fn with(fields: &str, body: &str) -> Behaviour {
    raw(&format!("HTTP/1.1 200 OK\r\n{fields}\r\n\r\n{body}"))
}

#[test]
fn every_fault_has_its_name() {
    use Framing::{
        ConflictingLengths, EndlessBody, EndlessInterim, Header, HeaderFlood, StatusLine,
        TransferCoding,
    };
    let rows = [
        (Behaviour::BadStatusLine, "malformed", StatusLine),
        (raw("HTTP/1.1 99 \r\n\r\n"), "malformed", StatusLine),
        (raw("HTTP/3.0 200 OK\r\n\r\n"), "malformed", StatusLine),
        (raw("SSH-2.0-OpenSSH_9.2\r\n"), "malformed", StatusLine),
        (raw("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"), "malformed", StatusLine),
        (with("A header: x", ""), "malformed", Header),
        (with("No colon", ""), "malformed", Header),
        (with("Bad: \x01", ""), "malformed", Header),
        (Behaviour::TwoContentLengths, "malformed", ConflictingLengths),
        (with("Content-Length: 1, 2", "ab"), "malformed", ConflictingLengths),
        (with("Content-Length: two", "ab"), "malformed", ConflictingLengths),
        (with("Content-Length: -2", "ab"), "malformed", ConflictingLengths),
        (with("Content-Length: +2", "ab"), "malformed", ConflictingLengths),
        (with("Content-Length: 18446744073709551616", ""), "malformed", ConflictingLengths),
        // Beyond what hyper counts to.
        (with("Content-Length: 18446744073709551615", ""), "too_large", EndlessBody),
        (with("Transfer-Encoding: chunked", "zz\r\n"), "malformed", TransferCoding),
        (with("Transfer-Encoding: chunked", "1\r\nab\r\n"), "malformed", TransferCoding),
        (with("Transfer-Encoding: chunked", "ffffffffffffffff0\r\n"), "malformed", TransferCoding),
        (with("Transfer-Encoding: chunked", "\r\n"), "malformed", TransferCoding),
        (with("Transfer-Encoding: gzip, chunked", "0\r\n\r\n"), "malformed", TransferCoding),
        (with("Transfer-Encoding: bogus", "x"), "malformed", TransferCoding),
        (raw("HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"), "malformed", TransferCoding),
        (Behaviour::EndlessHeaders, "too_large", HeaderFlood),
        (with(&"a: b\r\n".repeat(101), ""), "too_large", HeaderFlood),
        (Behaviour::EndlessContinue, "too_large", EndlessInterim),
    ];
    for (behaviour, kind, framing) in rows {
        let trip = walk(&behaviour, HTTP1);
        let expected = (format!("http {kind}"), Some(framing));
        assert_eq!(framed(&trip), expected, "{behaviour:.200?}: {:?}", trip.failure());
    }
}

#[test]
fn what_is_legal_to_read_is_no_fault() {
    let chunked = "Transfer-Encoding: chunked";
    let rows = [
        // RFC 9112 6.3: the coding overrides the length; a device that prefers the length reads something else.
        with(&format!("Content-Length: 9\r\n{chunked}"), "2\r\n{}\r\n0\r\n\r\n"),
        with("Content-Length: 2\r\nContent-Length: 2", "{}"),
        with("Content-Length: 2, 2", "{}"),
        with(chunked, "2;extension=x\r\n{}\r\n0\r\nTrailer: x\r\n\r\n"),
        with("Transfer-Encoding: identity", "{}"),
        with("Connection: close", "{}"),
        raw("\r\nHTTP/1.1 103 Early Hints\r\n\r\nHTTP/1.1 200 \r\nContent-Length: 2\r\n\r\n{}"),
    ];
    for behaviour in rows {
        let trip = walk(&behaviour, HTTP1);
        assert_eq!(finding(&trip), "200 over 1.1", "{behaviour:?}: {:?}", trip.failure());
        let response = super::response(&trip);
        assert_eq!((response.body.as_str(), response.whole), ("{}", true), "{behaviour:?}");
    }
}

#[test]
fn an_answer_that_ends_early_says_how() {
    let half = |ending| Behaviour::Raw("HTTP/1.1 200 OK\r\nContent-Ty".to_owned(), ending);
    let body = |ending| {
        Behaviour::Raw("HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n{}".to_owned(), ending)
    };
    let rows = [
        (Behaviour::BodyTruncated, "truncated", Some(Framing::Truncated)),
        (Behaviour::ChunkCut, "truncated", Some(Framing::Truncated)),
        (Behaviour::HalfHeadThenClose, "truncated", Some(Framing::Truncated)),
        (Behaviour::CloseWithoutByte, "closed", None),
        (Behaviour::ResetWithoutByte, "reset", Some(Framing::Reset)),
        (half(Ending::Reset), "reset", Some(Framing::Reset)),
        (body(Ending::Reset), "reset", Some(Framing::Reset)),
    ];
    for (behaviour, kind, framing) in rows {
        let trip = walk(&behaviour, HTTP1);
        assert_eq!(framed(&trip), (format!("http {kind}"), framing), "{behaviour:?}");
    }
}

const HEAD: &str = "HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n";

/// For a trip whose last part only its deadline ends, and whose begin is not to be hurried by a busy host.
pub(super) const HELD: Duration = Duration::from_secs(3);

fn held(behaviour: &Behaviour) -> Trip {
    let server = server(behaviour, HTTP1);
    Way::named(server.address()).within(HELD).walk()
}

#[test]
fn a_peer_that_stopped_is_told_from_one_that_drips() {
    use Framing::{Dripping, Stalled};
    let every = |milliseconds| Duration::from_millis(milliseconds);
    let drops = |first: &str, count, pause| {
        let drops = std::iter::repeat_n("x".to_owned(), count);
        Behaviour::Pieces([first.to_owned()].into_iter().chain(drops).collect(), pause)
    };
    let drip = |first: &str, pause| drops(first, 999, pause);
    // Eight bytes quickly, then nothing.
    let stops = |first: &str| drops(first, 8, every(5));
    let rows = [
        (drip(HEAD, every(50)), Dripping, true),
        (drip(HEAD, every(10)), Dripping, true),
        (drip("HTTP/1.1 200 OK\r\nA: ", every(50)), Dripping, false),
        (stops(HEAD), Stalled, true),
        (stops("HTTP/1.1 200 OK\r\nA: "), Stalled, false),
        (Behaviour::BodyStall, Stalled, true),
        (Behaviour::HeadThenStall, Stalled, true),
        (Behaviour::HalfHeadThenStall, Stalled, false),
        (Behaviour::Drip(AMPLE), Stalled, true),
    ];
    std::thread::scope(|scope| {
        for (behaviour, framing, head) in rows {
            scope.spawn(move || {
                let trip = held(&behaviour);
                let expected = ("http stalled".to_owned(), Some(framing));
                assert_eq!(framed(&trip), expected, "{behaviour:.200?}: {:?}", trip.failure());
                let quiet = refused(&trip).quiet_ms;
                assert_eq!(quiet < 300, framing == Dripping, "{behaviour:.200?}: {quiet} ms");
                assert_eq!(trip.legs[0].response.is_some(), head, "{behaviour:.200?}");
            });
        }
    });
    let trip = held(&Behaviour::NoAnswer);
    assert_eq!(framed(&trip), ("http timeout".to_owned(), None));
    assert!(refused(&trip).quiet_ms > 300, "since the request: {:?}", trip.failure());
}
