//! How a tensor is framed whose length was not known when its header was written.
//!
//! ```text
//! (length: u32 LE, 1 to 0xffff_fffe | that many bytes)*  then  END
//!                                                    or  AS_IT_IS | the raw tensor
//! ```
//! The chunks together are the payload; how it is cut means nothing. `AS_IT_IS` makes void what
//! came: the tensor's own bytes follow, as many as its type and shape say.

/// After the last chunk.
pub(crate) const END: [u8; 4] = [0; 4];

/// Its codec could not do the tensor after all.
pub(crate) const AS_IT_IS: [u8; 4] = [0xff; 4];

/// What four bytes before a chunk say.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Prefix {
    Chunk(u32),
    End,
    AsItIs,
}

impl From<[u8; 4]> for Prefix {
    fn from(bytes: [u8; 4]) -> Self {
        match bytes {
            END => Self::End,
            AS_IT_IS => Self::AsItIs,
            length => Self::Chunk(u32::from_le_bytes(length)),
        }
    }
}
