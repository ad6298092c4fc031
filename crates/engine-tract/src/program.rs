//! Plans for the shapes that requests bring.

use crate::load::{Plan, Template, named_node, shorten};
use crate::{NAME, tensors};
use kerf_engine::{CompileError, NodeTime, Program, RunError, SegmentId, check_inputs, contain_panics};
use kerf_graph::Segment;
use kerf_tensor::{Dim, Tensor, TensorSpec};
use std::num::NonZeroUsize;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::{Duration, Instant};
use tract_onnx::prelude::{IntoTValue, TValue, TVec};
use tract_onnx::tract_core::plan::eval;

/// Plans kept per segment; the one used longest ago makes room. Batch sizes come in handfuls.
const PLANS: usize = 4;

/// Sizes of symbols other than the batch's that compilation is tried with, so that what tract
/// cannot do shows before the first request: a sequence that few models find too short or too long,
/// then what suits the others. If none suits, the first one's error is the likeliest to be the cause.
const TRIAL_SIZES: [usize; 3] = [512, 1, 16_384];

pub(crate) struct TractProgram {
    segment: SegmentId,
    inputs: Vec<TensorSpec>,
    outputs: Vec<TensorSpec>,
    /// Absent where every input's shape is fixed: then there is only ever one plan.
    template: Option<Template>,
    /// Most recently used last.
    plans: Mutex<Vec<Cached>>,
}

struct Cached {
    shapes: Vec<Vec<usize>>,
    plan: Arc<OnceLock<Result<Arc<Plan>, CompileError>>>,
}

impl TractProgram {
    pub(crate) fn new(segment: &Segment) -> Result<Self, CompileError> {
        let template = Template::read(segment)?;
        let fixed =
            segment.inputs.iter().all(|spec| spec.bind(|_| 0) == spec.bind(|_| 1) && spec.shape.is_some());
        let first = first_plan(&template, &segment.inputs)?;
        let plans =
            first.into_iter().map(|(shapes, plan)| Cached { shapes, plan: Arc::new(Ok(plan).into()) });
        Ok(Self {
            segment: SegmentId::of(segment),
            inputs: segment.inputs.clone(),
            outputs: segment.outputs.clone(),
            plans: Mutex::new(plans.collect()),
            template: (!fixed).then_some(template),
        })
    }

    /// Mean time of each of the plan's nodes, in their order.
    pub(crate) fn node_times(
        &self,
        inputs: &[Tensor],
        runs: NonZeroUsize,
    ) -> Result<Vec<NodeTime>, RunError> {
        check_inputs(self.segment, &self.inputs, inputs)?;
        let plan = self.plan(inputs.iter().map(|input| input.shape().to_vec()).collect())?;
        let nodes = plan.runnable.model().nodes();
        let mut spent = vec![Duration::ZERO; nodes.len()];
        for round in 0..=runs.get() {
            let mut timed =
                |node: usize, took: Duration| spent[node] += if round == 0 { Duration::ZERO } else { took };
            let values = self.values(inputs)?;
            contain_panics(|| {
                plan.runnable.spawn()?.run_plan_with_eval(values, |context, state, node, inputs| {
                    let start = Instant::now();
                    let outputs = eval(context, state, node, inputs);
                    timed(node.id, start.elapsed());
                    outputs
                })
            })
            .and_then(|result| result.map_err(|error| format!("{error:#}")))
            .map_err(|reason| self.failed(&reason))?;
        }
        let order = plan.runnable.order_without_consts().iter();
        let mean = |node: &usize| NodeTime {
            name: nodes[*node].name.clone(),
            seconds: spent[*node].as_secs_f64() / runs.get() as f64,
        };
        Ok(order.map(mean).collect())
    }

    fn values(&self, inputs: &[Tensor]) -> Result<TVec<TValue>, RunError> {
        let values: Result<TVec<_>, String> =
            inputs.iter().map(|input| tensors::to_tract(input).map(IntoTValue::into_tvalue)).collect();
        values.map_err(|reason| self.failed(&reason))
    }

    /// The plan for these shapes, compiled if need be, by one thread for all that want it.
    fn plan(&self, shapes: Vec<Vec<usize>>) -> Result<Arc<Plan>, CompileError> {
        let cell = {
            let mut plans = self.lock();
            let cached = match plans.iter().position(|cached| cached.shapes == shapes) {
                Some(at) => plans.remove(at),
                None => Cached { shapes: shapes.clone(), plan: Arc::default() },
            };
            let cell = Arc::clone(&cached.plan);
            plans.push(cached);
            if plans.len() > PLANS {
                plans.remove(0);
            }
            cell
        };
        let compile = || match &self.template {
            Some(template) => template.plan(&shapes).map(Arc::new),
            None => Err(CompileError::Refused {
                engine: NAME,
                segment: self.segment,
                reason: format!("compiled for other shapes than {shapes:?}"),
            }),
        };
        cell.get_or_init(compile).clone()
    }

    fn failed(&self, reason: &str) -> RunError {
        let node = named_node(reason).map(|(node, _)| node);
        RunError::Engine { engine: NAME, segment: self.segment, node, reason: shorten(reason) }
    }

    fn lock(&self) -> MutexGuard<'_, Vec<Cached>> {
        self.plans.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Program for TractProgram {
    fn run(&self, inputs: &[Tensor]) -> Result<Vec<Tensor>, RunError> {
        check_inputs(self.segment, &self.inputs, inputs)?;
        let plan = self.plan(inputs.iter().map(|input| input.shape().to_vec()).collect())?;
        let values = self.values(inputs)?;
        let results = contain_panics(|| plan.runnable.run(values))
            .and_then(|result| result.map_err(|error| format!("{error:#}")))
            .map_err(|reason| self.failed(&reason))?;
        let outputs = results.into_iter().zip(&self.outputs).map(|(value, spec)| {
            tensors::from_tract(value, spec.dtype)
                .map_err(|reason| self.failed(&format!("output {}: {reason}", spec.name)))
        });
        outputs.collect()
    }

    fn resident_bytes(&self) -> u64 {
        let template = self.template.as_ref().map_or(0, Template::bytes);
        let plans = self.lock();
        let compiled = plans.iter().filter_map(|cached| cached.plan.get()?.as_ref().ok());
        template + compiled.map(|plan| plan.bytes).sum::<u64>()
    }

    fn remark(&self) -> Option<String> {
        let plans = self.lock();
        plans.iter().find_map(|cached| cached.plan.get()?.as_ref().ok()?.remark.clone())
    }
}

type Shapes = Vec<Vec<usize>>;

/// A plan for the first trial size that compiles; none where some rank is unknown. Symbols that
/// some input starts with are batches, of one.
fn first_plan(
    template: &Template,
    inputs: &[TensorSpec],
) -> Result<Option<(Shapes, Arc<Plan>)>, CompileError> {
    let is_batch = |symbol: &str| inputs.iter().any(|spec| starts_with(spec, symbol));
    let mut last: Option<Shapes> = None;
    let mut first_error = None;
    for size in TRIAL_SIZES {
        let shape = |spec: &TensorSpec| spec.bind(|symbol| if is_batch(symbol) { 1 } else { size });
        let Some(shapes) = inputs.iter().map(shape).collect::<Option<Shapes>>() else { return Ok(None) };
        if last.as_ref() == Some(&shapes) {
            break;
        }
        match template.plan(&shapes) {
            Ok(plan) => return Ok(Some((shapes, Arc::new(plan)))),
            Err(error) => first_error = first_error.or(Some(error)),
        }
        last = Some(shapes);
    }
    first_error.map_or(Ok(None), Err)
}

fn starts_with(spec: &TensorSpec, symbol: &str) -> bool {
    let first = spec.shape.as_ref().and_then(|dims| dims.first());
    matches!(first, Some(Dim::Symbol(name)) if name == symbol)
}
