# The tables, as shared/src/resources.rs defines them (tests/tests/terraform.rs compares).
# What goes beyond that definition keeps the data: recovery to any second of the last 35
# days, encryption with the account's AWS managed key (its use shows in CloudTrail), and two
# locks against deletion, one at AWS and one in Terraform.

resource "aws_dynamodb_table" "payments" {
  name                        = "${var.prefix}-payments"
  billing_mode                = "PAY_PER_REQUEST"
  hash_key                    = "PK"
  range_key                   = "SK"
  stream_enabled              = true
  stream_view_type            = "NEW_IMAGE"
  deletion_protection_enabled = true

  attribute {
    name = "PK"
    type = "S"
  }

  attribute {
    name = "SK"
    type = "S"
  }

  attribute {
    name = "DueShard"
    type = "S"
  }

  attribute {
    name = "DueKey"
    type = "S"
  }

  global_secondary_index {
    name               = "due"
    hash_key           = "DueShard"
    range_key          = "DueKey"
    projection_type    = "INCLUDE"
    non_key_attributes = ["Status"]
  }

  ttl {
    enabled        = true
    attribute_name = "ExpiresAt"
  }

  point_in_time_recovery {
    enabled = true
  }

  server_side_encryption {
    enabled = true
  }

  lifecycle {
    prevent_destroy = true
  }
}

# Settled payments of the days that are over, for as long as the bank must keep them. Nothing
# here is ever changed or deleted, and nobody but an operator's `dueflow archive run` writes.
resource "aws_dynamodb_table" "payments_archive" {
  name                        = "${var.prefix}-payments-archive"
  billing_mode                = "PAY_PER_REQUEST"
  hash_key                    = "PK"
  range_key                   = "SK"
  deletion_protection_enabled = true

  attribute {
    name = "PK"
    type = "S"
  }

  attribute {
    name = "SK"
    type = "S"
  }

  attribute {
    name = "DueShard"
    type = "S"
  }

  attribute {
    name = "DueKey"
    type = "S"
  }

  attribute {
    name = "TransactionID"
    type = "S"
  }

  global_secondary_index {
    name               = "due"
    hash_key           = "DueShard"
    range_key          = "DueKey"
    projection_type    = "INCLUDE"
    non_key_attributes = ["Status"]
  }

  global_secondary_index {
    name            = "transaction"
    hash_key        = "TransactionID"
    projection_type = "KEYS_ONLY"
  }

  point_in_time_recovery {
    enabled = true
  }

  server_side_encryption {
    enabled = true
  }

  lifecycle {
    prevent_destroy = true
  }
}

# Who reads which shard of the stream, and how far it is read.
resource "aws_dynamodb_table" "leases" {
  name                        = "${var.prefix}-leases"
  billing_mode                = "PAY_PER_REQUEST"
  hash_key                    = "LeaseKey"
  deletion_protection_enabled = true

  attribute {
    name = "LeaseKey"
    type = "S"
  }

  point_in_time_recovery {
    enabled = true
  }

  server_side_encryption {
    enabled = true
  }

  lifecycle {
    prevent_destroy = true
  }
}

# What holds for the whole installation: its zone, its number of partitions, a stop.
resource "aws_dynamodb_table" "control" {
  name                        = "${var.prefix}-control"
  billing_mode                = "PAY_PER_REQUEST"
  hash_key                    = "ControlKey"
  deletion_protection_enabled = true

  attribute {
    name = "ControlKey"
    type = "S"
  }

  point_in_time_recovery {
    enabled = true
  }

  server_side_encryption {
    enabled = true
  }

  lifecycle {
    prevent_destroy = true
  }
}

# The batches of payments that were imported, so that none is imported twice.
resource "aws_dynamodb_table" "imports" {
  name                        = "${var.prefix}-imports"
  billing_mode                = "PAY_PER_REQUEST"
  hash_key                    = "ImportKey"
  deletion_protection_enabled = true

  attribute {
    name = "ImportKey"
    type = "S"
  }

  point_in_time_recovery {
    enabled = true
  }

  server_side_encryption {
    enabled = true
  }

  lifecycle {
    prevent_destroy = true
  }
}

# What operators have changed by hand, when and why. Nothing here is ever changed or deleted.
resource "aws_dynamodb_table" "actions" {
  name                        = "${var.prefix}-actions"
  billing_mode                = "PAY_PER_REQUEST"
  hash_key                    = "ActionDay"
  range_key                   = "ActionId"
  deletion_protection_enabled = true

  attribute {
    name = "ActionDay"
    type = "S"
  }

  attribute {
    name = "ActionId"
    type = "S"
  }

  point_in_time_recovery {
    enabled = true
  }

  server_side_encryption {
    enabled = true
  }

  lifecycle {
    prevent_destroy = true
  }
}
