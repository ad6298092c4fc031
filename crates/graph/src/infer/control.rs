//! Operators that run sub-graphs.
//!
//! A sub-graph is inferred with what is known around it. Where its result depends on which
//! branch or which iteration runs, only what they all agree on is known.

use super::info::{Info, Shape};
use super::size::Size;
use super::{Call, Rule, Run, Scope, axis};
use crate::costs::macs;
use crate::node::Node;
use crate::onnx::{GraphProto, TypeProto, type_proto};
use kerf_tensor::DType;
use std::collections::HashSet;

/// Sub-graphs within sub-graphs deeper than this are not looked into.
const MAX_DEPTH: usize = 8;

/// Passes over a loop's body before what it carries is given up.
const MAX_PASSES: usize = 4;

pub(super) fn rule(op: &str) -> Option<Rule> {
    Some(match op {
        "If" => branch,
        "Loop" => repeat,
        "Scan" => scan,
        _ => return None,
    })
}

fn branch(call: &mut Call<'_>) -> Vec<Info> {
    let chosen = call.input(0).and_then(Info::ints).and_then(|condition| condition.first().copied());
    let names: &[&str] = match chosen {
        Some(0) => &["else_branch"],
        Some(_) => &["then_branch"],
        None => &["then_branch", "else_branch"],
    };
    // Counted as the costlier branch.
    let (tally, mut costliest) = (call.run.tally, 0);
    let mut result: Option<Vec<Info>> = None;
    for name in names {
        call.run.tally = 0;
        let infos = call.node.graph(name).map(|graph| call.body(graph, Vec::new())).unwrap_or_default();
        costliest = costliest.max(call.run.tally);
        result = Some(match result {
            None => infos,
            Some(before) => before.into_iter().zip(infos).map(|(a, b)| agree(call.run, &a, &b)).collect(),
        });
    }
    call.run.tally = tally.saturating_add(costliest);
    result.unwrap_or_default()
}

/// Body: `iteration, condition, carried... -> condition, carried..., scanned...`
fn repeat(call: &mut Call<'_>) -> Vec<Info> {
    let Some(body) = call.node.graph("body") else { return Vec::new() };
    let initial: Vec<Info> = (2..call.node.inputs.len()).map(|index| call.known(index)).collect();
    let counters =
        vec![Info::new(Some(DType::I64), Some(vec![])), Info::new(Some(DType::Bool), Some(vec![]))];
    let (carried, scanned) = call.iterate(body, counters, initial, Vec::new(), 1);
    let trips = call.run.symbols.fresh();
    let stacked = scanned
        .into_iter()
        .map(|info| Info::new(info.dtype, info.shape.map(|shape| [vec![trips.clone()], shape].concat())));
    carried.into_iter().chain(stacked).collect()
}

/// Body: `carried..., slices... -> carried..., slices...`
fn scan(call: &mut Call<'_>) -> Vec<Info> {
    let Some(body) = call.node.graph("body") else { return Vec::new() };
    // Version 8 had a batch axis and sequence lengths in front.
    let Some(sliced) = call.node.int("num_scan_inputs").and_then(|count| usize::try_from(count).ok()) else {
        return Vec::new();
    };
    let Some(carried) = call.node.inputs.len().checked_sub(sliced) else { return Vec::new() };
    if call.opset < 9 {
        return Vec::new();
    }
    let initial = (0..carried).map(|index| call.known(index)).collect();
    let mut steps = None;
    let slices = (0..sliced).map(|place| {
        let info = call.known(carried + place);
        let given = call.node.ints("scan_input_axes").and_then(|axes| axes.get(place)).copied().unwrap_or(0);
        let mut shape = info.shape.clone();
        let step = shape.as_mut().and_then(|shape| axis(given, shape.len()).map(|axis| shape.remove(axis)));
        let shape = shape.filter(|_| step.is_some());
        steps = steps.take().or(step);
        Info::new(info.dtype, shape)
    });
    let slices = slices.collect();
    let (carried, scanned) = call.iterate(body, Vec::new(), initial, slices, 0);
    let steps = call.run.or_fresh(steps);
    let stacked = scanned.into_iter().enumerate().map(|(place, info)| {
        let given = call.node.ints("scan_output_axes").and_then(|axes| axes.get(place)).copied().unwrap_or(0);
        let shape = info.shape.and_then(|mut shape: Shape| {
            shape.insert(axis(given, shape.len() + 1)?, steps.clone());
            Some(shape)
        });
        Info::new(info.dtype, shape)
    });
    carried.into_iter().chain(stacked).collect()
}

impl Call<'_> {
    fn known(&self, index: usize) -> Info {
        self.input(index).cloned().unwrap_or_default()
    }

    /// What a loop's body gives when it has run any number of times: the carried values and,
    /// of one iteration, the scanned ones. `skipped` outputs come before the carried ones.
    fn iterate(
        &mut self,
        body: &GraphProto,
        before: Vec<Info>,
        initial: Vec<Info>,
        after: Vec<Info>,
        skipped: usize,
    ) -> (Vec<Info>, Vec<Info>) {
        // Elements change from iteration to iteration even where shapes do not.
        let mut carried: Vec<Info> =
            initial.into_iter().map(|info| Info::new(info.dtype, info.shape)).collect();
        // Sizes that differ between iterations: any one iteration's.
        let mut varying = HashSet::new();
        let tally = self.run.tally;
        for _ in 0..MAX_PASSES {
            self.run.tally = tally;
            let inputs = [before.clone(), carried.clone(), after.clone()].concat();
            let mut outputs = self.body(body, inputs);
            if outputs.len() < skipped + carried.len() {
                break;
            }
            let scanned = outputs.split_off(skipped + carried.len());
            let pairs = carried.iter_mut().zip(&outputs[skipped..]);
            let is_stable =
                pairs.fold(true, |stable, (info, next)| widen(self.run, &mut varying, info, next) && stable);
            if is_stable {
                let sizes = carried.iter_mut().flat_map(|info| info.shape.iter_mut().flatten());
                sizes.filter(|size| varying.contains(size)).for_each(|size| *size = self.run.symbols.fresh());
                return (carried, scanned);
            }
        }
        let unknown = carried.iter().map(|info| Info::new(info.dtype, None)).collect();
        (unknown, Vec::new())
    }

    /// What the outputs of `graph` are under `inputs`, by position.
    fn body(&mut self, graph: &GraphProto, inputs: Vec<Info>) -> Vec<Info> {
        if self.run.depth >= MAX_DEPTH || graph.node.len() > self.run.budget {
            return graph.output.iter().map(|_| Info::unknown()).collect();
        }
        self.run.budget -= graph.node.len();
        self.run.depth += 1;
        let outputs = infer_body(self.run, graph, inputs, self.scope);
        self.run.depth -= 1;
        outputs
    }
}

fn infer_body(run: &mut Run, graph: &GraphProto, inputs: Vec<Info>, outer: &Scope<'_>) -> Vec<Info> {
    let mut scope = Scope { outer: Some(outer), ..Scope::default() };
    for tensor in &graph.initializer {
        scope.infos.insert(tensor.name.clone().unwrap_or_default(), Info::of_tensor(tensor));
    }
    for (declared, info) in graph.input.iter().zip(inputs) {
        let info = info.or_dtype(declared_dtype(declared.r#type.as_ref()));
        scope.infos.insert(declared.name.clone().unwrap_or_default(), info);
    }
    for proto in &graph.node {
        let node = Node::from_proto(proto.clone());
        let infos = run.visit(&node, &scope, &|_, _| None);
        let sizes = |name: &str, produced: &[Info]| {
            let place = node.outputs.iter().position(|output| output == name);
            let info = place.and_then(|place| produced.get(place)).or_else(|| scope.get(name))?;
            info.fixed()
        };
        run.tally = run.tally.saturating_add(macs(&node, &|name| sizes(name, &infos)));
        let named = node.outputs.iter().zip(infos).filter(|(name, _)| !name.is_empty());
        for (name, info) in named {
            scope.infos.insert(name.clone(), info);
        }
    }
    let output = |declared: &crate::onnx::ValueInfoProto| {
        let info = scope.get(declared.name.as_deref().unwrap_or_default()).cloned().unwrap_or_default();
        info.or_dtype(declared_dtype(declared.r#type.as_ref()))
    };
    graph.output.iter().map(output).collect()
}

/// Weakens `info` until it holds of `next` too; whether it did already.
fn widen(run: &mut Run, varying: &mut HashSet<Size>, info: &mut Info, next: &Info) -> bool {
    let mut held = info.dtype == next.dtype || info.dtype.is_none();
    info.dtype = info.dtype.filter(|_| held);
    match (&mut info.shape, &next.shape) {
        (Some(sizes), Some(others)) if sizes.len() == others.len() => {
            for (size, other) in sizes.iter_mut().zip(others) {
                if size != other && !varying.contains(size) {
                    *size = run.symbols.fresh();
                    varying.insert(size.clone());
                    held = false;
                }
            }
        }
        (None, _) => {}
        (shape, _) => {
            *shape = None;
            held = false;
        }
    }
    held
}

/// What holds of both.
fn agree(run: &mut Run, a: &Info, b: &Info) -> Info {
    let dtype = a.dtype.filter(|_| a.dtype == b.dtype);
    let shape = a.shape.as_ref().zip(b.shape.as_ref()).filter(|(a, b)| a.len() == b.len());
    let shape = shape.map(|(a, b)| {
        a.iter().zip(b).map(|(a, b)| if a == b { a.clone() } else { run.symbols.fresh() }).collect()
    });
    let value = a.value().filter(|value| b.value() == Some(value)).map(<[_]>::to_vec);
    Info::new(dtype, shape).with_value(value)
}

fn declared_dtype(declared: Option<&TypeProto>) -> Option<DType> {
    match declared?.value.as_ref()? {
        type_proto::Value::TensorType(tensor) => DType::from_onnx_code(tensor.elem_type?),
        _ => None,
    }
}
