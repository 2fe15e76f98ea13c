//! What all services and commands of one installation agree on: the bank's time zone and the
//! number of partitions of the index `due`, stored once by `dueflow setup`, and the time of day.
//!
//! A relay with another zone opens days that have not begun, and a writer with another number of
//! partitions puts payments where nobody looks. So whoever has other values does not start, and
//! whoever finds them changed, or its clock wrong, ends.

use std::time::Duration;

use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::error::{DisplayErrorContext, SdkError};
use aws_sdk_dynamodb::operation::get_item::{GetItemError, GetItemOutput};
use aws_sdk_dynamodb::operation::put_item::PutItemError;
use aws_sdk_dynamodb::types::AttributeValue;
use jiff::{SignedDuration, Timestamp};

use crate::aws::Aws;
use crate::clock::{Clock, TOLERANCE};
use crate::config::{Common, Installation, Names};
use crate::date_header::DateHeader;
use crate::resources::control::{INSTALLATION, KEY};
use crate::retry;

const ZONE: &str = "TimeZone";
const SHARDS: &str = "DueShards";

/// How often a running service looks whether it still agrees.
pub const LOOK: Duration = Duration::from_secs(60);

/// Why this process must not work on the installation.
#[derive(Debug, thiserror::Error)]
pub enum InstallationError {
    /// The table of control items is not there.
    #[error(
        "there is no table {0}: run `dueflow setup`, which makes it and stores time zone and number of shards"
    )]
    NoTable(String),
    /// Nothing is stored.
    #[error(
        "the table {0} holds no time zone and no number of shards: run `dueflow setup` with this installation's DUEFLOW_TIME_ZONE and DUEFLOW_DUE_SHARDS"
    )]
    Absent(String),
    /// What is stored does not read.
    #[error(
        "the item `installation` of the table {0} does not read as time zone and number of shards: see \"Another zone or number of shards\" in docs/installing.md"
    )]
    Form(String),
    /// Other values.
    #[error(
        "this process has DUEFLOW_TIME_ZONE={} and DUEFLOW_DUE_SHARDS={}, the installation has {} and {} (table {table}): give every service and command the same",
        .own.zone, .own.due_shards, .stored.zone, .stored.due_shards
    )]
    Differs {
        /// Of this process.
        own: Installation,
        /// Of the installation.
        stored: Installation,
        /// Where they are stored.
        table: String,
    },
    /// Another time of day.
    #[error(
        "this machine's clock says {own:.0}, and DynamoDB's says {theirs:.0}: they may be 60 s apart; synchronise the clocks (chrony, systemd-timesyncd), because they decide what is due today"
    )]
    Clock {
        /// By this machine's clock.
        own: Timestamp,
        /// By the table's.
        theirs: Timestamp,
    },
    /// The item could not be read.
    #[error("reading the installation's settings: {}", DisplayErrorContext(.0))]
    Read(Box<SdkError<GetItemError>>),
    /// The item could not be written.
    #[error("storing the installation's settings: {}", DisplayErrorContext(.0))]
    Write(Box<SdkError<PutItemError>>),
}

impl InstallationError {
    /// Whether the call failed, and nothing is known.
    fn is_unanswered(&self) -> bool {
        match self {
            Self::Read(_) | Self::Write(_) => true,
            Self::NoTable(_)
            | Self::Absent(_)
            | Self::Form(_)
            | Self::Differs { .. }
            | Self::Clock { .. } => false,
        }
    }
}

/// What this process holds against the installation.
#[derive(Debug)]
pub struct Agreement {
    client: Client,
    table: String,
    own: Installation,
    clock: Clock,
}

impl Agreement {
    /// For the settings of this process.
    #[must_use]
    pub fn new(aws: &Aws, common: &Common) -> Self {
        Self::of(aws, &common.names, common.installation.clone(), Clock::system())
    }

    /// For any values, by any clock.
    #[must_use]
    pub fn of(aws: &Aws, names: &Names, own: Installation, clock: Clock) -> Self {
        let (client, table) = (aws.dynamodb("installation"), names.control_table());
        Self { client, table, own, clock }
    }

    /// Checks the settings and the clock. A call that fails is tried again for some seconds.
    ///
    /// # Errors
    /// [`InstallationError`] says what differs, with both values.
    pub async fn check(&self) -> Result<(), InstallationError> {
        let may_pass = |error: &InstallationError| {
            let unanswered = error.is_unanswered();
            if unanswered {
                tracing::warn!(%error, "reading the installation's settings failed");
            }
            unanswered
        };
        retry::TABLE_STATEMENTS.retry(|| self.check_once(), may_pass).await
    }

    /// Looks every so often; returns once this process must end.
    pub async fn until_broken(&self, every: Duration) -> InstallationError {
        loop {
            tokio::time::sleep(every).await;
            if self.is_broken(self.check_once().await).is_none() {
                continue;
            }
            // A clock may be set at this very moment, so another look must confirm it.
            tokio::time::sleep(every / 12).await;
            if let Some(error) = self.is_broken(self.check_once().await) {
                return error;
            }
        }
    }

    /// A disagreement, and no failed call.
    fn is_broken(&self, checked: Result<(), InstallationError>) -> Option<InstallationError> {
        let error = checked.err()?;
        let ends = match &error {
            InstallationError::Differs { .. } | InstallationError::Clock { .. } => true,
            InstallationError::NoTable(_)
            | InstallationError::Absent(_)
            | InstallationError::Form(_)
            | InstallationError::Read(_)
            | InstallationError::Write(_) => false,
        };
        tracing::warn!(%error, "the installation's settings or clock could not be confirmed");
        ends.then_some(error)
    }

    async fn check_once(&self) -> Result<(), InstallationError> {
        let date = DateHeader::default();
        let before = self.clock.now();
        let got = self.get(date.clone()).await;
        let after = self.clock.read();
        if let Some(theirs) = date.date() {
            if are_apart(theirs, before, after.wall) {
                return Err(InstallationError::Clock { own: after.wall, theirs });
            }
            if are_close(before, after.wall) {
                self.clock.confirm(after);
            }
        }
        match self.read(got)? {
            Some(stored) => compare(&self.own, stored, &self.table),
            None => Err(InstallationError::Absent(self.table.clone())),
        }
    }

    /// Stores the values, unless there are some; true when they are new.
    ///
    /// # Errors
    /// [`InstallationError::Differs`] when there are others: nothing is changed then.
    pub async fn store(&self) -> Result<bool, InstallationError> {
        let put = self.put().condition_expression(format!("attribute_not_exists({KEY})"));
        match put.send().await {
            Ok(_) => return Ok(true),
            Err(error) => match error.as_service_error() {
                Some(PutItemError::ConditionalCheckFailedException(_)) => {}
                _ => return Err(InstallationError::Write(Box::new(error))),
            },
        }
        let got = self.get(DateHeader::default()).await;
        match self.read(got)? {
            Some(stored) => compare(&self.own, stored, &self.table).map(|()| false),
            None => Err(InstallationError::Absent(self.table.clone())),
        }
    }

    /// Stores the values over others. Everything else must be stopped.
    ///
    /// # Errors
    /// [`InstallationError::Write`] when the call fails.
    pub async fn replace(&self) -> Result<(), InstallationError> {
        let put = self.put().send().await;
        put.map(drop).map_err(|error| InstallationError::Write(Box::new(error)))
    }

    fn put(&self) -> aws_sdk_dynamodb::operation::put_item::builders::PutItemFluentBuilder {
        let text = |text: &str| AttributeValue::S(text.to_owned());
        let Installation { zone, due_shards } = &self.own;
        self.client
            .put_item()
            .table_name(&self.table)
            .item(KEY, text(INSTALLATION))
            .item(ZONE, text(zone))
            .item(SHARDS, AttributeValue::N(due_shards.to_string()))
    }

    async fn get(&self, date: DateHeader) -> Result<GetItemOutput, SdkError<GetItemError>> {
        let key = AttributeValue::S(INSTALLATION.to_owned());
        let get = self.client.get_item().table_name(&self.table).key(KEY, key);
        get.consistent_read(true).customize().interceptor(date).send().await
    }

    fn read(
        &self,
        got: Result<GetItemOutput, SdkError<GetItemError>>,
    ) -> Result<Option<Installation>, InstallationError> {
        let output = got.map_err(|error| match error.as_service_error() {
            Some(GetItemError::ResourceNotFoundException(_)) => {
                InstallationError::NoTable(self.table.clone())
            }
            _ => InstallationError::Read(Box::new(error)),
        })?;
        let Some(item) = output.item() else { return Ok(None) };
        let zone = item.get(ZONE).and_then(|zone| zone.as_s().ok()).cloned();
        let shards = item.get(SHARDS).and_then(|shards| shards.as_n().ok()?.parse().ok());
        let read = zone.zip(shards).map(|(zone, due_shards)| Installation { zone, due_shards });
        read.map(Some).ok_or_else(|| InstallationError::Form(self.table.clone()))
    }
}

fn compare(own: &Installation, stored: Installation, table: &str) -> Result<(), InstallationError> {
    if stored == *own {
        return Ok(());
    }
    let (own, table) = (own.clone(), table.to_owned());
    Err(InstallationError::Differs { own, stored, table })
}

/// Whether a clock that showed `theirs` (in whole seconds) at some moment between `before` and
/// `after` of this machine's is certainly too far away. A call that took long proves little.
fn are_apart(theirs: Timestamp, before: Timestamp, after: Timestamp) -> bool {
    let second = SignedDuration::from_secs(1);
    let ahead_at_least = theirs.duration_since(after);
    let ahead_at_most = theirs.duration_since(before) + second;
    ahead_at_least > TOLERANCE || ahead_at_most < -TOLERANCE
}

/// Whether a call was short enough for its answer to say that this machine's clock is right: one
/// that jumps during a call shows a long one.
fn are_close(before: Timestamp, after: Timestamp) -> bool {
    after.duration_since(before).abs() <= TOLERANCE
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clocks_are_apart_only_when_no_moment_of_the_call_explains_it() {
        let at = |text: &str| format!("2026-11-24T{text}Z").parse::<Timestamp>().unwrap();
        let apart = |theirs, before, after| are_apart(at(theirs), at(before), at(after));
        assert!(!apart("10:00:00", "10:00:00.9", "10:00:01"));
        assert!(!apart("10:01:00", "10:00:00", "10:00:00.1"));
        assert!(apart("10:01:02", "10:00:00", "10:00:01"));
        assert!(apart("10:00:00", "10:01:01.1", "10:01:02"));
        // The machine stood still for two minutes between question and answer.
        assert!(!apart("10:00:00", "10:00:00", "10:02:00"));
        assert!(!apart("10:02:00", "10:00:00", "10:02:00"));
        assert!(apart("10:04:00", "10:00:00", "10:02:00"));
    }

    #[test]
    fn a_long_call_confirms_no_clock() {
        let at = |text: &str| format!("2026-11-24T{text}Z").parse::<Timestamp>().unwrap();
        assert!(are_close(at("10:00:00"), at("10:01:00")));
        assert!(!are_close(at("10:00:00"), at("10:01:01")));
        assert!(!are_close(at("10:01:01"), at("10:00:00")));
    }

    #[test]
    fn a_refusal_names_both_values() {
        let of = |zone: &str, due_shards| Installation { zone: zone.to_owned(), due_shards };
        let (own, stored) = (of("UTC", 16), of("Europe/Madrid", 10));
        assert!(compare(&own, own.clone(), "t-control").is_ok());
        let text = compare(&own, stored, "t-control").unwrap_err().to_string();
        for part in ["UTC", "16", "Europe/Madrid", "10", "t-control"] {
            assert!(text.contains(part), "{part} is missing in {text}");
        }
    }
}
