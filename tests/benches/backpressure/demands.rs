//! What must hold, and whether it did.

use std::fmt;

/// Demands with what was measured.
#[derive(Debug, Default)]
pub(crate) struct Demands(Vec<(bool, String)>);

impl Demands {
    /// Notes what was measured, and whether it is as demanded.
    pub(crate) fn add(&mut self, met: bool, measured: String) {
        self.0.push((met, measured));
    }

    /// Whether all were met.
    pub(crate) fn met(&self) -> bool {
        self.0.iter().all(|(met, _)| *met)
    }
}

impl fmt::Display for Demands {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (met, measured) in &self.0 {
            writeln!(f, "{:<7} {measured}", if *met { "ok" } else { "MISSED" })?;
        }
        Ok(())
    }
}
