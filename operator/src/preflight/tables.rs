//! Tables as they should be.

use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::types::{
    IndexStatus, KeySchemaElement, KeyType, PointInTimeRecoveryStatus, StreamViewType,
    TableDescription, TableStatus, TimeToLiveStatus,
};
use shared::resources::{IndexDefinition, TableDefinition};

use super::check::{Check, CheckResult};
use super::format::cause;

/// What is known of a table.
#[derive(Debug)]
pub(super) struct TableFacts {
    /// `None` when there is no such table.
    pub(super) found: Option<TableDescription>,
    /// Whether items expire; `None` when that is not reported.
    pub(super) expires: Option<bool>,
    /// Whether it can be restored to a point in time; `None` when that is not reported.
    pub(super) recovery: Option<bool>,
}

/// Describes a table. What an emulator does not know, or the credentials do not allow, of
/// expiry and recovery counts as not reported.
///
/// # Errors
/// Why the table itself could not be described.
pub(super) async fn read(client: &Client, name: &str) -> Result<TableFacts, String> {
    let table = client.describe_table().table_name(name).send();
    let expiry = client.describe_time_to_live().table_name(name).send();
    let recovery = client.describe_continuous_backups().table_name(name).send();
    let (table, expiry, recovery) = tokio::join!(table, expiry, recovery);
    let found = match table {
        Ok(output) => output.table,
        Err(error) => match error.as_service_error() {
            Some(refused) if refused.is_resource_not_found_exception() => None,
            Some(_) | None => return Err(cause(&error)),
        },
    };
    let expires = expiry.ok().and_then(|output| output.time_to_live_description);
    let recovery = recovery.ok().and_then(|output| output.continuous_backups_description);
    let recovery = recovery.and_then(|backups| backups.point_in_time_recovery_description);
    Ok(TableFacts {
        found,
        expires: expires.map(|expiry| {
            let status = expiry.time_to_live_status();
            matches!(status, Some(TimeToLiveStatus::Enabled | TimeToLiveStatus::Enabling))
        }),
        recovery: recovery.map(|recovery| {
            recovery.point_in_time_recovery_status() == Some(&PointInTimeRecoveryStatus::Enabled)
        }),
    })
}

/// Whether the table is as `wanted`. One result for what stands in the way of payments, or
/// one for what guards them.
pub(super) fn evaluate(wanted: &TableDefinition, facts: &TableFacts) -> CheckResult {
    let name = &wanted.name;
    let Some(found) = &facts.found else {
        return CheckResult::no_go(Check::Table, format!("{name}: missing"), "", "dueflow setup");
    };
    if found.table_status() != Some(&TableStatus::Active) {
        let status = found.table_status().map_or("unknown", TableStatus::as_str);
        let remedy = "wait until it is ACTIVE";
        return CheckResult::no_go(Check::Table, format!("{name}: {status}"), "ACTIVE", remedy);
    }
    let wrong = differences(wanted, found);
    if !wrong.is_empty() {
        let figure = format!("{name}: {}", wrong.join(", "));
        let remedy = "dueflow setup says what it can mend; keys and indexes cannot be changed: \
                      make the table anew under another DUEFLOW_PREFIX";
        return CheckResult::no_go(Check::Table, figure, "as dueflow setup makes it", remedy);
    }
    evaluate_guards(wanted, found, facts)
}

/// What guards the payments of a table: nothing fails tonight without it.
fn evaluate_guards(
    wanted: &TableDefinition,
    found: &TableDescription,
    facts: &TableFacts,
) -> CheckResult {
    let name = &wanted.name;
    // Leases can be lost: relays then read the stream again, and no payment twice.
    if wanted.indexes.is_empty() {
        return CheckResult::go(Check::Table, format!("{name}: ACTIVE, as it should be"), "");
    }
    let said = |on: Option<bool>| match on {
        Some(true) => "on",
        Some(false) => "off",
        None => "not reported",
    };
    let protection = found.deletion_protection_enabled();
    let expiry = wanted.expiry.map(|_| facts.expires);
    let mut figure = format!(
        "{name}: ACTIVE, as it should be; recovery to a point in time {}, deletion protection {}",
        said(facts.recovery),
        said(protection)
    );
    if let Some(expires) = expiry {
        figure.push_str(&format!(", expiry {}", said(expires)));
    }
    let guarded = [Some(facts.recovery), Some(protection), expiry];
    if guarded.iter().flatten().all(|guard| *guard == Some(true)) {
        return CheckResult::go(Check::Table, figure, "");
    }
    let mut remedies = Vec::new();
    if facts.recovery != Some(true) {
        remedies.push(format!(
            "aws dynamodb update-continuous-backups --table-name {name} \
             --point-in-time-recovery-specification PointInTimeRecoveryEnabled=true"
        ));
    }
    if protection != Some(true) {
        remedies.push(format!(
            "aws dynamodb update-table --table-name {name} --deletion-protection-enabled"
        ));
    }
    if expiry.is_some_and(|expires| expires != Some(true)) {
        remedies.push(format!(
            "aws dynamodb update-time-to-live --table-name {name} \
             --time-to-live-specification Enabled=true,AttributeName=ExpiresAt"
        ));
    }
    CheckResult::warn(Check::Table, figure, "all on", remedies.join("; "))
}

/// What is not as it should be.
fn differences(wanted: &TableDefinition, found: &TableDescription) -> Vec<String> {
    let mut wrong = Vec::new();
    if !keys_are(found.key_schema(), wanted.partition_key, wanted.sort_key) {
        wrong.push("another key".to_owned());
    }
    for index in &wanted.indexes {
        wrong.extend(index_difference(index, found));
    }
    let streams = found.stream_specification().is_some_and(|stream| {
        stream.stream_enabled() && stream.stream_view_type() == Some(&StreamViewType::NewImage)
    });
    if wanted.stream && !streams {
        wrong.push("no stream of new images".to_owned());
    }
    wrong
}

fn index_difference(wanted: &IndexDefinition, found: &TableDescription) -> Option<String> {
    let name = wanted.name;
    let indexes = found.global_secondary_indexes();
    let Some(index) = indexes.iter().find(|index| index.index_name() == Some(name)) else {
        return Some(format!("no index {name}"));
    };
    if index.index_status() != Some(&IndexStatus::Active) {
        let status = index.index_status().map_or("unknown", IndexStatus::as_str);
        return Some(format!("index {name} is {status}"));
    }
    if !keys_are(index.key_schema(), wanted.partition_key, wanted.sort_key) {
        return Some(format!("index {name} has another key"));
    }
    let projected =
        index.projection().map_or(&[][..], |projection| projection.non_key_attributes());
    let mut projected: Vec<&str> = projected.iter().map(String::as_str).collect();
    let mut expected = wanted.projected.to_vec();
    projected.sort_unstable();
    expected.sort_unstable();
    (projected != expected)
        .then(|| format!("index {name} projects {projected:?}, not {expected:?}"))
}

fn keys_are(found: &[KeySchemaElement], partition: &str, sort: Option<&str>) -> bool {
    let of = |kind: KeyType| {
        let key = found.iter().find(|key| *key.key_type() == kind);
        key.map(KeySchemaElement::attribute_name)
    };
    of(KeyType::Hash) == Some(partition) && of(KeyType::Range) == sort
}

#[cfg(test)]
#[path = "tables_tests.rs"]
mod tests;
