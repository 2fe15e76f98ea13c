//! Options of `payments import`.

use std::num::NonZeroU32;
use std::path::PathBuf;
use std::str::FromStr;

use clap::{Args, ValueEnum};
use domain::{Currency, DueDate};

const HELP: &str = "\
The file is read twice. The first time every row is checked, counted and summed, and the totals are \
compared: by --expect-count and --expect-sum, or by a trailer as the last row (CSV: \
TRAILER,<rows>,<sum>:<currency>,…; JSON lines: {\"Trailer\":{\"Count\":2,\"Sums\":{\"EUR\":2500}}}). \
A total counts every row, also one that is refused. When one is wrong, or the file is cut, nothing is \
written. The second time the payments are scheduled. Started again after a crash it goes on where it \
stood; it may be run again at any time and schedules nothing twice. The rows of each batch are kept as \
a hash: the same rows under another name are refused.

CSV is taken as RFC 4180 writes it. A row that is not written so puts those behind it in doubt, and \
nothing is written, unless --trust-lines says that every line is one row.

Exit status: 0 when every row is scheduled, 1 when rows were refused or their payments are CANCELLED \
or FAILED, 64 for bad usage or settings, 65 \
when the file as a whole is wrong and nothing was written, 75 when it stopped before the end: run it \
again.";

/// Options of `payments import`.
#[derive(Debug, Args)]
#[command(after_help = HELP)]
pub struct ImportOptions {
    /// CSV with a header, or JSON lines when the name ends in .jsonl, .ndjson or .json; `-` for
    /// standard input. Fields: AccountID, ScheduledDate, Amount (whole minor units), Currency,
    /// BeneficiaryID, and optionally DataBlob and PaymentID.
    pub file: PathBuf,
    /// Name that tells this delivery from others. Rows without a PaymentID get one made from
    /// it and their content, so the same rows under the same name are scheduled once.
    /// [default: the file's name without its ending]
    #[arg(long)]
    pub batch: Option<String>,
    /// How the file is written. [default: by its name]
    #[arg(long)]
    pub format: Option<Format>,
    /// Rows that the file must hold.
    #[arg(long, value_name = "ROWS")]
    pub expect_count: Option<u64>,
    /// Sum in minor units that its amounts must have; with several currencies once for each,
    /// as in 2500:EUR.
    #[arg(long, value_name = "AMOUNT[:CUR]")]
    pub expect_sum: Vec<ExpectedSum>,
    /// Whether the file must end with a trailer; one that is there is always checked.
    #[arg(long, value_enum, default_value_t = TrailerRule::Auto)]
    pub trailer: TrailerRule,
    /// Every line of the CSV file is one row: no field holds a line end. A line that is no row of
    /// RFC 4180 is then refused alone, and not the file.
    #[arg(long)]
    pub trust_lines: bool,
    /// Take rows that another batch name has brought before once more, as payments of their own.
    #[arg(long)]
    pub again: bool,
    /// Schedule nothing if any row is refused. The table is read first, so it takes longer.
    #[arg(long)]
    pub all_or_nothing: bool,
    /// Take rows whose day has passed; they are paid at once.
    #[arg(long)]
    pub allow_past: bool,
    /// Refuse rows that are due after this day.
    #[arg(long, value_name = "YYYY-MM-DD")]
    pub latest: Option<DueDate>,
    /// Only check the file and say what would be refused.
    #[arg(long)]
    pub dry_run: bool,
    /// Where refused rows are written, with line and reason; what is there is replaced.
    /// [default: `FILE.rejects`]
    #[arg(long, value_name = "PATH")]
    pub rejects: Option<PathBuf>,
    /// Where it is written down how far it came. [default: `FILE.dueflow-progress`]
    #[arg(long, value_name = "PATH")]
    pub progress: Option<PathBuf>,
    /// Requests of up to 25 payments under way at once.
    #[arg(long, value_name = "N", default_value_t = 8, value_parser = clap::value_parser!(u16).range(1..=64))]
    pub writers: u16,
    /// Most payments per second. [default: as fast as it goes]
    #[arg(long, value_name = "PER_SECOND")]
    pub rate: Option<NonZeroU32>,
    /// Print the result as JSON.
    #[arg(long)]
    pub json: bool,
}

/// How a file of payments is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Format {
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

/// A sum in minor units, and of which currency.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ExpectedSum {
    /// The sum.
    pub amount: i128,
    /// The currency; `None` for the only one of the file.
    pub currency: Option<Currency>,
}

impl FromStr for ExpectedSum {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (amount, currency) = match text.split_once(':') {
            Some((amount, currency)) => (amount, Some(currency)),
            None => (text, None),
        };
        let amount = amount.trim().parse().map_err(|_| {
            format!("{text:?} is not a sum in whole minor units such as 2500 or 2500:EUR")
        })?;
        let currency = currency.map(|code| code.trim().parse::<Currency>()).transpose();
        Ok(Self { amount, currency: currency.map_err(|error| error.to_string())? })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sum_is_minor_units_with_or_without_a_currency() {
        let sum = |text: &str| text.parse::<ExpectedSum>();
        assert_eq!(sum("2500"), Ok(ExpectedSum { amount: 2500, currency: None }));
        let beyond_64_bits = sum("99999999999999999999:EUR").unwrap();
        assert_eq!(beyond_64_bits.currency, Some("EUR".parse().unwrap()));
        for text in ["25.00", "2500:EURO", "2500:", "", ":EUR", "2,500"] {
            assert!(sum(text).is_err(), "{text} was accepted");
        }
    }
}
