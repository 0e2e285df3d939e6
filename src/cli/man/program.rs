//! egressd(1): each subcommand with its options as clap knows them, between prose.

use std::fmt::Write as _;

use clap::{Arg, Command, CommandFactory as _};

use super::roff::{literal, prose, subsection, tagged};
use crate::cli::Arguments;
use crate::provider::Provider;

/// Everything that is not in the command line's definition.
const PROSE: &str = include_str!("program.roff");

pub(super) fn page() -> String {
    let command = Arguments::command();
    let bases = Provider::ALL.iter().flat_map(|provider| provider.facts().requests.base_variables);
    let bases: Vec<String> = bases.map(|name| format!("\\fB{}\\fR", literal(name))).collect();
    let text = PROSE
        .replace(".@COMMANDS@\n", &commands(&command))
        .replace(".@BASES@\n", &format!("{}\n", bases.join(",\n")));
    format!("{}{text}", super::title("EGRESSD", 1, "User Commands"))
}

/// Every command that is shown, those inside of others too.
fn commands(parent: &Command) -> String {
    fn add(out: &mut String, before: &str, parent: &Command) {
        for command in parent.get_subcommands().filter(|command| !command.is_hide_set()) {
            let name = format!("{before} {}", command.get_name());
            if command.has_subcommands() {
                add(out, &name, command);
            } else {
                out.push_str(&one(&name, command));
            }
        }
    }
    let mut out = String::new();
    add(&mut out, parent.get_name(), parent);
    out
}

fn one(name: &str, command: &Command) -> String {
    let shown = || command.get_arguments().filter(|argument| !argument.is_hide_set());
    let mut usage = name.to_owned();
    if shown().any(|argument| !argument.is_positional()) {
        usage.push_str(" [OPTIONS]");
    }
    for argument in shown().filter(|argument| argument.is_positional()) {
        let _infallible = write!(usage, " {argument}");
    }
    let about = command.get_long_about().or(command.get_about());
    let mut out = subsection(&usage);
    let about = about.map(ToString::to_string).unwrap_or_default();
    let _infallible = writeln!(out, "{}", sentence(&about));
    let positional = shown().filter(|argument| argument.is_positional());
    let options = shown().filter(|argument| !argument.is_positional());
    for argument in positional.chain(options) {
        out.push_str(&tagged(&tag(argument), &said(argument)));
    }
    out
}

fn tag(argument: &Arg) -> String {
    let value = |name: &str| format!("\\fI{}\\fR", literal(name));
    let values: Vec<String> =
        argument.get_value_names().unwrap_or_default().iter().map(|name| value(name)).collect();
    let values = values.join(" ");
    let Some(long) = argument.get_long() else { return values };
    let option = format!("\\fB{}\\fR", literal(&format!("--{long}")));
    if argument.get_action().takes_values() { format!("{option} {values}") } else { option }
}

fn said(argument: &Arg) -> String {
    let help = argument.get_long_help().or(argument.get_help());
    let mut said = sentence(&help.map(ToString::to_string).unwrap_or_default());
    let values = argument.get_possible_values();
    if argument.get_action().takes_values() && !values.is_empty() {
        for value in values {
            let about = value.get_help().map(ToString::to_string).unwrap_or_default();
            let name = literal(value.get_name());
            let _infallible = write!(said, "\n.br\n\\fB{name}\\fR: {}", sentence(&about));
        }
        for value in argument.get_default_values() {
            let _infallible =
                write!(said, "\n.br\nDefault: {}.", literal(&value.to_string_lossy()));
        }
    }
    said
}

/// clap takes the final stop from the help of a single paragraph.
fn sentence(text: &str) -> String {
    let stop = if text.ends_with(['.', '?', ':']) || text.is_empty() { "" } else { "." };
    prose(&format!("{text}{stop}"))
}
