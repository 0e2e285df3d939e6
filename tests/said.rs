//! What clients say, looked up: `egressd explain MESSAGE` on lines as people paste them.

use std::collections::BTreeSet;
use std::io::Write as _;
use std::process::Stdio;

use egressd::publish::messages::{MESSAGES, Message};
use egressd::publish::said::{find, text};

use crate::support::program::{Finished, egressd, run};

fn ids(found: &[&Message]) -> Vec<&'static str> {
    found.iter().map(|message| message.id).collect()
}

/// Given on standard input.
fn piped(bytes: &[u8]) -> Finished {
    let mut child = egressd()
        .args(["explain", "-"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("it starts");
    // It need not read all of it.
    let (Ok(()) | Err(_)) = child.stdin.take().expect("it was piped").write_all(bytes);
    Finished::of(child.wait_with_output().expect("it ends"))
}

#[test]
fn every_pattern_finds_its_message() {
    let mut all = BTreeSet::new();
    for message in MESSAGES {
        for pattern in message.patterns {
            assert!(all.insert(pattern.to_lowercase()), "{pattern} is there twice");
            for line in [(*pattern).to_owned(), format!("x: [{pattern}], y").to_uppercase()] {
                assert!(ids(&find(&line)).contains(&message.id), "{line}: {:?}", ids(&find(&line)));
            }
        }
    }
    assert!(MESSAGES.len() >= 60);
}

#[test]
fn every_message_is_found_in_a_line_as_it_is_pasted() {
    let table = std::fs::read_to_string("tests/said/pasted.txt").unwrap();
    let (mut pasted, mut wrong) = (BTreeSet::new(), String::new());
    for entry in table.split("\n\n").skip(1) {
        let (line, expected) =
            entry.trim_end().split_once('\n').expect("a line, and what it holds");
        let expected: Vec<&str> = expected.lines().map(str::trim).collect();
        let found = ids(&find(line));
        if found != expected {
            wrong.push_str(&format!("{line}\n    {expected:?}\n    {found:?}\n"));
        }
        pasted.extend(expected);
    }
    assert!(wrong.is_empty(), "line, what it should hold, what was found:\n{wrong}");
    let left: Vec<&str> =
        MESSAGES.iter().map(|message| message.id).filter(|id| !pasted.contains(id)).collect();
    assert!(left.is_empty(), "no line holds {left:?}");
}

#[test]
fn every_message_names_causes_and_what_decides() {
    for message in MESSAGES {
        let id = message.id;
        assert!(!message.causes.is_empty() && !message.controls.is_empty(), "{id}");
        assert!(!message.look.is_empty() && !message.by.is_empty(), "{id}");
        let causes: BTreeSet<_> = message.causes.iter().collect();
        let controls: BTreeSet<_> = message.controls.iter().collect();
        assert_eq!(
            (causes.len(), controls.len()),
            (message.causes.len(), message.controls.len()),
            "{id}"
        );
        for words in [message.means, message.worked.about()] {
            let begins =
                words.starts_with(|c: char| c.is_ascii_uppercase()) || words.starts_with("curl");
            assert!(
                begins && words.ends_with('.') && words.is_ascii() && words.len() < 480,
                "{id}: {words}"
            );
        }
        for part in [message.id, message.by, message.means, message.look] {
            assert!(!part.contains(['|', '{', '}', '\n']), "{id}: {part}");
        }
        let printed = text(&[message]);
        for row in message.causes.iter().map(|cause| cause.row()) {
            assert!(printed.contains(&format!("\n  {} ", row.id)), "{id}: {}", row.id);
        }
        for line in printed.lines() {
            assert!(line.chars().count() <= 110 && !line.contains(['{', '\x1b']), "{id}: {line}");
        }
    }
}

#[test]
fn an_answer_of_4xx_is_never_only_the_requests() {
    let found = find("ERR_BAD_REQUEST");
    let parties: BTreeSet<&str> =
        found[0].causes.iter().map(|cause| cause.row().party.label()).collect();
    for party in ["proxy", "edge", "request", "account", "network", "inspection"] {
        assert!(parties.contains(party), "{party}: {parties:?}");
    }
}

#[test]
fn words_are_found_whole_and_the_longer_ones_count() {
    for none in ["", " ", "predetermined", "xECONNRESET", "ECONNRESETx", "ENOTFOUND_", "forty-two"]
    {
        assert_eq!(ids(&find(none)), [""; 0], "{none}");
    }
    assert_eq!(ids(&find("\x1b[31mECONN\u{7}")), [""; 0]);
    assert_eq!(ids(&find("\x1b[1;31mECONNRESET\x1b[0m")), ["ECONNRESET"]);
    assert_eq!(
        ids(&find("unable to get\r\n   local issuer\tcertificate")),
        ["UNABLE_TO_GET_ISSUER_CERT_LOCALLY"]
    );
    assert_eq!(ids(&find("Unexpected token \u{2018}<\u{2019}")), ["unexpected token < in JSON"]);
    let many = "ECONNRESET ENOTFOUND EAI_AGAIN ECONNREFUSED ETIMEDOUT";
    assert_eq!(ids(&find(many)), ["ECONNREFUSED", "ECONNRESET", "ENOTFOUND"]);
}

#[test]
fn a_message_is_typed_or_piped_in_any_number_of_words() {
    let expected = text(&find("Request not allowed"));
    for arguments in
        [&["explain", "Request not allowed"][..], &["explain", "Request", "not", "allowed"]]
    {
        let run = run(arguments);
        assert_eq!((run.code, run.stdout.as_str(), run.stderr.as_str()), (0, &*expected, ""));
    }
    let piped = piped(b"Error: 403\n{\"error\":{\"message\":\"Request not\n allowed\"}}\n");
    assert_eq!((piped.code, piped.stdout), (0, expected));
    // A cause's id counts as one.
    let cause = run(&["explain", "api_error"]);
    assert!(cause.stdout.starts_with("api_error\n\nlayer      http."), "{}", cause.stdout);
    assert_eq!(self::piped(b"tcp_rejected\n").stdout, run(&["explain", "tcp_rejected"]).stdout);
}

#[test]
fn what_nobody_says_is_answered_with_the_nearest() {
    let run = run(&["explain", "ECONRESET"]);
    assert_eq!((run.code, run.stdout.as_str()), (2, ""));
    let expected = "there is no cause and no known message in `ECONRESET`: nearest are ECONNRESET, \
                    ECONNREFUSED, EREFUSED; `egressd explain` lists all causes\n";
    assert_eq!(run.stderr, expected);
    let nothing = piped(b" \n");
    assert_eq!((nothing.code, nothing.stdout.as_str()), (2, ""));
}

#[test]
fn an_unknown_message_is_not_repeated_with_its_secrets() {
    let key = format!("sk-ant-api03-{}", "aB3".repeat(30));
    let run = run(&["explain", "no such", &key, "zZ9zZ9zZ9zZ9zZ9zZ9zZ9"]);
    assert_eq!(run.code, 2);
    assert!(run.stderr.contains("in `no such …"), "{}", run.stderr);
    assert!(!run.stderr.contains("aB3") && !run.stderr.contains("zZ9"), "{}", run.stderr);
}

#[test]
fn a_hostile_text_is_bounded_and_escaped() {
    let mut bytes = b"\x1b]0;title\x07\x1b[2J\xff\xfe`; ".to_vec();
    bytes.resize(1 << 20, b'e');
    let unknown = piped(&bytes);
    assert_eq!((unknown.code, unknown.stdout.as_str()), (2, ""));
    assert!(unknown.stderr.len() < 600, "{} bytes", unknown.stderr.len());
    let printable = |text: &str| text.trim_end().bytes().all(|byte| (b' '..=b'~').contains(&byte));
    assert!(printable(&unknown.stderr), "{:?}", unknown.stderr);

    // Every pattern again and again, as far as is read.
    let all: Vec<&str> = MESSAGES.iter().flat_map(|message| message.patterns).copied().collect();
    let mut bytes = all.join("\x1b[31m \0").into_bytes().repeat(60);
    bytes.truncate(1 << 20);
    let known = piped(&bytes);
    assert_eq!(known.code, 0, "{}", known.stderr);
    assert!(known.stdout.len() < 12_000 && printable(&known.stdout.replace('\n', " ")));
    // What stands behind the part that is read is not there.
    let mut late = vec![b' '; 64 * 1024];
    late.extend_from_slice(b"ECONNRESET");
    assert_eq!(piped(&late).code, 2);
}

#[test]
fn the_page_has_every_message() {
    let page = run(&["explain", "--markdown"]).stdout;
    let (_, section) = page.split_once("\n## What clients say\n").expect("its section");
    for message in MESSAGES {
        let begin = format!(
            "| `{}` | {} | {} | `{}`",
            message.id, message.by, message.means, message.causes[0]
        );
        assert_eq!(section.lines().filter(|line| line.starts_with(&begin)).count(), 1, "{begin}");
    }
}

#[test]
fn three_of_them_word_for_word() {
    for (name, message) in [
        ("err_bad_request", "ERR_BAD_REQUEST"),
        ("request_not_allowed", "Request not allowed"),
        ("unable_to_get_issuer_cert_locally", "UNABLE_TO_GET_ISSUER_CERT_LOCALLY"),
    ] {
        let expected = std::fs::read_to_string(format!("tests/said/{name}.txt")).unwrap();
        let run = run(&["explain", message]);
        assert_eq!((run.code, run.stdout), (0, expected), "{message}");
    }
}
