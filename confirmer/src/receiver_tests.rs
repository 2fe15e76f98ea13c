use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use shared::config::Receiving;
use shared::dispatch_stop::StopLimits;
use shared::queue::{OutgoingMessage, Producer};
use shared::testing::{CallFault, PaymentsCall, PaymentsInMemory, QueueCall, QueueInMemory};

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

/// How many changes a worker asks for that has had a refusal in hand for so long.
async fn changes_after(held: Duration) -> usize {
    // Extended by nobody: another worker has it by then.
    let queue = QueueInMemory::new("confirmations.fifo")
        .on_call(|call| CallFault::not_sent_if(matches!(call, QueueCall::ChangeVisibility(..))));
    let message = OutgoingMessage {
        group: "group".to_owned(),
        deduplication: "message".to_owned(),
        body: serde_json::to_string(&refusal()).unwrap(),
    };
    queue.put(&message).unwrap();
    let asked = Arc::new(AtomicUsize::new(0));
    let counter = Arc::clone(&asked);
    let store = PaymentsInMemory::default().on_call(move |call| {
        if let PaymentsCall::Apply(changes) = call {
            counter.fetch_add(changes.len(), Ordering::Relaxed);
        }
        CallFault::None
    });
    let (refusal_monitor, _) = RefusalMonitor::new(STOP);
    let dead_letters = Producer::new(Arc::new(QueueInMemory::new("dlq.fifo")));
    let worker = ConfirmationReceiver {
        ids: TransactionIds::default(),
        refusal_monitor,
        queue: Consumer::new(Arc::new(queue), RECEIVING),
        archive: Arc::new(store.clone()),
        store: Arc::new(store),
        dead_letters: DeadLetterQueue::new(dead_letters, "confirmer"),
        clock: Clock::system(),
        zone: TimeZone::UTC,
        receiving: Calls::default(),
        settling: Calls::default(),
    };
    let deliveries = worker.queue.receive().await.unwrap();
    tokio::time::sleep(held).await;
    worker.settle(deliveries).await;
    asked.load(Ordering::Relaxed)
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
