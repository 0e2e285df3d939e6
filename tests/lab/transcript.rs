//! The README's transcripts: what `egressd check` says in text of some runs at the fixed seed, where all that
//! is drawn is the same each time. Times and the ports that the kernel picks are not compared.

use super::run::{Job, Outcome};
use super::world::World;

const FENCE: &str = "```transcript";

/// A block of the README.
pub(crate) struct Block {
    /// Of its run, as `tcp-drop two`.
    pub(crate) name: String,
    text: String,
}

/// Every block of the README.
pub(crate) fn of_readme() -> Vec<Block> {
    let readme = std::fs::read_to_string("README.md").expect("README.md");
    let parts = readme.split(FENCE).skip(1);
    let block = |part: &str| {
        let (name, rest) = part.split_once('\n').expect("a line ends");
        let text = rest.split("```").next().unwrap_or_default();
        Block { name: name.trim().to_owned(), text: text.to_owned() }
    };
    parts.map(block).collect()
}

/// What was said, as on a host of somebody: of a world's own only the folder and this host's name would show.
pub(crate) fn tidied(said: &str, world: &World<'_>) -> String {
    let said = said.replace(world.get("files"), "/etc/egressd");
    let (head, rest) = said.split_once('\n').unwrap_or((&said, ""));
    let mut parts: Vec<&str> = head.split(" · ").collect();
    if let Some(host) = parts.get_mut(1) {
        *host = "mon1";
    }
    format!("{}\n{rest}", parts.join(" · "))
}

/// As it stands in the README.
pub(crate) fn print(jobs: &[Job<'_>], results: &[Option<Result<Outcome, String>>]) {
    for (job, text) in said(jobs, results) {
        println!("\n{FENCE} {}\n{text}```", job.name());
    }
}

/// Compares the README's blocks with what was said, and returns what differs.
pub(crate) fn compare(
    blocks: &[Block],
    jobs: &[Job<'_>],
    results: &[Option<Result<Outcome, String>>],
) -> Vec<String> {
    let mut faults = Vec::new();
    for (job, text) in said(jobs, results) {
        let Some(block) = blocks.iter().find(|block| block.name == job.name()) else { continue };
        if let Some((shown, said)) = difference(&block.text, text) {
            faults.push(format!("{}: README.md shows\n  {shown}\nit is\n  {said}", job.name()));
            println!("\nfor README.md:\n{FENCE} {}\n{text}```", job.name());
        }
    }
    faults
}

/// The first line that is another one.
fn difference(shown: &str, said: &str) -> Option<(String, String)> {
    let [mut shown, mut said] = [shown, said].map(|text| text.trim().lines().map(normalised));
    loop {
        match (shown.next(), said.next()) {
            (None, None) => return None,
            (Some(shown), Some(said)) if is_same(&shown, &said) => {}
            (shown, said) => {
                let end = || "(the end)".to_owned();
                return Some((shown.unwrap_or_else(end), said.unwrap_or_else(end)));
            }
        }
    }
}

/// A line is cut at the right edge; how much of it is left depends on the digits of a time.
fn is_same(shown: &str, said: &str) -> bool {
    let (one, other) = (shown.trim_end_matches('…').trim(), said.trim_end_matches('…').trim());
    one == other
        || shown.ends_with('…') && other.starts_with(one)
        || said.ends_with('…') && one.starts_with(other)
}

fn said<'a>(
    jobs: &'a [Job<'_>],
    results: &'a [Option<Result<Outcome, String>>],
) -> impl Iterator<Item = (&'a Job<'a>, &'a str)> {
    jobs.iter().zip(results).filter_map(|(job, result)| match result {
        Some(Ok(outcome)) => Some((job, outcome.text.as_deref()?)),
        _ => None,
    })
}

/// A line without what differs from run to run: the version, moments, durations, ports.
fn normalised(line: &str) -> String {
    let head = line.strip_prefix("egressd ").and_then(|head| head.split_once(" · "));
    let line = head.map_or(line, |(_, behind)| behind);
    let words: Vec<&str> = line.split_whitespace().collect();
    let of = |(place, word): (usize, &&str)| {
        let is_time = words.get(place + 1).is_some_and(|unit| ["ms", "s"].contains(unit));
        if is_time && word.parse::<f64>().is_ok() { "N".to_owned() } else { without_port(word) }
    };
    words.iter().enumerate().map(of).collect::<Vec<String>>().join(" ")
}

/// A word without the port that the kernel picked, or with `TIME` for a moment.
fn without_port(word: &str) -> String {
    let digits = word.chars().filter(char::is_ascii_digit).count();
    if word.contains('T') && word.contains(':') && digits >= 14 {
        return "TIME".to_owned();
    }
    match word.rsplit_once(':') {
        Some((host, port)) if port.parse::<u16>().is_ok_and(|port| port >= PICKED) => {
            format!("{host}:PORT")
        }
        _ => word.to_owned(),
    }
}

/// Linux picks from here on; what is drawn is below.
const PICKED: u16 = 32_768;
