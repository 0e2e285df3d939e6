//! From a file, or without one, to a plan: parse, read what is named, build, and every problem at once.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crate::blackbox::Modules;
use crate::config::{self, Config, Problem};
use crate::plan::{self, Given, Listed, Lists, Plan};

use super::{environment, lists, modules, web};
use crate::publish::server::Access;

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
    /// Who may ask the web port.
    pub access: Arc<Access>,
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
    #[error("{}: others may write this {}; chmod o-w it", .0.display(), .1)]
    Writable(PathBuf, &'static str),
    /// It is wrong; every problem, rendered.
    #[error("{}", .0.join("\n"))]
    Wrong(Vec<String>),
}

/// Loads the given file, else the default one if it exists, else what is embedded.
pub fn load(file: Option<&Path>) -> Result<Loaded, Fault> {
    let written = Written::of(file)?;
    let config = config::parse(&written.text);
    let given = environment::read(&config.0);
    let web = web::read(web_file(&config.0)).0.map_err(Fault::Wrong)?;
    let judged = written.judge(&config, &given, (&web, None), Port::Configured);
    judged.map_err(|told| Fault::Wrong(told.lines))
}

/// A configuration's name and text.
#[derive(Clone, Debug)]
struct Written {
    name: String,
    text: String,
}

/// The socket at which the web port is asked: its address says who reaches it, whatever a configuration says later.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Port {
    /// It will be `[server] listen`.
    Configured,
    /// It was, when the daemon began; the next one will be as it is written now.
    Bound(SocketAddr),
    /// It came from the service manager: `[server] listen` is of no account.
    Handed(SocketAddr),
}

impl Port {
    fn exposure(self, server: &config::Server, plan: &Plan, guard: plan::Guard) -> Vec<Problem> {
        let at = |bound| plan::exposure(bound, guard, server.blackbox_modules.is_some());
        let of = || plan::exposure_of(server, plan.listen, guard);
        match self {
            Self::Handed(bound) => at(bound),
            Self::Bound(bound) if bound.ip() != plan.listen.ip() => [at(bound), of()].concat(),
            Self::Bound(_) | Self::Configured => of(),
        }
    }
}

/// What is wrong, rendered, and the lists in which it is.
struct Told {
    lines: Vec<String>,
    lists: BTreeSet<PathBuf>,
}

impl Written {
    fn of(file: Option<&Path>) -> Result<Self, Fault> {
        let default = Path::new(environment::DEFAULT_FILE);
        // A folder that cannot be looked into is a fault, not "no file": another plan would run unseen.
        let there =
            || default.try_exists().map_err(|error| Fault::Read { path: default.into(), error });
        let path = match file {
            Some(file) => Some(file),
            None => there()?.then_some(default),
        };
        let Some(path) = path else {
            let (name, text) = ("(embedded default)".to_owned(), config::EMBEDDED.to_owned());
            return Ok(Self { name, text });
        };
        if let Some((open, kind)) = environment::writable_by_others(path) {
            return Err(Fault::Writable(open, kind));
        }
        let text = environment::read_text(path, environment::CONFIG)
            .map_err(|error| Fault::Read { path: path.to_owned(), error })?;
        Ok(Self { name: path.display().to_string(), text })
    }

    /// The plan, or every problem in the order of the texts. Modules that are in force are not read again.
    fn judge(
        &self,
        parsed: &(Config, Vec<Problem>),
        given: &Given,
        (web, in_force): (&web::Read, Option<&Option<Arc<Modules>>>),
        port: Port,
    ) -> Result<Loaded, Told> {
        let (config, mut problems) = (&parsed.0, parsed.1.clone());
        let unread = !problems.is_empty();
        let (plan, more) = plan::build(config, given);
        if let Some(plan) = &plan {
            problems.extend(port.exposure(&config.server, plan, web::guard(&web.access)));
        }
        // What could not be read is missing in the plan; that it is missing was said.
        problems.extend(more.into_iter().filter(|problem| !(unread && problem.absence)));
        problems.sort_by_key(Problem::order);
        let sound = problems.iter().all(|problem| problem.warning);
        let named = |file: Option<&Path>| match file {
            Some(file) => {
                let text = given.lists.iter().find(|listed| listed.file == file);
                let text = text.and_then(|listed| listed.text.as_deref().ok());
                (file.display().to_string(), text.unwrap_or_default())
            }
            None => (self.name.clone(), self.text.as_str()),
        };
        let mut lines: Vec<String> =
            problems.iter().map(|problem| problem.render_among(&named)).collect();
        let Some(plan) = plan.filter(|_| sound) else {
            let faults = problems.into_iter().filter(|problem| !problem.warning);
            return Err(Told { lines, lists: faults.filter_map(|problem| problem.file).collect() });
        };
        lines.extend(web.warnings.iter().cloned());
        let read = || modules::read(&plan);
        let modules = match in_force.map_or_else(read, |known| Ok((known.clone(), Vec::new()))) {
            Ok((modules, more)) => {
                lines.extend(more);
                modules
            }
            Err(wrong) => return Err(Told { lines: wrong, lists: BTreeSet::new() }),
        };
        let (source, access) = (self.name.clone(), Arc::clone(&web.access));
        Ok(Loaded { plan, warnings: lines, source, modules, access })
    }
}

/// Where the daemon's configuration comes from, with the lists that were good.
#[derive(Debug)]
pub struct Source {
    file: Option<PathBuf>,
    known: Mutex<Known>,
}

#[derive(Debug)]
struct Known {
    port: Port,
    written: Written,
    /// The lists as they were looked at last.
    found: Vec<Listed>,
    /// The lists as they were loaded last.
    seen: Vec<Listed>,
    /// Those of them that are in force.
    good: Vec<Listed>,
    lists: Lists,
    modules: Option<Arc<Modules>>,
    web: web::Read,
    /// How the files of it looked when they were read last.
    looks: web::Looks,
    /// Whether they are in force as they were read last.
    web_is_good: bool,
    /// Whether the configuration is in force as it was read last.
    is_whole: bool,
}

/// What was loaded again.
#[derive(Debug)]
pub struct Again {
    /// What runs from now on; none: what ran before.
    pub loaded: Option<Loaded>,
    /// What is wrong, rendered; of lists that are wrong the last good ones are in it.
    pub wrong: Vec<String>,
    /// Whether all is in force as it was read last: the configuration, and each list.
    pub is_sound: bool,
}

impl Source {
    /// Loads for the first time: whatever is wrong is a fault.
    pub fn open(file: Option<&Path>, port: Port) -> Result<(Self, Loaded), Fault> {
        let written = Written::of(file)?;
        let parsed = config::parse(&written.text);
        let given = environment::read(&parsed.0);
        let (web, looks) = web::read(web_file(&parsed.0));
        let web = web.map_err(Fault::Wrong)?;
        let judged = written.judge(&parsed, &given, (&web, None), port);
        let loaded = judged.map_err(|told| Fault::Wrong(told.lines))?;
        let (seen, good) = (given.lists.clone(), given.lists);
        let (lists, modules) = (loaded.plan.lists.clone(), loaded.modules.clone());
        let found = seen.clone();
        let known = Known {
            port,
            written,
            found,
            seen,
            good,
            lists,
            modules,
            web,
            looks,
            web_is_good: true,
            is_whole: true,
        };
        Ok((Self { file: file.map(Path::to_owned), known: Mutex::new(known) }, loaded))
    }

    fn known(&self) -> MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// From now on the port is at that address.
    pub fn is_bound(&self, at: SocketAddr) {
        let mut known = self.known();
        if known.port == Port::Configured {
            known.port = Port::Bound(at);
        }
    }

    /// How often the lists are read again; none where there are none.
    pub fn refresh(&self) -> Option<Duration> {
        self.known().lists.refresh
    }

    /// Looks at the lists, and says whether one is another than it was when it was loaded. It may take as long as the
    /// server of these files does.
    pub fn has_changed(&self) -> bool {
        let patterns = self.known().lists.files.clone();
        let found = lists::read(patterns.iter().map(String::as_str));
        let mut known = self.known();
        // Of patterns that are in force no more nothing is wanted.
        if known.lists.files == patterns {
            known.found = found;
        }
        known.seen != known.found
    }

    /// Whether there is a web configuration.
    pub fn has_web(&self) -> bool {
        self.known().looks != web::Looks::default()
    }

    /// Whether the web configuration, or a file that it names, looks different than when it was read last.
    pub fn web_has_changed(&self) -> bool {
        let looks = self.known().looks.clone();
        looks.have_changed()
    }

    /// Loads again: the lists as they were looked at last and the web configuration where it looks different, or the
    /// configuration with all that it names.
    pub fn again(&self, whole: bool) -> Again {
        let mut known = self.known();
        let none = |wrong| Again { loaded: None, wrong, is_sound: false };
        known.is_whole &= !whole;
        let written = match whole.then(|| Written::of(self.file.as_deref())) {
            None => known.written.clone(),
            Some(Ok(written)) => written,
            Some(Err(fault)) => return none(vec![fault.to_string()]),
        };
        let parsed = config::parse(&written.text);
        let mut given = if whole {
            environment::read(&parsed.0)
        } else {
            environment::read_beside(known.found.clone(), &parsed.0)
        };
        // Of what does not come into force, the lists are looked at again.
        let seen = given.lists.clone();
        let modules = (!whole).then(|| known.modules.clone());
        let anew = known.web_again(whole, web_file(&parsed.0));
        if whole && !anew.is_good {
            return none(anew.wrong);
        }
        let (web, mut wrong) = (anew.read, anew.wrong);
        // Each turn puts a good list in the place of at least one, until all are.
        loop {
            let judged = written.judge(&parsed, &given, (&web, modules.as_ref()), known.port);
            let told = match judged {
                Ok(loaded) => {
                    known.lists = loaded.plan.lists.clone();
                    known.modules.clone_from(&loaded.modules);
                    (known.written, known.good) = (written, given.lists);
                    (known.found, known.seen) = (seen.clone(), seen);
                    known.is_whole |= whole;
                    (known.web, known.looks, known.web_is_good) = (web, anew.looks, anew.is_good);
                    let is_sound = known.is_whole && known.web_is_good && wrong.is_empty();
                    return Again { loaded: Some(loaded), wrong, is_sound };
                }
                Err(told) => told,
            };
            for line in told.lines {
                if !wrong.contains(&line) {
                    wrong.push(line);
                }
            }
            let before = given.lists.clone();
            known.put_back(&mut given.lists, |file| told.lists.contains(file));
            if given.lists == before {
                // A name that two lists have may be another one's fault.
                known.put_back(&mut given.lists, |_| !told.lists.is_empty());
            }
            if given.lists == before {
                if !whole {
                    (known.looks, known.web_is_good) = (anew.looks, false);
                }
                return none(wrong);
            }
        }
    }
}

/// A web configuration that was looked at again: as it is, or the last good one.
struct Anew {
    read: web::Read,
    looks: web::Looks,
    is_good: bool,
    wrong: Vec<String>,
}

impl Known {
    /// The web configuration, read again where all is or where it looks different. What is wrong is told once: until it
    /// looks different again.
    fn web_again(&mut self, whole: bool, file: Option<&Path>) -> Anew {
        let last = self.web.clone();
        if !whole && !self.looks.have_changed() {
            let (looks, is_good) = (self.looks.clone(), self.web_is_good);
            return Anew { read: last, looks, is_good, wrong: Vec::new() };
        }
        match web::read(file) {
            (Ok(read), looks) => Anew { read, looks, is_good: true, wrong: Vec::new() },
            (Err(wrong), looks) => {
                (self.looks, self.web_is_good) = (looks.clone(), false);
                Anew { read: last, looks, is_good: false, wrong }
            }
        }
    }

    /// Takes the last good ones in the place of these; one that never was good is left out.
    fn put_back(&self, lists: &mut Vec<Listed>, which: impl Fn(&Path) -> bool) {
        let good = |file: &Path| self.good.iter().find(|good| good.file == file);
        let put = std::mem::take(lists).into_iter();
        let put = put.filter_map(|listed| {
            if !which(&listed.file) {
                return Some(listed);
            }
            good(&listed.file).map(|good| Listed { text: good.text.clone(), ..listed })
        });
        lists.extend(put);
    }
}

fn web_file(config: &Config) -> Option<&Path> {
    config.server.web_config_file.as_ref().map(|file| file.get_ref().as_path())
}
