//! A plan as one page that explains itself: no scripts, no network, opened from a file.
//!
//! Everything here is a pure function of the [`Report`]: the same report makes the same bytes.

mod front;
mod graph;
mod layers;
mod map;
mod stack;
mod tables;

use super::report::Report;
use super::words;
use crate::page::svg::escape;
use crate::page::{document, legend};
use crate::print;
use std::fmt::Write as _;

/// The page as HTML.
pub(super) fn render(report: &Report) -> String {
    let parts = [head, decision, latency, regions, trade, schedule, structure, trust];
    let title = format!("Where to cut {}", print::elide(&report.model.name, 80));
    document(&title, &parts.map(|part| part(report)).concat())
}

fn head(report: &Report) -> String {
    let (asked, choice) = (&report.asked, report.chosen());
    let name = escape(&print::elide(&report.model.name, 80));
    let mut conditions = vec![
        format!("{} up, {} down", print::rate(asked.uplink_bps), print::rate(asked.downlink_bps)),
        format!("{} round trip", print::plain(&print::seconds(asked.rtt_s))),
    ];
    conditions.extend(asked.further.iter().cloned());
    conditions.push(format!("least {}", asked.objective));
    conditions.extend(asked.limits.iter().cloned());
    let gain = match report.gain() {
        Some(gain) if gain >= 1.005 => words::times(gain),
        Some(_) => "none".into(),
        None => "–".into(),
    };
    let best = report
        .best_baseline()
        .map_or_else(|| "no baseline keeps the limits".into(), |(it, _)| it.name.clone());
    let shipped = match choice.split + 1 == report.boundaries.len() {
        true => "nothing is sent".into(),
        false => format!("sent as {}", choice.payload),
    };
    let is_measured = report.devices.first().is_some_and(|device| device.power.starts_with("measured"));
    let facts = [
        ("choice", choice.name.clone(), shipped),
        ("latency, median", print::seconds(choice.p50_s), format!("p95 {}", print::seconds(choice.p95_s))),
        ("gain over baselines", gain, best),
        (
            "sent per request",
            print::bytes(choice.bytes_up as u64),
            format!("{} back", print::bytes(choice.bytes_down as u64)),
        ),
        (
            "energy per request",
            choice.joules.map_or_else(|| "unknown".into(), print::joules),
            match choice.joules {
                None => "profile with --power",
                Some(_) if is_measured => "measured",
                Some(_) => "modelled",
            }
            .into(),
        ),
        ("agreement", format!("{:.1}%", choice.agreement * 100.0), "with the whole model".into()),
    ];
    let facts = facts.map(|(term, value, more)| fact(term, &value, &more)).concat();
    format!(
        "<header>\n<p class=\"kicker\">{name} · {}</p>\n<h1>{}</h1>\n<dl class=\"facts\">{facts}</dl>\n</header>\n",
        escape(&conditions.join(" · ")),
        escape(&words::headline(report))
    )
}

fn fact(term: &str, value: &str, more: &str) -> String {
    format!("<div><dt>{term}</dt><dd>{}<small>{}</small></dd></div>", escape(value), escape(more))
}

fn decision(report: &Report) -> String {
    let mut out = String::from("<section>\n<h2>Against what you would do without this tool</h2>\n");
    let _ = write!(out, "<p>{}</p>\n{}", escape(&words::verdict(report)), tables::baselines(report));
    out.push_str("<h3>What would have to change</h3>\n");
    if report.changes.is_empty() {
        out.push_str("<p>No change of one condition by itself makes another choice the best.</p>\n");
    } else {
        out.push_str("<p>One condition at a time, all others as they are.</p>\n");
        out.push_str(&tables::changes(report));
    }
    out + "</section>\n"
}

fn latency(report: &Report) -> String {
    let legend = legend(stack::stages(report).into_iter().map(|stage| {
        (
            format!("<rect class=\"{}\" width=\"18\" height=\"12\"/>", stack::class(stage)),
            stage.name().to_owned(),
        )
    }));
    let hatched = if report.choices.iter().all(|choice| choice.breaks.is_empty()) {
        ""
    } else {
        " A hatched bar breaks a limit."
    };
    format!(
        "<section>\n<h2>1 · Latency by split point</h2>\n\
         <p>Each bar is one way to run a request, by the boundary at which it leaves the edge. Its parts are \
         expected times; the tick is the 95th percentile.{hatched}</p>\n\
         {legend}<figure>{}</figure>\n<details><summary>All numbers</summary>\n{}</details>\n</section>\n",
        stack::draw(report),
        tables::choices(report)
    )
}

fn regions(report: &Report) -> String {
    let map = &report.map;
    let classes = map::classes(map, report.boundaries.len() - 1);
    let shares = map::shares(map);
    let entries = map.regions.iter().zip(classes).zip(&shares).map(|((region, class), share)| {
        let over = if region.is_baseline {
            format!("<rect class=\"over {class}-over\" width=\"18\" height=\"12\"/>")
        } else {
            String::new()
        };
        let kind = if region.is_baseline { " (baseline)" } else { "" };
        let text = format!("{}{kind}, {:.0}%", print::elide(&region.name, 40), share * 100.0);
        (format!("<rect class=\"{class}\" width=\"18\" height=\"12\"/>{over}"), text)
    });
    let none = map.cells.iter().filter(|cell| cell.is_none()).count() as f64 / map.cells.len().max(1) as f64;
    let nowhere = (none > 0.0).then(|| {
        let shape = "<rect class=\"r-none framed\" x=\"0.5\" y=\"0.5\" width=\"17\" height=\"11\"/>";
        (shape.to_owned(), format!("{}, {:.0}%", map::NONE, none * 100.0))
    });
    let ours: f64 = map
        .regions
        .iter()
        .zip(&shares)
        .filter(|(region, _)| !region.is_baseline)
        .map(|(_, share)| share)
        .fold(0.0, |sum, share| sum + share);
    let both = map
        .cells
        .iter()
        .zip(&map.chain_agrees)
        .filter(|(cell, agrees)| **agrees && cell.is_some_and(|region| !map.regions[region].is_baseline));
    let both = both.count() as f64 / map.cells.len().max(1) as f64;
    let chain = if map.chain_agrees.is_empty() || ours == 0.0 {
        String::new()
    } else {
        format!(" In {:.0}% a per-layer chain planner would have found the same cut.", both * 100.0)
    };
    format!(
        "<section>\n<h2>2 · The best choice by bandwidth and round-trip time</h2>\n\
         <p>Coloured: cutting the model wins, which it does in {:.0}% of this map. Grey and patterned: a baseline \
         is as good within 2%, or better.{chain}</p>\n{}<figure>{}</figure>\n\
         <details><summary>All numbers</summary>\n{}</details>\n</section>\n",
        ours * 100.0,
        legend(entries.chain(nowhere)),
        map::draw(report),
        tables::regions(report)
    )
}

fn trade(report: &Report) -> String {
    let what = if front::has_energy(report) {
        "energy"
    } else {
        "bytes (no profile says what power its device draws)"
    };
    format!(
        "<section>\n<h2>3 · What can be had for what</h2>\n\
         <p>Latency against {what}; a larger disc sends more bytes. Filled discs are choices that no other beats in \
         latency, energy, bytes and agreement at once; the steps join those that matter for the two axes. Hollow ones \
         are beaten or break a limit, dashed ones are baselines, the ring is the choice.</p>\n<figure>{}</figure>\n</section>\n",
        front::draw(report)
    )
}

fn schedule(report: &Report) -> String {
    format!(
        "<section>\n<h2>4 · Where the time goes, and what lies between</h2>\n\
         <p>Above, the time along the schedule on each device; below, on the same axis, how many bytes are alive at \
         each boundary. Vertical lines are boundaries, the solid one is the cut. Times of single nodes do not add up \
         to those of ranges, which are what the plan is made from: engines fuse nodes, and a cut ends that.</p>\n\
         <figure>{}</figure>\n<details><summary>All numbers</summary>\n{}</details>\n</section>\n",
        layers::draw(report),
        tables::boundaries(report)
    )
}

fn structure(report: &Report) -> String {
    let choice = report.chosen();
    let mut crossing = String::new();
    let place = &report.boundaries[choice.split];
    let is_local = choice.split + 1 == report.boundaries.len();
    for tensor in place.tensors.iter().filter(|_| !is_local) {
        let bytes = tensor.bytes.map_or_else(|| "size unknown".into(), print::bytes);
        let (name, form) = (escape(&print::elide(&tensor.name, 80)), escape(&tensor.form));
        let _ = writeln!(crossing, "<li><code>{name}</code> {form}, {bytes}</li>");
    }
    let what = if is_local {
        "Nothing crosses: the outputs are made where the inputs are."
    } else {
        "What crosses the cut:"
    };
    format!(
        "<section>\n<h2>5 · The graph and the cut</h2>\n\
         <p>Nodes in schedule order; arcs are tensors that skip over nodes, and those that cross the cut are drawn \
         strong. {what}</p>\n<ul class=\"notes\">{crossing}</ul>\n<figure class=\"tall\" tabindex=\"0\">{}</figure>\n</section>\n",
        graph::draw(report)
    )
}

fn trust(report: &Report) -> String {
    let mut notes = String::new();
    for note in &report.notes {
        let _ = writeln!(notes, "<li>{}</li>", escape(note));
    }
    format!(
        "<section>\n<h2>6 · How this was measured</h2>\n{}<ul class=\"notes\">\n{notes}</ul>\n\
         <p class=\"soft\">Model digest <code>{}</code></p>\n</section>\n",
        tables::devices(report),
        escape(&report.model.digest)
    )
}

#[cfg(test)]
mod fixture;
#[cfg(test)]
mod tests;
