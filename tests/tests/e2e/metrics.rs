//! Metrics as the services serve them.

use local::transactions::Faults;
use shared::telemetry::{Metric, calls};

use crate::flow::{Flow, impatient, stop, until_counted, until_reached};

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

#[tokio::test(flavor = "multi_thread")]
async fn after_some_payments_the_pages_show_how_long_they_took_and_how_the_batch_stands() {
    let mut flow = Flow::start(Faults::default()).await;
    let mut settings = impatient();
    settings.push(("DUEFLOW_BATCH_CLOCK_INTERVAL", "5s".to_owned()));
    let mut relay = flow.service_with("stream-relay", "stream-relay", &settings).await;
    let mut second = flow.service_with("stream-relay", "second", &settings).await;
    let mut dispatcher = flow.service("dispatcher").await;
    let mut confirmer = flow.service("confirmer").await;
    flow.schedule(60, 6).await;
    flow.until_ended().await;
    let (pending, processed) = (
        "dueflow_dispatcher_time_to_pending_seconds",
        "dueflow_confirmer_time_to_processed_seconds",
    );
    until_counted(&mut dispatcher, &format!("{pending}_count"), 60.0).await;
    until_counted(&mut confirmer, &format!("{processed}_count"), 60.0).await;
    for (service, name) in [(&mut dispatcher, pending), (&mut confirmer, processed)] {
        let samples = service.samples().await.unwrap();
        let within = |bound| samples.labelled(&format!("{name}_bucket"), "le", bound);
        assert_eq!((within("3600"), within("120")), (60.0, 60.0), "inserted seconds ago");
        assert!(samples.sum("dueflow_sqs_batch_entries_total") >= 60.0, "{name}");
        let duty = samples.labelled("dueflow_last_success_timestamp_seconds", "duty", "receive");
        assert!(duty > 1.7e9, "{name}: {duty}");
    }
    let shows = relay.samples().await.unwrap().has_prefix("dueflow_batch_");
    let (holder, other) = if shows { (&mut relay, &mut second) } else { (&mut second, &mut relay) };
    let payments = "dueflow_batch_payments";
    until_reached(holder, payments, 60.0, |samples| {
        samples.labelled(payments, "status", "processed")
    })
    .await;
    let samples = holder.samples().await.unwrap();
    let of = |name: &str| samples.sum(name);
    assert!(of("dueflow_batch_reserve_seconds") > 1_000.0, "{samples:?}");
    assert_eq!(of("dueflow_batch_required_rate_per_second"), 0.0);
    let deadline = of("dueflow_batch_deadline_timestamp_seconds");
    let reserve = deadline - of("dueflow_batch_finish_timestamp_seconds");
    assert!((reserve - of("dueflow_batch_reserve_seconds")).abs() < 0.01);
    let queues = ["payments", "confirmations", "dead_letters"];
    let page = holder.probe("/metrics").await.unwrap().1;
    for queue in queues {
        let series = format!("dueflow_queue_visible_messages{{queue=\"{queue}\"}} ");
        assert!(page.lines().any(|line| line.starts_with(&series)), "{page}");
    }
    let absent = other.samples().await.unwrap();
    assert!(!absent.has_prefix("dueflow_batch_") && !absent.has_prefix("dueflow_queue_"));
    stop(vec![relay, second, dispatcher, confirmer]).await;
}
