//! Settings of an edge node.

use crate::parts::{EngineSettings, IdentityFiles, LogSettings, resolve};
use crate::wish::{Deadline, Objective, Traffic};
use schemars::JsonSchema;
use serde::Deserialize;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// What an edge node is told.
#[derive(Clone, Debug, PartialEq)]
pub struct EdgeSettings {
    /// Name in answers, logs and metrics.
    pub node: String,
    /// Where the Open Inference Protocol is served over HTTP.
    pub listen: SocketAddr,
    /// Where metrics and the status page are served.
    pub admin: SocketAddr,
    /// Whether `admin` may be an address that other machines reach.
    pub admin_remote: bool,
    /// Folder of packed models.
    pub repository: PathBuf,
    /// Folder of profiles: this node's own, and those of the cloud nodes that it met.
    pub profiles: Option<PathBuf>,
    /// Certificates for the mesh.
    pub identity: IdentityFiles,
    /// Cloud nodes, in order of preference; empty where every model stays on the edge.
    pub cloud: Vec<CloudAddress>,
    /// Engine for heads and local answers.
    pub engine: EngineSettings,
    /// Models to serve, names unique; none makes an idle node.
    pub models: Vec<ModelSettings>,
    /// What the node takes on at once.
    pub limits: EdgeLimits,
    /// When a connection to a cloud node counts as lost.
    pub link: LinkSettings,
    /// What plans shall be good at.
    pub plan: PlanSettings,
    /// Logging.
    pub log: LogSettings,
}

/// One cloud node.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CloudAddress {
    /// The name that its certificate must carry.
    pub node: String,
    /// `host:port`, resolved when it is dialled.
    pub address: String,
}

/// One model and where it runs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ModelSettings {
    /// Name in the repository and in requests.
    pub name: String,
    /// Where the model is cut.
    pub split: Split,
    /// How its tensors travel.
    pub codec: CodecChoice,
    /// Least share of answers that must be as without codecs, for [`CodecChoice::Auto`].
    pub agreement: Share,
    /// Whether early exits may answer.
    pub exits: ExitChoice,
    /// Share of requests of which an early answer would be checked by the whole model, in the background.
    pub audit: Share,
    /// Most bytes of tensors that such checks send in an hour; the others run here.
    pub audit_bytes: u64,
    /// What is left when no cloud node answers.
    pub fallback: Fallback,
    /// When this node works on what it shipped as well.
    pub race: RaceChoice,
    /// Time for a request, where it brings none of its own.
    pub deadline: Duration,
}

/// Where a model is cut.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Split {
    /// The whole model runs here.
    Edge,
    /// The whole model runs in the cloud.
    Cloud,
    /// Up to this boundary here, the rest in the cloud.
    Boundary(u16),
    /// Where the plan for the profiles and the expected link says.
    Auto,
}

/// How a model's tensors travel.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CodecChoice {
    /// In the fewest bytes that were measured, when the model was packed, to agree often enough;
    /// as they are where nothing was measured.
    Auto,
    /// As they are.
    Raw,
    /// Under the codec of this name.
    Named(String),
}

/// Whether early exits may answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
#[schemars(inline)]
pub enum ExitChoice {
    /// Those that were fitted to the model, where they are sure enough.
    Auto,
    /// None: every answer is the whole model's.
    None,
}

/// A share of a whole, exact to a millionth.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Share {
    /// 1,000,000 is all.
    pub millionths: u32,
}

/// What is left when no cloud node answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
#[schemars(inline)]
pub enum Fallback {
    /// The whole model stays resident, outside the memory cap.
    Required,
    /// The local route is compiled when it is needed, within the memory cap.
    BestEffort,
    /// The request fails.
    None,
}

/// When an edge node goes on with a request that it has shipped: the first answer wins, and the other
/// one is cancelled. Never without a fallback.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
#[schemars(inline)]
pub enum RaceChoice {
    /// Only once the cloud has failed, or is given up.
    Never,
    /// When there is just time enough left to finish here.
    Deadline,
    /// As soon as finishing here may be worth it.
    Always,
}

/// What an edge node takes on at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EdgeLimits {
    /// Requests worked on at once.
    pub concurrency: usize,
    /// Requests waiting beyond those; more are refused at once.
    pub queue: usize,
    /// Bytes of compiled segments kept.
    pub memory: u64,
    /// Bytes of one HTTP request body.
    pub body: u64,
}

/// The link to the cloud: what is expected of it, and when a connection counts as lost.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LinkSettings {
    /// What plans count on; there where some model's split is [`Split::Auto`].
    pub expected: Option<ExpectedLink>,
    /// Silence, while an answer is awaited, after which the request goes elsewhere.
    pub stall: Duration,
    /// Silence after which a connection is closed.
    pub idle_timeout: Duration,
    /// Pause between packets that keep an idle connection open; shorter than `idle_timeout`.
    pub keep_alive: Duration,
    /// How fast to send.
    pub congestion: CongestionChoice,
    /// Whether a node that is not heard over UDP is tried over TCP.
    pub tcp: TcpChoice,
}

/// How fast to send.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
#[schemars(inline)]
pub enum CongestionChoice {
    /// Cubic.
    #[default]
    Cubic,
    /// BBR: better where packets are lost by chance.
    Bbr,
}

/// Whether TCP carries what UDP does not.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
#[schemars(inline)]
pub enum TcpChoice {
    /// Where a node is not heard over UDP, until it is.
    #[default]
    Auto,
    /// Never.
    Never,
}

/// What plans shall be good at, where some model's split is [`Split::Auto`].
#[derive(Clone, Debug, PartialEq)]
pub struct PlanSettings {
    /// What shall be least.
    pub objective: Objective,
    /// By when answers shall be there.
    pub deadline: Option<Deadline>,
    /// The first boundary that may leave this node; holds for every [`Split`].
    pub privacy_floor: u16,
    /// How requests come.
    pub traffic: Traffic,
    /// Units of currency per byte on the link, either way.
    pub money_per_byte: f64,
    /// Units of currency per second of the cloud's computing.
    pub money_per_second: f64,
    /// What this node draws, where its profile does not say.
    pub power: Option<PowerModel>,
}

/// What a machine draws.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct PowerModel {
    /// Watts while it waits.
    pub idle: f64,
    /// Watts while it computes; at least `idle`.
    pub busy: f64,
    /// Joules per byte sent.
    pub per_byte: f64,
}

impl Default for PlanSettings {
    fn default() -> Self {
        let objective =
            Objective { latency: 1.0, energy: 0.0, bytes: 0.0, money: 0.0, text: "latency".to_owned() };
        Self {
            objective,
            deadline: None,
            privacy_floor: 0,
            traffic: Traffic::Sparse,
            money_per_byte: 0.0,
            money_per_second: 0.0,
            power: None,
        }
    }
}

/// What a link is expected to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ExpectedLink {
    /// Bits per second to the cloud.
    pub bandwidth: u64,
    /// Bits per second back.
    pub downlink: u64,
    /// Time there and back for a small packet.
    pub rtt: Duration,
}

impl Share {
    /// Nothing.
    pub const NONE: Self = Self { millionths: 0 };

    /// All of it.
    pub const ALL: Self = Self { millionths: 1_000_000 };

    /// From 0 to 1.
    pub fn as_f64(self) -> f64 {
        f64::from(self.millionths) / 1e6
    }
}

impl EdgeSettings {
    /// Makes relative paths start from `folder`, the one that the YAML file lies in.
    #[must_use]
    pub fn resolve(mut self, folder: &Path) -> Self {
        resolve(&mut self.repository, folder);
        self.profiles.iter_mut().for_each(|profiles| resolve(profiles, folder));
        self.identity.resolve(folder);
        self.engine.resolve(folder);
        self
    }
}

impl std::fmt::Display for CodecChoice {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Auto => "auto",
            Self::Raw => "raw",
            Self::Named(name) => name,
        })
    }
}

impl std::fmt::Display for Split {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Edge => f.write_str("edge"),
            Self::Cloud => f.write_str("cloud"),
            Self::Boundary(boundary) => write!(f, "b{boundary}"),
            Self::Auto => f.write_str("auto"),
        }
    }
}
