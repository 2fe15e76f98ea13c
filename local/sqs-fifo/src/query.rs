//! The Query protocol, which SQS spoke alone until November 2023 and still speaks at AWS: forms in,
//! XML out. It is not spoken here. A client of it gets an error that it can read, and its user
//! what to do; the JSON of the other protocol would be an unreadable answer to it.

use hyper::header::{CONTENT_TYPE, HeaderValue};
use hyper::{Method, Request, Response, StatusCode};
use rustack_sqs_http::body::SqsResponseBody;
use uuid::Uuid;

/// By which a client of the JSON protocol names its call.
const TARGET: &str = "x-amz-target";
const FORM: &str = "application/x-www-form-urlencoded";

/// What AWS answers to a call that it does not know, in the form of the Query protocol
/// (Amazon SQS API reference, "Common errors").
const MESSAGE: &str = "sqs-fifo speaks the AWS JSON protocol only. Use a client that \
    does: boto3 1.29, AWS CLI 1.30 or 2.14, or an AWS SDK of November 2023 or later.";

/// Whether a request is one of the Query protocol.
pub(crate) fn is_query<B>(request: &Request<B>) -> bool {
    let headers = request.headers();
    let form = headers.get(CONTENT_TYPE).and_then(|kind| kind.to_str().ok());
    let form = form.is_some_and(|kind| kind.to_ascii_lowercase().starts_with(FORM));
    let action = request
        .uri()
        .query()
        .is_some_and(|query| query.split('&').any(|parameter| parameter.starts_with("Action=")));
    !headers.contains_key(TARGET) && (form || action || request.method() == Method::GET)
}

/// The error, in XML.
pub(crate) fn refusal() -> Response<SqsResponseBody> {
    let id = Uuid::now_v7();
    let body = format!(
        "<?xml version=\"1.0\"?>\n\
         <ErrorResponse xmlns=\"http://queue.amazonaws.com/doc/2012-11-05/\">\
         <Error><Type>Sender</Type><Code>UnsupportedOperation</Code>\
         <Message>{MESSAGE}</Message><Detail/></Error>\
         <RequestId>{id}</RequestId></ErrorResponse>"
    );
    let mut response = Response::new(SqsResponseBody::from_bytes(body));
    *response.status_mut() = StatusCode::BAD_REQUEST;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("text/xml"));
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(kind: &str, target: Option<&str>, uri: &str) -> Request<()> {
        let mut request = Request::post(uri).header(CONTENT_TYPE, kind);
        if let Some(target) = target {
            request = request.header(TARGET, target);
        }
        request.body(()).unwrap()
    }

    #[test]
    fn a_form_or_an_action_is_the_query_protocol_and_a_target_is_not() {
        let json = "application/x-amz-json-1.0";
        assert!(is_query(&request("application/x-www-form-urlencoded; charset=utf-8", None, "/")));
        assert!(is_query(&request("text/plain", None, "/?Version=2012-11-05&Action=ListQueues")));
        assert!(!is_query(&request(json, Some("AmazonSQS.ListQueues"), "/")));
        assert!(!is_query(&request(json, None, "/")), "the other protocol says what is missing");
    }
}
