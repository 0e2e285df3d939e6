//! What of a plan is published: its targets, the certificates that it names, and how many series it makes.

use std::collections::BTreeSet;

use super::keys;
use crate::plan::{Histogram, Plan, Target, Way};
use crate::probe::described;
use crate::publish::metrics::{Budget, Choice, Grain, Shape};
use crate::store::{Configured, Declared, Kind, Zone};

/// What of a plan is published.
pub fn declared(plan: &Plan) -> Vec<Declared> {
    plan.targets
        .iter()
        .map(|target| Declared {
            target: target.name.clone(),
            provider: target.provider.to_string(),
            zone: if owns(target) { Zone::Provider } else { Zone::Own },
            labels: target.labels.clone(),
            needs: target.needs.clone(),
            interval: target.interval.as_secs_f64(),
            ranges: if owns(target) { target.provider.facts().ranges } else { &[] },
            routes: target
                .routes
                .iter()
                .map(|used| (used.route.name.clone(), used.expect, used.route.egress.clone()))
                .collect(),
        })
        .collect()
}

/// Whether its host is one of its provider's own.
fn owns(target: &Target) -> bool {
    target.provider.owns(&target.endpoint.host.to_string())
}

/// Whose series there are.
pub fn choice(plan: &Plan) -> Choice {
    let histogram = match plan.phase_histogram {
        Histogram::Check => Some(Grain::Check),
        Histogram::Target => Some(Grain::Target),
        Histogram::Off => None,
    };
    Choice { histogram, addresses: plan.address_series }
}

/// The certificates that a plan names; where none can be read, there is nothing to say.
pub fn certificates(plan: &Plan) -> Vec<Configured> {
    let ca = |target: Option<&str>, route: Option<&str>, roots: &[Vec<u8>]| {
        let (target, route) = (target.map(str::to_owned), route.map(str::to_owned));
        Configured { of: Kind::Ca, target, route, certificates: described(roots) }
    };
    let mut all = vec![ca(None, None, &plan.trust.organisation)];
    for route in &plan.routes {
        let roots = match &route.way {
            Way::Direct => &[][..],
            Way::Proxy(proxy) => &proxy.roots,
            Way::Pac(pac) => &pac.roots,
        };
        all.push(ca(None, Some(&route.name), roots));
    }
    for target in &plan.targets {
        let name = target.name.as_str();
        // A target under the organisation's own roots has no others.
        let own = target.trust.as_ref().map(|trust| &trust.organisation);
        if let Some(own) = own.filter(|own| **own != plan.trust.organisation) {
            all.push(ca(Some(name), None, own));
        }
        if let Some(client) = &target.client_cert {
            let certificates = described(&client.certificates);
            let target = Some(name.to_owned());
            all.push(Configured { of: Kind::Client, target, route: None, certificates });
        }
    }
    all.retain(|one| !one.certificates.is_empty());
    all
}

/// How many series a plan makes.
pub fn budget(plan: &Plan) -> Budget {
    let used = plan.targets.iter().flat_map(|target| &target.routes);
    let routes: BTreeSet<&str> = used.map(|used| used.route.name.as_str()).collect();
    let shape = Shape {
        targets: plan.targets.len(),
        checks: plan.targets.iter().map(|target| target.routes.len()).sum(),
        routes: routes.len(),
        controls: plan.standing_controls().len() * plan.routes.len(),
        configured: certificates(plan).len(),
        credentials: keys::files(plan).len(),
        choice: choice(plan),
    };
    shape.budget()
}
