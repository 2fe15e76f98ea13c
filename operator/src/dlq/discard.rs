//! `dueflow dlq discard`: gives payments of the dead-letter queue up.

use std::process::ExitCode;

use shared::config::Common;

use super::options::{DlqDiscardOptions, ReplaySettings};
use super::replay::{RunOrder, carry_out};
use super::replayer::RunPurpose;
use super::selection::DlqSelection;

/// The command.
pub(crate) async fn discard(
    common: &Common,
    settings: &ReplaySettings,
    options: DlqDiscardOptions,
) -> anyhow::Result<ExitCode> {
    let selection = match options.names {
        names if names.is_empty() => DlqSelection::Filtered(options.filter),
        names => DlqSelection::of_names(names),
    };
    let purpose = RunPurpose::Discard { evidence: options.evidence };
    let order = RunOrder {
        selection,
        purpose,
        version: None,
        because: Some(options.because),
        run: options.run,
    };
    carry_out(common, settings, order).await
}
