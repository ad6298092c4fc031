//! The temperature that makes the likeliest class as likely as it is right.

use super::Kind;
use super::spread::Spread;

/// More rows than this do not make it more precise than it needs to be.
const ROWS: usize = 4096;

/// The temperature, 0.05 to 20, with the least logarithmic loss of the likeliest class's probability
/// against whether it was right. Proper for this use: the probabilities of the other classes do not
/// matter to an exit. 1 where that cannot be told since all rows are right, or all wrong.
pub(super) fn fit(kind: Kind, classes: usize, rows: &[(&[f32], bool)]) -> f64 {
    let stride = rows.len().div_ceil(ROWS).max(1);
    let rows: Vec<&(&[f32], bool)> = rows.iter().step_by(stride).collect();
    let wrong = rows.iter().filter(|(_, wrong)| *wrong).count();
    if wrong == 0 || wrong == rows.len() || classes < 2 {
        return 1.0;
    }
    let loss = |log: f64| -> f64 {
        let of = |(scores, wrong): &&(&[f32], bool)| {
            let spread = Spread::of(kind, log.exp(), scores)?;
            let (right, all) = (1.0, 1.0 + spread.rest);
            Some(-(if *wrong { spread.rest.max(1e-17) } else { right } / all).ln())
        };
        rows.iter().filter_map(of).sum()
    };
    let (least, most, steps) = (0.05f64.ln(), 20f64.ln(), 24);
    let at = |step: usize| least + (most - least) * step as f64 / steps as f64;
    let coarse = (0..=steps).map(|step| (step, loss(at(step)))).min_by(|a, b| a.1.total_cmp(&b.1));
    let best = coarse.map_or(steps / 2, |(step, _)| step);
    golden(at(best.saturating_sub(1)), at((best + 1).min(steps)), loss).exp()
}

/// Where `loss` is least between two points, by golden sections.
fn golden(mut low: f64, mut high: f64, loss: impl Fn(f64) -> f64) -> f64 {
    let part = (5f64.sqrt() - 1.0) / 2.0;
    let (mut left, mut right) = (high - part * (high - low), low + part * (high - low));
    let (mut of_left, mut of_right) = (loss(left), loss(right));
    for _ in 0..16 {
        if of_left <= of_right {
            (high, right, of_right) = (right, left, of_left);
            left = high - part * (high - low);
            of_left = loss(left);
        } else {
            (low, left, of_left) = (left, right, of_right);
            right = low + part * (high - low);
            of_right = loss(right);
        }
    }
    f64::midpoint(low, high)
}
