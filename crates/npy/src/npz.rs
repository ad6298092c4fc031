//! Several arrays by name: a ZIP file whose entries are `NAME.npy`.

use crate::{Limits, NpyError, npy};
use bytes::Bytes;
use flate2::bufread::DeflateDecoder;
use kerf_tensor::NamedTensor;
use rawzip::{CompressionMethod, ZipArchive, ZipFileHeaderRecord, ZipVerification, crc32};
use std::io::Read;

/// Why bytes are no arrays by name.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum NpzError {
    /// No ZIP file, or a broken one.
    #[error("no .npz file: {0}")]
    Zip(rawzip::Error),
    /// More entries than are allowed.
    #[error("more than {0} arrays")]
    TooMany(usize),
    /// More bytes than are allowed.
    #[error("its arrays take more than {0} bytes")]
    TooLarge(u64),
    /// An entry that is no array.
    #[error("{0:?} in it is no .npy file")]
    Foreign(String),
    /// Two entries of one name.
    #[error("{0:?} is in it twice")]
    Twice(String),
    /// An entry that cannot be decompressed.
    #[error("{name:?} in it: {reason}")]
    Entry {
        /// The array's name.
        name: String,
        /// What is wrong.
        reason: String,
    },
    /// An array that is none.
    #[error("{name:?} in it: {source}")]
    Array {
        /// The array's name.
        name: String,
        /// What is wrong.
        source: NpyError,
    },
}

/// The arrays of an `.npz` file as `numpy.savez` and `numpy.savez_compressed` write it, in its own
/// order; those that are not compressed share its bytes.
///
/// # Errors
/// Files that are not ZIP, entries beyond `limits`, encrypted, compressed by something else than
/// deflate, with another length or checksum than they say, or no arrays.
pub fn npz(file: &Bytes, limits: Limits) -> Result<Vec<NamedTensor>, NpzError> {
    let archive = ZipArchive::from_slice(file.as_ref()).map_err(NpzError::Zip)?;
    let mut entries = archive.entries();
    let mut found: Vec<NamedTensor> = Vec::new();
    let mut left = limits.bytes;
    while let Some(record) = entries.next_entry().map_err(NpzError::Zip)? {
        if found.len() == limits.arrays {
            return Err(NpzError::TooMany(limits.arrays));
        }
        let name = name(&record)?;
        if found.iter().any(|known| known.name == name) {
            return Err(NpzError::Twice(name));
        }
        let broken = |reason: String| NpzError::Entry { name: name.clone(), reason };
        if record.flags().is_encrypted() {
            return Err(broken("it is encrypted".into()));
        }
        let entry = archive.get_entry(record.wayfinder()).map_err(|error| broken(error.to_string()))?;
        let data = match record.compression_method() {
            CompressionMethod::STORE => {
                let data = entry.data();
                let is = ZipVerification { crc: crc32(data), uncompressed_size: data.len() as u64 };
                entry.claim_verifier().valid(is).map_err(|error| broken(error.to_string()))?;
                file.slice_ref(data)
            }
            CompressionMethod::DEFLATE => {
                let mut data = Vec::new();
                let inflated = entry.verifying_reader(DeflateDecoder::new(entry.data()));
                // One more than is left, to be told from what just fits.
                let read = inflated.take(left.saturating_add(1)).read_to_end(&mut data);
                read.map_err(|error| broken(error.to_string()))?;
                data.into()
            }
            other => return Err(broken(format!("compressed by method {}", other.as_u16()))),
        };
        left = left.checked_sub(data.len() as u64).ok_or(NpzError::TooLarge(limits.bytes))?;
        match npy(&data) {
            Ok(tensor) => found.push(NamedTensor { name, tensor }),
            Err(source) => return Err(NpzError::Array { name, source }),
        }
    }
    Ok(found)
}

fn name(record: &ZipFileHeaderRecord<'_>) -> Result<String, NpzError> {
    let path = record.file_path();
    let text = String::from_utf8_lossy(path.as_bytes());
    match text.strip_suffix(".npy") {
        Some(name) if !text.contains(char::REPLACEMENT_CHARACTER) => Ok(name.to_owned()),
        _ => Err(NpzError::Foreign(text.chars().filter(|c| !c.is_control()).take(80).collect())),
    }
}
