//! The server: finishes inferences that edge nodes began.
//!
//! [`CloudNode::start`] takes validated settings and binds everything or nothing.
//! A request's header is checked by `service` before its payload is read; its
//! tail then runs on a compute thread.

#![allow(clippy::disallowed_methods, reason = "a node owns the clock")]

mod metrics;
mod profiles;
mod service;
mod status;

use kerf_engine::SegmentStore;
use kerf_identity::Role;
use kerf_repository::Repository;
use kerf_serving::{Admission, Compute, Models, ProfileFolder, open_engines, open_identity};
use kerf_settings::CloudSettings;
use kerf_transport::{Config, Server};
use prometheus_client::registry::Registry;
use service::{Service, Shared};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

/// How often gauges are brought up to date.
const OBSERVE_EVERY: Duration = Duration::from_secs(1);

/// A running cloud node.
pub struct CloudNode {
    quic: SocketAddr,
    admin: SocketAddr,
    stop: oneshot::Sender<()>,
    server: JoinHandle<()>,
    background: Vec<JoinHandle<()>>,
}

impl CloudNode {
    /// Loads the models and listens. Returns when requests are answered.
    pub async fn start(settings: CloudSettings) -> anyhow::Result<Self> {
        let engines = open_engines(&settings.engine)?;
        tracing::info!(node = settings.node, engine = engines.why, "starting");
        let store = Arc::new(SegmentStore::new(settings.limits.memory));
        let models = {
            let repository = Repository::new(&settings.repository);
            let (store, names) = (Arc::clone(&store), settings.models.clone());
            let load = move || Models::load(&repository, &names, &engines.engines, &store);
            tokio::task::spawn_blocking(load).await??
        };
        anyhow::ensure!(
            !models.is_empty(),
            "repository {} has no model; make one with `partitioner pack`",
            settings.repository.display()
        );

        let identity = open_identity(&settings.identity, Role::Cloud)?;
        let mut config = Config { drain: settings.drain, ..Config::default() };
        config.limits.payload = settings.limits.payload;
        let server = Server::bind(settings.listen, &identity, config)?;
        let quic = server.local_addr();

        let mut registry = Registry::default();
        let service = Arc::new(Service {
            node: settings.node.clone(),
            models,
            admission: Admission::new(settings.limits.concurrency + settings.limits.queue),
            compute: Compute::new(settings.limits.concurrency),
            metrics: metrics::Metrics::register(&mut registry),
            profiles: settings.profiles.as_deref().map(ProfileFolder::new),
        });
        let page = status::Page::new(Arc::clone(&service), Arc::clone(&store), Instant::now());
        let admin = kerf_telemetry::Admin::bind(
            settings.admin,
            settings.admin_remote,
            Arc::new(registry),
            Arc::new(page),
        )
        .await?;
        let admin_address = admin.local_addr();

        let (stop, stopped) = oneshot::channel();
        let handler = Arc::new(Shared(Arc::clone(&service)));
        let server = tokio::spawn(async move {
            let stopped = async {
                // An error means that the node was dropped, which stops it as well.
                let _ = stopped.await;
            };
            let drained = server.serve(handler, stopped).await;
            if drained.cut > 0 {
                tracing::warn!(requests = drained.cut, "stopped before they were answered");
            }
        });
        let background = vec![tokio::spawn(admin.run()), tokio::spawn(observe(service, store))];
        tracing::info!(node = settings.node, %quic, admin = %admin_address, "ready");
        Ok(Self { quic, admin: admin_address, stop, server, background })
    }

    /// Where the mesh is served.
    pub fn quic(&self) -> SocketAddr {
        self.quic
    }

    /// Where metrics and the status page are.
    pub fn admin(&self) -> SocketAddr {
        self.admin
    }

    /// Sends edge nodes elsewhere and lets running requests finish, for at most the configured drain.
    pub async fn stop(self) {
        // An error means that the server has ended by itself.
        let _ = self.stop.send(());
        let _ = self.server.await;
        for task in self.background {
            task.abort();
        }
    }

    /// Vanishes without a word, as a crash or a pulled plug would have it.
    pub fn kill(self) {
        self.server.abort();
        for task in self.background {
            task.abort();
        }
    }
}

/// Keeps gauges current: they describe now, and nothing else would tell them.
async fn observe(service: Arc<Service>, store: Arc<SegmentStore>) {
    let mut tick = tokio::time::interval(OBSERVE_EVERY);
    loop {
        tick.tick().await;
        service.metrics.observe(service.admission.in_flight(), store.stats().bytes);
    }
}
