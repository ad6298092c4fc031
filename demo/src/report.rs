//! The summary, for people and for machines.

use crate::phase::Figures;
use crate::regions::{RATES_MBPS, RTT_MS, Regions, SLOWDOWNS};
use crate::stage::Stage;
use anyhow::Context as _;
use serde_json::json;
use std::fmt::Write as _;
use std::path::Path;

pub(crate) fn is_success(figures: &[Figures]) -> bool {
    figures.iter().all(|phase| phase.failed == 0 && phase.answered == phase.sent && phase.agreement == 1.0)
}

pub(crate) fn summary(figures: &[Figures], regions: &Regions) -> String {
    let mut out = String::new();
    let (sent, answered) = figures.iter().fold((0, 0), |(s, a), phase| (s + phase.sent, a + phase.answered));
    line(&mut out, "");
    line(&mut out, &format!("{answered} of {sent} requests answered, {} lost.", sent - answered));
    let (won, all) = regions.interior_wins();
    line(&mut out, "");
    line(
        &mut out,
        &format!(
            "Where which plan would be fastest: an interior boundary in {won} of {all} cells. Times of head \
             and tail\nmeasured on this machine; slower edge and link by arithmetic, not emulated. \
             C: encoded image to the\ncloud, E: all on the edge, bK: split there, raw f32."
        ),
    );
    for slowdown in SLOWDOWNS {
        grid(&mut out, regions, slowdown);
    }
    out.trim_end().to_owned()
}

pub(crate) fn write_json(
    file: &Path,
    stage: &Stage,
    figures: &[Figures],
    regions: &Regions,
) -> anyhow::Result<()> {
    let document = json!({
        "model": stage.served().name,
        "engine": stage.engine(),
        "phases": figures,
        "plans": regions.plans,
        "interior_wins": regions.interior_wins().0,
        "cells": regions.interior_wins().1,
    });
    let text = serde_json::to_string_pretty(&document)?;
    std::fs::write(file, text + "\n").with_context(|| format!("cannot write {}", file.display()))
}

/// Best plan by RTT (down) and rate (across) for an edge `slowdown` times slower than this machine.
fn grid(out: &mut String, regions: &Regions, slowdown: f64) {
    let last = regions.plans.len() - 1;
    line(out, "");
    let rates = RATES_MBPS.map(|rate| format!("{rate:>6}")).concat();
    line(out, &format!("edge {slowdown}x slower {rates}  Mbit/s"));
    for rtt in RTT_MS {
        let mut row = format!("  RTT {rtt:>4} ms    ");
        for rate in RATES_MBPS {
            let name = match regions.best(slowdown, rate, rtt) {
                0 => "C".to_owned(),
                b if b == last => "E".to_owned(),
                b => format!("b{b}"),
            };
            row += &format!("{name:>6}");
        }
        line(out, &row);
    }
}

fn line(out: &mut String, text: &str) {
    // Writing to a String cannot fail.
    let _ = writeln!(out, "{text}");
}
