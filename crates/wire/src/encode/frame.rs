use super::EncodeError;
use crate::chunk;
use crate::payload::{End, Growing, Grown};
use bytes::Bytes;
use std::collections::VecDeque;
use std::task::{Context, Poll};

/// A message as it is written: what is there at once, and the rest as it is made.
#[derive(Debug)]
pub struct Frame {
    parts: VecDeque<Part>,
}

/// What follows a header, in order.
#[derive(Debug)]
pub(super) enum Part {
    Bytes(Bytes),
    /// In chunks; so many of them are written.
    Growing {
        growing: Growing,
        sent: usize,
    },
}

/// Nobody makes the rest of a tensor, so the message cannot be ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the encoder of a tensor gave up")]
pub struct Abandoned;

impl Frame {
    pub(super) fn new(header: Bytes, parts: Vec<Part>) -> Self {
        let is_empty = |part: &Part| matches!(part, Part::Bytes(bytes) if bytes.is_empty());
        let parts = parts.into_iter().filter(|part| !is_empty(part));
        Self { parts: std::iter::once(Part::Bytes(header)).chain(parts).collect() }
    }

    /// The next bytes to write, as many as there are, once there are some; `None` after the last.
    /// May be cancelled without loss.
    pub async fn next(&mut self) -> Result<Option<Vec<Bytes>>, Abandoned> {
        std::future::poll_fn(|context| self.poll_next(context)).await
    }

    fn poll_next(&mut self, context: &mut Context<'_>) -> Poll<Result<Option<Vec<Bytes>>, Abandoned>> {
        let mut out = Vec::new();
        while let Some(part) = self.parts.front_mut() {
            match part {
                Part::Bytes(bytes) => out.push(std::mem::take(bytes)),
                Part::Growing { growing, sent } => {
                    let grown = if out.is_empty() {
                        match growing.poll_from(*sent, context) {
                            Poll::Ready(grown) => grown,
                            Poll::Pending => return Poll::Pending,
                        }
                    } else {
                        growing.now(*sent)
                    };
                    *sent += grown.chunks.len();
                    match write(grown, &mut out) {
                        Ok(true) => {}
                        Ok(false) => break,
                        Err(abandoned) => return Poll::Ready(Err(abandoned)),
                    }
                }
            }
            self.parts.pop_front();
        }
        Poll::Ready(Ok(Some(out).filter(|out| !out.is_empty())))
    }

    /// All of it, where all is there.
    pub(super) fn whole(self) -> Result<Vec<Bytes>, EncodeError> {
        let part = |part| match part {
            Part::Bytes(bytes) => Ok(bytes),
            Part::Growing { .. } => Err(EncodeError::Unfinished),
        };
        self.parts.into_iter().map(part).collect()
    }
}

/// Appends what was made; whether that was the end.
fn write(grown: Grown, out: &mut Vec<Bytes>) -> Result<bool, Abandoned> {
    for chunk in grown.chunks {
        let length = u32::try_from(chunk.len()).map_err(|_| Abandoned)?;
        out.extend([Bytes::copy_from_slice(&length.to_le_bytes()), chunk]);
    }
    match grown.end {
        None => Ok(false),
        Some(End::Complete) => {
            out.push(Bytes::from_static(&chunk::END));
            Ok(true)
        }
        Some(End::AsItIs(raw)) => {
            out.push(Bytes::from_static(&chunk::AS_IT_IS));
            out.extend(Some(raw).filter(|raw| !raw.is_empty()));
            Ok(true)
        }
        Some(End::Abandoned) => Err(Abandoned),
    }
}
