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

    fn models(&self) -> Vec<Value> {
        let rows = self.service.models.values().map(|model| {
            let served = &model.served;
            let count = |by| self.service.metrics.answers_by(&served.name, model.split, by);
            json!([
                served.name,
                format!("b{} of {}", model.split, served.last()),
                format!("{:?}", model.fallback),
                count("edge"),
                count("cloud"),
                count("fallback"),
            ])
        });
        rows.collect()
    }

    fn peers(&self) -> Vec<Value> {
        let status = self.service.pipeline.mesh.status();
        let rows = status.iter().map(|node| {
            json!([
                node.node,
                node.address,
                node.state.to_string(),
                node.rtt.map_or(Value::Null, |rtt| format!("{:.1} ms", rtt.as_secs_f64() * 1e3).into()),
                node.outstanding,
                node.last_error,
            ])
        });
        rows.collect()
    }
}

impl kerf_telemetry::StatusPage for Page {
    fn ready(&self) -> bool {
        kerf_oip::InferenceService::ready(&*self.service)
    }

    fn status(&self) -> Value {
        let stats = self.store.stats();
        let admission = &self.service.admission;
        json!({
            "node": self.service.pipeline.node,
            "role": "edge-node",
            "version": env!("CARGO_PKG_VERSION"),
            "uptime_s": self.since.elapsed().as_secs(),
            "sections": [
                {
                    "title": "Models",
                    "columns": ["model", "split", "fallback", "answered here", "by the cloud", "by fallback"],
                    "rows": self.models(),
                },
                {
                    "title": "Cloud nodes",
                    "columns": ["node", "address", "state", "RTT", "outstanding", "last error"],
                    "rows": self.peers(),
                },
                {
                    "title": "Work",
                    "columns": ["in flight", "bound", "computing", "waiting", "segments", "segment memory"],
                    "rows": [[
                        admission.in_flight(),
                        admission.capacity(),
                        self.service.pipeline.compute.running(),
                        self.service.pipeline.compute.waiting(),
                        stats.programs,
                        format!("{:.1} MiB", stats.resident_bytes as f64 / 1048576.0),
                    ]],
                },
            ],
        })
    }
}
