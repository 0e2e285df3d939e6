//! A rule of a table: the cause that it decides, what it means, and the function that says whether it holds.
//!
//! A table reads as prose, in the order in which its rules are tried. What stands above a rule is its meaning:
//! `egressd explain` and VERDICTS.md print it.

use super::Held;
use super::case::Case;
use crate::cause::Cause;

/// One rule of a table.
#[derive(Clone, Copy)]
pub struct Rule {
    /// What it decides.
    pub cause: Cause,
    /// The module and function.
    place: &'static str,
    /// What it means, as it stands in the source.
    text: &'static str,
    /// Whether it holds.
    pub(super) holds: fn(&Case<'_>) -> Held,
}

impl Rule {
    pub(super) const fn new(
        cause: Cause,
        place: &'static str,
        text: &'static str,
        holds: fn(&Case<'_>) -> Held,
    ) -> Self {
        Self { cause, place, text, holds }
    }

    /// Its name: `layer::rule`.
    pub fn name(&self) -> &'static str {
        self.place.trim_start_matches("egressd::diagnosis::")
    }

    /// What it means, as one paragraph.
    pub fn means(&self) -> String {
        self.text.split_whitespace().collect::<Vec<&str>>().join(" ")
    }
}

impl std::fmt::Debug for Rule {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} by {}", self.cause, self.name())
    }
}

/// A table of rules: above each its meaning, then the cause that it decides and the function that says so.
macro_rules! rules {
    ($table:ident $($(#[doc = $text:literal])+ $cause:ident $holds:ident,)+) => {
        pub(super) const $table: &[$crate::diagnosis::Rule] = &[$($crate::diagnosis::Rule::new(
            $crate::cause::Cause::$cause,
            concat!(module_path!(), "::", stringify!($holds)),
            concat!($($text),+),
            $holds,
        )),+];
    };
}
