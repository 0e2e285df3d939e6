//! `egressd completions`: the command line's definition as a script of a shell, and the names that such a script
//! asks for while somebody types. A script holds no names of causes or targets, so that it ages with its program only.

mod bash;
mod fish;
mod zsh;

use std::collections::BTreeSet;
use std::path::PathBuf;

use clap::{Arg, Args, Command, CommandFactory as _, ValueEnum, ValueHint};

use super::{Arguments, CONFIG, OK, complain, print};
use crate::cause::CAUSES;
use crate::daemon::load;
use crate::provider::Provider;
use crate::publish::messages::MESSAGES;

#[derive(Debug, Args)]
pub(super) struct Options {
    /// The shell.
    #[arg(value_enum, value_name = "SHELL")]
    shell: Shell,
}

/// A shell that is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Shell {
    /// For /usr/share/bash-completion/completions/egressd.
    Bash,
    /// For /usr/share/fish/vendor_completions.d/egressd.fish.
    Fish,
    /// For /usr/share/zsh/vendor-completions/_egressd.
    Zsh,
}

#[derive(Debug, Args)]
pub(super) struct Names {
    /// Of what.
    #[arg(value_enum)]
    of: Named,
    /// The configuration [default: as for `run`].
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
}

/// What has names.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Named {
    Targets,
    Routes,
    Causes,
    Providers,
}

pub(super) fn main(options: &Options) -> u8 {
    let places = places();
    print(&match options.shell {
        Shell::Bash => bash::script(&places),
        Shell::Fish => fish::script(&places),
        Shell::Zsh => zsh::script(&places),
    })
}

/// A name a line, as far as a shell takes it for a single word that it does not expand.
pub(super) fn names(asked: &Names) -> u8 {
    let known = match asked.of {
        Named::Causes => CAUSES
            .iter()
            .map(|row| row.id)
            .chain(MESSAGES.iter().map(|row| row.id))
            .map(str::to_owned)
            .collect(),
        Named::Providers => {
            Provider::ALL.iter().map(|provider| provider.facts().id.to_owned()).collect()
        }
        Named::Targets | Named::Routes => match of_configuration(asked) {
            Ok(known) => known,
            Err(fault) => {
                complain(&fault.to_string());
                return CONFIG;
            }
        },
    };
    let known: BTreeSet<String> = known;
    let plain: Vec<String> = known.into_iter().filter(|name| is_plain(name)).collect();
    if plain.is_empty() { OK } else { print(&format!("{}\n", plain.join("\n"))) }
}

fn of_configuration(asked: &Names) -> Result<BTreeSet<String>, load::Fault> {
    let targets = load::load(asked.config.as_deref())?.plan.targets.into_iter();
    Ok(match asked.of {
        Named::Routes => {
            targets.flat_map(|target| target.routes).map(|used| used.route.name).collect()
        }
        Named::Targets | Named::Causes | Named::Providers => {
            targets.map(|target| target.name).collect()
        }
    })
}

/// bash expands the words of `compgen -W`, and splits its line at colons.
fn is_plain(name: &str) -> bool {
    !name.starts_with('-')
        && name.chars().all(|c| c.is_ascii_alphanumeric() || "._-/@%+".contains(c))
}

/// A place of the command line: the program itself, a command, or a command inside of one.
struct Place {
    /// What was typed for it behind the program's name.
    words: String,
    /// The commands inside of it, with what they do.
    commands: Vec<(String, String)>,
    arguments: Vec<Argument>,
}

struct Argument {
    /// As it is typed, with its dashes; none where it has a place instead.
    options: Vec<String>,
    about: String,
    /// What the value is called; none where none is taken.
    value: Option<String>,
    values: Values,
    is_many: bool,
}

/// What may be typed for a value.
enum Values {
    Anything,
    Files,
    These(Vec<(String, String)>),
    /// What `egressd names` says.
    Names(&'static str),
}

impl Place {
    fn options(&self) -> impl Iterator<Item = &Argument> {
        self.arguments.iter().filter(|argument| !argument.options.is_empty())
    }

    fn positional(&self) -> Option<&Argument> {
        self.arguments.iter().find(|argument| argument.options.is_empty())
    }
}

/// All of them, the program itself first.
fn places() -> Vec<Place> {
    fn add(places: &mut Vec<Place>, words: &str, command: &Command) {
        let shown = || command.get_subcommands().filter(|inside| !inside.is_hide_set());
        let arguments = command.get_arguments().filter(|argument| !argument.is_hide_set());
        places.push(Place {
            words: words.to_owned(),
            commands: shown().map(named).collect(),
            arguments: arguments.map(argument).collect(),
        });
        for inside in shown() {
            let words = format!("{words} {}", inside.get_name());
            // Its commands are those beside it, without arguments.
            if inside.get_name() == "help" {
                let beside = shown().filter(|beside| beside.get_name() != "help");
                let commands = beside.map(named).collect();
                places.push(Place {
                    words: words.trim().to_owned(),
                    commands,
                    arguments: Vec::new(),
                });
            } else {
                add(places, words.trim(), inside);
            }
        }
    }
    let mut command = Arguments::command();
    command.build();
    let mut places = Vec::new();
    add(&mut places, "", &command);
    places
}

/// A command, with what it does.
fn named(command: &Command) -> (String, String) {
    (command.get_name().to_owned(), about(command.get_about()))
}

fn argument(argument: &Arg) -> Argument {
    let short = argument.get_short().map(|short| format!("-{short}"));
    let long = argument.get_long().map(|long| format!("--{long}"));
    let names = argument.get_value_names().unwrap_or_default();
    let takes = argument.get_action().takes_values();
    let possible = argument.get_possible_values();
    let values = match argument.get_id().as_str() {
        "targets" => Values::Names("targets"),
        "route" => Values::Names("routes"),
        "provider" => Values::Names("providers"),
        "words" => Values::Names("causes"),
        _ if takes && !possible.is_empty() => Values::These(
            possible
                .iter()
                .map(|value| (value.get_name().to_owned(), about(value.get_help())))
                .collect(),
        ),
        _ if argument.get_value_hint() == ValueHint::AnyPath => Values::Files,
        _ => Values::Anything,
    };
    Argument {
        options: short.into_iter().chain(long).collect(),
        about: about(argument.get_help()),
        value: takes.then(|| names.first().map(ToString::to_string).unwrap_or_default()),
        values,
        is_many: argument.get_num_args().is_some_and(|many| many.max_values() > 1),
    }
}

/// The first sentence, without its stop.
fn about(help: Option<&clap::builder::StyledStr>) -> String {
    let text = help.map(ToString::to_string).unwrap_or_default();
    let first = text.split([';', '\n']).next().unwrap_or_default();
    let first = first.split(". ").next().unwrap_or_default();
    let first = first.split(['[', '(']).next().unwrap_or_default();
    first.trim().trim_end_matches('.').replace('`', "")
}

/// A word of each pair.
fn words(pairs: &[(String, String)]) -> String {
    pairs.iter().map(|(name, _)| name.as_str()).collect::<Vec<_>>().join(" ")
}
