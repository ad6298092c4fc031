//! The linear part of a fitted codec: channels to components, planes to cosine coefficients.
//!
//! Products of long rows are fast, so a cosine transform is two: over columns with the values of a
//! position next to each other, `[rows, width · K]`, then over rows, written component by component.

use super::Fitted;
use crate::gemm::{Layout, multiply};
use crate::grid::Plane;

/// `coefficients = cosine(forward · x + bias)`, `x = inverse · cosine⁻¹(coefficients) + mean`
#[derive(Debug)]
pub(super) struct Affine {
    channels: usize,
    components: usize,
    channel: Option<Channel>,
    cosine: Option<Cosine>,
}

#[derive(Debug)]
struct Channel {
    forward: Vec<f32>,
    bias: Vec<f32>,
    inverse: Vec<f32>,
    mean: Vec<f32>,
}

#[derive(Debug)]
struct Cosine {
    /// Rows and columns of a tile.
    tile: (usize, usize),
    /// A row for each frequency.
    over_rows: Vec<f32>,
    over_columns: Vec<f32>,
    gain: Vec<f32>,
}

impl Affine {
    pub(super) fn new(fitted: &Fitted) -> Self {
        let channel = fitted.transform.as_ref().map(|transform| {
            let dot = |row: &[f32]| -> f64 {
                row.iter().zip(&transform.mean).map(|(a, b)| f64::from(*a) * f64::from(*b)).sum()
            };
            Channel {
                bias: transform.forward.chunks_exact(fitted.channels).map(|row| -dot(row) as f32).collect(),
                forward: transform.forward.clone(),
                inverse: transform.inverse.clone(),
                mean: transform.mean.clone(),
            }
        });
        let cosine = fitted.spatial.as_ref().map(|spatial| Cosine {
            tile: (spatial.rows, spatial.columns),
            over_rows: cosines(spatial.rows),
            over_columns: cosines(spatial.columns),
            gain: spatial.gain.clone(),
        });
        Self { channels: fitted.channels, components: fitted.quantisers.len(), channel, cosine }
    }

    /// Rows and columns of the tiles that planes must be made of, if any.
    pub(super) fn tile(&self) -> Option<(usize, usize)> {
        self.cosine.as_ref().map(|cosine| cosine.tile)
    }

    /// Coefficients `[K, positions]` of values `[C, positions]`; `None`: they are the values.
    pub(super) fn forward(&self, values: &[f32], plane: Plane) -> Option<Vec<f32>> {
        let (c, k, positions) = (self.channels, self.components, plane.len);
        let Some(cosine) = &self.cosine else {
            let channel = self.channel.as_ref()?;
            let mut out = rows_of(&channel.bias, positions);
            let x = (values, Layout::row_major(c, positions));
            let y = Layout::row_major(k, positions);
            multiply((&channel.forward, Layout::row_major(k, c)), x, (&mut out, y));
            return Some(out);
        };
        let by_position = match &self.channel {
            None => transpose(values, c),
            Some(channel) => {
                let mut out = channel.bias.repeat(positions);
                let x = (values, Layout::row_major(c, positions).transposed());
                let forward = (&channel.forward[..], Layout::row_major(k, c).transposed());
                multiply(x, forward, (&mut out, Layout::row_major(positions, k)));
                out
            }
        };
        Some(cosine.forward(by_position, plane, k))
    }

    /// Values `[C, positions]` of coefficients `[K, positions]`.
    pub(super) fn inverse(&self, coefficients: Vec<f32>, plane: Plane) -> Vec<f32> {
        let (c, k, positions) = (self.channels, self.components, plane.len);
        let (y, of_y) = match &self.cosine {
            None => (coefficients, Layout::row_major(k, positions)),
            Some(cosine) => {
                let y = cosine.inverse(coefficients, plane, k);
                (y, Layout::row_major(positions, k).transposed())
            }
        };
        match &self.channel {
            None if self.cosine.is_some() => transpose(&y, positions),
            None => y,
            Some(channel) => {
                let mut out = rows_of(&channel.mean, positions);
                let inverse = (&channel.inverse[..], Layout::row_major(c, k));
                multiply(inverse, (&y, of_y), (&mut out, Layout::row_major(c, positions)));
                out
            }
        }
    }
}

impl Cosine {
    /// `[K, positions]` of `[positions, K]`
    fn forward(&self, mut values: Vec<f32>, plane: Plane, k: usize) -> Vec<f32> {
        let (rows, columns) = self.tile;
        let band = Layout::row_major(rows, plane.width * k);
        let over_rows = (&self.over_rows[..], Layout::row_major(rows, rows));
        let mut half = vec![0.0; values.len()];
        let bands = values.chunks_exact(band.rows * band.columns);
        for (from, to) in bands.zip(half.chunks_exact_mut(band.rows * band.columns)) {
            multiply(over_rows, (from, band), (to, band));
        }
        values.fill(0.0);
        let over_columns = (&self.over_columns[..], Layout::row_major(columns, columns));
        let to = Layout { rows: columns, columns: k, down: 1, right: plane.len };
        for start in (0..plane.len).step_by(columns) {
            let from = (&half[start * k..], Layout::row_major(columns, k));
            multiply(over_columns, from, (&mut values[start..], to));
        }
        let gain = self.gains(plane);
        for coefficients in values.chunks_exact_mut(plane.len) {
            coefficients.iter_mut().zip(&gain).for_each(|(value, gain)| *value *= gain);
        }
        values
    }

    /// `[positions, K]` of `[K, positions]`
    fn inverse(&self, mut values: Vec<f32>, plane: Plane, k: usize) -> Vec<f32> {
        let gain = self.gains(plane);
        for coefficients in values.chunks_exact_mut(plane.len) {
            coefficients.iter_mut().zip(&gain).for_each(|(value, gain)| *value /= gain);
        }
        let (rows, columns) = self.tile;
        let over_columns = (&self.over_columns[..], Layout::row_major(columns, columns).transposed());
        let from = Layout { rows: columns, columns: k, down: 1, right: plane.len };
        let mut half = vec![0.0; values.len()];
        for start in (0..plane.len).step_by(columns) {
            let to = (&mut half[start * k..], Layout::row_major(columns, k));
            multiply(over_columns, (&values[start..], from), to);
        }
        values.fill(0.0);
        let band = Layout::row_major(rows, plane.width * k);
        let over_rows = (&self.over_rows[..], Layout::row_major(rows, rows).transposed());
        let bands = half.chunks_exact(band.rows * band.columns);
        for (from, to) in bands.zip(values.chunks_exact_mut(band.rows * band.columns)) {
            multiply(over_rows, (from, band), (to, band));
        }
        values
    }

    /// A gain for each position of a plane.
    fn gains(&self, plane: Plane) -> Vec<f32> {
        on_plane(&self.gain, self.tile, plane)
    }
}

/// What a tile has at each position of a plane.
pub(super) fn on_plane<T: Copy>(of_tile: &[T], (rows, columns): (usize, usize), plane: Plane) -> Vec<T> {
    let place = |at: usize| at / plane.width % rows * columns + at % plane.width % columns;
    (0..plane.len).map(|at| of_tile[place(at)]).collect()
}

/// The orthonormal DCT-II of `size` values, a row for each frequency.
fn cosines(size: usize) -> Vec<f32> {
    let n = size as f64;
    let entry = |frequency: usize, at: usize| {
        let norm = if frequency == 0 { (1.0 / n).sqrt() } else { (2.0 / n).sqrt() };
        // Reduced beforehand: cosines of large angles differ between machines.
        let angle = (2 * at + 1) * frequency % (4 * size);
        (norm * (std::f64::consts::PI * angle as f64 / (2.0 * n)).cos()) as f32
    };
    (0..size).flat_map(|frequency| (0..size).map(move |at| entry(frequency, at))).collect()
}

/// Rows of `positions` values, all of a row alike.
fn rows_of(values: &[f32], positions: usize) -> Vec<f32> {
    let mut out = Vec::with_capacity(values.len() * positions);
    values.iter().for_each(|value| out.resize(out.len() + positions, *value));
    out
}

/// The transpose of a matrix of so many rows.
fn transpose(values: &[f32], rows: usize) -> Vec<f32> {
    let columns = values.len() / rows.max(1);
    let mut out = vec![0.0; values.len()];
    for (row, values) in values.chunks_exact(columns.max(1)).enumerate() {
        out[row..].iter_mut().step_by(rows).zip(values).for_each(|(to, from)| *to = *from);
    }
    out
}
