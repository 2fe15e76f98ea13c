//! The HTTP client of the transaction service.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use reqwest::header::{CONTENT_TYPE, RETRY_AFTER};
use reqwest::{Client, Response, Url};

use super::TransactionService;
use super::answer::{ServiceResponse, key_status, outcome};
use super::contract::ContractSettings;
use super::submission::SubmissionBody;
use crate::config::Settings;
use crate::http::{self, chain};
use crate::telemetry::{Rarely, calls};
use domain::{Certainty, KeyQuery, KeyStatus, Outcome, Payment, UnknownCause};

/// Most bytes of an answer that are read.
const MAX_ANSWER_BYTES: usize = 64 * 1024;

/// Where the transaction service is and how long it may take.
#[derive(Clone)]
pub struct TransactionSettings {
    /// Its base address.
    pub url: Url,
    /// The proxy that it is reached through, if any.
    pub proxy: Option<Url>,
    /// Limit of one call in all.
    pub timeout: Duration,
    /// Limit of connecting.
    pub connect_timeout: Duration,
    /// What its answers are judged by.
    pub contract: ContractSettings,
}

impl TransactionSettings {
    /// Reads them; `None` when one is wrong, which `settings` then knows.
    pub fn read(settings: &mut Settings) -> Option<Self> {
        let url = settings.parse_with("DUEFLOW_TRANSACTION_URL", address);
        let proxy = "DUEFLOW_TRANSACTION_PROXY";
        let proxy = match settings.optional(proxy) {
            None => Some(None),
            Some(_) => settings.parse_with(proxy, address).map(Some),
        };
        let millis = Duration::from_millis;
        let timeout =
            settings.duration("DUEFLOW_TRANSACTION_TIMEOUT", millis(100)..=millis(600_000));
        let connect =
            settings.duration("DUEFLOW_TRANSACTION_CONNECT_TIMEOUT", millis(10)..=millis(60_000));
        let contract = ContractSettings::read(settings);
        Some(Self {
            url: url?,
            proxy: proxy?,
            timeout: timeout?,
            connect_timeout: connect?,
            contract: contract?,
        })
    }
}

fn address(text: &str) -> Result<Url, String> {
    let url: Url = text.parse().map_err(|error| format!("must be a URL: {error}"))?;
    match url.scheme() {
        "http" | "https" => Ok(url),
        _ => Err("must start with http:// or https://".to_owned()),
    }
}

/// Without the addresses, which may hold a password.
impl fmt::Debug for TransactionSettings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TransactionSettings")
            .field("url", &self.url.origin().ascii_serialization())
            .field("contract", &self.contract)
            .finish_non_exhaustive()
    }
}

/// The client could not be made: TLS or the base address.
#[derive(Debug, thiserror::Error)]
pub enum TransactionClientError {
    /// The HTTP client.
    #[error("setting up the HTTP client of the transaction service")]
    Build(#[source] reqwest::Error),
    /// The address.
    #[error("DUEFLOW_TRANSACTION_URL cannot carry a path: {0}")]
    Address(String),
}

/// The transaction service over HTTP.
#[derive(Clone)]
pub struct TransactionClient {
    http: Client,
    transactions: Url,
    contract: ContractSettings,
    told: Arc<Rarely>,
}

impl TransactionClient {
    /// A client with its own connection pool. It follows no redirects: a payment goes to the
    /// configured address or nowhere, through no proxy but the one that a setting names.
    ///
    /// # Errors
    /// [`TransactionClientError`] says what cannot be used.
    pub fn new(settings: &TransactionSettings) -> Result<Self, TransactionClientError> {
        let http = http::client(&settings.url, settings.proxy.as_ref())
            .map_err(TransactionClientError::Build)?
            .connect_timeout(settings.connect_timeout)
            .timeout(settings.timeout)
            .tcp_nodelay(true)
            .user_agent(concat!("dueflow/", env!("CARGO_PKG_VERSION")))
            .build()
            .map_err(TransactionClientError::Build)?;
        let mut transactions = settings.url.clone();
        transactions
            .path_segments_mut()
            .map_err(|()| {
                TransactionClientError::Address(http::without_user_info(settings.url.as_str()))
            })?
            .pop_if_empty()
            .extend(["v1", "transactions"]);
        let (contract, told) = (settings.contract.clone(), Arc::default());
        Ok(Self { http, transactions, contract, told })
    }

    async fn whole(
        response: Result<Response, reqwest::Error>,
    ) -> Result<ServiceResponse, NoResponse> {
        match response {
            Ok(response) => read(response).await,
            // Before the connection stood nothing was sent; after that, all is possible.
            Err(error) if error.is_connect() => Err(NoResponse::NotSent(chain(&error))),
            Err(error) => Err(NoResponse::Lost(chain(&error))),
        }
    }
}

/// Without the address, which may hold a password.
impl fmt::Debug for TransactionClient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let origin = self.transactions.origin().ascii_serialization();
        f.debug_struct("TransactionClient").field("origin", &origin).finish_non_exhaustive()
    }
}

#[async_trait]
impl TransactionService for TransactionClient {
    async fn submit(&self, payment: &Payment) -> Outcome {
        let Some(instruction) = SubmissionBody::of(payment) else {
            let reason = "the blob of the payment was not read".to_owned();
            return not_sent(reason);
        };
        let body = serde_json::to_vec(&instruction)
            .unwrap_or_else(|_| unreachable!("an instruction holds nothing that JSON lacks"));
        let sent = self
            .http
            .post(self.transactions.clone())
            .header("Idempotency-Key", payment.id.to_string())
            .header(CONTENT_TYPE, "application/json")
            .body(body)
            .send()
            .await;
        let outcome = match Self::whole(sent).await {
            Ok(answer) => outcome(&answer, &payment.into(), &self.contract),
            Err(NoResponse::NotSent(reason)) => not_sent(reason),
            Err(NoResponse::Lost(reason)) => Outcome::Unknown { doubt: UnknownCause::Lost, reason },
        };
        if let Outcome::Unknown { reason, .. } | Outcome::NotDone { reason, .. } = &outcome {
            calls::unusable_answer("submit", reason, self.told.tell(reason));
        }
        outcome
    }

    async fn find(&self, asked: KeyQuery) -> KeyStatus {
        let mut url = self.transactions.clone();
        url.query_pairs_mut().append_pair("idempotency_key", &asked.key.to_string());
        let found = match Self::whole(self.http.get(url).send().await).await {
            Ok(answer) => key_status(&answer, &asked, &self.contract),
            Err(NoResponse::NotSent(reason) | NoResponse::Lost(reason)) => {
                KeyStatus::NoAnswer { retry_after: None, reason }
            }
        };
        if let KeyStatus::NoAnswer { reason, .. } = &found {
            calls::unusable_answer("find", reason, self.told.tell(reason));
        }
        found
    }
}

fn not_sent(reason: String) -> Outcome {
    Outcome::NotDone { certainty: Certainty::Certain, retry_after: None, reason }
}

/// Why there is none.
enum NoResponse {
    /// The request never left.
    NotSent(String),
    /// It may have arrived.
    Lost(String),
}

async fn read(mut response: Response) -> Result<ServiceResponse, NoResponse> {
    let status = response.status().as_u16();
    let retry_after = response.headers().get(RETRY_AFTER);
    let retry_after = retry_after.and_then(|value| value.to_str().ok()).map(str::to_owned);
    let mut body = Vec::new();
    loop {
        match response.chunk().await {
            Ok(Some(chunk)) if body.len() + chunk.len() <= MAX_ANSWER_BYTES => {
                body.extend_from_slice(&chunk);
            }
            Ok(Some(_)) => {
                let reason = format!("{status} with more than {MAX_ANSWER_BYTES} bytes");
                return Err(NoResponse::Lost(reason));
            }
            Ok(None) => return Ok(ServiceResponse { status, retry_after, body }),
            Err(error) => return Err(NoResponse::Lost(chain(&error))),
        }
    }
}
