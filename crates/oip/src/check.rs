//! Whether a request's inputs are what a model declares.

use crate::codec::datatype;
use crate::{Failure, InferRequest};
use kerf_tensor::{Dim, NamedTensor, TensorSpec};
use std::collections::HashMap;

/// Checks that `request` brings exactly the inputs `specs`, each of its type and shape, and
/// that a symbol such as a batch size means one number throughout.
pub fn check_inputs(specs: &[TensorSpec], request: &InferRequest) -> Result<(), Failure> {
    let wrong = |message: String| Failure::invalid(format!("model `{}`: {message}", request.model));
    for input in &request.inputs {
        if !specs.iter().any(|spec| spec.name == input.name) {
            let known: Vec<_> = specs.iter().map(declared).collect();
            let name: String = input.name.chars().take(80).flat_map(char::escape_debug).collect();
            return Err(wrong(format!("there is no input `{name}`; inputs are {}", known.join(", "))));
        }
    }
    let mut sizes = HashMap::new();
    for spec in specs {
        let Some(input) = request.inputs.iter().find(|input| input.name == spec.name) else {
            return Err(wrong(format!("input {} is missing", declared(spec))));
        };
        check_input(spec, input, &mut sizes).map_err(wrong)?;
    }
    Ok(())
}

/// Sizes that symbols have taken, and the input where each was seen first.
type Sizes<'a> = HashMap<&'a str, (usize, &'a str)>;

fn check_input<'a>(spec: &'a TensorSpec, input: &NamedTensor, sizes: &mut Sizes<'a>) -> Result<(), String> {
    let shape = input.tensor.shape();
    if !spec.accepts(&input.tensor) {
        let brought = format!("{} {shape:?}", datatype(input.tensor.dtype()));
        return Err(format!("input {} is expected, the request brings {brought}", declared(spec)));
    }
    for (dim, size) in spec.shape.iter().flatten().zip(shape) {
        let Dim::Symbol(symbol) = dim else { continue };
        let (known, first) = sizes.entry(symbol).or_insert((*size, &spec.name));
        if known != size {
            return Err(format!(
                "`{symbol}` is {known} in input `{first}`, but {size} in input `{}`; it must be the same",
                spec.name
            ));
        }
    }
    Ok(())
}

/// `` `x` FP32 [N, 3, 224, 224] ``
fn declared(spec: &TensorSpec) -> String {
    let shape = match &spec.shape {
        Some(dims) => dims.iter().map(ToString::to_string).collect::<Vec<_>>().join(", "),
        None => "of any shape".to_owned(),
    };
    format!("`{}` {} [{shape}]", spec.name, datatype(spec.dtype))
}

#[cfg(test)]
mod tests {
    use super::*;
    use kerf_tensor::{DType, Tensor};

    fn spec(name: &str, dims: &[&str]) -> TensorSpec {
        let dim = |dim: &&str| dim.parse().map_or(Dim::Symbol((*dim).to_owned()), Dim::Fixed);
        TensorSpec { name: name.to_owned(), dtype: DType::F32, shape: Some(dims.iter().map(dim).collect()) }
    }

    fn request(inputs: &[(&str, &[usize])]) -> InferRequest {
        let input = |(name, shape): &(&str, &[usize])| NamedTensor {
            name: (*name).to_owned(),
            tensor: Tensor::from_vec(shape, vec![0f32; shape.iter().product()]).unwrap(),
        };
        InferRequest {
            model: "m".to_owned(),
            version: None,
            id: None,
            inputs: inputs.iter().map(input).collect(),
            outputs: Vec::new(),
            parameters: Default::default(),
            traceparent: None,
        }
    }

    #[test]
    fn inputs_against_declarations() {
        let specs = [spec("a", &["N", "3"]), spec("b", &["N"])];
        type Inputs<'a> = &'a [(&'a str, &'a [usize])];
        let cases: &[(Inputs<'_>, &str)] = &[
            (&[("a", &[2, 3]), ("b", &[2])], ""),
            (&[("b", &[2]), ("a", &[2, 3])], ""),
            (&[("a", &[2, 3])], "model `m`: input `b` FP32 [N] is missing"),
            (
                &[("a", &[2, 3]), ("b", &[2]), ("c\n", &[1])],
                "model `m`: there is no input `c\\n`; inputs are `a` FP32 [N, 3], `b` FP32 [N]",
            ),
            (
                &[("a", &[2, 4]), ("b", &[2])],
                "model `m`: input `a` FP32 [N, 3] is expected, the request brings FP32 [2, 4]",
            ),
            (
                &[("a", &[3]), ("b", &[3])],
                "model `m`: input `a` FP32 [N, 3] is expected, the request brings FP32 [3]",
            ),
            (
                &[("a", &[2, 3]), ("b", &[5])],
                "model `m`: `N` is 2 in input `a`, but 5 in input `b`; it must be the same",
            ),
        ];
        for (inputs, expected) in cases {
            let message = check_inputs(&specs, &request(inputs)).err().map(|failure| failure.message);
            assert_eq!(message.unwrap_or_default(), *expected);
        }
    }
}
