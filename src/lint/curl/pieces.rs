//! The pieces of a body as options give them, and how curl puts them together.

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

use super::{Fault, Files, Input, Line, Place};
use crate::lint::http::LONGEST_BODY;

/// What `--data-urlencode` leaves as it is (RFC 3986 2.3).
const ENCODED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// Where a piece of a body comes from.
#[derive(Clone)]
pub(super) enum Source {
    Text(String),
    File(String),
    Input,
}

/// How a piece of a body is put into it.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Put {
    /// Line breaks of files are lost.
    Text,
    /// As it is.
    Binary,
    /// Added without an `&`.
    Json,
    /// Percent-encoded.
    Encoded,
}

#[derive(Clone)]
pub(super) struct Piece {
    pub(super) source: Source,
    pub(super) put: Put,
    /// Of `--data-urlencode NAME@FILE`.
    pub(super) name: String,
    pub(super) place: Place,
}

impl Line {
    /// All pieces of a body, as curl puts them together; none where there are none.
    pub(super) fn joined(&self, pieces: &[Piece], files: &Files) -> Result<Option<Vec<u8>>, Fault> {
        let mut all: Option<Vec<u8>> = None;
        for piece in pieces {
            let bytes = self.bytes(piece, files)?;
            let Some(all) = &mut all else {
                all = Some(bytes);
                continue;
            };
            if piece.put != Put::Json {
                all.push(b'&');
            }
            all.extend(bytes);
            if all.len() > LONGEST_BODY {
                let what = "a body of more than 64 MiB";
                return Err(Fault::at(piece.place, what, "no API takes it; send less"));
            }
        }
        Ok(all)
    }

    pub(super) fn bytes(&self, piece: &Piece, files: &Files) -> Result<Vec<u8>, Fault> {
        let file = |path: &str, place| match files.get(path) {
            Some(Ok(bytes)) => Ok(bytes.clone()),
            Some(Err(why)) => {
                let what = format!("the file of the body cannot be read: {why}");
                Err(Fault::at(place, what, "name a file that can be read here"))
            }
            None => Err(Fault::at(place, "the file of the body was not read", "name it again")),
        };
        let mut bytes = match (&piece.source, &self.input) {
            (Source::Text(text), _) => text.clone().into_bytes(),
            (Source::File(path), _) => file(path, piece.place)?,
            (Source::Input, Some(Input::Text(text))) => text.expose().as_bytes().to_vec(),
            (Source::Input, Some(Input::File(word))) => file(word.text.expose(), word.place)?,
            (Source::Input, None) => {
                let what = "the body comes from standard input, which is not read here";
                return Err(Fault::at(piece.place, what, "name a file: @FILE"));
            }
        };
        match piece.put {
            Put::Text if !matches!(piece.source, Source::Text(_)) => {
                bytes.retain(|byte| !matches!(byte, b'\r' | b'\n' | 0));
            }
            Put::Encoded => {
                let text = String::from_utf8_lossy(&bytes);
                let encoded = utf8_percent_encode(&text, ENCODED).to_string().replace("%20", "+");
                let name = &piece.name;
                let equals = if name.is_empty() { "" } else { "=" };
                bytes = format!("{name}{equals}{encoded}").into_bytes();
            }
            Put::Text | Put::Binary | Put::Json => {}
        }
        Ok(bytes)
    }
}

pub(super) fn with_ampersand(before: Vec<u8>, after: Vec<u8>) -> Vec<u8> {
    [before, b"&".to_vec(), after].concat()
}

/// A value of `--data` and its kin: `@FILE`, `@-`, or itself.
pub(super) fn piece(text: &str, put: Put, place: Place) -> Piece {
    let source = match text.strip_prefix('@') {
        Some("-") => Source::Input,
        Some(path) => Source::File(path.to_owned()),
        None => Source::Text(text.to_owned()),
    };
    Piece { source, put, name: String::new(), place }
}

/// A value of `--data-urlencode`: `TEXT`, `=TEXT`, `NAME=TEXT`, `@FILE`, `NAME@FILE`.
pub(super) fn encoded(text: &str, place: Place) -> Piece {
    let (name, rest) = match text.find(['=', '@']) {
        Some(at) => text.split_at(at),
        None => ("", text),
    };
    let source = match (rest.strip_prefix('='), rest.strip_prefix('@')) {
        (Some(text), _) => Source::Text(text.to_owned()),
        (None, Some("-")) => Source::Input,
        (None, Some(path)) => Source::File(path.to_owned()),
        (None, None) => Source::Text(rest.to_owned()),
    };
    Piece { source, put: Put::Encoded, name: name.to_owned(), place }
}
