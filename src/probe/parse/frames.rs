//! The frames of an HTTP/2 connection, as their bytes come (RFC 9113 4.1): which belong to an answer, and how the peer ended
//! it. h2 keeps neither when the first byte of HEADERS came, nor a GOAWAY that the end of the connection follows.
//!
//! Nothing of a frame is kept but its header and the first eight bytes.

/// The length of a frame's header.
const HEADER: usize = 9;
const HEADERS: u8 = 1;
const GOAWAY: u8 = 7;
const CONTINUATION: u8 = 9;
const DATA: u8 = 0;
const END_HEADERS: u8 = 4;

/// A GOAWAY (RFC 9113 6.8).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Goaway {
    /// The last stream that the peer may have looked at.
    pub last: u32,
    /// The error code.
    pub code: u32,
}

/// The way through a connection so far.
#[derive(Clone, Debug, Default)]
pub struct Frames {
    header: [u8; HEADER],
    have: usize,
    payload: [u8; 8],
    kept: usize,
    left: usize,
    blocks: u64,
    block: u64,
    largest: u64,
    open: bool,
    goaway: Option<Goaway>,
}

impl Frames {
    /// Reads on. Whether any of these bytes were an answer's: HEADERS, CONTINUATION, DATA.
    pub fn read(&mut self, bytes: &[u8]) -> bool {
        let (mut rest, mut of_answer) = (bytes, false);
        while !rest.is_empty() {
            if self.have < HEADER {
                rest = fill(&mut self.header, &mut self.have, rest);
                if self.have < HEADER {
                    break;
                }
                self.begin();
            }
            let here = self.left.min(rest.len());
            let (payload, after) = rest.split_at_checked(here).unwrap_or((rest, &[]));
            fill(&mut self.payload, &mut self.kept, payload);
            of_answer |= self.is_of_answer();
            if matches!(self.kind(), HEADERS | CONTINUATION) {
                self.block = self.block.saturating_add(payload.len() as u64);
                self.largest = self.largest.max(self.block);
            }
            self.left = self.left.saturating_sub(payload.len());
            rest = after;
            if self.left == 0 {
                self.end();
            }
        }
        of_answer
    }

    /// Header blocks that began, those of interim answers included.
    pub fn blocks(&self) -> u64 {
        self.blocks
    }

    /// Bytes of the largest header block so far.
    pub fn largest_block(&self) -> u64 {
        self.largest
    }

    /// Whether a header block has begun and not ended.
    pub fn is_block_open(&self) -> bool {
        self.open
    }

    /// The last GOAWAY.
    pub fn goaway(&self) -> Option<Goaway> {
        self.goaway
    }

    fn kind(&self) -> u8 {
        self.header.get(3).copied().unwrap_or_default()
    }

    fn is_of_answer(&self) -> bool {
        matches!(self.kind(), HEADERS | CONTINUATION | DATA)
    }

    fn begin(&mut self) {
        let [a, b, c, kind, flags, ..] = self.header;
        self.left = usize::try_from(u32::from_be_bytes([0, a, b, c])).unwrap_or(usize::MAX);
        self.kept = 0;
        if kind == HEADERS {
            self.blocks = self.blocks.saturating_add(1);
            self.block = 0;
        }
        if matches!(kind, HEADERS | CONTINUATION) {
            self.open = flags & END_HEADERS == 0;
        }
    }

    fn end(&mut self) {
        if self.kind() == GOAWAY && self.kept == self.payload.len() {
            let number = u64::from_be_bytes(self.payload);
            let half = |number: u64| u32::try_from(number & 0xffff_ffff).unwrap_or_default();
            // The first bit is reserved.
            let last = half(number >> 32) & 0x7fff_ffff;
            self.goaway = Some(Goaway { last, code: half(number) });
        }
        self.have = 0;
    }
}

/// Fills an array from where it is filled to, and hands back what it did not take.
fn fill<'a>(array: &mut [u8], have: &mut usize, bytes: &'a [u8]) -> &'a [u8] {
    let room = array.get_mut(*have..).unwrap_or_default();
    let taken = room.len().min(bytes.len());
    for (place, byte) in room.iter_mut().zip(bytes) {
        *place = *byte;
    }
    *have = have.saturating_add(taken);
    bytes.get(taken..).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::{Frames, Goaway};

    fn frame(kind: u8, flags: u8, payload: &[u8]) -> Vec<u8> {
        let length = u8::try_from(payload.len()).unwrap();
        [&[0, 0, length, kind, flags, 0, 0, 0, 1], payload].concat()
    }

    #[test]
    fn frames_are_told_apart_however_they_are_cut() {
        let bytes = [
            frame(4, 0, &[]),
            frame(6, 0, &[1; 8]),
            frame(1, 0, b"x"),
            frame(9, 4, b"yz"),
            frame(0, 0, b"body"),
            frame(3, 0, &[0, 0, 0, 11]),
            frame(7, 0, &[0x80, 0, 0, 1, 0, 0, 0, 2, b'w', b'h', b'y']),
        ]
        .concat();
        for step in 1..=bytes.len() {
            let mut frames = Frames::default();
            let answered: Vec<bool> = bytes.chunks(step).map(|chunk| frames.read(chunk)).collect();
            assert!(answered.contains(&true));
            assert_eq!((frames.blocks(), frames.largest_block()), (1, 3));
            assert!(!frames.is_block_open());
            assert_eq!(frames.goaway(), Some(Goaway { last: 1, code: 2 }));
        }
        let mut frames = Frames::default();
        assert!(!frames.read(&frame(4, 0, &[])) && !frames.read(&frame(6, 1, &[0; 8])));
        assert!(frames.read(&frame(1, 0, b"x")) && frames.is_block_open());
        assert_eq!(frames.goaway(), None);
    }

    #[test]
    fn no_bytes_make_it_panic() {
        let mut frames = Frames::default();
        let mut state = 1_u32;
        for length in 0..2_000_usize {
            let bytes: Vec<u8> = (0..length % 97)
                .map(|_| {
                    state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                    state.to_be_bytes()[0] & if length % 2 == 0 { 7 } else { 0xff }
                })
                .collect();
            frames.read(&bytes);
        }
    }
}
