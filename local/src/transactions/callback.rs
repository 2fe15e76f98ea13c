//! One attempt to hand over an event, signed by the Standard Webhooks scheme.

use std::{fmt, time::Duration};

use jiff::Timestamp;
use reqwest::{StatusCode, header::CONTENT_TYPE, redirect};
use standardwebhooks::{
    HEADER_WEBHOOK_ID, HEADER_WEBHOOK_SIGNATURE, HEADER_WEBHOOK_TIMESTAMP, Webhook, WebhookError,
};

use super::webhook_event::WebhookEvent;

/// Where a callback goes, below each url.
const PATH: &str = "/v1/confirmations";
/// Time for one attempt, connection included. A receiver writes to a table
/// before it answers, which takes milliseconds.
const ATTEMPT_LIMIT: Duration = Duration::from_secs(5);

/// Who receives the results of payments that were accepted with 202.
#[derive(Clone, PartialEq, Eq)]
pub struct Callback {
    /// Base urls of the receivers, such as `http://127.0.0.1:8081`: events
    /// take turns, and one that failed goes to the next.
    pub urls: Vec<String>,
    /// What the events are signed with: `whsec_` and base64, as the Standard
    /// Webhooks scheme has it.
    pub secret: String,
}

impl fmt::Debug for Callback {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Callback").field("urls", &self.urls).finish_non_exhaustive()
    }
}

/// Why a callback cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum CallbackError {
    /// There is nobody to call.
    #[error("a callback without a url")]
    NoUrl,
    /// One of the urls is none.
    #[error("the url of a callback: {url}")]
    Url {
        /// Which.
        url: String,
        /// What is wrong with it.
        #[source]
        source: reqwest::Error,
    },
    /// The secret is not base64.
    #[error("the secret of a callback")]
    Secret(#[source] WebhookError),
    /// The HTTP client cannot be made.
    #[error("make the client of the callbacks")]
    Client(#[source] reqwest::Error),
}

/// A [`Callback`] that was found good.
pub(crate) struct Receiver {
    client: reqwest::Client,
    urls: Vec<String>,
    webhook: Webhook,
}

impl fmt::Debug for Receiver {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Receiver").field("urls", &self.urls).finish_non_exhaustive()
    }
}

/// Why an attempt failed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum AttemptError {
    #[error("sign a callback")]
    Sign(#[source] WebhookError),
    #[error("send a callback")]
    Send(#[source] reqwest::Error),
    #[error("the receiver answered {0}")]
    Refused(StatusCode),
}

impl Receiver {
    pub(crate) fn new(callback: Callback) -> Result<Self, CallbackError> {
        if callback.urls.is_empty() {
            return Err(CallbackError::NoUrl);
        }
        let webhook = Webhook::new(&callback.secret).map_err(CallbackError::Secret)?;
        let mut client = reqwest::Client::builder()
            .timeout(ATTEMPT_LIMIT)
            .redirect(redirect::Policy::none())
            .no_proxy();
        if callback.urls.iter().all(|url| url.starts_with("http:")) {
            // Plain HTTP needs no certificates, and there may be none.
            client = client.tls_certs_only([]);
        }
        let client = client.build().map_err(CallbackError::Client)?;
        let mut urls = Vec::with_capacity(callback.urls.len());
        for base in callback.urls {
            let url = format!("{}{PATH}", base.trim_end_matches('/'));
            if let Err(source) = client.post(&url).build() {
                return Err(CallbackError::Url { url: base, source });
            }
            urls.push(url);
        }
        Ok(Self { client, urls, webhook })
    }

    pub(crate) fn urls(&self) -> usize {
        self.urls.len()
    }

    /// Sends the event to the url with that number, under the present time.
    /// 2xx says that it was received, 409 that it was received before.
    pub(crate) async fn deliver(
        &self,
        event: &WebhookEvent,
        url: usize,
    ) -> Result<(), AttemptError> {
        let id = event.webhook_id();
        let timestamp = Timestamp::now().as_second();
        let signature =
            self.webhook.sign(&id, timestamp, &event.body).map_err(AttemptError::Sign)?;
        let request = self
            .client
            .post(&self.urls[url % self.urls.len()])
            .header(CONTENT_TYPE, "application/json")
            .header(HEADER_WEBHOOK_ID, id)
            .header(HEADER_WEBHOOK_TIMESTAMP, timestamp)
            .header(HEADER_WEBHOOK_SIGNATURE, signature)
            .body(event.body.clone());
        let response = request.send().await.map_err(AttemptError::Send)?;
        let status = response.status();
        if status.is_success() || status == StatusCode::CONFLICT {
            Ok(())
        } else {
            Err(AttemptError::Refused(status))
        }
    }
}
