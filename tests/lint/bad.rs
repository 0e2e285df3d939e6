//! What cannot be read as a request: the exact place, the reason and a way out, and an end whatever it is.

use std::collections::BTreeMap;

use egressd::lint::{curl, http};

/// A command line, and what is said of it.
const LINES: &[(&str, &str)] = &[
    ("", "--curl:1:1: it is empty\n    give a line that begins with curl"),
    (" \n\t", "--curl:1:1: it is empty\n    give a line that begins with curl"),
    (
        "wget https://x.example",
        "--curl:1:1: no command in it is curl\n    give a line that begins with curl",
    ),
    (
        "curl",
        "--curl:1:1: the command line has no URL\n    add the URL, or quote it where the shell took a part of it away",
    ),
    (
        "curl 'https://x.example",
        "--curl:1:6: a single quote that is not closed\n    close it with '",
    ),
    (
        "curl https://x.example \\\n  -H \"a: b",
        "--curl:2:6: a double quote that is not closed\n    close it with \"",
    ),
    ("curl $'a", "--curl:1:6: a quote of the form $'…' that is not closed\n    close it with '"),
    (
        "curl \"$(date\"",
        "--curl:1:7: a command substitution that is not closed\n    close it with )",
    ),
    ("curl `date", "--curl:1:6: a command substitution that is not closed\n    close it with `"),
    ("curl ${A", "--curl:1:6: a brace of a variable that is not closed\n    close it with }"),
    (
        "curl https://x.example ^\r\n -H a:b",
        "--curl:1:24: a caret ends the line, as on Windows; a POSIX shell does not read on\n    end the line with a backslash, or copy the line \"as cURL (bash)\"",
    ),
    (
        "curl https://x.example `\n -H a:b",
        "--curl:1:24: a backtick ends the line, as in PowerShell; a POSIX shell does not read on\n    end the line with a backslash",
    ),
    (
        "curl https://x.example \\\r\n -H a:b",
        "--curl:1:24: the line ends with CR LF, as on Windows; the backslash takes the CR, and the command ends\n    save it with LF line ends",
    ),
    (
        "curl https://x.example\r\n",
        "--curl:1:23: the line ends with CR LF, as on Windows; a shell takes the CR for a part of the word\n    save it with LF line ends",
    ),
    (
        "curl -H “a: b” https://x.example",
        "--curl:1:9: a curly quote, as documents make them; no shell takes it for a quote\n    type the quotes anew: ' or \"",
    ),
    (
        "curl --headr a:b https://x.example",
        "--curl:1:6: an option that curl does not know\n    did you mean --header?",
    ),
    (
        "curl --request=POST https://x.example",
        "--curl:1:6: an option that curl does not know\n    curl takes --request and its value as two words, without =",
    ),
    (
        "curl -sé https://x.example",
        "--curl:1:6: an option that curl does not know\n    see `curl --help all`; a word that begins with - and is no option goes behind --",
    ),
    (
        "curl https://x.example -H",
        "--curl:1:24: --header lacks its value\n    give it behind the option",
    ),
    (
        "curl https://x.example -sX",
        "--curl:1:24: --request lacks its value\n    give it behind the option",
    ),
    (
        "curl https://x.example -F a=b",
        "--curl:1:27: a form of several parts (-F) is not read\n    write the request to a file, and give that as --request FILE",
    ),
    (
        "curl 'https://x.example/ y'",
        "--curl:1:6: white space in the URL, which curl refuses\n    take it out, or write %20",
    ),
    (
        "curl ftp://x.example/",
        "--curl:1:6: a URL that is not HTTP's\n    write https://, the host and the path",
    ),
    (
        "curl https://x.example:99999/",
        "--curl:1:6: the URL is none: invalid port number\n    write https://, the host and the path",
    ),
    (
        "curl https:///",
        "--curl:1:6: the URL is none: empty host\n    write https://, the host and the path",
    ),
    (
        "curl https://x.example -d @-",
        "--curl:1:27: the body comes from standard input, which is not read here\n    name a file: @FILE",
    ),
    (
        "curl https://x.example -d @gone",
        "--curl:1:27: the file of the body was not read\n    name it again",
    ),
    (
        "curl https://x.example <<END\na",
        "--curl:1:24: a here-document without its end\n    end it with a line that is that word and nothing else",
    ),
    (
        "curl https://x.example -d @<(date)",
        "--curl:1:28: a command in the place of a file, which is not run\n    write what it prints to a file, and name that",
    ),
    (
        "curl https://x.example >",
        "--curl:1:24: a redirection that leads nowhere\n    name a file behind it, or take it out",
    ),
];

#[test]
fn a_command_line_that_cannot_be_read_is_told_where_and_why() {
    for (line, expected) in LINES {
        let read = curl::read(line, &|_| None).and_then(|line| line.request(&BTreeMap::new()));
        let why = read.map(|_| ()).unwrap_err().render("--curl");
        assert_eq!(why, *expected, "{line}");
    }
}

/// A file, and what is said of it.
const FILES: &[(&[u8], &str)] = &[
    (
        b"",
        "f:1:1: it is empty\n    write `POST https://HOST/PATH HTTP/1.1`, headers, an empty line, the body",
    ),
    (
        b"\r\n\r\n",
        "f:1:1: it is empty\n    write `POST https://HOST/PATH HTTP/1.1`, headers, an empty line, the body",
    ),
    (
        b"POST\r\n\r\n",
        "f:1:6: the first line has no URL\n    write `POST https://HOST/PATH HTTP/1.1`",
    ),
    (
        b"\x00\x01\x02 \xff",
        "f:1:1: the first line does not begin with a method\n    write `POST https://HOST/PATH HTTP/1.1`",
    ),
    (
        b"{\"model\": 1}",
        "f:1:1: JSON, such as a body or a HAR, not a request\n    write `POST https://HOST/PATH HTTP/1.1`, headers, an empty line, the body",
    ),
    (b"\xff\xfeP\0", "f:1:1: the file is UTF-16\n    save it as UTF-8"),
    (
        b"> POST /v1 HTTP/1.1\n> Host: x\n",
        "f:1:1: the words of curl -v, not a request\n    take `> ` from the lines, or use --curl",
    ),
    (
        b"HTTP/1.1 200 OK\r\n\r\n",
        "f:1:1: an answer, not a request\n    write `POST https://HOST/PATH HTTP/1.1`",
    ),
    (
        b"curl https://x.example",
        "f:1:1: a curl command line, not a request\n    give it as --curl -, from standard input",
    ),
    (
        b"POST /v1 HTTP/1.1\n\n",
        "f:1:6: a path, and no Host header\n    write `POST https://HOST/PATH HTTP/1.1`, or add a Host header",
    ),
    (
        b"POST /v1 banana\nHost: x\n\n",
        "f:1:10: the first line does not end with the version of HTTP\n    write `POST https://HOST/PATH HTTP/1.1`",
    ),
    (
        b"CONNECT x.example:443 HTTP/1.1\n\n",
        "f:1:9: neither a URL nor a path that begins with /\n    write `POST https://HOST/PATH HTTP/1.1`, or add a Host header",
    ),
    (
        b"GET https://x.example/ HTTP/1.1\nx-api-key\n\n",
        "f:2:1: no colon in a header line\n    write `name: value`; a value is one line; an empty line ends the headers",
    ),
    (
        b"GET https://x.example/ HTTP/1.1\nx api: b\n\n",
        "f:2:2: a character that no header's name has\n    write `name: value`",
    ),
    (
        b"GET https://x.example/ HTTP/1.1\n: b\n\n",
        "f:2:1: a header with : before it and no value\n    write `:method: POST`, `:scheme: https`, `:authority: HOST`, `:path: /PATH`",
    ),
    (
        b"GET https://x.example/ HTTP/1.1\n b: c\n\n",
        "f:2:1: a line of a header's value before any header\n    begin the line with the header's name",
    ),
    (
        b":method: GET\n:authority: x.example\n\n",
        "f:1:1: it says not what is asked for\n    write `POST https://HOST/PATH HTTP/1.1`, or add a Host header",
    ),
    (
        b":method GET\n\n",
        "f:1:1: a header with : before it and no value\n    write `:method: POST`, `:scheme: https`, `:authority: HOST`, `:path: /PATH`",
    ),
];

#[test]
fn a_file_that_cannot_be_read_is_told_where_and_why() {
    for (file, expected) in FILES {
        let why = http::read(file).map(|_| ()).unwrap_err().render("f");
        assert_eq!(why, *expected, "{}", file.escape_ascii());
    }
}

#[test]
fn a_file_has_bounds() {
    let head = [b"GET https://x.example/ HTTP/1.1\n".to_vec(), b"a: b\n".repeat(20_000)].concat();
    let why = http::read(&head).unwrap_err().render("f");
    assert_eq!(
        why,
        "f:13102:1: more than 64 KiB without an empty line\n    put an empty line between headers and body"
    );
    let mut large = b"POST https://x.example/ HTTP/1.1\n\n".to_vec();
    large.resize(large.len() + 64 * 1024 * 1024, b'x');
    assert!(http::read(&large).is_ok());
    large.push(b'x');
    let why = http::read(&large).unwrap_err().render("f");
    assert_eq!(why, "f:3:1: a body of more than 64 MiB\n    no API takes it; send less");
}

#[test]
fn a_request_is_read_in_each_of_its_forms() {
    let files: [&[u8]; 4] = [
        b"POST /v1/messages?a=b HTTP/1.1\r\nHost: api.anthropic.com\r\nX-Api-Key: k\r\n\r\n{}",
        b"POST https://api.anthropic.com/v1/messages?a=b\nX-Api-Key: k\n\n{}",
        b":method: POST\n:authority: api.anthropic.com\n:scheme: https\n:path: /v1/messages?a=b\nx-api-key: k\n\n{}",
        b"\xef\xbb\xbfPOST /v1/messages?a=b HTTP/1.1\r\nHost: api.anthropic.com\r\nx-api-key: k\r\nContent-Length: 2\r\n\r\n{}\r\n",
    ];
    for file in files {
        let request = http::read(file).unwrap();
        assert_eq!(request.method, "POST");
        assert_eq!(request.url.as_str(), "https://api.anthropic.com/v1/messages?a=b");
        assert_eq!(request.header("x-api-key").unwrap().value.expose(), "k");
        assert_eq!(request.body.as_deref(), Some(&b"{}"[..]));
        assert!(request.notes.is_empty());
    }
    let folded = http::read(b"GET https://x.example/ HTTP/1.1\nx-api-key: a\n b\n\n").unwrap();
    assert_eq!(folded.header("x-api-key").unwrap().value.expose(), "a\n b");
    let short = http::read(b"POST https://x.example/ HTTP/1.1\ncontent-length: 9\n\nabc").unwrap();
    assert_eq!(short.notes.len(), 1);
}

/// A shell would see two commands, or none: what is not sent is said.
#[test]
fn what_is_not_sent_is_said() {
    let notes = |line: &str| {
        let request = curl::read(line, &|_| None).unwrap().request(&BTreeMap::new()).unwrap();
        request.notes.join("; ")
    };
    assert_eq!(notes("curl https://x.example/ | jq ."), "");
    for (line, said) in [
        ("curl https://x.example/?a=b&c=d", "an & without quotes at 1:28 ends the command"),
        ("curl https://x.example/\n  -H a:b", "line 1 ends the command, and options follow"),
        ("curl https://x.example/ \\ \n  -H a:b", "a space behind the backslash at 1:25"),
        (
            "curl https://x.example/ --next https://y.example/",
            "--next at 1:25 begins another request",
        ),
        ("curl https://x.example/ https://y.example/", "1 more URL(s) on the line"),
        ("curl https://x.example/ -H @-", "the headers at 1:28 were not read"),
        ("curl https://x.example/ -K file", "the options in the file at 1:28 were not read"),
        ("curl https://x.example/ -H key", "the header at 1:28 has no colon"),
        ("curl https://x.example/ -H \"a: $(b)\"", "a command in the line was not run"),
    ] {
        let notes = notes(line);
        assert!(notes.contains(said), "{line}: {notes}");
    }
}
