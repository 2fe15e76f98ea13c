//! The payments table by due date, in memory.

use std::ops::Range;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use shared::domain::{DueDate, Payment, PaymentRef, Status};
use shared::payments::{Cursor, DuePayments, DueTable, PaymentsError, StoredPayment};

const SHARDS: u16 = 6;

/// All payments that were inserted, SCHEDULED for ever.
#[derive(Debug, Default)]
pub(super) struct FakeTable {
    payments: Mutex<Vec<Payment>>,
    down: AtomicBool,
    cursed: AtomicBool,
    asked: AtomicUsize,
    at_once: AtomicUsize,
}

impl FakeTable {
    pub(super) fn put(&self, payment: &Payment) {
        self.payments.lock().unwrap().push(payment.clone());
    }

    pub(super) fn break_down(&self) {
        self.down.store(true, Ordering::Relaxed);
    }

    /// Whoever looks at it panics.
    pub(super) fn curse(&self) {
        self.cursed.store(true, Ordering::Relaxed);
    }

    pub(super) fn mend(&self) {
        self.down.store(false, Ordering::Relaxed);
    }

    /// Pages that were asked for.
    pub(super) fn asked(&self) -> usize {
        self.asked.load(Ordering::Relaxed)
    }

    /// Pages of one complete sweep of today and seven days.
    pub(super) const SWEEP: usize = 8 * SHARDS as usize;
}

#[async_trait]
impl DueTable for FakeTable {
    fn due_shards(&self) -> Range<u16> {
        assert!(!self.cursed.load(Ordering::Relaxed), "cursed");
        0..SHARDS
    }

    async fn due_page(
        &self,
        day: DueDate,
        shard: u16,
        _status: Status,
        _cursor: Option<Cursor>,
    ) -> Result<(Vec<PaymentRef>, Option<Cursor>), PaymentsError> {
        self.asked.fetch_add(1, Ordering::Relaxed);
        assert!(self.at_once.fetch_add(1, Ordering::Relaxed) < 4, "more than one sweep at a time");
        tokio::time::sleep(Duration::from_millis(20)).await;
        self.at_once.fetch_sub(1, Ordering::Relaxed);
        if self.down.load(Ordering::Relaxed) {
            return Err(PaymentsError::Unread(1));
        }
        let payments = self.payments.lock().unwrap();
        let here = payments.iter().filter(|p| p.due == day && p.id.due_shard(SHARDS) == shard);
        let mut page: Vec<_> = here.map(Payment::reference).collect();
        page.sort_by(|one, other| (&one.account, one.id).cmp(&(&other.account, other.id)));
        Ok((page, None))
    }

    async fn get_many(&self, references: &[PaymentRef]) -> Result<DuePayments, PaymentsError> {
        let stored = |payment: &Payment| StoredPayment {
            payment: payment.clone(),
            status: Status::Scheduled,
            updated_at: payment.created_at,
            attempts: 0,
            attempts_before: 0,
            claimed_at: None,
            transaction_id: None,
            settled_at: None,
            failure: None,
        };
        let payments = self.payments.lock().unwrap();
        let payment = |asked: &PaymentRef| payments.iter().find(|payment| payment.id == asked.id);
        let found = references.iter().filter_map(payment);
        Ok(found.map(|payment| (payment.reference(), Ok(stored(payment)))).collect())
    }
}
