//! Tails of the binomial distribution, with every digit that a double has.
//!
//! A promise stands or falls with a probability of a few percent, a drift test with one of 1e-4, and
//! counts go from none of ten to thousands of a million. So a tail is the sum of its own terms, all
//! of them positive, from the largest outwards: nothing cancels, and about `9·√(n·p)` terms are enough.

use std::f64::consts::{PI, TAU};

/// How likely at most `k` of `n` independent events are that have probability `p` each.
pub(crate) fn at_most(k: u64, n: u64, p: f64) -> f64 {
    if k >= n || p <= 0.0 {
        1.0
    } else if p >= 1.0 {
        0.0
    } else if (k as f64) <= n as f64 * p {
        lower_tail(k, n, p)
    } else {
        // As many misses as that or fewer: the same sum seen from the other side.
        1.0 - lower_tail(n - k - 1, n, 1.0 - p)
    }
}

/// The largest probability of an event of which `k` of `n` are still as likely as `tail` or more: the
/// one-sided upper limit of Clopper and Pearson (1934) at confidence `1 − tail`. 1 where nothing was
/// tried.
pub(crate) fn upper_limit(k: u64, n: u64, tail: f64) -> f64 {
    if k >= n {
        return 1.0;
    }
    halve(k as f64 / n as f64, 1.0, |p| at_most(k, n, p) > tail)
}

/// The lower limit, as [`upper_limit`] is the upper one. 0 where nothing was seen.
pub(crate) fn lower_limit(k: u64, n: u64, tail: f64) -> f64 {
    if k == 0 || n == 0 {
        return 0.0;
    }
    let k = k.min(n);
    // At least k hits are at most n − k misses.
    1.0 - halve(1.0 - k as f64 / n as f64, 1.0, |miss| at_most(n - k, n, miss) > tail)
}

/// The most events of `n` that are no likelier than `tail` where each has probability `p`; `None`
/// where even none is.
pub(crate) fn most(n: u64, p: f64, tail: f64) -> Option<u64> {
    if at_most(0, n, p) > tail {
        return None;
    }
    let (mut passes, mut fails) = (0, n);
    while fails - passes > 1 {
        let middle = passes + (fails - passes) / 2;
        if at_most(middle, n, p) <= tail { passes = middle } else { fails = middle }
    }
    Some(passes)
}

/// The least `n` of which `k` or fewer are no likelier than `tail` where each has probability `p`, which
/// is above 0. `None` above 2⁵³.
pub(crate) fn trials(k: u64, p: f64, tail: f64) -> Option<u64> {
    const MOST: u64 = 1 << 53;
    let (mut fails, mut passes) = (k, k.saturating_add(1));
    while at_most(k, passes, p) > tail {
        fails = passes;
        passes = passes.checked_mul(2).filter(|n| *n <= MOST)?;
    }
    while passes - fails > 1 {
        let middle = fails + (passes - fails) / 2;
        if at_most(k, middle, p) <= tail { passes = middle } else { fails = middle }
    }
    Some(passes)
}

/// The end of what `holds`, which it does from `inside` on up to somewhere before `outside`.
fn halve(mut inside: f64, mut outside: f64, holds: impl Fn(f64) -> bool) -> f64 {
    // As many halves as tell doubles near 0 apart to 1e-15 of themselves.
    for _ in 0..110 {
        let middle = f64::midpoint(inside, outside);
        if holds(middle) {
            inside = middle
        } else {
            outside = middle
        }
        if inside == outside {
            break;
        }
    }
    outside
}

/// The sum of the probabilities of `k`, `k − 1`, … where `k` is at most the mean.
fn lower_tail(k: u64, n: u64, p: f64) -> f64 {
    let mut term = probability(k, n, p);
    let (mut sum, odds) = (term, (1.0 - p) / p);
    for at in (1..=k).rev() {
        term *= at as f64 / (n - at + 1) as f64 * odds;
        sum += term;
        if term <= sum * 1e-17 {
            break;
        }
    }
    sum.min(1.0)
}

/// The probability of exactly `k`, by the saddle point: C. Loader, "Fast and accurate computation of
/// binomial probabilities" (2000).
fn probability(k: u64, n: u64, p: f64) -> f64 {
    let (hits, all, misses) = (k as f64, n as f64, (n - k) as f64);
    if k == 0 {
        return (all * (-p).ln_1p()).exp();
    }
    if k == n {
        return (all * p.ln()).exp();
    }
    let exponent = stirling_error(n)
        - stirling_error(k)
        - stirling_error(n - k)
        - deviance(hits, all * p)
        - deviance(misses, all * (1.0 - p));
    exponent.exp() * (all / (TAU * hits * misses)).sqrt()
}

/// By how much `ln n!` is more than Stirling's formula.
fn stirling_error(n: u64) -> f64 {
    let x = n as f64;
    if n <= 15 {
        let factorial: f64 = (1..=n).map(|i| i as f64).product();
        return if n == 0 { 0.0 } else { factorial.ln() - (x + 0.5) * x.ln() + x - 0.5 * (2.0 * PI).ln() };
    }
    let square = x * x;
    let series = 1.0 / 1680.0 - 1.0 / 1188.0 / square;
    let series = 1.0 / 1260.0 - series / square;
    let series = 1.0 / 360.0 - series / square;
    (1.0 / 12.0 - series / square) / x
}

/// `x·ln(x/mean) + mean − x`, without cancellation where they are close.
fn deviance(x: f64, mean: f64) -> f64 {
    if (x - mean).abs() >= 0.1 * (x + mean) {
        return x * (x / mean).ln() + mean - x;
    }
    let ratio = (x - mean) / (x + mean);
    let mut sum = (x - mean) * ratio;
    let mut power = 2.0 * x * ratio;
    for odd in (3..).step_by(2).take(500) {
        power *= ratio * ratio;
        let next = sum + power / f64::from(odd);
        if next == sum {
            break;
        }
        sum = next;
    }
    sum
}

#[cfg(test)]
mod tests;
