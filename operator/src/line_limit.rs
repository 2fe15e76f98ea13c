//! How many lines a list prints: so many that people can read them, and the rest is counted.

/// Most lines for people, unless another number is given.
const LINES: u64 = 100;

/// What is left of them.
#[derive(Debug, Clone, Copy)]
pub(crate) struct LineLimit {
    left: u64,
    rest: u64,
}

impl LineLimit {
    /// As asked for; without a number programs get all lines.
    pub(crate) fn new(limit: Option<u64>, json: bool) -> Self {
        Self { left: limit.unwrap_or(if json { u64::MAX } else { LINES }), rest: 0 }
    }

    /// Whether one more line is printed; if not, it is counted.
    pub(crate) fn takes(&mut self) -> bool {
        let takes = self.left > 0;
        self.left = self.left.saturating_sub(1);
        self.rest += u64::from(!takes);
        takes
    }

    /// How many lines were not printed.
    pub(crate) fn rest(self) -> u64 {
        self.rest
    }

    /// Says of how many of these the lines were not printed; empty when none is missing.
    pub(crate) fn rest_line(self, of: &str) -> String {
        match self.rest {
            0 => String::new(),
            rest => format!("… and {rest} more {of} that are not printed (--limit N, --json)\n"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn people_get_a_hundred_lines_programs_all_and_what_is_left_out_is_counted() {
        let printed = |limit, json| {
            let mut lines = LineLimit::new(limit, json);
            let printed = (0..150).filter(|_| lines.takes()).count();
            (printed, lines.rest())
        };
        assert_eq!(printed(None, false), (100, 50));
        assert_eq!(printed(None, true), (150, 0));
        assert_eq!(printed(Some(7), true), (7, 143));
        assert_eq!(LineLimit::new(None, false).rest_line("lines"), "");
    }
}
