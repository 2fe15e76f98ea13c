//! What a hook of a double says of a call.

use std::time::Duration;

/// What becomes of one call of a double.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum CallFault {
    /// Nothing goes wrong.
    #[default]
    None,
    /// It is carried out, and the answer takes so long.
    Slow(Duration),
    /// It does not arrive.
    NotSent,
    /// It is carried out, and the answer is lost.
    AnswerLost,
}

impl CallFault {
    /// The call fails while something is down.
    #[must_use]
    pub fn not_sent_if(down: bool) -> Self {
        if down { Self::NotSent } else { Self::None }
    }

    /// Carries a call out, as far as it arrives; `None` when there is no answer.
    pub(super) async fn around<T>(self, carry_out: impl FnOnce() -> T) -> Option<T> {
        match self {
            Self::None => Some(carry_out()),
            Self::Slow(duration) => {
                let answer = carry_out();
                tokio::time::sleep(duration).await;
                Some(answer)
            }
            Self::NotSent => None,
            Self::AnswerLost => {
                carry_out();
                None
            }
        }
    }
}
