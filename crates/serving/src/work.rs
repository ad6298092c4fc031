use crate::{Admission, Compute};
use kerf_engine::SegmentStore;
use kerf_telemetry::Section;

/// What a node is doing now, for its status page.
pub fn work_section(admission: &Admission, compute: &Compute, store: &SegmentStore) -> Section {
    let stats = store.stats();
    let memory = (stats.bytes + stats.pinned_bytes) as f64 / f64::from(1 << 20);
    let columns = ["in flight", "bound", "computing", "waiting", "segments", "segment memory"];
    Section::new("Work", &columns).row([
        admission.in_flight().into(),
        admission.capacity().into(),
        compute.running().into(),
        compute.waiting().into(),
        (stats.programs + stats.pinned).into(),
        format!("{memory:.1} MiB").into(),
    ])
}
