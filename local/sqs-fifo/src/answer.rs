//! Bodies in JSON: read from requests, written into answers.

use hyper::header::{CONTENT_TYPE, HeaderValue};
use hyper::{Response, StatusCode};
use rustack_sqs_http::body::SqsResponseBody;
use rustack_sqs_http::response::CONTENT_TYPE as JSON;
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::engine::SqsError;

/// Reads a request's body.
pub(crate) fn read<T: DeserializeOwned>(body: &[u8]) -> Result<T, SqsError> {
    let body = if body.is_empty() { b"{}" } else { body };
    serde_json::from_slice(body).map_err(|error| {
        let text = error.to_string();
        match text.strip_prefix("missing field `").and_then(|rest| rest.split('`').next()) {
            Some(field) => SqsError::MissingParameter(field.to_owned()),
            None => SqsError::InvalidParameterValue(text),
        }
    })
}

/// Writes an answer's body.
pub(crate) fn write<T: Serialize>(answer: &T) -> Result<Vec<u8>, SqsError> {
    write_into(Vec::with_capacity(128), answer)
}

/// Writes an answer's body into empty memory.
pub(crate) fn write_into<T: Serialize>(
    mut memory: Vec<u8>,
    answer: &T,
) -> Result<Vec<u8>, SqsError> {
    match serde_json::to_writer(&mut memory, answer) {
        Ok(()) => Ok(memory),
        Err(error) => Err(SqsError::InvalidParameterValue(error.to_string())),
    }
}

/// The HTTP answer.
pub(crate) fn respond(answer: Result<Vec<u8>, SqsError>) -> Response<SqsResponseBody> {
    let error = match answer {
        Ok(body) => return with_body(StatusCode::OK, body),
        Err(error) => error,
    };
    let body = serde_json::json!({ "__type": error.shape(), "message": error.to_string() });
    let status = StatusCode::from_u16(error.status()).unwrap_or(StatusCode::BAD_REQUEST);
    let mut response = with_body(status, body.to_string().into_bytes());
    if let Ok(code) = HeaderValue::try_from(format!("{};Sender", error.code())) {
        response.headers_mut().insert("x-amzn-query-error", code);
    }
    response
}

fn with_body(status: StatusCode, body: Vec<u8>) -> Response<SqsResponseBody> {
    let mut response = Response::new(SqsResponseBody::from_json(body));
    *response.status_mut() = status;
    let json = HeaderValue::from_static(JSON);
    response.headers_mut().insert(CONTENT_TYPE, json);
    response
}
