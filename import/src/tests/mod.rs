//! Imports of whole files, without a table.

mod bad_input;
mod cases;
mod differential;

use std::fs;

use domain::DueDate;
use jiff::Timestamp;
use jiff::tz::TimeZone;

use crate::schedule::RowCounts;
use crate::validate::Validation;
use crate::{
    Import, ImportError, ImportOptions, ImportReport, Notice, Phase, RowSyntax, SourceFile,
};

const HEADER: &str = "AccountID,ScheduledDate,Amount,Currency,BeneficiaryID,DataBlob,PaymentID";
const GOOD: &str = "ACC-1,2999-11-23,1250,EUR,BEN-1,,";

/// An import of a file of its own.
struct Try {
    folder: tempfile::TempDir,
    import: Result<Import, ImportError>,
}

/// The results of both passes.
type Checked = Result<(Validation, Rejected), String>;

/// Line and reason of each rejected row.
struct Rejected {
    counts: RowCounts,
    reasons: Vec<(u64, String)>,
}

struct Silent;

impl ImportReport for Silent {
    fn begin(&self, _: Phase, _: u64, _: u64) {}
    fn progress(&self, _: u64, _: u64) {}
    fn end(&self) {}
    fn rejected(&self, _: u64, _: &str) {}
    fn notice(&self, _: &Notice) {}
}

/// Options as the command line names them, for a file of this name.
fn options(name: &str, arguments: &[&str]) -> ImportOptions {
    let mut options = ImportOptions::default();
    if name.ends_with(".jsonl") {
        options.syntax = RowSyntax::JsonLines;
    }
    let mut arguments = arguments.iter();
    while let Some(argument) = arguments.next() {
        let mut value = || *arguments.next().unwrap();
        match *argument {
            "--allow-past" => options.allow_past = true,
            "--expect-count" => options.expect_count = Some(value().parse().unwrap()),
            "--expect-sum" => options.expect_sum.push(value().parse().unwrap()),
            "--latest" => options.latest = Some(value().parse().unwrap()),
            "--rejects" => options.rejected_rows = Some(value().into()),
            "--trailer" => options.require_trailer = value() == "required",
            "--trust-lines" => options.syntax = RowSyntax::CsvLines,
            other => panic!("{other}"),
        }
    }
    options
}

impl Try {
    fn new(name: &str, content: &[u8], arguments: &[&str]) -> Self {
        Self::on(DueDate::today(Timestamp::now(), &TimeZone::UTC), name, content, arguments)
    }

    fn on(today: DueDate, name: &str, content: &[u8], arguments: &[&str]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(name);
        fs::write(&path, content).unwrap();
        let source = SourceFile::open(&path).unwrap();
        Self { import: Import::prepare(source, options(name, arguments), today), folder }
    }

    /// Both passes, without a table: all that an import does except for the writing.
    fn check(&self) -> Checked {
        let import = self.import.as_ref().map_err(ToString::to_string)?;
        let run = || {
            let (validation, filter, _) = import.validate(&Silent)?;
            let file = import.validated(&validation, filter, &Silent);
            let results = file.find_rejected(Some(&import.rejected_rows))?;
            let reasons = results.rejections.iter().map(|row| (row.line, row.reason.clone()));
            let rejected = Rejected { counts: results.counts, reasons: reasons.collect() };
            Ok((validation, rejected))
        };
        run().map_err(|error: ImportError| error.to_string())
    }

    fn rejected_rows(&self) -> Vec<u8> {
        let file = fs::read_dir(self.folder.path()).unwrap();
        let mut files = file.map(|entry| entry.unwrap().path());
        let rejected = files.find(|path| path.extension().is_some_and(|end| end == "rejects"));
        rejected.map(|path| fs::read(path).unwrap()).unwrap_or_default()
    }
}

fn csv(rows: &[&str]) -> String {
    format!("{HEADER}\n{}\n", rows.join("\n"))
}

/// Line and reason of each rejected row of a CSV file.
fn rejected(content: &[u8], arguments: &[&str]) -> Vec<(u64, String)> {
    Try::new("monday.csv", content, arguments).check().unwrap().1.reasons
}

/// Why a CSV file is rejected as a whole.
fn whole(content: &[u8], arguments: &[&str]) -> String {
    Try::new("monday.csv", content, arguments).check().err().unwrap_or_default()
}
