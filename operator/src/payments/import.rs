//! `dueflow payments import`: the payments of a file, by the crate `import`.

use std::cell::RefCell;
use std::num::NonZeroU32;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Instant;

use clap::{Args, ValueEnum};
use domain::DueDate;
use import::{
    ExpectedSum, Import, ImportError, ImportOptions, ImportReport, ImportTables, Notice,
    PaymentsWritten, Phase, RowSyntax, SourceFile, Summary,
};
use jiff::Timestamp;
use jiff::tz::TimeZone;
use shared::aws::Aws;
use shared::config::Common;
use shared::shutdown::Shutdown;

use crate::progress::{CommandProgress, time_left};
use crate::start::EX_USAGE;

/// Exit statuses of sysexits.h.
const EX_DATAERR: u8 = 65;
const EX_TEMPFAIL: u8 = 75;

const HELP: &str = "\
The file is read twice. The first pass validates it: it checks, counts and sums every row and compares \
the totals with --expect-count and --expect-sum, or with a trailer as the last row (CSV: \
TRAILER,<rows>,<sum>:<currency>,…; JSON lines: {\"Trailer\":{\"Count\":2,\"Sums\":{\"EUR\":2500}}}). \
The totals include rejected rows. When a total is wrong or the file is cut, nothing is written. The \
second pass schedules the payments. After a crash, run it again: it continues where it was. It may be \
run again at any time and schedules nothing twice. A hash of each batch's rows is stored: a file with \
the same rows under another batch name is rejected.

CSV must follow RFC 4180. After a syntax error the bounds of all later rows are in doubt, so nothing \
is written, unless --trust-lines says that every line is one row.

Exit status: 0 when every row is scheduled, 1 when rows were rejected or their payments are CANCELLED \
or FAILED, 64 for bad usage or settings, 65 \
when the file as a whole is wrong and nothing was written, 75 when it stopped before the end: run it \
again.";

/// Options of `payments import`.
#[derive(Debug, Args)]
#[command(after_help = HELP)]
pub struct ImportArguments {
    /// CSV with a header, or JSON lines when the name ends in .jsonl, .ndjson or .json; `-` for
    /// standard input. Fields: AccountID, ScheduledDate, Amount (whole minor units), Currency,
    /// BeneficiaryID, and optionally DataBlob and PaymentID.
    pub file: PathBuf,
    /// Name of the batch. Rows without a PaymentID get one made from it and their content, so the
    /// same rows under the same name are scheduled once.
    /// [default: the file's name without its ending]
    #[arg(long)]
    pub batch: Option<String>,
    /// Format of the file. [default: by its name]
    #[arg(long)]
    pub format: Option<FileFormat>,
    /// Rows that the file must hold.
    #[arg(long, value_name = "ROWS")]
    pub expect_count: Option<u64>,
    /// Sum in minor units that the amounts must have; with several currencies once for each, as in
    /// 2500:EUR.
    #[arg(long, value_name = "AMOUNT[:CUR]")]
    pub expect_sum: Vec<ExpectedSum>,
    /// Whether the file must end with a trailer; one that is there is always checked.
    #[arg(long, value_enum, default_value_t = TrailerRule::Auto)]
    pub trailer: TrailerRule,
    /// Every line of the CSV file is one row: no field holds a line end. A syntax error then
    /// rejects its own line and not the file.
    #[arg(long)]
    pub trust_lines: bool,
    /// Schedule rows that another batch name has brought before, as payments of their own.
    #[arg(long)]
    pub again: bool,
    /// Schedule nothing if any row is rejected. It reads the table first and takes longer.
    #[arg(long)]
    pub all_or_nothing: bool,
    /// Accept rows whose day has passed; they are paid at once.
    #[arg(long)]
    pub allow_past: bool,
    /// Reject rows that are due after this day.
    #[arg(long, value_name = "YYYY-MM-DD")]
    pub latest: Option<DueDate>,
    /// Only check the file and print what would be rejected.
    #[arg(long)]
    pub dry_run: bool,
    /// Where rejected rows are written, with line and reason; a file that is there is replaced.
    /// [default: `FILE.rejects`]
    #[arg(long, value_name = "PATH")]
    pub rejects: Option<PathBuf>,
    /// Where the progress is kept that an import continues from after a crash.
    /// [default: `FILE.dueflow-progress`]
    #[arg(long, value_name = "PATH")]
    pub progress: Option<PathBuf>,
    /// Insert requests of up to 25 payments that run at the same time.
    #[arg(long, value_name = "N", default_value_t = 8, value_parser = clap::value_parser!(u16).range(1..=64))]
    pub writers: u16,
    /// Most payments per second. [default: as fast as it goes]
    #[arg(long, value_name = "PER_SECOND")]
    pub rate: Option<NonZeroU32>,
    /// Print the result as JSON.
    #[arg(long)]
    pub json: bool,
}

/// Format of a file of payments.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum FileFormat {
    /// RFC 4180, with a header.
    Csv,
    /// One JSON object on each line.
    Jsonl,
}

/// Whether a file must end with a trailer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum TrailerRule {
    /// It may.
    Auto,
    /// It must.
    Required,
}

impl ImportArguments {
    fn syntax(&self) -> Result<RowSyntax, ImportError> {
        let by_name = match self.file.extension().and_then(|ending| ending.to_str()) {
            Some("jsonl" | "ndjson" | "json") => FileFormat::Jsonl,
            Some(_) | None => FileFormat::Csv,
        };
        match (self.format.unwrap_or(by_name), self.trust_lines) {
            (FileFormat::Csv, false) => Ok(RowSyntax::Csv),
            (FileFormat::Csv, true) => Ok(RowSyntax::CsvLines),
            (FileFormat::Jsonl, false) => Ok(RowSyntax::JsonLines),
            (FileFormat::Jsonl, true) => Err(ImportError::Usage(
                "--trust-lines is for CSV only: in JSON lines every line is one row".to_owned(),
            )),
        }
    }

    fn prepare(self, today: DueDate) -> Result<Import, ImportError> {
        let syntax = self.syntax()?;
        let source = if self.file == Path::new("-") {
            SourceFile::copy_of(std::io::stdin().lock())?
        } else {
            SourceFile::open(&self.file)?
        };
        let options = ImportOptions {
            syntax,
            batch: self.batch,
            expect_count: self.expect_count,
            expect_sum: self.expect_sum,
            require_trailer: self.trailer == TrailerRule::Required,
            repeat_content: self.again,
            all_or_nothing: self.all_or_nothing,
            allow_past: self.allow_past,
            latest: self.latest,
            rejected_rows: self.rejects,
            checkpoint: self.progress,
            writers: self.writers,
            rate: self.rate,
        };
        Import::prepare(source, options, today)
    }
}

/// The command; `zone` is the bank's. Exit status 0 when every row is scheduled, 1 when rows were
/// rejected, else by [`exit_status`].
pub(crate) async fn import(
    common: &Common,
    zone: &TimeZone,
    arguments: ImportArguments,
) -> anyhow::Result<ExitCode> {
    let json = arguments.json;
    Ok(match run(common, zone, arguments).await {
        Ok(summary) => {
            if json {
                println!("{}", serde_json::to_string(&summary)?);
            } else {
                print(&summary);
            }
            if summary.rejected == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
        }
        Err(error) => {
            eprintln!("dueflow: {error}");
            exit_status(&error)
        }
    })
}

async fn run(
    common: &Common,
    zone: &TimeZone,
    arguments: ImportArguments,
) -> Result<Summary, ImportError> {
    let report = Terminal { json: arguments.json, phase: RefCell::new(None) };
    let dry_run = arguments.dry_run;
    let import = arguments.prepare(DueDate::today(Timestamp::now(), zone))?;
    if dry_run {
        return import.dry_run(&report);
    }
    let client = Aws::from_environment().await.dynamodb("import");
    let tables = ImportTables::new(client, common);
    import.run(&tables, || Shutdown::new(common.drain_timeout).on_signals(), &report).await
}

fn exit_status(error: &ImportError) -> ExitCode {
    ExitCode::from(match error {
        ImportError::Usage(_) => EX_USAGE,
        ImportError::InvalidFile(_) => EX_DATAERR,
        ImportError::Io { .. }
        | ImportError::Table { .. }
        | ImportError::Lookup(_)
        | ImportError::ImportsTable { .. }
        | ImportError::Interrupted { .. }
        | ImportError::Task { .. } => EX_TEMPFAIL,
    })
}

/// Prints what an import says while it runs on standard error.
struct Terminal {
    json: bool,
    phase: RefCell<Option<RunningPhase>>,
}

struct RunningPhase {
    phase: Phase,
    progress: CommandProgress,
    started: Instant,
    /// Position at the start.
    start: u64,
    end: u64,
}

impl RunningPhase {
    fn line(&self, rows: u64, position: u64, seconds: f64) -> String {
        let (phase, done) = match self.phase {
            Phase::Validate => ("validating", rows),
            Phase::FindRejected => ("finding rejected rows", rows - self.start),
            Phase::Schedule => ("scheduling", rows - self.start),
        };
        let seconds = seconds.max(0.001);
        let speed = (position - self.start) as f64 / seconds;
        let left = time_left(self.end.saturating_sub(position), speed);
        format!("{phase}: {rows} rows · {:.0}/s · {left}", done as f64 / seconds)
    }
}

impl ImportReport for Terminal {
    fn begin(&self, phase: Phase, done: u64, end: u64) {
        let (progress, started) = (CommandProgress::new(end), Instant::now());
        *self.phase.borrow_mut() =
            Some(RunningPhase { phase, progress, started, start: done, end });
    }

    fn progress(&self, rows: u64, position: u64) {
        if let Some(phase) = &*self.phase.borrow() {
            let line = || phase.line(rows, position, phase.started.elapsed().as_secs_f64());
            phase.progress.show(position, line);
        }
    }

    fn end(&self) {
        *self.phase.borrow_mut() = None;
    }

    fn rejected(&self, line: u64, reason: &str) {
        if !self.json {
            self.notice_line(&format!("line {line}: {reason}"));
        }
    }

    fn notice(&self, notice: &Notice) {
        self.notice_line(&notice.to_string());
    }
}

impl Terminal {
    fn notice_line(&self, line: &str) {
        match &*self.phase.borrow() {
            Some(phase) => phase.progress.suspend(|| eprintln!("{line}")),
            None => eprintln!("{line}"),
        }
    }
}

fn print(summary: &Summary) {
    let written = match summary.written {
        PaymentsWritten::Yes => "",
        PaymentsWritten::DryRun => " (dry run: nothing was written)",
        PaymentsWritten::Nothing => " (all or nothing: nothing was scheduled)",
        PaymentsWritten::Partly => " (all or nothing: stopped before the end)",
    };
    println!(
        "{} rows: {} scheduled, {} already scheduled, {} rejected{written}",
        summary.rows, summary.scheduled, summary.already_scheduled, summary.rejected
    );
    if summary.blank_rows > 0 {
        eprintln!("{} blank rows were skipped", summary.blank_rows);
    }
    if let Some(partly) = &summary.partly {
        let partly = partly.display();
        eprintln!(
            "the payments of this file that are in the table are listed in {partly}; to cancel \
             them: xargs dueflow payments cancel --execute < {partly}"
        );
    }
    let reported = summary.rejections.len() as u64;
    if summary.rejected > reported {
        eprintln!("… and {} more", summary.rejected - reported);
    }
    if let Some(rejected_rows) = &summary.rejected_rows {
        eprintln!("the rejected rows are in {}", rejected_rows.display());
    }
    let sums: Vec<_> = summary.sums.iter().map(|(code, sum)| format!("{sum} {code}")).collect();
    eprintln!("sums in minor units: {}", sums.join(", "));
    let [validated, scheduled] = summary.seconds;
    eprintln!(
        "validated in {validated:.1} s ({:.0} rows/s), scheduled in {scheduled:.1} s ({:.0} rows/s)",
        summary.rows as f64 / validated.max(0.001),
        (summary.rows - summary.resumed_after) as f64 / scheduled.max(0.001),
    );
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_phase_that_continues_tells_the_rate_of_what_it_did_itself() {
        let phase = RunningPhase {
            phase: Phase::Schedule,
            progress: CommandProgress::new(4_000),
            started: Instant::now(),
            start: 1_000,
            end: 4_000,
        };
        assert_eq!(phase.line(2_000, 2_000, 2.0), "scheduling: 2000 rows · 500/s · 4s left");
        assert!(phase.line(1_000, 1_000, 0.0).ends_with("0/s · …"));
    }
}
