//! Requests and responses, to and from bytes, in both encodings.
//!
//! A body is JSON, and behind it the bytes of those tensors whose entry says
//! `binary_data_size` instead of `data`. Tensors are slices of the body that came, and a
//! body that goes out is a list of the tensors' own bytes, so large ones are never copied
//! here. JSON numbers are read straight into the tensor's element type.

mod binary;
mod data;
mod datatype;
mod entry;
mod message;

pub use binary::Body;
pub use datatype::{datatype, dtype};
pub use message::{
    OutputEncoding, RequestTarget, format_request, format_response, parse_request, parse_response,
};
