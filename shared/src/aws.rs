//! AWS clients with deadlines, from the SDK's own environment variables.
//!
//! The SDK has no time limits by default, and its retry budget is shared by every client of
//! one service and region in a process. Here each role has limits and a budget of its own,
//! so that a queue that does not answer cannot use up the retries of the table.

use std::time::Duration;

use aws_config::retry::RetryConfig;
use aws_config::timeout::TimeoutConfig;
use aws_config::{BehaviorVersion, ConfigLoader, Region, SdkConfig};
use aws_sdk_dynamodb::config::Credentials;
use aws_sdk_dynamodb::config::retry::RetryPartition;

/// Longest wait for a connection.
const CONNECT: Duration = Duration::from_secs(3);
/// Longest wait for one attempt of an ordinary call.
const ATTEMPT: Duration = Duration::from_secs(5);
/// Longest wait for an ordinary call with all its attempts. It may exceed a visibility
/// timeout: the heartbeat keeps messages while work on them goes on.
const OPERATION: Duration = Duration::from_secs(15);
/// Longest wait for one attempt of a call that is worth nothing when it is late.
const BRISK_ATTEMPT: Duration = Duration::from_secs(1);
/// Longest wait for such a call with all its attempts.
pub const BRISK_OPERATION: Duration = Duration::from_millis(2_500);
/// Attempts of an ordinary call, pauses of the SDK's standard mode between them.
const ATTEMPTS: u32 = 4;
/// What a long poll may take beyond its own wait.
const POLL_MARGIN: Duration = Duration::from_secs(5);

/// Region that clients of services on this machine are given: one that AWS does not have. The AWS
/// CLI v1 has a host of its own at AWS for SQS in most regions that there are, and prefers it to
/// `AWS_ENDPOINT_URL_SQS`; a client that does not know that variable finds no host at all here,
/// where it would reach AWS in a region that exists.
pub const LOCAL_REGION: &str = "local-1";
/// Access key and secret that services on this machine accept (they check neither).
pub const LOCAL_KEY: &str = "local";

fn loader() -> ConfigLoader {
    aws_config::defaults(BehaviorVersion::v2026_01_12())
        .http_client(crate::aws_http::client())
        .retry_config(RetryConfig::standard().with_max_attempts(ATTEMPTS))
        .timeout_config(
            TimeoutConfig::builder()
                .connect_timeout(CONNECT)
                .operation_attempt_timeout(ATTEMPT)
                .operation_timeout(OPERATION)
                .build(),
        )
}

/// Addresses of a `DynamoDB` and an SQS that are not AWS's.
#[derive(Debug, Clone)]
pub struct Endpoints {
    /// Of `DynamoDB` and its Streams.
    pub dynamodb: String,
    /// Of SQS.
    pub sqs: String,
}

/// Region, credentials and endpoints of this process.
#[derive(Debug, Clone)]
pub struct Aws {
    config: SdkConfig,
    endpoints: Option<Endpoints>,
}

impl Aws {
    /// Reads `AWS_REGION`, `AWS_ENDPOINT_URL_DYNAMODB`, `AWS_ENDPOINT_URL_SQS`, the profile,
    /// web identity, container and instance credentials: whatever the SDK knows.
    pub async fn from_environment() -> Self {
        Self { config: loader().load().await, endpoints: None }
    }

    /// Clients of services on this machine, whatever the environment says.
    pub async fn at(endpoints: Endpoints) -> Self {
        let config = loader()
            .region(Region::from_static(LOCAL_REGION))
            .credentials_provider(Credentials::new(LOCAL_KEY, LOCAL_KEY, None, None, "local"))
            .load()
            .await;
        Self { config, endpoints: Some(endpoints) }
    }
    /// The SDK's configuration, for clients of services that only one crate uses.
    #[must_use]
    pub fn config(&self) -> &SdkConfig {
        &self.config
    }

    /// A client of `DynamoDB` with the retry budget of `role`.
    #[must_use]
    pub fn dynamodb(&self, role: &'static str) -> aws_sdk_dynamodb::Client {
        aws_sdk_dynamodb::Client::from_conf(self.dynamodb_config(role).build())
    }

    /// The same for what expires unless it is written soon: leases. A call ends within
    /// [`BRISK_OPERATION`].
    #[must_use]
    pub fn brisk_dynamodb(&self, role: &'static str) -> aws_sdk_dynamodb::Client {
        let timeouts = TimeoutConfig::builder()
            .connect_timeout(BRISK_ATTEMPT)
            .operation_attempt_timeout(BRISK_ATTEMPT)
            .operation_timeout(BRISK_OPERATION)
            .build();
        let config = self.dynamodb_config(role).timeout_config(timeouts);
        aws_sdk_dynamodb::Client::from_conf(config.build())
    }

    fn dynamodb_config(&self, role: &'static str) -> aws_sdk_dynamodb::config::Builder {
        let config = aws_sdk_dynamodb::config::Builder::from(&self.config)
            .retry_partition(RetryPartition::new(role));
        match &self.endpoints {
            Some(endpoints) => config.endpoint_url(&endpoints.dynamodb),
            None => config,
        }
    }

    /// A client of SQS with the retry budget of `role`.
    #[must_use]
    pub fn sqs(&self, role: &'static str) -> aws_sdk_sqs::Client {
        aws_sdk_sqs::Client::from_conf(self.sqs_config(role).build())
    }

    fn sqs_config(&self, role: &'static str) -> aws_sdk_sqs::config::Builder {
        let config = aws_sdk_sqs::config::Builder::from(&self.config)
            .retry_partition(RetryPartition::new(role));
        match &self.endpoints {
            Some(endpoints) => config.endpoint_url(&endpoints.sqs),
            None => config,
        }
    }

    /// A client of SQS for long polls of `wait`: one attempt, repeated by the receive loop,
    /// with a limit beyond the poll's own wait.
    #[must_use]
    pub fn sqs_polling(&self, role: &'static str, wait: Duration) -> aws_sdk_sqs::Client {
        let limit = wait + POLL_MARGIN;
        let timeouts = TimeoutConfig::builder()
            .connect_timeout(CONNECT)
            .operation_attempt_timeout(limit)
            .operation_timeout(limit)
            .build();
        let config =
            self.sqs_config(role).retry_config(RetryConfig::disabled()).timeout_config(timeouts);
        aws_sdk_sqs::Client::from_conf(config.build())
    }
}
