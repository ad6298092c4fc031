use super::{Entropy, Fitted, Quantiser, Spatial, Transform};
use crate::SpecError;

impl Fitted {
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
                length("quantisers", components, self.channels)?;
            }
            Some(transform) => transform.validate(self.channels, components)?,
        }
        if let Some(spatial) = &self.spatial {
            spatial.validate(self.channels)?;
        }
        self.quantisers.iter().enumerate().try_for_each(|(index, quantiser)| quantiser.validate(index))?;
        match &self.entropy {
            Entropy::Packed => Ok(()),
            Entropy::Coded(tables) => {
                tables.validate(components, self.spatial.as_ref().map_or(0, |spatial| spatial.gain.len()))
            }
        }
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

impl Spatial {
    fn validate(&self, channels: usize) -> Result<(), SpecError> {
        let tile = self.rows.checked_mul(self.columns).filter(|tile| *tile > 0);
        let values = tile.and_then(|tile| tile.checked_mul(channels));
        let (Some(tile), true) = (tile, values.is_some_and(|values| values <= Fitted::MAX_TILE)) else {
            return Err(SpecError::Tile { channels, rows: self.rows, columns: self.columns });
        };
        length("gain", self.gain.len(), tile)?;
        self.gain.iter().enumerate().try_for_each(|(index, gain)| positive("gain", index, *gain))
    }
}

impl Quantiser {
    fn validate(&self, component: usize) -> Result<(), SpecError> {
        let number = |what, value: f32, valid: bool, expected| {
            if valid { Ok(()) } else { Err(SpecError::Value { what, index: component, value, expected }) }
        };
        positive("step", component, self.step)?;
        modest("offset", component, self.offset)?;
        number("rounding", self.rounding, (0.0..=0.5).contains(&self.rounding), "0 to 0.5")?;
        number("shrink", self.shrink, (-0.5..=0.5).contains(&self.shrink), "-0.5 to 0.5")?;
        if self.min > self.max {
            return Err(SpecError::Symbols { component, min: self.min, max: self.max });
        }
        Ok(())
    }
}

/// 2^30: a product of three such numbers, a symbol and the sizes of all sums is finite.
const MOST: f32 = 1_073_741_824.0;

fn modest(what: &'static str, index: usize, value: f32) -> Result<(), SpecError> {
    // NaN is not in any range.
    if (-MOST..=MOST).contains(&value) {
        Ok(())
    } else {
        Err(SpecError::Value { what, index, value, expected: "-2^30 to 2^30" })
    }
}

fn positive(what: &'static str, index: usize, value: f32) -> Result<(), SpecError> {
    if (1.0 / MOST..=MOST).contains(&value) {
        Ok(())
    } else {
        Err(SpecError::Value { what, index, value, expected: "2^-30 to 2^30" })
    }
}

pub(super) fn length(what: &'static str, actual: usize, expected: usize) -> Result<(), SpecError> {
    if actual == expected { Ok(()) } else { Err(SpecError::Length { what, actual, expected }) }
}
