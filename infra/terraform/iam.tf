# What each service may do: the calls its code makes, on the things it makes them on.
#
# Batches of PartiQL statements have actions of their own: an UPDATE needs PartiQLUpdate, an
# INSERT PartiQLInsert, and neither UpdateItem nor PutItem. SQS has one action for a call and
# its batch. Both kinds of encryption used here need no permission for a key.

data "aws_iam_policy_document" "stream_relay" {
  # Time zone and number of shards, which all services and commands must have.
  statement {
    sid       = "ReadTheInstallation"
    actions   = ["dynamodb:GetItem"]
    resources = [aws_dynamodb_table.control.arn]
  }

  statement {
    sid       = "FindStream"
    actions   = ["dynamodb:DescribeTable"]
    resources = [aws_dynamodb_table.payments.arn]
  }

  statement {
    sid = "ReadStream"
    actions = [
      "dynamodb:DescribeStream",
      "dynamodb:GetRecords",
      "dynamodb:GetShardIterator",
    ]
    resources = [aws_dynamodb_table.payments.stream_arn]
  }

  statement {
    sid       = "ShareLeases"
    actions   = ["dynamodb:DeleteItem", "dynamodb:Scan", "dynamodb:UpdateItem"]
    resources = [aws_dynamodb_table.leases.arn]
  }

  # For the opening of a day and for what the stream or the queue has lost: what is due comes
  # from the index, what it is from the table.
  statement {
    sid       = "FindDuePayments"
    actions   = ["dynamodb:Query"]
    resources = ["${aws_dynamodb_table.payments.arn}/index/due"]
  }

  # Now and then, days before those that are swept.
  statement {
    sid       = "FindForgottenPayments"
    actions   = ["dynamodb:Scan"]
    resources = ["${aws_dynamodb_table.payments.arn}/index/due"]
  }

  statement {
    sid       = "ReadDuePayments"
    actions   = ["dynamodb:BatchGetItem"]
    resources = [aws_dynamodb_table.payments.arn]
  }

  # An item that breaks the contract, or that another program has written over, becomes FAILED.
  statement {
    sid       = "WithholdPayments"
    actions   = ["dynamodb:GetItem", "dynamodb:PartiQLUpdate"]
    resources = [aws_dynamodb_table.payments.arn]
  }

  statement {
    sid       = "QueuePayments"
    actions   = ["sqs:GetQueueUrl", "sqs:SendMessage"]
    resources = [aws_sqs_queue.payments.arn, aws_sqs_queue.payments_dlq.arn]
  }

  # How many messages there are tells whether payments that wait have one. The page of metrics has
  # the depths of all queues.
  statement {
    sid     = "CountMessages"
    actions = ["sqs:GetQueueAttributes", "sqs:GetQueueUrl"]
    resources = [
      aws_sqs_queue.payments.arn,
      aws_sqs_queue.confirmations.arn,
      aws_sqs_queue.payments_dlq.arn,
    ]
  }
}

data "aws_iam_policy_document" "dispatcher" {
  # Time zone and number of shards, which all services and commands must have.
  statement {
    sid       = "ReadTheInstallation"
    actions   = ["dynamodb:GetItem"]
    resources = [aws_dynamodb_table.control.arn]
  }

  statement {
    # GetItem: what FAILED, for its dead letter, and what is not due yet.
    sid       = "ClaimAndFailPaymentsAndReadLargeBlobs"
    actions   = ["dynamodb:BatchGetItem", "dynamodb:GetItem", "dynamodb:PartiQLUpdate"]
    resources = [aws_dynamodb_table.payments.arn]
  }

  # Was this payment of a past day settled, and archived, before?
  statement {
    sid       = "AskTheArchive"
    actions   = ["dynamodb:GetItem"]
    resources = [aws_dynamodb_table.payments_archive.arn]
  }

  # Is dispatching stopped? A dispatcher may stop it, and may not resume it.
  statement {
    sid       = "ReadAndStoreTheStop"
    actions   = ["dynamodb:GetItem", "dynamodb:PutItem"]
    resources = [aws_dynamodb_table.control.arn]
  }

  statement {
    sid = "TakePayments"
    actions = [
      "sqs:ChangeMessageVisibility",
      "sqs:DeleteMessage",
      "sqs:GetQueueUrl",
      "sqs:ReceiveMessage",
    ]
    resources = [aws_sqs_queue.payments.arn]
  }

  statement {
    sid       = "HandOnOutcomes"
    actions   = ["sqs:GetQueueUrl", "sqs:SendMessage"]
    resources = [aws_sqs_queue.confirmations.arn, aws_sqs_queue.payments_dlq.arn]
  }

  # While many settlements wait for the confirmer, nothing is received.
  statement {
    sid       = "CountConfirmations"
    actions   = ["sqs:GetQueueAttributes"]
    resources = [aws_sqs_queue.confirmations.arn]
  }
}

data "aws_iam_policy_document" "confirmer" {
  # Time zone and number of shards, which all services and commands must have.
  statement {
    sid       = "ReadTheInstallation"
    actions   = ["dynamodb:GetItem"]
    resources = [aws_dynamodb_table.control.arn]
  }

  # When too many refusals are reported, dispatching stops.
  statement {
    sid       = "StoreTheStop"
    actions   = ["dynamodb:PutItem"]
    resources = [aws_dynamodb_table.control.arn]
  }

  statement {
    sid       = "SettlePayments"
    actions   = ["dynamodb:BatchGetItem", "dynamodb:GetItem", "dynamodb:PartiQLUpdate"]
    resources = [aws_dynamodb_table.payments.arn]
  }

  # Was this payment of a past day settled, and archived, before?
  statement {
    sid       = "AskTheArchive"
    actions   = ["dynamodb:GetItem"]
    resources = [aws_dynamodb_table.payments_archive.arn]
  }

  statement {
    sid       = "FindStuckPayments"
    actions   = ["dynamodb:Query", "dynamodb:Scan"]
    resources = ["${aws_dynamodb_table.payments.arn}/index/due"]
  }

  # How many messages there are tells whether one may carry a payment that is stuck.
  statement {
    sid       = "CountPayments"
    actions   = ["sqs:GetQueueAttributes"]
    resources = [aws_sqs_queue.payments.arn]
  }

  statement {
    sid = "TakeConfirmations"
    actions = [
      "sqs:ChangeMessageVisibility",
      "sqs:DeleteMessage",
      "sqs:GetQueueUrl",
      "sqs:ReceiveMessage",
    ]
    resources = [aws_sqs_queue.confirmations.arn]
  }

  statement {
    sid     = "HandOnResultsAndBuryConfirmations"
    actions = ["sqs:GetQueueUrl", "sqs:SendMessage"]
    resources = [
      aws_sqs_queue.confirmations.arn,
      aws_sqs_queue.payments.arn,
      aws_sqs_queue.payments_dlq.arn,
    ]
  }
}

# Whoever runs `dueflow payments import`; its GetItem, and for large blobs its BatchGetItem,
# tells a repeated row from a conflict.
data "aws_iam_policy_document" "payments_import" {
  # Time zone and number of shards, which all services and commands must have.
  statement {
    sid       = "ReadTheInstallation"
    actions   = ["dynamodb:GetItem"]
    resources = [aws_dynamodb_table.control.arn]
  }

  statement {
    sid       = "SchedulePayments"
    actions   = ["dynamodb:BatchGetItem", "dynamodb:GetItem", "dynamodb:PartiQLInsert"]
    resources = [aws_dynamodb_table.payments.arn]
  }

  # Which batch has brought which rows.
  statement {
    sid       = "EnterBatches"
    actions   = ["dynamodb:GetItem", "dynamodb:UpdateItem"]
    resources = [aws_dynamodb_table.imports.arn]
  }
}

# Whoever runs `dueflow payments show`: BatchGetItem reads a large blob.
data "aws_iam_policy_document" "payments_show" {
  statement {
    sid       = "ReadPayments"
    actions   = ["dynamodb:BatchGetItem", "dynamodb:GetItem"]
    resources = [aws_dynamodb_table.payments.arn]
  }

  statement {
    sid       = "ReadTheArchive"
    actions   = ["dynamodb:GetItem"]
    resources = [aws_dynamodb_table.payments_archive.arn]
  }
}

# Whoever runs `dueflow payments open`.
data "aws_iam_policy_document" "payments_open" {
  statement {
    sid       = "FindOpenPayments"
    actions   = ["dynamodb:Query", "dynamodb:Scan"]
    resources = ["${aws_dynamodb_table.payments.arn}/index/due"]
  }

  statement {
    sid       = "ReadOpenPayments"
    actions   = ["dynamodb:BatchGetItem"]
    resources = [aws_dynamodb_table.payments.arn]
  }
}

# Whoever runs `dueflow dispatch status`.
data "aws_iam_policy_document" "dispatch_status" {
  statement {
    sid       = "ReadTheStop"
    actions   = ["dynamodb:GetItem"]
    resources = [aws_dynamodb_table.control.arn]
  }
}

# Whoever runs `dueflow dispatch stop`.
data "aws_iam_policy_document" "dispatch_stop" {
  statement {
    sid       = "StoreTheStop"
    actions   = ["dynamodb:PutItem"]
    resources = [aws_dynamodb_table.control.arn]
  }

  # An entry is only ever added. Whoever calls is asked of STS, which needs no permission.
  statement {
    sid       = "WriteTheActionLog"
    actions   = ["dynamodb:PartiQLInsert"]
    resources = [aws_dynamodb_table.actions.arn]
  }
}

# Whoever runs `dueflow dispatch resume`; its GetItem is for a call that names no stop.
data "aws_iam_policy_document" "dispatch_resume" {
  statement {
    sid       = "RemoveTheStop"
    actions   = ["dynamodb:DeleteItem", "dynamodb:GetItem"]
    resources = [aws_dynamodb_table.control.arn]
  }

  # An entry is only ever added. Whoever calls is asked of STS, which needs no permission.
  statement {
    sid       = "WriteTheActionLog"
    actions   = ["dynamodb:PartiQLInsert"]
    resources = [aws_dynamodb_table.actions.arn]
  }
}

# Whoever runs `dueflow dlq list`: it looks at letters, hides them meanwhile and gives them
# back.
data "aws_iam_policy_document" "dlq_list" {
  statement {
    sid = "LookAtDeadLetters"
    actions = [
      "sqs:ChangeMessageVisibility",
      "sqs:GetQueueAttributes",
      "sqs:GetQueueUrl",
      "sqs:ReceiveMessage",
    ]
    resources = [aws_sqs_queue.payments_dlq.arn]
  }

  # How often a payment was attempted, for `--attempts`.
  statement {
    sid       = "ReadPayments"
    actions   = ["dynamodb:GetItem"]
    resources = [aws_dynamodb_table.payments.arn]
  }
}

# Whoever runs `dueflow dlq replay --execute`. A dry run does without PartiQLUpdate,
# DeleteMessage, SendMessage and PartiQLInsert.
data "aws_iam_policy_document" "dlq_replay" {
  # Time zone and number of shards, which all services and commands must have.
  statement {
    sid       = "ReadTheInstallation"
    actions   = ["dynamodb:GetItem"]
    resources = [aws_dynamodb_table.control.arn]
  }

  statement {
    sid       = "ReplayPayments"
    actions   = ["dynamodb:GetItem", "dynamodb:PartiQLUpdate"]
    resources = [aws_dynamodb_table.payments.arn]
  }

  statement {
    sid       = "SendAgain"
    actions   = ["sqs:GetQueueUrl", "sqs:SendMessage"]
    resources = [aws_sqs_queue.payments.arn, aws_sqs_queue.confirmations.arn]
  }

  statement {
    sid = "CloseDeadLetters"
    actions = [
      "sqs:ChangeMessageVisibility",
      "sqs:DeleteMessage",
      "sqs:GetQueueAttributes",
      "sqs:GetQueueUrl",
      "sqs:ReceiveMessage",
    ]
    resources = [aws_sqs_queue.payments_dlq.arn]
  }

  # An entry is only ever added. Whoever calls is asked of STS, which needs no permission.
  statement {
    sid       = "WriteTheActionLog"
    actions   = ["dynamodb:PartiQLInsert"]
    resources = [aws_dynamodb_table.actions.arn]
  }
}

# Whoever runs `dueflow dlq discard --execute`. What was settled is sent again and confirmed. A dry
# run does without PartiQLUpdate, DeleteMessage, SendMessage and PartiQLInsert.
data "aws_iam_policy_document" "dlq_discard" {
  # Time zone and number of shards, which all services and commands must have.
  statement {
    sid       = "ReadTheInstallation"
    actions   = ["dynamodb:GetItem"]
    resources = [aws_dynamodb_table.control.arn]
  }

  statement {
    sid       = "DiscardPayments"
    actions   = ["dynamodb:GetItem", "dynamodb:PartiQLUpdate"]
    resources = [aws_dynamodb_table.payments.arn]
  }

  statement {
    sid       = "ConfirmWhatWasSettled"
    actions   = ["sqs:GetQueueUrl", "sqs:SendMessage"]
    resources = [aws_sqs_queue.payments.arn, aws_sqs_queue.confirmations.arn]
  }

  statement {
    sid = "CloseDeadLetters"
    actions = [
      "sqs:ChangeMessageVisibility",
      "sqs:DeleteMessage",
      "sqs:GetQueueAttributes",
      "sqs:GetQueueUrl",
      "sqs:ReceiveMessage",
    ]
    resources = [aws_sqs_queue.payments_dlq.arn]
  }

  # An entry is only ever added. Whoever calls is asked of STS, which needs no permission.
  statement {
    sid       = "WriteTheActionLog"
    actions   = ["dynamodb:PartiQLInsert"]
    resources = [aws_dynamodb_table.actions.arn]
  }
}

# Whoever runs `dueflow dlq export`.
data "aws_iam_policy_document" "dlq_export" {
  statement {
    sid = "LookAtDeadLetters"
    actions = [
      "sqs:ChangeMessageVisibility",
      "sqs:GetQueueAttributes",
      "sqs:GetQueueUrl",
      "sqs:ReceiveMessage",
    ]
    resources = [aws_sqs_queue.payments_dlq.arn]
  }

  # How often a payment was attempted, for `--attempts`.
  statement {
    sid       = "ReadPayments"
    actions   = ["dynamodb:GetItem"]
    resources = [aws_dynamodb_table.payments.arn]
  }
}

# Whoever runs `dueflow dlq show`.
data "aws_iam_policy_document" "dlq_show" {
  statement {
    sid = "LookAtDeadLetters"
    actions = [
      "sqs:ChangeMessageVisibility",
      "sqs:GetQueueAttributes",
      "sqs:GetQueueUrl",
      "sqs:ReceiveMessage",
    ]
    resources = [aws_sqs_queue.payments_dlq.arn]
  }

  statement {
    sid       = "ReadPaymentsAndArchive"
    actions   = ["dynamodb:GetItem"]
    resources = [aws_dynamodb_table.payments.arn, aws_dynamodb_table.payments_archive.arn]
  }
}

# Whoever runs `dueflow dlq log`.
data "aws_iam_policy_document" "dlq_log" {
  statement {
    sid       = "ReadTheActionLog"
    actions   = ["dynamodb:Query"]
    resources = [aws_dynamodb_table.actions.arn]
  }
}

# Whoever runs `dueflow payments cancel --execute`. A dry run needs BatchGetItem only.
data "aws_iam_policy_document" "payments_cancel" {
  statement {
    sid       = "CancelPayments"
    actions   = ["dynamodb:BatchGetItem", "dynamodb:PartiQLUpdate"]
    resources = [aws_dynamodb_table.payments.arn]
  }

  # An entry is only ever added. Whoever calls is asked of STS, which needs no permission.
  statement {
    sid       = "WriteTheActionLog"
    actions   = ["dynamodb:PartiQLInsert"]
    resources = [aws_dynamodb_table.actions.arn]
  }
}

# Whoever runs `dueflow archive run`. It cannot change or delete what is archived.
data "aws_iam_policy_document" "archive_run" {
  # Time zone and number of shards, which all services and commands must have.
  statement {
    sid       = "ReadTheInstallation"
    actions   = ["dynamodb:GetItem"]
    resources = [aws_dynamodb_table.control.arn]
  }

  statement {
    sid       = "FindPaymentsOfTheDay"
    actions   = ["dynamodb:Query"]
    resources = ["${aws_dynamodb_table.payments.arn}/index/due"]
  }

  statement {
    sid       = "PutAndVerify"
    actions   = ["dynamodb:BatchGetItem", "dynamodb:PartiQLInsert"]
    resources = [aws_dynamodb_table.payments_archive.arn]
  }

  statement {
    sid       = "ReadAndDeletePayments"
    actions   = ["dynamodb:BatchGetItem", "dynamodb:PartiQLDelete"]
    resources = [aws_dynamodb_table.payments.arn]
  }
}

# Whoever runs `dueflow archive find`.
data "aws_iam_policy_document" "archive_find" {
  # Time zone and number of shards, which all services and commands must have.
  statement {
    sid       = "ReadTheInstallation"
    actions   = ["dynamodb:GetItem"]
    resources = [aws_dynamodb_table.control.arn]
  }

  statement {
    sid     = "ReadTheArchive"
    actions = ["dynamodb:BatchGetItem", "dynamodb:Query"]
    resources = [
      aws_dynamodb_table.payments_archive.arn,
      "${aws_dynamodb_table.payments_archive.arn}/index/due",
      "${aws_dynamodb_table.payments_archive.arn}/index/transaction",
    ]
  }
}

# Whoever runs `dueflow archive verify`: it reads, and nothing else.
data "aws_iam_policy_document" "archive_verify" {
  # Time zone and number of shards, which all services and commands must have.
  statement {
    sid       = "ReadTheInstallation"
    actions   = ["dynamodb:GetItem"]
    resources = [aws_dynamodb_table.control.arn]
  }

  statement {
    sid     = "FindPaymentsOfTheDayInBoth"
    actions = ["dynamodb:Query"]
    resources = [
      "${aws_dynamodb_table.payments.arn}/index/due",
      "${aws_dynamodb_table.payments_archive.arn}/index/due",
    ]
  }

  statement {
    sid       = "ReadBoth"
    actions   = ["dynamodb:BatchGetItem"]
    resources = [aws_dynamodb_table.payments.arn, aws_dynamodb_table.payments_archive.arn]
  }
}

# Whoever runs `dueflow payments audit --withhold`. A dry run does without PartiQLUpdate and
# without the queue.
data "aws_iam_policy_document" "payments_audit" {
  # Time zone and number of shards, which all services and commands must have.
  statement {
    sid       = "ReadTheInstallation"
    actions   = ["dynamodb:GetItem"]
    resources = [aws_dynamodb_table.control.arn]
  }

  statement {
    sid       = "ScanAndWithholdPayments"
    actions   = ["dynamodb:PartiQLUpdate", "dynamodb:Scan"]
    resources = [aws_dynamodb_table.payments.arn]
  }

  statement {
    sid       = "WriteDeadLetters"
    actions   = ["sqs:GetQueueUrl", "sqs:SendMessage"]
    resources = [aws_sqs_queue.payments_dlq.arn]
  }
}

# Whoever runs `dueflow setup --settings-only`, once after the tables were made and at an upgrade.
data "aws_iam_policy_document" "setup_settings" {
  statement {
    sid       = "StoreTheInstallation"
    actions   = ["dynamodb:GetItem", "dynamodb:PutItem"]
    resources = [aws_dynamodb_table.control.arn]
  }
}

# Whoever runs `dueflow reconcile`: it reads both tables whole, and nothing else.
data "aws_iam_policy_document" "reconcile" {
  # Time zone and number of shards, which all services and commands must have.
  statement {
    sid       = "ReadTheInstallation"
    actions   = ["dynamodb:GetItem"]
    resources = [aws_dynamodb_table.control.arn]
  }

  statement {
    sid       = "ReadBothWhole"
    actions   = ["dynamodb:Scan"]
    resources = [aws_dynamodb_table.payments.arn, aws_dynamodb_table.payments_archive.arn]
  }
}
