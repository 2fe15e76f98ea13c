//! What `dueflow dispatch` prints.

use std::io::Write;

use serde_json::{Value, json};
use shared::dispatch_stop::{DispatchStop, StopId};

/// How.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum OutputFormat {
    /// Lines for people.
    Text,
    /// One line for programs.
    Json,
}

/// What there is to say.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Said {
    /// Nothing is stopped.
    Going,
    /// This stop stands.
    Stands(DispatchStop),
    /// It was stopped just now.
    Stopped(DispatchStop),
    /// It was stopped before, and stays so.
    StoodBefore(DispatchStop),
    /// This stop is gone.
    Resumed(StopId),
    /// There was none.
    NothingToResume,
    /// This one stands, and none was named.
    NotNamed(DispatchStop),
    /// This one stands, and another one was named.
    Another(DispatchStop),
}

impl Said {
    /// Whether what was asked for holds.
    pub(super) fn is_clean(&self) -> bool {
        match self {
            Self::Going
            | Self::Stopped(_)
            | Self::StoodBefore(_)
            | Self::Resumed(_)
            | Self::NothingToResume => true,
            Self::Stands(_) | Self::NotNamed(_) | Self::Another(_) => false,
        }
    }

    /// The stop that stands now.
    fn stands(&self) -> Option<&DispatchStop> {
        match self {
            Self::Going | Self::Resumed(_) | Self::NothingToResume => None,
            Self::Stands(stop)
            | Self::Stopped(stop)
            | Self::StoodBefore(stop)
            | Self::NotNamed(stop)
            | Self::Another(stop) => Some(stop),
        }
    }

    pub(super) fn print(&self, format: OutputFormat) -> std::io::Result<()> {
        let mut out = std::io::stdout().lock();
        match format {
            OutputFormat::Json => writeln!(out, "{}", self.json()),
            OutputFormat::Text => write!(out, "{}", self.text()),
        }
    }

    /// As the action log has it: the first line of what is said.
    pub(super) fn outcome(&self) -> String {
        self.text().lines().next().unwrap_or_default().to_owned()
    }

    fn text(&self) -> String {
        let head = match self {
            Self::Going => "dispatching is not stopped\n".to_owned(),
            Self::Stands(_) => "dispatching is stopped\n".to_owned(),
            Self::Stopped(_) => "dispatching is stopped from now on\n".to_owned(),
            Self::StoodBefore(_) => "dispatching was stopped before; that stop stays\n".to_owned(),
            Self::Resumed(id) => {
                format!(
                    "stop {id} is removed: dispatchers go on, one payment at a time until one is taken\n"
                )
            }
            Self::NothingToResume => "dispatching was not stopped\n".to_owned(),
            Self::NotNamed(_) => {
                "no stop was named, so none is removed; this one stands\n".to_owned()
            }
            Self::Another(_) => "another stop stands by now, and was not removed\n".to_owned(),
        };
        let Some(stop) = self.stands() else { return head };
        let DispatchStop { id, cause, reason, by, at, count } = stop;
        format!(
            "{head}  cause   {cause}\n  reason  {reason}\n  count   {count}\n  by      {by}\n  \
             at      {at:.0}\n  id      {id}\nsee docs/runbooks/dispatch-stop.md; to go on: dueflow \
             dispatch resume {id}\n"
        )
    }

    fn json(&self) -> Value {
        let stop = self.stands().map(|stop| {
            json!({
                "id": stop.id.to_string(), "cause": stop.cause.as_str(), "reason": stop.reason,
                "count": stop.count, "by": stop.by, "at": format!("{:.3}", stop.at),
            })
        });
        json!({ "stopped": stop.is_some(), "stop": stop, "done": self.is_clean() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use jiff::Timestamp;
    use shared::dispatch_stop::StopCause;

    #[test]
    fn what_stands_is_shown_with_the_command_that_names_it() {
        let at = Timestamp::UNIX_EPOCH;
        let stop = DispatchStop::new(StopCause::OutOfContract, "400", "me", 5, at);
        let said = Said::Stands(stop.clone());
        assert!(!said.is_clean());
        assert!(said.text().contains(&format!("dispatch resume {}", stop.id)), "{}", said.text());
        let json = said.json();
        assert_eq!((&json["stopped"], &json["stop"]["count"]), (&true.into(), &5.into()), "{json}");
        assert_eq!(Said::Going.json()["stop"], Value::Null);
    }
}
