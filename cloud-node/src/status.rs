//! The status page's facts.

use crate::service::Service;
use kerf_engine::SegmentStore;
use kerf_serving::work_section;
use kerf_telemetry::{Section, Status, StatusPage};
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
        let section = Section::new("Models", &["model", "version", "boundaries", "answered"]);
        self.service.models.iter().fold(section, |section, served| {
            section.row([
                served.name.as_str().into(),
                served.version.as_str().into(),
                (served.last() + 1).into(),
                self.service.metrics.answers(&served.name).into(),
            ])
        })
    }
}

impl StatusPage for Page {
    fn status(&self) -> Status {
        Status {
            node: self.service.node.clone(),
            role: "cloud node".to_owned(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            uptime: self.since.elapsed(),
            sections: vec![
                self.models(),
                work_section(&self.service.admission, &self.service.compute, &self.store),
            ],
        }
    }
}
