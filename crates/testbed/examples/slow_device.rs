//! How true the emulated slow device is on this machine: by how much a run comes late against what it
//! took itself, of which the time with a core counts by the factor. `cargo run --release -p kerf-testbed --example slow_device`.

#![allow(clippy::disallowed_methods, reason = "time is what is measured")]

use kerf_engine::{CompileError, Engine, Program, RunError};
use kerf_graph::{Model, NoExternalData, Segment, boundaries};
use kerf_tensor::Tensor;
use kerf_testbed::models::tiny_classifier;
use kerf_testbed::slow::SlowEngine;
use std::error::Error;
use std::fs::File;
use std::os::unix::fs::FileExt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

const RUNS: usize = 60;

/// Seconds of a run, and those of them without a core.
#[derive(Clone, Copy, Default)]
struct Last {
    took: f64,
    waited: f64,
}

/// Computes for as long as it is told, and remembers how long that was.
#[derive(Clone)]
struct Busy {
    work: Duration,
    last: Arc<Mutex<Last>>,
}

impl Engine for Busy {
    fn name(&self) -> &'static str {
        "busy"
    }

    fn version(&self) -> String {
        "1".to_owned()
    }

    fn compile(&self, _: &Segment) -> Result<Arc<dyn Program>, CompileError> {
        Ok(Arc::new(self.clone()))
    }
}

impl Program for Busy {
    fn run(&self, _: &[Tensor]) -> Result<Vec<Tensor>, RunError> {
        let (start, before) = (Instant::now(), waited());
        while start.elapsed() < self.work {
            std::hint::spin_loop();
        }
        let waited = waited() - before;
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        *last = Last { took: start.elapsed().as_secs_f64(), waited };
        Ok(Vec::new())
    }

    fn resident_bytes(&self) -> u64 {
        0
    }
}

fn main() -> Result<(), Box<dyn Error>> {
    let model = Model::load(tiny_classifier(), &NoExternalData)?;
    let cuts = boundaries(&model, 16);
    let model = kerf_graph::CutModel::new(model, cuts)?;
    let segment = model.segment(0, model.last())?;
    println!("| work, ms | factor | late by, ms: p10, p50, p90 of {RUNS} |\n|---|---|---|");
    for work in [1, 10] {
        for factor in [4.0, 10.0, 25.0] {
            let busy = Busy { work: Duration::from_millis(work), last: Arc::default() };
            let program = SlowEngine::new(Arc::new(busy.clone()), factor)?.compile(&segment)?;
            let mut late = Vec::new();
            for _ in 0..RUNS {
                let start = Instant::now();
                program.run(&[])?;
                let elapsed = start.elapsed().as_secs_f64();
                let Last { took, waited } = *busy.last.lock().unwrap_or_else(PoisonError::into_inner);
                late.push((elapsed - took - (took - waited) * (factor - 1.0)) * 1e3);
            }
            late.sort_by(f64::total_cmp);
            let at = |part: f64| late[((late.len() - 1) as f64 * part) as usize];
            println!("| {work} | {factor} | {:.3}, {:.3}, {:.3} |", at(0.1), at(0.5), at(0.9));
        }
    }
    println!("load: {}", std::fs::read_to_string("/proc/loadavg").unwrap_or_default().trim());
    Ok(())
}

/// Seconds for which this thread was ready and had no core, ever; 0 where nobody counts them.
fn waited() -> f64 {
    thread_local!(static COUNTS: Option<File> = File::open("/proc/thread-self/schedstat").ok());
    let mut text = [0; 96];
    let length = COUNTS.with(|counts| counts.as_ref().and_then(|file| file.read_at(&mut text, 0).ok()));
    let words = text[..length.unwrap_or(0)].split(|byte| *byte == b' ').nth(1);
    let nanos = words.and_then(|word| std::str::from_utf8(word).ok()?.parse::<u64>().ok());
    nanos.unwrap_or(0) as f64 * 1e-9
}
