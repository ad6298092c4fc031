//! The status page's facts.

use crate::service::Service;
use kerf_engine::SegmentStore;
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
        let columns =
            ["model", "split", "codec", "plan", "fallback", "answered here", "by the cloud", "by fallback"];
        self.service.models.values().fold(Section::new("Models", &columns), |section, model| {
            let served = &model.served;
            let way = model.way();
            let (split, last) = (way.split, served.last());
            let [there, back] =
                [(split, way.there), (last, way.back)].map(|(at, coding)| served.codecs.name(at, coding));
            let codec = match split == last {
                true => "none".into(),
                false => format!("{there}, answers {back}"),
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
                count("edge"),
                count("cloud"),
                count("fallback"),
            ])
        })
    }

    fn cloud(&self) -> Section {
        let columns = ["node", "address", "state", "RTT", "outstanding", "last error"];
        let nodes = self.service.pipeline.mesh.status();
        nodes.into_iter().fold(Section::new("Cloud nodes", &columns), |section, node| {
            let rtt = node.rtt.map(|rtt| format!("{:.1} ms", rtt.as_secs_f64() * 1e3));
            section.row([
                node.node.into(),
                node.address.into(),
                node.state.name().into(),
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
            sections: vec![
                self.models(),
                self.cloud(),
                work_section(&self.service.admission, &self.service.pipeline.compute, &self.store),
            ],
        }
    }
}
