//! What the model remembers: the table, the journal, the queues and everybody's hands.

use domain::{Event, Status, transition};

/// A payment by its place in the stream, which is its place in its account's order.
pub(crate) type Place = usize;
/// A dispatcher process.
pub(crate) type Worker = usize;

/// One state of everything.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct World {
    pub(crate) payments: Vec<Payment>,
    pub(crate) relay: Relay,
    /// `payments.fifo`, in its order.
    pub(crate) queue: Vec<Message>,
    /// Messages ever sent; the next one's id.
    pub(crate) sent: u8,
    pub(crate) dispatchers: [Dispatcher; 2],
    /// `confirmations.fifo`: in no order, so kept sorted.
    pub(crate) confirmations: Vec<Confirmation>,
    pub(crate) confirmer: Confirmer,
    pub(crate) operator: Operator,
    pub(crate) budget: Budget,
    /// A payment was posted while one before it in its account had not ended.
    pub(crate) overtaken: bool,
    /// A payment was posted before its day began.
    pub(crate) early: bool,
}

/// A payment: its item, the transaction service's journal for it, its dead letters.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct Payment {
    pub(crate) status: Status,
    /// What the item says is to be paid.
    pub(crate) version: Version,
    /// A person has said that the changed version is right.
    pub(crate) decided: bool,
    /// Its day has not begun.
    pub(crate) ahead: bool,
    pub(crate) attempts: u8,
    /// Attempts beyond this many are not posted.
    pub(crate) limit: u8,
    /// Attempts of earlier lives whose outcome is certain: nothing was settled.
    pub(crate) accounted: u8,
    pub(crate) failure: Option<Code>,
    /// The transaction id on the item: a place in the journal.
    pub(crate) transaction: Option<u8>,
    /// The first claim is older than the key's retention less the margin.
    pub(crate) old: bool,
    pub(crate) journal: Vec<Settled>,
    /// Dead letters of this payment that wait for the operator.
    pub(crate) letters: u8,
    /// A dead letter says that a settlement contradicts the item.
    pub(crate) conflict: bool,
    /// Its malformed message lies whole in the dead-letter queue.
    pub(crate) raw_letter: bool,
    /// It ended, or was settled, at least once: those after it may go on.
    pub(crate) has_ended: bool,
    pub(crate) was_cancelled: bool,
}

/// Why a payment FAILED.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Code {
    Rejected,
    /// The key may be forgotten and the outcome is not known.
    Unknown,
    /// The attempts are used up and the service does not know the key.
    Exhausted,
    /// Message and table have different versions.
    Mismatch,
}

/// What is to be paid.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Version {
    /// As it was inserted.
    Original,
    /// As somebody changed it afterwards.
    Changed,
}

/// A settlement in the transaction service's journal.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct Settled {
    /// The idempotency key, among those of one payment.
    pub(crate) key: u8,
    pub(crate) version: Version,
    pub(crate) remembered: bool,
    /// The age of the claim started anew after it: the item no longer tells its age.
    pub(crate) outlived: bool,
}

/// The relay's position in the stream.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct Relay {
    pub(crate) next: Place,
    pub(crate) checkpoint: Place,
    /// How far any life of the relay has sent: what lies before may be dropped as duplicate.
    pub(crate) reached: Place,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct Message {
    pub(crate) id: u8,
    pub(crate) payment: Place,
    pub(crate) version: Version,
    pub(crate) group: u8,
    /// In flight with this dispatcher; its group is blocked meanwhile.
    pub(crate) held_by: Option<Worker>,
}

/// A dispatcher process and the messages it believes to have in hand, in order.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct Dispatcher {
    pub(crate) stage: Stage,
    pub(crate) hand: Vec<Job>,
}

/// What a dispatcher does next, with the first payment in its hand.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) enum Stage {
    Idle,
    Claiming,
    Resuming {
        seen: u8,
    },
    Asking,
    /// Checks that it may still act, just before posting.
    Checking,
    Posting,
    Recording {
        transaction: u8,
    },
    Failing(Code),
    /// SCHEDULED → FAILED, after so many attempts.
    Withholding {
        seen: u8,
    },
    DeadLettering,
    DeadLetteringRaw,
    Deleting,
    /// Gives back what is in its hand, the last one first.
    Releasing,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct Job {
    pub(crate) message: u8,
    pub(crate) payment: Place,
    pub(crate) version: Version,
    pub(crate) claim: Claim,
}

/// What the claim of a payment came to.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) enum Claim {
    NotTried,
    /// Found PENDING with so many attempts.
    Found {
        seen: u8,
    },
    /// This worker's own: the number of its attempt.
    Mine {
        attempt: u8,
    },
    /// Found SCHEDULED with so many attempts and another version.
    Differs {
        seen: u8,
    },
    /// Its day has not begun.
    Early,
    Leftover,
    FoundFailed,
    Malformed,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Confirmation {
    pub(crate) payment: Place,
    pub(crate) transaction: u8,
    /// The attempt that learned of it, a part of the deduplication id.
    pub(crate) attempt: u8,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) enum Confirmer {
    Idle,
    /// Wrote it, has yet to delete it.
    Wrote(Confirmation),
    /// Deleted it, has yet to write it (a broken rule).
    Deleted(Confirmation),
    /// Asked for a payment that seemed stuck in PENDING.
    Asked {
        payment: Place,
        found: Option<u8>,
    },
}

/// The person who replays.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) enum Operator {
    Idle,
    /// Wrote SCHEDULED, has yet to send the message.
    Rescheduled(Place),
    /// Sent the message, has yet to delete the letter.
    Sent(Place),
}

/// What may still go wrong or be asked for.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct Budget {
    /// Crashes, lost heartbeats, lost requests and lost answers, in any mix.
    pub(crate) faults: u8,
    pub(crate) rejections: u8,
    pub(crate) replays: u8,
    pub(crate) cancels: u8,
    pub(crate) sweeps: u8,
    /// Another program changes what a payment says.
    pub(crate) changes: u8,
    /// The scan for lost messages queues what is SCHEDULED.
    pub(crate) scans: u8,
}

impl World {
    /// One conditional write by the product's own [`transition`]; false when it was refused.
    pub(crate) fn write(&mut self, place: Place, event: Event) -> bool {
        let payment = &mut self.payments[place];
        let Ok(status) = transition(payment.status, event) else {
            return false;
        };
        payment.status = status;
        match status {
            Status::Scheduled | Status::Pending => {}
            Status::Cancelled => {
                payment.was_cancelled = true;
                payment.has_ended = true;
            }
            Status::Processed | Status::Failed => payment.has_ended = true,
        }
        true
    }

    /// Queues a payment as the table has it.
    pub(crate) fn send(&mut self, payment: Place, group: u8) {
        self.send_version(payment, self.payments[payment].version, group);
    }

    pub(crate) fn send_version(&mut self, payment: Place, version: Version, group: u8) {
        self.queue.push(Message { id: self.sent, payment, version, group, held_by: None });
        self.sent += 1;
    }

    /// Whether the message is still hidden for this worker: its right to act.
    pub(crate) fn holds(&self, worker: Worker, message: u8) -> bool {
        self.queue.iter().any(|m| m.id == message && m.held_by == Some(worker))
    }

    /// Whether the worker is alive with the message in its hand.
    pub(crate) fn works_on(&self, worker: Worker, message: u8) -> bool {
        self.dispatchers[worker].hand.iter().any(|job| job.message == message)
    }
}

impl Payment {
    pub(crate) fn new(limit: u8) -> Self {
        Self {
            status: Status::Scheduled,
            version: Version::Original,
            decided: false,
            ahead: false,
            attempts: 0,
            limit,
            accounted: 0,
            failure: None,
            transaction: None,
            old: false,
            journal: Vec::new(),
            letters: 0,
            conflict: false,
            raw_letter: false,
            has_ended: false,
            was_cancelled: false,
        }
    }

    /// The settlement that the service remembers under `key`.
    pub(crate) fn found(&self, key: u8) -> Option<u8> {
        let place = self.journal.iter().position(|s| s.remembered && s.key == key)?;
        Some(place as u8)
    }

    /// Whether it is certain that nothing was and nothing will be settled: the service
    /// rejected the only attempt that could have reached it. A rejection answers for its own
    /// request; an earlier one may still be under way.
    pub(crate) fn surely_unpaid(&self) -> bool {
        self.failure == Some(Code::Rejected) && self.attempts == self.accounted + 1
    }
}

impl Dispatcher {
    pub(crate) const IDLE: Self = Self { stage: Stage::Idle, hand: Vec::new() };
}
