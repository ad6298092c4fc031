//! Halves of a stream, with what quinn leaves to its user.

use crate::close;
use bytes::Bytes;
use kerf_wire::{Abandoned, Arrival, CodedTensor, Frame, Payload};
use quinn::crypto::rustls::HandshakeData;
use quinn::{ReadError, RecvStream, SendStream, VarInt, WriteError};
use std::time::Instant;

/// Whether both ends know tensors in chunks.
pub(crate) fn knows_chunks(connection: &quinn::Connection) -> bool {
    let handshake = connection.handshake_data().and_then(|data| data.downcast::<HandshakeData>().ok());
    handshake.is_some_and(|data| data.protocol.as_deref() == Some(kerf_wire::ALPN_CHUNKS))
}

/// Of a message of so many bytes on the stream of that number.
fn priority(bytes: u64, stream: u64) -> i32 {
    const STREAMS: u64 = 1 << 24;
    let class = u64::from(bytes.max(1).ilog2() / 2);
    -i32::try_from(class * STREAMS + stream % STREAMS).unwrap_or(i32::MAX)
}

/// Waits until nothing is added to tensors any more.
pub(crate) async fn all_made(tensors: &[CodedTensor]) {
    for tensor in tensors {
        if let Payload::Growing(growing) = &tensor.data {
            growing.ended().await;
        }
    }
}

/// The most bytes that the tensors will have: what is made so far says little of one that is being made.
pub(crate) fn most_bytes(tensors: &[CodedTensor]) -> u64 {
    let most = |tensor: &CodedTensor| match &tensor.data {
        // One that goes as it is may have more than was announced.
        Payload::Growing(growing) => growing.most().max(tensor.data.bytes()),
        data => data.bytes(),
    };
    tensors.iter().map(most).sum()
}

/// Bytes of the tensors, as far as they are made.
pub(crate) fn made_bytes(tensors: &[CodedTensor]) -> u64 {
    tensors.iter().map(|tensor| tensor.data.bytes()).sum()
}

/// Why a message was not sent to its end.
#[derive(Debug, thiserror::Error)]
pub(crate) enum SendError {
    #[error(transparent)]
    Write(#[from] WriteError),
    #[error(transparent)]
    Abandoned(#[from] Abandoned),
}

/// Dropped unfinished, it tells the peer so. Quinn would end the stream as if it were
/// complete, and the peer would take a message cut short for a malformed one.
pub(crate) struct Sender {
    pub(crate) stream: SendStream,
    on_drop: Option<VarInt>,
}

impl Sender {
    pub(crate) fn new(stream: SendStream, on_drop: VarInt) -> Self {
        Self { stream, on_drop: Some(on_drop) }
    }

    /// Writes a frame, as it is made, and ends the stream.
    pub(crate) async fn send(&mut self, mut frame: Frame) -> Result<(), SendError> {
        while let Some(mut bytes) = frame.next().await? {
            self.stream.write_all_chunks(&mut bytes).await?;
        }
        self.stream.finish().map_err(|_| WriteError::ClosedStream.into())
    }

    /// Lets the stream go before others by the size of its message: a small one, which delays a large
    /// one by little, is not to wait for it. Of those of about one size, within a power of four, the
    /// first goes first: taking turns would delay each to the end of all.
    pub(crate) fn set_size(&mut self, bytes: u64) {
        let priority = priority(bytes, self.stream.id().index());
        // An error says that the stream is closed already.
        let _ = self.stream.set_priority(priority);
    }

    /// From now on, a drop is in order.
    pub(crate) fn done(&mut self) {
        self.on_drop = None;
    }

    /// Ends the stream with a code instead of a message.
    pub(crate) fn reset(mut self, code: VarInt) {
        self.on_drop = Some(code);
    }
}

impl Drop for Sender {
    fn drop(&mut self) {
        if let Some(code) = self.on_drop {
            // An error says that the stream is closed already.
            let _ = self.stream.reset(code);
        }
    }
}

/// Reads chunks, and takes the times at which they come.
pub(crate) struct Receiver {
    stream: RecvStream,
    chunks: [Bytes; 32],
    /// Time of the first chunk, of the last one, and bytes after the first.
    seen: Option<(Instant, Instant, u64)>,
    ended: bool,
}

impl Receiver {
    pub(crate) fn new(stream: RecvStream) -> Self {
        Self { stream, chunks: [const { Bytes::new() }; 32], seen: None, ended: false }
    }

    /// Waits for the next chunks; none at the end. May be cancelled without loss.
    pub(crate) async fn next(&mut self) -> Result<Option<impl Iterator<Item = Bytes> + '_>, ReadError> {
        let Some(count) = self.stream.read_chunks(&mut self.chunks).await? else {
            self.ended = true;
            return Ok(None);
        };
        let chunks = &mut self.chunks[..count];
        let now = Instant::now();
        let bytes: u64 = chunks.iter().map(|chunk| chunk.len() as u64).sum();
        self.seen = Some(match self.seen {
            None => (now, now, bytes - chunks.first().map_or(0, |chunk| chunk.len() as u64)),
            Some((first, _, after)) => (first, now, after + bytes),
        });
        Ok(Some(chunks.iter_mut().map(std::mem::take)))
    }

    /// When the first chunk came.
    pub(crate) fn began(&self) -> Option<Instant> {
        self.seen.map(|(first, _, _)| first)
    }

    pub(crate) fn arrival(&self) -> Arrival {
        self.seen.map_or_else(Arrival::default, |(first, last, bytes_after_first)| Arrival {
            first_to_last: last - first,
            bytes_after_first,
        })
    }

    /// No more is wanted.
    pub(crate) fn stop(&mut self, code: VarInt) {
        self.ended = true;
        // An error says that the stream is closed already.
        let _ = self.stream.stop(code);
    }
}

impl Drop for Receiver {
    fn drop(&mut self) {
        if !self.ended {
            self.stop(close::CANCELLED);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn small_goes_first_and_equals_go_in_turn() {
        assert!(priority(4_000, 9) > priority(500_000, 0));
        assert!(priority(5_000, 3) > priority(4_100, 4));
        assert!(priority(0, 1) > priority(4, 0));
        assert!(priority(u64::MAX, u64::MAX) < priority(1 << 40, 0));
    }
}
