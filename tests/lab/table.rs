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
        if is_miss(outcome) {
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

fn is_miss(outcome: &Outcome) -> bool {
    outcome.compared.iter().any(|(_, truth, said)| truth != said)
        || outcome.is_late
        || outcome.left.is_err()
}

fn row(job: &Job<'_>, outcome: &Outcome) {
    let routes: Vec<&str> = job.truth.routes.iter().map(|used| used.route().word()).collect();
    let mark = if is_miss(outcome) { "  MISS" } else { "" };
    let traffic = outcome.traffic;
    // Where the target is well, what is told of a route is what the case is about.
    let about = outcome.compared.iter().rfind(|(_, truth, _)| truth.status != "ok");
    let (_, truth, said) = about.unwrap_or(&outcome.compared[0]);
    println!(
        "{:<34} {:<18} {:<52} {:<52} {:>5.1} {:>4} {:>4} {:>4} {:>5} {:>7}{mark}",
        job.case.id,
        routes.join("+"),
        words(truth),
        words(said),
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
    for (about, truth, said) in &outcome.compared {
        println!("  {about}: truth {}", words(truth));
        println!("  {about}: said  {}", words(said));
    }
    if outcome.is_late {
        println!("  late: {:.1} s", outcome.seconds);
    }
    if let Err(left) = &outcome.left {
        println!("  not undone: {left}");
    }
    print!("{}", evidence(&outcome.document));
    let file = format!("target/lab/{}.json", job.name().replace(' ', "-"));
    let text = format!("{:#}", outcome.document);
    if std::fs::create_dir_all("target/lab").and_then(|()| std::fs::write(&file, text)).is_ok() {
        println!("  document: {file}");
    }
    println!("  again: cargo test --test lab -- {} --seed {seed}", job.case.id);
}

/// The rules of the lab.
fn demands(found: &[Found<'_>]) -> Vec<String> {
    let mut faults = Vec::new();
    let (mut right, mut all) = (0, 0);
    for (job, outcome) in found {
        let name = job.name();
        for (about, truth, said) in &outcome.compared {
            all += 1;
            right += usize::from(said.cause == truth.cause);
            if said.party != truth.party {
                let [said, truth] = [said, truth].map(words);
                faults.push(format!("{name}: {about}: another party: {said}, not {truth}"));
            }
            if said.status == "ok" && truth.status != "ok" {
                faults.push(format!("{name}: {about}: a fault is called ok"));
            }
            if truth.status == "ok" && said.status != "ok" {
                faults.push(format!("{name}: {about}: called {} where all is well", said.status));
            }
        }
        if outcome.is_late {
            faults.push(format!("{name}: took {:.1} s", outcome.seconds));
        }
        if let Err(left) = &outcome.left {
            faults.push(format!("{name}: not undone: {left}"));
        }
    }
    let share = share(right, all);
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
    let misses = found.iter().filter(|(_, outcome)| is_miss(outcome)).count();
    let mut causes: Vec<String> = found
        .iter()
        .flat_map(|(_, outcome)| outcome.compared.iter())
        .filter_map(|(_, truth, _)| truth.cause.clone())
        .collect();
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
