//! The page that Prometheus scrapes.

use metrics_exporter_prometheus::{BuildError, Matcher, PrometheusBuilder, PrometheusHandle};

use super::metric::Metric;
use super::samples::Samples;
use super::{calls, process};

/// Bucket bounds for latencies in seconds: 1 ms to 30 s.
const SECONDS: [f64; 14] =
    [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0];

/// Bucket bounds for what takes minutes, in seconds: to an hour.
const LONG_SECONDS: [f64; 14] = [
    1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 120.0, 300.0, 600.0, 900.0, 1_200.0, 1_800.0, 2_700.0, 3_600.0,
];

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
        let handle = builder(own)?.install_recorder()?;
        for metric in own.iter().chain(calls::ALL) {
            metric.describe();
            metric.register();
        }
        process::ALL.iter().for_each(Metric::describe);
        Ok(Self { handle })
    }

    /// What this thread records from now on, until the guard is dropped: for tests, of which
    /// several share a process.
    ///
    /// # Errors
    /// A list of buckets is empty.
    #[cfg(feature = "testing")]
    pub fn of_this_thread(
        own: &[Metric],
    ) -> Result<(Self, metrics::LocalRecorderGuard<'static>), BuildError> {
        let recorder = Box::leak(Box::new(builder(own)?.build_recorder()));
        let handle = recorder.handle();
        Ok((Self { handle }, metrics::set_default_local_recorder(recorder)))
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
        let page = without_absent(&self.handle.render());
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

/// An exporter with the buckets that each histogram of `own` asks for.
fn builder(own: &[Metric]) -> Result<PrometheusBuilder, BuildError> {
    let seconds = Matcher::Suffix("_seconds".to_owned());
    let builder = PrometheusBuilder::new().set_buckets_for_metric(seconds, &SECONDS)?;
    own.iter().filter(|metric| metric.is_long()).try_fold(builder, |builder, metric| {
        builder.set_buckets_for_metric(Matcher::Full(metric.name.to_owned()), &LONG_SECONDS)
    })
}

/// The page without gauges that were cleared ([`Metric::clear`]).
fn without_absent(page: &str) -> String {
    page.split_inclusive('\n').filter(|line| !line.ends_with(" NaN\n")).collect()
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

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

    #[test]
    fn a_histogram_of_what_takes_minutes_has_buckets_to_an_hour_and_others_do_not() {
        const LONG: Metric = Metric::long_seconds("dueflow_x_wait_seconds", "x");
        const SHORT: Metric = Metric::seconds("dueflow_x_call_seconds", "x");
        let recorder = builder(&[LONG, SHORT]).unwrap().build_recorder();
        metrics::with_local_recorder(&recorder, || {
            [LONG, SHORT].iter().for_each(|metric| metric.record(Duration::from_secs(1_500)));
        });
        let page = recorder.handle().render();
        let bucket = |metric: Metric, bound: &str, count: u32| {
            page.contains(&format!("{}_bucket{{le=\"{bound}\"}} {count}\n", metric.name))
        };
        assert!(bucket(LONG, "1200", 0) && bucket(LONG, "1800", 1) && bucket(LONG, "3600", 1));
        assert!(bucket(SHORT, "30", 0) && bucket(SHORT, "+Inf", 1), "{page}");
        assert!(!bucket(SHORT, "3600", 1), "{page}");
    }

    #[test]
    fn a_gauge_that_was_cleared_is_not_on_the_page_until_it_is_set_again() {
        const ONE: Metric = Metric::measured_gauge("dueflow_x_one", "x");
        const MANY: Metric = Metric::measured_gauge("dueflow_x_many", "x").by("of", &["a", "b"]);
        let recorder = PrometheusBuilder::new().build_recorder();
        let page = |work: &dyn Fn()| {
            metrics::with_local_recorder(&recorder, work);
            without_absent(&recorder.handle().render())
        };
        let shown = |page: &str| page.lines().filter(|line| line.starts_with("dueflow_")).count();
        let set = || {
            ONE.set(1.0);
            ["a", "b"].iter().for_each(|of| MANY.set_for(of, 2.0));
        };
        assert_eq!(shown(&page(&set)), 3);
        let cleared = page(&|| [ONE, MANY].iter().for_each(Metric::clear));
        assert!(!cleared.contains("NaN") && !cleared.contains("dueflow_x_one 1"), "{cleared}");
        assert_eq!(shown(&page(&set)), 3);
    }
}
