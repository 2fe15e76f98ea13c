//! `dueflow setup`: makes the tables and queues at whatever endpoint the environment names.

use std::process::ExitCode;

use clap::Args;
use shared::aws::Aws;
use shared::config::Common;
use shared::setup::{self, Done};

/// Options of the command.
#[derive(Debug, Args)]
pub struct SetupOptions {
    /// Print what was done as JSON.
    #[arg(long)]
    pub json: bool,
    /// Only store the time zone and the number of shards: tables and queues are made by others
    /// (Terraform).
    #[arg(long)]
    pub settings_only: bool,
}

/// The command.
pub(crate) async fn set_up(
    common: &Common,
    SetupOptions { json, settings_only }: SetupOptions,
) -> anyhow::Result<ExitCode> {
    let aws = Aws::from_environment().await;
    let mut done =
        if settings_only { Vec::new() } else { setup::set_up(&aws, &common.names).await? };
    done.push(setup::store(&aws, &common.names, &common.installation).await?);
    if json {
        println!("{}", serde_json::to_string(&done)?);
    } else {
        for Done { kind, name, result } in done {
            println!("{kind} {name}: {result}");
        }
    }
    Ok(ExitCode::SUCCESS)
}
