use super::*;
use crate::{Criterion, Metric};
use kerf_tensor::Tensor;
use proptest::prelude::*;

fn named(name: &str, shape: &[usize], values: &[f32]) -> NamedTensor {
    NamedTensor { name: name.into(), tensor: Tensor::from_vec(shape, values.to_vec()).unwrap() }
}

fn described(yaml: &str) -> Boxes {
    Boxes::from_yaml(yaml).unwrap()
}

/// Two columns of scores, of which the first is the background, and corners.
fn faces(rows: &[([f32; 4], f32)]) -> [NamedTensor; 2] {
    let scores: Vec<f32> = rows.iter().flat_map(|(_, score)| [1.0 - score, *score]).collect();
    let corners: Vec<f32> = rows.iter().flat_map(|(corners, _)| *corners).collect();
    [named("scores", &[1, rows.len(), 2], &scores), named("boxes", &[1, rows.len(), 4], &corners)]
}

const FACES: &str =
    "layout: {boxes: {output: boxes}, format: xyxy, scores: {output: scores, background: first}}";

#[test]
fn what_a_detector_answers() {
    let one = [0.0, 0.0, 1.0, 1.0];
    let reference =
        faces(&[(one, 0.9), ([0.05, 0.0, 1.0, 1.0], 0.8), ([2.0, 2.0, 3.0, 3.0], 0.7), (one, 0.1)]);
    let boxes = described(FACES);
    let found = decode::decode(&boxes, &reference).unwrap();
    let scores: Vec<f64> = found[0].iter().map(|it| it.score).collect();
    assert!(scores.len() == 2 && (scores[0] - 0.9).abs() < 1e-6 && (scores[1] - 0.7).abs() < 1e-6);

    let moved = |by: f32, second: f32| {
        faces(&[([by, 0.0, 1.0 + by, 1.0], 0.9), (one, 0.0), ([2.0, 2.0, 3.0, 3.0], second), (one, 0.0)])
    };
    for (answer, same, f1) in [
        (reference.clone(), true, 1.0),
        // Intersection over union 0.82.
        (moved(0.1, 0.7), true, 1.0),
        // 0.43: one of two matches.
        (moved(0.4, 0.7), false, 0.5),
        // The second is below the threshold: precision 1, recall a half.
        (moved(0.0, 0.2), false, 2.0 / 3.0),
        (faces(&[(one, 0.0); 4]), false, 0.0),
    ] {
        let verdict = judge(&boxes, &answer, &reference).unwrap();
        assert_eq!(verdict.same, same, "{verdict:?}");
        assert!((verdict.distance - (1.0 - f1)).abs() < 1e-9, "{verdict:?}, wanted F1 {f1}");
    }
    let nothing = faces(&[(one, 0.1); 4]);
    let verdict = judge(&boxes, &faces(&[(one, 0.2); 4]), &nothing).unwrap();
    assert_eq!((verdict.same, verdict.parts.of, verdict.distance), (true, 0, 0.0));
}

#[test]
fn classes_do_not_match_each_other() {
    let boxes = described("{layout: {boxes: {}, format: xywh, scores: {from: 4}}, nms: null, at_least: 1}");
    let row = |classes: [f32; 2]| [1.0, 1.0, 2.0, 2.0, classes[0], classes[1]];
    let answer = |classes| [named("y", &[1, 1, 6], &row(classes))];
    let verdict = judge(&boxes, &answer([0.1, 0.9]), &answer([0.9, 0.1])).unwrap();
    assert_eq!((verdict.same, verdict.parts), (false, Share { same: 0, of: 2 }));
    assert!(judge(&boxes, &answer([0.6, 0.5]), &answer([0.9, 0.1])).unwrap().same);
}

/// YOLOX: a picture of 64 pixels has 64 + 16 + 4 cells.
#[test]
fn grids() {
    let cells = 8 * 8 + 4 * 4 + 2 * 2;
    let mut raw = vec![0f32; cells * 7];
    // The cell (1, 0) of the last map: centre (1.5, 0.5), 2 cells wide and e high.
    let at = (8 * 8 + 4 * 4 + 1) * 7;
    raw[at..at + 7].copy_from_slice(&[0.5, 0.5, 2f32.ln(), 1.0, 0.8, 0.1, 0.9]);
    let boxes = Boxes::new(Layout::preset("yolox").unwrap());
    let found = decode::decode(&boxes, &[named("y", &[1, cells, 7], &raw)]).unwrap();
    let [one] = found[0][..] else { panic!("{found:?}") };
    let e = std::f64::consts::E;
    let wanted = [16.0, 16.0 - 16.0 * e, 80.0, 16.0 + 16.0 * e];
    assert!(one.class == 1 && (one.score - 0.72).abs() < 1e-6, "{one:?}");
    assert!(one.corners.iter().zip(wanted).all(|(a, b)| (a - b).abs() < 1e-5), "{one:?}");

    let error = decode::decode(&boxes, &[named("y", &[1, 3, 7], &[0.0; 21])]).unwrap_err().to_string();
    assert!(error.contains("no square picture has 3 cells at strides [8, 16, 32]"), "{error}");
    for grid in [
        "{strides: []}",
        "{strides: [0]}",
        "{strides: [8], size: [0, 8]}",
        "{strides: [8], size: [4294967295, 4294967295]}",
    ] {
        let yaml = format!("layout: {{boxes: {{}}, format: cxcywh, grid: {grid}, scores: {{from: 5}}}}");
        assert!(decode::decode(&described(&yaml), &[named("y", &[1, cells, 7], &raw)]).is_err(), "{grid}");
    }
}

#[test]
fn distributions_of_distances() {
    // One cell, four sides of two bins: 0 or 1 cells away, then one class.
    let yaml = "layout: {boxes: {}, format: ltrb, grid: {strides: [8], bins: 2}, scores: {from: 8, activation: sigmoid}}";
    let far = 50.0;
    let raw = [far, 0.0, 0.0, far, 0.0, far, 0.0, 0.0, 1.0];
    let found = decode::decode(&described(yaml), &[named("y", &[1, 1, 9], &raw)]).unwrap();
    let one = found[0][0];
    let wanted = [4.0, -4.0, 12.0, 8.0];
    assert!(one.corners.iter().zip(wanted).all(|(a, b)| (a - b).abs() < 1e-9), "{one:?}");
    assert!((one.score - 1.0 / (1.0 + (-1f64).exp())).abs() < 1e-9);
}

#[test]
fn transposed_and_labelled_rows() {
    let columns = [5.0, 0.0, 5.0, 0.0, 4.0, 0.0, 4.0, 0.0, 0.9, 0.0];
    let found =
        decode::decode(&Boxes::new(Layout::preset("yolov8").unwrap()), &[named("y", &[1, 5, 2], &columns)]);
    assert_eq!(found.unwrap()[0][0].corners, [3.0, 3.0, 7.0, 7.0]);

    let rows =
        [0.0, 0.0, 4.0, 4.0, 0.9, 7.0, 0.0, 0.0, 4.0, 4.0, 0.8, -1.0, 0.0, 0.0, 4.0, 4.0, 0.8, f32::NAN];
    let found =
        decode::decode(&Boxes::new(Layout::preset("rows").unwrap()), &[named("y", &[1, 3, 6], &rows)])
            .unwrap();
    assert_eq!(found[0].iter().map(|it| it.class).collect::<Vec<_>>(), [7]);

    // TensorFlow's three outputs: no axis for the column.
    let yaml =
        "{nms: null, layout: {boxes: {output: b}, format: yxyx, scores: {output: s}, label: {output: c}}}";
    let outputs = [
        named("b", &[1, 1, 4], &[0.0, 1.0, 2.0, 3.0]),
        named("s", &[1, 1], &[0.5]),
        named("c", &[1, 1], &[3.0]),
    ];
    let found = decode::decode(&described(yaml), &outputs).unwrap();
    assert_eq!(found[0][0], Detection { corners: [1.0, 0.0, 3.0, 2.0], score: 0.5, class: 3 });
}

#[test]
fn scores_as_the_model_left_them() {
    // DETR: the last class is none.
    let yaml = "layout: {boxes: {output: b}, format: cxcywh, scores: {output: s, background: last, activation: softmax}}";
    let outputs =
        [named("s", &[1, 2, 3], &[5.0, 0.0, 1.0, 0.0, 0.0, 9.0]), named("b", &[1, 2, 4], &[0.5; 8])];
    let found = decode::decode(&described(yaml), &outputs).unwrap();
    let softmax = 5f64.exp() / (5f64.exp() + 1.0 + 1f64.exp());
    assert!(found[0].len() == 1 && (found[0][0].score - softmax).abs() < 1e-9, "{found:?}");
}

#[test]
fn what_does_not_fit_is_said() {
    let outputs = faces(&[([0.0, 0.0, 1.0, 1.0], 0.9)]);
    for (yaml, message) in [
        (
            "layout: {boxes: {output: box}, format: xyxy, scores: {}}",
            "no output is called \"box\"; there are scores, boxes",
        ),
        (
            "layout: {boxes: {output: boxes, from: 1}, format: xyxy, scores: {}}",
            "output \"boxes\", f32[1, 1, 4]: columns 1 and on",
        ),
        (
            "layout: {boxes: {output: boxes}, format: xyxy, scores: {from: 9}}",
            "columns 9 and on are not there: it has 2",
        ),
        ("layout: {boxes: {output: boxes}, format: ltrb, scores: {}}", "ltrb needs a grid"),
    ] {
        let error = decode::decode(&described(yaml), &outputs).unwrap_err().to_string();
        assert!(error.contains(message), "{yaml}: {error}");
    }
    let uneven = [named("scores", &[1, 2, 2], &[0.0; 4]), named("boxes", &[1, 1, 4], &[0.0; 4])];
    let error = decode::decode(&described(FACES), &uneven).unwrap_err().to_string();
    assert!(error.contains("another output has not as many candidates"), "{error}");
    let strange = [named("scores", &[2], &[0.0; 2]), named("boxes", &[1, 1, 1, 4], &[0.0; 4])];
    assert!(decode::decode(&described(FACES), &strange).unwrap_err().to_string().contains("expected [N,"));
}

#[test]
fn presets_are_known_and_survive_text() {
    for name in Layout::PRESETS {
        let boxes = Boxes::new(Layout::preset(name).unwrap());
        let json = serde_json::to_string(&boxes).unwrap();
        assert_eq!(Boxes::from_yaml(&json).unwrap(), boxes, "{json}");
        let criterion: Criterion = format!("boxes:{name}").parse().unwrap();
        assert_eq!(criterion.by, Metric::Boxes(Box::new(boxes)));
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]
    #[test]
    fn any_values_have_a_verdict(bits in prop::collection::vec(any::<u32>(), 84 * 7 * 2), preset in 0usize..5) {
        let values: Vec<f32> = bits.into_iter().map(f32::from_bits).collect();
        let answers = values.chunks(84 * 7).map(|half| [named("y", &[1, 84, 7], half)]).collect::<Vec<_>>();
        let boxes = Boxes::new(Layout::preset(Layout::PRESETS[preset]).unwrap());
        if let Ok(verdict) = judge(&boxes, &answers[0], &answers[1]) {
            prop_assert!((0.0..=1.0).contains(&verdict.distance), "{verdict:?}");
        }
    }

    /// Matching does not depend on who is asked first, where all boxes lie apart.
    #[test]
    fn boxes_that_lie_apart_match_themselves(places in prop::collection::btree_set(0u16..500, 0..30), noise in 0f64..0.2) {
        let made = |by: f64| places.iter().map(|place| {
            let left = f64::from(*place) * 10.0 + by;
            Detection { corners: [left, 0.0, left + 5.0, 5.0], score: 0.5, class: 0 }
        }).collect::<Vec<_>>();
        let (a, b) = (made(0.0), made(noise));
        prop_assert_eq!(matching::matches(&a, &b, 0.5), places.len());
        prop_assert_eq!(matching::matches(&b, &a, 0.5), places.len());
        prop_assert_eq!(matching::suppress(a.clone(), 0.45).len(), a.len());
    }
}
