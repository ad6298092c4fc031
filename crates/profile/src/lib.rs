//! How long does each part of a model take on a device that is not here?
//!
//! A planner weighs an edge against a cloud, and sees neither: it sees what each wrote about
//! itself. A [`Profile`] is that file: times of compiled *ranges* `a..b` of one packed model, on
//! one device with one engine, with the sizes, the energy and the layers that belong to them.
//! It comes from outside, so [`Profile::parse`] believes nothing in it.
//!
//! There are n(n−1)/2 ranges among n boundaries, more than a slow device has time for. Sums of
//! layers do not replace them, since engines fuse across layers and a cut ends that; the
//! [`Predictor`] learns from the ranges that were timed what a cut costs where, and says how far
//! it is off on ranges that it was not shown.

mod error;
mod file;
mod parse;
mod predict;

pub use error::{Misfit, ProfileError};
pub use file::{
    BoundarySize, Codec, Device, EngineUsed, FORMAT, Failure, LayerTime, Layers, MAX_BYTES, OLDEST_FORMAT,
    Place, Power, PowerSource, Profile, RangeTime, Reference, Rest, Rested, Sizes,
};
pub use predict::{Estimate, FitError, LeaveOut, Predictor, order};
