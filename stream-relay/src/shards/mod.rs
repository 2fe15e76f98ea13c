//! The stream: which shards it has, which of them may be read, and reading one to its end.

pub(crate) mod discovery;
pub(crate) mod dynamodb;
pub(crate) mod parents;
pub(crate) mod position;
pub(crate) mod reader;
pub(crate) mod relay_status;
pub(crate) mod source;
