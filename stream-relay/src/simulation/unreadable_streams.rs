//! A stream that does not answer one of the relays, or has dropped what it reads.

use std::collections::BTreeSet;
use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use aws_sdk_dynamodbstreams::error::SdkError;
use domain::{DueDate, PaymentRef, Status};
use shared::payments::{Cursor, DuePayments, DueTable, PaymentsError};
use tokio::time::Instant;

use super::day_opening::before_midnight;
use super::stream::FakeStream;
use super::{Bank, pass, simulate, until};
use crate::RelayError;
use crate::shards::position::Checkpoint;
use crate::shards::source::Shard;
use crate::shards::source::{Page, ShardSource, StreamError};

/// The stream behind a bad connection.
#[derive(Debug)]
struct Ailing {
    stream: Arc<FakeStream>,
    missing_from_list: AtomicBool,
    unread: AtomicBool,
    /// What a failing call takes.
    after: Duration,
}

impl Ailing {
    fn new(bank: &Bank, after: Duration) -> Arc<Self> {
        let stream = Arc::clone(&bank.stream);
        Arc::new(Self { stream, missing_from_list: false.into(), unread: false.into(), after })
    }

    async fn unless(&self, broken: &AtomicBool) -> Result<(), StreamError> {
        if broken.load(Ordering::Relaxed) {
            tokio::time::sleep(self.after).await;
            return Err(StreamError::Read(Box::new(SdkError::timeout_error("no answer"))));
        }
        Ok(())
    }
}

#[async_trait]
impl ShardSource for Ailing {
    fn name(&self) -> &str {
        self.stream.name()
    }

    async fn shards(&self) -> Result<Vec<Shard>, StreamError> {
        self.unless(&self.missing_from_list).await?;
        self.stream.shards().await
    }

    async fn iterator(&self, shard: &str, at: &Checkpoint) -> Result<Option<String>, StreamError> {
        self.unless(&self.unread).await?;
        self.stream.iterator(shard, at).await
    }

    async fn page(&self, iterator: &str) -> Result<Page, StreamError> {
        self.unless(&self.unread).await?;
        self.stream.page(iterator).await
    }
}

/// A table whose index does not answer.
#[derive(Debug)]
struct Unread;

#[async_trait]
impl DueTable for Unread {
    fn due_shards(&self) -> Range<u16> {
        0..1
    }

    async fn due_page(
        &self,
        _: DueDate,
        _: u16,
        _: Status,
        _: Option<Cursor>,
    ) -> Result<(Vec<PaymentRef>, Option<Cursor>), PaymentsError> {
        tokio::time::sleep(Duration::from_secs(1)).await;
        Err(PaymentsError::Unread(1))
    }

    async fn days_page(
        &self,
        _: Status,
        _: Option<Cursor>,
    ) -> Result<(BTreeSet<DueDate>, Option<Cursor>), PaymentsError> {
        Err(PaymentsError::Unread(1))
    }

    async fn get_many(&self, _: &[PaymentRef]) -> Result<DuePayments, PaymentsError> {
        Err(PaymentsError::Unread(1))
    }
}

#[test]
fn a_day_that_one_relay_cannot_read_is_opened_by_another() {
    for seed in 0..10 {
        simulate(seed, || async move {
            let (bank, _) = before_midnight(seed, 300).await;
            let _blind =
                bank.relay_between("blind", Arc::clone(&bank.stream) as _, Arc::new(Unread));
            pass(5).await;
            assert!(bank.leases.sweep_leases_of("blind") > 0, "another has the day");
            let _other = bank.relay("other");
            pass(300 + 60).await;
            let opened = || bank.queues.len() == 300;
            // The blind one may have been the first again.
            until(Duration::from_secs(120), "not opened", opened).await;
        });
    }
}

#[test]
fn a_relay_that_cannot_list_shards_has_no_share() {
    for seed in 0..10 {
        simulate(seed, || async move {
            let mut bank = Bank::new(seed, 4);
            let source = Ailing::new(&bank, Duration::from_millis(10));
            source.missing_from_list.store(true, Ordering::Relaxed);
            let _blind = bank.relay_reading_from("blind", source);
            let _other = bank.relay("other");
            bank.insert_everywhere();
            bank.until_all_queued(Duration::from_secs(15)).await;
        });
    }
}

#[test]
fn a_relay_that_cannot_list_shards_any_more_loses_its_share_of_new_ones() {
    for seed in 0..10 {
        simulate(seed, || async move {
            let mut bank = Bank::new(seed, 4);
            let source = Ailing::new(&bank, Duration::from_millis(10));
            let _blind = bank.relay_reading_from("blind", Arc::clone(&source) as _);
            let _other = bank.relay("other");
            pass(30).await;
            source.missing_from_list.store(true, Ordering::Relaxed);
            (0..6).for_each(|_| bank.stream.split());
            bank.insert_everywhere();
            bank.until_all_queued(Duration::from_secs(60)).await;
        });
    }
}

#[test]
fn what_a_relay_cannot_read_another_reads() {
    for seed in 0..10 {
        simulate(seed, || async move {
            let mut bank = Bank::new(seed, 4);
            let source = Ailing::new(&bank, Duration::from_secs(5));
            let _deaf = bank.relay_reading_from("deaf", Arc::clone(&source) as _);
            let _other = bank.relay("other");
            pass(30).await;
            assert_eq!(bank.leases.held_by("deaf"), 2);
            source.unread.store(true, Ordering::Relaxed);
            // What it had read before is out of the way.
            pass(2).await;
            bank.insert_everywhere();
            bank.until_all_queued(Duration::from_secs(150)).await;
        });
    }
}

#[test]
fn a_relay_alone_goes_on_trying_what_it_cannot_read() {
    simulate(1, || async {
        let mut bank = Bank::new(1, 4);
        let source = Ailing::new(&bank, Duration::from_secs(5));
        let _alone = bank.relay_reading_from("alone", Arc::clone(&source) as _);
        pass(5).await;
        source.unread.store(true, Ordering::Relaxed);
        bank.insert_everywhere();
        pass(200).await;
        source.unread.store(false, Ordering::Relaxed);
        bank.until_all_queued(Duration::from_secs(45)).await;
    });
}

#[test]
fn a_shard_that_is_dropped_while_it_is_read_is_swept_and_written_off() {
    simulate(1, || async {
        let mut bank = Bank::new(1, 1);
        let _relay = bank.relay("lagging");
        pass(20).await;
        bank.insert_everywhere();
        bank.stream.split();
        bank.stream.drop_closed();
        // Before its reader loses patience.
        until(Duration::from_secs(85), "not swept", || bank.all_queued()).await;
        until(Duration::from_secs(90), "not tidied up", || {
            !bank.leases.keys().contains(&"stream/shard-001".to_owned())
        })
        .await;
    });
}

#[test]
fn shutdown_does_not_wait_for_a_stream_that_does_not_answer() {
    simulate(1, || async {
        let bank = Bank::new(1, 1);
        let source = Ailing::new(&bank, Duration::from_secs(15));
        let relay = bank.relay_reading_from("waiting", Arc::clone(&source) as _);
        pass(5).await;
        source.missing_from_list.store(true, Ordering::Relaxed);
        pass(12).await;
        let since = Instant::now();
        relay.stop().await;
        assert!(since.elapsed() < Duration::from_secs(2), "{:?}", since.elapsed());
        assert_eq!(bank.leases.held_by("waiting"), 0);
    });
}

#[test]
fn a_sweeper_that_panics_ends_its_relay_in_order() {
    simulate(1, || async {
        let mut bank = Bank::new(1, 1);
        let relay = bank.relay("before");
        bank.insert_everywhere();
        pass(5).await;
        relay.stop().await;
        bank.insert_everywhere();
        bank.stream.trim();
        bank.table.curse();
        let relay = bank.relay("after");
        let ended = tokio::time::timeout(Duration::from_secs(30), relay.task).await.unwrap();
        assert!(matches!(ended.unwrap(), Err(RelayError::SweepRunner(_))));
        assert_eq!(bank.leases.held_by("after"), 0);
    });
}
