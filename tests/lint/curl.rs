//! What is read of a command line, beside the words that real shells make of it and the requests that the real curl
//! sends.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::Command;

use egressd::lint::{Request, curl, shell};

use crate::support::http::{Behaviour, HttpServer};
use crate::support::program::Folder;

/// Of these each shell has one opinion.
const POSIX: &[&str] = &[
    "curl a b  c\td",
    "curl 'a b' \"c d\" e\\ f",
    "curl 'it'\\''s' \"say \\\"hi\\\"\" a\"b\"'c'd",
    "curl a \\\n  b \\\n  c",
    "curl \"a\\\nb\" 'a\\\nb'",
    "curl a # b c\n",
    "curl a#b '#c'",
    "curl \"\\a\\$\\`\\\\\" \\a\\$",
    "curl '' \"\" a''b",
    "curl $SET x${SET}y \"$SET\" '$SET'",
    "curl $BLANKS \"$BLANKS\" a${BLANKS}b",
    "curl ${SET:-other} ${EMPTY:-other} ${EMPTY-other} \"${EMPTY:-a b}\" ${EMPTY:-a b}",
    "curl $EMPTY \"$EMPTY\" a$EMPTY",
    "curl a$ \"$\" '$' $/x",
    "curl a > /dev/null b 2>&1 c",
    "curl a 2>/dev/null >/dev/null",
    "curl a\\\nb",
    "curl a | cat -",
    "curl a ; true",
    "curl a && true",
    "VARIABLE=x curl a",
    "curl a=b [e] ?f *g~",
    "curl \"a'b\" 'a\"b' \\'a\\\"",
    "curl {\\\"a\\\":1}",
    "\n\n# first\ncurl a\n",
    "curl a\tb\\\tc",
    "curl \"a\n b\"",
];

/// `$'…'` is POSIX's of 2024, and bash's.
const ANSI: &[&str] = &[
    r"curl $'a\nb\t\'c\\' $'\x41\101\u00e9' $'it\'s'x",
    r"curl a$'\e\a\v' $'\\n' $'\z' $'\x' $'\q\?'",
    r"curl $'a\0b'",
    r"curl $'\1012' $'\x414'",
    r#"curl $'"' "$'a'""#,
];

const VARIABLES: [(&str, &str); 3] = [("SET", "value"), ("BLANKS", " a  b "), ("EMPTY", "")];

/// What a shell hands to a command of this name.
fn words_of(shell: &str, line: &str) -> Vec<String> {
    let text = format!("curl() {{ printf '%s\\0' curl \"$@\" >&3; }}\n{line}");
    let folder = Folder::new();
    let out = folder.path().join("words");
    let status = Command::new("sh")
        .args(["-c", "exec \"$0\" -c \"$1\" 3>\"$2\"", shell, &text])
        .arg(&out)
        .env_clear()
        .envs(VARIABLES)
        .env("PATH", "/usr/bin:/bin")
        .env("LC_ALL", "C.UTF-8")
        // Nothing that a pattern could match.
        .current_dir(folder.path())
        .stdout(std::process::Stdio::null())
        .status();
    assert!(status.expect("a shell runs").code().is_some(), "{line}");
    let words = std::fs::read(out).unwrap();
    let words = String::from_utf8(words).unwrap();
    words.split_terminator('\0').map(str::to_owned).collect()
}

fn our_words(line: &str) -> Vec<String> {
    let variables = |name: &str| {
        let found = VARIABLES.iter().find(|(known, _)| *known == name);
        found.map(|(_, value)| (*value).to_owned())
    };
    let command = shell::command(line, &variables, |word| word == "curl").unwrap();
    command.words.iter().map(|word| word.text.expose().to_owned()).collect()
}

#[test]
fn words_are_those_of_a_shell() {
    let mut wrong = Vec::new();
    let posix =
        POSIX.iter().map(|line| ("sh", line)).chain(POSIX.iter().map(|line| ("bash", line)));
    for (shell, line) in posix.chain(ANSI.iter().map(|line| ("bash", line))) {
        let (theirs, ours) = (words_of(shell, line), our_words(line));
        if theirs != ours {
            wrong.push(format!("{shell}: {line}\n  theirs {theirs:?}\n  ours   {ours:?}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn what_a_command_would_print_is_never_made() {
    let folder = Folder::new();
    let file = folder.path().join("made");
    let made = file.display();
    let line = format!("curl \"$(touch {made})\" `touch {made}` ; touch {made}");
    let words = shell::command(&line, &|_| None, |word| word == "curl").unwrap().words;
    assert!(words[1].made && words[2].made);
    assert_eq!(words[1].text.expose(), format!("$(touch {made})"));
    assert!(!file.exists());
}

/// `URL` is the server's; `FILE` has two lines, `JSON` an object.
const LINES: &[&str] = &[
    "curl URL/a",
    "curl URL/a?b=c",
    "curl 'URL/a?b=c&d=e'",
    "curl -X DELETE URL/a",
    "curl -XPUT URL/a",
    "curl --request PATCH --url URL/a",
    "curl -d a=b URL/",
    "curl -da=b -d c=d URL/",
    "curl URL -d '{\"a\": 1}' -H 'Content-Type: application/json'",
    "curl URL --json '{\"a\":1}'",
    "curl URL --json '{\"a\":1' --json '}'",
    "curl URL --json @JSON -H 'content-type: application/vnd.a+json'",
    "curl URL -d @FILE",
    "curl URL --data-binary @FILE",
    "curl URL --data-ascii @FILE -d x",
    "curl URL --data-raw @FILE",
    "curl URL --data-urlencode 'a=b c&d'",
    "curl URL --data-urlencode '=b c~-_.é'",
    "curl URL --data-urlencode 'b c'",
    "curl URL --data-urlencode name@FILE --data-urlencode @FILE",
    "curl -G URL/a -d b=c --data-urlencode 'd=e f'",
    "curl -G 'URL/a?x=y' -d b=c",
    "curl URL/a --url-query 'b=c d'",
    "curl -X GET -d a=b URL/a",
    "curl -X POST URL/a",
    "curl -d '' URL/a",
    "curl -H 'X-A: b' -H 'x-a:c' -H 'X-B:   d  ' URL",
    "curl -H 'Accept:' -H 'X-Empty;' URL",
    "curl -H 'Accept: text/plain' -d a -H 'Content-Type:' URL",
    "curl -H 'no colon' URL",
    "curl -u me:secret URL",
    "curl -u me: URL",
    "curl http://me:secret%40@HOST/a",
    "curl -u me:secret -H 'Authorization: Bearer x' URL",
    "curl --oauth2-bearer token URL",
    "curl -b 'a=b; c=d' -e https://referer.example/ URL",
    "curl -A agent/1 URL",
    "curl -A first -A second -e one -e two URL",
    "curl -A agent/1 -e one -b a=b -H 'User-Agent: x' -H 'Referer: y' -H 'Cookie: c=d' URL",
    "curl -A agent/1 -H 'User-Agent:' -H 'Accept: a' -H 'Accept:' URL",
    "curl -A '' -b a=b -b c=d URL",
    "curl -r 0-99 URL",
    "curl -H @HEADERS URL",
    "BODY='{\"a\": 1}'\ncurl URL -d \"$BODY\"",
    "export A=x B=\"y z\"; C=$A-$BLANKS; curl URL -H \"X-All: $A $B $C\"",
    "if ! env A=b timeout 10 curl URL/a; then true; fi",
    "R=$(curl URL/a -d b)",
    "R=\"$(curl URL/a -d 'b c')\"",
    "curl -sSkL -o /dev/null URL/a",
    "curl -sS -m 5 --connect-timeout 5 --http1.1 -v URL/a",
    "curl --compressed URL/a",
    "curl -T FILE URL/upload",
    "curl -i -N --no-progress-meter URL/a --max-time 5",
    "curl -- URL/a",
    "curl URL/a -d @- <<'END'\n{\"a\": 1}\nEND\n",
    "curl URL/a --data-binary @- <<END\n{\"a\": \"$SET\"}\nEND\n",
    "curl URL/a -d @- < FILE",
    "SET=x curl \"URL/$SET\"",
    "curl 'URL/a b' || curl URL/second",
];

/// Method, path with query, headers, body.
type Sent = (String, String, Vec<(String, String)>, Vec<u8>);

/// What curl and a connection say by themselves.
const OF_CURL: &[&str] = &["host", "content-length", "expect", "accept-encoding"];

fn ours(request: &Request) -> Sent {
    let path = match request.url.query() {
        Some(query) => format!("{}?{query}", request.url.path()),
        None => request.url.path().to_owned(),
    };
    let headers = request.headers.iter();
    let headers = headers.map(|header| (header.name.clone(), header.value.expose().to_owned()));
    (request.method.clone(), path, plain(headers), request.body.clone().unwrap_or_default())
}

fn plain(headers: impl Iterator<Item = (String, String)>) -> Vec<(String, String)> {
    let mut headers: Vec<(String, String)> = headers
        .map(|(name, value)| {
            (name.to_ascii_lowercase(), value.trim_matches([' ', '\t']).to_owned())
        })
        .filter(|(name, _)| !OF_CURL.contains(&name.as_str()))
        .filter(|(name, value)| name != "user-agent" || !value.starts_with("curl/"))
        .collect();
    headers.sort();
    headers
}

fn files(line: &curl::Line, folder: &Path) -> curl::Files {
    let read = |path: &str| std::fs::read(folder.join(path)).map_err(|error| error.to_string());
    line.files().map(|path| (path.to_owned(), read(path))).collect::<BTreeMap<_, _>>()
}

#[test]
fn requests_are_those_that_curl_sends() {
    let server =
        HttpServer::start(Behaviour::Answer { status: 204, headers: vec![], body: vec![] });
    let folder = Folder::new();
    folder.write("HEADERS", "X-A: b\nX-C:  d\n\nX-E;\n");
    folder.write("FILE", "first\r\nsecond\n");
    folder.write("JSON", "{\n\"a\": 1}\n");
    let host = server.address().to_string();
    let mut wrong = Vec::new();
    for line in LINES {
        let line = line.replace("URL", &format!("http://{host}")).replace("HOST", &host);
        let before = server.requests().len();
        let finished = Command::new("sh")
            .args(["-c", &line])
            .env_clear()
            .envs(VARIABLES)
            .env("PATH", "/usr/bin:/bin")
            .current_dir(folder.path())
            .output()
            .unwrap();
        let ours = curl::read(&line, &|name| {
            VARIABLES.iter().find(|(known, _)| *known == name).map(|(_, value)| (*value).to_owned())
        });
        let ours = ours.and_then(|line| {
            let files = files(&line, folder.path());
            line.request(&files)
        });
        let Ok(ours) = ours.map(|request| self::ours(&request)) else {
            // What we refuse, curl does too: what is recorded is the command behind it.
            if !line.contains("||") {
                wrong.push(format!("{line}: refused"));
            }
            continue;
        };
        let requests = server.requests();
        let Some(sent) = requests.get(before) else {
            wrong.push(format!("{line}: {}", String::from_utf8_lossy(&finished.stderr)));
            continue;
        };
        let headers = plain(sent.headers.iter().cloned());
        let theirs = (sent.method.clone(), sent.path.clone(), headers, sent.body.clone());
        if theirs != ours {
            wrong.push(format!("{line}\n  theirs {theirs:?}\n  ours   {ours:?}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// `curl --help all` of whatever version is here: none of its options is unknown, and each takes what it takes.
#[test]
fn options_are_those_of_curl() {
    let help = Command::new("curl").args(["--help", "all"]).output().unwrap();
    let help = String::from_utf8(help.stdout).unwrap();
    let (mut seen, mut wrong) = (0, Vec::new());
    for line in help.lines().skip(1) {
        let Some((short, rest)) = line.split_once("--") else { continue };
        let short = short.trim().trim_end_matches(',').trim();
        let (name, rest) = rest.split_once(' ').unwrap_or((rest, ""));
        let valued = rest.starts_with('<') || rest.starts_with("[protocol");
        seen += 1;
        if matches!(name, "next" | "form" | "form-string" | "url") {
            continue;
        }
        let spelled = [Some(format!("--{name}")), Some(short.to_owned()).filter(|s| !s.is_empty())];
        for option in spelled.into_iter().flatten() {
            let line = format!("curl {option} https://value.example https://x.example/");
            let host = curl::read(&line, &|_| None)
                .map(|line| line.request(&BTreeMap::new()).map(|request| request.url.to_string()));
            let of_files =
                ["data", "json", "upload-file"].iter().any(|begin| name.starts_with(begin));
            let takes = match host {
                Ok(Ok(url)) => Some(url.contains("x.example")),
                Ok(Err(_)) if of_files => Some(true),
                _ => None,
            };
            if takes != Some(valued) {
                wrong.push(format!("{option} takes a value: {valued}, ours {takes:?}"));
            }
        }
    }
    assert!(seen > 200, "{seen} options");
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

fn read(line: &str) -> Result<Request, egressd::lint::Fault> {
    curl::read(line, &|_| None)?.request(&BTreeMap::new())
}

/// What stands around a command as people paste it.
#[test]
fn a_command_is_found_in_what_stands_around_it() {
    for around in [
        "sudo -u me curl URL",
        "time curl URL",
        "timeout -k 5 10 curl URL",
        "env A=b curl URL",
        "nohup curl URL &",
        "$ curl URL",
        "user@host:~$ curl URL",
        "# curl URL",
        "# as root\n# curl URL",
        "if ! curl URL; then echo; fi",
        "R=$(curl URL)",
        "R=\"$(curl URL)\"; echo $R",
        "R=`curl URL`",
        "cat list | xargs -n 1 curl URL",
        "export KEY='x'\ncurl URL",
    ] {
        let request = read(&around.replace("URL", "https://x.example/a"));
        let request = request.unwrap_or_else(|fault| panic!("{around}: {fault:?}"));
        assert_eq!(request.shown_url(), "https://x.example/a", "{around}");
    }
    let notes = read("curl https://x.example; curl https://y.example").unwrap().notes;
    assert_eq!(notes, ["1 more curl command(s) in the text are not looked at"]);
    let header = read("KEY=$(pass); curl https://x.example -H \"x-api-key: $KEY\"").unwrap();
    assert_eq!(header.header("x-api-key").unwrap().unset, ["KEY"]);
}

#[test]
fn what_is_not_expanded_is_marked() {
    for (line, said) in [
        (
            "curl https://x.example -d \"$(cat f)\"",
            "the body at 1:27: a command makes a part of it, which is not run",
        ),
        ("curl https://x.example/$ID/a", "the URL at 1:6: a variable in it is not set here"),
        (
            "curl https://x.example -d @- <<END\n$A\nEND\n",
            "the body at 1:30: a variable in it is not set here",
        ),
        ("curl https://x.example -x $P", "the proxy at 1:27: a variable in it is not set here"),
    ] {
        let unmade = read(line).unwrap().unmade;
        let told: Vec<String> = unmade.iter().map(ToString::to_string).collect();
        assert_eq!(told, [said], "{line}");
    }
}

#[test]
fn options_of_the_way_are_kept() {
    let line = "curl -k -4 --resolve a:1:b -H 'Host: y' --http1.1 https://x.example";
    let way = read(line).unwrap().way;
    assert_eq!(way, ["--header Host", "http1.1", "insecure", "ipv4", "resolve"]);
    for (option, proxy) in [
        ("-x p", "http://p:1080"),
        ("-x https://me:s@p", "https://me:s@p:443"),
        ("--socks5-hostname p:1", "socks5h://p:1"),
        ("-x http://p:80/", "http://p:80"),
    ] {
        let request = read(&format!("curl {option} https://x.example")).unwrap();
        assert_eq!(request.proxy.unwrap().expose(), proxy, "{option}");
    }
}

#[test]
fn marks_of_word_processors_are_named() {
    for (line, what) in [
        ("curl \u{2013}X POST https://x.example", "1:6: a dash as word processors make it"),
        ("curl \u{2014}header a https://x.example", "1:6: a dash as word processors make it"),
        ("curl\u{a0}https://x.example", "1:5: a space that does not break"),
    ] {
        let fault = read(line).unwrap_err().render("f");
        assert!(fault.starts_with(&format!("f:{what}")), "{fault}");
    }
}

#[test]
fn many_options_are_bounded() {
    let many = read(&format!("curl https://x.example{}", " -da".repeat(300_000))).unwrap();
    assert_eq!(many.body.unwrap().len(), 599_999);
    let fault = read(&format!("curl https://x.example{}", " -Ha:b".repeat(1001))).unwrap_err();
    assert_eq!(fault.what, "more than 1000 headers");
    let notes = read(&format!("curl https://x.example{}", " -Ha".repeat(100))).unwrap().notes;
    assert_eq!(notes.len(), 21);
    let long = read(&format!("curl --{} https://x.example", "a".repeat(1 << 20))).unwrap_err();
    assert_eq!(long.help, "take it out, or see `curl --help all`");
}
