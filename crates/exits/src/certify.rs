//! How far along a path of thresholds a promise holds.

mod ladder;
mod refusal;

pub use ladder::{Certified, CertifiedError, Rung};
pub use refusal::Refusal;

use crate::promise::required;
use crate::{Outcomes, Promise, Thresholds, binomial};
use refusal::TooWrong;

/// The loosest thresholds of a path that calibration data, which nothing was fitted to or chosen by, show to
/// keep the promise.
///
/// Learn then test (Angelopoulos, Bates, Candès, Jordan, Lei, "Learn then test: calibrating predictive
/// algorithms to achieve risk control", 2021), with fixed-sequence testing: from the strictest vector on,
/// "the risk is above the promise" is rejected where as few errors as these are no likelier than what
/// the confidence leaves, by the exact binomial tail, and the first that is not rejected ends it. The
/// chance that any accepted vector breaks the promise is then no more than that, however long the
/// path. Errors never fall along a nested path, so a lucky or unlucky vector cannot end it early.
///
/// The risk is that of [`crate::Expectation::risk`]: some open head is confident and wrong. It bounds that
/// of any policy that asks some of the heads, in any order, for reasons that have nothing to do
/// with the request's content (Jazbec, Timans, Hadži Veljković, Sakmann, Zhang, Naesseth, Nalisnick, "Fast
/// yet safe: early-exiting with risk control", 2024, control the risk of one threshold).
///
/// The data have to be like what will be asked: drawn alike and one by one. Frames of one film are not.
pub fn certify(path: &[Thresholds], calibration: &Outcomes, promise: &Promise) -> Result<Certified, Refusal> {
    let exits = calibration.exits();
    if let Some((at, vector)) = path.iter().enumerate().find(|(_, vector)| vector.len() != exits) {
        return Err(Refusal::Exits { at, found: vector.len(), exits });
    }
    if let Some(at) = path.windows(2).position(|pair| !pair[0].is_within(&pair[1])) {
        return Err(Refusal::NotNested { at: at + 1 });
    }
    if path.is_empty() {
        return Err(Refusal::NoExit);
    }
    let (inputs, needed) = (calibration.len() as u64, required(promise));
    let Some(most) = binomial::most(inputs, promise.risk(), promise.tail()) else {
        let carries = binomial::upper_limit(0, inputs, promise.tail());
        return Err(Refusal::TooFew { promise: *promise, needed, given: inputs, carries });
    };
    // Errors never fall along the path, so the first vector that fails is where they pass the most that there
    // may be.
    let passed = path.partition_point(|thresholds| calibration.losses(thresholds) <= most);
    if passed == 0 {
        let errors = calibration.losses(&path[0]);
        return Err(TooWrong { promise: *promise, errors, given: inputs }.refusal());
    }
    Ok(Certified::of(*promise, calibration, &path[..passed]))
}

#[cfg(test)]
mod tests;
