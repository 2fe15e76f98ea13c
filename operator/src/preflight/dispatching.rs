//! Whether dispatching is stopped: then no payment leaves, whatever else is well.

use shared::dispatch_stop::DispatchStop;

use super::finding::{Check, Finding};

/// Judges what a reading of the stop has found.
pub(super) fn judge(read: Result<Option<DispatchStop>, String>) -> Finding {
    let check = Check::Dispatching;
    match read {
        Ok(None) => Finding::go(check, "not stopped", ""),
        Ok(Some(DispatchStop { id, cause, reason, by, at, .. })) => Finding::no_go(
            check,
            format!("stopped ({cause}) by {by} at {at:.0}: {reason}"),
            "not stopped",
            format!("docs/runbooks/dispatch-stop.md, then: dueflow dispatch resume {id}"),
        ),
        Err(reason) => Finding::failed(check, reason),
    }
}

#[cfg(test)]
mod tests {
    use super::super::finding::Verdict;
    use super::*;
    use jiff::Timestamp;
    use shared::dispatch_stop::StopCause;

    #[test]
    fn a_stop_is_a_no_go_and_so_is_one_that_cannot_be_read() {
        let stop = DispatchStop::new(StopCause::ByHand, "x", "me", 0, Timestamp::UNIX_EPOCH);
        let remedy = format!("dueflow dispatch resume {}", stop.id);
        let found = judge(Ok(Some(stop)));
        assert_eq!(found.verdict, Verdict::NoGo);
        assert!(found.remedy.unwrap().contains(&remedy));
        assert_eq!(judge(Err("no answer".to_owned())).verdict, Verdict::NoGo);
        assert_eq!(judge(Ok(None)).verdict, Verdict::Go);
    }
}
