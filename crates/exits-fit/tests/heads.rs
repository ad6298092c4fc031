//! Heads learn what they are shown, always the same, and as models are what they were.

#![allow(clippy::unwrap_used, reason = "tests fail by panicking")]

use kerf_exits::Kind;
use kerf_exits_fit::{
    Features, FitError, Front, Head, HeadError, Lesson, Options, Progress, Shape, Stage, Teacher,
};
use kerf_graph::Bindings;
use kerf_tensor::{DType, Dim, NamedTensor, Tensor, TensorSpec};
use std::ops::ControlFlow;

const CLASSES: usize = 4;

fn spec(name: &str, dtype: DType, dims: &[usize]) -> TensorSpec {
    let batch = std::iter::once(Dim::Symbol("N".to_owned()));
    let shape = Some(batch.chain(dims.iter().map(|dim| Dim::Fixed(*dim))).collect());
    TensorSpec { name: name.to_owned(), dtype, shape }
}

fn uniform(seed: u64) -> impl FnMut() -> f32 {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    move || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state >> 40) as f32 / (1 << 23) as f32 - 1.0
    }
}

/// Maps of 6 channels, each class with a wave of its own direction, under noise; and the class.
fn shown(rows: usize, seed: u64) -> (Features, Teacher, Vec<usize>) {
    let mut uniform = uniform(seed);
    let classes: Vec<usize> = (0..rows).map(|row| row * 7 % CLASSES).collect();
    let mut values = Vec::new();
    for class in &classes {
        let shift = 3.0 * uniform();
        for channel in 0..6 {
            for (y, x) in (0..8).flat_map(|y| (0..8).map(move |x| (y as f32, x as f32))) {
                let angle = *class as f32 * 0.7 + channel as f32 * 0.1;
                let wave = (1.3 * (x * angle.cos() + y * angle.sin()) + shift).sin();
                values.push((wave + 0.3 * *class as f32 * (channel % 2) as f32 + uniform()).max(0.0));
            }
        }
    }
    let front = Front::new(&[spec("x", DType::F32, &[6, 8, 8])]).unwrap();
    let mut features = Features::new(front);
    let tensor = Tensor::from_vec(&[rows, 6, 8, 8], values).unwrap();
    features.push(&[NamedTensor { name: "x".to_owned(), tensor }]).unwrap();
    let mut teacher = Teacher::new(&spec("y", DType::F32, &[CLASSES]), Kind::Logits).unwrap();
    teacher.push(&answers(&classes)).unwrap();
    (features, teacher, classes)
}

fn answers(classes: &[usize]) -> Tensor {
    let row =
        |class: &usize| (0..CLASSES).map(|at| if at == *class { 5.0f32 } else { 0.0 }).collect::<Vec<_>>();
    Tensor::from_vec(&[classes.len(), CLASSES], classes.iter().flat_map(row).collect()).unwrap()
}

fn shapes() -> [Shape; 3] {
    let stage = |channels| Stage { channels, kernel: 3, stride: 2 };
    [Shape::Linear, Shape::Mlp { hidden: 16 }, Shape::Conv { stages: vec![stage(12), stage(16)] }]
}

fn brief() -> Options {
    Options { epochs: 6, batch: 32, rate: 1e-2, ..Options::default() }
}

fn on(_: Progress) -> ControlFlow<()> {
    ControlFlow::Continue(())
}

fn agreement(logits: &[f32], classes: &[usize]) -> f64 {
    let best = |row: &[f32]| (0..row.len()).fold(0, |best, at| if row[at] > row[best] { at } else { best });
    let agreed = logits.chunks(CLASSES).zip(classes).filter(|(row, class)| best(row) == **class).count();
    agreed as f64 / classes.len() as f64
}

#[test]
fn heads_learn_what_their_shape_can_tell() {
    let ((features, teacher, _), (others, _, classes)) = (shown(1200, 1), shown(400, 2));
    let lesson = Lesson { features: &features, teacher: &teacher, weights: None, views: 1 };
    let found = shapes().map(|shape| {
        let fitted = lesson.fit(&shape, &Options { epochs: 20, ..brief() }, &mut on).unwrap();
        assert_eq!(fitted.rows, (1080, 120));
        agreement(&fitted.head.logits(&others).unwrap(), &classes)
    });
    // Means over the plane show little of the directions of waves.
    assert!(found[0] > 0.5 && found[1] >= found[0] - 0.03 && found[2] > 0.97, "{found:?}");
}

#[test]
fn threads_do_not_matter_and_seeds_do() {
    let (features, teacher, _) = shown(300, 3);
    let lesson = Lesson { features: &features, teacher: &teacher, weights: None, views: 1 };
    for shape in shapes() {
        let fit = |seed, threads| {
            let options = Options { seed, threads, epochs: 2, ..brief() };
            lesson.fit(&shape, &options, &mut on).unwrap().head.numbers()
        };
        let one = fit(1, 1);
        assert_eq!(one, fit(1, 2));
        assert_eq!(one, fit(1, 7));
        assert_ne!(one, fit(2, 1));
    }
}

#[test]
fn rows_without_weight_are_as_if_not_there() {
    let (features, teacher, mut classes) = shown(400, 4);
    let weights: Vec<f32> = (0..400).map(|row| if row % 3 == 0 { 0.0 } else { 1.5 }).collect();
    let fit = |teacher: &Teacher| {
        let lesson = Lesson { features: &features, teacher, weights: Some(&weights), views: 1 };
        lesson.fit(&Shape::Linear, &brief(), &mut on).unwrap().head.numbers()
    };
    let honest = fit(&teacher);
    let mut other = Teacher::new(teacher.output(), Kind::Logits).unwrap();
    classes.iter_mut().step_by(3).for_each(|class| *class = (*class + 1) % CLASSES);
    other.push(&answers(&classes)).unwrap();
    assert_eq!(honest, fit(&other));
}

#[test]
fn labels_count_as_much_as_was_asked() {
    let (features, mut teacher, classes) = shown(600, 5);
    // The model is wrong throughout.
    let right: Vec<usize> = classes.iter().map(|class| (class + 1) % CLASSES).collect();
    teacher.label(&right.iter().map(|class| Some(*class as u32)).collect::<Vec<_>>()).unwrap();
    let lesson = Lesson { features: &features, teacher: &teacher, weights: None, views: 1 };
    for (labels, wanted) in [(0.0, &classes), (1.0, &right)] {
        let options = Options { labels, epochs: 12, ..brief() };
        let fitted = lesson.fit(&shapes()[2], &options, &mut on).unwrap();
        let agreed = agreement(&fitted.head.logits(&features).unwrap(), wanted);
        assert!(agreed > 0.8, "{labels}: {agreed}");
    }
}

#[test]
fn numbers_are_all_of_a_head() {
    let (features, teacher, _) = shown(200, 6);
    let lesson = Lesson { features: &features, teacher: &teacher, weights: None, views: 1 };
    for shape in shapes() {
        let head = lesson.fit(&shape, &brief(), &mut on).unwrap().head;
        let mut numbers = head.numbers();
        let restore = |numbers: &[f32]| Head::restore(head.front().clone(), shape.clone(), CLASSES, numbers);
        assert_eq!(restore(&numbers).unwrap().logits(&features), head.logits(&features));
        let expected = numbers.len();
        assert_eq!(restore(&numbers[1..]).unwrap_err(), HeadError::Length { expected, actual: expected - 1 });
        numbers[3] = f32::NAN;
        assert_eq!(restore(&numbers).unwrap_err(), HeadError::NotFinite(3));
    }
}

#[test]
fn what_cannot_be_fitted_is_told() {
    let (features, teacher, _) = shown(100, 7);
    let fit = |weights: Option<&[f32]>, shape: &Shape, options: &Options| {
        let lesson = Lesson { features: &features, teacher: &teacher, weights, views: 1 };
        lesson.fit(shape, options, &mut on).unwrap_err().to_string()
    };
    let few = [[1.0, 0.0].repeat(50), vec![1.0; 99], [vec![1.0; 99], vec![f32::NAN]].concat()];
    let linear = Shape::Linear;
    let convolution = |kernel, stride| Shape::Conv { stages: vec![Stage { channels: 4, kernel, stride }] };
    for (message, wanted) in [
        (fit(Some(&few[0]), &linear, &brief()), "50 inputs to learn from, 64 are needed"),
        (fit(Some(&few[1]), &linear, &brief()), "100 rows of features, 100 answers, 99 weights"),
        (fit(Some(&few[2]), &linear, &brief()), "weight NaN of row 99 is not one"),
        (
            fit(None, &linear, &Options { temperature: 0.0, ..brief() }),
            "temperature is 0, 0.1 to 100 is possible",
        ),
        (fit(None, &linear, &Options { epochs: 0, ..brief() }), "epochs is 0, 1 to 10000 is possible"),
        (
            fit(None, &Shape::Mlp { hidden: 0 }, &brief()),
            "Mlp { hidden: 0 } is no layer: sizes are 1 or more, kernels odd",
        ),
        (
            fit(None, &convolution(2, 1), &brief()),
            "Conv { stages: [Stage { channels: 4, kernel: 2, stride: 1 }] } is no layer: sizes are 1 or more, \
             kernels odd",
        ),
        (
            fit(None, &Shape::Mlp { hidden: usize::MAX }, &brief()),
            &format!(
                "Mlp {{ hidden: {} }} has over 16777216 parameters, or windows of over 1048576 values",
                usize::MAX
            ),
        ),
        (
            fit(None, &convolution(1001, 1), &brief()),
            "Conv { stages: [Stage { channels: 4, kernel: 1001, stride: 1 }] } has over 16777216 parameters, or \
             windows of over 1048576 values",
        ),
    ] {
        assert_eq!(message, wanted);
    }
}

#[test]
fn views_are_of_whole_inputs() {
    let (features, teacher, _) = shown(600, 10);
    let fit = |views| {
        let lesson = Lesson { features: &features, teacher: &teacher, weights: None, views };
        lesson.fit(&Shape::Linear, &brief(), &mut on).map(|fitted| fitted.rows)
    };
    assert_eq!((fit(1), fit(8)), (Ok((540, 60)), Ok((536, 64))));
    assert_eq!(fit(10), Err(FitError::TooFew { inputs: 60 }));
    for views in [0, 7] {
        assert_eq!(fit(views), Err(FitError::Views { rows: 600, views }));
    }
}

#[test]
fn a_fit_ends_when_told() {
    let (features, teacher, _) = shown(100, 8);
    let lesson = Lesson { features: &features, teacher: &teacher, weights: None, views: 1 };
    let mut heard = Vec::new();
    let error = lesson.fit(&Shape::Linear, &brief(), &mut |progress| {
        heard.push(progress.epoch);
        if progress.epoch == 3 { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    });
    assert_eq!((error.unwrap_err(), heard), (FitError::Stopped { epoch: 3 }, vec![1, 2, 3]));
}

#[test]
fn classes_that_never_come_are_told() {
    let (features, _, classes) = shown(100, 9);
    let mut teacher = Teacher::new(&spec("y", DType::F32, &[CLASSES]), Kind::Logits).unwrap();
    let classes: Vec<usize> = classes.iter().map(|class| if *class == 2 { 1 } else { *class }).collect();
    teacher.push(&answers(&classes)).unwrap();
    let lesson = Lesson { features: &features, teacher: &teacher, weights: None, views: 1 };
    assert_eq!(lesson.fit(&Shape::Linear, &brief(), &mut on).unwrap().unseen, [2]);
}

/// The model of a head has the boundary's tensors, the whole model's output, and the head's costs.
#[test]
fn models_are_what_the_whole_model_promises() {
    let stage = |channels| Stage { channels, kernel: 3, stride: 2 };
    let conv = Shape::Conv { stages: vec![stage(4), stage(6)] };
    let (linear, mlp) = (Shape::Linear, Shape::Mlp { hidden: 5 });
    let output = |dtype, dims: &[usize]| spec("y", dtype, dims);
    let cases = [
        (vec![spec("a", DType::F32, &[6, 16, 16])], &conv, output(DType::F32, &[4]), Kind::Logits),
        (vec![spec("a", DType::F16, &[6, 8, 8])], &conv, output(DType::F16, &[4]), Kind::Probabilities),
        (
            vec![spec("a", DType::F32, &[6, 9, 8]), spec("head/relu_1", DType::F32, &[3, 9, 8])],
            &mlp,
            output(DType::F32, &[4, 1, 1]),
            Kind::LogProbabilities,
        ),
        (vec![spec("a", DType::F32, &[6, 4, 4])], &conv, output(DType::F32, &[4]), Kind::Logits),
        (vec![spec("a", DType::F32, &[7, 12])], &linear, output(DType::F32, &[4]), Kind::Logits),
        (vec![spec("a", DType::F32, &[12])], &mlp, output(DType::F64, &[4]), Kind::Logits),
        (
            vec![spec("a", DType::F32, &[6, 4, 4]), spec("b", DType::F32, &[12])],
            &linear,
            output(DType::F32, &[4]),
            Kind::Logits,
        ),
        (vec![spec("a", DType::F32, &[12, 1, 1])], &linear, output(DType::F32, &[4]), Kind::Logits),
        (vec![spec("a", DType::F32, &[5, 3, 4, 4])], &linear, output(DType::F32, &[4]), Kind::Logits),
    ];
    for (inputs, shape, output, kind) in cases {
        let front = Front::new(&inputs).unwrap();
        let macs = shape.macs(&front, CLASSES).unwrap();
        let count = Head::count(&front, shape, CLASSES).unwrap();
        let head = Head::restore(front, shape.clone(), CLASSES, &vec![0.5; count]).unwrap();
        let model = head.to_model(&output, kind).unwrap();
        assert_eq!(model.inputs(), inputs);
        assert_eq!(model.outputs(), [output], "{inputs:?}");
        assert_eq!(model.analyse(&Bindings::ones()).total().macs, macs);
        assert_eq!(head.macs(), macs);
        assert!(head.to_model(&spec("y", DType::F32, &[5]), kind).is_err());
    }
}

#[test]
fn convolutions_need_cells() {
    let row = Front::new(&[spec("x", DType::F32, &[64])]).unwrap();
    let error = shapes()[2].macs(&row, 10).unwrap_err().to_string();
    assert!(error.ends_with("all there is are features of one cell"), "{error}");
}

#[test]
fn candidates_keep_to_their_budget() {
    let grid = Front::new(&[spec("x", DType::F32, &[32, 16, 16])]).unwrap();
    let row = Front::new(&[spec("x", DType::F32, &[64])]).unwrap();
    for (front, budget, kinds) in
        [(&grid, 1_200_000, 3), (&grid, 10_000, 2), (&row, 10_000, 2), (&row, 639, 1), (&row, 591, 0)]
    {
        let shapes = Shape::candidates(front, 10, budget);
        assert_eq!(shapes.len(), kinds, "{shapes:?}");
        let macs: Vec<u64> = shapes.iter().map(|shape| shape.macs(front, 10).unwrap()).collect();
        assert!(macs.is_sorted() && macs.iter().all(|macs| *macs <= budget), "{macs:?}");
    }
}
