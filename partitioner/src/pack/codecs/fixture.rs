//! A report with made-up, plausible numbers.

use super::report::*;
use kerf_agreement::{Interval, Share};

/// `boundaries` places that shrink, with eight codecs each.
pub(crate) fn report(boundaries: usize) -> Report {
    let places: Vec<Place> = (0..boundaries).map(|index| place(index, boundaries)).collect();
    Report {
        model: "mobilenet".into(),
        criterion: "top-1".into(),
        why: Some("output has scores by class".into()),
        inputs: "250 pictures, the held-out half of photos".into(),
        confidence: 0.95,
        accuracy: Some(Share { same: 186, of: 250 }),
        references: vec![Reference { name: "JPEG as it came".into(), bytes: 16_000.0 }],
        chosen: vec![(boundaries / 2, 6), (boundaries - 1, 5)],
        places,
        choices: vec![Choice {
            boundary: 1,
            codecs: vec!["k1.5".into(), "k0.8".into()],
            bytes: 3_100.0,
            raw: 50_176.0,
            eight_bit: Some(7_800.0),
            agreement: Share { same: 498, of: 500 },
            accuracy: None,
        }],
        notes: vec!["Ranges were fitted on the calibration half, 250 pictures.".into()],
    }
}

fn place(index: usize, boundaries: usize) -> Place {
    let side = 112 >> (index * 4 / boundaries.max(1));
    let channels = 16 * (1 + index);
    let raw = (channels * side * side * 4) as f64;
    let eight_bit = raw / 6.5;
    let codecs = [
        ("raw", 1.0, 250),
        ("f16", 2.0, 250),
        ("int8 + zstd", 6.5, 250),
        ("int4", 9.0, 247),
        ("int2", 17.0, 190),
        ("k1.5", 14.0, 249),
        ("k0.8", 26.0, 248),
        ("k0.4", 41.0, 238),
    ];
    let tried = codecs.map(|(name, by, same)| Tried {
        name: name.into(),
        mean: raw / by,
        p90: raw / by * 1.15,
        encode: raw / 2e9,
        decode: raw / 1.5e9,
        agreement: Share { same: same - (boundaries - index) as u64 % 3, of: 250 },
        distance: Some(1e-3 * by),
        accuracy: Some(Change {
            by: -0.0004 * by,
            within: Interval { low: -0.0004 * by - 0.012, high: 0.011 - 0.0004 * by },
        }),
        kept: ["f16", "k1.5", "k0.8", "k0.4"].contains(&name),
    });
    Place {
        boundary: index,
        tensors: vec![format!("relu_{index}: f32[1, {channels}, {side}, {side}]")],
        raw,
        eight_bit: Some(eight_bit),
        tried: tried.into(),
    }
}
