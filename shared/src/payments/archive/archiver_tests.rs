//! A move that dies at every call there is, before and after its effect.

use std::collections::HashMap;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use aws_sdk_dynamodb::types::AttributeValue;

use super::*;
use crate::payments::archive::item::tests::settled;
use crate::payments::{PaymentsError, attribute};

const PAYMENTS: usize = 6;

type Shelf = HashMap<String, Item>;

/// Two tables in memory, and the step at which the process dies.
#[derive(Debug, Default)]
struct Memory {
    payments: Mutex<Shelf>,
    archive: Mutex<Shelf>,
    steps: AtomicUsize,
    dies_at: Option<usize>,
    /// Says that it has put what it has not.
    puts_nothing: bool,
}

/// One item written or read is a step: batches are not atomic.
impl Memory {
    fn step(&self) -> Result<(), ArchiveError> {
        let step = self.steps.fetch_add(1, Ordering::Relaxed);
        if self.dies_at == Some(step) {
            return Err(ArchiveError::Archive(PaymentsError::Unread(1)));
        }
        Ok(())
    }

    /// Some payments of one account, each settled by a transaction of its own.
    fn filled() -> (Self, Vec<PaymentRef>) {
        let memory = Self::default();
        let wanted = (0..PAYMENTS).map(|_| {
            let mut item = settled();
            let transaction = format!("T-{}", item[attribute::ID].as_s().unwrap());
            item.insert(attribute::TRANSACTION_ID.to_owned(), AttributeValue::S(transaction));
            let reference = ArchiveItem::of(item.clone(), None).unwrap().reference();
            memory.payments.lock().unwrap().insert(reference.to_string(), item);
            reference
        });
        let wanted = wanted.collect();
        (memory, wanted)
    }

    fn dying_at(&mut self, step: Option<usize>) {
        self.dies_at = step;
        self.steps = AtomicUsize::new(0);
    }

    fn payments(&self) -> Shelf {
        self.payments.lock().unwrap().clone()
    }

    fn archive(&self) -> Shelf {
        self.archive.lock().unwrap().clone()
    }
}

#[async_trait]
impl ArchiverTables for Memory {
    async fn held(
        &self,
        wanted: &[PaymentRef],
    ) -> Result<Vec<(PaymentRef, Result<ArchiveItem, NotArchivable>)>, ArchiveError> {
        self.step()?;
        let payments = self.payments();
        let held = wanted.iter().filter_map(|reference| {
            let item = payments.get(&reference.to_string())?.clone();
            Some((reference.clone(), ArchiveItem::of(item, None)))
        });
        Ok(held.collect())
    }

    async fn put(&self, items: &[ArchiveItem]) -> Result<Vec<PutResult>, ArchiveError> {
        let mut puts = Vec::new();
        for item in items {
            self.step()?;
            let mut archive = self.archive.lock().unwrap();
            let key = item.reference().to_string();
            puts.push(if archive.contains_key(&key) { PutResult::There } else { PutResult::New });
            if self.puts_nothing {
                continue;
            }
            archive.entry(key).or_insert_with(|| {
                let attributes = item.attributes().into_iter();
                attributes.map(|(name, value)| (name.to_owned(), value.clone())).collect()
            });
        }
        self.step()?;
        Ok(puts)
    }

    async fn read_back(&self, items: &[ArchiveItem]) -> Result<Vec<Option<Item>>, ArchiveError> {
        self.step()?;
        let archive = self.archive();
        let found = items.iter().map(|item| archive.get(&item.reference().to_string()).cloned());
        Ok(found.collect())
    }

    async fn delete(&self, items: &[ArchiveItem]) -> Result<Vec<DeleteResult>, ArchiveError> {
        let mut deleted = Vec::new();
        for item in items {
            self.step()?;
            let mut payments = self.payments.lock().unwrap();
            let key = item.reference().to_string();
            let held = payments.get(&key).cloned().map(|item| ArchiveItem::of(item, None));
            let transaction = held
                .as_ref()
                .map(|held| held.as_ref().map_or("", |held| held.transaction_id()).to_owned());
            deleted.push(match transaction {
                Some(transaction) if transaction != item.transaction_id() => DeleteResult::Changed,
                Some(_) | None => {
                    payments.remove(&key);
                    DeleteResult::Gone
                }
            });
        }
        self.step()?;
        Ok(deleted)
    }
}

#[tokio::test]
async fn a_move_that_dies_at_any_step_loses_nothing_and_is_finished_by_the_next() {
    let mut survived = 0;
    for step in 0.. {
        let (mut memory, wanted) = Memory::filled();
        let before = memory.payments();
        memory.dying_at(Some(step));
        let died = archive_payments(&memory, &wanted).await.is_err();
        let (left, archived) = (memory.payments(), memory.archive());
        for (key, item) in &before {
            let kept = left.get(key) == Some(item) || archived.get(key) == Some(item);
            assert!(kept, "after step {step} a payment is in neither table");
        }
        memory.dying_at(None);
        archive_payments(&memory, &wanted).await.unwrap();
        assert_eq!(memory.archive(), before, "after step {step}");
        assert!(memory.payments().is_empty(), "after step {step}");
        if !died {
            break;
        }
        survived += 1;
    }
    // Look, put one after the other, answer of the put, read back, the same of the delete.
    assert_eq!(survived, 1 + PAYMENTS + 1 + 1 + PAYMENTS + 1);
}

#[tokio::test]
async fn a_payment_that_another_run_put_is_counted_as_finished() {
    let (memory, wanted) = Memory::filled();
    let held = memory.payments();
    let first = &wanted[0].to_string();
    memory.archive.lock().unwrap().insert(first.clone(), held[first].clone());
    let moved = archive_payments(&memory, &wanted).await.unwrap();
    assert_eq!((moved.archived, moved.finished), (PAYMENTS as u64 - 1, 1));
    let again = archive_payments(&memory, &wanted).await.unwrap();
    assert_eq!((again.archived, again.finished, again.stayed), (0, 0, vec![]));
}

#[tokio::test]
async fn where_the_archive_holds_something_else_nothing_is_overwritten_or_deleted() {
    let (memory, wanted) = Memory::filled();
    let before = memory.payments();
    let first = wanted[0].to_string();
    let mut other = before[&first].clone();
    other.insert(attribute::AMOUNT.to_owned(), AttributeValue::N("7".to_owned()));
    memory.archive.lock().unwrap().insert(first.clone(), other.clone());
    let moved = archive_payments(&memory, &wanted).await.unwrap();
    assert_eq!(moved.stayed, [(wanted[0].clone(), NotArchived::Conflict)]);
    assert_eq!(moved.archived, PAYMENTS as u64 - 1);
    assert_eq!(memory.archive()[&first], other);
    assert_eq!(memory.payments(), Shelf::from([(first.clone(), before[&first].clone())]));
}

#[tokio::test]
async fn what_is_not_settled_stays_and_says_why() {
    let (memory, wanted) = Memory::filled();
    let first = wanted[0].to_string();
    let pending = AttributeValue::S("PENDING".to_owned());
    {
        let mut payments = memory.payments.lock().unwrap();
        payments.get_mut(&first).unwrap().insert(attribute::STATUS.to_owned(), pending);
    }
    let moved = archive_payments(&memory, &wanted).await.unwrap();
    let why = NotArchived::NotArchivable(NotArchivable::InStatus(domain::Status::Pending));
    assert_eq!(moved.stayed, [(wanted[0].clone(), why)]);
    assert!(!memory.archive().contains_key(&first));
}

#[tokio::test]
async fn a_payment_inserted_again_after_it_was_archived_leaves_the_first_one_in_the_archive() {
    let (memory, wanted) = Memory::filled();
    let first = wanted[0].to_string();
    let mut before = memory.payments()[&first].clone();
    let earlier = AttributeValue::S("2026-11-22T01:00:00.000Z".to_owned());
    before.insert(attribute::CREATED_AT.to_owned(), earlier);
    memory.archive.lock().unwrap().insert(first.clone(), before.clone());
    let moved = archive_payments(&memory, &wanted).await.unwrap();
    assert_eq!((moved.repeated, moved.archived), (1, PAYMENTS as u64 - 1));
    assert_eq!(memory.archive()[&first], before);
    assert!(memory.payments().is_empty());
}

#[tokio::test]
async fn what_cannot_be_read_back_from_the_archive_is_not_deleted() {
    let (mut memory, wanted) = Memory::filled();
    memory.puts_nothing = true;
    let before = memory.payments();
    let moved = archive_payments(&memory, &wanted).await.unwrap();
    assert_eq!(moved.stayed.len(), PAYMENTS);
    assert!(moved.stayed.iter().all(|(_, why)| *why == NotArchived::Unverified), "{moved:?}");
    assert_eq!(memory.payments(), before);
}
