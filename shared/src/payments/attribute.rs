//! Attribute names. They are stored with every item and counted in its size.

/// Partition key, `ACCOUNT#<AccountID>`.
pub const PK: &str = "PK";
/// Sort key, `<ScheduledDate>#<PaymentID>`.
pub const SK: &str = "SK";
/// Partition key of the index `due`, `<ScheduledDate>#<shard>`.
pub const DUE_SHARD: &str = "DueShard";
/// Sort key of the index `due`, `<AccountID>#<PaymentID>`.
pub const DUE_KEY: &str = "DueKey";
/// The account.
pub const ACCOUNT: &str = "AccountID";
/// The payment's id.
pub const ID: &str = "PaymentID";
/// The day it is due.
pub const DUE: &str = "ScheduledDate";
/// Where it stands.
pub const STATUS: &str = "Status";
/// Minor units.
pub const AMOUNT: &str = "Amount";
/// ISO 4217 code.
pub const CURRENCY: &str = "Currency";
/// Who receives it.
pub const BENEFICIARY: &str = "BeneficiaryID";
/// What the bank attached.
pub const DATA: &str = "DataBlob";
/// SHA-256 of what the bank attached, when that lies in an item of its own.
pub const BLOB_DIGEST: &str = "BlobDigest";
/// When a blob's own item may be deleted, seconds since 1970: the table's time to live.
pub const EXPIRES_AT: &str = "ExpiresAt";
/// Ties logs together.
pub const TRACE_KEY: &str = "TraceKey";
/// When it was inserted.
pub const CREATED_AT: &str = "CreatedAt";
/// When it last changed.
pub const UPDATED_AT: &str = "UpdatedAt";
/// How often it was attempted.
pub const ATTEMPTS: &str = "Attempts";
/// How often it had been attempted when it was last replayed.
pub const ATTEMPTS_BEFORE: &str = "AttemptsBefore";
/// How many attempts since it was last replayed did nothing, for certain.
pub const ATTEMPTS_NOT_DONE: &str = "AttemptsNotDone";
/// When it was first claimed.
pub const CLAIMED_AT: &str = "ClaimedAt";
/// The transaction service's id, once PROCESSED.
pub const TRANSACTION_ID: &str = "TransactionID";
/// When the transaction service settled it.
pub const SETTLED_AT: &str = "SettledAt";
/// Why it FAILED: a code of the closed list.
pub const FAILURE_CODE: &str = "FailureCode";
/// Why it FAILED: the words.
pub const FAILURE_REASON: &str = "FailureReason";
/// How many dead letters were written of it.
pub const DEAD_LETTERS: &str = "DeadLetters";
/// When the last of them was written; while it is FAILED, that of this failure.
pub const DEAD_LETTERED_AT: &str = "DeadLetteredAt";
