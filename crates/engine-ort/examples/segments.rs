//! What does cutting a model cost the engine alone? Times head plus tail at every boundary against
//! the whole model, one thread, interleaved so that a busy machine disturbs both alike.
//!
//! `cargo run --release -p kerf-engine-ort --example segments -- MODEL.onnx [ROUNDS]`

#![allow(clippy::disallowed_methods, reason = "a benchmark reads the clock")]

use kerf_engine::{Engine, Program};
use kerf_engine_ort::{Options, Ort};
use kerf_graph::{CutModel, Model, NoExternalData, boundaries};
use kerf_testbed::outside::sample_inputs;
use std::error::Error;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// A part of the model, with inputs for it.
struct Part {
    program: Arc<dyn Program>,
    inputs: Vec<kerf_tensor::Tensor>,
    times: Vec<Duration>,
}

fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let path = arguments.next().ok_or("usage: segments MODEL.onnx [ROUNDS]")?;
    let rounds: usize = arguments.next().map_or(Ok(100), |rounds| rounds.parse())?;
    let model = Model::load(std::fs::read(path)?.into(), &NoExternalData)?;
    let cuts = boundaries(&model, 16);
    let cut = CutModel::new(model, cuts)?;
    let ort = Ort::open(&Options { library: None, threads: 1 })?;
    println!("{}", ort.version());

    let mut whole = Part::new(&ort, &cut, 0, cut.last())?;
    let mut halves = Vec::new();
    for at in 1..cut.last() {
        halves.push((at, Part::new(&ort, &cut, 0, at)?, Part::new(&ort, &cut, at, cut.last())?));
    }
    for _ in 0..rounds {
        whole.run()?;
        for (_, head, tail) in &mut halves {
            head.run()?;
            tail.run()?;
        }
    }
    let reference = whole.median();
    println!("whole: {reference:.3} ms");
    let mut ratios = Vec::new();
    for (at, head, tail) in &halves {
        let (head, tail) = (head.median(), tail.median());
        let ratio = (head + tail) / reference;
        println!("b{at}: head {head:.3} ms + tail {tail:.3} ms = x{ratio:.3}");
        ratios.push(ratio);
    }
    ratios.sort_by(f64::total_cmp);
    println!("median: x{:.3}", ratios.get(ratios.len() / 2).copied().unwrap_or(1.0));
    Ok(())
}

impl Part {
    fn new(ort: &Ort, cut: &CutModel, from: usize, to: usize) -> Result<Self, Box<dyn Error>> {
        let segment = cut.segment(from, to)?;
        let inputs = sample_inputs(&segment.inputs, 1);
        Ok(Self { program: ort.compile(&segment)?, inputs, times: Vec::new() })
    }

    fn run(&mut self) -> Result<(), Box<dyn Error>> {
        let start = Instant::now();
        self.program.run(&self.inputs)?;
        self.times.push(start.elapsed());
        Ok(())
    }

    /// In milliseconds.
    fn median(&self) -> f64 {
        let mut times = self.times.clone();
        times.sort();
        times.get(times.len() / 2).map_or(0.0, |time| time.as_secs_f64() * 1e3)
    }
}
