//! The files as said: one type per mapping, one [`Said`] per key.
//!
//! The doc comments are the descriptions in the JSON Schema, which editors show while
//! a file is being written.

use crate::edge::{CodecChoice, CongestionChoice, ExitChoice, Fallback, RaceChoice, Share, Split, TcpChoice};
use crate::leaf::{Dial, FilePath, Joules, Listen, Name, Place, Rate, Size, Span, Watts, Words};
use crate::parts::{EngineKind, LogFormat};
use crate::said::Said;
use crate::wish::{Deadline, Objective, Traffic};
use schemars::JsonSchema;
use serde::Deserialize;

/// What is meant where nothing is said, in the words of a file.
pub(crate) mod default {
    pub(crate) const EDGE_LISTEN: &str = "127.0.0.1:8000";
    pub(crate) const EDGE_ADMIN: &str = "127.0.0.1:9901";
    pub(crate) const CLOUD_LISTEN: &str = "0.0.0.0:4433";
    pub(crate) const CLOUD_ADMIN: &str = "127.0.0.1:9902";
    pub(crate) const DEADLINE: &str = "10s";
    pub(crate) const CODEC: &str = "auto";
    pub(crate) const AGREEMENT: &str = "99.5%";
    pub(crate) const AUDIT: &str = "1%";
    pub(crate) const AUDIT_BYTES: &str = "64MiB";
    pub(crate) const EDGE_CONCURRENCY: u64 = 4;
    pub(crate) const EDGE_QUEUE: u64 = 64;
    pub(crate) const EDGE_MEMORY: &str = "512MiB";
    pub(crate) const EDGE_BODY: &str = "64MiB";
    pub(crate) const CLOUD_CONCURRENCY: u64 = 16;
    pub(crate) const CLOUD_QUEUE: u64 = 256;
    pub(crate) const CLOUD_MEMORY: &str = "4GiB";
    pub(crate) const CLOUD_PAYLOAD: &str = "256MiB";
    pub(crate) const OBJECTIVE: &str = "latency";
    pub(crate) const STALL: &str = "500ms";
    pub(crate) const KEEP_ALIVE: &str = "300ms";
    pub(crate) const IDLE_TIMEOUT: &str = "10s";
    pub(crate) const DRAIN: &str = "10s";
    pub(crate) const LOG_FILTER: &str = "info";
}

/// Settings of an edge node. Relative paths start from the folder of this file.
#[derive(Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
#[schemars(rename = "EdgeNode", extend("required" = ["node", "repository", "identity", "models"]))]
pub(crate) struct RawEdge {
    /// Name of this node in answers, logs and metrics.
    pub(crate) node: Said<Name>,
    /// Where the Open Inference Protocol is served over HTTP.
    #[schemars(extend("default" = default::EDGE_LISTEN))]
    pub(crate) listen: Said<Listen>,
    /// Where metrics and the status page are served; a loopback address unless `admin_remote` is true.
    #[schemars(extend("default" = default::EDGE_ADMIN))]
    pub(crate) admin: Said<Listen>,
    /// Whether `admin` may be an address that other machines reach. The page has no access control.
    #[schemars(extend("default" = false))]
    pub(crate) admin_remote: Said<bool>,
    /// Folder of packed models, as `partitioner pack --into` writes it.
    pub(crate) repository: Said<FilePath>,
    /// Folder of profiles: this node's own, as `--profile` writes them, and those of nodes that it met.
    pub(crate) profiles: Said<FilePath>,
    /// Certificates for the mesh, as `partitioner certs` writes them.
    pub(crate) identity: Said<RawIdentity>,
    /// Cloud nodes, in order of preference.
    #[schemars(extend("default" = []))]
    pub(crate) cloud: Said<Vec<Said<RawCloudAddress>>>,
    /// Engine for heads and for local answers.
    pub(crate) engine: Said<RawEngine>,
    /// Models to serve; an empty list makes an idle node.
    #[schemars(length(min = 1))]
    pub(crate) models: Said<Vec<Said<RawModel>>>,
    /// What the node takes on at once.
    pub(crate) limits: Said<RawEdgeLimits>,
    /// The link to the cloud nodes.
    pub(crate) link: Said<RawLink>,
    /// What `split: auto` shall be good at.
    pub(crate) plan: Said<RawPlan>,
    /// Logging.
    pub(crate) log: Said<RawLog>,
}

/// Settings of a cloud node. Relative paths start from the folder of this file.
#[derive(Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
#[schemars(rename = "CloudNode", extend("required" = ["node", "repository", "identity"]))]
pub(crate) struct RawCloud {
    /// Name of this node; the one that its certificate carries and that edges expect.
    pub(crate) node: Said<Name>,
    /// Where the mesh is served over QUIC (UDP).
    #[schemars(extend("default" = default::CLOUD_LISTEN))]
    pub(crate) listen: Said<Listen>,
    /// Where metrics and the status page are served; a loopback address unless `admin_remote` is true.
    #[schemars(extend("default" = default::CLOUD_ADMIN))]
    pub(crate) admin: Said<Listen>,
    /// Whether `admin` may be an address that other machines reach. The page has no access control.
    #[schemars(extend("default" = false))]
    pub(crate) admin_remote: Said<bool>,
    /// Folder of packed models, as `partitioner pack --into` writes it.
    pub(crate) repository: Said<FilePath>,
    /// Folder of profiles: this node's own, as `--profile` writes them, and those of nodes that it met.
    pub(crate) profiles: Said<FilePath>,
    /// Certificates for the mesh, as `partitioner certs` writes them.
    pub(crate) identity: Said<RawIdentity>,
    /// Engine for tails.
    pub(crate) engine: Said<RawEngine>,
    /// Models to serve; none named is all in the repository.
    #[schemars(extend("default" = []))]
    pub(crate) models: Said<Vec<Said<Name>>>,
    /// What the node takes on at once.
    pub(crate) limits: Said<RawCloudLimits>,
    /// Time that running requests get after a signal to stop.
    #[schemars(extend("default" = default::DRAIN))]
    pub(crate) drain: Said<Span>,
    /// Logging.
    pub(crate) log: Said<RawLog>,
}

/// Where a node finds its certificates.
#[derive(Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
#[schemars(rename = "Identity", extend("required" = ["ca", "certificate", "key"]))]
pub(crate) struct RawIdentity {
    /// Certificate of the authority that signs the mesh's nodes, PEM.
    pub(crate) ca: Said<FilePath>,
    /// This node's certificate, PEM.
    pub(crate) certificate: Said<FilePath>,
    /// This node's private key, PEM.
    pub(crate) key: Said<FilePath>,
}

/// One cloud node.
#[derive(Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
#[schemars(rename = "CloudAddress", extend("required" = ["node", "address"]))]
pub(crate) struct RawCloudAddress {
    /// The name that its certificate must carry.
    pub(crate) node: Said<Name>,
    /// host:port.
    pub(crate) address: Said<Dial>,
}

/// What compiles and runs segments.
#[derive(Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
#[schemars(rename = "Engine")]
pub(crate) struct RawEngine {
    /// Which engine.
    #[schemars(extend("default" = "auto"))]
    pub(crate) kind: Said<EngineKind>,
    /// Threads of the engine's pool; 0 is one per core.
    #[schemars(range(max = 1024), extend("default" = 0))]
    pub(crate) threads: Said<u64>,
    /// libonnxruntime to load, where the usual places are not meant.
    pub(crate) library: Said<FilePath>,
}

/// One model and where it runs.
#[derive(Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
#[schemars(rename = "Model", extend("required" = ["name", "split"]))]
pub(crate) struct RawModel {
    /// Name in the repository and in requests.
    pub(crate) name: Said<Name>,
    /// Where the model is cut: `auto` by the plan for `profiles` and `link`, `edge` runs all of it here,
    /// `cloud` nothing, `b7` up to boundary 7.
    pub(crate) split: Said<Split>,
    /// How its tensors travel: `auto` in the fewest bytes that were measured to agree often enough when
    /// the model was packed with inputs, `raw` as they are, or the name of a codec.
    #[schemars(extend("default" = default::CODEC))]
    pub(crate) codec: Said<CodecChoice>,
    /// Least share of answers that must be as without codecs, for `codec: auto`.
    #[schemars(extend("default" = default::AGREEMENT))]
    pub(crate) agreement: Said<Share>,
    /// Whether early exits may answer: `auto` those that `partitioner exits fit` gave the model, `none`.
    #[schemars(extend("default" = "auto"))]
    pub(crate) exits: Said<ExitChoice>,
    /// Share of requests of which an early answer would be checked by the whole model, in the background.
    #[schemars(extend("default" = default::AUDIT))]
    pub(crate) audit: Said<Share>,
    /// Most bytes of tensors that such checks send in an hour; the others run here.
    #[schemars(extend("default" = default::AUDIT_BYTES))]
    pub(crate) audit_bytes: Said<Size>,
    /// What is left when no cloud node answers.
    #[schemars(extend("default" = "required"))]
    pub(crate) fallback: Said<Fallback>,
    /// When this node works on what it shipped as well: `never`, when there is just time enough left
    /// before the `deadline`, or `always` when that may be faster. The first answer wins.
    #[schemars(extend("default" = "deadline"))]
    pub(crate) race: Said<RaceChoice>,
    /// Time for a request, where it brings none of its own.
    #[schemars(extend("default" = default::DEADLINE))]
    pub(crate) deadline: Said<Span>,
}

/// What an edge node takes on at once.
#[derive(Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
#[schemars(rename = "EdgeLimits")]
pub(crate) struct RawEdgeLimits {
    /// Requests worked on at once.
    #[schemars(range(min = 1, max = 65536), extend("default" = default::EDGE_CONCURRENCY))]
    pub(crate) concurrency: Said<u64>,
    /// Requests waiting beyond those; more are refused at once.
    #[schemars(range(max = 1048576), extend("default" = default::EDGE_QUEUE))]
    pub(crate) queue: Said<u64>,
    /// Memory for compiled segments, beside those that `fallback: required` keeps.
    #[schemars(extend("default" = default::EDGE_MEMORY))]
    pub(crate) memory: Said<Size>,
    /// The largest HTTP request body.
    #[schemars(extend("default" = default::EDGE_BODY))]
    pub(crate) body: Said<Size>,
}

/// What a cloud node takes on at once.
#[derive(Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
#[schemars(rename = "CloudLimits")]
pub(crate) struct RawCloudLimits {
    /// Requests worked on at once.
    #[schemars(range(min = 1, max = 65536), extend("default" = default::CLOUD_CONCURRENCY))]
    pub(crate) concurrency: Said<u64>,
    /// Requests waiting beyond those; more are refused at once.
    #[schemars(range(max = 1048576), extend("default" = default::CLOUD_QUEUE))]
    pub(crate) queue: Said<u64>,
    /// Memory for compiled segments.
    #[schemars(extend("default" = default::CLOUD_MEMORY))]
    pub(crate) memory: Said<Size>,
    /// The largest payload of one request.
    #[schemars(extend("default" = default::CLOUD_PAYLOAD))]
    pub(crate) payload: Said<Size>,
}

/// The link to the cloud: what `split: auto` may count on, and when a connection counts as lost.
#[derive(Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
#[schemars(rename = "Link")]
pub(crate) struct RawLink {
    /// Rate to the cloud.
    pub(crate) bandwidth: Said<Rate>,
    /// Rate from the cloud; that to it where nothing is said.
    pub(crate) downlink: Said<Rate>,
    /// Time there and back for a small packet.
    pub(crate) rtt: Said<Span>,
    /// Silence, while an answer is awaited, after which the request goes elsewhere.
    #[schemars(extend("default" = default::STALL))]
    pub(crate) stall: Said<Span>,
    /// Pause between packets that show a connection alive. Shorter than `stall`, or a slow
    /// answer looks like a lost link; on metered links, longer is cheaper.
    #[schemars(extend("default" = default::KEEP_ALIVE))]
    pub(crate) keep_alive: Said<Span>,
    /// Silence after which a connection is closed; at least `stall`.
    #[schemars(extend("default" = default::IDLE_TIMEOUT))]
    pub(crate) idle_timeout: Said<Span>,
    /// How fast to send: `cubic`, or `bbr`, which is better where packets are lost by chance.
    #[schemars(extend("default" = "cubic"))]
    pub(crate) congestion: Said<CongestionChoice>,
    /// Whether a node that is not heard over UDP is tried over TCP: `auto`, `never`.
    #[schemars(extend("default" = "auto"))]
    pub(crate) tcp: Said<TcpChoice>,
}

/// What `split: auto` shall be good at.
#[derive(Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
#[schemars(rename = "Plan")]
pub(crate) struct RawPlan {
    /// What shall be least: latency, energy, bytes, money, or a sum of seconds, joules, bytes and units
    /// of currency, as `latency+2.5*energy`.
    #[schemars(extend("default" = default::OBJECTIVE))]
    pub(crate) objective: Said<Objective>,
    /// By when answers shall be there, and how many of them: p95 where nothing is said.
    pub(crate) deadline: Said<Deadline>,
    /// The first boundary that may leave this node.
    pub(crate) privacy_floor: Said<Place>,
    /// How requests come: `sparse`, a tenth of a second or more apart, so that machines rest in between,
    /// or `dense`.
    #[schemars(extend("default" = "sparse"))]
    pub(crate) traffic: Said<Traffic>,
    /// Price of a gigabyte (10^9 bytes) on the link, either way.
    #[schemars(range(min = 0), extend("default" = 0))]
    pub(crate) price_per_gb: Said<f64>,
    /// Price of an hour of computing in the cloud.
    #[schemars(range(min = 0), extend("default" = 0))]
    pub(crate) price_per_hour: Said<f64>,
    /// What this node draws, where its profile does not say.
    pub(crate) power: Said<RawPower>,
}

/// What this node draws, where its profile does not say.
#[derive(Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
#[schemars(rename = "Power", extend("required" = ["idle", "busy", "per_byte"]))]
pub(crate) struct RawPower {
    /// While it waits.
    pub(crate) idle: Said<Watts>,
    /// While it computes; at least `idle`.
    pub(crate) busy: Said<Watts>,
    /// What a byte sent takes.
    pub(crate) per_byte: Said<Joules>,
}

/// Logging.
#[derive(Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
#[schemars(rename = "Log")]
pub(crate) struct RawLog {
    /// Directives such as `info` or `info,kerf_transport=debug`.
    #[schemars(extend("default" = default::LOG_FILTER))]
    pub(crate) filter: Said<Words>,
    /// The form of a line.
    #[schemars(extend("default" = "text"))]
    pub(crate) format: Said<LogFormat>,
}

/// The JSON Schema of a file.
pub(crate) fn schema<T: JsonSchema>() -> serde_json::Value {
    schemars::generate::SchemaSettings::draft07().into_generator().into_root_schema_for::<T>().into()
}
