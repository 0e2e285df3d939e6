//! What stands behind a `$`: variables, where they are set, and what would have to be run, which is not.

use super::{Fault, Shell, unended};

impl Shell<'_> {
    /// A `$` and what belongs to it.
    pub(super) fn dollar(&mut self, quoted: bool) -> Result<(), Fault> {
        // The word begins here, not behind what is read now.
        self.open();
        match self.look(1) {
            Some('(') => self.parentheses(),
            Some('{') => self.braces(quoted),
            Some(c) if c.is_ascii_alphabetic() || c == '_' => {
                self.next();
                let name = self.name();
                let value = self.value(&name);
                self.put(&name, value, &format!("${name}"), quoted);
                Ok(())
            }
            Some(c @ ('0'..='9' | '@' | '*' | '#' | '?' | '!' | '-' | '$')) => {
                self.next();
                self.next();
                let name = c.to_string();
                self.put(&name, None, &format!("${name}"), quoted);
                Ok(())
            }
            _ => {
                self.push('$');
                self.next();
                Ok(())
            }
        }
    }

    fn name(&mut self) -> String {
        let mut name = String::new();
        while let Some(c) = self.peek().filter(|c| c.is_ascii_alphanumeric() || *c == '_') {
            name.push(c);
            self.next();
        }
        name
    }

    /// `${NAME}` and `${NAME:-instead}`; other forms stay as they are written.
    fn braces(&mut self, quoted: bool) -> Result<(), Fault> {
        let place = self.place;
        self.next();
        self.next();
        let name = self.name();
        let mut rest = String::new();
        let mut depth = 1_usize;
        loop {
            match self.next() {
                None => return Err(unended(place, "brace of a variable", "}")),
                Some('{') => {
                    depth += 1;
                    rest.push('{');
                }
                Some('}') if depth == 1 => break,
                Some(c) => {
                    depth -= usize::from(c == '}');
                    rest.push(c);
                }
            }
        }
        let written = format!("${{{name}{rest}}}");
        let value = self.value(&name);
        let plain = !rest.contains(['$', '`', '"', '\'', '\\']);
        match (rest.strip_prefix(":-"), rest.strip_prefix('-')) {
            _ if rest.is_empty() && !name.is_empty() => self.put(&name, value, &written, quoted),
            (Some(instead), _) if plain => {
                let value = value.filter(|value| !value.is_empty());
                self.put(&name, value.or_else(|| Some(instead.to_owned())), &written, quoted);
            }
            (_, Some(instead)) if plain => {
                self.put(&name, value.or_else(|| Some(instead.to_owned())), &written, quoted);
            }
            _ => self.leave(&written),
        }
        Ok(())
    }

    /// Puts a value into the word; without quotes its blanks end words. What is not set stays as it is written.
    fn put(&mut self, name: &str, value: Option<String>, written: &str, quoted: bool) {
        let Some(value) = value else {
            let open = self.open();
            open.text.push_str(written);
            open.unset.push(name.to_owned());
            return;
        };
        let whole = quoted || self.is_assigning();
        for c in value.chars() {
            if !whole && matches!(c, ' ' | '\t' | '\n') {
                self.close();
            } else {
                self.push(c);
            }
        }
    }

    /// Keeps as it is written what would have to be run.
    fn leave(&mut self, written: &str) {
        let open = self.open();
        open.text.push_str(written);
        open.made = true;
    }

    /// `$(…)`, and what is in it, quotes and further parentheses.
    fn parentheses(&mut self) -> Result<(), Fault> {
        let place = self.place;
        self.next();
        let (mut written, mut depth, mut within) = ("$".to_owned(), 0_usize, None);
        loop {
            let Some(c) = self.next() else {
                return Err(unended(place, "command substitution", ")"));
            };
            written.push(c);
            match (within, c) {
                (Some('\''), c) if c != '\'' => {}
                (_, '\\') => written.extend(self.next()),
                (Some(quote), c) if c == quote => within = None,
                (Some(_), _) => {}
                (None, '\'' | '"') => within = Some(c),
                (None, '(') => depth += 1,
                (None, ')') if depth == 1 => break,
                (None, ')') => depth -= 1,
                (None, _) => {}
            }
        }
        self.leave(&written);
        Ok(())
    }

    /// `` `…` ``.
    pub(super) fn backticks(&mut self) -> Result<(), Fault> {
        self.open();
        let place = self.place;
        self.next();
        let mut written = "`".to_owned();
        loop {
            let Some(c) = self.next() else {
                return Err(unended(place, "command substitution", "`"));
            };
            written.push(c);
            match c {
                '\\' => written.extend(self.next()),
                '`' => break,
                _ => {}
            }
        }
        self.leave(&written);
        Ok(())
    }

    /// The variables of a here-document, where quotes are none; and whether a command, or else a variable that is
    /// not set, makes a part of it.
    pub(super) fn expanded(&mut self, text: &str) -> Result<(String, Option<bool>), Fault> {
        let mut inner = Shell::new(text.chars().collect(), self.variables);
        inner.assigned.clone_from(&self.assigned);
        inner.open().quoted = true;
        while let Some(c) = inner.peek() {
            match (c, inner.look(1)) {
                ('\\', Some('\n')) => {
                    inner.next();
                    inner.next();
                }
                ('\\', Some(c @ ('$' | '`' | '\\'))) => {
                    inner.next();
                    inner.next();
                    inner.push(c);
                }
                ('$', _) => inner.dollar(true)?,
                ('`', _) => inner.backticks()?,
                _ => {
                    inner.next();
                    inner.push(c);
                }
            }
        }
        let open = inner.open.take().unwrap_or_default();
        Ok((open.text, (open.made || !open.unset.is_empty()).then_some(open.made)))
    }

    /// `$'…'`, with the escapes of C.
    pub(super) fn ansi_quoted(&mut self) -> Result<(), Fault> {
        let place = self.place;
        self.open().quoted = true;
        self.next();
        self.next();
        let mut bytes = Vec::new();
        loop {
            match self.next() {
                Some('\'') => break,
                Some('\\') => self.ansi_escape(&mut bytes),
                Some(c) => bytes.extend(c.encode_utf8(&mut [0; 4]).bytes()),
                None => return Err(unended(place, "quote of the form $'…'", "'")),
            }
        }
        // A shell ends such a word at a NUL.
        bytes.truncate(bytes.iter().position(|byte| *byte == 0).unwrap_or(bytes.len()));
        let text = String::from_utf8(bytes);
        let text =
            text.unwrap_or_else(|error| error.as_bytes().iter().map(|b| char::from(*b)).collect());
        text.chars().for_each(|c| self.push(c));
        Ok(())
    }

    fn ansi_escape(&mut self, bytes: &mut Vec<u8>) {
        let Some(c) = self.next() else { return };
        let control = match c {
            'n' => b'\n',
            't' => b'\t',
            'r' => b'\r',
            'a' => 7,
            'b' => 8,
            'e' | 'E' => 27,
            'f' => 12,
            'v' => 11,
            '\\' | '\'' | '"' | '?' => {
                bytes.extend(c.encode_utf8(&mut [0; 4]).bytes());
                return;
            }
            '0'..='7' => {
                let first = c.to_digit(8).unwrap_or_default();
                let more = self.digits(8, 2).unwrap_or_default();
                let (number, count) = (more.0, more.1);
                let value = first * 8_u32.pow(count) + number;
                u8::try_from(value & 0xff).unwrap_or_default()
            }
            'x' => match self.digits(16, 2) {
                Some((number, _)) => u8::try_from(number).unwrap_or_default(),
                None => return bytes.extend(b"\\x"),
            },
            'u' | 'U' => {
                let most = if c == 'u' { 4 } else { 8 };
                let number = self.digits(16, most).map(|(number, _)| number);
                let letter = number.and_then(char::from_u32).unwrap_or(char::REPLACEMENT_CHARACTER);
                return bytes.extend(letter.encode_utf8(&mut [0; 4]).bytes());
            }
            _ => {
                bytes.push(b'\\');
                return bytes.extend(c.encode_utf8(&mut [0; 4]).bytes());
            }
        };
        bytes.push(control);
    }

    /// A number of at most so many digits, and how many there were.
    fn digits(&mut self, base: u32, most: u32) -> Option<(u32, u32)> {
        let (mut number, mut count) = (0_u32, 0);
        while count < most {
            let Some(digit) = self.peek().and_then(|c| c.to_digit(base)) else { break };
            number = number.wrapping_mul(base).wrapping_add(digit);
            count += 1;
            self.next();
        }
        (count > 0).then_some((number, count))
    }
}
