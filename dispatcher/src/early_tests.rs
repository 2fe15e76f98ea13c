//! INV-14: nothing is submitted before its day begins at the bank, whoever queued it.

use std::sync::atomic::Ordering;
use std::time::Duration;

use domain::{Attempt, CLOCK_TOLERANCE, DueTiming, Event, KeyStatus, Settlement, Status};
use shared::payments::StoredPayment;
use shared::shutdown::Shutdown;

use crate::attempt::Finding;
use crate::calls::limiter::Purpose;
use crate::job::{Claim, sort};
use crate::recorder::End;
use crate::testing::{CALLS, Stage, TODAY, dearer, noon, payment};

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
        let (stage, ahead, today) =
            (Stage::set(), payment("ACC", "2027-06-01"), payment("ACC", TODAY));
        stage.hold(&ahead, status, attempts);
        stage.hold(&today, Status::Scheduled, 0);
        stage.work(&[&ahead, &today]).await;
        let item = stage.outside.item(&ahead);
        assert_eq!((item.status, item.attempts), (status, attempts));
        assert!(stage.is_gone(&ahead), "it blocks its account until its day");
        let submitted = stage.outside.submitted.lock().unwrap().clone();
        assert_eq!(submitted, [today], "the rest of its account goes on");
    }
}

#[tokio::test(start_paused = true)]
async fn a_payment_whose_day_begins_within_the_tolerance_of_clocks_comes_back_when_it_does() {
    let stage = Stage::set();
    let (soon, today) = (payment("ACC", TOMORROW), payment("ACC", TODAY));
    stage.hold(&soon, Status::Scheduled, 0);
    stage.hold(&today, Status::Scheduled, 0);
    stage.clock(SHORTLY_BEFORE);
    stage.work(&[&soon, &today]).await;
    assert_eq!(stage.outside.item(&soon).status, Status::Scheduled);
    assert_eq!(stage.released(&soon), Some(Duration::from_secs(601)));
    assert!(!stage.is_gone(&soon));
    assert_eq!(stage.submissions(), 1);
    assert!(Duration::from_secs(600) < CLOCK_TOLERANCE);
    stage.clock(SHORTLY_BEFORE + 600);
    stage.work(&[&soon]).await;
    assert_eq!(stage.submissions(), 2, "its day has begun");
}

#[tokio::test(start_paused = true)]
async fn a_replayed_payment_whose_clock_goes_back_before_its_turn_is_not_claimed_again() {
    let (stage, ahead) = (Stage::set(), payment("ACC", TOMORROW));
    stage.hold(&ahead, Status::Scheduled, 1);
    let job = stage.job(&ahead).await;
    let attempts = &stage.worker.group.attempts;
    let replayed = Claim::Replayed(attempt(1));
    let finding = attempts.make(&job, replayed, &Shutdown::new(Duration::ZERO)).await;
    assert!(matches!(finding, Finding::Early(DueTiming::Ahead)), "{finding:?}");
    assert_eq!(stage.outside.item(&ahead).status, Status::Scheduled);
}

#[tokio::test(start_paused = true)]
async fn a_claimed_payment_is_looked_at_again_right_before_it_is_submitted() {
    for (seconds, early) in
        [(0, DueTiming::Ahead), (SHORTLY_BEFORE, DueTiming::BeginsIn(Duration::from_secs(600)))]
    {
        let (stage, ahead) = (Stage::set(), payment("ACC", TOMORROW));
        stage.hold(&ahead, Status::Pending, 1);
        stage.clock(seconds);
        let job = stage.job(&ahead).await;
        let attempts = &stage.worker.group.attempts;
        let made = Claim::Made(attempt(1));
        let finding = attempts.make(&job, made, &Shutdown::new(Duration::ZERO)).await;
        assert!(matches!(finding, Finding::Early(timing) if timing == early), "{finding:?}");
        assert_eq!(stage.submissions(), 0);
    }
}

#[tokio::test(start_paused = true)]
async fn a_pending_payment_of_a_day_ahead_is_asked_for_and_never_submitted_before_it() {
    let mut stage = Stage::set();
    let ahead = payment("ACC", TOMORROW);
    stage.hold(&ahead, Status::Pending, 1);
    stage.work(&[&ahead]).await;
    assert_eq!((stage.questions(), stage.submissions()), (1, 0));
    assert_eq!(stage.outside.item(&ahead).status, Status::Pending);
    assert!(stage.is_gone(&ahead), "the sweep of its day queues it again");
    // Claimed and settled by a version before this one.
    let settlement = Settlement { transaction_id: "T1".to_owned(), settled_at: noon() };
    *stage.outside.found.lock().unwrap() = KeyStatus::Settled(settlement.clone());
    stage.work(&[&ahead]).await;
    let done = stage.done.try_recv().unwrap();
    assert!(matches!(done.end, End::Settled(settled) if settled == settlement));
    assert_eq!(stage.submissions(), 0);
}

#[tokio::test(start_paused = true)]
async fn what_is_wrong_with_a_payment_of_a_day_ahead_is_said_before_its_message_goes() {
    let (stage, ahead) = (Stage::set(), payment("ACC", TOMORROW));
    stage.hold(&dearer(&ahead), Status::Scheduled, 0);
    stage.work(&[&ahead]).await;
    assert_eq!(stage.outside.item(&ahead).status, Status::Failed, "the opening would send it");
    assert_eq!(stage.letters().len(), 1);
    let written: Vec<_> =
        stage.outside.written.lock().unwrap().iter().map(|(_, event)| *event).collect();
    assert_eq!(written, [Event::Withhold, Event::DeadLetter]);
}

#[tokio::test(start_paused = true)]
async fn a_day_that_begins_in_the_middle_of_a_receive_lets_no_payment_overtake_another() {
    let stage = Stage::set();
    let (first, second) = (payment("ACC", TOMORROW), payment("ACC", TOMORROW));
    stage.hold(&first, Status::Scheduled, 0);
    stage.hold(&second, Status::Scheduled, 0);
    stage.clock(SHORTLY_BEFORE + 599);
    stage.outside.passing.store(2, Ordering::Relaxed);
    stage.work(&[&first, &second]).await;
    assert_eq!(stage.submissions(), 0, "the second overtook the first, which had come back");
    assert_eq!((stage.is_gone(&first), stage.is_gone(&second)), (false, false));
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
        let mut stage = Stage::set();
        let (today, ahead) = (payment("A", TODAY), payment("B", TOMORROW));
        stage.hold(&today, status, u32::from(status == Status::Pending));
        stage.hold(&ahead, Status::Scheduled, 0);
        stage.guard_the_clock();
        stage.clock(jump);
        stage.work(&[&today, &ahead]).await;
        let seen = [&today, &ahead].map(|payment| stage.outside.item(payment).status);
        assert_eq!(seen, [status, Status::Scheduled], "{jump} s");
        assert_eq!((stage.submissions(), stage.questions()), (0, 0), "{jump} s");
        assert!(!stage.is_gone(&today) && !stage.is_gone(&ahead), "{jump} s");

        let clock = &stage.worker.clock;
        clock.confirm(clock.read());
        stage.work(&[&today]).await;
        let gone_on = stage.submissions() + stage.questions() > 0;
        // Set back by a day, today has not begun, and what is PENDING is asked for.
        assert_eq!(gone_on, jump > 0 || status == Status::Pending, "{jump} s");
    }
}

#[tokio::test(start_paused = true)]
async fn while_the_clock_is_in_doubt_no_turn_begins() {
    let (mut stage, ahead) = (Stage::set(), payment("ACC", TOMORROW));
    stage.hold(&ahead, Status::Scheduled, 1);
    stage.guard_the_clock();
    let job = stage.job(&ahead).await;
    stage.clock(86_400);
    let attempts = &stage.worker.group.attempts;
    let replayed = Claim::Replayed(attempt(1));
    let finding = attempts.make(&job, replayed, &Shutdown::new(Duration::ZERO)).await;
    assert!(matches!(finding, Finding::Undecided), "{finding:?}");
    assert_eq!(stage.outside.item(&ahead).status, Status::Scheduled);
    // Nor does a claim go on: its key would look too old to be submitted under.
    let (mut stage, today) = (Stage::set(), payment("ACC", TODAY));
    stage.hold(&today, Status::Pending, 1);
    stage.guard_the_clock();
    let job = stage.job(&today).await;
    stage.clock(86_400);
    let attempts = &stage.worker.group.attempts;
    let made = Claim::Made(attempt(1));
    let finding = attempts.make(&job, made, &Shutdown::new(Duration::ZERO)).await;
    assert!(matches!(finding, Finding::Undecided), "{finding:?}");
    assert_eq!(stage.questions(), 0);
}

/// What becomes of a PENDING payment whose call waits while the clock jumps.
async fn waiting_while_the_clock_jumps(claim: Claim) -> (Stage, Finding, StoredPayment) {
    let (mut stage, payment) = (Stage::set(), payment("ACC", TODAY));
    stage.hold(&payment, Status::Pending, 1);
    stage.guard_the_clock();
    let job = stage.job(&payment).await;
    let (attempts, gate) = (&stage.worker.group.attempts, &stage.worker.gate);
    let mut under_way = Vec::new();
    for _ in 0..CALLS {
        under_way.push(gate.enter(Purpose::Submit).await.unwrap());
    }
    let shutdown = Shutdown::new(Duration::ZERO);
    let jump = async {
        tokio::time::sleep(Duration::from_secs(1)).await;
        stage.clock(86_400);
        drop(under_way);
    };
    let (finding, ()) = tokio::join!(attempts.make(&job, claim, &shutdown), jump);
    let item = stage.outside.item(&payment);
    (stage, finding, item)
}

#[tokio::test(start_paused = true)]
async fn a_clock_that_jumps_while_a_payment_waits_for_its_call_stops_it_right_before() {
    let made = Claim::Made(attempt(1));
    let (stage, finding, item) = waiting_while_the_clock_jumps(made).await;
    assert!(matches!(finding, Finding::Undecided), "{finding:?}");
    assert_eq!(stage.submissions(), 0);
    assert_eq!(item.not_done, 1, "it costs the payment no try");
}

#[tokio::test(start_paused = true)]
async fn a_clock_that_jumps_while_a_turn_is_waited_for_dates_no_attempt() {
    let found = Claim::Found(attempt(1));
    let (stage, finding, item) = waiting_while_the_clock_jumps(found).await;
    assert!(matches!(finding, Finding::Undecided), "{finding:?}");
    assert_eq!((item.attempts, stage.questions()), (1, 0));
}

#[tokio::test(start_paused = true)]
async fn while_the_clock_is_in_doubt_nothing_is_received() {
    let (mut stage, payment) = (Stage::set(), payment("ACC", TODAY));
    stage.hold(&payment, Status::Scheduled, 0);
    stage.guard_the_clock();
    stage.clock(86_400);
    stage.wait_for_delivery(&[&payment]);
    let shutdown = Shutdown::new(Duration::ZERO);
    let receiving = tokio::spawn(stage.worker.clone().receive(shutdown.clone()));
    tokio::time::sleep(Duration::from_secs(60)).await;
    assert!(stage.released(&payment).is_none() && stage.submissions() == 0);
    let clock = &stage.worker.clock;
    clock.confirm(clock.read());
    tokio::time::sleep(Duration::from_secs(60)).await;
    assert_eq!(stage.submissions(), 1, "it goes on by itself");
    shutdown.request();
    receiving.await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn nothing_overtakes_a_payment_of_a_day_ahead_that_could_not_be_read() {
    let (stage, other) = (Stage::set(), payment("OTHER", TOMORROW));
    let (first, second) = (payment("ACC", TOMORROW), payment("ACC", TOMORROW));
    for payment in [&first, &second, &other] {
        stage.hold(payment, Status::Pending, 1);
    }
    stage.outside.unreadable.lock().unwrap().push(first.id);
    stage.work(&[&first, &second, &other]).await;
    assert_eq!(*stage.outside.asked.lock().unwrap(), [other.id]);
    assert!(stage.released(&first).unwrap() > Duration::ZERO);
    assert_eq!(stage.released(&second), Some(Duration::ZERO), "it waits behind the first");
}

#[tokio::test(start_paused = true)]
async fn a_payment_of_a_day_far_ahead_waits_behind_one_of_its_account_that_comes_back() {
    let stage = Stage::set();
    let (soon, far) = (payment("ACC", TOMORROW), payment("ACC", "2026-11-25"));
    stage.hold(&soon, Status::Scheduled, 0);
    stage.hold(&far, Status::Pending, 1);
    stage.clock(SHORTLY_BEFORE);
    stage.work(&[&soon, &far]).await;
    assert_eq!(stage.questions(), 0);
    assert_eq!(stage.released(&far), Some(Duration::ZERO));
}

#[tokio::test(start_paused = true)]
async fn two_items_with_one_payment_id_are_two_payments() {
    let (stage, one) = (Stage::set(), payment("A", TODAY));
    let mut other = payment("B", TODAY);
    other.id = one.id;
    let sorted = sort(stage.deliver(&[&one, &other, &one]).await);
    let jobs: Vec<_> = sorted.jobs.iter().map(|job| job.payment.account.as_str()).collect();
    assert_eq!((jobs, sorted.duplicates.len()), (vec!["A", "B"], 1));
}
