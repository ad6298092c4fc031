//! Counters and times of an edge node, for Prometheus.
//!
//! A request counts once in `kerf_edge_requests`, by how it ended. Answers count
//! in `kerf_edge_answers` as well, by who made them: `edge` (as planned), `cloud`,
//! `fallback` (the edge finished what the cloud was meant to), or `race` (both worked, and the edge was
//! first). Refused requests
//! have no stage times. Shipped and received bytes are those of tensors under their
//! codecs, without headers and QUIC's own. `kerf_edge_uncoded` counts answers for which
//! some tensor travelled as it was, though a codec was chosen: it held NaN or infinity,
//! say, or the cloud node lacks the codec. `kerf_edge_checks` are early answers that the
//! whole model checked; requests that were chosen for the audit and did not exit are in
//! `kerf_edge_audited` alone. Time saved is estimated: what requests took that the same
//! head did not answer.

use crate::exits::Standing;
use crate::pipeline::{Route, Timings};
use kerf_oip::FailureKind;
use kerf_telemetry::{Seconds, seconds};
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::{Registry, Unit};
use std::sync::atomic::AtomicU64;
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
struct ExitLabels {
    model: String,
    exit: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct CheckLabels {
    model: String,
    found: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct BoundLabels {
    model: String,
    bound: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct NodeLabels {
    node: String,
}

/// The metrics of one node.
#[derive(Clone)]
pub(crate) struct Metrics {
    requests: Family<RequestLabels, Counter>,
    answers: Family<AnswerLabels, Counter>,
    seconds: Seconds<ModelLabels>,
    stages: Seconds<StageLabels>,
    shipped: Family<CodecLabels, Counter>,
    received: Family<ModelLabels, Counter>,
    uncoded: Family<ModelLabels, Counter>,
    exits: ExitMetrics,
    in_flight: Gauge,
    resident: Gauge,
    connected: Family<NodeLabels, Gauge>,
}

/// Those of early exits.
#[derive(Clone)]
struct ExitMetrics {
    asked: Family<ExitLabels, Counter>,
    answered: Family<ExitLabels, Counter>,
    confidence: Family<ExitLabels, Histogram, fn() -> Histogram>,
    checks: Family<CheckLabels, Counter>,
    threshold: Family<ExitLabels, Real>,
    saved: Family<ExitLabels, Real>,
    drift: Family<ExitLabels, Real>,
    drift_alarm: Family<ExitLabels, Gauge>,
    stability: Family<ExitLabels, Real>,
    rung: Family<ModelLabels, Gauge>,
    audited: Family<ModelLabels, Gauge>,
    audit_losses: Family<ModelLabels, Gauge>,
    audited_risk: Family<BoundLabels, Real>,
}

type Real = Gauge<f64, AtomicU64>;

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
            exits: ExitMetrics::register(registry),
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
        for asked in &route.asked {
            let labels = ExitLabels { model: model.clone(), exit: format!("b{}", asked.boundary) };
            self.exits.asked.get_or_create(&labels).inc();
            self.exits.confidence.get_or_create(&labels).observe(asked.confidence);
            if route.exit.is_some_and(|exit| exit.boundary == asked.boundary) {
                self.exits.answered.get_or_create(&labels).inc();
            }
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

    /// An early answer was checked: whether it was wrong, if that could be found out.
    pub(crate) fn checked(&self, model: &str, lost: Option<bool>) {
        let found = match lost {
            Some(false) => "agreed",
            Some(true) => "wrong",
            None => "failed",
        };
        self.exits.checks.get_or_create(&CheckLabels { model: model.to_owned(), found }).inc();
    }

    pub(crate) fn observe_exits(&self, model: &str, standing: &Standing) {
        let of = |bound| BoundLabels { model: model.to_owned(), bound };
        let labels = ModelLabels { model: model.to_owned() };
        let metrics = &self.exits;
        let rung = standing.rung.map_or(-1, |rung| rung as i64);
        metrics.rung.get_or_create(&labels).set(rung);
        let audit = &standing.audit;
        metrics.audited.get_or_create(&labels).set(audit.losses.of as i64);
        metrics.audit_losses.get_or_create(&labels).set(audit.losses.same as i64);
        metrics.audited_risk.get_or_create(&of("low")).set(audit.interval.low);
        metrics.audited_risk.get_or_create(&of("high")).set(audit.interval.high);
        for exit in &standing.exits {
            let labels = ExitLabels { model: model.to_owned(), exit: format!("b{}", exit.boundary) };
            let threshold = exit.threshold.unwrap_or(f64::INFINITY);
            metrics.threshold.get_or_create(&labels).set(threshold);
            metrics.saved.get_or_create(&labels).set(exit.saved);
            if let Some(drift) = &exit.drift {
                metrics.drift.get_or_create(&labels).set(drift.level);
                metrics.drift_alarm.get_or_create(&labels).set(drift.alarm.into());
                metrics.stability.get_or_create(&labels).set(drift.stability.psi);
            }
        }
    }

    pub(crate) fn observe(&self, in_flight: usize, resident: u64) {
        self.in_flight.set(in_flight as i64);
        self.resident.set(resident.try_into().unwrap_or(i64::MAX));
    }

    pub(crate) fn observe_node(&self, node: &str, connected: bool) {
        self.connected.get_or_create(&NodeLabels { node: node.to_owned() }).set(connected.into());
    }
}

impl ExitMetrics {
    fn register(registry: &mut Registry) -> Self {
        let tenths = || Histogram::new((1..=20).map(|step| f64::from(step) / 20.0));
        let metrics = Self {
            asked: Family::default(),
            answered: Family::default(),
            confidence: Family::new_with_constructor(tenths as fn() -> Histogram),
            checks: Family::default(),
            threshold: Family::default(),
            saved: Family::default(),
            drift: Family::default(),
            drift_alarm: Family::default(),
            stability: Family::default(),
            rung: Family::default(),
            audited: Family::default(),
            audit_losses: Family::default(),
            audited_risk: Family::default(),
        };
        registry.register("heads_asked", "Requests that came to an exit", metrics.asked.clone());
        registry.register("exits", "Requests that an exit answered", metrics.answered.clone());
        registry.register("exit_confidence", "How sure heads were", metrics.confidence.clone());
        registry.register("checks", "Early answers that the whole model checked", metrics.checks.clone());
        registry.register(
            "exit_threshold",
            "Least confidence of an answer; infinite where the exit is closed",
            metrics.threshold.clone(),
        );
        registry.register_with_unit(
            "exit_saved",
            "Time that exits saved, estimated",
            Unit::Seconds,
            metrics.saved.clone(),
        );
        registry.register("exit_drift", "How far to an alarm: 0 to 1", metrics.drift.clone());
        registry.register("exit_drift_alarm", "Whether inputs have drifted", metrics.drift_alarm.clone());
        registry.register(
            "exit_stability",
            "Population stability index of recent confidences",
            metrics.stability.clone(),
        );
        registry.register(
            "exit_rung",
            "Thresholds in use: 0 is the strictest, -1 closes all exits",
            metrics.rung.clone(),
        );
        registry.register(
            "audited",
            "Requests in the audit of the thresholds in use, those that did not exit among them",
            metrics.audited.clone(),
        );
        registry.register(
            "audit_losses",
            "Those of them that an exit answered wrongly",
            metrics.audit_losses.clone(),
        );
        registry.register(
            "audited_risk",
            "Where the true risk lies, at any time together",
            metrics.audited_risk.clone(),
        );
        metrics
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
