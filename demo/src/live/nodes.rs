//! The mesh of the page: a cloud node, an emulated link, an edge node on an emulated slow engine.

use super::alternatives::Alternatives;
use super::control::Conditions;
use super::profile::{measured, problem, stretched};
use crate::run::Script;
use crate::stage::{CLOUD, EDGE, Scene, Stage};
use anyhow::Context as _;
use edge_node::EdgeNode;
use kerf_bundle::Codecs;
use kerf_serving::{Opened, ProfileFile, open_engines};
use kerf_settings::{
    CloudAddress, CodecChoice, CongestionChoice, EdgeLimits, EngineKind, ExitChoice, ExpectedLink,
    LinkSettings, RaceChoice, Share, Split, TcpChoice,
};
use kerf_testbed::link::Link;
use kerf_testbed::slow::slower;
use kerf_testbed::trace::Trace;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Fitted to the embedded model; see `assets/README.md`.
static CODECS: &[u8] = include_bytes!("../../../assets/camera.codecs.bin");
static MEASURED: &[u8] = include_bytes!("../../../assets/camera.codecs.json");
/// Embedded frames whose sizes are looked at; each takes a tenth of a second.
const FRAMES: usize = 16;
/// Least share of answers that codecs leave as they are.
const AGREEMENT: Share = Share { millionths: 990_000 };
/// Most time that connecting to the cloud may take.
const CONNECT: Duration = Duration::from_secs(20);

/// What is started.
pub(crate) struct Wanted<'a> {
    pub(crate) engine: EngineKind,
    pub(crate) own: Option<(&'a Path, &'a Path)>,
    pub(crate) slowdown: f64,
    pub(crate) race: RaceChoice,
    /// Time to measure the model for.
    pub(crate) budget: Duration,
}

pub(crate) struct Nodes {
    pub(crate) stage: Stage,
    edge: EdgeNode,
    pub(crate) link: Arc<Link>,
    /// Since when the link follows its trace.
    pub(crate) begun: Instant,
    pub(crate) script: Arc<Script>,
    pub(crate) alternatives: Alternatives,
    /// Engines of the edge and the cloud, by name.
    pub(crate) engines: [String; 2],
    pub(crate) slowdown: f64,
}

impl Nodes {
    pub(crate) async fn start(
        wanted: &Wanted<'_>,
        conditions: Conditions,
        trace: Option<&Arc<Trace>>,
    ) -> anyhow::Result<Self> {
        let codecs = Codecs::parse(CODECS, MEASURED).context("the embedded model's codecs")?;
        let scene = Scene { engine: wanted.engine, own: wanted.own, codecs: Some(codecs) };
        let mut stage = Stage::set(scene).await?;
        println!("{}", stage.introduction());
        let mut script = stage.script()?;
        script.question.explain = true;
        let script = Arc::new(script);
        let pictures = match wanted.own {
            Some((_, pictures)) => pictures.to_owned(),
            None => written(&script, &stage.folder().join("frames"))?,
        };

        let opened = open_engines(stage.engine_settings())?;
        let why = format!("{}, emulated {}x slower", opened.why, wanted.slowdown);
        let slow = Opened { engines: slower(&opened.engines, wanted.slowdown)?, why };
        let names =
            [&slow, &opened].map(|it| it.engines.first().map_or_else(String::new, |it| it.name().into()));
        println!("measuring the model for {:?} at most ...", wanted.budget);
        let name = &stage.served().name;
        let file = |node: &str| stage.profiles(node).join(format!("{name}.json"));
        let profiles = tokio::task::block_in_place(|| -> anyhow::Result<_> {
            let cloud = measured(stage.served(), &opened, &pictures, wanted.budget, file(CLOUD))?;
            let edge = stretched(cloud.clone(), wanted.slowdown, &slow)?;
            ProfileFile::new(file(EDGE)).write(&edge)?;
            Ok([edge, cloud])
        })?;
        let agreement = AGREEMENT.as_f64();
        let [edge, cloud] = &profiles;
        let alternatives = Alternatives::new(problem(stage.served(), [edge, cloud], agreement)?, agreement)?;

        let link = conditions.link(trace.map(|trace| (trace, Duration::ZERO)))?;
        let link = Link::start(link, stage.quic()).context("the emulated link")?;
        let begun = Instant::now();
        let edge = start_edge(&stage, wanted, conditions, link.address(), slow).await?;
        Ok(Self {
            stage,
            edge,
            link: Arc::new(link),
            begun,
            script,
            alternatives,
            engines: names,
            slowdown: wanted.slowdown,
        })
    }

    /// Where the edge node answers.
    pub(crate) fn http(&self) -> SocketAddr {
        self.edge.http()
    }

    /// Whether the cloud node is there, as far as the edge node knows.
    pub(crate) fn is_connected(&self) -> bool {
        self.edge.connected() > 0
    }

    /// Lets running requests end within a time.
    pub(crate) async fn stop(mut self, within: Duration) {
        self.edge.stop(within).await;
        self.stage.strike().await;
    }
}

async fn start_edge(
    stage: &Stage,
    wanted: &Wanted<'_>,
    conditions: Conditions,
    cloud: SocketAddr,
    engines: Opened,
) -> anyhow::Result<EdgeNode> {
    let mut settings = stage.edge_settings(Split::Auto)?;
    settings.cloud = vec![CloudAddress { node: CLOUD.to_owned(), address: cloud.to_string() }];
    // One request at a time: a device with as many cores as this machine would not be a slow one.
    settings.limits = EdgeLimits { concurrency: 1, queue: 63, ..settings.limits };
    settings.link = LinkSettings {
        expected: Some(ExpectedLink {
            bandwidth: conditions.rate as u64,
            downlink: conditions.rate as u64,
            rtt: conditions.rtt,
        }),
        stall: Duration::from_millis(400),
        idle_timeout: Duration::from_secs(5),
        keep_alive: Duration::from_millis(500),
        congestion: CongestionChoice::default(),
        tcp: TcpChoice::Never,
    };
    for model in &mut settings.models {
        model.codec = CodecChoice::Auto;
        model.agreement = AGREEMENT;
        model.exits = ExitChoice::Auto;
        model.race = wanted.race;
    }
    let edge = EdgeNode::start_on(settings, engines).await?;
    let dialled = Instant::now();
    while edge.connected() == 0 {
        anyhow::ensure!(dialled.elapsed() < CONNECT, "the edge node did not reach the cloud node");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    Ok(edge)
}

/// The script's first pictures, as files.
fn written(script: &Script, folder: &Path) -> anyhow::Result<PathBuf> {
    std::fs::create_dir_all(folder)?;
    for (index, input) in script.inputs.iter().take(FRAMES).enumerate() {
        std::fs::write(folder.join(format!("{index:03}.jpg")), &input.image)?;
    }
    Ok(folder.to_owned())
}
