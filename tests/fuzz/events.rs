//! What holds of a stream of events, in whatever pieces it comes.

use egressd::probe::parse::Events;

use super::cuts;

/// However the bytes come, and however their lines end, the events are those of the standard's lines.
pub fn events(bytes: &[u8]) {
    let count = |pieces: &[&[u8]]| {
        let mut events = Events::default();
        pieces.iter().map(|piece| events.read(piece)).sum::<u64>()
    };
    let whole = dispatched(bytes);
    assert_eq!(count(&[bytes]), whole);
    assert_eq!(count(&bytes.chunks(1).collect::<Vec<_>>()), whole);
    for (begin, rest) in cuts(bytes) {
        assert_eq!(count(&[begin, rest]), whole, "cut at {}", begin.len());
    }
}

/// WHATWG HTML 9.2.6 of a stream that is all there: lines, fields, and what is dispatched at an empty one.
fn dispatched(bytes: &[u8]) -> u64 {
    let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
    let mut text: Vec<u8> = Vec::new();
    for (at, byte) in bytes.iter().enumerate() {
        match byte {
            b'\n' if at > 0 && bytes[at - 1] == b'\r' => {}
            b'\r' => text.push(b'\n'),
            byte => text.push(*byte),
        }
    }
    let mut lines: Vec<&[u8]> = text.split(|byte| *byte == b'\n').collect();
    // The last of them has not ended.
    lines.pop();
    let (mut count, mut data) = (0, false);
    for line in lines {
        if line.is_empty() {
            count += u64::from(std::mem::take(&mut data));
        }
        data |= line == b"data" || line.starts_with(b"data:");
    }
    count
}
