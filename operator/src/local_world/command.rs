//! `dueflow local`: the world stays until Ctrl-C, for the AWS CLI, programs and people.

use std::path::PathBuf;
use std::process::ExitCode;

use std::time::Duration;

use anyhow::{Context, bail};
use clap::Args;
use local::{LocalOptions, Queues};
use shared::config::Names;
use shared::shutdown::Shutdown;

use super::{FaultOptions, Process, SERVICES, World, temporary_folder};

/// Options of `dueflow local`.
#[derive(Debug, Args)]
pub struct LocalCommand {
    /// Keep databases, queues, journal and logs in this folder, and go on from what it holds.
    /// [default: a temporary one]
    #[arg(long, value_name = "DIR")]
    keep: Option<PathBuf>,
    /// Port of DynamoDB; 0 lets the system choose.
    #[arg(long, default_value_t = 8000)]
    dynamodb_port: u16,
    /// Port of SQS; 0 lets the system choose.
    #[arg(long, default_value_t = 9324)]
    sqs_port: u16,
    /// Port of the transaction service; 0 lets the system choose.
    #[arg(long, default_value_t = 8070)]
    transactions_port: u16,
    /// Start the outside world only, without stream-relay, dispatcher and confirmer.
    #[arg(long)]
    no_services: bool,
    #[command(flatten)]
    faults: FaultOptions,
}

/// The command.
///
/// # Errors
/// What did not start, or which service ended.
pub async fn serve(names: Names, options: LocalCommand) -> anyhow::Result<ExitCode> {
    let temporary;
    let dir = match &options.keep {
        Some(dir) => {
            std::fs::create_dir_all(dir).with_context(|| format!("making {}", dir.display()))?;
            dir.clone()
        }
        None => {
            temporary = temporary_folder().context("making a temporary folder")?;
            temporary.path().to_owned()
        }
    };
    let world = World::start(
        LocalOptions {
            dir: dir.clone(),
            dynamodb_port: options.dynamodb_port,
            sqs_port: options.sqs_port,
            transactions_port: options.transactions_port,
            queues: if options.keep.is_some() { Queues::Kept } else { Queues::InMemory },
            faults: options.faults.faults(),
        },
        names,
        std::env::current_exe()?,
    )
    .await?;
    let mut processes = Vec::new();
    for service in SERVICES.iter().filter(|_| !options.no_services) {
        processes.push(world.spawn(service, service, &options.faults.settings_of(service))?);
    }
    for process in &mut processes {
        process.ready().await?;
    }
    if options.faults.asynchronous && !options.no_services {
        world.call_back(&["confirmer"])?;
    }
    for (name, value) in world.environment() {
        println!("export {name}={value}");
    }
    println!("# everything is up; databases and logs are in {}", dir.display());
    println!("# paste the lines above into another terminal; Ctrl-C here ends it all");
    let ended = until_ctrl_c(&mut processes).await?;
    for process in processes {
        process.stop().await?;
    }
    world.local.stop().await?;
    match ended {
        None => Ok(ExitCode::SUCCESS),
        Some(log) => bail!("a service has ended; see {}", dir.join(log).display()),
    }
}

/// Waits for Ctrl-C or SIGTERM, or for a service to end by itself, whose log it then names.
async fn until_ctrl_c(processes: &mut [Process]) -> anyhow::Result<Option<String>> {
    let shutdown = Shutdown::new(Duration::ZERO).on_signals()?;
    while !shutdown.pause(Duration::from_secs(1)).await {
        for process in processes.iter_mut() {
            if process.ended()?.is_some() {
                return Ok(Some(format!("{}.log", process.name)));
            }
        }
    }
    Ok(None)
}
