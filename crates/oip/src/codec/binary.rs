//! The two halves of a body: JSON, then raw bytes.

use crate::Failure;
use bytes::{Bytes, BytesMut};

/// A body in pieces, to be sent one after the other.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Body {
    /// The JSON.
    pub json: Bytes,
    /// Raw bytes of the tensors that are not in the JSON; `None` where all of them are.
    pub tensors: Option<Vec<Bytes>>,
}

impl Body {
    /// What `Inference-Header-Content-Length` says; `None` where the header is left out.
    pub fn header_length(&self) -> Option<usize> {
        self.tensors.as_ref().map(|_| self.json.len())
    }

    /// Bytes of the whole.
    pub fn len(&self) -> usize {
        self.json.len() + self.tensors.iter().flatten().map(Bytes::len).sum::<usize>()
    }

    /// Whether there is nothing.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The pieces, in order, none empty.
    pub fn into_chunks(self) -> Vec<Bytes> {
        std::iter::once(self.json)
            .chain(self.tensors.into_iter().flatten())
            .filter(|chunk| !chunk.is_empty())
            .collect()
    }
}

/// Raw bytes behind the JSON, given out tensor by tensor.
pub(super) struct Tail {
    rest: Option<Bytes>,
}

/// Divides a body, in chunks as they came, into its JSON and the rest.
///
/// Each half is a slice where it lies in one chunk. Where it does not, it gets a buffer of its
/// own, so that the first tensor starts aligned whatever the length of the JSON.
pub(super) fn divide(chunks: Vec<Bytes>, header_length: Option<usize>) -> Result<(Bytes, Tail), Failure> {
    let total: usize = chunks.iter().map(Bytes::len).sum();
    let Some(header_length) = header_length else {
        return Ok((join(chunks), Tail { rest: None }));
    };
    if header_length > total {
        return Err(Failure::invalid(format!(
            "Inference-Header-Content-Length is {header_length}, but the body has {total} bytes"
        )));
    }
    if header_length == 0 {
        return Err(Failure::invalid(
            "Inference-Header-Content-Length is 0: raw requests without a JSON header are not supported",
        ));
    }
    let (mut json, mut rest) = (Vec::new(), Vec::new());
    let mut wanted = header_length;
    for mut chunk in chunks {
        let head = chunk.split_to(wanted.min(chunk.len()));
        wanted -= head.len();
        json.extend(Some(head).filter(|head| !head.is_empty()));
        rest.extend(Some(chunk).filter(|chunk| !chunk.is_empty()));
    }
    Ok((join(json), Tail { rest: Some(join(rest)) }))
}

impl Tail {
    /// The next `size` bytes, for the tensor that `owner` names.
    pub(super) fn take(&mut self, size: usize, owner: &str) -> Result<Bytes, Failure> {
        let Some(rest) = &mut self.rest else {
            return Err(Failure::invalid(format!(
                "{owner} has binary_data_size, but the request has no Inference-Header-Content-Length"
            )));
        };
        if size > rest.len() {
            return Err(Failure::invalid(format!(
                "{owner}: binary_data_size is {size}, but only {} bytes are left in the body",
                rest.len()
            )));
        }
        Ok(rest.split_to(size))
    }

    /// Nothing may be left over.
    pub(super) fn finish(self) -> Result<(), Failure> {
        match self.rest.map_or(0, |rest| rest.len()) {
            0 => Ok(()),
            left => Err(Failure::invalid(format!(
                "{left} bytes follow the last tensor; the binary_data_size of the tensors must add up to the \
                 body behind the JSON"
            ))),
        }
    }
}

fn join(mut chunks: Vec<Bytes>) -> Bytes {
    match chunks.len() {
        0 => Bytes::new(),
        1 => chunks.swap_remove(0),
        _ => {
            let mut whole = BytesMut::with_capacity(chunks.iter().map(Bytes::len).sum());
            for chunk in chunks {
                whole.extend_from_slice(&chunk);
            }
            whole.freeze()
        }
    }
}
