//! From a file that is right to payments in the table.

use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};
use std::time::Duration;

use jiff::Timestamp;
use shared::aws::Aws;
use shared::config::Common;
use shared::payments::PaymentsTable;
use shared::shutdown::Shutdown;

use super::Import;
use super::bar::Bar;
use super::ledger::{Ledger, Start};
use super::progress::{ImportId, ProgressFile};
use super::registry::{Again, Before, Entered, Entry, Registry, RegistryError};
use super::repeats::Repeats;
use super::rows::Rows;
use super::second::{Refusals, Second};
use super::source::{changed, sha256};
use super::stop::Stop;
use super::summary::{Summary, Written};
use super::survey::Survey;
use super::writers::Writers;

/// The tables that an import reads and writes.
#[derive(Debug)]
pub(crate) struct World {
    client: aws_sdk_dynamodb::Client,
    payments: String,
    due_shards: u16,
    drain: Duration,
    registry: Registry,
}

impl World {
    pub(crate) async fn of(common: &Common) -> Self {
        let client = Aws::from_environment().await.dynamodb("import");
        let registry = Registry::new(client.clone(), common.names.imports_table());
        let payments = common.names.payments_table();
        let (due_shards, drain) = (common.due_shards, common.drain_timeout);
        Self { client, payments, due_shards, drain, registry }
    }

    fn table(&self) -> PaymentsTable {
        PaymentsTable::new(self.client.clone(), &self.payments, self.due_shards)
    }
}

impl Import {
    /// Finds what would be refused, also for what the table holds: read before anything is
    /// written.
    pub(crate) async fn look_up(
        &self,
        world: &World,
        survey: &Survey,
        repeats: Repeats,
        mut bar: Bar,
    ) -> Result<Ledger, Stop> {
        let (second, mut ledger) = self.looking(repeats)?;
        let reader = second.look_up(&world.table(), &mut ledger, &mut bar).await?;
        bar.finish();
        if sha256(reader) == survey.sha256 { Ok(ledger) } else { Err(changed()) }
    }

    /// Enters the batch, schedules its payments, and writes down that it came to its end.
    pub(crate) async fn schedule(
        &self,
        world: &World,
        survey: &Survey,
        repeats: Repeats,
        summary: &mut Summary,
    ) -> Result<(), Stop> {
        let content = survey.content.hash();
        let rows = survey.content.rows();
        let entry = Entry { batch: &self.rules.batch, content: &content, rows };
        let import = self.enter(world, entry).await?;
        let (mut ledger, from) = self.ledger(survey, import)?;
        let shutdown = Shutdown::new(world.drain).on_signals();
        let shutdown =
            shutdown.map_err(Stop::file("listening for signals for", &self.options.file))?;
        let all_or_nothing = self.options.all_or_nothing;
        let refusals = if all_or_nothing { Refusals::End } else { Refusals::Counted };
        let mut writers =
            Writers::new(world.table(), self.options.writers, self.options.rate, shutdown);
        let mut bar = Bar::new("scheduling", (from, from), survey.totals.rows);
        let opened = Rows::open(self.source.read()?, self.source.cut)?;
        let second = Second::new(opened, self.rules.clone(), repeats.clone());
        let read = second.schedule(&mut writers, &mut ledger, refusals, &mut bar).await;
        let took = bar.finish();
        let reader = match read {
            Ok(reader) => reader,
            Err(stop) => {
                // How it ended is worth more than an error on top of it.
                let _ = ledger.make_durable();
                return Err(stop);
            }
        };
        let Some(reader) = reader else {
            // Somebody wrote another payment under an id of this file after the look.
            ledger.make_durable()?;
            summary.partly = Some(self.list_scheduled(world, repeats).await?);
            summary.add(ledger, Written::Partly, from, took);
            return Ok(());
        };
        if sha256(reader) != survey.sha256 {
            return Err(changed());
        }
        let ended = world.registry.end(entry, ledger.counts, Timestamp::now()).await;
        let done = "all rows are done, but that could not be written down; run it again";
        ended.map_err(|source| Stop::Registry { done, source })?;
        ledger.finish()?;
        summary.add(ledger, Written::Yes, from, took);
        Ok(())
    }

    /// Enters the batch, and says which import it is.
    async fn enter(&self, world: &World, entry: Entry<'_>) -> Result<String, Stop> {
        let again = if self.options.again { Again::Taken } else { Again::Refused };
        match world.registry.enter(entry, again, Timestamp::now()).await {
            Ok(Entered { import, before: Before::New | Before::Finished }) => Ok(import),
            Ok(Entered { import, before: Before::Unfinished { since } }) => {
                let batch = entry.batch;
                eprintln!(
                    "the batch {batch:?} was begun at {since} and did not come to its end: going on"
                );
                Ok(import)
            }
            Err(RegistryError::Brought(brought)) => Err(Stop::Data(brought.to_string())),
            Err(source @ RegistryError::Table { .. }) => {
                Err(Stop::Registry { done: "nothing was written", source })
            }
        }
    }

    /// What became of the rows so far, and how many are done.
    fn ledger(&self, survey: &Survey, import: String) -> Result<(Ledger, u64), Stop> {
        let rows = Rows::open(self.source.read()?, self.source.cut)?;
        let (sha256, batch) = (survey.sha256.clone(), self.rules.batch.clone());
        let of = ImportId { sha256, batch, import };
        let file = self.progress.clone().map(ProgressFile::new);
        let (ledger, start) =
            Ledger::open(&self.source, rows.header(), of, &self.rejects, file, self.printing())?;
        let name = self.options.file.display();
        let from = match start {
            Start::Beginning => 0,
            Start::Anew => {
                eprintln!(
                    "the last import of {name} did not end, but of other content, into another table or without its rejects: starting over; what it scheduled is found again"
                );
                0
            }
            Start::Behind(rows) => {
                eprintln!("going on behind the first {rows} rows of {name}, which are done");
                rows
            }
        };
        Ok((ledger, from))
    }

    /// Writes down which payments of this file are in the table and were not begun, a reference
    /// on each line, for a person who wants to take them back.
    async fn list_scheduled(&self, world: &World, repeats: Repeats) -> Result<PathBuf, Stop> {
        let path = beside(&self.rejects, ".scheduled");
        let file = File::create(&path).map_err(Stop::file("making", &path))?;
        let mut file = BufWriter::new(file);
        let rows = Rows::open(self.source.read()?, self.source.cut)?;
        let second = Second::new(rows, self.rules.clone(), repeats);
        let table = world.table();
        let list = second.scheduled(&table, |reference| {
            writeln!(file, "{reference}").map_err(Stop::file("writing", &path))
        });
        list.await?;
        let written = file.into_inner().map_err(std::io::IntoInnerError::into_error);
        let written = written.and_then(|file| file.sync_data());
        written.map_err(Stop::file("writing", &path))?;
        Ok(path)
    }
}

fn beside(path: &Path, ending: &str) -> PathBuf {
    let mut path = path.to_owned().into_os_string();
    path.push(ending);
    path.into()
}
