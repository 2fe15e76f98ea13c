//! Planted bugs: the traffic of the services is rewritten as if they had them, so that a
//! judge that does not notice is found out.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use hyper::header::HeaderValue;
use serde_json::{Value, json};

use super::Service;
use super::line::Line;
use super::upstream::{Answer, Request};

/// A bug that a service might have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Bug {
    /// The number of the attempt is part of the idempotency key. (Transaction service.)
    AttemptInKey,
    /// Payments are deleted from their queue when they are received, before anything is done
    /// with them. (SQS.)
    AcknowledgeOnReceipt,
    /// A payment is claimed whatever its status. (`DynamoDB`.)
    ClaimWithoutCondition,
    /// What must be delivered again goes to the end of the queue, and the rest of its group
    /// overtakes it. (SQS.)
    RestOvertakes,
}

/// What a bug has to remember of earlier requests.
#[derive(Debug, Default)]
pub(super) struct Memory {
    /// Requests so far by idempotency key.
    attempts: Mutex<HashMap<String, u32>>,
    /// Bodies and groups of received messages by receipt.
    received: Mutex<HashMap<String, (Value, Value)>>,
}

const IDEMPOTENCY_KEY: &str = "idempotency-key";
const ASKED: &str = "?idempotency_key=";

impl Request {
    /// The operation at AWS; empty at the transaction service.
    pub(super) fn target(&self) -> &str {
        self.headers.get(Service::TARGET).and_then(|target| target.to_str().ok()).unwrap_or("")
    }

    /// Another request of the same sender.
    fn other(&self, target: &'static str, body: &Value) -> Self {
        let mut other = self.clone();
        other.headers.insert(Service::TARGET, HeaderValue::from_static(target));
        other.body = body.to_string().into_bytes();
        other
    }
}

impl Line {
    /// Forwards a request as a service with `bug` would have sent it.
    pub(super) async fn with_bug(&self, bug: Bug, request: Request) -> reqwest::Result<Answer> {
        match bug {
            Bug::AttemptInKey => self.upstream.forward(self.memory.number(request)).await,
            Bug::ClaimWithoutCondition => self.upstream.forward(unconditional(request)).await,
            Bug::AcknowledgeOnReceipt => self.acknowledge_on_receipt(request).await,
            Bug::RestOvertakes => self.rest_overtakes(request).await,
        }
    }

    async fn acknowledge_on_receipt(&self, request: Request) -> reqwest::Result<Answer> {
        let asked = request.clone();
        let answer = self.upstream.forward(request).await?;
        let queue = queue_url(&asked);
        if !asked.target().ends_with(".ReceiveMessage") || !queue.contains("-payments.fifo") {
            return Ok(answer);
        }
        for message in messages(&answer) {
            let body = json!({ "QueueUrl": queue, "ReceiptHandle": message["ReceiptHandle"] });
            self.upstream.forward(asked.other("AmazonSQS.DeleteMessage", &body)).await?;
        }
        Ok(answer)
    }

    async fn rest_overtakes(&self, mut request: Request) -> reqwest::Result<Answer> {
        let asked = request.clone();
        let queue = queue_url(&asked);
        let mut to_the_end = Vec::new();
        if asked.target().ends_with(".ChangeMessageVisibilityBatch") {
            to_the_end = take_paused(&mut request);
        }
        let mut answer = self.upstream.forward(request).await?;
        if asked.target().ends_with(".ReceiveMessage") {
            self.memory.remember(&answer);
        }
        for entry in &to_the_end {
            let receipt = entry["ReceiptHandle"].as_str().unwrap_or_default();
            let Some((body, group)) = self.memory.recall(receipt) else { continue };
            let gone = json!({ "QueueUrl": queue, "ReceiptHandle": receipt });
            self.upstream.forward(asked.other("AmazonSQS.DeleteMessage", &gone)).await?;
            let digits: String = receipt.chars().filter(char::is_ascii_alphanumeric).collect();
            let copy = json!({ "QueueUrl": queue, "MessageBody": body, "MessageGroupId": group,
                               "MessageDeduplicationId": &digits[..digits.len().min(128)] });
            self.upstream.forward(asked.other("AmazonSQS.SendMessage", &copy)).await?;
        }
        if !to_the_end.is_empty() {
            let mut merged: Value = serde_json::from_slice(&answer.body).unwrap_or_default();
            if let Value::Array(done) = &mut merged["Successful"] {
                done.extend(to_the_end.iter().map(|entry| json!({ "Id": entry["Id"] })));
            }
            answer.body = merged.to_string().into_bytes();
        }
        Ok(answer)
    }
}

impl Memory {
    /// Numbers the attempts after the first in the key. Who asks before it posts again asks
    /// for the attempt that it is about to make.
    fn number(&self, mut request: Request) -> Request {
        if let Some((path, key)) = request.path_and_query.split_once(ASKED) {
            let attempts = self.attempts.lock().unwrap_or_else(PoisonError::into_inner);
            if let Some(before) = attempts.get(key) {
                request.path_and_query = format!("{path}{ASKED}{key}-{}", before + 1);
            }
            return request;
        }
        let key = request.headers.get(IDEMPOTENCY_KEY).and_then(|key| key.to_str().ok());
        let Some(key) = key.map(str::to_owned) else { return request };
        let attempt = {
            let mut attempts = self.attempts.lock().unwrap_or_else(PoisonError::into_inner);
            let attempt = attempts.entry(key.clone()).or_default();
            *attempt += 1;
            *attempt
        };
        if attempt > 1
            && let Ok(numbered) = HeaderValue::try_from(format!("{key}-{attempt}"))
        {
            request.headers.insert(IDEMPOTENCY_KEY, numbered);
        }
        request
    }

    fn remember(&self, answer: &Answer) {
        let mut received = self.received.lock().unwrap_or_else(PoisonError::into_inner);
        for message in messages(answer) {
            if let Some(receipt) = message["ReceiptHandle"].as_str() {
                let group = message["Attributes"]["MessageGroupId"].clone();
                received.insert(receipt.to_owned(), (message["Body"].clone(), group));
            }
        }
    }

    fn recall(&self, receipt: &str) -> Option<(Value, Value)> {
        self.received.lock().unwrap_or_else(PoisonError::into_inner).remove(receipt)
    }
}

/// Takes the conditions on the status, and on there having been no attempt, out of claims.
fn unconditional(mut request: Request) -> Request {
    let Ok(mut body) = serde_json::from_slice::<Value>(&request.body) else { return request };
    let Some(statements) = body["Statements"].as_array_mut() else { return request };
    for statement in statements {
        let text = statement["Statement"].as_str().unwrap_or_default();
        if text.contains(r#"SET "Status"='PENDING'"#) {
            let without = text.replace(r#" AND "Status"='SCHEDULED'"#, "");
            statement["Statement"] = json!(without.replace(r#" AND "Attempts"=0"#, ""));
        }
    }
    request.body = body.to_string().into_bytes();
    request
}

/// Takes the entries with a pause out of a batch that also has entries without one: the rest
/// of a group that is given back with the one that must wait.
fn take_paused(request: &mut Request) -> Vec<Value> {
    let Ok(mut body) = serde_json::from_slice::<Value>(&request.body) else { return Vec::new() };
    let Some(entries) = body["Entries"].as_array_mut() else { return Vec::new() };
    let (at_once, paused): (Vec<Value>, Vec<Value>) =
        entries.drain(..).partition(|entry| entry["VisibilityTimeout"] == 0);
    if at_once.is_empty() {
        return Vec::new();
    }
    body["Entries"] = json!(at_once);
    request.body = body.to_string().into_bytes();
    paused
}

fn queue_url(request: &Request) -> String {
    let body: Value = serde_json::from_slice(&request.body).unwrap_or_default();
    body["QueueUrl"].as_str().unwrap_or_default().to_owned()
}

fn messages(answer: &Answer) -> Vec<Value> {
    let body: Value = serde_json::from_slice(&answer.body).unwrap_or_default();
    body["Messages"].as_array().cloned().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use hyper::Method;
    use hyper::header::HeaderMap;

    use super::*;

    fn request(body: &Value) -> Request {
        let body = body.to_string().into_bytes();
        Request {
            method: Method::POST,
            path_and_query: "/".into(),
            headers: HeaderMap::new(),
            body,
        }
    }

    #[test]
    fn the_first_attempt_keeps_its_key_and_later_ones_are_numbered() {
        let memory = Memory::default();
        let mut first = request(&json!({}));
        first.headers.insert(IDEMPOTENCY_KEY, HeaderValue::from_static("k"));
        let keys = [first.clone(), first.clone(), first].map(|request| {
            let numbered = memory.number(request);
            numbered.headers[IDEMPOTENCY_KEY].to_str().unwrap().to_owned()
        });
        assert_eq!(keys, ["k", "k-2", "k-3"]);
        let asked = |key| {
            let path_and_query = format!("/v1/transactions?idempotency_key={key}");
            memory.number(Request { path_and_query, ..request(&json!({})) }).path_and_query
        };
        assert_eq!(asked("k"), "/v1/transactions?idempotency_key=k-4");
        assert_eq!(asked("other"), "/v1/transactions?idempotency_key=other");
    }

    #[test]
    fn a_claim_loses_its_condition_and_a_settlement_does_not() {
        let claim = r#"UPDATE "t" SET "Status"='PENDING' WHERE "SK"=? AND "Status"='SCHEDULED' AND "Attempts"=0 AND "Amount"=?"#;
        let settle = r#"UPDATE "t" SET "Status"='PROCESSED' WHERE "SK"=? AND "Status"='PENDING'"#;
        let body = json!({ "Statements": [{ "Statement": claim }, { "Statement": settle }] });
        let rewritten: Value = serde_json::from_slice(&unconditional(request(&body)).body).unwrap();
        assert_eq!(
            rewritten["Statements"][0]["Statement"],
            r#"UPDATE "t" SET "Status"='PENDING' WHERE "SK"=? AND "Amount"=?"#
        );
        assert_eq!(rewritten["Statements"][1]["Statement"], settle);
    }

    #[test]
    fn what_waits_leaves_a_group_and_a_heartbeat_stays_whole() {
        let entry = |id: &str, pause| json!({ "Id": id, "VisibilityTimeout": pause });
        let mut group = request(&json!({ "Entries": [entry("1", 0), entry("0", 2)] }));
        assert_eq!(take_paused(&mut group), [entry("0", 2)]);
        let left: Value = serde_json::from_slice(&group.body).unwrap();
        assert_eq!(left["Entries"], json!([entry("1", 0)]));
        let mut heartbeat = request(&json!({ "Entries": [entry("0", 4), entry("1", 4)] }));
        let before = heartbeat.body.clone();
        assert!(take_paused(&mut heartbeat).is_empty());
        assert_eq!(heartbeat.body, before);
    }
}
