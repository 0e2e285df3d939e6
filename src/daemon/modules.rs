//! The modules of `/probe`, from the file that a plan names, with the files that it names in turn.

use std::sync::Arc;

use super::environment;
use super::load::Fault;
use crate::blackbox::{self, Modules};
use crate::config::{self, Problem};
use crate::plan::Plan;

/// A file that a module names, at most.
const NAMED: usize = 1024 * 1024;

/// What was read, and what may surprise in it, rendered.
type Read = (Option<Arc<Modules>>, Vec<String>);

/// The modules; else everything that is wrong, rendered.
pub(super) fn read(plan: &Plan) -> Result<Read, Vec<String>> {
    let Some(file) = plan.blackbox_modules.as_deref() else { return Ok((None, Vec::new())) };
    if let Some((open, kind)) = environment::writable_by_others(file) {
        return Err(vec![Fault::Writable(open, kind).to_string()]);
    }
    let bytes = environment::read_bounded(file, blackbox::FILE_LIMIT)
        .map_err(|error| vec![Fault::Read { path: file.to_owned(), error }.to_string()])?;
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
        Ok((Some(Arc::new(modules)), rendered))
    } else {
        Err(rendered)
    }
}
