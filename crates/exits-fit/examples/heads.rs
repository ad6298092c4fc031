//! Fits a head of each kind to synthetic activations and prints how long that takes, as JSON.
//!
//! usage: heads [ROWS]

#![allow(clippy::disallowed_methods, reason = "it measures time")]

use kerf_exits::Kind;
use kerf_exits_fit::{Features, Front, Lesson, Options, Shape, Stage, Teacher};
use kerf_tensor::{DType, Dim, NamedTensor, Tensor, TensorSpec};
use std::error::Error;
use std::ops::ControlFlow;
use std::time::Instant;

const CLASSES: usize = 10;
const MAP: [usize; 3] = [32, 16, 16];

fn main() -> Result<(), Box<dyn Error>> {
    let rows: usize = std::env::args().nth(1).map_or(Ok(10_000), |rows| rows.parse())?;
    let mut features = Features::new(Front::new(&[spec("map", &MAP)])?);
    let mut teacher = Teacher::new(&spec("scores", &[CLASSES]), Kind::Logits)?;
    let mut random = Xorshift(1);
    let start = Instant::now();
    for _ in 0..rows.div_ceil(100) {
        let class = |_| random.next() as usize % CLASSES;
        let classes: Vec<usize> = (0..100).map(class).collect();
        let maps = classes.iter().flat_map(|class| map(*class, &mut random)).collect();
        let map = Tensor::from_vec(&[100, MAP[0], MAP[1], MAP[2]], maps)?;
        features.push(&[NamedTensor { name: "map".to_owned(), tensor: map }])?;
        let score = |class: &usize| (0..CLASSES).map(|at| if at == *class { 4.0 } else { 0.0f32 }).collect();
        let scores = classes.iter().flat_map::<Vec<f32>, _>(score).collect();
        teacher.push(&Tensor::from_vec(&[100, CLASSES], scores)?)?;
    }
    let seconds = start.elapsed().as_secs_f64();
    let (rows, bytes) = (features.rows(), features.bytes());
    println!("{}", serde_json::json!({ "rows": rows, "bytes": bytes, "generate_and_reduce_s": seconds }));
    let stage = |channels| Stage { channels, kernel: 3, stride: 2 };
    let shapes =
        [Shape::Linear, Shape::Mlp { hidden: 128 }, Shape::Conv { stages: vec![stage(64), stage(128)] }];
    for shape in shapes {
        let lesson = Lesson { features: &features, teacher: &teacher, weights: None, views: 1 };
        let options = Options { epochs: 10, ..Options::default() };
        let start = Instant::now();
        let fitted = lesson.fit(&shape, &options, &mut |_| ControlFlow::Continue(()))?;
        let seconds = start.elapsed().as_secs_f64();
        let epoch = seconds / fitted.epochs as f64 / rows as f64 * 1e4;
        let (macs, agreement) = (fitted.head.macs(), fitted.best.agreement);
        println!(
            "{}",
            serde_json::json!({
                "shape": format!("{shape:?}"), "macs": macs, "epochs": fitted.epochs, "seconds": seconds,
                "epoch_of_10000_rows_s": epoch, "held_out_agreement": agreement,
            })
        );
    }
    Ok(())
}

/// A wave across the plane for each class, under noise.
fn map(class: usize, random: &mut Xorshift) -> Vec<f32> {
    let mut values = Vec::with_capacity(MAP.iter().product());
    let shift = random.unit();
    for channel in 0..MAP[0] {
        for (y, x) in (0..MAP[1]).flat_map(|y| (0..MAP[2]).map(move |x| (y as f32, x as f32))) {
            let angle = class as f32 + channel as f32 * 0.2;
            let wave = (0.6 * (x * angle.cos() + y * angle.sin()) + shift).sin();
            values.push((wave + 4.0 * random.unit()).max(0.0));
        }
    }
    values
}

fn spec(name: &str, dims: &[usize]) -> TensorSpec {
    let batch = std::iter::once(Dim::Symbol("N".to_owned()));
    let shape = Some(batch.chain(dims.iter().map(|dim| Dim::Fixed(*dim))).collect());
    TensorSpec { name: name.to_owned(), dtype: DType::F32, shape }
}

struct Xorshift(u64);

impl Xorshift {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 >> 11
    }

    /// In `-1..1`.
    fn unit(&mut self) -> f32 {
        (self.next() & 0xff_ffff) as f32 / 8_388_608.0 - 1.0
    }
}
