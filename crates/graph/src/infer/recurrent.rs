//! Recurrent layers.

use super::info::Info;
use super::size::Size;
use super::{Call, Rule};

pub(super) fn rule(op: &str) -> Option<Rule> {
    Some(match op {
        "RNN" | "GRU" | "LSTM" => recurrent,
        _ => return None,
    })
}

/// `Y [steps, directions, batch, hidden]`, `Y_h` and, of an LSTM, `Y_c` without the steps;
/// `layout` 1 puts the batch first everywhere.
fn recurrent(call: &mut Call<'_>) -> Vec<Info> {
    let dtype = call.dtype(0);
    let directions = Size::Known(if call.node.string("direction") == Some("bidirectional") { 2 } else { 1 });
    // The recurrence weights are `[directions, gates · hidden, hidden]`.
    let hidden = call.node.int("hidden_size").map(Size::Known).or_else(|| call.shape(2)?.get(2).cloned());
    let hidden = call.run.or_fresh(hidden);
    let batch_first = call.flag("layout");
    let (steps, batch) = match call.shape(0) {
        Some([batch, steps, _]) if batch_first => (steps.clone(), batch.clone()),
        Some([steps, batch, _]) => (steps.clone(), batch.clone()),
        _ => (call.run.symbols.fresh(), call.run.symbols.fresh()),
    };
    let (all, last) = match batch_first {
        true => {
            (vec![batch.clone(), steps, directions.clone(), hidden.clone()], vec![batch, directions, hidden])
        }
        false => {
            (vec![steps, directions.clone(), batch.clone(), hidden.clone()], vec![directions, batch, hidden])
        }
    };
    let last = Info::new(dtype, Some(last));
    vec![Info::new(dtype, Some(all)), last.clone(), last]
}
