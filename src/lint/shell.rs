//! A command line taken apart as a POSIX shell would (XCU 2.2 to 2.7, and `$'…'`): quotes, escapes, comments,
//! variables, here-documents. It runs nothing: what a command would print stays as it is written, and is marked.

use std::collections::BTreeMap;
use std::fmt;

use super::request::{Fault, Place};
use crate::config::Secret;

mod expand;
mod redirect;
mod wrapped;

/// The value of a variable, where it is set.
pub type Variables<'a> = &'a dyn Fn(&str) -> Option<String>;

/// One word of a command.
#[derive(Clone, PartialEq, Eq)]
pub struct Word {
    /// What the program would be given.
    pub text: Secret,
    /// Where it begins.
    pub place: Place,
    /// The variables in it that are not set, so that their names still stand there.
    pub unset: Vec<String>,
    /// Whether a part of it is made by a command, which was not run.
    pub made: bool,
}

impl fmt::Debug for Word {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Word at {}", self.place)
    }
}

/// One command.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Command {
    /// Its words.
    pub words: Vec<Word>,
    /// What it reads, where that is said.
    pub input: Option<Input>,
    /// Where a part of the text that it reads is made by a command, or else by a variable that is not set.
    pub input_made: Option<(bool, Place)>,
    /// What a person would want to know of how it was read.
    pub notes: Vec<String>,
}

/// What a command reads from its standard input.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Input {
    /// A text that stands beside it.
    Text(Secret),
    /// A file.
    File(Word),
}

/// A here-document that has been announced.
struct Awaited {
    end: String,
    literal: bool,
    tabs: bool,
    place: Place,
}

/// Reads a text's first command for which `wanted` holds of its first word.
pub fn command(
    text: &str,
    variables: Variables<'_>,
    wanted: impl Fn(&str) -> bool,
) -> Result<Command, Fault> {
    if let Some(found) = first(text.chars().collect(), variables, &wanted)? {
        return Ok(found);
    }
    // A prompt of root's looks like a comment, and what is in a substitution like a word.
    for hidden in ["# curl ", "$(curl ", "`curl "] {
        if let Some(bare) = wrapped::bared(text, hidden)
            && let Some(found) = first(bare, variables, &wanted)?
        {
            return Ok(found);
        }
    }
    let why = if text.trim().is_empty() { "it is empty" } else { "no command in it is curl" };
    Err(Fault::at(Place::START, why, "give a line that begins with curl"))
}

fn first(
    chars: Vec<char>,
    variables: Variables<'_>,
    wanted: &impl Fn(&str) -> bool,
) -> Result<Option<Command>, Fault> {
    let mut shell = Shell::new(chars, variables);
    loop {
        let more = shell.simple_command()?;
        let set = shell.assign();
        let before = wrapped::before(&shell.words);
        shell.words.drain(..before);
        if !set && shell.words.first().is_some_and(|word| wanted(word.text.expose())) {
            let (words, input) = (std::mem::take(&mut shell.words), shell.input.take());
            let input_made = shell.input_made;
            let mut notes = std::mem::take(&mut shell.notes);
            let others = if more { shell.others(wanted) } else { 0 };
            if others > 0 {
                notes.push(format!("{others} more curl command(s) in the text are not looked at"));
            }
            return Ok(Some(Command { words, input, input_made, notes }));
        }
        shell.words.clear();
        shell.notes.clear();
        shell.input = None;
        shell.input_made = None;
        if !more {
            return Ok(None);
        }
    }
}

/// A word that is not finished.
#[derive(Default)]
struct Open {
    text: String,
    place: Option<Place>,
    unset: Vec<String>,
    made: bool,
    quoted: bool,
}

struct Shell<'a> {
    chars: Vec<char>,
    at: usize,
    place: Place,
    variables: Variables<'a>,
    words: Vec<Word>,
    open: Option<Open>,
    input: Option<Input>,
    input_made: Option<(bool, Place)>,
    /// What the text itself has set before; nothing where a command makes it.
    assigned: BTreeMap<String, Option<Secret>>,
    awaited: Option<Awaited>,
    notes: Vec<String>,
}

impl<'a> Shell<'a> {
    fn new(chars: Vec<char>, variables: Variables<'a>) -> Self {
        Self {
            chars,
            at: 0,
            place: Place::START,
            variables,
            words: Vec::new(),
            open: None,
            input: None,
            input_made: None,
            assigned: BTreeMap::new(),
            awaited: None,
            notes: Vec::new(),
        }
    }
}

impl Shell<'_> {
    fn peek(&self) -> Option<char> {
        self.look(0)
    }

    fn look(&self, ahead: usize) -> Option<char> {
        self.chars.get(self.at + ahead).copied()
    }

    fn next(&mut self) -> Option<char> {
        let c = self.peek()?;
        self.at += 1;
        self.place = self.place.after(c);
        Some(c)
    }

    /// The word that is being read.
    fn open(&mut self) -> &mut Open {
        let place = self.place;
        self.open.get_or_insert_with(|| Open { place: Some(place), ..Open::default() })
    }

    fn push(&mut self, c: char) {
        self.open().text.push(c);
    }

    /// Ends the word that is being read.
    fn close(&mut self) {
        let Some(open) = self.open.take() else { return };
        if open.text.is_empty() && !open.quoted {
            return;
        }
        self.words.push(Word {
            text: Secret::new(open.text),
            place: open.place.unwrap_or(Place::START),
            unset: open.unset,
            made: open.made,
        });
    }

    /// Reads up to the end of a command; whether there is more behind it.
    fn simple_command(&mut self) -> Result<bool, Fault> {
        while let Some(c) = self.peek() {
            match c {
                ' ' | '\t' => {
                    self.close();
                    self.next();
                }
                '#' if self.open.is_none() => {
                    while self.peek().is_some_and(|c| c != '\n') {
                        self.next();
                    }
                }
                '\n' => {
                    self.close();
                    self.next();
                    self.here_document()?;
                    if !self.words.is_empty() {
                        self.note_what_follows();
                        return Ok(true);
                    }
                }
                '<' | '>' => self.redirection()?,
                ';' | '&' | '|' | '(' | ')' => {
                    self.end_by_operator(c)?;
                    return Ok(true);
                }
                _ => self.part(c)?,
            }
        }
        self.close();
        self.here_document()?;
        Ok(false)
    }

    /// A command ends at an operator; a here-document of it stands behind the line.
    fn end_by_operator(&mut self, operator: char) -> Result<(), Fault> {
        let (glued, place) = (self.open.is_some(), self.place);
        self.close();
        self.next();
        if self.peek() == Some(operator) {
            self.next();
        } else if operator == '&' && glued && !matches!(self.peek(), None | Some(' ' | '\n')) {
            self.notes.push(format!(
                "an & without quotes at {place} ends the command: what stands behind it is not sent; quote the URL"
            ));
        }
        if self.awaited.is_some() {
            while self.peek().is_some_and(|c| c != '\n') {
                self.next();
            }
            self.next();
            self.here_document()?;
        }
        Ok(())
    }

    /// Options on a line of their own are a command of their own.
    fn note_what_follows(&mut self) {
        let mut ahead = 0;
        while matches!(self.look(ahead), Some(' ' | '\t' | '\n')) {
            ahead += 1;
        }
        if self.look(ahead) == Some('-') {
            let line = self.place.line - 1;
            self.notes.push(format!(
                "line {line} ends the command, and options follow: they are not sent; end the line with a backslash \
                 and nothing behind it"
            ));
        }
    }

    /// One part of a word: quoted, escaped, or as it stands.
    fn part(&mut self, c: char) -> Result<(), Fault> {
        match c {
            '\\' => self.escape(),
            '\'' => self.single_quoted(),
            '"' => self.double_quoted(),
            '$' if self.look(1) == Some('\'') => self.ansi_quoted(),
            '$' => self.dollar(false),
            '`' if matches!(self.look(1), Some('\n' | '\r') | None) => Err(Fault::at(
                self.place,
                "a backtick ends the line, as in PowerShell; a POSIX shell does not read on",
                "end the line with a backslash",
            )),
            '`' => self.backticks(),
            '^' if matches!(self.look(1), Some('\n' | '\r')) => Err(Fault::at(
                self.place,
                "a caret ends the line, as on Windows; a POSIX shell does not read on",
                "end the line with a backslash, or copy the line \"as cURL (bash)\"",
            )),
            '\r' => Err(Fault::at(
                self.place,
                "the line ends with CR LF, as on Windows; a shell takes the CR for a part of the word",
                "save it with LF line ends",
            )),
            '\u{2018}'..='\u{201f}' => Err(Fault::at(
                self.place,
                "a curly quote, as documents make them; no shell takes it for a quote",
                "type the quotes anew: ' or \"",
            )),
            '\u{a0}' | '\u{2007}' | '\u{202f}' => Err(Fault::at(
                self.place,
                "a space that does not break, as documents make them; no shell takes it for a space",
                "type the space anew",
            )),
            _ => {
                self.push(c);
                self.next();
                Ok(())
            }
        }
    }

    fn escape(&mut self) -> Result<(), Fault> {
        let place = self.place;
        if self.look(1) == Some('\n') {
            self.next();
            self.next();
            return Ok(());
        }
        if self.look(1) == Some('\r') && self.look(2) == Some('\n') {
            return Err(Fault::at(
                place,
                "the line ends with CR LF, as on Windows; the backslash takes the CR, and the command ends",
                "save it with LF line ends",
            ));
        }
        self.open().quoted = true;
        self.next();
        match self.next() {
            None => self.push('\\'),
            Some(' ') if matches!(self.peek(), Some('\n') | None) => {
                self.notes.push(format!(
                    "a space behind the backslash at {place}: the line ends the command there"
                ));
                self.push(' ');
            }
            Some(c) => self.push(c),
        }
        Ok(())
    }

    fn single_quoted(&mut self) -> Result<(), Fault> {
        let place = self.place;
        self.open().quoted = true;
        self.next();
        loop {
            match self.next() {
                Some('\'') => return Ok(()),
                Some(c) => self.push(c),
                None => return Err(unended(place, "single quote", "'")),
            }
        }
    }

    fn double_quoted(&mut self) -> Result<(), Fault> {
        let place = self.place;
        self.open().quoted = true;
        self.next();
        loop {
            match self.peek() {
                Some('"') => {
                    self.next();
                    return Ok(());
                }
                Some('\\') => match self.look(1) {
                    Some(c @ ('$' | '`' | '"' | '\\')) => {
                        self.next();
                        self.next();
                        self.push(c);
                    }
                    Some('\n') => {
                        self.next();
                        self.next();
                    }
                    _ => {
                        self.next();
                        self.push('\\');
                    }
                },
                Some('$') => self.dollar(true)?,
                Some('`') => self.backticks()?,
                Some(c) => {
                    self.next();
                    self.push(c);
                }
                None => return Err(unended(place, "double quote", "\"")),
            }
        }
    }
}

fn unended(place: Place, what: &str, mark: &str) -> Fault {
    Fault::at(place, format!("a {what} that is not closed"), format!("close it with {mark}"))
}
