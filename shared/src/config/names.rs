//! The names of tables and queues, all from one prefix.

use std::fmt;
use std::str::FromStr;

/// Names of everything dueflow owns at AWS.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Names {
    prefix: String,
}

impl Names {
    /// `<prefix>-payments`.
    #[must_use]
    pub fn payments_table(&self) -> String {
        format!("{}-payments", self.prefix)
    }

    /// `<prefix>-payments-archive`.
    #[must_use]
    pub fn archive_table(&self) -> String {
        format!("{}-payments-archive", self.prefix)
    }

    /// `<prefix>-leases`.
    #[must_use]
    pub fn leases_table(&self) -> String {
        format!("{}-leases", self.prefix)
    }

    /// `<prefix>-control`.
    #[must_use]
    pub fn control_table(&self) -> String {
        format!("{}-control", self.prefix)
    }

    /// `<prefix>-imports`.
    #[must_use]
    pub fn imports_table(&self) -> String {
        format!("{}-imports", self.prefix)
    }

    /// `<prefix>-actions`.
    #[must_use]
    pub fn actions_table(&self) -> String {
        format!("{}-actions", self.prefix)
    }

    /// `<prefix>-payments.fifo`.
    #[must_use]
    pub fn payments_queue(&self) -> String {
        format!("{}-payments.fifo", self.prefix)
    }

    /// `<prefix>-confirmations.fifo`.
    #[must_use]
    pub fn confirmations_queue(&self) -> String {
        format!("{}-confirmations.fifo", self.prefix)
    }

    /// `<prefix>-payments-dlq.fifo`.
    #[must_use]
    pub fn dead_letter_queue(&self) -> String {
        format!("{}-payments-dlq.fifo", self.prefix)
    }
}

impl FromStr for Names {
    type Err = String;

    /// Takes a prefix of 4 to 60 letters, digits and hyphens: botocore refuses stream ARNs
    /// of tables with names below 11 characters, and SQS names above 80.
    fn from_str(prefix: &str) -> Result<Self, String> {
        let allowed = prefix.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-');
        if allowed && (4..=60).contains(&prefix.len()) {
            Ok(Self { prefix: prefix.to_owned() })
        } else {
            Err("must be 4 to 60 letters, digits and hyphens".to_owned())
        }
    }
}

impl fmt::Display for Names {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.prefix)
    }
}
