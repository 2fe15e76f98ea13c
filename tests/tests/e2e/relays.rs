//! Several relays, and a stream that has lost something.

use std::sync::Arc;
use std::time::{Duration, Instant};

use async_trait::async_trait;
use aws_sdk_dynamodb::types::{AttributeValue, StreamSpecification};
use demo::local_world::{Process, World};
use domain::Status;
use local::transactions::Faults;
use shared::config::Settings;
use shared::resources::lease::KEY;
use shared::setup::set_up;
use shared::shutdown::Shutdown;
use shared::telemetry::Metrics;
use shared::telemetry::admin::Readiness;
use stream_relay::{
    Checkpoint, Deps, METRICS, Page, RelayConfig, Shard, ShardSource, StreamError, run,
};

use crate::flow::{Flow, PATIENCE, impatient, metric, stop};

/// A lease that was given up is taken long before one that must expire (10 s).
const AT_ONCE: Duration = Duration::from_secs(9);

async fn until_it_reads(relay: &mut Process, patience: Duration) {
    let asked_at = Instant::now();
    while metric(relay, "dueflow_stream_relay_leased_shards").await < 1.0 {
        assert!(asked_at.elapsed() < patience, "{} reads nothing", relay.name);
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_relay_takes_over_from_one_that_was_killed_and_from_one_that_ends() {
    let mut flow = Flow::start(Faults::default()).await;
    let others = vec![flow.service("dispatcher").await, flow.service("confirmer").await];
    let mut killed = flow.service_with("stream-relay", "relay-a", &impatient()).await;
    until_it_reads(&mut killed, PATIENCE).await;
    let mut ended = flow.service_with("stream-relay", "relay-b", &impatient()).await;
    flow.schedule(50, 5).await;
    flow.until(Status::Processed, 50).await;
    assert!(
        metric(&mut ended, "dueflow_stream_relay_leased_shards").await < 1.0,
        "the one shard has two readers"
    );

    killed.kill().await.unwrap();
    flow.schedule(50, 5).await;
    until_it_reads(&mut ended, PATIENCE).await;
    flow.until(Status::Processed, 100).await;

    let mut last = flow.service_with("stream-relay", "relay-c", &impatient()).await;
    flow.schedule(50, 5).await;
    stop(vec![ended]).await;
    until_it_reads(&mut last, AT_ONCE).await;
    flow.until_ended().await;
    stop(others).await;
    stop(vec![last]).await;
    flow.assert_all_settled_once().await;
}

/// A relay that reads ends by itself, and its log says why.
async fn until_it_ends(flow: &Flow, relay: &mut Process, why: &str) {
    let asked_at = Instant::now();
    let status = loop {
        if let Some(status) = relay.ended().unwrap() {
            break status;
        }
        assert!(asked_at.elapsed() < PATIENCE, "it reads a stream that gets no more records");
        tokio::time::sleep(Duration::from_millis(50)).await;
    };
    assert!(!status.success(), "it ended with {status}");
    let log = std::fs::read_to_string(flow.world.dir.join("stream-relay.log")).unwrap();
    assert!(log.contains(why), "{log}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_relay_whose_table_was_replaced_ends_so_that_it_is_started_for_the_new_stream() {
    let flow = Flow::start(Faults::default()).await;
    let mut relay = flow.service("stream-relay").await;
    until_it_reads(&mut relay, PATIENCE).await;
    let World { aws, names, .. } = &flow.world;
    let deleting = aws.dynamodb("test").delete_table().table_name(names.payments_table());
    deleting.send().await.unwrap();
    set_up(aws, names).await.unwrap();
    until_it_ends(&flow, &mut relay, "has a new stream").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_relay_whose_table_has_no_stream_any_more_ends_and_says_so() {
    let flow = Flow::start(Faults::default()).await;
    let mut relay = flow.service("stream-relay").await;
    until_it_reads(&mut relay, PATIENCE).await;
    let World { aws, names, .. } = &flow.world;
    let off = StreamSpecification::builder().stream_enabled(false).build().unwrap();
    let update = aws.dynamodb("test").update_table().table_name(names.payments_table());
    update.stream_specification(off).send().await.unwrap();
    until_it_ends(&flow, &mut relay, "has no stream").await;
}

/// A stream whose records were all dropped before they were read.
#[derive(Debug)]
struct Forgetful;

#[async_trait]
impl ShardSource for Forgetful {
    fn name(&self) -> &str {
        "forgetful"
    }

    async fn shards(&self) -> Result<Vec<Shard>, StreamError> {
        Ok(vec![Shard { id: "shard".to_owned(), parents: Vec::new() }])
    }

    async fn iterator(&self, _: &str, from: &Checkpoint) -> Result<Option<String>, StreamError> {
        match from {
            Checkpoint::TrimHorizon => Ok(Some("next".to_owned())),
            Checkpoint::After(_) | Checkpoint::ShardEnd => Err(StreamError::Trimmed),
        }
    }

    async fn page(&self, iterator: &str) -> Result<Page, StreamError> {
        Ok(Page { records: Vec::new(), next: Some(iterator.to_owned()) })
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn payments_that_the_stream_has_lost_are_swept_from_the_table_and_settled_once() {
    const PAYMENTS: u32 = 500;
    let metrics = Metrics::install(METRICS).unwrap();
    let mut flow = Flow::start(Faults::default()).await;
    flow.schedule(PAYMENTS, 20).await;
    let aws = &flow.world.aws;
    // A relay was here, and read up to a record that is long gone.
    let put = aws.dynamodb("test").put_item().table_name(flow.world.names.leases_table());
    put.item(KEY, AttributeValue::S("forgetful/shard".to_owned()))
        .item("LeaseCounter", AttributeValue::N("7".to_owned()))
        .item("Checkpoint", AttributeValue::S("100".to_owned()))
        .send()
        .await
        .unwrap();

    let mut settings = Settings::load(std::iter::empty());
    let config = RelayConfig::read(&mut settings).unwrap();
    let deps = Deps::connect(aws, &flow.world.names, 16, &config).await.unwrap();
    let deps = deps.reading_from(Arc::new(Forgetful));
    let shutdown = Shutdown::new(Duration::from_secs(25));
    let stopping = shutdown.clone();
    let relay =
        tokio::spawn(async move { run(deps, &config, Readiness::default(), stopping).await });
    let services = vec![flow.service("dispatcher").await, flow.service("confirmer").await];
    flow.until_ended().await;
    stop(services).await;
    flow.assert_all_settled_once().await;

    let count = |name: &str| metrics.samples().sum(name);
    let asked_at = Instant::now();
    while count("dueflow_stream_relay_gap_recoveries_total") < 1.0 {
        assert!(asked_at.elapsed() < PATIENCE, "the sweep does not end");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    assert_eq!(count("dueflow_stream_relay_trim_gaps_total"), 1.0);
    assert_eq!(count("dueflow_stream_relay_gap_recovery_payments_total"), f64::from(PAYMENTS));
    shutdown.request();
    relay.await.unwrap().unwrap();
}
