//! The call limiter and the dispatch stop, under virtual time.

use super::*;

fn stop(cause: StopCause) -> DispatchStop {
    DispatchStop::new(cause, "x", "me", 1, Timestamp::UNIX_EPOCH)
}

#[tokio::test(start_paused = true)]
async fn a_service_that_rejects_everything_fails_fewer_payments_than_the_limit_however_many_are_out()
 {
    let limiter = limiter(BOUNDS, None);
    let mut permits = Vec::new();
    for _ in 0..BOUNDS.least {
        permits.push(limiter.acquire(CallPurpose::Submit).await.unwrap());
    }
    let mut believed = 0;
    for (number, permit) in permits.drain(..).enumerate() {
        let account = account(number);
        let answer = ObservedAnswer::Rejected { account: &account, code: "limit" };
        believed +=
            usize::from(permit.ended(CallHealth::Answered, Some(answer)) == AnswerTrust::Believed);
    }
    for number in BOUNDS.least..100 {
        permits.extend(limiter.acquire(CallPurpose::Submit).await);
        if let Some(permit) = permits.pop() {
            let account = account(number);
            let answer = ObservedAnswer::Rejected { account: &account, code: "limit" };
            believed += usize::from(
                permit.ended(CallHealth::Answered, Some(answer)) == AnswerTrust::Believed,
            );
        }
    }
    assert_eq!(believed, 19, "the twentieth stops, and is itself not believed any more");
    assert_eq!(limiter.until_tripped().await.cause, StopCause::Rejected);
}

#[tokio::test(start_paused = true)]
async fn a_rejection_that_was_under_way_when_dispatching_stopped_is_not_believed() {
    let limiter = limiter(BOUNDS, None);
    let late = limiter.acquire(CallPurpose::Submit).await.unwrap();
    let taken = limiter.acquire(CallPurpose::Submit).await.unwrap();
    let by_hand = limiter.acquire(CallPurpose::Submit).await.unwrap();
    limiter.stop_read(Some(stop(StopCause::ByHand)), Instant::now());
    let account = account(1);
    let answer = || Some(ObservedAnswer::Rejected { account: &account, code: "limit" });
    assert_eq!(
        by_hand.ended(CallHealth::Answered, answer()),
        AnswerTrust::Believed,
        "an operator doubts no answer"
    );
    limiter.stop_read(Some(stop(StopCause::Rejected)), Instant::now());
    assert_eq!(late.ended(CallHealth::Answered, answer()), AnswerTrust::Distrusted);
    drop(taken);
}

#[tokio::test(start_paused = true)]
async fn whatever_waits_at_the_call_limiter_goes_back_when_dispatching_stops() {
    let limiter = limiter(ConcurrencyBounds { least: 1, most: 1 }, None);
    let permit = limiter.acquire(CallPurpose::Submit).await.unwrap();
    let waiting = tokio::spawn({
        let limiter = limiter.clone();
        async move { limiter.acquire(CallPurpose::Query).await.map(drop) }
    });
    tokio::task::yield_now().await;
    limiter.stop_read(Some(stop(StopCause::ByHand)), Instant::now());
    let ended = tokio::time::timeout(SECOND, waiting).await.unwrap().unwrap();
    assert_eq!(ended, Err(DispatchStopped));
    assert_eq!(limiter.acquire_attempt().await.map(drop), Err(DispatchStopped));
    assert!(limiter.is_stopped());
    assert!(tokio::time::timeout(SECOND, limiter.until_receivable()).await.is_err());
    drop(permit);
}

#[tokio::test(start_paused = true)]
async fn a_call_that_waits_for_its_second_does_not_go_out_after_dispatching_stopped() {
    let limiter = limiter(BOUNDS, Some(1));
    let first = limiter.acquire(CallPurpose::Submit).await.unwrap();
    let waiting = tokio::spawn({
        let limiter = limiter.clone();
        async move { limiter.acquire(CallPurpose::Submit).await.map(drop) }
    });
    tokio::task::yield_now().await;
    limiter.stop_read(Some(stop(StopCause::ByHand)), Instant::now());
    assert_eq!(waiting.await.unwrap(), Err(DispatchStopped));
    drop(first);
}

#[tokio::test(start_paused = true)]
async fn after_a_stop_submissions_go_out_one_at_a_time_until_one_is_taken() {
    let limiter = limiter(BOUNDS, None);
    limiter.stop_read(Some(stop(StopCause::Rejected)), Instant::now());
    limiter.stop_read(None, Instant::now());
    limiter.until_receivable().await;
    let turn = limiter.acquire_attempt().await.unwrap();
    assert!(tokio::time::timeout(SECOND, limiter.acquire_attempt()).await.is_err(), "two began");
    for number in 0..10 {
        let trial = limiter.acquire(CallPurpose::Submit).await.unwrap();
        let second = tokio::time::timeout(SECOND, limiter.acquire(CallPurpose::Submit)).await;
        assert!(second.is_err(), "two calls are out");
        let account = account(number);
        let answer = ObservedAnswer::Rejected { account: &account, code: "limit" };
        believe(trial.ended(CallHealth::Answered, Some(answer)));
    }
    drop(turn);
    let trial = limiter.acquire(CallPurpose::Submit).await.unwrap();
    believe(trial.ended(CallHealth::Settled, Some(ObservedAnswer::Taken(&account(1)))));
    let (_one, _two) =
        (limiter.acquire_attempt().await.unwrap(), limiter.acquire_attempt().await.unwrap());
    let _calls =
        (limiter.acquire(CallPurpose::Submit).await, limiter.acquire(CallPurpose::Submit).await);
    for number in 0..19 {
        assert_eq!(
            reject(&limiter, number).await,
            Ok(AnswerTrust::Believed),
            "the counts did not begin anew"
        );
    }
}

#[tokio::test(start_paused = true)]
async fn the_first_strange_answer_after_a_stop_stops_again() {
    let limiter = limiter(BOUNDS, None);
    limiter.stop_read(Some(stop(StopCause::OutOfContract)), Instant::now());
    limiter.stop_read(None, Instant::now());
    let trial = limiter.acquire(CallPurpose::Submit).await.unwrap();
    let account = account(1);
    let answer = ObservedAnswer::OutOfContract { account: &account, words: "400" };
    assert_eq!(trial.ended(CallHealth::Failed, Some(answer)), AnswerTrust::Distrusted);
    assert_eq!(limiter.until_tripped().await.count, 1);
}

#[tokio::test(start_paused = true)]
async fn without_a_reading_that_counts_nothing_goes_out_and_nothing_is_given_back() {
    let limiter = limiter(BOUNDS, None);
    tokio::time::advance(VALIDITY).await;
    let waiting = tokio::spawn({
        let limiter = limiter.clone();
        async move { limiter.acquire(CallPurpose::Submit).await.map(drop) }
    });
    sleep(3_600 * SECOND).await;
    assert!(!waiting.is_finished());
    assert!(tokio::time::timeout(SECOND, limiter.acquire_attempt()).await.is_err());
    assert!(tokio::time::timeout(SECOND, limiter.until_receivable()).await.is_err());
    limiter.stop_read(None, Instant::now());
    assert_eq!(tokio::time::timeout(SECOND, waiting).await.unwrap().unwrap(), Ok(()));
}

#[tokio::test(start_paused = true)]
async fn a_failed_trial_after_a_stop_waits_for_the_service_as_after_any_outage() {
    let limiter = limiter(BOUNDS, None);
    limiter.stop_read(Some(stop(StopCause::ByHand)), Instant::now());
    limiter.stop_read(None, Instant::now());
    let trial = limiter.acquire(CallPurpose::Submit).await.unwrap();
    believe(trial.ended(CallHealth::Failed, None));
    limiter.until_open().await;
    limiter.service_answers();
    let trial = limiter.acquire(CallPurpose::Submit).await.unwrap();
    believe(trial.ended(CallHealth::Settled, Some(ObservedAnswer::Taken(&account(1)))));
    limiter.until_receivable().await;
}
