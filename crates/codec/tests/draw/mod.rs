//! Fitted codecs and activations, drawn from a seed.

#![allow(clippy::unwrap_used, reason = "tests")]

use kerf_codec::{Contexts, Entropy, Fitted, Quantiser, Spatial, Table, Tables, Transform};
use std::sync::Arc;

/// A deterministic source of numbers.
pub(crate) struct Draw(pub(crate) u64);

impl Draw {
    pub(crate) fn bits(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    pub(crate) fn below(&mut self, bound: usize) -> usize {
        (self.bits() >> 33) as usize % bound
    }

    /// In `-1..1`
    pub(crate) fn signed(&mut self) -> f32 {
        (self.bits() >> 40) as f32 / (1 << 23) as f32 - 1.0
    }

    pub(crate) fn bell(&mut self) -> f32 {
        (0..6).map(|_| self.signed()).sum::<f32>() / 1.4
    }
}

/// An orthogonal matrix, `[size, size]`: a product of reflections.
fn rotation(draw: &mut Draw, size: usize) -> Vec<f32> {
    let mut matrix: Vec<f64> =
        (0..size * size).map(|at| f64::from(u8::from(at / size == at % size))).collect();
    for _ in 0..3 {
        let mirror: Vec<f64> = (0..size).map(|_| f64::from(draw.bell()) + 1e-3).collect();
        let norm: f64 = mirror.iter().map(|v| v * v).sum();
        for row in matrix.chunks_exact_mut(size) {
            let along: f64 = row.iter().zip(&mirror).map(|(a, b)| a * b).sum::<f64>() * 2.0 / norm;
            row.iter_mut().zip(&mirror).for_each(|(a, b)| *a -= along * b);
        }
    }
    matrix.into_iter().map(|value| value as f32).collect()
}

pub(crate) struct Kind {
    pub(crate) transform: bool,
    /// Rows and columns of a tile.
    pub(crate) tile: Option<(usize, usize)>,
    pub(crate) contexts: Option<Contexts>,
}

/// A codec whose symbols reach far enough for values of a few units.
pub(crate) fn fitted(draw: &mut Draw, axis: u8, channels: usize, step: f32, kind: &Kind) -> Fitted {
    let transform = kind.transform.then(|| {
        let forward = rotation(draw, channels);
        let inverse =
            (0..channels * channels).map(|at| forward[at % channels * channels + at / channels]).collect();
        Arc::new(Transform { mean: (0..channels).map(|_| draw.signed()).collect(), forward, inverse })
    });
    let spatial = kind.tile.map(|(rows, columns)| Spatial { rows, columns, gain: vec![1.0; rows * columns] });
    let quantiser = Quantiser { step, offset: 0.0, min: i16::MIN, max: i16::MAX, rounding: 0.5, shrink: 0.0 };
    let entropy = match kind.contexts {
        None => Entropy::Packed,
        Some(contexts) => {
            Entropy::Coded(tables(draw, channels, kind.tile.map_or(0, |(r, c)| r * c), contexts))
        }
    };
    Fitted { axis, channels, transform, spatial, quantisers: vec![quantiser; channels], entropy }
}

pub(crate) fn tables(draw: &mut Draw, components: usize, tile: usize, contexts: Contexts) -> Tables {
    let levels = 5;
    let mut level = |count| (0..count).map(|_| draw.below(12) as i8 - 2).collect();
    Tables {
        level_of_component: level(components),
        level_of_position: level(tile),
        levels,
        contexts,
        map: (0..usize::from(levels) * contexts.count()).map(|_| draw.below(3) as u8).collect(),
        tables: [(0, 2.0), (0, 9.0), (3, 20.0)]
            .map(|(shift, spread): (u8, f64)| {
                let counts: Vec<u64> =
                    (-60..=60).map(|at: i32| (1e6 * (-f64::from(at.abs()) / spread).exp()) as u64).collect();
                Table::fit(shift, -60, &counts)
            })
            .to_vec(),
    }
}
