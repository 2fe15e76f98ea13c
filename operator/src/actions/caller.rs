//! Who runs the command: as AWS says, or as this machine claims.

use std::time::Duration;

use shared::aws::{Aws, LOCAL_REGION};

/// Longest wait for AWS to say who is calling.
const LIMIT: Duration = Duration::from_secs(5);

/// Who has run a command.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Caller {
    /// The ARN that AWS gave; `None` when it could not be asked.
    pub(super) proven: Option<String>,
    /// The user of the machine: anybody can set it.
    pub(super) claimed: String,
}

impl Caller {
    /// Asks AWS. Where `DynamoDB` is not AWS's there is nobody to be asked, unless
    /// `AWS_ENDPOINT_URL_STS` names somebody.
    pub(super) async fn of_this_process(aws: &Aws) -> Self {
        let variable = |name: &str| std::env::var(name).ok().filter(|value| !value.is_empty());
        let claimed = variable("USER").unwrap_or_else(|| "somebody without a name".to_owned());
        let region = aws.config().region().map(AsRef::as_ref);
        let is_local = region == Some(LOCAL_REGION)
            || variable("AWS_ENDPOINT_URL").is_some()
            || variable("AWS_ENDPOINT_URL_DYNAMODB").is_some();
        if is_local && variable("AWS_ENDPOINT_URL_STS").is_none() {
            return Self { proven: None, claimed };
        }
        let client = aws_sdk_sts::Client::new(aws.config());
        let asked = tokio::time::timeout(LIMIT, client.get_caller_identity().send()).await;
        let reason = match asked {
            Ok(Ok(output)) => match output.arn {
                Some(arn) => return Self { proven: Some(arn), claimed },
                None => "it named nobody".to_owned(),
            },
            Ok(Err(error)) => shared::http::chain(&error),
            Err(_) => format!("no answer within {} s", LIMIT.as_secs()),
        };
        eprintln!("dueflow: AWS STS does not say who runs this: {reason}");
        Self { proven: None, claimed }
    }
}
