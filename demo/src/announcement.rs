//! What a demo is about to do, and about how long it takes: pure.

use crate::options::DemoOptions;

/// Payments a second on a quiet machine of two cores (docs/performance.md), rounded down.
const RATE: u32 = 1_000;
/// Payments scheduled a second before the services start, on the same.
const SCHEDULING_RATE: u32 = 4_000;
/// Starting and ending everything.
const FRAME_SECONDS: u32 = 3;
/// A day has payments of other days and through the day beside its batch, and an archive.
const DAY_SECONDS: u32 = 15;

/// The first line of a demo.
pub(super) fn announcement(options: &DemoOptions) -> String {
    let DemoOptions { payments, accounts, backlog, day, .. } = *options;
    let what = if day {
        format!("A bank's day in fast motion, with {payments} payments at night")
    } else if backlog {
        format!("Schedules {payments} payments of {accounts} accounts, then processes them")
    } else {
        format!("Schedules {payments} payments of {accounts} accounts and processes them meanwhile")
    };
    format!(
        "{what}, all on this machine: about {} on two quiet cores. Ctrl-C ends it.",
        duration(seconds(options))
    )
}

fn seconds(options: &DemoOptions) -> u32 {
    let rate = options.rate.map_or(RATE, |rate| rate.min(RATE)).max(1);
    let scheduling = if options.backlog { options.payments / SCHEDULING_RATE } else { 0 };
    let day = if options.day { DAY_SECONDS } else { 0 };
    FRAME_SECONDS + day + scheduling + options.payments / rate
}

fn duration(seconds: u32) -> String {
    match seconds {
        0..90 => format!("{seconds} seconds"),
        90..5_400 => format!("{} minutes", seconds.div_ceil(60)),
        _ => format!("{} hours", seconds.div_ceil(3_600)),
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Parser)]
    struct Command {
        #[command(flatten)]
        options: DemoOptions,
    }

    fn announced(arguments: &[&str]) -> String {
        let arguments = ["demo"].iter().chain(arguments);
        announcement(&Command::parse_from(arguments).options)
    }

    #[test]
    fn a_demo_says_what_it_does_and_how_long_it_takes() {
        assert_eq!(
            announced(&[]),
            "Schedules 20000 payments of 2000 accounts and processes them meanwhile, \
             all on this machine: about 23 seconds on two quiet cores. Ctrl-C ends it."
        );
        let few = announced(&["--payments", "500"]);
        assert!(few.contains("about 3 seconds"), "{few}");
        let many = announced(&["--payments", "1000000", "--backlog"]);
        assert!(
            many.contains("then processes them") && many.contains("about 21 minutes"),
            "{many}"
        );
        let slow = announced(&["--rate", "10"]);
        assert!(slow.contains("about 34 minutes"), "{slow}");
        let slowest = announced(&["--rate", "1"]);
        assert!(slowest.contains("about 6 hours"), "{slowest}");
        let day = announced(&["--day", "--payments", "2000"]);
        assert!(day.contains("day in fast motion") && day.contains("20 seconds"), "{day}");
    }
}
