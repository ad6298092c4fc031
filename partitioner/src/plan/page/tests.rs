use super::*;
use crate::plan::report::{Map, Stage};

fn check(report: &Report) -> String {
    let page = render(report);
    crate::page::check::page(&page);
    page
}

#[test]
fn small_and_large_models_make_whole_pages() {
    for (nodes, boundaries) in [(1, 2), (8, 2), (60, 16), (1150, 32)] {
        let report = fixture::report(nodes, boundaries, 1.2e6, 0.02);
        let page = check(&report);
        assert_eq!(page, render(&report), "the same report makes the same page");
        for index in 0..boundaries {
            assert!(page.contains(&format!(">b{index}")), "b{index}");
        }
    }
}

#[test]
fn names_are_not_believed() {
    let hostile = "</title><script>alert(1)</script>\"'&\u{202e}\u{0}]]>";
    let mut report = fixture::report(30, 5, 1e6, 0.02);
    report.model.name = hostile.into();
    for node in &mut report.graph.nodes {
        (node.name, node.op, node.form) = (hostile.into(), hostile.into(), hostile.into());
    }
    report.graph.wires.iter_mut().for_each(|wire| wire.tensor = hostile.into());
    for place in &mut report.boundaries {
        place.after = Some(hostile.into());
        for tensor in &mut place.tensors {
            (tensor.name, tensor.form) = (hostile.into(), hostile.into());
        }
    }
    for device in &mut report.devices {
        for text in
            [&mut device.host, &mut device.cpu, &mut device.engine, &mut device.power, &mut device.taken]
        {
            *text = hostile.into();
        }
    }
    report.layers.iter_mut().flat_map(|layers| &mut layers.bars).for_each(|bar| bar.name = hostile.into());
    report.notes.push(hostile.into());
    let page = check(&report);
    assert!(!page.contains('\u{202e}') && !page.contains('\u{0}'));
}

#[test]
fn what_is_not_known_leaves_a_page() {
    let mut report = fixture::report(12, 4, 1e6, 0.02);
    report.choices.iter_mut().for_each(|choice| choice.joules = None);
    report.boundaries.iter_mut().for_each(|place| place.bytes = None);
    report.baselines.iter_mut().for_each(|baseline| baseline.choice = None);
    report.devices.iter_mut().for_each(|device| device.error = None);
    report.graph.nodes.iter_mut().for_each(|node| node.bytes = None);
    (report.changes, report.layers) = (Vec::new(), Vec::new());
    report.map = Map::default();
    let page = check(&report);
    assert!(page.contains("No baseline keeps the limits"));
}

#[test]
fn times_of_nothing_are_drawn() {
    let mut report = fixture::report(12, 4, 1e6, 0.02);
    for choice in &mut report.choices {
        choice.parts.iter_mut().for_each(|part| part.seconds = 0.0);
        (choice.p50_s, choice.p95_s, choice.objective, choice.joules) = (0.0, 0.0, 0.0, Some(0.0));
        choice.bytes_up = 0.0;
    }
    report.layers.iter_mut().flat_map(|layers| &mut layers.bars).for_each(|bar| bar.seconds = 0.0);
    check(&report);
}

#[test]
fn baselines_are_labelled_where_they_win() {
    let page = check(&fixture::report(100, 16, 1e6, 0.02));
    for text in ["all on the edge (baseline)", "picture → cloud (baseline)", "a baseline wins"] {
        assert!(page.contains(text), "{text}");
    }
    assert!(page.contains("url(#dots)") && page.contains("r-cloud-over") && page.contains("r-edge-over"));
}

#[test]
fn broken_limits_are_hatched_and_told() {
    let report = fixture::report(100, 16, 1e6, 0.02);
    let page = check(&report);
    assert_eq!(page.matches("class=\"hatch\"").count(), 1);
    assert!(page.contains("✕ p95 ≤ 100 ms") && page.contains("A hatched bar breaks a limit."));
}

#[test]
fn stages_that_nobody_waits_for_are_not_in_the_legend() {
    let stages = stack::stages(&fixture::report(100, 16, 1e6, 0.02));
    assert!(stages.contains(&Stage::Edge) && !stages.contains(&Stage::Middle));
}
