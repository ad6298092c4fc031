//! Every number of the figures as a table, for readers who cannot use those or want to check them.

use crate::page::table::Table;
use crate::plan::report::{Choice, Report, Stage};
use crate::plan::words;
use crate::print;

/// Every choice with the parts of its latency.
pub(super) fn choices(report: &Report) -> String {
    let stages = super::stack::stages(report);
    let mut head = vec![("choice", true)];
    head.extend(stages.iter().map(|stage| (stage.name(), false)));
    head.extend([("mean", false), ("p50", false), ("p95", false), ("energy", false), ("sent", false)]);
    head.extend([("back", false), ("agreement", false), ("times", true), ("limits", true)]);
    let mut table = Table::new(&head);
    for (index, choice) in report.choices.iter().enumerate() {
        let mut cells = vec![choice.name.clone()];
        cells.extend(stages.iter().map(|stage| part(choice, *stage)));
        cells.extend([choice.mean_s(), choice.p50_s, choice.p95_s].map(print::seconds));
        cells.push(choice.joules.map_or_else(|| "unknown".into(), print::joules));
        cells.extend([choice.bytes_up, choice.bytes_down].map(|bytes| print::bytes(bytes as u64)));
        cells.push(print::percent(choice.agreement));
        cells.push(if choice.timed { "measured" } else { "predicted" }.into());
        cells.push(if choice.breaks.is_empty() {
            "kept".into()
        } else {
            format!("breaks {}", choice.breaks.join("; "))
        });
        let class = if index == report.chosen {
            "chosen"
        } else if choice.breaks.is_empty() {
            ""
        } else {
            "refused"
        };
        table.row(class, &cells);
    }
    table.finish()
}

fn part(choice: &Choice, stage: Stage) -> String {
    match choice.of(stage) {
        0.0 => "–".into(),
        seconds => print::seconds(seconds),
    }
}

/// What a user without this tool would do, and what that costs.
pub(super) fn baselines(report: &Report) -> String {
    let mut table =
        Table::new(&[("baseline", true), ("does", true), ("costs", false), ("we gain", false), ("", true)]);
    for baseline in &report.baselines {
        let choice = baseline.choice.and_then(|index| report.choices.get(index));
        let (does, costs, gain) = match choice {
            Some(choice) => {
                (choice.name.clone(), words::amount(report, choice), words::gain_over(report, choice))
            }
            None => ("not possible".into(), "–".into(), "–".into()),
        };
        let class = if baseline.choice == Some(report.chosen) { "chosen" } else { "" };
        table.row(class, &[baseline.name.clone(), does, costs, gain, baseline.note.clone()]);
    }
    table.finish()
}

/// What would have to change.
pub(super) fn changes(report: &Report) -> String {
    let mut table = Table::new(&[
        ("if", true),
        ("were", false),
        ("instead of", false),
        ("that is", false),
        ("then", true),
    ]);
    for change in &report.changes {
        let winner = format!("{} would be best", change.winner);
        let cells = [
            change.what.clone(),
            change.then.clone(),
            change.now.clone(),
            words::change(change.factor),
            winner,
        ];
        table.row("", &cells);
    }
    table.finish()
}

/// Boundaries and the tensors that cross them.
pub(super) fn boundaries(report: &Report) -> String {
    let mut table = Table::new(&[
        ("boundary", true),
        ("after node", true),
        ("nodes", false),
        ("work before", false),
        ("bytes", false),
        ("tensors", true),
    ]);
    for (index, place) in report.boundaries.iter().enumerate() {
        let tensors: Vec<String> = place
            .tensors
            .iter()
            .map(|tensor| {
                let bytes = tensor.bytes.map_or_else(|| "size unknown".into(), print::bytes);
                format!("{} {} ({bytes})", print::elide(&tensor.name, 60), tensor.form)
            })
            .collect();
        let class = if index == report.chosen().split { "chosen" } else { "" };
        table.row(
            class,
            &[
                format!("b{index}"),
                place.after.as_deref().map_or_else(|| "the inputs".into(), |name| print::elide(name, 60)),
                place.nodes.to_string(),
                format!("{:.1}%", place.work * 100.0),
                place.bytes.map_or_else(|| "unknown".into(), print::bytes),
                tensors.join("; "),
            ],
        );
    }
    table.finish()
}

/// Regions of the map by the share that they have.
pub(super) fn regions(report: &Report) -> String {
    let mut table = Table::new(&[("best choice", true), ("share of the map", false), ("", true)]);
    for (region, share) in report.map.regions.iter().zip(super::map::shares(&report.map)) {
        let kind = if region.is_baseline { "a baseline wins" } else { "cutting wins" };
        table.row("", &[region.name.clone(), format!("{:.1}%", share * 100.0), kind.into()]);
    }
    table.finish()
}

/// Devices, engines, and how far their times are to be believed.
pub(super) fn devices(report: &Report) -> String {
    let mut table = Table::new(&[
        ("device", true),
        ("host", true),
        ("processor", true),
        ("engine", true),
        ("threads", false),
        ("ranges", true),
        ("prediction error", true),
        ("power", true),
        ("taken", true),
    ]);
    for device in &report.devices {
        let error = device.error.map_or_else(
            || "not known".into(),
            |error| {
                let (median, p90) = (error.median * 100.0, error.p90 * 100.0);
                format!("median {median:.1}%, p90 {p90:.1}%, {} ranges left out in turn", error.ranges)
            },
        );
        table.row(
            "",
            &[
                device.role.clone(),
                print::elide(&device.host, 40),
                format!("{}, {} cores", print::elide(&device.cpu, 60), device.cores),
                print::elide(&device.engine, 60),
                device.threads.to_string(),
                format!("{} measured, {} predicted", device.timed, device.predicted),
                error,
                print::elide(&device.power, 100),
                device.taken.clone(),
            ],
        );
    }
    table.finish()
}
