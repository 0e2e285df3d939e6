//! A script as it came: its text by the rules of Chromium, its limit, and what it is known by.

use std::fmt;

use aws_lc_rs::digest::{SHA256, digest};

/// A script is not longer than this.
const BYTES: usize = 1024 * 1024;

/// The upper half of windows-1252, 0x80 to 0x9f; the rest is as in Unicode. Five places mean nothing, and are
/// the control characters of their numbers (WHATWG Encoding, "index windows-1252").
const WINDOWS: [char; 32] = [
    '\u{20ac}', '\u{81}', '\u{201a}', '\u{192}', '\u{201e}', '\u{2026}', '\u{2020}', '\u{2021}',
    '\u{2c6}', '\u{2030}', '\u{160}', '\u{2039}', '\u{152}', '\u{8d}', '\u{17d}', '\u{8f}',
    '\u{90}', '\u{2018}', '\u{2019}', '\u{201c}', '\u{201d}', '\u{2022}', '\u{2013}', '\u{2014}',
    '\u{2dc}', '\u{2122}', '\u{161}', '\u{203a}', '\u{153}', '\u{9d}', '\u{17e}', '\u{178}',
];

/// A script that can be run.
#[derive(Clone, PartialEq, Eq)]
pub struct Script {
    text: String,
    id: [u8; 32],
}

/// More than a script may have.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a PAC script of {0} bytes; at most 1 MiB is run")]
pub struct TooLarge(pub usize);

impl Script {
    /// The text of these bytes: by a byte order mark UTF-8 or UTF-16, else UTF-8 if it is, else windows-1252,
    /// in which no byte is wrong. What a mark promises and the bytes do not keep is replaced by U+FFFD.
    pub fn decode(bytes: &[u8]) -> Result<Self, TooLarge> {
        if bytes.len() > BYTES {
            return Err(TooLarge(bytes.len()));
        }
        let text = match bytes {
            [0xef, 0xbb, 0xbf, rest @ ..] => String::from_utf8_lossy(rest).into_owned(),
            [0xff, 0xfe, rest @ ..] => utf16(rest, u16::from_le_bytes),
            [0xfe, 0xff, rest @ ..] => utf16(rest, u16::from_be_bytes),
            bytes => match std::str::from_utf8(bytes) {
                Ok(text) => text.to_owned(),
                Err(_) => bytes.iter().map(|byte| windows(*byte)).collect(),
            },
        };
        let mut id = [0; 32];
        for (place, byte) in id.iter_mut().zip(digest(&SHA256, text.as_bytes()).as_ref()) {
            *place = *byte;
        }
        Ok(Self { text, id })
    }

    /// The text.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// SHA-256 of the text in UTF-8: equal for scripts that are equal.
    pub fn id(&self) -> [u8; 32] {
        self.id
    }
}

/// The text may hold names of an organisation: only its length is shown.
impl fmt::Debug for Script {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Script({} bytes)", self.text.len())
    }
}

fn utf16(bytes: &[u8], order: fn([u8; 2]) -> u16) -> String {
    let (pairs, rest) = bytes.as_chunks::<2>();
    let units = pairs.iter().map(|pair| order(*pair));
    let mut text: String =
        char::decode_utf16(units).map(|unit| unit.unwrap_or(char::REPLACEMENT_CHARACTER)).collect();
    if !rest.is_empty() {
        text.push(char::REPLACEMENT_CHARACTER);
    }
    text
}

fn windows(byte: u8) -> char {
    let place = usize::from(byte).checked_sub(0x80);
    let shifted = place.and_then(|place| WINDOWS.get(place));
    shifted.copied().unwrap_or(char::from(byte))
}

#[cfg(test)]
mod tests {
    use super::{Script, TooLarge};

    fn text(bytes: &[u8]) -> String {
        Script::decode(bytes).unwrap().text().to_owned()
    }

    #[test]
    fn the_text_is_found_as_chromium_finds_it() {
        let rows: [(&[u8], &str); 10] = [
            (b"", ""),
            (b"var a;", "var a;"),
            ("// gr\u{fc}n".as_bytes(), "// gr\u{fc}n"),
            (b"\xef\xbb\xbfvar a;", "var a;"),
            (b"\xef\xbb\xbf\xfc", "\u{fffd}"),
            (b"// gr\xfcn \x80 \x9d \x81", "// gr\u{fc}n \u{20ac} \u{9d} \u{81}"),
            (b"\xff\xfea\0\xfc\0", "a\u{fc}"),
            (b"\xfe\xff\0a\0\xfc", "a\u{fc}"),
            (b"\xff\xfea\0\0\xd8b", "a\u{fffd}\u{fffd}"),
            (b"\xff", "\u{ff}"),
        ];
        for (bytes, expected) in rows {
            assert_eq!(text(bytes), expected, "{}", bytes.escape_ascii());
        }
    }

    #[test]
    fn a_script_has_a_limit_and_a_name() {
        let most = vec![b' '; 1024 * 1024];
        assert_eq!(text(&most).len(), most.len());
        let more = vec![b' '; most.len() + 1];
        assert_eq!(Script::decode(&more), Err(TooLarge(more.len())));
        let [a, b, marked] =
            [&b"a"[..], b"b", b"\xef\xbb\xbfa"].map(|b| Script::decode(b).unwrap());
        assert_ne!(a.id(), b.id());
        assert_eq!(a.id(), marked.id());
        assert_eq!(format!("{a:?}"), "Script(1 bytes)");
    }
}
