//! Progressive answers, as server-sent events.
//!
//! A client that accepts `text/event-stream` gets each answer that may yet change as an event
//! `provisional`, then one event `final`, or `error` where there is none: each holds the JSON that
//! the client would get otherwise. (Source: <https://html.spec.whatwg.org/multipage/server-sent-events.html>.)

use super::status;
use crate::codec::{OutputEncoding, format_response};
use crate::service::Provisional;
use crate::{Failure, InferRequest, InferResponse, InferenceService};
use axum::body::{Body, HttpBody};
use axum::http::{HeaderMap, HeaderValue, header};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use http_body::Frame;
use std::convert::Infallible;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

const EVENT_STREAM: &str = "text/event-stream";

/// Provisional answers that wait for a slow client; further ones are not sent, the final one always is.
const WAITING: usize = 8;

/// Whether a client asks for events.
pub(super) fn wanted(headers: &HeaderMap) -> bool {
    let accepted = headers.get_all(header::ACCEPT).iter().filter_map(|value| value.to_str().ok());
    accepted
        .flat_map(|value| value.split(','))
        .any(|kind| kind.split(';').next().is_some_and(|kind| kind.trim().eq_ignore_ascii_case(EVENT_STREAM)))
}

/// The answer to a request as it comes about. Raw bytes have no place in events: outputs are JSON.
pub(super) fn answer(service: Arc<dyn InferenceService>, request: InferRequest) -> Response {
    let (send, provisional) = mpsc::channel(WAITING);
    let work = async move { service.infer_progressively(request, Provisional(send)).await };
    // Apart from the connection: a client that does not read must not hold up the work and its deadline.
    let events = Events { provisional, work: Some(tokio::spawn(work)) };
    let headers = [
        (header::CONTENT_TYPE, HeaderValue::from_static(EVENT_STREAM)),
        (header::CACHE_CONTROL, HeaderValue::from_static("no-store")),
    ];
    (headers, Body::new(events)).into_response()
}

/// Dropped with the connection, and the work with it.
struct Events {
    provisional: mpsc::Receiver<InferResponse>,
    /// None when its end was told.
    work: Option<JoinHandle<Result<InferResponse, Failure>>>,
}

impl HttpBody for Events {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        // What was said on the way comes first; the channel ends with the work.
        match self.provisional.poll_recv(context) {
            Poll::Ready(Some(response)) => return Poll::Ready(Some(Ok(event("provisional", Ok(response))))),
            Poll::Ready(None) => {}
            Poll::Pending => return Poll::Pending,
        }
        let Some(work) = &mut self.work else { return Poll::Ready(None) };
        let Poll::Ready(done) = Pin::new(work).poll(context) else { return Poll::Pending };
        self.work = None;
        let done = done.unwrap_or_else(|error| Err(Failure::internal(format!("the request ended: {error}"))));
        Poll::Ready(Some(Ok(event("final", done))))
    }

    fn is_end_stream(&self) -> bool {
        self.work.is_none()
    }
}

impl Drop for Events {
    fn drop(&mut self) {
        if let Some(work) = &self.work {
            work.abort();
        }
    }
}

fn event(name: &str, answer: Result<InferResponse, Failure>) -> Frame<Bytes> {
    let json = OutputEncoding::default();
    let body = answer.and_then(|response| format_response(&response, &json));
    let (name, data) = match body {
        Ok(body) => (name, body.into_chunks().concat()),
        Err(failure) => {
            let said =
                serde_json::json!({ "error": failure.message, "status": status::of(failure.kind).as_u16() });
            ("error", said.to_string().into_bytes())
        }
    };
    // JSON as it is written here has no line breaks, which would end the event.
    let mut bytes = format!("event: {name}\ndata: ").into_bytes();
    bytes.extend(data);
    bytes.extend(b"\n\n");
    Frame::data(bytes.into())
}
