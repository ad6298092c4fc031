//! From an ONNX file to a folder that nodes can serve.

mod batching;
mod codecs;
mod picture;

use crate::cli::PackArgs;
use crate::engines;
use crate::inspect::boundary_table;
use crate::print::{Outcome, Paint, count, elide, emit, emit_json, warn};
use crate::source::{self, Source};
use anyhow::Context as _;
use kerf_bundle::{Batching, BatchingKind, Metric, Pack, PackRequest, check_name, hex};
use kerf_graph::{Analysis, Bindings, Model, Node};
use kerf_repository::{Overwrite, Repository};
use std::fmt::Write;
use std::path::Path;

pub(crate) fn run(args: &PackArgs) -> anyhow::Result<Outcome> {
    check_name(&args.name)?;
    let mut found = source::onnx(&args.model)?;
    if !args.outputs.is_empty() {
        let names: Vec<&str> = args.outputs.iter().map(String::as_str).collect();
        found.model = found.model.only(&names).context("--outputs")?;
    }
    let preprocess = picture::steps(&args.picture, found.model.inputs())?;
    let pack = Pack::new(PackRequest {
        name: &args.name,
        source_file: &found.file,
        source: &found.bytes,
        model: &found.model,
        boundaries: args.boundaries,
        preprocess: preprocess.as_ref().map(|(input, steps)| (input.as_str(), steps.clone())),
        metric: if is_quantised(&found.model) { Metric::Top1 } else { Metric::Numeric },
        tolerance: args.tolerance,
    })?;
    let analysis = pack.model().model().analyse(&Bindings::ones());
    warn_of_odd_things(&found, &analysis);
    let pack = match batching::check(&pack, &engines::present(0, None)?) {
        Ok(batching) => pack.with_batching(batching),
        Err(error) => {
            warn(&format!(
                "whether a batch equals its members could not be tried, so requests will not be joined: {}",
                crate::print::chain(&error)
            ));
            pack
        }
    };
    let (pack, tried) = match &args.codecs.inputs {
        Some(folder) => {
            let (found, tried) = codecs::fit(&pack, folder, &args.codecs)?;
            (pack.with_codecs(found), Some(tried))
        }
        None => (pack, None),
    };
    let overwrite = if args.force { Overwrite::Replace } else { Overwrite::Refuse };
    let (folder, digest) = Repository::new(&args.into).write(&pack, overwrite)?;
    if let Some((path, tried)) = args.codecs.html.as_ref().zip(tried.as_ref()) {
        std::fs::write(path, codecs::page(tried)).with_context(|| path.display().to_string())?;
    }
    if args.json {
        let digest = hex(&digest);
        let measured = pack.codecs().map(|codecs| &codecs.measured);
        let choices = tried.as_ref().map(|tried| &tried.choices);
        let name = &pack.card().name;
        emit_json(&serde_json::json!({
            "model": name, "digest": digest, "folder": folder, "codecs": measured, "choices": choices
        }))?;
        return Ok(Outcome::Passed);
    }
    let paint = Paint::detect();
    let tried = tried
        .map_or_else(String::new, |tried| format!("{}\n", codecs::table(&tried, args.codecs.all, paint)));
    emit(&(tried + &report(&pack, &analysis, &folder, &hex(&digest), paint)))?;
    Ok(Outcome::Passed)
}

/// Whether rounding to few levels amplifies differences in the last digit, so that answers can
/// only be compared by what they choose.
fn is_quantised(model: &Model) -> bool {
    const OPS: [&str; 5] =
        ["ConvInteger", "MatMulInteger", "DynamicQuantizeLinear", "QuantizeLinear", "DynamicQuantizeMatMul"];
    let quantises = |node: &Node| OPS.contains(&node.op.as_str()) || node.op.starts_with("QLinear");
    model.nodes().iter().any(quantises)
}

fn warn_of_odd_things(found: &Source, analysis: &Analysis) {
    let foreign = found.model.foreign_ops();
    if !foreign.is_empty() {
        warn(&format!(
            "operators outside of ONNX run only on engines that have them: {}",
            foreign.join(", ")
        ));
    }
    let unknown = analysis.unknown();
    if !unknown.is_empty() {
        let first: Vec<String> = unknown.iter().take(3).map(|name| elide(name, 48)).collect();
        warn(&format!(
            "the sizes of {} of the model's values are not known before it runs (first: {}); costs there count as 0",
            unknown.len(),
            first.join(", ")
        ));
    }
}

fn report(pack: &Pack, analysis: &Analysis, folder: &Path, digest: &str, paint: Paint) -> String {
    let (card, total) = (pack.card(), analysis.total());
    let mut out = format!("packed {} into {}\n", paint.bold(&card.name), folder.display());
    let _ = writeln!(out, "  digest    {digest}");
    let _ = writeln!(
        out,
        "  source    {}, opset {}, {} nodes, {} parameters, {} MACs",
        elide(&card.source.file, 60),
        card.source.opset,
        pack.model().model().nodes().len(),
        count(total.params),
        count(total.macs)
    );
    for (title, specs) in [("input", &card.inputs), ("output", &card.outputs)] {
        for spec in specs {
            let _ = writeln!(out, "  {title:<8}  {}", elide(&spec.to_string(), 110));
        }
    }
    if let Some(encoded) = &card.preprocess {
        let (name, input) = (&encoded.encoded_input, &encoded.input);
        let _ = writeln!(out, "  pictures  {name}: BYTES[N], JPEG, PNG or WebP that become {input}");
    }
    let batching = card.batching.as_ref().map_or_else(|| "not tried".into(), in_words);
    let _ = writeln!(out, "  batching  {batching}");
    let metric = match card.metric {
        Metric::Numeric => format!("numeric, tolerance {:e}", card.tolerance),
        Metric::Top1 => "top-1 agreement, since the model is quantised".into(),
    };
    let _ = writeln!(out, "  judged by {metric}\n\n{}", paint.bold("Boundaries"));
    out.push_str(&boundary_table(pack.model().boundaries(), total.macs, false, paint));
    let regret = pack.arranged().regret(pack.model().boundaries());
    let _ = writeln!(
        out,
        "\n{} cuts of the graph are the cheapest for some price of a byte in MACs. The best of these\nboundaries is at most {} dearer than they, {} on average over the prices.",
        pack.arranged().cuts(),
        percent(regret.worst),
        percent(regret.mean)
    );
    let _ = writeln!(out, "\nnext: partitioner verify {}", folder.display());
    out
}

fn percent(share: f64) -> String {
    format!("{:.1}%", share * 100.0)
}

fn in_words(batching: &Batching) -> String {
    let tried =
        batching.tried.map_or(String::new(), |size| format!("a batch of {size} against its members: "));
    let difference = batching.difference.map_or(String::new(), |d| format!("{tried}{d:.1e}"));
    match batching.kind {
        BatchingKind::Independent => format!("independent ({difference})"),
        BatchingKind::Coupled => format!("coupled ({difference}): requests will not be joined"),
        BatchingKind::Fixed => "fixed: the model takes one size of batch".into(),
    }
}
