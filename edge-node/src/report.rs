//! How an answer was made, as the `parameters` that go out with it.
//!
//! The protocol allows strings, numbers and booleans there, so stages are flat
//! keys: `split`, `node`, `engine`, and times in microseconds. Stages that did
//! not happen are left out.

use crate::models::Model;
use crate::pipeline::{Exited, Route, Timings};
use kerf_oip::Parameters;
use kerf_wire::RequestId;
use serde_json::Value;
use std::time::Duration;

pub(crate) fn answer_parameters(
    id: &RequestId,
    route: &Route,
    timings: &Timings,
    total: Duration,
) -> Parameters {
    let mut parameters = Parameters::new();
    let mut say = |key: &str, value: Value| parameters.insert(key.to_owned(), value);
    say("request_id", id.to_string().into());
    say("split", format!("b{}", route.split).into());
    if let Some(exited) = &route.exit {
        say("exit", format!("b{}", exited.boundary).into());
        say("confidence", exited.confidence.into());
    }
    say("node", route.node.as_str().into());
    if let Some(engine) = route.tail_engine.as_ref().or(route.head_engine.as_ref()) {
        say("engine", engine.as_str().into());
    }
    if let Some(engine) = &route.head_engine {
        say("head_engine", engine.as_str().into());
    }
    if route.shipped > 0 {
        say("codec", route.codec.as_str().into());
        say("shipped_bytes", route.shipped.into());
    }
    if route.received > 0 {
        say("received_bytes", route.received.into());
    }
    if let Some(reason) = &route.uncoded {
        say("uncoded", reason.as_str().into());
    }
    if let Some(reason) = &route.fallback {
        say("fallback", reason.as_str().into());
    }
    if let Some(explanation) = &route.explanation {
        say("explanation", explanation.as_str().into());
    }
    if let Some(first) = route.raced {
        say("raced", first.into());
    }
    for (stage, time) in timings.stages() {
        if !time.is_zero() {
            say(&format!("{stage}_us"), micros(time).into());
        }
    }
    say("total_us", micros(total).into());
    parameters
}

/// What goes out with an answer that may yet change.
pub(crate) fn provisional_parameters(exited: &Exited) -> Parameters {
    let mut parameters = Parameters::new();
    parameters.insert("provisional".to_owned(), true.into());
    parameters.insert("exit".to_owned(), format!("b{}", exited.boundary).into());
    parameters.insert("confidence".to_owned(), exited.confidence.into());
    parameters
}

/// What the model's metadata says beyond inputs and outputs.
pub(crate) fn model_parameters(model: &Model) -> Parameters {
    let mut parameters = Parameters::new();
    let mut say = |key: &str, value: Value| parameters.insert(key.to_owned(), value);
    say("split", format!("b{}", model.course().way().split).into());
    say("boundaries", (model.served.last() as u64 + 1).into());
    if let (Some(_), Some(heads)) = (&model.exits, &model.served.heads) {
        let exits: Vec<String> =
            heads.fitted().exits.iter().map(|exit| format!("b{}", exit.boundary)).collect();
        say("exits", exits.join(", ").into());
        say("exits_promise", heads.fitted().certified.promise().to_string().into());
    }
    if let Some(step) = &model.served.card.preprocess {
        say("encoded_input", step.encoded_input.as_str().into());
        say("decodes_to", step.input.as_str().into());
    }
    parameters
}

fn micros(time: Duration) -> u64 {
    time.as_micros() as u64
}
