//! `egressd explain`: a cause looked up, all of them in a list, or the page that the alerts link to. It reads no
//! configuration and asks nobody.

use std::io::IsTerminal as _;

use clap::Args;

use super::{OK, USAGE, complain, print};
use crate::cause::CAUSES;
use crate::publish::{explain, verdicts};

/// Ids that are proposed at most.
const PROPOSED: usize = 3;

#[derive(Debug, Args)]
pub(super) struct Options {
    /// The id of a cause, as in `sni_filtered` [default: lists all of them].
    cause: Option<String>,
    /// Prints VERDICTS.md.
    #[arg(long, hide = true, conflicts_with = "cause")]
    markdown: bool,
}

pub(super) fn main(options: &Options) -> u8 {
    let Some(id) = &options.cause else {
        print(&if options.markdown { verdicts::page() } else { explain::list() });
        return OK;
    };
    if let Some(row) = CAUSES.iter().find(|row| row.id == id) {
        print(&explain::cause(row, std::io::stdout().is_terminal()));
        return OK;
    }
    complain(&format!(
        "there is no cause `{}`: nearest are {}; `egressd explain` lists all",
        crate::publish::shown(id),
        nearest(id).join(", ")
    ));
    USAGE
}

/// The ids that are most like it: those that hold it as it is, then by how little is changed.
fn nearest(id: &str) -> Vec<&'static str> {
    let id = id.to_ascii_lowercase().replace('-', "_");
    let mut ids: Vec<&str> = CAUSES.iter().map(|row| row.id).collect();
    ids.sort_by_key(|known| (!known.contains(&id), strsim::damerau_levenshtein(&id, known)));
    ids.truncate(PROPOSED);
    ids
}
