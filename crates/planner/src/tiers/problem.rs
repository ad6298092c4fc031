//! What is known of machines, links and a model.

use super::dist::Dist;

/// A value for every range `from..to` of a model's boundaries with `from < to`.
#[derive(Clone, Debug, PartialEq)]
pub struct Ranges<T> {
    last: usize,
    cells: Vec<T>,
}

impl<T> Ranges<T> {
    /// For boundaries 0 to `last`.
    pub fn new(last: usize, mut of: impl FnMut(usize, usize) -> T) -> Self {
        let ranges = (0..last).flat_map(|from| (from + 1..=last).map(move |to| (from, to)));
        Self { last, cells: ranges.map(|(from, to)| of(from, to)).collect() }
    }

    /// The last boundary.
    pub fn last(&self) -> usize {
        self.last
    }

    /// The value of `from..to`.
    ///
    /// # Panics
    /// Where there is no such range.
    pub fn at(&self, from: usize, to: usize) -> &T {
        assert!(from < to && to <= self.last, "no range {from}..{to} of 0..{}", self.last);
        // Rows before this one hold last, last − 1, ... values.
        &self.cells[from * (2 * self.last + 1 - from) / 2 + to - from - 1]
    }

    /// The same ranges with other values.
    pub fn map<U>(&self, of: impl FnMut(&T) -> U) -> Ranges<U> {
        Ranges { last: self.last, cells: self.cells.iter().map(of).collect() }
    }

    /// All ranges and their values.
    pub fn iter(&self) -> impl Iterator<Item = ((usize, usize), &T)> {
        let ranges = (0..self.last).flat_map(|from| (from + 1..=self.last).map(move |to| (from, to)));
        ranges.zip(&self.cells)
    }
}

/// A machine, or machines that are alike.
#[derive(Clone, Debug, PartialEq)]
pub struct Tier {
    /// For messages.
    pub name: String,
    /// Seconds per range as measured; `None` where it cannot run the range.
    pub times: Ranges<Option<Dist>>,
    /// Bytes that a range keeps in memory.
    pub resident: Ranges<f64>,
    /// Bytes that there are.
    pub memory: Option<f64>,
    /// Watts while it computes, above what it draws without this request.
    pub busy_watts: f64,
    /// Watts while the request that it passed on is elsewhere.
    pub wait_watts: f64,
    /// Units of currency per second of computing.
    pub money_per_second: f64,
    /// Seconds before it begins: its queue, and what each request costs it however little it runs.
    pub queue: Dist,
}

/// What joins a tier to the next.
#[derive(Clone, Debug, PartialEq)]
pub struct Link {
    /// Seconds that the first byte takes to the next tier.
    pub up_delay: Dist,
    /// Seconds that the first byte takes back.
    pub down_delay: Dist,
    /// Seconds per byte to the next tier.
    pub up: Dist,
    /// Seconds per byte back.
    pub down: Dist,
    /// Joules per byte, either way.
    pub joules_per_byte: f64,
    /// Units of currency per byte, either way.
    pub money_per_byte: f64,
}

/// A boundary's tensors in one encoding.
#[derive(Clone, Debug, PartialEq)]
pub struct Shipment {
    /// Name of the codec.
    pub codec: String,
    /// Bytes on the wire.
    pub bytes: Dist,
    /// Seconds to encode, by tier.
    pub encode: Vec<Dist>,
    /// Seconds to decode, by tier.
    pub decode: Vec<Dist>,
    /// Share of all requests whose answer it changes, at most.
    pub agreement_loss: f64,
}

/// A result on its way back to the first tier, from whichever tier finishes.
#[derive(Clone, Debug, PartialEq)]
pub struct Reply {
    /// Bytes on the wire, the same on every link.
    pub bytes: Dist,
    /// Seconds to encode, by tier; the first one's is never paid.
    pub encode: Vec<Dist>,
    /// Seconds to decode on the first tier.
    pub decode: Dist,
    /// Share of all requests whose answer it changes, at most.
    pub agreement_loss: f64,
}

/// A head on the first tier that may answer.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Exit {
    /// Where it is tried, whenever the first tier gets that far.
    pub boundary: usize,
    /// How likely it answers if all heads before it did not.
    pub probability: f64,
    /// Seconds that it takes.
    pub head: Dist,
    /// Share of all requests whose answer it changes, at most.
    pub agreement_loss: f64,
}

/// A model on a chain of tiers. Every request starts on the first one, and its result goes back
/// there.
#[derive(Clone, Debug, PartialEq)]
pub struct Problem {
    /// From the device onward.
    pub tiers: Vec<Tier>,
    /// `links[i]` joins `tiers[i]` and `tiers[i + 1]`.
    pub links: Vec<Link>,
    /// By boundary, from the inputs to the outputs; those of the last boundary are not used.
    pub shipments: Vec<Vec<Shipment>>,
    /// What a request that left the first tier gets back.
    pub reply: Reply,
    /// In order of their boundaries.
    pub exits: Vec<Exit>,
}

impl Reply {
    /// A result that goes as it is.
    pub fn plain(bytes: Dist, tiers: usize) -> Self {
        Self { bytes, encode: vec![Dist::default(); tiers], decode: Dist::default(), agreement_loss: 0.0 }
    }
}

impl Problem {
    /// The boundary of the outputs.
    pub fn last(&self) -> usize {
        self.shipments.len().saturating_sub(1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_are_where_they_were_put() {
        for last in 1..8 {
            let ranges = Ranges::new(last, |from, to| (from, to));
            assert!(
                ranges.iter().all(|(range, value)| range == *value && *ranges.at(range.0, range.1) == range)
            );
        }
    }
}
