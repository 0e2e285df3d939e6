//! Which of the two formats an `Accept` asks for (RFC 9110 12.5.1): the most specific range counts, then its weight.
//! OpenMetrics goes to whoever names it; anybody else, with a wildcard, without the header or with nothing that
//! exists here, gets the classic text, which everything reads.

/// A form of `/metrics`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// Prometheus' text, version 0.0.4.
    Text,
    /// OpenMetrics, version 1.0.0.
    OpenMetrics,
}

/// Ranges of one header that are read.
const RANGES: usize = 64;

impl Format {
    /// The content type of an answer.
    pub fn content_type(self) -> &'static str {
        match self {
            Self::Text => "text/plain; version=0.0.4; charset=utf-8",
            Self::OpenMetrics => "application/openmetrics-text; version=1.0.0; charset=utf-8",
        }
    }

    /// What the values of all `Accept` headers ask for.
    pub fn of<'a>(accept: impl IntoIterator<Item = &'a str>) -> Self {
        let ranges = accept.into_iter().flat_map(|value| value.split(','));
        let ranges: Vec<Range<'_>> = ranges.take(RANGES).filter_map(Range::parse).collect();
        let open = ranges.iter().filter(|range| range.is(&["application/openmetrics-text"]));
        let open = open.filter(|range| range.version.is_none_or(|version| version == "1.0.0"));
        let Some(open) = open.map(|range| range.weight).max() else { return Self::Text };
        let weight = |kinds: &[&str]| {
            let of = ranges.iter().filter(|range| range.is(kinds));
            let of = of.filter(|range| range.version.is_none_or(|version| version == "0.0.4"));
            of.map(|range| range.weight).max()
        };
        let text = weight(&["text/plain"]).or(weight(&["text/*"])).or(weight(&["*/*"]));
        if open > 0 && open >= text.unwrap_or(0) { Self::OpenMetrics } else { Self::Text }
    }
}

/// One media range.
struct Range<'a> {
    kind: &'a str,
    version: Option<&'a str>,
    /// In thousandths.
    weight: u16,
}

impl<'a> Range<'a> {
    /// None where its weight is none: then it asks for nothing.
    fn parse(text: &'a str) -> Option<Self> {
        let mut parts = text.split(';').map(str::trim);
        let mut range = Self { kind: parts.next()?, version: None, weight: 1000 };
        for (name, value) in parts.filter_map(|part| part.split_once('=')) {
            let value = value.trim().trim_matches('"');
            match name.trim().to_ascii_lowercase().as_str() {
                "q" => range.weight = weight(value)?,
                "version" => range.version = Some(value),
                _ => {}
            }
        }
        Some(range)
    }

    fn is(&self, kinds: &[&str]) -> bool {
        kinds.iter().any(|kind| self.kind.eq_ignore_ascii_case(kind))
    }
}

/// A `qvalue`: `0` to `1` with at most three digits behind the point.
fn weight(text: &str) -> Option<u16> {
    let (whole, rest) = text.split_once('.').unwrap_or((text, ""));
    let sound = rest.len() <= 3 && rest.chars().all(|c| c.is_ascii_digit());
    let thousandths: u16 = format!("{rest:0<3}").parse().ok().filter(|_| sound)?;
    match whole {
        "0" => Some(thousandths),
        "1" if thousandths == 0 => Some(1000),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::Format::{self, OpenMetrics, Text};

    #[test]
    fn who_names_openmetrics_gets_it() {
        let rows = [
            // Prometheus 2.42, 2.50 and 3.
            (
                "application/openmetrics-text;version=1.0.0,application/openmetrics-text;version=0.0.1;q=0.75,text/plain;version=0.0.4;q=0.5,*/*;q=0.1",
                OpenMetrics,
            ),
            (
                "application/openmetrics-text;version=1.0.0;q=0.5,application/openmetrics-text;version=0.0.1;q=0.4,text/plain;version=0.0.4;q=0.3,*/*;q=0.2",
                OpenMetrics,
            ),
            (
                "application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.5,application/openmetrics-text;version=0.0.1;q=0.4,text/plain;version=1.0.0;escaping=allow-utf-8;q=0.3,text/plain;version=0.0.4;q=0.2,/;q=0.1",
                OpenMetrics,
            ),
            // With native histograms it wants protobuf first.
            (
                "application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily;encoding=delimited;q=0.6,application/openmetrics-text;version=1.0.0;q=0.5,text/plain;version=0.0.4;q=0.2,*/*;q=0.1",
                OpenMetrics,
            ),
            // With `scrape_protocols: [PrometheusText0.0.4, OpenMetricsText1.0.0]`.
            (
                "text/plain;version=0.0.4;q=0.5,application/openmetrics-text;version=1.0.0;q=0.4,*/*;q=0.1",
                Text,
            ),
            ("application/openmetrics-text", OpenMetrics),
            ("APPLICATION/OpenMetrics-Text; Version=\"1.0.0\"; Q=0.001", OpenMetrics),
            ("application/openmetrics-text;version=0.0.1", Text),
            ("application/openmetrics-text;q=0", Text),
            ("application/openmetrics-text;q=0.000, */*", Text),
            ("application/openmetrics-text;q=0.3, text/plain;q=0.9", Text),
            ("application/openmetrics-text;q=0.3, */*;q=0.9", Text),
            // The exact range counts, whatever a wildcard weighs.
            ("application/openmetrics-text;q=0.3, text/plain;q=0.1, */*;q=0.9", OpenMetrics),
            ("application/openmetrics-text;q=2", Text),
            ("application/openmetrics-text;q=0.12345", Text),
            ("application/openmetrics-text;q=-1", Text),
            ("*/*", Text),
            ("application/*", Text),
            ("text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8", Text),
            ("application/json", Text),
            (";;;=,,q=;q", Text),
            ("", Text),
        ];
        for (accept, format) in rows {
            assert_eq!(Format::of([accept]), format, "{accept}");
        }
        assert_eq!(Format::of([]), Text);
        assert_eq!(Format::of(["text/plain;q=0.2", "application/openmetrics-text"]), OpenMetrics);
    }
}
