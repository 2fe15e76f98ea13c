//! Settings: when dispatching stops.

use super::StopLimits;
use crate::config::Settings;

impl StopLimits {
    /// Reads them; `None` when one is wrong, which `settings` then knows.
    pub fn read(settings: &mut Settings) -> Option<Self> {
        let rejected_accounts = settings.number("DUEFLOW_STOP_REJECTED_ACCOUNTS", 2..=1_000);
        let out_of_contract = settings.number("DUEFLOW_STOP_OUT_OF_CONTRACT", 1..=1_000);
        let share_percent = settings.number("DUEFLOW_STOP_SHARE", 1..=100);
        let window = settings.number("DUEFLOW_STOP_WINDOW", 10..=10_000);
        let limits = Self {
            rejected_accounts: rejected_accounts?,
            out_of_contract: out_of_contract?,
            share_percent: share_percent?,
            window: window?,
        };
        // Else no share of it is ever enough.
        let least = limits.most_counted();
        if limits.window < least {
            settings.refuse("DUEFLOW_STOP_WINDOW", format!("must be {least} at least: twice DUEFLOW_STOP_REJECTED_ACCOUNTS, and DUEFLOW_STOP_OUT_OF_CONTRACT"));
            return None;
        }
        Some(limits)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(pairs: &[(&str, &str)]) -> Option<StopLimits> {
        let pairs = pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        StopLimits::read(&mut Settings::load(pairs))
    }

    #[test]
    fn a_window_in_which_no_share_is_ever_enough_is_refused() {
        assert!(read(&[]).is_some());
        assert!(read(&[("DUEFLOW_STOP_WINDOW", "39")]).is_none());
        assert!(read(&[("DUEFLOW_STOP_WINDOW", "40")]).is_some());
        assert!(read(&[("DUEFLOW_STOP_OUT_OF_CONTRACT", "201")]).is_none());
    }
}
