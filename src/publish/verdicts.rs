//! VERDICTS.md: all causes with their rules, the parties, the confidences, the controls and clients' messages,
//! printed from the tables that diagnosis runs. A heading is a cause's id, so that a link to it stays; no text is kept here
//! that a table has.

use std::borrow::Borrow;

use super::explain::{by_layer, doubt, in_words, layer, sentence};
use super::{said, teams};
use crate::cause::{CAUSES, Party, Row, Status};
use crate::diagnosis::{Confidence, ControlResult, control_means, decides};
use crate::observation::Control;
use crate::store::Zone;

const BEGIN: &str = "\
# Verdicts of egressd

Printed by `egressd explain --markdown` from the tables that the program runs; a test compares them. On a
terminal: `egressd explain CAUSE`.

## How to read it

A verdict is a *cause* (what is so), a *party* (who has to act), a *status* and a *confidence*. Under each cause
stand what the verdict says, the party and the status that are usual, what to do and what not to do. A rule may
name another party or status where its evidence shows it: the verdict at hand counts.

Below stand the rules that can decide the cause, in the order in which they are tried; `rule` in the verdict names
the one that did. The rules of all layers are one list: the first that holds is the headline. A rule that needs a
control asks for it, and answers without it where it was not allowed or no time was left. What is new is repeated
once: the opposite result makes it `intermittent`, another failure leaves no more than confidence medium.

The rules of `facts`, and those of a PAC file whose later entry works, are told as notes, all that hold, and make the
headline only where nothing worse is found.
";

const CONFIDENCES: &str = "
At confidence low a verdict names no party but `undetermined`, says \"cannot tell from here: A or B\", and the advice
is to compare with another route or from another host.
";

const CONTROLS: &str = "
A control is the same trip with one change. Run only where a rule asks for it, and listed in the verdict under
`evidence`, with the reason where it was not run. One that never worked here proves nothing.
";

const SAID: &str = "
A message proves no cause: it says where to look. `egressd explain MESSAGE` takes a whole line as it was pasted, and
says how far the client has come and which controls decide. The causes stand in the order of their likelihood.
";

const TEAMS: &str = "
Alerts link to these. Their rules are in deploy/prometheus/, who is told in deploy/alertmanager/.
";

const ITSELF: &str = "
Its alerts say nothing of a target: while one fires, silence of the others proves nothing. `journalctl -u egressd`
on its host has what happened, `egressd config check` what is wrong with a configuration, and `/-/healthy` whether it
still works. Status unknown is never an outage: egressd itself could not finish.
";

/// The whole page.
pub fn page() -> String {
    let mut out = BEGIN.to_owned();
    section(&mut out, "Parties");
    let parties = Party::ALL.iter().map(|party| [party.label(), party.about()]);
    table(&mut out, ["party", "is"], parties);
    out.push_str(TEAMS);
    for party in Party::ALL {
        who(&mut out, *party);
    }
    out.push_str(&format!("\n### egressd itself\n{ITSELF}\n- team: `{}`\n", teams::EGRESSD));
    section(&mut out, "Statuses");
    let statuses = Status::ALL.iter().map(|status| [status.label(), status.about()]);
    table(&mut out, ["status", "means"], statuses);
    section(&mut out, "Confidences");
    let confidences = Confidence::ALL.iter().map(|sure| [sure.label(), sure.about()]);
    table(&mut out, ["confidence", "means"], confidences);
    out.push_str(CONFIDENCES);
    section(&mut out, "Controls");
    out.push_str(CONTROLS.trim_start());
    out.push('\n');
    let controls = Control::ALL.iter().map(|control| {
        let means = |result| control_means(*control, result);
        let (passed, failed) = (means(ControlResult::Passed), means(ControlResult::Failed));
        [control.label(), control.about(), passed, failed]
    });
    table(&mut out, ["control", "is", "where it passes", "where it fails"], controls);
    for (at, rows) in by_layer() {
        let (label, about) = layer(at);
        section(&mut out, &format!("Layer: {label}"));
        out.push_str(&format!("{about}\n"));
        rows.for_each(|row| cause(&mut out, row));
    }
    section(&mut out, "What clients say");
    out.push_str(SAID.trim_start());
    out.push('\n');
    table(&mut out, ["message", "said by", "means", "can be"], said::rows());
    out
}

fn section(out: &mut String, name: &str) {
    out.push_str(&format!("\n## {name}\n\n"));
}

/// A party: what it is, who is called, and for which causes.
fn who(out: &mut String, party: Party) {
    out.push_str(&format!("\n### Party: {party}\n\n{}\n\n", party.about()));
    let [own, provider] = [Zone::Own, Zone::Provider].map(|zone| teams::of(party, zone));
    let call = |call: teams::Call| {
        let severity = call.severity.label();
        format!("`{}` ({severity}) to the team `{}`", call.alert, call.team)
    };
    if own == provider {
        out.push_str(&format!("- alert: {}\n", call(own)));
    } else {
        out.push_str(&format!(
            "- alert, where the name is the organisation's own: {}\n",
            call(own)
        ));
        out.push_str(&format!("- alert, where it is the provider's own: {}\n", call(provider)));
    }
    let usual = CAUSES.iter().filter(|row| row.party == party);
    let links: Vec<String> = usual.map(|row| format!("[{0}](#{0})", row.id)).collect();
    if !links.is_empty() {
        out.push_str(&format!("- usual causes: {}\n", links.join(", ")));
    }
}

/// A table whose first column is a fixed name.
fn table<const N: usize>(
    out: &mut String,
    head: [&str; N],
    rows: impl Iterator<Item = [impl Borrow<str>; N]>,
) {
    out.push_str(&format!("| {} |\n|{}\n", head.join(" | "), " --- |".repeat(N)));
    for row in rows {
        out.push_str(&format!("| `{} |\n", row.join(" | ").replacen(" | ", "` | ", 1)));
    }
}

fn cause(out: &mut String, row: &Row) {
    out.push_str(&format!("\n### {}\n\n{}\n\n", row.id, sentence(row.says)));
    out.push_str(&format!("- party: `{}`; status: `{}`\n", row.party, row.status));
    if let Some(doubt) = doubt(row) {
        out.push_str(&format!("- at confidence low: \"{doubt}\"\n"));
    }
    out.push_str(&format!("- do: {}\n", in_words(row.advice)));
    out.push_str(&format!("- do not: {}\n\n", in_words(row.do_not)));
    out.push_str("Decided by:\n\n");
    for (name, means) in decides(row.cause) {
        out.push_str(&format!("- `{name}`: {means}\n"));
    }
}
