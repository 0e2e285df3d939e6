//! What holds for every command: its version, what is typed wrongly, a reader that goes, a disk that is full, no
//! colour where none is wanted, and no panic whatever the arguments are.

use std::ffi::OsStr;
use std::fs::File;
use std::io::Read as _;
use std::os::unix::ffi::OsStrExt as _;
use std::process::{Command, Stdio};

use crate::support::program::{Finished, Folder, egressd, run};

/// A target that nobody serves, and no experiment.
const ONE: &str = "[experiments]\nallow = \"passive\"\n[[target]]\nname = \"a\"\nurl = \"https://127.0.0.1:1/\"\n";

#[test]
fn the_version_says_what_was_built_in() {
    let short = run(&["-V"]);
    assert_eq!((short.code, short.stdout.lines().count()), (0, 1), "{}", short.stdout);
    let version = format!("egressd {}", env!("CARGO_PKG_VERSION"));
    assert!(short.stdout.starts_with(&version), "{}", short.stdout);
    let long = run(&["--version"]);
    assert!(long.stdout.starts_with(&version), "{}", long.stdout);
    for (feature, has) in [
        ("kerberos", cfg!(feature = "kerberos")),
        ("ntlm", cfg!(feature = "ntlm")),
        ("pac", cfg!(feature = "pac")),
    ] {
        let line = format!("\n{feature}: {}\n", if has { "yes" } else { "no" });
        assert!(long.stdout.contains(&line), "{}", long.stdout);
    }
}

#[test]
fn what_is_typed_wrongly_is_told_with_what_was_meant() {
    for (arguments, code, meant) in [
        (&["chekc"][..], 2, "'check'"),
        (&["config", "chekc"], 2, "'check'"),
        (&["run", "--confg", "x"], 2, "'--config'"),
        (&["explain", "sni_filterd"], 2, "sni_filtered"),
        (&["lint", "--provider", "antropic"], 2, "anthropic"),
        (&["completions", "bsh"], 2, "'bash'"),
        (&["man", "egressd.tml"], 2, "'egressd.toml'"),
        // The convention of monitoring plugins: a mistake is UNKNOWN, never CRITICAL.
        (&["check", "--formt", "json"], 3, "'--format'"),
        (&["check", "--format", "jsn"], 3, "'json'"),
        (&["check", "antropic"], 3, "anthropic"),
    ] {
        let finished = run(arguments);
        assert_eq!(finished.code, code, "{arguments:?}");
        assert!(finished.stderr.contains(meant), "{arguments:?}: {}", finished.stderr);
        assert_eq!(finished.stdout, "", "{arguments:?}");
    }
    let bare = run(&[]);
    assert_eq!((bare.code, bare.stdout.as_str()), (2, ""));
    assert!(bare.stderr.contains("Usage: egressd <COMMAND>"), "{}", bare.stderr);
}

#[test]
fn no_argument_makes_it_panic() {
    let folder = Folder::new();
    let config = folder.write("egressd.toml", ONE);
    let hostile: [&[u8]; 7] = [
        b"\xff\xfe",
        b"",
        b"-",
        b"--",
        b"\x1b[31m\n",
        &[b'a'; 16_000],
        "\u{202e}\u{0}".trim_end_matches('\0').as_bytes(),
    ];
    let before: &[&[&str]] = &[
        &[],
        &["run", "--config"],
        &["check", "--config"],
        &["check", "--config", "CONFIG"],
        &["check", "--config", "CONFIG", "--route"],
        &["check", "--config", "CONFIG", "--curl"],
        &["check", "--config", "CONFIG", "--proxy"],
        &["explain"],
        &["lint", "--curl"],
        &["lint", "--request"],
        &["lint", "--provider"],
        &["config", "check"],
        &["completions"],
        &["man"],
        &["names"],
        &["names", "targets", "--config"],
        &["help"],
    ];
    for words in before {
        for last in hostile {
            let mut command = egressd();
            for word in *words {
                command.arg(if *word == "CONFIG" { config.as_os_str() } else { OsStr::new(word) });
            }
            let output = command.arg(OsStr::from_bytes(last)).output().expect("it starts");
            let stderr = String::from_utf8_lossy(&output.stderr);
            let code = output.status.code();
            let shown = String::from_utf8_lossy(last).chars().take(9).collect::<String>();
            assert!(
                code.is_some_and(|code| [0, 1, 2, 3, 78].contains(&code)),
                "{words:?} {shown:?}: {code:?} {stderr}"
            );
            assert!(!stderr.contains("panicked"), "{words:?} {shown:?}: {stderr}");
        }
    }
}

/// Commands that print much, and ask nobody.
const LONG: &[&[&str]] = &[
    &["explain", "--markdown"],
    &["explain", "--metrics"],
    &["man"],
    &["man", "egressd.toml"],
    &["completions", "zsh"],
    &["config", "check", "--plan", "config/egressd.toml"],
];

#[test]
fn a_reader_that_has_seen_enough_is_no_failure() {
    for arguments in LONG {
        let mut child = egressd()
            .args(*arguments)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("it starts");
        let mut first = [0_u8; 1];
        let mut reader = child.stdout.take().expect("it was piped");
        reader.read_exact(&mut first).expect("it prints");
        drop(reader);
        let finished = Finished::of(child.wait_with_output().expect("it ends"));
        assert_eq!((finished.code, finished.stderr.as_str()), (0, ""), "{arguments:?}");
    }
}

#[test]
fn what_cannot_be_written_is_a_failure() {
    let folder = Folder::new();
    let file = folder.write("egressd.toml", ONE);
    let file = file.to_str().expect("text");
    let check: &[&str] = &["check", "--config", file];
    let lint: &[&str] = &["lint", "--config", file];
    for (arguments, code) in LONG.iter().map(|words| (*words, 1)).chain([(check, 3), (lint, 1)]) {
        let full = File::options().write(true).open("/dev/full").expect("it is there");
        let output = egressd().args(arguments).stdout(full).output().expect("it starts");
        let finished = Finished::of(output);
        assert_eq!(finished.code, code, "{arguments:?}: {}", finished.stderr);
        let why = "standard output: No space left on device";
        assert!(finished.stderr.contains(why), "{arguments:?}: {}", finished.stderr);
    }
}

#[test]
fn colour_is_for_a_terminal_that_wants_it() {
    let printed = |variables: &[(&str, &str)]| {
        let line = format!("{} explain mtu_blackhole", env!("CARGO_BIN_EXE_egressd"));
        let mut command = Command::new("script");
        command.args(["-qec", &line, "/dev/null"]).env_clear().stdin(Stdio::null());
        command.env("PATH", "/usr/bin:/bin").env("SHELL", "/bin/sh").env("TERM", "xterm");
        command.envs(variables.iter().copied());
        let output = command.output().expect("script runs");
        String::from_utf8_lossy(&output.stdout).into_owned()
    };
    let escape = '\u{1b}';
    assert!(printed(&[]).contains(escape) && printed(&[("NO_COLOR", "")]).contains(escape));
    for variable in [("NO_COLOR", "1"), ("TERM", "dumb")] {
        let text = printed(&[variable]);
        assert!(text.contains("mtu_blackhole") && !text.contains(escape), "{variable:?}: {text:?}");
    }
    assert!(!run(&["explain", "mtu_blackhole"]).stdout.contains(escape));
}
