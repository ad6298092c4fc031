//! Random problems of tiers, every plan of them, and what a plan comes to: straight from the
//! definitions.

use kerf_planner::tiers::{
    Constraints, Deadline, Dist, Exit, Link, Pin, Problem, Ranges, Reply, Ship, Shipment, Stage, Tier,
};
use proptest::prelude::*;

/// Numbers from a seed (xorshift64*).
pub(crate) struct Numbers(u64);

impl Numbers {
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed | 1)
    }

    pub(crate) fn unit(&mut self) -> f64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        (self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 11) as f64 / (1u64 << 53) as f64
    }

    pub(crate) fn below(&mut self, limit: usize) -> usize {
        (self.unit() * limit as f64) as usize
    }

    pub(crate) fn chance(&mut self, probability: f64) -> bool {
        self.unit() < probability
    }

    /// About `scale`, often the same number, with or without a spread.
    fn dist(&mut self, scale: f64) -> Dist {
        let mean = if self.chance(0.2) { scale * self.below(3) as f64 } else { scale * 2.0 * self.unit() };
        Dist { mean, sd: if self.chance(0.4) { 0.0 } else { mean * self.unit() * 0.3 } }
    }
}

pub(crate) fn problem(max_tiers: usize, max_last: usize) -> impl Strategy<Value = Problem> {
    (prop_oneof![1 => Just(1), 9 => 2..=max_tiers], 1..=max_last, any::<u64>())
        .prop_map(|(tiers, last, seed)| random(tiers, last, seed))
}

fn random(tiers: usize, last: usize, seed: u64) -> Problem {
    let mut numbers = Numbers::new(seed);
    let n = &mut numbers;
    let is_partial = n.chance(0.3);
    let tier = |index: usize, n: &mut Numbers| {
        let speed = 0.03 / 5f64.powi(index as i32);
        let times = Ranges::new(last, |from, to| {
            let time = n.dist(speed * (to - from) as f64);
            (!is_partial || index == 0 || n.chance(0.8)).then_some(time)
        });
        Tier {
            name: format!("tier {index}"),
            times,
            resident: Ranges::new(last, |from, to| (to - from) as f64 * (50.0 + 50.0 * n.unit())),
            memory: n.chance(0.15).then(|| last as f64 * 100.0 * n.unit()),
            busy_watts: 10.0 * n.unit(),
            wait_watts: if n.chance(0.5) { 0.0 } else { n.unit() },
            money_per_second: index as f64 * n.unit(),
            queue: n.dist(0.001),
        }
    };
    let tiers: Vec<Tier> = (0..tiers).map(|index| tier(index, n)).collect();
    let links = (1..tiers.len()).map(|_| Link {
        up_delay: n.dist(0.002),
        down_delay: n.dist(0.002),
        up: n.dist(3e-7),
        down: n.dist(2e-7),
        joules_per_byte: 1e-6 * n.unit(),
        money_per_byte: 1e-9 * n.unit(),
    });
    let links = links.collect();
    let shipments = (0..=last).map(|_| {
        let codecs = if n.chance(0.05) { 0 } else { 1 + n.below(2) };
        let shipment = |codec: usize, n: &mut Numbers| Shipment {
            codec: format!("c{codec}"),
            bytes: n.dist(20_000.0 / (1.0 + codec as f64)),
            encode: tiers.iter().map(|_| n.dist(2e-4)).collect(),
            decode: tiers.iter().map(|_| n.dist(1e-4)).collect(),
            agreement_loss: if n.chance(0.5) { 0.0 } else { 0.02 * n.unit() },
        };
        (0..codecs).map(|codec| shipment(codec, n)).collect()
    });
    let shipments = shipments.collect();
    let mut exits = Vec::new();
    for boundary in 1..last {
        if n.chance(0.25) {
            let probability = n.unit();
            let agreement_loss = 0.02 * n.unit();
            exits.push(Exit { boundary, probability, head: n.dist(3e-4), agreement_loss });
        }
    }
    let reply = Reply {
        bytes: n.dist(1000.0),
        encode: tiers.iter().map(|_| n.dist(2e-4)).collect(),
        decode: n.dist(1e-4),
        agreement_loss: if n.chance(0.5) { 0.0 } else { 0.02 * n.unit() },
    };
    Problem { tiers, links, shipments, reply, exits }
}

pub(crate) fn constraints(problem: &Problem, seed: u64) -> Constraints {
    let mut n = Numbers::new(seed);
    let last = problem.last();
    let pin = |n: &mut Numbers| {
        let from = n.below(last);
        Pin { from, to: from + 1 + n.below(last - from), tier: n.below(problem.tiers.len()) }
    };
    Constraints {
        deadline: n
            .chance(0.3)
            .then(|| Deadline { seconds: 0.15 * n.unit(), quantile: [0.5, 0.9, 0.99][n.below(3)] }),
        agreement: n.chance(0.2).then(|| 1.0 - 0.05 * n.unit()),
        energy: n.chance(0.15).then(|| 1.0 * n.unit()),
        bytes: n.chance(0.15).then(|| 50_000.0 * n.unit()),
        money: n.chance(0.1).then(|| 0.02 * n.unit()),
        privacy_floor: if n.chance(0.2) { n.below(last + 1) } else { 0 },
        pins: if n.chance(0.15) { vec![pin(&mut n)] } else { Vec::new() },
    }
}

/// What a plan comes to.
#[derive(Clone, Debug)]
pub(crate) struct Value {
    pub(crate) stages: Vec<Stage>,
    pub(crate) latency: f64,
    pub(crate) energy: f64,
    pub(crate) bytes: f64,
    pub(crate) money: f64,
    pub(crate) agreement: f64,
    /// Probability, mean and variance of each way to end.
    pub(crate) ends: Vec<(f64, f64, f64)>,
}

/// Every plan that tiers, memory, pins and the privacy floor allow.
pub(crate) fn all(problem: &Problem, constraints: &Constraints) -> Vec<Value> {
    let mut plans = Vec::new();
    grow(problem, Vec::new(), 0, 0, &mut plans);
    plans.retain(|stages| is_allowed(problem, constraints, stages));
    plans.into_iter().filter_map(|stages| value(problem, stages)).collect()
}

fn grow(problem: &Problem, before: Vec<Stage>, tier: usize, from: usize, plans: &mut Vec<Vec<Stage>>) {
    let last = problem.last();
    let with = |to: usize, ship: Option<Ship>| {
        let mut stages = before.clone();
        stages.push(Stage { tier, from, to, ship });
        stages
    };
    plans.push(with(last, None));
    for to in from..last {
        if to == from && tier > 0 {
            continue;
        }
        for boundary in 0..=to {
            let is_retreat =
                tier == 0 && problem.exits.iter().any(|exit| exit.boundary > boundary && exit.boundary <= to);
            if boundary != to && !is_retreat {
                continue;
            }
            for next in tier + 1..problem.tiers.len() {
                for codec in 0..problem.shipments[boundary].len() {
                    let stages = with(to, Some(Ship { boundary, codec }));
                    grow(problem, stages, next, boundary, plans);
                }
            }
        }
    }
}

/// The pieces in which a stage runs.
fn pieces(problem: &Problem, stage: &Stage) -> Vec<(usize, usize)> {
    let exits = problem.exits.iter().map(|exit| exit.boundary);
    let inner = exits.filter(|exit| stage.tier == 0 && *exit > stage.from && *exit < stage.to);
    let mut stops = vec![stage.from];
    stops.extend(inner);
    if stage.to > stage.from {
        stops.push(stage.to);
    }
    stops.windows(2).map(|pair| (pair[0], pair[1])).collect()
}

fn is_allowed(problem: &Problem, constraints: &Constraints, stages: &[Stage]) -> bool {
    let floor = stages[0].ship.is_none_or(|ship| ship.boundary >= constraints.privacy_floor);
    floor
        && stages.iter().all(|stage| {
            let tier = &problem.tiers[stage.tier];
            let bytes: f64 =
                pieces(problem, stage).iter().map(|(from, to)| tier.resident.at(*from, *to)).sum();
            let overlaps = |pin: &Pin| (stage.from..stage.to).any(|step| (pin.from..pin.to).contains(&step));
            tier.memory.is_none_or(|memory| bytes <= memory)
                && constraints.pins.iter().all(|pin| pin.tier == stage.tier || !overlaps(pin))
        })
}

fn value(problem: &Problem, stages: Vec<Stage>) -> Option<Value> {
    let var = |dist: Dist| dist.sd * dist.sd;
    let product = |a: Dist, b: Dist| {
        let both = [a.mean * b.sd, b.mean * a.sd, a.sd * b.sd];
        (a.mean * b.mean, both.iter().map(|it| it * it).sum::<f64>())
    };
    // The first tier, exit by exit.
    let (mut mean, mut variance, mut reach) = (0.0, 0.0, 1.0);
    let (mut energy, mut money, mut loss, mut ends) = (0.0, 0.0, 0.0, Vec::new());
    let first = &problem.tiers[0];
    let mut busy = |time: Dist, reach: f64, mean: &mut f64, variance: &mut f64| {
        *mean += time.mean;
        *variance += var(time);
        energy += reach * time.mean * first.busy_watts;
        money += reach * time.mean * first.money_per_second;
    };
    let start = stages[0];
    if start.to > 0 {
        mean += first.queue.mean;
        variance += var(first.queue);
    }
    for (from, to) in pieces(problem, &start) {
        busy((*first.times.at(from, to))?, reach, &mut mean, &mut variance);
        if let Some(exit) = problem.exits.iter().find(|exit| exit.boundary == to) {
            busy(exit.head, reach, &mut mean, &mut variance);
            ends.push((reach * exit.probability, mean, variance));
            reach *= 1.0 - exit.probability;
            loss += exit.agreement_loss;
        }
    }
    if let Some(ship) = start.ship {
        busy(problem.shipments[ship.boundary][ship.codec].encode[0], reach, &mut mean, &mut variance);
    }
    // What follows, hop by hop: seconds there, and from which tier on it is.
    let mut bytes = 0.0;
    let mut waits: Vec<(usize, f64)> = Vec::new();
    for pair in stages.windows(2) {
        let (from, to) = (pair[0], pair[1]);
        let ship = from.ship.unwrap();
        let shipment = &problem.shipments[ship.boundary][ship.codec];
        loss += shipment.agreement_loss;
        let mut hop = 0.0;
        for link in from.tier..to.tier {
            let it = &problem.links[link];
            for (size, rate, delay) in
                [(shipment.bytes, it.up, it.up_delay), (problem.reply.bytes, it.down, it.down_delay)]
            {
                let (seconds, spread) = product(size, rate);
                hop += seconds + delay.mean;
                variance += spread + var(delay);
                energy += reach * size.mean * it.joules_per_byte;
                money += reach * size.mean * it.money_per_byte;
            }
            bytes += reach * shipment.bytes.mean;
        }
        let tier = &problem.tiers[to.tier];
        let mut work = vec![shipment.decode[to.tier], (*tier.times.at(to.from, to.to))?];
        work.extend(to.ship.map(|ship| problem.shipments[ship.boundary][ship.codec].encode[to.tier]));
        work.extend(to.ship.is_none().then(|| problem.reply.encode[to.tier]));
        for time in &work {
            hop += time.mean;
            variance += var(*time);
            energy += reach * time.mean * tier.busy_watts;
            money += reach * time.mean * tier.money_per_second;
        }
        hop += tier.queue.mean;
        variance += var(tier.queue);
        mean += hop;
        waits.push((from.tier, hop));
    }
    // A tier waits through its own hop and all later ones.
    for (index, (tier, _)) in waits.iter().enumerate() {
        let seconds: f64 = waits[index..].iter().map(|(_, hop)| hop).sum();
        energy += reach * seconds * problem.tiers[*tier].wait_watts;
    }
    if stages.len() > 1 {
        // The first tier has stopped waiting by then.
        let decode = problem.reply.decode;
        mean += decode.mean;
        variance += var(decode);
        energy += reach * decode.mean * first.busy_watts;
        money += reach * decode.mean * first.money_per_second;
        loss += problem.reply.agreement_loss;
    }
    ends.push((reach, mean, variance));
    let latency = ends.iter().map(|(probability, mean, _)| probability * mean).sum();
    let agreement = (1.0 - loss).max(0.0);
    Some(Value { stages, latency, energy, bytes, money, agreement, ends })
}

/// Whether a plan keeps to the constraints on its sums.
pub(crate) fn meets(value: &Value, constraints: &Constraints) -> bool {
    let at_most = |value: f64, cap: Option<f64>| cap.is_none_or(|cap| value <= cap * (1.0 + 1e-12));
    at_most(value.energy, constraints.energy)
        && at_most(value.bytes, constraints.bytes)
        && at_most(value.money, constraints.money)
        && constraints.agreement.is_none_or(|floor| value.agreement >= floor - 1e-12)
        && constraints.deadline.is_none_or(|deadline| {
            let likely = |(probability, mean, variance): &(f64, f64, f64)| {
                probability
                    * Dist { mean: *mean, sd: variance.sqrt() }.within(deadline.seconds * (1.0 + 1e-12))
            };
            value.ends.iter().map(likely).sum::<f64>() >= deadline.quantile - 1e-12
        })
}
