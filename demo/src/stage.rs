//! Sets the scene as a user would by hand: a packed model, a development CA, a
//! cloud node, and settings for an edge node. Everything that is made lies in a
//! temporary folder.

use crate::client::Question;
use crate::inputs::{self, Input};
use crate::run::Script;
use anyhow::{Context as _, ensure};
use cloud_node::CloudNode;
use edge_node::EdgeNode;
use kerf_bundle::{Codecs, Metric, Pack, PackRequest, hex};
use kerf_engine::{SegmentStore, Values};
use kerf_graph::{Model, NoExternalData};
use kerf_identity::{Role, passing_certificates};
use kerf_preprocess::{Preprocess, Steps};
use kerf_repository::{Overwrite, Repository};
use kerf_serving::{Served, open_engines};
use kerf_settings::{
    CloudAddress, CloudLimits, CloudSettings, CodecChoice, CongestionChoice, EdgeLimits, EdgeSettings,
    EngineKind, EngineSettings, ExitChoice, Fallback, IdentityFiles, LinkSettings, LogFormat, LogSettings,
    ModelSettings, PlanSettings, RaceChoice, Share, Split, TcpChoice,
};
use kerf_tensor::Tensor;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};
use tempfile::TempDir;

pub(crate) const CLOUD: &str = "cloud-1";
pub(crate) const EDGE: &str = "edge-1";
const CAMERA: &str = "camera";
/// Boundaries kept of the embedded model.
const BOUNDARIES: usize = 16;
/// Channel means and deviations that the embedded model was trained with; see assets/README.md.
const CAMERA_MEAN: [f64; 3] = [0.40, 0.40, 0.40];
const CAMERA_STD: [f64; 3] = [0.22, 0.22, 0.22];
const MEMORY: u64 = 512 << 20;
/// Most time that a port may take to be free again.
const REBIND: Duration = Duration::from_secs(5);
const LOOPBACK: &str = "127.0.0.1:0";

/// What is played.
pub(crate) struct Scene<'a> {
    pub(crate) engine: EngineKind,
    /// A packed model, DIR/N, and a folder of pictures; else the embedded ones.
    pub(crate) own: Option<(&'a Path, &'a Path)>,
}

pub(crate) struct Stage {
    folder: TempDir,
    repository: PathBuf,
    engine: EngineSettings,
    served: Arc<Served>,
    why: String,
    inputs: Option<Vec<Input>>,
    cloud: Option<CloudNode>,
    quic: SocketAddr,
}

impl Stage {
    pub(crate) async fn set(scene: Scene<'_>) -> anyhow::Result<Self> {
        let folder = tempfile::tempdir().context("cannot make a temporary folder")?;
        let engine = EngineSettings { kind: scene.engine, threads: 1, library: None };
        let (repository, name, inputs) = match scene.own {
            Some((model, pictures)) => {
                let name = model.file_name().and_then(|name| name.to_str());
                let name =
                    name.with_context(|| format!("{} names no model; expected DIR/N", model.display()))?;
                let repository = model.parent().unwrap_or(Path::new("."));
                let repository = if repository == Path::new("") { Path::new(".") } else { repository };
                (repository.to_owned(), name.to_owned(), inputs::from_folder(pictures)?)
            }
            None => {
                let repository = folder.path().join("models");
                pack_camera(&Repository::new(&repository))?;
                (repository, CAMERA.to_owned(), inputs::embedded())
            }
        };
        let opened = open_engines(&engine)?;
        let bundle = Repository::new(&repository).open(&name)?;
        ensure!(
            bundle.card.preprocess.is_some(),
            "model {name} takes no encoded images; pack it with --preprocess to send pictures"
        );
        let served = Arc::new(Served::new(bundle, &opened.engines, &Arc::new(SegmentStore::new(MEMORY))));
        passing_certificates(folder.path(), &[(Role::Cloud, CLOUD), (Role::Edge, EDGE)])?;
        let mut stage = Self {
            folder,
            repository,
            engine,
            served,
            why: opened.why,
            inputs: Some(inputs),
            cloud: None,
            quic: SocketAddr::from(([127, 0, 0, 1], 0)),
        };
        stage.start_cloud().await?;
        Ok(stage)
    }

    /// What plays where, in a few lines.
    pub(crate) fn introduction(&self) -> String {
        format!(
            "model {}: {} boundaries (b0 to b{}), digest {}\nengine {}\ncloud node {CLOUD} on {} (QUIC, mutual TLS); edge node {EDGE} on loopback HTTP\n",
            self.served.name,
            self.last() + 1,
            self.last(),
            hex(&self.served.digest[..6]),
            self.why,
            self.quic,
        )
    }

    /// What is to be asked, with the whole model's own answers.
    pub(crate) fn script(&mut self) -> anyhow::Result<Script> {
        let inputs = self.inputs.take().context("the script is written once")?;
        let step = self.served.card.preprocess.as_ref().context("the model takes no encoded images")?;
        let output = self.served.model.model().outputs().last().context("the model has no output")?;
        let question = Question {
            model: self.served.name.clone(),
            input: step.encoded_input.clone(),
            output: output.name.clone(),
            explain: false,
        };
        let answer = |input: &Input| -> anyhow::Result<Tensor> {
            let mut values = Values::new();
            values.insert(question.input.clone(), Tensor::from_strings(&[1], &[&input.image])?);
            self.served.decode(&mut values)?;
            self.served.runner.run(0, self.last(), &mut values)?;
            values.remove(&question.output).context("the model made no answer")
        };
        let answers = inputs.iter().map(answer).collect::<anyhow::Result<_>>()?;
        Ok(Script { question, inputs, answers })
    }

    pub(crate) fn served(&self) -> &Served {
        &self.served
    }

    /// What was chosen and why.
    pub(crate) fn engine(&self) -> &str {
        &self.why
    }

    pub(crate) fn engine_settings(&self) -> &EngineSettings {
        &self.engine
    }

    /// Where the cloud node listens.
    pub(crate) fn quic(&self) -> SocketAddr {
        self.quic
    }

    /// A place for files that go with the stage.
    pub(crate) fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// Where a node keeps its profiles.
    pub(crate) fn profiles(&self, node: &str) -> PathBuf {
        self.folder.path().join(node)
    }

    pub(crate) fn last(&self) -> usize {
        self.served.last()
    }

    /// Starts the cloud node, on the address it had before if it had one.
    pub(crate) async fn start_cloud(&mut self) -> anyhow::Result<()> {
        let asked = Instant::now();
        // An unplugged node's socket is closed a moment later, when its connections have ended.
        let cloud = loop {
            match CloudNode::start(self.cloud_settings()?).await {
                Ok(cloud) => break cloud,
                Err(error) if asked.elapsed() > REBIND => return Err(error),
                Err(_) => tokio::time::sleep(Duration::from_millis(20)).await,
            }
        };
        self.quic = cloud.quic();
        self.cloud = Some(cloud);
        Ok(())
    }

    /// Ends the cloud node in the middle of whatever it does.
    pub(crate) fn unplug_cloud(&mut self) {
        if let Some(cloud) = self.cloud.take() {
            cloud.kill();
        }
    }

    pub(crate) async fn start_edge(&self, split: Split) -> anyhow::Result<EdgeNode> {
        EdgeNode::start(self.edge_settings(split)?).await
    }

    /// Stops what still runs.
    pub(crate) async fn strike(&mut self) {
        if let Some(cloud) = self.cloud.take() {
            cloud.stop().await;
        }
    }

    fn cloud_settings(&self) -> anyhow::Result<CloudSettings> {
        Ok(CloudSettings {
            node: CLOUD.to_owned(),
            listen: self.quic,
            admin: LOOPBACK.parse()?,
            admin_remote: false,
            repository: self.repository.clone(),
            profiles: Some(self.profiles(CLOUD)),
            identity: IdentityFiles::of(CLOUD, self.folder.path()),
            engine: self.engine.clone(),
            models: vec![self.served.name.clone()],
            limits: CloudLimits { concurrency: 2, queue: 64, memory: MEMORY, payload: 64 << 20 },
            drain: Duration::from_secs(5),
            log: quiet(),
        })
    }

    /// For an edge node beside the cloud node.
    pub(crate) fn edge_settings(&self, split: Split) -> anyhow::Result<EdgeSettings> {
        Ok(EdgeSettings {
            node: EDGE.to_owned(),
            listen: LOOPBACK.parse()?,
            admin: LOOPBACK.parse()?,
            admin_remote: false,
            repository: self.repository.clone(),
            profiles: Some(self.profiles(EDGE)),
            identity: IdentityFiles::of(EDGE, self.folder.path()),
            cloud: vec![CloudAddress { node: CLOUD.to_owned(), address: self.quic.to_string() }],
            engine: self.engine.clone(),
            models: vec![ModelSettings {
                name: self.served.name.clone(),
                split,
                codec: CodecChoice::Raw,
                exits: ExitChoice::None,
                audit: Share::NONE,
                audit_bytes: 0,
                agreement: Share::ALL,
                fallback: Fallback::Required,
                race: RaceChoice::Deadline,
                deadline: Duration::from_secs(5),
            }],
            limits: EdgeLimits { concurrency: 2, queue: 256, memory: MEMORY, body: 64 << 20 },
            link: LinkSettings {
                expected: None,
                stall: Duration::from_millis(300),
                idle_timeout: Duration::from_secs(2),
                keep_alive: Duration::from_millis(100),
                congestion: CongestionChoice::default(),
                tcp: TcpChoice::Never,
            },
            plan: PlanSettings::default(),
            log: quiet(),
        })
    }
}

fn pack_camera(repository: &Repository) -> anyhow::Result<()> {
    let source = inputs::CAMERA;
    let model = Model::load(source.into(), &NoExternalData)?;
    let input = model.inputs().first().context("the embedded model has no input")?.name.clone();
    let pack = Pack::new(PackRequest {
        name: CAMERA,
        source_file: "camera.onnx",
        source,
        model: &model,
        boundaries: BOUNDARIES,
        preprocess: Some((&input, camera_steps()?)),
        metric: Metric::Numeric,
        tolerance: 1e-4,
    })?;
    let codecs = Codecs::parse(inputs::CAMERA_BOOK, inputs::CAMERA_CODECS)?;
    repository.write(&pack.with_codecs(codecs), Overwrite::Refuse)?;
    Ok(())
}

/// What the embedded model was trained on: levels scaled to 0–1, then normalised, no resizing.
fn camera_steps() -> anyhow::Result<Preprocess> {
    let steps = Steps {
        resize: None,
        crop: None,
        mean: CAMERA_MEAN.into(),
        std: CAMERA_STD.into(),
        ..Steps::imagenet()
    };
    Ok(Preprocess::new(steps)?)
}

/// The table is the output here.
fn quiet() -> LogSettings {
    LogSettings { filter: "off".to_owned(), format: LogFormat::Text }
}
