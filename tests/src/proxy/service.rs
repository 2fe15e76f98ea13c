//! How each service says that it is out of order or that something was too much.

use hyper::StatusCode;
use hyper::header::{CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue, RETRY_AFTER};
use serde_json::json;

use super::faults::Coin;
use super::upstream::Answer;

/// What stands behind a proxy.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Service {
    /// `DynamoDB` and its Streams.
    DynamoDb = 1,
    /// SQS.
    Sqs = 2,
    /// The transaction service.
    Transactions = 3,
}

/// The words of `DynamoDB` when an index cannot keep up.
pub(super) const INDEX_THROTTLED: &str = "The level of configured provisioned throughput for \
     one or more global secondary indexes of the table was exceeded. Consider increasing your \
     provisioning level for the under-provisioned global secondary indexes with the UpdateTable \
     API: due";

impl Service {
    /// The header that names the operation at AWS.
    pub(super) const TARGET: HeaderName = HeaderName::from_static("x-amz-target");

    /// 500 or 503: nothing was done, as the proxy knows and the client does not.
    pub(super) fn unavailable(self, coin: Coin) -> Answer {
        let status = match coin {
            Coin::Heads => StatusCode::INTERNAL_SERVER_ERROR,
            Coin::Tails => StatusCode::SERVICE_UNAVAILABLE,
        };
        let body = match (self, coin) {
            (Self::DynamoDb, Coin::Heads) => {
                json!({ "__type": "com.amazonaws.dynamodb.v20120810#InternalServerError", "message": "injected" })
            }
            (Self::Sqs, Coin::Heads) => {
                json!({ "__type": "com.amazonaws.sqs#InternalFailure", "message": "injected" })
            }
            (Self::DynamoDb | Self::Sqs, Coin::Tails) => {
                json!({ "__type": "ServiceUnavailable", "message": "injected" })
            }
            (Self::Transactions, Coin::Heads | Coin::Tails) => {
                json!({ "code": "injected", "reason": "the fault proxy" })
            }
        };
        self.answer(status, &body)
    }

    /// Too much, in the form of the service. `target` is the operation at AWS.
    pub(super) fn throttled(self, target: &str) -> Answer {
        match self {
            Self::DynamoDb if target.starts_with("DynamoDBStreams") => self.answer(
                StatusCode::BAD_REQUEST,
                &json!({ "__type": "com.amazonaws.dynamodb.v20120810#LimitExceededException", "message": "Rate exceeded for the shard" }),
            ),
            Self::DynamoDb => self.answer(
                StatusCode::BAD_REQUEST,
                &json!({ "__type": "com.amazonaws.dynamodb.v20120810#ProvisionedThroughputExceededException", "message": INDEX_THROTTLED }),
            ),
            Self::Sqs => {
                let body = json!({ "__type": "com.amazonaws.sqs#RequestThrottled", "message": "Rate exceeded" });
                let mut answer = self.answer(StatusCode::BAD_REQUEST, &body);
                let code = HeaderValue::from_static("RequestThrottled;Sender");
                answer.headers.insert("x-amzn-query-error", code);
                answer
            }
            Self::Transactions => {
                let body = json!({ "code": "too_many_requests", "reason": "the fault proxy" });
                let mut answer = self.answer(StatusCode::TOO_MANY_REQUESTS, &body);
                answer.headers.insert(RETRY_AFTER, HeaderValue::from_static("1"));
                answer
            }
        }
    }

    fn answer(self, status: StatusCode, body: &serde_json::Value) -> Answer {
        let mut headers = HeaderMap::new();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/x-amz-json-1.0"));
        Answer { status, headers, body: body.to_string().into_bytes() }
    }
}
