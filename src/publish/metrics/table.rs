//! The table of all metrics: name, type, labels, meaning, an example, and how many series there are. What is
//! published, METRICS.md and the budget are all made of it; a name that is not here cannot be written.

use super::label::Label;
use crate::cause::Status;
use crate::diagnosis::NetworkState;
use crate::observation::{Control, DnsKind, HttpKind, LocalKind, ProxyKind, TcpKind, TlsKind};
use crate::store::{BUCKETS, Phase, Seen, VERDICTS};

/// One family.
#[derive(Debug)]
pub struct Metric {
    /// Its name.
    pub name: &'static str,
    /// What it is.
    pub kind: Kind,
    /// Its unit and meaning.
    pub help: &'static str,
    /// The labels of every series, beside `site`.
    pub labels: &'static [Label],
    /// Those that a series has or lacks.
    pub sometimes: &'static [Label],
    /// Which part of the budget it is.
    pub group: Group,
    /// What its series are counted by.
    pub per: Per,
    /// How many of them while all is well.
    pub steady: usize,
    /// How many at most.
    pub most: usize,
    /// PromQL that answers a question with it.
    pub example: Option<&'static str>,
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

impl Kind {
    /// Its name in both formats.
    pub fn label(self) -> &'static str {
        match self {
            Self::Gauge => "gauge",
            Self::Counter => "counter",
            Self::Histogram => "histogram",
        }
    }
}

impl Metric {
    /// The name of the family, which is that of a counter without its ending (OpenMetrics 1.0, "Counter").
    pub fn family(&self) -> &'static str {
        match self.kind {
            Kind::Counter => self.name.strip_suffix("_total").unwrap_or(self.name),
            Kind::Gauge | Kind::Histogram => self.name,
        }
    }

    /// The base unit that its name ends in.
    pub fn unit(&self) -> Option<&'static str> {
        let ends = |unit: &&str| self.family().rsplit('_').next() == Some(*unit);
        ["seconds", "bytes"].into_iter().find(ends)
    }
}

/// A part of the budget.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Group {
    /// How it stands, why, since when.
    Verdicts,
    /// What was counted.
    Counters,
    /// How long each phase takes.
    Phases,
    /// Each address.
    Addresses,
    /// Certificates.
    Certificates,
    /// What else was measured.
    Measurements,
    /// What to join on.
    Names,
    /// The daemon itself.
    Daemon,
}

impl Group {
    /// All of them.
    pub const ALL: &[Self] = &[
        Self::Verdicts,
        Self::Counters,
        Self::Phases,
        Self::Addresses,
        Self::Certificates,
        Self::Measurements,
        Self::Names,
        Self::Daemon,
    ];

    /// Its name.
    pub fn label(self) -> &'static str {
        match self {
            Self::Verdicts => "verdicts",
            Self::Counters => "counters",
            Self::Phases => "phases",
            Self::Addresses => "addresses",
            Self::Certificates => "certificates",
            Self::Measurements => "measurements",
            Self::Names => "names",
            Self::Daemon => "the daemon",
        }
    }
}

/// What series are counted by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Per {
    /// A target on a route.
    Check,
    /// A check, or a target, as `phase_histogram` says.
    Grain,
    /// An address of a check; none where `addresses` is off.
    Address,
    /// A target.
    Target,
    /// A route that a target takes.
    Route,
    /// A control over a route.
    Control,
    /// A file with a secret.
    Credential,
    /// The process.
    Process,
}

impl Per {
    /// What it is called.
    pub fn label(self) -> &'static str {
        match self {
            Self::Check => "a check",
            Self::Grain => "a check or target",
            Self::Address => "an address of a check",
            Self::Target => "a target",
            Self::Route => "a route",
            Self::Control => "a control and route",
            Self::Credential => "a file",
            Self::Process => "the process",
        }
    }
}

/// Notes of a check that have a series.
pub(super) const NOTES: usize = 16;
/// Addresses of a check that have a series.
pub const ADDRESSES: usize = 16;
/// Finished checks by status and network.
const FINISHED: usize = Status::ALL.len() * NetworkState::ALL.len();
/// Layers with their kinds.
const SYMPTOMS: usize = LocalKind::ALL.len()
    + DnsKind::ALL.len()
    + TcpKind::ALL.len()
    + ProxyKind::ALL.len()
    + TlsKind::ALL.len()
    + HttpKind::ALL.len();
/// Buckets with that of all, sum and count, of each phase.
const PHASES: usize = Phase::ALL.len() * (BUCKETS.len() + 3);
/// The target's and a proxy's, by the four sets of roots.
const CHAINS: usize = 2 * 4;
/// Those with each issuer, and the one that stands for all others.
const ISSUERS: usize = CHAINS * (Seen::ISSUERS + 1);
/// What a set of configured certificates has beside: its two dates and its names, at least and at most.
pub(super) const OF_CONFIGURED: (usize, usize) = (3, 2 + Seen::ISSUERS + 1);

macro_rules! metrics {
    ($($id:ident $name:literal $kind:ident [$($label:ident)*] [$($more:ident)*]
       $group:ident $per:ident $steady:tt / $most:tt $help:literal $(=> $example:literal)?)+) => {
        $(#[doc = $help] pub(super) const $id: &Metric = &Metric {
            name: $name, kind: Kind::$kind, help: $help,
            labels: &[$(Label::$label),*], sometimes: &[$(Label::$more),*],
            group: Group::$group, per: Per::$per, steady: $steady, most: $most,
            example: metrics!(@example $($example)?),
        };)+
        /// Every family that can be published.
        pub const METRICS: &[&Metric] = &[$($id),+];
    };
    (@example) => { None };
    (@example $example:literal) => { Some($example) };
}

// Name, type, the labels that each series has, those that it may have, then how many series there are: the group,
// counted by what, while all is well / at most.
metrics! {
    CHECK_UP "egressd_check_up" Gauge [Target Route] [] Verdicts Check 1/1
        "1 ok or degraded, 0 broken; absent while unknown or undecided."
        => "avg_over_time(egressd_check_up[1d])"
    CHECK_STATUS "egressd_check_status" Gauge [Target Route] [] Verdicts Check 1/1
        "0 ok, 1 degraded, 2 broken, 3 unknown, of a target on a route; its labels never change."
    TARGET_STATUS "egressd_target_status" Gauge [Target] [] Verdicts Target 1/1
        "0 ok, 1 degraded, 2 broken, 3 unknown, of a target over all routes; its labels never change."
        => "egressd_target_status == 2"
    NETWORK_UP "egressd_network_up" Gauge [Target Route] [] Verdicts Check 1/1
        "1 where an answer of the provider came over an accepted chain, 0 where somebody on this side has to act; absent while neither is proven."
    VERDICT "egressd_verdict" Gauge [Target Route Status Layer Cause Party] [] Verdicts Check 1/1
        "1, one series a check from its first decision on: its status, and layer, cause and party (none where ok)."
        => "egressd_verdict{status=\"broken\"}"
    TARGET_VERDICT "egressd_target_verdict" Gauge [Target Status Layer Cause Party] [] Verdicts Target 1/1
        "1, one series a target from its first decision on: its status, and layer, cause and party (none where ok)."
        => "max by (site, target, party) (egressd_target_verdict{status=\"broken\"})"
    VERDICT_CONFIDENCE "egressd_verdict_confidence" Gauge [Target Route] [] Verdicts Check 0/1
        "1 low, 2 medium, 3 high, of a check's verdict; absent where ok."
    TARGET_VERDICT_CONFIDENCE "egressd_target_verdict_confidence" Gauge [Target] [] Verdicts Target 0/1
        "1 low, 2 medium, 3 high, of a target's verdict; absent where ok."
    VERDICT_SINCE "egressd_verdict_since_timestamp_seconds" Gauge [Target Route] [] Verdicts Check 1/1
        "Unix time since which the verdict of a check stands, in seconds."
        => "time() - egressd_verdict_since_timestamp_seconds"
    TARGET_VERDICT_SINCE "egressd_target_verdict_since_timestamp_seconds" Gauge [Target] [] Verdicts Target 1/1
        "Unix time since which the verdict of a target stands, in seconds."
    VERDICT_CHANGES "egressd_verdict_changes_total" Counter [Target Route] [] Counters Check 1/1
        "Changes of the published verdict of a check."
        => "increase(egressd_verdict_changes_total[1d])"
    VERDICT_SECONDS "egressd_verdict_seconds_total" Counter [Target Route Status Layer Cause Party] [] Verdicts Check 1/VERDICTS
        "Seconds in each verdict of a check while egressd watched, up to the last publication, 15 seconds ago at most; kept over a restart. Beyond 16 findings of a check layer, cause and party are `other`."
        => "sum by (target, route) (rate(egressd_verdict_seconds_total{status=~\"ok|degraded\"}[1d]))"
    FLAPPING "egressd_flapping" Gauge [Target Route] [] Verdicts Check 1/1
        "1 while a check changes too often to have a verdict, else 0."
    NOTE "egressd_note" Gauge [Target Route Cause Party] [] Verdicts Check 1/NOTES
        "1 for each note and lesser finding of a check."
        => "egressd_note{cause=\"tls_inspected\"}"
    CHECKS "egressd_checks_total" Counter [Target Route Status Network] [] Counters Check FINISHED/FINISHED
        "Finished checks by status and network, before confirmation; all series exist at 0 from the plan on."
        => "sum by (target) (rate(egressd_checks_total{status!=\"broken\"}[1h])) / sum by (target) (rate(egressd_checks_total[1h]))"
    FAILURES "egressd_failures_total" Counter [Target Route Layer Kind] [] Counters Check 0/SYMPTOMS
        "Raw symptoms of checks, by layer and kind; those of experiments are not counted."
        => "sum by (layer, kind) (increase(egressd_failures_total[1h]))"
    EXPERIMENTS "egressd_experiments_total" Counter [Target Route Control] [] Counters Check 0/{Control::ALL.len()}
        "Experiments that were run, by control: what egressd does to the network."
    PHASE "egressd_phase_seconds" Histogram [Target Phase] [Route] Phases Grain PHASES/PHASES
        "Seconds of each phase that a check passed, one observation a phase and check."
        => "histogram_quantile(0.9, sum by (le, phase) (rate(egressd_phase_seconds_bucket[10m])))"
    ADDRESS_UP "egressd_address_up" Gauge [Target Route Address Family] [] Addresses Address 1/1
        "1 where the newest trip to this address did not fail, else 0; at most 16 addresses a check."
        => "count by (target, route) (egressd_address_up == 0)"
    CERTIFICATE_NOT_AFTER "egressd_certificate_not_after_timestamp_seconds" Gauge [Of Trust] [Target Route] Certificates Check 1/CHAINS
        "Unix time of the earliest end of validity in the chain, over all addresses, in seconds; also where the handshake was refused."
        => "(egressd_certificate_not_after_timestamp_seconds - time()) / 86400 < 14"
    CERTIFICATE_NOT_BEFORE "egressd_certificate_not_before_timestamp_seconds" Gauge [Of Trust] [Target Route] Certificates Check 1/CHAINS
        "Unix time of the latest begin of validity in the chain, over all addresses, in seconds: from then on all of it is valid."
        => "egressd_certificate_not_before_timestamp_seconds > time()"
    CERTIFICATE_INFO "egressd_certificate_info" Gauge [Of Trust Issuer] [Target Route] Certificates Check 1/ISSUERS
        "1, with the topmost name of the chain, reduced; the first 4 names of a check, then other."
        => "egressd_certificate_info{of=\"target\", trust=\"organisation\"}"
    RESPONSE_STATUS "egressd_response_status" Gauge [Target Route Author] [] Measurements Check 1/1
        "Status code of the newest answer; absent when there was none."
    POP_INFO "egressd_pop_info" Gauge [Target Route Pop] [] Measurements Check 1/1
        "1, with the point of presence of the provider's edge that gave the last good answer; kept while it fails."
        => "count by (pop) (egressd_check_up == 0 and on (target, route) egressd_pop_info)"
    PATH_MTU "egressd_path_mtu_bytes" Gauge [Target Route] [] Measurements Check 1/1
        "Path MTU as TCP knows it at the end of the newest trip, in bytes; absent where no connection was made."
        => "egressd_path_mtu_bytes < 1400"
    LAST_CHECK "egressd_last_check_timestamp_seconds" Gauge [Target Route] [] Measurements Check 1/1
        "Unix time at which the newest check ended, in seconds."
        => "time() - egressd_last_check_timestamp_seconds > 5 * egressd_check_interval_seconds"
    CHECK_INTERVAL "egressd_check_interval_seconds" Gauge [Target Route] [] Measurements Check 1/1
        "Seconds between two checks."
    TARGET_INFO "egressd_target_info" Gauge [Target Provider Zone] [Configured] Names Target 1/1
        "1, with the provider, whose the host's name is, and the configured labels of a target, to join on."
        => "egressd_check_up * on (target) group_left (team) egressd_target_info"
    ROUTE_INFO "egressd_route_info" Gauge [Route Egress] [] Names Route 1/1
        "1, with the configured label of a route's way out, to join on."
    CONTROL_UP "egressd_control_up" Gauge [Baseline Route] [] Measurements Control 1/1
        "1 where a control shows what it should over a route while nothing else is tested, else 0; a dead control makes verdicts weaker."
        => "egressd_control_up == 0"
    CLOCK_OFFSET "egressd_clock_offset_seconds" Gauge [] [] Measurements Process 1/1
        "Seconds by which the clocks of APIs are ahead of this host's, the median over answers with an origin's own mark; 0 within what their whole seconds tell."
        => "abs(egressd_clock_offset_seconds) > 30"
    CREDENTIAL_AGE "egressd_credential_age_seconds" Gauge [Credential] [] Measurements Credential 1/1
        "Seconds since the file of a configured secret changed; absent where it cannot be read."
        => "egressd_credential_age_seconds / 86400 > 80"
    BUILD_INFO "egressd_build_info" Gauge [Version] [] Daemon Process 1/1
        "1, with the version."
    RELOAD_OK "egressd_config_last_reload_successful" Gauge [] [] Daemon Process 1/1
        "1 where the newest reload took, 0 where the old plan was kept."
    RELOAD_AT "egressd_config_last_reload_success_timestamp_seconds" Gauge [] [] Daemon Process 1/1
        "Unix time at which the plan in force was loaded, in seconds."
    LATE "egressd_checks_late_total" Counter [] [] Daemon Process 1/1
        "Checks that ran beyond their bound or could not start in time."
    PANICS "egressd_panics_total" Counter [] [] Daemon Process 1/1
        "Panics inside of one check, contained."
    ALERTS_FAILED "egressd_alerts_failed_total" Counter [] [] Daemon Process 1/1
        "Deliveries of alerts to an Alertmanager that failed, each of which is tried again."
    CPU "process_cpu_seconds_total" Counter [] [] Daemon Process 1/1
        "CPU seconds of this process, user and system."
    RSS "process_resident_memory_bytes" Gauge [] [] Daemon Process 1/1
        "Resident memory of this process, in bytes."
    VSIZE "process_virtual_memory_bytes" Gauge [] [] Daemon Process 1/1
        "Virtual memory of this process, in bytes."
    OPEN_FDS "process_open_fds" Gauge [] [] Daemon Process 1/1
        "Open descriptors of this process."
    MAX_FDS "process_max_fds" Gauge [] [] Daemon Process 1/1
        "Descriptors that this process may open."
    STARTED "process_start_time_seconds" Gauge [] [] Daemon Process 1/1
        "Unix time at which this process began, in seconds."
}
