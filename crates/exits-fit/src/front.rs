//! What heads see of a boundary: its tensors, reduced to a small map.

mod reduce;

use crate::net::Map;
use kerf_tensor::{Dim, TensorSpec};

/// Features that nobody needs more of, and sides of planes that no image has.
const LIMIT: usize = 1 << 16;

/// The first nodes of every head of a boundary: what they keep of its tensors.
///
/// An image-like tensor `[N, C, H, W]` becomes a grid of at most 8×8 cells with the mean of every
/// channel over each. Everything else becomes one cell: means and maxima over a plane whose size is
/// not fixed, or which lies beside another that is cut differently; means, maxima and first values
/// over a sequence `[N, T, C]` (classifiers of text read the first token); the values of a row
/// `[N, C]`. Rows and columns that do not fill a cell at the far end are left out, and padding of a
/// sequence counts as the rest does.
#[derive(Clone, Debug, PartialEq)]
pub struct Front {
    parts: Vec<Part>,
    map: Map,
}

/// A tensor and what is kept of it.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Part {
    pub(crate) spec: TensorSpec,
    pub(crate) channels: usize,
    pub(crate) keep: Keep,
}

/// What is kept of a tensor.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Keep {
    /// `[N, C]`: the values.
    Values,
    /// `[N, T, C]`: mean, maximum and first over `T`.
    Sequence,
    /// `[N, C, …]`: mean and maximum of each channel.
    Plane,
    /// `[N, C, H, W]`: mean of each channel in cells of this many rows and columns.
    Cells { rows: usize, columns: usize },
}

/// Why no head can be put on a boundary.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("no tensor that a head could read: {}", reasons.join(", "))]
pub struct FrontError {
    /// Each tensor, and what is wrong with it.
    pub reasons: Vec<String>,
}

impl Front {
    /// Features of a row at most, unless others are asked for.
    pub const MAX_FEATURES: usize = 4096;
    /// Cells at most, along each side of a grid.
    pub const MAX_SIDE: usize = 8;

    /// What heads keep of the tensors of a boundary. Integers, strings, scalars and tensors whose
    /// number of channels is not fixed are passed over.
    pub fn new(tensors: &[TensorSpec]) -> Result<Self, FrontError> {
        Self::within(tensors, Self::MAX_FEATURES)
    }

    /// As [`new`](Self::new), with at most so many features for a row: grids are coarser where channels
    /// are many, and tensors that come early in the boundary are left out where all do not fit.
    pub fn within(tensors: &[TensorSpec], most: usize) -> Result<Self, FrontError> {
        let most = most.min(LIMIT);
        let mut reasons = Vec::new();
        let mut parts = Vec::new();
        for spec in tensors {
            match part(spec, most) {
                Ok(part) => parts.push(part),
                Err(reason) => reasons.push(format!("`{spec}` {reason}")),
            }
        }
        // Planes that are not alike, or a plane and a row, have no cells in common.
        let plane = parts.first().and_then(Part::plane);
        if let Some(plane) = plane.filter(|plane| parts.iter().all(|part| part.plane() == Some(*plane))) {
            cut(&mut parts, plane, most);
        }
        // What lies deepest in the model says most.
        while parts.len() > 1 && features(&parts) > most {
            parts.remove(0);
        }
        let Some(first) = parts.first() else { return Err(FrontError { reasons }) };
        let (height, width) = first.cells();
        let channels = parts.iter().map(Part::kept_channels).sum();
        Ok(Self { map: Map { height, width, channels }, parts })
    }

    /// The tensors that heads read, a subset of the boundary's.
    pub fn inputs(&self) -> impl Iterator<Item = &TensorSpec> {
        self.parts.iter().map(|part| &part.spec)
    }

    /// Rows and columns of cells.
    pub fn cells(&self) -> (usize, usize) {
        (self.map.height, self.map.width)
    }

    /// Features of a cell.
    pub fn channels(&self) -> usize {
        self.map.channels
    }

    /// Features of a row: those of all cells.
    pub fn features(&self) -> usize {
        self.map.len()
    }

    pub(crate) fn map(&self) -> Map {
        self.map
    }

    pub(crate) fn parts(&self) -> &[Part] {
        &self.parts
    }
}

impl Part {
    pub(crate) fn cells(&self) -> (usize, usize) {
        let Keep::Cells { rows, columns } = self.keep else { return (1, 1) };
        let (height, width) = self.plane().unwrap_or((rows, columns));
        (height / rows, width / columns)
    }

    /// Features of a cell.
    pub(crate) fn kept_channels(&self) -> usize {
        let kept = match self.keep {
            Keep::Values | Keep::Cells { .. } => 1,
            Keep::Plane => 2,
            Keep::Sequence => 3,
        };
        self.channels * kept
    }

    fn features(&self) -> usize {
        let (rows, columns) = self.cells();
        self.kept_channels() * rows * columns
    }

    fn plane(&self) -> Option<(usize, usize)> {
        plane(self.spec.shape.as_deref()?)
    }
}

/// What to keep of a tensor by itself.
fn part(spec: &TensorSpec, most: usize) -> Result<Part, String> {
    if !spec.dtype.is_float() {
        return Err("does not hold floating-point numbers".to_owned());
    }
    let Some(shape) = spec.shape.as_deref() else { return Err("has no known rank".to_owned()) };
    let fixed = |axis: usize| match shape.get(axis) {
        Some(Dim::Fixed(size)) if *size > 0 => Some(*size),
        _ => None,
    };
    let (channels, keep) = match shape.len() {
        0 | 1 => return Err("has no axis beside the batch".to_owned()),
        2 => (fixed(1), Keep::Values),
        3 if fixed(2).is_some() => (fixed(2), Keep::Sequence),
        _ => (fixed(1), Keep::Plane),
    };
    let Some(channels) = channels else { return Err("has no fixed number of channels".to_owned()) };
    let part = Part { spec: spec.clone(), channels, keep };
    // A plane may still be cut; one of a single value is as it is.
    let least = match part.plane() {
        Some((1, 1)) => channels,
        _ if channels <= LIMIT => part.features(),
        _ => channels,
    };
    if least > most {
        return Err(format!("makes {least} features, {most} are allowed"));
    }
    Ok(part)
}

/// Cuts tensors of one plane into the finest cells that leave few enough features.
fn cut(parts: &mut [Part], (height, width): (usize, usize), most: usize) {
    for rows in height.div_ceil(Front::MAX_SIDE)..=height {
        // As square as the plane's sides allow.
        let columns = (rows * width).div_ceil(height).clamp(width.div_ceil(Front::MAX_SIDE), width);
        let mut cells = parts.to_vec();
        cells.iter_mut().for_each(|part| part.keep = Keep::Cells { rows, columns });
        let one = cells[0].cells() == (1, 1) && (height, width) != (1, 1);
        if !one && features(&cells) <= most {
            parts.clone_from_slice(&cells);
            return;
        }
    }
}

fn features(parts: &[Part]) -> usize {
    parts.iter().map(Part::features).sum()
}

/// Height and width of an image-like tensor.
fn plane(shape: &[Dim]) -> Option<(usize, usize)> {
    match shape {
        [_, _, Dim::Fixed(height @ 1..=LIMIT), Dim::Fixed(width @ 1..=LIMIT)] => Some((*height, *width)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use kerf_tensor::DType;

    fn spec(dtype: DType, dims: &str) -> TensorSpec {
        let dim = |dim: &str| dim.parse().map_or_else(|_| Dim::Symbol(dim.to_owned()), Dim::Fixed);
        let shape = Some(dims.split_whitespace().map(dim).collect());
        TensorSpec { name: "x".to_owned(), dtype, shape }
    }

    #[test]
    fn maps_of_tensors() {
        let cases: &[(&[&str], (usize, usize), usize)] = &[
            (&["N 16 32 32"], (8, 8), 16),
            (&["N 64 8 8"], (8, 8), 64),
            (&["1 3 5 9"], (5, 4), 3),
            (&["N 96 14 14"], (4, 4), 96),
            (&["N 1280 7 7"], (1, 1), 2560),
            (&["N 320 7 7"], (3, 3), 320),
            (&["N 2048 1 1"], (1, 1), 2048),
            (&["N 16 H W"], (1, 1), 32),
            (&["N 16 18446744073709551615 2"], (1, 1), 32),
            (&["N 8 4 6 6"], (1, 1), 16),
            (&["N T 384"], (1, 1), 1152),
            (&["N 16 T"], (1, 1), 32),
            (&["N 1280"], (1, 1), 1280),
            (&["N 16 8 8", "N 24 8 8"], (8, 8), 40),
            (&["N 64 8 8", "N 24 8 8"], (4, 4), 88),
            (&["N 16 16 16", "N 24 8 8"], (1, 1), 80),
            (&["N 3000", "N 2000"], (1, 1), 2000),
        ];
        for (dims, cells, channels) in cases {
            let specs: Vec<TensorSpec> = dims.iter().map(|dims| spec(DType::F32, dims)).collect();
            let front = Front::new(&specs).unwrap();
            assert_eq!((front.cells(), front.channels()), (*cells, *channels), "{dims:?}");
            assert!(front.features() <= Front::MAX_FEATURES);
            assert!(Front::within(&specs, 64).is_ok_and(|front| front.features() <= 64) || *channels > 32);
        }
    }

    #[test]
    fn what_cannot_be_read_is_passed_over_or_named() {
        let (mask, map) = (spec(DType::I64, "N 128"), spec(DType::F16, "N 8 4 4"));
        let front = Front::new(&[mask.clone(), map.clone()]).unwrap();
        assert_eq!(front.inputs().collect::<Vec<_>>(), [&map]);
        for (tensor, reason) in [
            (mask, "`x: i64[N, 128]` does not hold floating-point numbers"),
            (spec(DType::F32, "N"), "`x: f32[N]` has no axis beside the batch"),
            (spec(DType::F32, "N C"), "`x: f32[N, C]` has no fixed number of channels"),
            (spec(DType::F32, "N 25088"), "`x: f32[N, 25088]` makes 25088 features, 4096 are allowed"),
            (
                spec(DType::F32, "N 18446744073709551615 2 2"),
                "`x: f32[N, 18446744073709551615, 2, 2]` makes 18446744073709551615 features, 4096 are allowed",
            ),
        ] {
            let error = Front::new(&[tensor]).unwrap_err();
            assert_eq!(error.to_string(), format!("no tensor that a head could read: {reason}"));
        }
        assert!(Front::new(&[]).is_err());
    }
}
