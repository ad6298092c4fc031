//! Every built-in codec, every element type: what comes back, and what is refused.

#![allow(clippy::unwrap_used, reason = "tests")]

use bytes::Bytes;
use half::{bf16, f16};
use kerf_codec::{
    Bits, BuiltIn, Codec, Coder, CoderError, DecodeError, EncodeError, Limits, NewCoderError, Per,
};
use kerf_tensor::{DType, Element, Tensor};
use proptest::prelude::*;

fn coder(codec: BuiltIn, tensor: &Tensor) -> Result<Coder, NewCoderError> {
    Coder::new(&codec.into(), tensor.dtype(), tensor.shape(), Limits::default())
}

/// Encodes twice, decodes whole and in pieces.
fn round_trip(codec: BuiltIn, tensor: &Tensor) -> Result<Tensor, EncodeError> {
    let coder = coder(codec, tensor).unwrap();
    let mut payload = b"before".to_vec();
    coder.encode(tensor, &mut payload)?;
    let mut again = Vec::new();
    coder.encode(tensor, &mut again)?;
    assert_eq!(payload[6..], again, "{codec} of {tensor:?} is not deterministic");
    let whole = coder.decode(&Bytes::from(again.clone())).unwrap();
    assert_eq!((whole.dtype(), whole.shape()), (tensor.dtype(), tensor.shape()));
    for size in [1, 1000] {
        let mut decoder = coder.decoder();
        again.chunks(size).for_each(|piece| decoder.push(piece).unwrap());
        assert_eq!(decoder.finish().unwrap(), whole, "{codec} in pieces of {size}");
    }
    Ok(whole)
}

fn ints() -> impl Iterator<Item = (Bits, BuiltIn)> {
    let per = [Per::Tensor, Per::Channel, Per::Axis(0), Per::Axis(2)];
    Bits::ALL.into_iter().flat_map(move |bits| {
        per.into_iter().flat_map(move |per| {
            [BuiltIn::Int { bits, per }, BuiltIn::IntZstd { bits, per }].map(|int| (bits, int))
        })
    })
}

/// A deterministic walk through bit patterns.
fn noise(seed: u64) -> impl Iterator<Item = u64> {
    let mut state = seed;
    std::iter::repeat_with(move || {
        state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (state ^ (state >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb) ^ (mixed >> 31)
    })
}

fn bytes(dtype: DType, elements: usize, seed: u64) -> Bytes {
    match dtype.size() {
        None => (0..elements)
            .zip(noise(seed))
            .flat_map(|(at, noise)| {
                let text = &noise.to_le_bytes()[..at % 8];
                [&(text.len() as u32).to_le_bytes()[..], text].concat()
            })
            .collect(),
        Some(_) if dtype == DType::Bool => noise(seed).take(elements).map(|noise| noise as u8 & 1).collect(),
        Some(size) => noise(seed).take(elements * size).map(|noise| noise as u8).collect(),
    }
}

const SHAPES: [&[usize]; 12] = [
    &[],
    &[0],
    &[5],
    &[3, 0],
    &[1, 16],
    &[2, 3, 4],
    &[1, 6, 7, 7],
    &[2, 3, 5, 7, 2],
    &[1, 2, 2, 2, 3, 2],
    &[1, 2, 130, 130],
    &[40_000],
    &[1, 700, 50],
];

#[test]
fn exact_codecs_are_exact_for_every_type_and_shape() {
    for dtype in DType::ALL {
        for shape in SHAPES {
            let count = shape.iter().product();
            let tensor = Tensor::new(dtype, shape.to_vec(), bytes(dtype, count, 7)).unwrap();
            for codec in [BuiltIn::Raw, BuiltIn::Lossless] {
                assert_eq!(round_trip(codec, &tensor), Ok(tensor.clone()), "{codec} of {tensor:?}");
            }
        }
    }
}

#[test]
fn lossless_shrinks_what_can_be_shrunk() {
    for (tensor, most) in [
        (Tensor::from_vec(&[30_000], (0..30_000i64).collect()).unwrap(), 20),
        (Tensor::from_vec(&[1, 10_000], vec![0.5f32; 10_000]).unwrap(), 100),
        (Tensor::from_strings(&[9000], &["kerf"; 9000]).unwrap(), 100),
    ] {
        let mut payload = Vec::new();
        coder(BuiltIn::Lossless, &tensor).unwrap().encode(&tensor, &mut payload).unwrap();
        let raw = tensor.data().len();
        assert!(payload.len() * most / 10 < raw, "{tensor:?}: {} of {raw} bytes", payload.len());
    }
}

#[test]
fn lossy_codecs_are_for_floats() {
    for dtype in DType::ALL.into_iter().filter(|dtype| !dtype.is_float()) {
        for codec in [BuiltIn::F16, BuiltIn::Int { bits: Bits::B8, per: Per::Tensor }] {
            let made = Coder::new(&codec.into(), dtype, &[2], Limits::default());
            let wrong = CoderError::DType { codec: codec.to_string(), dtype };
            assert_eq!(made.err(), Some(NewCoderError::Coder(wrong)));
        }
    }
}

#[test]
fn axes_must_be_there() {
    let codec = Codec::new(&BuiltIn::Int { bits: Bits::B4, per: Per::Axis(2) }.into()).unwrap();
    let limits = Limits::default();
    assert_eq!(codec.coder(DType::F32, &[2, 3], limits).err(), Some(CoderError::Axis { axis: 2, rank: 2 }));
    let beyond = Codec::new(&BuiltIn::Int { bits: Bits::B4, per: Per::Axis(14) }.into()).unwrap();
    assert_eq!(
        beyond.coder(DType::F32, &[1; 16], limits).err(),
        Some(CoderError::Axis { axis: 14, rank: 14 })
    );
}

#[test]
fn f16_rounds_and_refuses_what_it_cannot_hold() {
    let kept = [0.0, -0.0, 1.0, 65_504.0, -65_504.0, 6e-8, f32::INFINITY, f32::NEG_INFINITY, 0.333_251_95];
    let tensor = Tensor::from_vec(&[kept.len()], kept.to_vec()).unwrap();
    assert_eq!(round_trip(BuiltIn::F16, &tensor).unwrap().elements::<f32>().unwrap()[..5], kept[..5]);
    let nan = Tensor::from_vec(&[2], vec![f32::NAN, 1.0]).unwrap();
    assert!(round_trip(BuiltIn::F16, &nan).unwrap().elements::<f32>().unwrap()[0].is_nan());
    for beyond in [65_520.0f32, -1e30] {
        let tensor = Tensor::from_vec(&[1], vec![beyond]).unwrap();
        assert_eq!(round_trip(BuiltIn::F16, &tensor), Err(EncodeError::Spread), "{beyond}");
    }
    let tensor = Tensor::from_vec(&[1], vec![f16::from_bits(0x7d01)]).unwrap();
    assert_eq!(round_trip(BuiltIn::F16, &tensor), Ok(tensor), "f16 is f16, NaN and all");
}

/// Largest error of any value, in steps of the exact bounds of its group.
fn worst_error(tensor: &[f32], back: &[f32], groups: &[Vec<usize>], bits: Bits) -> f64 {
    let levels = f64::from((1u32 << bits.count()) - 1);
    let mut worst = 0.0f64;
    for group in groups {
        let of = |pick: fn(f64, f64) -> f64, start| {
            group.iter().map(|at| f64::from(tensor[*at])).fold(start, pick)
        };
        let (lo, hi) = (of(f64::min, f64::INFINITY), of(f64::max, f64::NEG_INFINITY));
        // Below 2^-110 steps do not shrink further; sums are rounded to f32.
        let step = (hi - lo).max(7.8e-34) / levels;
        let rounding = lo.abs().max(hi.abs()) * 2.0f64.powi(-22);
        for at in group {
            let error = (f64::from(tensor[*at]) - f64::from(back[*at])).abs();
            worst = worst.max((error - rounding) / step);
        }
    }
    worst
}

fn channel_groups(shape: &[usize], axis: usize) -> Vec<Vec<usize>> {
    let inner: usize = shape[axis + 1..].iter().product();
    let count: usize = shape.iter().product();
    let batch: usize = if axis == 0 { count } else { shape[1..].iter().product() };
    let mut groups = std::collections::BTreeMap::<_, Vec<usize>>::new();
    for at in 0..count {
        groups.entry((at / batch.max(1), at / inner % shape[axis])).or_default().push(at);
    }
    groups.into_values().collect()
}

proptest! {
    #[test]
    fn integers_err_by_half_a_step_at_most(
        shape in proptest::collection::vec(1usize..7, 3..6),
        seed: u64,
        scale in -40i32..40,
        offset in -50.0f32..50.0,
        bits in proptest::sample::select(Bits::ALL.to_vec()),
        zstd: bool,
        axis in 0u8..3,
    ) {
        let count = shape.iter().product();
        let scale = (scale as f32).exp2();
        let values: Vec<f32> = noise(seed)
            .take(count)
            .map(|noise| ((noise as i32 as f32) / 1e9 + offset) * scale * if noise >> 62 == 0 { 0.0 } else { 1.0 })
            .collect();
        let tensor = Tensor::from_vec(&shape, values.clone()).unwrap();
        let groups = channel_groups(&shape, axis.into());
        let codec = if zstd {
            BuiltIn::IntZstd { bits, per: Per::Axis(axis) }
        } else {
            BuiltIn::Int { bits, per: Per::Axis(axis) }
        };
        let back = round_trip(codec, &tensor).unwrap();
        let error = worst_error(&values, &back.elements::<f32>().unwrap(), &groups, bits);
        prop_assert!(error <= 0.5 * 1.25, "{error} steps");
    }

    #[test]
    fn any_bits_are_coded_or_refused(
        shape in proptest::collection::vec(0usize..6, 0..6),
        patterns in proptest::collection::vec(any::<u64>(), 1..8),
        dtype in proptest::sample::select(vec![DType::F32, DType::F64, DType::F16, DType::Bf16]),
    ) {
        let count: usize = shape.iter().product();
        let size = dtype.size().unwrap();
        let data: Vec<u8> = patterns.iter().cycle().take(count).flat_map(|bits| bits.to_le_bytes()[..size].to_vec()).collect();
        let tensor = Tensor::new(dtype, shape, Bytes::from(data)).unwrap();
        for codec in ints().map(|(_, int)| int).chain([BuiltIn::F16]) {
            if coder(codec, &tensor).is_err() {
                continue;
            }
            match round_trip(codec, &tensor) {
                Ok(back) => {
                    let finite = tensor.to_f64().unwrap().iter().all(|value| value.is_finite());
                    prop_assert!(codec == BuiltIn::F16 || (finite && back.to_f64().unwrap().iter().all(|value| value.is_finite())));
                }
                Err(error) => prop_assert!(matches!(error, EncodeError::NotFinite | EncodeError::Spread), "{error}"),
            }
        }
    }

    #[test]
    fn any_payload_is_a_tensor_or_an_error(
        shape in proptest::collection::vec(0usize..5, 0..5),
        dtype in proptest::sample::select(DType::ALL.to_vec()),
        payload in proptest::collection::vec(any::<u8>(), 0..200),
    ) {
        for codec in ints().map(|(_, int)| int).chain([BuiltIn::Raw, BuiltIn::F16, BuiltIn::Lossless]) {
            let Ok(coder) = Coder::new(&codec.into(), dtype, &shape, Limits::default()) else { continue };
            if let Ok(tensor) = coder.decode(&Bytes::from(payload.clone())) {
                prop_assert_eq!(tensor.shape(), &shape[..]);
            }
        }
    }

    #[test]
    fn damaged_payloads_are_no_panic(at in 0usize..10_000, to: u8, cut in 0usize..10_000, seed: u64) {
        let values: Vec<f32> = noise(seed).take(2 * 3 * 90 * 90).map(|noise| (noise as i8).max(0).into()).collect();
        let tensor = Tensor::from_vec(&[2, 3, 90, 90], values).unwrap();
        let codecs = [Bits::B8, Bits::B3].map(|bits| BuiltIn::IntZstd { bits, per: Per::Channel });
        for codec in codecs.into_iter().chain([BuiltIn::Lossless]) {
            let coder = coder(codec, &tensor).unwrap();
            let mut payload = Vec::new();
            coder.encode(&tensor, &mut payload).unwrap();
            let length = payload.len();
            payload[at % length] ^= to;
            let _ = coder.decode(&Bytes::from(payload.clone()));
            payload[at % length] ^= to;
            payload.truncate(cut % length);
            prop_assert!(coder.decode(&Bytes::from(payload)).is_err());
        }
    }
}

#[test]
fn not_finite_values_are_refused_wherever_they_are() {
    for count in [1, 15, 16, 17, 40] {
        for at in 0..count {
            for bad in [f32::NAN, -f32::NAN, f32::INFINITY, f32::NEG_INFINITY] {
                let mut values = vec![1.0f32; count];
                values[at] = bad;
                let tensor = Tensor::from_vec(&[count], values).unwrap();
                for per in [Per::Tensor, Per::Axis(0)] {
                    let codec = BuiltIn::Int { bits: Bits::B8, per };
                    assert_eq!(
                        round_trip(codec, &tensor),
                        Err(EncodeError::NotFinite),
                        "{bad} at {at} of {count}"
                    );
                }
            }
        }
    }
    let huge = Tensor::from_vec(&[2], vec![f32::MAX, f32::MIN]).unwrap();
    let codec = BuiltIn::Int { bits: Bits::B8, per: Per::Tensor };
    assert_eq!(round_trip(codec, &huge), Err(EncodeError::Spread));
    let wide = Tensor::from_vec(&[1], vec![1e300f64]).unwrap();
    assert_eq!(round_trip(codec, &wide), Err(EncodeError::NotFinite));
}

#[test]
fn constants_and_zeros_are_exact() {
    for value in [0.0f32, -0.0, 1.0, 0.1, -123.456, 1e-40, f32::MIN_POSITIVE, 1e30] {
        for (_, codec) in ints() {
            let tensor = Tensor::from_vec(&[2, 3, 4], vec![value; 24]).unwrap();
            let back = round_trip(codec, &tensor).unwrap();
            assert!(
                back.elements::<f32>().unwrap().iter().all(|back| *back == value),
                "{value} with {codec}"
            );
        }
    }
    // A ReLU's zeros, whatever else there is.
    let values: Vec<f32> = (0..100).map(|at| if at % 3 == 0 { 0.0 } else { at as f32 * 0.37 }).collect();
    let tensor = Tensor::from_vec(&[1, 1, 10, 10], values.clone()).unwrap();
    for (_, codec) in ints() {
        let back = round_trip(codec, &tensor).unwrap();
        let zeros = |values: &[f32]| values.iter().step_by(3).all(|value| *value == 0.0);
        assert!(zeros(&back.elements::<f32>().unwrap()), "{codec}");
    }
}

#[test]
fn narrow_types_stay_in_their_range() {
    fn check<T: Element + Into<f32>>(values: &[T]) {
        let tensor = Tensor::from_vec(&[values.len()], values.to_vec()).unwrap();
        let back = round_trip(BuiltIn::Int { bits: Bits::B2, per: Per::Tensor }, &tensor).unwrap();
        for (back, value) in back.elements::<T>().unwrap().iter().zip(values) {
            let (back, value): (f32, f32) = ((*back).into(), (*value).into());
            assert!(back.is_finite() && (back - value).abs() <= value.abs() * 0.01, "{back} for {value}");
        }
    }
    check(&[f16::MAX, f16::MIN, f16::MAX]);
    check(&[bf16::from_f32(8e37), bf16::from_f32(-8e37)]);
}

#[test]
fn a_sample_does_not_depend_on_its_batch() {
    let sample = 3 * 20 * 20;
    let values: Vec<f32> = noise(1).take(4 * sample).map(|noise| (noise as i16).into()).collect();
    for (_, codec) in ints().filter(|(_, codec)| !codec.to_string().contains("a0")) {
        let batch = Tensor::from_vec(&[4, 3, 20, 20], values.clone()).unwrap();
        let together = round_trip(codec, &batch).unwrap();
        for at in 0..4 {
            let values = values[at * sample..(at + 1) * sample].to_vec();
            let alone = round_trip(codec, &Tensor::from_vec(&[1, 3, 20, 20], values).unwrap()).unwrap();
            let range = at * sample * 4..(at + 1) * sample * 4;
            assert_eq!(together.data()[range], alone.data()[..], "{codec}, sample {at}");
        }
    }
}

#[test]
fn limits_and_mismatches() {
    let limits = Limits { bytes: 100 };
    let spec = BuiltIn::Lossless.into();
    assert!(Coder::new(&spec, DType::F32, &[25], limits).is_ok());
    for shape in [&[26][..], &[usize::MAX, 2], &[usize::MAX / 2]] {
        assert!(Coder::new(&spec, DType::F32, shape, limits).is_err(), "{shape:?}");
    }
    let coder = Coder::new(&spec, DType::String, &[1], limits).unwrap();
    let long = Tensor::from_strings(&[1], &["x".repeat(97)]).unwrap();
    assert_eq!(coder.encode(&long, &mut Vec::new()), Err(EncodeError::TooLarge { bytes: 101, limit: 100 }));
    let announced = Bytes::from(u64::MAX.to_le_bytes().to_vec());
    let wrong = DecodeError::TooLarge { bytes: usize::MAX, limit: 100 };
    assert_eq!(coder.decode(&announced).err(), Some(wrong));
    let other = Tensor::from_strings(&[2], &["a", "b"]).unwrap();
    assert!(matches!(coder.encode(&other, &mut Vec::new()), Err(EncodeError::Mismatch { .. })));
    let mut payload = vec![1, 2, 3];
    let nan = Tensor::from_vec(&[2, 2], vec![1.0, 2.0, 3.0, f32::NAN]).unwrap();
    let int = BuiltIn::Int { bits: Bits::B8, per: Per::Tensor };
    let coder = Coder::new(&int.into(), DType::F32, &[2, 2], Limits::default()).unwrap();
    assert_eq!(coder.encode(&nan, &mut payload), Err(EncodeError::NotFinite));
    assert_eq!(payload, [1, 2, 3], "what was there before an error stays");
}
