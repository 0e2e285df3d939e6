//! The seconds of each verdict of a check, with the labels that the verdict itself has.

use super::page::Page;
use super::table;
use crate::store::{By, Check, Snapshot};

pub(super) fn put(page: &mut Page, snapshot: &Snapshot, check: &Check) {
    for (stood, seconds) in check.spent.at(snapshot.watched) {
        let [layer, cause, party] = match stood.by {
            By::Nothing => ["none"; 3],
            By::Finding(layer, cause, party) => [layer.label(), cause.label(), party.label()],
            By::Other => ["other"; 3],
        };
        let labels = [
            ("target", check.id.target.as_str()),
            ("route", check.id.route.as_str()),
            ("status", stood.status.label()),
            ("layer", layer),
            ("cause", cause),
            ("party", party),
        ];
        page.put(table::VERDICT_SECONDS, &labels, seconds);
    }
}
