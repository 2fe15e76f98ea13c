//! What SQS answers when it refuses.

use super::limits::BATCH;

/// A refusal, by the name of its error in the SQS API.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SqsError {
    /// No queue of that name.
    #[error("The specified queue does not exist.")]
    QueueDoesNotExist,
    /// The name was freed too short a time ago.
    #[error(
        "You must wait 60 seconds after deleting a queue before you can create another with the same name."
    )]
    QueueDeletedRecently,
    /// A queue of that name has another value of the named attribute.
    #[error("A queue already exists with the same name and a different value for attribute {0}")]
    QueueAlreadyExists(String),
    /// The named queue was purged too short a time ago.
    #[error("Only one PurgeQueue operation on {0} is allowed every 60 seconds.")]
    PurgeQueueInProgress(String),
    /// No queue attribute of that name.
    #[error("Unknown Attribute {0}.")]
    InvalidAttributeName(String),
    /// The named queue attribute cannot have that value.
    #[error("Invalid value for the parameter {0}.")]
    InvalidAttributeValue(String),
    /// The named parameter is missing.
    #[error("The request must contain the parameter {0}.")]
    MissingParameter(String),
    /// A parameter's value is refused; the sentence says why.
    #[error("{0}")]
    InvalidParameterValue(String),
    /// Not a receipt handle of this queue.
    #[error("The input receipt handle \"{0}\" is not a valid receipt handle.")]
    ReceiptHandleIsInvalid(String),
    /// The message of the receipt handle is visible again.
    #[error("The specified message isn't in flight.")]
    MessageNotInflight,
    /// The body has characters outside of XML's set.
    #[error(
        "Invalid binary character in the message body; the set allowed is #x9 | #xA | #xD | [#x20 to #xD7FF] | [#xE000 to #xFFFD] | [#x10000 to #x10FFFF]"
    )]
    InvalidMessageContents,
    /// A batch without entries.
    #[error("There should be at least one entry in the request.")]
    EmptyBatchRequest,
    /// A batch with more than ten entries.
    #[error("Maximum number of entries per request are {BATCH}. You have sent {0}.")]
    TooManyEntriesInBatchRequest(usize),
    /// Two entries of a batch share this id.
    #[error("Id {0} repeated.")]
    BatchEntryIdsNotDistinct(String),
    /// The entries of a batch are too large together.
    #[error("Batch requests cannot be longer than {allowed} bytes. You have sent {sent} bytes.")]
    BatchRequestTooLong {
        /// Bytes allowed.
        allowed: usize,
        /// Bytes sent.
        sent: usize,
    },
    /// A batch entry's id is malformed.
    #[error(
        "A batch entry id can only contain alphanumeric characters, hyphens and underscores. It can be at most 80 letters long."
    )]
    InvalidBatchEntryId,
    /// A queue or task named by an ARN or a handle does not exist.
    #[error("{0}")]
    ResourceNotFound(String),
    /// What the call changed could not be kept.
    #[error("The request has failed due to an unknown error.")]
    InternalError,
    /// SQS does not do this, or not here.
    #[error("{0}")]
    UnsupportedOperation(String),
}

impl SqsError {
    /// `InvalidParameterValue` in the words SQS uses for most parameters.
    pub(crate) fn invalid(parameter: &str, value: &str, reason: &str) -> Self {
        Self::InvalidParameterValue(format!(
            "Value {value} for parameter {parameter} is invalid. Reason: {reason}"
        ))
    }

    /// `InvalidParameterValue` for a message without any deduplication id.
    pub(crate) fn no_deduplication_id() -> Self {
        Self::InvalidParameterValue(
            "The queue should either have ContentBasedDeduplication enabled or MessageDeduplicationId provided explicitly".into(),
        )
    }

    /// The error's shape in the JSON protocol, for the field `__type`.
    #[must_use]
    pub fn shape(&self) -> &'static str {
        match self {
            Self::QueueDoesNotExist => "com.amazonaws.sqs#QueueDoesNotExist",
            Self::QueueDeletedRecently => "com.amazonaws.sqs#QueueDeletedRecently",
            Self::QueueAlreadyExists(_) => "com.amazonaws.sqs#QueueNameExists",
            Self::PurgeQueueInProgress(_) => "com.amazonaws.sqs#PurgeQueueInProgress",
            Self::InvalidAttributeName(_) => "com.amazonaws.sqs#InvalidAttributeName",
            Self::InvalidAttributeValue(_) => "com.amazonaws.sqs#InvalidAttributeValue",
            Self::MissingParameter(_) => {
                "com.amazon.coral.service#MissingRequiredParameterException"
            }
            Self::InvalidParameterValue(_) => {
                "com.amazon.coral.service#InvalidParameterValueException"
            }
            Self::ReceiptHandleIsInvalid(_) => "com.amazonaws.sqs#ReceiptHandleIsInvalid",
            Self::MessageNotInflight => "com.amazonaws.sqs#MessageNotInflight",
            Self::InvalidMessageContents => "com.amazonaws.sqs#InvalidMessageContents",
            Self::EmptyBatchRequest => "com.amazonaws.sqs#EmptyBatchRequest",
            Self::TooManyEntriesInBatchRequest(_) => {
                "com.amazonaws.sqs#TooManyEntriesInBatchRequest"
            }
            Self::BatchEntryIdsNotDistinct(_) => "com.amazonaws.sqs#BatchEntryIdsNotDistinct",
            Self::BatchRequestTooLong { .. } => "com.amazonaws.sqs#BatchRequestTooLong",
            Self::InvalidBatchEntryId => "com.amazonaws.sqs#InvalidBatchEntryId",
            Self::ResourceNotFound(_) => "com.amazonaws.sqs#ResourceNotFoundException",
            Self::InternalError => "com.amazon.coral.service#InternalFailure",
            Self::UnsupportedOperation(_) => "com.amazonaws.sqs#UnsupportedOperation",
        }
    }

    /// The error's code, as batch entries and the header `x-amzn-query-error` give it.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::QueueDoesNotExist => "AWS.SimpleQueueService.NonExistentQueue",
            Self::QueueDeletedRecently => "AWS.SimpleQueueService.QueueDeletedRecently",
            Self::QueueAlreadyExists(_) => "QueueAlreadyExists",
            Self::PurgeQueueInProgress(_) => "AWS.SimpleQueueService.PurgeQueueInProgress",
            Self::InvalidAttributeName(_) => "InvalidAttributeName",
            Self::InvalidAttributeValue(_) => "InvalidAttributeValue",
            Self::MissingParameter(_) => "MissingParameter",
            Self::InvalidParameterValue(_) => "InvalidParameterValue",
            Self::ReceiptHandleIsInvalid(_) => "ReceiptHandleIsInvalid",
            Self::MessageNotInflight => "AWS.SimpleQueueService.MessageNotInflight",
            Self::InvalidMessageContents => "InvalidMessageContents",
            Self::EmptyBatchRequest => "AWS.SimpleQueueService.EmptyBatchRequest",
            Self::TooManyEntriesInBatchRequest(_) => {
                "AWS.SimpleQueueService.TooManyEntriesInBatchRequest"
            }
            Self::BatchEntryIdsNotDistinct(_) => "AWS.SimpleQueueService.BatchEntryIdsNotDistinct",
            Self::BatchRequestTooLong { .. } => "AWS.SimpleQueueService.BatchRequestTooLong",
            Self::InvalidBatchEntryId => "AWS.SimpleQueueService.InvalidBatchEntryId",
            Self::ResourceNotFound(_) => "ResourceNotFoundException",
            Self::InternalError => "InternalFailure",
            Self::UnsupportedOperation(_) => "AWS.SimpleQueueService.UnsupportedOperation",
        }
    }

    /// HTTP status of the answer.
    #[must_use]
    pub fn status(&self) -> u16 {
        match self {
            Self::PurgeQueueInProgress(_) => 403,
            Self::ResourceNotFound(_) => 404,
            Self::InternalError => 500,
            _ => 400,
        }
    }
}
