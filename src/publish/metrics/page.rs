//! The families of one scrape while they are filled: series with their labels, by the name of a row.

use std::collections::BTreeMap;

use prometheus::proto::{self, LabelPair, MetricFamily, MetricType};

use super::table::{Kind, METRICS, Metric};
use crate::store::Histogram;

/// Names and values.
pub(super) type Labels<'a> = &'a [(&'a str, &'a str)];

/// What is published, family by family.
pub(super) struct Page {
    site: Option<String>,
    families: BTreeMap<&'static str, Vec<proto::Metric>>,
}

impl Page {
    pub(super) fn of(site: Option<String>) -> Self {
        Self { site, families: BTreeMap::new() }
    }

    /// Adds a series.
    pub(super) fn put(&mut self, metric: &'static Metric, labels: Labels<'_>, value: f64) {
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

    /// Adds the series of a histogram.
    pub(super) fn histogram(
        &mut self,
        metric: &'static Metric,
        labels: Labels<'_>,
        values: &Histogram,
    ) {
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

    /// Each row that has series, with its family.
    pub(super) fn into_families(self) -> Vec<(&'static Metric, MetricFamily)> {
        self.families
            .into_iter()
            .filter_map(|(name, series)| {
                let metric = METRICS.iter().find(|metric| metric.name == name)?;
                let mut family = MetricFamily::default();
                family.set_name(metric.name.to_owned());
                family.set_help(metric.help.to_owned());
                family.set_field_type(match metric.kind {
                    Kind::Gauge => MetricType::GAUGE,
                    Kind::Counter => MetricType::COUNTER,
                    Kind::Histogram => MetricType::HISTOGRAM,
                });
                family.set_metric(series);
                Some((*metric, family))
            })
            .collect()
    }
}

/// Counters are far below 2^53, where a float is exact.
#[expect(clippy::cast_precision_loss, reason = "counters stay below 2^53")]
pub(super) fn count(value: u64) -> f64 {
    value as f64
}

/// A moment as Unix time.
pub(super) fn seconds(at: jiff::Timestamp) -> f64 {
    at.as_duration().as_secs_f64()
}
