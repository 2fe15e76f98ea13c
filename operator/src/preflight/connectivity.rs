//! Whether AWS answers at all, takes the credentials, and what time it is there.

use std::time::{Duration, Instant};

use aws_sdk_dynamodb::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_dynamodb::types::TableDescription;
use shared::aws::Aws;
use shared::config::Names;
use shared::date_header::DateHeader;

use super::check::{Check, CheckResult};
use super::format::{cause, time};

/// Codes with which AWS refuses credentials or a signature (common errors of both services'
/// API references). All other refusals come from a service that was reached.
const REFUSED: [&str; 8] = [
    "ExpiredToken",
    "ExpiredTokenException",
    "IncompleteSignature",
    "InvalidClientTokenId",
    "InvalidSignatureException",
    "MissingAuthenticationToken",
    "RequestExpired",
    "UnrecognizedClientException",
];

/// What one question to one service has shown.
#[derive(Debug, Clone)]
pub(super) struct ServiceReply {
    /// The service.
    pub(super) service: &'static str,
    /// How long it took to answer, or why it did not.
    pub(super) answered: Result<Duration, String>,
    /// How far the service's clock is ahead of this machine's, in seconds; `None` when it does
    /// not say.
    pub(super) ahead: Option<i64>,
}

/// What the questions have shown.
#[derive(Debug)]
pub(super) struct Connectivity {
    pub(super) dynamodb: ServiceReply,
    pub(super) sqs: ServiceReply,
    /// The payments table, if there is one.
    pub(super) payments: Option<TableDescription>,
}

/// Asks both services one question.
pub(super) async fn probe(aws: &Aws, names: &Names) -> Connectivity {
    let (tables, queues) = (aws.dynamodb("reach"), aws.sqs("reach"));
    let (table_date, queue_date) = (DateHeader::default(), DateHeader::default());
    let asked_at = Instant::now();
    let table = tables.describe_table().table_name(names.payments_table());
    let table = async {
        let sent = table.customize().interceptor(table_date.clone()).send().await;
        (sent, asked_at.elapsed())
    };
    let queue = queues.get_queue_url().queue_name(names.payments_queue());
    let queue = async {
        let sent = queue.customize().interceptor(queue_date.clone()).send().await;
        (sent, asked_at.elapsed())
    };
    let ((table, table_took), (queue, queue_took)) = tokio::join!(table, queue);
    let reached = |service, answered, date: &DateHeader| ServiceReply {
        service,
        answered,
        ahead: date.seconds_ahead(),
    };
    Connectivity {
        dynamodb: reached("DynamoDB", answered(table.as_ref().err(), table_took), &table_date),
        sqs: reached("SQS", answered(queue.as_ref().err(), queue_took), &queue_date),
        payments: table.ok().and_then(|output| output.table),
    }
}

/// A refusal is an answer too, unless it is of who asks.
fn answered<E, R>(error: Option<&SdkError<E, R>>, took: Duration) -> Result<Duration, String>
where
    E: std::error::Error + ProvideErrorMetadata + 'static,
    R: std::fmt::Debug + 'static,
{
    match error {
        None => Ok(took),
        Some(error) => match error.as_service_error().and_then(ProvideErrorMetadata::code) {
            Some(code) if !REFUSED.contains(&code) => Ok(took),
            Some(_) | None => Err(cause(error)),
        },
    }
}

/// Whether both services answer.
pub(super) fn evaluate(dynamodb: &ServiceReply, sqs: &ServiceReply) -> CheckResult {
    let words = |reached: &ServiceReply| match &reached.answered {
        Ok(took) => format!("{} answers in {}", reached.service, time(*took)),
        Err(reason) => format!("{} cannot be used: {reason}", reached.service),
    };
    let figure = [dynamodb, sqs].map(words).join(", ");
    if dynamodb.answered.is_ok() && sqs.answered.is_ok() {
        return CheckResult::go(Check::Aws, figure, "");
    }
    let remedy = "set region, credentials and endpoints (AWS_REGION, AWS_PROFILE, \
                  AWS_ENDPOINT_URL_DYNAMODB, AWS_ENDPOINT_URL_SQS), or open the way there";
    CheckResult::no_go(Check::Aws, figure, "both answer", remedy)
}

#[cfg(test)]
mod tests {
    use super::super::check::Severity;
    use super::*;

    fn reached(answered: Result<Duration, String>) -> ServiceReply {
        ServiceReply { service: "SQS", answered, ahead: None }
    }

    #[test]
    fn both_services_must_answer() {
        let answers = || reached(Ok(Duration::from_millis(3)));
        let silent = || reached(Err("connection refused".to_owned()));
        assert_eq!(evaluate(&answers(), &answers()).severity, Severity::Go);
        for (one, other) in [(answers(), silent()), (silent(), answers())] {
            let result = evaluate(&one, &other);
            assert_eq!(result.severity, Severity::NoGo);
            assert!(result.figure.contains("connection refused"), "{result:?}");
        }
    }
}
