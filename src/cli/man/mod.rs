//! `egressd man`: egressd(1), from the command line's own definition, and egressd.toml(5), from the file that shows
//! every option. What neither of them holds is prose, in `program.roff` and `configuration.roff`. It formats nothing
//! for a terminal: that is man(1).

mod options;
mod program;
mod roff;

use clap::{Args, ValueEnum};

use super::print;

/// The day that both pages bear: when they were last read from one end to the other.
const DATE: &str = "2026-11-23";

#[derive(Debug, Args)]
pub(super) struct Options {
    /// The page: its source, to be read by `man -l`.
    #[arg(value_enum, default_value = "egressd")]
    page: Page,
}

/// A page of the manual.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Page {
    /// The program: egressd(1).
    #[value(name = "egressd")]
    Program,
    /// Its configuration: egressd.toml(5).
    #[value(name = "egressd.toml")]
    Configuration,
}

pub(super) fn main(options: &Options) -> u8 {
    print(&match options.page {
        Page::Program => program::page(),
        Page::Configuration => options::page(),
    })
}

/// The first line of a page, and what says which it is.
fn title(name: &str, section: u8, manual: &str) -> String {
    let version = env!("CARGO_PKG_VERSION");
    format!(".TH {name} {section} \"{DATE}\" \"egressd {version}\" \"{manual}\"\n")
}
