//! `dueflow local`: the world stays until Ctrl-C, for the AWS CLI, programs and people.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context, bail};
use clap::Args;
use local::{LocalOptions, Queues};
use shared::config::Names;
use shared::shutdown::Shutdown;

use super::{FaultOptions, OwnedFolder, Process, ROOM, SERVICES, World};

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
    // Before the first process is started: none may be left behind.
    let shutdown = Shutdown::new(Duration::ZERO).on_signals()?;
    let executable = std::env::current_exe()?;
    let temporary;
    let dir = match &options.keep {
        Some(dir) => {
            std::fs::create_dir_all(dir).with_context(|| format!("making {}", dir.display()))?;
            dir.clone()
        }
        None => {
            temporary =
                OwnedFolder::make(&executable, ROOM).context("making a temporary folder")?;
            temporary.path().to_owned()
        }
    };
    let local = LocalOptions {
        dir: dir.clone(),
        dynamodb_port: options.dynamodb_port,
        sqs_port: options.sqs_port,
        transactions_port: options.transactions_port,
        queues: if options.keep.is_some() { Queues::Kept } else { Queues::InMemory },
        faults: options.faults.faults(),
    };
    // What has been started when a signal comes is dropped, and ends with it.
    let started =
        shutdown.unless_requested(Box::pin(start(local, names, executable, &options))).await;
    let Some(started) = started else { return Ok(ExitCode::SUCCESS) };
    let (world, mut processes) = started?;
    say(&world, &dir);
    let ended = until_signal(&shutdown, &mut processes).await;
    processes.iter().for_each(Process::terminate);
    let mut stopped = Ok(());
    for process in processes {
        stopped = stopped.and(process.stop().await.map(drop));
    }
    // Whatever became of the services: this keeps the queues of `--keep`.
    world.local.stop().await?;
    stopped?;
    match ended? {
        None => Ok(ExitCode::SUCCESS),
        Some(log) => bail!("a service has ended; see {}", dir.join(log).display()),
    }
}

async fn start(
    local: LocalOptions,
    names: Names,
    executable: PathBuf,
    options: &LocalCommand,
) -> anyhow::Result<(World, Vec<Process>)> {
    let world = World::start(local, names, executable).await?;
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
    Ok((world, processes))
}

/// Prints what other programs need. Nobody may read it any more.
fn say(world: &World, dir: &Path) {
    let mut out = std::io::stdout().lock();
    for (name, value) in world.environment() {
        let _ = writeln!(out, "export {name}={value}");
    }
    let _ = writeln!(out, "# everything is up; databases and logs are in {}", dir.display());
    let _ = writeln!(out, "# paste the lines above into another terminal; Ctrl-C here ends it all");
    let _ = out.flush();
}

/// Waits for a signal, or for a service to end by itself, whose log it then names.
async fn until_signal(
    shutdown: &Shutdown,
    processes: &mut [Process],
) -> anyhow::Result<Option<String>> {
    while !shutdown.pause(Duration::from_secs(1)).await {
        for process in processes.iter_mut() {
            if process.ended()?.is_some() {
                return Ok(Some(format!("{}.log", process.name)));
            }
        }
    }
    Ok(None)
}
