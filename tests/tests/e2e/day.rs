//! A day of the bank that begins.

use demo::local_world::Process;
use domain::Status;
use local::transactions::Faults;
use tests::world::where_the_day_begins_in;

use crate::flow::{Flow, impatient, metric, stop, until_counted};

const PAYMENTS: u32 = 4_000;
const OPENED: &str = "dueflow_stream_relay_day_opening_payments_total";

fn in_zone(zone: &str) -> Vec<(&'static str, String)> {
    let mut settings = impatient();
    settings.push(("DUEFLOW_TIME_ZONE", zone.to_owned()));
    settings
}

async fn others(flow: &Flow, zone: &str) -> Vec<Process> {
    let settings = in_zone(zone);
    vec![
        flow.service_with("dispatcher", "dispatcher", &settings).await,
        flow.service_with("confirmer", "confirmer", &settings).await,
    ]
}

async fn relay(flow: &Flow, name: &str, zone: &str) -> Process {
    let mut settings = in_zone(zone);
    settings.push(("DUEFLOW_OPENING_DELAY", "0s".to_owned()));
    // Slowly, so that a crash finds it in the middle.
    settings.push(("DUEFLOW_RELAY_SENDS", "1".to_owned()));
    flow.service_with("stream-relay", name, &settings).await
}

#[tokio::test(flavor = "multi_thread")]
async fn payments_for_tomorrow_leave_when_the_banks_day_comes_though_its_opening_is_killed() {
    let mut flow = Flow::start(Faults::default()).await;
    let zone = where_the_day_begins_in(3600);
    flow.world.move_to(&zone).await.unwrap();
    let mut evening = relay(&flow, "evening", &zone).await;
    let by_day = others(&flow, &zone).await;
    flow.schedule(PAYMENTS, 200).await;
    until_counted(&mut evening, "dueflow_stream_relay_records_total", f64::from(PAYMENTS)).await;
    assert_eq!(flow.count(Status::Scheduled).await, PAYMENTS as usize, "some left a day early");
    stop(vec![evening]).await;
    stop(by_day).await;

    let morning = where_the_day_begins_in(-1);
    flow.world.move_to(&morning).await.unwrap();
    let by_day = others(&flow, &morning).await;
    let mut killed = relay(&flow, "killed", &morning).await;
    until_counted(&mut killed, OPENED, 1.0).await;
    killed.kill().await.unwrap();

    let mut finishing = relay(&flow, "finishing", &morning).await;
    flow.until_ended().await;
    let rest = metric(&mut finishing, OPENED).await;
    assert!(rest > 0.0, "the first was killed after it had opened the whole day");
    stop(vec![finishing]).await;
    stop(by_day).await;
    flow.assert_all_settled_once().await;
}
