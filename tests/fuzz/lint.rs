//! What holds of the readers of requests: command lines, files, JSON.

use egressd::lint::{Around, Request, check_json, curl, http, judge, provider_of, shell};
use egressd::plan::is_exempt;

/// Words stand in order at places within the line, and nothing is read beside it; what is refused is refused at a place
/// within it, and what is read can be judged.
pub fn command_line(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    let lines = text.lines().count().max(1) + 1;
    let variables = |name: &str| name.starts_with('A').then(|| "a value".to_owned());
    let words = shell::command(&text, &variables, |_| true);
    match &words {
        Ok(command) => {
            let mut last = None;
            for word in &command.words {
                // A variable's value may be several words.
                assert!(Some(word.place) >= last && word.place.line <= lines);
                last = Some(word.place);
                assert!(word.unset.iter().all(|name| word.text.expose().contains(name.as_str())));
            }
        }
        Err(fault) => assert!(fault.place.line <= lines && !fault.help.is_empty()),
    }
    // Within single quotes nothing has a meaning.
    if !text.contains('\'') {
        let quoted = format!("curl '{text}'");
        let command = shell::command(&quoted, &variables, |word| word == "curl").unwrap();
        assert_eq!(command.words.len(), 2);
        assert_eq!(command.words[1].text.expose(), text);
    }
    let read = |text: &str| curl::read(text, &variables);
    for text in [text.to_string(), format!("curl https://x.example/ {text}")] {
        match read(&text) {
            Ok(line) => {
                let files =
                    line.files().map(|path| (path.to_owned(), Ok(bytes.to_vec()))).collect();
                if let Ok(request) = line.request(&files) {
                    assert!(request.url.username().is_empty() && request.url.password().is_none());
                    judged(&request);
                }
            }
            Err(fault) => assert!(fault.place.line <= lines, "{fault:?}"),
        }
    }
}

/// A request that was read is the same with other line ends, its body is what the file ends with, and it can be judged.
pub fn request_file(bytes: &[u8]) {
    match http::read(bytes) {
        Ok(request) => {
            let body = request.body.as_deref().unwrap_or_default();
            assert!(
                bytes.windows(body.len().max(1)).any(|window| window == body) || body.is_empty()
            );
            assert!(["http", "https"].contains(&request.url.scheme()) && request.url.has_host());
            for header in &request.headers {
                assert!(!header.name.is_empty() && header.name.is_ascii());
            }
            judged(&request);
            // In the head a lone CR is part of a value: only a file without any can be written otherwise.
            let head = bytes.split(|byte| *byte == b'\r').count() == 1;
            if head && request.header("content-length").is_none() {
                let other =
                    bytes.split(|byte| *byte == b'\n').collect::<Vec<_>>().join(&b"\r\n"[..]);
                let other = http::read(&other).expect("it was read with LF");
                assert_eq!((&other.method, &other.url), (&request.method, &request.url));
                assert_eq!(other.headers, request.headers);
            }
        }
        Err(fault) => {
            let lines = bytes.split(|byte| *byte == b'\n').count();
            assert!(fault.place.line <= lines, "{fault:?}");
        }
    }
}

/// What is JSON is JSON for `serde_json`, and the other way round; a fault is within the text, between characters.
pub fn json_text(bytes: &[u8]) {
    let theirs = serde_json::from_slice::<serde_json::Value>(bytes);
    match check_json(bytes) {
        Ok(()) => assert!(theirs.is_ok(), "{}: {:?}", bytes.escape_ascii(), theirs.err()),
        Err(not) => {
            assert!(theirs.is_err(), "{}: {not:?}", bytes.escape_ascii());
            assert!(not.at <= bytes.len() && !not.why.is_empty() && !not.help.is_empty());
            assert!(not.place(bytes).line <= bytes.split(|byte| *byte == b'\n').count());
            if let Ok(text) = std::str::from_utf8(bytes) {
                assert!(text.is_char_boundary(not.at));
            }
        }
    }
}

fn judged(request: &Request) {
    let around = Around {
        provider: provider_of(request, &[]),
        declared: false,
        keyless: false,
        today: "2026-11-22",
        variables: &[],
        exempts: is_exempt,
    };
    let judged = judge(None, request, &around);
    let again = judge(None, request, &around);
    assert_eq!(judged.findings, again.findings);
    for finding in &judged.findings {
        let told = format!("{}{}{}", finding.place, finding.message, finding.fix);
        assert!(!told.contains(char::is_control), "{told:?}");
        assert!(told.len() < 1024, "{told}");
    }
}
