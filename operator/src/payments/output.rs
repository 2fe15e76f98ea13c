//! Printing long lists: a page at a time, at once, and no panic when the reader has gone.

use std::io::{self, Write};
use std::process::ExitCode;

/// Prints whole lines and has them leave at once.
pub(super) fn print(lines: &str) -> io::Result<()> {
    let mut out = io::stdout().lock();
    out.write_all(lines.as_bytes())?;
    out.flush()
}

/// What became of printing by a command that does more than print: it goes on when whoever reads
/// its output has gone, and its exit status says how it ended.
pub(super) fn unheard(printed: io::Result<()>) -> io::Result<()> {
    match printed {
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        printed => printed,
    }
}

/// What a command that prints ends with: whoever reads the output and has seen enough
/// (`| head`) is no failure.
pub(super) fn ended(result: anyhow::Result<ExitCode>) -> anyhow::Result<ExitCode> {
    let is_closed = |error: &anyhow::Error| {
        let error = error.downcast_ref::<io::Error>();
        error.is_some_and(|error| error.kind() == io::ErrorKind::BrokenPipe)
    };
    match result {
        Err(error) if is_closed(&error) => Ok(ExitCode::SUCCESS),
        result => result,
    }
}

/// Most payments of a list that a cursor continues: a hundred for people, unless another number is
/// given.
pub(super) fn people_limit(limit: Option<u64>, json: bool) -> Option<u64> {
    limit.or((!json).then_some(100))
}

/// Where a column's texts stand.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Align {
    /// At its left.
    Left,
    /// At its right: numbers.
    Right,
}

/// Columns of a list that is printed page by page: they grow with what they hold and never
/// shrink, so that a page is aligned and memory does not grow.
#[derive(Debug)]
pub(super) struct Columns<const N: usize> {
    heads: Option<[&'static str; N]>,
    aligned: [Align; N],
    widths: [usize; N],
}

impl<const N: usize> Columns<N> {
    /// Columns with a line of heads, which comes with the first page.
    pub(super) fn new(columns: [(&'static str, Align); N]) -> Self {
        let heads = columns.map(|(head, _)| head);
        Self { heads: Some(heads), aligned: columns.map(|(_, align)| align), widths: [0; N] }
    }

    /// The lines of a page.
    pub(super) fn lines(&mut self, rows: Vec<[String; N]>) -> String {
        let heads = self.heads.take().map(|heads| heads.map(str::to_owned));
        let rows: Vec<_> = heads.into_iter().chain(rows).collect();
        for row in &rows {
            for (width, cell) in self.widths.iter_mut().zip(row) {
                *width = (*width).max(cell.chars().count());
            }
        }
        rows.iter().map(|row| self.line(row)).collect()
    }

    fn line(&self, row: &[String; N]) -> String {
        let cells = row.iter().zip(self.widths).zip(self.aligned);
        let cells = cells.map(|((cell, width), align)| match align {
            Align::Left => format!("{cell:<width$}"),
            Align::Right => format!("{cell:>width$}"),
        });
        let mut line = cells.collect::<Vec<_>>().join("  ");
        line.truncate(line.trim_end().len());
        line.push('\n');
        line
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_aligned_and_never_shrink() {
        let mut columns = Columns::new([("WHAT", Align::Left), ("AMOUNT", Align::Right)]);
        let row = |what: &str, amount: &str| [what.to_owned(), amount.to_owned()];
        let first = columns.lines(vec![row("a", "12.50 EUR"), row("longer", "5 JPY")]);
        assert_eq!(first, "WHAT       AMOUNT\na       12.50 EUR\nlonger      5 JPY\n");
        assert_eq!(columns.lines(vec![row("b", "1")]), "b               1\n");
    }

    #[test]
    fn a_reader_that_has_gone_is_no_failure() {
        let of = |kind: io::ErrorKind| ended(Err(io::Error::from(kind).into()));
        assert!(of(io::ErrorKind::BrokenPipe).is_ok());
        assert!(of(io::ErrorKind::StorageFull).is_err());
        assert!(ended(Err(anyhow::anyhow!("a call failed"))).is_err());
        assert!(unheard(Err(io::ErrorKind::BrokenPipe.into())).is_ok());
        assert!(unheard(Err(io::ErrorKind::StorageFull.into())).is_err());
    }
}
