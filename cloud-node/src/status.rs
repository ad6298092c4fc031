//! The status page's facts.

use crate::service::Service;
use kerf_engine::SegmentStore;
use serde_json::{Value, json};
use std::sync::Arc;
use std::time::Instant;

pub(crate) struct Page {
    service: Arc<Service>,
    store: Arc<SegmentStore>,
    since: Instant,
}

impl Page {
    pub(crate) fn new(service: Arc<Service>, store: Arc<SegmentStore>, since: Instant) -> Self {
        Self { service, store, since }
    }
}

impl kerf_telemetry::StatusPage for Page {
    fn ready(&self) -> bool {
        true
    }

    fn status(&self) -> Value {
        let stats = self.store.stats();
        let Service { admission, compute, models, metrics, node } = &*self.service;
        let models: Vec<_> = models
            .iter()
            .map(|served| json!([served.name, served.version, served.last() + 1, metrics.answers(&served.name)]))
            .collect();
        json!({
            "node": node,
            "role": "cloud-node",
            "version": env!("CARGO_PKG_VERSION"),
            "uptime_s": self.since.elapsed().as_secs(),
            "sections": [
                {
                    "title": "Models",
                    "columns": ["model", "version", "boundaries", "answered"],
                    "rows": models,
                },
                {
                    "title": "Work",
                    "columns": ["in flight", "bound", "computing", "waiting", "segments", "segment memory"],
                    "rows": [[
                        admission.in_flight(),
                        admission.capacity(),
                        compute.running(),
                        compute.waiting(),
                        stats.programs,
                        format!("{:.1} MiB", stats.resident_bytes as f64 / 1048576.0),
                    ]],
                },
            ],
        })
    }
}
