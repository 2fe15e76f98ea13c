//! INV-14: nothing is submitted before its day begins at the bank, whoever queued it.

use std::sync::atomic::Ordering;
use std::time::Duration;

use domain::{Attempt, CLOCK_TOLERANCE, Event, KeyStatus, Settlement, Status};
use shared::payments::StoredPayment;
use shared::shutdown::Shutdown;

use crate::attempt::{AttemptInterrupted, AttemptResult};
use crate::calls::limiter::CallPurpose;
use crate::early::NotDue;
use crate::job::{ClaimState, sort};
use crate::recorder::DispatchResult;
use crate::testing::{CALLS, TODAY, TestDispatcher, dearer, noon, payment};

const TOMORROW: &str = "2026-11-24";
/// Ten minutes before midnight, in seconds after noon.
const SHORTLY_BEFORE: i64 = 12 * 3_600 - 600;

fn attempt(number: u32) -> Attempt {
    Attempt { number, before_replay: 0, not_done: 0, claimed_at: noon() }
}

#[tokio::test(start_paused = true)]
async fn a_payment_of_a_day_far_ahead_is_not_claimed_and_its_message_goes() {
    for status_and_attempts in [(Status::Scheduled, 0), (Status::Scheduled, 2)] {
        let (status, attempts) = status_and_attempts;
        let (dispatcher, ahead, today) =
            (TestDispatcher::new(), payment("ACC", "2027-06-01"), payment("ACC", TODAY));
        dispatcher.hold(&ahead, status, attempts);
        dispatcher.hold(&today, Status::Scheduled, 0);
        dispatcher.work(&[&ahead, &today]).await;
        let item = dispatcher.ports.item(&ahead);
        assert_eq!((item.status, item.attempts), (status, attempts));
        assert!(dispatcher.is_gone(&ahead), "it blocks its account until its day");
        let submitted = dispatcher.ports.submitted.lock().unwrap().clone();
        assert_eq!(submitted, [today], "the rest of its account goes on");
    }
}

#[tokio::test(start_paused = true)]
async fn a_payment_whose_day_begins_within_the_tolerance_of_clocks_comes_back_when_it_does() {
    let dispatcher = TestDispatcher::new();
    let (soon, today) = (payment("ACC", TOMORROW), payment("ACC", TODAY));
    dispatcher.hold(&soon, Status::Scheduled, 0);
    dispatcher.hold(&today, Status::Scheduled, 0);
    dispatcher.clock(SHORTLY_BEFORE);
    dispatcher.work(&[&soon, &today]).await;
    assert_eq!(dispatcher.ports.item(&soon).status, Status::Scheduled);
    assert_eq!(dispatcher.released(&soon), Some(Duration::from_secs(601)));
    assert!(!dispatcher.is_gone(&soon));
    assert_eq!(dispatcher.submissions(), 1);
    assert!(Duration::from_secs(600) < CLOCK_TOLERANCE);
    dispatcher.clock(SHORTLY_BEFORE + 600);
    dispatcher.work(&[&soon]).await;
    assert_eq!(dispatcher.submissions(), 2, "its day has begun");
}

#[tokio::test(start_paused = true)]
async fn a_replayed_payment_whose_clock_goes_back_before_its_turn_is_not_claimed_again() {
    let (dispatcher, ahead) = (TestDispatcher::new(), payment("ACC", TOMORROW));
    dispatcher.hold(&ahead, Status::Scheduled, 1);
    let job = dispatcher.job(&ahead).await;
    let attempts = dispatcher.attempts();
    let replayed = ClaimState::Replayed(attempt(1));
    let result = attempts.run(&job, &replayed, &Shutdown::new(Duration::ZERO)).await;
    assert!(matches!(result, Err(AttemptInterrupted::NotDue(NotDue::Ahead))), "{result:?}");
    assert_eq!(dispatcher.ports.item(&ahead).status, Status::Scheduled);
}

#[tokio::test(start_paused = true)]
async fn a_claimed_payment_is_checked_again_right_before_it_is_submitted() {
    for (seconds, early) in
        [(0, NotDue::Ahead), (SHORTLY_BEFORE, NotDue::BeginsIn(Duration::from_secs(600)))]
    {
        let (dispatcher, ahead) = (TestDispatcher::new(), payment("ACC", TOMORROW));
        dispatcher.hold(&ahead, Status::Pending, 1);
        dispatcher.clock(seconds);
        let job = dispatcher.job(&ahead).await;
        let attempts = dispatcher.attempts();
        let made = ClaimState::New(attempt(1));
        let result = attempts.run(&job, &made, &Shutdown::new(Duration::ZERO)).await;
        assert!(
            matches!(result, Err(AttemptInterrupted::NotDue(not_due)) if not_due == early),
            "{result:?}"
        );
        assert_eq!(dispatcher.submissions(), 0);
    }
}

#[tokio::test(start_paused = true)]
async fn a_pending_payment_of_a_day_ahead_is_asked_for_and_never_submitted_before_it() {
    let mut dispatcher = TestDispatcher::new();
    let ahead = payment("ACC", TOMORROW);
    dispatcher.hold(&ahead, Status::Pending, 1);
    dispatcher.work(&[&ahead]).await;
    assert_eq!((dispatcher.questions(), dispatcher.submissions()), (1, 0));
    assert_eq!(dispatcher.ports.item(&ahead).status, Status::Pending);
    assert!(dispatcher.is_gone(&ahead), "the sweep of its day queues it again");
    // Claimed and settled by a version before this one.
    let settlement = Settlement { transaction_id: "T1".to_owned(), settled_at: noon() };
    *dispatcher.ports.found.lock().unwrap() = KeyStatus::Settled(settlement.clone());
    dispatcher.work(&[&ahead]).await;
    let done = dispatcher.recorded.try_recv().unwrap();
    assert!(matches!(done.result, DispatchResult::Settled(settled) if settled == settlement));
    assert_eq!(dispatcher.submissions(), 0);
}

#[tokio::test(start_paused = true)]
async fn what_is_wrong_with_a_payment_of_a_day_ahead_is_said_before_its_message_goes() {
    let (dispatcher, ahead) = (TestDispatcher::new(), payment("ACC", TOMORROW));
    dispatcher.hold(&dearer(&ahead), Status::Scheduled, 0);
    dispatcher.work(&[&ahead]).await;
    assert_eq!(dispatcher.ports.item(&ahead).status, Status::Failed, "the opening would send it");
    assert_eq!(dispatcher.dead_letters().len(), 1);
    let written: Vec<_> = dispatcher.ports.written();
    assert_eq!(written, [Event::Withhold, Event::DeadLetter]);
}

#[tokio::test(start_paused = true)]
async fn a_day_that_begins_in_the_middle_of_a_receive_lets_no_payment_overtake_another() {
    let dispatcher = TestDispatcher::new();
    let (first, second) = (payment("ACC", TOMORROW), payment("ACC", TOMORROW));
    dispatcher.hold(&first, Status::Scheduled, 0);
    dispatcher.hold(&second, Status::Scheduled, 0);
    dispatcher.clock(SHORTLY_BEFORE + 599);
    dispatcher.ports.passing.store(2, Ordering::Relaxed);
    dispatcher.work(&[&first, &second]).await;
    assert_eq!(dispatcher.submissions(), 0, "the second overtook the first, which had come back");
    assert_eq!((dispatcher.is_gone(&first), dispatcher.is_gone(&second)), (false, false));
}

/// A clock that jumps may make a day begin early, and an old key look young.
#[tokio::test(start_paused = true)]
async fn while_the_clock_is_in_doubt_nothing_is_claimed_asked_or_submitted() {
    for (jump, status) in [
        (86_400, Status::Scheduled),
        (86_400, Status::Pending),
        (-86_400, Status::Scheduled),
        (-86_400, Status::Pending),
    ] {
        let mut dispatcher = TestDispatcher::new();
        let (today, ahead) = (payment("A", TODAY), payment("B", TOMORROW));
        dispatcher.hold(&today, status, u32::from(status == Status::Pending));
        dispatcher.hold(&ahead, Status::Scheduled, 0);
        dispatcher.guard_the_clock();
        dispatcher.clock(jump);
        dispatcher.work(&[&today, &ahead]).await;
        let seen = [&today, &ahead].map(|payment| dispatcher.ports.item(payment).status);
        assert_eq!(seen, [status, Status::Scheduled], "{jump} s");
        assert_eq!((dispatcher.submissions(), dispatcher.questions()), (0, 0), "{jump} s");
        assert!(!dispatcher.is_gone(&today) && !dispatcher.is_gone(&ahead), "{jump} s");

        let clock = &dispatcher.receiver.clock;
        clock.confirm(clock.read());
        dispatcher.work(&[&today]).await;
        let gone_on = dispatcher.submissions() + dispatcher.questions() > 0;
        // Set back by a day, today has not begun, and what is PENDING is asked for.
        assert_eq!(gone_on, jump > 0 || status == Status::Pending, "{jump} s");
    }
}

#[tokio::test(start_paused = true)]
async fn while_the_clock_is_in_doubt_no_turn_begins() {
    let (mut dispatcher, ahead) = (TestDispatcher::new(), payment("ACC", TOMORROW));
    dispatcher.hold(&ahead, Status::Scheduled, 1);
    dispatcher.guard_the_clock();
    let job = dispatcher.job(&ahead).await;
    dispatcher.clock(86_400);
    let attempts = dispatcher.attempts();
    let replayed = ClaimState::Replayed(attempt(1));
    let result = attempts.run(&job, &replayed, &Shutdown::new(Duration::ZERO)).await;
    assert!(matches!(result, Err(AttemptInterrupted::Undecided)), "{result:?}");
    assert_eq!(dispatcher.ports.item(&ahead).status, Status::Scheduled);
    // Nor does a claim go on: its key would look too old to be submitted under.
    let (mut dispatcher, today) = (TestDispatcher::new(), payment("ACC", TODAY));
    dispatcher.hold(&today, Status::Pending, 1);
    dispatcher.guard_the_clock();
    let job = dispatcher.job(&today).await;
    dispatcher.clock(86_400);
    let attempts = dispatcher.attempts();
    let made = ClaimState::New(attempt(1));
    let result = attempts.run(&job, &made, &Shutdown::new(Duration::ZERO)).await;
    assert!(matches!(result, Err(AttemptInterrupted::Undecided)), "{result:?}");
    assert_eq!(dispatcher.questions(), 0);
}

/// What becomes of a PENDING payment whose call waits while the clock jumps.
async fn waiting_while_the_clock_jumps(
    state: ClaimState,
) -> (TestDispatcher, Result<AttemptResult, AttemptInterrupted>, StoredPayment) {
    let (mut dispatcher, payment) = (TestDispatcher::new(), payment("ACC", TODAY));
    dispatcher.hold(&payment, Status::Pending, 1);
    dispatcher.guard_the_clock();
    let job = dispatcher.job(&payment).await;
    let (attempts, limiter) = (dispatcher.attempts(), &dispatcher.receiver.conditions.limiter);
    let mut under_way = Vec::new();
    for _ in 0..CALLS {
        under_way.push(limiter.acquire(CallPurpose::Submit).await.unwrap());
    }
    let shutdown = Shutdown::new(Duration::ZERO);
    let jump = async {
        tokio::time::sleep(Duration::from_secs(1)).await;
        dispatcher.clock(86_400);
        drop(under_way);
    };
    let (result, ()) = tokio::join!(attempts.run(&job, &state, &shutdown), jump);
    let item = dispatcher.ports.item(&payment);
    (dispatcher, result, item)
}

#[tokio::test(start_paused = true)]
async fn a_clock_that_jumps_while_a_payment_waits_for_its_call_stops_it_right_before() {
    let made = ClaimState::New(attempt(1));
    let (dispatcher, result, item) = waiting_while_the_clock_jumps(made).await;
    assert!(matches!(result, Err(AttemptInterrupted::Undecided)), "{result:?}");
    assert_eq!(dispatcher.submissions(), 0);
    assert_eq!(item.not_done, 1, "it costs the payment no try");
}

#[tokio::test(start_paused = true)]
async fn a_clock_that_jumps_while_a_turn_is_waited_for_dates_no_attempt() {
    let found = ClaimState::Pending(attempt(1));
    let (dispatcher, result, item) = waiting_while_the_clock_jumps(found).await;
    assert!(matches!(result, Err(AttemptInterrupted::Undecided)), "{result:?}");
    assert_eq!((item.attempts, dispatcher.questions()), (1, 0));
}

#[tokio::test(start_paused = true)]
async fn while_the_clock_is_in_doubt_nothing_is_received() {
    let (mut dispatcher, payment) = (TestDispatcher::new(), payment("ACC", TODAY));
    dispatcher.hold(&payment, Status::Scheduled, 0);
    dispatcher.guard_the_clock();
    dispatcher.clock(86_400);
    dispatcher.wait_for_delivery(&[&payment]);
    let shutdown = Shutdown::new(Duration::ZERO);
    let receiving = tokio::spawn(dispatcher.receiver.clone().run(shutdown.clone()));
    tokio::time::sleep(Duration::from_secs(60)).await;
    assert!(dispatcher.released(&payment).is_none() && dispatcher.submissions() == 0);
    let clock = &dispatcher.receiver.clock;
    clock.confirm(clock.read());
    tokio::time::sleep(Duration::from_secs(60)).await;
    assert_eq!(dispatcher.submissions(), 1, "it goes on by itself");
    shutdown.request();
    receiving.await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn nothing_overtakes_a_payment_of_a_day_ahead_that_could_not_be_read() {
    let (dispatcher, other) = (TestDispatcher::new(), payment("OTHER", TOMORROW));
    let (first, second) = (payment("ACC", TOMORROW), payment("ACC", TOMORROW));
    for payment in [&first, &second, &other] {
        dispatcher.hold(payment, Status::Pending, 1);
    }
    dispatcher.ports.faults.unreadable.lock().unwrap().push(first.id);
    dispatcher.work(&[&first, &second, &other]).await;
    assert_eq!(*dispatcher.ports.asked.lock().unwrap(), [other.id]);
    assert!(dispatcher.released(&first).unwrap() > Duration::ZERO);
    assert_eq!(dispatcher.released(&second), Some(Duration::ZERO), "it waits behind the first");
}

#[tokio::test(start_paused = true)]
async fn a_payment_of_a_day_far_ahead_waits_behind_one_of_its_account_that_comes_back() {
    let dispatcher = TestDispatcher::new();
    let (soon, far) = (payment("ACC", TOMORROW), payment("ACC", "2026-11-25"));
    dispatcher.hold(&soon, Status::Scheduled, 0);
    dispatcher.hold(&far, Status::Pending, 1);
    dispatcher.clock(SHORTLY_BEFORE);
    dispatcher.work(&[&soon, &far]).await;
    assert_eq!(dispatcher.questions(), 0);
    assert_eq!(dispatcher.released(&far), Some(Duration::ZERO));
}

#[tokio::test(start_paused = true)]
async fn two_items_with_one_payment_id_are_two_payments() {
    let (dispatcher, one) = (TestDispatcher::new(), payment("A", TODAY));
    let mut other = payment("B", TODAY);
    other.id = one.id;
    let sorted = sort(dispatcher.deliver(&[&one, &other, &one]).await);
    let jobs: Vec<_> = sorted.jobs.iter().map(|job| job.payment.account.as_str()).collect();
    assert_eq!((jobs, sorted.duplicates.len()), (vec!["A", "B"], 1));
}
