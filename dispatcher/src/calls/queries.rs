//! Limits the questions of a replay as a dispatcher's calls are limited: as many at once as the
//! service's latency allows, under the same bounds and rate.

use std::future::Future;
use std::time::Duration;

use domain::KeyStatus;
use jiff::Timestamp;
use shared::dispatch_stop::StopLimits;
use tokio::time::Instant;

use crate::calls::answers;
use crate::calls::concurrency_limit::CallHealth;
use crate::calls::limiter::{CallLimiter, CallPurpose};
use crate::calls::settings::{CallLimiterSettings, CallLimits};

/// Limits questions as a dispatcher's calls are limited. A stop of dispatching does not concern
/// them: they move no money.
#[derive(Debug, Clone)]
pub struct QueryLimiter {
    limiter: CallLimiter,
}

/// A stop is never called for, and no reading of one grows old.
const NEVER: StopLimits = StopLimits {
    rejected_accounts: usize::MAX,
    out_of_contract: usize::MAX,
    share_percent: 100,
    window: 1,
};
const FOR_EVER: Duration = Duration::from_secs(365 * 86_400);

impl QueryLimiter {
    /// A limiter of its own. The time of day is the same for all of a service.
    #[must_use]
    pub fn new(limits: CallLimits, time_of_day: Timestamp) -> Self {
        let settings = CallLimiterSettings {
            bounds: limits.bounds(),
            per_second: limits.rate,
            stop: NEVER,
            validity: FOR_EVER,
        };
        let limiter = CallLimiter::new(settings, time_of_day);
        limiter.stop_read(None, Instant::now());
        Self { limiter }
    }

    /// Asks when its turn has come. After ten questions in a row without an answer one goes
    /// out at a time, until one is answered.
    pub async fn ask(&self, question: impl Future<Output = KeyStatus>) -> KeyStatus {
        // Questions take as long as each other, so their latency counts as that of submissions.
        let Ok(permit) = self.limiter.acquire(CallPurpose::Submit).await else {
            let reason = "dispatching is stopped".to_owned();
            return KeyStatus::NoAnswer { retry_after: None, reason };
        };
        let found = question.await;
        let health = match answers::query_health(&found) {
            CallHealth::Failed => CallHealth::Failed,
            CallHealth::Settled | CallHealth::Answered => CallHealth::Settled,
        };
        let _ = permit.ended(health, None);
        if health == CallHealth::Failed {
            self.limiter.service_answers();
        }
        found
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;

    const LIMITS: CallLimits = CallLimits { most: 64, least: 4, rate: None };

    fn silent() -> KeyStatus {
        KeyStatus::NoAnswer { retry_after: None, reason: "503".to_owned() }
    }

    #[tokio::test(start_paused = true)]
    async fn questions_go_out_side_by_side_within_the_bounds() {
        let questions = QueryLimiter::new(LIMITS, Timestamp::UNIX_EPOCH);
        let (out, most) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
        let asking: Vec<_> = (0..1_000)
            .map(|_| {
                let (questions, out, most) = (questions.clone(), out.clone(), most.clone());
                tokio::spawn(async move {
                    questions
                        .ask(async {
                            most.fetch_max(
                                out.fetch_add(1, Ordering::Relaxed) + 1,
                                Ordering::Relaxed,
                            );
                            tokio::time::sleep(Duration::from_millis(50)).await;
                            out.fetch_sub(1, Ordering::Relaxed);
                            KeyStatus::Nothing
                        })
                        .await
                })
            })
            .collect();
        let began = Instant::now();
        for asked in asking {
            assert_eq!(asked.await.unwrap(), KeyStatus::Nothing);
        }
        assert!(most.load(Ordering::Relaxed) <= LIMITS.most);
        // One after the other they would take 50 seconds.
        assert!(began.elapsed() < Duration::from_secs(5), "{:?}", began.elapsed());
    }

    #[tokio::test(start_paused = true)]
    async fn a_service_that_does_not_answer_is_asked_by_one_at_a_time_and_then_by_all_again() {
        let questions = QueryLimiter::new(LIMITS, Timestamp::UNIX_EPOCH);
        for _ in 0..20 {
            assert_eq!(questions.ask(async { silent() }).await, silent());
        }
        let slow = tokio::spawn({
            let questions = questions.clone();
            async move {
                let question = async {
                    tokio::time::sleep(Duration::from_secs(5)).await;
                    KeyStatus::Nothing
                };
                questions.ask(question).await
            }
        });
        tokio::task::yield_now().await;
        let second =
            tokio::time::timeout(Duration::from_secs(1), questions.ask(async { silent() }));
        assert!(second.await.is_err(), "two went out");
        assert_eq!(slow.await.unwrap(), KeyStatus::Nothing);
        assert_eq!(questions.ask(async { KeyStatus::UnderWay }).await, KeyStatus::UnderWay);
    }
}
