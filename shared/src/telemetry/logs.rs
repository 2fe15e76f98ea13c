//! Logs: one JSON object a line on standard output.

use std::str::FromStr;

use tracing::level_filters::LevelFilter;
use tracing_subscriber::util::SubscriberInitExt;

/// The least severe level that is logged.
#[derive(Debug, Clone, Copy)]
pub struct LogLevel(LevelFilter);

impl FromStr for LogLevel {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "error" | "warn" | "info" | "debug" | "trace" | "off" => {
                text.parse().map(Self).map_err(|error| format!("{error}"))
            }
            _ => Err("must be error, warn, info, debug, trace or off".to_owned()),
        }
    }
}

/// Starts logging for the whole process. dueflow logs payments by id and trace key only, and
/// the domain's types mask accounts in `Debug`; a reason in somebody else's words may hold
/// what they put there.
///
/// # Errors
/// Logging was started before.
pub fn start_logs(level: LogLevel) -> Result<(), tracing_subscriber::util::TryInitError> {
    tracing_subscriber::fmt()
        .json()
        .flatten_event(true)
        .with_current_span(false)
        .with_span_list(false)
        .with_max_level(level.0)
        .finish()
        .try_init()
}
