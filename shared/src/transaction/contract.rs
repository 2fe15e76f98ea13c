//! What answers are judged by.

use std::str::FromStr;

use crate::config::Settings;
use domain::RefusalCodes;

/// What answers are judged by.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ContractSettings {
    /// Whether they must name the payment.
    pub echo: EchoPolicy,
    /// Which codes of refusals are the service's own.
    pub codes: RefusalCodes,
}

/// Whether an answer must name the payment it speaks of: id, amount and currency.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum EchoPolicy {
    /// It must (contract 1.2): what names none proves nothing.
    #[default]
    Required,
    /// It may leave them out (contract 1.1). What it does name must be right.
    Accepted,
}

impl FromStr for EchoPolicy {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text {
            "required" => Ok(Self::Required),
            "accepted" => Ok(Self::Accepted),
            _ => Err("must be required or accepted"),
        }
    }
}

impl ContractSettings {
    /// Reads them; `None` when one is wrong, which `settings` then knows.
    pub fn read(settings: &mut Settings) -> Option<Self> {
        let echo = settings.parse("DUEFLOW_TRANSACTION_ECHO");
        let name = "DUEFLOW_TRANSACTION_REFUSAL_CODES";
        let list = settings.optional(name).unwrap_or_default();
        let codes = RefusalCodes::parse(&list).map_err(|reason| settings.refuse(name, reason)).ok();
        Some(Self { echo: echo?, codes: codes? })
    }
}
