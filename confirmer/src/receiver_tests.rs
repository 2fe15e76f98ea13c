use std::sync::Mutex;
use std::time::Duration;

use async_trait::async_trait;
use domain::{BlobDigest, DataBlob};
use jiff::Timestamp;
use shared::config::Receiving;
use shared::dispatch_stop::StopLimits;
use shared::payments::{ApplyResult, BlobError, ChangeError, PaymentsError, StoredPayment};
use shared::queue::{
    OutgoingMessage, Producer, QueueApi, QueueCallError, ReceivedMessage, RefusedEntry, Visibility,
};

use super::*;

const PAYMENT: &str = "ACC-1/2026-11-23/019ab1f4-5c1e-7d3a-8b2f-0123456789ab";
const RECEIVING: Receiving =
    Receiving { visibility: Duration::from_secs(30), wait: Duration::from_secs(1) };

fn refusal() -> Confirmation {
    let failure = Failure::new(FailureCode::Rejected, "422 closed: x");
    Confirmation {
        payment: PAYMENT.parse().unwrap(),
        result: ReportedResult::Rejected(failure),
        money: None,
        trace_key: None,
    }
}

const STOP: StopLimits =
    StopLimits { rejected_accounts: 20, out_of_contract: 5, share_percent: 50, window: 200 };

/// Hands a refusal out once, and does not let it be extended: another worker has it by then.
#[derive(Debug)]
struct OneRefusal;

#[async_trait]
impl QueueApi for OneRefusal {
    fn name(&self) -> &'static str {
        "confirmations.fifo"
    }

    async fn receive(
        &self,
        _: Duration,
        _: Duration,
    ) -> Result<Vec<ReceivedMessage>, QueueCallError> {
        let body = serde_json::to_string(&refusal()).unwrap();
        let (receipt, message_id) = ("receipt".to_owned(), "message".to_owned());
        let group = "group".to_owned();
        Ok(vec![ReceivedMessage {
            receipt,
            message_id,
            group,
            receive_count: 1,
            sent_at: None,
            body,
        }])
    }

    async fn delete(&self, _: &[&str]) -> Result<Vec<RefusedEntry>, QueueCallError> {
        Ok(Vec::new())
    }

    async fn change_visibility(
        &self,
        _: &[(&str, Duration)],
        _: Visibility,
    ) -> Result<Vec<RefusedEntry>, QueueCallError> {
        let reason = "ReceiptHandleIsInvalid".to_owned();
        Ok(vec![RefusedEntry { index: 0, for_good: true, reason }])
    }

    async fn send(&self, _: &[&OutgoingMessage]) -> Result<Vec<RefusedEntry>, QueueCallError> {
        Ok(Vec::new())
    }
}

/// Counts the changes it is asked for, and makes none.
#[derive(Debug, Default)]
struct Changes(Mutex<usize>);

#[async_trait]
impl PaymentStore for Changes {
    async fn apply(
        &self,
        changes: &[Change<'_>],
        _: Timestamp,
    ) -> Result<Vec<Result<ApplyResult, ChangeError>>, PaymentsError> {
        *self.0.lock().unwrap() += changes.len();
        Ok(changes.iter().map(|_| Err(ChangeError::Missing)).collect())
    }

    async fn get(&self, _: &PaymentRef) -> Result<Option<StoredPayment>, PaymentsError> {
        Ok(None)
    }

    async fn blobs(
        &self,
        _: &[(PaymentRef, BlobDigest)],
    ) -> Result<Vec<Result<DataBlob, BlobError>>, PaymentsError> {
        Ok(Vec::new())
    }
}

#[async_trait]
impl ArchiveLookup for Changes {
    async fn find(&self, _: &PaymentRef) -> Result<Option<StoredPayment>, PaymentsError> {
        Ok(None)
    }
}

/// How many changes a worker makes that has had a refusal in hand for so long.
async fn changes_after(held: Duration) -> usize {
    let store = Arc::new(Changes::default());
    let (refusal_monitor, _) = RefusalMonitor::new(STOP);
    let worker = ConfirmationReceiver {
        ids: TransactionIds::default(),
        refusal_monitor,
        queue: Consumer::new(Arc::new(OneRefusal), RECEIVING),
        store: Arc::clone(&store) as Arc<dyn PaymentStore>,
        archive: Arc::clone(&store) as Arc<dyn ArchiveLookup>,
        dead_letters: DeadLetterQueue::new(Producer::new(Arc::new(OneRefusal)), "confirmer"),
        clock: Clock::system(),
        receiving: Calls::default(),
        settling: Calls::default(),
    };
    let deliveries = worker.queue.receive().await.unwrap();
    tokio::time::sleep(held).await;
    worker.settle(deliveries).await;
    *store.0.lock().unwrap()
}

#[tokio::test(start_paused = true)]
async fn a_refusal_whose_message_is_another_workers_by_now_is_not_written() {
    assert_eq!(changes_after(Duration::ZERO).await, 1);
    assert_eq!(changes_after(RECEIVING.visibility).await, 0);
}

#[test]
fn whatever_code_a_reported_refusal_has_it_is_written_as_one_after_a_202() {
    let read = as_refused(refusal());
    let expected = Failure::new(FailureCode::Refused, "422 closed: x");
    assert!(matches!(change(&read), Change::Refuse(_, failure) if *failure == expected));
}
