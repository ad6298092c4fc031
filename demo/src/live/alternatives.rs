//! What would another way take over the link as it is? Predicted from the profiles and the link's
//! true numbers, which no node is told: one request, alone.

use super::control::Conditions;
use kerf_planner::HANDLING;
use kerf_planner::tiers::{Constraints, Dist, Objective, Pin, Plan, PlanError, Problem, plan};

/// Names of what needs no codec; see `kerf_planner::assemble`.
const RAW: &str = "raw";
const ENCODED: &str = "encoded";

/// The edge, the cloud and the model, over any link.
#[derive(Clone)]
pub(crate) struct Alternatives {
    problem: Problem,
    /// Seconds on the edge alone.
    edge: f64,
    /// Least share of answers that codecs must leave as they are.
    agreement: f64,
}

/// Of one request; none without a link.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Predicted {
    /// Seconds, all on the edge.
    pub(crate) edge: f64,
    /// The input to the cloud, compressed.
    pub(crate) cloud: Option<Sent>,
    /// The interior boundary that is the best for this link.
    pub(crate) split: Option<Sent>,
}

/// A way that leaves the edge.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Sent {
    pub(crate) seconds: f64,
    pub(crate) boundary: usize,
    /// How tensors travel, for people.
    pub(crate) codec: String,
}

impl Alternatives {
    /// Of a problem of two machines, over whatever link.
    ///
    /// # Errors
    /// The problem makes no sense.
    pub(crate) fn new(problem: Problem, agreement: f64) -> Result<Self, PlanError> {
        let here = Pin { from: 0, to: problem.last(), tier: 0 };
        let edge = best(&problem, here, 0.0)?.latency.mean;
        Ok(Self { problem, edge, agreement })
    }

    pub(crate) fn edge(&self) -> f64 {
        self.edge
    }

    pub(crate) fn over(&self, link: Conditions) -> Predicted {
        let is_there = link.is_plugged && link.rate > 0.0;
        let mut problem = self.problem.clone();
        let Some(way) = problem.links.first_mut().filter(|_| is_there) else {
            return Predicted { edge: self.edge, cloud: None, split: None };
        };
        (way.up, way.down) = (Dist::exact(8.0 / link.rate), Dist::exact(8.0 / link.rate));
        let delay = Dist::exact((link.rtt.as_secs_f64() + HANDLING) / 2.0);
        (way.up_delay, way.down_delay) = (delay, delay);
        let last = problem.last();
        let cloud = self.sent(&problem, Pin { from: 0, to: last, tier: 1 });
        problem.shipments[0].clear();
        let split = match last {
            0 | 1 => None,
            _ => self.sent(&problem, Pin { from: last - 1, to: last, tier: 1 }),
        };
        Predicted { edge: self.edge, cloud, split }
    }

    fn sent(&self, problem: &Problem, pin: Pin) -> Option<Sent> {
        // Where nothing that agrees often enough can be sent, there is no such way.
        let plan = best(problem, pin, self.agreement).ok()?;
        let ship = plan.split()?;
        let codec = problem.shipments[ship.boundary][ship.codec].codec.as_str();
        let codec = match codec {
            RAW => "f32 as it is",
            ENCODED => "the picture as it came",
            codec => codec,
        };
        Some(Sent { seconds: plan.latency.mean, boundary: ship.boundary, codec: codec.to_owned() })
    }
}

fn best(problem: &Problem, pin: Pin, agreement: f64) -> Result<Plan, PlanError> {
    let constraints = Constraints { pins: vec![pin], agreement: Some(agreement), ..Constraints::default() };
    Ok(plan(problem, &Objective::Latency, &constraints)?.best)
}

#[cfg(test)]
mod tests {
    use super::*;
    use kerf_planner::tiers::{Link, Ranges, Reply, Shipment, Tier};
    use std::time::Duration;

    /// Three ranges of 100 ms each on the edge, 1 ms each in the cloud; 10 kB, then 2 kB or, with a
    /// codec, 1 kB, then 4 kB.
    fn alternatives(agreement: f64) -> Alternatives {
        let tier = |seconds: f64| Tier {
            name: "t".into(),
            times: Ranges::new(3, |from, to| Some(Dist::exact(seconds * (to - from) as f64))),
            resident: Ranges::new(3, |_, _| 0.0),
            memory: None,
            busy_watts: 0.0,
            wait_watts: 0.0,
            money_per_second: 0.0,
            queue: Dist::default(),
        };
        let shipment = |codec: &str, bytes: f64, agreement_loss: f64| Shipment {
            codec: codec.into(),
            bytes: Dist::exact(bytes),
            encode: vec![Dist::default(); 2],
            decode: vec![Dist::default(); 2],
            agreement_loss,
        };
        let none = Dist::default();
        let problem = Problem {
            tiers: vec![tier(0.1), tier(0.001)],
            links: vec![Link {
                up_delay: none,
                down_delay: none,
                up: Dist::exact(1.0),
                down: Dist::exact(1.0),
                joules_per_byte: 0.0,
                money_per_byte: 0.0,
            }],
            shipments: vec![
                vec![shipment("encoded", 1e4, 0.0)],
                vec![shipment("raw", 2e3, 0.0), shipment("int8", 1e3, 0.02)],
                vec![shipment("raw", 4e3, 0.0)],
                vec![],
            ],
            reply: Reply::plain(none, 2),
            exits: Vec::new(),
        };
        Alternatives::new(problem, agreement).unwrap()
    }

    fn link(rate: f64, rtt: u64) -> Conditions {
        Conditions { rate, rtt: Duration::from_millis(rtt), is_plugged: true }
    }

    fn near(sent: &Option<Sent>, seconds: f64, boundary: usize, codec: &str) {
        let sent = sent.as_ref().unwrap();
        assert!((sent.seconds - seconds).abs() < 1e-9, "{sent:?}, expected {seconds}");
        assert_eq!((sent.boundary, sent.codec.as_str()), (boundary, codec));
    }

    #[test]
    fn each_way_is_priced_over_the_link_as_it_is() {
        let all = alternatives(1.0);
        assert!((all.edge() - 0.3).abs() < 1e-12);
        // 80 kbit/s: 10 kB a second.
        let slow = all.over(link(80e3, 20));
        near(&slow.cloud, 1.0 + 0.02 + HANDLING + 0.003, 0, "the picture as it came");
        near(&slow.split, 0.1 + 0.2 + 0.02 + HANDLING + 0.002, 1, "f32 as it is");
        let fast = all.over(link(8e6, 2));
        near(&fast.cloud, 0.01 + 0.002 + HANDLING + 0.003, 0, "the picture as it came");
        assert_eq!(fast.edge, slow.edge);
    }

    #[test]
    fn codecs_count_that_agree_often_enough() {
        let sent = alternatives(0.95).over(link(80e3, 20));
        near(&sent.split, 0.1 + 0.1 + 0.02 + HANDLING + 0.002, 1, "int8");
    }

    #[test]
    fn without_a_link_there_is_the_edge() {
        let all = alternatives(1.0);
        for link in [Conditions { is_plugged: false, ..link(8e6, 2) }, link(0.0, 2)] {
            assert_eq!(all.over(link), Predicted { edge: all.edge(), cloud: None, split: None });
        }
    }
}
