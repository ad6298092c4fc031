//! Codecs fitted to the activations of a model: linear transforms over channels and over space, a
//! quantiser per component, and entropy coding of the symbols.

mod affine;
mod packed;
mod prepared;
mod tables;
mod validate;

pub(crate) use prepared::Prepared;
pub use prepared::Symbols;
pub use tables::{Contexts, Tables};

use std::sync::Arc;

/// Parameters of a fitted codec; floating-point tensors only, coded as f32.
///
/// The channels at a position, `x[C]`, become components `y[K] = forward · (x − mean)`, or stay
/// what they are; tiles of each component's plane become their cosine transforms, or stay what they are;
/// each coefficient is quantised to a symbol; symbols are coded without loss.
#[derive(Clone, Debug, PartialEq)]
pub struct Fitted {
    /// The channel axis, batch included.
    pub axis: u8,
    /// Size of that axis, `C`.
    pub channels: usize,
    /// `None`: components are channels.
    pub transform: Option<Arc<Transform>>,
    /// `None`: coefficients are the components at their positions, whatever the shape.
    pub spatial: Option<Spatial>,
    /// One per component.
    pub quantisers: Vec<Quantiser>,
    /// How symbols become bits.
    pub entropy: Entropy,
}

/// A linear map over the channels and its (pseudo-)inverse, row-major.
#[derive(Clone, Debug, PartialEq)]
pub struct Transform {
    /// `[C]`, subtracted before and added after.
    pub mean: Vec<f32>,
    /// `[K, C]`
    pub forward: Vec<f32>,
    /// `[C, K]`
    pub inverse: Vec<f32>,
}

/// The orthonormal cosine transform (DCT-II) of tiles. The width of a plane is the last axis that
/// is neither batch nor channels, its height all others together; tiles must fill it.
#[derive(Clone, Debug, PartialEq)]
pub struct Spatial {
    /// Rows of a tile.
    pub rows: usize,
    /// Columns of a tile.
    pub columns: usize,
    /// `[rows, columns]`: coefficients are multiplied with it before they are quantised, for the
    /// model may feel low frequencies more than high ones.
    pub gain: Vec<f32>,
}

/// Symbols of a component: `q = sign(t) · ⌊|t| + rounding⌋` with `t = (y − offset)/step`, clipped to
/// `min..=max`; decoded to `offset + step · (q − sign(q) · shrink)`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Quantiser {
    /// Distance of two symbols.
    pub step: f32,
    /// What symbol 0 stands for.
    pub offset: f32,
    /// Smallest symbol.
    pub min: i16,
    /// Largest symbol; where it equals the smallest, nothing is coded.
    pub max: i16,
    /// 0.5 rounds to nearest; less widens the dead zone around 0 and cheapens every symbol.
    pub rounding: f32,
    /// How far towards 0 symbols are decoded, in steps: densities fall outwards.
    pub shrink: f32,
}

/// How symbols become bits.
#[derive(Clone, Debug, PartialEq)]
pub enum Entropy {
    /// As many bits as a component's range needs.
    Packed,
    /// Static tables.
    Coded(Tables),
}

impl Fitted {
    /// The most channels.
    pub const MAX_CHANNELS: usize = 8192;

    /// The most values of a tile, all channels together: a block has at least one tile.
    pub const MAX_TILE: usize = 1 << 20;
}
