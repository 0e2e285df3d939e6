//! A snapshot as Prometheus metrics. `METRICS` is the table of all names; nothing else can be written.
//!
//! Families are built from the snapshot at each scrape and encoded by the `prometheus` crate. Its
//! `*Vec` types are not used: they key children by a hash of the joined label values, so that distinct
//! series can become one, and they cannot drop a target from all families at once.

use std::collections::BTreeMap;

use prometheus::proto::{self, LabelPair, MetricFamily, MetricType};
use prometheus::{Encoder as _, TextEncoder};

use crate::cause::Status;
use crate::diagnosis::{Author, Confidence, Finding, NetworkState};
use crate::store::{Check, CheckId, Histogram, Phase, Snapshot};

/// One family.
#[derive(Debug)]
pub struct Metric {
    /// Its name.
    pub name: &'static str,
    /// What it is.
    pub kind: Kind,
    /// Its unit and meaning.
    pub help: &'static str,
}

/// What a family is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Goes up and down.
    Gauge,
    /// Only up.
    Counter,
    /// Counts in buckets.
    Histogram,
}

macro_rules! metrics {
    ($($id:ident $name:literal $kind:ident $help:literal)+) => {
        $(#[doc = $help] pub const $id: &Metric =
            &Metric { name: $name, kind: Kind::$kind, help: $help };)+
        /// Every family that can be published.
        pub const METRICS: &[&Metric] = &[$($id),+];
    };
}

metrics! {
    CHECK_UP "egressd_check_up" Gauge "1 ok or degraded, 0 broken; absent while unknown."
    CHECK_STATUS "egressd_check_status" Gauge "0 ok, 1 degraded, 2 broken, 3 unknown, of a target on a route."
    TARGET_STATUS "egressd_target_status" Gauge "0 ok, 1 degraded, 2 broken, 3 unknown, of a target over all routes."
    NETWORK_UP "egressd_network_up" Gauge "1 where an answer of the provider came over an accepted chain, 0 where somebody on this side has to act; absent while neither is proven."
    VERDICT "egressd_verdict" Gauge "1, one series a check: its status, and layer, cause and party (none where ok)."
    TARGET_VERDICT "egressd_target_verdict" Gauge "1, one series a target: its status, and layer, cause and party (none where ok)."
    VERDICT_CONFIDENCE "egressd_verdict_confidence" Gauge "1 low, 2 medium, 3 high; absent where ok."
    TARGET_VERDICT_CONFIDENCE "egressd_target_verdict_confidence" Gauge "1 low, 2 medium, 3 high; absent where ok."
    VERDICT_SINCE "egressd_verdict_since_timestamp_seconds" Gauge "Unix time since which the verdict of a check stands."
    TARGET_VERDICT_SINCE "egressd_target_verdict_since_timestamp_seconds" Gauge "Unix time since which the verdict of a target stands."
    VERDICT_CHANGES "egressd_verdict_changes_total" Counter "Changes of the published verdict of a check."
    FLAPPING "egressd_flapping" Gauge "1 while a check changes too often to have a verdict."
    NOTE "egressd_note" Gauge "1 for each note and lesser finding of a check."
    CHECKS "egressd_checks_total" Counter "Finished checks by status and network."
    FAILURES "egressd_failures_total" Counter "Raw symptoms of checks, by layer and kind."
    EXPERIMENTS "egressd_experiments_total" Counter "Experiments that were run, by control."
    PHASE "egressd_phase_seconds" Histogram "Seconds of each phase that a check passed."
    ADDRESS_UP "egressd_address_up" Gauge "1 where the newest trip to this address did not fail, at most 16 a check."
    CERTIFICATE_NOT_AFTER "egressd_certificate_not_after_timestamp_seconds" Gauge "Unix time of the earliest end of validity in the chain, over all addresses."
    RESPONSE_STATUS "egressd_response_status" Gauge "Status code of the newest answer; absent when there was none."
    LAST_CHECK "egressd_last_check_timestamp_seconds" Gauge "Unix time at which the newest check ended."
    CHECK_INTERVAL "egressd_check_interval_seconds" Gauge "Seconds between two checks."
    TARGET_INFO "egressd_target_info" Gauge "1, with the provider and the configured labels of a target."
    ROUTE_INFO "egressd_route_info" Gauge "1, with the configured label of a route's way out."
    CONTROL_UP "egressd_control_up" Gauge "1 where a control shows what it should over a route while nothing else is tested; a control host has its own name."
    BUILD_INFO "egressd_build_info" Gauge "1, with the version."
    RELOAD_OK "egressd_config_last_reload_successful" Gauge "1 where the newest reload took, 0 where the old plan was kept."
    RELOAD_AT "egressd_config_last_reload_success_timestamp_seconds" Gauge "Unix time at which the plan in force was loaded."
    LATE "egressd_checks_late_total" Counter "Checks that ran beyond their bound or could not start in time."
    PANICS "egressd_panics_total" Counter "Panics inside of one check, contained."
    CPU "process_cpu_seconds_total" Counter "CPU seconds of this process, user and system."
    RSS "process_resident_memory_bytes" Gauge "Resident memory of this process, in bytes."
    VSIZE "process_virtual_memory_bytes" Gauge "Virtual memory of this process, in bytes."
    OPEN_FDS "process_open_fds" Gauge "Open descriptors of this process."
    MAX_FDS "process_max_fds" Gauge "Descriptors that this process may open."
    STARTED "process_start_time_seconds" Gauge "Unix time at which this process began."
}

/// The content type of the text format.
pub const CONTENT_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";

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

/// What the kernel counts of this process.
#[derive(Clone, Copy, Debug, Default)]
pub struct Process {
    /// CPU seconds.
    pub cpu: f64,
    /// Resident bytes.
    pub rss: f64,
    /// Virtual bytes.
    pub vsize: f64,
    /// Open descriptors.
    pub fds: f64,
    /// Descriptors at most.
    pub max_fds: f64,
}

/// The metrics of a snapshot, as text.
pub fn render(snapshot: &Snapshot, choice: Choice, process: Process) -> String {
    let mut page = Page { site: snapshot.site.clone(), families: BTreeMap::new() };
    for (id, check) in &snapshot.checks {
        page.check(id, check, choice);
    }
    page.targets(snapshot, choice);
    page.own(snapshot, process);
    let families: Vec<MetricFamily> = page
        .families
        .into_iter()
        .filter_map(|(name, metrics)| {
            let metric = METRICS.iter().find(|metric| metric.name == name)?;
            let mut family = MetricFamily::default();
            family.set_name(metric.name.to_owned());
            family.set_help(metric.help.to_owned());
            family.set_field_type(match metric.kind {
                Kind::Gauge => MetricType::GAUGE,
                Kind::Counter => MetricType::COUNTER,
                Kind::Histogram => MetricType::HISTOGRAM,
            });
            family.set_metric(metrics);
            Some(family)
        })
        .collect();
    let mut text = Vec::new();
    // Writing to memory cannot fail, and no family here is empty or of a kind that it refuses.
    match TextEncoder::new().encode(&families, &mut text) {
        Ok(()) | Err(_) => String::from_utf8_lossy(&text).into_owned(),
    }
}

struct Page {
    site: Option<String>,
    families: BTreeMap<&'static str, Vec<proto::Metric>>,
}

type Labels<'a> = &'a [(&'a str, &'a str)];

impl Page {
    fn put(&mut self, metric: &'static Metric, labels: Labels<'_>, value: f64) {
        let mut series = self.series(labels);
        match metric.kind {
            Kind::Counter => {
                let mut counter = proto::Counter::default();
                counter.set_value(value);
                series.set_counter(counter);
            }
            Kind::Gauge | Kind::Histogram => {
                let mut gauge = proto::Gauge::default();
                gauge.set_value(value);
                series.set_gauge(gauge);
            }
        }
        self.families.entry(metric.name).or_default().push(series);
    }

    fn series(&self, labels: Labels<'_>) -> proto::Metric {
        let site = self.site.iter().map(|site| ("site", site.as_str()));
        let pairs = site.chain(labels.iter().copied()).map(|(name, value)| {
            let mut pair = LabelPair::default();
            pair.set_name(name.to_owned());
            pair.set_value(value.to_owned());
            pair
        });
        proto::Metric::from_label(pairs.collect())
    }

    fn histogram(&mut self, labels: Labels<'_>, values: &Histogram) {
        let mut series = self.series(labels);
        let mut histogram = proto::Histogram::default();
        histogram.set_sample_count(values.count);
        histogram.set_sample_sum(values.sum);
        let buckets = values.cumulative().map(|(bound, count)| {
            let mut bucket = proto::Bucket::default();
            bucket.set_upper_bound(bound);
            bucket.set_cumulative_count(count);
            bucket
        });
        histogram.set_bucket(buckets.collect());
        series.set_histogram(histogram);
        self.families.entry(PHASE.name).or_default().push(series);
    }

    fn check(&mut self, id: &CheckId, check: &Check, choice: Choice) {
        let own = [("target", id.target.as_str()), ("route", id.route.as_str())];
        self.put(CHECK_STATUS, &own, code(check.status()));
        self.put(FLAPPING, &own, f64::from(u8::from(check.steady.flapping)));
        self.put(VERDICT_CHANGES, &own, count(check.steady.changes));
        self.put(CHECK_INTERVAL, &own, check.interval);
        if let Some(at) = check.checked {
            self.put(LAST_CHECK, &own, seconds(at));
        }
        self.verdict(check, &own);
        self.counters(check, &own);
        if let Some(trip) = &check.trip {
            self.trip(check, trip, &own, choice);
        }
        if choice.histogram == Some(Grain::Check) {
            for (phase, values) in &check.phases {
                self.histogram(&[own[0], own[1], ("phase", phase.label())], values);
            }
        }
    }

    fn verdict(&mut self, check: &Check, own: &[(&str, &str); 2]) {
        match check.status() {
            Status::Ok | Status::Degraded => self.put(CHECK_UP, own, 1.0),
            Status::Broken => self.put(CHECK_UP, own, 0.0),
            Status::Unknown => {}
        }
        // One series from the first decision on, also while egressd itself cannot say.
        if check.steady.verdict.is_some() || check.checked.is_some() {
            let finding = check.verdict().and_then(|verdict| verdict.finding.as_ref());
            let [layer, cause, party] = names(finding);
            let status = ("status", check.status().label());
            self.put(VERDICT, &[own[0], own[1], status, layer, cause, party], 1.0);
            if let Some(finding) = finding {
                self.put(VERDICT_CONFIDENCE, own, confidence(finding));
            }
        }
        let Some(verdict) = check.verdict() else { return };
        if let Some(since) = check.steady.since {
            self.put(VERDICT_SINCE, own, seconds(since));
        }
        match verdict.network {
            NetworkState::Ok => self.put(NETWORK_UP, own, 1.0),
            NetworkState::Broken => self.put(NETWORK_UP, own, 0.0),
            NetworkState::Unknown => {}
        }
        let mut seen = Vec::new();
        for note in &verdict.notes {
            let labels =
                [own[0], own[1], ("cause", note.cause.label()), ("party", note.party.label())];
            if !seen.contains(&(note.cause, note.party)) {
                seen.push((note.cause, note.party));
                self.put(NOTE, &labels, 1.0);
            }
        }
    }

    fn counters(&mut self, check: &Check, own: &[(&str, &str); 2]) {
        for ((status, network), value) in &check.finished {
            let labels = [own[0], own[1], ("status", status.label()), ("network", network.label())];
            self.put(CHECKS, &labels, count(*value));
        }
        for ((layer, kind), value) in &check.failures {
            let labels = [own[0], own[1], ("layer", layer.as_str()), ("kind", kind.as_str())];
            self.put(FAILURES, &labels, count(*value));
        }
        for (control, value) in &check.experiments {
            self.put(EXPERIMENTS, &[own[0], own[1], ("control", control.label())], count(*value));
        }
    }

    fn trip(
        &mut self,
        check: &Check,
        trip: &crate::observation::Trip,
        own: &[(&str, &str); 2],
        choice: Choice,
    ) {
        if choice.addresses {
            for leg in &trip.legs {
                let address = leg.address.ip().to_string();
                let family = if leg.address.is_ipv4() { "ipv4" } else { "ipv6" };
                let labels = [own[0], own[1], ("address", &address), ("family", family)];
                self.put(ADDRESS_UP, &labels, f64::from(u8::from(leg.stop.is_none())));
            }
        }
        let mut ends: BTreeMap<(&str, &str), f64> = BTreeMap::new();
        let of_target = trip.legs.iter().filter_map(|leg| Some(("target", leg.chain.as_ref()?)));
        let of_proxy =
            trip.legs.iter().filter_map(|leg| Some(("proxy", leg.proxy_chain.as_ref()?)));
        let chains = of_target.chain(of_proxy);
        for (of, chain) in chains {
            if let Some(end) = chain.not_after().map(seconds) {
                let earliest = ends.entry((of, chain.trust().label())).or_insert(end);
                *earliest = earliest.min(end);
            }
        }
        for ((of, trust), end) in ends {
            let labels = [own[0], own[1], ("of", of), ("trust", trust)];
            self.put(CERTIFICATE_NOT_AFTER, &labels, end);
        }
        let response = trip.legs.iter().find_map(|leg| leg.response.as_ref());
        if let (Some(response), Some((_, author))) = (response, &check.answer) {
            let labels = [own[0], own[1], ("author", Author::label(*author))];
            self.put(RESPONSE_STATUS, &labels, f64::from(response.status));
        }
    }

    fn targets(&mut self, snapshot: &Snapshot, choice: Choice) {
        let mut routes: BTreeMap<&str, &str> = BTreeMap::new();
        for (name, target) in &snapshot.targets {
            let own = ("target", name.as_ref());
            self.put(TARGET_STATUS, &[own], code(target.status()));
            if let Some(verdict) = &target.verdict {
                let finding = verdict.finding.as_ref().filter(|_| !target.unknown);
                let [layer, cause, party] = names(finding);
                let status = ("status", target.status().label());
                self.put(TARGET_VERDICT, &[own, status, layer, cause, party], 1.0);
                if let Some(finding) = finding {
                    self.put(TARGET_VERDICT_CONFIDENCE, &[own], confidence(finding));
                }
            }
            if let Some(since) = target.since {
                self.put(TARGET_VERDICT_SINCE, &[own], seconds(since));
            }
            let declared = &target.declared;
            let mut labels = vec![own, ("provider", declared.provider.as_str())];
            labels.extend(declared.labels.iter().map(|(a, b)| (a.as_str(), b.as_str())));
            self.put(TARGET_INFO, &labels, 1.0);
            for (route, _, egress) in &declared.routes {
                routes.insert(route, egress.as_deref().unwrap_or_default());
            }
            if choice.histogram == Some(Grain::Target) {
                self.merged(snapshot, name);
            }
        }
        for (route, egress) in routes {
            self.put(ROUTE_INFO, &[("route", route), ("egress", egress)], 1.0);
        }
        for ((control, route), works) in &snapshot.controls {
            let labels = [("control", control.as_str()), ("route", route.as_str())];
            self.put(CONTROL_UP, &labels, f64::from(u8::from(*works)));
        }
    }

    fn merged(&mut self, snapshot: &Snapshot, target: &str) {
        for phase in Phase::ALL {
            let mut all = Histogram::default();
            let checks = snapshot.checks.values().filter(|check| check.id.target == target);
            checks.filter_map(|check| check.phases.get(phase)).for_each(|one| all.merge(one));
            if all.count > 0 {
                self.histogram(&[("target", target), ("phase", phase.label())], &all);
            }
        }
    }

    fn own(&mut self, snapshot: &Snapshot, process: Process) {
        let own = &snapshot.own;
        self.put(BUILD_INFO, &[("version", env!("CARGO_PKG_VERSION"))], 1.0);
        self.put(RELOAD_OK, &[], f64::from(u8::from(own.reload_ok)));
        self.put(RELOAD_AT, &[], seconds(own.reloaded));
        self.put(LATE, &[], count(own.late));
        self.put(PANICS, &[], count(own.panics));
        self.put(CPU, &[], process.cpu);
        self.put(RSS, &[], process.rss);
        self.put(VSIZE, &[], process.vsize);
        self.put(OPEN_FDS, &[], process.fds);
        self.put(MAX_FDS, &[], process.max_fds);
        self.put(STARTED, &[], seconds(own.started));
    }
}

fn names(finding: Option<&Finding>) -> [(&'static str, &'static str); 3] {
    let Some(finding) = finding else {
        return [("layer", "none"), ("cause", "none"), ("party", "none")];
    };
    [
        ("layer", finding.layer.label()),
        ("cause", finding.cause.label()),
        ("party", finding.party.label()),
    ]
}

fn code(status: Status) -> f64 {
    match status {
        Status::Ok => 0.0,
        Status::Degraded => 1.0,
        Status::Broken => 2.0,
        Status::Unknown => 3.0,
    }
}

fn confidence(finding: &Finding) -> f64 {
    match finding.confidence {
        Confidence::Low => 1.0,
        Confidence::Medium => 2.0,
        Confidence::High => 3.0,
    }
}

/// Counters are far below 2^53, where a float is exact.
#[expect(clippy::cast_precision_loss, reason = "counters stay below 2^53")]
fn count(value: u64) -> f64 {
    value as f64
}

fn seconds(at: jiff::Timestamp) -> f64 {
    at.as_duration().as_secs_f64()
}
