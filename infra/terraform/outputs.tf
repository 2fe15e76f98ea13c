output "tables" {
  description = "ARNs of the tables."
  value = {
    payments         = aws_dynamodb_table.payments.arn
    payments_archive = aws_dynamodb_table.payments_archive.arn
    leases           = aws_dynamodb_table.leases.arn
    control          = aws_dynamodb_table.control.arn
    imports          = aws_dynamodb_table.imports.arn
    actions          = aws_dynamodb_table.actions.arn
  }
}

output "payments_stream_arn" {
  description = "ARN of the stream of the payments table."
  value       = aws_dynamodb_table.payments.stream_arn
}

output "queues" {
  description = "URLs of the queues."
  value = {
    payments      = aws_sqs_queue.payments.url
    confirmations = aws_sqs_queue.confirmations.url
    payments_dlq  = aws_sqs_queue.payments_dlq.url
  }
}

output "policies" {
  description = "IAM policies in JSON, to be attached to the role of each service."
  value = {
    "stream-relay"    = data.aws_iam_policy_document.stream_relay.json
    "dispatcher"      = data.aws_iam_policy_document.dispatcher.json
    "confirmer"       = data.aws_iam_policy_document.confirmer.json
    "payments-import" = data.aws_iam_policy_document.payments_import.json
    "payments-show"   = data.aws_iam_policy_document.payments_show.json
    "payments-open"   = data.aws_iam_policy_document.payments_open.json
    "payments-cancel" = data.aws_iam_policy_document.payments_cancel.json
    "payments-audit"  = data.aws_iam_policy_document.payments_audit.json
    "setup-settings"  = data.aws_iam_policy_document.setup_settings.json
    "dispatch-status" = data.aws_iam_policy_document.dispatch_status.json
    "dispatch-stop"   = data.aws_iam_policy_document.dispatch_stop.json
    "dispatch-resume" = data.aws_iam_policy_document.dispatch_resume.json
    "dlq-list"        = data.aws_iam_policy_document.dlq_list.json
    "dlq-show"        = data.aws_iam_policy_document.dlq_show.json
    "dlq-export"      = data.aws_iam_policy_document.dlq_export.json
    "dlq-replay"      = data.aws_iam_policy_document.dlq_replay.json
    "dlq-discard"     = data.aws_iam_policy_document.dlq_discard.json
    "dlq-log"         = data.aws_iam_policy_document.dlq_log.json
    "archive-run"     = data.aws_iam_policy_document.archive_run.json
    "archive-find"    = data.aws_iam_policy_document.archive_find.json
    "archive-verify"  = data.aws_iam_policy_document.archive_verify.json
    "reconcile"       = data.aws_iam_policy_document.reconcile.json
  }
}
