//! Activations as they are, nearly: per channel a scale (log-normal), and Gaussian or Laplacian
//! values that vary smoothly over the image, rectified or not; from one seed.

#![allow(clippy::unwrap_used, unreachable_pub, reason = "a benchmark's own steps")]

use bytes::Bytes;
use criterion::{BenchmarkId, Criterion, Throughput};
use kerf_codec::{Coder, Limits, Spec};
use kerf_tensor::{DType, Tensor};
use std::hint::black_box;

pub const SHAPES: [[usize; 4]; 3] = [[1, 160, 7, 7], [1, 64, 14, 14], [1, 32, 112, 112]];

/// A deterministic source of numbers.
struct Noise(u64);

impl Noise {
    /// In `0..1`
    fn uniform(&mut self) -> f32 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((mixed ^ (mixed >> 31)) >> 40) as f32 / (1 << 24) as f32
    }

    fn gaussian(&mut self) -> f32 {
        (0..12).map(|_| self.uniform()).sum::<f32>() - 6.0
    }

    fn laplacian(&mut self) -> f32 {
        let uniform = self.uniform() - 0.5;
        -uniform.signum() * (1.0 - 2.0 * uniform.abs()).max(1e-6).ln() * 0.7
    }
}

pub fn activations(shape: [usize; 4], rectified: bool) -> Tensor {
    let [_, channels, height, width] = shape;
    let mut noise = Noise(5);
    let mut values = Vec::with_capacity(channels * height * width);
    for channel in 0..channels {
        let scale = noise.gaussian().exp();
        let offset = noise.gaussian() - 0.5;
        let mut row = vec![0.0f32; width];
        for _ in 0..height {
            let mut left = 0.0;
            for above in &mut row {
                let fresh = if channel % 2 == 0 { noise.gaussian() } else { noise.laplacian() };
                let value = 0.4 * left + 0.4 * *above + 0.6 * fresh;
                (left, *above) = (value, value);
                let value = (value + offset) * scale;
                values.push(if rectified { value.max(0.0) } else { value });
            }
        }
    }
    Tensor::from_vec(&shape, values).unwrap()
}

pub fn both_ways(criterion: &mut Criterion, codec: &str, spec: &Spec, tensor: &Tensor) {
    let coder = coder(spec, tensor);
    let mut payload = Vec::new();
    coder.encode(tensor, &mut payload).unwrap();
    let bits = payload.len() as f64 * 8.0 / tensor.len() as f64;
    println!(
        "{} {codec}: {} of {} bytes, {bits:.3} bits/value",
        name(tensor),
        payload.len(),
        tensor.data().len()
    );
    let mut group = criterion.benchmark_group(codec);
    group.throughput(Throughput::Bytes(tensor.data().len() as u64));
    group.bench_function(BenchmarkId::new("encode", name(tensor)), |bencher| {
        bencher.iter(|| {
            payload.clear();
            coder.encode(black_box(tensor), &mut payload).unwrap();
        });
    });
    let payload = Bytes::from(payload.clone());
    group.bench_function(BenchmarkId::new("decode", name(tensor)), |bencher| {
        bencher.iter(|| coder.decode(black_box(&payload)).unwrap());
    });
}

pub fn coder(spec: &Spec, tensor: &Tensor) -> Coder {
    Coder::new(spec, DType::F32, tensor.shape(), Limits::default()).unwrap()
}

pub fn name(tensor: &Tensor) -> String {
    tensor.shape().iter().map(ToString::to_string).collect::<Vec<_>>().join("x")
}
