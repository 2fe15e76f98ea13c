//! What is written down of an action: pure.

use std::collections::HashMap;
use std::fmt;

use aws_sdk_dynamodb::types::AttributeValue;
use jiff::Timestamp;
use serde_json::{Value, json};
use shared::resources::actions::{DAY, ID};

use super::caller::Caller;

/// What an entry is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum ActionStage {
    /// The command begins.
    Began,
    /// A payment is about to be changed, or could not be.
    Payment,
    /// The command has ended.
    Ended,
}

impl ActionStage {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Began => "began",
            Self::Payment => "payment",
            Self::Ended => "ended",
        }
    }
}

/// What is done with one payment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ActionOnPayment {
    /// The payment, or its dead letter where there is none.
    pub(crate) subject: String,
    /// What is about to be done and why, or why it could not be.
    pub(crate) outcome: String,
}

/// An entry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct ActionEntry {
    /// When, UTC.
    pub(super) at: Timestamp,
    /// Its own id, in the order of time.
    pub(super) id: String,
    /// The id of the first entry of its command.
    pub(super) run: String,
    pub(super) stage: ActionStage,
    /// Such as `dlq discard`.
    pub(super) command: String,
    pub(super) caller: Caller,
    /// The operator's reason.
    pub(super) because: Option<String>,
    /// What was asked for, or the payment.
    pub(super) what: String,
    /// What is about to be done, or how it ended.
    pub(super) outcome: Option<String>,
}

const AT: &str = "ActionAt";
const RUN: &str = "RunId";
const STAGE: &str = "Stage";
const COMMAND: &str = "Command";
const PROVEN: &str = "CallerArn";
const CLAIMED: &str = "ClaimedUser";
const BECAUSE: &str = "Because";
const WHAT: &str = "What";
const OUTCOME: &str = "Outcome";

/// An item that is no entry.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("an entry of the action log has no usable {0}")]
pub(super) struct EntryError(&'static str);

impl ActionEntry {
    /// The partition of a time: its day in UTC.
    pub(super) fn day(at: Timestamp) -> String {
        at.strftime("%Y-%m-%d").to_string()
    }

    /// Its attributes.
    pub(super) fn attributes(&self) -> Vec<(&'static str, AttributeValue)> {
        let text = |text: &str| AttributeValue::S(text.to_owned());
        let mut all = vec![
            (DAY, AttributeValue::S(Self::day(self.at))),
            (ID, text(&self.id)),
            (AT, AttributeValue::S(format!("{:.3}", self.at))),
            (RUN, text(&self.run)),
            (STAGE, text(self.stage.as_str())),
            (COMMAND, text(&self.command)),
            (CLAIMED, text(&self.caller.claimed)),
            (WHAT, text(&self.what)),
        ];
        let optional =
            [(PROVEN, &self.caller.proven), (BECAUSE, &self.because), (OUTCOME, &self.outcome)];
        all.extend(
            optional
                .into_iter()
                .filter_map(|(name, value)| value.as_ref().map(|value| (name, text(value)))),
        );
        all
    }

    /// Reads an item.
    pub(super) fn from_item(item: &HashMap<String, AttributeValue>) -> Result<Self, EntryError> {
        let optional = |name| item.get(name).and_then(|value| value.as_s().ok()).cloned();
        let text = |name: &'static str| optional(name).ok_or(EntryError(name));
        let stage = match text(STAGE)?.as_str() {
            "began" => ActionStage::Began,
            "payment" => ActionStage::Payment,
            "ended" => ActionStage::Ended,
            _ => return Err(EntryError(STAGE)),
        };
        Ok(Self {
            at: text(AT)?.parse().map_err(|_| EntryError(AT))?,
            id: text(ID)?,
            run: text(RUN)?,
            stage,
            command: text(COMMAND)?,
            caller: Caller { proven: optional(PROVEN), claimed: text(CLAIMED)? },
            because: optional(BECAUSE),
            what: text(WHAT)?,
            outcome: optional(OUTCOME),
        })
    }

    /// For programs.
    pub(super) fn json(&self) -> Value {
        json!({
            "at": format!("{:.3}", self.at), "id": self.id, "run": self.run,
            "stage": self.stage.as_str(), "command": self.command,
            "caller_arn": self.caller.proven, "claimed_user": self.caller.claimed,
            "because": self.because, "what": self.what, "outcome": self.outcome,
        })
    }
}

impl fmt::Display for Caller {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.proven {
            Some(arn) => f.write_str(arn),
            None => write!(f, "unknown (claims to be {})", self.claimed),
        }
    }
}

impl fmt::Display for ActionEntry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { at, command, caller, what, .. } = self;
        let stage = self.stage.as_str();
        write!(f, "{at:.0}  {command:<15}  {stage:<7}  {caller}  {what}")?;
        if let Some(because) = &self.because {
            write!(f, "  because: {because}")?;
        }
        match &self.outcome {
            Some(outcome) => write!(f, "  → {outcome}"),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry() -> ActionEntry {
        ActionEntry {
            at: "2026-12-01T23:59:59.123Z".parse().unwrap(),
            id: "b".to_owned(),
            run: "a".to_owned(),
            stage: ActionStage::Payment,
            command: "dlq discard".to_owned(),
            caller: Caller { proven: None, claimed: "ana".to_owned() },
            because: Some("withdrawn".to_owned()),
            what: "ACC/2026-12-01/x".to_owned(),
            outcome: Some("discard: it was rejected".to_owned()),
        }
    }

    #[test]
    fn an_entry_reads_back_and_lies_on_its_day_in_utc() {
        let proven =
            Caller { proven: Some("arn:aws:iam::1:user/ana".to_owned()), ..entry().caller };
        for entry in [
            entry(),
            ActionEntry { caller: proven, because: None, outcome: None, ..entry() },
            ActionEntry { stage: ActionStage::Began, ..entry() },
            ActionEntry { stage: ActionStage::Ended, ..entry() },
        ] {
            let attributes = entry.attributes().into_iter();
            let item: HashMap<_, _> =
                attributes.map(|(name, value)| (name.to_owned(), value)).collect();
            assert_eq!(item[DAY].as_s().unwrap(), "2026-12-01");
            assert_eq!(ActionEntry::from_item(&item), Ok(entry));
        }
        assert_eq!(ActionEntry::from_item(&HashMap::new()), Err(EntryError(STAGE)));
    }

    #[test]
    fn whoever_only_claims_to_be_somebody_is_not_shown_as_if_it_were_proven() {
        assert!(entry().to_string().contains("unknown (claims to be ana)"), "{}", entry());
        assert_eq!(entry().json()["caller_arn"], Value::Null);
    }
}
