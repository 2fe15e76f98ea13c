use domain::{AccountId, Amount, BeneficiaryId, Failure, PaymentId, Status};
use shared::queue::DeadLetter;
use shared::testing::{sample_payment, scheduled};

use super::super::dead_letter::DeadLetterBody;
use super::*;

fn payment() -> Payment {
    Payment {
        id: PaymentId::generate(),
        account: AccountId::parse("ACC").unwrap(),
        due: "2026-11-23".parse().unwrap(),
        amount: Amount::from_minor_units(1250).unwrap(),
        beneficiary: BeneficiaryId::parse("BEN-1").unwrap(),
        created_at: "2026-11-23T01:00:00Z".parse().unwrap(),
        ..sample_payment()
    }
}

fn dearer(payment: &Payment, amount: i64) -> Payment {
    Payment { amount: Amount::from_minor_units(amount).unwrap(), ..payment.clone() }
}

fn stored(payment: &Payment, status: Status, code: FailureCode) -> StoredPayment {
    StoredPayment {
        status,
        failure: (status == Status::Failed).then(|| Failure::new(code, "x")),
        ..scheduled(payment.clone())
    }
}

/// A dead letter with the table's version and the message's.
fn dead_letter(code: FailureCode, table: &Payment, message: Option<&Payment>) -> DeadLetterMessage {
    let written = DeadLetter {
        failure: Failure::new(code, "x"),
        service: "dispatcher".to_owned(),
        at: table.created_at,
        payment: Some(table.clone()),
        raw: message.map(|message| serde_json::to_string(message).unwrap()),
    };
    let (message_id, group) = ("m".to_owned(), "ACC".to_owned());
    DeadLetterMessage {
        message_id,
        group,
        body: DeadLetterBody::Written(Box::new(written)),
        sent_at: None,
    }
}

#[test]
fn a_mismatch_is_undecided_until_somebody_says_which_version_is_right() {
    let message = payment();
    let table = dearer(&message, 99_900);
    let failed = stored(&table, Status::Failed, FailureCode::Mismatch);
    let dead_letter = dead_letter(FailureCode::Mismatch, &table, Some(&message));
    let says = |said| version_to_pay(Some(&dead_letter), &failed, said);
    let undecided = says(None).unwrap_err();
    let words = undecided.to_string();
    assert!(
        words.contains("999.00 EUR to BEN-1") && words.contains("12.50 EUR to BEN-1"),
        "{words}"
    );
    assert_eq!(says(Some(WhichVersion::Table)), Ok(PaidVersion::Table));
    assert_eq!(says(Some(WhichVersion::Message)), Ok(PaidVersion::Message(Box::new(message))));
    // Named, when its dead letter is gone.
    assert!(matches!(
        version_to_pay(None, &failed, None),
        Err(UndecidedVersion::Open { other: None, .. })
    ));
    assert_eq!(version_to_pay(None, &failed, Some(WhichVersion::Table)), Ok(PaidVersion::Table));
    assert_eq!(
        version_to_pay(None, &failed, Some(WhichVersion::Message)),
        Err(UndecidedVersion::NoMessage)
    );
}

#[test]
fn a_table_that_was_changed_once_more_is_not_what_the_person_decided_about() {
    let message = payment();
    let dead_letter = dead_letter(FailureCode::Mismatch, &dearer(&message, 2), Some(&message));
    let failed = stored(&dearer(&message, 3), Status::Failed, FailureCode::Mismatch);
    let table = version_to_pay(Some(&dead_letter), &failed, Some(WhichVersion::Table));
    assert!(matches!(table, Err(UndecidedVersion::ChangedSince { .. })), "{table:?}");
}

#[test]
fn whatever_code_it_failed_with_a_payment_that_was_changed_since_is_undecided() {
    for code in [FailureCode::Rejected, FailureCode::Exhausted, FailureCode::Unknown] {
        let then = payment();
        let now = stored(&dearer(&then, 2), Status::Failed, code);
        let changed = dead_letter(code, &then, None);
        assert!(
            matches!(
                version_to_pay(Some(&changed), &now, None),
                Err(UndecidedVersion::Open { .. })
            ),
            "{code}"
        );
        let same = dead_letter(code, &now.payment, None);
        assert_eq!(
            version_to_pay(Some(&same), &now, None),
            Ok(PaidVersion::Unquestioned),
            "{code}"
        );
    }
    // A message that SQS moved was never compared with the table.
    let moved = DeadLetterMessage {
        message_id: "m".to_owned(),
        group: "ACC".to_owned(),
        body: DeadLetterBody::Payment(Box::new(payment())),
        sent_at: None,
    };
    let DeadLetterBody::Payment(message) = &moved.body else { panic!() };
    let scheduled = stored(&dearer(message, 2), Status::Scheduled, FailureCode::Rejected);
    assert!(matches!(
        version_to_pay(Some(&moved), &scheduled, None),
        Err(UndecidedVersion::Open { .. })
    ));
}

#[test]
fn a_decision_that_died_before_its_message_was_sent_is_finished_as_it_was_made() {
    let message = payment();
    let dead_letter = dead_letter(FailureCode::Mismatch, &dearer(&message, 2), Some(&message));
    // The message's version was written back.
    let restored = stored(&message, Status::Scheduled, FailureCode::Mismatch);
    assert!(version_to_pay(Some(&dead_letter), &restored, None).is_err());
    assert_eq!(
        version_to_pay(Some(&dead_letter), &restored, Some(WhichVersion::Message)),
        Ok(PaidVersion::Table)
    );
    // It was decided otherwise before.
    let kept = stored(&dearer(&message, 2), Status::Scheduled, FailureCode::Mismatch);
    let late = version_to_pay(Some(&dead_letter), &kept, Some(WhichVersion::Message));
    assert_eq!(late, Err(UndecidedVersion::NotFailed(Status::Scheduled)));
}
