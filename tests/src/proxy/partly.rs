//! Refusing a part of a batch, as both AWS services do when they are busy: the refused
//! entries are not forwarded, and the answer names them.

use std::collections::HashSet;

use serde_json::{Value, json};

use super::service::INDEX_THROTTLED;

/// A batch request, taken apart.
#[derive(Debug)]
pub(super) struct Batch {
    kind: Kind,
    body: Value,
    entries: Vec<Value>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    /// `BatchExecuteStatement`: results by position.
    Statements,
    /// The batches of SQS: results by id.
    Entries,
}

impl Kind {
    fn field(self) -> &'static str {
        match self {
            Self::Statements => "Statements",
            Self::Entries => "Entries",
        }
    }
}

impl Batch {
    /// Takes a request apart; `None` when it is no batch.
    pub(super) fn read(target: &str, body: &[u8]) -> Option<Self> {
        let kind = match target.split_once('.')?.1 {
            "BatchExecuteStatement" => Kind::Statements,
            "SendMessageBatch" | "DeleteMessageBatch" | "ChangeMessageVisibilityBatch" => {
                Kind::Entries
            }
            _ => return None,
        };
        let mut body: Value = serde_json::from_slice(body).ok()?;
        let Value::Array(entries) = body.get_mut(kind.field())?.take() else { return None };
        Some(Self { kind, body, entries })
    }

    /// How many entries there are.
    pub(super) fn len(&self) -> usize {
        self.entries.len()
    }

    /// The request without the entries at `refused`; `None` when nothing is left.
    pub(super) fn without(&self, refused: &[usize]) -> Option<Vec<u8>> {
        let entries = self.entries.iter().enumerate();
        let kept = entries.filter(|(index, _)| !refused.contains(index)).map(|(_, entry)| entry);
        let kept: Vec<&Value> = kept.collect();
        if kept.is_empty() {
            return None;
        }
        let mut body = self.body.clone();
        body[self.kind.field()] = json!(kept);
        Some(body.to_string().into_bytes())
    }

    /// The answer to the forwarded part with the refused entries added. `answer` is `None`
    /// when nothing was forwarded. An answer that is no batch result stays as it is.
    pub(super) fn answer(&self, refused: &[usize], answer: Option<&[u8]>) -> Option<Vec<u8>> {
        let mut merged = match answer {
            Some(answer) => serde_json::from_slice::<Value>(answer).ok()?,
            None => json!({}),
        };
        match self.kind {
            Kind::Statements => {
                let answered = merged["Responses"].as_array().cloned().unwrap_or_default();
                let mut answered = answered.into_iter();
                let all = (0..self.len()).map(|index| {
                    if refused.contains(&index) {
                        Some(json!({ "Error": { "Code": "ThrottlingError", "Message": INDEX_THROTTLED } }))
                    } else {
                        answered.next()
                    }
                });
                merged["Responses"] = json!(all.collect::<Option<Vec<_>>>()?);
            }
            Kind::Entries => {
                let failed = refused.iter().map(|&index| {
                    json!({ "Id": self.entries[index]["Id"], "Code": "ThrottlingException",
                            "Message": "Rate exceeded", "SenderFault": false })
                });
                let before = merged["Failed"].as_array().cloned().unwrap_or_default();
                merged["Failed"] = json!(before.into_iter().chain(failed).collect::<Vec<_>>());
                if merged.get("Successful").is_none() {
                    merged["Successful"] = json!([]);
                }
            }
        }
        Some(merged.to_string().into_bytes())
    }

    /// Payments that will now be queued behind later ones of their own group: their message
    /// is refused, and one behind it in this request is not. That is the one way out of the
    /// order that is allowed (INV-5).
    pub(super) fn overtaken(&self, refused: &[usize]) -> Vec<String> {
        let mut taken_behind: HashSet<&str> = HashSet::new();
        let mut overtaken = Vec::new();
        for (index, entry) in self.entries.iter().enumerate().rev() {
            let Some(group) = entry["MessageGroupId"].as_str() else { continue };
            if !refused.contains(&index) {
                taken_behind.insert(group);
            } else if taken_behind.contains(group) {
                let body = entry["MessageBody"].as_str().unwrap_or_default();
                let payment: Value = serde_json::from_str(body).unwrap_or_default();
                overtaken.extend(payment["PaymentID"].as_str().map(str::to_owned));
            }
        }
        overtaken
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(id: &str, group: &str) -> Value {
        let body = json!({ "PaymentID": id }).to_string();
        json!({ "Id": id, "MessageGroupId": group, "MessageBody": body })
    }

    fn read(bytes: &[u8]) -> Value {
        serde_json::from_slice(bytes).unwrap()
    }

    #[test]
    fn refused_entries_are_not_forwarded_and_named_in_the_answer() {
        let body = json!({ "QueueUrl": "q", "Entries": [entry("0", "a"), entry("1", "b")] });
        let batch = Batch::read("AmazonSQS.SendMessageBatch", body.to_string().as_bytes()).unwrap();
        let forwarded = read(&batch.without(&[0]).unwrap());
        assert_eq!(forwarded, json!({ "QueueUrl": "q", "Entries": [entry("1", "b")] }));
        let answer = json!({ "Successful": [{ "Id": "1" }] }).to_string();
        let answer = read(&batch.answer(&[0], Some(answer.as_bytes())).unwrap());
        assert_eq!(answer["Successful"], json!([{ "Id": "1" }]));
        assert_eq!(answer["Failed"][0]["Id"], "0");
        assert!(batch.without(&[0, 1]).is_none());
    }

    #[test]
    fn refused_statements_keep_their_places() {
        let body = json!({ "Statements": [{ "Statement": "1" }, { "Statement": "2" }, { "Statement": "3" }] });
        let target = "DynamoDB_20120810.BatchExecuteStatement";
        let batch = Batch::read(target, body.to_string().as_bytes()).unwrap();
        let answer = json!({ "Responses": [{ "TableName": "one" }, { "TableName": "three" }] });
        let answer = read(&batch.answer(&[1], Some(answer.to_string().as_bytes())).unwrap());
        assert_eq!(answer["Responses"][0]["TableName"], "one");
        assert_eq!(answer["Responses"][1]["Error"]["Code"], "ThrottlingError");
        assert_eq!(answer["Responses"][2]["TableName"], "three");
    }

    #[test]
    fn only_a_payment_with_one_of_its_account_taken_behind_it_is_overtaken() {
        let entries = [entry("0", "a"), entry("1", "a"), entry("2", "b"), entry("3", "a")];
        let body = json!({ "Entries": entries }).to_string();
        let batch = Batch::read("AmazonSQS.SendMessageBatch", body.as_bytes()).unwrap();
        assert_eq!(batch.overtaken(&[0, 2]), ["0"]);
        assert_eq!(batch.overtaken(&[3]), Vec::<String>::new());
        assert_eq!(batch.overtaken(&[0, 1, 3]), Vec::<String>::new());
    }
}
