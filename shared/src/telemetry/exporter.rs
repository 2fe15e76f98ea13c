//! The page that Prometheus scrapes.

use metrics_exporter_prometheus::{BuildError, Matcher, PrometheusBuilder, PrometheusHandle};

use super::metric::Metric;
use super::samples::Samples;
use super::{calls, process};

/// Bucket bounds for latencies in seconds: 1 ms to 30 s.
const SECONDS: [f64; 14] =
    [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0];

/// The metrics of this process.
#[derive(Clone)]
pub struct Metrics {
    handle: PrometheusHandle,
}

impl std::fmt::Debug for Metrics {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Metrics")
    }
}

impl Metrics {
    /// Installs the process's recorder, and puts every series of `own` and of the shared
    /// metrics on the page.
    ///
    /// # Errors
    /// A recorder is installed already.
    pub fn install(own: &[Metric]) -> Result<Self, BuildError> {
        let handle = PrometheusBuilder::new()
            .set_buckets_for_metric(Matcher::Suffix("_seconds".to_owned()), &SECONDS)?
            .install_recorder()?;
        for metric in own.iter().chain(calls::ALL) {
            metric.describe();
            metric.register();
        }
        process::ALL.iter().for_each(Metric::describe);
        Ok(Self { handle })
    }

    /// The samples of this process.
    #[must_use]
    pub fn samples(&self) -> Samples {
        Samples::parse(&self.render())
    }

    /// The page Prometheus scrapes.
    #[must_use]
    pub fn render(&self) -> String {
        process::measure();
        let page = self.handle.render();
        let counters = calls::ALL.iter().chain(process::ALL);
        counters.filter(|metric| metric.is_float_counter()).fold(page, |page, metric| {
            let line = |kind: &str| format!("# TYPE {} {kind}\n", metric.name);
            page.replacen(&line("gauge"), &line("counter"), 1)
        })
    }

    /// Moves recorded histogram samples on; called every few seconds by the admin port.
    pub fn upkeep(&self) {
        self.handle.run_upkeep();
    }
}

#[cfg(test)]
mod tests {
    use aws_sdk_dynamodb::types::ConsumedCapacity;

    use super::*;

    #[test]
    fn capacity_units_are_a_counter_whose_sum_is_exact_to_a_tenth() {
        let metrics = Metrics::install(&[]).unwrap();
        let consumed = |units| ConsumedCapacity::builder().capacity_units(units).build();
        for _ in 0..100_000 {
            calls::written("discard", [&consumed(0.1), &consumed(1.5)]);
        }
        let page = metrics.render();
        let name = calls::WRITE_UNITS.name;
        assert!(page.contains(&format!("# TYPE {name} counter\n")), "{page}");
        let series = format!("{name}{{operation=\"discard\"}} ");
        let value = page.lines().find_map(|line| line.strip_prefix(&series)).unwrap();
        assert!((value.parse::<f64>().unwrap() - 160_000.0).abs() < 0.01, "{value}");
    }
}
