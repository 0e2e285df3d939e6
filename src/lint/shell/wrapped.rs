//! What stands around a command: prompts that were copied along, programs that run another, variables that the
//! text sets itself.

use super::{Secret, Shell, Word};

/// Programs and words of the shell behind which a command stands, and their options that take a value.
const WRAPPERS: &[(&str, &[&str])] = &[
    ("!", &[]),
    ("{", &[]),
    ("command", &[]),
    ("do", &[]),
    ("elif", &[]),
    ("else", &[]),
    ("env", &["-u", "--unset", "-C"]),
    ("exec", &["-a"]),
    ("if", &[]),
    ("nice", &["-n"]),
    ("nohup", &[]),
    ("sudo", &["-u", "-g", "-h", "-p", "-C"]),
    ("then", &[]),
    ("time", &["-f", "-o"]),
    ("timeout", &["-k", "-s"]),
    ("until", &[]),
    ("while", &[]),
    ("xargs", &["-I", "-n", "-P", "-d", "-a", "-L", "-s"]),
];

/// How many words stand before a command and are no part of it.
pub(super) fn before(words: &[Word]) -> usize {
    let text = |at: usize| words.get(at).map(|word| word.text.expose());
    let mut at = 0;
    while let Some(word) = text(at) {
        if is_prompt(word) || assignment(word).is_some() {
            at += 1;
            continue;
        }
        let name = word.rsplit('/').next().unwrap_or_default();
        let Some((name, valued)) = WRAPPERS.iter().find(|(known, _)| *known == name) else { break };
        at += 1;
        while let Some(option) = text(at).filter(|word| word.starts_with('-')) {
            at += 1 + usize::from(valued.contains(&option));
        }
        // How long.
        at += usize::from(*name == "timeout");
    }
    at.min(words.len())
}

/// `$`, `user@host:~$`.
fn is_prompt(word: &str) -> bool {
    matches!(word, "$" | "%" | ">")
        || (word.ends_with(['$', '#', '%']) && word.contains('@') && !word.contains("://"))
}

/// `NAME=value`.
fn assignment(word: &str) -> Option<(&str, &str)> {
    let is_name = |name: &str| {
        name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
            && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
    };
    word.split_once('=').filter(|(name, _)| is_name(name))
}

/// The text with what hides a command made blank, where that stands in it; places stay as they are.
pub(super) fn bared(text: &str, hidden: &str) -> Option<Vec<char>> {
    let begin = match hidden.strip_prefix('#') {
        // Only where a line begins.
        Some(_) => {
            let lines = text.split_inclusive('\n');
            let mut at = 0;
            lines
                .map(|line| {
                    let begin = at + line.len() - line.trim_start().len();
                    at += line.len();
                    (begin, line.trim_start())
                })
                .find(|(_, line)| line.starts_with(hidden))
                .map(|(begin, _)| begin)?
        }
        None => text.find(hidden)?,
    };
    let (before, behind) = text.split_at_checked(begin)?;
    let mark = hidden.find('c').unwrap_or_default();
    let quoted = before.ends_with('"');
    let before = before.strip_suffix('"').unwrap_or(before);
    let blanks = std::iter::repeat_n(' ', mark + usize::from(quoted));
    let mut bare: Vec<char> = before.chars().chain(blanks).collect();
    let rest = behind.get(mark..)?;
    match (hidden.starts_with('`'), rest.split_once('`')) {
        (true, Some((inside, _))) => bare.extend(inside.chars()),
        _ => bare.extend(rest.chars()),
    }
    Some(bare)
}

impl Shell<'_> {
    /// The value of a variable: what the text has set itself counts before the environment's.
    pub(super) fn value(&self, name: &str) -> Option<String> {
        match self.assigned.get(name) {
            Some(value) => value.as_ref().map(|value| value.expose().to_owned()),
            None => (self.variables)(name),
        }
    }

    /// Takes a command that only sets variables; whether it is one.
    pub(super) fn assign(&mut self) -> bool {
        let is_before =
            |word: &&Word| is_prompt(word.text.expose()) || word.text.expose() == "export";
        let begin = self.words.iter().take_while(is_before).count();
        let words = self.words.get(begin..).unwrap_or_default();
        let all: Option<Vec<_>> = words
            .iter()
            .map(|word| {
                let (name, value) = assignment(word.text.expose())?;
                let known = !word.made && word.unset.is_empty();
                Some((name.to_owned(), known.then(|| Secret::new(value.to_owned()))))
            })
            .collect();
        let Some(all) = all.filter(|all| !all.is_empty()) else { return false };
        self.assigned.extend(all);
        true
    }

    /// Whether the word that is being read sets a variable: its blanks end no word (XCU 2.9.1).
    pub(super) fn is_assigning(&self) -> bool {
        let before = |word: &Word| {
            let text = word.text.expose();
            is_prompt(text) || text == "export" || assignment(text).is_some()
        };
        self.open.as_ref().is_some_and(|open| assignment(&open.text).is_some())
            && self.words.iter().all(before)
    }

    /// How many more such commands there are, as far as the rest can be read.
    pub(super) fn others(&mut self, wanted: &impl Fn(&str) -> bool) -> usize {
        let mut count = 0;
        while let Ok(more) = self.simple_command() {
            let before = before(&self.words);
            let first = self.words.get(before);
            count += usize::from(first.is_some_and(|word| wanted(word.text.expose())));
            self.words.clear();
            if !more {
                break;
            }
        }
        count
    }
}
