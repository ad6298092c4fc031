//! zstd, with its contexts kept and what a reader knows anyway left out.

use crate::{DecodeError, EncodeError};
use zstd::bulk::{Compressor, Decompressor};
use zstd::zstd_safe::CParameter;

/// The fastest level that still finds matches: activations have few, and entropy coding gains most.
const LEVEL: i32 = 1;

/// Starts every zstd frame (RFC 8878), so it need not be sent.
const MAGIC: [u8; 4] = [0x28, 0xb5, 0x2f, 0xfd];

/// Compression and decompression contexts, made when first needed.
#[derive(Default)]
pub(crate) struct Squeeze {
    compressor: Option<Compressor<'static>>,
    decompressor: Option<Decompressor<'static>>,
    frame: Vec<u8>,
}

impl Squeeze {
    /// Appends `data` as a frame without magic number, if that is shorter than `most`; says whether.
    pub(crate) fn compress(
        &mut self,
        data: &[u8],
        most: usize,
        out: &mut Vec<u8>,
    ) -> Result<bool, EncodeError> {
        let failed = |error: std::io::Error| EncodeError::Zstd(error.to_string());
        let compressor = match &mut self.compressor {
            Some(compressor) => compressor,
            none => {
                let mut compressor = Compressor::new(LEVEL).map_err(failed)?;
                compressor.set_parameter(CParameter::ContentSizeFlag(false)).map_err(failed)?;
                none.insert(compressor)
            }
        };
        self.frame.clear();
        self.frame.reserve(zstd::zstd_safe::compress_bound(data.len()));
        compressor.compress_to_buffer(data, &mut self.frame).map_err(failed)?;
        match self.frame.strip_prefix(&MAGIC) {
            Some(frame) if frame.len() < most => {
                out.extend_from_slice(frame);
                Ok(true)
            }
            _ => Ok(false),
        }
    }

    /// Fills `data` from one frame without magic number; any other length is an error.
    pub(crate) fn decompress(&mut self, frame: &[u8], data: &mut [u8]) -> Result<(), DecodeError> {
        let failed = |error: std::io::Error| DecodeError::Zstd(error.to_string());
        let decompressor = match &mut self.decompressor {
            Some(decompressor) => decompressor,
            none => none.insert(Decompressor::new().map_err(failed)?),
        };
        self.frame.clear();
        self.frame.extend_from_slice(&MAGIC);
        self.frame.extend_from_slice(frame);
        // Never writes beyond `data`, whatever the frame says of its content.
        let written = decompressor.decompress_to_buffer(&self.frame, data).map_err(failed)?;
        if written == data.len() { Ok(()) } else { Err(DecodeError::Truncated) }
    }
}
