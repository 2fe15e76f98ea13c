//! The local DynamoDB stays as fast as it was when it was empty.

use std::net::TcpListener;

use local::dynamodb::DynamoDb;
use rusqlite::Connection;

/// What the database asks before each write and each read of the stream (dynoxide-rs 3.2.0).
const QUERIES: [(&str, &str); 2] = [
    (
        "SELECT COALESCE(MAX(CAST(sequence_number AS INTEGER)), 0) + 1 FROM _stream_records \
         WHERE table_name = 't'",
        "local_stream_sequence",
    ),
    (
        "SELECT event_name FROM _stream_records WHERE table_name = 't' AND shard_id = 's' \
         AND CAST(sequence_number AS INTEGER) > 5 \
         ORDER BY CAST(sequence_number AS INTEGER) ASC LIMIT 1000",
        "local_stream_shard_sequence",
    ),
];

#[test]
fn every_query_of_the_stream_goes_by_an_index_and_sorts_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("dynamodb.sqlite");
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let dynamodb = DynamoDb::start(listener, &file).unwrap();
    let connection = Connection::open(&file).unwrap();
    for (query, index) in QUERIES {
        let mut plan = connection.prepare(&format!("EXPLAIN QUERY PLAN {query}")).unwrap();
        let steps = plan.query_map([], |row| row.get::<_, String>(3)).unwrap();
        let steps: Vec<_> = steps.map(Result::unwrap).collect();
        assert!(steps.iter().any(|step| step.contains(index)), "{query}\n{steps:?}");
        assert!(!steps.iter().any(|step| step.contains("B-TREE")), "{query}\n{steps:?}");
    }
    dynamodb.stop().unwrap();
}
