//! The sentences that terminal and page share.

use super::report::{Baseline, Choice, Report};
use super::weigh::RAW;
use crate::print;

/// Choices that differ by less are equally good: predictions are not better than that.
pub(super) const SAME: f64 = 1.02;

/// What to do, how long it takes, and what that gains.
pub(super) fn headline(report: &Report) -> String {
    let choice = report.chosen();
    format!(
        "{}: {} at the median, {} at p95. {}",
        instruction(report, choice),
        print::seconds(choice.p50_s),
        print::seconds(choice.p95_s),
        gist(report)
    )
}

/// The verdict in a few words.
fn gist(report: &Report) -> String {
    let choice = report.chosen();
    match (report.best_baseline(), uncut(report)) {
        (None, _) => "No baseline keeps the limits.".into(),
        _ if choice.is_baseline && report.baseline_is_chosen() => "Cutting gains nothing here.".into(),
        (Some((_, best)), _) if best.objective < choice.objective => "A baseline would be better.".into(),
        (Some((_, best)), _) if best.objective / choice.objective >= SAME => {
            format!("{} better than the best baseline.", times(best.objective / choice.objective))
        }
        (Some(_), Some((_, uncut))) if uncut.objective / choice.objective >= SAME => {
            let gain = times(uncut.objective / choice.objective);
            format!("{gain} better than not cutting; a per-layer chain planner finds the same cut.")
        }
        _ => "Not cutting is as good.".into(),
    }
}

/// The best of what does not cut, among what keeps the limits.
fn uncut(report: &Report) -> Option<(&Baseline, &Choice)> {
    let all = report.baselines.iter().filter_map(|it| Some((it, report.choices.get(it.choice?)?)));
    all.filter(|(_, other)| other.is_baseline && other.breaks.is_empty())
        .min_by(|a, b| a.1.objective.total_cmp(&b.1.objective))
}

/// `Run b0..b7 on the edge and send 31 KiB from b7`.
pub(super) fn instruction(report: &Report, choice: &Choice) -> String {
    let last = report.boundaries.len() - 1;
    let sent = print::bytes(choice.bytes_up as u64);
    match choice.split {
        split if split == last => "Run everything on the edge".into(),
        0 => format!(
            "Send the {} ({sent}) and run everything {}",
            noun(&choice.payload),
            place(report, choice)
        ),
        split => {
            let codec = Some(choice.payload.as_str()).filter(|payload| *payload != RAW);
            let codec = codec.map_or_else(String::new, |codec| format!(" as {codec}"));
            format!("Run b0..b{split} on the edge and send {sent} from b{split}{codec}")
        }
    }
}

/// The gain over the best baseline, or that there is none.
pub(super) fn verdict(report: &Report) -> String {
    let choice = report.chosen();
    let Some((baseline, other)) = report.best_baseline() else {
        return "No baseline keeps the limits.".into();
    };
    let gain = report.gain().unwrap_or(1.0);
    if choice.is_baseline && report.baseline_is_chosen() {
        return format!("Cutting gains nothing here: this is the baseline “{}”.", baseline.name);
    }
    if gain >= SAME {
        let (gain, cost) = (times(gain), amount(report, other));
        return format!("{gain} better than the best baseline, “{}” ({cost}).", baseline.name);
    }
    if other.objective < choice.objective {
        return format!("The baseline “{}” would be better ({}).", baseline.name, amount(report, other));
    }
    // A planner of chains may find the very cut; what cutting as such gains is still worth knowing.
    let beside = uncut(report).map_or_else(String::new, |(it, other)| {
        let (gain, cost) = (times(other.objective / choice.objective), amount(report, other));
        format!(", and {gain} better than without a cut, “{}” ({cost})", it.name)
    });
    format!("No gain over the best baseline, “{}”{beside}.", baseline.name)
}

/// What is minimised, of one choice, in words.
pub(super) fn amount(report: &Report, choice: &Choice) -> String {
    match report.asked.objective.as_str() {
        "latency" => print::seconds(choice.mean_s()),
        "energy" => choice.joules.map_or_else(|| "energy unknown".into(), print::joules),
        "bytes" => format!("{} sent", print::bytes(choice.bytes_up as u64)),
        "money" => {
            choice.money.map_or_else(|| "price unknown".into(), |money| format!("{money:.2} per million"))
        }
        _ => format!("score {:.4}", choice.objective),
    }
}

/// How much better the choice is than another one, in a few characters.
pub(super) fn gain_over(report: &Report, other: &Choice) -> String {
    let factor = other.objective / report.chosen().objective;
    match factor {
        _ if !other.breaks.is_empty() => "breaks a limit".into(),
        factor if factor.is_finite() && factor >= 1.005 => times(factor),
        _ => "none".into(),
    }
}

/// `1.4×`, `12×`.
pub(super) fn times(factor: f64) -> String {
    match factor {
        f if f >= 99.5 => format!("{f:.0}×"),
        f if f >= 9.95 => format!("{f:.1}×"),
        f => format!("{f:.2}×"),
    }
}

/// `×1.8`, `÷3.2`: how a condition must change.
pub(super) fn change(factor: f64) -> String {
    if factor >= 1.0 { format!("{} more", times(factor)) } else { format!("{} less", times(1.0 / factor)) }
}

fn noun(payload: &str) -> String {
    match payload {
        "raw" => "raw input tensor".into(),
        "u8 pixels" => "input as u8 pixels".into(),
        "picture" => "encoded picture".into(),
        codec => format!("input as {codec}"),
    }
}

fn place(report: &Report, choice: &Choice) -> String {
    let runs: Vec<&str> = choice
        .route
        .iter()
        .filter(|leg| leg.from < leg.to)
        .filter_map(|leg| Some(report.devices.get(leg.device)?.role.as_str()))
        .collect();
    match runs.as_slice() {
        ["cloud"] => "in the cloud".into(),
        [] => "nowhere".into(),
        runs => format!("on {}", runs.join(", then ")),
    }
}
