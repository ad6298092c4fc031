//! The status page's facts.

use crate::course::Way;
use crate::service::Service;
use kerf_engine::SegmentStore;
use kerf_exits::DriftFigures;
use kerf_serving::work_section;
use kerf_telemetry::{Section, Status, StatusPage};
use serde_json::Value;
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

    fn models(&self) -> Section {
        let columns = [
            "model",
            "split",
            "codec",
            "plan",
            "fallback",
            "early",
            "answered here",
            "by the cloud",
            "by fallback",
            "in a race",
        ];
        self.service.models.values().fold(Section::new("Models", &columns), |section, model| {
            let served = &model.served;
            let last = served.last();
            let course = model.course();
            let Way { split, there, back, .. } = course.way();
            let name = |at, coding| served.codecs.name(at, coding);
            let codec = match split == last {
                true => "none".to_owned(),
                false => format!("{}, answers {}", name(split, there), name(last, back)),
            };
            let count = |by| Value::from(self.service.metrics.answers_by(&served.name, served.last(), by));
            section.row([
                served.name.as_str().into(),
                format!("b{split} of {last}").into(),
                codec.into(),
                if model.is_planned {
                    model.plan().unwrap_or_else(|| "none yet".into())
                } else {
                    "fixed".into()
                }
                .into(),
                format!("{:?}", model.fallback).to_lowercase().into(),
                count("exit"),
                count("edge"),
                count("cloud"),
                count("fallback"),
                count("race"),
            ])
        })
    }

    /// What is promised of each model's exits and whether it holds, then the exits; nothing where no model
    /// has any.
    fn exits(&self) -> Vec<Section> {
        let promised = ["model", "promise", "thresholds", "audited", "audited risk", "to an alarm"];
        let each = ["model", "exit", "threshold", "asked", "answered", "share", "time saved", "drift", "PSI"];
        let (mut promises, mut exits) =
            (Section::new("Promises", &promised), Section::new("Early exits", &each));
        let mut is_empty = true;
        for model in self.service.models.values() {
            let Some(of_model) = &model.exits else { continue };
            is_empty = false;
            let standing = of_model.standing();
            let (name, audit) = (model.served.name.as_str(), &standing.audit);
            promises = promises.row([
                name.into(),
                standing.promise.as_str().into(),
                rung(standing.rung, standing.rungs).into(),
                format!("{} wrong of {}", audit.losses.same, audit.losses.of).into(),
                format!("{:.2} to {:.2}%", audit.interval.low * 100.0, audit.interval.high * 100.0).into(),
                format!("{:.0}%", audit.level * 100.0).into(),
            ]);
            for exit in &standing.exits {
                let share = exit.answered as f64 / exit.asked.max(1) as f64;
                let stability = exit.drift.as_ref().map(|drift| format!("{:.3}", drift.stability.psi));
                exits = exits.row([
                    name.into(),
                    format!("b{}", exit.boundary).into(),
                    exit.threshold.map_or("closed".into(), |threshold| format!("{threshold:.4}")).into(),
                    exit.asked.into(),
                    exit.answered.into(),
                    format!("{:.1}%", share * 100.0).into(),
                    format!("{:.2} s, estimated", exit.saved).into(),
                    exit.drift.as_ref().map_or("not watched".to_owned(), drift).into(),
                    stability.into(),
                ]);
            }
        }
        if is_empty { Vec::new() } else { vec![promises, exits] }
    }

    fn cloud(&self) -> Section {
        let columns = ["node", "address", "state", "over", "RTT", "outstanding", "last error"];
        let nodes = self.service.pipeline.mesh.status();
        nodes.into_iter().fold(Section::new("Cloud nodes", &columns), |section, node| {
            let rtt = node.rtt.map(|rtt| format!("{:.1} ms", rtt.as_secs_f64() * 1e3));
            section.row([
                node.node.into(),
                node.address.into(),
                node.state.name().into(),
                node.way.map(|way| way.name()).into(),
                rtt.into(),
                node.outstanding.into(),
                node.last_error.into(),
            ])
        })
    }
}

impl StatusPage for Page {
    fn ready(&self) -> bool {
        kerf_oip::InferenceService::ready(&*self.service)
    }

    fn status(&self) -> Status {
        Status {
            node: self.service.pipeline.node.clone(),
            role: "edge node".to_owned(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            uptime: self.since.elapsed(),
            sections: [self.models()]
                .into_iter()
                .chain(self.exits())
                .chain([
                    self.cloud(),
                    work_section(&self.service.admission, &self.service.pipeline.compute, &self.store),
                ])
                .collect(),
        }
    }
}

/// `as calibrated`, or how far the thresholds have become stricter.
fn rung(rung: Option<usize>, rungs: usize) -> String {
    match rung {
        Some(rung) if rung + 1 == rungs => "as calibrated".to_owned(),
        Some(rung) => format!("tightened, {} of {rungs}", rungs - rung),
        None => "all closed: the promise did not hold".to_owned(),
    }
}

/// Whether there is an alarm, or how far it is to one.
fn drift(figures: &DriftFigures) -> String {
    if figures.alarm {
        "ALARM".to_owned()
    } else {
        format!("none, {:.0}% to an alarm", figures.level * 100.0)
    }
}
