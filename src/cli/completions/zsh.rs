//! For zsh, by its `_arguments`.

use std::fmt::Write as _;

use super::{Argument, Place, Values, words};

const BEGIN: &str = r#"#compdef egressd
# Completes egressd in zsh: printed by `egressd completions zsh`.

# What the configuration of this line names; before it stand the options for compadd.
_egressd_names() {
  local -a names config
  [[ -n ${opt_args[--config]} ]] && config=(--config "${(Q)opt_args[--config]}")
  names=(${(f)"$(egressd names $argv[-1] $config 2> /dev/null)"})
  compadd "${(@)argv[1,-2]}" -a names
}
"#;

const END: &str = r#"
if [[ $funcstack[1] == _egressd ]]; then
  _egressd "$@"
else
  compdef _egressd egressd
fi
"#;

pub(super) fn script(places: &[Place]) -> String {
    let mut out = BEGIN.to_owned();
    // What is called is defined before.
    for place in places.iter().rev() {
        let arguments: Vec<String> = place.arguments.iter().map(spec).collect();
        let _infallible = writeln!(out, "\n{}() {{", function(&place.words));
        if place.commands.is_empty() {
            let _infallible =
                writeln!(out, "  _arguments -s -S \\\n    {}", arguments.join(" \\\n    "));
        } else {
            out.push_str(&group(place, &arguments, places));
        }
        out.push_str("}\n");
    }
    out.push_str(END);
    out
}

/// A place with commands: what is typed first, then what that one takes.
fn group(place: &Place, arguments: &[String], places: &[Place]) -> String {
    let mut out =
        "  local curcontext=$curcontext state line\n  typeset -A opt_args\n  _arguments -C"
            .to_owned();
    for argument in arguments {
        let _infallible = write!(out, " \\\n    {argument}");
    }
    out.push_str(
        " \\\n    '1:command:->command' \\\n    '*::argument:->argument'\n  case $state in\n",
    );
    out.push_str("  command)\n    local -a commands=(\n");
    for (name, about) in &place.commands {
        let _infallible =
            writeln!(out, "      {}", quoted(&format!("{name}:{}", about.replace(':', "\\:"))));
    }
    out.push_str("    )\n    _describe -t commands command commands\n    ;;\n  argument)\n    case $words[1] in\n");
    for (name, _) in &place.commands {
        let below = format!("{} {name}", place.words);
        if places.iter().any(|place| place.words == below.trim()) {
            let _infallible = writeln!(out, "    {name}) {} ;;", function(below.trim()));
        }
    }
    out.push_str("    esac\n    ;;\n  esac\n");
    out
}

fn function(words: &str) -> String {
    format!("_egressd {words}").trim().replace(' ', "_")
}

fn spec(argument: &Argument) -> String {
    let about = escaped(&argument.about);
    let value = argument.value.as_ref().map(|name| {
        let action = match &argument.values {
            Values::Anything => " ".to_owned(),
            Values::Files => "_files".to_owned(),
            Values::These(these) => format!("({})", words(these)),
            Values::Names(of) => format!("_egressd_names {of}"),
        };
        format!(":{}:{action}", escaped(name))
    });
    let value = value.unwrap_or_default();
    match argument.options.as_slice() {
        [] => quoted(&format!("{}{value}", if argument.is_many { "*" } else { "1" })),
        [only] if value.is_empty() => quoted(&format!("{only}[{about}]")),
        [only] => quoted(&format!("{only}=[{about}]{value}")),
        several => format!("'(- *)'{{{}}}{}", several.join(","), quoted(&format!("[{about}]"))),
    }
}

/// Inside of a specification brackets and colons end a part.
fn escaped(text: &str) -> String {
    text.replace('\\', "\\\\").replace('[', "\\[").replace(']', "\\]").replace(':', "\\:")
}

fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', "'\\''"))
}
