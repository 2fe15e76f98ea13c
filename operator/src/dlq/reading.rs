//! Looking at every dead letter that can be received, with several receivers at once. It changes
//! nothing: all of them are given back in their order.

use futures_util::future::join_all;
use shared::payments::{PaymentStore, PaymentsError};

use super::dead_letter::DeadLetterMessage;
use super::filter::AttemptsRange;
use super::reader::DeadLetterReader;

/// Receivers that work side by side, each on a window of its own, of at most ten dead letters.
pub(super) const RECEIVERS: usize = 16;

/// Whether there is more to look at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Looking {
    /// Perhaps.
    GoesOn,
    /// All that was looked for is found.
    IsDone,
}

/// Has `look` see every dead letter, those of a window at a time and of an account in order. The
/// first error ends the reading.
///
/// # Errors
/// Of `look`, or when the queue cannot be read. The reader has to be finished all the same.
pub(super) async fn look_at_all(
    reader: &DeadLetterReader,
    look: impl AsyncFn(Vec<DeadLetterMessage>) -> anyhow::Result<Looking>,
) -> anyhow::Result<()> {
    let ended = join_all((0..RECEIVERS).map(|_| receive(reader, &look))).await;
    ended.into_iter().collect()
}

async fn receive(
    reader: &DeadLetterReader,
    look: &impl AsyncFn(Vec<DeadLetterMessage>) -> anyhow::Result<Looking>,
) -> anyhow::Result<()> {
    while let Some(mut window) = reader.next().await? {
        let (received, dead_letters): (Vec<_>, Vec<_>) =
            std::mem::take(&mut window.new).into_iter().unzip();
        let looked =
            if dead_letters.is_empty() { Ok(Looking::GoesOn) } else { look(dead_letters).await };
        let kept = window.again.into_iter().chain(received).collect();
        reader.settle(Vec::new(), kept).await;
        if matches!(looked, Ok(Looking::GoesOn)) {
            continue;
        }
        reader.stop();
        return looked.map(drop);
    }
    Ok(())
}

/// Those of which the table says that their payments were attempted so often; each is read. What
/// the table does not hold was not attempted so often.
///
/// # Errors
/// When the table cannot be read.
pub(super) async fn attempted<T>(
    store: &impl PaymentStore,
    range: AttemptsRange,
    all: Vec<T>,
    dead_letter: impl Fn(&T) -> Option<&DeadLetterMessage>,
) -> Result<(Vec<T>, Vec<T>), PaymentsError> {
    let meets = join_all(all.iter().map(|one| {
        let reference = dead_letter(one).and_then(DeadLetterMessage::reference);
        async move {
            let Some(reference) = reference else { return Ok(false) };
            match store.get(&reference).await {
                Ok(stored) => Ok(stored.is_some_and(|stored| range.contains(stored.attempts))),
                Err(PaymentsError::Item(_)) => Ok(false),
                Err(error) => Err(error),
            }
        }
    }))
    .await;
    let meets = meets.into_iter().collect::<Result<Vec<_>, _>>()?;
    let (taken, others): (Vec<_>, Vec<_>) =
        all.into_iter().zip(meets).partition(|(_, meets)| *meets);
    let without = |all: Vec<(T, bool)>| all.into_iter().map(|(one, _)| one).collect();
    Ok((without(taken), without(others)))
}
