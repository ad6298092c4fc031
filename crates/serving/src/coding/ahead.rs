//! Large tensors, encoded while their first blocks are on the way.
//!
//! Encoding a few megabytes takes as long as sending them over a fast link. The codecs' payloads
//! are blocks that do not depend on each other, so the first of them can travel at once. The thread
//! that encodes never waits for the link: there are few of those, and links may be slow.

use super::{LARGE, Method, ModelCodecs, Shipment, Uncoded};
use kerf_bundle::Coding;
use kerf_codec::{Coder, EncodeError, Limits};
use kerf_tensor::{NamedTensor, Tensor};
use kerf_wire::{CodedTensor, Growing, Maker, Payload};

/// A tensor whose payload is still to be made.
struct Later {
    name: String,
    tensor: Tensor,
    coder: Coder,
    maker: Maker,
}

impl ModelCodecs {
    /// As [`Self::encode`], except that `ready` gets the shipment as soon as it can be begun to be
    /// sent: with large tensors in the making. Comes back when they are made, or when nobody wants
    /// them any more. A tensor that its codec refuses halfway goes as it is in the end.
    pub fn encode_ahead(
        &self,
        boundary: u16,
        tensors: Vec<NamedTensor>,
        coding: Coding,
        ready: impl FnOnce(Shipment),
    ) {
        let uncoded = Uncoded::default();
        let mut later = Vec::new();
        let tensors = tensors.into_iter().map(|named| match self.begin(boundary, &named, coding) {
            Some((coded, rest)) => {
                later.push(rest);
                coded
            }
            None => self.coded(boundary, named, coding, &uncoded),
        });
        let mut shipment = Some(Shipment { tensors: tensors.collect(), uncoded: uncoded.clone() });
        let mut ready = Some(ready);
        let mut send = || {
            if let (Some(ready), Some(shipment)) = (ready.take(), shipment.take()) {
                ready(shipment);
            }
        };
        for Later { name, tensor, coder, maker } in later {
            // Sent from the first chunk on: a header that waits for its payload is of no use.
            let failed = |error: EncodeError| {
                uncoded.note(self.failed(boundary, &name, coding, error.to_string()));
            };
            make(&coder, &tensor, maker, &mut send, failed);
            send();
        }
        send();
    }

    /// A tensor to encode later, where that pays and its codec takes it.
    fn begin(&self, boundary: u16, named: &NamedTensor, coding: Coding) -> Option<(CodedTensor, Later)> {
        let NamedTensor { name, tensor } = named;
        let raw = tensor.data().len();
        if raw < LARGE || coding == Coding::RAW {
            return None;
        }
        // What fails here fails again, with its reason, when the tensor is encoded as a whole.
        let Ok(Method::Codec(codec)) = self.method(boundary, name, coding.number()) else { return None };
        let coder = codec.coder(tensor.dtype(), tensor.shape(), Limits::default()).ok()?;
        // One that would not get smaller goes as it is.
        let most = coder.longest()?.min(raw - 1);
        let (maker, growing) = Growing::new(most as u64);
        let coded = CodedTensor {
            name: name.clone(),
            dtype: tensor.dtype(),
            shape: tensor.shape().to_vec(),
            codec: coding.number(),
            data: Payload::Growing(growing),
        };
        let later = Later { name: name.clone(), tensor: tensor.clone(), coder, maker };
        Some((coded, later))
    }
}

/// Encodes block by block; calls `started` when there is something to send, and `failed` before
/// anybody can see that the codec refused.
fn make(
    coder: &Coder,
    tensor: &Tensor,
    mut maker: Maker,
    started: &mut impl FnMut(),
    failed: impl FnOnce(EncodeError),
) {
    let made = coder.encoder(tensor).and_then(|mut encoder| {
        for index in 0..encoder.blocks() {
            let mut block = Vec::new();
            encoder.block(index, &mut block)?;
            if block.len() as u64 > maker.room() {
                return Ok(false);
            }
            maker.push(block.into());
            started();
            if !maker.is_wanted() {
                // Nobody can see how it ends.
                break;
            }
        }
        Ok(true)
    });
    match made {
        Ok(true) => maker.finish(),
        Ok(false) => maker.give_up(tensor.data().clone()),
        Err(error) => {
            failed(error);
            maker.give_up(tensor.data().clone());
        }
    }
}
