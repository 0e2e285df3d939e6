//! What people read: a row for each run, every miss in full, and what the lab demands.

use super::case::Expected;
use super::run::{Job, Outcome, evidence};

/// Of the causes, so many in a hundred must be right.
const CAUSES: f64 = 98.0;

type Found<'a> = (&'a Job<'a>, &'a Outcome);

/// Prints everything, and returns what must not be.
pub(crate) fn print(
    jobs: &[Job<'_>],
    results: &[Option<Result<Outcome, String>>],
    seed: u64,
) -> Vec<String> {
    let mut faults = Vec::new();
    let mut found: Vec<Found<'_>> = Vec::new();
    println!(
        "{:<34} {:<18} {:<52} {:<52} {:>5} {:>4} {:>4} {:>4} {:>5} {:>7}",
        "case", "routes", "truth", "said", "s", "exp", "syn", "dns", "pkt", "bytes"
    );
    for (job, result) in jobs.iter().zip(results) {
        match result {
            Some(Ok(outcome)) => {
                row(job, outcome);
                found.push((job, outcome));
            }
            Some(Err(why)) => faults.push(format!("{}: the lab itself: {why}", job.name())),
            None => faults.push(format!("{}: was not run", job.name())),
        }
    }
    for (job, outcome) in &found {
        if is_miss(job, outcome) {
            miss(job, outcome, seed);
        }
    }
    faults.extend(demands(&found));
    summary(&found);
    faults
}

fn words(of: &Expected) -> String {
    let text = |one: &Option<String>| one.clone().unwrap_or_default();
    format!("{} {} {}", of.status, text(&of.cause), text(&of.party)).trim_end().to_owned()
}

fn is_miss(job: &Job<'_>, outcome: &Outcome) -> bool {
    outcome.found != job.truth.target()
        || !outcome.wrong_checks.is_empty()
        || outcome.is_late
        || outcome.left.is_err()
}

fn row(job: &Job<'_>, outcome: &Outcome) {
    let routes: Vec<&str> = job.truth.routes.iter().map(|used| used.route().word()).collect();
    let mark = if is_miss(job, outcome) { "  MISS" } else { "" };
    let traffic = outcome.traffic;
    println!(
        "{:<34} {:<18} {:<52} {:<52} {:>5.1} {:>4} {:>4} {:>4} {:>5} {:>7}{mark}",
        job.case.id,
        routes.join("+"),
        words(&job.truth.target()),
        words(&outcome.found),
        outcome.seconds,
        outcome.experiments,
        traffic.connections,
        traffic.questions,
        traffic.packets,
        traffic.bytes,
    );
}

fn miss(job: &Job<'_>, outcome: &Outcome, seed: u64) {
    println!("\nMISS {}: {}", job.name(), job.case.story);
    println!("  truth {}", words(&job.truth.target()));
    println!("  said  {}", words(&outcome.found));
    outcome.wrong_checks.iter().for_each(|wrong| println!("  {wrong}"));
    if outcome.is_late {
        println!("  late: {:.1} s", outcome.seconds);
    }
    if let Err(left) = &outcome.left {
        println!("  not undone: {left}");
    }
    print!("{}", evidence(&outcome.document));
    println!("  again: cargo test --test lab -- {} --seed {seed}", job.case.id);
}

/// The rules of the lab.
fn demands(found: &[Found<'_>]) -> Vec<String> {
    let mut faults = Vec::new();
    let mut right = 0;
    for (job, outcome) in found {
        let (truth, said) = (job.truth.target(), &outcome.found);
        let name = job.name();
        right += usize::from(said.cause == truth.cause);
        if said.party != truth.party {
            faults.push(format!("{name}: the party is {:?}, not {:?}", said.party, truth.party));
        }
        if said.status == "ok" && truth.status != "ok" {
            faults.push(format!("{name}: a fault is called ok"));
        }
        if truth.status == "ok" && said.status != "ok" {
            faults.push(format!("{name}: called {} where all is well", said.status));
        }
        if !outcome.wrong_checks.is_empty() {
            faults.push(format!("{name}: {:?}", outcome.wrong_checks));
        }
        if outcome.is_late {
            faults.push(format!("{name}: took {:.1} s", outcome.seconds));
        }
        if let Err(left) = &outcome.left {
            faults.push(format!("{name}: not undone: {left}"));
        }
    }
    let share = share(right, found.len());
    if share < CAUSES {
        faults.push(format!("{share:.1} % of the causes are right, {CAUSES} % are wanted"));
    }
    faults
}

#[expect(clippy::cast_precision_loss, reason = "a few hundred")]
fn share(right: usize, of: usize) -> f64 {
    100.0 * right as f64 / of.max(1) as f64
}

fn summary(found: &[Found<'_>]) {
    let misses = found.iter().filter(|(job, outcome)| is_miss(job, outcome)).count();
    let mut causes: Vec<String> =
        found.iter().filter_map(|(job, _)| job.truth.target().cause).collect();
    causes.sort();
    causes.dedup();
    let healthy = found.iter().filter(|(job, _)| job.is_healthy).count();
    println!(
        "\n{} runs ({healthy} healthy), {} causes, {misses} misses; {} connections, {} packets",
        found.len(),
        causes.len(),
        found.iter().map(|(_, outcome)| outcome.traffic.connections).sum::<u64>(),
        found.iter().map(|(_, outcome)| outcome.traffic.packets).sum::<u64>(),
    );
}
