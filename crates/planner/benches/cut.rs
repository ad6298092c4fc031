//! An exact cut, and a whole family: random graphs of 1,000 nodes, and real ones from a folder of
//! ONNX files (`KERF_MODELS`, else `KERF_DATA`), skipped where there is none.

#![allow(missing_docs, clippy::unwrap_used, reason = "a bench")]

use bytes::Bytes;
use criterion::{Criterion, criterion_group, criterion_main};
use kerf_graph::{Bindings, Model, NoExternalData};
use kerf_planner::cut::{Dag, Node, Price, Tensor};
use kerf_planner::family::{Aim, Nesting, Range, nest, sweep};
use std::collections::BTreeMap;
use std::hint::black_box;
use std::path::PathBuf;

/// An edge that does 5 GMAC/s and a cloud that is 20 times as fast.
const SECONDS_PER_MAC: f64 = 2e-10;
const SPEED_UP: f64 = 20.0;

fn benches(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("planner");
    group.sample_size(20);
    for (name, dag) in random().into_iter().chain(real()) {
        let size = format!("{name}, {} nodes", dag.nodes().len());
        let range = Range { to: 1e-3, max_cuts: 64, ..Range::whole(&dag, 0.5) };
        let proposals = sweep(&dag, range).unwrap();
        // The slowest of many prices, not one that is easy.
        let prices = proposals.all.iter().map(|proposal| proposal.from.max(1e-12));
        let prices = prices.chain((0..36).map(|step| 10f64.powf(f64::from(step) / 4.0 - 11.0)));
        let slowest = prices
            .max_by_key(|up| (0..3).map(|_| timed(|| drop(dag.min_cut(&range.price(*up)).unwrap()))).min());
        let price: Price = range.price(slowest.unwrap());
        group.bench_function(format!("cut: {size}, at its hardest price"), |bencher| {
            bencher.iter(|| black_box(&dag).min_cut(&price).unwrap());
        });
        group.bench_function(format!("family of 14: {size}"), |bencher| {
            bencher.iter(|| {
                let proposals = sweep(black_box(&dag), range).unwrap();
                nest(&dag, &proposals, Nesting { max: 14, aim: Aim::Worst }).unwrap()
            });
        });
        let family = nest(&dag, &proposals, Nesting { max: 14, aim: Aim::Worst }).unwrap();
        eprintln!(
            "{size}: {} proposals, complete {}, {} nested, regret {:.4} at worst, {:.4} in the mean",
            proposals.all.len(),
            proposals.is_complete,
            family.chain.len(),
            family.regret.worst,
            family.regret.mean,
        );
    }
    group.finish();
}

#[allow(clippy::disallowed_methods, reason = "a bench")]
fn timed(run: impl FnOnce()) -> std::time::Duration {
    let start = std::time::Instant::now();
    run();
    start.elapsed()
}

/// Chains with branches of many lengths, and graphs of many layers with wide fans.
fn random() -> Vec<(String, Dag)> {
    let mut state = 0x9e37_79b9_7f4a_7c15u64;
    let mut next = move || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state >> 11) as f64 / (1u64 << 53) as f64
    };
    let mut graph = |reach: usize, skips: usize| {
        let count = 1000;
        let nodes = (0..count).map(|_| {
            let seconds = next() * 1e-3;
            Node { edge: seconds, cloud: seconds / SPEED_UP * (0.5 + next()), pin: None }
        });
        let nodes: Vec<Node> = nodes.collect();
        let mut tensors: Vec<Tensor> = (0..count)
            .map(|node| Tensor {
                producer: Some(node),
                consumers: (node + 1 < count).then_some(node + 1).into_iter().collect(),
                bytes: (4e5 * next() / (1.0 + node as f64 / 100.0)).round(),
                is_output: node + 1 == count,
                must_stay: false,
            })
            .collect();
        for (index, tensor) in tensors.iter_mut().enumerate().take(count - 1) {
            for _ in 0..(next() * (skips + 1) as f64) as usize {
                let to = index + 1 + (next() * reach as f64) as usize;
                tensor.consumers.push(to.min(count - 1));
            }
        }
        tensors.push(Tensor { consumers: vec![0], bytes: 1.5e5, ..Tensor::default() });
        Dag::new(nodes, tensors).unwrap()
    };
    vec![
        ("random, short skips".to_owned(), graph(10, 2)),
        ("random, long skips".to_owned(), graph(300, 1)),
        ("random, dense".to_owned(), graph(60, 6)),
    ]
}

fn real() -> Vec<(String, Dag)> {
    let folder = std::env::var_os("KERF_MODELS").map(PathBuf::from);
    let folder = folder.or_else(|| Some(PathBuf::from(std::env::var_os("KERF_DATA")?).join("models")));
    let files = folder.iter().filter_map(|folder| std::fs::read_dir(folder).ok()).flatten().flatten();
    let mut files: Vec<PathBuf> = files.map(|file| file.path()).collect();
    files.retain(|file| file.extension().is_some_and(|of| of == "onnx"));
    files.sort();
    if files.is_empty() {
        eprintln!("skipped: no real models, neither KERF_MODELS nor KERF_DATA names a folder of them");
    }
    files
        .iter()
        .filter_map(|file| Some((file.file_stem()?.to_string_lossy().into_owned(), load(file)?)))
        .collect()
}

fn load(file: &PathBuf) -> Option<Dag> {
    let model = Model::load(Bytes::from(std::fs::read(file).ok()?), &NoExternalData).ok()?;
    let analysis = model.analyse(&Bindings::ones());
    let nodes = (0..model.nodes().len()).map(|node| {
        // Nodes without MACs pass over their output once.
        let cost = analysis.cost(node);
        let work = cost.macs as f64 + cost.output_bytes.unwrap_or(0) as f64;
        Node { edge: work * SECONDS_PER_MAC, cloud: work * SECONDS_PER_MAC / SPEED_UP, pin: None }
    });
    let mut tensors: BTreeMap<&str, Tensor> = BTreeMap::new();
    for input in model.inputs() {
        tensors.insert(&input.name, Tensor::default());
    }
    for (index, node) in model.nodes().iter().enumerate() {
        for value in node.reads() {
            // Weights are on both sides.
            if let Some(tensor) = tensors.get_mut(value) {
                tensor.consumers.push(index);
            }
        }
        for value in node.writes() {
            tensors.insert(value, Tensor { producer: Some(index), ..Tensor::default() });
        }
    }
    for output in model.outputs() {
        if let Some(tensor) = tensors.get_mut(output.name.as_str()) {
            tensor.is_output = true;
        }
    }
    let sized =
        |(name, tensor): (&str, Tensor)| Tensor { bytes: analysis.bytes(name).unwrap_or(0) as f64, ..tensor };
    Dag::new(nodes.collect(), tensors.into_iter().map(sized).collect()).ok()
}

criterion_group!(all, benches);
criterion_main!(all);
