//! A world of requests in which the truth is known: samples are drawn from a finite population, so the true
//! risk of any thresholds is a count.

use kerf_exits::{Costs, Outcome, Outcomes, Thresholds};
use kerf_random::Random;

/// A head of a world.
#[derive(Clone, Copy)]
pub(crate) struct Head {
    /// How good it is: 0 guesses.
    pub(crate) skill: f64,
    /// How much of what it says of itself is noise.
    pub(crate) noise: f64,
    /// By how much its odds are worse than it thinks.
    pub(crate) conceit: f64,
}

pub(crate) struct World {
    population: Vec<Vec<Outcome>>,
}

impl World {
    /// Requests are easy or hard for all heads alike, and a little for each.
    pub(crate) fn new(heads: &[Head], size: usize, seed: u64) -> Self {
        let mut random = Random::new(seed);
        let population = (0..size)
            .map(|_| {
                let ease = random.unit();
                heads
                    .iter()
                    .map(|head| {
                        let odds = head.skill * (ease - 0.2) * 2.0 + (random.unit() - 0.5) * 2.0;
                        let said = odds + head.noise * (random.unit() - 0.5);
                        let worth = (odds - head.conceit).exp();
                        let wrong = random.unit() * (1.0 + worth) > worth;
                        // Some heads can now and then not say.
                        let confidence = (random.unit() > 0.01).then_some(1.0 / (1.0 + (-said).exp()));
                        Outcome { confidence, wrong }
                    })
                    .collect()
            })
            .collect();
        Self { population }
    }

    pub(crate) fn sample(&self, size: usize, seed: u64) -> Outcomes {
        let mut random = Random::new(seed);
        let mut outcomes = Outcomes::new(self.population[0].len()).unwrap();
        for _ in 0..size {
            let at = (random.unit() * self.population.len() as f64) as usize;
            outcomes.push(&self.population[at]).unwrap();
        }
        outcomes
    }

    /// The share of the population for which some open head is confident and wrong.
    pub(crate) fn risk(&self, thresholds: &Thresholds) -> f64 {
        let is_lost = |row: &&Vec<Outcome>| {
            row.iter().enumerate().any(|(exit, outcome)| {
                let least = thresholds.of(exit);
                outcome.wrong
                    && least.is_some_and(|least| outcome.confidence.is_some_and(|said| said >= least))
            })
        };
        self.population.iter().filter(is_lost).count() as f64 / self.population.len() as f64
    }
}

/// Exits at even distances, each head 2% of the whole.
pub(crate) fn costs(exits: usize) -> Costs {
    let to_exit = (1..=exits).map(|exit| exit as f64 / (exits + 1) as f64 * 100.0).collect();
    Costs::new(to_exit, vec![2.0; exits], 100.0).unwrap()
}
