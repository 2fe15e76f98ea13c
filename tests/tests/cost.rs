//! What a payment costs, from the database's own figures, and what the document says of it.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::num::{NonZeroU16, NonZeroU32};
use std::sync::{Arc, OnceLock};

use domain::{
    AccountId, Amount, BeneficiaryId, Data, DataBlob, DueDate, Payment, PaymentId, Settlement,
    Status,
};
use shared::payments::archive::{Counters, DayPlan, PaymentsAndArchive, archive_day};
use shared::payments::{
    ApplyResult, Change, InsertResult, PaymentStore, PaymentsTable, StatusCounter, check_size,
};
use shared::telemetry::Metrics;
use shared::telemetry::calls::{READ_UNITS, WRITE_UNITS};
use shared::testing::sample_payment;
use tests::world::without_services;
use tokio::sync::OnceCell;

/// Payments of each size: two batches of statements, so that reads of the index spread.
const PAYMENTS: usize = 50;

/// A row of the document.
#[derive(Debug, Clone, Copy)]
struct Row {
    /// Its name there.
    name: &'static str,
    /// Bytes with all that it gets until PROCESSED, or without a blob when that is more.
    bytes: usize,
    /// Most write units from insert to PROCESSED.
    processed: f64,
    /// Most write units from insert to archived.
    archived: f64,
}

const ROWS: [Row; 3] = [
    Row { name: "300 B", bytes: 0, processed: 6.0, archived: 11.0 },
    Row { name: "1 KB", bytes: 1_024, processed: 6.0, archived: 11.0 },
    Row { name: "8 KB", bytes: 8_192, processed: 14.0, archived: 26.0 },
];

/// Units of one payment.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Measured {
    processed: f64,
    archived: f64,
    /// Read units from insert to PROCESSED.
    read: f64,
}

static MEASURED: OnceCell<Vec<Measured>> = OnceCell::const_new();

/// Measured once in a process, in the order of [`ROWS`].
async fn measured() -> &'static [Measured] {
    MEASURED.get_or_init(measure).await
}

async fn measure() -> Vec<Measured> {
    let metrics = Metrics::install(&[]).unwrap();
    let (world, _dir) = without_services().await.unwrap();
    let client = world.aws.dynamodb("test");
    let table = PaymentsTable::new(client.clone(), &world.names.payments_table(), 16);
    let tables = Arc::new(PaymentsAndArchive::new(&client, &world.names, 16));
    let each = |name| metrics.samples().sum(name) / PAYMENTS as f64;
    let written = || each(WRITE_UNITS.name);
    let read = || each(READ_UNITS.name);

    let first_day: DueDate = "2026-11-20".parse().unwrap();
    let mut all = Vec::new();
    for (row, back) in ROWS.iter().zip(0..) {
        let day = first_day.days_before(back);
        let payments: Vec<_> = (0..PAYMENTS).map(|_| payment(day, row.bytes)).collect();
        let (before, read_before) = (written(), read());
        process(&table, &payments).await;
        let (processed, read) = (written() - before, read() - read_before);
        let (rate, writers) = (NonZeroU32::MAX, NonZeroU16::MIN);
        let plan = DayPlan { day, rate, writers };
        let counters = Arc::new(Counters::default());
        let summary = archive_day(Arc::clone(&tables), plan, counters).await.unwrap();
        assert_eq!(summary.archived, PAYMENTS as u64);
        all.push(Measured { processed, archived: written() - before, read });
    }
    let _ = BATCH_CLOCK.set(count_days(&table, &metrics, first_day.days_after(1)).await);
    all
}

/// Payments of the larger of two days that are counted.
const DAY: usize = 4_000;

/// Read units of one measurement of the batch clock: of a day of a few payments, and of one of
/// [`DAY`].
static BATCH_CLOCK: OnceLock<[f64; 2]> = OnceLock::new();

async fn count_days(table: &PaymentsTable, metrics: &Metrics, day: DueDate) -> [f64; 2] {
    let mut units = [0.0; 2];
    for ((payments, ahead), units) in [(PAYMENTS, 0), (DAY, 1)].into_iter().zip(&mut units) {
        let day = day.days_after(ahead);
        let inserted: Vec<_> = (0..payments).map(|_| payment(day, 0)).collect();
        table.insert(&inserted).await.unwrap();
        let before = metrics.samples().labelled(READ_UNITS.name, "operation", "count");
        let mut counted = 0;
        for partition in table.partitions() {
            let mut cursor = None;
            loop {
                let (counts, next) = table.count_statuses((day, partition), cursor).await.unwrap();
                counted += counts.of(Status::Scheduled);
                cursor = next;
                if cursor.is_none() {
                    break;
                }
            }
        }
        assert_eq!(counted, payments as u64);
        *units = metrics.samples().labelled(READ_UNITS.name, "operation", "count") - before;
    }
    units
}

#[tokio::test(flavor = "multi_thread")]
async fn a_measurement_of_the_batch_clock_costs_the_read_units_of_its_day() {
    measured().await;
    let [few, many] = *BATCH_CLOCK.get().unwrap();
    assert_eq!(few, 8.0, "half a unit for each of 16 partitions");
    let each = many / DAY as f64;
    assert!((0.02..=0.04).contains(&each), "{each} for each payment");
}

/// A payment of so many bytes, with all that it gets until PROCESSED: with a transaction id of
/// 36 characters the item stays a little below.
fn payment(due: DueDate, bytes: usize) -> Payment {
    let mut payment = Payment {
        id: PaymentId::generate(),
        account: AccountId::parse("ACC-000017").unwrap(),
        due,
        amount: Amount::from_minor_units(1250).unwrap(),
        beneficiary: BeneficiaryId::parse("BEN-00009").unwrap(),
        created_at: jiff::Timestamp::now(),
        ..sample_payment()
    };
    let rest = check_size(&payment).unwrap() + "DataBlob".len();
    if let Some(blob) = bytes.checked_sub(rest) {
        payment.data = Some(Data::Whole(DataBlob::new("x".repeat(blob)).unwrap()));
        assert_eq!(check_size(&payment), Ok(bytes));
    }
    payment
}

/// What the services ask of the table on the way to PROCESSED.
async fn process(table: &PaymentsTable, payments: &[Payment]) {
    let now = jiff::Timestamp::now();
    let inserted = table.insert(payments).await.unwrap();
    assert!(inserted.iter().all(|result| *result == InsertResult::New), "{inserted:?}");
    // As the messages carry them. The relay has them from the stream.
    let queued: Vec<_> = payments
        .iter()
        .map(|payment| {
            let beside = check_size(payment).unwrap() > 1_024;
            let digest = payment.data.as_ref().filter(|_| beside).map(Data::digest);
            let data = digest.map_or_else(|| payment.data.clone(), |it| Some(Data::Beside(it)));
            Payment { data, ..payment.clone() }
        })
        .collect();
    let settlements: Vec<_> = payments
        .iter()
        .map(|_| Settlement { transaction_id: PaymentId::generate().to_string(), settled_at: now })
        .collect();
    let references: Vec<_> = payments.iter().map(Payment::reference).collect();
    let claims: Vec<_> = queued.iter().map(Change::Claim).collect();
    let settled = references.iter().zip(&settlements).map(|(at, it)| Change::Settle(at, it));
    let settled: Vec<_> = settled.collect();
    let wanted = queued.iter().filter_map(|it| Some((it.reference(), it.blob_beside()?)));
    let wanted: Vec<_> = wanted.collect();
    for changes in [claims, settled] {
        let results = table.apply(&changes, now).await.unwrap();
        assert!(results.iter().all(|result| *result == Ok(ApplyResult::Now)), "{results:?}");
    }
    // As the dispatcher does for each ten that it receives.
    for wanted in wanted.chunks(10) {
        assert!(table.blobs(wanted).await.unwrap().iter().all(Result::is_ok));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_payment_of_at_most_1_kb_costs_six_write_units_from_insert_to_processed() {
    for (row, measured) in ROWS.iter().zip(measured().await).filter(|(row, _)| row.bytes <= 1_024) {
        assert_eq!(measured.processed, row.processed, "{}", row.name);
        assert_eq!(measured.read, 0.0, "{}", row.name);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_payment_of_8_kb_costs_fourteen_write_units_from_insert_to_processed() {
    let (row, measured) = (ROWS[2], measured().await[2]);
    assert_eq!(measured.processed, row.processed);
    assert_eq!(measured.read, 2.0, "its blob is read once");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_payment_costs_eleven_write_units_to_the_archive_and_one_of_8_kb_twenty_six() {
    for (row, measured) in ROWS.iter().zip(measured().await) {
        assert!(measured.archived <= row.archived, "{}: {measured:?}", row.name);
        assert!(measured.archived > measured.processed, "the meter does not see the archive");
    }
}

/// List prices in dollars per million: write units, read units, requests to SQS FIFO. Where
/// they are from is in the document.
const PRICES: [f64; 3] = [0.625, 0.125, 0.5];

#[tokio::test(flavor = "multi_thread")]
async fn the_figures_of_the_cost_document_are_the_measured_ones() {
    let root = concat!(env!("CARGO_MANIFEST_DIR"), "/..");
    let document = std::fs::read_to_string(format!("{root}/docs/cost.md")).unwrap();
    let readme = std::fs::read_to_string(format!("{root}/README.md")).unwrap();
    let requests = readme.lines().find(|line| line.starts_with("cost ")).unwrap();
    let requests = requests.split(", ").last().unwrap().split(' ').next().unwrap();
    let [write, read, sqs] = PRICES;
    for (row, measured) in ROWS.iter().zip(measured().await) {
        let queues = requests.parse::<f64>().unwrap() * sqs;
        let dollars = measured.processed * write + measured.read * read + queues;
        let archived = dollars + (measured.archived - measured.processed) * write;
        let figures = format!(
            "| {} | {:.0} | {:.0} | {requests} | ${dollars:.2} | {:.0} | ${archived:.2} |",
            row.name, measured.processed, measured.read, measured.archived
        );
        assert!(document.lines().any(|line| line == figures), "not in docs/cost.md: {figures}");
    }
}
