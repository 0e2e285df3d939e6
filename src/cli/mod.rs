//! The command line: what may be typed, and a file a subcommand. Results go to standard output,
//! everything else to standard error; exit codes are returned, never taken.

mod check;
mod completions;
mod config;
mod explain;
mod lint;
mod man;
mod own;
mod run;

use std::path::PathBuf;
use std::sync::LazyLock;

use clap::{Parser, Subcommand, ValueEnum};

use crate::daemon::environment;

/// All is well.
pub const OK: u8 = 0;
/// It failed.
pub const FAILED: u8 = 1;
/// It was asked for wrongly.
pub const USAGE: u8 = 2;
/// The configuration is wrong (`sysexits.h`, `EX_CONFIG`).
pub const CONFIG: u8 = 78;

/// What is built, and what it lacks that people would look for: a static binary cannot load the host's GSSAPI.
const VERSION: &str = if cfg!(feature = "kerberos") {
    env!("CARGO_PKG_VERSION")
} else {
    concat!(env!("CARGO_PKG_VERSION"), " without kerberos")
};

/// The same, and what was built in.
static FEATURES: LazyLock<String> = LazyLock::new(|| {
    let features = [
        ("kerberos", cfg!(feature = "kerberos")),
        ("ntlm", cfg!(feature = "ntlm")),
        ("pac", cfg!(feature = "pac")),
    ];
    let line = |(name, has)| format!("\n{name}: {}", if has { "yes" } else { "no" });
    format!("{VERSION}{}", features.map(line).concat())
});

/// Walks the way to each API that you depend on, layer by layer, and says what broke and who has to act.
#[derive(Debug, Parser)]
#[command(name = "egressd", version = VERSION, long_version = FEATURES.as_str(), max_term_width = 100)]
pub struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Runs the daemon: checks on a schedule, serves metrics and status.
    Run {
        /// The configuration [default: /etc/egressd/egressd.toml if it exists, else what is embedded].
        #[arg(long, value_name = "FILE")]
        config: Option<PathBuf>,
    },
    /// Checks once, with the controls that are needed, and ends: 0 ok, 1 degraded, 2 broken, 3 unknown.
    Check(check::Options),
    /// Says what a cause means, who acts, and how it is decided; or what the words of a client can mean.
    Explain(explain::Options),
    /// Says what is wrong with a request before it is sent; sends nothing: 0 no error, 1 an error, 2 unreadable.
    Lint(lint::Options),
    /// Looks after configurations.
    Config {
        #[command(subcommand)]
        command: ConfigCommand,
    },
    /// Prints completions for a shell.
    Completions(completions::Options),
    /// Prints a page of the manual.
    Man(man::Options),
    /// Prints the names that a configuration has, for completions.
    #[command(hide = true)]
    Names(completions::Names),
    /// Runs PAC scripts for the egressd that started it.
    #[cfg(feature = "pac")]
    #[command(hide = true)]
    PacEngine,
}

#[derive(Debug, Subcommand)]
enum ConfigCommand {
    /// Says everything that is wrong with a configuration, each with its place and a way out.
    Check {
        /// The configuration [default: as for `run`].
        file: Option<PathBuf>,
        /// Prints what would run.
        #[arg(long)]
        plan: bool,
    },
}

/// How results are printed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Format {
    /// For people.
    Text,
    /// As in `/api/v1/status`.
    Json,
    /// One line for Icinga and Nagios.
    Nagios,
}

/// Does what was asked, and says how it ended.
pub fn main(arguments: Arguments) -> u8 {
    if let Err(error) = crate::daemon::process::keep_memory() {
        complain(&format!("a core file could be written: {error}"));
    }
    match arguments.command {
        Command::Run { config } => run::main(config.as_deref()),
        Command::Check(options) => check::main(&options),
        Command::Explain(options) => explain::main(&options),
        Command::Lint(options) => lint::main(&options),
        Command::Config { command: ConfigCommand::Check { file, plan } } => {
            config::main(file.as_deref(), plan)
        }
        Command::Completions(options) => completions::main(&options),
        Command::Man(options) => man::main(&options),
        Command::Names(options) => completions::names(&options),
        #[cfg(feature = "pac")]
        Command::PacEngine => pac_engine(),
    }
}

/// The child of a PAC engine. Who reads how it ends is its parent, which sees the closed pipe.
#[cfg(feature = "pac")]
fn pac_engine() -> u8 {
    match crate::probe::pac::serve() {
        Ok(()) => OK,
        Err(_) => FAILED,
    }
}

/// How arguments that cannot be understood end: `check` keeps to the monitoring plugins' convention.
pub fn usage_code() -> u8 {
    let first = std::env::args_os().nth(1);
    if first.is_some_and(|word| word == "check") { UNKNOWN } else { USAGE }
}

/// `check` cannot say.
const UNKNOWN: u8 = 3;

/// Prints a result, and says how that ended. A reader that has gone has seen what it wanted (`| head`); what cannot
/// be written, as on a full disk, is a failure.
fn print(text: &str) -> u8 {
    use std::io::Write as _;
    let mut out = std::io::stdout().lock();
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        Ok(()) => OK,
        Err(error) if error.kind() == std::io::ErrorKind::BrokenPipe => OK,
        Err(error) => {
            complain(&format!("standard output: {error}"));
            FAILED
        }
    }
}

/// Whether results have colours: on a terminal that has some, where nobody asks for none (`NO_COLOR`,
/// no-color.org).
fn colour() -> bool {
    use std::io::IsTerminal as _;
    let given = |name| environment::variable(name).unwrap_or_default();
    std::io::stdout().is_terminal() && given("NO_COLOR").is_empty() && given("TERM") != "dumb"
}

/// Prints what is not a result.
fn complain(text: &str) {
    use std::io::Write as _;
    // Nobody is left to be told where standard error is gone.
    let (Ok(()) | Err(_)) = writeln!(std::io::stderr().lock(), "{text}");
}

/// Threads that wait for files and logins, at most. A server of files that is silent keeps them: the unit's `TasksMax=` has room for
/// as many, and for a child beside them.
const WAITING: usize = 64;

/// Does this to its end. One thread is enough: a check waits, it does not compute; and a second one would cost
/// memory. A thread of the host's libraries that still waits for a KDC is left behind.
fn block_on<T>(work: impl Future<Output = T>) -> std::io::Result<T> {
    let mut builder = tokio::runtime::Builder::new_current_thread();
    let runtime = builder.enable_all().max_blocking_threads(WAITING).build()?;
    let result = runtime.block_on(work);
    runtime.shutdown_background();
    Ok(result)
}
