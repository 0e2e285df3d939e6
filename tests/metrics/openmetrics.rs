//! A strict reader of OpenMetrics 1.0: the grammar of its text format, and the rules of each type that this program
//! uses. What it takes, every reader of that format takes. It knows nothing of the program's table.

use std::collections::{BTreeMap, BTreeSet};

/// One line with a value.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Sample {
    pub(crate) name: String,
    pub(crate) labels: BTreeMap<String, String>,
    pub(crate) value: f64,
}

/// A family with its metadata.
#[derive(Debug, Default)]
pub(crate) struct Family {
    pub(crate) name: String,
    pub(crate) kind: String,
    pub(crate) unit: Option<String>,
    pub(crate) help: Option<String>,
    pub(crate) samples: Vec<Sample>,
}

/// All families of a page, or a panic that says which line breaks which rule.
pub(crate) fn read(page: &str) -> Vec<Family> {
    let body = page.strip_suffix("# EOF\n").expect("it ends with # EOF and a line break");
    assert!(!body.contains("# EOF") && !page.contains('\r'), "one end");
    let mut families: Vec<Family> = Vec::new();
    for line in body.split_terminator('\n') {
        if let Some(descriptor) = line.strip_prefix("# ") {
            describe(&mut families, descriptor);
        } else {
            let family = families.last_mut().unwrap_or_else(|| panic!("{line}: no family"));
            let sample = sample(line);
            assert!(names(family).contains(&sample.name), "{line}: in family {}", family.name);
            family.samples.push(sample);
        }
    }
    let mut known = BTreeSet::new();
    for family in &families {
        for name in names(family) {
            assert!(known.insert(name.clone()), "{name} is of two families");
        }
        sound(family);
    }
    families
}

/// The names that samples of a family have.
fn names(family: &Family) -> Vec<String> {
    let of = |endings: &[&str]| endings.iter().map(|end| format!("{}{end}", family.name)).collect();
    match family.kind.as_str() {
        "gauge" => of(&[""]),
        "counter" => of(&["_total", "_created"]),
        "histogram" => of(&["_bucket", "_sum", "_count", "_created"]),
        other => panic!("type {other} is not used here"),
    }
}

/// `metric-descriptor`: TYPE begins a family here; each stands once, before any sample.
fn describe(families: &mut Vec<Family>, descriptor: &str) {
    let mut parts = descriptor.splitn(3, ' ');
    let (what, name, text) = (parts.next().unwrap(), parts.next().unwrap(), parts.next());
    let text = text.unwrap_or_else(|| panic!("{descriptor}: nothing is said"));
    assert_name(name);
    if what == "TYPE" {
        assert!(families.iter().all(|family| family.name != name), "{name} begins twice");
        let (name, kind) = (name.to_owned(), text.to_owned());
        families.push(Family { name, kind, ..Family::default() });
        return;
    }
    let family = families.last_mut().unwrap();
    assert!(family.name == name && family.samples.is_empty(), "{descriptor}: in its place");
    match what {
        "UNIT" => {
            assert!(family.unit.is_none() && name.ends_with(&format!("_{text}")), "{descriptor}");
            family.unit = Some(text.to_owned());
        }
        "HELP" => {
            assert!(family.help.is_none(), "{descriptor}");
            family.help = Some(unescaped(text));
        }
        other => panic!("{other} is no descriptor"),
    }
}

/// `metricname [labels] SP number`; timestamps and exemplars are not used here.
pub(crate) fn sample(line: &str) -> Sample {
    let end = line.find(['{', ' ']).unwrap_or_else(|| panic!("{line}: no value"));
    let (name, mut rest) = line.split_at(end);
    assert_name(name);
    let mut labels = BTreeMap::new();
    if let Some(mut inside) = rest.strip_prefix('{') {
        loop {
            let (label, after) = inside.split_once("=\"").unwrap_or_else(|| panic!("{line}"));
            assert_label(label);
            let close = closing(after).unwrap_or_else(|| panic!("{line}: an open quote"));
            let value = unescaped(&after[..close]);
            assert!(labels.insert(label.to_owned(), value).is_none(), "{line}: {label} twice");
            let after = &after[close + 1..];
            match after.strip_prefix(',') {
                Some(more) => inside = more,
                None => {
                    rest = after.strip_prefix('}').unwrap_or_else(|| panic!("{line}: no brace"));
                    break;
                }
            }
        }
    }
    let text = rest.strip_prefix(' ').unwrap_or_else(|| panic!("{line}: no blank"));
    Sample { name: name.to_owned(), labels, value: number(text) }
}

/// Where the quote that ends a value is.
fn closing(text: &str) -> Option<usize> {
    let mut escaped = false;
    for (at, c) in text.char_indices() {
        match c {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            '"' => return Some(at),
            _ => {}
        }
    }
    None
}

/// `escaped-string`: a quote stands behind a backslash, and a backslash before n, a quote or itself.
fn unescaped(text: &str) -> String {
    let mut out = String::new();
    let mut chars = text.chars();
    while let Some(c) = chars.next() {
        out.push(match c {
            '\\' => match chars.next() {
                Some('n') => '\n',
                Some(c @ ('"' | '\\')) => c,
                other => panic!("{text}: \\{other:?}"),
            },
            '"' => panic!("{text}: a bare quote"),
            c => c,
        });
    }
    out
}

/// `realnumber`, `Inf` and `NaN`.
fn number(text: &str) -> f64 {
    let digits = |part: &str| part.chars().all(|c| c.is_ascii_digit());
    let unsigned = text.strip_prefix(['+', '-']).unwrap_or(text);
    let (whole, fraction) = unsigned.split_once('.').unwrap_or((unsigned, ""));
    let real = digits(whole) && digits(fraction) && !(whole.is_empty() && fraction.is_empty());
    assert!(real || ["+Inf", "-Inf", "NaN"].contains(&text), "{text}: no number");
    text.parse().unwrap()
}

fn assert_name(name: &str) {
    let sound = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == ':';
    let begins = !name.starts_with(|c: char| c.is_ascii_digit()) && !name.is_empty();
    assert!(begins && name.chars().all(sound), "{name}: no name");
}

fn assert_label(name: &str) {
    let sound = |c: char| c.is_ascii_alphanumeric() || c == '_';
    let begins = !name.starts_with(|c: char| c.is_ascii_digit()) && !name.is_empty();
    assert!(begins && name.chars().all(sound) && !name.starts_with("__"), "{name}: no label");
}

/// Counters never fall below nothing; the series of one metric stand together, once; histograms add up.
fn sound(family: &Family) {
    let own = |sample: &Sample| {
        let mut labels = sample.labels.clone();
        if family.kind == "histogram" {
            labels.remove("le");
        }
        labels
    };
    let mut metrics: Vec<Vec<&Sample>> = Vec::new();
    let mut done = BTreeSet::new();
    let mut newest = None;
    for sample in &family.samples {
        let labels = own(sample);
        match metrics.last_mut() {
            Some(metric) if newest.as_ref() == Some(&labels) => metric.push(sample),
            _ => {
                assert!(done.insert(labels.clone()), "{}: {labels:?} again", family.name);
                metrics.push(vec![sample]);
                newest = Some(labels);
            }
        }
        if family.kind == "counter" {
            assert!(sample.value >= 0.0, "{sample:?}");
        }
    }
    for metric in metrics {
        if family.kind == "histogram" {
            adds_up(&metric);
        } else {
            assert_eq!(metric.len(), 1, "{metric:?}");
        }
    }
}

fn adds_up(metric: &[&Sample]) {
    let ends = |ending: &str| {
        metric.iter().filter(|one| one.name.ends_with(ending)).copied().collect::<Vec<&Sample>>()
    };
    let (buckets, sums, counts) = (ends("_bucket"), ends("_sum"), ends("_count"));
    assert!(sums.len() == 1 && counts.len() == 1 && sums[0].value >= 0.0, "{metric:?}");
    let mut before = (f64::NEG_INFINITY, 0.0);
    for bucket in &buckets {
        let le = bucket.labels["le"].as_str();
        // A float is written as one ("Considerations: Canonical Numbers").
        assert!(le == "+Inf" || le.contains('.'), "{le}");
        let bound: f64 = le.trim_start_matches('+').to_lowercase().parse().unwrap();
        assert!(bound > before.0 && bucket.value >= before.1, "{metric:?}");
        before = (bound, bucket.value);
    }
    assert_eq!(before, (f64::INFINITY, counts[0].value), "{metric:?}");
}

/// What breaks a rule is not taken: else the reader proves nothing.
#[test]
fn the_reader_takes_no_page_that_breaks_a_rule() {
    let good = "# TYPE a_seconds gauge\n# UNIT a_seconds seconds\na_seconds{b=\"c\\\"\\n\\\\\"} 1.5\n# EOF\n";
    assert_eq!(read(good)[0].samples[0].labels["b"], "c\"\n\\");
    let head = "# TYPE a counter\n";
    let bad = [
        ("no end", "# TYPE a gauge\na 1\n".to_owned()),
        ("no break at the end", "# EOF".to_owned()),
        ("something behind the end", "# EOF\na 1\n".to_owned()),
        ("a counter without its ending", format!("{head}a 1\n# EOF\n")),
        ("a negative counter", format!("{head}a_total -1\n# EOF\n")),
        ("a series twice", format!("{head}a_total{{b=\"1\"}} 1\na_total{{b=\"1\"}} 1\n# EOF\n")),
        ("a label twice", format!("{head}a_total{{b=\"1\",b=\"2\"}} 1\n# EOF\n")),
        ("a bare quote", format!("{head}a_total{{b=\"\"\"}} 1\n# EOF\n")),
        ("a reserved label", format!("{head}a_total{{__b=\"1\"}} 1\n# EOF\n")),
        ("a comma too many", format!("{head}a_total{{b=\"1\",}} 1\n# EOF\n")),
        ("an unknown escape", format!("{head}a_total{{b=\"\\t\"}} 1\n# EOF\n")),
        ("another number", format!("{head}a_total 0x1\n# EOF\n")),
        ("a family in two parts", format!("{head}# TYPE b gauge\nb 1\n{head}a_total 1\n# EOF\n")),
        ("another unit", "# TYPE a_bytes gauge\n# UNIT a_bytes seconds\n# EOF\n".to_owned()),
        ("a whole bound", "# TYPE a histogram\na_bucket{le=\"1\"} 0\na_bucket{le=\"+Inf\"} 0\na_sum 0\na_count 0\n# EOF\n".to_owned()),
        ("a count of its own", "# TYPE a histogram\na_bucket{le=\"+Inf\"} 1\na_sum 0\na_count 2\n# EOF\n".to_owned()),
    ];
    for (why, page) in bad {
        let taken = std::panic::catch_unwind(|| read(&page));
        assert!(taken.is_err(), "{why}: {page}");
    }
}
