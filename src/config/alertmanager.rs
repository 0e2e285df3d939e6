//! `[alertmanager]` as written: where alerts go without a Prometheus.

use serde::Deserialize;
use toml::Spanned;

use super::{Auth, Period, Text, unplaced};

/// Where alerts go.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Alertmanager {
    /// Each of a cluster.
    pub urls: Vec<Spanned<Text>>,
    /// The route to them.
    pub route: Spanned<String>,
    /// The login there.
    pub auth: Option<Spanned<Auth>>,
    /// How long a target must have been broken.
    pub hold: Period,
    /// Where VERDICTS.md is.
    pub runbooks: Spanned<Text>,
}

impl Default for Alertmanager {
    fn default() -> Self {
        Self {
            urls: Vec::new(),
            route: unplaced("direct".into()),
            auth: None,
            hold: Period::seconds(180),
            runbooks: unplaced(Text::Literal("file:///usr/share/doc/egressd/VERDICTS.md".into())),
        }
    }
}
