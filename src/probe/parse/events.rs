//! Where the events of an event stream end (WHATWG HTML 9.2.5 and 9.2.6), as its bytes come: no event's content is kept.

/// The way through a stream so far.
#[derive(Clone, Debug, Default)]
pub struct Events {
    /// Bytes of this line.
    length: usize,
    /// Whether the line's bytes so far are the begin of `data`, of all of it, or of `data:`.
    matched: usize,
    /// Whether this event has data: without it, as a comment by itself has none, nothing is dispatched.
    data: bool,
    /// Whether the last byte was a CR, so that a LF would end the same line.
    after_cr: bool,
    /// Whether the first line has ended: only there a byte order mark is passed over.
    begun: bool,
    /// Bytes of the mark so far.
    mark: usize,
}

const FIELD: &[u8] = b"data:";
const MARK: &[u8] = b"\xef\xbb\xbf";

impl Events {
    /// How many events these bytes end.
    pub fn read(&mut self, bytes: &[u8]) -> u64 {
        bytes.iter().map(|byte| u64::from(self.step(*byte))).sum()
    }

    fn step(&mut self, byte: u8) -> bool {
        let after_cr = std::mem::replace(&mut self.after_cr, byte == b'\r');
        match byte {
            b'\n' if after_cr => false,
            b'\r' | b'\n' => self.end_of_line(),
            _ => {
                self.inside(byte);
                false
            }
        }
    }

    fn end_of_line(&mut self) -> bool {
        let empty = self.length == 0;
        // `data` without a colon is the field with an empty value.
        let named = self.matched == FIELD.len() || (self.matched == 4 && self.length == 4);
        self.data |= named;
        (self.length, self.matched, self.begun) = (0, 0, true);
        empty && std::mem::take(&mut self.data)
    }

    fn inside(&mut self, byte: u8) {
        if !self.begun && self.length == 0 && MARK.get(self.mark) == Some(&byte) {
            self.mark = self.mark.saturating_add(1);
            return;
        }
        // What began as a mark and did not end as one is a part of the line.
        if !self.begun && self.length == 0 && self.mark < MARK.len() {
            self.length = std::mem::take(&mut self.mark);
        }
        if self.matched == self.length && FIELD.get(self.matched) == Some(&byte) {
            self.matched = self.matched.saturating_add(1);
        }
        self.length = self.length.saturating_add(1);
    }
}

#[cfg(test)]
mod tests {
    use super::Events;

    fn count(text: &str, step: usize) -> u64 {
        let mut events = Events::default();
        text.as_bytes().chunks(step).map(|chunk| events.read(chunk)).sum()
    }

    #[test]
    fn an_event_ends_at_a_blank_line() {
        let rows = [
            ("", 0),
            ("data: a\n\n", 1),
            ("data: a\ndata: b\n\n", 1),
            ("event: x\ndata: {}\nid: 1\n\ndata: b\n\n", 2),
            ("data\n\n", 1),
            ("data:\n\n", 1),
            // No data, nothing dispatched.
            (": comment\n\n", 0),
            ("event: ping\n\n", 0),
            ("database: x\n\n", 0),
            ("dat\n\n", 0),
            (" data: x\n\n", 0),
            ("\n\n\n\n", 0),
            ("data: a\n\n\n\n\n", 1),
            // Not ended.
            ("data: a\n", 0),
            ("data: a", 0),
            ("\u{feff}data: a\n\n", 1),
            ("\n\u{feff}data: a\n\n", 0),
        ];
        for (text, expected) in rows {
            for end in ["\n", "\r", "\r\n"] {
                let text = text.replace('\n', end);
                for step in 1..=text.len().max(1) {
                    assert_eq!(count(&text, step), expected, "{text:?} by {step}");
                }
            }
        }
        let cut: &[u8] = b"\xef\xbbdata: a\n\n";
        assert_eq!([cut, &cut[1..]].map(|bytes| Events::default().read(bytes)), [0, 0], "no mark");
        assert_eq!(count("data: a\r\n\rdata: b\n\r\n", 1), 2, "mixed");
    }
}
