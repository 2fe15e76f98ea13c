//! Reading a page of metrics.

/// The samples of one page.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Samples(Vec<(String, String, f64)>);

impl Samples {
    /// Reads the Prometheus text format; what is no sample is passed over.
    #[must_use]
    pub fn parse(page: &str) -> Self {
        let samples = page.lines().filter(|line| !line.starts_with('#')).filter_map(|line| {
            let (series, value) = line.rsplit_once(' ')?;
            let (name, labels) = series.split_once('{').unwrap_or((series, ""));
            Some((name.to_owned(), labels.trim_end_matches('}').to_owned(), value.parse().ok()?))
        });
        Self(samples.collect())
    }

    /// Whether a metric's name begins so.
    #[must_use]
    pub fn has_prefix(&self, prefix: &str) -> bool {
        self.0.iter().any(|(name, _, _)| name.starts_with(prefix))
    }

    /// The sum of a metric over all its labels.
    #[must_use]
    pub fn sum(&self, name: &str) -> f64 {
        self.0.iter().filter(|(n, _, _)| n == name).map(|(_, _, value)| value).sum()
    }

    /// The sum of a metric over the series with this label.
    #[must_use]
    pub fn labelled(&self, name: &str, label: &str, value: &str) -> f64 {
        let wanted = format!("{label}=\"{value}\"");
        let with = |labels: &str| labels.split(',').any(|label| label == wanted);
        self.0.iter().filter(|(n, l, _)| n == name && with(l)).map(|(_, _, value)| value).sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sums_go_over_labels_or_one_of_them() {
        let page = "# HELP a_total help\n# TYPE a_total counter\na_total{x=\"1\",y=\"2\"} 3\na_total{x=\"2\"} 4\n\nb 5\n";
        let samples = Samples::parse(page);
        assert_eq!(samples.sum("a_total"), 7.0);
        assert_eq!(samples.labelled("a_total", "x", "1"), 3.0);
        assert_eq!(samples.sum("b"), 5.0);
        assert_eq!(samples.sum("c"), 0.0);
    }
}
