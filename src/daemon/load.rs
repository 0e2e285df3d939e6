//! From a file, or without one, to a plan: parse, read what is named, build, and every problem at once.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::blackbox::{self, Modules};
use crate::config::{self, Problem};
use crate::plan::{self, Plan};

use super::environment;

/// A file that a module names, at most.
const NAMED: usize = 1024 * 1024;

/// A plan, with where it came from.
#[derive(Debug)]
pub struct Loaded {
    /// What runs.
    pub plan: Plan,
    /// The file's name, or that there is none.
    pub source: String,
    /// What may surprise, rendered.
    pub warnings: Vec<String>,
    /// The modules of `/probe`.
    pub modules: Option<Arc<Modules>>,
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
        Some(plan) => {
            let mut warnings: Vec<String> = problems.iter().map(render).collect();
            let modules = plan.blackbox_modules.as_deref();
            let modules = modules.map(|file| read_modules(file, &plan)).transpose()?;
            let modules = modules.map(|(modules, more)| {
                warnings.extend(more);
                Arc::new(modules)
            });
            Ok(Loaded { plan, warnings, source: name.clone(), modules })
        }
        None => Err(Fault::Wrong(problems.iter().map(render).collect())),
    }
}

/// The modules of a file, and what may surprise in it, rendered.
fn read_modules(file: &Path, plan: &Plan) -> Result<(Modules, Vec<String>), Fault> {
    if environment::is_writable_by_others(file) {
        return Err(Fault::Writable(file.to_owned()));
    }
    let read = environment::read_bounded(file, blackbox::FILE_LIMIT);
    let bytes = read.map_err(|error| Fault::Read { path: file.to_owned(), error })?;
    let text = String::from_utf8_lossy(&bytes);
    let (modules, mut problems) = blackbox::read(&text, &|path| {
        environment::read_bounded(path, NAMED).map_err(|error| error.to_string())
    });
    for module in &modules.modules {
        let route = module.may.route.as_deref().filter(|_| module.http.proxy.is_none());
        if let Some(route) = route.filter(|name| plan.routes.iter().all(|r| r.name != **name)) {
            let known: Vec<&str> = plan.routes.iter().map(|route| route.name.as_str()).collect();
            let what = format!("module `{}`: there is no route `{route}`", module.name);
            problems.push(Problem::at(None, what, config::nearest(route, &known)));
        }
    }
    let name = file.display().to_string();
    let rendered: Vec<String> =
        problems.iter().map(|problem| problem.render(&name, &text)).collect();
    if problems.iter().all(|problem| problem.warning) {
        Ok((modules, rendered))
    } else {
        Err(Fault::Wrong(rendered))
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
