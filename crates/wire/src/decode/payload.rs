//! The part of a frame after its header: tensors' bytes, whole or in chunks, kept or handed out.

use super::DecodeError;
use crate::chunk::Prefix;
use crate::{CODEC_RAW, CodedTensor, Payload, TensorHeader};
use bytes::{Buf, Bytes};
use std::collections::VecDeque;

/// What has come of a message's tensors.
#[derive(Debug, Default)]
pub(super) struct Tensors {
    /// Those that are complete.
    done: Vec<Done>,
    /// Of the next one.
    current: Current,
    /// Which ones are handed out; beyond its end, none.
    taken: Vec<bool>,
    /// What is to be handed out.
    pieces: VecDeque<(usize, Bytes)>,
}

#[derive(Debug)]
struct Done {
    data: Payload,
    /// It came raw, whatever its header said.
    as_it_is: bool,
}

#[derive(Debug, Default)]
struct Current {
    /// Bytes that came, those that were handed out among them.
    came: u64,
    /// Those that are kept.
    kept: Vec<u8>,
    framing: Framing,
}

/// Where a tensor is, in terms of [`crate::chunk`].
#[derive(Clone, Copy, Debug)]
enum Framing {
    /// Before a chunk, with so many bytes of its prefix. Whole tensors stay here.
    Prefix { bytes: [u8; 4], have: usize },
    /// In a chunk that has so many bytes left.
    Chunk { left: usize },
    /// The chunks are void.
    AsItIs,
}

impl Default for Framing {
    fn default() -> Self {
        Self::Prefix { bytes: [0; 4], have: 0 }
    }
}

impl Tensors {
    /// All of those that have no bytes are complete before any come.
    pub(super) fn new(headers: &[TensorHeader]) -> Self {
        let mut tensors = Self::default();
        tensors.skip_empty(headers);
        tensors
    }

    pub(super) fn is_complete(&self, headers: &[TensorHeader]) -> bool {
        self.done.len() == headers.len()
    }

    /// Hands a tensor out from now on, and what came of it; one that is complete or raw is kept.
    pub(super) fn hand_out(&mut self, headers: &[TensorHeader], index: usize) {
        let next = self.done.len();
        let as_it_is = index == next && matches!(self.current.framing, Framing::AsItIs);
        if index < next || as_it_is || headers.get(index).is_none_or(|header| header.codec == CODEC_RAW) {
            return;
        }
        self.taken.resize(headers.len(), false);
        self.taken[index] = true;
        if index == next && !self.current.kept.is_empty() {
            self.pieces.push_back((index, std::mem::take(&mut self.current.kept).into()));
        }
    }

    pub(super) fn next_piece(&mut self) -> Option<(usize, Bytes)> {
        self.pieces.pop_front()
    }

    /// Takes something off `input`, which is not empty.
    pub(super) fn take(&mut self, input: &mut Bytes, headers: &[TensorHeader]) -> Result<(), DecodeError> {
        let header = headers.get(self.done.len()).ok_or(DecodeError::Trailing)?;
        match self.current.framing {
            Framing::AsItIs => self.whole(input, header.decoded().unwrap_or(0)),
            _ if !header.chunked => self.whole(input, header.bytes),
            Framing::Prefix { bytes, have } => self.prefix(input, header, bytes, have)?,
            Framing::Chunk { left } => {
                let piece = input.split_to(input.len().min(left));
                let left = left - piece.len();
                self.keep(piece, header.bytes);
                self.current.framing = if left > 0 { Framing::Chunk { left } } else { Framing::default() };
            }
        }
        self.skip_empty(headers);
        Ok(())
    }

    /// A tensor of `want` bytes. The header was checked against a limit that the target's memory,
    /// and so usize, bounds.
    fn whole(&mut self, input: &mut Bytes, want: u64) {
        let left = want.saturating_sub(self.current.came) as usize;
        if self.current.came == 0 && input.len() >= left && left >= WORTH_SHARING && !self.is_taken() {
            let data = input.split_to(left);
            return self.complete(data.into());
        }
        let piece = input.split_to(input.len().min(left));
        self.keep(piece, want);
        if self.current.came == want {
            self.end();
        }
    }

    fn prefix(
        &mut self,
        input: &mut Bytes,
        header: &TensorHeader,
        mut bytes: [u8; 4],
        mut have: usize,
    ) -> Result<(), DecodeError> {
        let taken = input.len().min(bytes.len() - have);
        input.copy_to_slice(&mut bytes[have..have + taken]);
        have += taken;
        if have < bytes.len() {
            self.current.framing = Framing::Prefix { bytes, have };
            return Ok(());
        }
        match Prefix::from(bytes) {
            Prefix::End => self.end(),
            Prefix::Chunk(length) if self.current.came + u64::from(length) > header.bytes => {
                return Err(DecodeError::Chunks { name: header.name.clone(), most: header.bytes });
            }
            Prefix::Chunk(length) => self.current.framing = Framing::Chunk { left: length as usize },
            Prefix::AsItIs => {
                let index = self.done.len();
                self.pieces.retain(|(piece, _)| *piece != index);
                if let Some(taken) = self.taken.get_mut(index) {
                    *taken = false;
                }
                self.current = Current { framing: Framing::AsItIs, ..Current::default() };
                if header.decoded().unwrap_or(0) == 0 {
                    self.end();
                }
            }
        }
        Ok(())
    }

    /// Takes in a piece of the next tensor, which has `most` bytes at most.
    fn keep(&mut self, piece: Bytes, most: u64) {
        self.current.came += piece.len() as u64;
        if self.is_taken() {
            self.pieces.push_back((self.done.len(), piece));
        } else {
            make_room(&mut self.current.kept, piece.len(), most as usize);
            self.current.kept.extend_from_slice(&piece);
        }
    }

    fn is_taken(&self) -> bool {
        self.taken.get(self.done.len()).is_some_and(|taken| *taken)
    }

    /// The next tensor is complete, with what was taken in.
    fn end(&mut self) {
        let data = if self.is_taken() {
            Payload::Taken { bytes: self.current.came }
        } else {
            Bytes::from(std::mem::take(&mut self.current.kept)).into()
        };
        self.complete(data);
    }

    fn complete(&mut self, data: Payload) {
        let as_it_is = matches!(self.current.framing, Framing::AsItIs);
        self.done.push(Done { data, as_it_is });
        self.current = Current::default();
    }

    fn skip_empty(&mut self, headers: &[TensorHeader]) {
        while headers.get(self.done.len()).is_some_and(|header| header.bytes == 0 && !header.chunked) {
            self.complete(Bytes::new().into());
        }
    }

    /// The tensors, where all are complete.
    pub(super) fn finish(self, headers: &[TensorHeader]) -> Result<Vec<CodedTensor>, DecodeError> {
        if !self.is_complete(headers) {
            return Err(DecodeError::Truncated);
        }
        let tensors = headers.iter().zip(self.done).map(|(header, Done { data, as_it_is })| {
            let TensorHeader { name, dtype, shape, codec, .. } = header.clone();
            let codec = if as_it_is { CODEC_RAW } else { codec };
            let tensor = CodedTensor { name, dtype, shape, codec, data };
            match tensor.as_raw() {
                Some(Err(source)) => Err(DecodeError::Tensor { name: tensor.name, source }),
                _ => Ok(tensor),
            }
        });
        tensors.collect()
    }

    #[cfg(test)]
    pub(super) fn held(&self) -> usize {
        self.current.kept.capacity()
    }
}

/// A slice keeps the whole receive buffer alive; a smaller tensor is better copied out of it.
const WORTH_SHARING: usize = 1024;

/// Doubles, but never past `want`, which the sender only claims.
fn make_room(kept: &mut Vec<u8>, more: usize, want: usize) {
    let needed = kept.len() + more;
    if needed > kept.capacity() {
        let capacity = needed.max(kept.capacity() * 2).min(want.max(needed));
        kept.reserve_exact(capacity - kept.len());
    }
}
