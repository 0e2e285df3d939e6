//! What stands in the place of a key: the words of manuals, names of variables, masks. What looks drawn at random is
//! a key, whatever it spells.

/// Words that stand where a key should.
const STAND_INS: &[&str] = &[
    "placeholder",
    "changeme",
    "change-me",
    "change_me",
    "replace",
    "insert",
    "todo",
    "api-key-here",
    "api_key_here",
    "your-",
    "your_",
    "yourkey",
    "yourapikey",
    "my-api-key",
    "my_api_key",
    "redacted",
];

/// Texts of manuals are short.
const LONGEST_STAND_IN: usize = 48;

/// Whole values that stand for none.
const NOTHINGS: &[&str] = &[
    "null",
    "none",
    "nil",
    "undefined",
    "[object object]",
    "key",
    "api-key",
    "api_key",
    "token",
    "secret",
];

/// What stands there instead of a key, where none does.
pub(super) fn stand_in(key: &str) -> Option<&'static str> {
    let bare = key.trim().trim_matches(['"', '\'', '`']);
    let lower = bare.to_lowercase();
    let is_name = |text: &str| {
        !text.is_empty() && text.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
    };
    let inside = |begin: &str, end: &str| {
        bare.strip_prefix(begin).and_then(|rest| rest.strip_suffix(end)).is_some_and(|name| {
            is_name(
                name.trim().trim_start_matches(['.', '$']).replace(['.', '-', ' '], "_").as_str(),
            )
        })
    };
    if inside("${", "}") || bare.strip_prefix('$').is_some_and(is_name) {
        return Some("The name of a variable that no shell replaced");
    }
    if inside("{{", "}}") || inside("{", "}") || inside("%", "%") {
        return Some("The name of a variable that no template replaced");
    }
    if bare.starts_with('<') && bare.ends_with('>') {
        return Some("A text in angle brackets");
    }
    if NOTHINGS.contains(&lower.as_str()) {
        return Some("A word that stands for nothing");
    }
    if lower.contains("...")
        || bare.contains('…')
        || lower.contains("***")
        || lower.split(['-', '_']).any(|part| part.len() >= 4 && part.trim_matches('x').is_empty())
    {
        return Some("A shortened or masked key");
    }
    STAND_INS.iter().any(|word| stands_in(&lower, word)).then_some("A placeholder of a manual")
}

/// Whether a word stands in a key by itself: letters drawn at random spell any word now and then.
fn stands_in(key: &str, word: &str) -> bool {
    let bare = word.trim_end_matches(['-', '_']);
    key.match_indices(bare).any(|(at, _)| {
        let before = key.get(..at).unwrap_or_default();
        let behind = key.get(at + bare.len()..).unwrap_or_default();
        let ends = |text: &str, next: Option<char>| {
            text.is_empty() || next.is_some_and(|c| matches!(c, '-' | '_' | ' '))
        };
        let alone = ends(before, before.chars().next_back()) && ends(behind, behind.chars().next());
        alone && key.len() <= LONGEST_STAND_IN
    })
}
