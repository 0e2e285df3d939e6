//! From a file, or without one, to a plan: parse, read what is named, build, and every problem at once.

use std::path::{Path, PathBuf};

use crate::config::{self, Problem};
use crate::plan::{self, Plan};

use super::environment;

/// A plan, with where it came from.
#[derive(Debug)]
pub struct Loaded {
    /// What runs.
    pub plan: Plan,
    /// The file's name, or that there is none.
    pub source: String,
    /// What may surprise, rendered.
    pub warnings: Vec<String>,
}

/// Why there is no plan.
#[derive(Debug, thiserror::Error)]
pub enum Fault {
    /// The file cannot be read.
    #[error("read {}: {error}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        error: std::io::Error,
    },
    /// Others may write it.
    #[error("{}: others may write this file; chmod o-w it", .0.display())]
    Writable(PathBuf),
    /// It is wrong; every problem, rendered.
    #[error("{}", .0.join("\n"))]
    Wrong(Vec<String>),
}

/// Loads the given file, else the default one if it exists, else what is embedded.
pub fn load(file: Option<&Path>) -> Result<Loaded, Fault> {
    let default = Path::new(environment::DEFAULT_FILE);
    // A folder that cannot be looked into is a fault, not "no file": another plan would run unseen.
    let there =
        || default.try_exists().map_err(|error| Fault::Read { path: default.into(), error });
    let path = match file {
        Some(file) => Some(file),
        None => there()?.then_some(default),
    };
    let (name, text) = match path {
        Some(path) => {
            if environment::is_writable_by_others(path) {
                return Err(Fault::Writable(path.to_owned()));
            }
            let text = std::fs::read_to_string(path)
                .map_err(|error| Fault::Read { path: path.to_owned(), error })?;
            (path.display().to_string(), text)
        }
        None => ("(embedded default)".to_owned(), config::EMBEDDED.to_owned()),
    };
    let (plan, problems) = judge(&text);
    let render = |problem: &Problem| problem.render(&name, &text);
    match plan {
        Some(plan) => Ok(Loaded {
            plan,
            warnings: problems.iter().map(render).collect(),
            source: name.clone(),
        }),
        None => Err(Fault::Wrong(problems.iter().map(render).collect())),
    }
}

/// The plan of a text, where it has no fault, and all its problems in the text's order.
fn judge(text: &str) -> (Option<Plan>, Vec<Problem>) {
    let (config, mut problems) = config::parse(text);
    let unread = !problems.is_empty();
    let (plan, more) = plan::build(&config, &environment::read(&config));
    // What could not be read is missing in the plan; that it is missing was said.
    problems.extend(more.into_iter().filter(|problem| !(unread && problem.absence)));
    problems.sort_by_key(|problem| problem.place.as_ref().map_or(usize::MAX, |place| place.start));
    let sound = problems.iter().all(|problem| problem.warning);
    (plan.filter(|_| sound), problems)
}
