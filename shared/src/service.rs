//! What every service's executable does around its own work: `--help`, settings, logs,
//! metrics, the admin port, signals, and an exit status that says how it ended.

use std::future::Future;
use std::process::ExitCode;

use crate::aws::Aws;
use crate::config::{self, Common, ParentPipe, Settings};
use crate::http::chain;
use crate::installation::{Agreement, LOOK};
use crate::shutdown::Shutdown;
use crate::telemetry::admin::{self, Readiness};
use crate::telemetry::{Metric, Metrics, process, start_logs};

/// Exit status for bad usage or configuration (`EX_USAGE` of sysexits.h).
const EX_USAGE: u8 = 64;

/// A service, as its executable and the `dueflow` command know it.
#[derive(Debug, Clone, Copy)]
pub struct Service {
    /// Its name: of the executable, the crate and the section of settings.
    pub name: &'static str,
    /// What it does, in a sentence.
    pub about: &'static str,
    /// Its metrics.
    pub metrics: &'static [Metric],
}

impl Service {
    /// Runs the service until it ends or is told to: `read` takes its settings, `work` does
    /// its work. Arguments are those after the executable's name.
    pub fn main<C, F>(
        &self,
        arguments: impl IntoIterator<Item = String>,
        read: impl FnOnce(&mut Settings) -> Option<C>,
        work: impl FnOnce(Common, C, Readiness, Shutdown) -> F,
    ) -> ExitCode
    where
        F: Future<Output = Result<(), Box<dyn std::error::Error + Send + Sync>>>,
    {
        if let Some(status) = self.answer(arguments) {
            return status;
        }
        let mut settings = Settings::from_environment();
        let common = Common::read(&mut settings);
        let own = read(&mut settings);
        let (common, own) = match settings.finish(common.zip(own)) {
            Ok(read) => read,
            Err(errors) => {
                eprintln!("{}: {errors}", self.name);
                return ExitCode::from(EX_USAGE);
            }
        };
        match self.run(common, own, work) {
            Ok(()) => ExitCode::SUCCESS,
            Err(error) => {
                let error = chain(&*error);
                tracing::error!(error, "{} ended", self.name);
                eprintln!("{}: {error}", self.name);
                ExitCode::FAILURE
            }
        }
    }

    fn answer(&self, arguments: impl IntoIterator<Item = String>) -> Option<ExitCode> {
        let arguments: Vec<String> = arguments.into_iter().collect();
        match arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
            [] => None,
            ["--help" | "-h"] => {
                println!(
                    "{}\n\nUsage: {} (settings come from the environment)",
                    self.about, self.name
                );
                println!("{}", config::help(self.name));
                Some(ExitCode::SUCCESS)
            }
            ["--version" | "-V"] => {
                println!("{} {}", self.name, env!("CARGO_PKG_VERSION"));
                Some(ExitCode::SUCCESS)
            }
            _ => {
                eprintln!("{}: unexpected arguments {arguments:?}; see --help", self.name);
                Some(ExitCode::from(EX_USAGE))
            }
        }
    }

    fn run<C, F>(
        &self,
        common: Common,
        own: C,
        work: impl FnOnce(Common, C, Readiness, Shutdown) -> F,
    ) -> Result<(), Box<dyn std::error::Error + Send + Sync>>
    where
        F: Future<Output = Result<(), Box<dyn std::error::Error + Send + Sync>>>,
    {
        start_logs(common.log_level)?;
        let metrics = Metrics::install(self.metrics)?;
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(common.worker_threads)
            .enable_all()
            .build()?;
        runtime.block_on(async {
            let shutdown = Shutdown::new(common.drain_timeout).on_signals()?;
            let shutdown = match common.parent_pipe {
                ParentPipe::Stdin => shutdown.on_end_of_input()?,
                ParentPipe::None => shutdown,
            };
            let readiness = Readiness::default();
            let announce = common.admin_address_file.as_deref();
            admin::start(
                common.admin_address,
                announce,
                metrics,
                readiness.clone(),
                shutdown.clone(),
            )
            .await?;
            tracing::info!(
                version = process::VERSION,
                revision = process::REVISION,
                "{} starts",
                self.name
            );
            let agreement = Agreement::new(&Aws::from_environment().await, &common);
            agreement.check().await?;
            let mut working = std::pin::pin!(work(common, own, readiness, shutdown.clone()));
            tokio::select! {
                worked = &mut working => worked?,
                broken = agreement.until_broken(LOOK) => {
                    tracing::error!(error = %broken, "{} ends what it has in hand", self.name);
                    shutdown.request();
                    working.await?;
                    return Err(broken.into());
                }
            }
            tracing::info!("{} ended", self.name);
            Ok(())
        })
    }
}
