//! Any payload for any built-in codec, type and small shape, and for a few fitted codecs: a tensor
//! of that type and shape or an error, never a panic, and the same in whatever pieces it comes.
//!
//! Input: a byte that says which codec, one for the type, one for the rank, one for each dimension,
//! one that sizes the pieces, the payload.

#![no_main]

use bytes::Bytes;
use kerf_codec::{
    CodecId, Coder, Contexts, Entropy, Fitted, Kind, Limits, Quantiser, Spatial, Spec, Table, Tables,
};
use kerf_tensor::DType;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: &[u8]| {
    let [codec, dtype, rank, rest @ ..] = input else { return };
    let Some((dims, [size, payload @ ..])) = rest.split_at_checked(usize::from(rank % 6)) else { return };
    let shape: Vec<usize> = dims.iter().map(|dim| usize::from(*dim)).collect();
    let dtype = DType::ALL[usize::from(*dtype) % DType::ALL.len()];
    let Some(spec) = spec(*codec, &shape) else { return };
    let Ok(coder) = Coder::new(&spec, dtype, &shape, Limits { bytes: 4 << 20 }) else { return };
    let whole = coder.decode(&Bytes::copy_from_slice(payload));
    let mut decoder = coder.decoder();
    let pushed = payload.chunks(1 + usize::from(*size)).try_for_each(|piece| decoder.push(piece));
    let pieces = pushed.and_then(|()| decoder.finish());
    assert_eq!(whole.is_ok(), pieces.is_ok());
    let (Ok(whole), Ok(pieces)) = (whole, pieces) else { return };
    // NaN in f16 payloads: compared as bytes.
    assert_eq!(whole, pieces);
    assert_eq!((whole.dtype(), whole.shape()), (dtype, &shape[..]));
    let mut again = Vec::new();
    if coder.encode(&whole, &mut again).is_ok() {
        assert!(coder.decode(&Bytes::from(again)).is_ok(), "what was encoded does not decode");
    }
});

fn spec(codec: u8, shape: &[usize]) -> Option<Spec> {
    // Raw, f16, lossless; int4 and int8, both with zstd, per tensor, channel, axes.
    let ids = [0, 1, 2, 0x108, 0x104, 0x112, 0x118, 0x123, 0x208, 0x213, 0x236];
    match ids.get(usize::from(codec)) {
        Some(id) => match CodecId(*id).kind()? {
            Kind::BuiltIn(codec) => Some(codec.into()),
            Kind::Fitted(_) => None,
        },
        None => fitted(codec, shape).map(Into::into),
    }
}

fn fitted(kind: u8, shape: &[usize]) -> Option<Fitted> {
    let channels = *shape.get(1)?;
    let quantiser = Quantiser { step: 0.5, offset: 0.0, min: -900, max: 900, rounding: 0.5, shrink: 0.1 };
    let spatial = (kind & 1 > 0).then(|| Spatial { rows: 2, columns: 3, gain: vec![1.0; 6] });
    let contexts = if kind & 2 > 0 { Contexts::One } else { Contexts::Neighbours };
    let tables = Tables {
        level_of_component: (0..channels).map(|at| (at % 9) as i8).collect(),
        level_of_position: vec![1; spatial.as_ref().map_or(0, |_| 6)],
        levels: 4,
        contexts,
        map: (0..4 * contexts.count()).map(|at| (at % 2) as u8).collect(),
        tables: vec![Table::fit(0, -2, &[1, 20, 400, 20, 1]), Table::fit(2, -3, &[9, 8, 7, 8, 9])],
    };
    let entropy = if kind & 4 > 0 { Entropy::Packed } else { Entropy::Coded(tables) };
    let quantisers = vec![quantiser; channels];
    Some(Fitted { axis: 1, channels, transform: None, spatial, quantisers, entropy })
}
