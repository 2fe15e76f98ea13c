//! The tables that an import reads and writes.

use aws_sdk_dynamodb::Client;
use shared::config::Common;
use shared::payments::PaymentsTable;

use super::registry::BatchRegistry;

/// The payments table and the table of imports.
#[derive(Debug)]
pub struct ImportTables {
    client: Client,
    payments: String,
    due_shards: u16,
    pub(crate) registry: BatchRegistry,
}

impl ImportTables {
    /// The tables that `common` names, reached by `client`.
    #[must_use]
    pub fn new(client: Client, common: &Common) -> Self {
        let registry = BatchRegistry::new(client.clone(), common.names.imports_table());
        let payments = common.names.payments_table();
        Self { client, payments, due_shards: common.due_shards, registry }
    }

    pub(crate) fn payments(&self) -> PaymentsTable {
        PaymentsTable::new(self.client.clone(), &self.payments, self.due_shards)
    }
}
