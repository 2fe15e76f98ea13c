//! Each condition of each change, alone, at the local `DynamoDB`: an item that is right but for
//! one thing is left as it is.

use std::collections::HashMap;

use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::types::AttributeValue;
use demo::local_world::World;
use domain::{
    AccountId, Amount, BlobDigest, Data, DataBlob, Failure, FailureCode, Money, Payment, PaymentId,
    Settlement, Status,
};
use jiff::Timestamp;
use shared::payments::{
    ApplyResult, Change, FirstClaim, OperatorDecision, PaymentStore, PaymentsTable, RightVersion,
};
use shared::testing::sample_payment;
use tempfile::TempDir;
use tests::world::without_services;

type Item = HashMap<String, AttributeValue>;

/// One thing about an item that is not as the change wants it.
#[derive(Debug, Clone)]
enum Spoilt {
    Set(&'static str, AttributeValue),
    Without(&'static str),
}

fn text(text: &str) -> AttributeValue {
    AttributeValue::S(text.to_owned())
}

fn number(number: u32) -> AttributeValue {
    AttributeValue::N(number.to_string())
}

fn statuses_but(right: Status) -> impl Iterator<Item = Spoilt> {
    let others = Status::ALL.into_iter().filter(move |status| *status != right);
    others.map(|status| Spoilt::Set("Status", text(status.as_str())))
}

/// The instruction of the message is not that of the item.
fn other_instructions(payment: &Payment) -> Vec<Spoilt> {
    let digest = BlobDigest::of(&DataBlob::new("other").unwrap()).to_string();
    let mut spoilt = vec![
        Spoilt::Set("ScheduledDate", text("2026-11-24")),
        Spoilt::Set("Amount", number(9)),
        Spoilt::Set("Currency", text("JPY")),
        Spoilt::Set("BeneficiaryID", text("OTHER")),
    ];
    spoilt.extend(match payment.data {
        None => [Spoilt::Set("DataBlob", text("other")), Spoilt::Set("BlobDigest", text(&digest))],
        Some(Data::Whole(_)) => {
            [Spoilt::Set("DataBlob", text("other")), Spoilt::Without("DataBlob")]
        }
        Some(Data::Beside(_)) => {
            [Spoilt::Set("BlobDigest", text(&digest)), Spoilt::Without("BlobDigest")]
        }
    });
    spoilt
}

struct Bank {
    table: PaymentsTable,
    client: Client,
    world: World,
    _dir: TempDir,
}

impl Bank {
    async fn open() -> Self {
        let (world, dir) = without_services().await.unwrap();
        let client = world.aws.dynamodb("test");
        let table = PaymentsTable::new(client.clone(), &world.names.payments_table(), 16);
        Self { table, client, world, _dir: dir }
    }

    /// Inserts a payment and brings its item to a status after so many attempts. Returned is the
    /// payment as a message has it.
    async fn holds(&self, data: Option<Data>, status: Status, attempts: u32) -> (Payment, Item) {
        let payment = Payment {
            id: PaymentId::generate(),
            account: AccountId::parse("ACC-1").unwrap(),
            due: "2026-11-23".parse().unwrap(),
            amount: Amount::from_minor_units(1250).unwrap(),
            data,
            created_at: "2026-11-23T01:00:00Z".parse().unwrap(),
            ..sample_payment()
        };
        self.table.insert(std::slice::from_ref(&payment)).await.unwrap();
        let stored = self.table.get(&payment.reference()).await.unwrap().unwrap();
        let mut item = self.item(&payment).await;
        item.insert("Status".to_owned(), text(status.as_str()));
        item.insert("Attempts".to_owned(), number(attempts));
        self.put(item.clone()).await;
        (stored.payment, item)
    }

    async fn put(&self, item: Item) {
        let put = self.client.put_item().table_name(self.world.names.payments_table());
        put.set_item(Some(item)).send().await.unwrap();
    }

    async fn item(&self, payment: &Payment) -> Item {
        let get = self.client.get_item().table_name(self.world.names.payments_table());
        let get = get.key("PK", text(&format!("ACCOUNT#{}", payment.account)));
        let get = get.key("SK", text(&format!("{}#{}", payment.due, payment.id)));
        get.consistent_read(true).send().await.unwrap().item.unwrap()
    }

    /// Makes the change of an item that is right, and of each that is wrong in one thing.
    async fn stands_under(
        &self,
        (payment, right): (Payment, Item),
        change: Change<'_>,
        spoils: Vec<Spoilt>,
    ) {
        let now = Timestamp::now();
        for spoilt in spoils {
            let mut item = right.clone();
            match spoilt.clone() {
                Spoilt::Set(name, value) => drop(item.insert(name.to_owned(), value)),
                Spoilt::Without(name) => drop(item.remove(name)),
            }
            self.put(item.clone()).await;
            let result =
                self.table.apply(std::slice::from_ref(&change), now).await.unwrap().remove(0);
            assert_ne!(result.as_ref().ok(), Some(&ApplyResult::Now), "{change:?} with {spoilt:?}");
            assert_eq!(self.item(&payment).await, item, "{change:?} with {spoilt:?}");
        }
        self.put(right).await;
        let result = self.table.apply(std::slice::from_ref(&change), now).await.unwrap().remove(0);
        assert_eq!(result.unwrap(), ApplyResult::Now, "{change:?}");
    }
}

const TWICE: u32 = 2;

fn attempted(attempts: u32) -> Spoilt {
    Spoilt::Set("Attempts", number(attempts))
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_takes_a_payment_up_stands_under_each_of_its_conditions() {
    let bank = Bank::open().await;
    let blob = |bytes| Some(Data::Whole(DataBlob::new("x".repeat(bytes)).unwrap()));
    // Without a blob, with one in the item, and with one beside it.
    for data in [None, blob(10), blob(2_000)] {
        let spoils = |payment: &Payment, status, attempts| {
            let mut spoils = other_instructions(payment);
            spoils.extend(statuses_but(status));
            spoils.push(attempted(attempts + 1));
            spoils
        };
        let held = bank.holds(data.clone(), Status::Scheduled, 0).await;
        let payment = held.0.clone();
        let wrong = spoils(&payment, Status::Scheduled, 0);
        bank.stands_under(held, Change::Claim(&payment), wrong).await;

        let held = bank.holds(data.clone(), Status::Scheduled, TWICE).await;
        let payment = held.0.clone();
        let wrong = spoils(&payment, Status::Scheduled, TWICE);
        bank.stands_under(held, Change::ClaimAgain(&payment, TWICE), wrong).await;

        let held = bank.holds(data, Status::Pending, TWICE).await;
        let payment = held.0.clone();
        let wrong = spoils(&payment, Status::Pending, TWICE);
        bank.stands_under(held, Change::Resume(&payment, TWICE), wrong).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_ends_or_reopens_a_payment_stands_under_each_of_its_conditions() {
    let bank = Bank::open().await;
    let failure = Failure::new(FailureCode::Rejected, "x");
    let settled_at = "2026-11-23T02:00:00Z".parse().unwrap();
    let settlement = Settlement { transaction_id: "T".to_owned(), settled_at };
    let fence = || Some(attempted(TWICE + 1));
    for (kind, status, attempts, other_attempts) in [
        ("settle", Status::Pending, TWICE, None),
        ("refuse", Status::Pending, TWICE, None),
        ("fail", Status::Pending, TWICE, fence()),
        ("replay", Status::Failed, TWICE, fence()),
        ("replay anew", Status::Failed, TWICE, fence()),
        ("discard", Status::Failed, TWICE, fence()),
        ("cancel", Status::Scheduled, 0, Some(attempted(1))),
        ("withhold", Status::Scheduled, 0, Some(attempted(1))),
        ("withhold replayed", Status::Scheduled, TWICE, fence()),
        ("not done", Status::Pending, TWICE, fence()),
        ("dead-lettered", Status::Failed, TWICE, fence()),
    ] {
        let held = bank.holds(None, status, attempts).await;
        let reference = held.0.reference();
        let change = match kind {
            "settle" => Change::Settle(&reference, &settlement),
            "refuse" => Change::Refuse(&reference, &failure),
            "fail" => Change::Fail(&reference, &failure, attempts),
            "replay" => Change::Replay(&reference, attempts, FirstClaim::Stays),
            "replay anew" => Change::Replay(&reference, attempts, FirstClaim::StartsAnew),
            "discard" => Change::Discard(&reference, attempts),
            "cancel" => Change::Cancel(&reference),
            "withhold replayed" => Change::WithholdReplayed(&reference, &failure, attempts),
            "not done" => Change::NotDone(&reference, attempts, 1),
            "dead-lettered" => Change::DeadLettered(&reference, attempts, 1),
            _ => Change::Withhold(&reference, &failure),
        };
        let spoils = statuses_but(status).chain(other_attempts).collect();
        bank.stands_under(held, change, spoils).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_decision_stands_under_each_of_its_conditions_and_writes_the_right_version_back() {
    let bank = Bank::open().await;
    let blob = |bytes| Some(Data::Whole(DataBlob::new("x".repeat(bytes)).unwrap()));
    for (data, other) in [(None, blob(10)), (blob(10), None), (blob(2_000), blob(20))] {
        for attempts in [0, TWICE] {
            let held = bank.holds(data.clone(), Status::Failed, attempts).await;
            let payment = held.0.clone();
            let amount = Amount::from_minor_units(99).unwrap();
            let message = Payment { amount, data: other.clone(), ..payment.clone() };
            let mut spoils = other_instructions(&payment);
            spoils.extend(statuses_but(Status::Failed));
            spoils.push(attempted(attempts + 1));
            let decision = OperatorDecision {
                table: &payment,
                attempts,
                first_claim: FirstClaim::StartsAnew,
                right: RightVersion::Message(&message),
            };
            bank.stands_under(held, Change::Decide(decision), spoils).await;
            let stored = bank.table.get(&payment.reference()).await.unwrap().unwrap();
            assert!(stored.payment.same_instruction(&message), "{stored:?}");
            assert_eq!(stored.status, Status::Scheduled);
            assert_eq!((stored.attempts, stored.attempts_before), (attempts + 1, attempts + 1));
            assert!(stored.claimed_at.is_some() && stored.failure.is_none());
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_settlement_is_written_only_to_a_payment_of_the_amount_that_it_names() {
    let bank = Bank::open().await;
    let settled_at = "2026-11-23T02:00:00Z".parse().unwrap();
    let settlement = Settlement { transaction_id: "T".to_owned(), settled_at };
    let held = bank.holds(None, Status::Pending, TWICE).await;
    let reference = held.0.reference();
    let money = Money { amount: held.0.amount, currency: held.0.currency };
    let mut spoils: Vec<_> = statuses_but(Status::Pending).collect();
    spoils.push(Spoilt::Set("Amount", number(9_999_999)));
    spoils.push(Spoilt::Set("Currency", text("USD")));
    bank.stands_under(held, Change::SettleOf(&reference, &settlement, money), spoils).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_insert_changes_nothing_under_a_key_that_is_taken() {
    let bank = Bank::open().await;
    let (payment, item) = bank.holds(None, Status::Processed, 1).await;
    let dearer = Payment { amount: Amount::from_minor_units(9).unwrap(), ..payment.clone() };
    for again in [payment.clone(), dearer] {
        bank.table.insert(&[again]).await.unwrap();
        assert_eq!(bank.item(&payment).await, item);
    }
}
