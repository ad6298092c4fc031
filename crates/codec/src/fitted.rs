//! Codecs fitted to the activations of a model: a linear transform over the channels, a quantiser
//! per component, and entropy coding of the symbols.

mod packed;
mod prepared;

pub(crate) use prepared::Prepared;

use crate::SpecError;
use std::sync::Arc;

/// Parameters of a fitted codec; floating-point tensors only, coded as f32.
///
/// The channels at a position, `x[C]`, become components `y[K] = forward · (x − mean)`, or stay
/// what they are; each component is quantised to symbols, whose entropy coding is lossless.
#[derive(Clone, Debug, PartialEq)]
pub struct Fitted {
    /// The channel axis, batch included.
    pub axis: u8,
    /// Size of that axis.
    pub channels: usize,
    /// `None`: components are channels.
    pub transform: Option<Arc<Transform>>,
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
}

impl Fitted {
    /// The most channels.
    pub const MAX_CHANNELS: usize = 8192;

    /// Whether lists are as long as they must be and numbers in their ranges: then no tensor and
    /// no payload lead to anything but finite numbers.
    pub fn validate(&self) -> Result<(), SpecError> {
        let components = self.quantisers.len();
        if !(1..=Self::MAX_CHANNELS).contains(&self.channels) {
            return Err(SpecError::Channels(self.channels));
        }
        match &self.transform {
            None => length("quantisers", components, self.channels)?,
            Some(_) if components == 0 || components > self.channels => {
                return Err(SpecError::Length {
                    what: "quantisers",
                    actual: components,
                    expected: self.channels,
                });
            }
            Some(transform) => transform.validate(self.channels, components)?,
        }
        self.quantisers.iter().enumerate().try_for_each(|(index, quantiser)| quantiser.validate(index))
    }
}

impl Transform {
    fn validate(&self, channels: usize, components: usize) -> Result<(), SpecError> {
        for (what, values, expected) in [
            ("mean", &self.mean, channels),
            ("forward", &self.forward, channels * components),
            ("inverse", &self.inverse, channels * components),
        ] {
            length(what, values.len(), expected)?;
            values.iter().enumerate().try_for_each(|(index, value)| modest(what, index, *value))?;
        }
        Ok(())
    }
}

impl Quantiser {
    fn validate(&self, component: usize) -> Result<(), SpecError> {
        let number = |what, value: f32, valid: bool, expected| {
            if valid { Ok(()) } else { Err(SpecError::Value { what, index: component, value, expected }) }
        };
        let step = (1.0 / MOST..=MOST).contains(&self.step);
        number("step", self.step, step, "2^-40 to 2^40")?;
        modest("offset", component, self.offset)?;
        number("rounding", self.rounding, (0.0..=0.5).contains(&self.rounding), "0 to 0.5")?;
        number("shrink", self.shrink, (0.0..=0.5).contains(&self.shrink), "0 to 0.5")?;
        if self.min > self.max {
            return Err(SpecError::Symbols { component, min: self.min, max: self.max });
        }
        Ok(())
    }
}

/// 2^40: products of two such numbers and a symbol, summed over all channels, stay finite.
const MOST: f32 = 1_099_511_627_776.0;

fn modest(what: &'static str, index: usize, value: f32) -> Result<(), SpecError> {
    // NaN is not in any range.
    if (-MOST..=MOST).contains(&value) {
        Ok(())
    } else {
        Err(SpecError::Value { what, index, value, expected: "-2^40 to 2^40" })
    }
}

fn length(what: &'static str, actual: usize, expected: usize) -> Result<(), SpecError> {
    if actual == expected { Ok(()) } else { Err(SpecError::Length { what, actual, expected }) }
}
