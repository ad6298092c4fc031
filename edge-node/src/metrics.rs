//! Counters and times of an edge node, for Prometheus.
//!
//! A request counts once in `kerf_edge_requests`, by how it ended. Answers count
//! in `kerf_edge_answers` as well, by who made them: `edge` (as planned), `cloud`,
//! or `fallback` (the edge finished what the cloud was meant to). Refused requests
//! have no stage times. Shipped and received bytes are those of tensors under their
//! codecs, without headers and QUIC's own. `kerf_edge_uncoded` counts answers for which
//! some tensor travelled as it was, though a codec was chosen: it held NaN or infinity,
//! say, or the cloud node lacks the codec.

use crate::pipeline::{Route, Timings};
use kerf_oip::FailureKind;
use kerf_telemetry::{Seconds, seconds};
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::{Registry, Unit};
use std::time::Duration;

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct RequestLabels {
    model: String,
    outcome: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct AnswerLabels {
    model: String,
    split: String,
    by: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ModelLabels {
    model: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct CodecLabels {
    model: String,
    codec: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct StageLabels {
    model: String,
    stage: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct NodeLabels {
    node: String,
}

/// The metrics of one node.
pub(crate) struct Metrics {
    requests: Family<RequestLabels, Counter>,
    answers: Family<AnswerLabels, Counter>,
    seconds: Seconds<ModelLabels>,
    stages: Seconds<StageLabels>,
    shipped: Family<CodecLabels, Counter>,
    received: Family<ModelLabels, Counter>,
    uncoded: Family<ModelLabels, Counter>,
    in_flight: Gauge,
    resident: Gauge,
    connected: Family<NodeLabels, Gauge>,
}

impl Metrics {
    pub(crate) fn register(registry: &mut Registry) -> Self {
        let registry = registry.sub_registry_with_prefix("kerf_edge");
        let metrics = Self {
            requests: Family::default(),
            answers: Family::default(),
            seconds: seconds(),
            stages: seconds(),
            shipped: Family::default(),
            received: Family::default(),
            uncoded: Family::default(),
            in_flight: Gauge::default(),
            resident: Gauge::default(),
            connected: Family::default(),
        };
        registry.register("requests", "Requests by how they ended", metrics.requests.clone());
        registry.register("answers", "Answers by who made them", metrics.answers.clone());
        let unit = || Unit::Seconds;
        registry.register_with_unit(
            "request",
            "Time from request to answer",
            unit(),
            metrics.seconds.clone(),
        );
        registry.register_with_unit("stage", "Time by stage of a request", unit(), metrics.stages.clone());
        registry.register_with_unit(
            "shipped",
            "Tensor bytes sent to the cloud, by codec",
            Unit::Bytes,
            metrics.shipped.clone(),
        );
        registry.register_with_unit(
            "received",
            "Tensor bytes that came back",
            Unit::Bytes,
            metrics.received.clone(),
        );
        registry.register(
            "uncoded",
            "Answers for which a tensor went as it was, though a codec was chosen",
            metrics.uncoded.clone(),
        );
        registry.register("in_flight", "Requests admitted and not yet answered", metrics.in_flight.clone());
        registry.register_with_unit(
            "segments",
            "Compiled segments held",
            Unit::Bytes,
            metrics.resident.clone(),
        );
        registry.register("connected", "Whether a cloud node is connected", metrics.connected.clone());
        metrics
    }

    pub(crate) fn finished(&self, model: &str, failure: Option<FailureKind>, elapsed: Duration) {
        let model = model.to_owned();
        if failure.is_none() {
            self.seconds.get_or_create(&ModelLabels { model: model.clone() }).observe(elapsed.as_secs_f64());
        }
        self.requests.get_or_create(&RequestLabels { model, outcome: outcome(failure) }).inc();
    }

    pub(crate) fn answered(&self, model: &str, route: &Route, timings: &Timings) {
        let model = model.to_owned();
        let split = format!("b{}", route.split);
        self.answers.get_or_create(&AnswerLabels { model: model.clone(), split, by: route.by() }).inc();
        for (stage, time) in timings.stages() {
            if !time.is_zero() {
                let labels = StageLabels { model: model.clone(), stage };
                self.stages.get_or_create(&labels).observe(time.as_secs_f64());
            }
        }
        if route.shipped > 0 {
            let labels = CodecLabels { model: model.clone(), codec: route.codec.clone() };
            self.shipped.get_or_create(&labels).inc_by(route.shipped);
        }
        if route.uncoded.is_some() {
            self.uncoded.get_or_create(&ModelLabels { model: model.clone() }).inc();
        }
        if route.received > 0 {
            self.received.get_or_create(&ModelLabels { model }).inc_by(route.received);
        }
    }

    /// Requests that ended well at the boundaries up to `last`, for the status page.
    pub(crate) fn answers_by(&self, model: &str, last: usize, by: &'static str) -> u64 {
        let labels = |split| AnswerLabels { model: model.to_owned(), split: format!("b{split}"), by };
        (0..=last).filter_map(|split| Some(self.answers.get(&labels(split))?.get())).sum()
    }

    pub(crate) fn observe(&self, in_flight: usize, resident: u64) {
        self.in_flight.set(in_flight as i64);
        self.resident.set(resident.try_into().unwrap_or(i64::MAX));
    }

    pub(crate) fn observe_node(&self, node: &str, connected: bool) {
        self.connected.get_or_create(&NodeLabels { node: node.to_owned() }).set(connected.into());
    }
}

fn outcome(failure: Option<FailureKind>) -> &'static str {
    match failure {
        None => "ok",
        Some(FailureKind::Overloaded) => "overloaded",
        Some(FailureKind::Deadline) => "deadline",
        Some(FailureKind::Unavailable) => "unavailable",
        Some(FailureKind::Internal) => "failed",
        Some(
            FailureKind::NotFound
            | FailureKind::Invalid
            | FailureKind::TooLarge
            | FailureKind::SlowBody
            | FailureKind::UnsupportedEncoding,
        ) => "invalid",
    }
}
