//! Metrics as the services serve them.

use local::transactions::Faults;
use shared::telemetry::{Metric, calls};

use crate::flow::{Flow, stop};

#[tokio::test(flavor = "multi_thread")]
async fn the_page_of_each_service_has_all_its_series_before_a_payment_is_scheduled() {
    let flow = Flow::start(Faults::default()).await;
    let mut services = flow.services().await;
    let own = [stream_relay::METRICS, dispatcher::METRICS, confirmer::METRICS];
    for (service, own) in services.iter_mut().zip(own) {
        let (_, page) = service.probe("/metrics").await.unwrap();
        let has = |series: &str| page.lines().any(|line| line.starts_with(series));
        let at_start = |metric: &&Metric| metric.is_zero_at_start();
        for metric in own.iter().chain(calls::ALL).filter(at_start) {
            assert!(has(metric.name), "{}: {} is missing", service.name, metric.name);
            let (label, values) = metric.label().unwrap_or_default();
            for value in values {
                let series = format!("{}{{{label}=\"{value}\"}} ", metric.name);
                assert!(has(&series), "{}: {series} is missing", service.name);
            }
        }
        let samples = service.samples().await.unwrap();
        assert!(has("dueflow_build_info{") && samples.sum("process_open_fds") > 0.0, "{page}");
        for metric in own.iter().filter(|metric| metric.name.contains("dead_lettered")) {
            assert_eq!(samples.sum(metric.name), 0.0, "{}", metric.name);
        }
    }
    let limit = services[1].samples().await.unwrap().sum("dueflow_dispatcher_concurrency_limit");
    assert!(limit > 0.0, "the limit is known from the start");
    stop(services).await;
}
