//! The fitted codecs of a packed model, as both ends have them.
//!
//! A payload is as short as it is because tables, transforms and ranges are not in it. They are
//! in a book beside the model, whose digest pins it: what is named `0x1000 | k` at a boundary
//! means the same to every node that has the model.

mod bytes;
mod read;
mod write;

use crate::{CodecId, Kind, Spec, SpecError};

/// Entries by boundary; within a boundary they are numbered from 0.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Book {
    entries: Vec<Entry>,
}

/// One way to send a boundary.
#[derive(Clone, Debug, PartialEq)]
pub struct Entry {
    /// Which boundary.
    pub boundary: u16,
    /// Name for people, unique at its boundary, e.g. `k0.8`.
    pub name: String,
    /// A codec for each tensor of the boundary, sorted by the tensors' names, which are unique.
    pub tensors: Vec<(String, Spec)>,
}

/// Why entries, or bytes, are not a book.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum BookError {
    /// Not a book, or none of this version.
    #[error("not a codec book of version {version}", version = Book::VERSION)]
    Version,
    /// The bytes end too early.
    #[error("the codec book is cut short")]
    Truncated,
    /// The bytes go on after the last entry.
    #[error("{0} bytes after the last entry of the codec book")]
    Trailing(usize),
    /// A codec of which this version knows nothing.
    #[error("codec {0:#06x} is unknown to this version")]
    Codec(u16),
    /// Content that no writer of this version writes; every book has one encoding.
    #[error("the codec book is malformed: {0}")]
    Malformed(&'static str),
    /// More entries at a boundary than there are numbers.
    #[error("more than 4096 codecs at boundary {0}")]
    TooMany(u16),
    /// Two entries of a boundary, or two tensors of an entry, with one name.
    #[error("boundary {boundary}: {name:?} is there twice")]
    Duplicate {
        /// Which boundary.
        boundary: u16,
        /// The name.
        name: String,
    },
    /// Parameters out of their ranges.
    #[error("boundary {boundary}, codec {entry:?}, tensor {tensor:?}: {source}")]
    Spec {
        /// Which boundary.
        boundary: u16,
        /// Name of the entry.
        entry: String,
        /// Name of the tensor.
        tensor: String,
        /// What is wrong.
        source: SpecError,
    },
}

/// Why a book has no codec for a tensor.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LookupError {
    /// The number is none of this version.
    #[error("codec {0:#06x} is unknown to this version")]
    Unknown(u16),
    /// The boundary has no such entry.
    #[error("boundary {boundary} has no codec {index}")]
    Entry {
        /// Which boundary.
        boundary: u16,
        /// As asked for.
        index: usize,
    },
    /// The entry has no such tensor.
    #[error("codec {entry:?} of boundary {boundary} has no tensor {tensor:?}")]
    Tensor {
        /// Which boundary.
        boundary: u16,
        /// Name of the entry.
        entry: String,
        /// As asked for.
        tensor: String,
    },
}

impl Book {
    /// Version of the encoding.
    pub const VERSION: u8 = 1;

    /// Sorts entries by boundary (they keep their order within one) and checks them.
    pub fn new(mut entries: Vec<Entry>) -> Result<Self, BookError> {
        entries.sort_by_key(|entry| entry.boundary);
        for entry in &mut entries {
            entry.tensors.sort_by(|(a, _), (b, _)| a.cmp(b));
        }
        let book = Self { entries };
        book.validate()?;
        Ok(book)
    }

    /// Reads what [`Self::encode`] writes, and nothing else. Memory is bounded by a small multiple
    /// of the bytes.
    pub fn decode(bytes: &[u8]) -> Result<Self, BookError> {
        let book = read::book(bytes)?;
        book.validate()?;
        Ok(book)
    }

    /// The book as bytes: equal books have equal bytes.
    pub fn encode(&self) -> Vec<u8> {
        write::book(self)
    }

    /// All entries, by boundary.
    pub fn entries(&self) -> &[Entry] {
        &self.entries
    }

    /// The entries of a boundary: entry `k` is named [`CodecId::fitted(k)`](CodecId::fitted).
    pub fn at(&self, boundary: u16) -> &[Entry] {
        let start = self.entries.partition_point(|entry| entry.boundary < boundary);
        let end = self.entries.partition_point(|entry| entry.boundary <= boundary);
        &self.entries[start..end]
    }

    /// What a number in a header stands for, built-in codecs included.
    pub fn spec(&self, boundary: u16, id: CodecId, tensor: &str) -> Result<Spec, LookupError> {
        let index = match id.kind() {
            None => return Err(LookupError::Unknown(id.0)),
            Some(Kind::BuiltIn(codec)) => return Ok(codec.into()),
            Some(Kind::Fitted(index)) => index,
        };
        let entry = self.at(boundary).get(index).ok_or(LookupError::Entry { boundary, index })?;
        entry.spec(tensor).cloned().ok_or_else(|| LookupError::Tensor {
            boundary,
            entry: entry.name.clone(),
            tensor: tensor.to_owned(),
        })
    }

    fn validate(&self) -> Result<(), BookError> {
        for group in self.entries.chunk_by(|a, b| a.boundary == b.boundary) {
            let boundary = group[0].boundary;
            if CodecId::fitted(group.len() - 1).is_none() {
                return Err(BookError::TooMany(boundary));
            }
            let mut names: Vec<&str> = group.iter().map(|entry| entry.name.as_str()).collect();
            names.sort_unstable();
            let twice = names.windows(2).find(|pair| pair[0] == pair[1]).map(|pair| pair[0]);
            let twice = twice.or_else(|| {
                let mut pairs = group.iter().flat_map(|entry| entry.tensors.windows(2));
                pairs.find(|pair| pair[0].0 == pair[1].0).map(|pair| pair[0].0.as_str())
            });
            if let Some(name) = twice {
                return Err(BookError::Duplicate { boundary, name: name.to_owned() });
            }
            for entry in group {
                for (tensor, spec) in &entry.tensors {
                    let Spec::Fitted(fitted) = spec else { continue };
                    fitted.validate().map_err(|source| BookError::Spec {
                        boundary,
                        entry: entry.name.clone(),
                        tensor: tensor.clone(),
                        source,
                    })?;
                }
            }
        }
        Ok(())
    }
}

impl Entry {
    /// The codec of a tensor.
    pub fn spec(&self, tensor: &str) -> Option<&Spec> {
        let found = self.tensors.binary_search_by(|(name, _)| name.as_str().cmp(tensor)).ok()?;
        Some(&self.tensors[found].1)
    }
}
