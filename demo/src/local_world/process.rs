//! A service as a process: started from this very executable, asked to end, watched.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use anyhow::{Context, bail};
use rustix::process::{Pid, Signal, kill_process};
use shared::telemetry::Samples;
use tokio::process::{Child, ChildStdin, Command};
use tokio::time::Instant;

/// How long a service may take until its admin port is open.
const START: Duration = Duration::from_secs(60);
/// How long it may take to end after SIGTERM: its drain deadline and a little more.
const END: Duration = Duration::from_secs(40);

/// How long its admin port may take to answer.
const ANSWER: Duration = Duration::from_secs(5);

/// What a process has used so far.
#[derive(Debug, Clone, Copy, Default)]
pub struct Usage {
    /// CPU time, user and system.
    pub cpu: Duration,
    /// Most memory it has held, in bytes.
    pub peak_memory: u64,
}

/// A running service.
#[derive(Debug)]
pub struct Process {
    /// Its name among the processes.
    pub name: String,
    child: Child,
    pid: Pid,
    /// Its standard input. The system closes it with this process, however that ends, and the
    /// service drains then.
    _lifeline: Option<ChildStdin>,
    address_file: PathBuf,
    address: Option<String>,
    http: reqwest::Client,
    log: PathBuf,
}

impl Process {
    pub(super) fn spawn(
        executable: &Path,
        dir: &Path,
        service: &str,
        name: &str,
        environment: impl Iterator<Item = (&'static str, String)>,
    ) -> anyhow::Result<Self> {
        let log = dir.join(format!("{name}.log"));
        let address_file = dir.join(format!("{name}.address"));
        let _ = std::fs::remove_file(&address_file);
        let output = File::options().create(true).append(true).open(&log);
        let output = output.with_context(|| format!("opening {}", log.display()))?;
        // Held by the service for as long as it lives: nobody removes a folder that is written to.
        // Where an earlier one of this name still ends, the lock is its.
        let _ = output.try_lock();
        let mut child = Command::new(executable)
            .arg(service)
            .env("DUEFLOW_ADMIN_ADDRESS", "127.0.0.1:0")
            .env("DUEFLOW_ADMIN_ADDRESS_FILE", &address_file)
            .env("DUEFLOW_PARENT_PIPE", "stdin")
            .envs(environment)
            .stdin(Stdio::piped())
            .stdout(output.try_clone()?)
            .stderr(output)
            .kill_on_drop(true)
            .spawn()?;
        let pid = child.id().and_then(|id| Pid::from_raw(i32::try_from(id).ok()?));
        let pid = pid.context("the process ended at once")?;
        let name = name.to_owned();
        let http =
            reqwest::Client::builder().no_proxy().tls_certs_only([]).timeout(ANSWER).build()?;
        let lifeline = child.stdin.take();
        Ok(Self { name, child, pid, _lifeline: lifeline, address_file, address: None, http, log })
    }

    /// Waits until the service is connected and takes work.
    ///
    /// # Errors
    /// It ended, or was not ready in time; the message names its log.
    pub async fn ready(&mut self) -> anyhow::Result<()> {
        let deadline = Instant::now() + START;
        loop {
            if let Some(status) = self.child.try_wait()? {
                bail!("{} ended at start with {status}; see {}", self.name, self.log.display());
            }
            if self.get("/readyz").await.is_ok() {
                return Ok(());
            }
            if Instant::now() > deadline {
                bail!("{} is not ready after {START:?}; see {}", self.name, self.log.display());
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// Its metrics now.
    ///
    /// # Errors
    /// The admin port does not answer.
    pub async fn samples(&mut self) -> anyhow::Result<Samples> {
        Ok(Samples::parse(&self.get("/metrics").await?))
    }

    /// What its admin port answers, whatever the status.
    ///
    /// # Errors
    /// The admin port does not answer.
    pub async fn probe(&mut self, path: &str) -> anyhow::Result<(u16, String)> {
        let response = self.answer(path).await?;
        Ok((response.status().as_u16(), response.text().await?))
    }

    async fn get(&mut self, path: &str) -> anyhow::Result<String> {
        Ok(self.answer(path).await?.error_for_status()?.text().await?)
    }

    async fn answer(&mut self, path: &str) -> anyhow::Result<reqwest::Response> {
        let address = match &self.address {
            Some(address) => address.clone(),
            None => {
                let address = std::fs::read_to_string(&self.address_file)?.trim().to_owned();
                self.address.insert(address).clone()
            }
        };
        Ok(self.http.get(format!("http://{address}{path}")).send().await?)
    }

    /// What it has used; `None` where the system has no `/proc`.
    #[must_use]
    pub fn usage(&self) -> Option<Usage> {
        usage_of(&self.pid.as_raw_nonzero().to_string())
    }

    /// Asks it to end (SIGTERM).
    pub(crate) fn terminate(&self) {
        // It may have ended by itself.
        let _ = kill_process(self.pid, Signal::TERM);
    }

    /// Asks it to end (SIGTERM) and waits until it has.
    ///
    /// # Errors
    /// It did not end in time and was killed.
    pub async fn stop(mut self) -> anyhow::Result<ExitStatus> {
        self.terminate();
        match tokio::time::timeout(END, self.child.wait()).await {
            Ok(status) => Ok(status?),
            Err(_) => {
                self.child.kill().await?;
                bail!(
                    "{} did not end within {END:?} and was killed; see {}",
                    self.name,
                    self.log.display()
                )
            }
        }
    }

    /// Stops it in its tracks (SIGSTOP), as a pause of the machine would. It keeps its memory
    /// and its connections and knows nothing of the time that passes.
    ///
    /// # Errors
    /// There is no such process any more.
    pub fn freeze(&self) -> std::io::Result<()> {
        Ok(kill_process(self.pid, Signal::STOP)?)
    }

    /// Lets a frozen process go on (SIGCONT).
    ///
    /// # Errors
    /// There is no such process any more.
    pub fn thaw(&self) -> std::io::Result<()> {
        Ok(kill_process(self.pid, Signal::CONT)?)
    }

    /// Kills it (SIGKILL), as a crash of the machine would.
    ///
    /// # Errors
    /// It cannot be killed.
    pub async fn kill(mut self) -> anyhow::Result<()> {
        Ok(self.child.kill().await?)
    }

    /// How it ended, if it has.
    ///
    /// # Errors
    /// The system does not say.
    pub fn ended(&mut self) -> std::io::Result<Option<ExitStatus>> {
        self.child.try_wait()
    }
}

/// What the process `pid` (or `self`) has used; `None` where the system has no `/proc`.
#[must_use]
pub fn usage_of(pid: &str) -> Option<Usage> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // proc_pid_stat(5): the name may hold spaces; utime and stime are fields 14 and 15.
    let fields: Vec<&str> = stat.rsplit_once(')')?.1.split_whitespace().collect();
    let ticks: u64 = fields.get(11)?.parse::<u64>().ok()? + fields.get(12)?.parse::<u64>().ok()?;
    let cpu = Duration::from_millis(ticks * 1000 / rustix::param::clock_ticks_per_second());
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    let kilobytes: u64 = peak.split_whitespace().next()?.parse().ok()?;
    Some(Usage { cpu, peak_memory: kilobytes * 1024 })
}
