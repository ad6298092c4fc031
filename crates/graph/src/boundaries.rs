//! Where a model may be cut: a nested family of boundaries, few enough to keep a profile and
//! compiled segments for each, and such that a good plan is among them.
//!
//! Every boundary is a prefix of the schedule order, so the family is nested by construction,
//! and there are no more candidates than nodes. Of these are kept, in this order and until the
//! family is full:
//!
//! 1. the corners of the lower convex hull of bytes over MACs: whatever a MAC and a byte cost,
//!    one of them is the best place to cut;
//! 2. the first candidate after each output but the last, where a model with early exits may stop;
//! 3. the candidate of fewest bytes in the middle of the widest gap of MACs, again and again:
//!    a plan that goes on after a failed exit, or falls back, needs places all along the model.
//!
//! Candidates within half a percent of the model's MACs are near-identical: of these only the
//! one of fewest bytes is kept, then of fewest tensors, then the last (so that a convolution
//! stays with the activation that engines fuse into it). Elsewhere a boundary is kept although
//! an earlier one has fewer bytes. A model without MACs is measured by its nodes instead.

mod choose;
mod stored;

use crate::analysis::{Analysis, Bindings};
use crate::flow::Span;
use crate::model::{Model, facts_bytes};
use choose::Candidate;
use kerf_tensor::TensorSpec;

/// Boundaries that a model may have, with its inputs and its outputs.
pub const MAX_BOUNDARIES: usize = 32;

/// Tensors that a boundary may hold; one of more is a poor place to cut.
const MAX_TENSORS: usize = 32;

/// A place where a model can be cut.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Boundary {
    /// Nodes before it, a prefix of the schedule order.
    pub nodes: usize,
    /// What those nodes made, or were given, that later nodes still need. Outputs that are
    /// done and foldable constants are not among them. The first boundary holds the model's
    /// inputs, the last one its outputs.
    pub tensors: Vec<TensorSpec>,
    /// Their raw size where every symbol is 1; `None` where a size is not known.
    pub bytes: Option<u64>,
    /// Multiply-accumulates of the nodes before it, where every symbol is 1.
    pub macs_before: u64,
    /// Name of the last node before it.
    pub after: Option<String>,
}

/// The boundaries of a model, from its inputs to its outputs: at least these two, at most `max`,
/// and never more than [`MAX_BOUNDARIES`].
pub fn boundaries(model: &Model, max: usize) -> Vec<Boundary> {
    let analysis = model.analyse(&Bindings::ones());
    let weighed = &model.most_known();
    let total = model.nodes().len();
    let macs = macs_before(model, weighed);
    let end = |nodes: usize, tensors: &[TensorSpec]| Candidate {
        nodes,
        work: 0.0,
        bytes: bytes_of(tensors, weighed),
        tensors: tensors.len(),
    };
    let mut all = vec![end(0, model.inputs())];
    all.extend(candidates(model, &facts_bytes(model.flow(), weighed.facts())));
    all.push(end(total, model.outputs()));
    for candidate in &mut all {
        candidate.work = if macs[total] > 0 {
            macs[candidate.nodes] as f64 / macs[total] as f64
        } else {
            candidate.nodes as f64 / total.max(1) as f64
        };
    }

    let kept = choose::choose(&all, &exits(model), max.clamp(2, MAX_BOUNDARIES));
    let macs = macs_before(model, &analysis);
    let boundary = |candidate: &Candidate| {
        let tensors = model.live(candidate.nodes).ok()?;
        Some(Boundary {
            nodes: candidate.nodes,
            bytes: bytes_of(&tensors, &analysis),
            tensors,
            macs_before: macs[candidate.nodes],
            after: candidate.nodes.checked_sub(1).map(|last| model.nodes()[last].name.clone()),
        })
    };
    kept.iter().filter_map(boundary).collect()
}

/// MACs of active nodes by prefix.
fn macs_before(model: &Model, analysis: &Analysis) -> Vec<u64> {
    let mut macs = Vec::with_capacity(model.nodes().len() + 1);
    macs.push(0u64);
    for (node, active) in model.flow().active.iter().enumerate() {
        let own = if *active { analysis.cost(node).macs } else { 0 };
        macs.push(macs[node].saturating_add(own));
    }
    macs
}

fn bytes_of(tensors: &[TensorSpec], analysis: &Analysis) -> Option<u64> {
    tensors.iter().try_fold(0u64, |sum, spec| sum.checked_add(analysis.bytes(&spec.name)?))
}

/// Every prefix at which a model can be cut, ends aside. One sweep: a value is counted in when
/// it comes to be and out after its last reader.
fn candidates(model: &Model, bytes: &[Option<u64>]) -> Vec<Candidate> {
    let flow = model.flow();
    let spans = flow.spans().collect::<Vec<_>>();
    let mut leaving = spans.clone();
    leaving.sort_unstable_by_key(|span| span.until);
    let (mut coming, mut leaving) = (spans.into_iter().peekable(), leaving.into_iter().peekable());
    let mut live = Live::default();
    let mut out = Vec::new();
    let Some(last) = flow.active.iter().rposition(|active| *active) else { return out };
    for nodes in 1..=last {
        // Inputs come first and later spans in node order, so both queues are sorted.
        while let Some(span) = coming.next_if(|span| span.from <= nodes) {
            live.count(model, bytes, span, 1);
        }
        while let Some(span) = leaving.next_if(|span| span.until < nodes) {
            live.count(model, bytes, span, -1);
        }
        let is_cut = flow.active[nodes - 1] && live.untyped == 0;
        if is_cut && (1..=MAX_TENSORS as i64).contains(&live.tensors) {
            out.push(Candidate {
                nodes,
                work: 0.0,
                bytes: (live.unsized_ == 0).then(|| u64::try_from(live.bytes).unwrap_or(u64::MAX)),
                tensors: live.tensors as usize,
            });
        }
    }
    out
}

/// What is alive at a prefix, in numbers.
#[derive(Default)]
struct Live {
    bytes: i128,
    tensors: i64,
    unsized_: i64,
    /// Values without a type or a rank. No valid ONNX model has such inputs.
    untyped: i64,
}

impl Live {
    fn count(&mut self, model: &Model, bytes: &[Option<u64>], span: Span, sign: i64) {
        self.tensors += sign;
        match bytes[span.value] {
            Some(bytes) => self.bytes += i128::from(sign) * i128::from(bytes),
            None => self.unsized_ += sign,
        }
        let name = &model.flow().values[span.value].name;
        if model.facts().get(name).is_none_or(|fact| fact.dtype.is_none() || fact.shape.is_none()) {
            self.untyped += sign;
        }
    }
}

/// Prefixes that complete an output, the last one's aside.
fn exits(model: &Model) -> Vec<usize> {
    let outputs = model.flow().values.iter().filter(|value| value.is_output);
    let mut exits = outputs.filter_map(|value| Some(value.source? + 1)).collect::<Vec<_>>();
    exits.sort_unstable();
    exits.pop();
    exits
}
