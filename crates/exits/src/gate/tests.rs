use super::*;
use kerf_random::Random;
use proptest::prelude::*;

const LEARNT: Measure = Measure::Learnt(Predictor { bias: -1.0, weights: [0.5, 0.25, -1.0, 0.1, -0.5] });

fn gate(kind: Kind, temperature: f64, measure: Measure) -> Gate {
    Gate::new(kind, temperature, measure).unwrap()
}

fn softmax(logits: &[f32]) -> Vec<f32> {
    let most = logits.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    let worth: Vec<f64> = logits.iter().map(|logit| f64::from(logit - most).exp()).collect();
    let sum: f64 = worth.iter().sum();
    worth.iter().map(|worth| (worth / sum) as f32).collect()
}

#[test]
fn confidences() {
    // ln of 6, 3, 1: probabilities 0.6, 0.3, 0.1; at temperature 1/2 their squares, 36, 9, 1 of 46.
    let logits = [3f32.ln(), 6f32.ln(), 0.0];
    let entropy = |p: &[f64]| 1.0 + p.iter().map(|p| p * p.ln()).sum::<f64>() / 3f64.ln();
    for (temperature, measure, confidence) in [
        (1.0, Measure::MaxProbability, 0.6),
        (1.0, Measure::Margin, 0.3),
        (1.0, Measure::Entropy, entropy(&[0.6, 0.3, 0.1])),
        (0.5, Measure::MaxProbability, 36.0 / 46.0),
        (0.5, Measure::Margin, 27.0 / 46.0),
        (0.5, Measure::Entropy, entropy(&[36.0 / 46.0, 9.0 / 46.0, 1.0 / 46.0])),
    ] {
        let probabilities = softmax(&logits);
        let logs: Vec<f32> = probabilities.iter().map(|p| p.ln()).collect();
        for (kind, scores) in [
            (Kind::Logits, &logits[..]),
            (Kind::Probabilities, &probabilities),
            (Kind::LogProbabilities, &logs),
        ] {
            let judged = gate(kind, temperature, measure).judge(scores).unwrap();
            assert_eq!(judged.class, 1);
            let off = (judged.confidence - confidence).abs();
            assert!(off < 1e-6, "{kind:?} {measure:?} at {temperature}: {judged:?}, wanted {confidence}");
        }
    }
}

#[test]
fn scores_that_are_none() {
    const NAN: f32 = f32::NAN;
    const INF: f32 = f32::INFINITY;
    for (kind, scores, is_fit) in [
        (Kind::Logits, &[][..], false),
        (Kind::Logits, &[1.0], false),
        (Kind::Logits, &[1.0, NAN], false),
        (Kind::Logits, &[NAN, 1.0], false),
        (Kind::Logits, &[INF, 1.0], false),
        (Kind::Logits, &[1.0, -INF], false),
        (Kind::Logits, &[f32::MAX, f32::MIN], true),
        (Kind::Probabilities, &[0.5, 0.6], true),
        (Kind::Probabilities, &[1.0, 0.0], true),
        (Kind::Probabilities, &[0.0, 0.0], true),
        (Kind::Probabilities, &[1.5, -0.5], false),
        (Kind::Probabilities, &[NAN, 1.0], false),
        (Kind::Probabilities, &[4.0, 1.0], false),
        (Kind::LogProbabilities, &[0.0, -INF], true),
        (Kind::LogProbabilities, &[-INF, -INF], true),
        (Kind::LogProbabilities, &[2.0, -1.0], false),
        (Kind::LogProbabilities, &[NAN, -1.0], false),
        (Kind::LogProbabilities, &[-1.0, NAN], false),
    ] {
        for measure in [Measure::MaxProbability, Measure::Margin, Measure::Entropy, LEARNT] {
            let judged = gate(kind, 1.0, measure).judge(scores);
            assert_eq!(judged.is_some(), is_fit, "{kind:?} {measure:?} of {scores:?}: {judged:?}");
            if let Some(judged) = judged {
                assert!((0.0..=1.0).contains(&judged.confidence), "{measure:?} of {scores:?}: {judged:?}");
            }
        }
    }
}

#[test]
fn the_first_of_equals_is_the_answer() {
    for (scores, class) in [(&[1.0, 2.0, 2.0][..], 1), (&[0.0, 0.0], 0), (&[-0.0, 0.0], 0)] {
        assert_eq!(gate(Kind::Logits, 1.0, Measure::Margin).judge(scores).unwrap().class, class);
    }
}

#[test]
fn kinds_by_their_looks() {
    for (scores, classes, kind) in [
        (&[0.5, 0.5, 1.0, 0.0][..], 2, Kind::Probabilities),
        (&[0.5f32.ln(), 0.5f32.ln(), 0.0, f32::NEG_INFINITY], 2, Kind::LogProbabilities),
        (&[0.5, 0.5, 3.0, -1.0], 2, Kind::Logits),
        (&[0.5, 0.5, 0.5, 0.6], 2, Kind::Logits),
        (&[-3.0, -2.0], 2, Kind::Logits),
        (&[f32::NAN, 0.5, 1.0, 0.0], 2, Kind::Probabilities),
        (&[f32::NAN, 0.5], 2, Kind::Logits),
        (&[], 0, Kind::Logits),
    ] {
        assert_eq!(Kind::of(scores, classes), kind, "{scores:?}");
    }
}

#[test]
fn gates_in_files() {
    for measure in [Measure::MaxProbability, LEARNT] {
        let gate = gate(Kind::LogProbabilities, 1.5, measure);
        let text = serde_json::to_string(&gate).unwrap();
        assert_eq!(serde_json::from_str::<Gate>(&text).unwrap(), gate, "{text}");
    }
    let read = |text: &str| serde_json::from_str::<Gate>(text).unwrap_err().to_string();
    let with = |temperature: &str, measure: &str| {
        format!(r#"{{"kind": "logits", "temperature": {temperature}, "measure": {measure}}}"#)
    };
    assert!(read(&with("0", r#""margin""#)).contains("temperature 0.0"));
    assert!(read(&with("-1", r#""margin""#)).contains("temperature -1.0"));
    assert!(read(&with("1", r#""guess""#)).contains("unknown variant"));
    let weights = r#"{"learnt": {"bias": 1e300, "weights": [0, 0, 0, 0, 0]}}"#;
    assert!(read(&with("1", weights)).contains("a weight of the learnt measure is 1e300"));
    assert!(Gate::new(Kind::Logits, f64::NAN, Measure::Margin).is_err());
}

/// A head whose largest logit is right as often as its probability says at `temperature`, and more often
/// where `hint` is larger, which is added to all logits.
fn head(rows: usize, temperature: f64, hint: f64, seed: u64) -> (Vec<f32>, Vec<bool>) {
    let mut random = Random::new(seed);
    let (mut scores, mut wrong) = (Vec::new(), Vec::new());
    for _ in 0..rows {
        let (gap, shift) = (random.unit() * 6.0, random.unit() * 2.0 - 1.0);
        let odds = gap / temperature + hint * shift;
        scores.extend([(gap + shift) as f32, shift as f32]);
        wrong.push(random.unit() >= predictor::sigmoid(odds));
    }
    (scores, wrong)
}

fn fitted(scores: &[f32], wrong: &[bool]) -> Fitted {
    fit(&Rows { kind: Kind::Logits, classes: 2, scores, wrong }).unwrap()
}

#[test]
fn temperature_is_found() {
    for temperature in [0.5, 1.0, 3.0] {
        let (scores, wrong) = head(4000, temperature, 0.0, 7);
        let found = fitted(&scores, &wrong).gate.temperature();
        assert!((found / temperature).ln().abs() < 0.15, "{found} for {temperature}");
    }
}

#[test]
fn the_measure_that_tells_errors_is_taken() {
    // All of two classes' measures order alike: the plainest is taken unless there is more to learn.
    let (scores, wrong) = head(3000, 1.0, 0.0, 11);
    let plain = fitted(&scores, &wrong);
    let by_name = |fitted: &Fitted, name: &str| {
        *fitted.reports.iter().find(|report| report.measure.name() == name).unwrap()
    };
    let (top, margin) = (by_name(&plain, "max_probability"), by_name(&plain, "margin"));
    assert!((top.aurc - margin.aurc).abs() < 1e-9, "{top:?} {margin:?}");
    assert!(by_name(&plain, "learnt").aurc < top.aurc * 1.1);
    assert_eq!(plain.gate.measure().name(), "max_probability", "{:?}", plain.reports);

    let (scores, wrong) = head(3000, 1.0, 3.0, 12);
    let hinted = fitted(&scores, &wrong);
    assert_eq!(hinted.gate.measure().name(), "learnt", "{:?}", hinted.reports);
    let (learnt, top) = (by_name(&hinted, "learnt"), by_name(&hinted, "max_probability"));
    assert!(learnt.aurc < 0.7 * top.aurc && learnt.auroc > top.auroc, "{:?}", hinted.reports);
    // What it says is how often it is right, on rows that it has not seen.
    let (scores, wrong) = head(3000, 1.0, 3.0, 13);
    let said: Vec<f64> =
        scores.chunks_exact(2).map(|row| hinted.gate.judge(row).unwrap().confidence).collect();
    let right = wrong.iter().filter(|wrong| !**wrong).count() as f64;
    assert!((said.iter().sum::<f64>() - right).abs() < 60.0, "{} {right}", said.iter().sum::<f64>());
}

#[test]
fn equal_rows_give_equal_gates_and_odd_rows_are_left_out() {
    let (mut scores, mut wrong) = head(500, 1.0, 1.0, 3);
    let without = fitted(&scores, &wrong);
    assert_eq!(without, fitted(&scores, &wrong));
    for (row, lost) in [([f32::NAN, 0.0], true), ([0.0, f32::INFINITY], false)] {
        scores.extend(row);
        wrong.push(lost);
    }
    let with = fitted(&scores, &wrong);
    assert_eq!((with.gate, with.skipped), (without.gate, 2));
}

#[test]
fn heads_that_are_never_or_always_wrong() {
    let (scores, _) = head(100, 1.0, 0.0, 5);
    for (lost, area) in [(false, 0.0), (true, 1.0)] {
        let found = fitted(&scores, &[lost; 100]);
        assert_eq!((found.gate.temperature(), found.gate.measure().name()), (1.0, "max_probability"));
        assert!(found.reports.iter().all(|report| report.aurc == area && report.auroc.is_none()));
    }
}

#[test]
fn rows_that_cannot_be_fitted() {
    let rows = |classes, scores, wrong| fit(&Rows { kind: Kind::Logits, classes, scores, wrong });
    assert_eq!(rows(1, &[0.0; 50], &[false; 50]), Err(FitError::Classes(1)));
    assert_eq!(
        rows(2, &[0.0; 99], &[false; 50]),
        Err(FitError::Lengths { scores: 99, rows: 50, classes: 2 })
    );
    assert_eq!(rows(2, &[0.0; 38], &[false; 19]), Err(FitError::TooFew { found: 19, skipped: 0 }));
    let error = rows(2, &[f32::NAN; 80], &[false; 40]).unwrap_err();
    assert_eq!(error, FitError::TooFew { found: 0, skipped: 40 });
    assert!(error.to_string().contains("20 are needed"), "{error}");
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_bits_are_judged_or_not(bits in prop::collection::vec(any::<u32>(), 0..20), temperature in 1e-3f64..1e3) {
        let scores: Vec<f32> = bits.into_iter().map(f32::from_bits).collect();
        for kind in [Kind::Logits, Kind::Probabilities, Kind::LogProbabilities] {
            for measure in [Measure::MaxProbability, Measure::Margin, Measure::Entropy, LEARNT] {
                if let Some(judged) = gate(kind, temperature, measure).judge(&scores) {
                    prop_assert!((0.0..=1.0).contains(&judged.confidence), "{:?} {:?}", measure, judged);
                    let most = scores[judged.class as usize];
                    prop_assert!(scores.iter().all(|score| *score <= most));
                }
            }
        }
    }

    /// Neither what is added to all logits nor the order of the classes matters to what is no class's own.
    #[test]
    fn plain_measures_see_differences_only(
        logits in prop::collection::vec(-20f32..20.0, 2..50), shift in -8i8..8, temperature in 0.2f64..5.0,
    ) {
        let moved: Vec<f32> = logits.iter().rev().map(|logit| logit + f32::from(shift)).collect();
        for measure in [Measure::MaxProbability, Measure::Margin, Measure::Entropy] {
            let gate = gate(Kind::Logits, temperature, measure);
            let (one, other) = (gate.judge(&logits).unwrap(), gate.judge(&moved).unwrap());
            prop_assert!((one.confidence - other.confidence).abs() < 1e-4, "{:?}: {:?} {:?}", measure, one, other);
        }
    }

    /// Rising confidence means falling risk only if a larger temperature never makes a head surer.
    #[test]
    fn heat_makes_less_sure(logits in prop::collection::vec(-20f32..20.0, 2..50), cold in 0.1f64..5.0) {
        for measure in [Measure::MaxProbability, Measure::Entropy] {
            let at = |temperature| gate(Kind::Logits, temperature, measure).judge(&logits).unwrap().confidence;
            prop_assert!(at(cold) >= at(cold * 1.5) - 1e-5);
        }
    }
}
