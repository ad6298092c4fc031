//! Encoding and decoding of activations, per byte of f32 input: `cargo bench -p kerf-codec`.
//!
//! Beside the codecs: zstd level 1 and
//! LZ4 over 8-bit codes, as one would use them without this crate.

#![allow(clippy::unwrap_used, missing_docs, reason = "a benchmark's own steps")]

mod activations;

use activations::{SHAPES, activations, both_ways, coder, name};
use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use kerf_codec::{
    Bits, BuiltIn, Contexts, Entropy, Fitted, Per, Quantiser, Spatial, Table, Tables, Transform,
};
use kerf_tensor::Tensor;
use std::sync::Arc;

fn built_in(criterion: &mut Criterion) {
    let int = |bits, per| BuiltIn::Int { bits, per };
    for shape in SHAPES {
        let tensor = activations(shape, true);
        for codec in [
            BuiltIn::F16,
            BuiltIn::Lossless,
            int(Bits::B8, Per::Tensor),
            int(Bits::B8, Per::Channel),
            int(Bits::B6, Per::Channel),
            int(Bits::B4, Per::Channel),
            int(Bits::B3, Per::Channel),
            int(Bits::B2, Per::Channel),
            BuiltIn::IntZstd { bits: Bits::B8, per: Per::Channel },
        ] {
            both_ways(criterion, &codec.to_string(), &codec.into(), &tensor);
        }
        beside(criterion, &tensor);
    }
}

/// General compressors over the codes of `int8c`.
fn beside(criterion: &mut Criterion, tensor: &Tensor) {
    let coder = coder(&BuiltIn::Int { bits: Bits::B8, per: Per::Channel }.into(), tensor);
    let mut codes = Vec::new();
    coder.encode(tensor, &mut codes).unwrap();
    let zstd = zstd::bulk::compress(&codes, 1).unwrap();
    let lz4 = lz4_flex::block::compress(&codes);
    println!("{}: int8c {}, zstd {}, lz4 {} bytes", name(tensor), codes.len(), zstd.len(), lz4.len());
    let mut group = criterion.benchmark_group("codes of int8c, compressed alone");
    group.throughput(Throughput::Bytes(tensor.data().len() as u64));
    let id = |what: &str| BenchmarkId::new(what, name(tensor));
    group.bench_function(id("zstd compress"), |bencher| bencher.iter(|| zstd::bulk::compress(&codes, 1)));
    group.bench_function(id("zstd decompress"), |bencher| {
        bencher.iter(|| zstd::bulk::decompress(&zstd, codes.len()));
    });
    group.bench_function(id("lz4 compress"), |bencher| bencher.iter(|| lz4_flex::block::compress(&codes)));
    group.bench_function(id("lz4 decompress"), |bencher| {
        bencher.iter(|| lz4_flex::block::decompress(&lz4, codes.len()));
    });
}

fn fitted(criterion: &mut Criterion) {
    for shape in SHAPES {
        for (what, rectified, transform, contexts) in [
            ("relu, neighbours", true, false, Contexts::Neighbours),
            ("relu, one context", true, false, Contexts::One),
            ("transforms, one context", false, true, Contexts::One),
        ] {
            let tensor = activations(shape, rectified);
            let fitted = fit(&tensor, transform, contexts);
            report(&fitted, &tensor);
            both_ways(criterion, what, &fitted.into(), &tensor);
        }
    }
}

/// How far the payload is from the entropy of its symbols.
fn report(fitted: &Fitted, tensor: &Tensor) {
    let coder = coder(&fitted.clone().into(), tensor);
    let mut payload = Vec::new();
    coder.encode(tensor, &mut payload).unwrap();
    let Entropy::Coded(tables) = &fitted.entropy else { return };
    let counts = counts(&coder.symbols(tensor).unwrap(), tables.map.len());
    let (mut ideal, mut entropy) = (0.0, 0.0);
    for (counts, place) in counts.iter().zip(&tables.map) {
        let total: u64 = counts.iter().sum();
        for (at, count) in counts.iter().enumerate().filter(|(_, count)| **count > 0) {
            let table = &tables.tables[usize::from(*place)];
            ideal += *count as f64 * table.cost((at as i32 - 32_768) as i16) / 8.0;
            entropy += *count as f64 * (total as f64 / *count as f64).log2() / 8.0;
        }
    }
    let bytes = payload.len();
    println!("{}: {bytes} bytes, {ideal:.0} by the tables, {entropy:.0} of entropy", name(tensor));
}

/// Steps of a quarter of the spread, tables fitted to the tensor itself.
fn fit(tensor: &Tensor, transformed: bool, contexts: Contexts) -> Fitted {
    let [channels, rows, columns] = tensor.shape()[1..] else { panic!("an image") };
    let tile = (rows.min(14), columns.min(14));
    let transform = transformed.then(|| {
        let forward = cosines(channels);
        let inverse =
            (0..forward.len()).map(|at| forward[at % channels * channels + at / channels]).collect();
        Arc::new(Transform { mean: vec![0.0; channels], forward, inverse })
    });
    let spatial =
        transformed.then(|| Spatial { rows: tile.0, columns: tile.1, gain: vec![1.0; tile.0 * tile.1] });
    let values = tensor.elements::<f32>().unwrap();
    let rms = |values: &[f32]| (values.iter().map(|v| v * v).sum::<f32>() / values.len() as f32).sqrt();
    let all = rms(&values);
    let steps = values.chunks_exact(rows * columns).map(|channel| rms(channel).max(1e-3) / 4.0);
    let quantiser =
        Quantiser { step: 1.0, offset: 0.0, min: -32_767, max: 32_767, rounding: 0.42, shrink: 0.05 };
    let quantisers =
        steps.map(|step| Quantiser { step: if transformed { all / 4.0 } else { step }, ..quantiser });
    let map = (0..contexts.count() as u8).collect();
    let draft = Tables {
        level_of_component: vec![0; channels],
        level_of_position: vec![0; if transformed { tile.0 * tile.1 } else { 0 }],
        levels: 1,
        contexts,
        map,
        tables: vec![Table::fit(0, 0, &[1]); contexts.count()],
    };
    let mut fitted = Fitted {
        axis: 1,
        channels,
        transform,
        spatial,
        quantisers: quantisers.collect(),
        entropy: Entropy::Coded(draft.clone()),
    };
    let blocks = coder(&fitted.clone().into(), tensor).symbols(tensor).unwrap();
    // Levels by component, as its symbols are: half octaves.
    let mut tables = draft;
    let mut sums = vec![(0u64, 0u64); channels];
    for block in &blocks {
        let positions = block.symbols.len() / channels;
        for (at, symbol) in block.symbols.iter().enumerate() {
            let (sum, count) = &mut sums[at / positions];
            (*sum, *count) = (*sum + u64::from(symbol.unsigned_abs()), *count + 1);
        }
    }
    tables.level_of_component = sums
        .iter()
        .map(|(sum, count)| (4.0 * (*sum as f64 / *count as f64 + 0.01).log2() + 28.0).clamp(0.0, 60.0) as i8)
        .collect();
    tables.levels = 31;
    tables.map = (0..31 * contexts.count()).map(|at| at as u8).collect();
    tables.tables = vec![Table::fit(0, 0, &[1]); tables.map.len()];
    fitted.entropy = Entropy::Coded(tables.clone());
    let blocks = coder(&fitted.clone().into(), tensor).symbols(tensor).unwrap();
    tables.tables =
        counts(&blocks, tables.map.len()).iter().map(|counts| Table::fit(0, i16::MIN, counts)).collect();
    fitted.entropy = Entropy::Coded(tables);
    fitted
}

/// By place, how often each symbol occurs.
fn counts(blocks: &[kerf_codec::Symbols], places: usize) -> Vec<Vec<u64>> {
    let mut counts = vec![vec![0; 65_536]; places];
    for block in blocks {
        for (symbol, place) in block.symbols.iter().zip(&block.places) {
            let Some(place) = place else { continue };
            counts[usize::from(*place)][(i32::from(*symbol) + 32_768) as usize] += 1;
        }
    }
    counts
}

/// Some orthonormal matrix.
fn cosines(size: usize) -> Vec<f32> {
    let n = size as f32;
    let norm = |row: usize| if row == 0 { (1.0 / n).sqrt() } else { (2.0 / n).sqrt() };
    let entry =
        |row: usize, at: usize| norm(row) * (std::f32::consts::PI * (at as f32 + 0.5) * row as f32 / n).cos();
    (0..size * size).map(|at| entry(at / size, at % size)).collect()
}

criterion_group! {
    name = benches;
    config = Criterion::default()
        .warm_up_time(std::time::Duration::from_millis(300))
        .measurement_time(std::time::Duration::from_secs(1))
        .sample_size(30);
    targets = built_in, fitted
}
criterion_main!(benches);
