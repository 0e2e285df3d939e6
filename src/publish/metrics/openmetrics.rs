//! OpenMetrics 1.0 as text, which the `prometheus` crate does not write: families under their own names, units, numbers
//! in their canonical form, and an end by which a page that was cut is seen.

use prometheus::proto::{self, MetricFamily};

use super::table::{Kind, Metric};

/// The page.
pub(super) fn encode(families: &[(&'static Metric, MetricFamily)]) -> String {
    let mut out = String::new();
    for (metric, family) in families {
        let name = metric.family();
        out.push_str(&format!("# TYPE {name} {}\n", metric.kind.label()));
        if let Some(unit) = metric.unit() {
            out.push_str(&format!("# UNIT {name} {unit}\n"));
        }
        out.push_str(&format!("# HELP {name} {}\n", escaped(metric.help)));
        for series in family.get_metric() {
            sample(&mut out, metric, series);
        }
    }
    out.push_str("# EOF\n");
    out
}

fn sample(out: &mut String, metric: &Metric, series: &proto::Metric) {
    let name = metric.family();
    match metric.kind {
        Kind::Gauge => {
            line(out, name, series, None, &series.get_gauge().get_value().to_string());
        }
        Kind::Counter => {
            let value = series.get_counter().get_value().to_string();
            line(out, &format!("{name}_total"), series, None, &value);
        }
        Kind::Histogram => {
            let histogram = series.get_histogram();
            let of = |ending: &str| format!("{name}_{ending}");
            for bucket in histogram.get_bucket() {
                let bound = canonical(bucket.upper_bound());
                let count = bucket.cumulative_count().to_string();
                line(out, &of("bucket"), series, Some(&bound), &count);
            }
            let count = histogram.get_sample_count().to_string();
            line(out, &of("bucket"), series, Some("+Inf"), &count);
            let sum = histogram.get_sample_sum().to_string();
            line(out, &of("sum"), series, None, &sum);
            line(out, &of("count"), series, None, &count);
        }
    }
}

fn line(out: &mut String, name: &str, series: &proto::Metric, le: Option<&str>, value: &str) {
    out.push_str(name);
    let pairs = series.get_label().iter().map(|pair| (pair.name(), pair.value()));
    let pairs = pairs.chain(le.map(|bound| ("le", bound)));
    let pairs: Vec<String> =
        pairs.map(|(name, value)| format!("{name}=\"{}\"", escaped(value))).collect();
    if !pairs.is_empty() {
        out.push_str(&format!("{{{}}}", pairs.join(",")));
    }
    out.push_str(&format!(" {value}\n"));
}

/// A bound that is whole has a point and a zero ("Considerations: Canonical Numbers").
fn canonical(bound: f64) -> String {
    format!("{bound:?}")
}

fn escaped(text: &str) -> String {
    text.replace('\\', "\\\\").replace('\n', "\\n").replace('"', "\\\"")
}
