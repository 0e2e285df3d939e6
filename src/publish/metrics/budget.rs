//! How many series a plan can have: counted by the rows of the table, so that what is published stays below it.

use std::fmt;

use super::table::{ADDRESSES, Group, METRICS, OF_CONFIGURED, Per};
use super::{Choice, Grain};

/// What is counted of a plan.
#[derive(Clone, Copy, Debug)]
pub struct Shape {
    /// Targets.
    pub targets: usize,
    /// Targets on routes.
    pub checks: usize,
    /// Routes that a target takes.
    pub routes: usize,
    /// Controls over routes.
    pub controls: usize,
    /// Sets of configured certificates.
    pub configured: usize,
    /// Files with secrets.
    pub credentials: usize,
    /// What is published.
    pub choice: Choice,
}

/// The number of series, while all is well and at most.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Budget {
    /// By part.
    pub groups: Vec<(Group, usize, usize)>,
}

/// Addresses of a name while all is well: most have at most two of each family.
const USUAL_ADDRESSES: usize = 4;

impl Shape {
    /// Its budget.
    pub fn budget(&self) -> Budget {
        let groups = Group::ALL.iter().map(|group| {
            let rows = METRICS.iter().filter(|metric| metric.group == *group);
            let (mut steady, mut most) = (0, 0);
            for metric in rows {
                let (usual, all) = self.times(metric.per);
                steady += metric.steady * usual;
                most += metric.most * all;
            }
            if *group == Group::Certificates {
                steady += OF_CONFIGURED.0 * self.configured;
                most += OF_CONFIGURED.1 * self.configured;
            }
            (*group, steady, most)
        });
        Budget { groups: groups.collect() }
    }

    /// How many there are of it, while all is well and at most.
    fn times(&self, per: Per) -> (usize, usize) {
        let both = |number| (number, number);
        match per {
            Per::Check => both(self.checks),
            Per::Grain => both(match self.choice.histogram {
                Some(Grain::Check) => self.checks,
                Some(Grain::Target) => self.targets,
                None => 0,
            }),
            Per::Address if self.choice.addresses => {
                (self.checks * USUAL_ADDRESSES, self.checks * ADDRESSES)
            }
            Per::Address => both(0),
            Per::Target => both(self.targets),
            Per::Route => both(self.routes),
            Per::Control => both(self.controls),
            Per::Credential => both(self.credentials),
            Per::Process => both(1),
        }
    }
}

impl Budget {
    /// All of them while all is well.
    pub fn steady(&self) -> usize {
        self.groups.iter().map(|(_, steady, _)| steady).sum()
    }

    /// All of them at most.
    pub fn most(&self) -> usize {
        self.groups.iter().map(|(_, _, most)| most).sum()
    }
}

impl fmt::Display for Budget {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (steady, most) = (self.steady(), self.most());
        writeln!(f, "series: some {steady} while all is well, {most} at most:")?;
        for (group, steady, most) in &self.groups {
            writeln!(f, "  {}: {steady}, {most} at most", group.label())?;
        }
        Ok(())
    }
}
