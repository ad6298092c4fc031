//! Where which plan would win, on links and edges that are not at hand.
//!
//! The times are measured here, through the same engine and segments as the
//! nodes use; a slower edge and a slower link are arithmetic on top of them:
//! `slowdown · head + bytes / rate + RTT + tail`. Nothing is emulated, and the
//! report says so. The rival to beat is not the raw tensor but the encoded
//! image, sent as it is.

use crate::run::Script;
use crate::stage::Stage;
use kerf_engine::Values;
use kerf_tensor::Tensor;
use serde::Serialize;
use std::time::Duration;

pub(crate) const SLOWDOWNS: [f64; 3] = [10.0, 25.0, 60.0];
pub(crate) const RTT_MS: [f64; 4] = [5.0, 10.0, 20.0, 50.0];
pub(crate) const RATES_MBPS: [f64; 13] =
    [0.25, 0.35, 0.5, 0.7, 1.0, 1.4, 2.0, 2.8, 4.0, 5.6, 8.0, 16.0, 32.0];

/// Runs of each segment; the median counts.
const RUNS: usize = 9;

/// What a plan costs on this machine.
#[derive(Clone, Serialize)]
pub(crate) struct Plan {
    pub(crate) boundary: usize,
    /// Head on this machine.
    pub(crate) head_ms: f64,
    /// Tail on this machine.
    pub(crate) tail_ms: f64,
    /// Median bytes that cross the link; 0 for all on the edge.
    pub(crate) bytes: u64,
}

/// The plans of a model, from the encoded image in the cloud to all on the edge.
#[derive(Serialize)]
pub(crate) struct Regions {
    pub(crate) plans: Vec<Plan>,
}

impl Plan {
    fn latency_ms(&self, slowdown: f64, rate_mbps: f64, rtt_ms: f64) -> f64 {
        let here = slowdown * self.head_ms;
        if self.bytes == 0 {
            here
        } else {
            here + self.bytes as f64 * 8e-3 / rate_mbps + rtt_ms + self.tail_ms
        }
    }
}

impl Regions {
    /// Times head and tail at every boundary.
    pub(crate) fn measure(stage: &Stage, script: &Script) -> anyhow::Result<Self> {
        let served = stage.served();
        let last = served.last();
        let mut sizes: Vec<_> = script.inputs.iter().map(|input| input.image.len() as u64).collect();
        sizes.sort_unstable();
        let image = Tensor::from_strings(&[1], &[&script.inputs[0].image])?;

        let mut plans = Vec::new();
        for boundary in 0..=last {
            let mut heads = Vec::new();
            let mut tails = Vec::new();
            let mut bytes = 0;
            for _ in 0..RUNS {
                let mut values = Values::new();
                values.insert(script.question.input.clone(), image.clone());
                let decoded = std::time::Instant::now();
                served.decode(&mut values)?;
                let decoding = decoded.elapsed();
                let head = served.runner.run(0, boundary, &mut values)?.elapsed;
                let tail = served.runner.run(boundary, last, &mut values)?.elapsed;
                // Whoever runs the first segment decodes the image.
                heads.push(if boundary > 0 { head + decoding } else { head });
                tails.push(if boundary > 0 { tail } else { tail + decoding });
                bytes = match boundary {
                    0 => sizes[sizes.len() / 2],
                    b if b == last => 0,
                    b => served
                        .shipment(b, &values)?
                        .iter()
                        .map(|named| named.tensor.data().len() as u64)
                        .sum(),
                };
            }
            plans.push(Plan {
                boundary,
                head_ms: median_ms(&mut heads),
                tail_ms: median_ms(&mut tails),
                bytes,
            });
        }
        Ok(Self { plans })
    }

    /// The boundary of the fastest plan.
    pub(crate) fn best(&self, slowdown: f64, rate_mbps: f64, rtt_ms: f64) -> usize {
        let latency = |plan: &&Plan| plan.latency_ms(slowdown, rate_mbps, rtt_ms);
        let best = self.plans.iter().min_by(|a, b| latency(a).total_cmp(&latency(b)));
        best.map_or(0, |plan| plan.boundary)
    }

    /// The interior boundary that wins most cells; the one with the fewest bytes where none wins any.
    pub(crate) fn favourite(&self) -> usize {
        let last = self.plans.len() - 1;
        let mut wins = vec![0; self.plans.len()];
        for (slowdown, rate, rtt) in cells() {
            wins[self.best(slowdown, rate, rtt)] += 1;
        }
        let interior = 1..last;
        let bytes = |boundary: usize| std::cmp::Reverse(self.plans[boundary].bytes);
        interior.max_by_key(|boundary| (wins[*boundary], bytes(*boundary))).unwrap_or(last)
    }

    /// Cells of the grid in which an interior boundary is the fastest plan, and all cells.
    pub(crate) fn interior_wins(&self) -> (usize, usize) {
        let last = self.plans.len() - 1;
        let won =
            cells().filter(|(slowdown, rate, rtt)| (1..last).contains(&self.best(*slowdown, *rate, *rtt)));
        (won.count(), cells().count())
    }
}

fn cells() -> impl Iterator<Item = (f64, f64, f64)> {
    SLOWDOWNS.into_iter().flat_map(|slowdown| {
        RTT_MS.into_iter().flat_map(move |rtt| RATES_MBPS.into_iter().map(move |rate| (slowdown, rate, rtt)))
    })
}

fn median_ms(times: &mut [Duration]) -> f64 {
    times.sort_unstable();
    times[times.len() / 2].as_secs_f64() * 1e3
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plan(boundary: usize, head_ms: f64, tail_ms: f64, bytes: u64) -> Plan {
        Plan { boundary, head_ms, tail_ms, bytes }
    }

    #[test]
    fn each_plan_wins_where_it_should() {
        let regions =
            Regions { plans: vec![plan(0, 0.0, 10.0, 8000), plan(1, 2.0, 8.0, 2000), plan(2, 10.0, 0.0, 0)] };
        assert_eq!(regions.best(1.0, 0.1, 100.0), 2, "a slow link, a fast edge");
        assert_eq!(regions.best(4.0, 2.0, 5.0), 1, "bytes matter and the edge is slow");
        assert_eq!(regions.best(25.0, 50.0, 5.0), 0, "a fast link, a slow edge");
        assert_eq!(regions.favourite(), 1);
    }
}
