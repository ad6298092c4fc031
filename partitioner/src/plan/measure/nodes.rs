//! Two nodes and an emulated link between them, with certificates in a folder that goes away.

use super::PlanArgs;
use anyhow::{Context, bail};
use cloud_node::CloudNode;
use edge_node::EdgeNode;
use kerf_identity::{Role, passing_certificates};
use kerf_profile::Profile;
use kerf_settings::{
    CloudAddress, CloudLimits, CloudSettings, CodecChoice, CongestionChoice, EdgeLimits, EdgeSettings,
    EngineKind, EngineSettings, ExitChoice, Fallback, IdentityFiles, LinkSettings, LogFormat, LogSettings,
    ModelSettings, PlanSettings, RaceChoice, Share, Split, TcpChoice,
};
use kerf_testbed::link::{self, Link, PipeSettings};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::{Duration, Instant};
use tempfile::TempDir;

const CLOUD: &str = "cloud-1";
const EDGE: &str = "edge-1";
const LOOPBACK: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(std::net::Ipv4Addr::LOCALHOST), 0);
const MEMORY: u64 = 1 << 30;
const BODY: u64 = 256 << 20;
/// Nothing here may fail for being slow.
const PATIENCE: Duration = Duration::from_secs(120);
const CONNECT: Duration = Duration::from_secs(20);
/// What routers at such links hold, in seconds, and at least in bytes.
const QUEUE: (f64, u64) = (0.2, 128 << 10);

/// What is to be run.
pub(super) struct Setting {
    repository: PathBuf,
    model: String,
    engines: [EngineSettings; 2],
    pub(super) link: link::LinkSettings,
}

impl Setting {
    pub(super) fn new(args: &PlanArgs, profiles: [&Profile; 2]) -> anyhow::Result<Self> {
        let folder = args.model.canonicalize().with_context(|| args.model.display().to_string())?;
        let (Some(repository), Some(model)) = (folder.parent(), folder.file_name()) else {
            bail!("{} is not a packed model's folder", args.model.display());
        };
        let engine = |profile: &Profile| EngineSettings {
            kind: if profile.engine.name == "ort" { EngineKind::Ort } else { EngineKind::Tract },
            threads: profile.engine.threads,
            library: args.running.library.clone().filter(|_| profile.engine.name == "ort"),
        };
        let up = args.link.bandwidth[0];
        let down = args.link.downlink.first().copied().unwrap_or(up);
        let delay = Duration::from_secs_f64(args.link.rtt[0] / 2.0);
        let pipe = |rate: f64| {
            PipeSettings::new(rate, delay, ((rate * QUEUE.0) as u64).max(QUEUE.1))
                .context("the emulated link")
        };
        Ok(Self {
            repository: repository.to_owned(),
            model: model.to_string_lossy().into_owned(),
            engines: profiles.map(engine),
            link: link::LinkSettings { up: pipe(up)?, down: pipe(down)? },
        })
    }
}

/// A cloud node behind a link.
pub(super) struct Nodes {
    setting: Setting,
    folder: TempDir,
    cloud: CloudNode,
    link: Link,
}

impl Nodes {
    pub(super) async fn start(setting: Setting) -> anyhow::Result<Self> {
        let folder = tempfile::tempdir().context("a temporary folder")?;
        passing_certificates(folder.path(), &[(Role::Cloud, CLOUD), (Role::Edge, EDGE)])?;
        let cloud = CloudNode::start(CloudSettings {
            node: CLOUD.to_owned(),
            listen: LOOPBACK,
            admin: LOOPBACK,
            admin_remote: false,
            repository: setting.repository.clone(),
            profiles: None,
            identity: IdentityFiles::of(CLOUD, folder.path()),
            engine: setting.engines[1].clone(),
            models: vec![setting.model.clone()],
            limits: CloudLimits { concurrency: 1, queue: 8, memory: MEMORY, payload: BODY },
            drain: Duration::from_secs(1),
            log: quiet(),
        })
        .await
        .context("the cloud node")?;
        let link = Link::start(setting.link.clone(), cloud.quic()).context("the emulated link")?;
        Ok(Self { setting, folder, cloud, link })
    }

    /// An edge node that is connected.
    pub(super) async fn edge(&self, split: Split, codec: CodecChoice) -> anyhow::Result<EdgeNode> {
        let settings = EdgeSettings {
            node: EDGE.to_owned(),
            listen: LOOPBACK,
            admin: LOOPBACK,
            admin_remote: false,
            repository: self.setting.repository.clone(),
            profiles: None,
            identity: IdentityFiles::of(EDGE, self.folder.path()),
            cloud: vec![CloudAddress { node: CLOUD.to_owned(), address: self.link.address().to_string() }],
            engine: self.setting.engines[0].clone(),
            models: vec![ModelSettings {
                name: self.setting.model.clone(),
                split,
                codec,
                exits: ExitChoice::None,
                audit: Share::NONE,
                audit_bytes: 0,
                race: RaceChoice::Never,
                agreement: Share::ALL,
                fallback: Fallback::None,
                deadline: PATIENCE,
            }],
            limits: EdgeLimits { concurrency: 1, queue: 8, memory: MEMORY, body: BODY },
            link: LinkSettings {
                expected: None,
                stall: Duration::from_secs(10),
                idle_timeout: Duration::from_secs(30),
                keep_alive: Duration::from_secs(5),
                congestion: CongestionChoice::default(),
                tcp: TcpChoice::Never,
            },
            plan: PlanSettings::default(),
            log: quiet(),
        };
        let edge = EdgeNode::start(settings).await.context("the edge node")?;
        let asked = Instant::now();
        while edge.connected() == 0 {
            if asked.elapsed() > CONNECT {
                bail!("the edge node did not reach the cloud node over the emulated link");
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        Ok(edge)
    }

    /// Ends it all; packets that found the link's queue full.
    pub(super) async fn stop(self) -> u64 {
        let stats = self.link.stats();
        self.cloud.stop().await;
        stats.up.dropped + stats.down.dropped
    }
}

/// The table is the output here.
fn quiet() -> LogSettings {
    LogSettings { filter: "off".to_owned(), format: LogFormat::Text }
}
