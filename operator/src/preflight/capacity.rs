//! Write units of the payments table and its index: what they can take, and what tonight needs.

use aws_sdk_dynamodb::types::{
    BillingMode, OnDemandThroughput, ProvisionedThroughputDescription, TableDescription,
};

use indicatif::HumanCount;

use super::check::{Check, CheckResult};
use super::format::several;
use super::load::BatchLoad;

/// Write units per second that one partition takes (DynamoDB Developer Guide, "Designing
/// partition keys").
const PARTITION: u64 = 1_000;

/// Share of it that one partition of the index may be asked for: what is inserted is not
/// spread evenly over each second.
const PARTITION_GO: u64 = PARTITION / 2;

/// Read units that a new table on demand is ready for (DynamoDB Developer Guide, "Warm
/// throughput"): a change of the warm throughput must name them too.
const READ_UNITS: u64 = 12_000;

/// What a table or an index can take, in write units per second.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Capacity {
    /// On demand: at once what it is warm for, more after a while, never more than its limit.
    OnDemand {
        /// What it is warm for; `None` when that is not reported.
        warm: Option<u64>,
        /// The limit that somebody has set.
        most: Option<u64>,
    },
    /// So much and no more.
    Provisioned(u64),
}

/// A table, or an index of one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct WriteTarget<'a> {
    pub(super) table: &'a str,
    pub(super) index: Option<&'a str>,
}

/// What the table, or its index, can take; `None` when it has no such index.
pub(super) fn capacity(found: &TableDescription, index: Option<&str>) -> Option<Capacity> {
    let on_demand = found.billing_mode_summary().and_then(|summary| summary.billing_mode())
        == Some(&BillingMode::PayPerRequest);
    let (warm, limit, provisioned) = match index {
        None => (
            found.warm_throughput().and_then(|warm| warm.write_units_per_second()),
            found.on_demand_throughput(),
            found.provisioned_throughput(),
        ),
        Some(name) => {
            let indexes = found.global_secondary_indexes();
            let index = indexes.iter().find(|index| index.index_name() == Some(name))?;
            (
                index.warm_throughput().and_then(|warm| warm.write_units_per_second()),
                index.on_demand_throughput(),
                index.provisioned_throughput(),
            )
        }
    };
    Some(if on_demand {
        // -1 takes a limit away.
        let most = limit.and_then(OnDemandThroughput::max_write_request_units);
        let units = |units: i64| u64::try_from(units).ok().filter(|units| *units > 0);
        Capacity::OnDemand { warm: warm.and_then(units), most: most.and_then(units) }
    } else {
        let units = provisioned.and_then(ProvisionedThroughputDescription::write_capacity_units);
        Capacity::Provisioned(units.and_then(|units| u64::try_from(units).ok()).unwrap_or(0))
    })
}

/// Whether it can take tonight's writes.
pub(super) fn evaluate(
    named: WriteTarget<'_>,
    capacity: Capacity,
    load: &BatchLoad,
) -> CheckResult {
    let units = load.write_units();
    let needed = load.arithmetic();
    let name = named.index.map_or_else(
        || named.table.to_owned(),
        |index| format!("index {index} of {}", named.table),
    );
    let figure = |words: String| format!("{name}: {words}");
    match capacity {
        Capacity::OnDemand { most: Some(most), .. } if most < units => {
            let words = format!("on demand, limited to {} write units/s", HumanCount(most));
            let remedy =
                format!("raise MaxWriteRequestUnits to {} or take it away", HumanCount(units));
            CheckResult::no_go(Check::Capacity, figure(words), needed, remedy)
        }
        Capacity::OnDemand { warm: None, .. } => {
            let words = "on demand, warm throughput not reported".to_owned();
            let remedy = "a new table is warm for 4,000 write units/s, an older one for the most \
                          it was ever asked for";
            CheckResult::warn(Check::Capacity, figure(words), needed, remedy)
        }
        Capacity::OnDemand { warm: Some(warm), .. } => {
            let words = format!("on demand, warm for {} write units/s", HumanCount(warm));
            if warm >= units {
                return CheckResult::go(Check::Capacity, figure(words), needed);
            }
            CheckResult::no_go(Check::Capacity, figure(words), needed, warming(named, units))
        }
        Capacity::Provisioned(provisioned) => {
            let words = format!("{} write units/s provisioned", HumanCount(provisioned));
            if provisioned >= units {
                return CheckResult::go(Check::Capacity, figure(words), needed);
            }
            let remedy = format!(
                "provision {} write units before the batch, or set the table to on demand",
                HumanCount(units)
            );
            CheckResult::no_go(Check::Capacity, figure(words), needed, remedy)
        }
    }
}

/// The command that makes it warm enough.
fn warming(named: WriteTarget<'_>, units: u64) -> String {
    let units = format!("ReadUnitsPerSecond={READ_UNITS},WriteUnitsPerSecond={units}");
    let WriteTarget { table, index } = named;
    match index {
        None => format!("aws dynamodb update-table --table-name {table} --warm-throughput {units}"),
        Some(index) => format!(
            "aws dynamodb update-table --table-name {table} --global-secondary-index-updates \
             'Update={{IndexName={index},WarmThroughput={{{units}}}}}'"
        ),
    }
}

/// Whether each partition of the index can take its part.
pub(super) fn evaluate_partitions(shards: u16, load: &BatchLoad) -> CheckResult {
    let units = load.write_units();
    let each = units.div_ceil(u64::from(shards));
    let figure = format!(
        "{} write units/s over {} = {} write units/s each",
        HumanCount(units),
        several(shards.into(), "partition"),
        HumanCount(each)
    );
    let needed =
        format!("at most {PARTITION_GO} each (a partition takes {})", HumanCount(PARTITION));
    let remedy = format!(
        "set DUEFLOW_DUE_SHARDS to at least {} while nothing is scheduled: it is part of stored keys",
        units.div_ceil(PARTITION_GO)
    );
    if each <= PARTITION_GO {
        CheckResult::go(Check::Partitions, figure, needed)
    } else if each <= PARTITION {
        CheckResult::warn(Check::Partitions, figure, needed, remedy)
    } else {
        CheckResult::no_go(Check::Partitions, figure, needed, remedy)
    }
}

#[cfg(test)]
mod tests {
    use super::super::check::Severity;
    use super::super::load::tests::a_million;
    use super::*;

    const TABLE: WriteTarget<'_> = WriteTarget { table: "dueflow-payments", index: None };
    const INDEX: WriteTarget<'_> = WriteTarget { table: "dueflow-payments", index: Some("due") };

    #[test]
    fn a_table_must_be_ready_for_every_write_unit_of_the_batch() {
        let on_demand = |warm, most| Capacity::OnDemand { warm, most };
        for (capacity, severity) in [
            (on_demand(Some(2_778), None), Severity::Go),
            (on_demand(Some(2_777), None), Severity::NoGo),
            (on_demand(None, None), Severity::Warn),
            (on_demand(Some(9_000), Some(2_777)), Severity::NoGo),
            (on_demand(None, Some(2_777)), Severity::NoGo),
            (on_demand(Some(9_000), Some(2_778)), Severity::Go),
            (Capacity::Provisioned(2_778), Severity::Go),
            (Capacity::Provisioned(2_777), Severity::NoGo),
            (Capacity::Provisioned(0), Severity::NoGo),
        ] {
            for named in [TABLE, INDEX] {
                assert_eq!(
                    evaluate(named, capacity, &a_million()).severity,
                    severity,
                    "{capacity:?}"
                );
            }
        }
    }

    #[test]
    fn the_remedy_for_a_cold_index_is_the_command_that_warms_it() {
        let cold = Capacity::OnDemand { warm: Some(1_000), most: None };
        let result = evaluate(INDEX, cold, &a_million());
        assert_eq!(
            result.remedy.unwrap(),
            "aws dynamodb update-table --table-name dueflow-payments \
             --global-secondary-index-updates 'Update={IndexName=due,WarmThroughput=\
             {ReadUnitsPerSecond=12000,WriteUnitsPerSecond=2778}}'"
        );
    }

    #[test]
    fn a_partition_of_the_index_takes_half_of_its_limit_and_never_more_than_the_limit() {
        for (shards, severity) in [
            (16, Severity::Go),
            (6, Severity::Go),
            (5, Severity::Warn),
            (3, Severity::Warn),
            (2, Severity::NoGo),
            (1, Severity::NoGo),
        ] {
            let result = evaluate_partitions(shards, &a_million());
            assert_eq!(result.severity, severity, "{shards}: {result:?}");
        }
    }
}
