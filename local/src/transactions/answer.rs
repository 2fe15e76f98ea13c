//! What a settled payment is answered with.

use serde::Serialize;
use uuid::Uuid;

use super::{echo::Echo, settled_at::SettledAt};

/// The one answer of a key: equal on every request that asks for it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct SettledBody {
    #[serde(flatten)]
    pub(crate) echo: Echo,
    pub(crate) transaction_id: Uuid,
    pub(crate) status: BodyStatus,
    pub(crate) settled_at: SettledAt,
}

/// The answer of a payment whose result comes by callback.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct AcceptedAnswer {
    #[serde(flatten)]
    pub(crate) echo: Echo,
    pub(crate) status: BodyStatus,
}

impl AcceptedAnswer {
    pub(crate) fn of(echo: Echo) -> Self {
        Self { echo, status: BodyStatus::Accepted }
    }
}

/// Where a payment stands that was settled or taken. One that was rejected in answer to its
/// request is answered with an error alone.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum BodyStatus {
    Accepted,
    Settled,
    Rejected,
}
