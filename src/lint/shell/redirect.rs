//! Redirections and here-documents: what a command would read, and words that are none of the program's.

use super::{Awaited, Fault, Input, Open, Secret, Shell};

impl Shell<'_> {
    /// `<file`, `>file`, `2>&1`, `<<END`: the words are none of the program's.
    pub(super) fn redirection(&mut self) -> Result<(), Fault> {
        // A number directly before it says which descriptor is meant.
        let is_number = |open: &Open| {
            !open.quoted && !open.text.is_empty() && open.text.chars().all(|c| c.is_ascii_digit())
        };
        let descriptor = self.open.take_if(|open| is_number(open)).map(|open| open.text);
        self.close();
        let place = self.place;
        let reads = self.next() == Some('<') && descriptor.is_none_or(|number| number == "0");
        let mut operator = String::new();
        while let Some(c @ ('<' | '>' | '&' | '|' | '-')) = self.peek() {
            if operator.len() == 2 || (c == '-' && operator != "<") {
                break;
            }
            operator.push(c);
            self.next();
        }
        if operator.is_empty() && self.peek() == Some('(') {
            let help = "write what it prints to a file, and name that";
            return Err(Fault::at(
                place,
                "a command in the place of a file, which is not run",
                help,
            ));
        }
        let before = self.words.len();
        while matches!(self.peek(), Some(' ' | '\t')) {
            self.next();
        }
        let mut literal = false;
        while let Some(c) = self.peek() {
            if matches!(c, ' ' | '\t' | '\n' | ';' | '&' | '|' | '<' | '>' | '(' | ')') {
                break;
            }
            literal |= matches!(c, '\'' | '"' | '\\');
            self.part(c)?;
        }
        self.close();
        let Some(word) = self.words.drain(before..).next() else {
            let help = "name a file behind it, or take it out";
            return Err(Fault::at(place, "a redirection that leads nowhere", help));
        };
        let end = word.text.expose().to_owned();
        match operator.as_str() {
            "<" | "<-" => {
                self.awaited = Some(Awaited { end, literal, tabs: operator == "<-", place });
            }
            "<<" => {
                let unmade = word.made || !word.unset.is_empty();
                self.input_made = unmade.then_some((word.made, word.place));
                self.input = Some(Input::Text(Secret::new(end + "\n")));
            }
            "" if reads => self.input = Some(Input::File(word)),
            _ => {}
        }
        Ok(())
    }

    /// The lines up to the one that was announced.
    pub(super) fn here_document(&mut self) -> Result<(), Fault> {
        let Some(Awaited { end, literal, tabs, place }) = self.awaited.take() else {
            return Ok(());
        };
        let mut text = String::new();
        loop {
            if self.peek().is_none() {
                let help = "end it with a line that is that word and nothing else";
                return Err(Fault::at(place, "a here-document without its end", help));
            }
            let mut line = String::new();
            while let Some(c) = self.next().filter(|c| *c != '\n') {
                line.push(c);
            }
            let line = if tabs { line.trim_start_matches('\t') } else { &line };
            if line == end {
                break;
            }
            text.push_str(line);
            text.push('\n');
        }
        if !literal {
            let (expanded, made) = self.expanded(&text)?;
            text = expanded;
            self.input_made = made.map(|by_command| (by_command, place));
        }
        self.input = Some(Input::Text(Secret::new(text)));
        Ok(())
    }
}
