//! What crosses the wire, in how many bytes, and what that does to the answers.

mod feel;
mod ladder;
mod measure;
mod page;
mod report;
mod requests;
mod spread;
mod table;
mod trial;

#[cfg(test)]
mod fixture;

pub(super) use page::render as page;
pub(super) use report::Report;
pub(super) use table::render as table;

use crate::cli::CodecArgs;
use crate::engines;
use anyhow::Context;
use kerf_agreement::{Boxes, Criterion, Metric, Said, suggest};
use kerf_bundle::{Codecs, Pack};
use kerf_engine::{Runner, SegmentStore};
use measure::Measuring;
use requests::Requests;
use std::path::Path;
use std::sync::Arc;

/// Bytes of compiled segments.
const SEGMENTS: u64 = 1 << 30;

/// Ladders of codecs end below this agreement: nobody wants less.
const LOWEST: f64 = 0.95;

/// Fits codecs to what the inputs in `folder` become at every boundary, and measures them.
pub(super) fn fit(pack: &Pack, folder: &Path, args: &CodecArgs) -> anyhow::Result<(Codecs, Report)> {
    let model = pack.model();
    let (criterion, why) = criterion(pack, args)?;
    let store = Arc::new(SegmentStore::new(SEGMENTS));
    // Requests are spread over the processors, each on one.
    let engines = engines::present(1, None)?.engines;
    let runner = Runner::new(Arc::clone(model), engines, store);
    let requests = Requests::read(folder, pack.card(), model, &runner, &criterion, args.samples as usize)?;
    let measuring = Measuring {
        card: pack.card(),
        model,
        runner: &runner,
        criterion: &criterion,
        lowest: LOWEST.min(args.agreement),
        floor: args.agreement,
        passes: args.probe as usize,
        budget: args.codec_budget,
    };
    let (codecs, mut report) = measuring.run(requests)?;
    report.why = why;
    Ok((codecs, report))
}

/// What the user says, or what shapes and names suggest, and why.
fn criterion(pack: &Pack, args: &CodecArgs) -> anyhow::Result<(Criterion, Option<String>)> {
    match &args.metric {
        Some(Said::Criterion(criterion)) => Ok((criterion.clone(), None)),
        Some(Said::BoxesIn(path)) => {
            let text = std::fs::read_to_string(path).with_context(|| format!("--metric {path}"))?;
            let boxes = Boxes::from_yaml(&text).with_context(|| path.clone())?;
            Ok((Criterion::new(Metric::Boxes(Box::new(boxes))), None))
        }
        None => {
            let suggested = suggest(&pack.card().inputs, &pack.card().outputs);
            Ok((suggested.criterion, Some(suggested.why.to_string())))
        }
    }
}
