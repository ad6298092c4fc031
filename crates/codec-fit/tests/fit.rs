//! Fitted codecs code what they were fitted to and what they were not, in the bytes they promise.

#![allow(clippy::unwrap_used, reason = "a test may fail anywhere")]
use kerf_codec::{BuiltIn, Coder, Limits, Spec};
use kerf_codec_fit::{Candidate, Fit, Input, Method, Probe, Samples, Sensitivity};
use kerf_tensor::Tensor;
use proptest::prelude::*;

/// Smooth maps of few causes: channels are mixtures, neighbours are alike.
fn maps(shape: &[usize], seed: u64, rectified: bool) -> Tensor {
    let [samples, channels, height, width] = shape else { panic!("{shape:?}") };
    let mut values = Vec::with_capacity(shape.iter().product());
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let mut uniform = move || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state >> 40) as f32 / (1 << 23) as f32 - 1.0
    };
    for _ in 0..*samples {
        let causes: Vec<[f32; 4]> = (0..3).map(|_| std::array::from_fn(|_| uniform())).collect();
        for channel in 0..*channels {
            for (row, column) in (0..*height).flat_map(|row| (0..*width).map(move |column| (row, column))) {
                let (y, x) = (row as f32 / *height as f32, column as f32 / *width as f32);
                let waves = causes.iter().enumerate().map(|(cause, [a, b, c, d])| {
                    let share = ((channel * 7 + cause * 3) as f32).sin();
                    share * a * (3.0 * (b * x + c * y) + d).sin()
                });
                let value = 4.0 * waves.sum::<f32>() + 0.3 * uniform() + (channel % 3) as f32 - 1.0;
                values.push(if rectified { (value - 0.5).max(0.0) } else { value });
            }
        }
    }
    Tensor::from_vec(shape, values).unwrap()
}

fn fit(samples: &Samples, sensitivity: Option<&Sensitivity>, method: Method) -> Fit {
    Fit::new(&[Input { name: "x", samples: Some(samples), sensitivity }], method)
}

/// Bytes, and mean square error.
fn coded(spec: &Spec, tensor: &Tensor) -> (usize, f64) {
    let coder = Coder::new(spec, tensor.dtype(), tensor.shape(), Limits::default()).unwrap();
    let mut payload = Vec::new();
    coder.encode(tensor, &mut payload).unwrap();
    let bytes = payload.len();
    let back = coder.decode(&payload.into()).unwrap();
    assert_eq!((back.dtype(), back.shape()), (tensor.dtype(), tensor.shape()));
    let (a, b) = (tensor.to_f64().unwrap(), back.to_f64().unwrap());
    let error = a.iter().zip(&b).map(|(a, b)| (a - b).powi(2)).sum::<f64>() / a.len().max(1) as f64;
    (bytes, error)
}

fn spec(candidate: &Candidate) -> &Spec {
    &candidate.tensors[0].1
}

#[test]
fn finer_codecs_take_more_bytes_and_err_less() {
    for rectified in [false, true] {
        let (mine, others) = (maps(&[40, 24, 7, 7], 1, rectified), maps(&[40, 24, 7, 7], 2, rectified));
        let mut samples = Samples::new(1, 24);
        samples.push(&mine).unwrap();
        for method in Method::ALL {
            let candidates: Vec<Candidate> = fit(&samples, None, method).candidates().collect();
            assert_eq!(candidates.len(), Fit::LADDER.len());
            let mut last = (usize::MAX, 0.0);
            for candidate in &candidates {
                let (bytes, _) = coded(spec(candidate), &mine);
                let promised = candidate.bytes * 40.0;
                // States of the entropy coder, and lengths of blocks.
                let framing = 40.0 * 12.0;
                assert!(
                    (bytes as f64) < 1.02 * promised + framing && bytes as f64 > 0.98 * promised,
                    "{}: {bytes} bytes, {promised} promised",
                    candidate.name
                );
                let (bytes, error) = coded(spec(candidate), &others);
                assert!((bytes as f64) < 1.3 * promised + framing, "{}: {bytes} of others", candidate.name);
                assert!(
                    bytes <= last.0 && error >= last.1 * 0.98,
                    "{}: {bytes} bytes, {error}",
                    candidate.name
                );
                last = (bytes, error);
            }
        }
    }
}

#[test]
fn few_samples_cost_bytes_and_no_errors() {
    let (mine, others) = (maps(&[4, 48, 7, 7], 11, false), maps(&[60, 48, 7, 7], 12, false));
    let mut samples = Samples::new(1, 48);
    samples.push(&mine).unwrap();
    for method in Method::ALL {
        let candidate = fit(&samples, None, method).candidate(4.2).unwrap();
        let ((_, here), (_, elsewhere)) = (coded(spec(&candidate), &mine), coded(spec(&candidate), &others));
        assert!(elsewhere < 1.5 * here, "{}: {elsewhere} against {here}", candidate.name);
    }
}

#[test]
fn transforms_pay_for_dense_maps() {
    let tensor = maps(&[60, 24, 7, 7], 3, false);
    let mut samples = Samples::new(1, 24);
    samples.push(&tensor).unwrap();
    let others = maps(&[40, 24, 7, 7], 4, false);
    let best = |method: Method, most: f64| {
        let fit = fit(&samples, None, method);
        let candidates = fit.candidates().map(|candidate| coded(spec(&candidate), &others));
        candidates.filter(|(_, error)| *error < most).map(|(bytes, _)| bytes).min().unwrap()
    };
    assert!(2 * best(Method::Transformed, 0.05) < best(Method::Plain, 0.05));
}

#[test]
fn equal_sensitivity_changes_nothing() {
    let tensor = maps(&[30, 12, 5, 4], 5, false);
    let mut samples = Samples::new(1, 12);
    samples.push(&tensor).unwrap();
    let identity: Vec<f64> = (0..144).map(|at| if at % 13 == 0 { 7.0 } else { 0.0 }).collect();
    let equal = Sensitivity::new(12, &identity, 50).unwrap().with_frequencies((5, 4), &[3.0; 20]).unwrap();
    let (with, without) =
        (fit(&samples, Some(&equal), Method::Transformed), fit(&samples, None, Method::Transformed));
    for bits in [3.0, 1.0] {
        let [a, b] = [&with, &without].map(|fit| coded(spec(&fit.candidate(bits).unwrap()), &tensor));
        assert!((a.0 as f64 / b.0 as f64 - 1.0).abs() < 0.01, "{a:?} {b:?}");
        assert!((a.1 / b.1 - 1.0).abs() < 0.01, "{a:?} {b:?}");
    }
}

#[test]
fn what_is_felt_is_kept() {
    let tensor = maps(&[50, 8, 6, 6], 6, false);
    let mut samples = Samples::new(1, 8);
    samples.push(&tensor).unwrap();
    // The answer: the sum of channel 2 over all positions.
    let answer = |tensor: &Tensor| {
        let values = tensor.to_f64().unwrap();
        values.chunks_exact(8 * 36).map(|sample| sample[72..108].iter().sum::<f64>()).collect::<Vec<_>>()
    };
    let mut probe = Probe::new(&samples, 50 * 2 * 14, 11);
    assert_eq!((probe.samples(), probe.pairs()), (50, 14));
    for sample in 0..probe.samples() {
        let data = tensor.data().slice(sample * 8 * 36 * 4..(sample + 1) * 8 * 36 * 4);
        let single = Tensor::new(tensor.dtype(), vec![1, 8, 6, 6], data).unwrap();
        let change = |pair| {
            let (plus, minus) = probe.pair(sample, pair, &single).unwrap();
            vec![(answer(&plus)[0] - answer(&minus)[0]) as f32]
        };
        let changes: Vec<_> = (0..probe.pairs()).map(change).collect();
        probe.learn(&changes).unwrap();
    }
    let sensitivity = probe.finish().unwrap();
    let felt = |sensitivity: Option<&Sensitivity>| {
        let fit = fit(&samples, sensitivity, Method::Transformed);
        let candidate = fit.candidate(1.0).unwrap();
        let coder = Coder::new(spec(&candidate), tensor.dtype(), tensor.shape(), Limits::default()).unwrap();
        let mut payload = Vec::new();
        coder.encode(&tensor, &mut payload).unwrap();
        let bytes = payload.len();
        let back = coder.decode(&payload.into()).unwrap();
        let pairs = answer(&tensor).into_iter().zip(answer(&back));
        (bytes, pairs.map(|(a, b)| (a - b).powi(2)).sum::<f64>())
    };
    let ((bytes, error), (plain_bytes, plain_error)) = (felt(Some(&sensitivity)), felt(None));
    assert!(bytes < plain_bytes + plain_bytes / 5, "{bytes} against {plain_bytes}");
    assert!(10.0 * error < plain_error, "{error} against {plain_error}");
}

#[test]
fn probes_refuse_what_they_did_not_ask_for() {
    let mut samples = Samples::new(1, 3);
    samples.push(&maps(&[4, 3, 2, 2], 7, false)).unwrap();
    let mut probe = Probe::new(&samples, 200, 0);
    let pairs = probe.pairs();
    for shape in [[2, 3, 2, 2], [1, 4, 2, 2]] {
        assert!(probe.pair(0, 0, &maps(&shape, 7, false)).is_err());
    }
    assert!(probe.pair(0, pairs, &maps(&[1, 3, 2, 2], 7, false)).is_err());
    assert!(probe.learn(&vec![vec![1.0]; pairs + 1]).is_err());
    let mut uneven = vec![vec![1.0]; pairs];
    uneven[1].push(1.0);
    assert!(probe.learn(&uneven).is_err());
    assert!(probe.learn(&vec![vec![f32::NAN]; pairs]).is_err());
    assert!(probe.learn(&vec![vec![0.0]; pairs]).is_ok());
    assert_eq!(probe.finish(), None, "nothing ever changed");
}

#[test]
fn boundaries_of_several_tensors() {
    let (a, b) = (maps(&[20, 6, 8, 8], 8, false), maps(&[20, 10, 4, 4], 9, true));
    let (mut of_a, mut of_b) = (Samples::new(1, 6), Samples::new(1, 10));
    of_a.push(&a).unwrap();
    of_b.push(&b).unwrap();
    let empty = Samples::new(1, 4);
    let input = |name, samples| Input { name, samples, sensitivity: None };
    let inputs =
        [input("a", Some(&of_a)), input("mask", None), input("none", Some(&empty)), input("b", Some(&of_b))];
    for method in Method::ALL {
        let candidate = Fit::new(&inputs, method).candidate(2.0).unwrap();
        let names: Vec<&str> = candidate.tensors.iter().map(|(name, _)| name.as_str()).collect();
        assert_eq!(names, ["a", "mask", "none", "b"]);
        assert_eq!(candidate.tensors[1].1, BuiltIn::Lossless.into());
        assert_eq!(candidate.tensors[2].1, BuiltIn::Lossless.into());
        let bytes = coded(&candidate.tensors[0].1, &a).0 + coded(&candidate.tensors[3].1, &b).0;
        assert!((bytes as f64) < 1.02 * candidate.bytes * 20.0 + 40.0 * 12.0);
    }
    assert!(Fit::new(&inputs[1..3], Method::Plain).candidate(2.0).is_none());
}

#[test]
fn sequences_of_any_length() {
    let sequence = |len: usize, seed| maps(&[1, len, 1, 16], seed, false).reshape(vec![1, len, 16]).unwrap();
    let mut samples = Samples::new(2, 16);
    (1..30).for_each(|len| samples.push(&sequence(len, len as u64)).unwrap());
    assert_eq!(samples.plane(), None);
    for method in Method::ALL {
        for candidate in fit(&samples, None, method).candidates() {
            for len in [1, 2, 77, 400] {
                coded(spec(&candidate), &sequence(len, 99));
            }
        }
    }
}

#[test]
fn equal_input_gives_equal_codecs() {
    let mut samples = Samples::new(1, 9);
    samples.push(&maps(&[12, 9, 6, 6], 10, false)).unwrap();
    for method in Method::ALL {
        let made = || {
            fit(&samples, None, method).candidates().map(|candidate| candidate.tensors).collect::<Vec<_>>()
        };
        assert_eq!(made(), made());
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]
    #[test]
    fn any_samples_give_codecs_that_work(
        count in 1usize..5,
        channels in 1usize..9,
        height in 1usize..5,
        width in 1usize..5,
        exponent in -30i32..30,
        constant in prop::collection::vec(any::<bool>(), 9),
        seed in any::<u64>(),
        method in prop::sample::select(Method::ALL.to_vec()),
    ) {
        let shape = [count, channels, height, width];
        let scaled = |tensor: Tensor| {
            let values = tensor.elements::<f32>().unwrap().into_owned();
            let channel = |at: usize| at / (height * width) % channels;
            let values = values.iter().enumerate().map(|(at, value)| {
                (if constant[channel(at)] { 1.5 } else { *value }) * 2f32.powi(exponent)
            });
            Tensor::from_vec(&shape, values.collect()).unwrap()
        };
        let (mine, others) = (scaled(maps(&shape, seed, false)), scaled(maps(&shape, seed ^ 0xabcd, true)));
        let mut samples = Samples::new(1, channels);
        samples.push(&mine).unwrap();
        let fit = fit(&samples, None, method);
        let power = |tensor: &Tensor| {
            tensor.to_f64().unwrap().iter().map(|value| value * value).sum::<f64>() / tensor.len() as f64
        };
        for bits in [8.0, 2.0, 0.3] {
            let candidate = fit.candidate(bits).unwrap();
            let (_, error) = coded(spec(&candidate), &mine);
            prop_assert!(error <= power(&mine) * 1.001 + 1e-12, "{error} of {}", power(&mine));
            coded(spec(&candidate), &others);
        }
    }
}
