//! The command: all readers at once, each with a deadline, then all judgements.

use std::fmt::Display;
use std::future::Future;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use aws_sdk_dynamodb::types::TableDescription;
use domain::{DueDate, Status};
use jiff::Timestamp;
use shared::aws::Aws;
use shared::config::{Common, Names};
use shared::dispatch_stop::{DispatchStops, StopTable};
use shared::installation::{Agreement, InstallationError};
use shared::payments::PaymentsTable;
use shared::resources;

use super::capacity::WriteTarget;
use super::check::{Check, CheckResult};
use super::connectivity::Connectivity;
use super::counting::{Counter, PaymentCount, ScheduledBatch};
use super::load::BatchLoad;
use super::options::PreflightOptions;
use super::queues::FoundAttributes;
use super::settings::PreflightSettings;
use super::{
    admin, backlog, capacity, clock, connectivity, dispatching, forgotten, queues, relays, report,
    service, spread, tables, unfinished,
};

/// How long the first questions may take.
const PROBE: Duration = Duration::from_secs(12);

/// How long any other reader may take.
const READ: Duration = Duration::from_secs(20);

/// How long counting the batch may take: a million payments are some 250 pages of the index.
const COUNT: Duration = Duration::from_secs(90);

/// Most pages of 4,000 entries that are counted in one partition for yesterday's PROCESSED
/// payments: how many exactly is the archive's business.
const YESTERDAY_PAGES: usize = 4;

/// The same for each earlier day, of which little should be left.
const EARLIER_PAGES: usize = 2;

/// What all checks evaluate by.
struct Preflight<'a> {
    common: &'a Common,
    settings: &'a PreflightSettings,
    options: &'a PreflightOptions,
    load: BatchLoad,
    aws: Aws,
    /// The bank's day.
    today: jiff::civil::Date,
}

/// The command.
pub(crate) async fn preflight(
    common: &Common,
    settings: &PreflightSettings,
    options: &PreflightOptions,
) -> anyhow::Result<ExitCode> {
    let minutes = |minutes: u32| Duration::from_secs(60 * u64::from(minutes));
    let load = BatchLoad {
        payments: options.payments,
        window: minutes(options.minutes),
        insertion: minutes(options.insert_minutes),
    };
    let aws = Aws::from_environment().await;
    let today = settings.days.zone.to_datetime(Timestamp::now()).date();
    let preflight = Preflight { common, settings, options, load, aws, today };
    let mut results = Box::pin(preflight.results()).await;
    // Stable: the results of one check stay in their order.
    results.sort_by_key(|result| result.check);
    report::print(&results, options)?;
    Ok(report::ended(&results, options))
}

/// A reading that ends in time, with its error as words.
async fn within<T, E: Display>(
    limit: Duration,
    reading: impl Future<Output = Result<T, E>>,
) -> Result<T, String> {
    match tokio::time::timeout(limit, reading).await {
        Ok(read) => read.map_err(|error| error.to_string()),
        Err(_) => Err(format!("no answer within {limit:?}")),
    }
}

impl Preflight<'_> {
    fn names(&self) -> &Names {
        &self.common.names
    }

    async fn results(&self) -> Vec<CheckResult> {
        let transaction = &self.settings.dispatcher.transaction;
        let silent = || Err::<Duration, _>(format!("no answer within {PROBE:?}"));
        let (connectivity, service, said) = tokio::join!(
            within(PROBE, async {
                Ok::<_, String>(connectivity::probe(&self.aws, self.names()).await)
            }),
            within(PROBE, async { Ok::<_, String>(service::ask(transaction).await) }),
            self.services(),
        );
        let service = service.unwrap_or(service::ServiceProbe { latency: silent(), ahead: None });
        let connectivity = connectivity.unwrap_or_else(|_| {
            let of =
                |service| connectivity::ServiceReply { service, answered: silent(), ahead: None };
            Connectivity { dynamodb: of("DynamoDB"), sqs: of("SQS"), payments: None }
        });
        let mut results = vec![
            connectivity::evaluate(&connectivity.dynamodb, &connectivity.sqs),
            service::evaluate(&service, transaction),
            self.concurrency(&service),
            capacity::evaluate_partitions(self.common.due_shards, &self.load),
            clock::evaluate(&[
                (connectivity.dynamodb.service, connectivity.dynamodb.ahead),
                (connectivity.sqs.service, connectivity.sqs.ahead),
                ("transaction service", service.ahead),
            ]),
        ];
        results.extend(said);
        let latency = service.latency.ok();
        let (tables, queues) =
            tokio::join!(self.database(&connectivity, latency), self.queues(&connectivity),);
        results.extend(tables);
        results.extend(queues);
        results
    }

    async fn services(&self) -> Vec<CheckResult> {
        let mut said = Vec::with_capacity(self.options.admin.len());
        let mut asking = tokio::task::JoinSet::new();
        for url in self.options.admin.clone() {
            asking.spawn(async move { admin::ask(&url).await });
        }
        while let Some(asked) = asking.join_next().await {
            match asked {
                Ok(one) => said.push(one),
                Err(error) => return vec![CheckResult::failed(Check::Services, error)],
            }
        }
        said.sort_by(|one, other| one.url.cmp(&other.url));
        admin::evaluate(&said)
    }

    fn concurrency(&self, service: &service::ServiceProbe) -> CheckResult {
        let Ok(latency) = &service.latency else {
            return CheckResult::not_checked(
                Check::Concurrency,
                "the transaction service does not answer",
            );
        };
        let limits = self.settings.dispatcher.limits.calls;
        service::evaluate_concurrency(*latency, limits, self.options.dispatchers, &self.load)
    }

    /// All that DynamoDB is asked for.
    async fn database(
        &self,
        connectivity: &Connectivity,
        latency: Option<Duration>,
    ) -> Vec<CheckResult> {
        use Check::{
            Archive, Capacity, Dispatching, Forgotten, LargestAccount, Relays, Skew, Table,
            Unfinished,
        };
        if connectivity.dynamodb.answered.is_err() {
            return [
                Table,
                Capacity,
                Dispatching,
                Relays,
                Skew,
                LargestAccount,
                Archive,
                Unfinished,
                Forgotten,
            ]
            .map(|check| CheckResult::not_checked(check, "DynamoDB cannot be used"))
            .into();
        }
        let Some(payments) = &connectivity.payments else {
            let mut results = Box::pin(self.tables()).await;
            let missing = |check| CheckResult::not_checked(check, "the payments table is missing");
            results.push(self.dispatching().await);
            results.extend(
                [Capacity, Relays, Skew, LargestAccount, Archive, Unfinished, Forgotten]
                    .map(missing),
            );
            return results;
        };
        let (tables, dispatching, relays, spread, days) = tokio::join!(
            self.tables(),
            self.dispatching(),
            self.relays(payments),
            self.spread(latency),
            self.days_before(),
        );
        let capacity = self.capacity(payments);
        [tables, capacity, vec![dispatching, relays], spread, days].into_iter().flatten().collect()
    }

    async fn dispatching(&self) -> CheckResult {
        let client = self.aws.dynamodb("preflight");
        let stops = StopTable::new(client, self.names().control_table());
        dispatching::evaluate(within(READ, stops.read()).await)
    }

    async fn tables(&self) -> Vec<CheckResult> {
        let client = self.aws.dynamodb("preflight");
        let mut results = Vec::new();
        for wanted in resources::tables(self.names()) {
            results.push(match Box::pin(within(READ, tables::read(&client, &wanted.name))).await {
                Ok(facts) => tables::evaluate(&wanted, &facts),
                Err(reason) => {
                    CheckResult::failed(Check::Table, format!("{}: {reason}", wanted.name))
                }
            });
        }
        results.extend(self.installation().await);
        results
    }

    /// What services refuse to start for; the clock has a check of its own.
    async fn installation(&self) -> Option<CheckResult> {
        let agreement = Agreement::new(&self.aws, self.common);
        let checked = tokio::time::timeout(READ, agreement.check()).await;
        let remedy = "give every service and command the values of `dueflow setup`";
        let needed = "time zone and number of shards as stored";
        match checked {
            Ok(Ok(()) | Err(InstallationError::Clock { .. })) => None,
            Ok(Err(error)) => {
                Some(CheckResult::no_go(Check::Table, error.to_string(), needed, remedy))
            }
            Err(_) => Some(CheckResult::failed(Check::Table, format!("no answer within {READ:?}"))),
        }
    }

    fn capacity(&self, payments: &TableDescription) -> Vec<CheckResult> {
        let table = self.names().payments_table();
        let judged = |index| {
            let named = WriteTarget { table: &table, index };
            let capacity = capacity::capacity(payments, index);
            capacity.map(|capacity| capacity::evaluate(named, capacity, &self.load))
        };
        // A table without its index is the result of another check.
        [judged(None), judged(Some(resources::DUE_INDEX))].into_iter().flatten().collect()
    }

    async fn relays(&self, payments: &TableDescription) -> CheckResult {
        let Some(stream) = payments.latest_stream_arn() else {
            return CheckResult::not_checked(Check::Relays, "the payments table has no stream");
        };
        match within(READ, relays::look(&self.aws, self.names(), stream)).await {
            Ok((first, later)) => relays::evaluate(&first, &later),
            Err(reason) => CheckResult::failed(Check::Relays, reason),
        }
    }

    fn counter(&self) -> Counter {
        let client = self.aws.dynamodb("count");
        let table = self.names().payments_table();
        Counter(Arc::new(PaymentsTable::new(client, &table, self.common.due_shards)))
    }

    /// The batch as far as it is scheduled: of today or tomorrow, whichever has more.
    async fn spread(&self, latency: Option<Duration>) -> Vec<CheckResult> {
        let counter = self.counter();
        let days = [Ok(self.today), self.today.tomorrow()].into_iter().flatten().map(due);
        match within(COUNT, counter.batch(days)).await {
            Ok(ScheduledBatch { day, partitions, largest }) => {
                let largest = largest.as_ref().map(|(account, payments)| (account, *payments));
                vec![
                    spread::evaluate_skew(day, &partitions),
                    spread::evaluate_largest_account(largest, latency, &self.load),
                    spread::evaluate_turns(largest),
                ]
            }
            Err(reason) => [Check::Skew, Check::LargestAccount]
                .map(|check| CheckResult::failed(check, &reason))
                .into(),
        }
    }

    async fn days_before(&self) -> Vec<CheckResult> {
        let counter = self.counter();
        let today = due(self.today);
        let yesterday = today.days_before(1);
        let days = self.settings.days.before;
        let open = &[Status::Scheduled, Status::Pending, Status::Failed];
        let earlier = (1..=days).map(|days| today.days_before(days));
        let (table, first) = (&counter.0, today.days_before(days));
        let (processed, open, forgotten) = tokio::join!(
            within(COUNT, counter.count([yesterday], &[Status::Processed], YESTERDAY_PAGES)),
            within(COUNT, counter.count(earlier, open, EARLIER_PAGES)),
            within(COUNT, forgotten::count(table, first, Timestamp::now())),
        );
        let forgotten = match forgotten {
            Ok(forgotten) => forgotten::evaluate(days, forgotten),
            Err(reason) => vec![CheckResult::failed(Check::Forgotten, reason)],
        };
        let left = [
            match processed {
                Ok(counted) => unfinished::evaluate_archive(yesterday, PaymentCount::sum(&counted)),
                Err(reason) => CheckResult::failed(Check::Archive, reason),
            },
            match open {
                Ok(counted) => unfinished::evaluate_unfinished(days, PaymentCount::sum(&counted)),
                Err(reason) => CheckResult::failed(Check::Unfinished, reason),
            },
        ];
        left.into_iter().chain(forgotten).collect()
    }

    /// All that SQS is asked for.
    async fn queues(&self, connectivity: &Connectivity) -> Vec<CheckResult> {
        if connectivity.sqs.answered.is_err() {
            return [Check::Queue, Check::DeadLetters, Check::Backlog]
                .map(|check| CheckResult::not_checked(check, "SQS cannot be used"))
                .into();
        }
        let client = self.aws.sqs("preflight");
        let mut results = Vec::new();
        for wanted in resources::queues(self.names()) {
            match within(READ, queues::read(&client, &wanted.name)).await {
                Ok(found) => {
                    results.extend(queues::evaluate(&wanted, found.as_ref()));
                    results.extend(found.map(|found| self.lying_in(&wanted.name, &found)));
                }
                Err(reason) => {
                    let reason = format!("{}: {reason}", wanted.name);
                    results.push(CheckResult::failed(Check::Queue, reason));
                }
            }
        }
        results
    }

    /// What lies in a queue.
    fn lying_in(&self, queue: &str, attributes: &FoundAttributes) -> CheckResult {
        let dead = queue == self.names().dead_letter_queue();
        match backlog::messages(attributes) {
            Some(letters) if dead => backlog::evaluate_dead_letters(queue, letters),
            Some(messages) => backlog::evaluate(queue, messages, &self.load),
            None => {
                let check = if dead { Check::DeadLetters } else { Check::Backlog };
                CheckResult::failed(check, format!("SQS does not say how many lie in {queue}"))
            }
        }
    }
}

/// The day as payments name it.
fn due(day: jiff::civil::Date) -> DueDate {
    // Both write a day in the same way.
    day.to_string().parse().unwrap_or_else(|_| unreachable!("a day is a day"))
}
