//! Candidates for a boundary: all its tensors, coded in one of few ways, coarser and coarser.

mod lane;

use crate::{Samples, Sensitivity};
use kerf_codec::{BuiltIn, Spec};
use lane::Lane;

/// One tensor of a boundary.
#[derive(Clone, Copy, Debug)]
pub struct Input<'a> {
    /// Its name.
    pub name: &'a str,
    /// Its values; `None` where it has no channel axis ([`channel_axis`](crate::channel_axis)):
    /// then it is sent without loss.
    pub samples: Option<&'a Samples>,
    /// How much the answer feels errors in it, where that is known: of all tensors in one unit.
    pub sensitivity: Option<&'a Sensitivity>,
}

/// How the tensors of a boundary are coded.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Method {
    /// Channels as they are; contexts find what is next to each other. For maps that are mostly 0.
    Plain,
    /// Uncorrelated components and, where planes are alike and not too large, their spatial
    /// frequencies. For everything that is dense.
    Transformed,
}

/// A codec for every tensor of a boundary.
#[derive(Clone, Debug)]
pub struct Candidate {
    /// How, and bits per value that were aimed at: `t1.5`.
    pub name: String,
    /// How.
    pub method: Method,
    /// By tensor, in the order of the inputs.
    pub tensors: Vec<(String, Spec)>,
    /// Bytes per sample of the fitted tensors, if others are as the calibration samples are;
    /// without what framing adds.
    pub bytes: f64,
}

/// The samples of a boundary's tensors, transformed, ready to be quantised at any rate.
#[derive(Debug)]
pub struct Fit {
    method: Method,
    tensors: Vec<(String, Option<Lane>)>,
}

impl Method {
    /// Both.
    pub const ALL: [Self; 2] = [Self::Plain, Self::Transformed];

    fn letter(self) -> char {
        match self {
            Self::Plain => 'p',
            Self::Transformed => 't',
        }
    }
}

impl Fit {
    /// Bits per value of the candidates worth measuring, finest first.
    pub const LADDER: [f64; 14] = [6.0, 5.0, 4.2, 3.5, 3.0, 2.5, 2.1, 1.7, 1.4, 1.1, 0.8, 0.6, 0.4, 0.25];

    /// Fits transforms. Where every fitted tensor comes with its sensitivity, errors are spread over
    /// the tensors so that they are felt alike; otherwise relative to each tensor's own spread.
    pub fn new(inputs: &[Input<'_>], method: Method) -> Self {
        let fitted = |input: &&Input<'_>| input.samples.is_some_and(|samples| !samples.is_empty());
        let known = inputs.iter().filter(fitted).all(|input| input.sensitivity.is_some());
        // Weights of 1 on average, so that numbers stay in a modest range.
        let (sum, count) = inputs.iter().filter_map(|input| input.sensitivity.zip(input.samples)).fold(
            (0.0, 0.0),
            |(sum, count), (sensitivity, samples)| {
                let values = (samples.positions() * samples.channels()) as f64;
                (sum + sensitivity.mean() * values, count + values)
            },
        );
        let lane = |input: &Input<'_>| {
            let samples = input.samples.filter(|samples| !samples.is_empty())?;
            let unit = match input.sensitivity {
                Some(sensitivity) if !known => sensitivity.mean(),
                _ => sum / f64::max(count, 1.0),
            };
            Some(Lane::new(samples, input.sensitivity, unit, method == Method::Transformed))
        };
        let mut tensors: Vec<_> = inputs.iter().map(|input| (input.name.to_owned(), lane(input))).collect();
        if !known {
            tensors.iter_mut().filter_map(|(_, lane)| lane.as_mut()).for_each(Lane::level);
        }
        Self { method, tensors }
    }

    /// The candidate that takes about so many `bits` per value, as far as that can be told before
    /// coding; `None` where no tensor is fitted.
    pub fn candidate(&self, bits: f64) -> Option<Candidate> {
        let step = self.step(bits)?;
        let mut total = 0.0;
        let mut tensors = Vec::with_capacity(self.tensors.len());
        for (name, lane) in &self.tensors {
            let spec = match lane {
                None => BuiltIn::Lossless.into(),
                Some(lane) => match lane.quantised(step) {
                    Some((fitted, bits)) => {
                        total += bits / 8.0;
                        fitted.into()
                    }
                    // Numbers out of any reasonable range.
                    None => BuiltIn::Lossless.into(),
                },
            };
            tensors.push((name.clone(), spec));
        }
        Some(Candidate {
            name: format!("{}{bits}", self.method.letter()),
            method: self.method,
            tensors,
            bytes: total,
        })
    }

    /// Candidates at every rate of [`Self::LADDER`].
    pub fn candidates(&self) -> impl Iterator<Item = Candidate> {
        Self::LADDER.iter().filter_map(|bits| self.candidate(*bits))
    }

    /// The common step size at which all tensors together take about so many bits per value.
    fn step(&self, bits: f64) -> Option<f64> {
        let lanes: Vec<&Lane> = self.tensors.iter().filter_map(|(_, lane)| lane.as_ref()).collect();
        let values: f64 = lanes.iter().map(|lane| lane.values()).sum();
        if values == 0.0 || !bits.is_finite() || bits <= 0.0 {
            return None;
        }
        let rate = |step: f64| lanes.iter().map(|lane| lane.rate(step)).sum::<f64>() / values;
        let (mut low, mut high) = (-40.0f64, 40.0f64);
        for _ in 0..48 {
            let middle = (low + high) / 2.0;
            if rate(middle.exp2()) > bits { low = middle } else { high = middle }
        }
        Some(high.exp2())
    }
}
