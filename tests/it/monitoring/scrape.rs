//! Prometheus' text format -> families and samples.

use std::collections::{BTreeMap, BTreeSet};

pub(super) type Labels = BTreeMap<String, String>;

/// Metrics of one name.
#[derive(Debug, Default)]
pub(super) struct Family {
    pub(super) kind: String,
    pub(super) help: String,
}

#[derive(Debug)]
pub(super) struct Sample {
    pub(super) name: String,
    pub(super) labels: Labels,
    /// As it stands there.
    pub(super) value: String,
    /// Name and labels as they stand there.
    pub(super) series: String,
}

#[derive(Debug)]
pub(super) struct Scrape {
    pub(super) families: BTreeMap<String, Family>,
    pub(super) samples: Vec<Sample>,
}

impl Scrape {
    pub(super) fn parse(text: &str) -> Self {
        let mut families: BTreeMap<String, Family> = BTreeMap::new();
        let mut samples = Vec::new();
        for line in text.lines().filter(|line| !line.is_empty()) {
            if let Some(rest) = line.strip_prefix("# HELP ") {
                let (name, help) = rest.split_once(' ').unwrap_or((rest, ""));
                help.clone_into(&mut families.entry(name.to_owned()).or_default().help);
            } else if let Some(rest) = line.strip_prefix("# TYPE ") {
                let (name, kind) = rest.split_once(' ').expect("a type");
                kind.clone_into(&mut families.entry(name.to_owned()).or_default().kind);
            } else {
                assert!(!line.starts_with('#'), "{line}");
                samples.push(Sample::parse(line));
            }
        }
        Self { families, samples }
    }

    /// The family that a sample of this name belongs to.
    pub(super) fn family_of<'a>(&self, name: &'a str) -> Option<&'a str> {
        let of_histogram = ["_bucket", "_sum", "_count"]
            .iter()
            .filter_map(|suffix| name.strip_suffix(suffix))
            .find(|base| {
                self.families
                    .get(*base)
                    .is_some_and(|f| f.kind == "histogram")
            });
        of_histogram.or_else(|| self.families.contains_key(name).then_some(name))
    }

    /// The labels of a family; those of a histogram's buckets apart.
    pub(super) fn labels_of(&self, family: &str) -> BTreeSet<&str> {
        let samples = self.samples.iter();
        samples
            .filter(|sample| self.family_of(&sample.name) == Some(family))
            .flat_map(|sample| sample.labels.keys())
            .map(String::as_str)
            .filter(|label| *label != "le")
            .collect()
    }

    /// The samples with these labels.
    pub(super) fn with(&self, labels: &[(&str, &str)]) -> Vec<&Sample> {
        let samples = self.samples.iter();
        samples.filter(|sample| sample.has(labels)).collect()
    }
}

impl Sample {
    fn parse(line: &str) -> Self {
        let (series, value) = line.rsplit_once(' ').expect("a value");
        let (name, inner) = match series.split_once('{') {
            Some((name, inner)) => (name, inner.strip_suffix('}').expect("the labels end")),
            None => (series, ""),
        };
        let mut labels = Labels::new();
        let mut rest = inner;
        while let Some((label, behind)) = rest.split_once("=\"") {
            let mut text = String::new();
            let mut chars = behind.char_indices();
            rest = loop {
                match chars.next().expect("the label's value ends") {
                    (at, '"') => break behind[at + 1..].trim_start_matches(','),
                    (_, '\\') => match chars.next().expect("what is escaped").1 {
                        'n' => text.push('\n'),
                        c => text.push(c),
                    },
                    (_, c) => text.push(c),
                }
            };
            labels.insert(label.to_owned(), text);
        }
        Self {
            name: name.to_owned(),
            labels,
            value: value.to_owned(),
            series: series.to_owned(),
        }
    }

    pub(super) fn has(&self, labels: &[(&str, &str)]) -> bool {
        labels
            .iter()
            .all(|(name, value)| self.labels.get(*name).is_some_and(|found| found == value))
    }
}

#[test]
fn labels_are_read_with_their_escapes() {
    let sample = Sample::parse(r#"a_total{x="1",y="\"}, \\ \n",z=""} 2.5"#);
    let labels = [("x", "1"), ("y", "\"}, \\ \n"), ("z", "")];
    assert_eq!(
        sample.labels,
        labels
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .into()
    );
    assert_eq!(
        (sample.name.as_str(), sample.value.as_str()),
        ("a_total", "2.5")
    );
    assert!(Sample::parse("up 1").labels.is_empty());
}
