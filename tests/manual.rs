//! Pages of the manual and completions: what is shipped is what the program prints, and the programs that read it
//! have nothing to say against it.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::process::{Command, Output, Stdio};

use crate::support::not_run;
use crate::support::program::{Folder, egressd, run};

/// What is shipped, and how it is printed.
const SHIPPED: &[(&str, &[&str])] = &[
    ("deploy/man/egressd.1", &["man"]),
    ("deploy/man/egressd.toml.5", &["man", "egressd.toml"]),
    ("deploy/completions/egressd.bash", &["completions", "bash"]),
    ("deploy/completions/egressd.fish", &["completions", "fish"]),
    ("deploy/completions/_egressd", &["completions", "zsh"]),
];

const PAGES: [&str; 2] = ["deploy/man/egressd.1", "deploy/man/egressd.toml.5"];

#[test]
fn what_is_shipped_is_what_is_printed() {
    for (file, arguments) in SHIPPED {
        let finished = run(arguments);
        assert_eq!((finished.code, finished.stderr.as_str()), (0, ""), "{file}");
        let shipped = fs::read_to_string(file).unwrap();
        assert!(shipped == finished.stdout, "{file} is another one; print it again: .ci/print");
        let line = format!("page {file} {}\n", arguments.join(" "));
        assert!(include_str!("../.ci/print").contains(&line), "{line}");
    }
}

/// A program's answer; none where it is not here.
fn tool(program: &str, arguments: &[&str]) -> Option<Output> {
    let mut command = Command::new(program);
    command.args(arguments).env_clear().env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin");
    command.env("LC_ALL", "C.UTF-8").env("MANWIDTH", "80").stdin(Stdio::null());
    let output = command.output();
    if output.is_err() {
        not_run(&format!("{program} is not installed"));
    }
    output.ok()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

#[test]
fn man_and_mandoc_read_the_pages_without_a_warning() {
    for page in PAGES {
        let Some(output) = tool("man", &["--warnings", "-E", "UTF-8", "-l", "-Tutf8", "-Z", page])
        else {
            return;
        };
        assert!(output.status.success() && output.stderr.is_empty(), "{}", text(&output.stderr));
        let Some(output) = tool("mandoc", &["-T", "lint", "-W", "warning", page]) else { return };
        assert!(output.status.success(), "{}", text(&output.stdout));
    }
}

/// A page as it is read, its lines joined.
fn read(page: &str) -> Option<String> {
    let output = tool("mandoc", &["-T", "utf8", "-O", "width=78", page])?;
    // Bold is a letter, a backspace and the letter again.
    let mut plain = String::new();
    for character in text(&output.stdout).chars() {
        if character == '\u{8}' {
            plain.pop();
        } else {
            plain.push(character);
        }
    }
    let wide = plain.lines().find(|line| line.chars().count() > 80);
    assert_eq!(wide, None, "{page}");
    Some(plain.split_whitespace().collect::<Vec<_>>().join(" "))
}

#[test]
fn the_page_of_the_program_names_every_command_option_and_variable() {
    let Some(page) = read(PAGES[0]) else { return };
    let mut asked: Vec<Vec<String>> = vec![Vec::new()];
    let mut options = 0;
    while let Some(words) = asked.pop() {
        let output = egressd().args(&words).arg("--help").output().unwrap();
        let help = text(&output.stdout);
        for line in help.lines().filter(|line| line.starts_with("  ")) {
            let first =
                line.trim_start().trim_start_matches("-V, ").split([' ', '=']).next().unwrap();
            if first.starts_with("--") {
                let named = if first == "--version" {
                    "|--version]".to_owned()
                } else {
                    format!(" {first} ")
                };
                assert!(page.contains(&named), "{words:?} {first} is not in the page");
                options += 1;
            }
        }
        let commands = help.split("Commands:\n").nth(1).and_then(|rest| rest.split("\n\n").next());
        for line in commands.unwrap_or_default().lines() {
            let Some(name) = line.split_whitespace().next().filter(|_| line.starts_with("  "))
            else {
                continue;
            };
            if name == "help" || line.starts_with("   ") {
                continue;
            }
            let words = [words.clone(), vec![name.to_owned()]].concat();
            let named = format!("egressd {}", words.join(" "));
            assert!(page.contains(&named), "{named} is not in the page");
            asked.push(words);
        }
    }
    assert!(options > 10, "{options}");

    let source = fs::read_to_string("src/daemon/environment.rs").unwrap();
    let quoted = source.split('"').skip(1).step_by(2);
    let is_variable = |word: &&str| {
        word.len() > 4
            && word.contains('_')
            && word.chars().all(|c| c.is_ascii_alphabetic() || c == '_')
    };
    let variables: BTreeSet<&str> = quoted.filter(is_variable).collect();
    assert!(variables.len() > 4, "{variables:?}");
    let further = ["https_proxy", "no_proxy", "STATE_DIRECTORY", "ANTHROPIC_BASE_URL"];
    for variable in variables.into_iter().chain(further) {
        assert!(page.contains(variable), "{variable} is not in the page");
    }
}

#[test]
fn the_page_of_the_configuration_names_every_option() {
    let Some(page) = read(PAGES[1]) else { return };
    let mut count = 0;
    for line in fs::read_to_string("config/egressd.toml").unwrap().lines() {
        let line = line.trim_start_matches(['#', ' ']);
        let key = line.split(" = ").next().unwrap_or_default();
        let is_key =
            line.contains(" = ") && key.chars().all(|c| c.is_ascii_lowercase() || c == '_');
        if is_key {
            let named = ["string", "list", "boolean", "integer", "duration", "table"];
            let named = named.map(|kind| format!(" {key} ({kind}) "));
            assert!(named.iter().any(|named| page.contains(named)), "{key} is not in the page");
            count += 1;
        }
        if line.starts_with('[') && line.contains(']') && !line.contains('"') {
            let header = line.split('#').next().unwrap_or_default().trim();
            assert!(page.contains(&format!(" {header} ")), "{header} is not in the page");
        }
    }
    assert!(count > 50, "{count}");
    for text in ["Default: \"127.0.0.1:9737\"", "Default: 64", "One trip; each layer may use"] {
        assert!(page.contains(text), "{text}");
    }
}

/// A folder with a configuration, a file whose name has a space in it, and the program as `egressd`.
fn place() -> Folder {
    let folder = Folder::new();
    folder.write(
        "some.toml",
        "[[route]]\nname = \"corp\"\nproxy = \"http://proxy.corp.example:3128\"\n\
         [[target]]\nname = \"anthropic\"\nprovider = \"anthropic\"\n\
         [[target]]\nname = \"open-ai\"\nprovider = \"openai\"\n",
    );
    folder.write("some more.toml", "");
    std::os::unix::fs::symlink(env!("CARGO_BIN_EXE_egressd"), folder.path().join("egressd"))
        .unwrap();
    folder
}

/// What a shell says to these lines.
fn shell(folder: &Folder, arguments: &[&str]) -> Option<(String, String)> {
    let mut command = Command::new(arguments[0]);
    command.args(&arguments[1..]).current_dir(folder.path()).env_clear().stdin(Stdio::null());
    command.env("PATH", format!("{}:/usr/bin:/bin", folder.path().display()));
    command.env("HOME", folder.path()).env("LC_ALL", "C.UTF-8").env("TERM", "dumb");
    match command.output() {
        Ok(output) => Some((text(&output.stdout), text(&output.stderr))),
        Err(_) => {
            not_run(&format!("{} is not installed", arguments[0]));
            None
        }
    }
}

fn completions(file: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("deploy/completions").join(file);
    path.display().to_string()
}

/// A line, of which the end is completed, and some of what has to be proposed.
const LINES: &[(&str, &[&str])] = &[
    ("egressd ", &["run", "check", "explain", "lint", "config", "completions", "man"]),
    ("egressd ch", &["check"]),
    ("egressd check ", &["anthropic", "open-ai"]),
    ("egressd check --config some.toml op", &["open-ai"]),
    ("egressd check --config some.toml --route ", &["corp", "direct"]),
    ("egressd check --format n", &["nagios"]),
    ("egressd check --form", &["--format"]),
    ("egressd config ", &["check"]),
    ("egressd config check some.", &["some.toml"]),
    ("egressd config check --p", &["--plan"]),
    ("egressd explain sni_f", &["sni_filtered"]),
    ("egressd lint --provider az", &["azure_openai"]),
    ("egressd run --config some.", &["some.toml"]),
    ("egressd completions f", &["fish"]),
    ("egressd man egressd.", &["egressd.toml"]),
    ("egressd help l", &["lint"]),
];

/// Nothing is proposed that nobody may type.
fn judge(line: &str, wanted: &[&str], proposed: &BTreeSet<&str>) {
    for wanted in wanted {
        // Without a file of its own the first line of targets is that of the embedded default.
        let is_absent = line == "egressd check " && *wanted == "open-ai";
        assert!(is_absent || proposed.contains(wanted), "{line:?}: {wanted} in {proposed:?}");
    }
    for hidden in ["names", "pac-engine", "--markdown"] {
        assert!(!proposed.contains(hidden), "{line:?}: {proposed:?}");
    }
    let prefix = line.rsplit(' ').next().unwrap_or_default();
    let other = proposed.iter().find(|word| !word.starts_with(prefix));
    assert_eq!(other, None, "{line:?}");
}

#[test]
fn bash_completes_commands_options_values_names_and_files() {
    let folder = place();
    let file = completions("egressd.bash");
    let complete = |words: &[&str]| {
        let quoted: Vec<String> = words.iter().map(|word| format!("'{word}'")).collect();
        let script = format!(
            "set -u; . {file}; complete -p egressd; COMP_WORDS=({}); COMP_CWORD={}; _egressd; \
             printf '%s\\n' \"${{COMPREPLY[@]}}\"",
            quoted.join(" "),
            words.len() - 1,
        );
        let (stdout, stderr) = shell(&folder, &["bash", "--norc", "-c", &script])?;
        assert_eq!(stderr, "", "{words:?}");
        let rest = stdout.strip_prefix("complete -F _egressd egressd\n");
        Some(rest.unwrap_or_else(|| panic!("{stdout}")).to_owned())
    };
    for (line, wanted) in LINES {
        let words: Vec<&str> = line.split(' ').collect();
        let Some(proposed) = complete(&words) else { return };
        judge(line, wanted, &proposed.lines().filter(|word| !word.is_empty()).collect());
    }
    // readline takes `=` for a word.
    for (words, wanted) in [
        (&["egressd", "check", "--format", "="][..], "text\njson\nnagios\n"),
        (&["egressd", "check", "--format", "=", "j"], "json\n"),
        (&["egressd", "check", "--config", "=", "some.toml", "--route", "c"], "corp\n"),
        (&["egressd", "config", "check", "some "], "some more.toml\n"),
        (&["egressd", "check", "--proxy", ""], "\n"),
        (&["egressd", "check", "--config", "none.toml", ""], "\n"),
    ] {
        assert_eq!(complete(words).as_deref(), Some(wanted), "{words:?}");
    }
}

#[test]
fn fish_completes_the_same() {
    let folder = place();
    let file = completions("egressd.fish");
    for (line, wanted) in LINES {
        let script = format!("source {file}; complete -C {line:?}");
        let Some((stdout, stderr)) = shell(&folder, &["fish", "--no-config", "-c", &script]) else {
            return;
        };
        assert_eq!(stderr, "", "{line}");
        let proposed = stdout.lines().map(|line| line.split('\t').next().unwrap_or_default());
        judge(line, wanted, &proposed.collect());
    }
}

/// zsh completes on a terminal only: one is made for it. Each line ends in a tab, and is then not run, but written down.
const IN_ZSH: &str = r#"
zmodload zsh/zpty
zpty z 'zsh -f -i'
zpty -w z 'PS1=; fpath=('$1' $fpath); autoload -Uz compinit; compinit -u -D
accept() { print -r -- "$BUFFER" >> said; [[ $BUFFER == last* ]] && print "no "more; BUFFER=; zle .accept-line }
zle -N accept; bindkey "^M" accept; bindkey "^J" accept'
shift
for line in "$@" last; do zpty -n -w z "$line"$'\t\r'; done
zpty -r z read '*no more*'
zpty -d z
"#;

#[test]
fn zsh_completes_on_a_terminal() {
    let folder = place();
    let file = completions("_egressd");
    let scripts = Path::new(&file).parent().unwrap().display().to_string();
    let lines = [
        ("egressd ch", "eck "),
        ("egressd check --config some.toml op", "en-ai "),
        ("egressd check --config some.toml --route co", "rp "),
        ("egressd check --format=n", "agios "),
        ("egressd config check --p", "lan "),
        ("egressd explain sni_f", "iltered "),
        ("egressd lint --provider az", "ure_openai "),
        ("egressd run --config some.", "toml "),
        ("egressd man egressd.", "toml "),
    ];
    let typed = lines.map(|(line, _)| line);
    let script = format!("set -- '{scripts}' \"$@\"\n{IN_ZSH}");
    let arguments = [&["timeout", "60", "zsh", "-f", "-c", &script, "zsh"][..], &typed].concat();
    let Some((_, stderr)) = shell(&folder, &arguments) else { return };
    assert_eq!(stderr, "");
    let said = fs::read_to_string(folder.path().join("said")).unwrap_or_default();
    let wanted = lines.map(|(line, rest)| format!("{line}{rest}\n")).concat();
    assert_eq!(said.split("last").next(), Some(wanted.as_str()));
}

#[test]
fn zsh_reads_the_script() {
    let folder = place();
    let file = completions("_egressd");
    let Some((_, stderr)) = shell(&folder, &["zsh", "-f", "-n", &file]) else { return };
    assert_eq!(stderr, "");
    let script = format!(
        "fpath=({} $fpath); autoload -Uz compinit; compinit -u -D; print $_comps[egressd]; \
         autoload +X _egressd && print defined",
        Path::new(&file).parent().unwrap().display()
    );
    let said = shell(&folder, &["zsh", "-f", "-c", &script]);
    assert_eq!(said, Some(("_egressd\ndefined\n".to_owned(), String::new())));
}
