//! Inputs to try a model with, as the command line asks for them.

use anyhow::bail;
use kerf_graph::Model;
use kerf_inputs::{Generator, InputsError};

/// Makes inputs, with the sizes of symbols that `--bind` gives.
pub(crate) fn generator<'a>(model: &'a Model, bind: &[(String, usize)]) -> anyhow::Result<Generator<'a>> {
    match Generator::new(model, bind) {
        Err(InputsError::Symbol { name, known }) => {
            bail!("--bind {name}: no such symbolic dimension; the model's inputs have {known}")
        }
        made => Ok(made?),
    }
}
