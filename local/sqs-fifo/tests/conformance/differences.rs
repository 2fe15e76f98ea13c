//! Where the other endpoint is known to answer otherwise: ministack 1.5.33. The same table stands
//! in `docs/local.md`.

/// A case in which the other endpoint does something else. The local SQS does what AWS documents.
#[derive(Debug)]
pub(crate) struct Difference {
    pub(crate) case: &'static str,
    /// What the other does.
    pub(crate) other: &'static str,
    /// The page of AWS's documentation that says what is right.
    pub(crate) source: &'static str,
}

pub(crate) fn difference(case: &str) -> Option<&'static Difference> {
    DIFFERENCES.iter().find(|known| known.case == case)
}

/// In the order of the table in `docs/local.md`.
pub(crate) const DIFFERENCES: &[Difference] = &[
    Difference {
        case: "a_name_is_not_free_within_a_minute_of_its_deletion",
        other: "makes the queue again at once",
        source: "https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_CreateQueue.html",
    },
    Difference {
        case: "a_second_purge_within_a_minute_is_refused",
        other: "purges again at once",
        source: "https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_PurgeQueue.html",
    },
    Difference {
        case: "a_message_visible_again_is_not_in_flight",
        other: "accepts the change",
        source: "https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_ChangeMessageVisibility.html",
    },
    Difference {
        case: "a_visibility_timeout_of_more_than_twelve_hours_is_refused",
        other: "accepts 43,201 seconds",
        source: "https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_ChangeMessageVisibility.html",
    },
    Difference {
        case: "twelve_hours_count_from_the_receive",
        other: "counts twelve hours from the change",
        source: "https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/sqs-visibility-timeout.html",
    },
    Difference {
        case: "a_poll_waits_twenty_seconds_at_most",
        other: "waits 21 seconds",
        source: "https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/sqs-short-and-long-polling.html",
    },
    Difference {
        case: "an_unknown_attribute_is_refused",
        other: "accepts an attribute that does not exist",
        source: "https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_SetQueueAttributes.html",
    },
    Difference {
        case: "a_new_queue_has_the_documented_attributes",
        other: "does not show `DeduplicationScope` and `FifoThroughputLimit` unless they were set",
        source: "https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_GetQueueAttributes.html",
    },
    Difference {
        case: "a_message_deleted_twice_is_deleted",
        other: "answers `ReceiptHandleIsInvalid` to the second delete",
        source: "https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_DeleteMessage.html",
    },
    Difference {
        case: "the_same_attempt_gets_the_same_messages_and_handles",
        other: "ignores `ReceiveRequestAttemptId`",
        source: "https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_ReceiveMessage.html",
    },
    Difference {
        case: "a_dead_message_has_its_id_as_deduplication_id",
        other: "keeps the deduplication id",
        source: "https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/sqs-configure-dead-letter-queue-redrive.html",
    },
    Difference {
        case: "the_sources_of_a_dead_letter_queue_are_listed",
        other: "has no ListDeadLetterSourceQueues",
        source: "https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_ListDeadLetterSourceQueues.html",
    },
    Difference {
        case: "a_task_moves_messages_back_in_order_as_new_ones",
        other: "has no message move tasks",
        source: "https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_StartMessageMoveTask.html",
    },
    Difference {
        case: "a_task_moves_messages_to_the_destination_asked_for",
        other: "has no message move tasks",
        source: "https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_StartMessageMoveTask.html",
    },
    Difference {
        case: "a_cancelled_task_leaves_the_rest",
        other: "has no message move tasks",
        source: "https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_StartMessageMoveTask.html",
    },
    Difference {
        case: "a_queue_has_one_running_task",
        other: "has no message move tasks",
        source: "https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_StartMessageMoveTask.html",
    },
    Difference {
        case: "a_task_needs_a_dead_letter_queue",
        other: "has no message move tasks",
        source: "https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_StartMessageMoveTask.html",
    },
    Difference {
        case: "a_task_needs_a_queue_that_exists",
        other: "has no message move tasks",
        source: "https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_StartMessageMoveTask.html",
    },
];

#[test]
fn the_document_has_the_same_table() {
    let document = include_str!("../../README.md");
    let missing: Vec<_> = DIFFERENCES
        .iter()
        .filter(|known| {
            let row = format!("| `{}` | {} |", known.case, known.other);
            !document.lines().any(|line| line.starts_with(&row) && line.contains(known.source))
        })
        .collect();
    assert!(missing.is_empty(), "README.md lacks {missing:#?}");
}

#[test]
fn the_document_has_no_row_that_the_table_lacks() {
    let document = include_str!("../../README.md");
    let is_row = |line: &&str| line.starts_with("| `") && line.contains("docs.aws.amazon.com");
    let rows = document.lines().filter(is_row);
    assert_eq!(rows.count(), DIFFERENCES.len());
}
