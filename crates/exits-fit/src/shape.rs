//! What kinds of heads there are, and which are worth fitting.

use crate::Front;
use crate::net::Net;

/// Layers of a head, from the features of its [`Front`] to the scores of the classes.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Shape {
    /// Means over the cells, then a linear map.
    Linear,
    /// Means over the cells, a hidden layer with rectifiers, a linear map.
    Mlp {
        /// Units of the hidden layer.
        hidden: usize,
    },
    /// Convolutions with rectifiers over the cells, the means of what they make, a linear map.
    Conv {
        /// The convolutions, in order.
        stages: Vec<Stage>,
    },
}

/// A square convolution, padded so that a stride of 1 keeps the size.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Stage {
    /// Channels that it makes, at least 1.
    pub channels: usize,
    /// Side of its window, odd.
    pub kernel: usize,
    /// Steps between windows, at least 1.
    pub stride: usize,
}

/// Why a head cannot have a shape.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ShapeError {
    /// A layer without units, a window without a middle, or one that never moves.
    #[error("{0:?} is no layer: sizes are 1 or more, kernels odd")]
    Layer(Shape),
    /// There is no grid of cells for convolutions.
    #[error("{0:?} has convolutions, and all there is are features of one cell")]
    NoGrid(Shape),
    /// More parameters, or larger windows all over the cells, than a small head has.
    #[error(
        "{0:?} has over {most} parameters, or windows of over {unfolded} values",
        most = Shape::MAX_PARAMETERS,
        unfolded = Shape::MAX_UNFOLDED
    )]
    TooLarge(Shape),
}

impl Shape {
    /// Widths of layers that are tried.
    const WIDTHS: [usize; 9] = [8, 16, 24, 32, 48, 64, 96, 128, 192];
    /// Parameters of a head at most.
    pub const MAX_PARAMETERS: usize = 1 << 24;
    /// Values in all windows of a convolution at most, for one input.
    pub const MAX_UNFOLDED: usize = 1 << 20;

    /// Shapes worth fitting within a budget of multiply-accumulates, cheapest first: a linear map, a
    /// hidden layer, and where there is a grid, two strided convolutions, as wide as the budget
    /// allows. None where not even a linear map fits.
    pub fn candidates(front: &Front, classes: usize, budget: u64) -> Vec<Self> {
        let affordable = |shape: &Self| shape.macs(front, classes).is_ok_and(|macs| macs <= budget);
        let stage = |channels| Stage { channels, kernel: 3, stride: 2 };
        let hidden = Self::WIDTHS.iter().map(|hidden| Self::Mlp { hidden: *hidden }).rfind(affordable);
        let (rows, columns) = front.cells();
        let mut stages =
            Self::WIDTHS.iter().map(|width| Self::Conv { stages: vec![stage(*width), stage(2 * width)] });
        let stages = stages.rfind(|shape| rows.min(columns) > 2 && affordable(shape));
        let linear = Some(Self::Linear).filter(affordable);
        let mut shapes: Vec<Self> = [linear, hidden, stages].into_iter().flatten().collect();
        shapes.sort_by_cached_key(|shape| shape.macs(front, classes).unwrap_or(u64::MAX));
        shapes
    }

    /// Multiply-accumulates for one input, as [`kerf_graph::Analysis`] counts them.
    pub fn macs(&self, front: &Front, classes: usize) -> Result<u64, ShapeError> {
        Ok(self.net(front, classes)?.macs())
    }

    pub(crate) fn net(&self, front: &Front, classes: usize) -> Result<Net, ShapeError> {
        let stage = |stage: &Stage| stage.channels > 0 && stage.kernel % 2 == 1 && stage.stride > 0;
        let is_whole = match self {
            Self::Linear => true,
            Self::Mlp { hidden } => *hidden > 0,
            Self::Conv { stages } => stages.iter().all(stage),
        };
        if !is_whole {
            return Err(ShapeError::Layer(self.clone()));
        }
        if matches!(self, Self::Conv { .. }) && front.cells() == (1, 1) {
            return Err(ShapeError::NoGrid(self.clone()));
        }
        if self.parameters(front, classes).is_none_or(|parameters| parameters > Self::MAX_PARAMETERS) {
            return Err(ShapeError::TooLarge(self.clone()));
        }
        Ok(Net::new(self, front.map(), classes))
    }

    /// `None` where windows are too large, or the number has no place in a `usize`.
    fn parameters(&self, front: &Front, classes: usize) -> Option<usize> {
        let layer = |window: usize, outputs: usize| window.checked_mul(outputs)?.checked_add(outputs);
        let (mut rows, mut columns) = front.cells();
        let (hidden, inputs) = match self {
            Self::Linear => (Some(0), front.channels()),
            Self::Mlp { hidden } => (layer(front.channels(), *hidden), *hidden),
            Self::Conv { stages } => {
                let mut channels = front.channels();
                let sum = stages.iter().try_fold(0usize, |sum, stage| {
                    let window = stage.kernel.checked_mul(stage.kernel)?.checked_mul(channels)?;
                    channels = stage.channels;
                    (rows, columns) = (rows.div_ceil(stage.stride), columns.div_ceil(stage.stride));
                    window.checked_mul(rows * columns).filter(|unfolded| *unfolded <= Self::MAX_UNFOLDED)?;
                    sum.checked_add(layer(window, stage.channels)?)
                });
                (sum, channels)
            }
        };
        hidden?.checked_add(layer(inputs, classes)?)
    }
}
