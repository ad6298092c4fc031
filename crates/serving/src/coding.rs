//! Tensors to what travels, and back, by the codecs that both ends of a link hold.

mod ahead;
mod early;

pub use early::EarlyDecoder;

use kerf_bundle::{Bundle, Codecs, Coding, Encoded};
use kerf_codec::{Book, Codec, CodecId, Kind, Limits, Spec};
use kerf_preprocess::Recode;
use kerf_tensor::{DType, NamedTensor, Tensor};
use kerf_wire::{CODEC_RAW, CodedTensor};
use std::collections::HashMap;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

/// From so many bytes on, a tensor is sent while it is encoded, and decoded while it arrives: eight
/// of the codecs' blocks. Below, handing blocks over costs more than it gains.
const LARGE: usize = 512 << 10;

/// The codecs of one model, each made ready when it is first used.
pub struct ModelCodecs {
    codecs: Option<Codecs>,
    /// What turns pictures into an input, and so knows what pixels an input was made of.
    pictures: Option<Encoded>,
    ready: Mutex<HashMap<(u16, CodecId, String), Arc<Codec>>>,
}

/// Why a tensor cannot travel so, or what came is no tensor.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CodingError {
    /// A number that means nothing here.
    #[error("tensor '{name}': {reason}")]
    Unknown {
        /// The tensor.
        name: String,
        /// What is not known.
        reason: String,
    },
    /// The codec's complaint.
    #[error("tensor '{name}' under codec {codec}: {reason}")]
    Codec {
        /// The tensor.
        name: String,
        /// The codec's name.
        codec: String,
        /// What is wrong.
        reason: String,
    },
}

/// Tensors as they will travel.
#[derive(Debug)]
pub struct Shipment {
    /// In the boundary's order.
    pub tensors: Vec<CodedTensor>,
    /// Why some of them go as they are, where a codec was asked for.
    pub uncoded: Uncoded,
}

/// Why a tensor goes as it is, where a codec was asked for; known when all of a shipment is made.
/// Clones share it.
#[derive(Clone, Debug, Default)]
pub struct Uncoded(Arc<OnceLock<CodingError>>);

impl Uncoded {
    /// The reason for the first one that goes so.
    pub fn reason(&self) -> Option<&CodingError> {
        self.0.get()
    }

    fn note(&self, reason: CodingError) {
        // Of several, one is enough.
        let _ = self.0.set(reason);
    }
}

impl Shipment {
    /// Tensors as they are.
    pub fn raw(tensors: Vec<NamedTensor>) -> Self {
        Self { tensors: tensors.into_iter().map(CodedTensor::from).collect(), uncoded: Uncoded::default() }
    }

    /// Bytes that travel, as far as they are made.
    pub fn bytes(&self) -> u64 {
        self.tensors.iter().map(|tensor| tensor.data.bytes()).sum()
    }
}

impl ModelCodecs {
    pub(crate) fn new(bundle: &Bundle) -> Self {
        let (codecs, pictures) = (bundle.codecs.clone(), bundle.card.preprocess.clone());
        Self { codecs, pictures, ready: Mutex::default() }
    }

    /// What packing measured, where the model was packed with inputs.
    pub fn measured(&self) -> Option<&Codecs> {
        self.codecs.as_ref()
    }

    /// What the people's name of a codec at a boundary is; raw, built-in and pixel codecs have
    /// theirs without being measured.
    pub fn name(&self, boundary: usize, coding: Coding) -> String {
        let measured = self.codecs.iter().flat_map(|codecs| codecs.at(boundary));
        let packed =
            measured.filter(|codec| codec.id == coding.number()).map(|codec| codec.name.clone()).next();
        packed.unwrap_or_else(|| match coding {
            Coding::Pixels(recode) => recode.to_string(),
            Coding::Tensor(id) => match id.kind() {
                Some(Kind::BuiltIn(codec)) => codec.to_string(),
                _ => format!("{:#06x}", id.0),
            },
        })
    }

    /// The mean bytes that a codec was measured to take at a boundary.
    pub fn mean_bytes(&self, boundary: usize, coding: Coding) -> Option<f64> {
        let mut measured = self.codecs.iter().flat_map(|codecs| codecs.at(boundary));
        measured.find(|codec| codec.id == coding.number()).map(|codec| codec.bytes.mean)
    }

    /// The codec of that name at a boundary.
    pub fn named(&self, boundary: usize, name: &str) -> Option<Coding> {
        let packed = self.codecs.as_ref().and_then(|codecs| codecs.named(boundary, name));
        let number = packed.map(|codec| codec.id);
        number.and_then(Coding::from_number).or_else(|| (name == "raw").then_some(Coding::RAW))
    }

    /// Whether tensors named so may come under a codec of this number.
    ///
    /// # Errors
    /// What is not known.
    pub fn check(&self, boundary: u16, name: &str, number: u16) -> Result<(), CodingError> {
        // Nothing is built here: headers are judged where connections are served.
        match Coding::from_number(number) {
            Some(Coding::Tensor(id)) => match id.kind() {
                Some(Kind::Fitted(_)) => self.spec(boundary, name, id).map(|_| ()),
                _ => Ok(()),
            },
            _ => self.method(boundary, name, number).map(|_| ()),
        }
    }

    /// Encodes tensors of a boundary. One that the codec refuses (it holds NaN, say) or would not
    /// make smaller goes as it is.
    pub fn encode(&self, boundary: u16, tensors: Vec<NamedTensor>, coding: Coding) -> Shipment {
        let uncoded = Uncoded::default();
        let tensors =
            tensors.into_iter().map(|named| self.coded(boundary, named, coding, &uncoded)).collect();
        Shipment { tensors, uncoded }
    }

    fn coded(&self, boundary: u16, named: NamedTensor, coding: Coding, uncoded: &Uncoded) -> CodedTensor {
        let coded = match coding {
            Coding::RAW => Ok(None),
            _ => self.encode_one(boundary, &named, coding),
        };
        match coded {
            Ok(Some(coded)) => coded,
            Ok(None) => named.into(),
            Err(error) => {
                uncoded.note(error);
                named.into()
            }
        }
    }

    /// `None` where it is better sent as it is.
    fn encode_one(
        &self,
        boundary: u16,
        named: &NamedTensor,
        coding: Coding,
    ) -> Result<Option<CodedTensor>, CodingError> {
        let NamedTensor { name, tensor } = named;
        if tensor.dtype() == DType::String {
            return Ok(None);
        }
        let number = coding.number();
        let failed = |reason: String| self.failed(boundary, name, coding, reason);
        let data = match self.method(boundary, name, number)? {
            Method::Raw => return Ok(None),
            Method::Pixels(pictures, recode) => {
                pictures.steps.recode(tensor, recode).map_err(|error| failed(error.to_string()))?
            }
            Method::Codec(codec) => {
                let coder = codec
                    .coder(tensor.dtype(), tensor.shape(), Limits::default())
                    .map_err(|error| failed(error.to_string()))?;
                let mut data = Vec::new();
                coder.encode(tensor, &mut data).map_err(|error| failed(error.to_string()))?;
                data
            }
        };
        let is_smaller = data.len() < tensor.data().len();
        Ok(is_smaller.then(|| CodedTensor {
            name: name.clone(),
            dtype: tensor.dtype(),
            shape: tensor.shape().to_vec(),
            codec: number,
            data: data.into(),
        }))
    }

    /// Decodes what came for a boundary. Memory is bounded by the wire's own limits.
    ///
    /// # Errors
    /// A codec that is not known, or bytes that are none of its.
    pub fn decode(&self, boundary: u16, tensors: Vec<CodedTensor>) -> Result<Vec<NamedTensor>, CodingError> {
        tensors.into_iter().map(|coded| self.decode_one(boundary, coded)).collect()
    }

    fn decode_one(&self, boundary: u16, coded: CodedTensor) -> Result<NamedTensor, CodingError> {
        let CodedTensor { name, dtype, shape, codec: number, data } = coded;
        let coding = Coding::from_number(number).unwrap_or(Coding::RAW);
        let Some(data) = data.whole().cloned() else {
            return Err(self.failed(boundary, &name, coding, "its bytes are not here".to_owned()));
        };
        let failed = |reason: String| self.failed(boundary, &name, coding, reason);
        let tensor = match self.method(boundary, &name, number)? {
            Method::Raw => Tensor::new(dtype, shape, data).map_err(|error| failed(error.to_string()))?,
            Method::Pixels(pictures, recode) => pictures
                .steps
                .restore(&data, dtype, &shape, recode)
                .map_err(|error| failed(error.to_string()))?,
            Method::Codec(codec) => {
                let coder = codec
                    .coder(dtype, &shape, Limits::default())
                    .map_err(|error| failed(error.to_string()))?;
                coder.decode(&data).map_err(|error| failed(error.to_string()))?
            }
        };
        Ok(NamedTensor { name, tensor })
    }

    fn failed(&self, boundary: u16, name: &str, coding: Coding, reason: String) -> CodingError {
        CodingError::Codec { name: name.to_owned(), codec: self.name(boundary.into(), coding), reason }
    }

    fn method(&self, boundary: u16, name: &str, number: u16) -> Result<Method<'_>, CodingError> {
        let unknown = |reason: String| CodingError::Unknown { name: name.to_owned(), reason };
        if number == CODEC_RAW {
            return Ok(Method::Raw);
        }
        match Coding::from_number(number) {
            None => Err(unknown(format!("codec {number:#06x} is unknown to this version"))),
            Some(Coding::Pixels(recode)) => match &self.pictures {
                Some(pictures) if boundary == 0 && pictures.input == name => {
                    Ok(Method::Pixels(pictures, recode))
                }
                _ => Err(unknown(format!("codec {recode} is for inputs made of pictures"))),
            },
            Some(Coding::Tensor(id)) => self.ready(boundary, name, id).map(Method::Codec),
        }
    }

    fn spec(&self, boundary: u16, name: &str, id: CodecId) -> Result<Spec, CodingError> {
        let spec = match &self.codecs {
            Some(codecs) => codecs.book.spec(boundary, id, name),
            None => Book::default().spec(boundary, id, name),
        };
        spec.map_err(|error| CodingError::Unknown { name: name.to_owned(), reason: error.to_string() })
    }

    fn ready(&self, boundary: u16, name: &str, id: CodecId) -> Result<Arc<Codec>, CodingError> {
        let unknown = |reason: String| CodingError::Unknown { name: name.to_owned(), reason };
        let build = |spec: &Spec| Codec::new(spec).map(Arc::new).map_err(|error| unknown(error.to_string()));
        if let Some(Kind::BuiltIn(codec)) = id.kind() {
            return build(&codec.into());
        }
        let mut ready = self.ready.lock().unwrap_or_else(PoisonError::into_inner);
        let key = (boundary, id, name.to_owned());
        if let Some(codec) = ready.get(&key) {
            return Ok(Arc::clone(codec));
        }
        // Only what the book has is kept, so it bounds the map.
        let codec = build(&self.spec(boundary, name, id)?)?;
        ready.insert(key, Arc::clone(&codec));
        Ok(codec)
    }
}

/// What a number means for one tensor.
enum Method<'a> {
    Raw,
    Pixels(&'a Encoded, Recode),
    Codec(Arc<Codec>),
}
