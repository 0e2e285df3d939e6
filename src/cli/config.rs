//! `egressd config check`: everything that is wrong with a configuration, or what it would run.

use std::path::Path;

use super::{CONFIG, complain, print};
use crate::config::plain;
use crate::daemon::{declared, load};

pub(super) fn main(file: Option<&Path>, plan: bool) -> u8 {
    match load::load(file) {
        Err(fault) => {
            complain(&fault.to_string());
            CONFIG
        }
        Ok(loaded) => {
            loaded.warnings.iter().for_each(|warning| complain(warning));
            if !plan {
                let targets = loaded.plan.targets.len();
                let plural = if targets == 1 { "" } else { "s" };
                return print(&format!("{}: sound, {targets} target{plural}\n", loaded.source));
            }
            let mut told = format!("{}{}", loaded.plan, declared::budget(&loaded.plan));
            loaded.modules.iter().for_each(|modules| told.push_str(&modules.to_string()));
            let lines: Vec<String> = told.lines().map(plain).collect();
            print(&format!("{}\n", lines.join("\n")))
        }
    }
}
