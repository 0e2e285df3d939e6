//! The files that hold lists of targets: which they are now, and what is in them.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc;
use tokio::time::timeout;
use tracing::warn;

use super::load::Source;
use super::{Order, environment};
use crate::plan::Listed;

/// Bytes of a list at most.
const LIMIT: usize = 4 << 20;
/// Files of a pattern at most.
const FILES: usize = 256;
/// How often it is looked whether there are lists by now.
const IDLE: Duration = Duration::from_secs(60);

/// After so long it is said that they are not to be had.
const PATIENCE: Duration = Duration::from_secs(30);

/// Reads the files of these patterns, in the order of their names; each once.
pub(super) fn read<'a>(patterns: impl Iterator<Item = &'a str>) -> Vec<Listed> {
    let mut lists: Vec<Listed> = Vec::new();
    for pattern in patterns {
        let path = Path::new(pattern);
        let wanted = path.file_name().map(|name| name.to_string_lossy()).unwrap_or_default();
        let folder = match path.parent() {
            Some(folder) if !folder.as_os_str().is_empty() => folder,
            Some(_) | None => Path::new("."),
        };
        let mut found = Vec::new();
        for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
            let name = entry.file_name();
            // As a shell has it, and editors and `..data` of Kubernetes rely on.
            let hidden = name.as_encoded_bytes().starts_with(b".") && !wanted.starts_with('.');
            if !hidden && matches(wanted.as_bytes(), name.as_encoded_bytes()) {
                found.push(path.with_file_name(name));
            }
        }
        found.sort();
        found.truncate(FILES);
        for file in found {
            let known = lists.iter_mut().find(|listed| listed.file == file);
            if let Some(known) = known {
                known.patterns.push(pattern.to_owned());
            } else {
                let text = text(&file);
                lists.push(Listed { patterns: vec![pattern.to_owned()], file, text });
            }
        }
    }
    lists
}

/// A list's text.
fn text(path: &Path) -> Result<String, String> {
    if let Some((_, kind)) = environment::writable_by_others(path) {
        return Err(format!("others may write this {kind}; chmod o-w it"));
    }
    environment::read_text(path, LIMIT).map_err(|error| error.to_string())
}

/// Whether a name is one of a pattern's, where `*` is any part and `?` any byte: in as many steps as the product of
/// their lengths at most.
fn matches(pattern: &[u8], name: &[u8]) -> bool {
    let (mut pattern, mut name) = (pattern, name);
    // What is left of both where the last `*` took one byte more.
    let mut again: Option<(&[u8], &[u8])> = None;
    loop {
        match (pattern.split_first(), name.split_first()) {
            (None, None) => return true,
            (Some((b'*', rest)), _) => {
                again = Some((rest, name));
                pattern = rest;
            }
            (Some((wanted, rest)), Some((byte, left))) if *wanted == b'?' || wanted == byte => {
                (pattern, name) = (rest, left);
            }
            _ => {
                let Some((after, [_, left @ ..])) = again else { return false };
                again = Some((after, left));
                (pattern, name) = (after, left);
            }
        }
    }
}

/// Looks at the lists as often as the configuration in force says, and orders them to be loaded where one has
/// changed. It ends with the daemon.
pub async fn watch(source: Arc<Source>, orders: mpsc::Sender<Order>) {
    loop {
        tokio::time::sleep(source.refresh().unwrap_or(IDLE)).await;
        let looking = Arc::clone(&source);
        // Files may be on a server that takes its time: none but this task waits for them.
        let mut look = tokio::task::spawn_blocking(move || looking.has_changed());
        let changed = match timeout(PATIENCE, &mut look).await {
            Ok(changed) => changed,
            Err(_) => {
                warn!("lists of targets cannot be read for {PATIENCE:?}: they stay as they are");
                look.await
            }
        };
        if changed.unwrap_or(false) && orders.send(Order::Lists).await.is_err() {
            return;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::matches;

    #[test]
    fn a_star_is_any_part_and_a_question_mark_any_byte() {
        for (pattern, name, is) in [
            ("*.json", "a.json", true),
            ("*.json", ".json", true),
            ("*.json", "a.json.new", false),
            ("a*b*c", "aXbXbc", true),
            ("a*b*c", "aXbXb", false),
            ("team-?.json", "team-1.json", true),
            ("team-?.json", "team-12.json", false),
            ("a.json", "a.json", true),
            ("", "a", false),
            ("**", "", true),
        ] {
            assert_eq!(matches(pattern.as_bytes(), name.as_bytes()), is, "{pattern} {name}");
        }
        let long = [b'a'; 4096];
        assert!(!matches(b"*a*a*a*a*a*a*a*a*b", &long));
    }
}
