//! Each rule, broken on purpose: the property that it keeps must notice.

use crate::check::fails;
use crate::properties::{
    CANCELLED_IS_UNPAID, CARRIED, COMES_TO_REST, IN_ORDER, NOT_EARLY, PROCESSED_IS_SETTLED,
    RESTS_ENDED, SETTLED_IS_NOTICED, SETTLED_ONCE, UNDECIDED_IS_UNPAID,
};
use crate::rules::{Broken, Pauses, Scenario};

/// A payment that may be rejected and replayed while time passes.
fn replayed(faults: u8) -> Scenario {
    Scenario::one_payment(faults)
        .with_rejections(1)
        .with_replays(1)
        .with_retention(Pauses::WithinMargin)
}

#[test]
fn inv_1_an_attempt_number_in_the_key_settles_twice() {
    fails(Scenario::one_payment(1), Some(Broken::AttemptNumberInKey), SETTLED_ONCE);
}

#[test]
fn inv_2_a_claim_without_condition_pays_what_was_cancelled() {
    let scenario = Scenario::one_payment(0).with_cancels(1);
    fails(scenario, Some(Broken::ClaimWithoutCondition), CANCELLED_IS_UNPAID);
}

#[test]
fn inv_3_a_message_acknowledged_before_it_is_settled_is_lost() {
    let rule = Some(Broken::AcknowledgedBeforeSettled);
    fails(Scenario::one_payment(1), rule, CARRIED);
    fails(Scenario::one_payment(1), rule, RESTS_ENDED);
}

#[test]
fn inv_3_a_message_deleted_before_its_letter_leaves_a_failure_without_a_letter() {
    let scenario = Scenario::one_payment(1).with_rejections(1);
    fails(scenario, Some(Broken::DeletedBeforeBuried), RESTS_ENDED);
}

#[test]
fn inv_3_a_checkpoint_before_the_send_loses_a_payment() {
    fails(Scenario::one_payment(1), Some(Broken::CheckpointBeforeSent), RESTS_ENDED);
}

#[test]
fn inv_3_a_confirmation_deleted_before_it_is_written_is_lost() {
    fails(Scenario::one_payment(1), Some(Broken::ConfirmationDeletedFirst), RESTS_ENDED);
}

#[test]
fn inv_4_deduplication_as_the_guard_settles_twice() {
    fails(Scenario::one_payment(1), Some(Broken::DeduplicationAsGuard), SETTLED_ONCE);
}

#[test]
fn inv_5_a_group_for_each_payment_loses_the_order() {
    fails(Scenario::two_in_order(0), Some(Broken::GroupPerPayment), IN_ORDER);
}

#[test]
fn inv_6_a_rest_that_goes_on_overtakes_the_first() {
    fails(Scenario::two_in_order(1), Some(Broken::RestGoesOn), IN_ORDER);
}

#[test]
fn inv_6_a_rest_that_comes_back_in_another_order_overtakes_the_first() {
    fails(Scenario::two_in_order(1), Some(Broken::RestOutOfOrder), IN_ORDER);
}

#[test]
fn inv_6_a_rest_that_goes_on_after_a_lost_heartbeat_overtakes_the_first() {
    fails(Scenario::two_in_order(1), Some(Broken::RestGoesOnAfterLostHeartbeat), IN_ORDER);
}

#[test]
fn inv_7_a_replay_under_the_old_deduplication_id_never_arrives() {
    let scenario = Scenario::one_payment(0).with_rejections(1).with_replays(1);
    fails(scenario, Some(Broken::ReplayWithOldDeduplicationId), RESTS_ENDED);
}

#[test]
fn inv_8_a_malformed_message_deleted_without_a_letter_is_lost() {
    let scenario = Scenario::one_payment(0).with_malformed(0);
    fails(scenario, Some(Broken::MalformedDeleted), CARRIED);
}

#[test]
fn inv_14_a_date_that_is_not_looked_at_pays_early() {
    let scenario = Scenario::one_payment(0).of_a_day_ahead();
    fails(scenario, Some(Broken::DateIgnored), NOT_EARLY);
}

#[test]
fn inv_16_a_mismatch_that_stays_scheduled_is_paid_as_changed_after_the_next_scan() {
    let scenario = Scenario::one_payment(0).with_changes(1).with_scans(1);
    fails(scenario, Some(Broken::MismatchNotWithheld), UNDECIDED_IS_UNPAID);
}

#[test]
fn inv_16_a_pending_payment_is_paid_as_changed_when_it_is_submitted_as_the_table_has_it() {
    let scenario = Scenario::one_payment(1).with_changes(1);
    fails(scenario, Some(Broken::PendingMismatchSubmitted), UNDECIDED_IS_UNPAID);
}

#[test]
fn inv_16_a_replay_of_what_was_changed_since_pays_it_as_changed() {
    let scenario = Scenario::one_payment(0).with_rejections(1).with_replays(1).with_changes(1);
    fails(scenario, Some(Broken::ReplayedUndecided), UNDECIDED_IS_UNPAID);
}

#[test]
fn a_lost_answer_taken_for_settled_makes_processed_what_was_not_paid() {
    let rule = Some(Broken::LostAnswerTakenForSettled);
    fails(Scenario::one_payment(1), rule, PROCESSED_IS_SETTLED);
}

#[test]
fn a_lost_answer_taken_for_rejected_hides_a_settlement() {
    let rule = Some(Broken::LostAnswerTakenForRejected);
    fails(Scenario::one_payment(1), rule, SETTLED_IS_NOTICED);
}

#[test]
fn attempts_without_a_bound_never_come_followed_to_rest() {
    let scenario = Scenario::one_payment(2).followed_to_rest();
    fails(scenario, Some(Broken::AttemptsUnbounded), COMES_TO_REST);
}

#[test]
fn a_key_posted_after_the_retention_settles_twice() {
    fails(replayed(1), Some(Broken::PostedAfterRetention), SETTLED_ONCE);
}

#[test]
fn an_age_that_starts_anew_with_a_replay_settles_twice() {
    fails(replayed(1), Some(Broken::ReplayRestartsAge), SETTLED_ONCE);
}

/// A rejection answers for its own request; the one before it was still under way.
#[test]
fn any_rejection_taken_for_certain_settles_twice() {
    fails(replayed(1), Some(Broken::RejectionTakenForCertain), SETTLED_ONCE);
}

#[test]
fn attempts_set_to_zero_by_a_replay_let_a_settled_payment_be_cancelled() {
    let scenario = replayed(1).with_cancels(1);
    fails(scenario, Some(Broken::ReplayResetsAttempts), CANCELLED_IS_UNPAID);
}

#[test]
fn a_cancel_of_a_replayed_payment_cancels_what_was_settled() {
    let scenario = replayed(1).with_cancels(1);
    fails(scenario, Some(Broken::CancelAfterReplay), CANCELLED_IS_UNPAID);
}

#[test]
fn a_letter_deleted_before_its_replay_is_sent_loses_the_payment() {
    fails(replayed(1), Some(Broken::DeadLetterDeletedBeforeReplay), RESTS_ENDED);
}

#[test]
fn a_replay_that_died_must_be_taken_up_though_the_payment_is_pending_by_now() {
    fails(replayed(2), Some(Broken::ReplayNotTakenUp), RESTS_ENDED);
}

/// The first one became a conflict; SQS drops the one that would settle the replay.
#[test]
fn a_confirmation_id_that_is_the_same_in_each_life_loses_the_second_one() {
    fails(replayed(1), Some(Broken::ConfirmationIdOfThePayment), CARRIED);
}
