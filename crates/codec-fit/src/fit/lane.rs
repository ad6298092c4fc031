//! One tensor's samples as coefficients, and their quantisation.

use crate::basis::Basis;
use crate::cosine::Cosine;
use crate::moments::Moments;
use crate::tables::{self, Coded, Symbols};
use crate::{Samples, Sensitivity};
use kerf_codec::{Entropy, Fitted, Quantiser, Spatial, Transform};
use nalgebra::DMatrix;
use std::sync::Arc;

/// A little less than half: a small dead zone around 0 saves more than it costs.
const ROUNDING: f32 = 0.46;

/// Largest rows and columns of a plane whose frequencies are coded.
const LARGEST: usize = 64;

/// Share of zeros from which on a channel is taken as one that was rectified.
const SPARSE: f64 = 0.1;

/// A tensor's samples in units in which one step size serves all components.
#[derive(Debug)]
pub(super) struct Lane {
    axis: u8,
    channels: usize,
    transform: Option<Lines>,
    spatial: Option<Spatial>,
    /// By component; of channels that are coded as they are.
    offsets: Vec<f32>,
    /// Coefficients are multiplied with this before the common step applies.
    scale: f64,
    planes: Vec<Plane>,
    /// By component, and position where planes are transformed.
    variances: Vec<f64>,
    /// Values per sample and variance, on average.
    share: f64,
}

/// Rows of a [`Transform`], to be cut after any number of components.
#[derive(Debug)]
struct Lines {
    mean: Vec<f32>,
    basis: Basis,
}

#[derive(Debug)]
struct Plane {
    width: usize,
    /// `[K, height, width]`
    coefficients: Vec<f32>,
}

impl Lane {
    /// `unit` is what sensitivities are divided by.
    pub(super) fn new(
        samples: &Samples,
        sensitivity: Option<&Sensitivity>,
        unit: f64,
        transformed: bool,
    ) -> Self {
        let channels = samples.channels();
        let moments = Moments::new(samples);
        let sensitivity = sensitivity.filter(|sensitivity| sensitivity.channels.nrows() == channels);
        let weights = sensitivity.map(|sensitivity| &sensitivity.channels / unit);
        let basis = if transformed { Basis::new(&moments, weights.as_ref()) } else { None };
        let scale = match (&basis, sensitivity) {
            (None, Some(sensitivity)) => (sensitivity.mean() / unit).sqrt(),
            _ => 1.0,
        };
        let spatial =
            samples.plane().filter(|_| transformed).and_then(|plane| spatial(plane, channels, sensitivity));
        let offsets = match &basis {
            Some(_) => vec![0.0; channels],
            None => offsets(samples, &moments),
        };
        let mean: Vec<f32> = moments.mean.iter().map(|mean| *mean as f32).collect();
        let transform = basis.map(|basis| Lines { mean, basis });
        let planes = planes(samples, transform.as_ref(), &offsets, spatial.as_ref());
        let (variances, share) = variances(&planes, channels, spatial.is_some());
        let axis = samples.axis();
        Self { axis, channels, transform, spatial, offsets, scale, planes, variances, share }
    }

    /// Takes the tensor's own spread as the unit of the common step.
    pub(super) fn level(&mut self) {
        let mean = self.variances.iter().sum::<f64>() / self.variances.len().max(1) as f64;
        if mean > 0.0 {
            self.scale = mean.sqrt().recip();
        }
    }

    /// Values per sample.
    pub(super) fn values(&self) -> f64 {
        self.share * self.variances.len() as f64
    }

    /// Bits per sample at a step size, roughly: at high rates those of Laplacian coefficients.
    pub(super) fn rate(&self, step: f64) -> f64 {
        let step = step / self.scale;
        let bits = |variance: &f64| 0.5 * (1.0 + 15.0 * variance / (step * step)).log2();
        self.share * self.variances.iter().map(bits).sum::<f64>()
    }

    /// The codec with this step, and its bits per sample; `None` where its numbers are beyond what
    /// a codec takes.
    pub(super) fn quantised(&self, step: f64) -> Option<(Fitted, f64)> {
        let largest =
            self.planes.iter().flat_map(|plane| &plane.coefficients).fold(0.0f32, |a, b| a.max(b.abs()));
        // So that symbols of twice the largest coefficient are still told apart.
        let step = ((step / self.scale) as f32).max(largest / 16_000.0).max(f32::MIN_POSITIVE);
        let rows = |plane: &Plane| plane.coefficients.len() / self.channels;
        let magnitude = |value: f32| (value.abs() / step + ROUNDING).floor();
        let mut peaks = vec![0.0f32; self.channels];
        let mut energy = Energy::default();
        for plane in &self.planes {
            let rows = plane.coefficients.chunks_exact(rows(plane));
            for (row, peak) in rows.zip(&mut peaks) {
                for value in row {
                    let symbol = magnitude(*value);
                    *peak = peak.max(symbol);
                    energy.add(value / step, symbol);
                }
            }
        }
        let kept = match &self.transform {
            None => self.channels,
            Some(_) => self.kept(&peaks),
        };
        let shrink = energy.shrink();
        let quantiser = |(component, peak): (usize, &f32)| {
            // Far out, for with few samples some components are larger elsewhere than they ever were
            // here; an escaped symbol costs bits, a clipped one the answer.
            let most = if *peak == 0.0 { 0 } else { (64.0 * peak).min(32_767.0) as i16 };
            Quantiser {
                step,
                offset: self.offsets[component],
                min: -most,
                max: most,
                rounding: ROUNDING,
                shrink,
            }
        };
        let quantisers: Vec<Quantiser> = peaks[..kept].iter().enumerate().map(quantiser).collect();
        let symbol = |value: &f32| magnitude(*value).copysign(*value) as i16;
        let coded = |plane: &Plane| Coded {
            width: plane.width,
            symbols: plane.coefficients[..kept * rows(plane)].iter().map(symbol).collect(),
        };
        let symbols = Symbols {
            components: kept,
            plane: self.spatial.as_ref().map(|spatial| spatial.gain.len()),
            samples: self.planes.iter().map(coded).collect(),
        };
        let (tables, bits) = tables::fit(&symbols);
        let fitted = Fitted {
            axis: self.axis,
            channels: self.channels,
            transform: self.transform.as_ref().map(|lines| Arc::new(lines.transform(kept))),
            spatial: self.spatial.clone(),
            quantisers,
            entropy: Entropy::Coded(tables),
        };
        fitted.validate().is_ok().then_some((fitted, bits))
    }

    /// Components sorted by variance: those at the end that never leave 0 are left out, by the
    /// quarter, for a book holds equal transforms once.
    fn kept(&self, peaks: &[f32]) -> usize {
        let used = peaks.iter().rposition(|peak| *peak > 0.0).map_or(1, |last| last + 1);
        used.next_multiple_of(self.channels.div_ceil(4)).min(self.channels)
    }
}

impl Lines {
    fn transform(&self, kept: usize) -> Transform {
        let floats = |matrix: DMatrix<f64>| matrix.iter().map(|value| *value as f32).collect();
        let Basis { forward, inverse } = &self.basis;
        Transform {
            mean: self.mean.clone(),
            // Row-major is column-major of the transpose.
            forward: floats(forward.rows(0, kept).transpose()),
            inverse: floats(inverse.columns(0, kept).transpose()),
        }
    }
}

/// Energies before and after quantisation, in steps.
#[derive(Default)]
struct Energy {
    before: f64,
    /// Number, sum and sum of squares of magnitudes that are not 0.
    count: f64,
    sum: f64,
    squares: f64,
}

impl Energy {
    fn add(&mut self, value: f32, magnitude: f32) {
        self.before += f64::from(value).powi(2);
        self.count += f64::from(u8::from(magnitude > 0.0));
        self.sum += f64::from(magnitude);
        self.squares += f64::from(magnitude).powi(2);
    }

    /// How far towards 0 symbols must be decoded for as much energy as there was.
    ///
    /// The smallest error would take decoding to the mean of what a symbol stands for, and less
    /// energy: but means over positions behind a rectifier grow with it, so a model takes less of
    /// it for a weaker answer. Measured, divergence from the whole model's answers is up to 4 times
    /// smaller this way, and never clearly larger.
    fn shrink(&self) -> f32 {
        if self.count == 0.0 {
            return 0.0;
        }
        let inside = (self.sum * self.sum - self.count * (self.squares - self.before)).max(0.0);
        ((self.sum - inside.sqrt()) / self.count).clamp(-0.3, 0.3) as f32
    }
}

/// The cosine transform of a plane, where that is worth it and not too large.
fn spatial(
    (rows, columns): (usize, usize),
    channels: usize,
    sensitivity: Option<&Sensitivity>,
) -> Option<Spatial> {
    let size = rows * columns;
    let fits = rows.max(columns) <= LARGEST && size * channels <= Fitted::MAX_TILE;
    (size > 1 && fits).then(|| {
        let shares = sensitivity.and_then(|sensitivity| sensitivity.frequencies.as_ref());
        let gain = match shares.filter(|shares| shares.len() == size) {
            Some(shares) => shares.iter().map(|share| share.sqrt() as f32).collect(),
            None => vec![1.0; size],
        };
        Spatial { rows, columns, gain }
    })
}

/// What symbol 0 stands for: the mean of channels that are spread around it, and 0 of those that
/// are often 0, as they come out of a rectifier.
fn offsets(samples: &Samples, moments: &Moments) -> Vec<f32> {
    let mut zeros = vec![0usize; samples.channels()];
    for sample in samples.iter() {
        for (zeros, row) in zeros.iter_mut().zip(sample.values.chunks_exact(sample.positions())) {
            *zeros += row.iter().filter(|value| **value == 0.0).count();
        }
    }
    let sparse = |zeros: usize| zeros as f64 > SPARSE * samples.positions() as f64;
    let offset = |(zeros, mean): (&usize, &f64)| if sparse(*zeros) { 0.0 } else { *mean as f32 };
    zeros.iter().zip(moments.mean.iter()).map(offset).collect()
}

fn planes(
    samples: &Samples,
    lines: Option<&Lines>,
    offsets: &[f32],
    spatial: Option<&Spatial>,
) -> Vec<Plane> {
    let forward = lines.map(|lines| lines.basis.forward.map(|value| value as f32));
    let cosine = spatial.map(|spatial| Cosine::new(spatial.rows, spatial.columns));
    let plane = |sample: &crate::samples::Sample| {
        let positions = sample.positions();
        let subtract = lines.map_or(offsets, |lines| &lines.mean);
        let rows = sample.values.chunks_exact(positions).zip(subtract);
        let centred: Vec<f32> =
            rows.flat_map(|(row, mean)| row.iter().map(move |value| value - mean)).collect();
        let mut coefficients = match &forward {
            None => centred,
            Some(forward) => {
                let values = DMatrix::from_vec(positions, subtract.len(), centred);
                (values * forward.transpose()).data.into()
            }
        };
        if let (Some(cosine), Some(spatial)) = (&cosine, spatial) {
            cosine.forward(&mut coefficients);
            for row in coefficients.chunks_exact_mut(positions) {
                row.iter_mut().zip(&spatial.gain).for_each(|(value, gain)| *value *= gain);
            }
        }
        Plane { width: sample.width, coefficients }
    };
    samples.iter().map(plane).collect()
}

/// Mean squares by component (and position), and how many values of a sample each stands for.
fn variances(planes: &[Plane], components: usize, by_position: bool) -> (Vec<f64>, f64) {
    let all: usize = planes.iter().map(|plane| plane.coefficients.len()).sum();
    let per_plane = planes.first().map_or(1, |plane| plane.coefficients.len() / components);
    let places = if by_position { per_plane } else { 1 };
    let mut sums = vec![0.0; components * places];
    for plane in planes {
        let positions = plane.coefficients.len() / components;
        for (at, value) in plane.coefficients.iter().enumerate() {
            let place = at / positions * places + at % positions % places;
            sums[place] += f64::from(*value).powi(2);
        }
    }
    let each = (all / sums.len().max(1)).max(1) as f64;
    sums.iter_mut().for_each(|sum| *sum /= each);
    (sums, each / planes.len().max(1) as f64)
}
