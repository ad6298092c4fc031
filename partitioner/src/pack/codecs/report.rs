//! What was measured, as terminal and page show it.

use kerf_agreement::{Interval, Share};
use serde::Serialize;

/// Every codec that was tried at every boundary of a model.
#[derive(Clone, Debug)]
pub(crate) struct Report {
    /// The model's name.
    pub(crate) model: String,
    /// How answers were compared, in words, and why so where nobody said.
    pub(crate) criterion: String,
    pub(crate) why: Option<String>,
    /// What was asked: `250 pictures, the held-out half of photos`.
    pub(crate) inputs: String,
    /// Of every interval, for example 0.95.
    pub(crate) confidence: f64,
    /// Accuracy of the whole model where there are labels.
    pub(crate) accuracy: Option<Share>,
    /// The inputs as a client may send them, before any boundary: the JPEG.
    pub(crate) references: Vec<Reference>,
    /// In the order of the schedule.
    pub(crate) places: Vec<Place>,
    /// What to use where nothing else is said: places and codecs by index, those that were chosen on
    /// the calibration half.
    pub(crate) chosen: Vec<(usize, usize)>,
    /// By boundary, what would be chosen on one half of the inputs, as it does on the other.
    pub(crate) choices: Vec<Choice>,
    /// How this was measured, a sentence each.
    pub(crate) notes: Vec<String>,
}

/// What is sent without a cut.
#[derive(Clone, Debug)]
pub(crate) struct Reference {
    /// `JPEG as it came`, `JPEG q90`.
    pub(crate) name: String,
    /// Mean bytes of a request.
    pub(crate) bytes: f64,
}

/// A boundary.
#[derive(Clone, Debug)]
pub(crate) struct Place {
    /// Its number.
    pub(crate) boundary: usize,
    /// Its tensors: `relu6_3: f32[1, 64, 14, 14]`.
    pub(crate) tensors: Vec<String>,
    /// Bytes of a request without a codec.
    pub(crate) raw: f64,
    /// Bytes of a request at 8 bits and zstd: what anyone would do first.
    pub(crate) eight_bit: Option<f64>,
    /// Codecs, in any order.
    pub(crate) tried: Vec<Tried>,
}

/// A codec at a boundary.
#[derive(Clone, Debug)]
pub(crate) struct Tried {
    pub(crate) name: String,
    /// Bytes of a request.
    pub(crate) mean: f64,
    pub(crate) p90: f64,
    /// Seconds of a request.
    pub(crate) encode: f64,
    pub(crate) decode: f64,
    /// Requests whose answer stayed the same.
    pub(crate) agreement: Share,
    /// How far answers are off, as the criterion has it; the mean.
    pub(crate) distance: Option<f64>,
    /// Accuracy less the whole model's, where there are labels.
    pub(crate) accuracy: Option<Change>,
    /// Whether no other codec here has fewer bytes and no less agreement.
    pub(crate) kept: bool,
}

/// What was chosen on each half of the inputs, at one boundary, judged on the other half.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Choice {
    pub(crate) boundary: usize,
    /// The codecs chosen: one, or one by each half.
    pub(crate) codecs: Vec<String>,
    /// Mean bytes of a request.
    pub(crate) bytes: f64,
    /// Without a codec.
    pub(crate) raw: f64,
    /// At 8 bits and zstd.
    pub(crate) eight_bit: Option<f64>,
    pub(crate) agreement: Share,
    /// Accuracy less the whole model's, where there are labels.
    pub(crate) accuracy: Option<Change>,
}

/// A difference and its interval.
#[derive(Clone, Copy, Debug, Serialize)]
pub(crate) struct Change {
    pub(crate) by: f64,
    pub(crate) within: Interval,
}

impl Report {
    /// The interval of a share at the report's confidence.
    pub(crate) fn interval(&self, share: Share) -> Interval {
        share.interval(self.confidence)
    }

    /// The first of the chosen.
    pub(crate) fn first_chosen(&self) -> Option<(&Place, &Tried)> {
        let (place, tried) = *self.chosen.first()?;
        let place = self.places.get(place)?;
        Some((place, place.tried.get(tried)?))
    }

    /// Whether a codec of a place is chosen.
    pub(crate) fn is_chosen(&self, place: usize, tried: usize) -> bool {
        self.chosen.contains(&(place, tried))
    }
}

/// `99.6% (98.6–100%)`: one digit more where there are enough requests to tell.
pub(crate) fn share(share: Share, interval: Interval) -> String {
    let Some(value) = share.value() else { return "nothing was tried".into() };
    let digits = if share.of > 2000 { 2 } else { 1 };
    // What changed never reads as nothing, nor what stayed as all.
    let percent = |value: f64| {
        let shown = format!("{:.digits$}", value * 100.0);
        let text = if shown.parse() == Ok(100.0) && value < 1.0 { floor(value, digits) } else { shown };
        if text.parse() == Ok(100.0) { "100".to_owned() } else { text }
    };
    format!("{}% ({}–{}%)", percent(value), percent(interval.low), percent(interval.high))
}

/// `−0.24 pp (−1.10 to +0.61)`, percentage points.
pub(crate) fn change(change: Change) -> String {
    let points = |value: f64| format!("{:+.2}", value * 100.0 + 0.0).replace('-', "−");
    format!("{} pp ({} to {})", points(change.by), points(change.within.low), points(change.within.high))
}

/// `17×`, `2.4×`; nothing where there is nothing to compare.
pub(crate) fn times(of: f64, than: f64) -> String {
    match of / than {
        ratio if !ratio.is_finite() => "–".into(),
        ratio if ratio >= 9.95 => format!("{ratio:.0}×"),
        ratio => format!("{ratio:.1}×"),
    }
}

fn floor(value: f64, digits: usize) -> String {
    let step = 10f64.powi(digits as i32);
    format!("{:.digits$}", (value * 100.0 * step).floor() / step)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_say_what_changed() {
        for (same, of, text) in [
            (250, 250, "100% (98.5–100%)"),
            (248, 250, "99.2% (97.1–99.9%)"),
            (0, 4, "0.0% (0.0–60.2%)"),
            (99_999, 100_000, "99.99% (99.99–99.99%)"),
        ] {
            let it = Share { same, of };
            assert_eq!(share(it, it.interval(0.95)), text);
        }
        assert_eq!(share(Share::default(), Share::default().interval(0.95)), "nothing was tried");
    }

    #[test]
    fn changes_have_a_sign() {
        let within = Interval { low: -0.011, high: 0.0061 };
        assert_eq!(change(Change { by: -0.0024, within }), "−0.24 pp (−1.10 to +0.61)");
        assert_eq!(change(Change { by: -0.0, within }), "+0.00 pp (−1.10 to +0.61)");
        assert_eq!(
            (times(50.0, 3.0), times(5.0, 2.0), times(1.0, 0.0)),
            ("17×".into(), "2.5×".into(), "–".into())
        );
    }
}
