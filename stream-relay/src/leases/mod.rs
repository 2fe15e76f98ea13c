//! The table of leases: who reads which shard, opens which day and runs the lost-message scan, how
//! far each has come, and which relays there are.

pub(crate) mod assignment;
pub(crate) mod dynamodb;
pub(crate) mod keys;
pub(crate) mod liveness;
pub(crate) mod position;
pub(crate) mod renewal;
pub(crate) mod table;
