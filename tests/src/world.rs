//! The outside world without services, for tests of the tables.

use local::transactions::Faults;
use local::{LocalOptions, Queues};
use operator::local_world::{World, temporary_folder};
use tempfile::TempDir;

/// A world of its own, with the tables and queues of `dueflow`, and the folder it lives in.
///
/// # Errors
/// What did not start.
pub async fn without_services() -> anyhow::Result<(World, TempDir)> {
    let dir = temporary_folder()?;
    let options = LocalOptions {
        dir: dir.path().to_owned(),
        dynamodb_port: 0,
        sqs_port: 0,
        transactions_port: 0,
        queues: Queues::InMemory,
        faults: Faults::default(),
    };
    let names = "dueflow".parse().map_err(anyhow::Error::msg)?;
    Ok((World::start(options, names, "".into()).await?, dir))
}
