//! The answers of the server itself: a status, one sentence for a person, and when to try again.

use bytes::Bytes;
use http::{HeaderValue, Response, StatusCode, header};

use super::body::ResponseBody;

/// Why no guest answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Refusal {
    /// The request names no host.
    NoHost,
    /// No component has a route for the path.
    NoRoute,
    /// The body is larger than the product takes.
    TooLarge,
    /// The guest trapped or gave no response.
    Failed,
    /// The guest took too long.
    TooSlow,
    /// As many requests as the product takes are in guests.
    Full,
    /// The component does nothing but trap; it is tried again after so many seconds.
    Trapping(u64),
    /// The meter takes no new usage, or usage could not be recorded.
    Stopped,
}

impl Refusal {
    pub(super) fn response(self) -> Response<ResponseBody> {
        let (status, retry_after_s, text) = self.words();
        let mut response = Response::new(ResponseBody::Own(Some(Bytes::from_static(text.as_bytes()))));
        *response.status_mut() = status;
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("text/plain; charset=utf-8"));
        if let Some(seconds) = retry_after_s {
            headers.insert(header::RETRY_AFTER, HeaderValue::from(seconds));
        }
        response
    }

    fn words(self) -> (StatusCode, Option<u64>, &'static str) {
        match self {
            Self::NoHost => (StatusCode::BAD_REQUEST, None, "The request names no host.\n"),
            Self::NoRoute => (StatusCode::NOT_FOUND, None, "Nothing answers this path.\n"),
            Self::TooLarge => (StatusCode::PAYLOAD_TOO_LARGE, None, "The request body is too large.\n"),
            Self::Failed => (StatusCode::INTERNAL_SERVER_ERROR, None, "The request could not be answered.\n"),
            Self::TooSlow => (StatusCode::GATEWAY_TIMEOUT, None, "The request took too long.\n"),
            Self::Full => (StatusCode::SERVICE_UNAVAILABLE, Some(1), "Too many requests at the same time.\n"),
            Self::Trapping(seconds) => {
                (StatusCode::SERVICE_UNAVAILABLE, Some(seconds), "What answers here fails again and again.\n")
            }
            Self::Stopped => (StatusCode::SERVICE_UNAVAILABLE, Some(60), "Usage cannot be recorded at the moment.\n"),
        }
    }
}
