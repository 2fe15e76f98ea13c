//! The queries over many live payments on the local `DynamoDB`: `dueflow payments due` as a
//! process of its own, and 90 days of one account while payments are claimed and settled.
//!
//! `cargo bench -p tests --bench queries -- 1000000` (20,000 payments by default)

#![expect(clippy::unwrap_used, reason = "a benchmark that cannot go on has failed")]

use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use demo::local_world::{World, temporary_folder};
use demo::{SchedulePlan, schedule};
use domain::{AccountId, DueDate, Payment, PaymentId, Settlement, Status};
use jiff::Timestamp;
use local::LocalOptions;
use local::transactions::Faults;
use shared::payments::{Change, PaymentStore, PaymentsTable};
use tokio::task::JoinHandle;

const DUEFLOW: &str = env!("CARGO_BIN_EXE_dueflow-under-test");

/// Days of one account that are asked for.
const DAYS: u16 = 90;
/// Accounts with a payment on each of these days.
const FAR_AHEAD: u32 = 50;
/// Questions for one account.
const QUESTIONS: usize = 1_000;
/// Payments claimed and settled in one request, as a dispatcher does.
const BATCH: usize = 10;
/// Such requests at the same time.
const WORKERS: usize = 2;
/// Payments claimed before, so that two statuses are asked for.
const RARE: usize = 200;

fn main() {
    // A test runner asks for names before it runs anything.
    if std::env::args().any(|argument| argument == "--list") {
        return;
    }
    let mut runtime = tokio::runtime::Builder::new_multi_thread();
    let runtime = runtime.worker_threads(2).enable_all().build();
    runtime.unwrap().block_on(measure());
}

async fn measure() {
    let payments = std::env::args().skip(1).find_map(|count| count.parse().ok()).unwrap_or(20_000);
    let dir = temporary_folder().unwrap();
    let options = LocalOptions::passing(dir.path(), Faults::default());
    let world = World::start(options, "dueflow".parse().unwrap(), DUEFLOW.into()).await.unwrap();
    let name = world.names.payments_table();
    let table = Arc::new(PaymentsTable::new(world.aws.dynamodb("bench"), &name, 16));
    let began = Instant::now();
    let plan = SchedulePlan { payments, accounts: (payments / 20).max(1), rate: None };
    schedule(Arc::clone(&table), plan, Arc::default()).await.unwrap();
    let example = first(&table).await;
    let today = example.due;
    far_ahead(&table, &example).await;
    let open = some(&table, today, RARE).await;
    let claims: Vec<_> = open.iter().map(Change::Claim).collect();
    table.apply(&claims, Timestamp::now()).await.unwrap();
    println!(
        "{payments} payments of {today} and {FAR_AHEAD} accounts with {DAYS} days ahead; scheduled in {:.0?}",
        began.elapsed()
    );

    println!("payments due --date {today}        first line     whole     lines   peak memory");
    list(&world, today, &["--status", "SCHEDULED", "--json"]);
    list(&world, today, &["--status", "PENDING", "--json"]);
    list(&world, today, &["--status", "SCHEDULED", "--details", "--json", "--limit", "100000"]);
    list(&world, today, &["--status", "SCHEDULED", "--count", "--json"]);
    one_account(&table, today, "nothing else").await;
    let batch = Batch::start(&table, today);
    one_account(&table, today, "the batch").await;
    let (worked, elapsed) = batch.end().await;
    let rate = worked as f64 / elapsed.as_secs_f64();
    println!("the batch claimed and settled {worked} payments, {rate:.0} per second");
}

async fn first(table: &PaymentsTable) -> Payment {
    table.scan_page(None).await.unwrap().0.remove(0).payment
}

/// Up to so many SCHEDULED payments of a day.
async fn some(table: &Arc<PaymentsTable>, day: DueDate, most: usize) -> Vec<Payment> {
    use shared::payments::DueTable;
    let mut scan = table.due(day, Status::Scheduled, None).unwrap();
    let page = scan.next(most).await.unwrap().unwrap();
    let found = table.get_many(&page.references).await.unwrap();
    found.into_iter().map(|(_, stored)| stored.unwrap().payment).collect()
}

fn account(number: u32) -> AccountId {
    AccountId::parse(format!("AHEAD-{number}")).unwrap()
}

/// Payments on each day of some accounts.
async fn far_ahead(table: &PaymentsTable, example: &Payment) {
    for number in 0..FAR_AHEAD {
        let on = |day| Payment {
            id: PaymentId::generate(),
            account: account(number),
            due: example.due.days_after(day),
            ..example.clone()
        };
        let payments: Vec<_> = (0..DAYS).map(on).collect();
        table.insert(&payments).await.unwrap();
    }
}

/// Runs `dueflow payments due` and prints how it went.
fn list(world: &World, day: DueDate, arguments: &[&str]) {
    let began = Instant::now();
    let mut child = Command::new(DUEFLOW)
        .args(["payments", "due", "--date", &day.to_string()])
        .args(arguments)
        .envs(world.environment())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let (mut first, mut count, mut peak) = (None, 0_u64, 0);
    for line in lines {
        line.unwrap();
        first.get_or_insert_with(|| began.elapsed());
        count += 1;
        if count == 1 || count.is_multiple_of(1_000) {
            peak = peak.max(peak_memory(child.id()));
        }
    }
    let whole = began.elapsed();
    assert!(child.wait().unwrap().success());
    let first = first.unwrap();
    println!(
        "{:<34} {first:>11.2?} {whole:>9.2?} {count:>9} {:>8.1} MiB",
        arguments.join(" ").replace(" --json", ""),
        peak as f64 / 1024.0,
    );
}

/// Peak memory of a process in KiB; 0 where there is no `/proc`.
fn peak_memory(pid: u32) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    peak.and_then(|peak| peak.split_whitespace().next()?.parse().ok()).unwrap_or_default()
}

/// Asks for the days of one account after the other.
async fn one_account(table: &PaymentsTable, today: DueDate, beside: &str) {
    let mut times = Vec::with_capacity(QUESTIONS);
    for question in 0..QUESTIONS {
        let account = account(question as u32 % FAR_AHEAD);
        let began = Instant::now();
        let days = today..=today.days_after(DAYS - 1);
        let page = table.upcoming(&account, days, None, None).await.unwrap();
        times.push(began.elapsed());
        assert_eq!((page.payments.len(), page.next), (DAYS.into(), None));
    }
    times.sort_unstable();
    let at = |percent: usize| times[(times.len() * percent / 100).min(times.len() - 1)];
    let (half, most, max) = (at(50), at(99), at(100));
    println!(
        "{DAYS} days of one account beside {beside}: p50 {half:.1?}, p99 {most:.1?}, max {max:.1?}"
    );
}

/// Claims and settles the payments of a day, batch after batch, until it is told to end.
struct Batch {
    ending: Arc<AtomicBool>,
    worked: Arc<AtomicU64>,
    workers: Vec<JoinHandle<()>>,
    began: Instant,
}

impl Batch {
    fn start(table: &Arc<PaymentsTable>, day: DueDate) -> Self {
        let ending = Arc::new(AtomicBool::new(false));
        let worked = Arc::new(AtomicU64::new(0));
        let scan = table.due(day, Status::Scheduled, None).unwrap();
        let pages = Arc::new(tokio::sync::Mutex::new(scan.pages(BATCH, None)));
        let workers = (0..WORKERS).map(|_| {
            let (ending, worked) = (Arc::clone(&ending), Arc::clone(&worked));
            let (table, pages) = (Arc::clone(table), Arc::clone(&pages));
            tokio::spawn(async move {
                while !ending.load(Ordering::Relaxed) {
                    let Some(page) = pages.lock().await.recv().await else { return };
                    worked
                        .fetch_add(work(&table, page.unwrap().references).await, Ordering::Relaxed);
                }
            })
        });
        let workers = workers.collect();
        Self { ending, worked, workers, began: Instant::now() }
    }

    async fn end(self) -> (u64, Duration) {
        self.ending.store(true, Ordering::Relaxed);
        for worker in self.workers {
            worker.await.unwrap();
        }
        (self.worked.load(Ordering::Relaxed), self.began.elapsed())
    }
}

/// Claims and settles one batch.
async fn work(table: &PaymentsTable, references: Vec<domain::PaymentRef>) -> u64 {
    use shared::payments::DueTable;
    let now = Timestamp::now();
    let found = table.get_many(&references).await.unwrap();
    let payments: Vec<_> = found.into_iter().map(|(_, stored)| stored.unwrap().payment).collect();
    let claims: Vec<_> = payments.iter().map(Change::Claim).collect();
    assert!(table.apply(&claims, now).await.unwrap().iter().all(Result::is_ok));
    let settlement =
        Settlement { transaction_id: PaymentId::generate().to_string(), settled_at: now };
    let settles: Vec<_> = references.iter().map(|r| Change::Settle(r, &settlement)).collect();
    assert!(table.apply(&settles, now).await.unwrap().iter().all(Result::is_ok));
    references.len() as u64
}
