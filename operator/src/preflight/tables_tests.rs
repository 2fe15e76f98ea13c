use aws_sdk_dynamodb::types::builders::TableDescriptionBuilder;
use aws_sdk_dynamodb::types::{
    GlobalSecondaryIndexDescription, Projection, ProjectionType, StreamSpecification,
};
use shared::resources;

use super::super::check::Severity;
use super::*;

fn payments() -> TableDefinition {
    resources::tables(&"dueflow".parse().unwrap()).remove(0)
}

fn key(name: &str, kind: KeyType) -> KeySchemaElement {
    KeySchemaElement::builder().attribute_name(name).key_type(kind).build().unwrap()
}

fn index(status: IndexStatus, projected: &str) -> GlobalSecondaryIndexDescription {
    let projection = Projection::builder()
        .projection_type(ProjectionType::Include)
        .non_key_attributes(projected)
        .build();
    GlobalSecondaryIndexDescription::builder()
        .index_name("due")
        .index_status(status)
        .key_schema(key("DueShard", KeyType::Hash))
        .key_schema(key("DueKey", KeyType::Range))
        .projection(projection)
        .build()
}

fn stream(view: StreamViewType) -> StreamSpecification {
    StreamSpecification::builder().stream_enabled(true).stream_view_type(view).build().unwrap()
}

/// The table as `dueflow setup` makes it, and guarded.
fn whole() -> TableDescriptionBuilder {
    TableDescription::builder()
        .table_status(TableStatus::Active)
        .key_schema(key("PK", KeyType::Hash))
        .key_schema(key("SK", KeyType::Range))
        .global_secondary_indexes(index(IndexStatus::Active, "Status"))
        .stream_specification(stream(StreamViewType::NewImage))
        .deletion_protection_enabled(true)
}

fn severity(found: TableDescriptionBuilder) -> Severity {
    let (expires, recovery) = (Some(true), Some(true));
    evaluate(&payments(), &TableFacts { found: Some(found.build()), expires, recovery }).severity
}

#[test]
fn a_table_as_setup_makes_it_is_go() {
    assert_eq!(severity(whole()), Severity::Go);
}

#[test]
fn a_table_that_is_missing_or_otherwise_is_a_no_go() {
    let missing = TableFacts { found: None, expires: None, recovery: None };
    assert_eq!(evaluate(&payments(), &missing).severity, Severity::NoGo);
    let indexes = |one| Some(vec![one]);
    for (what, found) in [
        ("status", whole().table_status(TableStatus::Updating)),
        ("key", whole().set_key_schema(Some(vec![key("PK", KeyType::Hash)]))),
        ("index", whole().set_global_secondary_indexes(None)),
        (
            "backfilling",
            whole().set_global_secondary_indexes(indexes(index(IndexStatus::Creating, "Status"))),
        ),
        (
            "projection",
            whole().set_global_secondary_indexes(indexes(index(IndexStatus::Active, "DataBlob"))),
        ),
        ("stream", whole().set_stream_specification(None)),
        ("view", whole().stream_specification(stream(StreamViewType::KeysOnly))),
    ] {
        assert_eq!(severity(found), Severity::NoGo, "{what}");
    }
}

#[test]
fn what_only_guards_the_table_is_a_warning_with_the_command_that_mends_it() {
    for (expires, recovery, protected, word) in [
        (Some(false), Some(true), true, "update-time-to-live"),
        (None, Some(true), true, "update-time-to-live"),
        (Some(true), Some(false), true, "update-continuous-backups"),
        (Some(true), None, true, "update-continuous-backups"),
        (Some(true), Some(true), false, "--deletion-protection-enabled"),
    ] {
        let found = Some(whole().deletion_protection_enabled(protected).build());
        let result = evaluate(&payments(), &TableFacts { found, expires, recovery });
        assert_eq!(result.severity, Severity::Warn, "{result:?}");
        assert!(result.remedy.as_ref().unwrap().contains(word), "{result:?}");
    }
}
