//! Words of a POSIX shell: values of a configuration that stay one word whatever is in them, and secrets that are
//! named where they are, never written. It runs nothing.

use std::path::Path;

use crate::config::{FileSource, SecretSource};

/// A command line that grows word by word.
#[derive(Clone, Debug)]
pub(super) struct Line(String);

impl Line {
    /// Of words of our own.
    pub(super) fn new(words: &str) -> Self {
        Self(words.to_owned())
    }

    /// With further words of our own, or words that are quoted already.
    #[must_use]
    pub(super) fn and(mut self, words: &str) -> Self {
        self.0.push(' ');
        self.0.push_str(words);
        self
    }

    /// With an option of our own, if there is a value for it.
    #[must_use]
    pub(super) fn option(self, option: &str, value: Option<&str>) -> Self {
        match value {
            Some(value) => self.and(option).and(&quote(value)),
            None => self,
        }
    }

    /// The whole line.
    pub(super) fn finished(self) -> String {
        self.0
    }
}

/// A text as one word. What is not printable ASCII is written by `printf`, in octal: a terminal sees none of it,
/// and `$'…'` is not known to every shell. Line breaks at its end are lost in that.
pub(super) fn quote(text: &str) -> String {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"@%+=:,./_-".contains(&byte);
    if !text.is_empty() && text.bytes().all(is_plain) {
        return text.to_owned();
    }
    if text.bytes().all(|byte| (b' '..=b'~').contains(&byte)) {
        return format!("'{}'", text.replace('\'', r"'\''"));
    }
    let mut format = String::new();
    for byte in text.bytes() {
        match byte {
            b'%' => format.push_str("%%"),
            b' '..=b'~' if byte != b'\\' && byte != b'\'' => format.push(char::from(byte)),
            _ => format.push_str(&format!("\\{byte:03o}")),
        }
    }
    // A format that begins with a dash would be an option of some.
    match format.strip_prefix('-') {
        Some(rest) => format!("\"$(printf '\\055{rest}')\""),
        None => format!("\"$(printf '{format}')\""),
    }
}

/// A path as one word.
pub(super) fn path(path: &Path) -> String {
    let text = path.display().to_string();
    // Else it would be read as an option.
    if text.starts_with('-') { quote(&format!("./{text}")) } else { quote(&text) }
}

/// The place of a secret as one word that the shell puts its value in.
pub(super) fn secret(source: &SecretSource) -> String {
    match source {
        SecretSource { env: Some(name), .. } => variable(name),
        SecretSource { file: Some(file), .. } => format!("\"$(cat {})\"", path(file)),
        SecretSource { credential: Some(name), .. } => format!("\"$(cat {})\"", credential(name)),
        SecretSource { env: None, file: None, credential: None } => "\"$SECRET\"".to_owned(),
    }
}

/// The file of a secret as one word, where it is in one.
pub(super) fn secret_file(source: &SecretSource) -> Option<String> {
    let SecretSource { env, file, credential: name } = source;
    if env.is_some() {
        return None;
    }
    file.as_deref().map(path).or_else(|| name.as_deref().map(credential))
}

/// A file as one word.
pub(super) fn file(source: &FileSource) -> String {
    match source {
        FileSource::Path(file) => path(file),
        FileSource::Credential(name) => credential(name),
    }
}

fn credential(name: &str) -> String {
    format!("\"$CREDENTIALS_DIRECTORY\"/{}", quote(name))
}

/// The value of a variable as one word; its name may be one that no shell has.
pub(super) fn variable(name: &str) -> String {
    if is_name(name) { format!("\"${name}\"") } else { format!("\"$(printenv {})\"", quote(name)) }
}

/// Whether a shell has such variables (POSIX, "Name").
pub(super) fn is_name(name: &str) -> bool {
    !name.starts_with(|c: char| c.is_ascii_digit())
        && !name.is_empty()
        && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;
    use std::process::Command;

    use super::*;

    /// What a shell makes of a word, with what it was given in its environment.
    fn shell(word: &str, variables: &[(&str, &str)]) -> String {
        let output = Command::new("sh")
            .args(["-c", &format!("printf '<%s>' {word}")])
            .env_clear()
            .env("PATH", "/usr/bin:/bin")
            .envs(variables.iter().copied())
            .output()
            .unwrap();
        assert!(output.status.success() && output.stderr.is_empty(), "{word}: {output:?}");
        String::from_utf8(output.stdout).unwrap()
    }

    #[test]
    fn every_value_stays_one_word() {
        for text in [
            "",
            "plain-1.2_3/x:y,z@w%+=",
            "two words",
            "it's",
            "'",
            "''; touch /tmp/x #'",
            "$HOME `id` $(id) \"q\" \\",
            "-n",
            "!! ~ * ? [a] {b,c} & | ; < > ( ) #",
            "a\nb\tc\r",
            "\x1b[31mred\x07",
            "\u{e9}\u{202e}\u{1f600}",
            "-e\n",
            "100%\n%s\\n'",
            "\\033\x01",
        ] {
            assert_eq!(shell(&quote(text), &[]), format!("<{}>", text.trim_end_matches('\n')));
            assert!(quote(text).bytes().all(|byte| (b' '..=b'~').contains(&byte)), "{text:?}");
        }
        assert_eq!(quote("api.example"), "api.example");
        assert_eq!(quote("it's"), r"'it'\''s'");
        assert_eq!(path(Path::new("-x")), "./-x");
    }

    #[test]
    fn a_secret_is_found_where_it_is() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("a 'key' $x");
        std::fs::write(&file, "s$cret `id` \"q\"\n").unwrap();
        let directory = folder.path().display().to_string();
        let given = [("KEY", "s$cret `id` \"q\""), ("CREDENTIALS_DIRECTORY", directory.as_str())];
        let env = |name: &str| SecretSource { env: Some(name.into()), ..Default::default() };
        let sources = [
            env("KEY"),
            SecretSource { file: Some(file.clone()), ..Default::default() },
            SecretSource { credential: Some("a 'key' $x".into()), ..Default::default() },
        ];
        for source in &sources {
            let word = secret(source);
            assert_eq!(shell(&word, &given), "<s$cret `id` \"q\">", "{word}");
        }
        assert_eq!(secret(&sources[0]), "\"$KEY\"");
        assert_eq!(secret_file(&sources[0]), None);
        let expected = format!("<{}>", file.display());
        // bash hands such a variable on, dash drops it.
        assert_eq!(secret(&env("A-B")), "\"$(printenv A-B)\"");
        assert_eq!(shell(&secret(&env("A; id")), &given), "<>");
        for source in &sources[1..] {
            assert_eq!(shell(&secret_file(source).unwrap(), &given), expected);
        }
        assert_eq!(shell(&self::file(&FileSource::Path(PathBuf::from("/a b"))), &[]), "</a b>");
    }
}
