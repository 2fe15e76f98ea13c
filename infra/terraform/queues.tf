# The queues, as shared/src/resources.rs defines them (tests/tests/terraform.rs compares).
# SQS has no lock against deletion of its own, so Terraform's stands alone: what lies in a
# queue is gone with it.

locals {
  # 14 days, the longest SQS keeps a message.
  retention_seconds = 1209600
  # What a receive without a wish of its own gets; the services ask for
  # DUEFLOW_VISIBILITY_TIMEOUT.
  visibility_seconds = 60

  # Only a backstop: a rejected payment is dead-lettered at once by the dispatcher.
  redrive_policy = jsonencode({
    deadLetterTargetArn = aws_sqs_queue.payments_dlq.arn
    maxReceiveCount     = 1000
  })
}

# First, because the others name it.
resource "aws_sqs_queue" "payments_dlq" {
  name                        = "${var.prefix}-payments-dlq.fifo"
  fifo_queue                  = true
  content_based_deduplication = false
  deduplication_scope         = "messageGroup"
  fifo_throughput_limit       = "perMessageGroupId"
  message_retention_seconds   = local.retention_seconds
  visibility_timeout_seconds  = local.visibility_seconds
  sqs_managed_sse_enabled     = true

  lifecycle {
    prevent_destroy = true
  }
}

resource "aws_sqs_queue" "payments" {
  name                        = "${var.prefix}-payments.fifo"
  fifo_queue                  = true
  content_based_deduplication = false
  deduplication_scope         = "messageGroup"
  fifo_throughput_limit       = "perMessageGroupId"
  message_retention_seconds   = local.retention_seconds
  visibility_timeout_seconds  = local.visibility_seconds
  sqs_managed_sse_enabled     = true
  redrive_policy              = local.redrive_policy

  lifecycle {
    prevent_destroy = true
  }
}

resource "aws_sqs_queue" "confirmations" {
  name                        = "${var.prefix}-confirmations.fifo"
  fifo_queue                  = true
  content_based_deduplication = false
  deduplication_scope         = "messageGroup"
  fifo_throughput_limit       = "perMessageGroupId"
  message_retention_seconds   = local.retention_seconds
  visibility_timeout_seconds  = local.visibility_seconds
  sqs_managed_sse_enabled     = true
  redrive_policy              = local.redrive_policy

  lifecycle {
    prevent_destroy = true
  }
}
