//! What of a fit can be set.

/// How heads are fitted.
#[derive(Clone, Debug, PartialEq)]
pub struct Options {
    /// Equal seeds make equal heads.
    pub seed: u64,
    /// Rounds over the rows, at most.
    pub epochs: usize,
    /// Rounds without a better one on the rows held out after which fitting ends.
    pub patience: usize,
    /// Rows of a step.
    pub batch: usize,
    /// Highest learning rate.
    pub rate: f32,
    /// Decoupled weight decay, per step in units of the learning rate.
    pub decay: f32,
    /// Temperature of distillation: how much of the unlikely classes is learnt.
    pub temperature: f32,
    /// Share of the labels in the loss, where there are labels: 0 is the model's answers alone.
    pub labels: f32,
    /// Share of the inputs that is held out to stop in time.
    pub held_out: f32,
    /// Threads, at least 1. The head does not depend on them.
    pub threads: usize,
}

/// An option that makes no sense.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[error("{name} is {value}, {range} is possible")]
pub struct OptionError {
    /// The option.
    pub name: &'static str,
    /// Its value.
    pub value: f64,
    /// What is possible.
    pub range: &'static str,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            seed: 0,
            epochs: 15,
            patience: 5,
            batch: 128,
            rate: 6e-3,
            decay: 0.1,
            temperature: 4.0,
            labels: 0.0,
            held_out: 0.1,
            threads: 2,
        }
    }
}

impl Options {
    /// What suits so many rows: the fewer there are, the more often each is seen.
    pub fn for_rows(rows: usize) -> Self {
        let epochs = 15.0 * (40_000.0 / rows.max(1) as f64).sqrt();
        let epochs = epochs.clamp(10.0, 200.0) as usize;
        Self { epochs, patience: epochs.div_ceil(3), ..Self::default() }
    }

    pub(super) fn check(&self) -> Result<(), OptionError> {
        let within = |name, value: f64, range, is_within: bool| match is_within {
            true => Ok(()),
            false => Err(OptionError { name, value, range }),
        };
        let count = |name, value: usize, most: usize, range| {
            within(name, value as f64, range, (1..=most).contains(&value))
        };
        let number = |name, value: f32, low: f32, high: f32, range| {
            within(name, value.into(), range, (low..=high).contains(&value))
        };
        count("epochs", self.epochs, 10_000, "1 to 10000")?;
        count("patience", self.patience, usize::MAX, "1 or more")?;
        count("batch", self.batch, 4096, "1 to 4096")?;
        count("threads", self.threads, 1024, "1 to 1024")?;
        number("rate", self.rate, 1e-7, 1.0, "1e-7 to 1")?;
        number("decay", self.decay, 0.0, 1.0, "0 to 1")?;
        number("temperature", self.temperature, 0.1, 100.0, "0.1 to 100")?;
        number("labels", self.labels, 0.0, 1.0, "0 to 1")?;
        number("held_out", self.held_out, 0.01, 0.5, "0.01 to 0.5")
    }
}
