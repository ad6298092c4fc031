//! What an edge node and a cloud node say to each other, as bytes, with no socket in sight.
//!
//! The two are upgraded apart and do not trust each other's arithmetic, so a frame must
//! be readable by the version before and after its own, and a length that lies must cost
//! its reader nothing.
//!
//! One bidirectional QUIC stream carries one request and its response, one frame each way:
//!
//! ```text
//! u32 LE header length | kind: u8 | header (bincode 2, standard configuration) | tensors' bytes, in order
//! ```
//!
//! Each tensor's bytes are under the codec that its header names, by number: the two nodes
//! hold the same model (its digest says so), and with it the meaning of the numbers.
//!
//! A tensor that is still being encoded when the header is written ([`Growing`]) comes in chunks
//! instead, each with its length in front, and the header names the most that they will be: so
//! encoding, sending and decoding overlap. That is an extension, below, of requests and answers,
//! and is only used towards peers that chose [`ALPN_CHUNKS`]; a tensor that is complete by then
//! goes as ever.
//!
//! The header length counts the kind byte. The fields of version 1 are fixed for good
//! (`tests/golden.rs` pins their bytes). What comes later is an *extension*, a tag and
//! bytes: a reader skips the tags it does not know, unless the tag is critical (0x8000
//! and above): then it refuses the request as [`Reason::Unsupported`]. A known extension
//! may grow at its end; a short one reads as zeros where it stops. A change that none of
//! this can express takes a new [`ALPN`].
//!
//! [`encode_request`] and [`encode_response`] give pieces to write, the tensors' own bytes
//! among them, uncopied; [`Frame`] gives them as they are made. [`Decoder`] takes pieces as they
//! arrive, and hands tensors' bytes to an [`Intake`] at once where there is one.

mod chunk;
mod decode;
mod encode;
mod header;
mod intake;
mod limits;
mod message;
mod payload;
mod reason;
mod trace;

pub use decode::{DecodeError, Decoder, Message};
pub use encode::{Abandoned, EncodeError, Frame, encode_request, encode_response};
pub use header::{AnswerHeader, RequestHeader, ResponseHeader, TensorHeader};
pub use intake::Intake;
pub use limits::Limits;
pub use message::{Answer, Arrival, Ask, CodedTensor, Load, PROFILE, Request, RequestId, Response, Timings};
pub use payload::{Growing, Maker, Payload};
pub use reason::{Reason, Refusal, Retry};
pub use trace::is_traceparent;

/// The protocol and its major version, as TLS negotiates it.
pub const ALPN: &[u8] = b"kerf/1";

/// The same among nodes that know tensors in chunks. Who does offers it before [`ALPN`], so that
/// each end knows of the other before the first message.
pub const ALPN_CHUNKS: &[u8] = b"kerf/1.1";

/// Tags from here on must be understood: who does not know one refuses the message.
pub const CRITICAL: u16 = 0x8000;

/// Tensor bytes as they are in memory: the one codec that every node knows.
pub const CODEC_RAW: u16 = 0;
