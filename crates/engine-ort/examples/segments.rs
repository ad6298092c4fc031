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
use std::time::Instant;

/// A part of the model, with inputs for it.
struct Part {
    program: Arc<dyn Program>,
    inputs: Vec<kerf_tensor::Tensor>,
    times: Vec<f64>,
}

/// The model in two.
struct Cut {
    at: usize,
    head: Part,
    tail: Part,
    ratios: Vec<f64>,
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
    let mut cuts = Vec::new();
    for at in 1..cut.last() {
        let (head, tail) = (Part::new(&ort, &cut, 0, at)?, Part::new(&ort, &cut, at, cut.last())?);
        cuts.push(Cut { at, head, tail, ratios: Vec::new() });
    }
    for _ in 0..rounds {
        for Cut { head, tail, ratios, .. } in &mut cuts {
            // Neighbours in time: what disturbs one disturbs the other.
            let reference = whole.run()?;
            ratios.push((head.run()? + tail.run()?) / reference);
        }
    }
    println!("whole: median {:.3} ms, least {:.3} ms", median(&whole.times), least(&whole.times));
    for Cut { at, head, tail, ratios } in &cuts {
        let (head, tail) = (least(&head.times), least(&tail.times));
        let (ratio, of_least) = (median(ratios), (head + tail) / least(&whole.times));
        println!("b{at}: x{ratio:.3}; least: head {head:.3} ms + tail {tail:.3} ms, x{of_least:.3}");
    }
    let ratios: Vec<f64> = cuts.iter().map(|cut| median(&cut.ratios)).collect();
    println!("median over {} boundaries: x{:.3}", ratios.len(), median(&ratios));
    Ok(())
}

impl Part {
    fn new(ort: &Ort, cut: &CutModel, from: usize, to: usize) -> Result<Self, Box<dyn Error>> {
        let segment = cut.segment(from, to)?;
        let inputs = sample_inputs(&segment.inputs, 1);
        Ok(Self { program: ort.compile(&segment)?, inputs, times: Vec::new() })
    }

    /// Runs once; in milliseconds.
    fn run(&mut self) -> Result<f64, Box<dyn Error>> {
        let start = Instant::now();
        self.program.run(&self.inputs)?;
        let time = start.elapsed().as_secs_f64() * 1e3;
        self.times.push(time);
        Ok(time)
    }
}

fn median(values: &[f64]) -> f64 {
    let mut values = values.to_vec();
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(f64::NAN)
}

fn least(values: &[f64]) -> f64 {
    values.iter().copied().fold(f64::INFINITY, f64::min)
}
