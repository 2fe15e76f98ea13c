//! The protocol as it is: no state that can be reached breaks a property.

use crate::check::{fails, holds};
use crate::properties::SETTLED_ONCE;
use crate::rules::{Broken, Pauses, Scenario};

/// Everything that can happen to one payment: rejected, replayed, cancelled, forgotten.
fn a_whole_life(faults: u8) -> Scenario {
    Scenario::one_payment(faults)
        .with_rejections(1)
        .with_replays(1)
        .with_cancels(1)
        .with_retention(Pauses::WithinMargin)
}

#[test]
fn three_faults_at_any_moments_neither_lose_a_payment_nor_settle_it_twice() {
    holds(Scenario::one_payment(3), None);
}

#[test]
fn a_fault_in_the_life_of_a_rejected_replayed_and_forgotten_payment_does_no_harm() {
    holds(a_whole_life(1).followed_to_rest(), None);
}

#[test]
fn the_sweep_for_stuck_payments_may_ask_at_any_moment() {
    holds(a_whole_life(0).with_sweeps(2), None);
}

#[test]
fn payments_of_one_account_stay_in_order_when_one_is_rejected_or_cancelled() {
    holds(Scenario::two_in_order(1).with_rejections(1).with_cancels(1).followed_to_rest(), None);
}

#[test]
fn payments_of_one_account_stay_in_order_when_one_is_replayed() {
    holds(Scenario::two_in_order(1).with_rejections(1).with_replays(1), None);
}

#[test]
fn accounts_do_not_disturb_each_other() {
    holds(Scenario::two_accounts(1), None);
}

#[test]
fn a_payment_that_is_queued_before_its_day_is_paid_on_it() {
    holds(Scenario::one_payment(2).of_a_day_ahead().followed_to_rest(), None);
}

#[test]
fn what_another_program_changes_is_paid_as_changed_only_when_a_person_says_so() {
    let scenario = Scenario::one_payment(1).with_changes(1).with_scans(1).with_replays(1);
    holds(scenario.followed_to_rest(), None);
}

#[test]
fn a_malformed_message_is_kept_and_holds_up_nobody() {
    holds(Scenario::two_in_order(1).with_malformed(0).followed_to_rest(), None);
}

/// The design keeps these too, and the model shows that nothing else depends on them: they
/// save work, letters and questions.
#[test]
fn some_rules_are_a_second_net() {
    holds(Scenario::one_payment(2), Some(Broken::HeartbeatIgnored));
    holds(Scenario::two_in_order(1), Some(Broken::HeartbeatIgnored));
    holds(Scenario::one_payment(2), Some(Broken::ResumeWithoutFence));
    holds(a_whole_life(1), Some(Broken::FailWithoutFence));
    holds(a_whole_life(1), Some(Broken::ReplayWithoutAsking));
}

/// No program can keep this one: the margin must be longer than any pause between the last
/// look at the claim's age and the request's arrival.
#[test]
fn a_worker_that_stands_still_for_longer_than_the_margin_settles_twice() {
    let scenario = Scenario::one_payment(1).with_retention(Pauses::Unbounded);
    fails(scenario, None, SETTLED_ONCE);
}

#[test]
#[ignore = "a million states: half a minute and more: just model"]
fn two_faults_in_the_life_of_a_rejected_replayed_and_forgotten_payment_do_no_harm() {
    holds(a_whole_life(2), None);
}

#[test]
#[ignore = "half a million states: half a minute and more: just model"]
fn the_sweep_may_ask_at_any_moment_around_a_fault() {
    holds(a_whole_life(1).with_sweeps(1), None);
}

#[test]
#[ignore = "700,000 states: half a minute and more: just model"]
fn payments_of_one_account_stay_in_order_after_two_faults() {
    holds(Scenario::two_in_order(2), None);
}
