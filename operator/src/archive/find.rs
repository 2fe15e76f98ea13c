//! `dueflow archive find`.

use std::io::{self, Write};
use std::process::ExitCode;
use std::sync::Arc;

use domain::{AccountId, DueDate, Status};
use shared::aws::Aws;
use shared::config::Common;
use shared::payments::archive::ArchiveTable;
use shared::payments::{DueDay, DuePayments, DueTable, StoredPayment};

use super::options::ArchiveFindOptions;
use crate::payments::fields;

/// The command. Exit status 1 when nothing was found.
pub(crate) async fn find(common: &Common, options: ArchiveFindOptions) -> anyhow::Result<ExitCode> {
    let aws = Aws::from_environment().await;
    let name = common.names.archive_table();
    let archive = Arc::new(ArchiveTable::new(aws.dynamodb("archive"), &name, common.due_shards));
    let mut printer = Printer { json: options.json, found: 0 };
    let printed = if let Some(transaction) = &options.transaction {
        let found = archive.by_transaction(transaction).await?;
        printer.print_all(archive.get_many(&found).await?)
    } else if let Some(account) = &options.account {
        printer.account(&archive, account, &options).await
    } else if let Some(day) = options.date {
        printer.day(archive, day).await
    } else {
        unreachable!("one of the three is required")
    };
    match printed {
        Ok(()) => {}
        // Whoever reads the output has seen enough (`| head`).
        Err(error) if is_broken_pipe(&error) => return Ok(ExitCode::SUCCESS),
        Err(error) => return Err(error),
    }
    if printer.found == 0 {
        eprintln!("dueflow: {name} holds no such payment");
        return Ok(ExitCode::FAILURE);
    }
    Ok(ExitCode::SUCCESS)
}

fn is_broken_pipe(error: &anyhow::Error) -> bool {
    error.downcast_ref::<io::Error>().is_some_and(|error| error.kind() == io::ErrorKind::BrokenPipe)
}

struct Printer {
    json: bool,
    found: u64,
}

impl Printer {
    async fn account(
        &mut self,
        archive: &ArchiveTable,
        account: &AccountId,
        options: &ArchiveFindOptions,
    ) -> anyhow::Result<()> {
        let (first, last) = ("0001-01-01".parse::<DueDate>()?, "9999-12-31".parse::<DueDate>()?);
        let (first, last) = (options.from.unwrap_or(first), options.to.unwrap_or(last));
        anyhow::ensure!(first <= last, "--from {first} lies after --to {last}");
        let mut cursor = None;
        loop {
            let (page, next) = archive.account_page(account, first, last, cursor).await?;
            for stored in page {
                self.print(&stored)?;
            }
            match next {
                Some(next) => cursor = Some(next),
                None => return Ok(()),
            }
        }
    }

    async fn day(&mut self, archive: Arc<ArchiveTable>, day: DueDate) -> anyhow::Result<()> {
        let mut day = DueDay::new(archive, day, Status::Processed);
        while let Some(found) = day.next().await? {
            self.print_all(found)?;
        }
        Ok(())
    }

    fn print_all(&mut self, found: DuePayments) -> anyhow::Result<()> {
        for (reference, stored) in found {
            match stored {
                Ok(stored) => self.print(&stored)?,
                Err(error) => anyhow::bail!("{reference}: the item is no payment: {error}"),
            }
        }
        Ok(())
    }

    fn print(&mut self, stored: &StoredPayment) -> anyhow::Result<()> {
        let mut out = io::stdout().lock();
        if self.json {
            writeln!(out, "{}", serde_json::to_string(&fields(stored)?)?)?;
        } else {
            if self.found == 0 {
                writeln!(out, "{}", row(["Amount", "", "SettledAt", "TransactionID", "Payment"]))?;
            }
            writeln!(out, "{}", table_row(stored))?;
        }
        self.found += 1;
        Ok(())
    }
}

fn row([amount, currency, settled_at, transaction, reference]: [&str; 5]) -> String {
    format!("{amount:>16} {currency:<3}  {settled_at:<20}  {transaction:<36}  {reference}")
}

fn table_row(stored: &StoredPayment) -> String {
    let payment = &stored.payment;
    let settled_at = stored.settled_at.map_or_else(|| "-".to_owned(), |at| format!("{at:.0}"));
    let transaction = stored.transaction_id.as_deref().unwrap_or("-");
    let (amount, reference) = (payment.amount.to_string(), payment.reference().to_string());
    row([&amount, payment.currency.code(), &settled_at, transaction, &reference])
}
