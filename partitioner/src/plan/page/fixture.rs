//! A report with made-up, plausible numbers: a network that shrinks as MobileNetV2 does, of any
//! number of nodes and boundaries.

use crate::plan::report::*;

/// A report on `nodes` nodes cut at `boundaries` places, for a link of `bps` and `rtt`.
pub(crate) fn report(nodes: usize, boundaries: usize, bps: f64, rtt: f64) -> Report {
    let last = boundaries - 1;
    let places: Vec<Place> = (0..boundaries).map(|index| place(index, last, nodes)).collect();
    let sizes: Vec<f64> = places.iter().map(|place| place.bytes.unwrap_or(0) as f64).collect();
    let work: Vec<f64> = places.iter().map(|place| place.work).collect();
    let mut choices = vec![choice(0, "picture", 30_000.0, &work, bps, rtt)];
    choices.extend((0..boundaries).map(|split| choice(split, "raw", sizes[split], &work, bps, rtt)));
    for (index, choice) in choices.iter_mut().enumerate() {
        choice.is_baseline = index < 2 || index == boundaries;
        choice.on_front = index % 3 == 0;
    }
    if boundaries > 4 {
        choices[3].breaks = vec!["p95 ≤ 100 ms".into()];
    }
    let chosen = best(&choices);
    let baseline = |name: &str, choice, note: &str| Baseline { name: name.into(), choice, note: note.into() };
    let graph = graph(nodes);
    let bars = |speed: f64| {
        let bar = |node: usize| {
            let name = graph.nodes[node].name.clone();
            Bar { first: node, end: node + 1, name, seconds: speed * (1.0 + (node * 7 % 13) as f64) }
        };
        (0..nodes).map(bar).collect::<Vec<_>>()
    };
    Report {
        model: Subject { name: "mobilenet".into(), digest: "3f".repeat(32), nodes, macs: 300_775_272 },
        asked: Asked {
            uplink_bps: bps,
            downlink_bps: bps,
            rtt_s: rtt,
            further: Vec::new(),
            objective: "latency".into(),
            limits: vec!["p95 ≤ 100 ms".into()],
        },
        devices: vec![device("edge", 120), device("cloud", 60)],
        baselines: vec![
            baseline("all on the edge", Some(choices.len() - 1), ""),
            baseline("compressed input, all in the cloud", Some(0), "JPEG as it came"),
            baseline("raw tensor, all in the cloud", Some(1), ""),
            baseline("per-layer chain planner", None, "no boundary of a single tensor is below the input"),
        ],
        changes: vec![Change {
            what: "uplink bandwidth".into(),
            now: "8 Mbps".into(),
            then: "14.6 Mbps".into(),
            factor: 1.83,
            winner: "picture → cloud".into(),
        }],
        map: map(&work, &sizes, last),
        layers: vec![
            Layers {
                role: "edge".into(),
                source: "the engine's own profiler, 20 runs".into(),
                bars: bars(2e-5),
            },
            Layers { role: "cloud".into(), source: "differences of timed ranges".into(), bars: bars(4e-6) },
        ],
        boundaries: places,
        choices,
        chosen,
        graph,
        notes: vec!["Times are of an idle machine.".into()],
    }
}

fn best(choices: &[Choice]) -> usize {
    let open = (0..choices.len()).filter(|index| choices[*index].breaks.is_empty());
    open.min_by(|a, b| choices[*a].objective.total_cmp(&choices[*b].objective)).unwrap()
}

fn place(index: usize, last: usize, nodes: usize) -> Place {
    let share = index as f64 / last as f64;
    let bytes = match index {
        0 => 602_112.0,
        _ if index == last => 400.0,
        _ => 900_000.0 * (-7.0 * share).exp() * (1.0 + 0.4 * (index % 3) as f64),
    };
    let tensor = |name: String, bytes: f64| Crossing {
        name,
        form: format!("f32[1, {}, 14, 14]", (bytes / 784.0) as u64),
        bytes: Some(bytes as u64),
    };
    let tensors = if index % 4 == 3 && index != last {
        vec![tensor(format!("out_{index}a"), bytes / 2.0), tensor(format!("out_{index}b"), bytes / 2.0)]
    } else {
        vec![tensor(format!("out_{index}"), bytes)]
    };
    Place {
        after: (index > 0).then(|| format!("Conv_{index}")),
        nodes: (share * nodes as f64).round() as usize,
        work: share.powf(0.9),
        tensors,
        bytes: Some(bytes as u64),
    }
}

fn choice(split: usize, payload: &str, bytes: f64, work: &[f64], bps: f64, rtt: f64) -> Choice {
    let last = work.len() - 1;
    let (edge, cloud, link) = (0.148, 0.011, 8.0 / bps);
    let name = match (split, payload) {
        (0, "picture") => "picture → cloud".into(),
        (0, _) => "raw tensor → cloud".into(),
        (split, _) if split == last => "all on the edge".into(),
        _ => format!("b{split}"),
    };
    let part = |stage, seconds| Part { stage, seconds };
    let mut parts = vec![part(Stage::Edge, edge * work[split])];
    let stays = split == last;
    if !stays {
        parts.extend([
            part(Stage::Encode, 2e-4 + bytes * 3e-10),
            part(Stage::Up, rtt / 2.0 + bytes * link),
            part(Stage::Queue, 5e-4),
            part(Stage::Decode, if payload == "picture" { 4e-3 } else { 3e-4 }),
            part(Stage::Cloud, cloud * (1.0 - work[split])),
            part(Stage::Down, rtt / 2.0 + 400.0 * link),
        ]);
    }
    let mean: f64 = parts.iter().map(|part| part.seconds).sum();
    Choice {
        name,
        split,
        route: vec![Leg { device: 0, from: 0, to: split }, Leg { device: 1, from: split, to: last }],
        payload: payload.into(),
        parts,
        p50_s: mean * 0.98,
        p95_s: mean * 1.2,
        bytes_up: if stays { 0.0 } else { bytes },
        bytes_down: if stays { 0.0 } else { 4_000.0 },
        joules: Some(0.006 + 4.0 * edge * work[split] + if stays { 0.0 } else { 0.02 + bytes * 2e-7 }),
        money: None,
        agreement: 1.0,
        objective: mean,
        timed: split.is_multiple_of(2),
        on_front: false,
        is_baseline: false,
        breaks: Vec::new(),
    }
}

fn device(role: &str, timed: usize) -> Device {
    Device {
        role: role.into(),
        host: format!("{role}-1"),
        cpu: "Cortex-A76".into(),
        cores: 4,
        engine: "ort 1.31.1".into(),
        threads: 2,
        taken: "2026-01-31T12:00:00Z".into(),
        timed,
        predicted: 120 - timed,
        error: Some(PredictionError { ranges: 80, median: 0.031, p90: 0.084 }),
        power: "modelled: 2 W idle, 6 W busy".into(),
    }
}

fn map(work: &[f64], sizes: &[f64], last: usize) -> Map {
    let steps = |low: f64, high: f64, count: usize| -> Vec<f64> {
        (0..count).map(|index| low * (high / low).powf(index as f64 / (count - 1) as f64)).collect()
    };
    let (bandwidths, rtts) = (steps(1e5, 1e9, 73), steps(1e-3, 1.0, 41));
    let mut regions: Vec<Region> = Vec::new();
    let mut cells = Vec::new();
    for rtt in &rtts {
        for bps in &bandwidths {
            let mut choices = vec![choice(0, "picture", 30_000.0, work, *bps, *rtt)];
            choices.extend((0..=last).map(|split| choice(split, "raw", sizes[split], work, *bps, *rtt)));
            let index = best(&choices);
            let choice = &choices[index];
            let place = regions.iter().position(|region| region.name == choice.name).unwrap_or_else(|| {
                let is_baseline = index < 2 || choice.split == last;
                regions.push(Region { name: choice.name.clone(), split: choice.split, is_baseline });
                regions.len() - 1
            });
            cells.push(Some(place));
        }
    }
    let chain_agrees = vec![false; cells.len()];
    Map { bandwidths, rtts, regions, cells, chain_agrees }
}

fn graph(nodes: usize) -> Graph {
    const OPS: [&str; 5] = ["Conv", "Clip", "Conv", "BatchNormalization", "Add"];
    let node = |index: usize| Node {
        name: format!("features.{}.conv.{}", index / 5, index % 5),
        op: OPS[index % 5].into(),
        form: format!("f32[1, {}, 14, 14]", 16 + index),
        bytes: Some((16 + index as u64) * 784),
    };
    let wire =
        |from: Option<usize>, to: usize| Wire { from, to, tensor: format!("t{to}"), bytes: Some(75_264) };
    let mut wires = vec![wire(None, 0)];
    wires.extend((1..nodes).map(|to| wire(Some(to - 1), to)));
    wires.extend((1..nodes / 10).map(|block| wire(Some(block * 10 - 6), block * 10 + 4)));
    wires.extend((1..nodes / 60).map(|block| wire(Some(block * 60 - 50), (block * 60 + 55).min(nodes - 1))));
    Graph { nodes: (0..nodes).map(node).collect(), wires }
}
