#![allow(clippy::disallowed_methods, reason = "time is what is stretched")]
//! A slow edge device where there is none: an engine whose runs take a factor longer.
//!
//! What a split is worth depends on how much slower the edge is than the cloud, and tests run on one
//! machine. A [`SlowEngine`] runs another engine and then lets the rest of the time pass, mostly
//! asleep: a slow device does not take the cores of those that it is compared with. Its name says
//! that it is emulated, and with it every metric, profile and answer that names the engine.
//!
//! Stretched is what a run takes once it has a core. The time for which this machine made it wait is
//! no part of the model's, and would be exaggerated as often: it passes once, as it is. Compiling is
//! as fast as it was, and so is whatever else a node does itself: pictures, codecs, exit heads.

use kerf_engine::{CompileError, Engine, NodeTime, Program, RunError};
use kerf_graph::Segment;
use kerf_tensor::Tensor;
use std::collections::BTreeSet;
use std::num::NonZeroUsize;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

/// Nothing is that slow.
const MAX_FACTOR: f64 = 10_000.0;

/// Threads wake some 60 µs late, and more where others run: the last part passes awake.
const AWAKE: Duration = Duration::from_micros(100);

/// Runs another engine, and stretches its times.
pub struct SlowEngine {
    engine: Arc<dyn Engine>,
    factor: f64,
    name: &'static str,
}

/// Why there is no such device.
#[derive(Clone, Copy, Debug, PartialEq, thiserror::Error)]
#[error("an emulated device is from 1 to {MAX_FACTOR} times slower, not {0}")]
pub struct InvalidFactor(f64);

/// Each of the engines, that much slower.
pub fn slower(engines: &[Arc<dyn Engine>], factor: f64) -> Result<Vec<Arc<dyn Engine>>, InvalidFactor> {
    let slow =
        |engine: &Arc<dyn Engine>| Ok(Arc::new(SlowEngine::new(engine.clone(), factor)?) as Arc<dyn Engine>);
    engines.iter().map(slow).collect()
}

impl SlowEngine {
    /// `engine` on a device that takes `factor` times as long, from 1 on; as `ort, emulated 10x
    /// slower`.
    pub fn new(engine: Arc<dyn Engine>, factor: f64) -> Result<Self, InvalidFactor> {
        if !(1.0..=MAX_FACTOR).contains(&factor) {
            return Err(InvalidFactor(factor));
        }
        let name = kept(format!("{}, emulated {factor}x slower", engine.name()));
        Ok(Self { engine, factor, name })
    }
}

impl Engine for SlowEngine {
    fn name(&self) -> &'static str {
        self.name
    }

    fn version(&self) -> String {
        format!("{}, on an emulated device, {}x slower than this one", self.engine.version(), self.factor)
    }

    fn compile(&self, segment: &Segment) -> Result<Arc<dyn Program>, CompileError> {
        let program = self.engine.compile(segment)?;
        Ok(Arc::new(SlowProgram { program, factor: self.factor }))
    }

    fn node_times(
        &self,
        segment: &Segment,
        inputs: &[Tensor],
        runs: NonZeroUsize,
    ) -> Result<Option<Vec<NodeTime>>, RunError> {
        let stretched = |node: NodeTime| NodeTime { seconds: node.seconds * self.factor, ..node };
        let times = self.engine.node_times(segment, inputs, runs)?;
        Ok(times.map(|times| times.into_iter().map(stretched).collect()))
    }
}

struct SlowProgram {
    program: Arc<dyn Program>,
    factor: f64,
}

impl Program for SlowProgram {
    fn run(&self, inputs: &[Tensor]) -> Result<Vec<Tensor>, RunError> {
        let (outputs, seconds) = kerf_profiler::timed(|| self.program.run(inputs));
        let end = Instant::now() + Duration::from_secs_f64(seconds * (self.factor - 1.0));
        // A run that failed cost what it cost.
        let outputs = outputs?;
        thread::sleep(end.saturating_duration_since(Instant::now()).saturating_sub(AWAKE));
        while Instant::now() < end {
            std::hint::spin_loop();
        }
        Ok(outputs)
    }

    fn resident_bytes(&self) -> u64 {
        self.program.resident_bytes()
    }

    fn remark(&self) -> Option<String> {
        self.program.remark()
    }
}

/// Engines' names live as long as the process; each is kept once.
fn kept(name: String) -> &'static str {
    static NAMES: Mutex<BTreeSet<&'static str>> = Mutex::new(BTreeSet::new());
    let mut names = NAMES.lock().unwrap_or_else(PoisonError::into_inner);
    names.get(name.as_str()).copied().unwrap_or_else(|| {
        let name: &'static str = name.leak();
        names.insert(name);
        name
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::models::{tiny_classifier, tiny_image};
    use kerf_engine::{Runner, SegmentId, SegmentStore, Values};
    use kerf_graph::{CutModel, Model, NoExternalData, boundaries};
    use kerf_tensor::NamedTensor;

    const WORK: Duration = Duration::from_millis(2);

    /// Gives its input back after [`WORK`]; refuses a segment that is not the whole.
    struct Idle;

    struct IdleProgram;

    impl Engine for Idle {
        fn name(&self) -> &'static str {
            "idle"
        }

        fn version(&self) -> String {
            "idle 1".to_owned()
        }

        fn compile(&self, segment: &Segment) -> Result<Arc<dyn Program>, CompileError> {
            if segment.from > 0 {
                let id = SegmentId { from: segment.from, to: segment.to };
                return Err(CompileError::Refused { engine: "idle", segment: id, reason: "no".into() });
            }
            Ok(Arc::new(IdleProgram))
        }

        fn node_times(
            &self,
            _: &Segment,
            _: &[Tensor],
            _: NonZeroUsize,
        ) -> Result<Option<Vec<NodeTime>>, RunError> {
            Ok(Some(vec![NodeTime { name: "conv1".into(), seconds: 0.25 }]))
        }
    }

    impl Program for IdleProgram {
        fn run(&self, inputs: &[Tensor]) -> Result<Vec<Tensor>, RunError> {
            thread::sleep(WORK);
            Ok(inputs.to_vec())
        }

        fn resident_bytes(&self) -> u64 {
            7
        }

        fn remark(&self) -> Option<String> {
            Some("not optimised".into())
        }
    }

    fn cut() -> Arc<CutModel> {
        let model = Model::load(tiny_classifier(), &NoExternalData).unwrap();
        let cuts = boundaries(&model, 16);
        Arc::new(CutModel::new(model, cuts).unwrap())
    }

    fn slow(factor: f64) -> SlowEngine {
        SlowEngine::new(Arc::new(Idle), factor).unwrap()
    }

    #[test]
    fn names_say_that_it_is_emulated_and_are_kept_once() {
        let named = |factor| slow(factor).name();
        assert_eq!([named(10.0), named(2.5)], ["idle, emulated 10x slower", "idle, emulated 2.5x slower"]);
        assert!(std::ptr::eq(named(10.0), named(10.0)));
        assert_eq!(slow(10.0).version(), "idle 1, on an emulated device, 10x slower than this one");
        let engines = slower(&[Arc::new(Idle), Arc::new(slow(2.0))], 4.0).unwrap();
        assert_eq!(engines[1].name(), "idle, emulated 2x slower, emulated 4x slower");
    }

    #[test]
    fn devices_are_not_faster_than_this_one() {
        for factor in [0.99, 0.0, -1.0, f64::NAN, f64::INFINITY, 1e5] {
            let error = slower(&[Arc::new(Idle)], factor).err().unwrap();
            assert!(error.to_string().contains("from 1 to 10000 times slower"), "{error}");
        }
    }

    #[test]
    fn runs_are_stretched_and_otherwise_the_same() {
        let model = cut();
        let segment = model.segment(0, model.last()).unwrap();
        let images = [tiny_image(1, 1)];
        for factor in [1.0, 4.0, 25.0] {
            let program = slow(factor).compile(&segment).unwrap();
            assert_eq!((program.resident_bytes(), program.remark().as_deref()), (7, Some("not optimised")));
            let late = (0..12).map(|_| {
                let start = Instant::now();
                assert_eq!(program.run(&images).unwrap(), images);
                let took = start.elapsed();
                assert!(took >= WORK.mul_f64(factor), "{took:?} at {factor}");
                took - WORK.mul_f64(factor)
            });
            // What the work itself is late by is stretched, too; examples/slow_device.rs measures it.
            let least = late.min().unwrap();
            assert!(least < Duration::from_millis(200), "{least:?} late at {factor}");
        }
    }

    #[test]
    fn a_runner_tells_who_ran() {
        let model = cut();
        let engines = slower(&[Arc::new(Idle)], 3.0).unwrap();
        let runner = Runner::new(model.clone(), engines, Arc::new(SegmentStore::new(u64::MAX)));
        let name = model.model().inputs()[0].name.clone();
        let mut values: Values = [NamedTensor { name, tensor: tiny_image(1, 1) }].into_iter().collect();
        let run = runner.run(0, model.last(), &mut values).unwrap();
        assert_eq!(run.engine, "idle, emulated 3x slower");
        assert!(run.elapsed >= WORK * 3);
    }

    #[test]
    fn refusals_pass_and_node_times_are_stretched() {
        let model = cut();
        let tail = model.segment(1, model.last()).unwrap();
        let error = slow(3.0).compile(&tail).err().unwrap();
        assert!(matches!(error, CompileError::Refused { engine: "idle", .. }));
        let runs = NonZeroUsize::new(1).unwrap();
        let times = slow(3.0).node_times(&tail, &[], runs).unwrap().unwrap();
        assert_eq!(times, [NodeTime { name: "conv1".into(), seconds: 0.75 }]);
    }
}
