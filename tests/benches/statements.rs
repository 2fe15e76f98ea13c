//! Claims and settlements one `UpdateItem` at a time against 10 in one
//! `BatchExecuteStatement`, on the same local `DynamoDB` in one run (ADR-5).
//!
//! `cargo bench -p tests --bench statements`

#![expect(clippy::unwrap_used, reason = "a benchmark that cannot go on has failed")]

use std::sync::Arc;
use std::time::{Duration, Instant};

use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::types::{AttributeValue, ReturnConsumedCapacity};
use demo::local_world::{World, temporary_folder};
use demo::{SchedulePlan, schedule};
use domain::{Payment, PaymentId, Settlement, Status};
use jiff::Timestamp;
use local::LocalOptions;
use local::transactions::Faults;
use shared::payments::{Change, PaymentStore, PaymentsTable};
use tokio::task::JoinSet;

const PAYMENTS: u32 = 4_000;
const IN_FLIGHT: usize = 8;
const BATCH: usize = 10;

#[tokio::main(flavor = "multi_thread", worker_threads = 2)]
async fn main() {
    let dir = temporary_folder().unwrap();
    let options = LocalOptions::passing(dir.path(), Faults::default());
    let world = World::start(options, "dueflow".parse().unwrap(), "".into()).await.unwrap();
    let name = world.names.payments_table();
    let table = Arc::new(PaymentsTable::new(world.aws.dynamodb("bench"), &name, 16));
    println!("{PAYMENTS} payments, claimed and settled, {IN_FLIGHT} requests in flight");
    let mut rates = Vec::new();
    for round in 1..=3 {
        let single =
            run(&table, |payments| single(world.aws.dynamodb("bench"), name.clone(), payments))
                .await;
        let batched = run(&table, |payments| batched(Arc::clone(&table), payments)).await;
        for (how, cost) in [("UpdateItem", single), ("BatchExecuteStatement", batched)] {
            println!(
                "round {round}  {how:<22} {:>6.0} payments/s  database {:.2}, client {:.2} CPU s per 1,000",
                cost.rate, cost.database, cost.client
            );
        }
        rates.push(batched.rate / single.rate);
    }
    rates.sort_by(f64::total_cmp);
    println!("BatchExecuteStatement is {:.2} times as fast (median of {})", rates[1], rates.len());
    world.local.stop().await.unwrap();
}

#[derive(Clone, Copy)]
struct Cost {
    rate: f64,
    database: f64,
    client: f64,
}

/// Schedules payments (not measured), then claims and settles them with `work`.
async fn run<F: Future<Output = ()>>(
    table: &Arc<PaymentsTable>,
    work: impl FnOnce(Vec<Payment>) -> F,
) -> Cost {
    let plan = SchedulePlan { payments: PAYMENTS, accounts: 400, rate: None };
    schedule(Arc::clone(table), plan, Arc::default()).await.unwrap();
    let payments = scheduled(table).await;
    let (cpu, started) = (cpu(), Instant::now());
    work(payments).await;
    let seconds = started.elapsed().as_secs_f64();
    let (database, client) = (self::cpu().0 - cpu.0, self::cpu().1 - cpu.1);
    let per_1000 = |time: Duration| time.as_secs_f64() * 1000.0 / f64::from(PAYMENTS);
    Cost {
        rate: f64::from(PAYMENTS) / seconds,
        database: per_1000(database),
        client: per_1000(client),
    }
}

async fn scheduled(table: &PaymentsTable) -> Vec<Payment> {
    let mut payments = Vec::new();
    let mut cursor = None;
    loop {
        let (page, next) = table.scan_page(cursor).await.unwrap();
        let open = page.into_iter().filter(|stored| stored.status == Status::Scheduled);
        payments.extend(open.map(|stored| stored.payment));
        match next {
            Some(next) => cursor = Some(next),
            None => return payments,
        }
    }
}

/// CPU time of the database's thread and of all others.
fn cpu() -> (Duration, Duration) {
    let (mut database, mut others) = (Duration::ZERO, Duration::ZERO);
    for task in std::fs::read_dir("/proc/self/task").unwrap() {
        let task = task.unwrap().path();
        let Ok(stat) = std::fs::read_to_string(task.join("schedstat")) else {
            continue;
        };
        let nanos: u64 = stat.split_whitespace().next().unwrap().parse().unwrap();
        let is_database = std::fs::read_to_string(task.join("comm"))
            .is_ok_and(|name| name.trim() == "local-dynamodb");
        *(if is_database { &mut database } else { &mut others }) += Duration::from_nanos(nanos);
    }
    (database, others)
}

fn settlement() -> Settlement {
    Settlement { transaction_id: PaymentId::generate().to_string(), settled_at: Timestamp::now() }
}

async fn batched(table: Arc<PaymentsTable>, payments: Vec<Payment>) {
    in_flight(payments.chunks(BATCH).map(<[Payment]>::to_vec), |batch: Vec<Payment>| {
        let table = Arc::clone(&table);
        async move {
            let now = Timestamp::now();
            let claims: Vec<_> = batch.iter().map(Change::Claim).collect();
            assert!(table.apply(&claims, now).await.unwrap().iter().all(Result::is_ok));
            let done: Vec<_> = batch.iter().map(|p| (p.reference(), settlement())).collect();
            let settles: Vec<_> = done.iter().map(|(r, s)| Change::Settle(r, s)).collect();
            assert!(table.apply(&settles, now).await.unwrap().iter().all(Result::is_ok));
        }
    })
    .await;
}

async fn single(client: Client, table: String, payments: Vec<Payment>) {
    in_flight(payments, |payment: Payment| {
        let (client, table) = (client.clone(), table.clone());
        async move {
            update(&client, &table, &payment, "SCHEDULED", "PENDING", None).await;
            update(&client, &table, &payment, "PENDING", "PROCESSED", Some(settlement())).await;
        }
    })
    .await;
}

async fn update(
    client: &Client,
    table: &str,
    payment: &Payment,
    from: &str,
    to: &str,
    settlement: Option<Settlement>,
) {
    let text = |text: &str| AttributeValue::S(text.to_owned());
    let mut set = "SET #s = :to, UpdatedAt = :now".to_owned();
    let mut request = client
        .update_item()
        .table_name(table)
        .key("PK", text(&format!("ACCOUNT#{}", payment.account)))
        .key("SK", text(&format!("{}#{}", payment.due, payment.id)))
        .condition_expression("#s = :from")
        .expression_attribute_names("#s", "Status")
        .expression_attribute_values(":from", text(from))
        .expression_attribute_values(":to", text(to))
        .expression_attribute_values(":now", text(&Timestamp::now().to_string()))
        .return_consumed_capacity(ReturnConsumedCapacity::Total);
    if let Some(settlement) = settlement {
        set.push_str(", TransactionID = :id, SettledAt = :at");
        request = request
            .expression_attribute_values(":id", text(&settlement.transaction_id))
            .expression_attribute_values(":at", text(&settlement.settled_at.to_string()));
    }
    request.update_expression(set).send().await.unwrap();
}

/// Works on all items, so many at once.
async fn in_flight<T, F>(items: impl IntoIterator<Item = T>, work: impl Fn(T) -> F)
where
    F: Future<Output = ()> + Send + 'static,
{
    let mut running = JoinSet::new();
    for item in items {
        if running.len() == IN_FLIGHT {
            running.join_next().await.unwrap().unwrap();
        }
        running.spawn(work(item));
    }
    running.join_all().await;
}
