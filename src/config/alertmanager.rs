//! `[alertmanager]` as written: where alerts go without a Prometheus.

use serde::Deserialize;
use toml::Spanned;

use super::{Period, Text, unplaced};

/// Where alerts go.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Alertmanager {
    /// Each of a cluster.
    pub urls: Vec<Spanned<Text>>,
    /// The route to them.
    pub route: Spanned<String>,
    /// How long a target must have been broken.
    pub hold: Period,
    /// Where VERDICTS.md is published.
    pub runbooks: Option<Spanned<Text>>,
}

impl Default for Alertmanager {
    fn default() -> Self {
        Self {
            urls: Vec::new(),
            route: unplaced("direct".into()),
            hold: Period::seconds(180),
            runbooks: None,
        }
    }
}
