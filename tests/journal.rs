//! Fields in the journal: a real systemd-journald, in a mount namespace of its own, takes the lines.

use std::process::Command;

use crate::support::not_run;
use crate::support::program::Folder;
use crate::support::tcp::ClosedPort;

const JOURNALD: &str = "/lib/systemd/systemd-journald";

#[test]
fn verdicts_can_be_asked_for_by_field() {
    let may = Command::new("unshare").args(["--mount", "true"]).status();
    if !may.is_ok_and(|status| status.success()) || !std::path::Path::new(JOURNALD).exists() {
        return not_run("it takes root, and systemd's journald");
    }
    let (folder, closed) = (Folder::new(), ClosedPort::hold());
    let config = folder.write(
        "egressd.toml",
        &format!(
            "[server]\nlisten = \"127.0.0.1:0\"\n[log]\nformat = \"journald\"\n[probe]\ntimeout = \"1s\"\n\
             [[target]]\nname = \"shut\"\nurl = \"https://{}/\"\n",
            closed.address()
        ),
    );
    // The journal follows itself until the line is there; the query by its fields must find it.
    let script = "
        mount -t tmpfs tmpfs /run
        mkdir -p /run/systemd/journal /run/log/journal
        $JOURNALD >/dev/null 2>&1 & journald=$!
        until [ -S /run/systemd/journal/socket ]; do kill -0 $journald || exit 7; done
        \"$0\" run --config \"$1\" & daemon=$!
        journalctl -q -f -n all -t egressd -o cat | grep -q -m 1 'shut via direct'
        kill $daemon; wait $daemon
        journalctl -q --no-pager -o json -t egressd EGRESSD_STATUS=broken EGRESSD_CAUSE=tcp_rejected \\
            MESSAGE_ID=6d0f9c1f8f5b4a0c9e4be1d2a7c35e10
        journalctl -q --no-pager -o cat -t egressd PRIORITY=6
        kill $journald";
    let output = Command::new("timeout")
        .args(["60", "unshare", "--mount", "--propagation", "private", "sh", "-c", script])
        .arg(env!("CARGO_BIN_EXE_egressd"))
        .arg(&config)
        .env("JOURNALD", JOURNALD)
        .output()
        .expect("it runs");
    let text = String::from_utf8_lossy(&output.stdout);
    let line = text.lines().find(|line| line.starts_with('{')).unwrap_or_default();
    let entry: serde_json::Value = serde_json::from_str(line).unwrap_or_default();
    let errors = String::from_utf8_lossy(&output.stderr);
    assert_eq!(entry["EGRESSD_TARGET"], "shut", "{text}{errors}");
    assert_eq!(entry["EGRESSD_PARTY"], "undetermined");
    assert_eq!(entry["EGRESSD_LAYER"], "tcp");
    assert_eq!(entry["PRIORITY"], "3", "broken is an error");
    assert!(entry["EGRESSD_SINCE"].as_str().is_some_and(|since| since.ends_with('Z')), "{text}");
    assert!(text.lines().any(|line| line.starts_with("egressd ") && line.contains(" runs ")));
    assert!(text.lines().any(|line| line == "stopped"), "the last line is written: {text}");
    assert!(entry["MESSAGE"].as_str().is_some_and(|text| text.starts_with("shut via direct: ")));
}
