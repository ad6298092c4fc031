//! How long does each node of a session take? ONNX Runtime writes that into a trace, a file of
//! events in the format of Chrome's `about:tracing`, for sessions that are made to.

use crate::environment::Process;
use crate::program::OrtProgram;
use kerf_engine::{NodeTime, Program, RunError, contain_panics};
use kerf_graph::Segment;
use kerf_tensor::Tensor;
use serde::Deserialize;
use std::collections::HashMap;
use std::num::NonZeroUsize;

/// What the trace calls the time of a node's kernel, after the node's name.
const KERNEL: &str = "_kernel_time";

pub(crate) fn node_times(
    process: &Process,
    segment: &Segment,
    inputs: &[Tensor],
    runs: NonZeroUsize,
) -> Result<Vec<NodeTime>, RunError> {
    let folder = tempfile::tempdir();
    let trace = folder.as_ref().ok().map(|folder| folder.path().join("trace"));
    let (program, mut session) = OrtProgram::open(process, segment, trace.as_deref())?;
    let folder = folder.map_err(|error| program.failed(format!("no folder for the trace: {error}")))?;
    for _ in 0..=runs.get() {
        program.run(inputs)?;
    }
    let text = contain_panics(|| session.end_profiling())
        .and_then(|ended| ended.map_err(|error| error.to_string()))
        .and_then(|file| std::fs::read(file).map_err(|error| error.to_string()));
    let times =
        text.and_then(|text| read(&text, runs)).map_err(|reason| program.failed(format!("trace: {reason}")));
    drop(folder);
    times
}

/// An event, in microseconds.
#[derive(Deserialize)]
struct Event {
    #[serde(default, rename = "cat")]
    category: String,
    name: String,
    #[serde(default, rename = "ts")]
    start: u64,
    #[serde(default, rename = "dur")]
    took: u64,
}

/// Means over all runs but the first, in the order of their first appearance.
fn read(trace: &[u8], runs: NonZeroUsize) -> Result<Vec<NodeTime>, String> {
    let events: Vec<Event> = serde_json::from_slice(trace).map_err(|error| error.to_string())?;
    let is_run = |event: &&Event| event.category == "Session" && event.name == "model_run";
    let first_end = events.iter().filter(is_run).map(|event| event.start + event.took).min();
    let first_end = first_end.ok_or("no run in it")?;
    let mut times: Vec<NodeTime> = Vec::new();
    let mut known: HashMap<&str, usize> = HashMap::new();
    for event in events.iter().filter(|event| event.category == "Node" && event.start >= first_end) {
        let Some(name) = event.name.strip_suffix(KERNEL) else { continue };
        let index = *known.entry(name).or_insert_with(|| {
            times.push(NodeTime { name: name.to_owned(), seconds: 0.0 });
            times.len() - 1
        });
        times[index].seconds += event.took as f64 * 1e-6 / runs.get() as f64;
    }
    Ok(times)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn traces_are_read_but_for_the_first_run() {
        let trace = br#"[
            {"cat":"Session","dur":900,"ts":1,"ph":"X","name":"session_initialization","args":{}},
            {"cat":"Node","dur":500,"ts":1010,"ph":"X","name":"a_kernel_time","args":{"op_name":"Conv"}},
            {"cat":"Session","dur":600,"ts":1000,"ph":"X","name":"model_run","args":{}},
            {"cat":"Node","dur":100,"ts":1700,"name":"a_kernel_time"},
            {"cat":"Node","dur":5,"ts":1801,"name":"a_fence_after"},
            {"cat":"Node","dur":30,"ts":1810,"name":"b/x_kernel_time"},
            {"cat":"Session","dur":300,"ts":1650,"name":"model_run"},
            {"cat":"Node","dur":120,"ts":2000,"name":"a_kernel_time"},
            {"cat":"Node","dur":50,"ts":2200,"name":"b/x_kernel_time"},
            {"cat":"Session","dur":300,"ts":1990,"name":"model_run"}
        ]"#;
        let times = read(trace, NonZeroUsize::new(2).unwrap()).unwrap();
        let found: Vec<(&str, u64)> =
            times.iter().map(|time| (time.name.as_str(), (time.seconds * 1e6).round() as u64)).collect();
        assert_eq!(found, [("a", 110), ("b/x", 40)]);
        for (trace, reason) in [(&b"[]"[..], "no run in it"), (b"[{", "EOF")] {
            assert!(read(trace, NonZeroUsize::MIN).unwrap_err().contains(reason));
        }
    }
}
