//! Fitted codecs: what comes back, what is refused, and that no payload is a panic.

#![allow(clippy::unwrap_used, reason = "tests")]

mod draw;

use bytes::Bytes;
use draw::{Draw, Kind, fitted};
use half::{bf16, f16};
use kerf_codec::{
    Codec, Coder, CoderError, Contexts, DecodeError, EncodeError, Entropy, Fitted, Limits, SpecError, Table,
};
use kerf_tensor::{DType, Tensor};
use proptest::prelude::*;

const CONTEXTS: [Option<Contexts>; 3] = [None, Some(Contexts::One), Some(Contexts::Neighbours)];

/// Shapes with channel axis and tiles that fill their planes.
const SHAPES: [(&[usize], u8, (usize, usize)); 8] = [
    (&[2, 5, 6, 8], 1, (3, 4)),
    (&[1, 6, 8, 5], 3, (6, 8)),
    (&[3, 7, 4], 2, (1, 7)),
    (&[2, 6], 1, (1, 1)),
    (&[5, 4, 6], 0, (4, 6)),
    (&[4], 0, (1, 1)),
    (&[2, 2, 3, 4, 6], 2, (4, 2)),
    (&[1, 9, 50, 60], 1, (10, 60)),
];

fn kinds() -> impl Iterator<Item = (bool, bool, Option<Contexts>)> {
    let both = [false, true];
    both.into_iter().flat_map(move |transform| {
        both.into_iter()
            .flat_map(move |spatial| CONTEXTS.into_iter().map(move |contexts| (transform, spatial, contexts)))
    })
}

fn activations(draw: &mut Draw, shape: &[usize]) -> Vec<f32> {
    (0..shape.iter().product()).map(|_| 3.0 * draw.bell()).collect()
}

fn coder(fitted: &Fitted, dtype: DType, shape: &[usize]) -> Coder {
    Coder::new(&fitted.clone().into(), dtype, shape, Limits::default()).unwrap()
}

fn encode(coder: &Coder, tensor: &Tensor) -> Bytes {
    let (mut payload, mut again) = (Vec::new(), Vec::new());
    coder.encode(tensor, &mut payload).unwrap();
    coder.encode(tensor, &mut again).unwrap();
    assert_eq!(payload, again, "not deterministic");
    payload.into()
}

#[test]
fn errors_stay_within_half_a_step() {
    for (shape, axis, tile) in SHAPES {
        for (transform, spatial, contexts) in kinds() {
            let mut draw = Draw(11);
            let kind = Kind { transform, tile: spatial.then_some(tile), contexts };
            let step = 0.25;
            let fitted = fitted(&mut draw, axis, shape[usize::from(axis)], step, &kind);
            let values = activations(&mut draw, shape);
            let tensor = Tensor::from_vec(shape, values.clone()).unwrap();
            let coder = coder(&fitted, DType::F32, shape);
            let payload = encode(&coder, &tensor);
            let back = coder.decode(&payload).unwrap();
            let mut decoder = coder.decoder();
            payload.chunks(777).for_each(|piece| decoder.push(piece).unwrap());
            assert_eq!(decoder.finish().unwrap(), back);
            // Orthonormal transforms keep the error's energy, so its mean is bounded as without.
            let energy: f64 = values
                .iter()
                .zip(back.elements::<f32>().unwrap().iter())
                .map(|(a, b)| f64::from(a - b).powi(2))
                .sum();
            let rms = (energy / values.len() as f64).sqrt();
            let bound = f64::from(step) / 2.0 * 1.0001;
            let what = format!("{shape:?} around {axis}, {transform} {spatial} {contexts:?}: {rms}");
            assert!(rms <= bound, "{what}");
            if !transform && !spatial {
                let mut pairs = values.iter().zip(back.elements::<f32>().unwrap().to_vec());
                assert!(pairs.all(|(a, b)| (a - b).abs() <= step / 2.0 * 1.0001), "{what}");
            }
            // Uniform errors of such steps have step/√12.
            assert!(values.len() < 100 || rms > f64::from(step) / 12f64.sqrt() * 0.8, "{what}");
        }
    }
}

#[test]
fn floats_of_other_widths() {
    let mut draw = Draw(3);
    let kind = Kind { transform: true, tile: Some((2, 3)), contexts: Some(Contexts::One) };
    let shape = [2, 4, 4, 6];
    let fitted = fitted(&mut draw, 1, 4, 0.5, &kind);
    let values = activations(&mut draw, &shape);
    let tensors = [
        Tensor::from_vec(&shape, values.iter().map(|value| f64::from(*value)).collect()).unwrap(),
        Tensor::from_vec(&shape, values.iter().map(|value| f16::from_f32(*value)).collect()).unwrap(),
        Tensor::from_vec(&shape, values.iter().map(|value| bf16::from_f32(*value)).collect()).unwrap(),
    ];
    for tensor in tensors {
        let coder = coder(&fitted, tensor.dtype(), &shape);
        let back = coder.decode(&encode(&coder, &tensor)).unwrap();
        assert_eq!(back.dtype(), tensor.dtype());
        let errors = back.to_f64().unwrap().into_iter().zip(tensor.to_f64().unwrap());
        let worst = errors.map(|(a, b)| (a - b).abs()).fold(0.0, f64::max);
        assert!(worst < 1.5, "{worst} with {tensor:?}");
    }
}

#[test]
fn a_sample_does_not_depend_on_its_batch() {
    for (transform, spatial, contexts) in kinds() {
        let mut draw = Draw(5);
        let kind = Kind { transform, tile: spatial.then_some((6, 8)), contexts };
        let fitted = fitted(&mut draw, 1, 5, 0.3, &kind);
        let values = activations(&mut draw, &[3, 5, 6, 8]);
        let batch = Tensor::from_vec(&[3, 5, 6, 8], values.clone()).unwrap();
        let three = coder(&fitted, DType::F32, &[3, 5, 6, 8]);
        let one = coder(&fitted, DType::F32, &[1, 5, 6, 8]);
        let together = three.decode(&encode(&three, &batch)).unwrap();
        for (at, sample) in values.chunks_exact(240).enumerate() {
            let sample = Tensor::from_vec(&[1, 5, 6, 8], sample.to_vec()).unwrap();
            let alone = one.decode(&encode(&one, &sample)).unwrap();
            assert_eq!(together.data()[at * 960..(at + 1) * 960], alone.data()[..]);
        }
    }
}

#[test]
fn clipping_constants_and_dead_zones() {
    for contexts in CONTEXTS {
        let mut draw = Draw(2);
        let kind = Kind { transform: false, tile: None, contexts };
        let mut fitted = fitted(&mut draw, 1, 4, 1.0, &kind);
        fitted.quantisers[0].max = 2;
        fitted.quantisers[0].min = -1;
        (fitted.quantisers[1].min, fitted.quantisers[1].max, fitted.quantisers[1].offset) = (0, 0, 7.5);
        fitted.quantisers[2].rounding = 0.25;
        fitted.quantisers[3].shrink = 0.125;
        let values =
            [-9.0f32, 9.0, 1.4, -0.4, 3.0, -100.0, 0.0, 1e9, 0.7, -0.7, 0.8, -1.8, 1.0, -2.0, 0.2, 1e9];
        let wanted =
            [-1.0, 2.0, 1.0, 0.0, 7.5, 7.5, 7.5, 7.5, 0.0, 0.0, 1.0, -2.0, 0.875, -1.875, 0.0, 32_766.875];
        let tensor = Tensor::from_vec(&[1, 4, 2, 2], values.to_vec()).unwrap();
        let coder = coder(&fitted, DType::F32, &[1, 4, 2, 2]);
        let back = coder.decode(&encode(&coder, &tensor)).unwrap();
        assert_eq!(back.elements::<f32>().unwrap().as_ref(), wanted, "{contexts:?}");
    }
}

#[test]
fn values_without_a_place_are_refused() {
    for (transform, spatial, contexts) in kinds() {
        let mut draw = Draw(8);
        let kind = Kind { transform, tile: spatial.then_some((2, 2)), contexts };
        let fitted = fitted(&mut draw, 1, 3, 0.3, &kind);
        let coder = coder(&fitted, DType::F32, &[1, 3, 2, 2]);
        for bad in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY] {
            for at in 0..12 {
                let mut values = activations(&mut draw, &[12]);
                values[at] = bad;
                let tensor = Tensor::from_vec(&[1, 3, 2, 2], values).unwrap();
                let mut out = vec![1];
                assert_eq!(coder.encode(&tensor, &mut out), Err(EncodeError::NotFinite), "{bad} at {at}");
                assert_eq!(out, [1]);
            }
        }
        let tiny = Tensor::from_vec(&[1, 3, 2, 2], vec![1e-40f32; 12]).unwrap();
        assert!(coder.decode(&encode(&coder, &tiny)).is_ok());
    }
}

#[test]
fn shapes_must_fit() {
    let mut draw = Draw(1);
    let kind = Kind { transform: true, tile: Some((3, 4)), contexts: Some(Contexts::One) };
    let codec = Codec::new(&fitted(&mut draw, 1, 5, 1.0, &kind).into()).unwrap();
    let error = |dtype, shape: &[usize]| codec.coder(dtype, shape, Limits::default()).err();
    assert_eq!(error(DType::F32, &[9, 5, 6, 4]), None);
    assert_eq!(error(DType::F32, &[9, 5, 0, 4]), None);
    let channels = CoderError::Channels { axis: 1, fitted: 5, actual: 6 };
    assert_eq!(error(DType::F32, &[9, 6, 6, 4]), Some(channels));
    let plane = CoderError::Plane { tile: (3, 4), plane: (7, 4) };
    assert_eq!(error(DType::F32, &[9, 5, 7, 4]), Some(plane));
    assert_eq!(error(DType::F32, &[9]), Some(CoderError::Axis { axis: 1, rank: 1 }));
    assert!(matches!(error(DType::I32, &[9, 5, 6, 4]), Some(CoderError::DType { .. })));
}

#[test]
fn parameters_are_checked() {
    let kind = Kind { transform: true, tile: Some((2, 2)), contexts: Some(Contexts::Neighbours) };
    let valid = fitted(&mut Draw(1), 1, 4, 1.0, &kind);
    assert_eq!(valid.validate(), Ok(()));
    type Break = fn(&mut Fitted);
    let breaks: [Break; 14] = [
        |fitted| fitted.channels = 0,
        |fitted| fitted.channels = 5,
        |fitted| fitted.quantisers.clear(),
        |fitted| fitted.quantisers[1].step = 0.0,
        |fitted| fitted.quantisers[1].step = f32::NAN,
        |fitted| fitted.quantisers[1].offset = f32::INFINITY,
        |fitted| fitted.quantisers[1].rounding = 0.75,
        |fitted| fitted.quantisers[1].shrink = 1.0,
        |fitted| fitted.quantisers[1].min = 9,
        |fitted| fitted.spatial.as_mut().unwrap().rows = 0,
        |fitted| fitted.spatial.as_mut().unwrap().columns = usize::MAX,
        |fitted| fitted.spatial.as_mut().unwrap().gain[0] = -1.0,
        |fitted| fitted.spatial = None,
        |fitted| {
            let Entropy::Coded(tables) = &mut fitted.entropy else { return };
            tables.map[3] = 9;
        },
    ];
    for (index, break_it) in breaks.into_iter().enumerate() {
        let mut broken = valid.clone();
        // A larger maximum than minimum, for the one that breaks it.
        broken.quantisers.iter_mut().for_each(|quantiser| quantiser.max = 5);
        break_it(&mut broken);
        assert!(broken.validate().is_err(), "break {index}");
        assert!(Codec::new(&broken.into()).is_err());
    }
    let mut huge = valid;
    huge.spatial.as_mut().unwrap().rows = 1 << 30;
    assert!(matches!(huge.validate(), Err(SpecError::Tile { .. })));
}

#[test]
fn symbols_are_those_that_are_coded() {
    let kind = Kind { transform: false, tile: Some((4, 4)), contexts: Some(Contexts::Neighbours) };
    let mut draw = Draw(4);
    let fitted = fitted(&mut draw, 1, 6, 0.5, &kind);
    let Entropy::Coded(tables) = &fitted.entropy else { panic!("coded") };
    let tensor = Tensor::from_vec(&[2, 6, 8, 8], activations(&mut draw, &[2, 6, 8, 8])).unwrap();
    let coder = coder(&fitted, DType::F32, &[2, 6, 8, 8]);
    let symbols = coder.symbols(&tensor).unwrap();
    assert_eq!(symbols.iter().map(|block| block.symbols.len()).sum::<usize>(), tensor.len());
    let cost = |block: &kerf_codec::Symbols| -> f64 {
        let table = |place: Option<u16>| &tables.tables[usize::from(tables.map[usize::from(place.unwrap())])];
        block.places.iter().zip(&block.symbols).map(|(place, symbol)| table(*place).cost(*symbol)).sum()
    };
    let bytes = symbols.iter().map(cost).sum::<f64>() / 8.0;
    let payload = encode(&coder, &tensor).len() as f64;
    assert!((payload - bytes).abs() < 16.0, "{payload} bytes, {bytes} expected");
}

proptest! {
    #[test]
    fn any_payload_is_a_tensor_or_an_error(
        shape in 0usize..8, kind in 0usize..12, seed: u64, payload: Vec<u8>, flips: Vec<(u16, u8)>, cut: u16,
    ) {
        let (shape, axis, tile) = SHAPES[shape];
        let (transform, spatial, contexts) = kinds().nth(kind).unwrap();
        let mut draw = Draw(seed);
        let kind = Kind { transform, tile: spatial.then_some(tile), contexts };
        let fitted = fitted(&mut draw, axis, shape[usize::from(axis)], 0.5, &kind);
        let coder = coder(&fitted, DType::F32, shape);
        let _ = coder.decode(&Bytes::from(payload));
        let tensor = Tensor::from_vec(shape, activations(&mut draw, shape)).unwrap();
        let good = encode(&coder, &tensor);
        let mut damaged = good.to_vec();
        for (at, to) in flips {
            let at = usize::from(at) % damaged.len();
            damaged[at] ^= to;
        }
        if let Ok(tensor) = coder.decode(&Bytes::from(damaged)) {
            prop_assert!(tensor.to_f64().unwrap().iter().all(|value| value.is_finite()));
        }
        let cut = usize::from(cut) % good.len();
        prop_assert!(coder.decode(&good.slice(..cut)).is_err());
        let longer = [&good[..], &[0]].concat();
        prop_assert!(coder.decode(&Bytes::from(longer)).is_err());
    }
}

#[test]
fn tables_that_do_not_sum_are_none() {
    for (shift, first, frequencies, escape) in [
        (0, 0, vec![16_384u16], 0),
        (0, 0, vec![16_384], 1),
        (0, 0, vec![0, 16_383], 1),
        (13, 0, vec![16_383], 1),
        (0, i16::MAX, vec![8000, 8383], 1),
        (0, 0, vec![u16::MAX; 70_000], u16::MAX),
    ] {
        assert!(Table::new(shift, first, frequencies.clone(), escape).is_err());
    }
    assert!(Table::new(0, 0, vec![], 16_384).is_ok());
    let wrong = coder(
        &fitted(&mut Draw(1), 0, 1, 1.0, &Kind { transform: false, tile: None, contexts: None }),
        DType::F32,
        &[1],
    );
    assert_eq!(wrong.decode(&Bytes::new()), Err(DecodeError::Truncated));
}
