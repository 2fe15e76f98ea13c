//! Write units of the payments table and its index: what they can take, and what tonight needs.

use aws_sdk_dynamodb::types::{
    BillingMode, OnDemandThroughput, ProvisionedThroughputDescription, TableDescription,
};

use super::figures::{grouped, several};
use super::finding::{Check, Finding};
use super::load::Load;

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
pub(super) struct Named<'a> {
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
pub(super) fn judge(named: Named<'_>, capacity: Capacity, load: &Load) -> Finding {
    let units = load.write_units();
    let needed = load.arithmetic();
    let name = named.index.map_or_else(
        || named.table.to_owned(),
        |index| format!("index {index} of {}", named.table),
    );
    let figure = |words: String| format!("{name}: {words}");
    match capacity {
        Capacity::OnDemand { most: Some(most), .. } if most < units => {
            let words = format!("on demand, limited to {} write units/s", grouped(most));
            let remedy =
                format!("raise MaxWriteRequestUnits to {} or take it away", grouped(units));
            Finding::no_go(Check::Capacity, figure(words), needed, remedy)
        }
        Capacity::OnDemand { warm: None, .. } => {
            let words = "on demand, warm throughput not reported".to_owned();
            let remedy = "a new table is warm for 4,000 write units/s, an older one for the most \
                          it was ever asked for";
            Finding::warn(Check::Capacity, figure(words), needed, remedy)
        }
        Capacity::OnDemand { warm: Some(warm), .. } => {
            let words = format!("on demand, warm for {} write units/s", grouped(warm));
            if warm >= units {
                return Finding::go(Check::Capacity, figure(words), needed);
            }
            Finding::no_go(Check::Capacity, figure(words), needed, warming(named, units))
        }
        Capacity::Provisioned(provisioned) => {
            let words = format!("{} write units/s provisioned", grouped(provisioned));
            if provisioned >= units {
                return Finding::go(Check::Capacity, figure(words), needed);
            }
            let remedy = format!(
                "provision {} write units before the batch, or set the table to on demand",
                grouped(units)
            );
            Finding::no_go(Check::Capacity, figure(words), needed, remedy)
        }
    }
}

/// The command that makes it warm enough.
fn warming(named: Named<'_>, units: u64) -> String {
    let units = format!("ReadUnitsPerSecond={READ_UNITS},WriteUnitsPerSecond={units}");
    let Named { table, index } = named;
    match index {
        None => format!("aws dynamodb update-table --table-name {table} --warm-throughput {units}"),
        Some(index) => format!(
            "aws dynamodb update-table --table-name {table} --global-secondary-index-updates \
             'Update={{IndexName={index},WarmThroughput={{{units}}}}}'"
        ),
    }
}

/// Whether each partition of the index can take its part.
pub(super) fn judge_partitions(shards: u16, load: &Load) -> Finding {
    let units = load.write_units();
    let each = units.div_ceil(u64::from(shards));
    let figure = format!(
        "{} write units/s over {} = {} write units/s each",
        grouped(units),
        several(shards.into(), "partition of the index"),
        grouped(each)
    );
    let needed = format!("at most {PARTITION_GO} each (a partition takes {})", grouped(PARTITION));
    let remedy = format!(
        "set DUEFLOW_DUE_SHARDS to at least {} while nothing is scheduled: it is part of stored keys",
        units.div_ceil(PARTITION_GO)
    );
    match each {
        ..=PARTITION_GO => Finding::go(Check::Partitions, figure, needed),
        ..=PARTITION => Finding::warn(Check::Partitions, figure, needed, remedy),
        _ => Finding::no_go(Check::Partitions, figure, needed, remedy),
    }
}

#[cfg(test)]
mod tests {
    use super::super::finding::Verdict;
    use super::super::load::tests::a_million;
    use super::*;

    const TABLE: Named<'_> = Named { table: "dueflow-payments", index: None };
    const INDEX: Named<'_> = Named { table: "dueflow-payments", index: Some("due") };

    #[test]
    fn a_table_must_be_ready_for_every_write_unit_of_the_batch() {
        let on_demand = |warm, most| Capacity::OnDemand { warm, most };
        for (capacity, verdict) in [
            (on_demand(Some(2_778), None), Verdict::Go),
            (on_demand(Some(2_777), None), Verdict::NoGo),
            (on_demand(None, None), Verdict::Warn),
            (on_demand(Some(9_000), Some(2_777)), Verdict::NoGo),
            (on_demand(None, Some(2_777)), Verdict::NoGo),
            (on_demand(Some(9_000), Some(2_778)), Verdict::Go),
            (Capacity::Provisioned(2_778), Verdict::Go),
            (Capacity::Provisioned(2_777), Verdict::NoGo),
            (Capacity::Provisioned(0), Verdict::NoGo),
        ] {
            for named in [TABLE, INDEX] {
                assert_eq!(judge(named, capacity, &a_million()).verdict, verdict, "{capacity:?}");
            }
        }
    }

    #[test]
    fn the_remedy_for_a_cold_index_is_the_command_that_warms_it() {
        let cold = Capacity::OnDemand { warm: Some(1_000), most: None };
        let finding = judge(INDEX, cold, &a_million());
        assert_eq!(
            finding.remedy.unwrap(),
            "aws dynamodb update-table --table-name dueflow-payments \
             --global-secondary-index-updates 'Update={IndexName=due,WarmThroughput=\
             {ReadUnitsPerSecond=12000,WriteUnitsPerSecond=2778}}'"
        );
    }

    #[test]
    fn a_partition_of_the_index_takes_half_of_its_limit_and_never_more_than_the_limit() {
        for (shards, verdict) in [
            (16, Verdict::Go),
            (6, Verdict::Go),
            (5, Verdict::Warn),
            (3, Verdict::Warn),
            (2, Verdict::NoGo),
            (1, Verdict::NoGo),
        ] {
            let finding = judge_partitions(shards, &a_million());
            assert_eq!(finding.verdict, verdict, "{shards}: {finding:?}");
        }
    }
}
