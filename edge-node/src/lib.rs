//! The sidecar: answers the Open Inference Protocol on localhost, here or with
//! the cloud's help.
//!
//! [`EdgeNode::start`] takes validated settings and binds everything or nothing.
//! A request goes through `service` (admission, names, deadline), then `pipeline`
//! (head, ship, fall back), and out through `report` (how the answer was made).

#![allow(clippy::disallowed_methods, reason = "a node owns the clock")]

mod exits;
mod metrics;
mod models;
mod pipeline;
mod plan;
mod report;
mod service;
mod status;

pub use exits::ExitsError;
pub use models::ModelError;

use anyhow::Context as _;
use kerf_engine::SegmentStore;
use kerf_identity::Role;
use kerf_mesh::{Mesh, MeshConfig, NodeAddress, NodeState};
use kerf_repository::Repository;
use kerf_serving::{Admission, Compute, Models, ProfileFolder, open_engines, open_identity};
use kerf_settings::EdgeSettings;
use kerf_transport::{Client, Config};
use prometheus_client::registry::Registry;
use service::Service;
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};
use tokio::sync::watch;
use tokio::task::JoinHandle;

/// How often gauges are brought up to date.
const OBSERVE_EVERY: Duration = Duration::from_secs(1);

/// A running edge node.
pub struct EdgeNode {
    http: SocketAddr,
    admin: SocketAddr,
    service: Arc<Service>,
    stop: watch::Sender<bool>,
    server: JoinHandle<std::io::Result<()>>,
    background: Vec<JoinHandle<()>>,
}

impl EdgeNode {
    /// Loads the models, dials the cloud and listens. Returns when requests are answered;
    /// cloud nodes may still be connecting.
    pub async fn start(settings: EdgeSettings) -> anyhow::Result<Self> {
        let store = Arc::new(SegmentStore::new(settings.limits.memory));
        let models = {
            let (store, settings) = (Arc::clone(&store), settings.clone());
            tokio::task::spawn_blocking(move || load(&settings, &store)).await??
        };

        let identity = open_identity(&settings.identity, Role::Edge)?;
        let link = &settings.link;
        let config =
            Config { idle_timeout: link.idle_timeout, keep_alive: link.keep_alive, ..Config::default() };
        let client = Client::new(identity, config)?;
        let nodes = settings.cloud.iter();
        let nodes = nodes.map(|peer| NodeAddress { node: peer.node.clone(), address: peer.address.clone() });
        let mesh =
            Mesh::new(client, nodes.collect(), MeshConfig { stall: link.stall, ..MeshConfig::default() });

        let mut registry = Registry::default();
        let metrics = metrics::Metrics::register(&mut registry);
        let service = Arc::new(Service {
            models,
            pipeline: Arc::new(pipeline::Pipeline {
                node: settings.node.clone(),
                compute: Compute::new(settings.limits.concurrency),
                mesh,
            }),
            admission: Admission::new(settings.limits.concurrency + settings.limits.queue),
            metrics,
            draining: AtomicBool::new(false),
        });

        let page = status::Page::new(Arc::clone(&service), Arc::clone(&store), Instant::now());
        let admin = kerf_telemetry::Admin::bind(
            settings.admin,
            settings.admin_remote,
            Arc::new(registry),
            Arc::new(page),
        )
        .await?;
        let limits = kerf_oip::Limits {
            body: settings.limits.body.try_into().unwrap_or(usize::MAX),
            ..kerf_oip::Limits::default()
        };
        let listener = tokio::net::TcpListener::bind(settings.listen)
            .await
            .with_context(|| format!("cannot listen on {} (listen)", settings.listen))?;
        let http = listener.local_addr()?;
        let router = kerf_oip::router(Arc::clone(&service) as Arc<_>, limits);
        let (stop, mut stopped) = watch::channel(false);
        let server = tokio::spawn(async move {
            let stopped = async move {
                // An error means that the node was dropped, which stops it as well.
                let _ = stopped.wait_for(|stop| *stop).await;
            };
            axum::serve(listener, router).with_graceful_shutdown(stopped).await
        });

        let admin_address = admin.local_addr();
        let mut background =
            vec![tokio::spawn(admin.run()), tokio::spawn(observe(Arc::clone(&service), Arc::clone(&store)))];
        let is_planned = service.models.values().any(|model| model.is_planned);
        if let (true, Some(profiles), Some(link)) = (is_planned, &settings.profiles, settings.link.expected) {
            let (service, profiles) = (Arc::clone(&service), ProfileFolder::new(profiles));
            let wish = settings.plan.clone();
            background.push(tokio::spawn(plan::Planning { service, profiles, link, wish }.run()));
        }
        tracing::info!(node = settings.node, %http, admin = %admin_address, "ready");
        Ok(Self { http, admin: admin_address, service, stop, server, background })
    }

    /// Where the Open Inference Protocol is answered.
    pub fn http(&self) -> SocketAddr {
        self.http
    }

    /// Where metrics and the status page are.
    pub fn admin(&self) -> SocketAddr {
        self.admin
    }

    /// Cloud nodes that are connected now.
    pub fn connected(&self) -> usize {
        self.service.pipeline.mesh.status().iter().filter(|node| node.state == NodeState::Connected).count()
    }

    /// Refuses new requests and lets the running ones finish, for at most `within`.
    /// Returns whether all of them did.
    pub async fn stop(mut self, within: Duration) -> bool {
        self.service.draining.store(true, Ordering::Relaxed);
        self.stop.send_replace(true);
        let drained = tokio::time::timeout(within, &mut self.server).await.is_ok();
        let left = self.service.admission.in_flight();
        if !drained {
            self.server.abort();
        }
        for task in self.background {
            task.abort();
        }
        if left > 0 {
            tracing::warn!(left, "stopped with requests unanswered");
        }
        drained && left == 0
    }
}

/// Loads what the settings name and makes ready what each route needs first.
fn load(
    settings: &EdgeSettings,
    store: &Arc<SegmentStore>,
) -> anyhow::Result<BTreeMap<String, Arc<models::Model>>> {
    // An engine's library takes more memory than all else in an idle node.
    if settings.models.is_empty() {
        tracing::info!(node = settings.node, "starting without a model");
        return Ok(BTreeMap::new());
    }
    let engines = open_engines(&settings.engine)?;
    tracing::info!(node = settings.node, engine = engines.why, "starting");
    let repository = Repository::new(&settings.repository);
    let names: Vec<_> = settings.models.iter().map(|model| model.name.clone()).collect();
    let loaded = Models::load(&repository, &names, &engines.engines, store)?;
    let mut models = BTreeMap::new();
    for wanted in &settings.models {
        let served = loaded.find(&wanted.name).context("a model vanished while loading")?;
        let model =
            models::Model::new(Arc::clone(served), wanted, &settings.plan, settings.profiles.as_deref())?;
        model.prepare(model.split())?;
        if let Some(exits) = &model.exits {
            let standing = exits.standing();
            let open: Vec<_> = standing.exits.iter().map(|exit| format!("b{}", exit.boundary)).collect();
            tracing::info!(
                model = wanted.name,
                exits = open.join(", "),
                promise = standing.promise,
                audit = exits.delay(),
                drift = exits.drift_delay(),
                false_alarms = exits::false_alarms(),
                "early exits"
            );
        }
        for note in served.runner.notes() {
            tracing::warn!(model = wanted.name, note, "engine");
        }
        models.insert(wanted.name.clone(), Arc::new(model));
    }
    Ok(models)
}

/// Keeps gauges current: they describe now, and nothing else would tell them.
async fn observe(service: Arc<Service>, store: Arc<SegmentStore>) {
    let mut tick = tokio::time::interval(OBSERVE_EVERY);
    loop {
        tick.tick().await;
        service.metrics.observe(service.admission.in_flight(), resident(&store));
        for model in service.models.values() {
            if let Some(exits) = &model.exits {
                service.metrics.observe_exits(&model.served.name, &exits.standing());
            }
        }
        for node in service.pipeline.mesh.status() {
            service.metrics.observe_node(&node.node, node.state == NodeState::Connected);
        }
    }
}

/// Bytes of all compiled segments, those that must stay among them.
fn resident(store: &SegmentStore) -> u64 {
    let stats = store.stats();
    stats.bytes + stats.pinned_bytes
}
