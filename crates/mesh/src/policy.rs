//! Decisions: whom to choose, when to try again, whom to leave out. Time and chance are arguments.

use std::collections::HashMap;
use std::time::Duration;

/// A node that may take a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Candidate {
    /// Which one.
    pub index: usize,
    /// Requests that it has not answered yet.
    pub outstanding: usize,
}

/// Chooses the node with the fewest outstanding requests, and takes turns among equals.
#[derive(Clone, Debug, Default)]
pub struct Rotation {
    last: Option<usize>,
}

impl Rotation {
    /// The index chosen; `candidates` are in ascending order of theirs.
    pub fn pick(&mut self, candidates: &[Candidate]) -> Option<usize> {
        let least = candidates.iter().map(|candidate| candidate.outstanding).min()?;
        let mut equals = candidates.iter().filter(|candidate| candidate.outstanding == least);
        let first = equals.clone().next()?.index;
        let next = equals.find(|candidate| self.last.is_some_and(|last| candidate.index > last));
        let chosen = next.map_or(first, |candidate| candidate.index);
        self.last = Some(chosen);
        Some(chosen)
    }
}

/// Pauses between attempts to connect: each up to twice the last, half of it by chance,
/// so that edges that lost a node together do not come back together.
#[derive(Clone, Debug)]
pub struct Backoff {
    min: Duration,
    max: Duration,
    next: Duration,
}

impl Backoff {
    /// A pause is never zero, whatever the settings.
    pub fn new(min: Duration, max: Duration) -> Self {
        let min = min.max(Duration::from_millis(1));
        Self { min, max: max.max(min), next: min }
    }

    /// The pause after an attempt that failed; `chance` is uniform in 0..1.
    pub fn failed(&mut self, chance: f64) -> Duration {
        let pause = self.next.mul_f64(0.5 + 0.5 * chance.clamp(0.0, 1.0));
        self.next = self.next.saturating_mul(2).min(self.max);
        pause
    }

    /// The pause after a connection that lived for `lived`. One that lived for no longer
    /// than the longest pause did not earn a fresh start.
    pub fn lost(&mut self, lived: Duration, chance: f64) -> Duration {
        if lived > self.max {
            self.next = self.min;
        }
        self.failed(chance)
    }
}

/// How to wait for a node that says nothing: when to begin another connection, and how many at once.
#[derive(Clone, Copy, Debug)]
pub struct Vigil {
    rtt: Duration,
}

impl Vigil {
    /// `rtt` is the round trip as it was.
    pub fn new(rtt: Duration) -> Self {
        Self { rtt }
    }

    /// From one connection to the next. The link is back for up to so long before anything can be
    /// heard of it.
    pub fn pause(&self) -> Duration {
        (self.rtt / 2).clamp(Duration::from_millis(100), Duration::from_millis(200))
    }

    /// Brief connections that wait at once, and as many patient ones. A brief one waits for five round
    /// trips as they were, which is what TCP, TLS and QUIC take together, and for a second at least.
    pub fn attempts(&self) -> usize {
        let life = (5 * self.rtt).max(Duration::from_secs(1));
        (life.as_millis().div_ceil(self.pause().as_millis()) as usize).min(16)
    }

    /// Whether the connections from another socket move to yet another one, from this on.
    pub fn moves(&self, turn: u32) -> bool {
        turn % 20 == 1
    }

    /// Whether this attempt is given as many times the time of the brief ones as there are of them. Where
    /// an answer takes longer than those wait, it would never come else.
    pub fn is_patient(&self, turn: u32) -> bool {
        (turn as usize).is_multiple_of(self.attempts())
    }

    /// Whether to try TCP as well this time: where it was the way before, every third time, else now and then.
    pub fn is_tcp(&self, turn: u32, before: bool) -> bool {
        let (every, place) = if before { (3, 0) } else { (10, 8) };
        turn % every == place
    }

    /// Whether to look the node's name up again: it may have moved.
    pub fn resolves(&self, turn: u32) -> bool {
        turn % 20 == 10
    }
}

/// Nodes that said they lack a model, each until a time.
#[derive(Clone, Debug, Default)]
pub struct SkipList {
    until: HashMap<(usize, String, [u8; 32]), Duration>,
}

/// A bound on what requests for ever new models can make the list hold.
const MOST: usize = 4096;

impl SkipList {
    /// Leaves the node out for this version of the model until then.
    pub fn insert(&mut self, node: usize, model: &str, digest: &[u8; 32], until: Duration) {
        if self.until.len() >= MOST {
            // Forgetting costs a refusal; remembering all would cost memory.
            self.until.clear();
        }
        self.until.insert((node, model.to_owned(), *digest), until);
    }

    /// Whether the node is left out now; forgets entries whose time is over.
    pub fn contains(&mut self, node: usize, model: &str, digest: &[u8; 32], now: Duration) -> bool {
        if self.until.is_empty() {
            return false;
        }
        self.until.retain(|_, until| *until > now);
        self.until.contains_key(&(node, model.to_owned(), *digest))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn ms(ms: u64) -> Duration {
        Duration::from_millis(ms)
    }

    #[test]
    fn a_vigil_is_short_of_pauses_and_bounded_in_number() {
        for (rtt, pause, attempts) in
            [(0, 100, 10), (20, 100, 10), (240, 120, 10), (400, 200, 10), (600, 200, 15), (9000, 200, 16)]
        {
            let vigil = Vigil::new(ms(rtt));
            assert_eq!((vigil.pause(), vigil.attempts()), (ms(pause), attempts), "{rtt}");
            assert!(!vigil.moves(0) && vigil.moves(1) && !vigil.resolves(0));
            assert_eq!((0..100).filter(|turn| vigil.is_patient(*turn)).count(), 100_usize.div_ceil(attempts));
            assert!(!vigil.is_tcp(0, false) && vigil.is_tcp(8, false) && vigil.is_tcp(0, true));
        }
    }

    #[test]
    fn the_least_busy_node_is_chosen_and_equals_take_turns() {
        let mut rotation = Rotation::default();
        let nodes = |busy: &[usize]| -> Vec<_> {
            busy.iter()
                .enumerate()
                .map(|(index, outstanding)| Candidate { index, outstanding: *outstanding })
                .collect()
        };
        assert_eq!(rotation.pick(&[]), None);
        let turns: Vec<_> = (0..6).filter_map(|_| rotation.pick(&nodes(&[0, 0, 0]))).collect();
        assert_eq!(turns, [0, 1, 2, 0, 1, 2]);
        for (busy, chosen) in [(&[3, 1, 2][..], 1), (&[3, 1, 1], 2), (&[0, 1, 1], 0), (&[5], 0)] {
            assert_eq!(rotation.pick(&nodes(busy)), Some(chosen), "{busy:?}");
        }
    }

    #[test]
    fn pauses_double_up_to_the_longest_and_are_spread() {
        let mut backoff = Backoff::new(ms(100), ms(1000));
        let pauses: Vec<_> = (0..6).map(|_| backoff.failed(1.0)).collect();
        assert_eq!(pauses, [100, 200, 400, 800, 1000, 1000].map(ms));
        assert_eq!(backoff.failed(0.0), ms(500));
        // A node that accepts and hangs up at once is no better than one that is away.
        assert_eq!(backoff.lost(ms(10), 1.0), ms(1000));
        assert_eq!(backoff.lost(ms(1001), 1.0), ms(100));
        assert!(Backoff::new(ms(0), ms(0)).failed(0.0) > ms(0));
    }

    #[test]
    fn a_node_is_left_out_for_one_version_of_one_model_and_not_for_ever() {
        let mut skips = SkipList::default();
        skips.insert(1, "m", &[1; 32], ms(100));
        for (node, model, digest, now, out) in [
            (1, "m", [1; 32], 50, true),
            (0, "m", [1; 32], 50, false),
            (1, "n", [1; 32], 50, false),
            (1, "m", [2; 32], 50, false),
            (1, "m", [1; 32], 100, false),
        ] {
            assert_eq!(skips.contains(node, model, &digest, ms(now)), out, "{node} {model} {now}");
        }
        for model in 0..2 * MOST {
            skips.insert(0, &model.to_string(), &[0; 32], ms(1000));
        }
        assert!(skips.until.len() <= MOST);
    }
}
