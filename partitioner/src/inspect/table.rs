use super::Subject;
use crate::print::{Align, Paint, Table, bytes, count, elide};
use kerf_bundle::hex;
use kerf_graph::{Analysis, Boundary, NodeCost};
use kerf_tensor::{Dim, TensorSpec};
use std::fmt::Write;

/// Rows of a long node table that are shown at each end.
const SHOWN: usize = 16;
const NAME: usize = 44;
const BAR: usize = 16;

pub(super) fn render(subject: &Subject, all: bool, paint: Paint) -> String {
    let mut out = summary(subject, paint);
    let _ = writeln!(out, "\n{}", paint.bold("Nodes"));
    out.push_str(&nodes(subject, all, paint));
    let _ = writeln!(out, "\n{}", paint.bold("Boundaries"));
    let total = subject.analysis.total().macs;
    out.push_str(&boundary_table(&subject.boundaries, total, all, paint));
    out
}

fn summary(subject: &Subject, paint: Paint) -> String {
    let (model, analysis) = (&subject.model, &subject.analysis);
    let total = analysis.total();
    let mut out = format!("{}\n", paint.bold(&elide(&subject.name, 100)));
    let ir = subject.ir.map_or(String::new(), |ir| format!(", IR version {ir}"));
    let _ = writeln!(out, "  format      opset {}{ir}", model.opset());
    for (title, specs) in [("input", model.inputs()), ("output", model.outputs())] {
        for spec in specs {
            let _ = writeln!(out, "  {title:<10}  {}", elide(&spec.to_string(), 120));
        }
    }
    if let Some((card, digest, exits)) = &subject.packed {
        if let Some(encoded) = &card.preprocess {
            let (name, input) = (&encoded.encoded_input, &encoded.input);
            let _ = writeln!(out, "  pictures    {name}: BYTES[N], JPEG, PNG or WebP that become {input}");
        }
        let _ = writeln!(out, "  packed      from {}, digest {}", elide(&card.source.file, 60), hex(digest));
        if let Some(exits) = exits {
            let _ = writeln!(out, "  exits       {}", exits.said());
        }
    }
    let symbols = model.symbols();
    let at = if symbols.is_empty() {
        String::new()
    } else {
        format!(" where {} are 1 or bound", symbols.join(", "))
    };
    let _ = writeln!(out, "  nodes       {}", model.nodes().len());
    let _ = writeln!(out, "  MACs        {}{at}", count(total.macs));
    let _ = writeln!(out, "  parameters  {}, {}", count(total.params), bytes(total.weight_bytes));
    let unknown = analysis.unknown();
    if !unknown.is_empty() {
        let first: Vec<String> = unknown.iter().take(3).map(|name| elide(name, 40)).collect();
        let _ = writeln!(out, "  unknown     size of {} values: {}, …", unknown.len(), first.join(", "));
    }
    let foreign = model.foreign_ops();
    if !foreign.is_empty() {
        let _ = writeln!(out, "  foreign     {}", elide(&foreign.join(", "), 100));
    }
    out
}

fn nodes(subject: &Subject, all: bool, paint: Paint) -> String {
    let mut table = Table::new(&[
        ("#", Align::Right),
        ("name", Align::Left),
        ("op", Align::Left),
        ("output", Align::Left),
        ("MACs", Align::Right),
        ("params", Align::Right),
        ("bytes", Align::Right),
    ]);
    let nodes = subject.model.nodes();
    let hidden = if all || nodes.len() <= 2 * SHOWN + 4 { 0..0 } else { SHOWN..nodes.len() - SHOWN };
    let name = |name: &str| if all { elide(name, usize::MAX) } else { elide(name, NAME) };
    for (index, node) in nodes.iter().enumerate() {
        if hidden.contains(&index) {
            if index == hidden.start {
                table.note(format!("… {} more nodes, --all shows them", hidden.len()));
            }
            continue;
        }
        let cost = subject.analysis.cost(index);
        let op =
            if node.domain.is_empty() { node.op.clone() } else { format!("{}.{}", node.domain, node.op) };
        table.row([
            index.to_string(),
            name(&node.name),
            elide(&op, 32),
            output(&subject.analysis, node.writes().next()),
            zero_as_blank(cost.macs, count),
            zero_as_blank(cost.params, count),
            output_bytes(cost),
        ]);
    }
    table.render(paint)
}

/// Where a model may be cut, with what would cross the wire there.
pub(crate) fn boundary_table(boundaries: &[Boundary], macs: u64, all: bool, paint: Paint) -> String {
    let mut table = Table::new(&[
        ("#", Align::Left),
        ("after node", Align::Left),
        ("tensors", Align::Left),
        ("bytes", Align::Right),
        ("", Align::Left),
        ("MACs before", Align::Right),
        ("", Align::Left),
    ]);
    let widest = boundaries.iter().filter_map(|boundary| boundary.bytes).max().unwrap_or(0);
    for (index, boundary) in boundaries.iter().enumerate() {
        let after = boundary.after.as_deref().map_or_else(|| "(the inputs)".into(), |n| elide(n, NAME));
        let share = if macs == 0 { 0.0 } else { boundary.macs_before as f64 / macs as f64 };
        let size = boundary.bytes.map_or(0.0, |bytes| bytes as f64 / widest.max(1) as f64);
        table.row([
            format!("b{index}"),
            after,
            tensors(&boundary.tensors, all),
            boundary.bytes.map_or_else(|| "?".into(), bytes),
            bar(size),
            format!("{:.1}%", share * 100.0),
            bar(share),
        ]);
    }
    table.render(paint)
}

fn tensors(specs: &[TensorSpec], all: bool) -> String {
    match specs {
        [] => "none".into(),
        [one] => format!("{}{}", one.dtype, shape(one)),
        many if all => many.iter().map(|s| elide(&s.to_string(), 80)).collect::<Vec<_>>().join("; "),
        [first, rest @ ..] => format!("{}{} and {} more", first.dtype, shape(first), rest.len()),
    }
}

fn output(analysis: &Analysis, name: Option<&str>) -> String {
    let spec = name.and_then(|name| analysis.spec(name));
    spec.map_or_else(|| "?".into(), |spec| format!("{}{}", spec.dtype, shape(&spec)))
}

fn shape(spec: &TensorSpec) -> String {
    let Some(dims) = &spec.shape else { return "[?]".into() };
    let dims = dims.iter().map(|dim| match dim {
        Dim::Fixed(size) => size.to_string(),
        Dim::Symbol(name) => elide(name, 16),
    });
    format!("[{}]", elide(&dims.collect::<Vec<_>>().join(", "), 60))
}

fn output_bytes(cost: &NodeCost) -> String {
    cost.output_bytes.map_or_else(|| "?".into(), bytes)
}

fn zero_as_blank(value: u64, show: impl Fn(u64) -> String) -> String {
    if value == 0 { String::new() } else { show(value) }
}

/// Eighths of a block, so that small shares still show.
fn bar(share: f64) -> String {
    const PARTS: [&str; 8] = ["", "▏", "▎", "▍", "▌", "▋", "▊", "▉"];
    let eighths = (share.clamp(0.0, 1.0) * (BAR * 8) as f64).round() as usize;
    let eighths = if share > 0.0 { eighths.max(1) } else { 0 };
    format!("{}{}", "█".repeat(eighths / 8), PARTS[eighths % 8])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bars() {
        for (share, text) in
            [(0.0, ""), (1e-6, "▏"), (0.5, "████████"), (1.0, "████████████████"), (7.0, "████████████████")]
        {
            assert_eq!(bar(share), text);
        }
    }
}
