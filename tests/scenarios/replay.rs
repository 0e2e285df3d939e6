//! The replay: cases that people told in public, as stories. Here is checked only that each says where it was
//! told, what was shown and what was on the wire; how it ends is checked like any other story.

use std::collections::BTreeSet;

use super::story::{Library, REPLAY, Story};

/// Cases at least, each told somewhere else.
const CASES: usize = 100;
/// Fewer characters say nothing.
const SENTENCE: usize = 12;

fn is_replay(name: &str) -> bool {
    name.split_once('/').is_some_and(|(folder, _)| folder == REPLAY)
}

/// Every case with its link, for whoever looks for one.
fn index(stories: &[(String, Story)]) -> String {
    let link = |story: &Story| story.link.clone().unwrap_or_else(|| "(no link)".into());
    let replay = stories.iter().filter(|(name, _)| is_replay(name));
    let lines = replay.map(|(name, story)| format!("{} {name}", link(story)));
    lines.collect::<BTreeSet<_>>().into_iter().collect::<Vec<_>>().join("\n")
}

#[test]
fn every_case_says_where_it_was_told_and_what_was_seen() {
    let library = Library::read();
    let mut problems = library.problems.clone();
    let mut links = BTreeSet::new();
    let mut told = BTreeSet::new();
    for (name, story) in &library.stories {
        if !is_replay(name) {
            if story.link.is_some() || story.symptom.is_some() || story.wire.is_some() {
                problems.push(format!("{name}: belongs into {REPLAY}/"));
            }
            continue;
        }
        let (Some(link), Some(symptom), Some(wire)) = (&story.link, &story.symptom, &story.wire)
        else {
            problems.push(format!("{name}: needs `link`, `symptom` and `wire`"));
            continue;
        };
        if url::Url::parse(link).map_or(true, |url| url.scheme() != "https" || !url.has_host()) {
            problems.push(format!("{name}: `{link}` is no https URL"));
        }
        if let Some(short) = [symptom, wire].into_iter().find(|text| text.trim().len() < SENTENCE) {
            problems.push(format!("{name}: `{short}` says nothing"));
        }
        if !told.insert((link, symptom)) {
            problems.push(format!("{name}: {link} is told twice for the same symptom"));
        }
        links.insert(link);
    }
    if links.len() < CASES {
        problems.push(format!("{} links, at least {CASES} are wanted", links.len()));
    }
    assert!(problems.is_empty(), "{}\n\n{}", problems.join("\n"), index(&library.stories));
}
