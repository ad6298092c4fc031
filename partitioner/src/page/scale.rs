//! Values to places along an axis, and the round values to label it with.

/// From values to lengths.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Scale {
    values: (f64, f64),
    places: (f64, f64),
    is_log: bool,
}

impl Scale {
    /// Even steps of value are even steps of length.
    pub(crate) fn linear(values: (f64, f64), places: (f64, f64)) -> Self {
        let (low, high) = values;
        let values = if high > low { values } else { (low, low + low.abs().max(1e-9)) };
        Self { values, places, is_log: false }
    }

    /// Even factors of value are even steps of length; both values are above 0.
    pub(crate) fn log(values: (f64, f64), places: (f64, f64)) -> Self {
        let (low, high) = (values.0.max(1e-30), values.1.max(1e-30));
        let values = if high > low { (low, high) } else { (low / 2.0, low * 2.0) };
        Self { values, places, is_log: true }
    }

    /// The values at the ends.
    pub(crate) fn range(&self) -> (f64, f64) {
        self.values
    }

    /// Where a value lies; beyond the ends for values beyond the ends.
    pub(crate) fn at(&self, value: f64) -> f64 {
        let ((low, high), (start, end)) = (self.values, self.places);
        let share = if self.is_log {
            (value.max(low * 1e-6) / low).ln() / (high / low).ln()
        } else {
            (value - low) / (high - low)
        };
        start + share * (end - start)
    }

    /// As [`at`](Self::at), and no further than the ends.
    pub(crate) fn within(&self, value: f64) -> f64 {
        self.at(value.clamp(self.values.0, self.values.1))
    }

    /// About `count` values of 1, 2 or 5 times a power of ten; on a logarithmic axis of more than
    /// two decades the powers alone.
    pub(crate) fn ticks(&self, count: usize) -> Vec<f64> {
        let (low, high) = self.values;
        if self.is_log { decades(low, high) } else { rounds(low, high, count) }
    }
}

fn rounds(low: f64, high: f64, count: usize) -> Vec<f64> {
    let rough = (high - low) / count.max(1) as f64;
    let power = 10f64.powf(rough.log10().floor());
    let step = [1.0, 2.0, 5.0, 10.0].map(|by| by * power).into_iter().find(|step| *step >= rough);
    let step = step.unwrap_or(power * 10.0);
    let (first, last) = ((low / step).ceil() as i64, (high / step * (1.0 + 1e-9)).floor() as i64);
    (first..=last.min(first + 100)).map(|index| index as f64 * step).collect()
}

fn decades(low: f64, high: f64) -> Vec<f64> {
    let wide = high / low > 150.0;
    let parts: &[f64] = if wide { &[1.0] } else { &[1.0, 2.0, 5.0] };
    let (first, last) = (low.log10().floor() as i32, high.log10().ceil() as i32);
    let all = (first..=last).flat_map(|power| parts.iter().map(move |part| part * 10f64.powi(power)));
    all.filter(|value| (low * 0.999..=high * 1.001).contains(value)).collect()
}

/// Bytes at a tick: ticks are round in powers of ten, which only decimal units name shortly.
pub(crate) fn decimal_bytes(bytes: f64) -> String {
    match bytes {
        b if b >= 1e9 => format!("{} GB", b / 1e9),
        b if b >= 1e6 => format!("{} MB", b / 1e6),
        b if b >= 1e3 => format!("{} kB", b / 1e3),
        b => format!("{b} B"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ticks_are_round_and_within() {
        for (scale, wanted) in [
            (Scale::linear((0.0, 0.1), (0.0, 1.0)), vec![0.0, 0.02, 0.04, 0.06, 0.08, 0.1]),
            (Scale::linear((0.0, 7.0), (0.0, 1.0)), vec![0.0, 2.0, 4.0, 6.0]),
            (Scale::log((0.001, 1.0), (0.0, 1.0)), vec![0.001, 0.01, 0.1, 1.0]),
            (Scale::log((3.0, 30.0), (0.0, 1.0)), vec![5.0, 10.0, 20.0]),
        ] {
            let ticks = scale.ticks(5);
            assert!(
                ticks.len() == wanted.len() && ticks.iter().zip(&wanted).all(|(a, b)| (a - b).abs() < 1e-9),
                "{ticks:?}"
            );
        }
    }

    #[test]
    fn every_value_has_a_place() {
        for values in [(0.0, 0.0), (0.0, 1e-12), (5.0, 5.0), (-1.0, 1.0)] {
            for scale in [Scale::linear(values, (10.0, 90.0)), Scale::log(values, (10.0, 90.0))] {
                for value in [0.0, 1e-20, 1.0, 1e20] {
                    assert!(scale.at(value).is_finite() && (10.0..=90.0).contains(&scale.within(value)));
                }
                assert!(scale.ticks(5).len() < 200);
            }
        }
    }
}
