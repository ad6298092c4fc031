//! What is in a model, what does it cost, and where can it be cut?

mod table;

use crate::cli::InspectArgs;
use crate::print::{Outcome, Paint, emit, emit_json};
use crate::source;
use anyhow::bail;
use kerf_bundle::{Arranged, Card, Digest, Exits, hex};
use kerf_graph::{Analysis, Bindings, Boundary, Model, boundaries};
use kerf_tensor::{Dim, TensorSpec};
use serde_json::{Value, json};

pub(crate) use table::boundary_table;

pub(crate) fn run(args: &InspectArgs) -> anyhow::Result<Outcome> {
    let subject = Subject::open(args)?;
    if args.json {
        emit_json(&subject.json())?;
    } else {
        emit(&table::render(&subject, args.all, Paint::detect()))?;
    }
    Ok(Outcome::Passed)
}

/// A model and what is known of it.
struct Subject {
    name: String,
    ir: Option<u64>,
    packed: Option<(Card, Digest, Option<Exits>)>,
    model: Model,
    analysis: Analysis,
    boundaries: Vec<Boundary>,
}

impl Subject {
    fn open(args: &InspectArgs) -> anyhow::Result<Self> {
        let (name, ir, packed, model, boundaries) = if args.model.is_dir() {
            let bundle = source::packed(&args.model)?;
            let places = bundle.model.boundaries().to_vec();
            let model = bundle.model.model().clone();
            (bundle.card.name.clone(), None, Some((bundle.card, bundle.digest, bundle.exits)), model, places)
        } else {
            let found = source::onnx(&args.model)?;
            // As packing would have it.
            let model = Arranged::new(&found.model, args.boundaries)?.model().clone();
            let places = boundaries(&model, args.boundaries);
            (found.file, source::ir_version(&found.bytes), None, model, places)
        };
        let symbols = model.symbols();
        let mut bindings = Bindings::ones();
        for (symbol, size) in &args.bind {
            if !symbols.contains(symbol) {
                bail!("--bind {symbol}: no such symbolic dimension; the model has {}", list(&symbols));
            }
            bindings = bindings.with(symbol, *size);
        }
        let analysis = model.analyse(&bindings);
        Ok(Self { name, ir, packed, model, analysis, boundaries })
    }

    fn json(&self) -> Value {
        let spec_of =
            |name: &str| self.analysis.spec(name).map_or_else(|| json!({"name": name}), |s| spec(&s));
        let nodes = self.model.nodes().iter().enumerate().map(|(index, node)| {
            let cost = self.analysis.cost(index);
            json!({
                "name": node.name,
                "op": node.op,
                "domain": node.domain,
                "inputs": node.inputs,
                "outputs": node.writes().map(spec_of).collect::<Vec<_>>(),
                "macs": cost.macs,
                "parameters": cost.params,
                "weight_bytes": cost.weight_bytes,
                "output_bytes": cost.output_bytes,
            })
        });
        let total = self.analysis.total();
        json!({
            "name": self.name,
            "digest": self.packed.as_ref().map(|(_, digest, _)| hex(digest)),
            "exits": self.packed.as_ref().and_then(|(.., exits)| Some(&exits.as_ref()?.fitted)),
            "ir_version": self.ir,
            "opset": self.model.opset(),
            "inputs": self.model.inputs().iter().map(spec).collect::<Vec<_>>(),
            "outputs": self.model.outputs().iter().map(spec).collect::<Vec<_>>(),
            "symbols": self.model.symbols(),
            "macs": total.macs,
            "parameters": total.params,
            "weight_bytes": total.weight_bytes,
            "unknown_shapes": self.analysis.unknown(),
            "foreign_operators": self.model.foreign_ops(),
            "nodes": nodes.collect::<Vec<_>>(),
            "boundaries": self.boundaries,
        })
    }
}

fn spec(spec: &TensorSpec) -> Value {
    let dim = |dim: &Dim| match dim {
        Dim::Fixed(size) => json!(size),
        Dim::Symbol(name) => json!(name),
    };
    let shape = spec.shape.as_ref().map(|dims| dims.iter().map(dim).collect::<Vec<_>>());
    json!({"name": spec.name, "dtype": spec.dtype.name(), "shape": shape})
}

fn list(names: &[String]) -> String {
    if names.is_empty() { "none".into() } else { names.join(", ") }
}
