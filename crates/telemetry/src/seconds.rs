use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::histogram::{Histogram, exponential_buckets};
use std::hash::Hash;

/// Times by label.
pub type Seconds<Labels> = Family<Labels, Histogram, fn() -> Histogram>;

/// An empty family of times, in buckets from 0.1 ms to 26 s in steps of two: the same for every
/// stage, so that stages can be compared and added up.
pub fn seconds<Labels: Clone + Eq + Hash>() -> Seconds<Labels> {
    Family::new_with_constructor(|| Histogram::new(exponential_buckets(0.000_1, 2.0, 19)))
}
