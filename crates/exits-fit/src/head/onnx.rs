//! Heads as ONNX models, in operators that every engine has.

use super::Head;
use crate::front::{Keep, Part};
use crate::net::{Conv, Dense, Layer};
use kerf_exits::Kind;
use kerf_graph::{BuildError, Builder, Model, Op};
use kerf_tensor::{DType, Dim, Element, Tensor, TensorError, TensorSpec};

/// Why a head cannot be written as a model.
#[derive(Debug, thiserror::Error)]
pub enum ExportError {
    /// The output is not one of so many classes.
    #[error("output `{output}` is not that of a classifier of {classes} classes")]
    Output {
        /// What it was to be.
        output: String,
        /// Classes of the head.
        classes: usize,
    },
    /// The model does not hold together.
    #[error(transparent)]
    Build(#[from] BuildError),
    /// A constant is not a tensor.
    #[error(transparent)]
    Tensor(#[from] TensorError),
}

/// Opset 13: old enough for every engine, and its `Softmax` is that of one axis.
const OPSET: i64 = 13;

impl Head {
    /// The head as a model: from the boundary's tensors that it reads, under their names, to the whole
    /// model's output, under its name and type, with the same shape and the same kind of scores.
    pub fn to_model(&self, output: &TensorSpec, kind: Kind) -> Result<Model, ExportError> {
        let dims = output.shape.as_deref().unwrap_or_default();
        let is_classes = matches!(dims, [_, Dim::Fixed(classes), rest @ ..]
            if *classes == self.classes && rest.iter().all(|dim| *dim == Dim::Fixed(1)));
        if !is_classes || !output.dtype.is_float() {
            return Err(ExportError::Output { output: output.to_string(), classes: self.classes });
        }
        let mut writer = Writer::new(self, output);
        let mut kept = Vec::new();
        for part in self.front.parts() {
            kept.extend(writer.part(part)?);
        }
        let mut value = writer.join(kept);
        value = writer.scale(value)?;
        for (at, layer) in self.net.layers().iter().enumerate() {
            value = match layer {
                Layer::Conv(conv) => writer.conv(conv, value)?,
                Layer::Mean(_) => {
                    let pooled = writer.node(Step::new("GlobalAveragePool", [value]));
                    writer.node(Step::new("Flatten", [pooled]).int("axis", 1))
                }
                // Convolutions that end in one cell leave no mean to take.
                Layer::Dense(dense) if at > 0 && matches!(self.net.layers()[at - 1], Layer::Conv(_)) => {
                    let flat = writer.node(Step::new("Flatten", [value]).int("axis", 1));
                    writer.dense(dense, flat)?
                }
                Layer::Dense(dense) => writer.dense(dense, value)?,
            };
        }
        writer.finish(value, output, kind)
    }
}

/// A node whose output may still get another name.
struct Step {
    op: &'static str,
    inputs: Vec<String>,
    output: String,
    int: Option<(&'static str, i64)>,
    ints: Vec<(&'static str, Vec<i64>)>,
}

impl Step {
    fn new<const N: usize>(op: &'static str, inputs: [String; N]) -> Self {
        Self { op, inputs: inputs.to_vec(), output: String::new(), int: None, ints: Vec::new() }
    }

    fn int(mut self, name: &'static str, value: i64) -> Self {
        self.int = Some((name, value));
        self
    }

    fn ints(mut self, name: &'static str, values: &[i64]) -> Self {
        self.ints.push((name, values.to_vec()));
        self
    }

    fn op(&self) -> Op {
        let inputs: Vec<&str> = self.inputs.iter().map(String::as_str).collect();
        let op = Op::new(self.op, &inputs, &[&self.output]);
        let op = self.int.iter().fold(op, |op, (name, value)| op.int(name, *value));
        self.ints.iter().fold(op, |op, (name, values)| op.ints(name, values))
    }
}

/// Writes the nodes of one head.
struct Writer<'a> {
    head: &'a Head,
    builder: Builder,
    steps: Vec<Step>,
    /// Names that the model's own tensors have.
    taken: Vec<&'a str>,
    made: usize,
}

impl<'a> Writer<'a> {
    fn new(head: &'a Head, output: &'a TensorSpec) -> Self {
        let mut builder = Builder::new("head", OPSET);
        for input in head.front.inputs() {
            builder.input(input);
        }
        builder.output(output);
        let taken = head.front.inputs().chain([output]).map(|spec| spec.name.as_str()).collect();
        Self { head, builder, steps: Vec::new(), taken, made: 0 }
    }

    /// What is kept of a tensor: `[N, channels, rows, columns]`, or `[N, channels]` where the map is
    /// one cell.
    fn part(&mut self, part: &Part) -> Result<Vec<String>, ExportError> {
        let mut value = part.spec.name.clone();
        if part.spec.dtype != DType::F32 {
            value = self.node(cast(value, DType::F32));
        }
        let rank = part.spec.shape.as_ref().map_or(2, Vec::len) as i64;
        Ok(match part.keep {
            Keep::Values => vec![value],
            Keep::Sequence => {
                let first = self.constant("first", &[], vec![0i64])?;
                let token = Step::new("Gather", [value.clone(), first]).int("axis", 1);
                let summary = self.summary(value, &[1]);
                summary.into_iter().chain([self.node(token)]).collect()
            }
            Keep::Plane => self.summary(value, &(2..rank).collect::<Vec<_>>()).to_vec(),
            Keep::Cells { rows: 1, columns: 1 } if part.cells() == (1, 1) => {
                vec![self.node(Step::new("Flatten", [value]).int("axis", 1))]
            }
            Keep::Cells { rows: 1, columns: 1 } => vec![value],
            Keep::Cells { rows, columns } => {
                let sides = [rows as i64, columns as i64];
                let pool = Step::new("AveragePool", [value]).ints("kernel_shape", &sides);
                vec![self.node(pool.ints("strides", &sides))]
            }
        })
    }

    /// Mean and maximum over some axes.
    fn summary(&mut self, value: String, axes: &[i64]) -> [String; 2] {
        let reduce = |op| Step::new(op, [value.clone()]).ints("axes", axes).int("keepdims", 0);
        ["ReduceMean", "ReduceMax"].map(|op| self.node(reduce(op)))
    }

    /// Side by side along the channels.
    fn join(&mut self, kept: Vec<String>) -> String {
        match <[String; 1]>::try_from(kept) {
            Ok([one]) => one,
            Err(inputs) => self.node(Step { inputs, ..Step::new("Concat", []).int("axis", 1) }),
        }
    }

    fn scale(&mut self, value: String) -> Result<String, ExportError> {
        let scaling = &self.head.scaling;
        let channels = scaling.mean.len();
        let shape: &[usize] =
            if self.head.front.map().cells() == 1 { &[1, channels] } else { &[1, channels, 1, 1] };
        let mean = self.constant("mean", shape, scaling.mean.clone())?;
        let factor = self.constant("factor", shape, scaling.factor.clone())?;
        let centred = self.node(Step::new("Sub", [value, mean]));
        Ok(self.node(Step::new("Mul", [centred, factor])))
    }

    fn dense(&mut self, dense: &Dense, value: String) -> Result<String, ExportError> {
        let weights = self.head.parameters[dense.weights.clone()].to_vec();
        let weights = self.constant("weights", &[dense.inputs, dense.outputs], weights)?;
        let bias = self.head.parameters[dense.bias.clone()].to_vec();
        let bias = self.constant("bias", &[dense.outputs], bias)?;
        let linear = self.node(Step::new("Gemm", [value, weights, bias]));
        Ok(if dense.relu { self.node(Step::new("Relu", [linear])) } else { linear })
    }

    fn conv(&mut self, conv: &Conv, value: String) -> Result<String, ExportError> {
        let (inputs, outputs, side) = (conv.input.channels, conv.output.channels, conv.kernel);
        let ours = &self.head.parameters[conv.weights.clone()];
        // From [kernel, kernel, inputs, outputs] to ONNX's [outputs, inputs, kernel, kernel].
        let mut weights = Vec::with_capacity(ours.len());
        for output in 0..outputs {
            for input in 0..inputs {
                weights.extend((0..side * side).map(|at| ours[(at * inputs + input) * outputs + output]));
            }
        }
        let weights = self.constant("weights", &[outputs, inputs, side, side], weights)?;
        let bias = self.constant("bias", &[outputs], self.head.parameters[conv.bias.clone()].to_vec())?;
        let conv = Step::new("Conv", [value, weights, bias])
            .ints("kernel_shape", &[side as i64; 2])
            .ints("strides", &[conv.stride as i64; 2])
            .ints("pads", &[conv.padding() as i64; 4]);
        let value = self.node(conv);
        Ok(self.node(Step::new("Relu", [value])))
    }

    fn finish(mut self, logits: String, output: &TensorSpec, kind: Kind) -> Result<Model, ExportError> {
        let mut value = match kind {
            Kind::Logits => logits,
            Kind::Probabilities => self.node(Step::new("Softmax", [logits]).int("axis", 1)),
            Kind::LogProbabilities => self.node(Step::new("LogSoftmax", [logits]).int("axis", 1)),
        };
        let rank = output.shape.as_ref().map_or(2, Vec::len);
        if rank > 2 {
            // 0 stands for the batch as it is.
            let shape: Vec<i64> =
                [0, self.head.classes as i64].into_iter().chain(vec![1; rank - 2]).collect();
            let shape = self.constant("shape", &[rank], shape)?;
            value = self.node(Step::new("Reshape", [value, shape]));
        }
        if output.dtype != DType::F32 {
            self.node(cast(value, output.dtype));
        }
        if let Some(last) = self.steps.last_mut() {
            last.output.clone_from(&output.name);
        }
        for step in &self.steps {
            self.builder.node(step.op());
        }
        Ok(self.builder.build()?)
    }

    fn node(&mut self, step: Step) -> String {
        let output = self.fresh(step.op);
        self.steps.push(Step { output: output.clone(), ..step });
        output
    }

    fn constant<T: Element>(
        &mut self,
        what: &str,
        shape: &[usize],
        values: Vec<T>,
    ) -> Result<String, ExportError> {
        let name = self.fresh(what);
        self.builder.constant(&name, &Tensor::from_vec(shape, values)?);
        Ok(name)
    }

    /// A name that neither the model nor another node has.
    fn fresh(&mut self, what: &str) -> String {
        self.made += 1;
        let mut name = format!("head/{what}_{}", self.made);
        while self.taken.contains(&name.as_str()) {
            name.push('_');
        }
        name
    }
}

fn cast(value: String, to: DType) -> Step {
    Step::new("Cast", [value]).int("to", to.onnx_code().into())
}
