//! Bodies in and out, as the chunks that they are.

use crate::{Failure, FailureKind, Limits};
use axum::body::{Body, HttpBody};
use axum::http::{HeaderMap, header};
use bytes::{Bytes, BytesMut};
use http_body::{Frame, SizeHint};
use std::collections::VecDeque;
use std::convert::Infallible;
use std::pin::Pin;
use std::task::{Context, Poll};

/// Chunks below this are joined, or a client that sends single bytes would make a handle of each.
const SMALL: usize = 4 << 10;

/// The chunks of a body within `limits`. A larger one is refused as soon as that is
/// known, by its `Content-Length` before anything is read.
pub(super) async fn read(
    mut body: Body,
    headers: &HeaderMap,
    limits: &Limits,
) -> Result<Vec<Bytes>, Failure> {
    let (limit, pause) = (limits.body, limits.pause);
    let too_large =
        || Failure::new(FailureKind::TooLarge, format!("the body is larger than the {limit} bytes accepted"));
    let declared =
        headers.get(header::CONTENT_LENGTH).and_then(|value| value.to_str().ok()?.parse::<u64>().ok());
    if declared.is_some_and(|length| length > limit as u64) {
        return Err(too_large());
    }
    let (mut chunks, mut small, mut total) = (Vec::new(), BytesMut::new(), 0usize);
    loop {
        let next = std::future::poll_fn(|context| Pin::new(&mut body).poll_frame(context));
        let silent = |_| {
            let message =
                format!("nothing of the body came for {} s, after {total} bytes", pause.as_secs_f64());
            Failure::new(FailureKind::SlowBody, message)
        };
        let Some(frame) = tokio::time::timeout(pause, next).await.map_err(silent)? else { break };
        let frame = frame.map_err(|error| Failure::invalid(format!("the body broke off: {error}")))?;
        let Ok(chunk) = frame.into_data() else { continue };
        total = total.saturating_add(chunk.len());
        if total > limit {
            return Err(too_large());
        }
        if chunk.len() < SMALL {
            small.extend_from_slice(&chunk);
        } else {
            chunks.extend([small.split().freeze(), chunk]);
        }
    }
    chunks.push(small.freeze());
    chunks.retain(|chunk| !chunk.is_empty());
    Ok(chunks)
}

/// Sends chunks as they are: the transport gathers them into one write, nothing copies them together.
pub(super) struct Chunks {
    chunks: VecDeque<Bytes>,
    left: u64,
}

impl Chunks {
    pub(super) fn new(chunks: Vec<Bytes>) -> Self {
        let left = chunks.iter().map(|chunk| chunk.len() as u64).sum();
        Self { chunks: chunks.into(), left }
    }
}

impl HttpBody for Chunks {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        Poll::Ready(self.chunks.pop_front().map(|chunk| {
            self.left -= chunk.len() as u64;
            Ok(Frame::data(chunk))
        }))
    }

    fn is_end_stream(&self) -> bool {
        self.chunks.is_empty()
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.left)
    }
}
