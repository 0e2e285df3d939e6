//! Every text of a report that a peer may have chosen, one by one, for who has to change them before they are kept and
//! shown.
//!
//! What is left out is ours, and `Findings::symptom`: it is compared with what the wire says next, and goes nowhere.

use super::Report;
use crate::diagnosis::Finding;

impl Report {
    /// Shows each of its texts.
    pub fn texts(&mut self, see: &mut dyn FnMut(&mut String)) {
        for walked in &mut self.trips {
            walked.trip.texts(see);
            if let Some((reading, _)) = &mut walked.answer {
                let texts =
                    [&mut reading.error_type, &mut reading.message, &mut reading.request_id];
                texts.into_iter().flatten().for_each(&mut *see);
            }
        }
        for verdict in &mut self.findings.routes {
            if let Some(mark) = verdict.symptom.as_mut().and_then(|symptom| symptom.mark.as_mut()) {
                see(mark);
            }
            verdict.finding.iter_mut().chain(&mut verdict.notes).for_each(|one| finding(one, see));
        }
        if let Some(headline) = &mut self.findings.target.finding {
            finding(headline, see);
        }
    }
}

/// The id that the provider's support asks for is all that a peer says in it.
fn finding(finding: &mut Finding, see: &mut dyn FnMut(&mut String)) {
    see(&mut finding.ask);
}
