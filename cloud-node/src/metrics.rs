//! Counters and times of a cloud node, for Prometheus.
//!
//! A request counts once in `kerf_cloud_requests`: `ok`, or why it was refused.
//! Requests whose client went away before the answer are not counted.

use kerf_telemetry::{Seconds, seconds};
use kerf_wire::{Reason, Timings};
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::{Registry, Unit};

/// The label of models that this node does not have: a peer could invent any number of names.
const UNKNOWN: &str = "unknown";

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct RequestLabels {
    model: String,
    outcome: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct StageLabels {
    model: String,
    stage: &'static str,
}

/// The metrics of one node.
pub(crate) struct Metrics {
    requests: Family<RequestLabels, Counter>,
    stages: Seconds<StageLabels>,
    in_flight: Gauge,
    resident: Gauge,
}

impl Metrics {
    pub(crate) fn register(registry: &mut Registry) -> Self {
        let registry = registry.sub_registry_with_prefix("kerf_cloud");
        let metrics = Self {
            requests: Family::default(),
            stages: seconds(),
            in_flight: Gauge::default(),
            resident: Gauge::default(),
        };
        registry.register("requests", "Requests by how they ended", metrics.requests.clone());
        registry.register_with_unit(
            "stage",
            "Time by stage of a request",
            Unit::Seconds,
            metrics.stages.clone(),
        );
        registry.register("in_flight", "Requests admitted and not yet answered", metrics.in_flight.clone());
        registry.register_with_unit(
            "segments",
            "Compiled segments held",
            Unit::Bytes,
            metrics.resident.clone(),
        );
        metrics
    }

    pub(crate) fn answered(&self, model: &str, timings: &Timings) {
        self.count(model, "ok");
        for (stage, time) in [
            ("queue", timings.queue),
            ("decode", timings.decode),
            ("compute", timings.compute),
            ("total", timings.total),
        ] {
            let labels = StageLabels { model: model.to_owned(), stage };
            self.stages.get_or_create(&labels).observe(time.as_secs_f64());
        }
    }

    pub(crate) fn refused(&self, model: &str, reason: &Reason) {
        let model = if matches!(reason, Reason::ModelMissing) { UNKNOWN } else { model };
        self.count(model, reason.name());
    }

    /// Requests answered, for the status page.
    pub(crate) fn answers(&self, model: &str) -> u64 {
        let labels = RequestLabels { model: model.to_owned(), outcome: "ok" };
        self.requests.get(&labels).map_or(0, |counter| counter.get())
    }

    pub(crate) fn observe(&self, in_flight: usize, resident: u64) {
        self.in_flight.set(in_flight as i64);
        self.resident.set(resident.try_into().unwrap_or(i64::MAX));
    }

    fn count(&self, model: &str, outcome: &'static str) {
        self.requests.get_or_create(&RequestLabels { model: model.to_owned(), outcome }).inc();
    }
}
