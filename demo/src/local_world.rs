//! The outside world and the services as processes of this machine; `dueflow local`.

mod command;
mod folder;
mod process;

pub use command::{LocalCommand, serve};
pub(crate) use folder::OwnedFolder;
pub use folder::{ROOM, janitor, temporary_folder};
pub use process::{Process, Usage, usage_of};

use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::Context;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use clap::Args;
use local::transactions::{Asynchronous, Callback, Faults, ServiceCapacity};
use local::{Local, LocalOptions};
use shared::aws::{Aws, Endpoints, LOCAL_KEY, LOCAL_REGION};
use shared::clock::Clock;
use shared::config::Installation;
use shared::config::{Common, Names, Settings};
use shared::installation::Agreement;
use uuid::Uuid;

/// The services, by the subcommand that runs each.
pub const SERVICES: [&str; 3] = ["stream-relay", "dispatcher", "confirmer"];

/// What the local transaction service does wrong.
#[derive(Debug, Clone, Copy, Args)]
pub struct FaultOptions {
    /// Time the transaction service takes for each answer.
    #[arg(long, default_value = "5ms", value_parser = duration, value_name = "DURATION")]
    pub latency: Duration,
    /// Share of its answers that are 503: nothing done, come back.
    #[arg(long, default_value = "0%", value_parser = share, value_name = "SHARE")]
    pub unavailable: f64,
    /// Share of payments it commits without ever answering.
    #[arg(long, default_value = "0%", value_parser = share, value_name = "SHARE")]
    pub lose_answers: f64,
    /// Share of payments it rejects: with 422, or later with --asynchronous.
    #[arg(long, default_value = "0%", value_parser = share, value_name = "SHARE")]
    pub reject: f64,
    /// It takes payments with 202 and sends their results later.
    #[arg(long)]
    pub asynchronous: bool,
    /// Share of results that it never sends.
    #[arg(long, default_value = "0%", value_parser = share, value_name = "SHARE", requires = "asynchronous")]
    pub lose_callbacks: f64,
    /// Requests it serves at a time; 20 times as many wait, more get 503. [default: no limit]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..))]
    pub capacity: Option<u16>,
    /// Which payments are struck; the same number strikes the same payments.
    #[arg(long, default_value_t = 1)]
    pub seed: u64,
}

impl FaultOptions {
    /// As the transaction service takes them.
    #[must_use]
    pub fn faults(self) -> Faults {
        let asynchronous =
            Asynchronous { lose_callbacks: self.lose_callbacks, ..Asynchronous::default() };
        Faults {
            asynchronous: self.asynchronous.then_some(asynchronous),
            capacity: self.capacity.map(|workers| ServiceCapacity::of(workers.into())),
            unavailable: self.unavailable,
            lose_answers: self.lose_answers,
            reject: self.reject,
            latency: self.latency,
            seed: self.seed,
            ..Faults::default()
        }
    }
}

impl FaultOptions {
    /// Settings of a service that goes with them: results that never come are soon asked for.
    #[must_use]
    pub fn settings_of(self, service: &str) -> Vec<(&'static str, String)> {
        if service != "confirmer" || !self.asynchronous {
            return Vec::new();
        }
        vec![
            ("DUEFLOW_VISIBILITY_TIMEOUT", "10s".to_owned()),
            ("DUEFLOW_PENDING_LIMIT", "15s".to_owned()),
            ("DUEFLOW_PENDING_SWEEP_INTERVAL", "5s".to_owned()),
        ]
    }
}

fn share(text: &str) -> Result<f64, String> {
    let error = || format!("{text:?} is not a share such as 2% or 0.02, from 0% to 100%");
    let number = |text: &str| text.trim().parse::<f64>().map_err(|_| error());
    let share = match text.strip_suffix('%') {
        Some(percent) => number(percent)? / 100.0,
        None => number(text)?,
    };
    if (0.0..=1.0).contains(&share) { Ok(share) } else { Err(error()) }
}

fn duration(text: &str) -> Result<Duration, String> {
    let parsed = text.parse::<jiff::SignedDuration>().map_err(|error| error.to_string())?;
    Duration::try_from(parsed).map_err(|_| format!("{text:?} is negative"))
}

/// A running world: what is outside dueflow, set up for `names`.
pub struct World {
    /// The outside.
    pub local: Local,
    /// Names of tables and queues in it.
    pub names: Names,
    /// Clients of it.
    pub aws: Aws,
    /// Folder of databases, journal and logs.
    pub dir: PathBuf,
    executable: PathBuf,
    callback_secret: String,
}

/// Without the secret of the callbacks.
impl fmt::Debug for World {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { local, names, aws, dir, executable, callback_secret: _ } = self;
        f.debug_struct("World")
            .field("local", local)
            .field("names", names)
            .field("aws", aws)
            .field("dir", dir)
            .field("executable", executable)
            .finish_non_exhaustive()
    }
}

impl World {
    /// Starts the outside world and makes the tables and queues in it. Services will be
    /// started from `executable`, the `dueflow` command.
    ///
    /// # Errors
    /// What did not start.
    pub async fn start(
        options: LocalOptions,
        names: Names,
        executable: PathBuf,
    ) -> anyhow::Result<Self> {
        let dir = options.dir.clone();
        let local = Local::start(options).await?;
        let endpoints =
            Endpoints { dynamodb: local.dynamodb.endpoint(), sqs: local.sqs.endpoint() };
        let aws = Aws::at(endpoints).await;
        shared::setup::set_up(&aws, &names).await?;
        shared::setup::store(&aws, &names, &of_this_environment()?).await?;
        // Enough for this machine: it lives as long as this process.
        let secret = [Uuid::now_v7().into_bytes(), Uuid::now_v7().into_bytes()].concat();
        let callback_secret = format!("whsec_{}", STANDARD.encode(secret));
        Ok(Self { local, names, aws, dir, executable, callback_secret })
    }

    /// Moves the bank to another time zone. No service may run.
    ///
    /// # Errors
    /// The call fails.
    pub async fn move_to(&self, zone: &str) -> anyhow::Result<()> {
        let own = Installation { zone: zone.to_owned(), ..of_this_environment()? };
        let agreement = Agreement::of(&self.aws, &self.names, own, Clock::system());
        Ok(agreement.replace().await?)
    }

    /// The variables with which any program uses this world.
    #[must_use]
    pub fn environment(&self) -> Vec<(&'static str, String)> {
        let dynamodb = self.local.dynamodb.endpoint();
        vec![
            ("AWS_REGION", LOCAL_REGION.to_owned()),
            ("AWS_DEFAULT_REGION", LOCAL_REGION.to_owned()),
            ("AWS_ACCESS_KEY_ID", LOCAL_KEY.to_owned()),
            ("AWS_SECRET_ACCESS_KEY", LOCAL_KEY.to_owned()),
            ("AWS_ENDPOINT_URL_DYNAMODB", dynamodb.clone()),
            ("AWS_ENDPOINT_URL_DYNAMODB_STREAMS", dynamodb),
            ("AWS_ENDPOINT_URL_SQS", self.local.sqs.endpoint()),
            ("DUEFLOW_TRANSACTION_URL", self.local.transactions.endpoint()),
            ("DUEFLOW_PREFIX", self.names.to_string()),
        ]
    }

    /// Starts `service` (one of [`SERVICES`]) as a process with the log `<name>.log`.
    /// `settings` come on top of [`World::environment`].
    ///
    /// # Errors
    /// The process cannot be started.
    pub fn spawn(
        &self,
        service: &str,
        name: &str,
        settings: &[(&'static str, String)],
    ) -> anyhow::Result<Process> {
        let mut environment = self.environment();
        environment.push(("DUEFLOW_RELAY_NAME", name.to_owned()));
        if service == "confirmer" {
            environment.extend(self.callbacks_of(name));
        }
        let settings = settings.iter().map(|(name, value)| (*name, value.clone()));
        let environment = environment.into_iter().chain(settings);
        Process::spawn(&self.executable, &self.dir, service, name, environment)
            .with_context(|| format!("starting {service}"))
    }
}

impl World {
    /// The variables with which the confirmer `name` takes callbacks.
    fn callbacks_of(&self, name: &str) -> [(&'static str, String); 3] {
        let file = self.callback_file(name);
        let _ = std::fs::remove_file(&file);
        [
            ("DUEFLOW_CALLBACK_ADDRESS", "127.0.0.1:0".to_owned()),
            ("DUEFLOW_CALLBACK_ADDRESS_FILE", file.display().to_string()),
            ("DUEFLOW_CALLBACK_SECRET", self.callback_secret.clone()),
        ]
    }

    fn callback_file(&self, name: &str) -> PathBuf {
        self.dir.join(format!("{name}.callback"))
    }

    /// Has the transaction service call back the confirmers of these names, which must be
    /// ready. Until then results wait.
    ///
    /// # Errors
    /// One of them takes no callbacks.
    pub fn call_back(&self, confirmers: &[&str]) -> anyhow::Result<()> {
        let url = |name: &&str| {
            let file = self.callback_file(name);
            let address = std::fs::read_to_string(&file);
            let address = address.with_context(|| format!("reading {}", file.display()))?;
            Ok(format!("http://{}", address.trim()))
        };
        let urls = confirmers.iter().map(url).collect::<anyhow::Result<_>>()?;
        let callback = Callback { urls, secret: self.callback_secret.clone() };
        Ok(self.local.transactions.set_callback(Some(callback))?)
    }
}

/// What services that inherit this environment hold against the installation.
fn of_this_environment() -> anyhow::Result<Installation> {
    let mut settings = Settings::from_environment();
    let common = Common::read(&mut settings);
    Ok(settings.finish(common)?.installation)
}
