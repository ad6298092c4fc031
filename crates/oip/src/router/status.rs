//! Failures as HTTP, all in one place.

use crate::{Failure, FailureKind};
use axum::Json;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};

/// The status of a failure.
pub(crate) fn of(kind: FailureKind) -> StatusCode {
    match kind {
        FailureKind::NotFound => StatusCode::NOT_FOUND,
        FailureKind::Invalid => StatusCode::BAD_REQUEST,
        FailureKind::TooLarge => StatusCode::PAYLOAD_TOO_LARGE,
        FailureKind::SlowBody => StatusCode::REQUEST_TIMEOUT,
        FailureKind::UnsupportedEncoding => StatusCode::UNSUPPORTED_MEDIA_TYPE,
        FailureKind::Overloaded | FailureKind::Unavailable => StatusCode::SERVICE_UNAVAILABLE,
        FailureKind::Deadline => StatusCode::GATEWAY_TIMEOUT,
        FailureKind::Internal => StatusCode::INTERNAL_SERVER_ERROR,
    }
}

/// The status of a health question: the protocol has 200 for yes and 4xx for no.
pub(crate) fn of_health(yes: bool) -> StatusCode {
    if yes { StatusCode::OK } else { StatusCode::BAD_REQUEST }
}

impl IntoResponse for Failure {
    fn into_response(self) -> Response {
        let status = of(self.kind);
        if status.is_server_error() {
            tracing::warn!(status = status.as_u16(), error = %self.message, "request failed");
        }
        let mut response = (status, Json(serde_json::json!({ "error": self.message }))).into_response();
        let headers = response.headers_mut();
        match self.kind {
            FailureKind::Overloaded | FailureKind::Unavailable => {
                headers.insert(header::RETRY_AFTER, HeaderValue::from_static("1"));
            }
            FailureKind::UnsupportedEncoding => {
                headers.insert(header::ACCEPT_ENCODING, HeaderValue::from_static("identity"));
            }
            _ => {}
        }
        response
    }
}
