//! A snapshot as Prometheus metrics. `METRICS` is the table of all names; nothing else can be written.
//!
//! Families are built from the snapshot at each scrape; the `prometheus` crate has their types and the classic text. Its
//! `*Vec` types are not used: they key children by a hash of the joined label values, so that distinct
//! series can become one, and they cannot drop a target from all families at once.

mod accept;
mod budget;
mod certificate;
mod check;
mod clock;
mod label;
pub mod manual;
mod openmetrics;
mod own;
mod page;
mod stood;
mod table;
mod target;

use prometheus::{Encoder as _, TextEncoder};

use crate::store::Snapshot;
use page::Page;

pub use accept::Format;
pub use budget::{Budget, Shape};
pub use label::{Label, Values};
pub use own::{Outside, Process};
pub use table::{ADDRESSES, Group, Kind, METRICS, Metric, Per};

/// What is published of it.
#[derive(Clone, Copy, Debug)]
pub struct Choice {
    /// Whose series the phase histogram has; none: nobody.
    pub histogram: Option<Grain>,
    /// Whether each address has a series.
    pub addresses: bool,
}

/// Whose series a histogram has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Grain {
    /// A target on a route.
    Check,
    /// A target, all routes together.
    Target,
}

/// The metrics of a snapshot, as text.
pub fn render(snapshot: &Snapshot, choice: Choice, outside: &Outside, format: Format) -> String {
    let mut page = Page::of(snapshot.site.clone());
    for (id, check) in &snapshot.checks {
        check::put(&mut page, id, check, choice);
        stood::put(&mut page, snapshot, check);
    }
    certificate::put_configured(&mut page, &snapshot.certificates);
    target::put(&mut page, snapshot, choice);
    clock::put(&mut page, snapshot);
    own::put(&mut page, &snapshot.own, outside);
    let families = page.into_families();
    match format {
        Format::OpenMetrics => openmetrics::encode(&families),
        Format::Text => {
            let families: Vec<_> = families.into_iter().map(|(_, family)| family).collect();
            let mut text = Vec::new();
            // Writing to memory cannot fail, and no family here is empty or of a kind that it refuses.
            match TextEncoder::new().encode(&families, &mut text) {
                Ok(()) | Err(_) => String::from_utf8_lossy(&text).into_owned(),
            }
        }
    }
}
