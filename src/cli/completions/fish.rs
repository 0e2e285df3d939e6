//! For fish.

use std::fmt::Write as _;

use super::{Argument, Place, Values};

const BEGIN: &str = r#"# Completes egressd in fish: printed by `egressd completions fish`.

# Whether this command was typed.
function __egressd_at
    set -l words (commandline -opc)
    set -l at
    for word in $words[2..]
        string match -q -- '-*' $word; and continue
        set -a at $word
        contains -- "$at" @GROUPS@; or break
    end
    test "$at" = "$argv"
end

# What the configuration of this line names.
function __egressd_names
    set -l words (commandline -opc)
    set -l config
    for i in (seq (count $words))
        switch $words[$i]
            case --config
                set config $words[$i] $words[(math $i + 1)]
            case '--config=*'
                set config $words[$i]
        end
    end
    $words[1] names $argv $config 2>/dev/null
end

complete -c egressd -f
"#;

pub(super) fn script(places: &[Place]) -> String {
    let groups =
        places.iter().filter(|place| !place.commands.is_empty() && !place.words.is_empty());
    let groups: Vec<String> = groups.map(|place| quoted(&place.words)).collect();
    let mut out = BEGIN.replace("@GROUPS@", &groups.join(" "));
    for place in places {
        let at = format!(
            "complete -c egressd -n {}",
            quoted(format!("__egressd_at {}", place.words).trim())
        );
        for (name, about) in &place.commands {
            let _infallible = writeln!(out, "{at} -a {name} -d {}", quoted(about));
        }
        for argument in &place.arguments {
            let _infallible = writeln!(out, "{at}{}", rest(argument));
        }
    }
    out
}

fn rest(argument: &Argument) -> String {
    let mut rest = String::new();
    for option in &argument.options {
        let (kind, name) = option
            .strip_prefix("--")
            .map_or(("s", option.trim_start_matches('-')), |name| ("l", name));
        let _infallible = write!(rest, " -{kind} {name}");
    }
    let takes = argument.value.is_some() && !argument.options.is_empty();
    match &argument.values {
        Values::Anything if takes => rest.push_str(" -x"),
        Values::Anything => {}
        Values::Files if takes => rest.push_str(" -r -F"),
        Values::Files => rest.push_str(" -F"),
        Values::These(these) => {
            let each = these.iter().map(|(name, about)| format!("{name}\\t{}", quoted(about)));
            let each: Vec<String> = each.collect();
            let _infallible =
                write!(rest, "{} -a {}", if takes { " -x" } else { "" }, quoted(&each.join(" ")));
        }
        Values::Names(of) => {
            let _infallible =
                write!(rest, "{} -a '(__egressd_names {of})'", if takes { " -x" } else { "" });
        }
    }
    if !argument.options.is_empty() {
        let _infallible = write!(rest, " -d {}", quoted(&argument.about));
    }
    rest
}

/// In single quotes, where a backslash escapes itself and a quote alone.
fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\\', "\\\\").replace('\'', "\\'"))
}
