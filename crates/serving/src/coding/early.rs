//! Large tensors, decoded while they arrive.
//!
//! Decoding takes about as long as encoding, and nearly all of it can be done while the rest of the
//! tensor is still on its way. What would then be worse is a compute thread that waits for a link:
//! so a thread takes what has come, decodes it and is gone, and it does so only where no other work
//! wants it. When all threads are busy nothing is decoded early, and the request waits for a thread
//! once, at its end, as it would without this.

use super::{CodingError, LARGE, Method};
use crate::{Compute, Served};
use kerf_bundle::Coding;
use kerf_codec::{Decoder, Limits};
use kerf_tensor::{NamedTensor, Tensor};
use kerf_wire::{CODEC_RAW, CodedTensor, Intake, Payload, TensorHeader};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Bytes that are worth a thread.
const WORTH: usize = 8 << 10;

/// Decodes the large tensors of a message while they arrive.
pub struct EarlyDecoder {
    served: Arc<Served>,
    boundary: u16,
    compute: Compute,
    /// By the tensors' places.
    slots: Vec<Option<Arc<Slot>>>,
}

/// One tensor.
struct Slot {
    served: Arc<Served>,
    boundary: u16,
    header: TensorHeader,
    arrived: Mutex<Arrived>,
    /// Locked while it decodes.
    decoding: Mutex<Decoding>,
}

#[derive(Default)]
struct Arrived {
    /// What is not decoded yet.
    bytes: Vec<u8>,
    /// A thread will look again.
    is_watched: bool,
}

#[derive(Default)]
enum Decoding {
    /// Nothing is decoded, and neither codec nor memory made ready for it.
    #[default]
    Untouched,
    Begun(Box<Decoder>),
    Failed(CodingError),
    /// By a thread that did not come back.
    Lost,
}

impl EarlyDecoder {
    /// For a message with tensors of a boundary of the model. Needs a tokio runtime when bytes come.
    pub fn new(served: Arc<Served>, boundary: u16, compute: Compute) -> Self {
        Self { served, boundary, compute, slots: Vec::new() }
    }

    /// The model.
    pub fn served(&self) -> &Arc<Served> {
        &self.served
    }

    /// Whether it would take some of the tensors.
    pub fn wants(&self, tensors: &[TensorHeader]) -> bool {
        tensors.iter().any(is_worth)
    }

    /// The tensors of the message, of which some were taken on the way. Decodes what is left to
    /// decode, so not for a thread that must not wait.
    ///
    /// # Errors
    /// A codec that is not known, or bytes that are none of its.
    pub fn finish(self, tensors: Vec<CodedTensor>) -> Result<Vec<NamedTensor>, CodingError> {
        let mut slots = self.slots.into_iter();
        let decode = |coded: CodedTensor| match (slots.next().flatten(), &coded.data) {
            (Some(slot), Payload::Taken { .. }) => {
                Ok(NamedTensor { name: coded.name, tensor: slot.finish()? })
            }
            _ => self.served.codecs.decode_one(self.boundary, coded),
        };
        tensors.into_iter().map(decode).collect()
    }
}

/// Whether a tensor is large, and a codec's rather than pixels.
fn is_worth(tensor: &TensorHeader) -> bool {
    let is_coded = matches!(Coding::from_number(tensor.codec), Some(Coding::Tensor(_)));
    is_coded && tensor.codec != CODEC_RAW && tensor.decoded().is_some_and(|bytes| bytes >= LARGE as u64)
}

impl Intake for EarlyDecoder {
    fn begin(&mut self, tensors: &[TensorHeader]) -> Vec<usize> {
        // Nothing is built here: messages arrive where connections are served.
        let slot = |header: &TensorHeader| {
            let (arrived, decoding) = (Mutex::default(), Mutex::default());
            let (served, boundary, header) = (Arc::clone(&self.served), self.boundary, header.clone());
            Arc::new(Slot { served, boundary, header, arrived, decoding })
        };
        self.slots = tensors.iter().map(|tensor| is_worth(tensor).then(|| slot(tensor))).collect();
        let taken = self.slots.iter().enumerate().filter(|(_, slot)| slot.is_some());
        taken.map(|(index, _)| index).collect()
    }

    fn take(&mut self, tensor: usize, bytes: &[u8]) {
        let Some(Some(slot)) = self.slots.get(tensor) else { return };
        let mut arrived = lock(&slot.arrived);
        arrived.bytes.extend_from_slice(bytes);
        if !arrived.is_watched && arrived.bytes.len() >= WORTH {
            let slot = Arc::clone(slot);
            arrived.is_watched = self.compute.run_if_free(move || slot.decode());
        }
    }
}

impl Slot {
    /// Decodes until nothing is left.
    fn decode(&self) {
        let mut decoding = lock(&self.decoding);
        loop {
            let bytes = {
                let mut arrived = lock(&self.arrived);
                if arrived.bytes.is_empty() {
                    arrived.is_watched = false;
                    return;
                }
                std::mem::take(&mut arrived.bytes)
            };
            // Stays so where decoding panics.
            let now = std::mem::replace(&mut *decoding, Decoding::Lost);
            *decoding = self.decoded(now, &bytes);
        }
    }

    fn decoded(&self, decoding: Decoding, bytes: &[u8]) -> Decoding {
        let decoder = match decoding {
            Decoding::Untouched => self.decoder(),
            Decoding::Begun(decoder) => Ok(decoder),
            ended => return ended,
        };
        let pushed = decoder.and_then(|mut decoder| {
            decoder.push(bytes).map_err(|error| self.failed(error.to_string()))?;
            Ok(decoder)
        });
        pushed.map_or_else(Decoding::Failed, Decoding::Begun)
    }

    /// Waits for a thread that still decodes.
    fn finish(&self) -> Result<Tensor, CodingError> {
        self.decode();
        let decoder = match std::mem::replace(&mut *lock(&self.decoding), Decoding::Lost) {
            Decoding::Untouched => self.decoder()?,
            Decoding::Begun(decoder) => decoder,
            Decoding::Failed(error) => return Err(error),
            Decoding::Lost => return Err(self.failed("the thread that decoded it stopped".to_owned())),
        };
        decoder.finish().map_err(|error| self.failed(error.to_string()))
    }

    fn decoder(&self) -> Result<Box<Decoder>, CodingError> {
        let TensorHeader { name, dtype, shape, codec, .. } = &self.header;
        let Method::Codec(codec) = self.served.codecs.method(self.boundary, name, *codec)? else {
            return Err(self.failed("it does not come in blocks".to_owned()));
        };
        let coder = codec.coder(*dtype, shape, Limits::default());
        coder.map(|coder| Box::new(coder.decoder())).map_err(|error| self.failed(error.to_string()))
    }

    fn failed(&self, reason: String) -> CodingError {
        let coding = Coding::from_number(self.header.codec).unwrap_or(Coding::RAW);
        self.served.codecs.failed(self.boundary, &self.header.name, coding, reason)
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
