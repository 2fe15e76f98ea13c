//! Schedules the payments of a file.
//!
//! | module | idea |
//! |---|---|
//! | [`options`] | the arguments |
//! | [`source`] | the file, locked, hashed while it is read |
//! | [`encoding`], [`grammar`] | what is no UTF-8, and no CSV |
//! | [`lines`] | cutting it into rows, in bounded memory |
//! | [`csv`], [`rows`], [`row`] | what a row says |
//! | [`totals`] | counting, adding up, comparing |
//! | [`rules`], [`repeats`] | which rows are taken, under which id |
//! | [`survey`] | the first reading |
//! | [`content`], [`registry`] | whether another batch has brought the same rows |
//! | [`schedule`] | from there to the last payment |
//! | [`second`], [`batch`], [`writers`] | the second reading |
//! | [`ledger`], [`rejects`], [`progress`] | what became of each row, and how far that is durable |
//! | [`bar`], [`summary`], [`stop`] | what is said |

mod bar;
mod batch;
#[cfg(test)]
mod cases_tests;
mod content;
mod csv;
#[cfg(test)]
mod differential_tests;
mod encoding;
#[doc(hidden)]
pub mod fuzzing;
mod grammar;
mod ledger;
mod lines;
mod options;
mod progress;
mod registry;
mod rejects;
mod repeats;
mod row;
mod rows;
mod rules;
mod schedule;
mod second;
mod source;
mod stop;
mod summary;
mod survey;
#[cfg(test)]
mod tests;
mod totals;
mod writers;

use std::path::PathBuf;
use std::process::ExitCode;

use domain::DueDate;
use jiff::Timestamp;
use jiff::tz::TimeZone;
use shared::config::Common;

pub use options::ImportOptions;

use self::bar::Bar;
use self::ledger::{Ledger, Printing};
use self::options::TrailerRule;
use self::rejects::Rejects;
use self::repeats::Repeats;
use self::rows::Rows;
use self::rules::{Past, Rules};
use self::schedule::World;
use self::second::Second;
use self::source::{Reader, Source, changed, sha256};
use self::stop::Stop;
use self::summary::{Summary, Written};
use self::survey::Survey;

/// Longest batch name in bytes: it is part of a key, and a key has at most 2,048.
const MAX_BATCH: usize = 1_024;

/// The command; `zone` is the bank's. Exit status 0 when every row is scheduled, 1 when rows were
/// refused, and what [`Stop`] says.
pub async fn import(
    common: &Common,
    zone: &TimeZone,
    options: ImportOptions,
) -> anyhow::Result<ExitCode> {
    let json = options.json;
    let summary = match Import::prepare(options, zone) {
        Ok(import) => import.run(common).await,
        Err(stop) => Err(stop),
    };
    Ok(match summary {
        Ok(summary) => {
            if json {
                println!("{}", serde_json::to_string(&summary)?);
            } else {
                summary.print();
            }
            if summary.refused == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
        }
        Err(stop) => {
            eprintln!("dueflow: {stop}");
            stop.exit_code()
        }
    })
}

/// An import that can be done as it was asked for.
#[derive(Debug)]
struct Import {
    options: ImportOptions,
    source: Source,
    rules: Rules,
    rejects: PathBuf,
    progress: Option<PathBuf>,
}

impl Import {
    /// Opens the file and sees that the options fit together.
    fn prepare(options: ImportOptions, zone: &TimeZone) -> Result<Self, Stop> {
        let source = Source::open(&options)?;
        let usage = |text: &str| Stop::Usage(text.to_owned());
        let stem = options.file.file_stem().and_then(|stem| stem.to_str());
        let batch = options
            .batch
            .clone()
            .or_else(|| stem.filter(|_| source.beside("").is_some()).map(str::to_owned));
        let batch = batch.ok_or_else(|| {
            usage("standard input, or a file whose name is no text, needs a name: --batch")
        })?;
        if batch.is_empty() || batch.len() > MAX_BATCH {
            return Err(usage("the name of the batch must have 1 to 1,024 bytes"));
        }
        let rejects = options.rejects.clone().or_else(|| source.beside(".rejects"));
        let rejects = rejects.ok_or_else(|| {
            usage("rows of standard input that are refused need a place: --rejects")
        })?;
        let progress = options.progress.clone().or_else(|| source.beside(".dueflow-progress"));
        if source.is(&rejects)
            || progress.as_deref().is_some_and(|path| source.is(path) || path == rejects)
        {
            return Err(usage("the file, its rejects and its progress must be different files"));
        }
        let past = if options.allow_past { Past::Taken } else { Past::Refused };
        let today = DueDate::today(Timestamp::now(), zone);
        let rules = Rules { batch, today, past, latest: options.latest };
        Ok(Self { options, source, rules, rejects, progress })
    }

    async fn run(&self, common: &Common) -> Result<Summary, Stop> {
        let mut bar = Bar::new("checking", (0, 0), self.source.bytes);
        let (survey, seen) = survey::survey(&self.source, &self.rules, &mut bar)?;
        let took = bar.finish();
        self.compare(&survey)?;
        if let Some(far) = survey.far {
            let (line, due) = far.first;
            eprintln!(
                "{} rows are due more than two years ahead, first line {line}: {due}",
                far.rows
            );
        }
        let mut summary = Summary::new(&self.options.file, &self.rules.batch, &survey, took);
        // Whether an id is another row's is seen only at the second reading.
        let doubtful = survey.refused > 0 || seen.kept() > 0;
        let repeats = seen.into_repeats();
        if self.options.dry_run || (self.options.all_or_nothing && doubtful) {
            let written = if self.options.dry_run { Written::DryRun } else { Written::Nothing };
            let bar = Bar::new("looking closer", (0, 0), survey.totals.rows);
            let ledger = self.look(&survey, repeats.clone(), bar)?;
            if self.options.dry_run || !ledger.is_clean() {
                summary.add(ledger, written, 0, std::time::Duration::ZERO);
                return Ok(summary);
            }
        }
        let world = World::of(common).await;
        if self.options.all_or_nothing {
            let bar = Bar::new("looking closer", (0, 0), survey.totals.rows);
            let ledger = self.look_up(&world, &survey, repeats.clone(), bar).await?;
            if !ledger.is_clean() {
                summary.add(ledger, Written::Nothing, 0, std::time::Duration::ZERO);
                return Ok(summary);
            }
        }
        self.schedule(&world, &survey, repeats, &mut summary).await?;
        Ok(summary)
    }

    /// Compares the totals. What is wrong is said all at once.
    fn compare(&self, survey: &Survey) -> Result<(), Stop> {
        let totals = &survey.totals;
        let mut wrong = Vec::new();
        match (&survey.stated, self.options.trailer) {
            (Some((line, stated)), _) => wrong.extend(
                totals
                    .compare_with_trailer(stated)
                    .into_iter()
                    .map(|wrong| format!("{wrong} (trailer on line {line})")),
            ),
            (None, TrailerRule::Required) => {
                wrong.push(format!(
                    "no trailer behind the {} rows: the file may be cut",
                    totals.rows
                ));
            }
            (None, TrailerRule::Auto) => {}
        }
        let ImportOptions { expect_count, expect_sum, .. } = &self.options;
        wrong.extend(totals.compare_with_options(*expect_count, expect_sum));
        let empty_expected = *expect_count == Some(0)
            || survey.stated.as_ref().is_some_and(|(_, stated)| stated.count == Some(0));
        if totals.rows == 0 && !empty_expected {
            wrong.push("the file holds no rows (--expect-count 0 if that is right)".to_owned());
        }
        if wrong.is_empty() {
            return Ok(());
        }
        let name = self.options.file.display();
        Err(Stop::Data(format!("nothing of {name} was written:\n  - {}", wrong.join("\n  - "))))
    }

    fn printing(&self) -> Printing {
        if self.options.json { Printing::Nothing } else { Printing::Lines }
    }

    /// Finds what would be refused. A dry run writes rejects only where it was told to.
    fn look(&self, survey: &Survey, repeats: Repeats, mut bar: Bar) -> Result<Ledger, Stop> {
        let (second, mut ledger) = self.looking(repeats)?;
        let reader = second.look(&mut ledger, &mut bar)?;
        bar.finish();
        if sha256(reader) == survey.sha256 { Ok(ledger) } else { Err(changed()) }
    }

    fn looking(&self, repeats: Repeats) -> Result<(Second<Reader<'_>>, Ledger), Stop> {
        let rows = Rows::open(self.source.read()?, self.source.cut)?;
        let wanted = !self.options.dry_run || self.options.rejects.is_some();
        let rejects = wanted
            .then(|| Rejects::anew(&self.rejects, self.source.cut.format(), rows.header()))
            .transpose()
            .map_err(Stop::file("replacing", &self.rejects))?;
        let ledger = Ledger::of_rejects(rejects, self.printing());
        Ok((Second::new(rows, self.rules.clone(), repeats), ledger))
    }
}
