//! `dueflow dlq export`: every selected dead letter as a line of JSON on standard output, and
//! nothing else there. It changes nothing.

use std::cell::Cell;
use std::fmt::Write as _;
use std::io::Write as _;
use std::process::ExitCode;
use std::time::Duration;

use jiff::Timestamp;
use shared::aws::Aws;
use shared::config::Common;
use shared::shutdown::Shutdown;

use super::list::{heard, select, table};
use super::options::DlqExportOptions;
use super::reader::DeadLetterReader;
use super::reading::{Looking, look_at_all};

/// The command.
pub(crate) async fn export(common: &Common, options: DlqExportOptions) -> anyhow::Result<ExitCode> {
    let aws = Aws::from_environment().await;
    let shutdown = Shutdown::new(Duration::ZERO).on_signals()?;
    let table = table(&aws, common);
    let reader = DeadLetterReader::open(&aws, &common.names, shutdown).await?;
    let (now, exported) = (Timestamp::now(), Cell::new(0_u64));
    let looked = look_at_all(&reader, async |dead_letters| {
        let taken = select(&options.filter, &table, dead_letters, now).await?;
        let mut lines = String::new();
        for dead_letter in &taken {
            writeln!(lines, "{}", dead_letter.json())?;
        }
        std::io::stdout().lock().write_all(lines.as_bytes())?;
        exported.set(exported.get() + taken.len() as u64);
        Ok(Looking::GoesOn)
    });
    let looked = looked.await;
    let left = reader.finish(&aws, &common.names).await?;
    if let Err(error) = looked {
        return heard(error);
    }
    eprintln!("dueflow: {} dead letters exported", exported.get());
    if left.behind + left.in_flight > 0 || !left.is_whole() {
        let (behind, in_flight) = (left.behind, left.in_flight);
        eprintln!(
            "dueflow: not all could be read: about {behind} are behind ten of their account or in \
             another command's hand, {in_flight} more in flight"
        );
    }
    Ok(if left.is_whole() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
