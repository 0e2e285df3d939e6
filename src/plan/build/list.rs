//! Targets of lists: the same as any other, with the place in their own file where something is wrong.

use std::collections::BTreeMap;

use toml::Spanned;

use super::super::{Lists, Target};
use super::Build;
use super::route::NamedRoute;
use crate::config::{self, Config, Place, Problem, list};

/// Names that are taken, and where they stand.
pub(super) type Names = BTreeMap<String, Place>;

impl Build<'_> {
    /// The targets of all lists that were read.
    pub(super) fn listed(
        &mut self,
        config: &Config,
        routes: &[NamedRoute],
        names: &mut Names,
    ) -> Vec<Target> {
        let mut targets = Vec::new();
        for listed in &self.given.lists {
            let from = self.problems.len();
            match &listed.text {
                Ok(text) => {
                    let (written, problems) = list::list(text);
                    self.problems.extend(problems);
                    let mut faults = problems_of(&self.problems, from);
                    for target in written {
                        if faults > list::TOLD || targets.len() > list::MOST {
                            break;
                        }
                        let before = self.problems.len();
                        let target = settled(target, config);
                        let place = Place { file: Some(listed.file.clone()), at: target.span() };
                        self.takes_name(&target, place, names);
                        targets.extend(self.target(&target, config, routes));
                        faults += problems_of(&self.problems, before);
                    }
                }
                Err(why) => self.problems.push(Problem::at(
                    None,
                    format!("this list cannot be read: {why}"),
                    "let egressd read it, or take it out of [[target_list]] files",
                )),
            }
            if targets.len() > list::MOST {
                let what = format!("with this list there are more than {} targets", list::MOST);
                let help = "give some of them to another egressd";
                self.problems.push(Problem::at(None, what, help));
            }
            let told = told(self.problems.split_off(from));
            let file = Some(&listed.file);
            let told = told.into_iter().map(|problem| Problem { file: file.cloned(), ..problem });
            self.problems.extend(told);
            if targets.len() > list::MOST {
                break;
            }
        }
        targets
    }

    /// Each name is there once, in the configuration and all lists.
    pub(super) fn takes_name(
        &mut self,
        target: &Spanned<config::Target>,
        place: Place,
        names: &mut Names,
    ) {
        let Some(name) = &target.get_ref().name else { return };
        match names.get(name.get_ref()) {
            Some(first) => {
                let what = format!("there are two targets `{}`", name.get_ref());
                let problem = Problem::at(Some(name.span()), what, "name each target once");
                // In one file both are seen.
                let first = Some(first.clone()).filter(|first| first.file != place.file);
                self.problems.push(Problem { first, ..problem });
            }
            None => {
                names.insert(name.get_ref().clone(), Place { at: name.span(), ..place });
            }
        }
    }

    /// What is read again, and how often.
    pub(super) fn lists(&mut self, config: &Config) -> Lists {
        let mut lists = Lists::default();
        for place in &config.target_list {
            let table = place.get_ref();
            for pattern in &table.files {
                let text = pattern.get_ref();
                let (folder, name) = text.rsplit_once('/').unwrap_or(("", text));
                if folder.contains(['*', '?']) || name.strip_suffix(".json").is_none() {
                    let what = format!("`{text}` names no lists");
                    let help = "write FOLDER/NAME.json; * and ? count in the name only";
                    self.fault(pattern.span(), what, help);
                } else if !self.given.lists.iter().any(|listed| listed.patterns.contains(text)) {
                    let what = format!("no file is `{text}` now");
                    self.warn(pattern.span(), what, "it is read as soon as there is one");
                }
                lists.files.push(text.clone());
            }
            let refresh = table.refresh.get_ref().get();
            lists.refresh = Some(lists.refresh.map_or(refresh, |least| least.min(refresh)));
            if table.files.is_empty() {
                let what = "a [[target_list]] without files";
                self.fault(place.span(), what, "add files = [\"/etc/egressd/targets/*.json\"]");
            }
        }
        lists
    }
}

/// How many faults there are from here on.
fn problems_of(problems: &[Problem], from: usize) -> usize {
    problems.iter().skip(from).filter(|problem| !problem.warning).count()
}

/// What is told of a list: each problem once, faults first, and not more than anybody reads.
fn told(mut problems: Vec<Problem>) -> Vec<Problem> {
    problems.sort_by_key(|problem| problem.warning);
    let mut told: Vec<Problem> = Vec::new();
    for problem in problems {
        // What is wrong with the labels of a group is wrong with each of its targets.
        if told.contains(&problem) {
            continue;
        }
        if told.len() == list::TOLD {
            let more = Problem::at(None, "there is more than this", "mend what is told here first");
            let only_warnings = told.iter().all(|problem| problem.warning);
            told.push(if only_warnings { more.as_warning() } else { more });
            break;
        }
        told.push(problem);
    }
    told
}

/// A target for which all times are written: what is wrong with them is wrong at its place, in its file.
fn settled(target: Spanned<config::Target>, config: &Config) -> Spanned<config::Target> {
    let place = target.span();
    let mut target = target.into_inner();
    let probe = &config.probe;
    // Where one of both is written, what they are together is wrong there.
    let written = target.interval.as_ref().or(target.timeout.as_ref()).map(Spanned::span);
    let written = written.unwrap_or(place.clone());
    let here = |period: &Spanned<config::Period>| Spanned::new(written.clone(), *period.get_ref());
    target.interval.get_or_insert_with(|| here(&probe.interval));
    target.timeout.get_or_insert_with(|| here(&probe.timeout));
    Spanned::new(place, target)
}
