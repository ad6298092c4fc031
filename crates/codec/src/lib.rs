//! Activation codecs: a tensor to few bytes and back.
//!
//! What crosses the link decides whether a split pays at all, so a tensor is sent in the fewest
//! bytes after which the model still says the same. *Built-in* codecs ([`BuiltIn`]) need nothing
//! but the tensor. *Fitted* ones ([`Fitted`]) come from a [`Book`] that is packed with the model:
//! both ends know it beforehand, so the payload holds nothing but the values.
//!
//! ```text
//! Spec  --Codec::new-->  Codec  --coder(dtype, shape)-->  Coder  --encode, decode-->  payload, tensor
//! ```
//!
//! # Payload
//! The receiver knows codec, element type and shape; nothing of them is in the payload, and nothing
//! in the payload decides how much memory is taken. A tensor is cut into independent blocks of
//! 64 KiB of input, at most, that never span samples (indices of axis 0 in tensors of rank 2 and
//! more): what a sample decodes to depends on that sample only. Raw and lossless, which are exact,
//! do not care for samples. Blocks follow each other, each but the last with its length in front
//! (3 bytes, little-endian) where that depends on the values; so they can be sent while the next
//! is encoded, and decoded as they arrive ([`Encoder`], [`Decoder`]).
//!
//! | codec | block |
//! |---|---|
//! | raw | the bytes, little-endian |
//! | f16 | half precision, little-endian |
//! | lossless | byte planes as a zstd frame, or the bytes |
//! | int | bounds, packed codes |
//! | int + zstd | bounds, codes as a zstd frame, or packed codes |
//! | fitted | packed symbols, or a stream of an entropy coder |
//!
//! Empty tensors have no blocks and no bytes. Encoding is a function of the tensor: the same bytes
//! on every machine as far as its floating-point arithmetic agrees; decoding never depends on
//! floating-point results of the encoder's machine.

mod book;
mod coder;
mod error;
mod fitted;
mod gemm;
mod grid;
mod id;
mod int;
mod kernel;
mod lossless;
mod pack;
mod rans;
mod spec;
mod squeeze;

pub use book::{Book, BookError, Entry, LookupError};
pub use coder::{Codec, Coder, Decoder, Encoder, Limits, NewCoderError};
pub use error::{CoderError, DecodeError, EncodeError};
pub use fitted::{Contexts, Entropy, Fitted, Quantiser, Spatial, Symbols, Tables, Transform};
pub use id::{Bits, BuiltIn, CodecId, Kind, Per};
pub use rans::{Table, TableError};
pub use spec::{Spec, SpecError};
