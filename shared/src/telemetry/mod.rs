//! What operators see: logs, metrics and the admin port.

pub mod admin;
pub mod calls;
mod exporter;
mod logs;
mod metric;
pub mod process;
mod rarely;
mod readiness;
mod samples;

pub use exporter::Metrics;
pub use logs::{LogLevel, start_logs};
pub use metric::Metric;
pub(crate) use rarely::Rarely;
pub use samples::Samples;
