//! For bash, without the functions of bash-completion, which may not be there.

use std::fmt::Write as _;

use super::{Place, Values, words};

const SCRIPT: &str = r#"# Completes egressd in bash: printed by `egressd completions bash`.

_egressd() {
    local current=${COMP_WORDS[COMP_CWORD]} before=${COMP_WORDS[COMP_CWORD - 1]}
    local at='' i word names='' files='' config=()
    # To readline = is a word of its own.
    if [[ $current == = ]]; then
        current=''
    elif [[ $before == = ]] && ((COMP_CWORD > 1)); then
        before=${COMP_WORDS[COMP_CWORD - 2]}
    fi
    for ((i = 1; i < COMP_CWORD; i++)); do
        word=${COMP_WORDS[i]}
        case "$at $word" in
@WALK@
        esac
        if [[ $word == --config ]]; then
            word=${COMP_WORDS[i + 1]}
            [[ $word == = ]] && word=${COMP_WORDS[i + 2]}
            config=(--config "$word")
        fi
    done
    case "$at $before" in
@VALUES@
    *)
        if [[ $current == -* ]]; then
            case $at in
@OPTIONS@
            esac
        else
            case $at in
@POSITIONAL@
            esac
        fi
        ;;
    esac
    COMPREPLY=()
    if [[ -n $files ]]; then
        compopt -o filenames 2> /dev/null
        mapfile -t COMPREPLY < <(compgen -f -- "$current")
    else
        mapfile -t COMPREPLY < <(compgen -W "$names" -- "$current")
    fi
}

complete -F _egressd egressd
"#;

pub(super) fn script(places: &[Place]) -> String {
    let (mut walk, mut values) = (String::new(), String::new());
    let (mut options, mut positional) = (String::new(), String::new());
    for place in places {
        let at = &place.words;
        for (name, _) in &place.commands {
            let below = format!("{at} {name}");
            let below = below.trim();
            if places.iter().any(|place| place.words == below) {
                let _infallible = writeln!(walk, "        '{at} {name}') at='{below}' ;;");
            }
        }
        for argument in place.options().filter(|argument| argument.value.is_some()) {
            let cases: Vec<String> =
                argument.options.iter().map(|option| format!("'{at} {option}'")).collect();
            let _infallible =
                writeln!(values, "    {}) {} ;;", cases.join(" | "), set(&argument.values));
        }
        let names: Vec<&str> =
            place.options().flat_map(|argument| &argument.options).map(String::as_str).collect();
        if !names.is_empty() {
            let _infallible =
                writeln!(options, "            '{at}') names='{}' ;;", names.join(" "));
        }
        let set = match place.positional() {
            Some(argument) => set(&argument.values),
            None if place.commands.is_empty() => continue,
            None => format!("names='{}'", words(&place.commands)),
        };
        let _infallible = writeln!(positional, "            '{at}') {set} ;;");
    }
    SCRIPT
        .replace("@WALK@\n", &walk)
        .replace("@VALUES@\n", &values)
        .replace("@OPTIONS@\n", &options)
        .replace("@POSITIONAL@\n", &positional)
}

fn set(values: &Values) -> String {
    match values {
        Values::Anything => ":".to_owned(),
        Values::Files => "files=1".to_owned(),
        Values::These(these) => format!("names='{}'", words(these)),
        Values::Names(of) => {
            format!("names=$(\"${{COMP_WORDS[0]}}\" names {of} \"${{config[@]}}\" 2> /dev/null)")
        }
    }
}
