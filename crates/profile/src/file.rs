//! The file's shape. Times are seconds, sizes bytes, energies joules.

use serde::{Deserialize, Serialize, Serializer};

/// The version of the file that this release writes.
pub const FORMAT: u32 = 2;

/// The oldest version that it reads; those before 2 know no [`Rest`].
pub const OLDEST_FORMAT: u32 = 1;

/// Bytes of the largest file that is read; one with every range of 32 boundaries, ten batch sizes
/// and ten thousand layers is a tenth of it.
pub const MAX_BYTES: usize = 16 << 20;

/// What one device measured of one packed model with one engine.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Profile {
    /// Always [`FORMAT`]; an older file is brought to it when it is read.
    pub format: u32,
    /// The model's name.
    pub model: String,
    /// The version digest, SHA-256 in lower-case hexadecimal: profiles of one model packed twice
    /// do not mix.
    pub digest: String,
    /// The model's boundaries, from the inputs to the outputs.
    pub boundaries: Vec<Place>,
    /// Where.
    pub device: Device,
    /// With what.
    pub engine: EngineUsed,
    /// When it was begun, RFC 3339.
    pub taken: String,
    /// Whether every range was timed in at least two rounds, or failed.
    pub complete: bool,
    /// The whole model's times in between, which say how steady the machine was.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reference: Option<Reference>,
    /// Largest resident memory of the measuring process, programs of many ranges included.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub peak_rss_bytes: Option<u64>,
    /// How ranges were timed that had rested, where some were.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rest: Option<Rest>,
    /// Ranges that were timed.
    pub ranges: Vec<RangeTime>,
    /// Ranges that the engine did not compile or run.
    #[serde(default)]
    pub failed: Vec<Failure>,
    /// Nodes, where the engine's own profiler was asked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub layers: Option<Layers>,
    /// Sizes of the boundaries, on given inputs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sizes: Option<Sizes>,
    /// Watts and joules.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub power: Option<Power>,
}

/// A boundary, as far as a reader of the profile needs it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Place {
    /// Name of the last node before it; none at the inputs.
    pub after: Option<String>,
    /// Multiply-accumulates of the nodes before it, a first guess at where time goes.
    pub macs_before: u64,
}

/// The machine.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Device {
    /// Its name in the network.
    pub host: String,
    /// The processor as it calls itself.
    pub cpu: String,
    /// Processors that the process may use.
    pub cores: usize,
    /// `x86_64`, `aarch64`.
    pub arch: String,
    /// `linux`.
    pub os: String,
}

/// The engine.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EngineUsed {
    /// `tract`, `ort`.
    pub name: String,
    /// What exactly ran, in the engine's words.
    pub version: String,
    /// Threads that worked on one request.
    pub threads: usize,
}

/// Times of one range, corrected for the machine's drift by the reference's.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RangeTime {
    /// Boundary at which it starts.
    pub from: usize,
    /// Boundary at which it ends.
    pub to: usize,
    /// Requests in one run.
    pub batch: usize,
    /// Runs that count.
    pub runs: usize,
    /// Separate rounds that they were spread over.
    pub rounds: usize,
    /// Median time of a run.
    #[serde(serialize_with = "short")]
    pub p50: f64,
    /// 90th percentile.
    #[serde(serialize_with = "short")]
    pub p90: f64,
    /// 99th percentile; the slowest run where there are fewer than a hundred.
    #[serde(serialize_with = "short")]
    pub p99: f64,
    /// Mean.
    #[serde(serialize_with = "short")]
    pub mean: f64,
    /// Standard deviation of one run, not of the mean.
    #[serde(serialize_with = "short")]
    pub sd: f64,
    /// Time to compile it, from bytes to ready to run.
    #[serde(serialize_with = "short")]
    pub compile: f64,
    /// Memory that the program keeps between runs, as the engine estimates it.
    pub resident_bytes: u64,
    /// How much the process grew at most while compiling and first running it, where the system
    /// tells. Memory that an earlier range left to reuse is not seen again.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub peak_bytes: Option<u64>,
    /// Energy of a run, where a sensor was read.
    #[serde(default, skip_serializing_if = "Option::is_none", serialize_with = "short_option")]
    pub joules: Option<f64>,
    /// Its time after a pause, where that was measured.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rested: Option<Rested>,
}

/// A range's time when the machine has had nothing to do for [`Rest::pause`]: caches are cold by then,
/// and processors asleep. Corrected for drift as the times of runs back to back are.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Rested {
    /// Runs that count.
    pub runs: usize,
    /// Median time of a run.
    #[serde(serialize_with = "short")]
    pub p50: f64,
    /// Standard deviation of one run.
    #[serde(serialize_with = "short")]
    pub sd: f64,
}

/// What runs that were apart have in common.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Rest {
    /// Time without work before each.
    #[serde(serialize_with = "short")]
    pub pause: f64,
    /// Median time to hand work to a thread that sleeps and to be told that it is done, the work
    /// itself not counted.
    #[serde(serialize_with = "short")]
    pub handover: f64,
}

/// A range without times.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Failure {
    /// Boundary at which it starts.
    pub from: usize,
    /// Boundary at which it ends.
    pub to: usize,
    /// Requests in one run.
    pub batch: usize,
    /// In the engine's words.
    pub reason: String,
}

/// Runs of the whole model between those of the ranges.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Reference {
    /// How many.
    pub runs: usize,
    /// Their median, which all times are brought to.
    #[serde(serialize_with = "short")]
    pub p50: f64,
    /// The machine at its fastest (10th percentile of the local median) over the median.
    #[serde(serialize_with = "short")]
    pub fast: f64,
    /// And at its slowest (90th percentile).
    #[serde(serialize_with = "short")]
    pub slow: f64,
}

/// Times of the nodes of the whole model, by the engine's profiler. Their sum is not the model's
/// time: profiling costs, and ranges fuse differently.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Layers {
    /// Runs that the means are over.
    pub runs: usize,
    /// By the model's nodes. What an engine fused is counted for one of its nodes.
    pub nodes: Vec<LayerTime>,
    /// Time of engine nodes that could not be traced to one of the model's, per run.
    #[serde(serialize_with = "short")]
    pub unattributed: f64,
}

/// A node's time.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LayerTime {
    /// Its name in the model.
    pub node: String,
    /// Mean time per run.
    #[serde(serialize_with = "short")]
    pub seconds: f64,
}

/// What a request has to carry when it is shipped from a boundary.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Sizes {
    /// Requests that were looked at.
    pub samples: usize,
    /// What they were: `random`, `pictures from DIR`.
    pub inputs: String,
    /// By boundary and codec.
    pub boundaries: Vec<BoundarySize>,
}

/// One boundary under one codec.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BoundarySize {
    /// Which boundary.
    pub boundary: usize,
    /// How its tensors are written.
    pub codec: Codec,
    /// Mean bytes per request.
    #[serde(serialize_with = "short")]
    pub bytes_mean: f64,
    /// 90th percentile.
    #[serde(serialize_with = "short")]
    pub bytes_p90: f64,
    /// Time to write them, per request.
    #[serde(serialize_with = "short")]
    pub encode_s: f64,
    /// Time to read them, per request; for pictures that is decoding and preprocessing.
    #[serde(serialize_with = "short")]
    pub decode_s: f64,
}

/// How tensors are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Codec {
    /// As they are.
    Raw,
    /// As encoded pictures, the way they came; at the inputs only.
    Encoded,
}

/// What energy the device takes.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Power {
    /// Whether it was measured.
    pub source: PowerSource,
    /// Power without work.
    #[serde(serialize_with = "short")]
    pub idle_watts: f64,
    /// Power while a range runs.
    #[serde(serialize_with = "short")]
    pub busy_watts: f64,
    /// Energy per byte sent.
    #[serde(serialize_with = "short")]
    pub joules_per_byte: f64,
}

/// Where figures of power come from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PowerSource {
    /// From a sensor, which is named.
    Measured(String),
    /// From a model that someone wrote down.
    Modelled,
}

/// Six significant digits: more than any clock here is good for, and fit to be read.
fn short<S: Serializer>(value: &f64, serializer: S) -> Result<S::Ok, S::Error> {
    let text = format!("{value:.5e}");
    serializer.serialize_f64(text.parse().unwrap_or(*value))
}

fn short_option<S: Serializer>(value: &Option<f64>, serializer: S) -> Result<S::Ok, S::Error> {
    match value {
        Some(value) => short(value, serializer),
        None => serializer.serialize_none(),
    }
}
