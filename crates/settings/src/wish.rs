//! What a plan shall be good at, as people write it: `latency+2.5*energy`, `100ms@p95`.

use crate::units::{self, shorten};
use std::time::Duration;

/// What shall be least: a sum of seconds, joules, bytes sent and units of currency, each so many
/// times. No weight is negative and one is above 0.
#[derive(Clone, Debug, PartialEq)]
pub struct Objective {
    /// Per second.
    pub latency: f64,
    /// Per joule.
    pub energy: f64,
    /// Per byte.
    pub bytes: f64,
    /// Per unit of currency.
    pub money: f64,
    /// As it was written, without spaces.
    pub text: String,
}

/// By when answers are there, and how many of them.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Deadline {
    /// More than nothing.
    pub within: Duration,
    /// From 0.5 to below 1.
    pub quantile: f64,
}

/// How requests come.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "kebab-case")]
#[schemars(inline)]
pub enum Traffic {
    /// A tenth of a second or more apart, so that machines rest in between.
    Sparse,
    /// One after the other.
    Dense,
}

/// The quantile of a deadline that names none.
const USUAL: f64 = 0.95;

impl Objective {
    /// Reads `latency`, `energy`, `bytes`, `money`, or a sum as `latency+2.5*energy`.
    ///
    /// # Errors
    /// What is wrong, in words.
    pub fn parse(text: &str) -> Result<Self, String> {
        let text: String = text.chars().filter(|c| !c.is_whitespace()).collect();
        let mut sum = Self { latency: 0.0, energy: 0.0, bytes: 0.0, money: 0.0, text };
        for term in sum.text.clone().split('+') {
            let wrong = || {
                format!(
                    "`{}` is no objective: write latency, energy, bytes, money, or a sum as latency+2.5*energy",
                    shorten(term)
                )
            };
            let (factor, what) = term.split_once('*').unwrap_or(("1", term));
            let factor: f64 = factor.parse().map_err(|_| wrong())?;
            let weight = match what {
                "latency" => &mut sum.latency,
                "energy" => &mut sum.energy,
                "bytes" => &mut sum.bytes,
                "money" => &mut sum.money,
                _ => return Err(wrong()),
            };
            *weight += factor;
            if !(factor >= 0.0 && weight.is_finite()) {
                return Err(wrong());
            }
        }
        if sum.latency + sum.energy + sum.bytes + sum.money > 0.0 {
            Ok(sum)
        } else {
            Err(format!("`{}` weighs nothing", shorten(&sum.text)))
        }
    }
}

impl Deadline {
    /// Reads `100ms@p95`; without a quantile the 95th percentile is meant.
    ///
    /// # Errors
    /// What is wrong, in words.
    pub fn parse(text: &str) -> Result<Self, String> {
        let (time, quantile) = match text.split_once('@') {
            None => (text, USUAL),
            Some((time, quantile)) => {
                let percent = quantile.strip_prefix('p').and_then(|number| number.parse::<f64>().ok());
                let percent = percent.filter(|percent| (50.0..100.0).contains(percent));
                let wrong =
                    || format!("`{}` is no quantile: write p50 to p99.9, as in 100ms@p95", shorten(quantile));
                (time, percent.ok_or_else(wrong)? / 100.0)
            }
        };
        let within = units::duration(time).map_err(|error| error.to_string())?;
        if within.is_zero() {
            return Err("nothing is ever done within 0 seconds".to_owned());
        }
        Ok(Self { within, quantile })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn objectives() {
        let weights =
            |text: &str| Objective::parse(text).map(|it| [it.latency, it.energy, it.bytes, it.money]);
        assert_eq!(weights("energy"), Ok([0.0, 1.0, 0.0, 0.0]));
        assert_eq!(weights("latency + 2.5*energy+1e-6*bytes"), Ok([1.0, 2.5, 1e-6, 0.0]));
        for wrong in
            ["", "speed", "latency+", "-1*latency", "NaN*bytes", "inf*money", "1e308*bytes+1e308*bytes"]
        {
            assert!(weights(wrong).unwrap_err().contains("is no objective"), "{wrong}");
        }
        assert_eq!(weights("0*latency").unwrap_err(), "`0*latency` weighs nothing");
    }

    #[test]
    fn deadlines() {
        let within = Duration::from_millis(100);
        assert_eq!(Deadline::parse("100ms@p99.5"), Ok(Deadline { within, quantile: 0.995 }));
        assert_eq!(Deadline::parse("100ms"), Ok(Deadline { within, quantile: 0.95 }));
        for (wrong, told) in
            [("100ms@95", "p95"), ("1s@p20", "p50"), ("1s@p100", "p50"), ("0ms", "within 0"), ("1", "unit")]
        {
            assert!(Deadline::parse(wrong).unwrap_err().contains(told), "{wrong}");
        }
    }
}
