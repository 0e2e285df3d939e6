//! The architecture as a test: which module may know which, how long a file may be, how it begins.

use std::fs;
use std::path::{Path, PathBuf};

/// Module, what it may use of the crate, what it must not mention.
const TABLE: &[(&str, &[&str], &[&str])] = &[
    ("documented", &[], &[]),
    ("cause", &[], &["tokio", "rustls", "hickory", "hyper", "std::fs", "std::net"]),
    ("mistake", &[], &["tokio", "rustls", "hyper", "std::fs", "std::net"]),
    ("config", &[], &["tokio", "TcpStream", "UdpSocket", "std::fs", "std::env"]),
    ("observation", &[], &["tokio", "rustls", "hickory", "hyper", "std::fs"]),
    ("provider", &["cause", "mistake", "observation"], &["tokio", "SystemTime", "Timestamp::now"]),
    (
        "plan",
        &["config", "provider", "observation"],
        &["tokio", "std::fs", "SystemTime::now", "Timestamp::now"],
    ),
    ("probe", &["plan", "observation", "probe"], &["cause", "diagnosis", "store", "publish"]),
    (
        "diagnosis",
        &["cause", "observation", "provider", "diagnosis"],
        &["tokio", "tracing", "SystemTime", "Timestamp::now", "std::fs"],
    ),
    (
        "blackbox",
        &["cause", "config", "diagnosis", "observation", "plan", "provider"],
        &["tokio", "std::fs", "SystemTime::now", "Timestamp::now"],
    ),
    ("web", &["config"], &["tokio", "std::fs", "std::env", "SystemTime::now", "Timestamp::now"]),
    ("store", &["cause", "observation", "diagnosis", "provider"], &["tokio", "std::fs"]),
    (
        "lint",
        &["cause", "mistake", "config", "provider"],
        &[
            "tokio",
            "hyper",
            "TcpStream",
            "UdpSocket",
            "std::net",
            "std::fs",
            "std::env",
            "SystemTime",
        ],
    ),
    (
        "publish",
        &["cause", "store", "diagnosis", "observation", "lint", "mistake"],
        &["crate::probe", "crate::plan"],
    ),
];

/// Lines of production code in a file at most. A table may be longer.
const LINES: usize = 400;
const TABLES: &[&str] = &["src/cause.rs", "src/publish/messages.rs"];

fn sources(folder: &str) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut left = vec![PathBuf::from(folder)];
    while let Some(folder) = left.pop() {
        for entry in fs::read_dir(&folder).unwrap() {
            let path = entry.unwrap().path();
            // What a build left, where fuzzing was done.
            if path.ends_with("fuzz/target") {
                continue;
            }
            if path.is_dir() {
                left.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                found.push(path);
            }
        }
    }
    found.sort();
    assert!(!found.is_empty(), "no sources in {folder}");
    found
}

/// The code of a file without its tests, and without comments and documentation.
fn production(path: &Path) -> String {
    let text = fs::read_to_string(path).unwrap();
    let code = text.split("\n#[cfg(test)]\nmod tests").next().unwrap_or_default();
    code.lines().filter(|line| !line.trim_start().starts_with("//")).collect::<Vec<_>>().join("\n")
}

fn module(path: &Path) -> String {
    let inside = path.strip_prefix("src").unwrap();
    let first = inside.components().next().unwrap().as_os_str().to_string_lossy().into_owned();
    first.trim_end_matches(".rs").to_owned()
}

#[test]
fn modules_know_only_what_the_table_allows() {
    let mut wrong = Vec::new();
    for path in sources("src") {
        let module = module(&path);
        let Some((_, may_use, must_not)) = TABLE.iter().find(|(name, ..)| *name == module) else {
            assert!(
                ["daemon", "cli", "main", "lib"].contains(&module.as_str()),
                "{module}: no row"
            );
            continue;
        };
        let code = production(&path);
        for (at, _) in code.match_indices("crate::") {
            let rest: String = code[at + 7..]
                .chars()
                .take_while(|c| c.is_ascii_alphanumeric() || *c == '_')
                .collect();
            if rest != module && !may_use.contains(&rest.as_str()) {
                wrong.push(format!("{}: uses crate::{rest}", path.display()));
            }
        }
        // The server is the only I/O of publish.
        let server = path.ends_with("publish/server.rs") || path.starts_with("src/publish/server");
        let banned = must_not.iter().chain(if module == "publish" && !server {
            &["tokio"][..]
        } else {
            &[]
        });
        for word in banned {
            if code.contains(&format!("{word}::")) || code.contains(&format!("use {word}")) {
                wrong.push(format!("{}: mentions {word}", path.display()));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// Vendors' names are beside a verdict: what decides it asks for none.
#[test]
fn no_rule_knows_a_vendor() {
    let may = ["looks_like.rs", "verdict.rs", "mod.rs"].map(|file| format!("src/diagnosis/{file}"));
    let knows = |path: &PathBuf| {
        let code = production(path);
        ["fingerprints::", "looks_like::"].iter().any(|word| code.contains(word))
    };
    let wrong: Vec<PathBuf> = sources("src/diagnosis")
        .into_iter()
        .filter(|path| !may.iter().any(|may| path == Path::new(may)) && knows(path))
        .collect();
    assert!(wrong.is_empty(), "{wrong:?}");
}

#[test]
fn every_file_says_what_it_is_for() {
    let files = sources("src").into_iter().chain(sources("tests"));
    let silent: Vec<PathBuf> =
        files.filter(|path| !fs::read_to_string(path).unwrap().starts_with("//! ")).collect();
    assert!(silent.is_empty(), "no //! line: {silent:?}");
}

#[test]
fn files_stay_readable() {
    let long: Vec<String> = sources("src")
        .into_iter()
        .chain(sources("tests"))
        .filter(|path| !TABLES.iter().any(|table| path == Path::new(table)))
        .map(|path| (production(&path).lines().count(), path))
        .filter(|(lines, _)| *lines > LINES)
        .map(|(lines, path)| format!("{} has {lines} lines of code", path.display()))
        .collect();
    assert!(long.is_empty(), "{}", long.join("\n"));
}

/// Its truth is written by hand: a table of the program's could be wrong in both.
#[test]
fn the_lab_knows_nothing_of_the_program() {
    let using: Vec<PathBuf> = sources("tests/lab")
        .into_iter()
        .filter(|path| fs::read_to_string(path).unwrap().contains("egressd::"))
        .collect();
    assert!(using.is_empty(), "{using:?}");
}

#[test]
fn nothing_is_left_for_later() {
    // Put together here, so that this file does not find itself.
    let words = ["TO", "FIX", "XX"].iter().zip(["DO", "ME", "X"]).map(|(a, b)| format!("{a}{b}"));
    let words: Vec<String> =
        words.chain(["todo", "unimplemented", "dbg"].map(|w| format!("{w}!"))).collect();
    let mut left = Vec::new();
    for path in sources("src").into_iter().chain(sources("tests")) {
        let text = fs::read_to_string(&path).unwrap();
        left.extend(
            words
                .iter()
                .filter(|word| text.contains(*word))
                .map(|word| format!("{}: {word}", path.display())),
        );
    }
    assert!(left.is_empty(), "{}", left.join("\n"));
}

/// What is named as a secret is of the type that cannot be printed. Two are borrowed for a computation, by types that
/// print nothing; tokens are those of a peer's challenge.
#[test]
fn secrets_are_of_the_type_that_cannot_be_printed() {
    const NAMES: &[&str] =
        &["password", "token", "secret", "authorization", "cookie", "api_key", "passphrase"];
    const PLAIN: &[&str] = &["String", "str", "Vec<u8>", "Bytes", "Cow<"];
    const MAY: &[(&str, &str)] = &[
        ("src/probe/proxy/challenge.rs", "token"),
        ("src/probe/proxy/digest.rs", "password"),
        ("src/probe/proxy/login.rs", "token"),
        ("src/probe/proxy/ntlm.rs", "password"),
    ];
    let mut found = Vec::new();
    for path in sources("src") {
        for line in production(&path).lines() {
            // A field stands on a line of its own; what has brackets or an end is code.
            let Some((name, kind)) = line.trim().split_once(": ") else { continue };
            let name = name.rsplit(' ').next().unwrap_or_default();
            let is_field = kind.ends_with(',') && !kind.contains(['(', '"', '.']);
            if is_field && NAMES.contains(&name) && PLAIN.iter().any(|plain| kind.contains(plain)) {
                found.push((path.display().to_string(), name.to_owned()));
            }
        }
    }
    let found: Vec<(&str, &str)> =
        found.iter().map(|(path, name)| (path.as_str(), name.as_str())).collect();
    // Each of them is there, too: the search finds what it looks for.
    assert_eq!(found, MAY);
}

#[test]
fn the_versions_of_rust_agree() {
    let value = |file: &str, key: &str| {
        let text = fs::read_to_string(file).unwrap();
        let line = text.lines().find(|line| line.starts_with(key)).unwrap_or_default().to_owned();
        line.split('"').nth(1).unwrap_or_default().to_owned()
    };
    assert_eq!(value("Cargo.toml", "rust-version"), value(".clippy.toml", "msrv"));
}
