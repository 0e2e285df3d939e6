//! How HTTP/2 is ended, by whom and with which code, told by real peers.

use std::net::Ipv4Addr;

use egressd::observation::{Framing, H2End, Trip};
use egressd::probe::parse::Frames;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWriteExt as _};
use tokio_rustls::TlsAcceptor;

use super::super::{AMPLE, BRIEF, LEAF, Way};
use super::framing::framed;
use super::{Behaviour, HTTP2, finding, refused, response, walk};
use crate::support::wire::{self, Ending, Server};

fn goaway(code: u32) -> H2End {
    H2End { goaway: true, code, remote: true }
}

fn reset(code: u32) -> H2End {
    H2End { goaway: false, code, remote: true }
}

fn own(code: u32) -> H2End {
    H2End { goaway: true, code, remote: false }
}

#[test]
fn goodbyes_and_resets_keep_their_codes() {
    let rows = [
        // NO_ERROR is no reason: what happened is that it closed.
        (Behaviour::H2GoAway(0), "closed", None, Some(goaway(0))),
        (Behaviour::H2GoAway(1), "h2", None, Some(goaway(1))),
        (Behaviour::H2GoAway(2), "h2", None, Some(goaway(2))),
        (Behaviour::H2GoAway(11), "h2", None, Some(goaway(11))),
        (Behaviour::H2GoAwayInBody(0), "truncated", Some(Framing::Truncated), Some(goaway(0))),
        (Behaviour::H2GoAwayInBody(2), "h2", None, Some(goaway(2))),
        (Behaviour::H2ResetStream(2), "h2", None, Some(reset(2))),
        (Behaviour::H2ResetStream(7), "h2", None, Some(reset(7))),
        (Behaviour::H2ResetStream(11), "h2", None, Some(reset(11))),
        (Behaviour::H2ResetStream(13), "h2", None, Some(reset(13))),
        // RFC 9113 7: a code that nobody knows is no fault by itself.
        (Behaviour::H2ResetStream(4711), "h2", None, Some(reset(4711))),
        (Behaviour::H2ResetInBody(2), "h2", None, Some(reset(2))),
        (Behaviour::H2ResetInBody(8), "h2", None, Some(reset(8))),
        (Behaviour::CloseWithoutByte, "closed", None, None),
        (Behaviour::ResetWithoutByte, "reset", Some(Framing::Reset), None),
        (Behaviour::BodyTruncated, "malformed", Some(Framing::Frame), None),
        // PROTOCOL_ERROR or FRAME_SIZE_ERROR, as h2 sees the letters of the line.
        (Behaviour::BadStatusLine, "h2", Some(Framing::Frame), Some(own(6))),
        (Behaviour::NoAnswer, "timeout", None, None),
    ];
    for (behaviour, kind, framing, end) in rows {
        let trip = walk(&behaviour, HTTP2);
        let what = format!("{behaviour:?}: {:?}", trip.failure());
        assert_eq!(framed(&trip), (format!("http {kind}"), framing), "{what}");
        assert_eq!(refused(&trip).h2, end, "{what}");
        let in_body =
            matches!(behaviour, Behaviour::H2GoAwayInBody(_) | Behaviour::H2ResetInBody(_));
        assert_eq!(trip.legs[0].response.is_some(), in_body, "{what}");
        if in_body {
            let response = response(&trip);
            assert_eq!((response.status, response.body.as_str()), (200, "{\"data\":"), "{what}");
            assert!(!response.whole, "{what}");
        }
    }
}

/// Waits for the request itself: an answer before it would be one to nothing.
pub(super) async fn hear_request<S: AsyncRead + Unpin>(stream: &mut S) {
    // RFC 9113 3.4.
    let mut preface = [0; 24];
    stream.read_exact(&mut preface).await.ok();
    let (mut frames, mut buffer) = (Frames::default(), [0; 4096]);
    while frames.blocks() == 0 {
        match stream.read(&mut buffer).await {
            Ok(count @ 1..) => frames.read(&buffer[..count]),
            Ok(0) | Err(_) => return,
        };
    }
}

/// A peer that says these frames once the client has spoken, and then that.
fn speaks(frames: Vec<u8>, then: Ending) -> Server {
    let acceptor = TlsAcceptor::from(LEAF.server_config(&[HTTP2]));
    Server::start((Ipv4Addr::LOCALHOST, 0).into(), move |stream| {
        let (acceptor, frames) = (acceptor.clone(), frames.clone());
        let record = stream.record();
        async move {
            let Ok(mut stream) = acceptor.accept(stream).await else { return };
            hear_request(&mut stream).await;
            if stream.write_all(&frames).await.is_ok() && stream.flush().await.is_ok() {
                wire::end(&mut stream, &record, then).await;
            }
            wire::settle(stream.into_inner().0).await;
        }
    })
}

fn heard(frames: &[&[u8]], then: Ending) -> Trip {
    let server = speaks(frames.concat(), then);
    let timeout = if matches!(then, Ending::Silent) { BRIEF } else { AMPLE };
    Way::named(server.address()).within(timeout).walk()
}

/// Frames of RFC 9113 6; stream 1 is the request's.
const SETTINGS: &[u8] = &[0, 0, 0, 4, 0, 0, 0, 0, 0];
const PING: &[u8] = &[0, 0, 8, 6, 0, 0, 0, 0, 0, 1, 2, 3, 4, 5, 6, 7, 8];
/// `:status: 200`, and the same not ended; `:status: 103`, as a literal.
const ANSWER: &[u8] = &[0, 0, 1, 1, 4, 0, 0, 0, 1, 0x88];
const BEGUN: &[u8] = &[0, 0, 1, 1, 0, 0, 0, 0, 1, 0x88];
const INTERIM: &[u8] = &[0, 0, 5, 1, 4, 0, 0, 0, 1, 0x08, 3, b'1', b'0', b'3'];
const DATA: &[u8] = &[0, 0, 2, 0, 0, 0, 0, 0, 1, b'{', b'}'];
/// GOAWAY that does not count the request, with and without a code; and one that does.
const NOT_LOOKED_AT: &[u8] = &[0, 0, 8, 7, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];
const CALM: &[u8] = &[0, 0, 8, 7, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 11];
const LOOKED_AT: &[u8] = &[0, 0, 8, 7, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 2];

/// Frames, what then, and what is found: kind, framing, end.
type Heard = (&'static [&'static [u8]], Ending, &'static str, Option<Framing>, Option<H2End>);

#[test]
fn frames_that_bring_no_answer_are_named() {
    use Framing::{Frame, Reset, Stalled, Truncated};
    let rows: &[Heard] = &[
        (&[SETTINGS], Ending::Silent, "timeout", None, None),
        (&[SETTINGS, PING], Ending::Silent, "timeout", None, None),
        (&[SETTINGS], Ending::Close, "closed", None, None),
        (&[SETTINGS], Ending::Reset, "reset", Some(Reset), None),
        (&[], Ending::Close, "closed", None, None),
        (&[SETTINGS, NOT_LOOKED_AT], Ending::Close, "h2", None, Some(goaway(0))),
        (&[SETTINGS, NOT_LOOKED_AT], Ending::Silent, "h2", None, Some(goaway(0))),
        (&[SETTINGS, CALM], Ending::Close, "h2", None, Some(goaway(11))),
        (&[SETTINGS, LOOKED_AT], Ending::Close, "h2", None, Some(goaway(2))),
        (&[SETTINGS, LOOKED_AT], Ending::Reset, "h2", None, Some(goaway(2))),
        // It may still answer.
        (&[SETTINGS, LOOKED_AT], Ending::Silent, "timeout", None, Some(goaway(2))),
        (&[SETTINGS, BEGUN], Ending::Silent, "stalled", Some(Stalled), None),
        (&[SETTINGS, BEGUN], Ending::Close, "truncated", Some(Truncated), None),
        (&[SETTINGS, INTERIM], Ending::Silent, "stalled", Some(Stalled), None),
        (&[SETTINGS, ANSWER, DATA], Ending::Silent, "stalled", Some(Stalled), None),
        (&[SETTINGS, ANSWER, DATA], Ending::Close, "truncated", Some(Truncated), None),
        (&[SETTINGS, ANSWER, DATA], Ending::Reset, "reset", Some(Reset), None),
        (&[SETTINGS, ANSWER, DATA, LOOKED_AT], Ending::Close, "h2", None, Some(goaway(2))),
        // No SETTINGS first (RFC 9113 3.4); DATA before HEADERS; a frame of 4 MiB; SETTINGS on a stream.
        (&[SETTINGS, DATA], Ending::Silent, "h2", Some(Frame), Some(own(1))),
        (&[b"\x40\0\0\0\0\0\0\0\x01"], Ending::Silent, "h2", Some(Frame), Some(own(6))),
        (&[&[0, 0, 0, 4, 0, 0, 0, 0, 1]], Ending::Silent, "h2", Some(Frame), Some(own(1))),
        // A header block that no table explains (RFC 7541 2.3.3).
        (
            &[SETTINGS, &[0, 0, 1, 1, 4, 0, 0, 0, 1, 0xfe]],
            Ending::Silent,
            "h2",
            Some(Frame),
            Some(own(1)),
        ),
    ];
    std::thread::scope(|scope| {
        for (frames, then, kind, framing, end) in rows {
            scope.spawn(move || {
                let trip = heard(frames, *then);
                let what = format!("{frames:?}, {then:?}: {:?}", trip.failure());
                assert_eq!(framed(&trip), (format!("http {kind}"), *framing), "{what}");
                assert_eq!(refused(&trip).h2, *end, "{what}");
            });
        }
    });
}

#[test]
fn an_answer_before_a_farewell_is_an_answer() {
    const LAST: &[u8] = &[0, 0, 2, 0, 1, 0, 0, 0, 1, b'{', b'}'];
    for frames in [&[SETTINGS, ANSWER, LAST, LOOKED_AT], &[SETTINGS, LOOKED_AT, ANSWER, LAST]] {
        let trip = heard(frames, Ending::Close);
        assert_eq!(finding(&trip), "200 over 2", "{frames:?}: {:?}", trip.failure());
        assert!(response(&trip).whole && response(&trip).body == "{}");
    }
}
