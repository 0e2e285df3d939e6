//! What was probably meant where JSON stops being JSON: by the character that stands there.

use super::{NotJson, Reader, fault};

impl Reader<'_> {
    /// A comma with something behind it, or the end of what began there.
    pub(super) fn goes_on(&mut self, end: char, begin: usize) -> Result<bool, NotJson> {
        self.blanks();
        let at = self.at;
        match self.peek() {
            Some(',') => {
                self.next();
                self.blanks();
                match self.peek() {
                    Some('}' | ']') => fault(at, "a comma before a closing bracket", "take it out"),
                    _ => Ok(true),
                }
            }
            Some(c) if c == end => {
                self.next();
                Ok(false)
            }
            None => self.cut_short(begin),
            Some('"' | '{' | '[') => fault(at, "no comma between two values", "add it"),
            Some('}' | ']') => {
                fault(at, "a closing bracket of the other kind", "close what was opened last first")
            }
            Some(';') => fault(at, "a semicolon behind a value", "write a comma"),
            Some('\\') => {
                let help = "within single quotes of a shell, quotes need no backslash";
                fault(at, "a backslash outside of a text", help)
            }
            Some('/' | '#') => self.no_value("a comma"),
            Some(c) if c.is_ascii_alphanumeric() => {
                let help = "in a text, a quote is written \\\"; in a shell, keep the whole body in single quotes";
                fault(at, "letters behind a value: a quote ended the text too early", help)
            }
            Some(_) => fault(at, "no comma behind a value", "add it"),
        }
    }

    /// What stands where a value or a name should, by its first character.
    pub(super) fn no_value<T>(&self, wanted: &str) -> Result<T, NotJson> {
        let at = self.at;
        let rest = self.rest();
        let Some(c) = rest.chars().next() else {
            let why = if self.text.trim().is_empty() {
                "there is nothing in it".to_owned()
            } else {
                format!("the text is cut short before {wanted}")
            };
            return fault(self.text.len(), why, "send all of it");
        };
        let begins = |words: &[&str]| words.iter().any(|word| rest.starts_with(word));
        match c {
            '\'' => {
                fault(at, format!("a single quote in the place of {wanted}"), "write double quotes")
            }
            '`' => fault(at, "a backtick in the place of a quote", "write double quotes"),
            '\u{2018}'..='\u{201f}' | '\u{ab}' | '\u{bb}' => {
                fault(at, "a curly quote, as documents make them", "write a straight double quote")
            }
            '/' if begins(&["//", "/*"]) => {
                fault(at, "a comment, which JSON has not", "take it out")
            }
            '#' => fault(at, "a comment, which JSON has not", "take it out"),
            ',' => fault(at, format!("a comma in the place of {wanted}"), "take one of them out"),
            '}' | ']' => {
                fault(at, format!("a closing bracket in the place of {wanted}"), "take it out")
            }
            '\u{feff}' => fault(at, "a byte order mark (BOM)", "take it out"),
            '\u{a0}' | '\u{200b}'..='\u{200d}' => {
                fault(at, "a blank that JSON does not take for one", "write a plain space")
            }
            '\\' => {
                let help = "within single quotes of a shell, quotes need no backslash";
                fault(at, "a backslash outside of a text", help)
            }
            '$' => fault(at, "a variable that nobody replaced", "put its value there"),
            '<' => fault(at, "HTML or XML, not JSON", "send JSON"),
            '+' | '.' => fault(at, "a number that JSON writes otherwise", "write it as 0.5 or 1"),
            _ if begins(&["True", "False", "None"]) => fault(
                at,
                "True, False or None of Python",
                "write true, false or null; or use json.dumps",
            ),
            _ if begins(&["NaN", "Infinity", "undefined"]) => fault(
                at,
                "NaN, Infinity or undefined, which JSON has not",
                "write null, or leave it out",
            ),
            c if c.is_control() => {
                fault(at, "a control character outside of a text", "take it out")
            }
            c if c.is_alphanumeric() => {
                let why = format!("{wanted} without double quotes");
                fault(at, why, "put it into double quotes")
            }
            _ => fault(at, format!("a character that cannot begin {wanted}"), "take it out"),
        }
    }
}
