//! Forwarding.

use std::time::Duration;

use hyper::header::{CONNECTION, CONTENT_LENGTH, HOST, HeaderMap, TRANSFER_ENCODING};
use hyper::{Method, StatusCode};

/// Longest wait for the service behind. A long poll takes 20 s.
const LIMIT: Duration = Duration::from_secs(60);

/// A request, read whole.
#[derive(Debug, Clone)]
pub(super) struct Request {
    pub(super) method: Method,
    pub(super) path_and_query: String,
    pub(super) headers: HeaderMap,
    pub(super) body: Vec<u8>,
}

/// An answer, read whole.
#[derive(Debug, Clone)]
pub(super) struct Answer {
    pub(super) status: StatusCode,
    pub(super) headers: HeaderMap,
    pub(super) body: Vec<u8>,
}

/// The service behind a proxy.
#[derive(Debug, Clone)]
pub(super) struct Upstream {
    endpoint: String,
    http: reqwest::Client,
}

impl Upstream {
    pub(super) fn new(endpoint: String) -> reqwest::Result<Self> {
        let http = reqwest::Client::builder()
            .no_proxy()
            .timeout(LIMIT)
            .tcp_nodelay(true)
            .redirect(reqwest::redirect::Policy::none())
            .build()?;
        Ok(Self { endpoint, http })
    }

    /// The service's answer.
    pub(super) async fn forward(&self, request: Request) -> reqwest::Result<Answer> {
        let Request { method, path_and_query, mut headers, body } = request;
        for own in [HOST, CONNECTION, CONTENT_LENGTH, TRANSFER_ENCODING] {
            headers.remove(own);
        }
        let url = format!("{}{path_and_query}", self.endpoint);
        let sent = self.http.request(method, url).headers(headers).body(body).send().await?;
        let (status, mut headers) = (sent.status(), sent.headers().clone());
        for own in [CONNECTION, CONTENT_LENGTH, TRANSFER_ENCODING] {
            headers.remove(own);
        }
        // The body may be changed on its way.
        headers.remove("x-amz-crc32");
        Ok(Answer { status, headers, body: sent.bytes().await?.to_vec() })
    }
}
