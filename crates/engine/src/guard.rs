//! What every engine does the same way around its library: refuse inputs that do not fit,
//! and turn a panic of the library into an error.

use crate::{RunError, SegmentId};
use kerf_tensor::{Tensor, TensorSpec};
use std::panic::{AssertUnwindSafe, catch_unwind};

/// Checks count, types, ranks and fixed dimensions of a program's inputs.
pub fn check_inputs(segment: SegmentId, specs: &[TensorSpec], inputs: &[Tensor]) -> Result<(), RunError> {
    if specs.len() != inputs.len() {
        return Err(RunError::InputCount { segment, expected: specs.len(), actual: inputs.len() });
    }
    match specs.iter().zip(inputs).find(|(spec, input)| !spec.accepts(input)) {
        None => Ok(()),
        Some((spec, input)) => Err(RunError::Input {
            segment,
            expected: spec.to_string(),
            actual: format!("{}{:?}", input.dtype(), input.shape()),
        }),
    }
}

/// Runs `work`; a panic in it becomes `Err` with the panic's message.
///
/// For libraries that panic on odd models. Whatever `work` shares with the outside must
/// stay usable after an unwind: it may leave no lock poisoned that others take.
pub fn contain_panics<T>(work: impl FnOnce() -> T) -> Result<T, String> {
    catch_unwind(AssertUnwindSafe(work)).map_err(|panic| {
        let message = panic
            .downcast_ref::<String>()
            .map(String::as_str)
            .or_else(|| panic.downcast_ref::<&str>().copied())
            .unwrap_or("no message");
        format!("the engine panicked: {message}")
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use kerf_tensor::{DType, Dim};

    #[test]
    fn inputs_must_fit() {
        let shape = Some(vec![Dim::Symbol("N".into()), Dim::Fixed(3)]);
        let specs = [TensorSpec { name: "x".into(), dtype: DType::F32, shape }];
        let floats = |shape: &[usize]| Tensor::from_vec(shape, vec![0f32; shape.iter().product()]).unwrap();
        let cases: &[(Vec<Tensor>, Option<&str>)] = &[
            (vec![floats(&[7, 3])], None),
            (vec![], Some("segment 0..1 takes 1 inputs, got 0")),
            (vec![floats(&[7, 4])], Some("segment 0..1 takes x: f32[N, 3], got f32[7, 4]")),
            (vec![floats(&[3])], Some("segment 0..1 takes x: f32[N, 3], got f32[3]")),
        ];
        for (inputs, error) in cases {
            let result = check_inputs(SegmentId { from: 0, to: 1 }, &specs, inputs);
            assert_eq!(result.err().map(|error| error.to_string()).as_deref(), *error);
        }
    }

    #[test]
    fn a_panic_is_an_error() {
        assert_eq!(contain_panics(|| 1), Ok(1));
        let text = contain_panics(|| panic!("at {}", 3)).unwrap_err();
        assert_eq!(text, "the engine panicked: at 3");
    }
}
