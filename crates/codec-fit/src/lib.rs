//! Codecs fitted to the activations of a model.
//!
//! A tensor between two layers holds less than its bits: its channels are correlated, most of its
//! energy is in few spatial frequencies, and the layers behind it hardly feel most errors. From the
//! values that a calibration set gives it ([`Samples`]), and, where someone asked the model
//! ([`Probe`]), from how much the answer feels which error ([`Sensitivity`]), this crate makes
//! codecs of falling size ([`Fit`], [`Candidate`]). It cannot tell what they do to the answers:
//! the caller measures that, and keeps the best.
//!
//! ```text
//! Samples + Sensitivity --Fit::new(method)--> transform --candidate(bits per value)--> step, tables: codec::Spec
//! ```
//!
//! Nothing here depends on time, machine or order: equal samples and seeds give equal codecs.
//!
//! # Sources
//! Transform coding and reverse water-filling: Goyal, "Theoretical foundations of transform coding",
//! IEEE Signal Processing Magazine 18 (2001). Quantised and entropy-coded features of split networks:
//! Cohen, Choi, Bajić, "Lightweight compression of intermediate neural network features for
//! collaborative intelligence", IEEE Open Journal of Circuits and Systems 2 (2021).

mod basis;
mod cosine;
mod fit;
mod moments;
mod probe;
mod samples;
mod sensitivity;
mod tables;

pub use fit::{Candidate, Fit, Input, Method};
pub use probe::{Probe, ProbeError};
pub use samples::{Samples, SamplesError, channel_axis};
pub use sensitivity::{Sensitivity, SensitivityError, softmax_change};
