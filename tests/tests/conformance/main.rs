//! What the ports promise, held against the real things at the local DynamoDB and SQS and
//! against their doubles in memory.
//!
//! | file | idea |
//! |---|---|
//! | `conditions` | each condition of each change, alone, at the real table |
//! | `payments` | the payments table: equal calls have equal results and leave equal items |
//! | `queue` | a FIFO queue: each rule that the product relies on |

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod conditions;
mod payments;
mod queue;
