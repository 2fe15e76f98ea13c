terraform {
  required_version = ">= 1.5"

  required_providers {
    aws = {
      source = "hashicorp/aws"
      # hash_key and range_key work in 5 and 6; late releases of 6 warn that key_schema is
      # to replace them.
      version = ">= 5.0, < 7.0"
    }
  }
}
