//! How far off are predictions? Predicts what one profile timed and another did not, of one model
//! on one device, and prints errors on ranges of a millisecond or more.
//!
//! `cargo run --release -p kerf-profile --example compare -- FULL.json PART.json`; with one file,
//! part of it stands in for the second: heads, tails and neighbours, then what the predictor asks for.

use kerf_profile::{Predictor, Profile, RangeTime, order};
use std::error::Error;

/// Shares of all ranges that are shown to the predictor.
const SHARES: [f64; 4] = [0.3, 0.4, 0.55, 0.7];

fn main() -> Result<(), Box<dyn Error>> {
    let mut files = std::env::args().skip(1);
    let full = read(&files.next().ok_or("usage: compare FULL.json [PART.json]")?)?;
    if let Some(part) = files.next() {
        return report("as given", &read(&part)?, &full);
    }
    let last = full.last();
    let is_core = |range: &&RangeTime| {
        range.batch == 1 && (range.from == 0 || range.to == last || range.to == range.from + 1)
    };
    let core: Vec<RangeTime> = full.ranges.iter().filter(is_core).cloned().collect();
    let mut part = Profile { ranges: core, ..full.clone() };
    for share in SHARES {
        let wanted = (share * (last * (last + 1) / 2) as f64) as usize;
        while part.ranges.len() < wanted {
            let Some((from, to)) = order(&part, 1).first().copied() else { break };
            let Some(range) = full.range(from, to, 1) else { break };
            part.ranges.push(range.clone());
        }
        report(&format!("{:.0} % shown", 100.0 * share), &part, &full)?;
    }
    Ok(())
}

fn report(what: &str, part: &Profile, full: &Profile) -> Result<(), Box<dyn Error>> {
    let predictor = Predictor::fit(part, 1)?;
    let shown = |range: &RangeTime| part.range(range.from, range.to, 1).map(|range| range.p50);
    // Two profiles differ in speed by what the machine did meanwhile: in all ranges alike.
    let scale = median(full.ranges.iter().filter_map(|range| Some(range.p50 / shown(range)?)).collect());
    let held_out =
        full.ranges.iter().filter(|range| range.batch == 1 && range.p50 >= 1e-3 && shown(range).is_none());
    let mut errors: Vec<(f64, f64, &RangeTime)> = Vec::new();
    for range in held_out {
        let Some(predicted) = predictor.time(range.from, range.to) else { continue };
        errors.push((scale * predicted.p50 / range.p50 - 1.0, scale * predicted.sd / range.p50, range));
    }
    errors.sort_by(|a, b| a.0.abs().total_cmp(&b.0.abs()));
    let again: Vec<f64> = full
        .ranges
        .iter()
        .filter(|range| range.p50 >= 1e-3)
        .filter_map(|range| Some((scale * shown(range)? / range.p50 - 1.0).abs()))
        .collect();
    let at = |share: f64| {
        errors.get((errors.len() as f64 * share) as usize).map_or(0.0, |error| 100.0 * error.0.abs())
    };
    let within = errors.iter().filter(|(error, sd, _)| error.abs() <= 1.28 * sd).count();
    let bias = errors.iter().map(|error| error.0).sum::<f64>() / errors.len().max(1) as f64;
    println!(
        "{what}: {} ranges shown, {} held out: median error {:.1} %, p90 {:.1} %, mean {:+.1} %; {within} within 1.28 sd; leave-out says {:.1} %, {:.1} %; speed x{scale:.3}, timed twice: median {:.1} %",
        part.ranges.len(),
        errors.len(),
        at(0.5),
        at(0.9),
        100.0 * bias,
        100.0 * predictor.error().median,
        100.0 * predictor.error().p90,
        100.0 * median(again),
    );
    for (error, _, range) in errors.iter().rev().take(5) {
        println!("  {}..{}: {:+.1} % of {:.2} ms", range.from, range.to, 100.0 * error, 1e3 * range.p50);
    }
    Ok(())
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(0.0)
}

fn read(path: &str) -> Result<Profile, Box<dyn Error>> {
    Ok(Profile::parse(&std::fs::read(path)?)?)
}
