//! The real program: where requests come from, exit statuses, JSON, what it reads and what it leaves alone; and a
//! check with a request that was given.

use std::io::Write as _;
use std::process::Stdio;

use serde_json::Value;

use crate::support::ground::Ground;
use crate::support::http::Behaviour as Http;
use crate::support::program::{Finished, Folder, egressd, run};
use crate::support::tls::Behaviour as Tls;

const SOUND: &str = "POST https://api.anthropic.com/v1/messages HTTP/1.1\r\n\
    x-api-key: sk-ant-api03-SECRET\r\n\
    anthropic-version: 2023-06-01\r\n\
    content-type: application/json\r\n\r\n\
    {\"model\":\"claude-haiku-4-5\",\"max_tokens\":1,\"messages\":[{\"role\":\"user\",\"content\":\".\"}]}";

fn with_input(arguments: &[&str], input: &str) -> Finished {
    let mut child = egressd()
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
    Finished::of(child.wait_with_output().unwrap())
}

#[test]
fn a_sound_request_ends_with_0() {
    let folder = Folder::new();
    let file = folder.write("request", SOUND);
    let finished = run(&["lint", "--request", file.to_str().unwrap()]);
    let text = "request    POST https://api.anthropic.com/v1/messages as anthropic\n\n\
                Nothing is known to be wrong. Nothing was sent.\n";
    assert_eq!((finished.code, finished.stdout.as_str(), finished.stderr.as_str()), (0, text, ""));
    assert_eq!(with_input(&["lint", "--request", "-"], SOUND).stdout, text);
}

#[test]
fn json_is_that_of_the_contract() {
    let request =
        SOUND.replace("anthropic-version: 2023-06-01\r\n", "").replace("sk-ant-api03-SECRET", "");
    let finished = with_input(&["lint", "--request", "-", "--format", "json"], &request);
    assert_eq!((finished.code, finished.stderr.as_str()), (1, ""));
    let document: Value = serde_json::from_str(&finished.stdout).unwrap();
    assert_eq!(document["schema"], "egressd.lint/1");
    let finding = &document["findings"][1];
    assert_eq!(finding["id"], "version_header_missing");
    assert_eq!(finding["level"], "error");
    assert_eq!(finding["where"], "anthropic-version");
    assert_eq!(finding["api_answers"]["status"], 400);
    assert_eq!(finding["api_answers"]["type"], "invalid_request_error");
    assert_eq!(finding["api_answers"]["message"], "anthropic-version: header is required");
    assert_eq!(finding["fix"], "Send `anthropic-version: 2023-06-01`.");
    // Never sent: there is no answer of the API's.
    assert_eq!(document["findings"][0]["id"], "key_empty");
    assert!(document["findings"][0]["api_answers"].is_null());
    assert!(document["findings"][0]["client_shows"].is_string());
}

#[test]
fn exit_statuses_are_those_of_the_contract() {
    let folder = Folder::new();
    let config = folder.write("bad.toml", "[[target]]\nname = 1\n");
    let config = config.to_str().unwrap();
    let cases: [(&[&str], i32, &str); 8] = [
        (&["lint", "--curl", "curl https://api.anthropic.com/v1"], 1, ""),
        (&["lint", "--curl", "curl -k https://www.example.com/"], 0, ""),
        (&["lint", "--curl", "curl 'https://"], 2, "--curl:1:6: a single quote"),
        (&["lint", "--request", "/nonexistent"], 2, "read /nonexistent: No such file"),
        (&["lint", "--provider", "antropic"], 2, "did you mean `anthropic`?"),
        (&["lint", "--curl", "curl x", "--request", "y"], 2, "cannot be used with"),
        (&["lint", "--config", config], 78, "bad.toml:2:8"),
        (&["lint", "--config", config, "--curl", "curl https://x.example"], 78, "bad.toml:2:8"),
    ];
    for (arguments, code, said) in cases {
        let finished = run(arguments);
        assert_eq!(finished.code, code, "{arguments:?}: {}{}", finished.stdout, finished.stderr);
        assert!(finished.stderr.contains(said), "{arguments:?}: {}", finished.stderr);
        assert_eq!(finished.stderr.is_empty(), said.is_empty());
    }
}

#[test]
fn the_configuration_s_requests_are_judged() {
    let folder = Folder::new();
    let key = folder.write("key", "\"sk-ant-api03-SECRET\"\n");
    let text = format!(
        "[[target]]\nname = \"one\"\nprovider = \"anthropic\"\nkey = {{ file = \"{}\" }}\n\
         [[target]]\nname = \"two\"\nprovider = \"anthropic\"\nurl = \"https://llm.corp.example/v1/models\"\n\
         [[target]]\nname = \"three\"\nprovider = \"anthropic\"\nkey = {{ env = \"GONE\" }}\n",
        key.display()
    );
    let file = folder.write("egressd.toml", &text);
    let arguments = ["lint", "--config", file.to_str().unwrap(), "--format", "json"];
    let finished =
        Finished::of(egressd().args(arguments).env("https_proxy", "p:1").output().unwrap());
    assert_eq!(finished.code, 1);
    assert!(!finished.stdout.contains("SECRET"));
    let document: Value = serde_json::from_str(&finished.stdout).unwrap();
    let found: Vec<(&str, &str)> = document["findings"]
        .as_array()
        .unwrap()
        .iter()
        .map(|finding| (finding["target"].as_str().unwrap(), finding["id"].as_str().unwrap()))
        .collect();
    // The environment's is said once.
    let wanted =
        [("one", "key_quoted"), ("one", "proxy_variable_invalid"), ("three", "key_missing")];
    assert_eq!(found, wanted);
    let notes = |place: usize| document["requests"][place]["notes"][0].as_str().unwrap();
    assert_eq!(notes(1), "no key is configured: the check goes without one");
    assert_eq!(
        notes(2),
        "the key cannot be had: environment variable GONE: the variable is not set"
    );
    // What a target declares is a gateway to a request that is given, too.
    let line = "curl https://llm.corp.example/v1/models -H 'anthropic-version: 2023-06-01' -H 'x-api-key: corp'";
    let finished = run(&["lint", "--config", file.to_str().unwrap(), "--curl", line]);
    assert_eq!(finished.code, 0, "{}", finished.stdout);
    assert!(finished.stdout.ends_with("Nothing is known to be wrong. Nothing was sent.\n"));
    assert!(run(&["lint", "--curl", line]).stdout.contains("url_host_unknown"));
}

#[test]
fn a_body_s_file_is_read_and_a_line_comes_from_standard_input() {
    let folder = Folder::new();
    let body = folder.write("body.json", "{'model': 1}");
    let line =
        format!("curl https://api.anthropic.com/v1/messages --data-binary @{}\n", body.display());
    let finished = with_input(&["lint", "--curl", "-"], &line);
    assert!(finished.stdout.contains("body_not_json · body:1:2"), "{}", finished.stdout);
    std::fs::remove_file(&body).unwrap();
    let finished = with_input(&["lint", "--curl", "-"], &line);
    assert_eq!(finished.code, 2);
    let why = "--curl:1:58: the file of the body cannot be read: No such file or directory (os error 2)\n";
    assert!(finished.stderr.starts_with(why), "{}", finished.stderr);
}

#[test]
fn a_hundred_megabytes_are_refused_and_never_kept() {
    let folder = Folder::new();
    let file = folder.path().join("large");
    std::fs::File::create(&file).unwrap().set_len(100 * 1024 * 1024).unwrap();
    let finished = run(&["lint", "--request", file.to_str().unwrap()]);
    assert_eq!(finished.code, 2);
    assert!(
        finished.stderr.contains(":1:1: more than 64 KiB without an empty line"),
        "{}",
        finished.stderr
    );
    let line = format!("curl https://x.example/ --data-binary @{}", file.display());
    let finished = run(&["lint", "--curl", &line]);
    assert_eq!(finished.code, 2);
    assert!(finished.stderr.contains("it has more than 64 MiB"), "{}", finished.stderr);
}

/// A check takes the very request: method, path, headers, body; and the findings stand before it.
#[test]
fn a_check_sends_the_request_that_was_given() {
    let ground = Ground::new();
    let server = ground.server(Tls::Serve(Http::AnthropicByKey { good: "sk-SECRET".to_owned() }));
    let config = ground.config("[[target]]\nname = \"other\"\nurl = \"https://192.0.2.1/\"\n");
    let url = format!("https://{}/v1/messages?a=b", server.address());
    let line = format!(
        "curl '{url}' -H 'x-api-key: sk-SECRET' -H 'anthropic-version: 2023-06-01' -H 'X-Team: ml' --json '{{\"a\":1,}}'"
    );
    let arguments = ["check", "--config", &config, "--curl", &line];
    let finished = run(&[&arguments[..], &["--format", "json"]].concat());
    let document: Value = serde_json::from_str(&finished.stdout)
        .unwrap_or_else(|_| panic!("{}{}", finished.stdout, finished.stderr));
    assert!(!finished.stdout.contains("SECRET"), "{}", finished.stdout);
    assert_eq!(document["schema"], "egressd.status/1");
    assert_eq!(document["lint"]["schema"], "egressd.lint/1");
    let ids: Vec<&str> = document["lint"]["findings"]
        .as_array()
        .unwrap()
        .iter()
        .map(|finding| finding["id"].as_str().unwrap())
        .collect();
    // The rest of what Anthropic demands is not demanded of a host that is not its own.
    assert_eq!(ids, ["body_not_json"]);
    assert_eq!(document["checks"][0]["response"]["status"], 200, "{document:#}");
    let requests = server.requests();
    let sent = requests.last().unwrap();
    assert_eq!((sent.method.as_str(), sent.path.as_str()), ("POST", "/v1/messages?a=b"));
    assert_eq!(sent.body, b"{\"a\":1,}");
    assert_eq!(sent.header("x-api-key"), Some("sk-SECRET"));
    assert_eq!(sent.header("x-team"), Some("ml"));
    assert_eq!(sent.header("content-type"), Some("application/json"));
    let text = run(&arguments).stdout;
    let place = |part: &str| text.find(part).unwrap_or_else(|| panic!("{part}: {text}"));
    assert!(place("body_not_json") < place("egressd 0.1.0"), "{text}");
    assert!(!text.contains("SECRET"));
    let finished = run(&["check", "--curl", "curl 'x"]);
    assert_eq!(finished.code, 3);
}

/// Nothing is sent, not even a name is looked up: in a network without anything it says the same.
#[test]
fn nothing_is_sent() {
    let trace = Folder::new();
    let log = trace.path().join("trace");
    let status = std::process::Command::new("strace")
        .args(["-f", "-qq", "-e", "trace=network", "-o"])
        .arg(&log)
        .arg(env!("CARGO_BIN_EXE_egressd"))
        .args(["lint", "--curl", "curl https://api.anthropic.com/v1/messages"])
        .env_clear()
        .stdout(Stdio::null())
        .status();
    let Ok(status) = status else {
        crate::support::not_run("strace is not here");
        return;
    };
    assert_eq!(status.code(), Some(1));
    let calls = std::fs::read_to_string(log).unwrap();
    let calls: Vec<&str> = calls.lines().filter(|line| !line.contains("+++")).collect();
    assert!(calls.is_empty(), "{calls:?}");
}

#[test]
fn the_readme_shows_what_is_found() {
    let readme = std::fs::read_to_string("README.md").unwrap();
    let (_, task) = readme.split_once("### Look at a request before it is sent").unwrap();
    let block = |language: &str| {
        let begin = task.split_once(&format!("```{language}\n")).unwrap().1;
        begin.split_once("```").unwrap().0.to_owned()
    };
    let mut child = egressd()
        .args(["lint", "--curl", "-"])
        .env("ANTHROPIC_API_KEY", " sk-ant-oat01-x")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(block("sh").as_bytes()).unwrap();
    let finished = Finished::of(child.wait_with_output().unwrap());
    assert_eq!(finished.stdout, block("text"));
}

#[test]
fn what_cannot_be_read_is_said_as_json_too() {
    let finished = run(&["lint", "--format", "json", "--curl", "curl 'x"]);
    assert_eq!(finished.code, 2);
    let document: Value = serde_json::from_str(&finished.stdout).unwrap();
    assert_eq!(document["schema"], "egressd.lint/1");
    assert_eq!(document["findings"], serde_json::json!([]));
    let error = &document["error"];
    assert_eq!(error["place"], "--curl:1:6");
    assert_eq!(error["message"], "a single quote that is not closed");
    assert_eq!(error["fix"], "close it with '");
}

#[test]
fn what_is_not_known_is_neither_judged_nor_sent() {
    let line = "curl https://api.anthropic.com/v1/messages -H @- -d \"$(cat f)\"";
    let finished = run(&["lint", "--curl", line]);
    assert!(!finished.stdout.contains("ERROR"), "{}", finished.stdout);
    assert!(finished.stdout.contains("not judged is the body at 1:53"), "{}", finished.stdout);
    let finished = run(&["check", "--curl", line]);
    assert_eq!((finished.code, finished.stdout.as_str()), (3, ""));
    assert!(finished.stderr.contains("--curl is not sent"), "{}", finished.stderr);
}
