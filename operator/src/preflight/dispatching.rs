//! Whether dispatching is stopped: then no payment leaves, whatever else is well.

use shared::dispatch_stop::DispatchStop;

use super::check::{Check, CheckResult};

/// Judges what a reading of the stop has found.
pub(super) fn evaluate(read: Result<Option<DispatchStop>, String>) -> CheckResult {
    let check = Check::Dispatching;
    match read {
        Ok(None) => CheckResult::go(check, "not stopped", ""),
        Ok(Some(DispatchStop { id, cause, reason, by, at, .. })) => CheckResult::no_go(
            check,
            format!("stopped ({cause}) by {by} at {at:.0}: {reason}"),
            "not stopped",
            format!("docs/runbooks/dispatch-stop.md, then: dueflow dispatch resume {id}"),
        ),
        Err(reason) => CheckResult::failed(check, reason),
    }
}

#[cfg(test)]
mod tests {
    use super::super::check::Severity;
    use super::*;
    use jiff::Timestamp;
    use shared::dispatch_stop::StopCause;

    #[test]
    fn a_stop_is_a_no_go_and_so_is_one_that_cannot_be_read() {
        let stop = DispatchStop::new(StopCause::ByHand, "x", "me", 0, Timestamp::UNIX_EPOCH);
        let remedy = format!("dueflow dispatch resume {}", stop.id);
        let found = evaluate(Ok(Some(stop)));
        assert_eq!(found.severity, Severity::NoGo);
        assert!(found.remedy.unwrap().contains(&remedy));
        assert_eq!(evaluate(Err("no answer".to_owned())).severity, Severity::NoGo);
        assert_eq!(evaluate(Ok(None)).severity, Severity::Go);
    }
}
